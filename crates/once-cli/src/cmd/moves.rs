//! `once moves`

use clap::{Args, Subcommand};
use once::api::contract::{ArrivalInfo, DepartureInfo, MovesResult, MovesWithdraw, NewsInfo, StayedInfo};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// List the moves of objects, or withdraw one
///
/// It shows what is about to leave this kernel, and what has left it.
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
        /// The object that is to stay
        object: String,
    },
}

impl Moves {
    /// An empty list is no failure.
    pub async fn run(self, context: &Context) -> Done {
        if let Some(Command::Withdraw { object }) = self.command {
            let answer = context.ask(MovesWithdraw { object }).await?;
            context.answer(&answer, |answer| {
                let what = match answer.stays {
                    false => "is handed over: the other kernel is asked for it, and says whether it stays",
                    true => "stays",
                };
                ui::prose(&format!("{} {what}", ui::key(&answer.key)))
            })?;
            return Ok(Exit::DONE);
        }
        let answer = context.ask(once::api::contract::Moves {}).await?;
        context.answer(&answer, print)?;
        Ok(Exit::DONE)
    }
}

fn print(answer: &MovesResult) -> Done<()> {
    if answer.moves.is_empty() {
        ui::say("No object is about to leave.");
    }
    answer.moves.iter().try_for_each(|one| ui::prose(&told(one)))?;
    answer.stayed.iter().try_for_each(|one| ui::prose(&unmoved(one)))?;
    answer.arrivals.iter().try_for_each(|one| ui::prose(&come(one)))?;
    answer.news.iter().try_for_each(|one| ui::prose(&heard(one)))
}

/// An object that was to move, or wanted to, and stays.
fn unmoved(one: &StayedInfo) -> String {
    let (key, to) = (ui::key(&one.key), ui::shown(&one.to));
    format!("{key}  did not move to {to}, {}: {}", ui::since(one.at_ms), ui::capped(&one.why, 400))
}

/// An object that has come, and that nobody could tell so.
fn come(one: &ArrivalInfo) -> String {
    let (key, from) = (ui::key(&one.key), ui::shown(&one.from));
    let component = ui::shown(&one.component);
    let waits = match one.programs {
        Some(0) => format!("no program that serves {component} is connected"),
        _ => format!("{component} cannot be asked just now"),
    };
    let since = ui::since(one.since_ms);
    format!("{key}  has come from {from}, since {since}: does nothing before it was told so; {waits}")
}

/// An object that has moved: where it is, and who has not heard of it.
fn heard(one: &NewsInfo) -> String {
    let names: Vec<_> = one.waits_for.iter().map(|peer| ui::shown(&peer.name)).collect();
    let (key, home) = (ui::key(&one.key), ui::shown(&one.home));
    match names.is_empty() {
        true => format!("{key}  is at {home} now"),
        false => format!("{key}  is at {home} now; not heard of it yet: {}", names.join(", ")),
    }
}

/// An object that is about to leave: for where, since when, and what it waits for.
pub(super) fn told(one: &DepartureInfo) -> String {
    let waits = match (one.sealed, one.connected) {
        (true, true) if one.withdrawn => "taken back; waits for the answer",
        (true, false) if one.withdrawn => "taken back; waits until that kernel can be reached, and answers",
        (true, true) => "handed over; waits for the answer",
        (true, false) => "handed over; waits until that kernel can be reached, and answers",
        (false, true) if one.leaves_calls => "waits for what is under way, but its calls",
        (false, true) => "waits for what is under way",
        (false, false) => "waits until that kernel can be reached",
    };
    let (key, to) = (ui::key(&one.key), ui::shown(&one.to));
    format!("{key}  to {to}, since {}: {waits}", ui::since(one.since_ms))
}
