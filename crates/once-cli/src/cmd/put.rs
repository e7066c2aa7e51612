//! `once put`

use std::path::PathBuf;

use clap::Args;
use once::ErrorKind;
use once::api::Client;
use once::api::contract::{self, ChangeInfo, ChangeKind, Method};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{read, stdin};
use crate::ui;

/// Change an object: its next revision is this scenario
///
/// Only the object's home may do that. An object that was imported here gets its home here with the first change; one
/// that came from a peer must be claimed before (`once claim`).
#[derive(Debug, Args)]
pub struct Put {
    /// The object to change
    object: String,
    /// The file with the scenario; `-` is stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The revision that the scenario was made from: refused unless it is still the newest (`revision_id` of `once show --json`)
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
}

impl Put {
    /// Reads the file here, so that what is wrong with it has a line and a column.
    pub async fn run(self, context: &Context) -> Done {
        let is_stdin = self.file.as_os_str() == "-";
        let read = if is_stdin { stdin() } else { read(&self.file) };
        let scenario = read.map_err(|error| {
            let place = error.place().map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            let name = if is_stdin { "stdin".to_owned() } else { ui::shown_path(&self.file) };
            let message = format!("{name}{place}: {}", error.reason());
            Failure { hint: error.hint().map(str::to_owned), ..Failure::of(ErrorKind::Invalid, message) }
        })?;
        let text = scenario.as_str().to_owned();
        change(context, [contract::Put { object: self.object, text, base: self.base }]).await
    }
}

/// What `--json` prints of changes.
#[derive(Serialize)]
struct Changes {
    changes: Vec<ChangeInfo>,
}

/// Calls a method that changes objects, and prints what became of each.
pub async fn change<M: Method<Result = ChangeInfo>>(
    context: &Context,
    calls: impl IntoIterator<Item = M>,
) -> Done {
    let client = context.kernel().await?;
    let mut changes = Vec::new();
    let outcome = each(context, &client, calls, &mut changes).await;
    let closed = client.close().await;
    if context.json && (outcome.is_ok() || !changes.is_empty()) {
        ui::print_json(&Changes { changes })?;
    }
    outcome?;
    closed?;
    Ok(Exit::DONE)
}

async fn each<M: Method<Result = ChangeInfo>>(
    context: &Context,
    client: &Client,
    calls: impl IntoIterator<Item = M>,
    changes: &mut Vec<ChangeInfo>,
) -> Done<()> {
    for params in calls {
        let answer = client.ask(params).await?;
        if !context.json {
            ui::print(&line(&answer))?;
        }
        changes.push(answer);
    }
    Ok(())
}

fn line(ChangeInfo { object, change, claimed }: &ChangeInfo) -> String {
    let key = ui::key(&object.key);
    // As `ls` and `show` have it: the length of the scenario.
    let size = if object.tombstone { String::new() } else { format!(", {}", ui::bytes(object.size)) };
    let revision = format!("revision {}{size}", object.revision);
    match change {
        ChangeKind::Dropped => format!("dropped    {key} (only the copy here)"),
        ChangeKind::Changed if *claimed => {
            format!("changed    {key} ({revision}); claimed: this kernel is its home now")
        }
        change => format!("{:<10} {key} ({revision})", word(*change)),
    }
}

/// The word for what became of an object.
pub fn word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::New => "new",
        ChangeKind::Same => "same",
        ChangeKind::Changed => "changed",
        ChangeKind::KeptBeside => "kept-beside",
        ChangeKind::Resolved => "resolved",
        ChangeKind::BesideTombstone => "beside-tombstone",
        ChangeKind::Beside => "beside",
        ChangeKind::Claimed => "claimed",
        ChangeKind::Removed => "removed",
        ChangeKind::Dropped => "dropped",
    }
}
