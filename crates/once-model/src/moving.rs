//! Moving an object to another home: what the two kernels say, and what goes along. `docs/protocol.md`, 5.6.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::action::{After, LaneName, Outcome};
use crate::cbor::{json_bytes, option_bytes, some_of, uuid_bytes};
use crate::certificate::{Answer, Certificate, Chain};
use crate::code::Code;
use crate::hash::content_hash;
use crate::header::Header;
use crate::ids::{Hash, Incarnation, KernelId, Line, ObjectKey, Uuid};

/// Would you take this object?
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ahead {
    /// The object that would move.
    #[n(0)]
    pub key: ObjectKey,
    /// The certificate of its home.
    #[n(1)]
    pub certificate: Hash,
    /// The component that its scenario names.
    #[n(2)]
    pub component: String,
    /// The version of its state.
    #[n(3)]
    pub version: String,
    /// The size of its newest scenario in bytes.
    #[n(4)]
    pub size: u64,
    /// Its home has no such component in any version: there it is a plain record, which understands what every kernel knows.
    #[n(5)]
    pub record: Option<bool>,
}

/// The answer to [`Ahead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// From the question.
    #[n(0)]
    pub key: ObjectKey,
    /// From the question.
    #[n(1)]
    pub certificate: Hash,
    /// Why not; nothing if it would be taken.
    #[n(2)]
    pub code: Option<Code>,
}

/// This object is yours from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Handoff {
    /// The last revision at the home before.
    #[n(0)]
    pub header: Header,
    /// From the genesis to the handoff, which is the last certificate and has no acceptance yet.
    #[n(1)]
    pub chain: Chain,
    /// The scenario, exactly if it is small enough for a frame.
    #[cbor(
        n(2),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub body: Option<Bytes>,
    /// A [`Luggage`], as the bytes that its hash is made of, if that is small enough for a frame.
    #[cbor(
        n(3),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub luggage: Option<Bytes>,
    /// The size of the luggage in bytes, exactly if it is to be pulled.
    #[n(4)]
    pub luggage_size: Option<u64>,
}

/// The home wants an object back that it has handed over: the receiver answers the handoff now, whether it came or not.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdraw {
    /// From the genesis to the handoff, as in [`Handoff`].
    #[n(0)]
    pub chain: Chain,
}

/// The receiver's one answer to a handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Handed {
    /// The object that is handed over.
    #[n(0)]
    pub key: ObjectKey,
    /// The answer, signed.
    #[n(1)]
    pub answer: Answer,
    /// Why it is refused.
    #[n(2)]
    pub code: Option<Code>,
}

/// An object has another home now.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Moved {
    /// The object that has moved.
    #[n(0)]
    pub key: ObjectKey,
    /// From its genesis to that home.
    #[n(1)]
    pub chain: Chain,
    /// Where that home might be reached.
    #[n(2)]
    pub addresses: Vec<String>,
}

/// An object of the sender that is its guest: by this chain the sender speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Guest {
    /// The object whose news was heard.
    #[n(0)]
    pub key: ObjectKey,
    /// From its genesis to the sender.
    #[n(1)]
    pub chain: Chain,
}

/// The answer to [`Moved`]: this kernel knows it now, or has nothing to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heard {
    /// The object that the luggage belongs to.
    #[n(0)]
    pub key: ObjectKey,
    /// The last certificate of the chain that it was told.
    #[n(1)]
    pub certificate: Hash,
}

/// What belongs to an object and moves with it, beside its scenario and its chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Luggage {
    /// How far each lane to it has come.
    #[n(0)]
    pub lanes: Vec<LuggageLane>,
    /// Timers that have not rung, with what remained of them.
    #[n(1)]
    pub timers: Vec<LuggageTimer>,
    /// Its work outside that is not done.
    #[n(2)]
    pub activities: Vec<LuggageActivity>,
    /// Who may do what to it.
    #[n(3)]
    pub grants: Vec<LuggageGrant>,
    /// Who follows it.
    #[n(4)]
    pub followers: Vec<KernelId>,
    /// Who has to do with it, and where they might be reached: they are told where it is.
    #[n(5)]
    pub acquaintances: Vec<LuggageAcquaintance>,
    /// Its calls that were left at the home before, without an outcome: it is told so. Absent if there are none.
    #[cbor(
        n(6),
        encode_with = "some_of::encode",
        decode_with = "some_of::decode",
        is_nil = "some_of::is_nil",
        nil = "some_of::nil"
    )]
    pub left: Vec<LuggageCall>,
    /// Revisions that are kept beside it, until somebody decides about them. Absent if there are none.
    #[cbor(
        n(7),
        encode_with = "some_of::encode",
        decode_with = "some_of::decode",
        is_nil = "some_of::is_nil",
        nil = "some_of::nil"
    )]
    pub beside: Vec<LuggageRevision>,
}

/// A kernel that has to do with an object: it has a lane to it, a right to it, follows it, or did at an earlier home.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageAcquaintance {
    /// The kernel that is acquainted with the object.
    #[n(0)]
    pub kernel: KernelId,
    /// Where it might be reached, as far as the home before knows.
    #[n(1)]
    pub addresses: Vec<String>,
}

/// A lane to an object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageLane {
    /// The lane's name: origin, incarnation, object and takeover.
    #[n(0)]
    pub name: LaneName,
    /// Whose it is.
    #[n(1)]
    pub origin: KernelId,
    /// In which life of that kernel.
    #[n(2)]
    pub incarnation: Incarnation,
    /// The highest sequence that has its outcome.
    #[n(3)]
    pub mark: u64,
    /// The outcomes below this one are at the origin.
    #[n(4)]
    pub floor: u64,
    /// The others, lowest first.
    #[n(5)]
    pub results: Vec<LuggageResult>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageResult {
    /// Its place in the lane.
    #[n(0)]
    pub sequence: u64,
    /// The action's id.
    #[cbor(n(1), with = "uuid_bytes")]
    pub id: Uuid,
    /// [`crate::action::Action::hash`].
    #[n(2)]
    pub hash: Hash,
    /// What came of it.
    #[n(3)]
    pub outcome: Outcome,
    /// The object after it.
    #[n(4)]
    pub after: Option<After>,
    /// When it was recorded, by the clock of the home at which it was, in milliseconds since 1970. Shown only.
    #[n(5)]
    pub at_ms: u64,
}

/// A timer that moves with its object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageTimer {
    /// The timer's name.
    #[n(0)]
    pub name: String,
    /// In how many milliseconds it rings.
    #[n(1)]
    pub after_ms: u64,
    /// The effect's id.
    #[cbor(n(2), with = "uuid_bytes")]
    pub id: Uuid,
    /// The object's action then.
    #[n(3)]
    pub action: String,
    /// What the object is reminded of: verbatim JSON.
    #[cbor(n(4), with = "json_bytes")]
    pub with: Bytes,
}

/// Work outside that was not done yet when the object left.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageActivity {
    /// The effect's id.
    #[cbor(n(0), with = "uuid_bytes")]
    pub id: Uuid,
    /// The kind of work.
    #[n(1)]
    pub name: String,
    /// With what: verbatim JSON.
    #[cbor(n(2), with = "json_bytes")]
    pub arguments: Bytes,
    /// The object's action when it is done.
    #[n(3)]
    pub action: String,
    /// What the object is reminded of then: verbatim JSON.
    #[cbor(n(4), with = "json_bytes")]
    pub with: Bytes,
}

/// A call of the object that it does not wait for any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageCall {
    /// The effect's id.
    #[cbor(n(0), with = "uuid_bytes")]
    pub id: Uuid,
    /// The object's action that is told so.
    #[n(1)]
    pub action: String,
    /// What the object is reminded of then: verbatim JSON.
    #[cbor(n(2), with = "json_bytes")]
    pub with: Bytes,
}

/// A revision that is kept beside the object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageRevision {
    /// What it says of itself.
    #[n(0)]
    pub header: Header,
    /// The scenario; absent for a tombstone.
    #[cbor(
        n(1),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub body: Option<Bytes>,
    /// Who sent it to an earlier home. Absent if people there kept a file beside the object.
    #[n(2)]
    pub from: Option<KernelId>,
}

/// A grant on the object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LuggageGrant {
    /// 2: read; 3: act.
    #[n(0)]
    pub right: u8,
    /// Who has it, or the home of the object that has it.
    #[n(1)]
    pub kernel: KernelId,
    /// The object that has it.
    #[n(2)]
    pub object: Option<ObjectKey>,
    /// To do only this. Everything if absent.
    #[n(3)]
    pub actions: Option<Vec<String>>,
    /// For how many milliseconds more; for good if absent.
    #[n(4)]
    pub remaining_ms: Option<u64>,
}

impl Luggage {
    /// The record as it travels, and its hash.
    #[must_use]
    pub fn pack(&self) -> (Bytes, Hash) {
        let bytes = Bytes::from(crate::cbor::to_cbor(self));
        let hash = content_hash(&bytes);
        (bytes, hash)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are no luggage.
    pub fn unpack(bytes: &[u8]) -> Result<Self, crate::cbor::CborError> {
        crate::cbor::from_cbor(bytes)
    }
}

impl Handoff {
    /// The handoff itself, and the chain before it.
    #[must_use]
    pub fn split(&self) -> Option<(&Certificate, Chain)> {
        split(&self.chain)
    }

    /// How many bytes of luggage it announces. Nothing if it says so twice, or not at all.
    #[must_use]
    pub fn luggage_bytes(&self) -> Option<u64> {
        match (&self.luggage, self.luggage_size) {
            (Some(luggage), None) => Some(luggage.len() as u64),
            (None, size) => size,
            (Some(_), Some(_)) => None,
        }
    }

    /// Reads luggage that came with it or was pulled. Nothing if it is not what the handoff has signed.
    #[must_use]
    pub fn unpack(&self, luggage: &[u8]) -> Option<Luggage> {
        let signed = self.chain.links.last()?.luggage?;
        if content_hash(luggage) != signed {
            return None;
        }
        Luggage::unpack(luggage).ok()
    }
}

impl Withdraw {
    /// As [`Handoff::split`]: the newest certificate, and the chain before it.
    #[must_use]
    pub fn split(&self) -> Option<(&Certificate, Chain)> {
        split(&self.chain)
    }

    /// The object that is handed over.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let genesis = &self.chain.genesis;
        ObjectKey { uuid: genesis.uuid, line: Line::Claimed(genesis.lineage()) }
    }
}

fn split(chain: &Chain) -> Option<(&Certificate, Chain)> {
    let (last, before) = chain.links.split_last()?;
    Some((last, Chain { genesis: chain.genesis.clone(), links: before.to_vec(), earlier_bytes: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luggage_survives_its_bytes() {
        let kernel = KernelId::from_bytes([1; 32]);
        let luggage = Luggage {
            followers: vec![kernel],
            acquaintances: vec![LuggageAcquaintance { kernel, addresses: vec!["192.0.2.1:7".into()] }],
            grants: vec![LuggageGrant {
                right: 3,
                kernel,
                object: None,
                actions: Some(vec!["go".into()]),
                remaining_ms: Some(5),
            }],
            ..Luggage::default()
        };
        let (bytes, hash) = luggage.pack();
        assert_eq!(Luggage::unpack(&bytes), Ok(luggage));
        assert_eq!(content_hash(&bytes), hash);
        assert!(Luggage::unpack(&bytes[1..]).is_err());
        let call = LuggageCall { id: Uuid::from_u128(7), action: "paid".into(), with: "1".into() };
        let luggage = Luggage { left: vec![call], ..Luggage::default() };
        assert_eq!(Luggage::unpack(&luggage.pack().0), Ok(luggage));
    }
}
