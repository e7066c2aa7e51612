//! `once verify-receipt`

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use once::model::action::Outcome;
use once::model::ids::KernelId;
use once::model::receipt::Receipt;
use once::receipts;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Check a receipt and its signature
///
/// It says who vouches for what came of which action.
///
/// Needs no kernel and no network. Prints nothing but what was signed. Exits with 3 if the receipt does not prove what
/// it says.
#[derive(Debug, Args)]
pub struct VerifyReceipt {
    /// The file that `once receipt` wrote; `-` is stdin
    file: PathBuf,
    /// The kernel that must have signed it: its whole id, as `once status` prints it there
    #[arg(long, value_name = "KERNEL-ID")]
    home: Option<KernelId>,
}

/// More than any receipt has.
const FILE_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// What `--json` prints.
#[derive(Serialize)]
struct Verified<'a> {
    verified: bool,
    key: String,
    key_was_named: bool,
    not_signed: &'a [String],
    receipt: Map<String, Value>,
}

impl VerifyReceipt {
    /// The readable part of the file is compared with what was signed, and then left alone.
    pub fn run(self, context: &Context) -> Done {
        let bytes = bytes(&self.file)?;
        let found = receipts::read(&bytes).map_err(|error| {
            let place = error.position().map(|(line, column)| format!(":{line}:{column}"));
            let place = format!("{}{}", ui::shown_path(&self.file), place.unwrap_or_default());
            Failure { message: format!("{place}: {error}"), ..Failure::from(error) }
        })?;
        let receipt = found.receipt;
        let key = self.home.unwrap_or(receipt.home);
        receipts::verify(&receipt, &key).map_err(|error| {
            Failure::from(error).hint("do not rely on it: ask for the receipt again where it came from")
        })?;
        let answer = Verified {
            verified: true,
            key: key.to_string(),
            key_was_named: self.home.is_some(),
            not_signed: &found.unknown,
            receipt: receipts::readable(&receipt),
        };
        context.answer(&answer, |answer| print(&receipt, answer.key_was_named))?;
        if !found.unknown.is_empty() {
            let names: Vec<_> = found.unknown.iter().take(8).map(|name| ui::shown(name)).collect();
            ui::say(&format!("nobody signed what else is in the file: {}", names.join(", ")));
        }
        if self.home.is_none() {
            ui::say(
                "checked against the key that the receipt itself names: it proves something only if you know",
            );
            ui::say(
                "that this is the kernel that you mean. `--home KERNEL-ID` checks against the key that you name.",
            );
        }
        Ok(Exit::DONE)
    }
}

fn bytes(path: &Path) -> Done<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            ui::say("reading the receipt from stdin, up to Ctrl-D");
        }
        std::io::stdin().lock().take(FILE_MAX_BYTES).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::io(path, &error))?;
    Ok(bytes)
}

/// What was signed, whole: whoever checks compares ids to the last character.
fn print(receipt: &Receipt, named: bool) -> Done<()> {
    let mut printer = ui::Printer::new();
    let paint = ui::Paint::stdout();
    let mut line = |label: &str, value: String| printer.line(&format!("{label:<9} {value}"));
    let which = if named { "the one that was named" } else { "by its own word" };
    line(&paint.green("verified "), format!("signed by kernel {} ({which})", receipt.home))?;
    let entry = &receipt.entry;
    line("object", receipts::info(receipt).object)?;
    line("action", format!("{} (hash {})", entry.id, entry.action))?;
    line("outcome", outcome(receipt))?;
    line("when", format!("{}, by that kernel's clock", ui::utc(receipt.at_ms)))?;
    line("asked by", format!("kernel {}", entry.origin))?;
    line("history", format!("place {}, at revision {}", entry.number, entry.revision))?;
    line("content", format!("the object's bytes after it have the hash {}", entry.content))?;
    printer.end()
}

fn outcome(receipt: &Receipt) -> String {
    const RESULT_MAX_CHARS: usize = 2000;
    let shown = |json: &[u8]| ui::capped(&String::from_utf8_lossy(json), RESULT_MAX_CHARS);
    match &receipt.outcome {
        Some(Outcome::Done(result)) => format!("done: {}", shown(result)),
        Some(Outcome::Failed(reason)) => format!("failed, the component rejected it: {}", shown(reason)),
        Some(Outcome::Refused(code)) => format!("refused, it never ran: {}", code.name()),
        None => format!("only its hash was kept: {}", receipt.entry.outcome),
    }
}
