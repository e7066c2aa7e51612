//! `cargo xtask mutants-sample`: how much of what could be wrong in the engine would be noticed.
//!
//! A copy of the sources gets all drawn mutants at once, each behind a switch that the environment sets, and is built
//! once. Then each mutant is judged by running the same programs with its number.

mod build;
mod draw;
mod find;
mod judge;
mod record;
mod report;
mod rewrite;
mod site;
#[cfg(test)]
mod tests;
mod tree;
mod values;

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use build::{Built, Programs};
use judge::{Room, Stage};
use record::{Judged, Record};
use site::Site;
use tree::{Source, Tree};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    count: usize,
    seed: Option<u64>,
    jobs: usize,
    /// Only of this part of the engine.
    folder: Option<String>,
}

impl Wanted {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// They are no numbers, or too many.
    pub fn read(args: &[String]) -> Result<Self, String> {
        let number = |text: &String| text.parse::<u64>().map_err(|error| format!("'{text}': {error}"));
        let size = |text: &String| match text.parse::<usize>() {
            Ok(size) if size > 0 => Ok(size),
            _ => Err(format!("'{text}' is not a number above 0")),
        };
        let (mut numbers, mut jobs, mut folder) = (Vec::new(), 2, None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--jobs" => jobs = size(args.next().ok_or("--jobs needs a number")?)?,
                "--folder" => folder = Some(args.next().ok_or("--folder needs a name")?.clone()),
                _ => numbers.push(arg),
            }
        }
        match numbers.as_slice() {
            [count] => Ok(Self { count: size(count)?, seed: None, jobs, folder }),
            [count, seed] => Ok(Self { count: size(count)?, seed: Some(number(seed)?), jobs, folder }),
            _ => Err("how many mutants, and with which seed?".to_owned()),
        }
    }
}

/// Prints all places.
///
/// # Errors
///
/// The sources cannot be read.
pub fn list() -> Result<(), String> {
    let sources = Tree::here()?.sources()?;
    let mut out = std::io::stdout().lock();
    for site in sources.iter().flat_map(Source::sites) {
        writeln!(out, "{site}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Draws, builds, judges and reports.
///
/// # Errors
///
/// Something is missing, the copy does not build, or what judges does not pass on the engine as it is.
pub fn sample(wanted: &Wanted) -> Result<(), String> {
    let tree = Tree::here()?;
    let seed = match wanted.seed {
        Some(seed) => seed,
        None => u64::from_str_radix(tree.head.get(..16).unwrap_or_default(), 16)
            .map_err(|error| format!("HEAD is '{}': {error}", tree.head))?,
    };
    let sources = tree.sources()?;
    let sites: Vec<Site> = sources.iter().flat_map(Source::sites).cloned().collect();
    println!("commit {} seed {seed}", tree.head);
    eprintln!("{} places in {} files", sites.len(), sources.len());
    let is_outside = |site: &Site| wanted.folder.as_ref().is_some_and(|part| site.stratum() != part);
    let outside: BTreeSet<usize> =
        sites.iter().enumerate().filter(|(_, site)| is_outside(site)).map(|(n, _)| n).collect();
    if outside.len() == sites.len() {
        return Err(format!(
            "no part of the engine is called '{}'",
            wanted.folder.as_deref().unwrap_or_default()
        ));
    }

    let folder = tree.target().join("mutants");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let _alone = alone(&folder)?;
    let part = wanted.folder.as_ref().map_or_else(String::new, |part| format!("-{part}"));
    let name = format!("{:016x}-{}-{seed}{part}.jsonl", tree.hash, wanted.count);
    let mut record = Record::open(&folder.join(name))?;
    let sample = Sample { tree: &tree, sources: &sources, sites: &sites, outside, count: wanted.count, seed };
    let started = Instant::now();
    let (chosen, programs) = sample.build(&folder, &mut record)?;
    println!("built {} mutants in {:.0} s", chosen.len(), started.elapsed().as_secs_f64());

    let stages = judge::stages(&programs);
    let left = chosen.iter().filter(|id| !record.judged.contains_key(id));
    let mut left: Vec<(u32, &Site)> = left.filter_map(|id| Some((*id, site(&sites, *id)?))).collect();
    draw::shuffle(&mut left, seed);
    if !left.is_empty() {
        judge_all(&folder, &stages, left.into(), wanted.jobs, &mut record)?;
    }
    let judged: Vec<(&Site, &Judged)> =
        chosen.iter().filter_map(|id| Some((site(&sites, *id)?, record.judged.get(id)?))).collect();
    println!("{}", report::report(&sites, &record.rejected, &judged));
    Ok(())
}

/// Keeps others out of the folder as long as the answer lives: they would build other mutants under those that run.
fn alone(folder: &Path) -> Result<File, String> {
    let path = folder.join("lock");
    let wrong = |error: String| format!("{}: {error}", path.display());
    let file = File::create(&path).map_err(|error| wrong(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(wrong("another sample runs here; wait for its end".to_owned())),
        Err(TryLockError::Error(error)) => Err(wrong(error.to_string())),
    }
}

/// A mutant's number is its site's, counted from 1: 0 is the engine as it is.
fn site(sites: &[Site], id: u32) -> Option<&Site> {
    sites.get((id as usize).checked_sub(1)?)
}

struct Sample<'a> {
    tree: &'a Tree,
    sources: &'a [Source],
    sites: &'a [Site],
    /// Which of them are not to be drawn.
    outside: BTreeSet<usize>,
    count: usize,
    seed: u64,
}

impl Sample<'_> {
    /// Draws and builds until all that was drawn compiles.
    fn build(&self, folder: &Path, record: &mut Record) -> Result<(BTreeSet<u32>, Programs), String> {
        loop {
            let rejected = record.rejected.iter().map(|id| *id as usize - 1);
            let left_out = rejected.chain(self.outside.iter().copied()).collect();
            let drawn = draw::draw(self.sites, self.count, self.seed, &left_out);
            let ids: BTreeSet<u32> = drawn.iter().map(|site| *site as u32 + 1).collect();
            let chosen: Vec<_> = ids.iter().filter_map(|id| Some((*id, site(self.sites, *id)?))).collect();
            let written = self.tree.copy(&folder.join("tree"), self.sources, &chosen)?;
            match build::build(&folder.join("tree"), &folder.join("build"), &written)? {
                Built::Programs(programs) => return Ok((ids, programs)),
                Built::Rejected(rejected) => {
                    eprintln!("{} do not compile, others are drawn", rejected.len());
                    record.reject(rejected)?;
                }
            }
        }
    }
}

/// Judges what is left, several at the same time, and writes down each at once.
fn judge_all(
    folder: &Path,
    stages: &[Stage],
    left: VecDeque<(u32, &Site)>,
    jobs: usize,
    record: &mut Record,
) -> Result<(), String> {
    let tree = folder.join("tree");
    let room = |job: usize| -> Result<Room<'_>, String> {
        let folder: PathBuf = folder.join(format!("job-{job}"));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Room { tree: &tree, folder })
    };
    let base = room(0)?.base(stages)?;
    println!(
        "without a mutant all passes, and takes {:.1} s of the processor",
        base.iter().map(|base| base.processor).sum::<Duration>().as_secs_f64()
    );
    let (left, record) = (Mutex::new(left), Mutex::new(record));
    let work = |job: usize| -> Result<(), String> {
        let room = room(job)?;
        while let Some((id, site)) = { locked(&left).pop_front() } {
            let judged = room.judge(id, stages, &base)?;
            eprintln!("{:>5.1} s  {}", judged.seconds, report::line(site, &judged));
            locked(&record).judge(judged)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || work(job))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a judge panicked".to_owned())?)
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
