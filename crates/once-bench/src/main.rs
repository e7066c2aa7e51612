//! `once-bench` measures the ONCE engine beside yardsticks that contain no engine code.
//!
//! A bare figure says as much about the machine as about the engine. So every bar is a ratio of two medians taken
//! in the same run, on the same disk, in interleaved rounds: the engine against what its parts can do by
//! themselves. `rows` lists what is measured, `engine` holds the engine's rows, `yard` the yardsticks.

mod child;
mod engine;
mod idle;
mod machine;
mod noise;
mod report;
mod rounds;
mod rows;
mod yard;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

/// The allocator of the binary `once`, for yardsticks and engine alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Any failure: the bench only ever prints it.
pub type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Below this many rounds a median says little.
const ROUNDS_MIN: usize = 5;

/// Measures the ONCE engine beside bare yardsticks, in interleaved rounds.
#[derive(Parser)]
#[command(name = "once-bench", version)]
struct Args {
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Only these rows, and the yardsticks they are compared with
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Interleaved rounds; fewer than 5 only with --quick (default: 5, with --quick 1)
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Where the data goes, in a fresh folder that is removed at the end (default: the temporary folder)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Smoke figures: everything a twentieth as long
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// How often a kernel wakes while nobody acts, and what that costs
    Idle(idle::Idle),
    /// The second process of a row, started by the bench itself
    #[command(hide = true)]
    Child {
        #[command(subcommand)]
        part: child::Part,
    },
}

/// What every row gets to know: where its data goes and how long it should take.
pub struct Bench {
    dir: PathBuf,
    quick: bool,
}

impl Bench {
    /// This many of something, or a twentieth for smoke figures.
    pub fn scaled(&self, count: usize) -> usize {
        if self.quick { (count / 20).max(1) } else { count }
    }

    /// The folder of a row.
    pub fn dir(&self, row: &str) -> PathBuf {
        self.dir.join(row)
    }

    /// A folder that later rounds use again.
    pub fn kept_dir(&self, name: &str) -> PathBuf {
        self.dir.join(format!("kept-{name}"))
    }

    /// A folder of this row's own, empty.
    pub fn fresh_dir(&self, row: &str) -> Res<PathBuf> {
        let dir = self.dir.join(row);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }
}

/// Removes what the bench wrote, also after an error.
struct Scratch(PathBuf);

impl Scratch {
    fn below(parent: &Path) -> Res<Self> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        std::fs::create_dir_all(parent)?;
        let dir = parent.join(format!("once-bench-{}-{nanos}", std::process::id()));
        std::fs::create_dir(&dir)?;
        Ok(Self(dir.canonicalize()?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(err) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {err}", self.0.display());
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // One thread for the network: measured faster than a pool, and what the engine does too.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => return failed(&err),
    };
    let done = runtime.block_on(async {
        match args.command {
            Some(Command::Child { part }) => child::run(part).await.map(|()| ExitCode::SUCCESS),
            Some(Command::Idle(ref idle)) => tokio::select! {
                done = wakes(idle, args.dir.as_deref()) => done,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            },
            None => tokio::select! {
                done = measure(args) => done,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            },
        }
    });
    // A store row may still be writing on its thread after an interrupt; nobody waits for it.
    runtime.shutdown_background();
    done.unwrap_or_else(|err| failed(err.as_ref()))
}

fn failed(err: &(dyn Error + Send + Sync)) -> ExitCode {
    eprintln!("error: {err}");
    ExitCode::FAILURE
}

async fn wakes(idle: &idle::Idle, dir: Option<&Path>) -> Res<ExitCode> {
    let scratch = Scratch::below(dir.unwrap_or(&std::env::temp_dir()))?;
    idle.run(&scratch.0).await.map(|()| ExitCode::SUCCESS)
}

async fn measure(args: Args) -> Res<ExitCode> {
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { ROUNDS_MIN });
    if rounds == 0 || (rounds < ROUNDS_MIN && !args.quick) {
        eprintln!("error: at least {ROUNDS_MIN} rounds make a figure; fewer only with --quick");
        return Ok(ExitCode::from(2));
    }
    let rows = match rows::select(&args.only) {
        Ok(rows) => rows,
        Err(err) => {
            eprintln!("error: {err}");
            return Ok(ExitCode::from(2));
        }
    };
    let scratch = Scratch::below(&args.dir.unwrap_or_else(std::env::temp_dir))?;
    let machine = machine::Machine::look(&scratch.0)?;
    eprintln!("{machine}");
    let bench = Bench { dir: scratch.0.clone(), quick: args.quick };
    let book = rounds::run(&bench, &machine, &rows, rounds).await;
    let report = report::Report { machine, book, rounds, quick: args.quick };
    if args.json {
        println!("{:#}", report.json());
    } else {
        print!("{report}");
    }
    Ok(if report.book.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
