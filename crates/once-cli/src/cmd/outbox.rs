//! `once outbox`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// List what this kernel still owes to others
#[derive(Debug, Args)]
pub struct Outbox {}

impl Outbox {
    /// It is on disk, and is sent until the other kernel has it.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.call("outbox", json!({})).await?;
        context.answer(&answer, |answer| {
            let (owed, acts) = (list(answer, "owed"), list(answer, "acts"));
            if owed.is_empty() && acts.is_empty() {
                ui::say("nothing is owed");
                return Ok(());
            }
            if !acts.is_empty() {
                actions(acts)?;
            }
            if owed.is_empty() {
                return Ok(());
            }
            let mut table = ui::Table::new(["PEER", "OWED", "OLDEST", "STATE"]);
            for row in owed {
                let state = match (truth(row, "connected"), text(row, "last_error")) {
                    (true, _) => "connected".to_owned(),
                    (_, "") => "not connected".to_owned(),
                    (_, error) => format!("not connected: {}", ui::capped(error, 60)),
                };
                let oldest = match number(row, "oldest_ms") {
                    0 => "-".to_owned(),
                    at_ms => ui::since(at_ms),
                };
                table.row([ui::shown(text(row, "peer")), ui::number(number(row, "rows")), oldest, state]);
            }
            table.right(1).print()
        })?;
        Ok(Exit::DONE)
    }
}

/// Actions without an outcome.
fn actions(acts: &[Value]) -> Done<()> {
    let mut table = ui::Table::new(["AT", "ACTION", "ON", "SINCE", "ID"]);
    for act in acts {
        table.row([
            ui::shown(text(act, "peer")),
            ui::shown(text(act, "name")),
            ui::key(text(act, "object")),
            ui::since(number(act, "since_ms")),
            text(act, "id").to_owned(),
        ]);
    }
    table.print()
}
