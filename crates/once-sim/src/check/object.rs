//! Objects: heads, what is kept beside them, bodies, and what a claim leaves behind.

use once_core::object::{self, HeadRow};
use once_core::store::{Read, Table, scan_prefix};
use once_core::txn;
use once_core::waist::{Command, Input};
use once_model::hash::content_hash;
use once_model::ids::{Hash, KernelId, Lineage, ObjectKey, Uuid};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::wire::Frame;
use std::ops::ControlFlow;

use super::group::{Allowed, claimed_as};
use super::rows::{conflicts_of, heads_of};
use super::{Checker, Group, Made, Wrong, head_in};
use crate::coverage::Coverage;
use crate::disk::{Changed, Disk};

impl Checker {
    pub(super) fn head(
        &mut self,
        group: &Group<'_>,
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
        let grown = group.changed().any(|row| row.table == Table::Genesis);
        if grown && new.from.is_some() && new.header.lineage.is_some() {
            let before = group.changed().filter(|row| row.table == Table::Head && row.after.is_none());
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
        if let Some(twice) = self.moves.makes(certificate, by) {
            return Some(twice);
        }
        let made = self.revisions.entry((certificate, revision)).or_insert(Made { id, by: *by });
        let other = (made.id != id).then_some(made.by)?;
        Some(format!(
            "{id:.12} is a second revision {revision} under one certificate: {other:.10} made the first"
        ))
    }

    /// Whether an honest home has made this revision, and no other one in its place.
    fn is_of_the_chain(&self, row: &HeadRow) -> bool {
        let made = row.header.certificate.and_then(|certificate| {
            self.revisions.get(&(certificate, row.header.revision)).filter(|made| made.id == row.header.id())
        });
        made.is_some_and(|made| !self.rolled_back.contains(&made.by))
    }

    fn head_gone(&mut self, group: &Group<'_>, allowed: &Allowed, key: &ObjectKey, wrong: &mut Wrong) {
        let became = claimed_as(group, key);
        let kept = became.is_some_and(|key| object::head(group.store, &key).is_ok_and(|head| head.is_some()));
        let dropped =
            allowed.dropped.contains(key) || became.is_some_and(|key| allowed.dropped.contains(&key));
        if dropped {
            self.emptied.insert((group.kernel, *key));
        }
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

    pub(super) fn conflict(
        &mut self,
        group: &Group<'_>,
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
        if before.as_ref().is_some_and(HeadRow::is_replaced)
            && !new.is_replaced()
            && self.is_of_the_chain(&new)
        {
            wrong.push((8, format!("takes a revision of {key} for a fork, which its home has made")));
        }
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
            if before.is_none() && !group.changed().any(was) && !came {
                wrong.push((4, format!("keeps {id:.12} beside {key} as if it had been its head")));
            }
        } else if allowed.came_beside.contains(&id) {
            // Its home before had it.
        } else if new.from.is_none() {
            wrong.extend(super::history::kept_file(&group.kernel, &new).err().map(|what| (2, what)));
        } else if head_in(changed.before.as_ref()).is_none_or(|old| old.header.id() != id) {
            self.origin(group, allowed, &new, id, wrong);
        }
    }

    pub(super) fn body(&mut self, group: &Group<'_>, changed: &Changed, wrong: &mut Wrong) {
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
    pub(super) fn genesis(&mut self, group: &Group<'_>, changed: &Changed) {
        let Some((uuid, content)) = changed.key.split_at_checked(16) else { return };
        let (Ok(uuid), Some(content)) = (Uuid::from_slice(uuid), Hash::from_slice(content)) else { return };
        let Ok(Some(lineage)) = txn::get::<Lineage>(group.store, Table::Genesis, &changed.key) else {
            return;
        };
        // It is written anew when the object is reopened: what was given meanwhile to a name that was none any more stays there.
        if changed.before == changed.after {
            return;
        }
        let old = ObjectKey { uuid, line: once_model::ids::Line::Unclaimed(content) };
        let new = ObjectKey { uuid, line: once_model::ids::Line::Claimed(lineage) };
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for said in [&mut shadow.promises, &mut shadow.in_vain] {
            said.became(&old, new);
        }
        // What was imported here stays beside it, with what was granted on it.
        // Without a copy there was nothing to grant anything on.
        let place = old.to_row();
        let was_here = group.changed().any(|row| row.table == Table::Head && row.key == place);
        let moved_in = group.changed().any(|row| row.table == Table::Handed);
        if object::head(group.store, &old).is_ok_and(|head| head.is_none()) && (was_here || !moved_in) {
            shadow.rights.grants.became(old, new, group.now_ms);
            shadow.acted.add(&shadow.rights.grants);
        }
        if let Some(fact) = shadow.facts.remove(&old) {
            shadow.facts.entry(new).or_insert(fact);
        }
    }
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
