//! `once history`

use clap::Args;
use once::api::Client;
use once::api::contract::{self, EntryInfo, HistoryResult};

use crate::context::{Context, ended};
use crate::failure::{Done, Exit, FAULT};
use crate::ui;

/// Entries in one call.
const PAGE_ENTRIES: usize = 1000;

/// List what was done to an object, by whom, and what came of it
///
/// Each entry has the hash of the one before it.
///
/// Of an object that has moved each home keeps what it has recorded itself, until `once retire` there gives it to the present
/// home. The numbers go on: which entries are at others, and which were recorded by others, is said.
///
/// The newest first; with --after the oldest first, from there on. The table cuts long arguments and results; --full prints all that is
/// kept of each entry, and says what is not. Of arguments the first 1,024 bytes are kept, of the newest 1,000 entries of an object
/// (`once up --told`). Results are kept whole until the kernel that asked has them, which keeps them for a long time: `once outcome`
/// there prints them.
///
/// Exits with 5 if the chain of hashes is broken. Where a terminal is too narrow, long actions are cut, then REVISION goes, then
/// RESULT and WHO stand below each row. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct History {
    /// The object whose history is listed
    object: String,
    /// Only what came after the entry of this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Print all that is kept of each entry, instead of a table
    #[arg(long)]
    full: bool,
}

impl History {
    /// The chain is checked as a whole, whatever is listed of it.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(&client).await;
        let answer = ended(client, listed).await?;
        context.answer(
            &answer,
            |answer| if self.full { full(&answer.entries) } else { print(&answer.entries) },
        )?;
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
                full: self.full,
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
    let mut table = ui::Table::new(["NO", "WHEN (UTC)", "WHO", "ACTION", "RESULT", "REVISION"]);
    for entry in entries {
        let when = ui::utc(entry.at_ms);
        table.row([
            entry.number.to_string(),
            when.strip_suffix(" UTC").unwrap_or(&when).to_owned(),
            ui::cell(&entry.origin_name, WHO_MAX_CHARS),
            action(entry),
            outcome(entry),
            entry.revision.to_string(),
        ]);
    }
    table.right(0).right(5).leave(&[5]).under(&[4, 2]).cut(&[3, 4]).print()
}

/// Longest name of a kernel in the table, in characters.
const WHO_MAX_CHARS: usize = 80;

/// Longest arguments, and longest result, in the table on a terminal, in characters.
const SHOWN_MAX_CHARS: usize = 400;

/// What was asked. Of what is long over only the id is kept.
fn action(entry: &EntryInfo) -> String {
    match (&entry.name, entry.arguments_text.as_deref()) {
        (None, _) => entry.id.to_string(),
        (Some(name), None | Some("" | "null")) => ui::cell(name, 80),
        (Some(name), Some(arguments)) => {
            format!("{}({})", ui::cell(name, 80), ui::cell(arguments, SHOWN_MAX_CHARS))
        }
    }
}

fn outcome(entry: &EntryInfo) -> String {
    match (&entry.status, &entry.code, entry.result_text.as_deref()) {
        (None, ..) => "-".to_owned(),
        (Some(status), Some(code), _) => format!("{}: {}", ui::shown(status), ui::shown(code)),
        (Some(status), None, None | Some("" | "null")) => ui::shown(status),
        (Some(status), None, Some(result)) if status == "done" => ui::cell(result, SHOWN_MAX_CHARS),
        (Some(status), None, Some(result)) => {
            format!("{}: {}", ui::shown(status), ui::cell(result, SHOWN_MAX_CHARS))
        }
    }
}

/// All that is kept of each entry, and where the rest is.
fn full(entries: &[EntryInfo]) -> Done<()> {
    let mut printer = ui::Printer::new();
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            printer.line("")?;
        }
        for line in lines(entry) {
            printer.line(&line)?;
        }
    }
    printer.end()
}

fn lines(entry: &EntryInfo) -> Vec<String> {
    let line = |label: &str, value: &str| format!("   {label:<10} {value}");
    let mut lines =
        vec![format!("{}  {}  by {}", entry.number, ui::utc(entry.at_ms), ui::shown(&entry.origin_name))];
    let name = entry.name.as_deref().map_or_else(|| "(its name is not kept any more)".to_owned(), ui::shown);
    lines.push(line("action", &name));
    lines.push(line("id", &entry.id.to_string()));
    match &entry.arguments_text {
        Some(text) => lines.push(line("arguments", &ui::document(text))),
        None => lines.push(line("arguments", "not kept any more; their hash is that of the action, below")),
    }
    if let Some(bytes) = entry.arguments_bytes.filter(|bytes| is_cut(entry.arguments_text.as_deref(), *bytes))
    {
        lines.push(line(
            "",
            &format!(
                "cut: {} in all, the rest only {} may have",
                ui::bytes(bytes),
                ui::shown(&entry.origin_name)
            ),
        ));
    }
    let status = entry.status.as_deref().map_or_else(|| "not kept".to_owned(), ui::shown);
    let code = entry.code.as_deref().map_or_else(String::new, |code| format!(": {}", ui::shown(code)));
    lines.push(line("outcome", &format!("{status}{code}")));
    match &entry.result_text {
        Some(text) => lines.push(line("result", &ui::document(text))),
        None if entry.code.is_some() => {}
        None => lines.push(line("result", &elsewhere(entry, "not kept here"))),
    }
    if let Some(bytes) = entry.result_bytes.filter(|bytes| is_cut(entry.result_text.as_deref(), *bytes)) {
        lines.push(line("", &elsewhere(entry, &format!("cut: {} in all", ui::bytes(bytes)))));
    }
    lines.push(line("revision", &format!("{} {}", entry.revision, ui::short(&entry.content))));
    lines.push(line("action hash", &ui::short(&entry.action)));
    lines
}

/// Where the result may still be had.
fn elsewhere(entry: &EntryInfo, what: &str) -> String {
    let (id, origin) = (entry.id, ui::shown(&entry.origin_name));
    format!("{what}; 'once outcome {id}' at {origin} may have it")
}

/// Whether a text of so many bytes is not whole here.
fn is_cut(text: Option<&str>, bytes: u64) -> bool {
    text.is_some_and(|text| (text.len() as u64) < bytes || text.ends_with('…') && bytes > 1024)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(more: serde_json::Value) -> EntryInfo {
        let mut entry = json!({
            "number": 3, "at_ms": 0, "origin": "aa", "origin_name": "bob", "incarnation": "cc", "sequence": 1,
            "id": "01890000-0000-7000-8000-000000000001", "action": "dd", "outcome_hash": "ee", "before": "ff",
            "revision": 4, "content": "11", "previous": "22", "hash": "33", "home": "44", "home_name": "alice",
            "status": "done",
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn what_is_kept_is_printed_and_what_is_not_is_said() {
        let whole = json!({ "name": "add", "arguments_text": "{}", "arguments_bytes": 2, "result_text": "4", "result_bytes": 1 });
        let whole = lines(&entry(whole)).join("\n");
        assert!(
            whole.contains("arguments  {}\n") && whole.contains("result     4\n") && !whole.contains("cut"),
            "{whole}"
        );
        let long = format!("{}…", "x".repeat(1024));
        let cut = json!({ "name": "add", "arguments_text": long, "arguments_bytes": 5000, "result_text": long, "result_bytes": 9000 });
        let cut = lines(&entry(cut)).join("\n");
        assert!(cut.contains("cut: 4.9 KiB in all, the rest only bob may have"), "{cut}");
        assert!(
            cut.contains("cut: 8.8 KiB in all; 'once outcome 01890000-0000-7000-8000-000000000001' at bob"),
            "{cut}"
        );
        let gone = lines(&entry(json!({}))).join("\n");
        assert!(
            gone.contains("arguments  not kept any more") && gone.contains("result     not kept here;"),
            "{gone}"
        );
    }
}
