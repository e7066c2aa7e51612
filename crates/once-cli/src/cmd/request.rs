//! `once request`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Fetch one object from another kernel, and keep the copy
///
/// It is printed, too.
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
        let params = contract::Request {
            object: self.object,
            from: self.from,
            keep: Some(!self.no_keep),
            timeout_ms: Some(self.timeout),
        };
        let answer = context.ask_running(params).await?;
        context.answer(&answer, |answer| {
            super::show::about(&answer.object);
            ui::say(if answer.kept { "A copy is kept here." } else { "No copy is kept here." });
            super::show::document(answer.text.as_deref().unwrap_or_default())
        })?;
        Ok(Exit::DONE)
    }
}
