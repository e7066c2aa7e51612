//! Earlier revisions that are kept: those that this kernel, as an object's home, has replaced. ADR 0020.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};
use once_model::header::Header;
use once_model::ids::{Hash, ObjectKey};
use once_model::limits::{REVISIONS_MAX, REVISIONS_MAX_BYTES};

use super::HeadRow;
use crate::engine::Step;
use crate::store::{Read, StoreError, Table, has_any, scan_prefix};
use crate::txn;

/// [`Table::Revision`]: a revision that was replaced here, and whose bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevisionRow {
    /// Header of the kept revision.
    #[n(0)]
    pub header: Header,
    /// When it was made, by this kernel's clock, in milliseconds since 1970.
    #[n(1)]
    pub stored_ms: u64,
}

/// Key of a kept revision: object key, then its number.
#[must_use]
pub fn revision_key(key: &ObjectKey, number: u64) -> Vec<u8> {
    [key.to_row().as_slice(), &number.to_be_bytes()].concat()
}

/// An earlier revision of an object, if it is kept here.
///
/// # Errors
/// When the store cannot be read.
pub fn revision(rows: &dyn Read, key: &ObjectKey, number: u64) -> Result<Option<RevisionRow>, StoreError> {
    txn::get(rows, Table::Revision, &revision_key(key, number))
}

/// The earlier revisions of an object that are kept here, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn revisions(rows: &dyn Read, key: &ObjectKey) -> Result<Vec<RevisionRow>, StoreError> {
    let mut found = Vec::new();
    scan_prefix(rows, Table::Revision, &key.to_row(), &mut |place, value| {
        found.push((place.to_vec(), value));
        ControlFlow::Continue(())
    })?;
    let row = |(place, value): (Vec<u8>, bytes::Bytes)| {
        txn::decode(Table::Revision, &value).map_err(|error: StoreError| error.at(&place))
    };
    found.into_iter().map(row).collect()
}

/// Whether any revision is kept here, or will be. Without the setting that is looked at once: then a change costs nothing.
fn is_used(s: &mut Step<'_, '_>) -> Result<bool, StoreError> {
    if s.engine.limits.revisions > 0 {
        return Ok(true);
    }
    if let Some(used) = s.engine.object.keeps_revisions {
        return Ok(used);
    }
    let used = has_any(s.txn, Table::Revision, &[])?;
    s.engine.object.keeps_revisions = Some(used);
    Ok(used)
}

/// A head is replaced by another one, which is written already. Returns the revisions of which nothing names the row any more:
/// their bodies may go.
pub(super) fn replaced(
    s: &mut Step<'_, '_>,
    old: &HeadRow,
    new: &HeadRow,
) -> Result<Vec<Header>, StoreError> {
    if !is_used(s)? {
        return Ok(Vec::new());
    }
    let key = old.header.key();
    if new.header.tombstone || new.header.key() != key {
        return forget(s, &key);
    }
    let mut kept = revisions(s.txn, &key)?;
    let mut gone = Vec::new();
    let most = s.engine.limits.revisions.min(REVISIONS_MAX);
    let is_own = old.home == Some(s.ctx.me) && new.home == Some(s.ctx.me) && !old.header.tombstone;
    if most > 0 && is_own && old.header.size <= REVISIONS_MAX_BYTES {
        // A home that was given back after a loss counts from where it stood: of two with one number the later one counts.
        gone.extend(kept.extract_if(.., |row| row.header.revision == old.header.revision));
        let row = RevisionRow { header: old.header.clone(), stored_ms: old.stored_ms };
        s.txn.put(Table::Revision, &revision_key(&key, old.header.revision), &row);
        kept.push(row);
    }
    let mut bytes: u64 = kept.iter().map(|row| row.header.size).sum();
    let mut rest = kept.into_iter();
    while rest.len() > most || bytes > REVISIONS_MAX_BYTES {
        let Some(oldest) = rest.next() else { break };
        bytes = bytes.saturating_sub(oldest.header.size);
        s.txn.delete(Table::Revision, &revision_key(&key, oldest.header.revision));
        gone.push(oldest);
    }
    Ok(gone.into_iter().map(|row| row.header).collect())
}

/// Nothing of an object is kept any more. Returns what was: the bodies may go.
pub(super) fn forget(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<Vec<Header>, StoreError> {
    if !is_used(s)? {
        return Ok(Vec::new());
    }
    let kept = revisions(s.txn, key)?;
    for row in &kept {
        s.txn.delete(Table::Revision, &revision_key(key, row.header.revision));
    }
    Ok(kept.into_iter().map(|row| row.header).collect())
}

/// Whether a revision that is kept has these bytes.
pub(super) fn names(s: &mut Step<'_, '_>, key: &ObjectKey, content: &Hash) -> Result<bool, StoreError> {
    if !is_used(s)? || mutant!(ForgetRevisionBody) {
        return Ok(false);
    }
    Ok(revisions(s.txn, key)?.iter().any(|row| row.header.content == *content))
}
