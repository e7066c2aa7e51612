//! `once claim`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::Done;

/// Make this kernel the home of imported objects
///
/// It happens by itself with the first change of what was imported here.
#[derive(Debug, Args)]
pub struct Claim {
    /// The unclaimed objects that are to have their home here
    #[arg(required = true)]
    objects: Vec<String>,
}

impl Claim {
    /// One after the other; the first refusal ends it.
    pub async fn run(self, context: &Context) -> Done {
        let calls = self.objects.into_iter().map(|object| contract::Claim { object });
        super::put::change(context, calls).await
    }
}
