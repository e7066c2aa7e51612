//! `once revoke`

use clap::Args;

use super::grant::Right;
use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Take a right back; in force at once, also for open connections
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct Revoke {
    #[command(flatten)]
    right: Right,
}

impl Revoke {
    /// What was read before stays where it is.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.call("revoke", self.right.params()).await?;
        context.answer(&answer, |_| {
            ui::print(&format!("{} may no longer {}", self.right.whose(), self.right.words()))
        })?;
        Ok(Exit::DONE)
    }
}
