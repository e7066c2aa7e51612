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
/// An object that is damaged is named, and the others are written; the command exits with 1 then.
///
/// Files are called `<uuid>.scenario.json`; where two objects share a UUID, `<uuid>#<lineage>.scenario.json` or
/// `<uuid>@<hash>.scenario.json`. A file with other content is left alone (and the command exits with 1) unless --force.
#[derive(Debug, Args)]
pub struct Export {
    /// Where to; made if it is not there. `-` is stdout, for one object
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Which objects
    #[arg(value_name = "OBJECT", required_unless_present_any = ["all", "salvage"], conflicts_with_all = ["all", "salvage"])]
    objects: Vec<String>,
    /// All objects on this kernel
    #[arg(long)]
    all: bool,
    /// All objects of a damaged store that can be read, and the names of those that cannot
    #[arg(long, conflicts_with = "all")]
    salvage: bool,
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
    unreadable: Vec<Unreadable>,
}

/// An object that cannot be brought out.
struct Unreadable {
    /// Its key; nothing if that cannot be read, either.
    key: String,
    why: String,
}

impl Export {
    /// Ends with a summary.
    pub async fn run(self, context: &Context) -> Done {
        if self.folder.as_os_str() == "-" {
            return self.to_stdout(context).await;
        }
        let begun = Instant::now();
        let mut summary = Summary::default();
        let scratch;
        let client = match context.kernel().await {
            Err(failure) if self.salvage && failure.code == "damaged" => {
                scratch = self.scratch()?;
                let (client, left_out) = Client::salvaged(&context.data, scratch.path()).await?;
                let left_out = left_out.into_iter().map(|why| Unreadable { key: String::new(), why });
                summary.unreadable.extend(left_out);
                client
            }
            client => client?,
        };
        let outcome = self.export(context, &client, &mut summary).await;
        let closed = client.close().await;
        outcome?;
        closed?;
        let kept: Vec<_> = summary.kept.iter().map(|path| path.to_string_lossy()).collect();
        let unreadable = summary.unreadable.iter();
        let unreadable: Vec<_> = unreadable.map(|one| json!({ "key": one.key, "reason": one.why })).collect();
        let answer = json!({ "written": summary.written, "same": summary.same, "kept": kept,
            "unreadable": unreadable, "bytes": summary.bytes, "took_ms": begun.elapsed().as_millis() as u64 });
        context.answer(&answer, |_| {
            let (written, size) = (ui::count(summary.written, "file"), ui::bytes(summary.bytes));
            let took = ui::duration_us(begun.elapsed().as_micros() as u64);
            let same = ui::number(summary.same);
            ui::print(&format!(
                "{written} written and read back, {same} there already ({size} in all) after {took}"
            ))
        })?;
        for one in &summary.unreadable {
            let name = if one.key.is_empty() { "an object" } else { &one.key };
            ui::say(&format!("cannot be read: {}: {}", ui::capped(name, 200), ui::capped(&one.why, 400)));
        }
        for path in &summary.kept {
            ui::say(&format!("not replaced: {} has other content", ui::shown_path(path)));
        }
        let hint = |text: &str| ui::say(&format!("{} {text}", ui::Paint::stderr().yellow("hint:")));
        if !summary.kept.is_empty() {
            hint("--force replaces them");
        }
        if !summary.unreadable.is_empty() {
            hint(
                "`once doctor` says what is damaged; a peer that has a copy of them, or a backup, has the rest",
            );
        }
        let is_whole = summary.kept.is_empty() && summary.unreadable.is_empty();
        Ok(if is_whole { Exit::DONE } else { Exit::FAILED })
    }

    /// Where a store that does not open is copied to: the disk that the scenarios go to has room, if any has.
    fn scratch(&self) -> Done<tempfile::TempDir> {
        let failed = |error: std::io::Error| Failure::io(&self.folder, &error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        tempfile::Builder::new().prefix(".once-salvage-").tempdir_in(&self.folder).map_err(failed)
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
        let shared = match shared(client).await {
            // In doubt each has the longer name.
            Err(failure) if self.salvage && failure.code == "damaged" => None,
            shared => Some(shared?),
        };
        let shared = shared.as_ref();
        let writer = Writer::new(&self.folder, self.force)?;
        if self.salvage {
            return salvage(client, shared, &writer, summary).await;
        }
        let bar = |total| if context.json { ui::Bar::none() } else { ui::Bar::new("exporting", total) };
        if !self.all {
            let bar = bar(self.objects.len() as u64);
            for object in &self.objects {
                one(client, object, shared, &writer, summary).await?;
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
            let page = client.call("list", params).await.map_err(|error| match error.code.as_str() {
                "damaged" => {
                    Failure::from(error).hint("`once export --salvage DIR` goes on behind what is damaged")
                }
                _ => error.into(),
            })?;
            for object in list(&page, "objects") {
                let key = text(object, "key");
                match one(client, key, shared, &writer, summary).await {
                    Err(failure) if failure.code == "damaged" => {
                        summary.unreadable.push(Unreadable { key: key.to_owned(), why: failure.message });
                    }
                    done => done?,
                }
                bar.more(1);
            }
            after = page.get("next").cloned().unwrap_or(Value::Null);
            if after.is_null() {
                return Ok(());
            }
        }
    }
}

/// All that can be read, and the names of the rest.
async fn salvage(
    client: &Client,
    shared: Option<&HashSet<String>>,
    writer: &Writer,
    summary: &mut Summary,
) -> Done<()> {
    let mut after = Value::Null;
    loop {
        let params = if after.is_null() { json!({}) } else { json!({ "after": after }) };
        let page = client.call("survey", params).await?;
        for object in list(&page, "objects") {
            let key = text(object, "key");
            let why = match text(object, "damage") {
                "" => match one(client, key, shared, writer, summary).await {
                    Ok(()) => continue,
                    // A tombstone, or gone meanwhile: there is nothing to save.
                    Err(failure) if matches!(failure.code.as_str(), "removed" | "not-found") => continue,
                    Err(failure) if failure.code == "damaged" => failure.message,
                    Err(failure) => return Err(failure),
                },
                why => why.to_owned(),
            };
            summary.unreadable.push(Unreadable { key: key.to_owned(), why });
        }
        after = page.get("next").cloned().unwrap_or(Value::Null);
        if after.is_null() {
            return Ok(());
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
    shared: Option<&HashSet<String>>,
    writer: &Writer,
    summary: &mut Summary,
) -> Done<()> {
    let answer = client.call("get", json!({ "object": name })).await?;
    let (object, scenario) = living(&answer)?;
    let file = file_name(object, shared.is_none_or(|shared| shared.contains(text(object, "uuid"))))?;
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
