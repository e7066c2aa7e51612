//! What peers may have of objects by the word of somebody: a client that shared it, or an action that depends on it.
//! From `docs/protocol.md`, 5.2, 5.4 and 5.5 ("Given"): a client's word holds for whatever is the newest revision, an
//! action's for the content that it names.

use std::collections::BTreeSet;

use once_core::share::{self, Debt, OutboxRow, Owed as Index};
use once_core::store::{Read, Table};
use once_core::{object, txn};
use once_model::ids::{Hash, KernelId, ObjectKey};

use super::shadow::scan;
use super::{Group, group::claimed_as};

/// Which revisions of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owed {
    /// A client shared it.
    Newest,
    /// An action that waits at the peer names this content.
    Only(Hash),
}

/// Peers, objects, and what they may have of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises(BTreeSet<(KernelId, ObjectKey, Owed)>);

impl Promises {
    pub fn add(&mut self, peer: KernelId, key: ObjectKey, owed: Owed) {
        self.0.insert((peer, key, owed));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A peer is none any more.
    pub fn forget(&mut self, peer: &KernelId) {
        self.0.retain(|(to, ..)| to != peer);
    }

    /// Whether a peer may have this content of an object, also for what was said of the copy that it was.
    pub fn allow(&self, group: &Group<'_>, peer: &KernelId, key: &ObjectKey, content: &Hash) -> bool {
        let is_it = |known: &ObjectKey| known == key || claimed_as(group, known) == Some(*key);
        self.has(peer, content, |known| known.uuid == key.uuid && is_it(known))
    }

    /// The same, of what is known by this key.
    pub fn allow_as(&self, peer: &KernelId, key: &ObjectKey, content: &Hash) -> bool {
        self.has(peer, content, |known| known == key)
    }

    fn has(&self, peer: &KernelId, content: &Hash, is_it: impl Fn(&ObjectKey) -> bool) -> bool {
        self.0.iter().any(|(to, known, owed)| {
            to == peer && is_it(known) && (*owed == Owed::Newest || *owed == Owed::Only(*content))
        })
    }

    /// Whether a client shared it, also as the copy that it was.
    pub fn promised(&self, group: &Group<'_>, peer: &KernelId, key: &ObjectKey) -> bool {
        self.0.iter().any(|(to, known, owed)| {
            let is_it = || known == key || claimed_as(group, known) == Some(*key);
            to == peer && *owed == Owed::Newest && known.uuid == key.uuid && is_it()
        })
    }

    /// Takes out all that is said of an object to a peer.
    pub fn take(&mut self, peer: &KernelId, key: &ObjectKey) -> Vec<Owed> {
        let here = self.0.extract_if(.., |(to, known, _)| to == peer && known == key);
        here.map(|(.., owed)| owed).collect()
    }

    /// What was said of a copy is said of what it became.
    pub fn became(&mut self, old: &ObjectKey, new: ObjectKey) {
        let moved: Vec<_> =
            self.0.iter().filter(|(_, key, _)| key == old).map(|(to, _, o)| (*to, new, *o)).collect();
        self.0.extend(moved);
    }

    /// An action's word ends with its debt. That may still be written down as the debt of the copy that was claimed.
    pub fn end_without_rows(&mut self, group: &Group<'_>) {
        let owes = |peer: &KernelId, key: &ObjectKey| {
            share::debt(group.store, peer, key).is_ok_and(|row| row.is_some())
        };
        let only = self.0.iter().filter(|(_, _, owed)| *owed != Owed::Newest);
        let open: BTreeSet<_> = only
            .filter(|(peer, key, _)| owes(peer, key))
            .flat_map(|(peer, key, owed)| {
                let became = claimed_as(group, key).unwrap_or(*key);
                [(*peer, *key, *owed), (*peer, became, *owed)]
            })
            .collect();
        self.0.retain(|said| said.2 == Owed::Newest || open.contains(said));
    }

    /// What the disk has.
    pub fn on(disk: &dyn Read) -> Self {
        let read = |key: &[u8], value: &bytes::Bytes| {
            let Some((peer, Index::Object(key))) = Index::from_key(key) else { return None };
            let OutboxRow::Object(row) = txn::decode(Table::Outbox, value).ok()? else { return None };
            let owed = match row.debt {
                Debt::Promised => Owed::Newest,
                Debt::Given { content } | Debt::Followed { given: Some(content) } => Owed::Only(content),
                Debt::Followed { given: None } => return None,
            };
            // The debt of an unclaimed copy is one of the object that it has become.
            let found = object::find(disk, &key.uuid, Some(key.line)).ok()?;
            let became = found.first().map_or(key, |head| head.header.key());
            Some([(peer, key, owed), (peer, became, owed)])
        };
        Self(scan(disk, Table::Outbox, read).into_iter().flatten().collect())
    }
}
