//! `once rm`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::Done;

/// Remove objects
///
/// At its home an object becomes a tombstone, which travels to those who follow it. Elsewhere only the copy here goes.
///
/// What is only read here since a backup was put back (`once ls --state read-only`) is not removed, since others may know more of it.
/// --read-only drops the copy here and tells nobody. What was recorded of it goes, too: `once retire --receipts FILE` writes the
/// receipts before.
#[derive(Debug, Args)]
pub struct Rm {
    /// The objects to remove; where a copy is meant, only that is dropped
    #[arg(required = true)]
    objects: Vec<String>,
    /// Drop the copies here of objects that are only read since a backup was put back, and of no others
    #[arg(long)]
    read_only: bool,
}

impl Rm {
    /// One after the other; the first refusal ends it.
    pub async fn run(self, context: &Context) -> Done {
        let read_only = self.read_only;
        let calls = self.objects.into_iter().map(|object| contract::Remove { object, read_only });
        super::put::change(context, calls).await
    }
}
