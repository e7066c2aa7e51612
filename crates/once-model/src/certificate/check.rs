//! Whether a chain proves what it says.

use super::{Certificate, CertificateKind, Chain, ChainError};
use crate::ids::{Hash, KernelId, Lineage};
use crate::limits::{CHAIN_MAX_CERTIFICATES, RECOVERY_KEYS_MAX};
use crate::sign::Purpose;

impl Chain {
    /// Checks every link from the genesis on.
    ///
    /// # Errors
    /// When the chain belongs to another lineage, breaks, or lacks a signature.
    pub fn verify(&self, lineage: Lineage) -> Result<(), ChainError> {
        self.checks(lineage).collect()
    }

    /// The same of a chain of which another one may be known to be valid: what both have in common was checked with that one.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_knowing(&self, lineage: Lineage, known: Option<&Self>) -> Result<(), ChainError> {
        self.checks_from(lineage, self.checked_with(known)).collect()
    }

    /// Checks a chain at whose end is a handoff that its receiver has not answered yet: all but that answer. `known`: as in
    /// [`Self::verify_knowing`].
    ///
    /// # Errors
    /// As [`Self::verify`]; and when no such handoff is at its end.
    pub fn verify_handed(&self, lineage: Lineage, known: Option<&Self>) -> Result<(), ChainError> {
        let last = self.links.len().wrapping_sub(1);
        let is_open = |link: &Certificate| link.kind == CertificateKind::Handoff && link.acceptance.is_none();
        if !self.links.last().is_some_and(is_open) {
            return Err(ChainError::Broken(last));
        }
        let all = self.checks_from(lineage, self.checked_with(known));
        all.filter(|check| *check != Err(ChainError::NotAccepted(last))).collect()
    }

    /// How many links at the beginning need no check, because another chain has them, too. A handoff without an acceptance is
    /// good by the link behind it alone.
    fn checked_with(&self, known: Option<&Self>) -> usize {
        let Some(known) = known.filter(|known| known.genesis == self.genesis) else { return 0 };
        let same = self.links.iter().zip(&known.links).take_while(|(link, known)| link == known).count();
        let is_open = |link: &Certificate| link.kind == CertificateKind::Handoff && link.acceptance.is_none();
        let last = same.checked_sub(1).filter(|last| self.links.get(*last).is_some_and(is_open));
        last.unwrap_or(same)
    }

    /// What is wrong with the genesis record, and then with each link in turn. A link is held against what the one before it
    /// says, also where that one is wrong.
    pub fn checks(&self, lineage: Lineage) -> impl Iterator<Item = Result<(), ChainError>> {
        self.checks_from(lineage, 0)
    }

    /// The same of the links from one on.
    fn checks_from(&self, lineage: Lineage, from: usize) -> impl Iterator<Item = Result<(), ChainError>> {
        let mut before = self.held_before(from);
        let links = (from..self.links.len()).map(move |place| self.check_link(lineage, place, &mut before));
        std::iter::once(self.check_genesis(lineage)).chain(links)
    }

    /// Who served before a link, in which epoch, and under which certificate.
    fn held_before(&self, place: usize) -> (KernelId, u64, Hash) {
        let Some(last) = place.checked_sub(1).and_then(|last| self.links.get(last).map(|link| (last, link)))
        else {
            return (self.genesis.home, 1, self.root());
        };
        let (at, link) = last;
        // A handoff that was reopened left the home where it was.
        let home = if self.is_reopened(at) { self.held_before(at).0 } else { link.home };
        (home, link.epoch, link.id())
    }

    fn check_genesis(&self, lineage: Lineage) -> Result<(), ChainError> {
        if self.links.len() > CHAIN_MAX_CERTIFICATES || self.genesis.recovery.len() > RECOVERY_KEYS_MAX {
            return Err(ChainError::TooLong);
        }
        if self.earlier_bytes.is_some() {
            return Err(ChainError::Broken(0));
        }
        if self.genesis.lineage() == lineage { Ok(()) } else { Err(ChainError::WrongLineage(lineage)) }
    }

    /// Checks one link. `before`: who served before it, in which epoch, and under which certificate.
    fn check_link(
        &self,
        lineage: Lineage,
        place: usize,
        before: &mut (KernelId, u64, Hash),
    ) -> Result<(), ChainError> {
        let Some(link) = self.links.get(place) else { return Ok(()) };
        let (home, epoch, base) = *before;
        let id = link.id();
        let is_reopened = self.is_reopened(place);
        // A handoff that was reopened left the home where it was.
        *before = (if is_reopened { home } else { link.home }, link.epoch, id);
        if link.lineage != lineage || link.base != base || Some(link.epoch) != epoch.checked_add(1) {
            return Err(ChainError::Broken(place));
        }
        let last = place.checked_sub(1).and_then(|place| self.links.get(place));
        if !link.may_follow(last, &home, &self.genesis)
            || !link.signature.is_some_and(|s| s.verifies(Purpose::Certificate, &id, &link.signer))
        {
            return Err(ChainError::Unsigned(place));
        }
        if !is_reopened && link.kind == CertificateKind::Handoff && !link.is_accepted() {
            return Err(ChainError::NotAccepted(place));
        }
        Ok(())
    }
}
