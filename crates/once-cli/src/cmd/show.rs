//! `once show`

use std::io::IsTerminal;

use clap::Args;
use once::ErrorKind;
use once::api::contract::{Get, ObjectInfo, ObjectState};

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

mod path;

/// Print a scenario, byte for byte
///
/// The scenario goes to stdout as it is (on a terminal, what could act on the terminal is escaped); what the kernel
/// knows about it goes to stderr.
///
/// With --path it prints how the object came to its home instead: its first home, and every certificate since, each checked.
/// Exits with 3 then if a signature or a link is not what it has to be.
#[derive(Debug, Args)]
pub struct Show {
    /// The object to print
    object: String,
    /// Print its way from its first home to today's, and check every certificate
    #[arg(long)]
    path: bool,
    /// Print an earlier revision, by its number, if it is kept here (`once up --revisions`)
    #[arg(long, value_name = "N", conflicts_with = "path")]
    revision: Option<u64>,
}

impl Show {
    /// A removed object has no text to print.
    pub async fn run(self, context: &Context) -> Done {
        if self.path {
            return path::run(context, &self.object).await;
        }
        let answer = context.ask(Get { object: self.object, bytes: None, revision: self.revision }).await?;
        if context.json {
            ui::print_json(&answer)?;
            return Ok(Exit::DONE);
        }
        let object = &answer.object;
        if object.tombstone {
            let message = format!("{} was removed", ui::key(&object.key));
            return Err(Failure::of(ErrorKind::Removed, message));
        }
        about(object);
        earlier(&answer.kept);
        document(answer.text.as_deref().unwrap_or_default())?;
        Ok(Exit::DONE)
    }
}

/// Which earlier revisions are kept, on stderr.
fn earlier(kept: &[u64]) {
    let (Some(first), Some(last)) = (kept.first(), kept.last()) else { return };
    let dim = ui::Paint::stderr().dim(&format!("{:<10}", "kept")).to_string();
    let count = ui::count(kept.len() as u64, "earlier revision");
    ui::say(&format!("{dim} {count}, {first} to {last} (--revision)"));
}

/// What the kernel knows about an object, on stderr.
pub fn about(object: &ObjectInfo) {
    let paint = ui::Paint::stderr();
    let line = |label: &str, value: String| {
        if !value.is_empty() {
            ui::say(&format!("{} {value}", paint.dim(&format!("{label:<10}"))));
        }
    };
    let component = format!("{} {}", ui::shown(&object.component), ui::shown(&object.version));
    line("object", paint.bold(&ui::key(&object.key)));
    line("name", ui::shown(object.name.as_deref().unwrap_or_default()));
    line("component", component.trim().to_owned());
    line("state", state(object));
    line("size", ui::bytes(object.size));
    line("ior", ui::capped(&object.ior, 400));
    line("conflicts", conflicts(object));
}

/// What is kept beside an object, and what was dropped.
fn conflicts(object: &ObjectInfo) -> String {
    let mut parts = Vec::new();
    if object.conflicts > 0 {
        let kept = ui::count(object.conflicts, "revision");
        parts.push(ui::pasted(&format!("{kept} beside it, changed apart: `once conflicts`")));
    }
    if object.conflicts_dropped > 0 {
        parts.push(format!("{} dropped for want of room", ui::count(object.conflicts_dropped, "revision")));
    }
    parts.join("; ")
}

/// How an object stands here, in a few words and with what goes on from there.
pub fn state(object: &ObjectInfo) -> String {
    let home = match object.home_name.as_deref().filter(|name| !name.is_empty()) {
        None => ui::short(object.home.as_deref().unwrap_or_default()),
        Some(name) => ui::shown(name),
    };
    match object.state {
        ObjectState::Home => format!("at home here, revision {}", object.revision),
        ObjectState::Replica => format!("replica of revision {}, home is {home}", object.revision),
        ObjectState::Unclaimed => format!("unclaimed: {}", object.state.says()),
        ObjectState::Leaving | ObjectState::Sealed => {
            format!(
                "{}, revision {}: {} (`once moves`)",
                object.state.name(),
                object.revision,
                object.state.says()
            )
        }
        state => format!("{}, revision {}: {}", state.name(), object.revision, state.says()),
    }
}

/// A document to stdout: verbatim, but on a terminal fit for it and with a line break at its end.
pub fn document(text: &str) -> Done<()> {
    let mut printer = ui::Printer::new();
    if std::io::stdout().is_terminal() {
        printer.line(&ui::document(text))?;
    } else {
        printer.text(text)?;
    }
    printer.end()
}
