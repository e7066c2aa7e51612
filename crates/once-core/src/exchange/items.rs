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
    let (mut found, mut left) = (Vec::new(), wanted.as_slice());
    // One scan reads what lies close together, as it does when much is missing: a scan for each would cost more.
    while let Some(first) = left.first() {
        let (mut gap, mut seen) = (0, front(first).to_vec());
        try_scan(rows, table, front(first), None, |key, value| {
            let uuid = key.get(..FRONT).unwrap_or(key);
            seen = uuid.to_vec();
            left = without(left, |front| front < uuid);
            // Ids of one front are few: the versions of one object that are wanted together.
            let mut matching = left.iter().take_while(|id| front(id) == uuid).peekable();
            if matching.peek().is_none() {
                gap += 1;
                let is_over = left.is_empty() || gap > GAP_ROWS;
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
        // What was seen was looked at, also if the table ended there or nothing lies at this id. So it comes to an end.
        left = without(left, |front| front <= seen.as_slice());
    }
    Ok(found)
}

/// What is left of sorted ids without those at the beginning whose front is such.
fn without(ids: &[ItemId], is_passed: impl Fn(&[u8]) -> bool) -> &[ItemId] {
    ids.split_at(ids.partition_point(|id| is_passed(front(id)))).1
}

/// How much of an item id is the beginning of its UUID, in bytes.
const FRONT: usize = 8;

/// The part of an item id that all revisions of an object share.
pub(crate) fn front(id: &ItemId) -> &[u8] {
    id.as_bytes().split_at(FRONT).0
}
