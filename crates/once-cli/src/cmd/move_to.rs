//! `once move`

use clap::Args;
use once::api::contract::{self, GrantInfo, MoveDone, MoveResult, RefusedInfo};

use super::grants;
use crate::context::{Context, ended, not_running};
use crate::failure::{Done, Exit};
use crate::ui;

/// Move objects to another kernel
///
/// From then on they live there, and only there.
///
/// What is under way comes to its end first. Their state, their history, their timers, the rights on them and whatever was
/// asked of them go along, and whoever names them as before finds them. The other kernel must let this one do so
/// (the right `host`) and have the component.
///
/// Waits until they live there; exits with 3 if one was refused, with 4 at the timeout (the move goes on: `once moves`).
#[derive(Debug, Args)]
pub struct Move {
    /// The objects to move
    #[arg(required_unless_present_any = ["all", "component"])]
    objects: Vec<String>,
    /// To which kernel
    #[arg(long, value_name = "PEER")]
    to: String,
    /// Only objects of this component, all of them
    #[arg(long, value_name = "NAME", conflicts_with = "objects")]
    component: Option<String>,
    /// All objects that have their home here
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// Only say what would move, what the other kernel would not take and why, and whose rights would stay behind
    #[arg(long)]
    dry_run: bool,
    /// Rights on this kernel or on a component, as far as they reach the objects, become rights on each object and go along
    #[arg(long)]
    carry_rights: bool,
    /// Do not wait for calls of theirs that have no outcome: they are told `unknown`, and what they asked may still happen, also after
    /// what they ask from their new home
    #[arg(long)]
    leave_calls: bool,
    /// Keep no right to read them there, and to act on them, for this kernel
    #[arg(long)]
    without_me: bool,
    /// Do not wait for the other kernel
    #[arg(long)]
    no_wait: bool,
    /// Stop waiting after this time, like 10s or 1m; the move goes on
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Move {
    /// Without `--no-wait` the kernel must run: somebody has to carry it.
    pub async fn run(self, context: &Context) -> Done {
        let wait = !self.no_wait && !self.dry_run;
        let to = ui::shown(&self.to);
        let params = contract::Move {
            objects: self.objects,
            all: self.all,
            component: self.component,
            to: self.to,
            dry_run: self.dry_run,
            carry_rights: self.carry_rights,
            leave_calls: self.leave_calls,
            without_me: self.without_me,
            wait,
            timeout_ms: Some(self.timeout),
        };
        let client = context.kernel().await?;
        if client.is_embedded() && wait {
            client.close().await?;
            return Err(
                not_running(&context.data).hint("start it with `once up`, or queue it with --no-wait")
            );
        }
        let bar = if context.json || !wait { ui::Bar::none() } else { ui::Bar::new("moving", 0) };
        let answer = client.ask_with_progress(params, |progress| bar.show(progress)).await;
        drop(bar);
        let answer = ended(client, answer).await?;
        context.answer(&answer, |answer| print(answer, &to, wait))?;
        Ok(exit(&answer, wait))
    }
}

/// The other kernel did not say what it would take.
pub(super) fn unasked(why: Option<&str>, to: &str) -> Done<()> {
    why.map_or(Ok(()), |why| {
        ui::prose(&format!("{to} was not asked whether it takes them: {}", ui::capped(why, 400)))
    })
}

/// Objects that do not move, and why: each reason is said once, of the first of them.
pub(super) fn refused(all: &[RefusedInfo]) -> Done<()> {
    let mut reasons: Vec<(&RefusedInfo, u64)> = Vec::new();
    for one in all {
        match reasons.iter_mut().find(|(first, _)| reason(first) == reason(one)) {
            Some((_, count)) => *count += 1,
            None => reasons.push((one, 1)),
        }
    }
    for (at, (one, count)) in reasons.iter().enumerate() {
        ui::prose(&format!("  {}", ui::capped(&one.message, 400)))?;
        if *count > 1 {
            ui::print(&format!("    and {} more, for the same reason", ui::number(count - 1)))?;
        }
        // What helps several in a row is said once, behind the last of them.
        let is_last = reasons.get(at + 1).is_none_or(|(next, _)| next.hint != one.hint);
        if let Some(hint) = one.hint.as_ref().filter(|_| is_last) {
            ui::prose(&format!("    {}", ui::pasted(&ui::capped(hint, 400))))?;
        }
    }
    Ok(())
}

/// Why an object does not move, without its name.
fn reason(one: &RefusedInfo) -> String {
    let uuid = one.key.split(['#', '@']).next().unwrap_or_default();
    let words = one.message.split(' ').filter(|word| uuid.is_empty() || !word.starts_with(uuid));
    words.collect::<Vec<_>>().join(" ")
}

/// What was given up: calls that nobody waited for.
pub(super) fn left(calls: usize) -> Done<()> {
    match calls {
        0 => Ok(()),
        calls => ui::prose(&format!(
            "{} left behind: whoever asked was told `unknown`, and it may still happen, also later than what is asked from there",
            ui::count(calls as u64, "call")
        )),
    }
}

/// Rights that went along.
pub(super) fn carried(rights: usize) -> Done<()> {
    match rights {
        0 => Ok(()),
        rights => ui::prose(&format!(
            "{} became rights on the objects, and went along",
            ui::count(rights as u64, "right")
        )),
    }
}

/// Rights that reach the objects, and do not go along.
pub(super) fn loses(grants: &[GrantInfo], whom: &str, is_dry: bool) -> Done<()> {
    if grants.is_empty() {
        return Ok(());
    }
    let verb = if is_dry { "would stay" } else { "stayed" };
    ui::prose(&format!(
        "these rights reach {whom} here, and {verb} behind (--carry-rights takes them along):"
    ))?;
    grants.iter().try_for_each(|grant| {
        let who = ui::shown(&grant.peer);
        ui::print(&format!("  {who}: {} on {}", grants::right(grant), grants::scope(grant)))
    })
}

fn exit(answer: &MoveResult, wait: bool) -> Exit {
    match answer {
        MoveResult::Plan(plan) if !plan.refused.is_empty() => Exit::REFUSED,
        MoveResult::Done(done) if !done.refused.is_empty() => Exit::REFUSED,
        MoveResult::Done(done) if done.waiting > 0 && wait => Exit::UNREACHABLE,
        _ => Exit::DONE,
    }
}

fn print(answer: &MoveResult, to: &str, wait: bool) -> Done<()> {
    match answer {
        MoveResult::Plan(plan) => {
            let objects = ui::count(plan.objects.len() as u64, "object");
            ui::print(&format!("{objects} would move to {to}"))?;
            unasked(plan.unasked.as_deref(), to)?;
            if !plan.refused.is_empty() {
                ui::print(&format!("{} would not:", ui::count(plan.refused.len() as u64, "object")))?;
                refused(&plan.refused)?;
            }
            loses(&plan.loses, "them", true)
        }
        MoveResult::Done(done) => print_done(done, to, wait),
    }
}

fn print_done(done: &MoveDone, to: &str, wait: bool) -> Done<()> {
    let objects = |count: usize| ui::count(count as u64, "object");
    if !done.moved.is_empty() {
        ui::print(&format!("{} moved to {to}", objects(done.moved.len())))?;
    }
    if done.waiting > 0 {
        let what = if wait { "not there yet; `once moves` shows what it waits for" } else { "about to move" };
        ui::prose(&format!("{}: {what}", objects(done.waiting)))?;
    }
    if !done.refused.is_empty() {
        ui::print(&format!("{} did not move", objects(done.refused.len())))?;
        refused(&done.refused)?;
    }
    left(done.left)?;
    carried(done.carried)?;
    loses(&done.loses, "them", false)
}
