//! Receipts: what a home says, with its signature, of an action that it recorded. Whoever has the home's key can check
//! one, years later and without a network.

use minicbor::{Decode, Encode};

use crate::action::{LaneName, Outcome};
use crate::certificate::{Chain, Tip};
use crate::hash::record_hash;
use crate::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};
use crate::sign::{KernelKey, Purpose, Signature};

/// One place in an object's history: an action that was recorded, and its hash over all before it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The object, as it was called after the action.
    #[n(0)]
    pub object: ObjectKey,
    /// Counts the object's recorded actions, from 1.
    #[n(1)]
    pub number: u64,
    /// [`Self::hash`] of the entry before; zeros for the first.
    #[n(2)]
    pub previous: Hash,
    /// The kernel that first accepted the action.
    #[n(3)]
    pub origin: KernelId,
    /// That kernel's incarnation.
    #[n(4)]
    pub incarnation: Incarnation,
    /// The action's place in its lane.
    #[n(5)]
    pub sequence: u64,
    /// The action's id.
    #[cbor(n(6), with = "crate::cbor::uuid_bytes")]
    pub id: Uuid,
    /// [`crate::action::Action::hash`].
    #[n(7)]
    pub action: Hash,
    /// [`Outcome::hash`].
    #[n(8)]
    pub outcome: Hash,
    /// [`crate::header::Header::id`] of the object before the action; zeros where there was none.
    #[n(9)]
    pub before: Hash,
    /// The number of the revision after it: that of `before` if it changed nothing.
    #[n(10)]
    pub revision: u64,
    /// The hash of the bytes of that revision. Not its id, which holds the hash of this entry.
    #[n(11)]
    pub content: Hash,
    /// The certificate under which it was recorded; absent for an object that nobody has claimed.
    #[n(12)]
    pub certificate: Option<Hash>,
}

/// Which entries lead from a revision of an object back to an older one?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EntriesOf {
    /// The object's key after the action.
    #[n(0)]
    pub key: ObjectKey,
    /// The newest entry that is wanted ([`Entry::hash`]): the one that a header names.
    #[n(1)]
    pub newest: Hash,
    /// Back to the entry that made this revision.
    #[n(2)]
    pub revision: u64,
}

/// They, as far as they are kept and fit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entries {
    /// From the question.
    #[n(0)]
    pub key: ObjectKey,
    /// From the question.
    #[n(1)]
    pub newest: Hash,
    /// Newest first, each the one before the one in front of it. None: it is not kept here, or not to be read.
    #[n(2)]
    pub entries: Vec<Entry>,
}

impl Entry {
    /// Context of [`Self::hash`].
    pub const CONTEXT: &'static str = "once/2 ledger entry";

    /// The hash of this entry, and through [`Self::previous`] of all before it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        record_hash(Self::CONTEXT, &crate::cbor::to_cbor(self))
    }
}

/// A request for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptOf {
    /// The lane that the action was in.
    #[n(0)]
    pub lane: LaneName,
    /// The action's place in the lane.
    #[n(1)]
    pub sequence: u64,
    /// The action's id.
    #[cbor(n(2), with = "crate::cbor::uuid_bytes")]
    pub id: Uuid,
}

/// A home's word for what came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// What it is about.
    #[n(0)]
    pub entry: Entry,
    /// The result, if the home still has it; it fits [`Entry::outcome`].
    #[n(1)]
    pub outcome: Option<Outcome>,
    /// When, by the home's clock, in milliseconds since 1970.
    #[n(2)]
    pub at_ms: u64,
    /// From the object's genesis to the home that signs. Absent for an object that nobody has claimed.
    #[n(3)]
    pub chain: Option<Chain>,
    /// The kernel that recorded the action, and signs.
    #[n(4)]
    pub home: KernelId,
    /// Over the entry and the time.
    #[n(5)]
    pub signature: Signature,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Another kernel made it than the one that was expected.
    #[error("it is from another kernel: {0}")]
    OtherHome(KernelId),
    /// The signature does not fit what it says.
    #[error("its signature does not fit what it says: it was changed, or the home did not make it")]
    Signature,
    /// The result is not the one that was recorded.
    #[error("its result is not the one that was recorded")]
    Outcome,
    /// The chain does not lead from the object to the home.
    #[error("its chain of certificates does not lead from the object to that kernel")]
    Chain,
}

impl Receipt {
    /// Makes one: only the home can.
    #[must_use]
    pub fn sign(
        entry: Entry,
        outcome: Option<Outcome>,
        at_ms: u64,
        chain: Option<Chain>,
        key: &KernelKey,
    ) -> Self {
        let signature = Self::signature(&entry, at_ms, key);
        Self { entry, outcome, at_ms, chain, home: key.id(), signature }
    }

    /// The home's signature that it recorded this entry at that time.
    #[must_use]
    pub fn signature(entry: &Entry, at_ms: u64, key: &KernelKey) -> Signature {
        key.sign(Purpose::Receipt, &signed(entry, at_ms))
    }

    /// Whether a kernel has signed that it recorded this entry at that time.
    #[must_use]
    pub fn is_signed_by(entry: &Entry, at_ms: u64, signature: &Signature, home: &KernelId) -> bool {
        signature.verifies(Purpose::Receipt, &signed(entry, at_ms), home)
    }

    /// Checks it against the home's key: nothing else is needed.
    ///
    /// # Errors
    /// When it was not made by `home`, or says something else than what that kernel signed.
    ///
    /// ```
    /// # use once_model::{action::Outcome, ids::*, receipt::*, sign::KernelKey};
    /// # let zero = Hash::from_bytes([0; 32]);
    /// # let object = ObjectKey { uuid: Uuid::from_u128(1), line: Line::Unclaimed(zero) };
    /// # let (home, outcome) = (KernelKey::from_bytes(&[1; 32]), Outcome::Done("3".into()));
    /// # let entry = Entry { object, number: 1, previous: zero, origin: home.id(), incarnation: Incarnation::from_bytes([0; 16]),
    /// #     sequence: 1, id: Uuid::from_u128(2), action: zero, outcome: outcome.hash(), before: zero, revision: 1,
    /// #     content: zero, certificate: None };
    /// let receipt = Receipt::sign(entry, Some(outcome), 1_700_000_000_000, None, &home);
    /// assert_eq!(receipt.verify(&home.id()), Ok(()));
    /// assert_eq!(Receipt { at_ms: 0, ..receipt }.verify(&home.id()), Err(ReceiptError::Signature));
    /// ```
    pub fn verify(&self, home: &KernelId) -> Result<(), ReceiptError> {
        if self.home != *home {
            return Err(ReceiptError::OtherHome(self.home));
        }
        if !Self::is_signed_by(&self.entry, self.at_ms, &self.signature, home) {
            return Err(ReceiptError::Signature);
        }
        if self.outcome.as_ref().is_some_and(|outcome| outcome.hash() != self.entry.outcome) {
            return Err(ReceiptError::Outcome);
        }
        match (&self.chain, self.entry.object.lineage()) {
            (None, None) => Ok(()),
            (Some(chain), Some(lineage))
                if chain.genesis.uuid == self.entry.object.uuid && chain.home() == *home =>
            {
                chain.verify(lineage).map_err(|_| ReceiptError::Chain)
            }
            // Without a chain, any kernel could sign for an object that was never its own.
            _ => Err(ReceiptError::Chain),
        }
    }
}

fn signed(entry: &Entry, at_ms: u64) -> Hash {
    let record = [entry.hash().as_bytes().as_slice(), &at_ms.to_be_bytes()].concat();
    record_hash("once/2 receipt", &record)
}

impl Tip {
    /// The place of an entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self { number: entry.number, hash: entry.hash() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Genesis;
    use crate::ids::Line;

    const ZERO: Hash = Hash::from_bytes([0; 32]);

    fn receipt(home: &KernelKey, object: ObjectKey, chain: Option<Chain>) -> Receipt {
        let outcome = Outcome::Done("3".into());
        let entry = Entry {
            object,
            number: 1,
            previous: ZERO,
            origin: home.id(),
            incarnation: Incarnation::from_bytes([0; 16]),
            sequence: 1,
            id: Uuid::from_u128(2),
            action: ZERO,
            outcome: outcome.hash(),
            before: ZERO,
            revision: 1,
            content: ZERO,
            certificate: None,
        };
        Receipt::sign(entry, Some(outcome), 1_700_000_000_000, chain, home)
    }

    #[test]
    fn of_a_claimed_object_the_chain_leads_to_the_signer_or_it_proves_nothing() {
        let (home, other) = (KernelKey::from_bytes(&[1; 32]), KernelKey::from_bytes(&[2; 32]));
        let uuid = Uuid::from_u128(1);
        let genesis = Genesis {
            uuid,
            home: home.id(),
            recovery: vec![],
            content: ZERO,
            nonce: [0; 16],
            incarnation: Incarnation::from_bytes([0; 16]),
        };
        let (line, chain) = (Line::Claimed(genesis.lineage()), Some(Chain::new(genesis)));
        let object = ObjectKey { uuid, line };
        assert_eq!(receipt(&home, object, chain.clone()).verify(&home.id()), Ok(()));
        assert_eq!(receipt(&home, object, None).verify(&home.id()), Err(ReceiptError::Chain));
        assert_eq!(receipt(&other, object, chain.clone()).verify(&other.id()), Err(ReceiptError::Chain));
        let renamed = ObjectKey { uuid: Uuid::from_u128(9), line };
        assert_eq!(receipt(&home, renamed, chain.clone()).verify(&home.id()), Err(ReceiptError::Chain));
        let unclaimed = ObjectKey { uuid, line: Line::Unclaimed(ZERO) };
        assert_eq!(receipt(&home, unclaimed, chain).verify(&home.id()), Err(ReceiptError::Chain));
        assert_eq!(receipt(&home, unclaimed, None).verify(&home.id()), Ok(()));
        let by_another = receipt(&home, unclaimed, None).verify(&other.id());
        assert_eq!(by_another, Err(ReceiptError::OtherHome(home.id())));
    }
}
