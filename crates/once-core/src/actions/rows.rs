//! The rows of actions. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::action::{Action, After, Outcome};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};

/// One origin, in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub kernel: KernelId,
    pub incarnation: Incarnation,
}

/// [`crate::store::Table::Lane`], at the home: how far a lane has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LaneRow {
    /// Everything up to this sequence has its outcome. Kept for ever.
    #[n(0)]
    pub mark: u64,
    /// Below this sequence the results are dropped.
    #[n(1)]
    pub kept_from: u64,
}

/// [`crate::store::Table::Ledger`], at the home: what ran, in its place of its lane.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LedgerRow {
    /// The action's id.
    #[cbor(n(0), with = "once_model::wire::uuid_bytes")]
    pub id: once_model::ids::Uuid,
    /// [`Action::hash`].
    #[n(1)]
    pub hash: Hash,
    /// What came of it; dropped once the origin has it.
    #[n(2)]
    pub outcome: Option<Outcome>,
    /// The object after it.
    #[n(3)]
    pub after: Option<After>,
    /// When, by this kernel's clock, in milliseconds since 1970. Shown, never relied on.
    #[n(4)]
    pub at_ms: u64,
}

/// [`crate::store::Table::Queue`], at the origin: an action without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct QueueRow {
    /// What to do.
    #[n(0)]
    pub action: Action,
    /// Since when, in milliseconds since 1970.
    #[n(1)]
    pub since_ms: u64,
}

/// [`crate::store::Table::Sending`], at the origin: a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SendingRow {
    /// The last sequence that was given. Never given again.
    #[n(0)]
    pub last: u64,
    /// Every sequence below this one has its outcome here.
    #[n(1)]
    pub floor: u64,
    /// What the object has been called since its first action, for lanes of an unclaimed copy.
    #[n(2)]
    pub now: Option<ObjectKey>,
}

/// [`crate::store::Table::Request`], at the origin: an action's id, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RequestRow {
    /// [`Action::hash`]: the same id with another hash is another action, and refused.
    #[n(0)]
    pub hash: Hash,
    /// The object, as its lane is named.
    #[n(1)]
    pub key: ObjectKey,
    /// Its home then.
    #[n(2)]
    pub home: KernelId,
    /// Its place in the lane.
    #[n(3)]
    pub sequence: u64,
    /// What came of it, once that is known.
    #[n(4)]
    pub outcome: Option<Outcome>,
    /// The object after it.
    #[n(5)]
    pub after: Option<After>,
    /// When it was accepted, in milliseconds since 1970.
    #[n(6)]
    pub since_ms: u64,
}

/// Key of a lane at its home: object, origin, incarnation.
pub(crate) fn lane_key(key: &ObjectKey, origin: &Origin) -> Vec<u8> {
    [key.to_row().as_slice(), origin.kernel.as_bytes(), origin.incarnation.as_bytes()].concat()
}

/// Key of a ledger row: its lane, then the sequence.
pub(crate) fn ledger_key(lane: &[u8], sequence: u64) -> Vec<u8> {
    [lane, &sequence.to_be_bytes()].concat()
}

/// Key of a queue row: home, object, sequence.
pub(crate) fn queue_key(home: &KernelId, key: &ObjectKey, sequence: u64) -> Vec<u8> {
    [home.as_bytes().as_slice(), &key.to_row(), &sequence.to_be_bytes()].concat()
}

/// The object and the sequence of a queue row.
pub(crate) fn queued(row: &[u8]) -> Option<(ObjectKey, u64)> {
    let (key, sequence) = row.get(KernelId::LEN..)?.split_at_checked(ObjectKey::ROW_LEN)?;
    Some((ObjectKey::from_row(key)?, u64::from_be_bytes(sequence.try_into().ok()?)))
}
