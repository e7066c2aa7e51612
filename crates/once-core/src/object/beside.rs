//! What is kept beside an object's chain: keeping a file there that is not to be laid over what happened since, and what
//! people decide about it.

use once_model::header::Header;
use once_model::ids::{Hash, ObjectKey};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::moving::LuggageRevision;
use once_model::scenario::Scenario;

use super::changeable::is_of_earlier_life;
use super::{HeadRow, SourceRow, draft, keep, query, rows, verify};
use crate::engine::{Step, life};
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Change};

/// Keeps a file beside its object, which has gone on since the file was imported. The same file again is kept once.
pub(crate) fn keep_file(
    s: &mut Step<'_, '_>,
    head: HeadRow,
    before: &SourceRow,
    scenario: &Scenario,
) -> Result<Answer, Failure> {
    let key = head.header.key();
    let kept = keep::conflicts(s, &key)?;
    let is_here = |row: &HeadRow| row.from.is_none() && row.header.content == scenario.hash();
    if !kept.iter().any(|(_, row)| is_here(row)) {
        if kept.len() >= CONFLICTS_MAX_BODIES {
            return Err(Refusal::TooManyConflicts(key).into());
        }
        let next = draft::continued(&head.header, scenario);
        // What it would have been: it names the revision that the file was made from, and no entry.
        let header = Header { revision: before.number + 1, parent: Some(before.revision), ..next };
        let row = draft::own(s, header, head.home);
        s.txn.put_bytes(Table::Body, &rows::body_key(&row.header), scenario.bytes().clone());
        s.txn.put(Table::Conflict, &rows::conflict_key(&key, &row.header.id()), &row);
    }
    Ok(Answer::Object { header: Box::new(head.header), change: Change::KeptBeside })
}

/// Keeps a revision that the head does not continue, at most [`CONFLICTS_MAX_BODIES`] of them; further ones are
/// counted.
pub(super) fn keep(
    s: &mut Step<'_, '_>,
    head: Option<&HeadRow>,
    row: HeadRow,
    body: Option<bytes::Bytes>,
) -> Result<(), StoreError> {
    let key = row.header.key();
    let place = rows::conflict_key(&key, &row.header.id());
    if s.txn.get(Table::Conflict, &place)?.is_some() {
        return Ok(());
    }
    if keep::conflicts(s, &key)?.len() >= CONFLICTS_MAX_BODIES && !mutant!(EndlessConflicts) {
        if let Some(head) = head {
            let counted = HeadRow { conflicts_dropped: head.conflicts_dropped + 1, ..head.clone() };
            s.txn.put_lazily(Table::Head, &key.to_row(), &counted);
        }
        return Ok(());
    }
    if let (true, Some(from)) = (row.charged, row.from) {
        keep::charge(s, &from, i64::try_from(rows::cost(&row.header)).unwrap_or(i64::MAX))?;
    }
    if let Some(body) = body {
        s.txn.put_bytes(Table::Body, &rows::body_key(&row.header), body);
    }
    s.txn.put(Table::Conflict, &place, &row);
    Ok(())
}

/// What is kept beside an object, as it moves along with it, as long as there is room for so many bytes. A head that only lacks
/// a proof is this kernel's own affair.
pub(crate) fn pack(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    mut room: impl FnMut(usize) -> bool,
) -> Result<Vec<LuggageRevision>, StoreError> {
    let mut found = Vec::new();
    for (_, row) in keep::conflicts(s, key)?.into_iter().filter(|(_, row)| !row.is_replaced()) {
        // Of many large ones not all are read.
        if !room(usize::try_from(rows::cost(&row.header)).unwrap_or(usize::MAX)) {
            break;
        }
        let HeadRow { header, from, .. } = row;
        let body = s.txn.get(Table::Body, &rows::body_key(&header))?;
        found.push(LuggageRevision { header, body, from });
    }
    Ok(found)
}

/// What was kept beside an object that has moved in is kept here. What is no revision of it, its home before has made up.
pub(crate) fn unpack(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    brought: Vec<LuggageRevision>,
) -> Result<(), StoreError> {
    for LuggageRevision { header, body, from } in brought {
        let Some(head) = rows::head(s.txn, key)? else { return Ok(()) };
        if header.key() != *key || verify::fits(&header, body.as_ref()).is_err() {
            continue;
        }
        let row = HeadRow { from, ..draft::own(s, header, head.home) };
        keep(s, Some(&head), row, body)?;
    }
    Ok(())
}

/// What was kept beside an object has moved with it. What came later stays with the copy here.
pub(crate) fn moved(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    gone: &[LuggageRevision],
) -> Result<(), StoreError> {
    for LuggageRevision { header, .. } in gone {
        let place = rows::conflict_key(key, &header.id());
        if let Some(row) = txn::get(s.txn, Table::Conflict, &place)? {
            keep::drop_conflict(s, &place, &row)?;
        }
    }
    Ok(())
}

/// The head has new bytes: a file that was kept beside with the same ones is no conflict any more.
pub(crate) fn taken_on(s: &mut Step<'_, '_>, head: &HeadRow) -> Result<(), StoreError> {
    for (place, row) in keep::conflicts(s, &head.header.key())? {
        if row.from.is_none() && row.header.content == head.header.content {
            keep::drop_conflict(s, &place, &row)?;
        }
    }
    Ok(())
}

/// The revision that is kept beside an object.
pub(super) fn found(s: &Step<'_, '_>, key: &ObjectKey, id: &Hash) -> Result<(Vec<u8>, HeadRow), Failure> {
    let place = rows::conflict_key(key, id).clone();
    let row = txn::get(s.txn, Table::Conflict, &place)?;
    Ok((place, row.ok_or(Refusal::NoConflict { key: *key, revision: *id })?))
}

/// A revision that was kept beside is not wanted, or the newest of what is only read here since a backup was put back.
pub(crate) fn discard(s: &mut Step<'_, '_>, key: &ObjectKey, id: &Hash) -> Result<Answer, Failure> {
    let key = query::current_key(s.txn, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    // It moves along with an object that is sealed.
    if s.engine.moving.hold(&key).is_some() {
        return Err(Refusal::Leaving(key).into());
    }
    if head.header.id() == *id && !head.header.tombstone && is_of_earlier_life(s, &head)? {
        // No tombstone: others may know more of it. The copy goes, as that of an object that lives elsewhere.
        life::object_gone(s, key);
        keep::forget(s, &head)?;
        return Ok(Answer::Object { header: Box::new(head.header), change: Change::Dropped });
    }
    let (place, row) = found(s, &key, id)?;
    keep::drop_conflict(s, &place, &row)?;
    Ok(Answer::Object { header: Box::new(head.header), change: Change::Resolved })
}
