//! The kinds of dead letters, and why something is one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeadLetterKind {
    /// An action that has no outcome.
    Action,
    /// An object that a peer is owed.
    Share,
    /// Work outside that nobody has done.
    Work,
    /// A row that cannot be read: what it belongs to stands still.
    Damage,
}

/// Why something is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// It is for a kernel that is no peer (any more): nothing is sent there.
    NoPeer,
    /// It tells an object what came of its effect, and no program here can take that.
    CannotRun,
    /// It waits longer than it should.
    TooOld,
    /// It was taken back, and its home has not confirmed that.
    TakenBack,
    /// It cannot be read from this disk.
    Damaged,
}
