//! `once coordination`

use clap::Args;
use once::api::contract::{self, CoordinationInfo};
use once::{StepState, StepStatus};

use super::coordinate;
use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Show the steps of a coordination as a timeline
///
/// It shows when each step was asked for, what came of it, and what was undone.
///
/// With --watch it says what changes until the coordination has ended, and shows the timeline then. The exit code says then how it
/// ended, as that of `once coordinate --wait`: 0 done, 1 compensated, 6 in doubt, 4 at the timeout (it goes on).
#[derive(Debug, Args)]
pub struct Coordination {
    /// The coordination's id, or what names its object
    #[arg(value_name = "ID")]
    coordination: String,
    /// Follow it until it has ended
    #[arg(long)]
    watch: bool,
    /// Stop following it after this time, like 10s or 2m; the coordination goes on
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = ui::parse_ms)]
    timeout: Option<u64>,
}

impl Coordination {
    /// One that has ended is shown at once.
    pub async fn run(self, context: &Context) -> Done {
        let watch = self.watch;
        let params =
            contract::Coordination { coordination: self.coordination, wait: watch, timeout_ms: self.timeout };
        let hint =
            "start it with `once up`, or leave out --watch: nothing goes on while the kernel does not run";
        let answer = coordinate::ask(context, params, watch.then_some(("watching", hint))).await?;
        context.answer(&answer, print)?;
        Ok(if watch { coordinate::exit(&answer) } else { Exit::DONE })
    }
}

/// What happened to a step at one time.
struct Moment {
    at_ms: Option<u64>,
    step: String,
    what: String,
    outcome: String,
    is_undoing: bool,
}

fn print(answer: &CoordinationInfo) -> Done<()> {
    let name = answer.name.as_deref().map_or_else(String::new, |name| format!("  {}", ui::shown(name)));
    ui::print(&format!("{} {}{name}", answer.state.word(), answer.id))?;
    if let Some(started) = answer.started_ms {
        let ended = answer.ended_ms.map_or_else(String::new, |ended| {
            format!(", ended after {}", ui::duration_us(ended.saturating_sub(started).saturating_mul(1000)))
        });
        ui::say(&format!("started {}{ended}", ui::utc(started)));
    }
    let mut table = ui::Table::new(["AFTER", "STEP", "WHAT", "OUTCOME"]);
    for Moment { at_ms, step, what, outcome, .. } in timeline(&answer.steps) {
        let after = at_ms.zip(answer.started_ms).map(|(at, started)| at.saturating_sub(started));
        let after = after.map_or_else(|| "-".to_owned(), |ms| ui::duration_us(ms.saturating_mul(1000)));
        table.row([after, step, what, outcome]);
    }
    table.right(0).under(&[3]).cut(&[1, 3]).print()
}

/// All that has happened, in order. What has no time has not happened yet, or was not noted by an older version: it stands at the
/// end, in the order of the plan. Of one millisecond, what was done comes before what was undone, and that was undone backwards.
fn timeline(steps: &[StepStatus]) -> Vec<Moment> {
    let mut all = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let backwards = steps.len() - at;
        let place = |is_undoing: bool| (is_undoing, if is_undoing { backwards } else { at });
        all.extend(
            moments(step)
                .into_iter()
                .map(|moment| (moment.at_ms.unwrap_or(u64::MAX), place(moment.is_undoing), moment)),
        );
    }
    all.sort_by_key(|(at_ms, place, _)| (*at_ms, *place));
    all.into_iter().map(|(.., moment)| moment).collect()
}

/// What has happened to a step, in order; of one that nobody was asked for: that it is planned.
fn moments(step: &StepStatus) -> Vec<Moment> {
    let (state, times) = (&step.state, &step.times);
    let moment = |at_ms: Option<u64>, what: &str, outcome: String| Moment {
        at_ms,
        step: ui::cell(&step.name, 80),
        what: what.to_owned(),
        outcome,
        is_undoing: what.contains("undo"),
    };
    let none = || "-".to_owned();
    let is_undone = matches!(
        state,
        StepState::Compensating { .. } | StepState::Compensated { .. } | StepState::InDoubt { .. }
    );
    let mut all = Vec::new();
    if times.asked_ms.is_some() || state.is_awaited() && !is_undone {
        all.push(moment(times.asked_ms, "asked", none()));
    }
    match state {
        StepState::Planned => all.push(moment(None, "planned", none())),
        StepState::Running { .. } => {}
        _ if is_undone => {
            all.push(moment(times.answered_ms, "done", coordinate::result(state)));
            all.push(moment(times.undo_asked_ms, "undo asked", none()));
        }
        _ => all.push(moment(times.answered_ms, state.word(), coordinate::detail(state))),
    }
    match state {
        StepState::Compensated { compensation, .. } => {
            all.push(moment(times.undo_answered_ms, "undone", coordinate::told(compensation)));
        }
        StepState::InDoubt { compensation, .. } => {
            all.push(moment(times.undo_answered_ms, "not undone", coordinate::told(compensation)));
        }
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happens_in_one_millisecond_is_in_the_order_of_its_causes() {
        let steps = json!([
            { "name": "a", "status": "compensated", "result": 1, "compensation": { "status": "done", "result": 0 },
              "times": { "asked_ms": 1, "answered_ms": 2, "undo_asked_ms": 2, "undo_answered_ms": 2 } },
            { "name": "b", "status": "failed", "reason": "no", "times": { "asked_ms": 2, "answered_ms": 2 } },
            { "name": "c", "status": "planned" },
        ]);
        let steps: Vec<StepStatus> = serde_json::from_value(steps).unwrap();
        let said: Vec<_> =
            timeline(&steps).into_iter().map(|moment| format!("{} {}", moment.step, moment.what)).collect();
        let right = ["a asked", "a done", "b asked", "b failed", "a undo asked", "a undone", "c planned"];
        assert_eq!(said, right);
    }

    #[test]
    fn a_step_has_a_line_for_each_thing_that_happened() {
        let lines = |step: serde_json::Value| {
            let step: StepStatus = serde_json::from_value(step).unwrap();
            moments(&step)
                .into_iter()
                .map(|moment| (moment.at_ms, moment.what, moment.outcome))
                .collect::<Vec<_>>()
        };
        let line = |at: Option<u64>, what: &str, outcome: &str| (at, what.to_owned(), outcome.to_owned());
        assert_eq!(lines(json!({ "name": "a", "status": "planned" })), [line(None, "planned", "-")]);
        let failed = json!({ "name": "a", "status": "failed", "reason": "no", "times": { "asked_ms": 1, "answered_ms": 3 } });
        assert_eq!(lines(failed), [line(Some(1), "asked", "-"), line(Some(3), "failed", "no")]);
        let undone = json!({ "name": "a", "status": "in doubt", "result": 7,
            "compensation": { "status": "refused", "code": "denied" },
            "times": { "asked_ms": 1, "answered_ms": 2, "undo_asked_ms": 5, "undo_answered_ms": 9 } });
        let all = [
            line(Some(1), "asked", "-"),
            line(Some(2), "done", "7"),
            line(Some(5), "undo asked", "-"),
            line(Some(9), "not undone", "denied"),
        ];
        assert_eq!(lines(undone), all);
    }
}
