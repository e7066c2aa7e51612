//! Handing scenario files to a kernel, in batches, past the broken ones.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use once::ErrorKind;
use once::api::Client;
use once::api::contract::{
    ChangeKind, ErrorCode, ErrorInfo, Identity, Import, ImportInfo, ImportText, ImportedInfo,
};
use once::model::scenario::Scenario;
use serde::Serialize;

use super::{Found, Skipped, read, stdin};
use crate::failure::{Done, Failure};
use crate::ui;

/// Most scenarios in one call: a kernel commits a call as one group.
const BATCH_MAX_SCENARIOS: usize = 64;

/// Most bytes in one call, unless a single scenario is larger.
const BATCH_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A file that is no scenario, or that the kernel did not take.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Where it lies.
    pub path: PathBuf,
    /// Line and column, from 1.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Why the kernel did not take it, as a code of the local API; none if the file is no scenario.
    pub refused: Option<ErrorCode>,
}

impl Broken {
    /// `path:line:column: reason`, as compilers say it, so that editors find the place.
    pub fn line(&self) -> String {
        let place = self.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        format!("{}{place}: {}", ui::shown_path(&self.path), ui::capped(&self.reason, 400))
    }

    /// The same for machines.
    pub fn info(&self) -> BrokenInfo<'_> {
        BrokenInfo {
            path: self.path.to_string_lossy(),
            line: self.place.map(|place| place.0),
            column: self.place.map(|place| place.1),
            reason: &self.reason,
            hint: self.hint.as_deref(),
            refused: self.refused.as_ref().map(ErrorCode::as_str),
        }
    }
}

/// A broken file, as `--json` prints it.
#[derive(Serialize)]
pub struct BrokenInfo<'a> {
    path: Cow<'a, str>,
    line: Option<u64>,
    column: Option<u64>,
    reason: &'a str,
    hint: Option<&'a str>,
    refused: Option<&'a str>,
}

/// A file whose scenario the kernel has now.
#[derive(Debug)]
pub struct Imported<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// What was read from it.
    pub scenario: &'a Scenario,
    /// What the kernel says of it.
    pub result: &'a ImportedInfo,
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Summary {
    /// All files that were looked at.
    pub files: u64,
    /// Scenarios that were not there before.
    pub new: u64,
    /// Scenarios that were there already.
    pub same: u64,
    /// Files that were imported before and have changed since.
    pub changed: u64,
    /// Scenarios that share a UUID with another one of other bytes: both are kept.
    pub beside: u64,
    /// New objects of a UUID whose object was removed here.
    pub beside_tombstone: u64,
    /// Changed files whose objects have gone on since: they are kept beside, as conflicts.
    pub kept_beside: Vec<PathBuf>,
    /// Objects that were claimed by their first change: this kernel is their home now.
    pub claimed: u64,
    /// Scenarios without a UUID of their own: they got one from their content.
    pub derived: u64,
    /// Bytes of the scenarios that the kernel has.
    pub bytes: u64,
    /// What could not be imported: files that are broken, and files that the kernel refused.
    pub broken: Vec<Broken>,
    /// What was left out.
    pub skipped: Skipped,
    /// How long it took.
    pub took: Duration,
}

/// Imports what was found. `done` hears of each scenario that the kernel has, `broken` of each file that it has not.
///
/// # Errors
/// When the kernel cannot go on (gone, disk full, a fault). A file that is no scenario is no error.
pub async fn import(
    client: &Client,
    found: Found,
    over: Option<&str>,
    bar: &ui::Bar,
    mut done: impl FnMut(Imported<'_>),
    mut broken: impl FnMut(&Broken),
) -> Done<Summary> {
    let begun = Instant::now();
    let mut summary = Summary { skipped: found.skipped, ..Summary::default() };
    for (path, reason) in found.unreadable {
        summary.note(Broken { path, place: None, reason, hint: None, refused: None }, &mut broken);
    }
    let mut batch = Batch { over, ..Batch::default() };
    for path in found.files {
        summary.files += 1;
        let read = if path.as_os_str() == "-" { stdin() } else { read(&path) };
        match read {
            Ok(scenario) => {
                if batch.is_full_with(&scenario) {
                    batch.send(client, bar, &mut summary, &mut done, &mut broken).await?;
                }
                batch.push(path, scenario);
            }
            Err(error) => {
                let (place, reason) = (error.place(), error.reason());
                let hint = error.hint().map(str::to_owned);
                summary.note(Broken { path, place, reason, hint, refused: None }, &mut broken);
                bar.more(1);
            }
        }
    }
    batch.send(client, bar, &mut summary, &mut done, &mut broken).await?;
    summary.took = begun.elapsed();
    Ok(summary)
}

impl Summary {
    /// Files that the kernel did not take.
    pub fn refused(&self) -> usize {
        self.broken.iter().filter(|broken| broken.refused.is_some()).count()
    }

    fn note(&mut self, found: Broken, broken: &mut impl FnMut(&Broken)) {
        broken(&found);
        self.broken.push(found);
    }

    fn count(&mut self, path: &Path, result: &ImportedInfo, bytes: usize) {
        self.bytes += bytes as u64;
        match result.change.change {
            ChangeKind::Same => self.same += 1,
            ChangeKind::Changed => self.changed += 1,
            ChangeKind::Beside => self.beside += 1,
            ChangeKind::KeptBeside => self.kept_beside.push(path.to_owned()),
            change => {
                self.new += 1;
                self.beside_tombstone += u64::from(change == ChangeKind::BesideTombstone);
            }
        }
        self.claimed += u64::from(result.change.claimed);
        self.derived += u64::from(result.identity == Identity::Derived);
    }
}

#[derive(Default)]
struct Batch<'o> {
    files: Vec<(PathBuf, Scenario)>,
    bytes: usize,
    /// The revision that the file is laid over.
    over: Option<&'o str>,
}

impl Batch<'_> {
    fn is_full_with(&self, next: &Scenario) -> bool {
        let bytes = self.bytes + next.bytes().len();
        self.files.len() == BATCH_MAX_SCENARIOS || (bytes > BATCH_MAX_BYTES && !self.files.is_empty())
    }

    fn push(&mut self, path: PathBuf, scenario: Scenario) {
        self.bytes += scenario.bytes().len();
        self.files.push((path, scenario));
    }

    async fn send(
        &mut self,
        client: &Client,
        bar: &ui::Bar,
        summary: &mut Summary,
        done: &mut impl FnMut(Imported<'_>),
        broken: &mut impl FnMut(&Broken),
    ) -> Done<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        // The source lets a changed file become a new revision. A path that is no UTF-8 would not name it safely.
        let scenarios = self.files.iter().map(|(path, scenario)| ImportText {
            text: scenario.as_str().to_owned(),
            source: path.to_str().filter(|path| *path != "-").map(str::to_owned),
            over: self.over.map(str::to_owned),
        });
        let results = client.ask(Import { scenarios: scenarios.collect() }).await?.results;
        if results.len() != self.files.len() {
            return Err(Failure::fault(format!("{} results for {} files", results.len(), self.files.len())));
        }
        for ((path, scenario), result) in self.files.iter().zip(results) {
            match result {
                ImportInfo::Kept(result) => {
                    summary.count(path, &result, scenario.bytes().len());
                    done(Imported { path, scenario, result: &result });
                }
                ImportInfo::Refused { error } => summary.note(refused(path, error)?, broken),
            }
        }
        bar.more(self.files.len() as u64);
        (self.files, self.bytes) = (Vec::new(), 0);
        Ok(())
    }
}

/// What the kernel says of one file. When it is not the file's fault, going on helps nobody.
fn refused(path: &Path, error: ErrorInfo) -> Done<Broken> {
    if matches!(
        error.code.kind(),
        ErrorKind::DiskFull | ErrorKind::Quota | ErrorKind::Stopping | ErrorKind::Fault
    ) {
        let message = format!("{}: {}", ui::shown_path(path), error.message);
        return Err(Failure { message, ..Failure::from(once::Error::from(error)) });
    }
    let place = error.line.map(|line| (line.into(), error.column.unwrap_or_default().into()));
    // A scenario that the kernel cannot read is a broken file; all else is a good one that it does not take.
    let refused = Some(error.code).filter(|code| code.kind() != ErrorKind::Invalid);
    Ok(Broken { path: path.to_owned(), place, reason: error.message, hint: error.hint, refused })
}
