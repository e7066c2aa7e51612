//! `once grants`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// List who may do what here
#[derive(Debug, Args)]
pub struct Grants {}

impl Grants {
    /// What is not listed is denied.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.call("grants", json!({})).await?;
        context.answer(&answer, |answer| {
            let grants = list(answer, "grants");
            if grants.is_empty() {
                ui::say("no grants: nobody may read or share anything here");
                return Ok(());
            }
            let mut table = ui::Table::new(["WHO", "RIGHT", "ON", "EXPIRES"]);
            for grant in grants {
                table.row([
                    who(grant),
                    right(grant),
                    scope(grant),
                    match number(grant, "expires_ms") {
                        0 => "-".to_owned(),
                        at_ms if truth(grant, "ended") => format!("ended ({})", ui::since(at_ms)),
                        at_ms => ui::since(at_ms),
                    },
                ]);
            }
            table.print()
        })?;
        Ok(Exit::DONE)
    }
}

/// A peer, or an object and where its home was when it was given the right.
fn who(grant: &Value) -> String {
    let peer = peer(text(grant, "peer"));
    match text(grant, "to_object") {
        "" => peer,
        object => format!("{} (at {peer})", ui::key(object)),
    }
}

/// A petname as it is, a kernel id shortened.
fn peer(name: &str) -> String {
    const KERNEL_ID_CHARS: usize = 52;
    if name.len() == KERNEL_ID_CHARS { ui::short(name) } else { ui::shown(name) }
}

pub fn right(grant: &Value) -> String {
    let only: Vec<_> = list(grant, "actions").iter().filter_map(Value::as_str).map(ui::shown).collect();
    let right = ui::shown(text(grant, "right"));
    if only.is_empty() { right } else { format!("{right}: {}", only.join(", ")) }
}

pub fn scope(grant: &Value) -> String {
    match text(grant, "scope") {
        "object" => ui::key(text(grant, "object")),
        "component" => format!("every {}", ui::shown(text(grant, "component"))),
        "all" if text(grant, "right") == "share" => "this kernel".to_owned(),
        "all" => "everything".to_owned(),
        other => ui::shown(other),
    }
}
