//! `once up`

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::FalseyValueParser;
use once::api::contract::{Event, Listen, LossInfo, Peers, Status, StatusResult};
use once::api::{Client, EventFeed};
use once::{Chatter, ErrorKind, InitOptions, Kernel};
use serde::Serialize;

use super::status::warnings;
use crate::context::Context;
use crate::failure::{Done, Exit, Failure, plain};
use crate::{log, notify, ui};

/// How long `--detach` waits for the kernel in the background to answer.
const READY_MAX: Duration = Duration::from_secs(30);
const READY_STEP: Duration = Duration::from_millis(10);

/// How long the kernel that ran before may take to close its store.
const CLOSING_MAX: Duration = Duration::from_secs(5);
const CLOSING_STEP: Duration = Duration::from_millis(50);

/// What nobody shall overlook.
const QUARANTINED: &str = "IN QUARANTINE: the data of this kernel was put back from a backup. Nothing runs, and nothing \
    leaves: `once quarantine` says more.";

/// Start the kernel: it runs until Ctrl-C, SIGTERM or `once stop`
///
/// Says who it is and where it listens, then which peers come and go. Whatever it acknowledged is on disk, so it may
/// also be killed.
#[derive(Debug, Args)]
pub struct Up {
    /// Make the kernel first if there is none in the data directory
    #[arg(long)]
    init: bool,
    /// What it calls itself when it meets others
    #[arg(long)]
    name: Option<String>,
    /// The UDP address it listens on this time; `[::]:PORT` is every address of both families
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A relay to be reachable through from behind a NAT
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// Of how many of the newest entries of each object `once history` says what was asked, this time; 0 of none. Without it
    /// the scenario of the kernel says (`told`), else of 1000
    #[arg(long, value_name = "ENTRIES")]
    told: Option<u64>,
    /// How many earlier revisions of each object are kept for `once show --revision`, this time: of objects that live here, at most
    /// 64 and 16 MiB each. Without it the scenario of the kernel says (`revisions`), else none
    #[arg(long, value_name = "N")]
    revisions: Option<usize>,
    /// Neither announce this kernel on the local network by multicast DNS nor look for peers there. For good: `"lan": false` in
    /// the scenario of the kernel
    #[arg(long, env = "ONCE_NO_LAN", value_parser = FalseyValueParser::new(), hide_env_values = true)]
    no_lan: bool,
    /// Go on in the background, and come back when the kernel is ready
    #[arg(short, long)]
    detach: bool,
    /// Stop when stdin ends: for whoever starts a kernel and must not leave it behind
    #[arg(long, hide = true, conflicts_with = "detach")]
    leash: bool,
    /// What it says goes to the log of the data directory: how `--detach` starts it
    #[arg(long, hide = true, conflicts_with = "detach")]
    logged: bool,
}

impl Up {
    /// Returns when the kernel has stopped cleanly; with `--detach` when it is ready.
    pub async fn run(self, context: &Context) -> Done {
        if self.logged {
            ui::begin_log();
        }
        if self.init && !once::is_initialised(&context.data) {
            let (name, listen, relay) = (self.name.clone(), self.listen.clone(), self.relay.clone());
            once::init(&context.data, InitOptions { name, listen, relay })?;
        }
        context.initialised()?;
        if self.detach { self.background(context).await } else { self.foreground(context).await }
    }

    async fn foreground(self, context: &Context) -> Done {
        let begun = Instant::now();
        if context.log_format == ui::LogFormat::Json && !context.json {
            // A journal has one stream of both: all of it is for programs.
            ui::begin_log();
        }
        allow_files();
        // Before the kernel starts: a signal that comes meanwhile must find someone.
        let mut signals = Signals::new()?;
        let mut kernel = Kernel::builder(&context.data).lan(!self.no_lan);
        if let Some(name) = self.name {
            kernel = kernel.name(name);
        }
        if let Some(listen) = &self.listen {
            kernel = kernel.listen(listen);
        }
        if let Some(relay) = &self.relay {
            kernel = kernel.relay(relay);
        }
        if let Some(told) = self.told {
            kernel = kernel.told(told);
        }
        if let Some(revisions) = self.revisions {
            kernel = kernel.revisions(revisions);
        }
        notify::starting();
        let kernel = start(context, kernel).await?;
        let outcome = tokio::select! {
            outcome = serve(context, &kernel, begun, self.leash, &mut signals) => outcome,
            () = log::keep_short(&context.data), if self.logged => Ok(()),
        };
        notify::stopping();
        let stopped = tokio::select! {
            stopped = kernel.stop() => stopped,
            () = signals.next() => return Err(Failure::failed("stopped at once, as told twice")
                .hint("nothing acknowledged is lost; the next start takes a moment longer")),
        };
        outcome?;
        stopped?;
        if !self.leash {
            ui::say("stopped");
        }
        Ok(Exit::DONE)
    }

    async fn background(self, context: &Context) -> Done {
        if Client::connect(&context.data).await?.is_some() {
            return Err(Failure::failed(format!(
                "the kernel in {} runs already",
                ui::shown_path(&context.data)
            ))
            .hint("`once status` says more, `once stop` stops it"));
        }
        let log = log::path(&context.data);
        let open = || {
            let file = log::open(&context.data)?;
            Ok((file.metadata()?.len(), file.try_clone()?, file, std::env::current_exe()?))
        };
        let (begins, out, err, program) =
            open().map_err(|error: std::io::Error| Failure::io(&log, &error))?;
        let mut command = Command::new(program);
        // Called as this program was, so that its hints are those of this one.
        #[cfg(unix)]
        std::env::args_os().next().map(|name| std::os::unix::process::CommandExt::arg0(&mut command, name));
        self.pass_on(context, &mut command);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // Whoever watches this process does not watch that one.
        for name in notify::ENVIRONMENT {
            command.env_remove(name);
        }
        // A group of its own, so that Ctrl-C here does not reach it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child =
            command.spawn().map_err(|error| Failure::fault(format!("cannot start: {}", plain(&error))))?;
        let begun = Instant::now();
        loop {
            if let Some(client) = Client::connect(&context.data).await? {
                let status = client.ask(Status {}).await?;
                announce(context, &status, Some(&log))?;
                ui::say(&format!(
                    "Running in the background. The log is {}; `once stop` stops it.",
                    ui::shown_path(&log)
                ));
                return Ok(Exit::DONE);
            }
            let ended = child.try_wait().map_err(|error| Failure::io(&log, &error))?;
            if ended.is_some() || begun.elapsed() > READY_MAX {
                let (error, hint) = log::last_words(&context.data, begins);
                let failure = Failure::failed(error.unwrap_or_else(|| "the kernel did not start".to_owned()));
                let shown = ui::shown_path(&log);
                let hint = hint.map_or_else(
                    || format!("{shown} says more"),
                    |hint| format!("{hint} ({shown} says more)"),
                );
                let exit = ended.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
                return Err(
                    Failure { exit: exit.filter(|exit| *exit > 0).unwrap_or(1), ..failure }.hint(hint)
                );
            }
            tokio::time::sleep(READY_STEP).await;
        }
    }

    /// What was said to this command is said to the one in the background.
    fn pass_on(&self, context: &Context, command: &mut Command) {
        if let Some(data) = &context.named {
            command.arg("--data").arg(data);
        }
        if context.log_format == ui::LogFormat::Json {
            command.args(["--log-format", "json"]);
        }
        command.args(["up", "--logged"]);
        let told = self.told.map(|entries| entries.to_string());
        let revisions = self.revisions.map(|revisions| revisions.to_string());
        if self.no_lan {
            command.arg("--no-lan");
        }
        for (option, value) in [
            ("--name", &self.name),
            ("--listen", &self.listen),
            ("--relay", &self.relay),
            ("--told", &told),
            ("--revisions", &revisions),
        ] {
            if let Some(value) = value {
                command.arg(option).arg(value);
            }
        }
    }
}

/// Starts it. The kernel that ran before may still be closing its store.
async fn start(context: &Context, kernel: once::Builder) -> Done<Kernel> {
    let begun = Instant::now();
    loop {
        match kernel.clone().start().await {
            Ok(kernel) => return Ok(kernel),
            Err(error) if error.kind() == ErrorKind::InUse && begun.elapsed() < CLOSING_MAX => {
                if Client::connect(&context.data).await?.is_some() {
                    return Err(runs_already(context));
                }
                tokio::time::sleep(CLOSING_STEP).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn runs_already(context: &Context) -> Failure {
    Failure::failed(format!("the kernel in {} runs already", ui::shown_path(&context.data)))
        .hint("`once status` says more, `once stop` stops it")
}

/// From ready to the first reason to stop.
async fn serve(
    context: &Context,
    kernel: &Kernel,
    begun: Instant,
    leash: bool,
    signals: &mut Signals,
) -> Done<()> {
    kernel.serve_api().await?;
    let client = Client::connect(&context.data).await?;
    let client = client.ok_or_else(|| Failure::fault("the kernel does not answer on its own socket"))?;
    // Before it is said how it is: what happens from here on is told.
    let events = client.listen(Listen::default()).await?;
    announce(context, &client.ask(Status {}).await?, None)?;
    if !leash {
        let took = ui::duration_us(begun.elapsed().as_micros() as u64);
        ui::say(&format!("Ready after {took}. Ctrl-C stops it."));
    }
    notify::ready(kernel);
    tokio::select! {
        stopped = kernel.stopped() => Ok(stopped?),
        () = signals.next() => Ok(()),
        () = stdin_ends(), if leash => Ok(()),
        () = notify::supervise(kernel) => Ok(()),
        () = narrate(&client, events) => Ok(kernel.stopped().await?),
    }
}

/// What `once up --json` prints when the kernel is ready.
#[derive(Serialize)]
struct Ready<'a> {
    kernel: &'a str,
    name: &'a str,
    pid: Option<u32>,
    addresses: &'a [String],
    data: Cow<'a, str>,
    log: Option<Cow<'a, str>>,
    takes_writes: bool,
    losses: &'a [LossInfo],
}

/// Who it is, where it listens, where it keeps things.
fn announce(context: &Context, status: &StatusResult, log: Option<&Path>) -> Done<()> {
    if status.quarantined {
        ui::say(QUARANTINED);
    }
    for warning in warnings(status) {
        ui::say(&format!("{} {warning}", ui::Paint::stderr().yellow("warning:")));
    }
    let answer = Ready {
        kernel: &status.kernel,
        name: &status.name,
        pid: status.pid,
        addresses: &status.addresses,
        data: context.data.to_string_lossy(),
        log: log.map(Path::to_string_lossy),
        takes_writes: status.takes_writes,
        losses: &status.losses,
    };
    context.answer(&answer, |answer| {
        let paint = ui::Paint::stdout();
        let line =
            |label: &str, value: &str| ui::print(&format!("{} {value}", paint.dim(&format!("{label:<10}"))));
        line("kernel", &paint.bold(answer.kernel))?;
        line("name", &ui::shown(answer.name))?;
        for address in answer.addresses {
            line("address", &ui::shown(address))?;
        }
        line("data", &ui::shown_path(&context.data))
    })
}

/// Says which peers come and go, until the kernel says no more; of each peer only so much in a while.
async fn narrate(client: &Client, mut events: EventFeed) {
    let chatter = Chatter::default();
    while let Some(event) = events.next().await {
        let (kernel, what) = match event.event {
            Event::Connected { peer, .. } => (peer, "connected".to_owned()),
            Event::Quarantined { .. } => {
                ui::say(QUARANTINED);
                continue;
            }
            Event::Disconnected { peer, reason, .. } => (peer, format!("gone: {}", ui::shown(&reason))),
            Event::FollowDenied { peer, key, .. } => {
                let key = ui::key(&key);
                (peer, format!("does not let this kernel follow {key}: it is not followed any more"))
            }
            _ => continue,
        };
        let Some(left_out) = kernel.parse().ok().and_then(|peer| chatter.may_say(&peer)) else { continue };
        // Without its name the line still says which kernel it is.
        let peers = client.ask(Peers {}).await.map(|known| known.peers).unwrap_or_default();
        let peer = peers.iter().find(|peer| peer.kernel == kernel);
        let name = peer.map_or_else(String::new, |peer| format!("{} ", ui::peer_name(peer)));
        let more =
            if left_out > 0 { format!(" ({left_out} lines about it left out)") } else { String::new() };
        ui::say(&format!("{name}({}) {what}{more}", ui::short(&kernel)));
    }
}

/// As many open files as this process is allowed: the lower limit that shells set by default is for programs that can only
/// wait for the first 1,024.
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused the kernel has fewer places for callers: it keeps to what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Whoever holds the other end of stdin has gone, however it went. A thread of its own, since a read of stdin cannot be
/// cancelled: the runtime would wait for it.
async fn stdin_ends() {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut stdin = std::io::stdin();
        while stdin.read(&mut ignored).is_ok_and(|read| read > 0) {}
        // Nobody listens when the kernel stopped for another reason.
        let _ = end.send(());
    });
    let _ = ended.await;
}

/// SIGINT and SIGTERM.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on these signals no longer kill the process.
    pub fn new() -> Done<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupt, terminate })
    }

    /// The next of either.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
