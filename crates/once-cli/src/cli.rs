//! The command line as a whole: global options, the list of commands, logging.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::cmd;
use crate::context::Context;
use crate::demo;
use crate::failure::{Done, Failure, USAGE, report};
use crate::help::by_task;
use crate::ui;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused, 4 unreachable or unknown, 5 our fault, 6 in doubt.

An object is named by its UUID, a unique beginning of that (4 digits or more), or an IOR; where two objects share a UUID, \
by UUID#LINEAGE or UUID@HASH. A peer is named by its petname, its kernel id, or a unique beginning of that.";

/// Kernels that keep scenarios, and exchange them with each other: no broker, no server, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "once", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The kernel's data directory (default: `once` in the user's data folder, like ~/.local/share/once)
    #[arg(long, global = true, env = "ONCE_DATA", hide_env_values = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON: one object per command
    #[arg(long, global = true)]
    json: bool,
    /// Log more to stderr: -v, -vv, -vvv (or a filter in ONCE_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How the log, and what is said on stderr, looks: lines for people, or one JSON object a line
    #[arg(
        long,
        global = true,
        env = "ONCE_LOG_FORMAT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: ui::LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(cmd::init::Init),
    Up(cmd::up::Up),
    Stop(cmd::stop::Stop),
    Status(cmd::status::Status),
    Service(cmd::service::Service),
    Metrics(cmd::metrics::Metrics),
    Invite(cmd::invite::Invite),
    Invites(cmd::invites::Invites),
    Join(cmd::join::Join),
    Peers(cmd::peers::Peers),
    Import(cmd::import::Import),
    Export(cmd::export::Export),
    Ls(cmd::ls::Ls),
    Find(cmd::find::Find),
    Watch(cmd::watch::Watch),
    Show(cmd::show::Show),
    Create(cmd::create::Create),
    Put(cmd::put::Put),
    Rm(cmd::rm::Rm),
    Claim(cmd::claim::Claim),
    Act(cmd::act::Act),
    Actions(cmd::actions::Actions),
    Outcome(cmd::outcome::Outcome),
    Coordinate(cmd::coordinate::Coordinate),
    Coordinations(cmd::coordinations::Coordinations),
    Coordination(cmd::coordination::Coordination),
    Cancel(cmd::cancel::Cancel),
    Receipt(cmd::receipt::Receipt),
    VerifyReceipt(cmd::verify_receipt::VerifyReceipt),
    History(cmd::history::History),
    Refs(cmd::refs::Refs),
    Share(cmd::share::Share),
    Request(cmd::request::Request),
    Exchange(cmd::exchange::Exchange),
    Move(cmd::move_to::Move),
    Moves(cmd::moves::Moves),
    Drain(cmd::drain::Drain),
    Retire(cmd::retire::Retire),
    Follow(cmd::follow::Follow),
    Unfollow(cmd::unfollow::Unfollow),
    Conflicts(cmd::conflicts::Conflicts),
    Grant(cmd::grant::Grant),
    Revoke(cmd::revoke::Revoke),
    Grants(cmd::grants::Grants),
    Outbox(cmd::outbox::Outbox),
    DeadLetters(cmd::dead_letters::DeadLetters),
    Demo(demo::Demo),
    Doctor(cmd::doctor::Doctor),
    Clock(cmd::clock::Clock),
    Quarantine(cmd::quarantine::Quarantine),
    Api(cmd::api::Api),
    Completions(cmd::completions::Completions),
    Man(cmd::man::Man),
}

impl Cli {
    /// What was asked for; or nothing, when all is said that there is to say: help, the version, wrong use.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        let parsed = by_task(Self::command()).try_get_matches();
        let wrong = match parsed.and_then(|matches| Self::from_arg_matches(&matches)) {
            Ok(cli) => return Ok(cli),
            Err(wrong) => wrong,
        };
        let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
        ui::called(std::env::args_os().next(), None);
        if !wrong.use_stderr() || wrong.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            // Nobody is there to hear that nobody is there.
            let _ = wrong.print();
            if wrong.use_stderr() && json {
                let _ = ui::print_json(&usage(&wrong).json());
            }
        } else {
            report(&usage(&wrong), json);
        }
        Err(ExitCode::from(u8::try_from(wrong.exit_code()).unwrap_or(USAGE)))
    }
}

/// What clap says on several lines, as one message and what to do next.
fn usage(wrong: &clap::Error) -> Failure {
    let text = wrong.render().to_string();
    let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = parts.next().unwrap_or_default();
    let said = first.strip_prefix("error: ").filter(|said| !said.is_empty());
    let failure = Failure::usage(said.unwrap_or("a command is missing, or a part of it"));
    let (path, mut command) = asked();
    let line = |begin: &str| text.lines().find_map(|line| line.trim().strip_prefix(begin)).map(str::to_owned);
    let guess = match wrong.get(ContextKind::SuggestedSubcommand) {
        // The nearest is the last one.
        Some(ContextValue::Strings(near)) => near.last().map(|near| format!("did you mean '{near}'? ")),
        Some(ContextValue::String(near)) => Some(format!("did you mean '{near}'? ")),
        _ => line("tip: ").map(|tip| format!("{tip}; ")),
    };
    let guess = guess.unwrap_or_default();
    if path.is_empty() {
        return failure.hint(format!("{guess}`once --help` lists the commands"));
    }
    let usage = command.render_usage().to_string();
    let shape = usage.trim_start_matches("Usage:").lines().next().unwrap_or_default().trim();
    failure.hint(format!("{guess}it is used as '{shape}', and `once {path} --help` says more"))
}

/// The command that was named, as far as there is such a one.
fn asked() -> (String, clap::Command) {
    let mut command = Cli::command();
    command.build();
    let mut path = Vec::new();
    for word in std::env::args_os().skip(1) {
        let Some(inner) = command.find_subcommand(&word) else { continue };
        path.push(inner.get_name().to_owned());
        command = inner.clone();
    }
    (path.join(" "), command)
}

/// Runs the command. The first of the pair: whether it was to answer with JSON.
pub fn run(cli: Cli) -> (bool, Done) {
    let Cli { global, command } = cli;
    ui::log_as(global.log_format);
    log(global.verbose, global.log_format);
    let json = global.json;
    let context = Context::new(global.data, json, global.log_format);
    let named = context.as_ref().ok().and_then(|context| context.named.as_deref());
    ui::called(std::env::args_os().next(), named);
    (json, context.and_then(|context| start(&context, command)))
}

fn start(context: &Context, command: Command) -> Done {
    if matches!(command, Command::Init(_) | Command::Up(_)) {
        // What a kernel writes while it runs is for its user alone; an export has the rights of any other file.
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    }
    match command {
        Command::Init(args) => args.run(context),
        Command::Up(args) => wait(args.run(context)),
        Command::Stop(args) => wait(args.run(context)),
        Command::Status(args) => wait(args.run(context)),
        Command::Service(args) => args.run(context),
        Command::Metrics(args) => wait(args.run(context)),
        Command::Invite(args) => wait(args.run(context)),
        Command::Invites(args) => wait(args.run(context)),
        Command::Quarantine(args) => wait(args.run(context)),
        Command::Clock(args) => wait(args.run(context)),
        Command::Join(args) => wait(args.run(context)),
        Command::Peers(args) => wait(args.run(context)),
        Command::Import(args) => wait(args.run(context)),
        Command::Export(args) => wait(args.run(context)),
        Command::Ls(args) => wait(args.run(context)),
        Command::Find(args) => wait(args.run(context)),
        Command::Watch(args) => wait(args.run(context)),
        Command::Show(args) => wait(args.run(context)),
        Command::Create(args) => wait(args.run(context)),
        Command::Put(args) => wait(args.run(context)),
        Command::Rm(args) => wait(args.run(context)),
        Command::Act(args) => wait(args.run(context)),
        Command::Actions(args) => wait(args.run(context)),
        Command::Outcome(args) => wait(args.run(context)),
        Command::Coordinate(args) => wait(args.run(context)),
        Command::Coordinations(args) => wait(args.run(context)),
        Command::Coordination(args) => wait(args.run(context)),
        Command::Cancel(args) => wait(args.run(context)),
        Command::Receipt(args) => wait(args.run(context)),
        Command::VerifyReceipt(args) => args.run(context),
        Command::History(args) => wait(args.run(context)),
        Command::Claim(args) => wait(args.run(context)),
        Command::Refs(args) => wait(args.run(context)),
        Command::Share(args) => wait(args.run(context)),
        Command::Request(args) => wait(args.run(context)),
        Command::Exchange(args) => wait(args.run(context)),
        Command::Move(args) => wait(args.run(context)),
        Command::Moves(args) => wait(args.run(context)),
        Command::Follow(args) => wait(args.run(context)),
        Command::Unfollow(args) => wait(args.run(context)),
        Command::Conflicts(args) => wait(args.run(context)),
        Command::Grant(args) => wait(args.run(context)),
        Command::Revoke(args) => wait(args.run(context)),
        Command::Grants(args) => wait(args.run(context)),
        Command::Outbox(args) => wait(args.run(context)),
        Command::DeadLetters(args) => wait(args.run(context)),
        Command::Demo(args) => wait(args.run(context)),
        Command::Drain(args) => wait(args.run(context)),
        Command::Retire(args) => wait(args.run(context)),
        Command::Doctor(args) => wait(args.run(context)),
        Command::Api(args) => args.run(),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(context),
    }
}

/// One thread for the network and the client; the engine has its own.
fn wait<T>(command: impl Future<Output = Done<T>>) -> Done<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("cannot start: {error}")))?;
    runtime.block_on(command)
}

/// Quiet unless something is wrong. `ONCE_LOG` takes the place of `-v`.
fn log(verbose: u8, format: ui::LogFormat) {
    let default = match verbose {
        // What the store says of itself to programmers is said by us in other words.
        0 => "error,fjall=off,lsm_tree=off",
        1 => "warn,once=info,once_core=info,once_store=info,swarm_discovery=error",
        2 => "info,once=debug,once_core=debug,once_store=debug",
        _ => "debug,once=trace,once_core=trace,once_store=trace",
    };
    let filter = EnvFilter::try_from_env("ONCE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let paint =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Someone else's subscriber is none of our business.
    let _ = match format {
        ui::LogFormat::Text => logs.with_ansi(paint).with_target(false).try_init(),
        ui::LogFormat::Json => logs.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
