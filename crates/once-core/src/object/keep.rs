//! Writing heads and bodies, and what hangs on them: quotas, followers, events.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::header::Header;
use once_model::ids::{KernelId, Lineage, ObjectKey, Uuid};
use once_model::limits::CONFLICTS_MAX_BODIES;

use super::{HeadRow, chains, query, revisions, rows};
use crate::chores::{self, Chore};
use crate::engine::{Step, life};
use crate::share::{self, Debt, Kept};
use crate::store::{StoreError, Table, scan_prefix};
use crate::waist::{Effect, Event};
use crate::{access, follow, txn};

/// What stood where a new head goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before<'r> {
    /// Nothing: so nobody follows it either.
    Nothing,
    /// An unclaimed copy that the new head takes over, with its followers.
    Copy,
    /// The revision before.
    Head(&'r HeadRow),
}

/// Makes `new` the head of its object.
pub(crate) fn keep(
    s: &mut Step<'_, '_>,
    before: Before<'_>,
    new: &HeadRow,
    body: Option<Bytes>,
) -> Result<(), StoreError> {
    let old = if let Before::Head(old) = before { Some(old) } else { None };
    let key = new.header.key();
    if let Some(body) = body
        && old.is_none_or(|old| old.header.content != new.header.content)
    {
        s.txn.put_bytes(Table::Body, &rows::body_key(&new.header), body);
    }
    s.txn.put(Table::Head, &key.to_row(), new);
    if let Some(old) = old {
        uncharge(s, old)?;
        let gone = revisions::replaced(s, old, new)?;
        if old.header.content != new.header.content {
            drop_body(s, &old.header)?;
        }
        drop_bodies(s, &gone)?;
    }
    if let (true, Some(from)) = (new.charged, new.from) {
        charge(s, &from, i64::try_from(rows::cost(&new.header)).unwrap_or(i64::MAX))?;
    }
    if !matches!(before, Before::Nothing) {
        chores::begin(s, Chore::TellFollowers(key));
    }
    s.out.push(Effect::Event(Event::Changed { header: Box::new(new.header.clone()), from: new.from }));
    Ok(())
}

/// Removes a head, its body, its conflicts, its followers and what hangs on it here. Chains stay: they are small, and a later copy
/// of the object needs no second proof.
pub(crate) fn forget(s: &mut Step<'_, '_>, head: &HeadRow) -> Result<(), StoreError> {
    let key = head.header.key();
    s.txn.delete(Table::Head, &key.to_row());
    if let Some(lineage) = &head.header.lineage
        && let Some(genesis) = chains::genesis(s.txn, lineage)?
    {
        // Its first content may come as an unclaimed copy again.
        let place = rows::content_key(&head.header.uuid, &genesis.content);
        if txn::get::<Lineage>(s.txn, Table::Genesis, &place)? == Some(*lineage) {
            s.txn.delete(Table::Genesis, &place);
        }
    }
    uncharge(s, head)?;
    let gone = revisions::forget(s, &key)?;
    drop_body(s, &head.header)?;
    drop_bodies(s, &gone)?;
    drop_conflicts(s, &key)?;
    // Who follows it here must ask elsewhere: of a new object, nobody is a follower.
    chores::begin(s, Chore::TellFollowers(key));
    s.out.push(Effect::Event(Event::Dropped { key }));
    Ok(())
}

/// Removes the revisions kept beside an object's chain.
pub(crate) fn drop_conflicts(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    for (place, conflict) in conflicts(s, key)? {
        drop_conflict(s, &place, &conflict)?;
    }
    Ok(())
}

/// Removes what was made beside an object's chain; not the heads that still wait for a proof.
pub(crate) fn drop_forks(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    if mutant!(BuryUnproven) {
        return drop_conflicts(s, key);
    }
    for (place, conflict) in conflicts(s, key)? {
        if !conflict.is_replaced() {
            drop_conflict(s, &place, &conflict)?;
        }
    }
    Ok(())
}

/// Removes one of them.
pub(crate) fn drop_conflict(
    s: &mut Step<'_, '_>,
    place: &[u8],
    conflict: &HeadRow,
) -> Result<(), StoreError> {
    s.txn.delete(Table::Conflict, place);
    uncharge(s, conflict)?;
    drop_body(s, &conflict.header)
}

/// The revisions kept beside an object's chain, with their keys.
pub(crate) fn conflicts(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Vec<(Vec<u8>, HeadRow)>, StoreError> {
    let mut found = Vec::new();
    scan_prefix(s.txn, Table::Conflict, &key.to_row(), &mut |key, value| {
        found.push((key.to_vec(), value));
        ControlFlow::Continue(())
    })?;
    found.into_iter().map(|(key, value)| Ok((key, txn::decode(Table::Conflict, &value)?))).collect()
}

/// Objects of a UUID that are looked at: a peer may share any number of them.
const NAMESAKES_MAX: usize = 64;

/// Whether so many lineages of a UUID are here that another one is not kept only because the copy that it claims to
/// come from is followed: anyone can claim a copy, as often as they like.
pub(crate) fn has_many_claims(s: &Step<'_, '_>, key: &ObjectKey) -> Result<bool, StoreError> {
    // Claimed ones lie behind the unclaimed: the byte after the UUID tells them apart.
    let claimed = [key.uuid.as_bytes().as_slice(), &[1]].concat();
    let some = query::with_prefix(s.txn, &claimed, None, CONFLICTS_MAX_BODIES + 1)?;
    Ok(some.iter().filter(|head| head.header.key() != *key).count() >= CONFLICTS_MAX_BODIES)
}

/// The objects of a UUID, as many as are looked at.
pub(crate) fn namesakes(s: &Step<'_, '_>, uuid: &Uuid) -> Result<Vec<HeadRow>, StoreError> {
    query::with_prefix(s.txn, uuid.as_bytes(), None, NAMESAKES_MAX)
}

/// An object has a new head, or none any more: whoever follows it is owed that, or follows it no longer.
pub(crate) fn tell_follower(s: &mut Step<'_, '_>, key: ObjectKey, row: &[u8]) -> Result<(), StoreError> {
    let Some(follower) = row.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice) else { return Ok(()) };
    let Some(head) = rows::head(s.txn, &key)? else { return follow::end_following(s, follower, &key) };
    if !access::may_read(s.txn, &follower, &head, s.ctx.now_ms)? && !mutant!(RevokedFollowerServed) {
        // Its grant has ended, or the object is of another component now.
        follow::end_following(s, follower, &key)?;
    } else if Some(follower) != head.from {
        share::owe(s, follower, &head, Debt::FOLLOWED, Kept::Durably)?;
    }
    Ok(())
}

/// Removes the bodies of revisions that nothing names any more.
fn drop_bodies(s: &mut Step<'_, '_>, gone: &[Header]) -> Result<(), StoreError> {
    gone.iter().try_for_each(|header| drop_body(s, header))
}

/// Removes a body, unless another revision of the object that is kept has the same bytes. The caller has removed or
/// replaced the row that named it.
fn drop_body(s: &mut Step<'_, '_>, header: &Header) -> Result<(), StoreError> {
    let key = header.key();
    let head = rows::head(s.txn, &key)?;
    let beside = conflicts(s, &key)?.into_iter().map(|(_, row)| row);
    let mut kept = head.into_iter().chain(beside).filter(|row| !row.header.tombstone);
    let shared = kept.any(|row| row.header.content == header.content) && !mutant!(DropSharedBody);
    if !header.tombstone && !shared && !revisions::names(s, &key, &header.content)? {
        s.txn.delete(Table::Body, &rows::body_key(header));
    }
    Ok(())
}

fn uncharge(s: &mut Step<'_, '_>, head: &HeadRow) -> Result<(), StoreError> {
    match (head.charged, head.from) {
        (true, Some(from)) => charge(s, &from, -i64::try_from(rows::cost(&head.header)).unwrap_or(i64::MAX)),
        _ => Ok(()),
    }
}

/// Adds to what a peer takes up here.
pub(crate) fn charge(s: &mut Step<'_, '_>, peer: &KernelId, bytes: i64) -> Result<(), StoreError> {
    let mut usage = share::usage(s.txn, peer)?;
    usage.stored_bytes = usage.stored_bytes.saturating_add_signed(bytes);
    s.txn.put(Table::Usage, peer.as_bytes(), &usage);
    Ok(())
}

/// Hands everything that hangs on an unclaimed copy over to the lineage that claimed it: the copy's head goes, its
/// grants, followers and debts name the claimed object from now on.
pub(crate) fn supersede(s: &mut Step<'_, '_>, old: &HeadRow, new: ObjectKey) -> Result<(), StoreError> {
    let old_key = old.header.key();
    s.txn.delete(Table::Head, &old_key.to_row());
    uncharge(s, old)?;
    let Some(lineage) = new.lineage() else { return Ok(()) };
    s.txn.put(Table::Genesis, &rows::content_key(&old.header.uuid, &old.header.content), &lineage);
    drop_body(s, &old.header)?;
    life::key_changed(s, &old_key, &new)
}
