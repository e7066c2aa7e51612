//! What a kernel's model looks with: it reports, counts, and knows what is on the disk.

use std::collections::{BTreeMap, BTreeSet};

use once_model::action::LaneName;
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};

use crate::check::{Check, How, Tally, Violation};
use crate::kernel::Kernel;
use crate::limits::Limits;

/// A lane, as its home names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneId {
    pub(crate) origin: KernelId,
    pub(crate) incarnation: Incarnation,
    pub(crate) name: LaneName,
}

/// What outlives every crash, because somebody was told it.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// What clients were told came of an action, by origin and id.
    pub(crate) clients: BTreeMap<(KernelId, Uuid), Hash>,
    /// What homes told of a place of a lane.
    pub(crate) told: BTreeMap<(KernelId, LaneId, u64), Hash>,
    /// Where the actions of judged kernels are recorded durably: home, lane and sequence.
    pub(crate) recorded: BTreeMap<(KernelId, Uuid), (KernelId, LaneId, u64)>,
    /// Kernels that are judged: those that were seen to start.
    pub(crate) judged: BTreeSet<KernelId>,
    /// Kernels that were put back from a backup: promises of what they said before do not hold.
    pub(crate) rolled: BTreeSet<KernelId>,
    /// Who has made revisions under a certificate of an object.
    pub(crate) makers: BTreeMap<(ObjectKey, Hash), KernelId>,
    /// The last revision before each handoff, as its home has sealed it.
    pub(crate) sealed: BTreeMap<Hash, Continues>,
    /// What receivers have answered to handoffs.
    pub(crate) handed: BTreeMap<(KernelId, Hash), bool>,
}

/// Where an object must go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Continues {
    pub(crate) revision: u64,
    pub(crate) id: Hash,
    pub(crate) content: Hash,
    /// Number and hash of its newest entry.
    pub(crate) tip: Option<(u64, Hash)>,
}

/// Looks at one event.
pub(crate) struct Eyes<'a> {
    pub(crate) me: KernelId,
    pub(crate) at: u64,
    pub(crate) limits: &'a Limits,
    /// What of this kernel is on the disk; none while its past is gone through again, when nothing is reported.
    pub(crate) disk: Option<&'a Kernel>,
    pub(crate) world: &'a mut World,
    pub(crate) tally: &'a mut Tally,
    pub(crate) found: &'a mut Vec<Violation>,
}

impl Eyes<'_> {
    /// Whether this is seen for the first time.
    pub(crate) fn live(&self) -> bool {
        self.disk.is_some()
    }

    /// Makes a check.
    pub(crate) fn check(&mut self, check: Check, how: How, right: bool, what: impl FnOnce() -> String) {
        if !self.live() {
            return;
        }
        self.tally.count(check, how);
        if !right {
            self.found.push(Violation {
                check,
                cite: check.cite(),
                kernel: self.me,
                at_ms: self.at,
                what: what(),
            });
        }
    }

    /// Makes a check with one right answer.
    pub(crate) fn exact(&mut self, check: Check, right: bool, what: impl FnOnce() -> String) {
        self.check(check, How::Exact, right, what);
    }

    /// It was the turn of a check that could not be made.
    pub(crate) fn not_made(&mut self, check: Check) {
        if self.live() {
            self.tally.count(check, How::NotMade);
        }
    }
}
