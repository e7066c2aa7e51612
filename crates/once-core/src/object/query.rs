//! Reading objects, from any snapshot.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::hash::content_hash;
use once_model::header::Header;
use once_model::ids::{Line, Lineage, ObjectKey, Uuid};

use super::HeadRow;
use super::rows;
use crate::store::{Read, StoreError, Table, key_behind, prefix_end, scan_prefix, try_scan};
use crate::txn;

/// Visits every object, in the order of UUIDs.
///
/// # Errors
/// When the store cannot be read. A row that is damaged is passed over.
pub fn heads(rows: &dyn Read, visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>) -> Result<(), StoreError> {
    readable(rows, Table::Head, &[], visit)
}

/// The same with a visitor that can fail.
pub(crate) fn try_heads<E: From<StoreError>>(
    rows: &dyn Read,
    mut visit: impl FnMut(HeadRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    try_scan(rows, Table::Head, &[], None, |_, value| {
        txn::decode(Table::Head, &value).map_or(Ok(ControlFlow::Continue(())), &mut visit)
    })
}

/// Visits every object that comes after one, in the order of keys.
///
/// # Errors
/// When the store cannot be read.
pub fn heads_after(
    rows: &dyn Read,
    after: Option<&ObjectKey>,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let from = after.map_or_else(Vec::new, |key| key_behind(&key.to_row()));
    readable(rows, Table::Head, &from, visit)
}

/// Visits every revision that is kept beside an object's chain.
///
/// # Errors
/// When the store cannot be read.
pub fn conflicts(
    rows: &dyn Read,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    readable(rows, Table::Conflict, &[], visit)
}

/// How many revisions are kept beside an object's chain for people to decide. One that cannot be read is passed over.
///
/// # Errors
/// When the store cannot be read.
pub fn count_beside(rows: &dyn Read, key: &ObjectKey) -> Result<u64, StoreError> {
    let mut count = 0;
    scan_prefix(rows, Table::Conflict, &key.to_row(), &mut |_, value| {
        let row: Option<HeadRow> = txn::decode(Table::Conflict, &value).ok();
        count += u64::from(row.is_some_and(|row| !row.is_replaced()));
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// Of all objects: one row that is damaged is passed over, so that it costs only its own object. Who wants that object gets
/// the error, and a look at all rows for damage names it.
pub(crate) fn readable(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    rows.scan(table, from, None, &mut |_, value| {
        txn::decode(table, &value).map_or(ControlFlow::Continue(()), &mut *visit)
    })
}

fn heads_between(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    try_scan(rows, table, from, to, |_, value| Ok(visit(txn::decode(table, &value)?)))
}

/// The objects whose UUID begins with these bytes and then, if given, with this half byte; at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn with_prefix(
    rows: &dyn Read,
    bytes: &[u8],
    half: Option<u8>,
    limit: usize,
) -> Result<Vec<HeadRow>, StoreError> {
    let mut found = Vec::new();
    heads_between(rows, Table::Head, bytes, prefix_end(bytes).as_deref(), &mut |head| {
        let next = head.header.uuid.as_bytes().get(bytes.len()).map(|byte| byte >> 4);
        if half.is_none() || half == next {
            found.push(head);
        }
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// The verbatim bytes of a revision; `None` for a tombstone.
///
/// # Errors
/// When the store cannot be read, or the bytes are not those that were stored.
pub fn body(rows: &dyn Read, header: &Header) -> Result<Option<Bytes>, StoreError> {
    if header.tombstone {
        return Ok(None);
    }
    let damaged = |reason: &str| {
        let reason = format!("object {}: {reason}", header.key());
        StoreError::damaged(Table::Body, &rows::body_key(header), reason)
    };
    let body = rows.get(Table::Body, &rows::body_key(header))?.ok_or_else(|| damaged("no bytes"))?;
    if content_hash(&body) != header.content {
        return Err(damaged("the bytes do not have the hash that they were stored under"));
    }
    Ok(Some(body))
}

/// Objects of one UUID that are looked at.
const FIND_MAX: usize = 1000;

/// The objects of a UUID that answer to a line: exactly it, or any if none is given. An unclaimed copy that was
/// claimed since is found as the object that it has become.
///
/// # Errors
/// When the store cannot be read.
pub fn find(rows: &dyn Read, uuid: &Uuid, line: Option<Line>) -> Result<Vec<HeadRow>, StoreError> {
    let Some(line) = line else { return with_prefix(rows, uuid.as_bytes(), None, FIND_MAX) };
    if let Some(head) = rows::head(rows, &ObjectKey { uuid: *uuid, line })? {
        return Ok(vec![head]);
    }
    let Line::Unclaimed(content) = line else { return Ok(Vec::new()) };
    let place = rows::content_key(uuid, &content);
    let Some(lineage) = txn::get::<Lineage>(rows, Table::Genesis, &place)? else { return Ok(Vec::new()) };
    Ok(rows::head(rows, &ObjectKey { uuid: *uuid, line: Line::Claimed(lineage) })?.into_iter().collect())
}

/// The key under which an object is found now: an unclaimed copy may have been claimed since the caller looked.
pub(crate) fn current_key(rows: &dyn Read, key: &ObjectKey) -> Result<ObjectKey, StoreError> {
    let Line::Unclaimed(content) = key.line else { return Ok(*key) };
    // A claim takes the copy away: while it is there, nothing else needs to be looked for.
    if rows.get(Table::Head, &key.to_row())?.is_some() {
        return Ok(*key);
    }
    let place = rows::content_key(&key.uuid, &content);
    let lineage: Option<Lineage> = txn::get(rows, Table::Genesis, &place)?;
    Ok(lineage.map_or(*key, |lineage| ObjectKey { uuid: key.uuid, line: Line::Claimed(lineage) }))
}
