//! `once export`

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use once::ErrorKind;
use once::api::Client;
use once::api::contract::{ConflictReason, Get, GetResult, List, ObjectInfo, Status, Survey};
use rustix::fs::Mode;
use rustix::process::umask;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{Verdict, Writer, file_name};
use crate::ui;

/// Objects in one call of `list`.
const PAGE_OBJECTS: usize = 1000;

/// Write scenarios to a folder, byte for byte; or one to stdout
///
/// What was written is read back.
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
    /// The objects to write, each to a file of its own
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

/// Between two looks at whether the copy is made.
const COPYING_STEP: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Summary {
    written: u64,
    same: u64,
    bytes: u64,
    kept: Vec<PathBuf>,
    unreadable: Vec<Unreadable>,
    /// What is missing in the copy of a store that does not open: files of it, not objects.
    left_out: Vec<String>,
}

/// An object that cannot be brought out.
#[derive(Serialize)]
struct Unreadable {
    /// Its key; nothing if that cannot be read, either.
    key: String,
    #[serde(rename = "reason")]
    why: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    written: u64,
    same: u64,
    kept: Vec<Cow<'a, str>>,
    unreadable: &'a [Unreadable],
    left_out: &'a [String],
    bytes: u64,
    took_ms: u64,
}

impl Summary {
    fn answer(&self, took: Duration) -> Answer<'_> {
        Answer {
            written: self.written,
            same: self.same,
            kept: self.kept.iter().map(|path| path.to_string_lossy()).collect(),
            unreadable: &self.unreadable,
            left_out: &self.left_out,
            bytes: self.bytes,
            took_ms: took.as_millis() as u64,
        }
    }
}

impl Export {
    /// Ends with a summary.
    pub async fn run(self, context: &Context) -> Done {
        if self.folder.as_os_str() == "-" {
            return self.to_stdout(context).await;
        }
        self.until_signal(context).await
    }

    async fn write(self, context: &Context, copying: &AtomicBool) -> Done {
        let begun = Instant::now();
        let mut summary = Summary::default();
        let scratch;
        let opened = match self.salvage && is_damaged(context).await? {
            // It is not opened: the background threads of an open store could stumble over the damage.
            true => Err(Failure::of(ErrorKind::Damaged, "the store is damaged")),
            false => context.kernel().await,
        };
        let client = match opened {
            Err(failure) if self.salvage && failure.kind == ErrorKind::Damaged => {
                scratch = self.scratch()?;
                let _private = Private::begin();
                copying.store(true, Ordering::Relaxed);
                let salvaged = Client::salvaged(&context.data, scratch.path()).await;
                copying.store(false, Ordering::Relaxed);
                let (client, left_out) = salvaged?;
                summary.left_out = left_out;
                client
            }
            client => client?,
        };
        let outcome = self.export(context, &client, &mut summary).await;
        let closed = client.close().await;
        outcome?;
        closed?;
        let answer = summary.answer(begun.elapsed());
        context.answer(&answer, |_| {
            let (written, size) = (ui::count(summary.written, "file"), ui::bytes(summary.bytes));
            let took = ui::duration_us(begun.elapsed().as_micros() as u64);
            let same = ui::number(summary.same);
            ui::print(&format!(
                "{written} written and read back, {same} there already ({size} in all) after {took}"
            ))
        })?;
        for what in &summary.left_out {
            ui::say(&format!("damaged: {}", ui::capped(what, 400)));
        }
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
        if !summary.left_out.is_empty() {
            hint(
                "an object of which nothing was left is not named: compare with a backup, or with your peers",
            );
        }
        if !summary.unreadable.is_empty() {
            hint(
                "`once doctor` says what is damaged; a peer that has a copy of them, or a backup, has the rest",
            );
        }
        let is_whole = [summary.kept.is_empty(), summary.unreadable.is_empty(), summary.left_out.is_empty()]
            == [true; 3];
        Ok(if is_whole { Exit::DONE } else { Exit::FAILED })
    }

    /// The copy has the kernel's key in it: whoever ends the command has it removed, too.
    async fn until_signal(self, context: &Context) -> Done {
        let ends = |kind| signal(kind).map_err(|error| Failure::failed(format!("no signals: {error}")));
        let (mut interrupt, mut terminate) = (ends(SignalKind::interrupt())?, ends(SignalKind::terminate())?);
        let copying = AtomicBool::new(false);
        let mut write = std::pin::pin!(self.write(context, &copying));
        let failure = tokio::select! {
            done = &mut write => return done,
            _ = interrupt.recv() => Failure::failed("interrupted"),
            _ = terminate.recv() => Failure::failed("ended by a signal"),
        };
        // The thread that copies would go on beside the removal.
        while copying.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(COPYING_STEP, &mut write).await;
        }
        Err(failure)
    }

    /// Where a store that does not open is copied to: for its user alone. The disk that the scenarios go to has room, if any has.
    fn scratch(&self) -> Done<tempfile::TempDir> {
        let failed = |error: std::io::Error| Failure::io(&self.folder, &error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut private = tempfile::Builder::new();
        private.prefix(".once-salvage-").permissions(Permissions::from_mode(0o700));
        private.tempdir_in(&self.folder).map_err(failed)
    }

    /// The bytes of one object, and nothing else.
    async fn to_stdout(&self, context: &Context) -> Done {
        let [object] = self.objects.as_slice() else {
            return Err(Failure::usage("only one object fits on stdout").hint("name a folder to write to"));
        };
        if context.json {
            return Err(Failure::usage("`export -` prints the scenario itself: leave --json out"));
        }
        let answer = context.ask(Get { object: object.clone(), bytes: None, revision: None }).await?;
        let (_, scenario) = living(&answer)?;
        super::show::document(scenario)?;
        Ok(Exit::DONE)
    }

    async fn export(&self, context: &Context, client: &Client, summary: &mut Summary) -> Done<()> {
        let shared = match shared(client).await {
            // In doubt each has the longer name.
            Err(failure) if self.salvage && failure.kind == ErrorKind::Damaged => None,
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
        let bar = bar(client.ask(Status {}).await?.objects);
        let mut after = None;
        loop {
            let params = List { after, limit: Some(PAGE_OBJECTS), ..List::default() };
            let page = client.ask(params).await.map_err(|error| match error.kind() {
                ErrorKind::Damaged => {
                    Failure::from(error).hint("`once export --salvage DIR` goes on behind what is damaged")
                }
                _ => error.into(),
            })?;
            for ObjectInfo { key, .. } in page.objects {
                match one(client, &key, shared, &writer, summary).await {
                    Err(failure) if failure.kind == ErrorKind::Damaged => {
                        summary.unreadable.push(Unreadable { key, why: failure.message });
                    }
                    done => done?,
                }
                bar.more(1);
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Whether no kernel runs on the data directory, and its store has damaged files.
async fn is_damaged(context: &Context) -> Done<bool> {
    context.initialised()?;
    if Client::connect(&context.data).await?.is_some() {
        return Ok(false);
    }
    let data = context.data.clone();
    let look = tokio::task::spawn_blocking(move || once::damaged_files(&data));
    let files = look.await.map_err(|_| Failure::failed("a look at the files of the store panicked"))?;
    Ok(!files.is_empty())
}

/// Until it is dropped, new files are for their user alone; what is exported has the rights of any other file.
struct Private(Mode);

impl Private {
    fn begin() -> Self {
        Self(umask(Mode::RWXG | Mode::RWXO))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        umask(self.0);
    }
}

/// All that can be read, and the names of the rest.
async fn salvage(
    client: &Client,
    shared: Option<&HashSet<String>>,
    writer: &Writer,
    summary: &mut Summary,
) -> Done<()> {
    let mut after = None;
    loop {
        let page = client.ask(Survey { after }).await?;
        for object in page.objects {
            let key = object.key.unwrap_or_default();
            let why = match object.damage {
                None => match one(client, &key, shared, writer, summary).await {
                    Ok(()) => continue,
                    // A tombstone, or gone meanwhile: there is nothing to save.
                    Err(failure) if matches!(failure.kind, ErrorKind::Removed | ErrorKind::NotFound) => {
                        continue;
                    }
                    Err(failure) if failure.kind == ErrorKind::Damaged => failure.message,
                    Err(failure) => return Err(failure),
                },
                Some(why) => why,
            };
            summary.unreadable.push(Unreadable { key, why });
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The UUIDs that more than one object has.
async fn shared(client: &Client) -> Done<HashSet<String>> {
    let all = super::conflicts::every(client).await?.conflicts.into_iter();
    let same = all.filter(|conflict| conflict.reason == ConflictReason::SameUuid);
    Ok(same.filter_map(|conflict| conflict.uuid).collect())
}

/// An object and its scenario, unless it was removed.
fn living(GetResult { object, text, .. }: &GetResult) -> Done<(&ObjectInfo, &str)> {
    match text {
        Some(text) => Ok((object, text)),
        None => Err(Failure::of(ErrorKind::Removed, format!("{} was removed", ui::key(&object.key)))),
    }
}

async fn one(
    client: &Client,
    name: &str,
    shared: Option<&HashSet<String>>,
    writer: &Writer,
    summary: &mut Summary,
) -> Done<()> {
    let answer = client.ask(Get { object: name.to_owned(), bytes: None, revision: None }).await?;
    let (object, scenario) = living(&answer)?;
    let line = (object.lineage.as_deref(), object.hash.as_str());
    let is_shared = shared.is_none_or(|shared| shared.contains(&object.uuid));
    let file = file_name(&object.uuid, line, is_shared)?;
    match writer.write(&file, scenario, &object.hash)? {
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
