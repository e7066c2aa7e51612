//! The rows of actions. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::action::{Action, After, LaneName, Outcome};
use once_model::archive::{OutcomeStatus, Summary};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};
use once_model::receipt::Entry;
use once_model::wire::Code;

use crate::waist::Then;

/// One origin, in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub kernel: KernelId,
    pub incarnation: Incarnation,
}

/// [`crate::store::Table::Lane`], at the home: a lane. It is written when the lane begins and now and then; how far the lane
/// is beyond it, its rows in [`crate::store::Table::Ledger`] say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LaneRow {
    /// Everything up to this sequence had its outcome when this was written. Kept for ever.
    #[n(0)]
    pub mark: u64,
    /// Below this sequence the origin had all outcomes then.
    #[n(1)]
    pub floor: u64,
    /// Below this sequence it is dropped what was asked and said.
    #[n(2)]
    pub told_from: u64,
    /// Below this sequence the results are dropped.
    #[n(3)]
    pub results_from: u64,
    /// Below this sequence long results are dropped.
    #[n(4)]
    pub long_from: u64,
    /// Of built-in actions, by the numbers of their entries: the same as `told_from`.
    #[n(5)]
    pub built_ins_from: u64,
}

/// [`crate::store::Table::Ledger`], at the home: what ran, in its place of its lane.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LedgerRow {
    /// The action's id.
    #[cbor(n(0), with = "once_model::cbor::uuid_bytes")]
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
    /// Its place in the object's history.
    #[n(5)]
    pub place: Option<PlaceRow>,
    /// What was asked and said, for people: of the newest entries of the object.
    #[n(6)]
    pub told: Option<Summary>,
}

/// The place of an action in its object's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PlaceRow {
    /// [`Entry::number`].
    #[n(0)]
    pub number: u64,
    /// [`Entry::previous`].
    #[n(1)]
    pub previous: Hash,
    /// [`Entry::before`].
    #[n(2)]
    pub before: Hash,
    /// [`Outcome::hash`].
    #[n(3)]
    pub outcome: Hash,
    /// Its word. Stays when the result is dropped; absent in rows of an older version.
    #[n(4)]
    pub status: Option<OutcomeStatus>,
    /// [`Entry::revision`].
    #[n(5)]
    pub revision: u64,
    /// [`Entry::content`].
    #[n(6)]
    pub content: Hash,
    /// [`Entry::certificate`].
    #[n(7)]
    pub certificate: Option<Hash>,
}

impl LedgerRow {
    /// What was asked and said; what was said may still be in the outcome.
    pub(crate) fn told_whole(&self) -> Option<Summary> {
        let told = self.told.clone()?;
        Some(match &self.outcome {
            Some(outcome) => told.with_result_of(outcome),
            None => told,
        })
    }

    /// The row as an entry of the object's history; `key` and `origin` are those of its lane. `None` for a row of an
    /// older version, which had none.
    #[must_use]
    pub(crate) fn entry(&self, key: &ObjectKey, origin: &Origin, sequence: u64) -> Option<Entry> {
        Some(self.entry_at(&self.place?, key, origin, sequence))
    }

    /// The same for a row that has its place.
    pub(crate) fn entry_at(
        &self,
        place: &PlaceRow,
        key: &ObjectKey,
        origin: &Origin,
        sequence: u64,
    ) -> Entry {
        Entry {
            object: self.after.map_or(*key, |after| after.key),
            number: place.number,
            previous: place.previous,
            origin: origin.kernel,
            incarnation: origin.incarnation,
            sequence,
            id: self.id,
            action: self.hash,
            outcome: place.outcome,
            before: place.before,
            revision: place.revision,
            content: place.content,
            certificate: place.certificate,
        }
    }
}

/// The name of a lane among the rows, at its origin and at its home: the object first, so that all lanes of an object
/// lie together.
pub(crate) fn name_to_row(name: &LaneName) -> Vec<u8> {
    let mut row = name.key.to_row().to_vec();
    match &name.takeover {
        None => row.push(0),
        Some(takeover) => {
            row.push(1);
            row.extend_from_slice(takeover.as_bytes());
        }
    }
    row
}

/// From the beginning of a row's key, with the rest of it.
fn name_from_row(row: &[u8]) -> Option<(LaneName, &[u8])> {
    let (key, rest) = row.split_at_checked(ObjectKey::ROW_LEN)?;
    let (takeover, rest) = match rest.split_first()? {
        (0, rest) => (None, rest),
        (1, rest) => {
            let (takeover, rest) = rest.split_at_checked(Hash::LEN)?;
            (Some(Hash::from_slice(takeover)?), rest)
        }
        _ => return None,
    };
    Some((LaneName { key: ObjectKey::from_row(key)?, takeover }, rest))
}

/// A lane at its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct LaneId {
    /// What its homes know it by, beside this kernel and its incarnation.
    #[n(0)]
    pub name: LaneName,
    /// The home at which it began: two kernels may both be asked for what was known by one name. Today's home is in
    /// [`SendingRow`], and may become another one; this stays.
    #[n(1)]
    pub begun_at: KernelId,
}

impl LaneId {
    /// The lane of this name to a home.
    pub fn new(name: impl Into<LaneName>, begun_at: KernelId) -> Self {
        Self { name: name.into(), begun_at }
    }

    /// Its place among the rows: the object first, so that all lanes of an object lie together.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        let mut row = name_to_row(&self.name);
        row.extend_from_slice(self.begun_at.as_bytes());
        row
    }

    /// From the beginning of a row's key, with the rest of it.
    #[must_use]
    pub fn from_row(row: &[u8]) -> Option<(Self, &[u8])> {
        let (name, rest) = name_from_row(row)?;
        let (begun_at, rest) = rest.split_at_checked(KernelId::LEN)?;
        Some((Self { name, begun_at: KernelId::from_slice(begun_at)? }, rest))
    }
}

/// The place of an action at its origin: its lane, and its sequence there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Place {
    /// The lane that the action is in.
    #[n(0)]
    pub lane: LaneId,
    /// Place in the lane, counted from 1.
    #[n(1)]
    pub sequence: u64,
}

impl Place {
    /// Key of its row in [`crate::store::Table::Queue`]: the lane, then the sequence.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        let mut row = self.lane.to_row();
        row.extend_from_slice(&self.sequence.to_be_bytes());
        row
    }

    /// From such a key.
    #[must_use]
    pub fn from_row(row: &[u8]) -> Option<Self> {
        let (lane, sequence) = LaneId::from_row(row)?;
        Some(Self { lane, sequence: u64::from_be_bytes(sequence.try_into().ok()?) })
    }
}

/// [`crate::store::Table::Queue`], at the origin: an action in its place, first without, then with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum QueueRow {
    /// It is sent until its outcome is here.
    #[n(0)]
    Waiting(#[n(0)] WaitingRow),
    /// It has its outcome, and a client may ask for it.
    #[n(1)]
    Ended(#[n(0)] EndedRow),
}

/// An action without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WaitingRow {
    /// What to do.
    #[n(0)]
    pub action: Action,
    /// Since when, in milliseconds since 1970.
    #[n(1)]
    pub since_ms: u64,
    /// When it is no longer wanted, by this kernel's clock, in milliseconds since 1970.
    #[n(2)]
    pub deadline_ms: Option<u64>,
    /// It is a void, and why: it will not run, unless it has run already.
    #[n(3)]
    pub void: Option<Code>,
    /// The object here that waits for its outcome.
    #[n(4)]
    pub call: Option<CallRow>,
    /// The acting object was a guest of this kernel when it asked for this.
    #[n(5)]
    pub guest: Option<bool>,
}

/// What came of an action that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EndedRow {
    /// [`Action::hash`]: the same id with another hash is another action, and refused.
    #[n(0)]
    pub hash: Hash,
    /// What came of it.
    #[n(1)]
    pub outcome: Outcome,
    /// The object after it.
    #[n(2)]
    pub after: Option<After>,
    /// When it was accepted, in milliseconds since 1970.
    #[n(3)]
    pub since_ms: u64,
    /// The home that said so.
    #[n(4)]
    pub home: KernelId,
}

/// A pending call. It lies in the row of the action that it waits for: neither can be there without the other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CallRow {
    /// The object that waits.
    #[n(0)]
    pub object: ObjectKey,
    /// Its action that is told the outcome.
    #[n(1)]
    pub then: Then,
}

/// [`crate::store::Table::Activity`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ActivityRow {
    /// Which kind of work.
    #[n(0)]
    pub name: String,
    /// With what: verbatim JSON.
    #[cbor(n(1), with = "once_model::cbor::json_bytes")]
    pub arguments: bytes::Bytes,
    /// What happens when it is done.
    #[n(2)]
    pub then: Then,
    /// Since when, in milliseconds since 1970.
    #[n(3)]
    pub since_ms: u64,
}

/// How many results are kept here for clients, and up to which time of their ids they were dropped. In
/// [`crate::store::Table::Meta`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RequestsRow {
    /// How many rows. May be a little behind after a power loss.
    #[n(0)]
    pub count: u64,
    /// The highest time in a dropped id, in milliseconds since 1970; an unknown id at or below it is refused.
    #[n(1)]
    pub floor_ms: u64,
}

/// [`crate::store::Table::Sending`], at the origin: a lane. It is written when the lane begins and now and then; how far
/// the lane is beyond it, its rows in [`crate::store::Table::Queue`] say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SendingRow {
    /// Where its actions are sent.
    #[n(0)]
    pub home: KernelId,
    /// The last sequence that was given when this was written. Never given again.
    #[n(1)]
    pub last: u64,
    /// Every sequence below this one had its outcome here when this was written.
    #[n(2)]
    pub floor: u64,
    /// What the object has been called since its first action, for lanes of an unclaimed copy.
    #[n(3)]
    pub now: Option<ObjectKey>,
}

/// [`crate::store::Table::Request`], at the origin: where the action of an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RequestRow {
    /// Place of the action in its lane.
    #[n(0)]
    pub place: Place,
}

/// Key of a lane at its home: its name, origin, incarnation.
pub(crate) fn lane_key(name: &LaneName, origin: &Origin) -> Vec<u8> {
    [name_to_row(name).as_slice(), origin.kernel.as_bytes(), origin.incarnation.as_bytes()].concat()
}

/// Key of a ledger row: its lane, then the sequence.
pub(crate) fn ledger_key(lane: &[u8], sequence: u64) -> Vec<u8> {
    [lane, &sequence.to_be_bytes()].concat()
}

/// The sequence of a ledger row, by its key.
pub(crate) fn ledger_sequence(row: &[u8]) -> Option<u64> {
    row.last_chunk().map(|sequence| u64::from_be_bytes(*sequence))
}

/// A lane, by its key at the home; and what is behind it in a ledger row's key.
pub(crate) fn lane_from_key(row: &[u8]) -> Option<(LaneName, Origin, &[u8])> {
    let (name, rest) = name_from_row(row)?;
    let (kernel, rest) = rest.split_at_checked(KernelId::LEN)?;
    let (incarnation, rest) = rest.split_at_checked(Incarnation::LEN)?;
    let incarnation = Incarnation::from_bytes(incarnation.try_into().ok()?);
    Some((name, Origin { kernel: KernelId::from_slice(kernel)?, incarnation }, rest))
}

/// Key of an activity: object, id.
pub(crate) fn activity_key(key: &ObjectKey, id: &once_model::ids::Uuid) -> Vec<u8> {
    [key.to_row().as_slice(), id.as_bytes()].concat()
}
