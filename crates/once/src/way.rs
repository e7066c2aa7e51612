//! How an object came to its home: every certificate of its chain, each checked for itself.

use once_core::act::Recorded;
use once_core::archive;
use once_core::object::{self, HeadRow};
use once_core::store::Read;
use once_model::certificate::{Certificate, CertificateKind, Chain};
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};

use crate::error::OrError;
use crate::{Departure, Error, Kernel, beside};

/// The way of an object from its first home to today's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// The object whose way it is.
    pub key: ObjectKey,
    /// The genesis record, and then every certificate since.
    pub steps: Vec<WayStep>,
    /// The newest revision that is here.
    pub newest: Option<WayNewest>,
    /// Where it is about to leave for, if it is.
    pub leaving: Option<Departure>,
}

impl Way {
    /// Today's home, as far as is known here.
    #[must_use]
    pub fn home(&self) -> Option<KernelId> {
        let is_home = |step: &&WayStep| step.accepted != Some(false);
        self.steps.iter().rev().find(is_home).map(|step| step.home)
    }

    /// Whether every signature and every link is what it has to be.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        let newest = self.newest.iter().all(|newest| newest.wrong.is_none());
        newest && self.steps.iter().all(|step| step.wrong.is_none())
    }
}

/// One step of an object's way: the genesis record, or a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WayStep {
    /// The epoch that it begins.
    pub epoch: u64,
    /// Why the home changed; `None` for the genesis record.
    pub kind: Option<CertificateKind>,
    /// The home before; `None` for the genesis record.
    pub from: Option<KernelId>,
    /// Who may change the object from here on.
    pub home: KernelId,
    /// Who signed it; `None` for the genesis record, which is known by its hash.
    pub signer: Option<KernelId>,
    /// The certificate's id.
    pub certificate: Hash,
    /// The last revision before it; 0 for the genesis record.
    pub after_revision: u64,
    /// When the object was first changed under it, in milliseconds since 1970, where this kernel recorded that.
    pub at_ms: Option<u64>,
    /// Of a handoff: whether its receiver has taken the object on. `None`: it has not said, or it is none.
    pub accepted: Option<bool>,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// The newest revision of an object that a kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WayNewest {
    /// The number of the revision under it.
    pub revision: u64,
    /// The epoch in which it was made.
    pub epoch: u64,
    /// The home that made it, if its certificate is one of the chain.
    pub by: Option<KernelId>,
    /// Whether it carries that home's signature. Without one it came from that home itself, or was made here.
    pub is_signed: bool,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

impl Kernel {
    /// How an object came to its home, with every signature and every link checked. `None` if no chain of it is here: nobody
    /// has claimed it, or this kernel does not know it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// if let Some(way) = alice.way(key).await? {
    ///     println!("{way:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn way(&self, key: ObjectKey) -> Result<Option<Way>, Error> {
        let (snapshot, me) = (self.shared().snapshot(), self.id());
        let looked = beside::wait_for(move || way(&snapshot, me, key)).await;
        let found = looked.map_err(|_| Error::fault("looking for the way of an object panicked"))??;
        let Some(mut way) = found else { return Ok(None) };
        way.leaving = self.moves()?.into_iter().find(|departing| departing.key == key);
        Ok(Some(way))
    }
}

fn way(rows: &dyn Read, me: KernelId, key: ObjectKey) -> Result<Option<Way>, Error> {
    let Some(lineage) = key.lineage() else { return Ok(None) };
    let Some(chain) = object::chain(rows, &lineage).or_error()? else { return Ok(None) };
    let recorded = archive::history(rows, &key).or_error()?;
    let verdicts = chain.checks(lineage).map(|verdict| verdict.err().map(|wrong| wrong.to_string()));
    let steps = steps(&chain, &recorded);
    let steps = steps.into_iter().zip(verdicts).map(|(step, wrong)| WayStep { wrong, ..step }).collect();
    let newest = object::head(rows, &key).or_error()?.map(|head| newest(&chain, &head, &me));
    Ok(Some(Way { key, steps, newest, leaving: None }))
}

/// The steps, nothing of them checked yet.
fn steps(chain: &Chain, recorded: &[Recorded]) -> Vec<WayStep> {
    let began = |certificate: Hash| {
        let mut under = recorded.iter().filter(|one| one.entry.certificate == Some(certificate));
        under.next().map(|one| one.at_ms)
    };
    let certificate = Hash::from_bytes(*chain.genesis.lineage().as_bytes());
    let mut steps = vec![WayStep {
        epoch: 1,
        kind: None,
        from: None,
        home: chain.genesis.home,
        signer: None,
        certificate,
        after_revision: 0,
        // What was done before it was claimed has no certificate.
        at_ms: recorded.first().filter(|one| one.entry.number == 1).map(|one| one.at_ms),
        accepted: None,
        wrong: None,
    }];
    let mut from = chain.genesis.home;
    for (place, link) in chain.links.iter().enumerate() {
        let (certificate, accepted) = (link.id(), accepted(link, chain.links.get(place + 1)));
        steps.push(WayStep {
            epoch: link.epoch,
            kind: Some(link.kind),
            from: Some(from),
            home: link.home,
            signer: Some(link.signer),
            certificate,
            after_revision: link.base_revision,
            at_ms: began(certificate),
            accepted,
            wrong: None,
        });
        if accepted != Some(false) {
            from = link.home;
        }
    }
    steps
}

fn accepted(link: &Certificate, next: Option<&Certificate>) -> Option<bool> {
    if link.kind != CertificateKind::Handoff {
        return None;
    }
    let refused = || next.and_then(|next| next.refusal).map(|refusal| refusal.accepted);
    link.acceptance.map(|answer| answer.accepted).or_else(refused)
}

fn newest(chain: &Chain, head: &HeadRow, me: &KernelId) -> WayNewest {
    let header: &Header = &head.header;
    let holder = header.certificate.and_then(|certificate| chain.holder(&certificate));
    let (by, is_signed) = (holder.map(|(home, _)| home), header.signature.is_some());
    let wrong = match holder {
        None => Some("it was made under a certificate that is not in the chain"),
        Some((_, epoch)) if epoch != header.epoch => Some("it was not made in the epoch of its certificate"),
        Some((home, _)) if is_signed && !header.signed_by(&home) => {
            Some("its signature is not that of the home that its certificate names")
        }
        // The connection proved that it came from its home.
        Some((home, _)) if !is_signed && home != *me && head.from != Some(home) => {
            Some("it is not signed, and did not come from the home that its certificate names")
        }
        Some(_) => None,
    };
    let wrong = wrong.map(str::to_owned);
    WayNewest { revision: header.revision, epoch: header.epoch, by, is_signed, wrong }
}

#[cfg(test)]
mod tests {
    use once_model::certificate::{Answer, Genesis};
    use once_model::ids::{Incarnation, Uuid};
    use once_model::sign::{KernelKey, Purpose};

    use super::*;

    const LIFE: Incarnation = Incarnation::from_bytes([0; 16]);
    const ZERO: Hash = Hash::from_bytes([0; 32]);

    fn key(n: u8) -> KernelKey {
        KernelKey::from_bytes(&[n; 32])
    }

    fn genesis() -> Genesis {
        let (uuid, home) = (Uuid::from_u128(1), key(1).id());
        Genesis { uuid, home, recovery: vec![], content: ZERO, nonce: [0; 16], incarnation: LIFE }
    }

    fn link(chain: &Chain, kind: CertificateKind, home: u8, refusal: Option<Answer>) -> Certificate {
        let is_handoff = kind == CertificateKind::Handoff;
        let mut link = Certificate {
            lineage: chain.genesis.lineage(),
            epoch: chain.epoch() + 1,
            kind,
            home: key(home).id(),
            incarnation: LIFE,
            base: chain.certificate(),
            base_revision: 3,
            base_id: ZERO,
            signer: key(1).id(),
            signature: None,
            tip: None,
            luggage: is_handoff.then_some(ZERO),
            refusal,
            naming: None,
            acceptance: None,
        };
        link.signature = Some(key(1).sign(Purpose::Certificate, &link.id()));
        link
    }

    /// Kernel 1 hands over to kernel 2, which refuses; then to kernel 3, which accepts.
    fn chain() -> Chain {
        let mut chain = Chain::new(genesis());
        let refused = link(&chain, CertificateKind::Handoff, 2, None);
        let refusal = Answer::sign(refused.id(), false, LIFE, &key(2));
        chain.links.push(refused);
        chain.links.push(link(&chain, CertificateKind::Reopen, 1, Some(refusal)));
        let mut handoff = link(&chain, CertificateKind::Handoff, 3, None);
        handoff.acceptance = Some(Answer::sign(handoff.id(), true, LIFE, &key(3)));
        chain.links.push(handoff);
        chain
    }

    #[test]
    fn a_refused_handoff_leaves_the_home_where_it_was() {
        let chain = chain();
        let lineage = chain.genesis.lineage();
        assert!(chain.checks(lineage).all(|verdict| verdict.is_ok()));
        let steps = steps(&chain, &[]);
        let told: Vec<_> = steps.iter().map(|step| (step.from, step.home, step.accepted)).collect();
        let id = |n: u8| key(n).id();
        assert_eq!(
            told,
            [
                (None, id(1), None),
                (Some(id(1)), id(2), Some(false)),
                (Some(id(1)), id(1), None),
                (Some(id(1)), id(3), Some(true)),
            ]
        );
        let key = ObjectKey { uuid: chain.genesis.uuid, line: once_model::ids::Line::Claimed(lineage) };
        assert_eq!(Way { key, steps, newest: None, leaving: None }.home(), Some(id(3)));
    }

    #[test]
    fn the_newest_revision_is_held_against_the_chain() {
        let chain = chain();
        let mut header = Header {
            uuid: chain.genesis.uuid,
            lineage: Some(chain.genesis.lineage()),
            epoch: 4,
            revision: 5,
            certificate: Some(chain.certificate()),
            parent: Some(ZERO),
            content: ZERO,
            size: 0,
            tombstone: false,
            component: String::new(),
            version: String::new(),
            cause: None,
            signature: None,
            entry: None,
        };
        let judged = |header: &Header, from: Option<KernelId>| {
            let head = HeadRow {
                header: header.clone(),
                home: None,
                from,
                charged: false,
                stored_ms: 0,
                conflicts_dropped: 0,
                proven: true,
                replaced: None,
                tip: None,
                guest: None,
            };
            newest(&chain, &head, &key(1).id())
        };
        assert_eq!(judged(&header, Some(key(3).id())).wrong, None, "it came from its home");
        assert!(judged(&header, Some(key(2).id())).wrong.unwrap().contains("not signed"));
        header.sign(&key(3));
        let signed = judged(&header, Some(key(2).id()));
        assert_eq!((signed.wrong, signed.by, signed.is_signed), (None, Some(key(3).id()), true));
        let other = Header { revision: 6, ..header.clone() };
        assert!(judged(&other, Some(key(3).id())).wrong.unwrap().contains("signature"));
        let early = Header { epoch: 3, ..header.clone() };
        assert!(judged(&early, None).wrong.unwrap().contains("epoch"));
        let stray = Header { certificate: Some(ZERO), ..header };
        assert!(judged(&stray, None).wrong.unwrap().contains("not in the chain"));
    }
}
