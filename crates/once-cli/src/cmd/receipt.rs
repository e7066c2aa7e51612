//! `once receipt`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use once::api::contract;
use once::model::ids::Uuid;
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Get a signed proof of what came of an action
///
/// The object's home signs it.
///
/// Whoever knows the home's key can check it with `once verify-receipt`, years later and without a kernel.
#[derive(Debug, Args)]
pub struct Receipt {
    /// The action's id; this kernel must have accepted it
    id: Uuid,
    /// Write it to this new file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long to wait for the home, like 10s or 1m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Receipt {
    /// The home may be this kernel, else it must be reachable now.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Receipt { id: self.id, timeout_ms: Some(self.timeout) }).await?;
        // Its members by their names: people have it in another order than programs.
        let answer = serde_json::to_value(answer).map_err(|error| Failure::fault(error.to_string()))?;
        let document = if context.json { format!("{answer}\n") } else { document(&answer) };
        match &self.out {
            None => {
                let mut printer = ui::Printer::new();
                printer.text(&document)?;
                printer.end()?;
            }
            Some(path) => {
                write(path, &document)?;
                ui::say(&format!(
                    "written; `once verify-receipt {}` checks it",
                    ui::word(&ui::shown_path(path))
                ));
            }
        }
        Ok(Exit::DONE)
    }
}

/// A member a line, in the order in which people want to know them.
fn document(receipt: &Value) -> String {
    const FIRST: [&str; 9] =
        ["once_receipt", "home", "at_ms", "object", "id", "outcome", "result_text", "code", "origin"];
    let empty = serde_json::Map::new();
    let members = receipt.as_object().unwrap_or(&empty);
    let rest = members.keys().map(String::as_str).filter(|name| !FIRST.contains(name) && *name != "cbor");
    let lines: Vec<String> = FIRST
        .into_iter()
        .chain(rest)
        .chain(["cbor"])
        .filter_map(|name| Some(format!("  {}: {}", Value::from(name), members.get(name)?)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// What is there already is not replaced: it may be another proof.
fn write(path: &Path, document: &str) -> Done<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| {
        file.write_all(document.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::failed(format!("not replaced: {} is there already", ui::shown_path(path)))
                .hint("choose another name, or remove it first")
        }
        _ => Failure::io(path, &error),
    })
}
