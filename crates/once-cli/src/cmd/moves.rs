//! `once moves`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// List the objects that are about to leave this kernel and those that have moved from it, or take a move back
///
/// An object that is handed over does nothing until the other kernel has answered: only that kernel can say where it lives.
#[derive(Debug, Args)]
pub struct Moves {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them (the default)
    List,
    /// The object stays; if it is handed over already, unless the other kernel has taken it. Of one that did not move: you have seen it
    Withdraw {
        /// Which object
        object: String,
    },
}

impl Moves {
    /// An empty list is no failure.
    pub async fn run(self, context: &Context) -> Done {
        if let Some(Command::Withdraw { object }) = self.command {
            let answer = context.call("moves.withdraw", json!({ "object": object })).await?;
            context.answer(&answer, |answer| {
                let what = match answer.get("stays").and_then(Value::as_bool) {
                    Some(false) => {
                        "is handed over: the other kernel is asked for it, and says whether it stays"
                    }
                    _ => "stays",
                };
                ui::print(&format!("{} {what}", ui::key(text(answer, "key"))))
            })?;
            return Ok(Exit::DONE);
        }
        let answer = context.call("moves", json!({})).await?;
        context.answer(&answer, print)?;
        Ok(Exit::DONE)
    }
}

fn print(answer: &Value) -> Done<()> {
    let moves = list(answer, "moves");
    if moves.is_empty() {
        ui::say("No object is about to leave.");
    }
    moves.iter().try_for_each(|one| ui::print(&told(one)))?;
    list(answer, "stayed").iter().try_for_each(|one| ui::print(&unmoved(one)))?;
    list(answer, "arrivals").iter().try_for_each(|one| ui::print(&come(one)))?;
    list(answer, "news").iter().try_for_each(|one| ui::print(&heard(one)))
}

/// An object that was to move, or wanted to, and stays.
fn unmoved(one: &Value) -> String {
    let (key, to, why) = (ui::key(text(one, "key")), ui::shown(text(one, "to")), text(one, "why"));
    format!("{key}  did not move to {to}, {}: {}", ui::since(number(one, "at_ms")), ui::capped(why, 400))
}

/// An object that has come, and that nobody could tell so.
pub(super) fn come(one: &Value) -> String {
    let (key, from) = (ui::key(text(one, "key")), ui::shown(text(one, "from")));
    let component = ui::shown(text(one, "component"));
    let waits = match one.get("programs").and_then(Value::as_u64) {
        Some(0) => format!("no program that serves {component} is connected"),
        _ => format!("{component} cannot be asked just now"),
    };
    let since = ui::since(number(one, "since_ms"));
    format!("{key}  has come from {from}, since {since}: does nothing before it was told so; {waits}")
}

/// An object that has moved: where it is, and who has not heard of it.
fn heard(one: &Value) -> String {
    let names: Vec<_> = list(one, "waits_for").iter().map(|peer| ui::shown(text(peer, "name"))).collect();
    let (key, home) = (ui::key(text(one, "key")), ui::shown(text(one, "home")));
    match names.is_empty() {
        true => format!("{key}  is at {home} now"),
        false => format!("{key}  is at {home} now; not heard of it yet: {}", names.join(", ")),
    }
}

/// An object that is about to leave: for where, since when, and what it waits for.
pub(super) fn told(one: &Value) -> String {
    let waits = match (truth(one, "sealed"), truth(one, "connected")) {
        (true, true) if truth(one, "withdrawn") => "taken back; waits for the answer",
        (true, false) if truth(one, "withdrawn") => {
            "taken back; waits until that kernel can be reached, and answers"
        }
        (true, true) => "handed over; waits for the answer",
        (true, false) => "handed over; waits until that kernel can be reached, and answers",
        (false, true) if truth(one, "leaves_calls") => "waits for what is under way, but its calls",
        (false, true) => "waits for what is under way",
        (false, false) => "waits until that kernel can be reached",
    };
    let (key, to) = (ui::key(text(one, "key")), ui::shown(text(one, "to")));
    format!("{key}  to {to}, since {}: {waits}", ui::since(number(one, "since_ms")))
}
