//! `once-sim`: seeds, replays and mutants. Data goes to stdout, progress to stderr.

mod figures;
mod proof;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use once_core::mutants::{Mutant, plant};
use once_sim::seed::{self, Eyes};

use figures::{measure, parallel};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "once-sim [--seeds N] [--seed S] [--json] [--mutants] [--mutant NAME] [--proof FILE]

--seeds N      run N seeds, from 0 or from the one given with --seed (default 200)
--seed S       alone: replay one seed and print every event
--json         print one JSON object
--mutants      plant every known bug in turn and look for it in at most N seeds (default 200)
--eyes WHO     who looks: all (default), judge (the model of the documents alone), checkers (all but that)
--mutant NAME  only this one; with --seed S alone it is replayed with every event
--proof FILE   run many seeds (default 40,000) on a clean commit, and write their figures to FILE with the commit and the
               hashes of its trees; add FILE in the next commit, and nothing else with it

Exit codes: 0 all is well; 1 a promise was broken, a planted bug survived, something is never reached (so too few seeds, or
a list that is too long), or the proof was not written; 2 wrong use.";

/// Seeds of a proof, unless told otherwise.
const PROOF_SEEDS: u64 = 40_000;

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    seed: Option<u64>,
    json: bool,
    mutants: bool,
    mutant: Option<Mutant>,
    proof: Option<PathBuf>,
    eyes: Eyes,
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
            "--proof" => options.proof = Some(args.next().ok_or("--proof needs a file")?.into()),
            "--eyes" => {
                options.eyes = match args.next().unwrap_or_default().as_str() {
                    "all" => Eyes::All,
                    "judge" => Eyes::Judge,
                    "checkers" => Eyes::Checkers,
                    other => return Err(format!("--eyes {other}: all, judge or checkers")),
                }
            }
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
    if let Some(path) = &options.proof {
        if options.mutants || options.mutant.is_some() {
            eprintln!("a proof is of the engine without planted bugs: leave --mutant away");
            return ExitCode::from(2);
        }
        return prove(path, &options);
    }
    match (options.mutants, options.seed, options.seeds) {
        (true, ..) => mutants(&options),
        (false, Some(seed), None) => replay(seed, &options),
        _ => seeds(&options),
    }
}

fn replay(seed: u64, options: &Options) -> ExitCode {
    plant(options.mutant);
    let outcome = seed::run_before(options.eyes, seed, true);
    println!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash);
    for violation in &outcome.violations {
        println!("{violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn seeds(options: &Options) -> ExitCode {
    let figures =
        measure(options.seed.unwrap_or(0), options.seeds.unwrap_or(200), options.mutant, options.eyes);
    figures.tell();
    let (never, violations) = (figures.cover.never_reached(), figures.violations());
    if options.json {
        println!("{}", figures.json());
    } else {
        let (p50, hash) = (figures.events_p50(), figures.hash());
        println!("seeds {}\nviolations {violations}", figures.seeds);
        println!("events_per_seed_p50 {p50}\nevent_hash {hash:016x}");
        print!("{}", figures.judged);
        println!("never_reached {}: {}", never.len(), never.join(", "));
    }
    // What is never reached is not checked either.
    if violations == 0 && never.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prove(path: &Path, options: &Options) -> ExitCode {
    match proof::write(path, options.seed.unwrap_or(0), options.seeds.unwrap_or(PROOF_SEEDS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
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
            let outcome = seed::run_before(options.eyes, seed, false);
            let first = outcome.violations.into_iter().next()?;
            found.fetch_min(seed, Ordering::Relaxed);
            Some((seed, first))
        });
        match caught.iter().min_by_key(|(seed, _)| *seed) {
            Some((seed, violation)) => {
                let by = violation.check.map_or_else(
                    || format!("promise={}", violation.promise),
                    |(check, _)| format!("check={check}"),
                );
                println!("{:<24} caught seed={seed} {by}", mutant.name());
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
