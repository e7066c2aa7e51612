//! `once unfollow`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Stop following an object; the copy stays
#[derive(Debug, Args)]
pub struct Unfollow {
    /// The object that is followed
    object: String,
    /// From whom (default: its home)
    #[arg(long, value_name = "PEER")]
    from: Option<String>,
}

impl Unfollow {
    /// The other kernel hears of it when the two meet.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Unfollow { object: self.object, from: self.from }).await?;
        context
            .answer(&answer, |answer| ui::print(&format!("no longer following {}", ui::key(&answer.key))))?;
        Ok(Exit::DONE)
    }
}
