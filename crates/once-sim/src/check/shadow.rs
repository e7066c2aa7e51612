//! What one kernel should allow and remember, kept beside it from its commands and replies alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use once_core::access::{Right, Scope};
use once_core::object::{self, HeadRow};
use once_core::peers::{InviteRow, PeerRow, PeerStatus};
use once_core::share::Owed;
use once_core::store::{Read, Table};
use once_core::waist::{ConnId, Token};
use once_core::{Limits, txn};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::PEER_QUOTA_BYTES;

use super::Checker;
use super::access::{Acted, Grants};
use super::share::Promises;
use super::visitors::{self, Visitors};
use crate::disk::Disk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerShadow {
    pub active: bool,
    /// It is to be shown an invite: when it admits us, it may share here.
    pub joining: bool,
    pub quota_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InviteShadow {
    pub expires_ms: u64,
    pub used: bool,
    /// Its time was over in some group.
    pub ended: bool,
}

pub(super) type Debt = (KernelId, ObjectKey);

#[derive(Debug, Clone, Default)]
pub(super) struct Rights {
    pub peers: BTreeMap<KernelId, PeerShadow>,
    /// Those that are no peers, and have to do with single objects.
    pub visitors: Visitors,
    /// What people have said of the quotas of these: it holds when one becomes a peer.
    pub visitor_quotas: BTreeMap<KernelId, u64>,
    pub grants: Grants,
    /// Whom people removed, and nobody has added again.
    pub removed: BTreeSet<KernelId>,
}

impl Rights {
    fn of(disk: &Disk, peers: BTreeMap<KernelId, PeerShadow>, grants: Grants) -> Self {
        let (visitors, removed) = (visitors::on(disk), visitors::removed_on(disk));
        Self { peers, grants, visitors, visitor_quotas: visitors::quotas_on(disk), removed }
    }

    /// A kernel is a peer for good: it may share, and is removed no more.
    pub fn welcome(&mut self, peer: KernelId, now_ms: u64) {
        self.grants.welcome(peer, now_ms);
        self.removed.remove(&peer);
    }

    /// People say how much a kernel may store.
    pub fn set_quota(&mut self, kernel: &KernelId, quota_bytes: u64) {
        match self.peers.get_mut(kernel) {
            Some(peer) => peer.quota_bytes = quota_bytes,
            None => drop(self.visitor_quotas.insert(*kernel, quota_bytes)),
        }
    }

    pub fn knows(&self, kernel: &KernelId) -> bool {
        self.peers.contains_key(kernel) || self.visitors.contains_key(kernel)
    }

    pub fn is_active(&self, peer: &KernelId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.active)
    }

    pub fn may_share(&self, peer: &KernelId, now_ms: u64) -> bool {
        self.is_active(peer) && self.grants.hold(Scope::Kernel, Right::Share, peer, now_ms)
    }

    /// What it may read, it may find.
    pub fn may_find(&self, peer: &KernelId, head: &HeadRow, now_ms: u64) -> bool {
        let component = Scope::Component(head.header.component.clone());
        let is_admitted = self.is_active(peer) || self.visitors.contains_key(peer);
        let mut scopes = [Scope::Kernel, component].into_iter();
        let granted = is_admitted && scopes.any(|scope| self.grants.hold(scope, Right::Find, peer, now_ms));
        granted || self.may_read(peer, head, now_ms)
    }

    pub fn may_read(&self, peer: &KernelId, head: &HeadRow, now_ms: u64) -> bool {
        let component = Scope::Component(head.header.component.clone());
        (self.is_active(peer) || self.visitors.contains_key(peer))
            && (head.home == Some(*peer)
                || [Scope::Kernel, Scope::Object(head.header.key()), component]
                    .into_iter()
                    .any(|scope| self.grants.hold(scope, Right::Read, peer, now_ms)))
    }
}

/// Beside one kernel.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub name: String,
    pub limits: Limits,
    /// Its disk was put back to an earlier state: whatever it says at its next start is taken as it is.
    pub rolled_back: bool,
    pub rights: Rights,
    pub acted: Acted,
    pub invites: BTreeMap<Hash, InviteShadow>,
    /// What it follows where.
    pub subscriptions: BTreeSet<Debt>,
    /// What clients of it shared and actions depend on, until it was answered.
    pub promises: Promises,
    /// Said in a group that came to nothing: it may have left all the same.
    pub in_vain: Promises,
    /// Answered in the group that is looked at.
    pub just_answered: Promises,
    /// Owed, by a reply that left.
    pub owed: BTreeSet<Debt>,
    /// What it said is stored here: at least this epoch and revision.
    pub facts: BTreeMap<ObjectKey, (u64, u64)>,
    /// Revisions that are on its disk for good, and those that are not yet.
    pub durable: BTreeSet<Hash>,
    pub pending: Vec<Hash>,
    pub lanes: super::ledger::Lanes,
    pub followed: super::history::Followed,
    pub tokens: BTreeMap<Token, &'static str>,
    /// What files were brought in as, since this process began.
    pub sources: BTreeMap<String, (ObjectKey, Hash)>,
    /// Unanswered shares by connection: when they were sent, and how large they are.
    pub windows: BTreeMap<(KernelId, ConnId), BTreeMap<ObjectKey, (u64, usize)>>,
    /// Guests whose chains were shown, and on which connections.
    pub shown: BTreeSet<(KernelId, ConnId, ObjectKey)>,
}

pub(super) fn scan<T>(
    rows: &dyn Read,
    table: Table,
    mut each: impl FnMut(&[u8], &bytes::Bytes) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    let result = rows.scan(table, &[], None, &mut |key, value| {
        found.extend(each(key, &value));
        ControlFlow::Continue(())
    });
    if result.is_err() { Vec::new() } else { found }
}

pub(super) fn peers_of(rows: &dyn Read) -> BTreeMap<KernelId, PeerShadow> {
    let read = |key: &[u8], value: &bytes::Bytes| Some((KernelId::from_slice(key)?, peer_in(value)?));
    scan(rows, Table::Peer, read).into_iter().collect()
}

/// A peer, as its row has it.
pub(super) fn peer_in(value: &bytes::Bytes) -> Option<PeerShadow> {
    let row: PeerRow = txn::decode(Table::Peer, value).ok()?;
    if row.is_for_objects() && row.secret.is_none() {
        return None;
    }
    Some(PeerShadow {
        active: row.status == PeerStatus::Active,
        joining: row.secret.is_some(),
        quota_bytes: row.quota_bytes,
    })
}

/// What is being taken away, a few rows at a time: from its row on (`docs/store.md`, table 41) nothing of it counts.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Kernels that were removed.
    pub peers: BTreeSet<KernelId>,
    /// A quarantine ends: all rights, invites and debts.
    pub all: bool,
}

impl Leaving {
    pub fn of(rows: &dyn Read) -> Self {
        let mut leaving = Self::default();
        let keys = scan(rows, Table::Chore, |key, _| Some(key.to_vec()));
        keys.iter().for_each(|key| leaving.add(key));
        leaving
    }

    /// The row with this key is there, or has just gone with the last of what it is about.
    pub fn add(&mut self, key: &[u8]) {
        match key.split_first() {
            Some((1, peer)) => self.peers.extend(KernelId::from_slice(peer)),
            Some((4, _)) => self.all = true,
            _ => {}
        }
    }
}

pub(super) fn debts_of(rows: &dyn Read, table: Table) -> BTreeSet<Debt> {
    let read = |key: &[u8], _: &bytes::Bytes| {
        let (peer, object) = key.split_at_checked(KernelId::LEN)?;
        Some((KernelId::from_slice(peer)?, ObjectKey::from_row(object)?))
    };
    scan(rows, table, read).into_iter().collect()
}

fn invites_of(rows: &dyn Read) -> BTreeMap<Hash, InviteShadow> {
    let read = |key: &[u8], value: &bytes::Bytes| {
        let row: InviteRow = txn::decode(Table::Invite, value).ok()?;
        let (expires_ms, used, ended) = (row.expires_ms, row.used_by.is_some(), row.ended);
        Some((Hash::from_slice(key)?, InviteShadow { expires_ms, used, ended }))
    };
    scan(rows, Table::Invite, read).into_iter().collect()
}

impl Shadow {
    /// A kernel becomes a peer, perhaps one of which people have said how much it may store.
    pub fn new_peer(&self, peer: &KernelId, active: bool) -> PeerShadow {
        let quota_bytes = self.rights.visitor_quotas.get(peer).copied().unwrap_or(PEER_QUOTA_BYTES);
        PeerShadow { active, joining: !active, quota_bytes }
    }

    /// What is over by now stays over, also when the clock is set back.
    pub fn end(&mut self, now_ms: u64) {
        self.rights.grants.end(now_ms);
        for invite in self.invites.values_mut() {
            invite.ended |= invite.expires_ms <= now_ms;
        }
    }

    /// A kernel that has more grants and invites than it looks at in one step marks those that are over in several. Until a
    /// row is marked, whoever asks looks at the clock, which may be set back meanwhile (docs/store.md, *In slices*).
    pub fn take_marks(&mut self, rows: &dyn Read) {
        if !self.rights.grants.any_ended() && !self.invites.values().any(|invite| invite.ended) {
            return;
        }
        let [grants, invites] = [Table::Grant, Table::Invite].map(|table| scan(rows, table, |_, _| Some(())));
        if grants.len() + invites.len() <= self.limits.slice_rows {
            return;
        }
        self.rights.grants.take_marks(&Grants::of(rows));
        for (hash, stored) in invites_of(rows) {
            if let Some(known) = self.invites.get_mut(&hash) {
                known.ended &= stored.ended;
            }
        }
    }

    /// A kernel is no peer any more, and comes for nothing.
    pub fn forget(&mut self, peer: &KernelId) {
        self.rights.peers.remove(peer);
        self.rights.visitor_quotas.remove(peer);
        self.rights.grants.forget(peer);
        for debts in [&mut self.subscriptions, &mut self.owed] {
            debts.retain(|(to, _)| to != peer);
        }
        for said in [&mut self.promises, &mut self.in_vain] {
            said.forget(peer);
        }
        self.windows.retain(|(to, _), _| to != peer);
    }

    /// Whether the peer is asked for this object.
    pub fn follows(&self, peer: &KernelId, keys: &[ObjectKey]) -> bool {
        (self.rights.is_active(peer) || self.rights.visitors.contains_key(peer))
            && keys.iter().any(|key| self.subscriptions.contains(&(*peer, *key)))
    }
}

impl Checker {
    fn recorded_started(&mut self, kernel: &KernelId, disk: &Disk) {
        self.acts_started(kernel, disk);
        self.moves_started(kernel, disk);
        self.entries_started(kernel, disk);
        self.archives_started(kernel, disk);
    }

    /// A process starts on a disk: what was acknowledged must be there, and what was taken back must not. What a
    /// failed sync left in doubt may be either; from here on the disk is the truth.
    pub fn started(&mut self, kernel: &KernelId, disk: &Disk, in_doubt: &[(Table, Vec<u8>)]) {
        self.recorded_started(kernel, disk);
        let Some(shadow) = self.shadows.get_mut(kernel) else { return };
        shadow.lanes.started();
        shadow.take_marks(disk);
        let mut wrong: Vec<(u8, String)> = Vec::new();
        let doubted = |table: Table| in_doubt.iter().any(|(doubt, _)| *doubt == table);
        let (peers, grants) = (peers_of(disk), Grants::of(disk));
        if !doubted(Table::Peer) && peers != shadow.rights.peers {
            wrong.push((4, format!("after a crash the peers are {peers:?}, not {:?}", shadow.rights.peers)));
        }
        if !doubted(Table::Grant) && !doubted(Table::Chore) && grants != shadow.rights.grants {
            wrong.push((
                4,
                format!("after a crash the grants are {grants:?}, not {:?}", shadow.rights.grants),
            ));
        }
        // Given in a group whose sync failed, they may be there all the same.
        shadow.acted.add(&grants);
        let mut invites = invites_of(disk);
        if Leaving::of(disk).all {
            invites.clear();
        }
        for (hash, invite) in &shadow.invites {
            if invite.used && !doubted(Table::Invite) && invites.get(hash).is_some_and(|row| !row.used) {
                wrong.push((4, "a used invite is fresh again after a crash".into()));
            }
        }
        let debt = |key: &[u8], _: &bytes::Bytes| match Owed::from_key(key)? {
            (peer, Owed::Object(object)) => Some((peer, object)),
            (_, Owed::Lane(_)) => None,
        };
        let outbox: BTreeSet<Debt> = scan(disk, Table::Outbox, debt).into_iter().collect();
        for (peer, key) in &shadow.owed {
            if !outbox.contains(&(*peer, *key)) && !doubted(Table::Outbox) {
                wrong.push((4, format!("{key} is owed to {peer:.10}, but after a crash the debt is gone")));
            }
        }
        let mut heads = BTreeMap::new();
        shadow.durable.clear();
        shadow.sources.clear();
        let mut own = Vec::new();
        let each = object::heads(disk, &mut |head| {
            let id = head.header.id();
            shadow.durable.insert(id);
            heads.insert(head.header.key(), (head.header.epoch, head.header.revision));
            own.extend((head.home == Some(*kernel)).then_some((
                head.header.certificate,
                head.header.revision,
                id,
            )));
            ControlFlow::Continue(())
        });
        if let Err(error) = each {
            wrong.push((4, format!("the disk cannot be read: {error}")));
        }
        if !doubted(Table::Head) {
            for (key, fact) in &shadow.facts {
                match heads.get(key) {
                    None => wrong.push((4, format!("{key} was acknowledged, and after a crash it is gone"))),
                    Some(found) if found < fact => {
                        wrong.push((4, format!("{key} went back from {fact:?} to {found:?} in a crash")));
                    }
                    Some(_) => {}
                }
            }
        }
        shadow.facts.retain(|key, _| heads.contains_key(key));
        if shadow.rolled_back {
            shadow.facts.iter_mut().for_each(|(key, fact)| *fact = heads.get(key).copied().unwrap_or(*fact));
        }
        shadow.rights = Rights::of(disk, peers, grants);
        shadow.invites = invites;
        shadow.subscriptions = debts_of(disk, Table::Subscription);
        shadow.promises = Promises::on(disk);
        shadow.in_vain.clear();
        shadow.owed.retain(|debt| outbox.contains(debt));
        let rolled_back = std::mem::take(&mut shadow.rolled_back);
        for (certificate, revision, id) in own {
            if let Some(certificate) = certificate
                && self
                    .revisions
                    .get(&(certificate, revision))
                    .is_none_or(|made| !self.made.contains(&made.id))
            {
                // It survived a commit that failed.
                self.made.insert(id);
                self.revisions.insert((certificate, revision), super::Made { id, by: *kernel });
            }
        }
        if rolled_back {
            return;
        }
        for (promise, what) in wrong {
            self.violation(promise, kernel, 0, what);
        }
    }

    /// Whether a removal, or the end of a quarantine, that the last run began is still under way.
    pub fn is_removing(&self, disk: &Disk) -> bool {
        let leaving = Leaving::of(disk);
        leaving.all || !leaving.peers.is_empty()
    }

    /// Its first commit is made.
    pub fn begun(&mut self, kernel: &KernelId, disk: &Disk, now_ms: u64) {
        let Some(shadow) = self.shadows.get_mut(kernel) else { return };
        shadow.end(now_ms);
        // With a right that was over at the start a visit may be.
        let now = visitors::on(disk);
        let before = std::mem::replace(&mut shadow.rights.visitors, now);
        let gone = before.into_keys().filter(|visitor| !shadow.rights.visitors.contains_key(visitor));
        gone.collect::<Vec<_>>().iter().for_each(|visitor| shadow.forget(visitor));
    }

    /// A backup was put back.
    pub fn rolled_back(&mut self, kernel: &KernelId) {
        self.rolled_back.insert(*kernel);
        if let Some(shadow) = self.shadows.get_mut(kernel) {
            shadow.rolled_back = true;
            self.moves.put_back.insert(*kernel);
        }
    }
}
