//! `once outbox`

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use once::model::ids::Uuid;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// List what this kernel still owes to others, and what it waits for
///
/// On a narrow terminal columns go: of actions ON, then SINCE; of work FOR, then SINCE. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct Outbox {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Give up an action, or what a peer is owed
    ///
    /// An action that an object sent, or that tells it what came of its effect, is recorded as cancelled, unless it has run.
    /// With --peer: objects that wait for a peer that is gone for good, or denies this kernel. It stays a peer, and what it
    /// follows it is owed again when that changes.
    Drop {
        /// The action's id, as `once outbox` shows it; with --peer, an object (all that the peer is owed if absent)
        #[arg(value_name = "ID|OBJECT", required_unless_present = "peer")]
        what: Option<String>,
        /// The peer that is owed it
        #[arg(long)]
        peer: Option<String>,
    },
}

impl Outbox {
    /// It is on disk, and is sent until the other kernel has it.
    pub async fn run(self, context: &Context) -> Done {
        if let Some(What::Drop { what, peer: Some(peer) }) = &self.what {
            let answer = context.call("outbox.drop", json!({ "peer": peer, "object": what })).await?;
            context.answer(&answer, |answer| {
                let (peer, given_up) = (ui::shown(text(answer, "peer")), number(answer, "given_up"));
                match given_up {
                    0 => ui::say(&format!("nothing is owed to {peer}")),
                    _ => ui::say(&format!("given up: {} for {peer}", ui::count(given_up, "object"))),
                }
                Ok(())
            })?;
            return Ok(Exit::DONE);
        }
        if let Some(What::Drop { what, .. }) = self.what {
            let id: Uuid = what.unwrap_or_default().parse().map_err(|_| {
                Failure::usage("an action's id is a UUID").hint("`once outbox` shows it, in the column ID")
            })?;
            let answer = context.call("outbox.drop", json!({ "id": id })).await?;
            context.answer(&answer, |answer| {
                let key = ui::key(text(answer, "object"));
                match truth(answer, "here") {
                    true => ui::say(&format!("{id} on {key} is given up")),
                    false => {
                        ui::say(&format!("{id} on {key} is taken back, if it has not run at its home yet"))
                    }
                }
                Ok(())
            })?;
            return Ok(Exit::DONE);
        }
        let answer = context.call("outbox", json!({})).await?;
        context.answer(&answer, |answer| {
            let (owed, acts, work) = (list(answer, "owed"), list(answer, "acts"), list(answer, "work"));
            if owed.is_empty() && acts.is_empty() && work.is_empty() {
                ui::say("nothing is owed");
                return Ok(());
            }
            if !acts.is_empty() {
                actions(acts)?;
            }
            if !work.is_empty() {
                outside(work)?;
            }
            if !owed.is_empty() {
                shares(owed)?;
            }
            ways(owed.iter().chain(acts))
        })?;
        Ok(Exit::DONE)
    }
}

/// Objects that their receivers do not have yet.
fn shares(owed: &[Value]) -> Done<()> {
    let mut table = ui::Table::new(["PEER", "OWED", "OLDEST"]);
    for row in owed {
        let oldest = match number(row, "oldest_ms") {
            0 => "-".to_owned(),
            at_ms => ui::since(at_ms),
        };
        table.row([ui::shown(text(row, "peer")), ui::number(number(row, "rows")), oldest]);
    }
    table.right(1).print()?;
    for transfer in owed.iter().flat_map(|row| list(row, "transfers")) {
        ui::say(&format!("sending {}", super::status::progress(transfer)));
    }
    Ok(())
}

/// Actions without an outcome.
fn actions(acts: &[Value]) -> Done<()> {
    let mut table = ui::Table::new(["AT", "ACTION", "ON", "SINCE", "ID", "NOTE"]);
    for act in acts {
        table.row([
            ui::shown(text(act, "peer")),
            ui::shown(text(act, "name")),
            ui::key(text(act, "object")),
            ui::since(number(act, "since_ms")),
            text(act, "id").to_owned(),
            note(act),
        ]);
    }
    table.leave(&[2, 3]).print()
}

/// What is special about an action.
fn note(act: &Value) -> String {
    let mut notes = Vec::new();
    match (text(act, "void"), number(act, "deadline_ms")) {
        ("cancelled", _) => notes.push("taken back".to_owned()),
        ("expired", _) => notes.push("its time is up".to_owned()),
        ("", 0) => {}
        ("", at_ms) => notes.push(format!("deadline {}", ui::since(at_ms))),
        (why, _) => notes.push(ui::shown(why)),
    }
    match text(act, "stands") {
        "" => {}
        why => notes.push(ui::shown(why)),
    }
    match (text(act, "waits"), text(act, "acting")) {
        ("", "") => {}
        ("", acting) => notes.push(format!("for {}", ui::key(acting))),
        (waits, _) => notes.push(format!("{} waits for its outcome", ui::key(waits))),
    }
    if notes.is_empty() { "-".to_owned() } else { notes.join("; ") }
}

/// Work outside that is not done.
fn outside(work: &[Value]) -> Done<()> {
    let mut table = ui::Table::new(["WORK", "FOR", "SINCE", "ID", "STATE"]);
    for row in work {
        let state = if truth(row, "done_here") { "under way" } else { "nobody here does it" };
        table.row([
            ui::shown(text(row, "name")),
            ui::key(text(row, "object")),
            ui::since(number(row, "since_ms")),
            text(row, "id").to_owned(),
            state.to_owned(),
        ]);
    }
    table.leave(&[1, 2]).print()
}

/// How it stands with the peers that something waits for: each once.
fn ways<'a>(rows: impl Iterator<Item = &'a Value>) -> Done<()> {
    let mut told = BTreeSet::new();
    let mut table = ui::Table::new(["PEER", "STATE", "TRIES", "LAST ERROR"]);
    for row in rows.filter(|row| told.insert(text(row, "kernel"))) {
        let state = match (truth(row, "connected"), row["tries"].is_null()) {
            (true, _) => "connected",
            (_, true) => "this kernel is not running",
            _ => "not connected",
        };
        let error = match text(row, "last_error") {
            "" => "-".to_owned(),
            error => ui::capped(error, 120),
        };
        let tries = row["tries"].as_u64().map_or_else(|| "-".to_owned(), ui::number);
        table.row([ui::shown(text(row, "peer")), state.to_owned(), tries, error]);
    }
    if told.is_empty() { Ok(()) } else { table.right(2).print() }
}
