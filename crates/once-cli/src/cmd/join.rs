//! `once join`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Become a peer of the kernel that made the ticket
#[derive(Debug, Args)]
pub struct Join {
    /// What `once invite` printed there
    ticket: String,
    /// The petname that the other kernel gets here (default: what it calls itself)
    #[arg(long, value_name = "PETNAME")]
    name: Option<String>,
    /// How long to try, like 10s or 1m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Join {
    /// Done when the other kernel has admitted this one.
    pub async fn run(self, context: &Context) -> Done {
        let params =
            contract::Join { ticket: self.ticket, name: self.name.clone(), timeout_ms: Some(self.timeout) };
        let answer = context.ask_running(params).await?;
        let name = self.name.as_deref().unwrap_or(&answer.says);
        context.answer(&answer, |answer| {
            ui::print(&format!("joined {} ({})", ui::shown(name), answer.kernel))
        })?;
        ui::say(
            "Either may now share scenarios into the other's quota. `once grant PEER read` lets it read here.",
        );
        Ok(Exit::DONE)
    }
}
