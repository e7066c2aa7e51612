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
    /// The plan.
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
    /// Its id.
    pub id: Uuid,
    /// The object that it is.
    pub object: ObjectInfo,
    /// The hash of the plan as it was written.
    pub plan: String,
    /// How the whole stands.
    pub state: RunState,
    /// How each step stands, in the order of the plan.
    pub steps: Vec<StepStatus>,
}
