//! Who may change an object: the genesis record and the chain of certificates that leads from it to today's home.

mod check;
mod travel;

use minicbor::{Decode, Encode};

pub use travel::Earlier;

use crate::hash::record_hash;
use crate::ids::{Hash, Incarnation, KernelId, Lineage, Uuid};
use crate::limits::{CHAIN_MAX_CERTIFICATES, RECOVERY_KEYS_MAX};
use crate::sign::{KernelKey, Purpose, Signature};

/// The first record of an object. Its hash is the lineage.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Genesis {
    /// The object's UUID.
    #[cbor(n(0), with = "crate::cbor::uuid_bytes")]
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
    /// The incarnation of the first home: an outcome counts only from the life of a kernel that a certificate names.
    #[n(5)]
    pub incarnation: Incarnation,
}

impl Genesis {
    /// The object's lineage.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage::from_bytes(*record_hash("once/2 genesis", &crate::cbor::to_cbor(self)).as_bytes())
    }
}

/// Why a home changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CertificateKind {
    /// The home before handed the object over. Signed by it; counts once its receiver has accepted it.
    #[n(0)]
    Handoff,
    /// The receiver of a handoff refused it: the home before serves again. Signed by that home; holds the refusal.
    #[n(1)]
    Reopen,
    /// A takeover by a recovery key of the genesis record.
    #[n(2)]
    Adopt,
    /// A takeover by the home itself, after its data directory was put back from a backup. Signed by it.
    #[n(3)]
    Reinstate,
    /// A takeover by a standby. Signed by it; holds the home's naming of it.
    #[n(4)]
    Promote,
}

impl CertificateKind {
    /// Whether it was made after a loss. A takeover begins new lanes.
    #[must_use]
    pub const fn is_takeover(self) -> bool {
        matches!(self, Self::Adopt | Self::Reinstate | Self::Promote)
    }

    /// Its name, as the pages have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::Reopen => "reopen",
            Self::Adopt => "adopt",
            Self::Reinstate => "reinstate",
            Self::Promote => "promote",
        }
    }
}

/// A receiver's one answer to a handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Answer {
    /// [`Certificate::id`] of the handoff.
    #[n(0)]
    pub certificate: Hash,
    /// Whether the receiver is the home from now on.
    #[n(1)]
    pub accepted: bool,
    /// The receiver's incarnation: the one that the handoff names.
    #[n(2)]
    pub incarnation: Incarnation,
    /// The receiver's, over `certificate`, `accepted` and `incarnation`.
    #[n(3)]
    pub signature: Signature,
}

impl Answer {
    /// Makes one: only the receiver of the handoff can.
    #[must_use]
    pub fn sign(certificate: Hash, accepted: bool, incarnation: Incarnation, key: &KernelKey) -> Self {
        let signature = key.sign(Purpose::Answer, &Self::hash(&certificate, accepted, &incarnation));
        Self { certificate, accepted, incarnation, signature }
    }

    /// What is signed: certificate (32 bytes), `01` for accepted else `00`, incarnation (16).
    fn hash(certificate: &Hash, accepted: bool, incarnation: &Incarnation) -> Hash {
        let parts = [certificate.as_bytes().as_slice(), &[u8::from(accepted)], incarnation.as_bytes()];
        record_hash("once/2 answer to handoff", &parts.concat())
    }

    /// Whether it is the answer of `handoff`'s receiver, in the incarnation that the handoff names.
    #[must_use]
    pub fn is_to(&self, handoff: &Certificate) -> bool {
        self.certificate == handoff.id()
            && self.incarnation == handoff.incarnation
            && self.signature.verifies(
                Purpose::Answer,
                &Self::hash(&self.certificate, self.accepted, &self.incarnation),
                &handoff.home,
            )
    }
}

/// A home's word that a kernel keeps an object along, to take over after a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Naming {
    /// The object, by the hash of its genesis record.
    #[n(0)]
    pub lineage: Lineage,
    /// The certificate under which the home named it.
    #[n(1)]
    pub certificate: Hash,
    /// Who may take over.
    #[n(2)]
    pub standby: KernelId,
    /// The home's, over `lineage`, `certificate` and `standby`.
    #[n(3)]
    pub signature: Signature,
}

impl Naming {
    /// Makes one: only the home can.
    #[must_use]
    pub fn sign(lineage: Lineage, certificate: Hash, standby: KernelId, key: &KernelKey) -> Self {
        let signature = key.sign(Purpose::Naming, &Self::hash(&lineage, &certificate, &standby));
        Self { lineage, certificate, standby, signature }
    }

    /// What is signed: lineage (32 bytes), certificate (32), standby (32).
    fn hash(lineage: &Lineage, certificate: &Hash, standby: &KernelId) -> Hash {
        let parts = [lineage.as_bytes().as_slice(), certificate.as_bytes(), standby.as_bytes()];
        record_hash("once/2 standby", &parts.concat())
    }

    /// Whether `home` made it.
    #[must_use]
    pub fn signed_by(&self, home: &KernelId) -> bool {
        let hash = Self::hash(&self.lineage, &self.certificate, &self.standby);
        self.signature.verifies(Purpose::Naming, &hash, home)
    }
}

/// Where an object's history had come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Tip {
    /// [`crate::receipt::Entry::number`].
    #[n(0)]
    pub number: u64,
    /// [`crate::receipt::Entry::hash`].
    #[n(1)]
    pub hash: Hash,
}

/// One link of the chain: from `epoch`, `home` may change the object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Certificate {
    /// The object, by the hash of its genesis record.
    #[n(0)]
    pub lineage: Lineage,
    /// The epoch it begins: one more than that of the certificate before.
    #[n(1)]
    pub epoch: u64,
    /// Why there is a new link of the chain.
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
    /// Who signed: the home before, a recovery key, or a standby.
    #[n(8)]
    pub signer: KernelId,
    /// The signer's, over [`Self::id`].
    #[n(9)]
    pub signature: Option<Signature>,
    /// Where the object's history had come to under the certificate before.
    #[n(10)]
    pub tip: Option<Tip>,
    /// Of a handoff: the hash of the luggage, what belongs to the object and moves with it.
    #[n(11)]
    pub luggage: Option<Hash>,
    /// Of a reopen: the refusal of the handoff that it continues.
    #[n(12)]
    pub refusal: Option<Answer>,
    /// Of a promote: the home's naming of the standby that signs.
    #[n(13)]
    pub naming: Option<Naming>,
    /// Of a handoff: its receiver's acceptance. Added later, so not part of [`Self::id`].
    #[n(14)]
    pub acceptance: Option<Answer>,
}

impl Certificate {
    /// The hash of the certificate without its signature and its acceptance.
    #[must_use]
    pub fn id(&self) -> Hash {
        let bare = Self { signature: None, acceptance: None, ..self.clone() };
        record_hash("once/2 certificate", &crate::cbor::to_cbor(&bare))
    }

    /// Whether a handoff's receiver has accepted it.
    fn is_accepted(&self) -> bool {
        self.acceptance.is_some_and(|answer| answer.accepted && answer.is_to(self))
    }

    /// Whether it may continue `before` (nothing: the genesis record), under which `home` served.
    fn may_follow(&self, before: Option<&Self>, home: &KernelId, genesis: &Genesis) -> bool {
        let parts = (self.luggage.is_some(), self.refusal, self.naming, self.acceptance.is_some());
        match (self.kind, parts) {
            (CertificateKind::Handoff, (true, None, None, _)) => self.signer == *home,
            (CertificateKind::Reopen, (false, Some(refusal), None, false)) => {
                let refused = before.filter(|before| before.kind == CertificateKind::Handoff);
                self.signer == *home
                    && self.home == *home
                    && refused.is_some_and(|handoff| !refusal.accepted && refusal.is_to(handoff))
            }
            (CertificateKind::Adopt, (false, None, None, false)) => genesis.recovery.contains(&self.signer),
            (CertificateKind::Reinstate, (false, None, None, false)) => {
                self.signer == *home && self.home == *home
            }
            (CertificateKind::Promote, (false, None, Some(naming), false)) => {
                naming.lineage == self.lineage
                    && naming.certificate == self.base
                    && naming.standby == self.signer
                    && naming.standby == self.home
                    && naming.signed_by(home)
            }
            _ => false,
        }
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
    /// Of a long chain on its way: how many bytes the certificates have that come before these and do not travel along
    /// ([`Self::shortened`]). Such a chain proves nothing until it is whole.
    #[n(2)]
    pub earlier_bytes: Option<u64>,
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
    #[error("certificate {0} of the chain is not signed by whoever may make one of its kind")]
    Unsigned(usize),
    /// A handoff that its receiver did not accept, and that was not reopened: the object may be in either place.
    #[error("certificate {0} of the chain hands the object over, and its receiver has not accepted it")]
    NotAccepted(usize),
    /// More links or keys than the limits allow.
    #[error(
        "the chain is longer than {CHAIN_MAX_CERTIFICATES} certificates or has more than {RECOVERY_KEYS_MAX} recovery keys"
    )]
    TooLong,
}

/// A time for which a kernel was an object's home, by the numbers of the object's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The kernel that was the home.
    pub home: KernelId,
    /// The first entry that it has recorded, if it has recorded any.
    pub from: u64,
    /// The last one, as the certificate says that ended the time. Absent while it lasts.
    pub tip: Option<Tip>,
}

impl Term {
    /// Whether an entry of this number was recorded in that time, as far as the certificates say.
    #[must_use]
    pub fn holds(&self, number: u64) -> bool {
        self.from <= number && self.tip.is_none_or(|tip| number <= tip.number)
    }
}

impl Chain {
    /// A chain of the genesis alone.
    #[must_use]
    pub fn new(genesis: Genesis) -> Self {
        Self { genesis, links: Vec::new(), earlier_bytes: None }
    }

    /// The kernel that may change the object today.
    #[must_use]
    pub fn home(&self) -> KernelId {
        self.links.last().map_or(self.genesis.home, |link| link.home)
    }

    /// Every home that the object has had, the first one first, today's at the end. Who refused it was none.
    pub fn homes(&self) -> impl Iterator<Item = KernelId> + '_ {
        let held = (0..self.links.len()).filter(|i| !self.is_reopened(*i));
        let homes = held.filter_map(|i| self.links.get(i)).map(|link| link.home);
        std::iter::once(self.genesis.home).chain(homes)
    }

    /// The times that kernels were its home, the first one first, today's at the end. A handoff without an acceptance ends
    /// none.
    #[must_use]
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = vec![Term { home: self.genesis.home, from: 1, tip: None }];
        let counts = |link: &&Certificate| link.kind != CertificateKind::Handoff || link.acceptance.is_some();
        for link in self.links.iter().filter(counts) {
            if let Some(last) = terms.last_mut().filter(|last| last.home != link.home) {
                last.tip = link.tip;
                let from = link.tip.map_or(last.from, |tip| tip.number.saturating_add(1));
                terms.push(Term { home: link.home, from, tip: None });
            }
        }
        terms
    }

    /// Whether the link after this one says that it was refused.
    fn is_reopened(&self, i: usize) -> bool {
        self.links.get(i + 1).is_some_and(|next| next.kind == CertificateKind::Reopen)
    }

    /// Today's epoch: 1 for the genesis.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.links.last().map_or(1, |link| link.epoch)
    }

    /// Whether it is another chain made longer, or that chain itself.
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        self.links.len() >= other.links.len()
            && (self.genesis == other.genesis || self.root() == other.root())
            && self
                .links
                .iter()
                .zip(&other.links)
                .all(|(link, other)| link == other || link.id() == other.id())
    }

    /// Whether the object has ever moved from one home to another.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        let moved = |link: &Certificate| link.kind == CertificateKind::Handoff && link.acceptance.is_some();
        self.links.iter().any(moved)
    }

    /// The incarnation of today's home: what it records under another one does not count.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.links.last().map_or(self.genesis.incarnation, |link| link.incarnation)
    }

    /// The last takeover. Lanes are named by it: what was not answered before a takeover is never run after it.
    #[must_use]
    pub fn takeover(&self) -> Option<Hash> {
        self.links.iter().rev().find(|link| link.kind.is_takeover()).map(Certificate::id)
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
        // Mostly it is one of the last.
        self.links.iter().rfind(|link| link.id() == *certificate).map(|link| (link.home, link.epoch))
    }

    /// The chain as it was under one of its certificates; all of it if that is not among them.
    #[must_use]
    pub fn up_to(mut self, certificate: &Hash) -> Self {
        let place = self.links.iter().rposition(|link| link.id() == *certificate);
        if let Some(place) = place {
            self.links.truncate(place + 1);
        } else if *certificate == self.root() {
            self.links.clear();
        }
        self
    }

    fn root(&self) -> Hash {
        Hash::from_bytes(*self.genesis.lineage().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCARNATION: Incarnation = Incarnation::from_bytes([0; 16]);
    fn genesis(home: &KernelKey, recovery: &KernelKey) -> Genesis {
        Genesis {
            uuid: Uuid::from_u128(5),
            home: home.id(),
            recovery: vec![recovery.id()],
            content: Hash::from_bytes([1; 32]),
            nonce: [2; 16],
            incarnation: INCARNATION,
        }
    }

    /// The next link of a chain, as it would have to be.
    fn link(chain: &Chain, kind: CertificateKind, to: &KernelKey, signer: &KernelKey) -> Certificate {
        let zero = Hash::from_bytes([0; 32]);
        let mut link = Certificate {
            lineage: chain.genesis.lineage(),
            epoch: chain.epoch() + 1,
            kind,
            home: to.id(),
            incarnation: INCARNATION,
            base: chain.certificate(),
            base_revision: 1,
            base_id: zero,
            signer: signer.id(),
            signature: None,
            tip: Some(Tip { number: 3, hash: zero }),
            luggage: (kind == CertificateKind::Handoff).then_some(zero),
            refusal: None,
            naming: None,
            acceptance: None,
        };
        sign(&mut link, signer);
        link
    }

    fn sign(link: &mut Certificate, signer: &KernelKey) {
        link.signature = Some(signer.sign(Purpose::Certificate, &link.id()));
    }

    /// A valid chain of so many certificates.
    pub(super) fn long(links: usize) -> Chain {
        let [a, _, r] = keys();
        let mut chain = Chain::new(genesis(&a, &r));
        for _ in 0..links {
            chain.links.push(link(&chain, CertificateKind::Reinstate, &a, &a));
        }
        chain
    }

    fn keys() -> [KernelKey; 3] {
        [1, 2, 3].map(|n| KernelKey::from_bytes(&[n; 32]))
    }

    #[test]
    fn a_chain_of_handoff_and_adoption_verifies_and_forgeries_do_not() {
        let [a, b, r] = keys();
        let mut chain = Chain::new(genesis(&a, &r));
        let lineage = chain.genesis.lineage();
        assert_eq!(chain.verify(lineage), Ok(()));
        let mut handoff = link(&chain, CertificateKind::Handoff, &b, &a);
        handoff.acceptance = Some(Answer::sign(handoff.id(), true, INCARNATION, &b));
        chain.links.push(handoff);
        assert_eq!(chain.verify(lineage), Ok(()));
        assert_eq!(chain.takeover(), None);
        let adopt = link(&chain, CertificateKind::Adopt, &a, &r);
        chain.links.push(adopt);
        assert_eq!(chain.verify(lineage), Ok(()));
        assert_eq!(chain.home(), a.id());
        assert_eq!(chain.takeover(), Some(chain.links[1].id()));
        assert_eq!(chain.holder(&chain.links[0].id()), Some((b.id(), 2)));

        let mut forged = chain.clone();
        forged.links[0].home = r.id();
        assert_eq!(forged.verify(lineage), Err(ChainError::Unsigned(0)));
        // Each link is judged for itself: the second one does not name the forged one as its base.
        let verdicts = [Ok(()), Err(ChainError::Unsigned(0)), Err(ChainError::Broken(1))];
        assert!(forged.checks(lineage).eq(verdicts));
        let mut unsigned = chain.clone();
        unsigned.links[0].signature = None;
        assert!(unsigned.checks(lineage).eq([Ok(()), Err(ChainError::Unsigned(0)), Ok(())]));
        let mut skipped = chain.clone();
        skipped.links[1].epoch += 1;
        assert_eq!(skipped.verify(lineage), Err(ChainError::Broken(1)));
        let stolen = link(&chain, CertificateKind::Handoff, &b, &b);
        chain.links.push(stolen);
        assert_eq!(chain.verify(lineage), Err(ChainError::Unsigned(2)));
        assert!(matches!(chain.verify(Lineage::from_bytes([0; 32])), Err(ChainError::WrongLineage(_))));
    }

    #[test]
    fn a_handoff_counts_once_its_receiver_has_accepted_it_or_when_it_was_reopened() {
        let [a, b, r] = keys();
        let mut chain = Chain::new(genesis(&a, &r));
        let lineage = chain.genesis.lineage();
        chain.links.push(link(&chain, CertificateKind::Handoff, &b, &a));
        assert_eq!(chain.verify(lineage), Err(ChainError::NotAccepted(0)));
        let id = chain.links[0].id();
        for bad in [
            Answer::sign(id, false, INCARNATION, &b),
            Answer::sign(id, true, Incarnation::from_bytes([9; 16]), &b),
            Answer::sign(id, true, INCARNATION, &r),
            Answer::sign(Hash::from_bytes([9; 32]), true, INCARNATION, &b),
        ] {
            chain.links[0].acceptance = Some(bad);
            assert_eq!(chain.verify(lineage), Err(ChainError::NotAccepted(0)));
        }
        chain.links[0].acceptance = None;
        let mut reopen = link(&chain, CertificateKind::Reopen, &a, &a);
        chain.links.push(reopen.clone());
        assert_eq!(chain.verify(lineage), Err(ChainError::Unsigned(1)));
        reopen.refusal = Some(Answer::sign(id, false, INCARNATION, &b));
        sign(&mut reopen, &a);
        chain.links[1] = reopen;
        assert_eq!(chain.verify(lineage), Ok(()));
        assert_eq!(chain.home(), a.id());
        chain.links.push(link(&chain, CertificateKind::Handoff, &r, &a));
        assert_eq!(chain.homes().collect::<Vec<_>>(), [a.id(), a.id(), r.id()], "b has refused it");
    }

    #[test]
    fn a_chain_with_a_handoff_at_its_end_lacks_only_the_answer() {
        let [a, b, r] = keys();
        let mut chain = Chain::new(genesis(&a, &r));
        let lineage = chain.genesis.lineage();
        assert_eq!(chain.verify_handed(lineage, None), Err(ChainError::Broken(usize::MAX)));
        chain.links.push(link(&chain, CertificateKind::Handoff, &b, &a));
        assert_eq!(chain.verify_handed(lineage, None), Ok(()));
        let (id, open) = (chain.links[0].id(), chain.clone());
        let mut reopen = link(&chain, CertificateKind::Reopen, &a, &a);
        reopen.refusal = Some(Answer::sign(id, false, INCARNATION, &b));
        sign(&mut reopen, &a);
        chain.links.push(reopen);
        let known = chain.clone();
        chain.links.push(link(&chain, CertificateKind::Handoff, &r, &a));
        for known in [None, Some(&Chain::new(chain.genesis.clone())), Some(&known)] {
            assert_eq!(chain.verify_handed(lineage, known), Ok(()));
            let mut forged = chain.clone();
            forged.links[2].home = b.id();
            assert_eq!(forged.verify_handed(lineage, known), Err(ChainError::Unsigned(2)));
            let mut forged = chain.clone();
            forged.links[0].signature = None;
            assert_eq!(forged.verify_handed(lineage, known), Err(ChainError::Unsigned(0)));
        }
        // What made the handoff good in the chain that is known is missing in this one.
        let mut skipped = open;
        skipped.links.push(link(&skipped, CertificateKind::Handoff, &a, &b));
        assert_eq!(skipped.verify_handed(lineage, Some(&known)), Err(ChainError::NotAccepted(0)));
        skipped.links[0].acceptance = Some(Answer::sign(id, true, INCARNATION, &b));
        assert_eq!(skipped.verify_handed(lineage, Some(&known)), Ok(()));
    }

    #[test]
    fn a_standby_takes_over_only_with_its_naming_and_a_home_reinstates_only_itself() {
        let [a, b, r] = keys();
        let mut chain = Chain::new(genesis(&a, &r));
        let lineage = chain.genesis.lineage();
        let mut promote = link(&chain, CertificateKind::Promote, &b, &b);
        chain.links.push(promote.clone());
        assert_eq!(chain.verify(lineage), Err(ChainError::Unsigned(0)));
        for (signer, standby, verdict) in
            [(&a, &b, Ok(())), (&b, &b, Err(ChainError::Unsigned(0))), (&a, &r, Err(ChainError::Unsigned(0)))]
        {
            promote.naming = Some(Naming::sign(lineage, promote.base, standby.id(), signer));
            sign(&mut promote, &b);
            chain.links[0] = promote.clone();
            assert_eq!(chain.verify(lineage), verdict);
        }
        chain.links[0] = link(&Chain::new(chain.genesis.clone()), CertificateKind::Reinstate, &a, &a);
        assert_eq!(chain.verify(lineage), Ok(()));
        chain.links[0] = link(&Chain::new(chain.genesis.clone()), CertificateKind::Reinstate, &b, &a);
        assert_eq!(chain.verify(lineage), Err(ChainError::Unsigned(0)));
    }
}
