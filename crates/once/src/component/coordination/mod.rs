//! `Coordination`: one plan over several objects, wherever their homes are. Its state is the plan, and how it stands: a
//! scenario that can be read, shared and moved like any other.
//!
//! It acts on the objects of its steps, and is told what came of that, as any object would be: exactly once, whatever is
//! killed or cut off meanwhile. There is no isolation between its steps: others see what is done so far. Where that must not
//! be, let the objects understand `reserve`, `confirm` and `cancel`, as [`super::Account`] does. `docs/coordination.md`
//! has more.

mod arguments;
mod plan;
mod run;
mod times;

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

pub use plan::{Plan, PlanError};
pub use run::{RunState, StepOutcome, StepState};
pub use times::StepTimes;

use super::{ActionDescription, Component, Context, Reply};
use plan::Step;
use run::{Ask, NotAwaited, Run, Want};

/// The name of the component.
pub(crate) const NAME: &str = "Coordination";

/// The version that it writes.
pub(crate) const VERSION: &str = "1.0";

/// What it publishes when a step or the whole has come further.
const PROGRESS: &str = "coordination";

/// The state of a coordination. Its plan never changes: it is not even written.
#[derive(Debug, Serialize, Deserialize)]
struct Coordination {
    #[serde(default, skip_serializing)]
    plan: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
}

/// What an effect is to remind it of.
#[derive(Debug, Serialize, Deserialize)]
struct Reminder {
    step: String,
}

#[derive(Deserialize, JsonSchema)]
struct Start {
    /// The hash of the plan that is meant.
    plan: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Get {
    /// Only this step, with its result.
    step: String,
}

/// How a coordination stands, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoordinationStatus {
    /// How the whole stands.
    pub state: RunState,
    /// The steps, in the order of the plan.
    pub steps: Vec<StepStatus>,
    /// The id of the action that started it. Absent before that, and in what an older version wrote.
    pub id: Option<Uuid>,
    /// When it was started, by the clock of its home, in milliseconds since 1970.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
}

/// How a step of a coordination stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepStatus {
    /// The step's name, as the plan has it.
    pub name: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: StepState,
    /// When that happened.
    #[serde(default, skip_serializing_if = "StepTimes::is_empty")]
    pub times: StepTimes,
}

impl CoordinationStatus {
    fn of(plan: &Plan, run: Option<&Run>) -> Self {
        let state = |name: &str| run.map_or(&StepState::Planned, |run| run.step(name)).clone();
        let times = |name: &str| run.and_then(|run| run.times.get(name)).copied().unwrap_or_default();
        let steps = plan.steps().map(|name| StepStatus {
            name: name.to_owned(),
            state: state(name),
            times: times(name),
        });
        Self {
            state: run.map_or(RunState::Planned, |run| run.state),
            steps: steps.collect(),
            id: run.and_then(|run| run.id),
            started_ms: run.and_then(|run| run.started_ms),
            ended_ms: run.and_then(|run| run.ended_ms),
        }
    }

    /// Reads the model of a coordination.
    pub(crate) fn read(model: &str) -> Result<(Plan, Self), String> {
        let state: Coordination = serde_json::from_str(model).map_err(|error| error.to_string())?;
        let plan = state.plan()?;
        let standing = Self::of(&plan, state.run.as_ref());
        Ok((plan, standing))
    }
}

impl Coordination {
    fn plan(&self) -> Result<Plan, String> {
        let text = self.plan.as_deref().ok_or("it has no plan")?;
        Plan::parse(text.get()).map_err(|error| error.to_string())
    }

    /// A second start finds it as it is.
    fn start(&mut self, start: Option<Start>, context: &Context) -> Result<RunState, String> {
        let plan = self.plan()?;
        let meant = start.and_then(|start| start.plan);
        if let Some(meant) = meant.filter(|meant| *meant != plan.hash().to_string()) {
            return Err(format!("its plan has the hash {}, not {meant}", plan.hash()));
        }
        if self.run.is_none() {
            let mut run = Run::start(&plan, &mut asking(context));
            run.id = Some(context.id);
            run.note_times(context.now_ms);
            tell(context, &plan, None, &run)?;
            self.run = Some(run);
        }
        Ok(self.run.as_ref().map_or(RunState::Planned, |run| run.state))
    }

    /// An answer is here: the run goes on.
    fn answered(
        &mut self,
        came: Reply<Reminder>,
        context: &Context,
        take: impl FnOnce(&mut Run, &Plan, &str, Uuid, StepOutcome, &mut Ask<'_>) -> Result<(), NotAwaited>,
    ) -> Result<(), String> {
        let plan = self.plan()?;
        let run = self.run.as_mut().ok_or_else(|| NotAwaited.to_string())?;
        let before = run.clone();
        let (step, effect) = (came.with.step.clone(), came.effect);
        take(run, &plan, &step, effect, told(came), &mut asking(context))
            .map_err(|error| error.to_string())?;
        run.note_times(context.now_ms);
        tell(context, &plan, Some(&before), run)
    }

    /// Without results: all of them may be more than an outcome holds.
    fn get(&self, get: Option<Get>) -> Result<serde_json::Value, String> {
        let plan = self.plan()?;
        let standing = CoordinationStatus::of(&plan, self.run.as_ref());
        if let Some(Get { step }) = get {
            let found = standing.steps.into_iter().find(|known| known.name == step);
            return Ok(json!(found.ok_or_else(|| format!("it has no step '{step}'"))?));
        }
        let steps =
            standing.steps.iter().map(|step| json!({ "name": step.name, "status": step.state.word() }));
        Ok(json!({ "state": standing.state, "steps": steps.collect::<Vec<_>>() }))
    }
}

fn told(came: Reply<Reminder>) -> StepOutcome {
    match came.status.as_str() {
        "done" => StepOutcome::done(came.result),
        "failed" => StepOutcome::failed(came.reason),
        // Its object's home was put back from a backup: it may have run there before.
        "refused" if came.code.as_deref() == Some("quarantined") => {
            StepOutcome::Unknown { reason: "quarantined".into() }
        }
        "refused" => StepOutcome::Refused { code: came.code.unwrap_or_else(|| "other".into()) },
        other => StepOutcome::Unknown { reason: other.to_owned() },
    }
}

/// Asks the objects of steps, by effects of the action that runs.
fn asking(context: &Context) -> impl FnMut(&Run, Want<'_>) -> Result<Uuid, String> {
    move |run, want| {
        let (step, wanted, answer) = match want {
            Want::Act(step) => (step, &step.act, "stepped"),
            Want::Compensate(step) => {
                (step, step.compensation.as_ref().ok_or("it has no compensation")?, "compensated")
            }
        };
        let Step { name, ior, deadline, .. } = step;
        let arguments = wanted.arguments.fill(|of| run.step(of).result())?;
        let called = context.act(ior, &wanted.action, &arguments)?;
        let called = called.then(answer, &Reminder { step: name.clone() })?;
        // What undoes is wanted however late it is.
        Ok(match (want, deadline) {
            (Want::Act(_), Some(deadline)) => called.deadline(*deadline).id(),
            _ => called.id(),
        })
    }
}

/// Tells whoever listens what has changed.
fn tell(context: &Context, plan: &Plan, before: Option<&Run>, now: &Run) -> Result<(), String> {
    let changed = plan
        .steps()
        .filter(|name| before.map_or("planned", |before| before.step(name).word()) != now.step(name).word());
    let steps: Vec<_> =
        changed.map(|name| json!({ "name": name, "status": now.step(name).word() })).collect();
    Ok(context.publish(PROGRESS, &json!({ "state": now.state, "steps": steps }))?)
}

/// Carries out a plan: `start`, `get` (of one step with its result: `get {"step": name}`).
#[must_use]
pub fn coordination() -> Component {
    Component::of::<Coordination>(NAME, VERSION)
        .action("start", |state: &mut Coordination, start: Option<Start>, context: &Context| {
            state.start(start, context)
        })
        .action("get", |state: &mut Coordination, get: Option<Get>, _: &Context| state.get(get))
        .describe_action(
            ActionDescription::named("start")
                .description("Starts the plan, if that has not been done, and returns how the coordination stands.")
                .types::<Option<Start>, RunState>(),
        )
        .describe_action(
            ActionDescription::named("get")
                .description("Returns how the coordination stands, step by step; of one step that is named: with its result.")
                .types::<Option<Get>, serde_json::Value>(),
        )
        .answer("stepped", |state: &mut Coordination, came: Reply<Reminder>, context: &Context| {
            state.answered(came, context, Run::stepped)
        })
        .answer("compensated", |state: &mut Coordination, came: Reply<Reminder>, context: &Context| {
            state.answered(came, context, Run::compensated)
        })
        .into()
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
