//! `once outbox`

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use once::api::contract::{OutboxDrop, OutboxDropResult, OwedInfo, ReachInfo, WaitingInfo, WorkInfo};
use once::model::ids::Uuid;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// List what this kernel owes to others and waits for
///
/// `once dead-letters` lists what of it waits too long, or does not go on by itself.
///
/// Where a terminal is too narrow, NOTE and ON stand below each action, FOR below each piece of work, LAST ERROR below each peer.
/// In a pipe and with --json all is there.
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
        let Some(What::Drop { what, peer }) = self.what else { return print(context).await };
        let drop = if peer.is_some() {
            OutboxDrop { id: None, peer, object: what }
        } else {
            let id: Uuid = what.unwrap_or_default().parse().map_err(|_| {
                Failure::usage("an action's id is a UUID").hint("`once outbox` shows it, in the column ID")
            })?;
            OutboxDrop { id: Some(id), ..OutboxDrop::default() }
        };
        let answer = context.ask(drop).await?;
        context.answer(&answer, |answer| {
            dropped(answer);
            Ok(())
        })?;
        Ok(Exit::DONE)
    }
}

fn dropped(answer: &OutboxDropResult) {
    match answer {
        OutboxDropResult::Debts(debts) => match debts.given_up {
            0 => ui::say(&format!("nothing is owed to {}", ui::shown(&debts.peer))),
            n => ui::say(&format!("given up: {} for {}", ui::count(n, "object"), ui::shown(&debts.peer))),
        },
        OutboxDropResult::Action(action) => {
            let (id, key) = (action.id, ui::key(&action.object));
            match action.here {
                true => ui::say(&format!("{id} on {key} is given up")),
                false => ui::say(&format!("{id} on {key} is taken back, if it has not run at its home yet")),
            }
        }
    }
}

async fn print(context: &Context) -> Done {
    let answer = context.ask(once::api::contract::Outbox {}).await?;
    context.answer(&answer, |answer| {
        let (owed, acts, work) = (&answer.owed, &answer.acts, &answer.work);
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
        ways(owed.iter().map(|row| &row.reach).chain(acts.iter().map(|act| &act.reach)))
    })?;
    Ok(Exit::DONE)
}

/// Objects that their receivers do not have yet.
fn shares(owed: &[OwedInfo]) -> Done<()> {
    let mut table = ui::Table::new(["PEER", "OWED", "OLDEST"]);
    for row in owed {
        let oldest = row.oldest_ms.map_or_else(|| "-".to_owned(), ui::since);
        table.row([ui::cell(&row.reach.peer, 80), ui::number(row.rows), oldest]);
    }
    table.right(1).print()?;
    for transfer in owed.iter().flat_map(|row| &row.transfers) {
        ui::say(&format!("sending {}", super::status::progress(transfer)));
    }
    Ok(())
}

/// Actions without an outcome.
fn actions(acts: &[WaitingInfo]) -> Done<()> {
    let mut table = ui::Table::new(["AT", "ACTION", "ON", "SINCE", "ID", "NOTE"]);
    for act in acts {
        table.row([
            ui::cell(&act.reach.peer, 80),
            ui::cell(&act.name, 80),
            ui::key(&act.object),
            ui::since(act.since_ms),
            act.id.to_string(),
            note(act),
        ]);
    }
    table.under(&[5, 2, 0]).cut(&[1]).print()
}

/// What is special about an action.
fn note(act: &WaitingInfo) -> String {
    let mut notes = Vec::new();
    match (act.void.as_deref(), act.deadline_ms) {
        (Some("cancelled"), _) => notes.push("taken back".to_owned()),
        (Some("expired"), _) => notes.push("its time is up".to_owned()),
        (Some(why), _) => notes.push(ui::cell(why, 80)),
        (None, Some(at_ms)) => notes.push(format!("deadline {}", ui::since(at_ms))),
        (None, None) => {}
    }
    notes.extend(act.stands.as_deref().map(ui::shown));
    match (&act.waits, &act.acting) {
        (Some(waits), _) => notes.push(format!("{} waits for its outcome", ui::key(waits))),
        (None, Some(acting)) => notes.push(format!("for {}", ui::key(acting))),
        (None, None) => {}
    }
    if notes.is_empty() { "-".to_owned() } else { notes.join("; ") }
}

/// Work outside that is not done.
fn outside(work: &[WorkInfo]) -> Done<()> {
    let mut table = ui::Table::new(["WORK", "FOR", "SINCE", "ID", "STATE"]);
    for row in work {
        let state = if row.done_here { "under way" } else { "nobody here does it" };
        table.row([
            ui::cell(&row.name, 80),
            ui::key(&row.object),
            ui::since(row.since_ms),
            row.id.to_string(),
            state.to_owned(),
        ]);
    }
    table.under(&[1, 4]).cut(&[0]).print()
}

/// How it stands with the peers that something waits for: each once.
fn ways<'a>(rows: impl Iterator<Item = &'a ReachInfo>) -> Done<()> {
    let mut told = BTreeSet::new();
    let mut table = ui::Table::new(["PEER", "STATE", "TRIES", "LAST ERROR"]);
    for row in rows.filter(|row| told.insert(&row.kernel)) {
        let state = match (row.connected, row.tries) {
            (true, _) => "connected",
            (_, None) => "this kernel is not running",
            _ => "not connected",
        };
        let error = row.last_error.as_ref().map_or_else(|| "-".to_owned(), |error| ui::cell(error, 400));
        let tries = row.tries.map_or_else(|| "-".to_owned(), ui::number);
        table.row([ui::cell(&row.peer, 80), state.to_owned(), tries, error]);
    }
    if told.is_empty() { Ok(()) } else { table.right(2).under(&[3]).print() }
}
