//! `once verify-receipt`

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use once::model::action::Outcome;
use once::model::ids::KernelId;
use once::model::receipt::Receipt;
use once::receipts;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Check receipts and their signatures
///
/// It says who vouches for what came of which action. A file has one receipt, as `once receipt` writes it, or many, one a line, as
/// `once retire --receipts` does: then each is checked, and has a line.
///
/// Needs no kernel and no network. Prints nothing but what was signed. Exits with 3 if the receipt does not prove what
/// it says, with 1 if one of many does not.
#[derive(Debug, Args)]
pub struct VerifyReceipt {
    /// The file with receipts; `-` is stdin
    file: PathBuf,
    /// The kernel that must have signed it: its whole id, as `once status` prints it there
    #[arg(long, value_name = "KERNEL-ID")]
    home: Option<KernelId>,
}

/// More than any receipt has.
const FILE_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// What `--json` prints of a receipt that holds.
#[derive(Serialize)]
struct Verified<'a> {
    verified: bool,
    key: String,
    key_was_named: bool,
    not_signed: &'a [String],
    receipt: Map<String, Value>,
}

/// The lines of a file, or of stdin.
struct Lines {
    text: Box<dyn BufRead>,
    path: PathBuf,
}

impl Lines {
    fn of(path: PathBuf) -> Done<Self> {
        if path.as_os_str() == "-" {
            if std::io::stdin().is_terminal() {
                ui::say("reading receipts from stdin, up to Ctrl-D");
            }
            return Ok(Self { text: Box::new(BufReader::new(std::io::stdin())), path });
        }
        let file = File::open(&path).map_err(|error| Failure::io(&path, &error))?;
        Ok(Self { text: Box::new(BufReader::new(file)), path })
    }

    /// With its line break; nothing at the end. One that is longer than any receipt comes in pieces, none of which is one.
    fn next(&mut self) -> Done<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.text.by_ref().take(FILE_MAX_BYTES).read_until(b'\n', &mut line);
        read.map_err(|error| Failure::io(&self.path, &error))?;
        Ok(line)
    }
}

impl VerifyReceipt {
    /// The readable part of the file is compared with what was signed, and then left alone.
    pub fn run(self, context: &Context) -> Done {
        let mut lines = Lines::of(self.file.clone())?;
        let first = [lines.next()?, lines.next()?];
        // One receipt has a line, or several of which none is a value by itself.
        let is_value = |line: &Vec<u8>| serde_json::from_slice::<IgnoredAny>(line).is_ok();
        let done = match first.iter().all(|line| !is_blank(line)) && first.iter().any(is_value) {
            true => self.many(context, lines, first)?,
            false => {
                let mut bytes = first.concat();
                let rest = lines.text.take(FILE_MAX_BYTES).read_to_end(&mut bytes);
                rest.map_err(|error| Failure::io(&self.file, &error))?;
                self.one(context, &bytes)?
            }
        };
        if self.home.is_none() {
            ui::say(
                "checked against the key that the receipt itself names: it proves something only if you know",
            );
            ui::say(
                "that this is the kernel that you mean. `--home KERNEL-ID` checks against the key that you name.",
            );
        }
        Ok(done)
    }

    fn one(&self, context: &Context, bytes: &[u8]) -> Done {
        let found = self.checked(bytes, 1)?;
        let named = self.home.is_some();
        context.answer(&self.verified(&found), |_| print(&found.receipt, named))?;
        unsigned(&found);
        Ok(Exit::DONE)
    }

    /// One receipt a line.
    fn many(&self, context: &Context, mut lines: Lines, first: [Vec<u8>; 2]) -> Done {
        let (mut paper, mut first) = (ui::Printer::new(), first.into_iter());
        let (mut good, mut wrong) = (0_u64, 0_u64);
        if context.json {
            paper.text("{\"receipts\":[")?;
        }
        for at in 1_u32.. {
            let line = first.next().map_or_else(|| lines.next(), Ok)?;
            if line.is_empty() {
                break;
            }
            if is_blank(&line) {
                continue;
            }
            let checked = self.checked(&line, at);
            let comma = if good + wrong == 0 { "" } else { "," };
            match &checked {
                Ok(found) if context.json => {
                    paper.text(&format!("{comma}{}", ui::json(&self.verified(found))?))?;
                }
                Err(failure) if context.json => {
                    paper.text(&format!("{comma}{}", ui::json(&failure.json())?))?;
                }
                Ok(found) => {
                    paper.line(&brief(&found.receipt))?;
                    unsigned(found);
                }
                Err(failure) => {
                    paper.flush()?;
                    let error = ui::Paint::stderr().red("error:").to_string();
                    ui::say(&format!("{error} {}", ui::capped(&failure.message, 2000)));
                }
            }
            *(if checked.is_ok() { &mut good } else { &mut wrong }) += 1;
        }
        if context.json {
            paper.line(&format!("],\"verified\":{good},\"wrong\":{wrong}}}"))?;
        }
        paper.end()?;
        ui::say(&format!("{} verified, {} wrong", ui::count(good, "receipt"), ui::number(wrong)));
        if wrong > 0 {
            let hint = ui::Paint::stderr().yellow("hint:").to_string();
            ui::say(&format!(
                "{hint} do not rely on what is wrong: ask for those receipts again where they came from"
            ));
        }
        Ok(if wrong == 0 { Exit::DONE } else { Exit::FAILED })
    }

    /// A receipt that proves what it says. `first`: the line of the file at which the text begins.
    fn checked(&self, text: &[u8], first: u32) -> Done<receipts::Read> {
        let place = |at: Option<(u32, u32)>| {
            let at = at.map(|(line, column)| format!(":{}:{column}", first + line.saturating_sub(1)));
            let at = at.unwrap_or_else(|| if first > 1 { format!(":{first}") } else { String::new() });
            format!("{}{at}", ui::shown_path(&self.file))
        };
        let found = receipts::read(text).map_err(|error| {
            let message = format!("{}: {error}", place(error.position()));
            Failure { message, ..Failure::from(error) }
        })?;
        let key = self.home.unwrap_or(found.receipt.home);
        receipts::verify(&found.receipt, &key).map_err(|error| {
            let message = format!("{}: {error}", place(None));
            Failure { message, ..Failure::from(error) }
                .hint("do not rely on it: ask for the receipt again where it came from")
        })?;
        Ok(found)
    }

    fn verified<'a>(&self, found: &'a receipts::Read) -> Verified<'a> {
        Verified {
            verified: true,
            key: self.home.unwrap_or(found.receipt.home).to_string(),
            key_was_named: self.home.is_some(),
            not_signed: &found.unknown,
            receipt: receipts::readable(&found.receipt),
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// What is in a file beside what was signed.
fn unsigned(found: &receipts::Read) {
    if !found.unknown.is_empty() {
        let names: Vec<_> = found.unknown.iter().take(8).map(|name| ui::shown(name)).collect();
        ui::say(&format!("nobody signed what else is in the file: {}", names.join(", ")));
    }
}

/// One of many, on a line.
fn brief(receipt: &Receipt) -> String {
    let (entry, paint) = (&receipt.entry, ui::Paint::stdout());
    let (verified, object) = (paint.green("verified"), receipts::info(receipt).object);
    let by = format!("at {} for {}", receipt.home.short(), entry.origin.short());
    format!(
        "{verified}  {}  place {}  action {}  {by}  {}",
        ui::key(&object),
        entry.number,
        entry.id,
        outcome(receipt)
    )
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
