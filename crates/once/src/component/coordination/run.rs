//! The run of a plan: a state machine without a kernel. It is told what came of what it asked for, and asks for what is
//! next.
//!
//! What is known to have failed is undone; what is not known is waited for. So nothing is compensated before the last
//! outcome that it depends on is here.

use std::collections::BTreeMap;

use once_model::ids::Uuid;
use once_model::limits::{PLAN_RESULT_MAX_BYTES, PLAN_RESULT_MAX_DEPTH};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::plan::{Mode, Plan, Step};
use super::times::{Reached, StepTimes};

/// How a coordination stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunState {
    /// It has not been started.
    Planned,
    /// Steps are under way.
    Running,
    /// A step failed or was refused; those that were done are being undone.
    Compensating,
    /// Every step is done.
    Done,
    /// A step failed or was refused, and all that was done and can be undone is undone.
    Compensated,
    /// Needs manual attention: a compensation failed or was refused, or what came of a step will never be known.
    #[serde(rename = "in doubt")]
    InDoubt,
}

impl RunState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Compensated | Self::InDoubt)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Done => "done",
            Self::Compensated => "compensated",
            Self::InDoubt => "in doubt",
        }
    }
}

/// How a step of a coordination stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepState {
    /// Nobody was asked.
    Planned,
    /// Its object was asked.
    Running {
        /// The id of the action.
        action: Uuid,
    },
    /// It is done.
    Done {
        /// What the object returned; nothing if that was too large to be kept.
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
    /// The component rejected it.
    Failed {
        /// Why the component rejected it, as JSON.
        reason: Value,
    },
    /// It never ran.
    Refused {
        /// Why: a stable code.
        code: String,
    },
    /// It was done, and its object was asked to undo it.
    Compensating {
        /// What the object had returned.
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        /// The id of the action that undoes it.
        action: Uuid,
    },
    /// It was done, and is undone.
    Compensated {
        /// What the object had returned.
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        /// What came of undoing it.
        compensation: StepOutcome,
    },
    /// It was done, and could not be undone.
    #[serde(rename = "in doubt")]
    InDoubt {
        /// What the object had returned.
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        /// What came of undoing it.
        compensation: StepOutcome,
    },
    /// Nobody will ever know whether it was done.
    Unknown {
        /// Why it will never be known, in words.
        reason: String,
    },
}

impl StepState {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running { .. } => "running",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Compensating { .. } => "compensating",
            Self::Compensated { .. } => "compensated",
            Self::InDoubt { .. } => "in doubt",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// How far it has come; nothing if nobody was asked.
    const fn reached(&self) -> Option<Reached> {
        Some(match self {
            Self::Planned => return None,
            Self::Running { .. } => Reached::Asked,
            Self::Done { .. } | Self::Failed { .. } | Self::Refused { .. } | Self::Unknown { .. } => {
                Reached::Answered
            }
            Self::Compensating { .. } => Reached::UndoAsked,
            Self::Compensated { .. } | Self::InDoubt { .. } => Reached::UndoAnswered,
        })
    }

    /// Whether its object was asked for something, and has not answered.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Compensating { .. })
    }

    /// What its object returned, if it was done and that was kept.
    #[must_use]
    pub const fn result(&self) -> Option<&Value> {
        match self {
            Self::Done { result }
            | Self::Compensating { result, .. }
            | Self::Compensated { result, .. }
            | Self::InDoubt { result, .. } => result.as_ref(),
            _ => None,
        }
    }
}

/// What came of what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepOutcome {
    /// It is done.
    Done {
        /// What the object returned; nothing if that was too large to be kept.
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
    /// The component rejected it.
    Failed {
        /// Why the component rejected it, as JSON.
        reason: Value,
    },
    /// It never ran.
    Refused {
        /// Why: a stable code.
        code: String,
    },
    /// Nobody will ever know.
    Unknown {
        /// Why it will never be known, in words.
        reason: String,
    },
}

impl StepOutcome {
    pub(super) fn done(result: Value) -> Self {
        Self::Done { result: kept(result) }
    }

    pub(super) fn failed(reason: Value) -> Self {
        Self::Failed { reason: kept(reason).unwrap_or_else(|| "too much to be kept here".into()) }
    }
}

/// `null` is a result, too.
fn some<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// A value from outside, if it is small enough to stand in this scenario with those of all other steps.
fn kept(value: Value) -> Option<Value> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    (depth(&value) <= PLAN_RESULT_MAX_DEPTH && value.to_string().len() <= PLAN_RESULT_MAX_BYTES)
        .then_some(value)
}

/// What the run wants of the object of a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want<'p> {
    Act(&'p Step),
    Compensate(&'p Step),
}

/// Asks an object, and returns the action's id; or why it cannot be asked.
pub(super) type Ask<'a> = dyn FnMut(&Run, Want<'_>) -> Result<Uuid, String> + 'a;

/// The run of a plan, as the scenario shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub state: RunState,
    steps: BTreeMap<String, StepState>,
    /// The id of the action that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<String, StepTimes>,
}

impl Run {
    /// Begins to carry out a plan.
    pub fn start(plan: &Plan, ask: &mut Ask<'_>) -> Self {
        let steps = plan.steps().map(|name| (name.to_owned(), StepState::Planned)).collect();
        let (state, times) = (RunState::Running, BTreeMap::new());
        let mut run = Self { state, steps, id: None, started_ms: None, ended_ms: None, times };
        run.go_on(plan, ask);
        run
    }

    /// How a step stands.
    pub fn step(&self, name: &str) -> &StepState {
        self.steps.get(name).unwrap_or(&StepState::Planned)
    }

    /// What came of a step.
    pub fn stepped(
        &mut self,
        plan: &Plan,
        name: &str,
        asked: Uuid,
        told: StepOutcome,
        ask: &mut Ask<'_>,
    ) -> Result<(), NotAwaited> {
        match self.step(name) {
            StepState::Running { action } if *action == asked => {}
            _ => return Err(NotAwaited),
        }
        self.set(name, acted(told));
        self.go_on(plan, ask);
        Ok(())
    }

    /// What came of undoing a step.
    pub fn compensated(
        &mut self,
        plan: &Plan,
        name: &str,
        asked: Uuid,
        told: StepOutcome,
        ask: &mut Ask<'_>,
    ) -> Result<(), NotAwaited> {
        let result = match self.step(name) {
            StepState::Compensating { action, result } if *action == asked => result.clone(),
            _ => return Err(NotAwaited),
        };
        self.set(name, undone(result, told));
        self.go_on(plan, ask);
        Ok(())
    }

    /// Goes on as far as it can without waiting.
    fn go_on(&mut self, plan: &Plan, ask: &mut Ask<'_>) {
        loop {
            match self.state {
                RunState::Running => match self.next_step(plan) {
                    Next::Ask(step) => self.act(step, ask),
                    Next::Wait => return,
                    Next::Turn(state) => self.state = state,
                },
                RunState::Compensating => match self.next_compensation(plan) {
                    Next::Ask(step) => self.compensate(step, ask),
                    Next::Wait => return,
                    Next::Turn(state) => self.state = state,
                },
                RunState::Planned | RunState::Done | RunState::Compensated | RunState::InDoubt => return,
            }
        }
    }

    fn next_step<'p>(&self, plan: &'p Plan) -> Next<'p> {
        let next = plan.steps.iter().find(|step| matches!(self.step(&step.name), StepState::Planned));
        let running = self.any(|step| matches!(step, StepState::Running { .. }));
        let failed = self.any(|step| matches!(step, StepState::Failed { .. } | StepState::Refused { .. }));
        let unknown = self.any(|step| matches!(step, StepState::Unknown { .. }));
        match (plan.mode, next) {
            (Mode::All, Some(step)) => Next::Ask(step),
            _ if running => Next::Wait,
            _ if failed => Next::Turn(RunState::Compensating),
            _ if unknown => Next::Turn(RunState::InDoubt),
            (Mode::Sequence, Some(step)) => Next::Ask(step),
            (_, None) => Next::Turn(RunState::Done),
        }
    }

    /// Backwards; of a sequence one after the other.
    fn next_compensation<'p>(&self, plan: &'p Plan) -> Next<'p> {
        let undoable = |step: &&Step| {
            step.compensation.is_some() && matches!(self.step(&step.name), StepState::Done { .. })
        };
        let next = plan.steps.iter().rev().find(undoable);
        let waiting = self.any(|step| matches!(step, StepState::Compensating { .. }));
        let doubt = self.any(|step| matches!(step, StepState::InDoubt { .. } | StepState::Unknown { .. }));
        match next {
            Some(step) if !waiting || plan.mode == Mode::All => Next::Ask(step),
            _ if waiting => Next::Wait,
            _ if doubt => Next::Turn(RunState::InDoubt),
            _ => Next::Turn(RunState::Compensated),
        }
    }

    fn act(&mut self, step: &Step, ask: &mut Ask<'_>) {
        let state = match ask(self, Want::Act(step)) {
            Ok(action) => StepState::Running { action },
            Err(reason) => acted(StepOutcome::failed(reason.into())),
        };
        self.set(&step.name, state);
    }

    fn compensate(&mut self, step: &Step, ask: &mut Ask<'_>) {
        let result = self.step(&step.name).result().cloned();
        let state = match ask(self, Want::Compensate(step)) {
            Ok(action) => StepState::Compensating { result, action },
            Err(reason) => undone(result, StepOutcome::failed(reason.into())),
        };
        self.set(&step.name, state);
    }

    /// Notes the time of everything that has happened since it was noted last.
    pub fn note_times(&mut self, now_ms: u64) {
        self.started_ms = self.started_ms.or(Some(now_ms));
        for (name, state) in &self.steps {
            if let Some(reached) = state.reached() {
                self.times.entry(name.clone()).or_default().note(reached, now_ms);
            }
        }
        if self.state.is_over() {
            self.ended_ms = self.ended_ms.or(Some(now_ms));
        }
    }

    fn set(&mut self, name: &str, state: StepState) {
        self.steps.insert(name.to_owned(), state);
    }

    fn any(&self, is: impl Fn(&StepState) -> bool) -> bool {
        self.steps.values().any(is)
    }
}

/// What a run does next.
enum Next<'p> {
    Ask(&'p Step),
    Wait,
    Turn(RunState),
}

/// A step of which that came.
fn acted(told: StepOutcome) -> StepState {
    match told {
        StepOutcome::Done { result } => StepState::Done { result },
        StepOutcome::Failed { reason } => StepState::Failed { reason },
        StepOutcome::Refused { code } => StepState::Refused { code },
        StepOutcome::Unknown { reason } => StepState::Unknown { reason },
    }
}

/// A step whose compensation ended so.
fn undone(result: Option<Value>, compensation: StepOutcome) -> StepState {
    match compensation {
        StepOutcome::Done { .. } => StepState::Compensated { result, compensation },
        _ => StepState::InDoubt { result, compensation },
    }
}

/// Nobody waits for this answer (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this answer is not awaited")]
pub(super) struct NotAwaited;

#[cfg(test)]
mod tests;
