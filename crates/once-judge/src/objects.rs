//! Heads, their chains, what became of unclaimed copies, and the history of each object.

use std::collections::{BTreeMap, BTreeSet};

use once_model::action::Given;
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::receipt::Entry;

use crate::rights::Thing;

/// The newest revision of an object here, and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) header: Header,
    pub(crate) id: Hash,
    pub(crate) chain: Option<Chain>,
    /// The peer that sent this revision.
    pub(crate) from: Option<KernelId>,
    /// What is kept beside it.
    pub(crate) beside: BTreeMap<Hash, Header>,
}

impl Head {
    pub(crate) fn new(header: Header, chain: Option<Chain>, from: Option<KernelId>) -> Self {
        let id = header.id();
        Self { header, id, chain, from, beside: BTreeMap::new() }
    }

    pub(crate) fn home(&self) -> Option<KernelId> {
        self.chain.as_ref().map(Chain::home)
    }

    pub(crate) fn thing(&self) -> Thing<'_> {
        Thing { key: self.header.key(), component: &self.header.component }
    }
}

/// The newest entry of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tip {
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

/// What was a head until lately.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lately {
    /// The group in which it was the newest last.
    group: u64,
    uuid: Uuid,
    content: Hash,
}

/// All objects of one kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Objects {
    /// What was removed of others: the engine may know where it is all the same, by the chain that it keeps.
    pub(crate) gone: BTreeSet<ObjectKey>,
    pub(crate) heads: BTreeMap<ObjectKey, Head>,
    /// What an unclaimed copy is called since it was claimed.
    pub(crate) became: BTreeMap<ObjectKey, ObjectKey>,
    /// Copies that lineages here name as their first content, and that were never here themselves.
    pub(crate) named: BTreeMap<ObjectKey, ObjectKey>,
    /// Where each history has come to, under today's name.
    pub(crate) tips: BTreeMap<ObjectKey, Tip>,
    /// Every entry by its hash, with the time when it was made.
    pub(crate) entries: BTreeMap<Hash, (Entry, u64)>,
    /// Revisions that were the newest since the last commit but one: a share of them may be on its way.
    pub(crate) lately: BTreeMap<Hash, Lately>,
    /// Contents that a peer has sent or shown here.
    pub(crate) shown: BTreeSet<(KernelId, Uuid, Hash)>,
}

/// The key of the copy that a claimed object began as.
pub(crate) fn began_as(chain: &Chain) -> ObjectKey {
    ObjectKey { uuid: chain.genesis.uuid, line: Line::Unclaimed(chain.genesis.content) }
}

impl Objects {
    /// What an object that once had this name is called now.
    pub(crate) fn name(&self, key: &ObjectKey) -> ObjectKey {
        if self.heads.contains_key(key) {
            return *key;
        }
        self.became.get(key).copied().unwrap_or(*key)
    }

    /// The head of what has, or once had, this name.
    pub(crate) fn find(&self, key: &ObjectKey) -> Option<&Head> {
        self.heads.get(&self.name(key))
    }

    /// Whether other bytes are here than an action is given, or none.
    pub(crate) fn lacks(&self, given: &Given) -> bool {
        let head = self.find(&given.key);
        head.is_none_or(|head| head.header.content != given.content || head.header.tombstone)
    }

    /// All objects of a UUID.
    pub(crate) fn of_uuid(&self, uuid: Uuid) -> impl Iterator<Item = &Head> {
        let least = ObjectKey { uuid, line: Line::Unclaimed(Hash::from_bytes([0; 32])) };
        self.heads.range(least..).take_while(move |(key, _)| key.uuid == uuid).map(|(_, head)| head)
    }

    /// Another revision is the newest now.
    pub(crate) fn put(&mut self, head: Head, group: u64) {
        let key = head.header.key();
        let mut head = head;
        if let Some(old) = self.heads.remove(&key) {
            self.replaced(&old, group);
            if !head.header.tombstone {
                head.beside = old.beside;
                head.beside.remove(&head.id);
            }
        }
        self.lately.retain(|_, was| was.group + 1 >= group);
        self.heads.insert(key, head);
    }

    /// This is the newest revision no longer.
    pub(crate) fn replaced(&mut self, head: &Head, group: u64) {
        let Header { uuid, content, .. } = head.header;
        self.lately.insert(head.id, Lately { group, uuid, content });
    }

    /// Whether these bytes were the newest of an object of this UUID in this group or the one before.
    pub(crate) fn was_newest(&self, uuid: Uuid, content: Hash, group: u64) -> bool {
        let fits = |was: &Lately| (was.uuid, was.content) == (uuid, content) && was.group + 1 >= group;
        self.lately.values().any(fits)
    }

    /// An unclaimed copy is called otherwise from now on. What was imported here stays beside a lineage of a peer.
    pub(crate) fn claimed(&mut self, old: &ObjectKey, new: &ObjectKey, group: u64) {
        if let Some(head) = self.heads.remove(old) {
            self.replaced(&head, group);
        }
        self.became.insert(*old, *new);
        if let Some(tip) = self.tips.remove(old) {
            self.tips.insert(*new, tip);
        }
    }
}
