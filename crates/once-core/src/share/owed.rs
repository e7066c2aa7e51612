//! The outbox: one index of what each peer is owed, objects and lanes of actions alike.

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use super::rows::{self, DebtRow, Kind, OutboxRow, Owed};
use crate::act::LaneId;
use crate::engine::Step;
use crate::store::{Read, StoreError, Table, has_any, prefix_end};
use crate::txn;

/// Why a peer is owed an object, if it is.
///
/// # Errors
/// When the store cannot be read.
pub fn debt(rows: &dyn Read, peer: &KernelId, key: &ObjectKey) -> Result<Option<DebtRow>, StoreError> {
    Ok(match txn::get(rows, Table::Outbox, &Owed::Object(*key).key(peer))? {
        Some(OutboxRow::Object(row)) => Some(row),
        _ => None,
    })
}

/// A peer follows an object no longer: what it was owed for that reason alone, it is owed no more.
pub(crate) fn followed_no_more(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    key: &ObjectKey,
) -> Result<(), StoreError> {
    let Some(row) = debt(s.txn, peer, key)?.filter(|row| row.debt.is_followed()) else { return Ok(()) };
    if mutant!(UnfollowedServed) {
        return Ok(());
    }
    match row.debt.without_following() {
        Some(debt) => {
            let row = OutboxRow::Object(DebtRow { debt, ..row });
            s.txn.put_lazily(Table::Outbox, &Owed::Object(*key).key(peer), &row);
            Ok(())
        }
        None => settle(s, peer, key),
    }
}

/// Removes a debt.
pub(crate) fn settle(s: &mut Step<'_, '_>, peer: &KernelId, key: &ObjectKey) -> Result<(), StoreError> {
    let place = Owed::Object(*key).key(peer);
    if s.txn.delete_if_there_lazily(Table::Outbox, &place)? {
        let mut usage = rows::usage(s.txn, peer)?;
        usage.owed_rows = usage.owed_rows.saturating_sub(1);
        s.txn.put_lazily(Table::Usage, peer.as_bytes(), &usage);
    }
    Ok(())
}

/// Visits what of one kind is owed to a peer, from a place on: of [`Kind::Lanes`], perhaps also some of which nothing
/// waits any more.
///
/// # Errors
/// When the store cannot be read.
pub fn owed(
    rows: &dyn Read,
    peer: &KernelId,
    kind: Kind,
    next: &[u8],
    visit: &mut dyn FnMut(Owed, &[u8]) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let all = kind.of(peer);
    let from = [all.as_slice(), next].concat();
    rows.scan(Table::Outbox, &from, prefix_end(&all).as_deref(), &mut |key, value| {
        Owed::from_key(key).map_or(ControlFlow::Continue(()), |(_, owed)| visit(owed, &value))
    })
}

/// Whether the outbox names a lane.
pub(crate) fn lists(rows: &dyn Read, home: &KernelId, lane: &LaneId) -> Result<bool, StoreError> {
    Ok(rows.get(Table::Outbox, &Owed::Lane(*lane).key(home))?.is_some())
}

/// Whether any lane to a home is in the outbox.
pub(crate) fn owes(s: &Step<'_, '_>, home: &KernelId) -> Result<bool, StoreError> {
    has_any(s.txn, Table::Outbox, &Kind::Lanes.of(home))
}

/// A lane has something that waits: from now on the pump finds it.
pub(crate) fn list(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) {
    let key = Owed::Lane(*lane).key(home);
    if s.txn.is_dirty(Table::Outbox, &key) {
        s.txn.put_lazily(Table::Outbox, &key, &OutboxRow::Lane);
    } else {
        s.txn.put_new_lazily(Table::Outbox, &key, &OutboxRow::Lane);
    }
}

/// Nothing of a lane waits any more.
pub(crate) fn unlist(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) {
    s.txn.delete_lazily(Table::Outbox, &Owed::Lane(*lane).key(home));
}

/// The same, if that costs nothing: the row was written by this very group. Any other stays for as long as the lane is
/// used; the pump takes it away when it comes by.
pub(crate) fn unlist_new(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) -> bool {
    let key = Owed::Lane(*lane).key(home);
    let new = s.txn.is_new(Table::Outbox, &key);
    if new {
        s.txn.delete_lazily(Table::Outbox, &key);
    }
    new
}
