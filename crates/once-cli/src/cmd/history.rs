//! `once history`

use clap::Args;
use once::api::Client;
use once::api::contract::{self, EntryInfo, HistoryResult};

use crate::context::{Context, ended};
use crate::failure::{Done, Exit, FAULT};
use crate::ui;

/// Entries in one call.
const PAGE_ENTRIES: usize = 1000;

/// List what was done to an object whose home is here: each entry has the hash of the one before it
///
/// Of an object that has moved each home keeps what it has recorded itself, until `once retire` there gives it to the present
/// home. The numbers go on: which entries are at others, and which were recorded by others, is said.
///
/// The newest first; with --after the oldest first, from there on. Long arguments and results are cut: `once outcome` has
/// the whole result.
///
/// Exits with 5 if the chain of hashes is broken. On a narrow terminal long cells are cut, then columns go, in this order:
/// REVISION, BY, WHEN. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct History {
    /// Which object
    object: String,
    /// Only what came after the entry of this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

impl History {
    /// The chain is checked as a whole, whatever is listed of it.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(&client).await;
        let answer = ended(client, listed).await?;
        context.answer(&answer, |answer| print(&answer.entries))?;
        given(&answer);
        at_others(&answer);
        let total = answer.total as u64;
        match answer.broken {
            Some(at) => {
                let paint = ui::Paint::stderr();
                ui::say(&format!(
                    "{} the history is broken at entry {at}: it does not have the hash of the one before it",
                    paint.red("error:")
                ));
                ui::say(&format!(
                    "{} the disk lost or changed something: check it, and compare with receipts that others have",
                    paint.yellow("hint:")
                ));
                Ok(Exit(FAULT))
            }
            None if total == 0 => {
                ui::say("nothing was done to it yet");
                Ok(Exit::DONE)
            }
            None => {
                let entries =
                    if total == 1 { "1 entry".to_owned() } else { format!("{} entries", ui::number(total)) };
                ui::say(&format!("{entries}; the chain of hashes holds"));
                Ok(Exit::DONE)
            }
        }
    }

    async fn list(&self, client: &Client) -> Result<HistoryResult, once::Error> {
        let (mut entries, mut edge) = (Vec::new(), self.after);
        let newest_first = self.after.is_none();
        loop {
            let left = self.limit.map_or(PAGE_ENTRIES, |limit| limit.saturating_sub(entries.len()));
            let (after, before) = if newest_first { (None, edge) } else { (edge, None) };
            let params = contract::History {
                object: self.object.clone(),
                after,
                limit: Some(left.clamp(1, PAGE_ENTRIES)),
                before,
                newest_first,
            };
            let mut page = client.ask(params).await?;
            entries.append(&mut page.entries);
            edge = page.next;
            entries.truncate(self.limit.unwrap_or(usize::MAX));
            if edge.is_none() || self.limit.is_some_and(|limit| entries.len() >= limit) {
                return Ok(HistoryResult { entries, ..page });
            }
        }
    }
}

/// Which of the entries that are kept here former homes have recorded.
fn given(answer: &HistoryResult) {
    for span in &answer.given {
        let (from, home) = (span.from, ui::shown(&span.home_name));
        match span.to.filter(|to| *to > from) {
            Some(to) => ui::say(&format!("entries {from} to {to} were recorded by {home}")),
            None => ui::say(&format!("entry {from} was recorded by {home}")),
        }
    }
}

/// Which entries other homes of the object have.
fn at_others(answer: &HistoryResult) {
    for span in &answer.elsewhere {
        let (from, home) = (span.from, ui::shown(&span.home_name));
        match span.to {
            Some(to) => ui::say(&format!("entries {from} to {to} are at {home}")),
            None => ui::say(&format!("entries from {from} on are at {home}")),
        }
    }
}

fn print(entries: &[EntryInfo]) -> Done<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = ui::Table::new(["NO", "WHEN", "BY", "ACTION", "OUTCOME", "REVISION"]);
    for entry in entries {
        table.row([
            entry.number.to_string(),
            ui::utc(entry.at_ms),
            ui::shown(&entry.origin_name),
            action(entry),
            outcome(entry),
            format!("{} {}", entry.revision, ui::short(&entry.content)),
        ]);
    }
    table.right(0).leave(&[5, 2, 1]).cut(&[3, 4]).print()
}

/// Longest arguments, and longest result, in a table, in characters.
const SHOWN_MAX_CHARS: usize = 40;

/// What was asked. Of what is long over only the id is kept.
fn action(entry: &EntryInfo) -> String {
    match (&entry.name, entry.arguments_text.as_deref()) {
        (None, _) => entry.id.to_string(),
        (Some(name), None | Some("" | "null")) => ui::shown(name),
        (Some(name), Some(arguments)) => {
            format!("{} {}", ui::shown(name), ui::capped(arguments, SHOWN_MAX_CHARS))
        }
    }
}

fn outcome(entry: &EntryInfo) -> String {
    match (&entry.status, &entry.code, entry.result_text.as_deref()) {
        (None, ..) => "-".to_owned(),
        (Some(status), Some(code), _) => format!("{}: {}", ui::shown(status), ui::shown(code)),
        (Some(status), None, None | Some("" | "null")) => ui::shown(status),
        (Some(status), None, Some(result)) => {
            format!("{}: {}", ui::shown(status), ui::capped(result, SHOWN_MAX_CHARS))
        }
    }
}
