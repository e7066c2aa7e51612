//! Runs what judges a mutant, one stage after the other, until one of them notices.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::build::Programs;
use super::record::{Judged, Verdict};

/// The simulator's seeds, in two pieces: most of what it finds it finds early.
const SEEDS: [(u32, u32); 2] = [(0, 20), (20, 280)];

/// A mutant may take so many times what the engine takes as it is. It is counted in seconds of the processor, so that
/// it does not matter what else the machine does.
const TIMES: u32 = 5;

/// At least so long.
const LEAST: Duration = Duration::from_secs(10);

/// A program that does not run at all is stopped after so many times its processor limit.
const WAITS: u32 = 10;

/// Address space of one program: a mutant that eats all memory shall not take the machine with it.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;

/// One program, and what it is called in the report.
#[derive(Debug, Clone)]
pub struct Stage {
    pub name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    /// Working directory, relative to the copy.
    folder: &'static str,
}

/// All stages, in order.
pub fn stages(programs: &Programs) -> Vec<Stage> {
    let tests = |name, folder, programs: &[PathBuf]| {
        let stage = |program: &PathBuf| Stage { name, program: program.clone(), args: Vec::new(), folder };
        programs.iter().map(stage).collect::<Vec<_>>()
    };
    let seeds = SEEDS.map(|(first, count)| Stage {
        name: "seeds",
        program: programs.simulator.clone(),
        args: ["--seed", &first.to_string(), "--seeds", &count.to_string()].map(str::to_owned).to_vec(),
        folder: "crates/once-sim",
    });
    [
        tests("core", "crates/once-core", &programs.core),
        tests("stories", "crates/once-sim", &programs.stories),
        seeds.to_vec(),
    ]
    .concat()
}

/// How a stage ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Passed,
    /// With the first thing that it found.
    Failed(String),
    /// It had no time or memory left.
    Exhausted,
}

/// How a stage ended, and what else it said.
struct Ran {
    end: End,
    /// It came to the place of the mutant.
    reached: bool,
    /// What of the simulator's list its seeds did not come to.
    missed: BTreeSet<String>,
}

/// What a stage does without a mutant.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// How long it keeps the processor.
    pub processor: Duration,
    missed: BTreeSet<String>,
}

/// Where a judge works.
pub struct Room<'a> {
    pub tree: &'a Path,
    /// For files of its own.
    pub folder: PathBuf,
}

impl Room<'_> {
    /// Runs all stages on the engine as it is, and says how much of the processor each takes.
    ///
    /// # Errors
    ///
    /// One of them does not pass: then none can judge.
    pub fn base(&self, stages: &[Stage]) -> Result<Vec<Base>, String> {
        let limit = Duration::from_secs(3600);
        let mut took = Vec::new();
        for stage in stages {
            let (started, before) = (Instant::now(), processor_of_children());
            let Ran { end, missed, .. } = self.run(stage, 0, limit)?;
            if end != End::Passed {
                let program = stage.program.display();
                return Err(format!("without a mutant, '{}' ({program}) does not pass: {end:?}", stage.name));
            }
            let used =
                processor_of_children().zip(before).map(|(after, before)| after.saturating_sub(before));
            took.push(Base { processor: used.unwrap_or_else(|| started.elapsed() * cores()), missed });
        }
        Ok(took)
    }

    /// Judges one mutant. `base` says what each stage takes of the processor without it.
    pub fn judge(&self, id: u32, stages: &[Stage], base: &[Base]) -> Result<Judged, String> {
        let started = Instant::now();
        let mut judged = Judged::survived(id);
        for (stage, base) in stages.iter().zip(base) {
            let limit = (base.processor * TIMES).max(LEAST);
            let Ran { end, reached, missed } = self.run(stage, id, limit)?;
            if reached && judged.reached.last().is_none_or(|last| last != stage.name) {
                judged.reached.push(stage.name.to_owned());
            }
            (judged.verdict, judged.why) = match end {
                End::Passed => {
                    judged.missed = missed.difference(&base.missed).cloned().collect();
                    continue;
                }
                End::Failed(why) => (Verdict::Caught, Some(why)),
                End::Exhausted => (Verdict::Timeout, None),
            };
            judged.stage = Some(stage.name.to_owned());
            judged.missed.clear();
            break;
        }
        judged.seconds = started.elapsed().as_secs_f64();
        Ok(judged)
    }

    /// Runs a stage with one mutant.
    fn run(&self, stage: &Stage, id: u32, limit: Duration) -> Result<Ran, String> {
        let (log, mark) = (self.folder.join("log"), self.folder.join("reached"));
        let wrong = |error: std::io::Error| format!("{}: {error}", stage.program.display());
        let _ = std::fs::remove_file(&mark);
        let out = File::create(&log).map_err(wrong)?;
        let folder = self.tree.join(stage.folder);
        let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -t {}; exec \"$@\"", limit.as_secs());
        let mut child = Command::new("sh")
            .args(["-c", &limits, "sh"])
            .arg(&stage.program)
            .args(&stage.args)
            .current_dir(&folder)
            .env("CARGO_MANIFEST_DIR", &folder)
            .env("ONCE_MUTANT", id.to_string())
            .env("ONCE_MUTANT_REACHED", &mark)
            // The same cases for each mutant, and none learns from another.
            .env("PROPTEST_RNG_SEED", "1")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(wrong)?)
            .stderr(out)
            .spawn()
            .map_err(wrong)?;
        let deadline = Instant::now() + limit * WAITS;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(wrong)? {
                break Some(status);
            }
            if Instant::now() > deadline {
                child.kill().and_then(|()| child.wait()).map_err(wrong)?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = std::fs::read(&log).map_err(wrong)?;
        let said = String::from_utf8_lossy(&said);
        Ok(Ran { end: end(status, &said), reached: mark.exists(), missed: missed(&said) })
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// What the programs that this one started and that ended took of the processor, where the system says so (`proc(5)`).
fn processor_of_children() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything, come the fields from the third on; 16 and 17 are in hundredths.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// What a program's end and words mean.
fn end(status: Option<ExitStatus>, said: &str) -> End {
    let Some(status) = status else { return End::Exhausted };
    match status.signal() {
        Some(SIGKILL | SIGXCPU) => return End::Exhausted,
        Some(SIGABRT) if said.contains("memory allocation of") => return End::Exhausted,
        _ => {}
    }
    // The simulator also fails when its seeds are too few to reach all of its list, which any change can make of a rare
    // thing. That no promise was broken counts; what was missed is told with the mutant.
    let is_whole = status.code() == Some(1) && said.lines().any(|line| line == "violations 0");
    if status.success() || is_whole { End::Passed } else { End::Failed(why(said)) }
}

/// What the simulator's list has and its seeds did not come to: `never_reached 2: one, two`.
fn missed(said: &str) -> BTreeSet<String> {
    let line = said.lines().find_map(|line| line.strip_prefix("never_reached "));
    let names = line.and_then(|line| line.split_once(": ")).map_or("", |(_, names)| names);
    names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The first thing that was found: a test, a broken promise, or a panic.
fn why(said: &str) -> String {
    let test = said.lines().find(|line| line.starts_with("test ") && line.ends_with("FAILED"));
    let promise = said.lines().skip_while(|line| !line.starts_with("seed ")).nth(1);
    let panic = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    test.or(promise).or(panic).or(last).unwrap_or_default().trim().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(code << 8))
    }

    fn killed(signal: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(signal))
    }

    #[test]
    fn only_what_a_test_or_a_checker_says_is_a_catch() {
        assert_eq!(end(exited(0), ""), End::Passed);
        let failed = "test rights::tests::a ... ok\ntest rights::tests::b ... FAILED\n";
        assert_eq!(end(exited(101), failed), End::Failed("test rights::tests::b ... FAILED".into()));
        let broken = "seeds 0 to 19: 1.0 s\nseed 4:\n  promise 7: read without a right\nviolations 1\n";
        assert_eq!(end(exited(1), broken), End::Failed("promise 7: read without a right".into()));
        let panicked = "thread 'main' panicked at src/a.rs:1:2:\nattempt to subtract with overflow\n";
        assert_eq!(end(exited(101), panicked), End::Failed("attempt to subtract with overflow".into()));
        assert_eq!(end(killed(11), "stack\n"), End::Failed("stack".into()));
    }

    #[test]
    fn too_few_seeds_are_no_catch() {
        assert_eq!(end(exited(1), "violations 0\nnever_reached 1: refusal quota\n"), End::Passed);
        let said = "violations 0\nnever_reached 2: refusal quota, share Known\n";
        assert_eq!(missed(said), BTreeSet::from(["refusal quota".to_owned(), "share Known".to_owned()]));
        assert!(missed("violations 0\nnever_reached 0: \n").is_empty());
    }

    #[test]
    fn no_time_and_no_memory_are_no_catch() {
        assert_eq!(end(None, ""), End::Exhausted);
        assert_eq!(end(killed(SIGKILL), "test a ... FAILED"), End::Exhausted);
        assert_eq!(end(killed(SIGXCPU), ""), End::Exhausted);
        assert_eq!(end(killed(SIGABRT), "memory allocation of 5 bytes failed"), End::Exhausted);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_processor_time_of_programs_is_counted() {
        let before = processor_of_children().unwrap();
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        assert!(processor_of_children().unwrap() > before);
    }

    #[test]
    fn a_program_is_stopped_at_its_limit_and_the_mutant_is_told_by_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        let room = Room { tree: dir.path(), folder: dir.path().join("work") };
        let script = "[ $ONCE_MUTANT = 0 ] && exit 0; : >\"$ONCE_MUTANT_REACHED\"; [ $ONCE_MUTANT = 1 ] && exit 3; \
                      while :; do :; done";
        let args = vec!["-c".to_owned(), script.to_owned()];
        let stages = [Stage { name: "core", program: "/bin/sh".into(), args, folder: "" }];
        assert_eq!(room.base(&stages).unwrap().len(), 1);
        let base = [Base::default()];
        let caught = room.judge(1, &stages, &base).unwrap();
        assert_eq!((caught.verdict, caught.reached.len()), (Verdict::Caught, 1));
        let hung = room.run(&stages[0], 2, Duration::from_secs(1)).unwrap();
        assert_eq!((hung.end, hung.reached), (End::Exhausted, true));
    }
}
