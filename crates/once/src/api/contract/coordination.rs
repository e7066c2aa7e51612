//! Coordinations: one plan over several objects.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::objects::ObjectInfo;
use crate::{RunState, StepStatus};

/// Starts a coordination: one plan over several objects.
///
/// Answers as soon as it is durable here, or with `wait` at its end. The same `id` with the same plan is the same coordination, and
/// is not run again; with another plan it is `id-reused`. A plan that is none is `invalid`, with `line` and `column` in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    /// The plan, as a JSON value: see `coordination.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// The plan as a JSON text, whose spelling is kept. Instead of `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_text: Option<String>,
    /// The coordination's id, a UUID of version 7 (a new one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Answers when it has ended (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Stops waiting: `timeout` after that, and it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// How a coordination stands. How it ended is no error: look at `state`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CoordinationInfo {
    /// Its id. Of one that was started by hand: the UUID of its object.
    pub id: Uuid,
    /// The object that it is.
    pub object: ObjectInfo,
    /// What its plan is called: the plan's member `name`.
    pub name: Option<String>,
    /// The hash of the plan as it was written.
    pub plan: String,
    /// How the whole stands.
    pub state: RunState,
    /// When it was started, by the clock of its home, in milliseconds since 1970. `null` before that, and of one that an older
    /// version started.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// How each step stands, in the order of the plan.
    pub steps: Vec<StepStatus>,
}

/// Says how a coordination stands, step by step.
///
/// `not-found` if there is none, `invalid` if the object is none. With `wait` it answers at its end, and with `"progress": true`
/// tells what changes until then.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coordination {
    /// Its id, or what names its object.
    pub coordination: String,
    /// Answers when it has ended (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Stops waiting: `timeout` after that, and it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Lists the coordinations that this kernel carries out, or has carried out, in the order of the UUIDs of their objects.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coordinations {
    /// Only those in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most coordinations in the answer (100; at most 1,000). A page may have fewer, and not be the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of coordinations.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CoordinationsResult {
    /// The coordinations, in the order of the UUIDs of their objects.
    pub coordinations: Vec<CoordinationSummary>,
    /// The `after` of the next page, or `null`.
    pub next: Option<String>,
}

/// How a coordination stands, in short.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CoordinationSummary {
    /// Its id. Of one that was started by hand: the UUID of its object.
    pub id: Uuid,
    /// The key of the object that it is.
    pub object: String,
    /// What its plan is called: the plan's member `name`.
    pub name: Option<String>,
    /// How it stands.
    pub state: RunState,
    /// How many steps the plan has.
    pub steps: usize,
    /// How many of them are done, and not undone.
    pub done: usize,
    /// When it was started, by this kernel's clock, in milliseconds since 1970, or `null`.
    pub started_ms: Option<u64>,
    /// When it ended, or `null`.
    pub ended_ms: Option<u64>,
}
