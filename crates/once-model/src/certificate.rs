//! Who may change an object: the genesis record and the chain of certificates that leads from it to today's home.

use minicbor::{Decode, Encode};

use crate::hash::record_hash;
use crate::ids::{Hash, Incarnation, KernelId, Lineage, Uuid};
use crate::limits::{CHAIN_MAX_CERTIFICATES, RECOVERY_KEYS_MAX};
use crate::sign::{Purpose, Signature};

/// The first record of an object. Its hash is the lineage.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Genesis {
    /// The object's UUID.
    #[cbor(n(0), with = "crate::wire::uuid_bytes")]
    pub uuid: Uuid,
    /// The first home.
    #[n(1)]
    pub home: KernelId,
    /// Keys that may claim the object after its home is lost.
    #[n(2)]
    pub recovery: Vec<KernelId>,
    /// Hash of the first content.
    #[n(3)]
    pub content: Hash,
    /// Random, so that two objects made alike stay two.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl Genesis {
    /// The object's lineage.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage::from_bytes(*record_hash("once/1 genesis", &crate::wire::to_cbor(self)).as_bytes())
    }
}

/// Why a home changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CertificateKind {
    /// The home before handed the object over. Signed by it.
    #[n(0)]
    Handoff,
    /// The home before refused nothing but the receiver did: it serves again. Signed by it.
    #[n(1)]
    Reopen,
    /// A recovery key of the genesis record gave the object a new home.
    #[n(2)]
    Adopt,
    /// The home's data directory was put back from a backup. Signed by it.
    #[n(3)]
    Restore,
}

/// One link of the chain: from `epoch`, `home` may change the object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Certificate {
    /// The object.
    #[n(0)]
    pub lineage: Lineage,
    /// The epoch it begins: greater than the one before.
    #[n(1)]
    pub epoch: u64,
    /// Why.
    #[n(2)]
    pub kind: CertificateKind,
    /// The home from this epoch on.
    #[n(3)]
    pub home: KernelId,
    /// The incarnation of that home.
    #[n(4)]
    pub incarnation: Incarnation,
    /// The certificate before it (the lineage for the first).
    #[n(5)]
    pub base: Hash,
    /// The last revision under the certificate before.
    #[n(6)]
    pub base_revision: u64,
    /// The id of that revision.
    #[n(7)]
    pub base_id: Hash,
    /// Who signed: the home before, or a recovery key.
    #[n(8)]
    pub signer: KernelId,
    /// Over [`Self::id`].
    #[n(9)]
    pub signature: Option<Signature>,
}

impl Certificate {
    /// The hash of the certificate without its signature.
    #[must_use]
    pub fn id(&self) -> Hash {
        let bare = Self { signature: None, ..self.clone() };
        record_hash("once/1 certificate", &crate::wire::to_cbor(&bare))
    }
}

/// The genesis record and every certificate since.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chain {
    /// The first record.
    #[n(0)]
    pub genesis: Genesis,
    /// The links, oldest first.
    #[n(1)]
    pub links: Vec<Certificate>,
}

/// Why a chain proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The genesis record does not hash to the lineage that the header names.
    #[error("the genesis record does not belong to lineage {0:.12}")]
    WrongLineage(Lineage),
    /// A link does not continue the one before it.
    #[error("certificate {0} of the chain does not continue the one before it")]
    Broken(usize),
    /// A link is not signed by whom it had to be signed.
    #[error("certificate {0} of the chain is not signed by the home before it or a recovery key")]
    Unsigned(usize),
    /// More links or keys than the limits allow.
    #[error(
        "the chain is longer than {CHAIN_MAX_CERTIFICATES} certificates or has more than {RECOVERY_KEYS_MAX} recovery keys"
    )]
    TooLong,
}

impl Chain {
    /// A chain of the genesis alone.
    #[must_use]
    pub fn new(genesis: Genesis) -> Self {
        Self { genesis, links: Vec::new() }
    }

    /// Today's home.
    #[must_use]
    pub fn home(&self) -> KernelId {
        self.links.last().map_or(self.genesis.home, |link| link.home)
    }

    /// Today's epoch: 1 for the genesis.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.links.last().map_or(1, |link| link.epoch)
    }

    /// The certificate under which today's home changes the object.
    #[must_use]
    pub fn certificate(&self) -> Hash {
        self.links.last().map_or_else(|| self.root(), Certificate::id)
    }

    /// The home that held a certificate of this chain, with its epoch.
    #[must_use]
    pub fn holder(&self, certificate: &Hash) -> Option<(KernelId, u64)> {
        if *certificate == self.root() {
            return Some((self.genesis.home, 1));
        }
        self.links.iter().find(|link| link.id() == *certificate).map(|link| (link.home, link.epoch))
    }

    fn root(&self) -> Hash {
        Hash::from_bytes(*self.genesis.lineage().as_bytes())
    }

    /// Checks every link from the genesis on.
    ///
    /// # Errors
    /// When the chain belongs to another lineage, breaks, or lacks a signature.
    pub fn verify(&self, lineage: Lineage) -> Result<(), ChainError> {
        if self.links.len() > CHAIN_MAX_CERTIFICATES || self.genesis.recovery.len() > RECOVERY_KEYS_MAX {
            return Err(ChainError::TooLong);
        }
        if self.genesis.lineage() != lineage {
            return Err(ChainError::WrongLineage(lineage));
        }
        let (mut home, mut epoch, mut base) = (self.genesis.home, 1, self.root());
        for (i, link) in self.links.iter().enumerate() {
            if link.lineage != lineage || link.base != base || link.epoch <= epoch {
                return Err(ChainError::Broken(i));
            }
            let may = match link.kind {
                CertificateKind::Adopt => self.genesis.recovery.contains(&link.signer),
                _ => link.signer == home,
            };
            let id = link.id();
            if !may || !link.signature.is_some_and(|s| s.verifies(Purpose::Certificate, &id, &link.signer)) {
                return Err(ChainError::Unsigned(i));
            }
            (home, epoch, base) = (link.home, link.epoch, id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::KernelKey;

    fn genesis(home: &KernelKey, recovery: &KernelKey) -> Genesis {
        Genesis {
            uuid: Uuid::from_u128(5),
            home: home.id(),
            recovery: vec![recovery.id()],
            content: Hash::from_bytes([1; 32]),
            nonce: [2; 16],
        }
    }

    fn link(chain: &Chain, kind: CertificateKind, to: KernelId, signer: &KernelKey) -> Certificate {
        let mut link = Certificate {
            lineage: chain.genesis.lineage(),
            epoch: chain.epoch() + 1,
            kind,
            home: to,
            incarnation: Incarnation::from_bytes([0; 16]),
            base: chain.certificate(),
            base_revision: 1,
            base_id: Hash::from_bytes([0; 32]),
            signer: signer.id(),
            signature: None,
        };
        link.signature = Some(signer.sign(Purpose::Certificate, &link.id()));
        link
    }

    #[test]
    fn a_chain_of_handoff_and_adoption_verifies_and_forgeries_do_not() {
        let (a, b, r) = (
            KernelKey::from_bytes(&[1; 32]),
            KernelKey::from_bytes(&[2; 32]),
            KernelKey::from_bytes(&[3; 32]),
        );
        let mut chain = Chain::new(genesis(&a, &r));
        let lineage = chain.genesis.lineage();
        assert_eq!(chain.verify(lineage), Ok(()));
        let handoff = link(&chain, CertificateKind::Handoff, b.id(), &a);
        chain.links.push(handoff);
        let adopt = link(&chain, CertificateKind::Adopt, a.id(), &r);
        chain.links.push(adopt);
        assert_eq!(chain.verify(lineage), Ok(()));
        assert_eq!(chain.home(), a.id());
        assert_eq!(chain.holder(&chain.links[0].id()), Some((b.id(), 2)));

        let mut forged = chain.clone();
        forged.links[0].home = r.id();
        assert_eq!(forged.verify(lineage), Err(ChainError::Unsigned(0)));
        let stolen = link(&chain, CertificateKind::Handoff, b.id(), &b);
        chain.links.push(stolen);
        assert_eq!(chain.verify(lineage), Err(ChainError::Unsigned(2)));
        assert!(matches!(chain.verify(Lineage::from_bytes([0; 32])), Err(ChainError::WrongLineage(_))));
    }
}
