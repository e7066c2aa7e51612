//! The header: what the engine knows of one revision of an object, beside its bytes.

use minicbor::{Decode, Encode};

use crate::hash::record_hash;
use crate::ids::{Hash, Incarnation, ItemId, KernelId, Line, Lineage, ObjectKey, Uuid};
use crate::sign::{KernelKey, Purpose, Signature};

/// What caused a revision: the action, and the lane it came through. Empty for an import or a `put`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cause {
    /// The kernel that first accepted the action.
    #[n(0)]
    pub origin: KernelId,
    /// That kernel's incarnation.
    #[n(1)]
    pub incarnation: Incarnation,
    /// The action's place in its lane.
    #[n(2)]
    pub sequence: u64,
    /// The action's id.
    #[cbor(n(3), with = "crate::cbor::uuid_bytes")]
    pub id: Uuid,
    /// The object that acted, if an object did.
    #[n(4)]
    pub acting: Option<ObjectKey>,
}

/// One revision of an object, without its bytes. Travels before them and is stored beside them.
///
/// An unclaimed object has no lineage, no certificate, no parent, epoch 0 and revision 0.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// The object's UUID.
    #[cbor(n(0), with = "crate::cbor::uuid_bytes")]
    pub uuid: Uuid,
    /// The object's lineage, once claimed.
    #[n(1)]
    pub lineage: Option<Lineage>,
    /// Raised by each change of home; 1 at the first.
    #[n(2)]
    pub epoch: u64,
    /// Counts the changes; 1 is the genesis content.
    #[n(3)]
    pub revision: u64,
    /// The certificate under which the home changed it: the lineage itself in epoch 1.
    #[n(4)]
    pub certificate: Option<Hash>,
    /// [`Self::id`] of the revision before.
    #[n(5)]
    pub parent: Option<Hash>,
    /// Hash of the scenario's verbatim bytes; of no bytes for a tombstone.
    #[n(6)]
    pub content: Hash,
    /// Length of the scenario in bytes.
    #[n(7)]
    pub size: u64,
    /// Whether this revision removes the object.
    #[n(8)]
    pub tombstone: bool,
    /// The component named in the scenario, or empty.
    #[n(9)]
    pub component: String,
    /// The component's version named in the scenario, or empty.
    #[n(10)]
    pub version: String,
    /// What caused it.
    #[n(11)]
    pub cause: Option<Cause>,
    /// The home's signature over [`Self::id`], made when the revision first leaves its home.
    #[n(12)]
    pub signature: Option<Signature>,
    /// [`crate::receipt::Entry::hash`] of the entry of the object's history that made this revision.
    #[n(13)]
    pub entry: Option<Hash>,
}

impl Header {
    /// Context of [`Self::id`].
    pub const CONTEXT: &'static str = "once/2 revision";

    /// The identity of the object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let line = self.lineage.map_or(Line::Unclaimed(self.content), Line::Claimed);
        ObjectKey { uuid: self.uuid, line }
    }

    /// The identity of this revision: the hash of the header without its signature, as deterministic CBOR.
    #[must_use]
    pub fn id(&self) -> Hash {
        let bare = if self.signature.is_some() { &Self { signature: None, ..self.clone() } } else { self };
        record_hash(Self::CONTEXT, &crate::cbor::to_cbor(bare))
    }

    /// Signs it with the home's key, unless it is signed or unclaimed.
    pub fn sign(&mut self, key: &KernelKey) {
        if self.signature.is_none() && self.lineage.is_some() {
            self.signature = Some(key.sign(Purpose::Revision, &self.id()));
        }
    }

    /// Whether `home` signed it.
    #[must_use]
    pub fn signed_by(&self, home: &KernelId) -> bool {
        self.signature.is_some_and(|s| s.verifies(Purpose::Revision, &self.id(), home))
    }

    /// What reconciliation compares for one object: any change of lineage, epoch, revision or content changes it, and
    /// the versions of one object lie side by side, so that a change touches one range only.
    #[must_use]
    pub fn item_id(&self) -> ItemId {
        let mut record = Vec::with_capacity(16 + 32 + 16 + 32 + 1);
        record.extend_from_slice(self.uuid.as_bytes());
        record.extend_from_slice(self.lineage.as_ref().map_or(&[0; 32], |l| l.as_bytes()));
        record.extend_from_slice(&self.epoch.to_be_bytes());
        record.extend_from_slice(&self.revision.to_be_bytes());
        record.extend_from_slice(self.content.as_bytes());
        record.push(u8::from(self.tombstone));
        let digest = blake3::derive_key("once/2 item", &record);
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.uuid.as_bytes()[..8]);
        id[8..].copy_from_slice(&digest[..24]);
        ItemId::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            uuid: Uuid::from_u128(1),
            lineage: Some(Lineage::from_bytes([3; 32])),
            epoch: 1,
            revision: 1,
            certificate: None,
            parent: None,
            content: Hash::from_bytes([4; 32]),
            size: 3,
            tombstone: false,
            component: "Counter".into(),
            version: "0.1".into(),
            cause: None,
            signature: None,
            entry: None,
        }
    }

    #[test]
    fn the_signature_is_not_part_of_the_id() {
        let key = KernelKey::from_bytes(&[9; 32]);
        let mut signed = header();
        signed.sign(&key);
        assert_eq!(signed.id(), header().id());
        assert!(signed.signed_by(&key.id()));
        signed.revision += 1;
        assert!(!signed.signed_by(&key.id()));
    }
}
