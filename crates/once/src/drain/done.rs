//! What came of a drain, and how far one is.

use once_model::ids::{KernelId, ObjectKey};

use crate::Error;

/// Objects that cannot go and are named, each with why; further ones are counted.
const NAMED_MAX: usize = 1000;

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainProgress {
    /// `moving` or `sharing`.
    pub phase: &'static str,
    /// Objects that have come to an end: they are there, or cannot go.
    pub done: usize,
    /// Out of so many.
    pub total: usize,
}

/// What came of a drain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Objects that moved.
    pub moved: usize,
    /// Calls of theirs that were left behind without an outcome.
    pub left_calls: usize,
    /// Unclaimed copies, and replicas of objects with another home, that the other kernel has now.
    pub shared: usize,
    /// What cannot go, and why: the first thousand.
    pub stuck: Vec<(ObjectKey, Error)>,
    /// How many cannot go.
    pub stuck_count: usize,
    /// Objects that were to move and had not arrived when waiting ended. Those that had begun go on.
    pub not_arrived: usize,
    /// What is owed to the other kernel and was not answered when waiting ended. It goes on.
    pub owed: usize,
    /// What this kernel followed at others, and the other kernel follows in its place now.
    pub followed: usize,
    /// What this kernel still follows at others: the other kernel does not take that over.
    pub follows: Vec<(ObjectKey, KernelId)>,
    /// Why it does not: what was said first.
    pub unfollowed: Option<Error>,
    /// Somebody cancelled it.
    pub is_cancelled: bool,
}

impl DrainReport {
    pub(super) fn cannot_go(&mut self, key: ObjectKey, why: Error) {
        self.stuck_count += 1;
        if self.stuck.len() < NAMED_MAX {
            self.stuck.push((key, why));
        }
    }

    pub(super) fn ended(&mut self, end: Option<End>) {
        self.is_cancelled |= end == Some(End::Cancelled);
    }

    /// Whether everything is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stuck_count + self.not_arrived + self.owed == 0 && !self.is_cancelled
    }
}

/// Why a drain ended before everything had come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody cancelled it.
    Cancelled,
    /// Nothing arrived for as long as was to be waited.
    Waited,
}
