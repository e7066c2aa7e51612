//! `once status`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use once::api::contract::{self, MovesInfo, StatusResult, TransferInfo, Way};
use serde::Serialize;

use super::up::Signals;
use crate::context::{Context, ended};
use crate::failure::{Done, Exit};
use crate::ui;

/// Say who this kernel is, what it holds, and how it does
#[derive(Debug, Args)]
pub struct Status {
    /// Say it again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
}

impl Status {
    /// Also when the kernel does not run: `running` tells.
    pub async fn run(self, context: &Context) -> Done {
        let Some(every_s) = self.watch else { return look(context).await };
        let (mut signals, clears) = (Signals::new()?, !context.json && std::io::stdout().is_terminal());
        loop {
            if clears {
                // The cursor goes to the corner, and what was there goes.
                ui::print("\u{1b}[H\u{1b}[2J")?;
            }
            look(context).await?;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(every_s)) => {}
                () = signals.next() => return Ok(Exit::DONE),
            }
        }
    }
}

/// Says it once.
async fn look(context: &Context) -> Done {
    let client = context.kernel().await?;
    let running = !client.is_embedded();
    let status = client.ask(contract::Status {}).await;
    let mut status = ended(client, status).await?;
    // This command is not the kernel's process.
    status.pid = status.pid.filter(|_| running);
    let log = Some(crate::log::path(&context.data)).filter(|log| log.exists());
    context.answer(&Seen { status, running, log }, print)?;
    Ok(Exit::DONE)
}

/// What the kernel says, and what is seen of it from here.
#[derive(Serialize)]
struct Seen {
    #[serde(flatten)]
    status: StatusResult,
    running: bool,
    log: Option<PathBuf>,
}

fn print(Seen { status, running, log }: &Seen) -> Done<()> {
    let paint = ui::Paint::stdout();
    let line = |label: &str, value: String| {
        ui::prose(&format!("{} {}", paint.dim(&format!("{label:<10}")), ui::pasted(&value)))
    };
    line("kernel", status.kernel.clone())?;
    line("name", ui::shown(&status.name))?;
    line("data", ui::capped(&status.data, 400))?;
    if *running {
        let up = ui::duration_us(status.uptime_ms * 1000);
        let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        line("running", format!("{} for {up}{pid}", paint.green("yes")))?;
        let addresses: Vec<_> = status.addresses.iter().map(|address| ui::shown(address)).collect();
        line("addresses", addresses.join("  "))?;
    } else {
        line("running", format!("{}: start it with `once up`", paint.yellow("no")))?;
    }
    if status.quarantined {
        line(
            "quarantine",
            format!("{}: put back from a backup; nothing runs (`once quarantine`)", paint.red("yes")),
        )?;
    }
    line("objects", objects(status))?;
    if status.read_only > 0 {
        line("read-only", read_only(status.read_only))?;
    }
    let peers = ui::count(status.peers as u64, "peer");
    line("peers", format!("{peers}, {} connected", ui::number(status.connected as u64)))?;
    line("owed", format!("{} to peers (`once outbox`)", ui::count(status.owed, "scenario")))?;
    if status.waiting > 0 {
        let actions = ui::count(status.waiting as u64, "action");
        line("waiting", format!("{actions} without an outcome (`once outbox`)"))?;
    }
    if status.in_doubt > 0 {
        let doubtful = ui::count(status.in_doubt as u64, "coordination");
        line("in doubt", format!("{doubtful} (`once coordinations --state in-doubt`)"))?;
    }
    moving(&status.moves)
        .into_iter()
        .enumerate()
        .try_for_each(|(place, said)| line(if place == 0 { "moving" } else { "" }, said))?;
    for transfer in &status.transfers {
        let way = if transfer.way == Way::In { "receiving" } else { "sending" };
        line(way, progress(transfer))?;
    }
    let shown = |bytes: Option<u64>| bytes.map_or_else(|| "? B".to_owned(), ui::bytes);
    line("disk", format!("{} used, {} free", shown(status.store_bytes), shown(status.disk_free_bytes)))?;
    if let Some(log) = log {
        line("log", ui::capped(&log.to_string_lossy(), 400))?;
    }
    warnings(status)
        .iter()
        .try_for_each(|warning| ui::prose(&format!("{} {warning}", paint.yellow("warning:"))))
}

/// What a person should know, and look at: for `up`, too.
pub(super) fn warnings(status: &StatusResult) -> Vec<String> {
    let mut warnings = Vec::new();
    let damage = ui::capped(status.damage.as_deref().unwrap_or_default(), 400);
    let (free, needed) = (status.disk_free_bytes.unwrap_or_default(), status.writes_need_bytes);
    let only_reads = !status.takes_writes;
    if only_reads && !damage.is_empty() && free >= needed {
        let hint = "`once doctor` names it; `once stop`, then `once export --salvage DIR` brings out all that can be read";
        warnings.push(format!("this kernel only reads, since its store is damaged: {damage}; {hint}"));
        return warnings;
    }
    if only_reads {
        let (data, more) = (ui::capped(&status.data, 400), ui::bytes(needed.saturating_sub(free)));
        warnings.push(format!(
            "new work is refused: {} are free on the disk of {data}; what needs no room goes on, and new work is taken by itself when {} are (free {more} more)",
            ui::bytes(free),
            ui::bytes(needed)
        ));
    }
    for loss in &status.losses {
        let said = ui::capped(&loss.message, 400);
        warnings.push(format!(
            "{said}; `once doctor` says what that means, `once doctor --confirm-loss` ends it"
        ));
    }
    if !damage.is_empty() {
        warnings.push(format!("not everything can be read: {damage}; `once doctor` names it"));
    }
    warnings.iter().map(|warning| ui::pasted(warning)).collect()
}

/// What is about to leave, and the oldest of what is handed over.
fn moving(moves: &MovesInfo) -> Vec<String> {
    let (leaving, sealed) = (moves.leaving as u64, moves.sealed as u64);
    if leaving == 0 {
        return Vec::new();
    }
    let handed = ui::number(sealed);
    let mut said = vec![format!(
        "{} about to leave, {handed} of them handed over (`once moves`)",
        ui::count(leaving, "object")
    )];
    said.extend(moves.oldest_sealed.iter().map(super::moves::told));
    said
}

/// That objects are only read here, and what can be done about it.
pub(super) fn read_only(count: u64) -> String {
    format!(
        "{} only read here since this kernel was put back from a backup: others may have newer ones, that differ; \
        `once ls --state read-only` lists them, `once export --help` says how to write them out, and \
        `once rm --read-only OBJECT` drops one",
        ui::count(count, "object")
    )
}

/// How far a large scenario is.
pub(super) fn progress(transfer: &TransferInfo) -> String {
    let (done, bytes) = (transfer.done_bytes, transfer.bytes);
    let with = if transfer.way == Way::In { "from" } else { "to" };
    let (object, peer) = (ui::key(&transfer.object), ui::shown(&transfer.peer));
    format!("{object} {with} {peer}: {} of {}", ui::bytes(done), ui::bytes(bytes))
}

fn objects(status: &StatusResult) -> String {
    let mut parts = vec![ui::count(status.objects, "object"), ui::bytes(status.bytes)];
    if status.tombstones > 0 {
        parts.push(format!("{} removed", ui::number(status.tombstones)));
    }
    if status.conflicts > 0 {
        parts.push(format!("{} (`once conflicts`)", ui::count(status.conflicts, "conflict")));
    }
    parts.join(", ")
}
