//! A revision that is about to be written: all of it but its entry in the object's history, which is made from it.

use bytes::Bytes;
use once_model::certificate::{Chain, Genesis, Tip};
use once_model::hash::content_hash;
use once_model::header::{Cause, Header};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::scenario::Scenario;

use super::keep::{self, Before};
use super::{HeadRow, chains, described, rows, unclaimed};
use crate::engine::{Step, life};
use crate::meta;
use crate::store::{StoreError, Table};

/// The next revision of an object whose home is here.
#[derive(Debug)]
pub(crate) struct Draft {
    row: HeadRow,
    body: Option<Bytes>,
    stood: Stood,
}

/// What stands where a new revision goes.
#[derive(Debug)]
enum Stood {
    /// Nothing: the object is born, with this chain.
    Nothing(Box<Chain>),
    /// An unclaimed copy, which becomes the object of this chain.
    Copy(Box<HeadRow>, Box<Chain>),
    /// The revision before.
    Head(Box<HeadRow>),
    /// The last revision under another certificate, which the new one continues.
    Handed(Box<Handed>),
}

/// What a first revision under another certificate comes after.
#[derive(Debug)]
struct Handed {
    /// The last revision before.
    last: HeadRow,
    /// The chain that leads to the new certificate.
    chain: Chain,
    /// What is here of the object, if anything is.
    here: Option<HeadRow>,
    /// The unclaimed copy here that it began as.
    copy: Option<HeadRow>,
}

impl Draft {
    /// The first revision of a new object.
    pub fn born(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<Self, StoreError> {
        let header = unclaimed(scenario);
        let chain = new_chain(s, &header)?;
        let row = own(s, first(&header, &chain), Some(s.ctx.me));
        Ok(Self { row, body: Some(scenario.bytes().clone()), stood: Stood::Nothing(Box::new(chain)) })
    }

    /// The first revision of an unclaimed copy: the same bytes, now with a home.
    pub fn claim(s: &mut Step<'_, '_>, copy: HeadRow) -> Result<Self, StoreError> {
        let chain = new_chain(s, &copy.header)?;
        let row = own(s, first(&copy.header, &chain), Some(s.ctx.me));
        // Or an object would begin without its bytes, or with others, under this kernel's signature.
        let body = super::query::body(s.txn, &copy.header)?;
        Ok(Self { row, body, stood: Stood::Copy(Box::new(copy), Box::new(chain)) })
    }

    /// The next revision of an object.
    pub fn next(s: &Step<'_, '_>, head: HeadRow, scenario: &Scenario) -> Self {
        let row = HeadRow {
            conflicts_dropped: head.conflicts_dropped,
            guest: head.guest,
            ..own(s, continued(&head.header, scenario), head.home)
        };
        Self { row, body: Some(scenario.bytes().clone()), stood: Stood::Head(Box::new(head)) }
    }

    /// The revision that removes an object.
    pub fn tombstone(s: &Step<'_, '_>, head: HeadRow) -> Self {
        let header = Header {
            revision: head.header.revision + 1,
            parent: Some(head.header.id()),
            content: content_hash(b""),
            size: 0,
            tombstone: true,
            cause: None,
            signature: None,
            entry: None,
            ..head.header.clone()
        };
        let row = HeadRow { guest: head.guest, ..own(s, header, head.home) };
        Self { row, body: None, stood: Stood::Head(Box::new(head)) }
    }

    /// The first revision under the certificate at the end of a chain: the same bytes as the last one before.
    pub fn under(last: HeadRow, chain: Chain, now_ms: u64) -> Self {
        let header = Header {
            epoch: chain.epoch(),
            revision: last.header.revision + 1,
            certificate: Some(chain.certificate()),
            parent: Some(last.header.id()),
            cause: None,
            signature: None,
            entry: None,
            ..last.header.clone()
        };
        let home = Some(chain.home());
        let row = HeadRow {
            header,
            home,
            from: None,
            charged: false,
            stored_ms: now_ms,
            conflicts_dropped: 0,
            proven: false,
            replaced: None,
            tip: None,
            guest: last.guest,
        };
        let handed = Handed { last, chain, here: None, copy: None };
        Self { row, body: None, stood: Stood::Handed(Box::new(handed)) }
    }

    /// In the place of what is here of the object.
    pub fn over(mut self, there: Option<HeadRow>) -> Self {
        if let Stood::Handed(handed) = &mut self.stood {
            handed.here = there;
        }
        self
    }

    /// In the place of the unclaimed copy that it began as.
    pub fn instead_of(mut self, there: Option<HeadRow>) -> Self {
        if let Stood::Handed(handed) = &mut self.stood {
            handed.copy = there;
        }
        self
    }

    /// With the bytes, which may not be here yet.
    pub fn with(mut self, body: Option<Bytes>) -> Self {
        self.body = body;
        self
    }

    /// Made by a guest of this kernel, if it is: then it is one, too.
    pub fn made_by(mut self, maker: Option<&HeadRow>) -> Self {
        self.row.guest = maker.and_then(|maker| maker.guest);
        self
    }

    /// What it will be, but for cause and entry.
    pub fn header(&self) -> &Header {
        &self.row.header
    }

    /// The revision before it: zeros if there is none.
    pub fn base(&self) -> Hash {
        self.before().map_or(Hash::from_bytes([0; Hash::LEN]), |before| before.header.id())
    }

    /// What stands where it goes, if anything does.
    pub fn before(&self) -> Option<&HeadRow> {
        match &self.stood {
            Stood::Nothing(_) => None,
            Stood::Copy(before, _) | Stood::Head(before) => Some(before),
            Stood::Handed(handed) => Some(&handed.last),
        }
    }

    /// Writes the revision: `tip` is its place in the object's history.
    pub fn write(mut self, s: &mut Step<'_, '_>, cause: Cause, tip: Tip) -> Result<HeadRow, StoreError> {
        let header = &mut self.row.header;
        (header.cause, header.entry) = (Some(cause), Some(tip.hash));
        self.row.tip = Some(tip);
        let key = self.row.header.key();
        let before = match &self.stood {
            Stood::Nothing(chain) => {
                put_chain(s, &key, chain)?;
                let lineage = chain.genesis.lineage();
                s.txn.put(Table::Genesis, &rows::content_key(&key.uuid, &chain.genesis.content), &lineage);
                Before::Nothing
            }
            Stood::Copy(copy, chain) => {
                put_chain(s, &key, chain)?;
                keep::supersede(s, copy, key)?;
                Before::Copy
            }
            Stood::Head(head) => Before::Head(head),
            Stood::Handed(handed) => {
                let Handed { chain, here, copy, .. } = &**handed;
                put_chain(s, &key, chain)?;
                let lineage = chain.genesis.lineage();
                s.txn.put(Table::Genesis, &rows::content_key(&key.uuid, &chain.genesis.content), &lineage);
                if let Some(copy) = copy {
                    keep::supersede(s, copy, key)?;
                }
                match (here, copy) {
                    (Some(head), _) => Before::Head(head),
                    (None, Some(_)) => Before::Copy,
                    (None, None) => Before::Nothing,
                }
            }
        };
        keep::keep(s, before, &self.row, self.body)?;
        if self.row.header.tombstone {
            keep::drop_conflicts(s, &key)?;
            life::object_gone(s, key);
        }
        Ok(self.row)
    }
}

fn put_chain(s: &mut Step<'_, '_>, key: &ObjectKey, chain: &Chain) -> Result<(), StoreError> {
    match key.lineage() {
        Some(lineage) => chains::put_chain(s.txn, &lineage, chain),
        None => Ok(()),
    }
}

/// The header of a revision after `before`, with the bytes of `scenario`.
pub(crate) fn continued(before: &Header, scenario: &Scenario) -> Header {
    let (component, version) = described(scenario);
    let revision = if mutant!(ReuseRevision) { before.revision } else { before.revision + 1 };
    Header {
        revision,
        parent: Some(before.id()),
        content: scenario.hash(),
        size: scenario.bytes().len() as u64,
        component,
        version,
        cause: None,
        signature: None,
        entry: None,
        ..before.clone()
    }
}

/// A genesis record with this kernel as the home.
fn new_chain(s: &mut Step<'_, '_>, header: &Header) -> Result<Chain, StoreError> {
    let mut nonce = [0; 16];
    s.rng.fill(&mut nonce);
    Ok(Chain::new(Genesis {
        uuid: header.uuid,
        home: s.ctx.me,
        recovery: meta::recovery_keys(s.txn)?,
        content: header.content,
        nonce,
        incarnation: meta::incarnation(s.txn)?,
    }))
}

/// The header of the first revision of a lineage.
fn first(unclaimed: &Header, chain: &Chain) -> Header {
    Header {
        lineage: Some(chain.genesis.lineage()),
        epoch: 1,
        revision: 1,
        certificate: Some(chain.certificate()),
        ..unclaimed.clone()
    }
}

/// The row of a revision that was made here.
pub(crate) fn own(s: &Step<'_, '_>, header: Header, home: Option<KernelId>) -> HeadRow {
    HeadRow {
        header,
        home,
        from: None,
        charged: false,
        stored_ms: s.ctx.now_ms,
        conflicts_dropped: 0,
        proven: false,
        replaced: None,
        tip: None,
        guest: None,
    }
}
