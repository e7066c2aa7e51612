//! `once conflicts`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, text};
use crate::failure::{Done, Exit};
use crate::ui;

/// List objects that share a UUID, and objects that were changed apart
#[derive(Debug, Args)]
pub struct Conflicts {}

impl Conflicts {
    /// Nothing is lost in a conflict: every version is kept, and can be shown by its name.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.call("conflicts", json!({})).await?;
        context.answer(&answer, |answer| {
            let conflicts = list(answer, "conflicts");
            for conflict in conflicts {
                let why = match text(conflict, "reason") {
                    "same-uuid" => "different objects with the same UUID".to_owned(),
                    "forked" => "changed apart".to_owned(),
                    other => ui::shown(other),
                };
                ui::print(&format!("{}  {why}", ui::shown(text(conflict, "uuid"))))?;
                for object in list(conflict, "objects") {
                    ui::print(&format!("  {}", version(object)))?;
                }
            }
            ui::say(&match conflicts.len() as u64 {
                0 => "no conflicts".to_owned(),
                n => format!("{}; `once show NAME` prints one of them", ui::count(n, "conflict")),
            });
            Ok(())
        })?;
        Ok(Exit::DONE)
    }
}

/// A version is named by its key; the API may say more about it.
fn version(object: &Value) -> String {
    match object.as_str() {
        Some(key) => ui::key(key),
        None => ui::key(text(object, "key")),
    }
}
