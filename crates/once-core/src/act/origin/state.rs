//! What the engine remembers of the lanes of this kernel as an origin.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_model::ids::{KernelId, ObjectKey, Uuid};

use crate::act::rows::{LaneId, RequestsRow};

/// A lane as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    /// Where its actions are sent.
    pub home: KernelId,
    /// [`SendingRow::now`].
    pub now: Option<ObjectKey>,
    /// The last sequence that was given.
    pub last: u64,
    /// Every sequence below this one has its outcome here.
    pub floor: u64,
    /// Whether the outbox names it.
    pub listed: bool,
    /// Whether other lanes have its name, to other kernels.
    pub shares_name: bool,
    /// `last` and `floor` as they are in its row.
    pub saved: (u64, u64),
}

impl Lane {
    /// Whether every action of it has its outcome.
    pub const fn is_done(&self) -> bool {
        self.floor > self.last
    }

    /// Actions from the lowest without an outcome on.
    pub const fn waiting(&self) -> u64 {
        self.last + 1 - self.floor
    }
}

/// Lanes that were met lately. All of it is made anew from the rows: whoever takes rows back forgets it.
#[derive(Debug, Default)]
pub(crate) struct Lanes(pub BTreeMap<LaneId, Lane>);

impl Lanes {
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// Lanes to objects of this kernel that take their time. All of it is made anew from the rows.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    pub lanes: BTreeSet<LaneId>,
    /// Whose first action is to be sent now.
    pub next: VecDeque<LaneId>,
}

#[cfg(test)]
impl Slow {
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.next.is_empty()
    }
}

/// What the engine knows of the client ledger. What is counted here and not on the disk yet goes with the rows when they are taken
/// back.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Requests {
    pub row: Option<RequestsRow>,
    /// Actions that are not in the count on disk.
    pub unwritten: u64,
    /// All that lie before it still wait for their outcomes.
    pub from: Uuid,
}
