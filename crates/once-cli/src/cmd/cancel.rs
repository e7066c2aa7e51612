//! `once cancel`

use clap::Args;
use once::model::ids::Uuid;
use serde_json::json;

use crate::context::{Context, text};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Take an action back, if it has not run yet
///
/// Whether that was in time, only the object's home can say. Exits with 0 if the action never ran and never will, else
/// with 1 and the outcome that it had.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The action's id
    id: Uuid,
    /// How long to wait for the home's answer, like 10s or 1m; it stays taken back after that
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
    timeout: u64,
    /// Do not wait for the home: `once outcome` tells later whether it was in time
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
}

impl Cancel {
    /// Prints what came of it.
    pub async fn run(self, context: &Context) -> Done {
        let params = json!({ "id": self.id, "timeout_ms": self.timeout, "no_wait": self.no_wait });
        let answer = context.call("cancel", params).await.map_err(|failure| match failure.code.as_str() {
            "failed" => Failure { message: format!("too late: {}", failure.message), ..failure },
            _ => failure,
        })?;
        let id = ui::shown(text(&answer, "id"));
        context.answer(&answer, |answer| match text(answer, "status") {
            "cancelled" => ui::print(&format!("cancelled: {id} never ran, and never will")),
            "cancelling" => {
                ui::say(&format!(
                    "it is not wanted any more; `once outcome {id}` says whether that was in time"
                ));
                ui::print(&id)
            }
            _ => {
                ui::say("too late: it had run; its result:");
                super::act::print(answer)
            }
        })?;
        Ok(if text(&answer, "status") == "done" { Exit::FAILED } else { Exit::DONE })
    }
}
