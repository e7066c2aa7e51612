//! How far a call is: `progress` notifications.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a call is. `share`, `exchange`, `move`, `drain` and `coordinate` tell it if they were called with
/// `"progress": true`; a client that reads too slowly misses some of it, and not its answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What it does now: `comparing`, `receiving`, `sending`, `moving`, `sharing`, or the state of a coordination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// How many are done in this phase.
    pub done: u64,
    /// Of how many; 0 while that is not known.
    pub total: u64,
    /// Bytes of scenarios so far, of `exchange`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How the coordination stands, of `coordinate`.
    #[serde(flatten)]
    pub coordination: Option<CoordinationProgress>,
}

/// How a coordination stands, in a few words.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CoordinationProgress {
    /// The coordination's id.
    pub coordination: Uuid,
    /// The UUID of its object.
    pub object: String,
    /// How each step stands, in the order of the plan.
    pub steps: Vec<StepProgress>,
}

/// How a step stands, in a word.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StepProgress {
    /// The step's name.
    pub name: String,
    /// How it stands, in the words of `StepStatus`.
    pub status: String,
}

impl Progress {
    /// So many of so many.
    #[must_use]
    pub fn of(done: usize, total: usize) -> Self {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self { done: number(done), total: number(total), ..Self::default() }
    }

    /// In this phase.
    #[must_use]
    pub fn in_phase(self, phase: &str) -> Self {
        Self { phase: Some(phase.to_owned()), ..self }
    }
}
