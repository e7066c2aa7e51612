//! `once drain`

use clap::Args;
use serde_json::{Value, json};

use super::{grants, move_to};
use crate::context::{Context, list, not_running, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// Move everything away to another kernel: what has its home here moves, what is only kept here is shared
///
/// Safe to interrupt: what has begun goes on by itself, and the same command goes on with the rest. Lists what cannot go, and
/// why. What this kernel follows at others, the other kernel follows in its place, if it lets this one move every object there.
///
/// Waits until everything is there; exits with 3 if something cannot go, with 4 if nothing arrived for as long as --timeout
/// says, with 1 if it was cancelled. With --json each step of progress is a line of its own, {"progress": …}, before the
/// answer.
#[derive(Debug, Args)]
pub struct Drain {
    /// To which kernel
    #[arg(long, value_name = "PEER", required_unless_present = "cancel")]
    to: Option<String>,
    /// End it: what is not handed over stays here
    #[arg(long)]
    cancel: bool,
    /// Only say what would go, and whose rights would stay behind
    #[arg(long, conflicts_with = "cancel")]
    dry_run: bool,
    /// Rights on this kernel or on a component, as far as they reach the objects, become rights on each object and go along
    #[arg(long, conflicts_with = "cancel")]
    carry_rights: bool,
    /// Do not wait for calls of the objects that have no outcome: they are told `unknown`, and what they asked may still happen
    #[arg(long, conflicts_with = "cancel")]
    leave_calls: bool,
    /// Stop waiting when nothing has arrived for this time, like 10s or 1m; what has begun goes on
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Drain {
    /// The kernel must run: somebody has to carry it. To be told what would go, or to end it, needs no network.
    pub async fn run(self, context: &Context) -> Done {
        if self.cancel {
            return cancel(context, self.to.as_deref()).await;
        }
        let to = self.to.unwrap_or_default();
        let params = json!({
            "to": to, "dry_run": self.dry_run, "carry_rights": self.carry_rights,
            "leave_calls": self.leave_calls, "timeout_ms": self.timeout,
        });
        let client = context.kernel().await?;
        if client.is_embedded() && !self.dry_run {
            client.close().await?;
            return Err(not_running(&context.data));
        }
        let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("moving", 0) };
        let show = |progress: &Value| match context.json {
            // Who does not read any more is told so by the answer.
            true => {
                let (phase, done, total) = (&progress["phase"], &progress["done"], &progress["total"]);
                let step = json!({ "phase": phase, "done": done, "total": total });
                drop(ui::print_json(&json!({ "progress": step })));
            }
            false => bar.show(progress),
        };
        let answer = client.call_with_progress("drain", params, show).await;
        drop(bar);
        let closed = client.close().await;
        let answer = answer?;
        closed?;
        context.answer(&answer, print)?;
        Ok(exit(&answer))
    }
}

async fn cancel(context: &Context, to: Option<&str>) -> Done {
    let answer = context.call("drain.cancel", json!({ "to": to })).await?;
    context.answer(&answer, |answer| {
        let stays = list(answer, "stays").len() as u64;
        ui::print(&format!("cancelled: {} about to leave, which stay here", ui::count(stays, "object")))?;
        for sealed in list(answer, "sealed") {
            ui::print(&format!(
                "{} is handed over to {}: only that kernel can say where it lives (`once moves`)",
                ui::key(text(sealed, "key")),
                ui::shown(text(sealed, "to"))
            ))?;
        }
        Ok(())
    })?;
    Ok(Exit::DONE)
}

fn exit(answer: &Value) -> Exit {
    if answer.get("dry_run").is_some() || truth(answer, "complete") {
        Exit::DONE
    } else if truth(answer, "cancelled") {
        Exit::FAILED
    } else if number(answer, "stuck_count") > 0 {
        Exit::REFUSED
    } else {
        Exit::UNREACHABLE
    }
}

fn print(answer: &Value) -> Done<()> {
    let to = ui::shown(text(answer, "to"));
    let counted = |member: &str, what: &str| ui::count(number(answer, member), what);
    let is_dry = answer.get("dry_run").is_some();
    if is_dry {
        ui::print(&format!(
            "{} would move to {to}, {} would be shared",
            counted("moves", "object"),
            counted("shares", "scenario")
        ))?;
    } else {
        let (moved, shared) = (counted("moved", "object"), counted("shared", "scenario"));
        ui::print(&format!("{moved} moved to {to}, {shared} shared"))?;
        move_to::left(answer)?;
        unfinished(answer, &to)?;
        stuck(answer)?;
    }
    follows(answer, &to, is_dry)?;
    loses(answer, is_dry)
}

fn unfinished(answer: &Value, to: &str) -> Done<()> {
    if truth(answer, "cancelled") {
        ui::print("cancelled: the rest stays here")?;
    }
    let (moves, owed) = (number(answer, "not_arrived"), number(answer, "owed"));
    if moves + owed > 0 && !truth(answer, "cancelled") {
        ui::print(&format!(
            "not there yet: {} (`once moves`), {} (`once outbox`); the same command goes on with them",
            ui::count(moves, "object"),
            ui::count(owed, "scenario")
        ))?;
    }
    match text(answer, "trouble") {
        "" => Ok(()),
        trouble => ui::print(&format!("{to} is not connected: {}", ui::capped(trouble, 400))),
    }
}

fn stuck(answer: &Value) -> Done<()> {
    let all = number(answer, "stuck_count");
    if all == 0 {
        return Ok(());
    }
    ui::print(&format!("{} cannot go:", ui::count(all, "object")))?;
    let named = list(answer, "stuck");
    for one in named {
        ui::print(&format!("  {}", ui::capped(text(one, "message"), 400)))?;
        if !text(one, "hint").is_empty() {
            ui::print(&format!("    {}", ui::pasted(&ui::capped(text(one, "hint"), 400))))?;
        }
    }
    match all.saturating_sub(named.len() as u64) {
        0 => Ok(()),
        more => ui::print(&format!("  and {} more", ui::number(more))),
    }
}

fn follows(answer: &Value, to: &str, is_dry: bool) -> Done<()> {
    let all = list(answer, "follows");
    let followed = number(answer, "followed");
    if followed > 0 {
        let objects = ui::count(followed, "object");
        ui::print(&format!("{objects} that this kernel followed at others: {to} follows in its place"))?;
    }
    if all.is_empty() {
        return Ok(());
    }
    let objects = ui::count(all.len() as u64, "object");
    if is_dry {
        return ui::print(&format!(
            "{objects} that this kernel follows at others: {to} would be asked to follow"
        ));
    }
    let why = text(answer, "unfollowed");
    let why = if why.is_empty() { String::new() } else { format!(" ({})", ui::capped(why, 400)) };
    ui::print(&format!(
        "{objects} followed from here, not from {to}{why}; say there, for each that is still wanted:"
    ))?;
    for one in all {
        let object = if text(one, "ior").is_empty() { text(one, "key") } else { text(one, "ior") };
        ui::print(&format!(
            "  once follow {} --from {}",
            ui::word(&ui::capped(object, 400)),
            ui::shown(text(one, "kernel"))
        ))?;
    }
    Ok(())
}

fn loses(answer: &Value, is_dry: bool) -> Done<()> {
    let carried = number(answer, "carried");
    if carried > 0 {
        ui::print(&format!("{} became rights on the objects, and went along", ui::count(carried, "right")))?;
    }
    let loses = list(answer, "loses");
    if loses.is_empty() {
        return Ok(());
    }
    let verb = if is_dry { "would stay" } else { "stayed" };
    ui::print(&format!(
        "these rights reach the objects here, and {verb} behind (--carry-rights takes them along):"
    ))?;
    loses.iter().try_for_each(|grant| {
        let who = ui::shown(text(grant, "peer"));
        ui::print(&format!("  {who}: {} on {}", grants::right(grant), grants::scope(grant)))
    })
}
