//! `once put`

use std::path::PathBuf;

use clap::Args;
use once::api::Client;
use serde_json::{Value, json};

use crate::context::{Context, number, text, truth, with};
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{read, stdin};
use crate::ui;

/// Change an object: its next revision is this scenario
///
/// Only the object's home may do that. An object that was imported here gets its home here with the first change; one
/// that came from a peer must be claimed before (`once claim`).
#[derive(Debug, Args)]
pub struct Put {
    /// Which object
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
            let failure = Failure::failed(format!("{name}{place}: {}", error.reason()));
            Failure { code: "invalid".into(), hint: error.hint().map(str::to_owned), ..failure }
        })?;
        let params = json!({ "object": self.object, "text": scenario.as_str() });
        let params = with(params, [("base", self.base.map(Into::into))]);
        change(context, "put", vec![params]).await
    }
}

/// Calls a method that changes objects, and prints what became of each.
pub async fn change(context: &Context, method: &str, calls: Vec<Value>) -> Done {
    let client = context.kernel().await?;
    let mut changes = Vec::new();
    let outcome = each(context, &client, method, calls, &mut changes).await;
    let closed = client.close().await;
    if context.json && (outcome.is_ok() || !changes.is_empty()) {
        ui::print_json(&json!({ "changes": changes }))?;
    }
    outcome?;
    closed?;
    Ok(Exit::DONE)
}

async fn each(
    context: &Context,
    client: &Client,
    method: &str,
    calls: Vec<Value>,
    changes: &mut Vec<Value>,
) -> Done<()> {
    for params in calls {
        let answer = client.call(method, params).await?;
        if !context.json {
            ui::print(&line(&answer))?;
        }
        changes.push(answer);
    }
    Ok(())
}

fn line(answer: &Value) -> String {
    let object = answer.get("object").unwrap_or(&Value::Null);
    let key = ui::key(text(object, "key"));
    match (text(answer, "change"), number(object, "revision")) {
        ("dropped", _) => format!("dropped    {key} (only the copy here)"),
        ("changed", revision) if truth(answer, "claimed") => {
            format!("changed    {key} (revision {revision}); claimed: this kernel is its home now")
        }
        (change, revision) => format!("{:<10} {key} (revision {revision})", ui::shown(change)),
    }
}
