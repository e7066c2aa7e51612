//! Whether a revision continues an older one that it does not name: the home is asked for the entries between. Until
//! they have come, the head that was replaced is kept beside the new one.

use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{CONFLICTS_MAX_BODIES, RESEND_AFTER_MS};
use once_model::receipt::{Entries, EntriesOf};
use once_model::wire::Frame;

use super::rows;
use super::state::{Asking, Walk};
use super::{HeadRow, keep};
use crate::engine::Step;
use crate::store::{StoreError, Table};
use crate::txn;

/// Keeps a head that a later revision takes the place of without a proof. The caller replaces it next. `false`: there is
/// no room beside the object.
pub(crate) fn keep_replaced(s: &mut Step<'_, '_>, head: &HeadRow) -> Result<bool, StoreError> {
    let key = head.header.key();
    let kept = keep::conflicts(s, &key)?;
    if kept.len() >= CONFLICTS_MAX_BODIES {
        // The oldest say most: what came and went while their proof was under way gives way.
        let replaced = kept.iter().filter(|(_, row)| row.is_replaced());
        let Some((place, row)) = replaced.max_by_key(|(_, row)| row.header.revision) else {
            return Ok(false);
        };
        keep::drop_conflict(s, place, row)?;
    }
    let row = HeadRow { replaced: Some(true), conflicts_dropped: 0, tip: None, guest: None, ..head.clone() };
    s.txn.put(Table::Conflict, &rows::conflict_key(&key, &head.header.id()), &row);
    if let (true, Some(from)) = (row.charged, row.from) {
        keep::charge(s, &from, i64::try_from(rows::cost(&row.header)).unwrap_or(i64::MAX))?;
    }
    Ok(true)
}

/// Asks the home of an object for the proof that its newest revision continues what was replaced.
pub(crate) fn ask(s: &mut Step<'_, '_>, key: ObjectKey, home: Option<KernelId>) -> Result<(), StoreError> {
    // Who does not know actions has no history to tell.
    let knows = |home: &KernelId| s.engine.peers.links.get(home).is_some_and(|link| link.act.knows_actions);
    let home = home.filter(knows);
    let Some((home, conn)) = home.and_then(|home| Some((home, s.up(&home)?))) else { return Ok(()) };
    let asking = s.engine.object.proofs.0.entry(home).or_default();
    if asking.conn != conn {
        *asking = Asking { conn, ..Asking::default() };
    }
    // Those beyond wait for the next connection.
    if asking.waiting.len() < s.engine.limits.proofs {
        asking.waiting.insert(key);
    }
    // An answer that never comes holds up the others for only so long.
    let late = |walk: Walk| s.ctx.now_ms.saturating_sub(walk.asked_ms) >= RESEND_AFTER_MS;
    if asking.now.is_some_and(late) {
        asking.now = None;
    }
    next(s, home)
}

/// A home can be asked again: for a head that was replaced, if it is one of its objects.
pub(crate) fn ask_again(s: &mut Step<'_, '_>, home: KernelId, row: &[u8]) -> Result<(), StoreError> {
    // One that is damaged costs only its own object.
    let Ok(row) = txn::decode::<HeadRow>(Table::Conflict, row) else { return Ok(()) };
    let (key, conn) = (row.header.key(), s.up(&home));
    let is_asked =
        |asking: &Asking| Some(asking.conn) == conn && asking.now.is_some_and(|walk| walk.key == key);
    if !row.is_replaced()
        || row.home != Some(home)
        || s.engine.object.proofs.0.get(&home).is_some_and(is_asked)
    {
        return Ok(());
    }
    ask(s, key, Some(home))
}

/// Begins the next walk.
fn next(s: &mut Step<'_, '_>, home: KernelId) -> Result<(), StoreError> {
    loop {
        let Some(asking) = s.engine.object.proofs.0.get_mut(&home).filter(|asking| asking.now.is_none())
        else {
            return Ok(());
        };
        let Some(key) = asking.waiting.pop_first() else { return Ok(()) };
        let newest = rows::head(s.txn, &key)?.map(|head| (head.header.entry, head.header.revision));
        if let Some((Some(link), top)) = newest
            && walk_on(s, home, Walk { key, link, below: u64::MAX, top, asked_ms: s.ctx.now_ms })?
        {
            return Ok(());
        }
    }
}

/// Asks for what a walk needs next; whether there is anything left to prove.
fn walk_on(s: &mut Step<'_, '_>, home: KernelId, walk: Walk) -> Result<bool, StoreError> {
    let open = replaced(s, &walk)?;
    let Some(oldest) = open.iter().map(|(_, row)| row.header.revision).min() else { return Ok(false) };
    // One more: an entry of the revision before, met without the one that is looked for, says that it is not there.
    let revision = oldest.saturating_sub(1);
    let Some(asking) = s.engine.object.proofs.0.get_mut(&home) else { return Ok(false) };
    let conn = asking.conn;
    asking.now = Some(walk);
    let of = EntriesOf { key: walk.key, newest: walk.link, revision };
    s.out.send(home, conn, Frame::EntriesOf(of));
    Ok(true)
}

/// What a walk can prove. What was replaced since it began is above of where it began, or is that revision itself: the first entry
/// tells of it, and what comes behind says nothing.
fn replaced(s: &Step<'_, '_>, walk: &Walk) -> Result<Vec<(Vec<u8>, HeadRow)>, StoreError> {
    let mut kept = keep::conflicts(s, &walk.key)?;
    let begins = walk.below == u64::MAX;
    let is_ahead = |revision: u64| revision < walk.top || begins && revision == walk.top;
    kept.retain(|(_, row)| row.is_replaced() && is_ahead(row.header.revision));
    Ok(kept)
}

/// A home has answered. Each entry is checked against the hash in the one after it, the first one against the head.
pub(crate) fn entries(s: &mut Step<'_, '_>, home: KernelId, said: &Entries) -> Result<(), StoreError> {
    let asked = s.engine.object.proofs.0.get_mut(&home).and_then(|asking| asking.now.take());
    let Some(mut walk) = asked else { return Ok(()) };
    if (said.key, said.newest) != (walk.key, walk.link) {
        // To a question of before: this one's answer is still to come.
        if let Some(asking) = s.engine.object.proofs.0.get_mut(&home) {
            asking.now = Some(walk);
        }
        return Ok(());
    }
    let mut open = replaced(s, &walk)?;
    let mut went = false;
    for entry in &said.entries {
        if entry.hash() != walk.link || entry.number >= walk.below {
            went = false;
            break;
        }
        settle(s, &mut open, entry.revision, walk.link)?;
        (walk.link, walk.below, went) = (entry.previous, entry.number, true);
    }
    walk.asked_ms = s.ctx.now_ms;
    // What is not kept there stays unproven, until somebody decides.
    let goes_on = went && !open.is_empty() && walk_on(s, home, walk)?;
    if goes_on { Ok(()) } else { next(s, home) }
}

/// A planted bug.
fn is_fork_too_soon(revision: u64, row: &HeadRow) -> bool {
    mutant!(ForkTooSoon) && revision == row.header.revision
}

/// An entry of the newest revision's history: what it made is an ancestor, and what it passes by is not.
fn settle(
    s: &mut Step<'_, '_>,
    open: &mut Vec<(Vec<u8>, HeadRow)>,
    revision: u64,
    hash: Hash,
) -> Result<(), StoreError> {
    let mut left = Vec::new();
    for (place, row) in std::mem::take(open) {
        if row.header.entry == Some(hash) {
            keep::drop_conflict(s, &place, &row)?;
        } else if revision < row.header.revision || is_fork_too_soon(revision, &row) {
            // A fork: its home said two things.
            s.txn.put(Table::Conflict, &place, &HeadRow { replaced: None, ..row });
        } else {
            left.push((place, row));
        }
    }
    *open = left;
    Ok(())
}
