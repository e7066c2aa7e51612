//! `once join`

use clap::Args;
use serde_json::json;

use crate::context::{Context, text, with};
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
        let params = json!({ "ticket": self.ticket, "timeout_ms": self.timeout });
        let params = with(params, [("name", self.name.clone().map(Into::into))]);
        let answer = context.call_running("join", params).await?;
        let name = self.name.as_deref().unwrap_or_else(|| text(&answer, "says"));
        context.answer(&answer, |answer| {
            ui::print(&format!("joined {} ({})", ui::shown(name), text(answer, "kernel")))
        })?;
        ui::say(
            "Either may now share scenarios into the other's quota. `once grant PEER read` lets it read here.",
        );
        Ok(Exit::DONE)
    }
}
