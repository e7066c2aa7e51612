//! What this kernel owes to others, and waits for.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sharing::TransferInfo;

/// Lists what this kernel owes to others, and what it waits for: the first 1,000 of each.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outbox {}

/// What is owed and waited for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OutboxResult {
    /// Shares, by peer.
    pub owed: Vec<OwedInfo>,
    /// Actions without an outcome.
    pub acts: Vec<WaitingInfo>,
    /// Work outside that is not done.
    pub work: Vec<WorkInfo>,
}

/// Another kernel, and the way there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReachInfo {
    /// What it is called here.
    pub peer: String,
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// How often it was dialled since it was connected last, or since this kernel started; `null` if this kernel does
    /// not run.
    pub tries: Option<u64>,
    /// Why the last try to reach it failed.
    pub last_error: Option<String>,
}

/// What a peer is owed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwedInfo {
    /// How many objects.
    pub rows: u64,
    /// Since when, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Large scenarios that are on their way to it.
    pub transfers: Vec<TransferInfo>,
    /// The peer that is owed it, and the way there.
    #[serde(flatten)]
    pub reach: ReachInfo,
}

/// An action without an outcome.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaitingInfo {
    /// The action's id.
    pub id: Uuid,
    /// The action's name.
    pub name: String,
    /// The key of its object.
    pub object: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub deadline_ms: Option<u64>,
    /// `cancelled` or `expired`, if it is no longer wanted.
    pub void: Option<String>,
    /// The key of the object that acts.
    pub acting: Option<String>,
    /// The key of the object that is told the outcome.
    pub waits: Option<String>,
    /// Why no program here can run it now, in words.
    pub stands: Option<String>,
    /// The home of its object.
    #[serde(flatten)]
    pub reach: ReachInfo,
}

/// Work outside that is not done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WorkInfo {
    /// The id of the work.
    pub id: Uuid,
    /// The kind of work.
    pub name: String,
    /// The key of the object that asked for it.
    pub object: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether this kernel, or a program that is connected, does such work.
    pub done_here: bool,
}

/// Gives up what a peer is owed, or an action that an object sent.
///
/// Of a peer: who waits for the object to be delivered is told `not-found`; a follower is owed the next revision all
/// the same. Of an action: at this kernel it is recorded as cancelled, unless it has run; elsewhere its home has the
/// last word.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboxDrop {
    /// The id of an action that an object sent, or that tells it what came of its effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Instead of an id: the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// With a peer: which object it is owed (all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// What was given up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OutboxDropResult {
    /// With `id`: the action that was given up.
    Action(DroppedAction),
    /// What a peer was owed.
    Debts(DroppedDebts),
}

/// An action that was given up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DroppedAction {
    /// The action's id.
    pub id: Uuid,
    /// The key of its object.
    pub object: String,
    /// Whether the object has its home here.
    pub here: bool,
}

/// What a peer was owed, and is no longer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DroppedDebts {
    /// What it is called here.
    pub peer: String,
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// How many objects.
    pub given_up: u64,
}
