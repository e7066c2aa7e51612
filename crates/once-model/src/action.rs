//! Actions and their outcomes: what one kernel asks of an object, and what came of it.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::code::Code;
use crate::hash::record_hash;
use crate::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};
use crate::limits::{ANSWER_MAX_BYTES, ARGUMENTS_MAX_BYTES, GIVEN_MAX, NAME_MAX_BYTES};

/// Names that begin so belong to built-in actions: changes that a kernel makes to its own objects without a component.
/// Nobody may ask for one, and no component answers to one.
pub const BUILT_IN_PREFIX: &str = "once:";

/// Sequences from here on are those of built-in actions: this, and the number of the entry. They take effect when they
/// are accepted, so they have no place among those that wait. Small enough for any reader of JSON.
pub const BUILT_IN_FROM: u64 = 1 << 52;

/// An id for an action of a client: a UUID of version 7.
///
/// ```
/// # use once_model::action::client_id;
/// assert_eq!(client_id(1_700_000_000_000, &[7; 10]).get_version_num(), 7);
/// ```
#[must_use]
pub fn client_id(now_ms: u64, random: &[u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(now_ms, random).into_uuid()
}

/// A request to one object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Action {
    /// Chosen by the client (UUIDv7), or derived from what caused it. It has one effect and one outcome.
    #[cbor(n(0), with = "crate::cbor::uuid_bytes")]
    pub id: Uuid,
    /// What to do, in the component's words.
    #[n(1)]
    pub name: String,
    /// With what: verbatim JSON.
    #[cbor(n(2), with = "crate::cbor::json_bytes")]
    pub arguments: Bytes,
    /// The scenarios that it depends on, by [`crate::header::Header::id`].
    #[n(3)]
    pub given: Vec<Given>,
    /// The object that acts, if an object does.
    #[n(4)]
    pub acting: Option<ObjectKey>,
    /// The effect of this object that this answers: a call, a timer, an activity. Only the object's home says so.
    #[cbor(n(5), with = "crate::cbor::option_uuid_bytes", has_nil)]
    pub answers: Option<Uuid>,
}

/// A scenario that an action depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Given {
    /// The scenario's object.
    #[n(0)]
    pub key: ObjectKey,
    /// Hash of its bytes.
    #[n(1)]
    pub content: Hash,
}

impl Action {
    /// Context of [`Self::hash`].
    pub const CONTEXT: &'static str = "once/2 action";

    /// The hash of what is asked of which object: two requests with one id are the same only if this is equal. The
    /// line of the object is left out, because a claim changes it between two tries.
    ///
    /// ```
    /// # use once_model::{action::Action, ids::Uuid};
    /// let action = |name: &str| Action {
    ///     id: Uuid::from_u128(7),
    ///     name: name.into(),
    ///     arguments: "{}".into(),
    ///     given: vec![],
    ///     acting: None,
    ///     answers: None,
    /// };
    /// let object = Uuid::from_u128(1);
    /// assert_eq!(action("add").hash(&object), action("add").hash(&object));
    /// assert_ne!(action("add").hash(&object), action("get").hash(&object));
    /// ```
    #[must_use]
    pub fn hash(&self, object: &Uuid) -> Hash {
        let mut record = object.as_bytes().to_vec();
        record.extend_from_slice(&crate::cbor::to_cbor(self));
        record_hash(Self::CONTEXT, &record)
    }

    /// Whether it keeps to the limits: the name, the arguments (JSON of bounded size and depth), what is given.
    ///
    /// # Errors
    /// [`Code::TooLarge`] or [`Code::Invalid`].
    pub fn check(&self) -> Result<(), Code> {
        // An answer holds another action's result and what its caller wanted to be reminded of.
        let most = if self.answers.is_some() { ANSWER_MAX_BYTES } else { ARGUMENTS_MAX_BYTES };
        if self.name.len() > NAME_MAX_BYTES || self.arguments.len() > most || self.given.len() > GIVEN_MAX {
            return Err(Code::TooLarge);
        }
        let twice = |(at, given): (usize, &Given)| self.given[..at].contains(given);
        if self.given.iter().enumerate().any(twice) {
            return Err(Code::Invalid);
        }
        crate::json::validate(&self.arguments).map_err(|_| Code::Invalid)?;
        check_name(&self.name)
    }
}

/// Whether an action, a timer or an activity may have this name.
///
/// # Errors
/// [`Code::TooLarge`], or [`Code::Invalid`] for no name and for one that belongs to a built-in action.
pub fn check_name(name: &str) -> Result<(), Code> {
    if name.len() > NAME_MAX_BYTES {
        return Err(Code::TooLarge);
    }
    if name.is_empty() || name.starts_with(BUILT_IN_PREFIX) { Err(Code::Invalid) } else { Ok(()) }
}

/// The id of the effect number `index` of an action: the same whenever the action is run again. It has version 8, so
/// that no client's id is like it.
///
/// ```
/// # use once_model::{action::effect_id, ids::{KernelId, Uuid}};
/// let (origin, cause) = (KernelId::from_bytes([1; 32]), Uuid::from_u128(7));
/// assert_eq!(effect_id(&origin, &cause, 0), effect_id(&origin, &cause, 0));
/// assert_ne!(effect_id(&origin, &cause, 0), effect_id(&origin, &cause, 1));
/// assert_eq!(effect_id(&origin, &cause, 0).get_version_num(), 8);
/// ```
#[must_use]
pub fn effect_id(origin: &KernelId, cause: &Uuid, index: u32) -> Uuid {
    let record = [origin.as_bytes().as_slice(), cause.as_bytes(), &index.to_be_bytes()].concat();
    derived("once/2 effect", &record)
}

/// What stands for an action in the ids of its effects ([`effect_id`]): its place in its lane, not only its id. An origin
/// may lie, and use an id twice.
#[must_use]
pub fn cause_id(object: &Uuid, incarnation: &Incarnation, sequence: u64, id: &Uuid) -> Uuid {
    let parts =
        [object.as_bytes().as_slice(), incarnation.as_bytes(), &sequence.to_be_bytes(), id.as_bytes()];
    derived("once/2 cause", &parts.concat())
}

/// The id of the action that tells an object what came of its effect `id`.
#[must_use]
pub fn answer_id(id: &Uuid) -> Uuid {
    derived("once/2 answer", id.as_bytes())
}

fn derived(context: &str, record: &[u8]) -> Uuid {
    let hash = record_hash(context, record);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What came of an action. Never changes once it is told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It ran: the component's result, verbatim JSON.
    #[n(0)]
    Done(#[cbor(n(0), with = "crate::cbor::json_bytes")] Bytes),
    /// It ran, and the component rejected it: state and effects as before. Verbatim JSON.
    #[n(1)]
    Failed(#[cbor(n(0), with = "crate::cbor::json_bytes")] Bytes),
    /// It never ran and never will.
    #[n(2)]
    Refused(#[n(0)] Code),
}

impl Outcome {
    /// The bytes of the component's answer.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Done(json) | Self::Failed(json) => json.len(),
            Self::Refused(_) => 0,
        }
    }

    /// The hash of it, for the ledger and its receipts.
    #[must_use]
    pub fn hash(&self) -> Hash {
        record_hash("once/2 outcome", &crate::cbor::to_cbor(self))
    }

    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        }
    }
}

/// The name of a lane, beside its origin and that kernel's incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct LaneName {
    /// The object, as it was called when the lane began: a lane keeps the name of an unclaimed copy.
    #[n(0)]
    pub key: ObjectKey,
    /// [`crate::certificate::Chain::takeover`] when the lane began.
    #[n(1)]
    pub takeover: Option<Hash>,
}

impl From<ObjectKey> for LaneName {
    /// The lane of an object without a takeover.
    fn from(key: ObjectKey) -> Self {
        Self { key, takeover: None }
    }
}

/// An action on its way to the object's home.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Act {
    /// The lane that the action is in.
    #[n(0)]
    pub lane: LaneName,
    /// Its place in the lane, from 1.
    #[n(1)]
    pub sequence: u64,
    /// Below this sequence, every outcome of the lane is on the origin's disk.
    #[n(2)]
    pub floor: u64,
    /// What to do.
    #[n(3)]
    pub action: Action,
    /// How long the origin still waits, in milliseconds.
    #[n(4)]
    pub remaining_ms: Option<u64>,
    /// The origin's commit number, on its disk when this left.
    #[n(5)]
    pub commit: Option<u64>,
    /// It is a void: cancelled, or its time is up. The home answers with the outcome that it has, or refuses with this.
    #[n(6)]
    pub void: Option<Code>,
    /// The newest certificate of the object's chain that the origin knows: a home runs it only under its own.
    #[n(7)]
    pub certificate: Option<Hash>,
    /// The acting object is a guest of the origin: it moved in, or was made by a guest, and has none of its rights.
    #[n(8)]
    pub guest: Option<bool>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ActOutcome {
    /// The lane that is asked for.
    #[n(0)]
    pub lane: LaneName,
    /// The action's place in the lane.
    #[n(1)]
    pub sequence: u64,
    /// The action's id.
    #[cbor(n(2), with = "crate::cbor::uuid_bytes")]
    pub id: Uuid,
    /// What came of it.
    #[n(3)]
    pub outcome: Outcome,
    /// The object as it is called now, and [`crate::header::Header::id`] of the revision after the action, if it ran.
    #[n(4)]
    pub after: Option<After>,
    /// The home's commit number, on its disk when this left.
    #[n(5)]
    pub commit: Option<u64>,
    /// The certificate under which the home recorded it: an outcome counts only from that certificate's home.
    #[n(6)]
    pub certificate: Option<Hash>,
}

/// An object after an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct After {
    /// The object's key after the action.
    #[n(0)]
    pub key: ObjectKey,
    /// [`crate::header::Header::id`] of its revision.
    #[n(1)]
    pub revision: Hash,
}

/// An action waits at its home for scenarios that it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Need {
    /// The lane that the outcomes are of.
    #[n(0)]
    pub lane: LaneName,
    /// The action's place in the lane.
    #[n(1)]
    pub sequence: u64,
    /// Those that are not there.
    #[n(2)]
    pub lacks: Vec<Given>,
}

/// A gap in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Missing {
    /// The lane whose floor is told.
    #[n(0)]
    pub lane: LaneName,
    /// The sequence that should have come.
    #[n(1)]
    pub from: u64,
}
