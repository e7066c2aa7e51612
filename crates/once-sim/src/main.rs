//! `once-sim`: seeds, replays and mutants. Data goes to stdout, progress to stderr.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use once_core::mutants::{Mutant, plant};
use once_sim::coverage::Coverage;
use once_sim::seed::{self, Outcome};

const USAGE: &str = "once-sim [--seeds N] [--seed S] [--json] [--mutants] [--mutant NAME]

--seeds N      run N seeds, from 0 or from the one given with --seed (default 200)
--seed S       alone: replay one seed and print every event
--json         print one JSON object
--mutants      plant every known bug in turn and look for it in at most N seeds (default 200)
--mutant NAME  only this one; with --seed S alone it is replayed with every event";

/// Worker threads. The result does not depend on how many there are.
const THREADS: usize = 2;

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    seed: Option<u64>,
    json: bool,
    mutants: bool,
    mutant: Option<Mutant>,
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args.next().ok_or(format!("{arg} needs a number"))?;
            value.parse::<u64>().map_err(|error| format!("{arg} {value}: {error}"))
        };
        match arg.as_str() {
            "--seeds" => options.seeds = Some(number()?),
            "--seed" => options.seed = Some(number()?),
            "--json" => options.json = true,
            "--mutants" => options.mutants = true,
            "--mutant" => {
                let name = args.next().unwrap_or_default();
                let known = Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name);
                options.mutant = Some(known.ok_or(format!("no mutant is called '{name}'"))?);
            }
            _ => return Err(format!("what is '{arg}'?\n\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    if std::env::args().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match (options.mutants, options.seed, options.seeds) {
        (true, ..) => mutants(&options),
        (false, Some(seed), None) => replay(seed, options.mutant),
        _ => seeds(&options),
    }
}

/// Runs `work` for each number from `first`, on all threads, until it says that that is enough.
fn parallel<T: Send>(first: u64, count: u64, work: impl Fn(u64) -> Option<T> + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let one = || {
        let mut found = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return found;
            }
            found.extend(work(first + n));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

fn replay(seed: u64, mutant: Option<Mutant>) -> ExitCode {
    plant(mutant);
    let outcome = seed::run(seed, true);
    println!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash);
    for violation in &outcome.violations {
        println!("{violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn seeds(options: &Options) -> ExitCode {
    let count = options.seeds.unwrap_or(200);
    let first = options.seed.unwrap_or(0);
    let started = std::time::Instant::now();
    let mut outcomes = parallel(first, count, |seed| {
        plant(options.mutant);
        Some(seed::run(seed, false))
    });
    outcomes.sort_by_key(|outcome| outcome.seed);
    let mut events: Vec<u64> = outcomes.iter().map(|outcome| outcome.events).collect();
    events.sort_unstable();
    let p50 = events.get(events.len() / 2).copied().unwrap_or(0);
    let hash = outcomes.iter().fold(0u64, |hash, outcome| {
        (hash.rotate_left(7) ^ outcome.seed).wrapping_mul(0x517c_c1b7_2722_0a95) ^ outcome.hash
    });
    let mut cover = Coverage::default();
    outcomes.iter().for_each(|outcome| cover.add(&outcome.cover));
    let broken: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).collect();
    for outcome in broken.iter().take(10) {
        eprintln!("seed {}:", outcome.seed);
        outcome.violations.iter().take(4).for_each(|violation| eprintln!("  {violation}"));
        eprintln!("  replay: cargo run --release -p once-sim -- --seed {}", outcome.seed);
    }
    let violations: usize = broken.iter().map(|outcome| outcome.violations.len()).sum();
    let never = cover.never_reached();
    eprintln!("{count} seeds in {:.1} s", started.elapsed().as_secs_f64());
    for name in cover.unexpected() {
        eprintln!("met, but not in the list: {name}");
    }
    if options.json {
        let quoted: Vec<String> = never.iter().map(|name| format!("\"{name}\"")).collect();
        println!(
            "{{\"seeds\":{count},\"violations\":{violations},\"events_per_seed_p50\":{p50},\
             \"event_hash\":\"{hash:016x}\",\"never_reached\":[{}]}}",
            quoted.join(",")
        );
    } else {
        println!("seeds {count}\nviolations {violations}\nevents_per_seed_p50 {p50}\nevent_hash {hash:016x}");
        println!("never_reached {}: {}", never.len(), never.join(", "));
    }
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn mutants(options: &Options) -> ExitCode {
    let most = options.seeds.unwrap_or(200);
    let wanted = Mutant::ALL.iter().filter(|mutant| options.mutant.is_none_or(|only| only == **mutant));
    let mut survived = 0;
    for mutant in wanted {
        let found = AtomicU64::new(u64::MAX);
        let caught = parallel(options.seed.unwrap_or(0), most, |seed| {
            // The lowest seed counts, whichever thread is faster.
            if seed > found.load(Ordering::Relaxed) {
                return None;
            }
            plant(Some(*mutant));
            let outcome = seed::run(seed, false);
            let first = outcome.violations.into_iter().next()?;
            found.fetch_min(seed, Ordering::Relaxed);
            Some((seed, first))
        });
        match caught.iter().min_by_key(|(seed, _)| *seed) {
            Some((seed, violation)) => {
                println!("{:<24} caught seed={seed} promise={}", mutant.name(), violation.promise);
                eprintln!("{:<24} {}", "", violation.what);
            }
            None => {
                survived += 1;
                println!(
                    "{:<24} SURVIVED {most} seeds (should break promise {})",
                    mutant.name(),
                    mutant.promise()
                );
            }
        }
    }
    println!("survived {survived}");
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
