//! `once move`

use clap::Args;
use serde_json::{Value, json};

use super::grants;
use crate::context::{Context, list, not_running, number, text};
use crate::failure::{Done, Exit};
use crate::ui;

/// Move objects to another kernel: from then on they live there, and only there
///
/// What is under way comes to its end first. Their state, their history, their timers, the rights on them and whatever was
/// asked of them go along, and whoever names them as before finds them. The other kernel must let this one do so
/// (the right `host`) and have the component.
///
/// Waits until they live there; exits with 3 if one was refused, with 4 at the timeout (the move goes on: `once moves`).
#[derive(Debug, Args)]
pub struct Move {
    /// Which objects
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
    /// Only say what would move, and whose rights would stay behind
    #[arg(long)]
    dry_run: bool,
    /// Rights on this kernel or on a component, as far as they reach the objects, become rights on each object and go along
    #[arg(long)]
    carry_rights: bool,
    /// Do not wait for calls of theirs that have no outcome: they are told `unknown`, and what they asked may still happen, also after
    /// what they ask from their new home
    #[arg(long)]
    leave_calls: bool,
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
        let params = json!({
            "objects": self.objects, "all": self.all, "component": self.component, "to": self.to,
            "dry_run": self.dry_run, "carry_rights": self.carry_rights, "wait": wait,
            "leave_calls": self.leave_calls, "timeout_ms": self.timeout,
        });
        let client = context.kernel().await?;
        if client.is_embedded() && wait {
            client.close().await?;
            return Err(
                not_running(&context.data).hint("start it with `once up`, or queue it with --no-wait")
            );
        }
        let bar = if context.json || !wait { ui::Bar::none() } else { ui::Bar::new("moving", 0) };
        let answer = client.call_with_progress("move", params, |progress| bar.show(progress)).await;
        drop(bar);
        let closed = client.close().await;
        let answer = answer?;
        closed?;
        let to = ui::shown(&self.to);
        context.answer(&answer, |answer| print(answer, &to, wait))?;
        Ok(exit(&answer, wait))
    }
}

/// What was given up: calls that nobody waited for.
pub(super) fn left(answer: &Value) -> Done<()> {
    match number(answer, "left") {
        0 => Ok(()),
        calls => ui::print(&format!(
            "{} left behind: whoever asked was told `unknown`, and it may still happen, also later than what is asked from there",
            ui::count(calls, "call")
        )),
    }
}

fn exit(answer: &Value, wait: bool) -> Exit {
    if !list(answer, "refused").is_empty() {
        Exit::REFUSED
    } else if number(answer, "waiting") > 0 && wait {
        Exit::UNREACHABLE
    } else {
        Exit::DONE
    }
}

fn print(answer: &Value, to: &str, wait: bool) -> Done<()> {
    let is_dry = answer.get("dry_run").is_some();
    if is_dry {
        let objects = list(answer, "objects");
        ui::print(&format!("{} would move to {to}", ui::count(objects.len() as u64, "object")))?;
    }
    let moved = list(answer, "moved");
    if !moved.is_empty() {
        ui::print(&format!("{} moved to {to}", ui::count(moved.len() as u64, "object")))?;
    }
    let waiting = number(answer, "waiting");
    if waiting > 0 {
        let what = if wait { "not there yet; `once moves` shows what it waits for" } else { "about to move" };
        ui::print(&format!("{}: {what}", ui::count(waiting, "object")))?;
    }
    let refused = list(answer, "refused");
    if !refused.is_empty() {
        ui::print(&format!("{} did not move", ui::count(refused.len() as u64, "object")))?;
        for one in refused {
            ui::print(&format!("  {}", ui::shown(text(one, "message"))))?;
        }
    }
    left(answer)?;
    let carried = number(answer, "carried");
    if carried > 0 {
        ui::print(&format!("{} became rights on the objects, and went along", ui::count(carried, "right")))?;
    }
    let loses = list(answer, "loses");
    if !loses.is_empty() {
        let verb = if is_dry { "would stay" } else { "stayed" };
        ui::print(&format!(
            "these rights reach them here, and {verb} behind (--carry-rights takes them along):"
        ))?;
        for grant in loses {
            ui::print(&format!(
                "  {}: {} on {}",
                ui::shown(text(grant, "peer")),
                grants::right(grant),
                grants::scope(grant)
            ))?;
        }
    }
    Ok(())
}
