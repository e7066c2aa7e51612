//! `once clock`

use clap::{Args, Subcommand};
use once::api::contract::ClockAccept;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Confirm that the clock is right, after it was set back
#[derive(Debug, Args)]
pub struct Clock {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take the clock as it is now; grants and invites that were seen to be over stay over
    Accept,
}

impl Clock {
    /// Nothing that ended comes back by it.
    pub async fn run(self, context: &Context) -> Done {
        let Command::Accept = self.command;
        let answer = context.ask(ClockAccept {}).await?;
        context.answer(&answer, |answer| {
            const US_PER_MS: u64 = 1000;
            let behind_ms = answer.latest_ms.saturating_sub(answer.now_ms);
            ui::print(&match behind_ms {
                0 => "the clock was not behind".to_owned(),
                _ => format!("accepted: the clock went back by {}", ui::duration_us(behind_ms * US_PER_MS)),
            })
        })?;
        Ok(Exit::DONE)
    }
}
