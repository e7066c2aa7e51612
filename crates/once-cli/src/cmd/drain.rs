//! `once drain`

use clap::Args;
use once::api::contract::{self, DrainDone, DrainResult, Progress, RefusedInfo};
use serde::Serialize;

use super::{grants, move_to};
use crate::context::{Context, ended, not_running};
use crate::failure::{Done, Exit};
use crate::ui;

/// Move everything away to another kernel
///
/// What has its home here moves, what is only kept here is shared.
///
/// Safe to interrupt: what has begun goes on by itself, and the same command goes on with the rest. Lists what cannot go, and
/// why. What this kernel follows at others, the other kernel follows in its place, if it lets this one move every object there.
/// Its peers, and the rights that it gives on itself or on a component, do not go along: in the end each is listed with the command that
/// gives it again there.
///
/// Waits until everything is there; exits with 3 if something cannot go, with 4 if nothing arrived for as long as --timeout
/// says, with 1 if it was cancelled. --dry-run asks the other kernel, if it can be reached, and moves nothing. With --json each step of progress is a line of its own, {"progress": …}, before the
/// answer.
#[derive(Debug, Args)]
pub struct Drain {
    /// To which kernel
    #[arg(long, value_name = "PEER", required_unless_present = "cancel")]
    to: Option<String>,
    /// End it: what is not handed over stays here
    #[arg(long)]
    cancel: bool,
    /// Only say what would go, what the other kernel would not take and why, and whose rights would stay behind
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

/// What `--json` prints of progress.
#[derive(Serialize)]
struct Step<'a> {
    progress: &'a Progress,
}

impl Drain {
    /// The kernel must run: somebody has to carry it. To be told what would go, or to end it, needs no network.
    pub async fn run(self, context: &Context) -> Done {
        if self.cancel {
            return cancel(context, self.to).await;
        }
        let params = contract::Drain {
            to: self.to.unwrap_or_default(),
            dry_run: self.dry_run,
            carry_rights: self.carry_rights,
            leave_calls: self.leave_calls,
            timeout_ms: Some(self.timeout),
        };
        let client = context.kernel().await?;
        if client.is_embedded() && !self.dry_run {
            client.close().await?;
            return Err(not_running(&context.data));
        }
        let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("moving", 0) };
        let show = |progress: &Progress| match context.json {
            // Who does not read any more is told so by the answer.
            true => drop(ui::print_json(&Step { progress })),
            false => bar.show(progress),
        };
        let answer = client.ask_with_progress(params, show).await;
        drop(bar);
        let answer = ended(client, answer).await?;
        context.answer(&answer, print)?;
        Ok(exit(&answer))
    }
}

async fn cancel(context: &Context, to: Option<String>) -> Done {
    let answer = context.ask(contract::DrainCancel { to }).await?;
    context.answer(&answer, |answer| {
        let stays = ui::count(answer.stays.len() as u64, "object");
        ui::print(&format!("cancelled: {stays} about to leave, which stay here"))?;
        for sealed in &answer.sealed {
            ui::prose(&format!(
                "{} is handed over to {}: only that kernel can say where it lives (`once moves`)",
                ui::key(&sealed.key),
                ui::shown(&sealed.to)
            ))?;
        }
        answer.owed.iter().try_for_each(|owed| {
            let (scenarios, name) = (ui::count(owed.scenarios, "scenario"), ui::shown(&owed.peer));
            let peer = ui::word(&owed.kernel);
            ui::prose(&ui::pasted(&format!(
                "{scenarios} shared with {name}, which has not answered yet: still sent (`once outbox drop --peer {peer}` gives that up)"
            )))
        })
    })?;
    Ok(Exit::DONE)
}

fn exit(answer: &DrainResult) -> Exit {
    match answer {
        DrainResult::Plan(plan) if plan.stuck_count > 0 => Exit::REFUSED,
        DrainResult::Plan(_) => Exit::DONE,
        DrainResult::Done(done) if done.complete => Exit::DONE,
        DrainResult::Done(done) if done.cancelled => Exit::FAILED,
        DrainResult::Done(done) if done.stuck_count > 0 => Exit::REFUSED,
        DrainResult::Done(_) => Exit::UNREACHABLE,
    }
}

fn print(answer: &DrainResult) -> Done<()> {
    let counted = |count: usize, what: &str| ui::count(count as u64, what);
    match answer {
        DrainResult::Plan(plan) => {
            let to = ui::shown(&plan.to);
            let (moves, shares) = (counted(plan.moves, "object"), counted(plan.shares, "scenario"));
            ui::print(&format!("{moves} would move to {to}, {shares} would be shared"))?;
            move_to::unasked(plan.unasked.as_deref(), &to)?;
            stuck("would not go:", &plan.stuck, plan.stuck_count)?;
            if !plan.follows.is_empty() {
                let objects = counted(plan.follows.len(), "object");
                ui::prose(&format!(
                    "{objects} that this kernel follows at others: {to} would be asked to follow"
                ))?;
            }
            move_to::loses(&plan.loses, "the objects", true)
        }
        DrainResult::Done(done) => {
            let to = ui::shown(&done.to);
            let (moved, shared) = (counted(done.moved, "object"), counted(done.shared, "scenario"));
            ui::print(&format!("{moved} moved to {to}, {shared} shared"))?;
            move_to::left(done.left)?;
            unfinished(done, &to)?;
            stuck("cannot go:", &done.stuck, done.stuck_count)?;
            follows(done, &to)?;
            move_to::carried(done.carried)?;
            move_to::loses(&done.loses, "the objects", false)?;
            stays_behind(done, &to)
        }
    }
}

fn unfinished(done: &DrainDone, to: &str) -> Done<()> {
    if done.cancelled {
        ui::print("cancelled: the rest stays here")?;
    }
    if done.not_arrived + done.owed > 0 && !done.cancelled {
        ui::prose(&format!(
            "not there yet: {} (`once moves`), {} (`once outbox`); the same command goes on with them",
            ui::count(done.not_arrived as u64, "object"),
            ui::count(done.owed as u64, "scenario")
        ))?;
    }
    match &done.trouble {
        None => Ok(()),
        Some(trouble) => ui::prose(&format!("{to} is not connected: {}", ui::capped(trouble, 400))),
    }
}

fn stuck(what: &str, stuck: &[RefusedInfo], count: usize) -> Done<()> {
    if count == 0 {
        return Ok(());
    }
    ui::print(&format!("{} {what}", ui::count(count as u64, "object")))?;
    move_to::refused(stuck)?;
    match count.saturating_sub(stuck.len()) {
        0 => Ok(()),
        more => ui::print(&format!("  and {} more", ui::number(more as u64))),
    }
}

/// What no object takes along: peers and rights of this kernel, each with the command that gives it again.
fn stays_behind(done: &DrainDone, to: &str) -> Done<()> {
    if !done.peers.is_empty() {
        ui::prose(&format!(
            "{to} does not know the other peers of this kernel; say there, for each that is still wanted:"
        ))?;
        for one in &done.peers {
            let at: String =
                one.addresses.iter().map(|at| format!(" --at {}", ui::word(&ui::capped(at, 400)))).collect();
            let name = match one.peer.as_str() {
                "" => String::new(),
                name => format!(" --name {}", ui::word(&ui::shown(name))),
            };
            ui::print(&format!("  once peers add {}{name}{at}", ui::shown(&one.kernel)))?;
        }
        ui::print(&format!("and each of these lets {to} in; say at each:"))?;
        ui::print(&format!("  once peers add {} --name {}", ui::shown(&done.kernel), ui::word(to)))?;
    }
    if !done.rights.is_empty() {
        ui::prose(&format!("{to} grants none of these rights; say there, for each that is still wanted:"))?;
        done.rights.iter().try_for_each(|right| ui::print(&format!("  {}", grants::again(right))))?;
    }
    Ok(())
}

fn follows(done: &DrainDone, to: &str) -> Done<()> {
    if done.followed > 0 {
        let objects = ui::count(done.followed as u64, "object");
        ui::prose(&format!("{objects} that this kernel followed at others: {to} follows in its place"))?;
    }
    let all = &done.follows;
    if all.is_empty() {
        return Ok(());
    }
    let objects = ui::count(all.len() as u64, "object");
    let why = done.unfollowed.as_ref().map(|why| format!(" ({})", ui::capped(why, 400))).unwrap_or_default();
    ui::prose(&format!(
        "{objects} followed from here, not from {to}{why}; say there, for each that is still wanted:"
    ))?;
    for one in all {
        let object = one.ior.as_ref().unwrap_or(&one.key);
        let (object, kernel) = (ui::word(&ui::capped(object, 400)), ui::shown(&one.kernel));
        ui::print(&format!("  once follow {object} --from {kernel}"))?;
    }
    Ok(())
}
