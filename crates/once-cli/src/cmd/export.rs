//! `once export`

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use once::api::Client;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{Verdict, Writer, file_name};
use crate::ui;

/// Objects in one call of `list`.
const PAGE_OBJECTS: u64 = 1000;

/// Write scenarios to a folder, byte for byte, and read them back; or one to stdout
///
/// Files are called `<uuid>.scenario.json`; where two objects share a UUID, `<uuid>#<lineage>.scenario.json` or
/// `<uuid>@<hash>.scenario.json`. A file with other content is left alone (and the command exits with 1) unless --force.
#[derive(Debug, Args)]
pub struct Export {
    /// Where to; made if it is not there. `-` is stdout, for one object
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Which objects
    #[arg(value_name = "OBJECT", required_unless_present = "all", conflicts_with = "all")]
    objects: Vec<String>,
    /// All objects on this kernel
    #[arg(long)]
    all: bool,
    /// Replace files that have other content
    #[arg(long)]
    force: bool,
}

#[derive(Default)]
struct Summary {
    written: u64,
    same: u64,
    bytes: u64,
    kept: Vec<PathBuf>,
}

impl Export {
    /// Ends with a summary.
    pub async fn run(self, context: &Context) -> Done {
        if self.folder.as_os_str() == "-" {
            return self.to_stdout(context).await;
        }
        let begun = Instant::now();
        let client = context.kernel().await?;
        let mut summary = Summary::default();
        let outcome = self.export(context, &client, &mut summary).await;
        let closed = client.close().await;
        outcome?;
        closed?;
        let kept: Vec<_> = summary.kept.iter().map(|path| path.to_string_lossy()).collect();
        let answer = json!({ "written": summary.written, "same": summary.same, "kept": kept,
            "bytes": summary.bytes, "took_ms": begun.elapsed().as_millis() as u64 });
        context.answer(&answer, |_| {
            let (written, size) = (ui::count(summary.written, "file"), ui::bytes(summary.bytes));
            let took = ui::duration_us(begun.elapsed().as_micros() as u64);
            let same = ui::number(summary.same);
            ui::print(&format!(
                "{written} written and read back, {same} there already ({size} in all) after {took}"
            ))
        })?;
        if summary.kept.is_empty() {
            return Ok(Exit::DONE);
        }
        for path in &summary.kept {
            ui::say(&format!("not replaced: {} has other content", ui::shown_path(path)));
        }
        ui::say(&format!("{} --force replaces them", ui::Paint::stderr().yellow("hint:")));
        Ok(Exit::FAILED)
    }

    /// The bytes of one object, and nothing else.
    async fn to_stdout(&self, context: &Context) -> Done {
        let [object] = self.objects.as_slice() else {
            return Err(Failure::usage("only one object fits on stdout").hint("name a folder to write to"));
        };
        if context.json {
            return Err(Failure::usage("`export -` prints the scenario itself: leave --json out"));
        }
        let answer = context.call("get", json!({ "object": object })).await?;
        let (_, scenario) = living(&answer)?;
        super::show::document(scenario)?;
        Ok(Exit::DONE)
    }

    async fn export(&self, context: &Context, client: &Client, summary: &mut Summary) -> Done<()> {
        let shared = shared(client).await?;
        let writer = Writer::new(&self.folder, self.force)?;
        let bar = |total| if context.json { ui::Bar::none() } else { ui::Bar::new("exporting", total) };
        if !self.all {
            let bar = bar(self.objects.len() as u64);
            for object in &self.objects {
                one(client, object, &shared, &writer, summary).await?;
                bar.more(1);
            }
            return Ok(());
        }
        let bar = bar(number(&client.call("status", json!({})).await?, "objects"));
        let mut after = Value::Null;
        loop {
            let mut params = json!({ "limit": PAGE_OBJECTS });
            if let (Some(params), false) = (params.as_object_mut(), after.is_null()) {
                params.insert("after".to_owned(), after);
            }
            let page = client.call("list", params).await?;
            for object in list(&page, "objects") {
                one(client, text(object, "key"), &shared, &writer, summary).await?;
                bar.more(1);
            }
            after = page.get("next").cloned().unwrap_or(Value::Null);
            if after.is_null() {
                return Ok(());
            }
        }
    }
}

/// The UUIDs that more than one object has.
async fn shared(client: &Client) -> Done<HashSet<String>> {
    let answer = client.call("conflicts", json!({})).await?;
    let conflicts = list(&answer, "conflicts").iter();
    let same = conflicts.filter(|conflict| text(conflict, "reason") == "same-uuid");
    Ok(same.map(|conflict| text(conflict, "uuid").to_owned()).collect())
}

/// An object and its scenario, unless it was removed.
fn living(answer: &Value) -> Done<(&Value, &str)> {
    let object = answer.get("object").unwrap_or(&Value::Null);
    if truth(object, "tombstone") {
        let failure = Failure::failed(format!("{} was removed", ui::key(text(object, "key"))));
        return Err(Failure { code: "removed".into(), ..failure });
    }
    Ok((object, text(answer, "text")))
}

async fn one(
    client: &Client,
    name: &str,
    shared: &HashSet<String>,
    writer: &Writer,
    summary: &mut Summary,
) -> Done<()> {
    let answer = client.call("get", json!({ "object": name })).await?;
    let (object, scenario) = living(&answer)?;
    let file = file_name(object, shared.contains(text(object, "uuid")))?;
    match writer.write(&file, scenario, text(object, "hash"))? {
        Verdict::Kept => {
            summary.kept.push(writer.path(&file));
            return Ok(());
        }
        Verdict::Written => summary.written += 1,
        Verdict::Same => summary.same += 1,
    }
    summary.bytes += scenario.len() as u64;
    Ok(())
}
