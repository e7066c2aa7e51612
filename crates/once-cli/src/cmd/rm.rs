//! `once rm`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::Done;

/// Remove objects
///
/// At its home an object becomes a tombstone, which travels to those who follow it. Elsewhere only the copy here goes.
#[derive(Debug, Args)]
pub struct Rm {
    /// The objects to remove; where a copy is meant, only that is dropped
    #[arg(required = true)]
    objects: Vec<String>,
}

impl Rm {
    /// One after the other; the first refusal ends it.
    pub async fn run(self, context: &Context) -> Done {
        let calls = self.objects.into_iter().map(|object| contract::Remove { object });
        super::put::change(context, calls).await
    }
}
