//! What is kept beside an object's chain: keeping a file there that is not to be laid over what happened since, and what
//! people decide about it.

use once_model::header::Header;
use once_model::ids::{Hash, ObjectKey};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::scenario::Scenario;

use super::query;
use super::rows;
use super::{HeadRow, SourceRow, draft, keep};
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
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

/// A revision that was kept beside is not wanted.
pub(crate) fn discard(s: &mut Step<'_, '_>, key: &ObjectKey, id: &Hash) -> Result<Answer, Failure> {
    let key = query::current_key(s.txn, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    let (place, row) = found(s, &key, id)?;
    keep::drop_conflict(s, &place, &row)?;
    Ok(Answer::Object { header: Box::new(head.header), change: Change::Resolved })
}
