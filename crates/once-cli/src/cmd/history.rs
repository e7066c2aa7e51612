//! `once history`

use clap::Args;
use once::api::Client;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, with};
use crate::failure::{Done, Exit, FAULT};
use crate::ui;

/// Entries in one call.
const PAGE_ENTRIES: u64 = 1000;

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
    limit: Option<u64>,
}

impl History {
    /// The chain is checked as a whole, whatever is listed of it.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(&client).await;
        let closed = client.close().await;
        let answer = listed?;
        closed?;
        context.answer(&answer, |answer| print(list(answer, "entries")))?;
        given(&answer);
        at_others(&answer);
        let total = number(&answer, "total");
        match answer["broken"].as_u64() {
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

    async fn list(&self, client: &Client) -> Done<Value> {
        let (mut entries, mut after) = (Vec::new(), self.after);
        loop {
            let left = self.limit.map_or(PAGE_ENTRIES, |limit| limit.saturating_sub(entries.len() as u64));
            let params = json!({ "object": self.object, "limit": left.clamp(1, PAGE_ENTRIES) });
            let edge = if self.after.is_none() { "before" } else { "after" };
            let params = with(params, [(edge, after.map(Value::from))]);
            let params = with(params, [("newest_first", self.after.is_none().then(|| Value::from(true)))]);
            let mut page = client.call("history", params).await?;
            if let Some(more) = page["entries"].as_array_mut() {
                entries.append(more);
            }
            after = page["next"].as_u64();
            if let Some(limit) = self.limit {
                entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            if after.is_none() || self.limit.is_some_and(|limit| entries.len() as u64 >= limit) {
                page["entries"] = Value::Array(entries);
                return Ok(page);
            }
        }
    }
}

/// Which of the entries that are kept here former homes have recorded.
fn given(answer: &Value) {
    for span in list(answer, "given") {
        let (from, to, home) = (number(span, "from"), number(span, "to"), ui::shown(text(span, "home_name")));
        match from == to {
            true => ui::say(&format!("entry {from} was recorded by {home}")),
            false => ui::say(&format!("entries {from} to {to} were recorded by {home}")),
        }
    }
}

/// Which entries other homes of the object have.
fn at_others(answer: &Value) {
    for span in list(answer, "elsewhere") {
        let (from, home) = (number(span, "from"), ui::shown(text(span, "home_name")));
        match span["to"].as_u64() {
            Some(to) => ui::say(&format!("entries {from} to {to} are at {home}")),
            None => ui::say(&format!("entries from {from} on are at {home}")),
        }
    }
}

fn print(entries: &[Value]) -> Done<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = ui::Table::new(["NO", "WHEN", "BY", "ACTION", "OUTCOME", "REVISION"]);
    for entry in entries {
        let revision = format!("{} {}", number(entry, "revision"), ui::short(text(entry, "content")));
        table.row([
            number(entry, "number").to_string(),
            ui::utc(number(entry, "at_ms")),
            ui::shown(text(entry, "origin_name")),
            action(entry),
            outcome(entry),
            revision,
        ]);
    }
    table.right(0).leave(&[5, 2, 1]).cut(&[3, 4]).print()
}

/// Longest arguments, and longest result, in a table, in characters.
const SHOWN_MAX_CHARS: usize = 40;

/// What was asked. Of what is long over only the id is kept.
fn action(entry: &Value) -> String {
    match (text(entry, "name"), text(entry, "arguments_text")) {
        ("", _) => text(entry, "id").to_owned(),
        (name, "" | "null") => ui::shown(name),
        (name, arguments) => format!("{} {}", ui::shown(name), ui::capped(arguments, SHOWN_MAX_CHARS)),
    }
}

fn outcome(entry: &Value) -> String {
    match (text(entry, "status"), text(entry, "code")) {
        ("", _) => "-".to_owned(),
        (status, "") if !matches!(text(entry, "result_text"), "" | "null") => {
            format!("{}: {}", ui::shown(status), ui::capped(text(entry, "result_text"), SHOWN_MAX_CHARS))
        }
        (status, "") => ui::shown(status),
        (status, code) => format!("{}: {}", ui::shown(status), ui::shown(code)),
    }
}
