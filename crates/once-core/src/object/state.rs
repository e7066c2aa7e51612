//! What is known of objects only while the engine runs.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Hash, KernelId, ObjectKey};

use crate::waist::ConnId;

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Which homes are asked to prove what.
    pub proofs: Proofs,
    /// Whether earlier revisions are kept of any object; not known before somebody has looked.
    pub keeps_revisions: Option<bool>,
}

/// What homes are asked for. Only in memory: at each connection it is made anew from the rows.
#[derive(Debug, Default)]
pub(crate) struct Proofs(pub BTreeMap<KernelId, Asking>);

/// One home is asked for one object at a time.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    pub conn: ConnId,
    pub now: Option<Walk>,
    pub waiting: BTreeSet<ObjectKey>,
}

/// A walk down a history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    pub key: ObjectKey,
    /// The next entry must have this hash.
    pub link: Hash,
    /// And a lower number than this.
    pub below: u64,
    /// The revision from which it leads down: of a later one it says nothing.
    pub top: u64,
    pub asked_ms: u64,
}
