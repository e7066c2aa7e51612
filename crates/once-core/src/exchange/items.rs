//! Revisions by the ids under which two kernels compare them.

use std::ops::ControlFlow;

use once_model::ids::ItemId;

use crate::object::HeadRow;
use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;

/// Rows between two wanted items that are read over; a wider gap is jumped with a new scan.
const GAP_ROWS: usize = 16;

/// The objects that have these item ids now, in the order of their ids. What is not here is left out.
///
/// # Errors
/// When the store cannot be read.
pub fn items(rows: &dyn Read, ids: &[ItemId]) -> Result<Vec<(ItemId, HeadRow)>, StoreError> {
    items_in(rows, Table::Head, ids)
}

/// The revisions with these item ids in a table whose rows are revisions: the heads, or what is kept beside them.
pub(crate) fn items_in(
    rows: &dyn Read,
    table: Table,
    ids: &[ItemId],
) -> Result<Vec<(ItemId, HeadRow)>, StoreError> {
    let mut wanted: Vec<ItemId> = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::new();
    let mut next = 0;
    // One scan reads what lies close together, as it does when much is missing: a scan for each would cost more.
    while let Some(first) = wanted.get(next) {
        let mut gap = 0;
        let begun_at = next;
        try_scan(rows, table, front(first), None, |key, value| {
            let uuid = key.get(..FRONT).unwrap_or(key);
            while wanted.get(next).is_some_and(|id| front(id) < uuid) {
                next += 1;
            }
            // Ids of one front are few: the versions of one object that are wanted together.
            let mut matching = wanted.iter().skip(next).take_while(|id| front(id) == uuid).peekable();
            if matching.peek().is_none() {
                gap += 1;
                let done = wanted.get(next).is_none();
                let is_over = done || gap > GAP_ROWS;
                return Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            gap = 0;
            let head: HeadRow = txn::decode(table, &value)?;
            let id = head.header.item_id();
            if matching.any(|wanted| *wanted == id) {
                found.push((id, head));
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        if gap == 0 || next == begun_at {
            // The table ended, or nothing lies at this id: what remains of its front is not here.
            let Some(passed) = wanted.get(next).map(|id| front(id).to_vec()) else { break };
            while wanted.get(next).is_some_and(|id| front(id) == passed) {
                next += 1;
            }
        }
    }
    Ok(found)
}

/// How much of an item id is the beginning of its UUID, in bytes.
const FRONT: usize = 8;

/// The part of an item id that all revisions of an object share.
pub(crate) fn front(id: &ItemId) -> &[u8] {
    id.as_bytes().split_at(FRONT).0
}
