//! `once status`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// Say who this kernel is, what it holds, and how it does
#[derive(Debug, Args)]
pub struct Status {}

impl Status {
    /// Also when the kernel does not run: `running` tells.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let running = !client.is_embedded();
        let answer = client.call("status", json!({})).await;
        let closed = client.close().await;
        let mut answer = answer?;
        closed?;
        if let Some(members) = answer.as_object_mut() {
            members.insert("running".to_owned(), running.into());
            let log = crate::log::path(&context.data);
            members.insert("log".to_owned(), log.exists().then(|| log.to_string_lossy()).into());
        }
        context.answer(&answer, |answer| print(answer, running))?;
        Ok(Exit::DONE)
    }
}

fn print(answer: &Value, running: bool) -> Done<()> {
    let paint = ui::Paint::stdout();
    let line = |label: &str, value: String| {
        ui::print(&format!("{} {}", paint.dim(&format!("{label:<10}")), ui::pasted(&value)))
    };
    line("kernel", text(answer, "kernel").to_owned())?;
    line("name", ui::shown(text(answer, "name")))?;
    line("data", ui::capped(text(answer, "data"), 400))?;
    if running {
        let up = ui::duration_us(number(answer, "uptime_ms") * 1000);
        line("running", format!("{} for {up}, pid {}", paint.green("yes"), number(answer, "pid")))?;
        let addresses = list(answer, "addresses").iter().filter_map(Value::as_str).map(ui::shown);
        line("addresses", addresses.collect::<Vec<_>>().join("  "))?;
    } else {
        line("running", format!("{}: start it with `once up`", paint.yellow("no")))?;
    }
    if truth(answer, "quarantined") {
        line(
            "quarantine",
            format!("{}: put back from a backup; nothing runs (`once quarantine`)", paint.red("yes")),
        )?;
    }
    line("objects", objects(answer))?;
    let peers = ui::count(number(answer, "peers"), "peer");
    line("peers", format!("{peers}, {} connected", ui::number(number(answer, "connected"))))?;
    line("owed", format!("{} to peers (`once outbox`)", ui::count(number(answer, "owed"), "scenario")))?;
    if number(answer, "waiting") > 0 {
        let actions = ui::count(number(answer, "waiting"), "action");
        line("waiting", format!("{actions} without an outcome (`once outbox`)"))?;
    }
    moving(&answer["moves"])
        .into_iter()
        .enumerate()
        .try_for_each(|(place, said)| line(if place == 0 { "moving" } else { "" }, said))?;
    for transfer in list(answer, "transfers") {
        let way = if text(transfer, "way") == "in" { "receiving" } else { "sending" };
        line(way, progress(transfer))?;
    }
    let shown = |name| match answer[name].as_u64() {
        Some(bytes) => ui::bytes(bytes),
        None => "? B".to_owned(),
    };
    line("disk", format!("{} used, {} free", shown("store_bytes"), shown("disk_free_bytes")))?;
    if !text(answer, "log").is_empty() {
        line("log", ui::capped(text(answer, "log"), 400))?;
    }
    warnings(answer)
        .iter()
        .try_for_each(|warning| ui::print(&format!("{} {warning}", paint.yellow("warning:"))))
}

/// What a person should know, and look at: for `up`, too.
pub(super) fn warnings(status: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let damage = ui::capped(text(status, "damage"), 400);
    let only_reads = status.get("takes_writes").and_then(Value::as_bool) == Some(false);
    if only_reads
        && !damage.is_empty()
        && number(status, "disk_free_bytes") >= number(status, "writes_need_bytes")
    {
        let hint = "`once doctor` names it; `once stop`, then `once export --salvage DIR` brings out all that can be read";
        warnings.push(format!("this kernel only reads, since its store is damaged: {damage}; {hint}"));
        return warnings;
    }
    if only_reads {
        let (free, needed) = (number(status, "disk_free_bytes"), number(status, "writes_need_bytes"));
        let (data, more) = (ui::capped(text(status, "data"), 400), ui::bytes(needed.saturating_sub(free)));
        warnings.push(format!(
            "new work is refused: {} are free on the disk of {data}; what needs no room goes on, and new work is taken by itself when {} are (free {more} more)",
            ui::bytes(free),
            ui::bytes(needed)
        ));
    }
    for loss in list(status, "losses") {
        let said = ui::capped(text(loss, "message"), 400);
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
fn moving(moves: &Value) -> Vec<String> {
    let (leaving, sealed) = (number(moves, "leaving"), number(moves, "sealed"));
    if leaving == 0 {
        return Vec::new();
    }
    let handed = ui::number(sealed);
    let mut said = vec![format!(
        "{} about to leave, {handed} of them handed over (`once moves`)",
        ui::count(leaving, "object")
    )];
    said.extend(list(moves, "oldest_sealed").iter().map(super::moves::told));
    said
}

/// How far a large scenario is.
pub(super) fn progress(transfer: &Value) -> String {
    let (done, bytes) = (number(transfer, "done_bytes"), number(transfer, "bytes"));
    let with = if text(transfer, "way") == "in" { "from" } else { "to" };
    let (object, peer) = (ui::key(text(transfer, "object")), ui::shown(text(transfer, "peer")));
    format!("{object} {with} {peer}: {} of {}", ui::bytes(done), ui::bytes(bytes))
}

fn objects(answer: &Value) -> String {
    let mut parts = vec![ui::count(number(answer, "objects"), "object"), ui::bytes(number(answer, "bytes"))];
    if number(answer, "tombstones") > 0 {
        parts.push(format!("{} removed", ui::number(number(answer, "tombstones"))));
    }
    if number(answer, "conflicts") > 0 {
        parts.push(format!("{} (`once conflicts`)", ui::count(number(answer, "conflicts"), "conflict")));
    }
    parts.join(", ")
}
