//! Dead letters: what does not go on by itself, or has not for too long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outbox::ReachInfo;
use crate::{DeadLetterKind, DeadLetterReason};

/// Lists what does not go on by itself, or waits for longer than it should, the oldest first.
///
/// Actions for a kernel that is no peer, answers that no program here can take, and rows that cannot be read are listed whatever
/// their age; all else that waits (actions, objects that peers are owed, work outside) when it is too old. At most 10,000 are listed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetters {
    /// What waits for so long is too old (3,600,000: one hour).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most letters in the answer (100; at most 1,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of dead letters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettersResult {
    /// The letters, the oldest first.
    pub letters: Vec<DeadLetterInfo>,
    /// How many there are.
    pub total: usize,
    /// The `after` of the next page, or `null`.
    pub next: Option<String>,
}

/// Something that does not go on by itself, or has not for too long.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterInfo {
    /// What tells it apart from the others: an action's or a work's own id, else a short hash.
    pub id: String,
    /// What kind of thing waits.
    pub kind: DeadLetterKind,
    /// Why it is a dead letter.
    pub reason: DeadLetterReason,
    /// The same in words, with what is known of it now.
    pub detail: String,
    /// The name of the action or work; of damage, the table.
    pub name: Option<String>,
    /// The key of the object that it is about.
    pub object: Option<String>,
    /// Since when, in milliseconds since 1970. Of damage nobody knows.
    pub since_ms: Option<u64>,
    /// Whether it can be dropped.
    pub can_drop: bool,
    /// The kernel for which it waits, and the way there.
    pub reach: Option<ReachInfo>,
}

/// Tries dead letters again now: their kernels are called, or the programs of their components are asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersRetry {
    /// Which, by their ids, whatever their age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Instead of ids: all that `dead_letters` lists (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// With `all`: what waits for so long is too old (3,600,000: one hour).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
}

/// Gives dead letters up.
///
/// An action is taken back: it does not run any more, unless it has run already, which its home says. A peer is not owed the object
/// any more. An object that wants work outside is told that it failed. What cannot be given up says why.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersDrop {
    /// Which, by their ids, whatever their age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Instead of ids: all that `dead_letters` lists (`false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// With `all`: what waits for so long is too old (3,600,000: one hour).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
}

/// What became of dead letters, in the order in which they were named or are listed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettersDone {
    /// Each of them.
    pub results: Vec<DeadLetterDone>,
}

/// What became of a dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterDone {
    /// The letter's id.
    pub id: String,
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
    /// What to do next, if it was not done.
    pub hint: Option<String>,
}
