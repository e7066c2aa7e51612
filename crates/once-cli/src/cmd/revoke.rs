//! `once revoke`

use clap::Args;

use super::grant::{Right, print_left};
use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Take a right back; in force at once, also for open connections
///
/// With --action only those actions are taken back. What is left is printed.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct Revoke {
    #[command(flatten)]
    right: Right,
}

impl Revoke {
    /// What was read before stays where it is.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(self.right.revoke()).await?;
        context.answer(&answer, |answer| {
            ui::print(&format!("{} may no longer {}", self.right.whose(), self.right.words()))?;
            print_left(answer)
        })?;
        Ok(Exit::DONE)
    }
}
