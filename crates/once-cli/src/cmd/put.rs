//! `once put`

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use once::api::Client;
use once::model::limits::SCENARIO_MAX_BYTES;
use once::model::scenario::Scenario;
use serde_json::{Value, json};

use crate::context::{Context, number, text, with};
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{Unreadable, read};
use crate::ui;

/// Change an object: its next revision is this scenario
///
/// Only the object's home may do that; an unclaimed object gets its home here with the first change.
#[derive(Debug, Args)]
pub struct Put {
    /// Which object
    object: String,
    /// The file with the scenario; `-` is stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Refuse unless this is still the newest revision (`revision_id` of `once show --json`)
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
}

impl Put {
    /// Reads the file here, so that what is wrong with it has a line and a column.
    pub async fn run(self, context: &Context) -> Done {
        let read = if self.file.as_os_str() == "-" { stdin() } else { read(&self.file) };
        let scenario = read.map_err(|error| {
            let place = error.place().map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            let failure =
                Failure::failed(format!("{}{place}: {}", ui::shown_path(&self.file), error.reason()));
            Failure { code: "invalid".into(), hint: error.hint().map(str::to_owned), ..failure }
        })?;
        let params = json!({ "object": self.object, "text": scenario.as_str() });
        let params = with(params, [("base", self.base.map(Into::into))]);
        change(context, "put", vec![params]).await
    }
}

fn stdin() -> Result<Scenario, Unreadable> {
    if std::io::stdin().is_terminal() {
        ui::say("reading the scenario from stdin, up to Ctrl-D");
    }
    let mut bytes = Vec::new();
    let limit = SCENARIO_MAX_BYTES as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    Scenario::parse(bytes).map_err(Unreadable::Invalid)
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
        (change, revision) => format!("{:<10} {key} (revision {revision})", ui::shown(change)),
    }
}
