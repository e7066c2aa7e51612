//! An action at its home, before it has run.

use once_model::action::{Act, Given, LaneName};
use once_model::ids::Hash;

use crate::act::rows::Origin;

/// Whose lane, and its name there.
pub(crate) type Lane = (Origin, LaneName);

/// An action at its home.
#[derive(Debug, Clone)]
pub(crate) struct Come {
    pub origin: Origin,
    pub act: Act,
    /// When it came.
    pub at_ms: u64,
    /// What it depends on and its origin has shared since it came.
    pub shown: Vec<Given>,
}

impl Come {
    /// Whose lane it is in, and of which object.
    pub fn lane(&self) -> Lane {
        (self.origin, self.act.lane)
    }

    /// Whether it is the same action in the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.origin, self.act.lane, self.act.sequence, self.act.action.id)
            == (other.origin, other.act.lane, other.act.sequence, other.act.action.id)
    }
}

/// An object that runs an action. Only in memory: nothing of it is promised.
#[derive(Debug)]
pub(crate) struct Busy {
    /// Which run is awaited; the answer to another one is thrown away.
    pub run: u64,
    /// The revision that it runs on.
    pub base: Hash,
    pub come: Come,
}
