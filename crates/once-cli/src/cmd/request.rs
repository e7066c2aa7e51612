//! `once request`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, text, truth, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// Fetch one object from another kernel, print it, and keep the copy
#[derive(Debug, Args)]
pub struct Request {
    /// Which object: a UUID or an IOR
    object: String,
    /// From whom (default: the home that the IOR names, then every connected peer)
    #[arg(long, value_name = "PEER")]
    from: Option<String>,
    /// Print it, but keep no copy
    #[arg(long)]
    no_keep: bool,
    /// How long to wait, like 10s or 1m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Request {
    /// Prints like `once show`.
    pub async fn run(self, context: &Context) -> Done {
        let params = json!({ "object": self.object, "keep": !self.no_keep, "timeout_ms": self.timeout });
        let params = with(params, [("from", self.from.map(Into::into))]);
        let answer = context.call_running("request", params).await?;
        context.answer(&answer, |answer| {
            super::show::about(answer.get("object").unwrap_or(&Value::Null));
            ui::say(if truth(answer, "kept") { "A copy is kept here." } else { "No copy is kept here." });
            super::show::document(text(answer, "text"))
        })?;
        Ok(Exit::DONE)
    }
}
