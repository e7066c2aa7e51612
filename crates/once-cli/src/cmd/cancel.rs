//! `once cancel`

use clap::Args;
use once::ErrorKind;
use once::api::contract::{self, ActionStatus};
use once::model::ids::Uuid;

use crate::context::Context;
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
        let params = contract::Cancel { id: self.id, timeout_ms: Some(self.timeout), no_wait: self.no_wait };
        let answer = context.ask(params).await.map_err(|failure| match failure.kind {
            ErrorKind::Failed => Failure { message: format!("too late: {}", failure.message), ..failure },
            _ => failure,
        })?;
        let id = answer.id.to_string();
        context.answer(&answer, |answer| match answer.status {
            ActionStatus::Cancelled => ui::print(&format!("cancelled: {id} never ran, and never will")),
            ActionStatus::Cancelling => {
                ui::say(&format!(
                    "it is not wanted any more; `once outcome {id}` says whether that was in time"
                ));
                ui::print(&id)
            }
            ActionStatus::Done | ActionStatus::Accepted => {
                ui::say("too late: it had run; its result:");
                super::act::print(answer)
            }
        })?;
        Ok(if answer.status == ActionStatus::Done { Exit::FAILED } else { Exit::DONE })
    }
}
