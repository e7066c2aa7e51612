//! What a commit changed: bodies, heads, conflicts, debts, followers, rights, quotas.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::object::{self, HeadRow};
use once_core::peers::{self, PeerStatus};
use once_core::share::{self, Debt, OutboxRow, Owed, UsageRow};
use once_core::store::{Read, Table, scan_prefix};
use once_core::txn;
use once_core::waist::{Command, Input};
use once_model::hash::content_hash;
use once_model::ids::{Hash, KernelId, Lineage, ObjectKey, Uuid};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::wire::Frame;

use super::group::{Allowed, candidates, claimed_as};
use super::shadow::{grants_of, peers_of};
use super::{Checker, Group, Made, Wrong, head_in};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit, Disk};

impl Checker {
    pub(super) fn rows(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        allowed: &Allowed,
        cover: &mut Coverage,
    ) {
        let mut wrong = Wrong::new();
        let mut rights_changed = false;
        for changed in &commit.rows {
            match changed.table {
                Table::Head => self.head(group, commit, allowed, changed, &mut wrong, cover),
                Table::Conflict => self.conflict(group, commit, allowed, changed, &mut wrong, cover),
                Table::Body => self.body(group, changed, &mut wrong),
                Table::Genesis => self.genesis(group, changed),
                Table::Outbox => self.debt(group, allowed, changed, &mut wrong),
                Table::Follower => self.follower(commit, allowed, changed, &mut wrong, cover),
                Table::Usage => self.usage(group, changed, &mut wrong, cover),
                Table::Peer | Table::Grant => rights_changed = true,
                _ => {}
            }
        }
        if rights_changed {
            self.rights(group, commit, &mut wrong);
        }
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            // A subscription that ended here must not be taken for one that is still asked for.
            for changed in commit.rows.iter().filter(|changed| changed.table == Table::Subscription) {
                let Some((peer, key)) = changed.key.split_at_checked(KernelId::LEN) else { continue };
                let (Some(peer), Some(key)) = (KernelId::from_slice(peer), ObjectKey::from_row(key)) else {
                    continue;
                };
                let goes_on = || {
                    commit.rows.iter().any(|row| {
                        row.table == Table::Subscription
                            && row.after.is_none()
                            && row.key.starts_with(peer.as_bytes())
                    })
                };
                if changed.after.is_none() {
                    shadow.subscriptions.remove(&(peer, key));
                } else if goes_on() {
                    shadow.subscriptions.insert((peer, key));
                }
            }
            if commit.synced {
                let pending = std::mem::take(&mut shadow.pending);
                shadow.durable.extend(pending);
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    fn head(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        allowed: &Allowed,
        changed: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let (old, new) = (head_in(changed.before.as_ref()), head_in(changed.after.as_ref()));
        let Some(key) = ObjectKey::from_row(&changed.key) else {
            return wrong.push((1, "a head has a key that is none".into()));
        };
        let Some(new) = new else {
            if old.is_some() {
                self.head_gone(group, allowed, &key, wrong);
            }
            return;
        };
        let id = new.header.id();
        if new.header.key() != key {
            wrong.push((1, format!("the head of {key} is that of {}", new.header.key())));
        }
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            shadow.pending.push(id);
        }
        if !new.header.tombstone && !has_body(group.store, &new) {
            wrong.push((1, format!("{key} has no body")));
        }
        if new.header.tombstone && new.from.is_some() {
            cover.met("state tombstone at a replica");
        }
        if new.conflicts_dropped > 0 {
            cover.met("state conflict not kept but counted");
        }
        if new.header.lineage.is_some() {
            let others = heads_of(group.store, &key.uuid);
            if others.iter().filter(|head| head.header.lineage.is_some()).count() > 1 {
                cover.met("state two claims side by side");
            }
        }
        let known = old.as_ref().map(|old| (old.header.epoch, old.header.revision, old.header.id()));
        if let Some((epoch, revision, old_id)) = known {
            let (was, is) = ((epoch, revision), (new.header.epoch, new.header.revision));
            if is < was {
                wrong.push((4, format!("{key} went back from {was:?} to {is:?}")));
            } else if is == was && id != old_id {
                wrong.push((4, format!("{key} was replaced by another revision {is:?}")));
            } else if epoch == new.header.epoch
                && revision.checked_add(1) == Some(new.header.revision)
                && new.header.parent != Some(old_id)
            {
                wrong.push((4, format!("{key} was replaced by a revision that does not continue it")));
            }
            if old_id == id {
                return;
            }
            if revision + 1 < new.header.revision && new.from.is_some() && lost_without_proof(group, &key) {
                wrong.push((4, format!("{key} was replaced without a proof, and nothing of it is kept")));
            }
        }
        self.origin(group, allowed, &new, id, wrong);
        let grown = commit.rows.iter().any(|row| row.table == Table::Genesis);
        if grown && new.from.is_some() && new.header.lineage.is_some() {
            let before = commit.rows.iter().filter(|row| row.table == Table::Head && row.after.is_none());
            if before.into_iter().any(|row| row.key.starts_with(key.uuid.as_bytes())) {
                cover.met("state unclaimed copy became a replica");
            }
        }
    }

    /// Who made a revision that is new here, and whether it may be here.
    fn origin(&mut self, group: &Group<'_>, allowed: &Allowed, new: &HeadRow, id: Hash, wrong: &mut Wrong) {
        let key = new.header.key();
        match (new.from, new.header.lineage, new.header.certificate) {
            (None, Some(_), Some(certificate)) => {
                if new.home != Some(group.kernel) {
                    wrong.push((2, format!("changes {key}, whose home is {:?}", new.home)));
                }
                let twice = self.make(&group.kernel, certificate, new.header.revision, id);
                wrong.extend(twice.map(|what| (2, what)));
            }
            (Some(from), lineage, _) => {
                if new.home == Some(group.kernel) {
                    wrong.push((2, format!("takes itself for the home of {key}, which {from:.10} sent")));
                }
                if !allowed.arrivals.contains(&(from, id)) {
                    wrong.push((7, format!("stores {key} of {from:.10}, which may not share")));
                }
                if lineage.is_some() && !self.made.contains(&id) {
                    let revision = new.header.revision;
                    wrong
                        .push((2, format!("stores revision {revision} of {key}, which its home never made")));
                }
            }
            _ => {}
        }
    }

    /// Notes a revision that a kernel makes; what is wrong if another one has that place.
    pub(super) fn make(
        &mut self,
        by: &KernelId,
        certificate: Hash,
        revision: u64,
        id: Hash,
    ) -> Option<String> {
        self.made.insert(id);
        let made = self.revisions.entry((certificate, revision)).or_insert(Made { id, by: *by });
        let other = (made.id != id).then_some(made.by)?;
        Some(format!(
            "{id:.12} is a second revision {revision} under one certificate: {other:.10} made the first"
        ))
    }

    fn head_gone(&mut self, group: &Group<'_>, allowed: &Allowed, key: &ObjectKey, wrong: &mut Wrong) {
        let became = claimed_as(group, key);
        let kept = became.is_some_and(|key| object::head(group.store, &key).is_ok_and(|head| head.is_some()));
        let dropped =
            allowed.dropped.contains(key) || became.is_some_and(|key| allowed.dropped.contains(&key));
        if !dropped && !kept {
            wrong.push((4, format!("{key} is gone, and nobody removed it")));
        }
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            shadow.facts.remove(key);
            if let (Some(became), true) = (became, dropped) {
                shadow.facts.remove(&became);
            }
        }
    }

    fn conflict(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        allowed: &Allowed,
        changed: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let before = head_in(changed.before.as_ref());
        let Some(new) = head_in(changed.after.as_ref()) else {
            if before.is_some_and(|row| row.is_replaced()) && group.inputs.iter().any(is_proof) {
                cover.met("state proof came");
            }
            return;
        };
        cover.met(if new.is_replaced() { "state head kept for a proof" } else { "state conflict kept" });
        let key = new.header.key();
        let mut count = 0;
        let counted = scan_prefix(group.store, Table::Conflict, &key.to_row(), &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        });
        if count == CONFLICTS_MAX_BODIES {
            cover.met("state conflicts full");
        }
        if counted.is_err() || count > CONFLICTS_MAX_BODIES {
            wrong.push((9, format!("{count} conflicts of {key} are kept")));
        }
        if !new.header.tombstone && !has_body(group.store, &new) {
            wrong.push((1, format!("a conflict of {key} has no body")));
        }
        let id = new.header.id();
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            shadow.pending.push(id);
        }
        if new.is_replaced() {
            // It was the head, before this commit or within it.
            let was = |row: &Changed| {
                row.table == Table::Head
                    && head_in(row.before.as_ref()).is_some_and(|head| head.header.id() == id)
            };
            let came = new.from.is_some_and(|from| allowed.arrivals.contains(&(from, id)));
            if before.is_none() && !commit.rows.iter().any(was) && !came {
                wrong.push((4, format!("keeps {id:.12} beside {key} as if it had been its head")));
            }
        } else if new.from.is_none() {
            wrong.extend(super::history::kept_file(&group.kernel, &new).err().map(|what| (2, what)));
        } else if head_in(changed.before.as_ref()).is_none_or(|old| old.header.id() != id) {
            self.origin(group, allowed, &new, id, wrong);
        }
    }

    fn body(&mut self, group: &Group<'_>, changed: &Changed, wrong: &mut Wrong) {
        let Some((key, content)) = changed.key.split_at_checked(ObjectKey::ROW_LEN) else { return };
        let (Some(key), Some(content)) = (ObjectKey::from_row(key), Hash::from_slice(content)) else {
            return wrong.push((1, "a body has a key that is none".into()));
        };
        let uuid = key.uuid;
        match &changed.after {
            Some(body) => {
                if content_hash(body) != content {
                    wrong.push((1, format!("a body of {uuid} does not have its hash")));
                } else if self.installed.may_write(body) {
                    // Written by an action: what it should say is looked at at the end.
                    self.bodies.insert(content, body.clone());
                } else if self.bodies.get(&content) != Some(body) {
                    wrong.push((1, format!("a body of {uuid} is none that anybody imported or put")));
                }
            }
            None => {
                let mut all = heads_of(group.store, &uuid);
                all.extend(conflicts_of(group.store, &uuid));
                let has = |head: &HeadRow| head.header.key() == key && head.header.content == content;
                if all.iter().any(|head| has(head) && !head.header.tombstone) {
                    wrong.push((1, format!("a body of {uuid} is gone, and an object still has it")));
                }
            }
        }
    }

    /// An unclaimed copy has become an object with a lineage: what hangs on it goes along.
    fn genesis(&mut self, group: &Group<'_>, changed: &Changed) {
        let Some((uuid, content)) = changed.key.split_at_checked(16) else { return };
        let (Ok(uuid), Some(content)) = (Uuid::from_slice(uuid), Hash::from_slice(content)) else { return };
        let Ok(Some(lineage)) = txn::get::<Lineage>(group.store, Table::Genesis, &changed.key) else {
            return;
        };
        let old = ObjectKey { uuid, line: once_model::ids::Line::Unclaimed(content) };
        let new = ObjectKey { uuid, line: once_model::ids::Line::Claimed(lineage) };
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for said in [&mut shadow.promises, &mut shadow.in_vain] {
            said.became(&old, new);
        }
        let stored = grants_of(group.store);
        let scope = |key| once_core::access::Scope::Object(key);
        let moved: Vec<_> = shadow.rights.grants.iter().filter(|((s, ..), _)| *s == scope(old)).collect();
        let moved: Vec<_> = moved.into_iter().map(|((_, right, to), end)| (*right, *to, *end)).collect();
        for (right, to, end) in moved {
            if !stored.contains_key(&(scope(old), right, to)) {
                shadow.rights.grants.remove(&(scope(old), right, to));
                shadow.rights.grants.insert((scope(new), right, to), end);
            }
        }
        if let Some(fact) = shadow.facts.remove(&old) {
            shadow.facts.entry(new).or_insert(fact);
        }
    }

    fn debt(&mut self, group: &Group<'_>, allowed: &Allowed, changed: &Changed, wrong: &mut Wrong) {
        let Some((peer, Owed::Object(key))) = Owed::from_key(&changed.key) else { return };
        let read = |value: &Option<Bytes>| match txn::decode(Table::Outbox, value.as_ref()?) {
            Ok(OutboxRow::Object(row)) => Some(row),
            _ => None,
        };
        let (before, after) = (read(&changed.before), read(&changed.after));
        if let (Some(after), Some(shadow)) = (after, self.shadows.get(&group.kernel)) {
            let said = [&shadow.promises, &shadow.in_vain];
            let by_somebody = match after.debt {
                Debt::Promised => said.iter().any(|said| said.promised(group, &peer, &key)),
                Debt::Given { content } | Debt::Followed { given: Some(content) } => {
                    said.iter().any(|said| said.allow(group, &peer, &key, &content))
                }
                Debt::Followed { given: None } => true,
            };
            // Made in the group in which its peer was removed, it goes with the rest.
            let is_removal = |input: &Input| matches!(input, Input::Command { command: Command::RemovePeer { peer: of }, .. } if *of == peer);
            let goes = group.inputs.iter().any(is_removal);
            if !by_somebody && !goes && before.is_none_or(|before| before.debt != after.debt) {
                let what = format!("owes {key} to {peer:.10} as {:?}, and nobody said so", after.debt);
                wrong.push((7, what));
            }
        }
        let Some(row) = before else { return };
        // A debt that one action's content made may end whenever that is not the newest any more: if it should be lost,
        // the action is refused after a while. All others end with an answer, and none becomes less than it was.
        let goes_on = match (row.debt, after.map(|after| after.debt)) {
            (Debt::Given { .. }, None) => {
                if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
                    for owed in shadow.promises.take(&peer, &key) {
                        shadow.just_answered.add(peer, key, owed);
                    }
                }
                return;
            }
            (Debt::Given { .. }, Some(_)) | (_, Some(Debt::Promised)) => true,
            (Debt::Followed { .. }, Some(Debt::Followed { .. })) => true,
            _ => false,
        };
        if goes_on {
            return;
        }
        let heads = candidates(group, &key);
        let ids: Vec<Hash> = heads.iter().map(|head| head.header.id()).chain([row.id]).collect();
        let answered =
            allowed.answered.get(&(peer, key)).is_some_and(|said| said.iter().any(|id| ids.contains(id)));
        // Not there now, or not there before the group.
        let place = key.to_row();
        let came = group.commit.iter().flat_map(|commit| &commit.rows);
        let came =
            came.filter(|row| row.table == Table::Head && row.key == place).any(|row| row.before.is_none());
        let gone = came || object::head(group.store, &key).is_ok_and(|head| head.is_none());
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        let asked = !row.debt.is_followed() || shadow.owed.contains(&(peer, key));
        let may = heads.iter().any(|head| shadow.rights.may_read(&peer, head, group.now_ms));
        let moved = claimed_as(group, &key)
            .is_some_and(|key| share::debt(group.store, &peer, &key).is_ok_and(|row| row.is_some()));
        // What its home never signed proves nothing to others.
        let unprovable = self.forked.contains(&key);
        let ended = allowed.new_life
            || allowed.removed.contains(&peer)
            || allowed.given_up.contains(&(peer, key))
            || (gone && !moved)
            || (!asked && !may)
            || unprovable;
        if !answered && !ended && !moved {
            wrong.push((4, format!("forgets that it owes {key} to {peer:.10}, which has not answered")));
        }
        shadow.owed.remove(&(peer, key));
        for owed in shadow.promises.take(&peer, &key) {
            shadow.just_answered.add(peer, key, owed);
            // Or it goes on as a debt of what the object has become.
            if let Some(became) = claimed_as(group, &key).filter(|_| moved) {
                shadow.promises.add(peer, became, owed);
            }
        }
    }

    fn follower(
        &mut self,
        commit: &Commit,
        allowed: &Allowed,
        changed: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let Some((key, peer)) = changed.key.split_at_checked(ObjectKey::ROW_LEN) else { return };
        let (Some(key), Some(peer)) = (ObjectKey::from_row(key), KernelId::from_slice(peer)) else { return };
        match (&changed.before, &changed.after) {
            (None, Some(_)) => {
                let moved = commit.rows.iter().any(|row| {
                    row.table == Table::Follower && row.after.is_none() && row.key.ends_with(peer.as_bytes())
                });
                if !allowed.followable.contains(&(peer, key)) && !moved {
                    wrong.push((7, format!("lets {peer:.10} follow {key}, which it may not read")));
                }
            }
            (Some(_), None)
                if commit.rows.iter().any(|row| row.table == Table::Grant && row.after.is_none()) =>
            {
                cover.met("state revoked while followed");
            }
            _ => {}
        }
    }

    fn usage(&mut self, group: &Group<'_>, changed: &Changed, wrong: &mut Wrong, cover: &mut Coverage) {
        let read = |value: Option<&Bytes>| {
            value.and_then(|value| txn::decode::<UsageRow>(Table::Usage, value).ok()).unwrap_or_default()
        };
        let (before, after) = (read(changed.before.as_ref()), read(changed.after.as_ref()));
        let Some(peer) = KernelId::from_slice(&changed.key) else { return };
        let quota = peers::peer(group.store, &peer).ok().flatten().map_or(0, |row| row.quota_bytes);
        let shadow = self.shadows.get(&group.kernel).and_then(|shadow| shadow.rights.peers.get(&peer));
        let quota = quota.max(shadow.map_or(0, |peer| peer.quota_bytes));
        if after.stored_bytes > quota && after.stored_bytes > before.stored_bytes && shadow.is_some() {
            wrong.push((
                9,
                format!("stores {} bytes of {peer:.10}, whose quota is {quota}", after.stored_bytes),
            ));
        }
        if after.stored_bytes > quota / 10 * 9 {
            cover.met("state quota reached");
        }
    }

    /// The rights on the disk are those that commands and admissions gave.
    fn rights(&mut self, group: &Group<'_>, commit: &Commit, wrong: &mut Wrong) {
        let Some(shadow) = self.shadows.get(&group.kernel) else { return };
        if commit.rows.iter().any(|row| row.table == Table::Grant) {
            let stored = grants_of(group.store);
            for (grant, _) in
                stored.iter().filter(|(grant, end)| shadow.rights.grants.get(grant) != Some(end))
            {
                wrong.push((7, format!("has a grant that nobody gave, or that was taken back: {grant:?}")));
            }
            for (grant, _) in shadow.rights.grants.iter().filter(|(grant, _)| !stored.contains_key(grant)) {
                wrong.push((4, format!("lost a grant: {grant:?}")));
            }
        }
        if commit.rows.iter().any(|row| row.table == Table::Peer) {
            let stored = peers_of(group.store);
            if stored != shadow.rights.peers {
                let what = format!("has the peers {stored:?} instead of {:?}", shadow.rights.peers);
                wrong.push((7, what));
            }
        }
    }

    /// Recounts what a store holds: after a restart, and at the end.
    pub fn check_store(&self, kernel: &KernelId, disk: &Disk) -> Result<(), String> {
        let mut stored: std::collections::BTreeMap<KernelId, u64> = std::collections::BTreeMap::new();
        for head in all(disk, Table::Head).into_iter().chain(all(disk, Table::Conflict)) {
            if !head.header.tombstone {
                match disk.get(Table::Body, &object::body_key(&head.header)) {
                    Ok(Some(body)) if self.bodies.get(&head.header.content) == Some(&body) => {}
                    // What an action wrote in a group that failed, and that survived it.
                    Ok(Some(body)) if self.installed.may_write(&body) => {}
                    _ => {
                        return Err(format!(
                            "{} does not have the bytes that were imported",
                            head.header.key()
                        ));
                    }
                }
            }
            if let (true, Some(from)) = (head.charged, head.from) {
                *stored.entry(from).or_default() += object::cost(&head.header);
            }
        }
        // Each lane of another kernel counts, for ever.
        for origin in super::shadow::scan(disk, Table::Lane, |key, _| origin_of_lane(key)) {
            *stored.entry(origin).or_default() += object::LANE_COST_BYTES;
        }
        for (peer, row) in once_core::peers::all(disk).map_err(|error| error.to_string())? {
            let counted = share::usage(disk, &peer).map_err(|error| error.to_string())?.stored_bytes;
            let found = stored.get(&peer).copied().unwrap_or(0);
            if row.status == PeerStatus::Active && counted != found {
                return Err(format!("{kernel:.10} counts {counted} bytes of {peer:.10} and stores {found}"));
            }
        }
        Ok(())
    }
}

/// The key of a lane at its home: object, `0` or `1` and a takeover, the origin, its incarnation.
pub(super) fn origin_of_lane(row: &[u8]) -> Option<KernelId> {
    let takeover = match row.get(ObjectKey::ROW_LEN)? {
        0 => 0,
        1 => Hash::LEN,
        _ => return None,
    };
    let begin = ObjectKey::ROW_LEN + 1 + takeover;
    (row.len() == begin + KernelId::LEN + 16)
        .then(|| KernelId::from_slice(&row[begin..begin + KernelId::LEN]))?
}

fn is_proof(input: &Input) -> bool {
    matches!(input, Input::Frame { frame: Frame::Entries(_), .. })
}

/// Whether one revision that is not proven to continue an object took the place of its head, and no replaced head is
/// kept.
fn lost_without_proof(group: &Group<'_>, key: &ObjectKey) -> bool {
    let arrivals = group.inputs.iter().filter(|input| match input {
        Input::Arrived { arrival, .. } => arrival.header.uuid == key.uuid,
        Input::Frame { frame: Frame::Share(parcel), .. } => parcel.header.uuid == key.uuid,
        Input::Command { command: Command::Discard { .. } | Command::Keep { .. }, .. } => true,
        input => is_proof(input),
    });
    let kept = conflicts_of(group.store, &key.uuid);
    let of_key = || kept.iter().filter(|row| row.header.key() == *key);
    arrivals.count() == 1 && of_key().count() < CONFLICTS_MAX_BODIES && !of_key().any(HeadRow::is_replaced)
}

fn has_body(store: &Disk, head: &HeadRow) -> bool {
    store.get(Table::Body, &object::body_key(&head.header)).is_ok_and(|body| body.is_some())
}

fn all(store: &Disk, table: Table) -> Vec<HeadRow> {
    super::shadow::scan(store, table, |_, value| txn::decode(table, value).ok())
}

fn with_prefix(store: &Disk, table: Table, prefix: &[u8]) -> Vec<HeadRow> {
    let mut found = Vec::new();
    let scanned = scan_prefix(store, table, prefix, &mut |_, value| {
        found.extend(txn::decode::<HeadRow>(table, &value).ok());
        ControlFlow::Continue(())
    });
    if scanned.is_err() { Vec::new() } else { found }
}

pub(super) fn heads_of(store: &Disk, uuid: &Uuid) -> Vec<HeadRow> {
    with_prefix(store, Table::Head, uuid.as_bytes())
}

pub(super) fn conflicts_of(store: &Disk, uuid: &Uuid) -> Vec<HeadRow> {
    with_prefix(store, Table::Conflict, uuid.as_bytes())
}
