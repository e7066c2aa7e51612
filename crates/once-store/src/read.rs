//! Reading: the store as it is, and snapshots of it.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Guard, Iter, Readable, Slice, Snapshot};
use once_core::store::{Read, StoreError, Table, Visit};

use crate::cache;
use crate::commit::{FjallStore, Inner};
use crate::error::{self, no_panic};

/// The key of a row on disk.
pub(crate) fn disk_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut disk_key = Vec::with_capacity(1 + key.len());
    disk_key.push(table as u8);
    disk_key.extend_from_slice(key);
    disk_key
}

/// The keys of a table from `from` up to `to` on disk; `None` if there can be none.
fn disk_range(table: Table, from: &[u8], to: Option<&[u8]>) -> Option<Range<Vec<u8>>> {
    let start = disk_key(table, from);
    let end = to.map_or_else(|| vec![table as u8 + 1], |to| disk_key(table, to));
    (start < end).then_some(start..end)
}

fn get_one(
    table: Table,
    key: &[u8],
    get: impl FnOnce() -> fjall::Result<Option<Slice>>,
) -> Result<Option<Bytes>, StoreError> {
    let value = no_panic(get).map_err(|e| error::read(table, &e).at(key))?;
    Ok(value.map(Bytes::from))
}

fn visit_all(table: Table, mut rows: Iter, visit: Visit<'_>) -> Result<(), StoreError> {
    loop {
        let row = no_panic(|| rows.next().map(Guard::into_inner).transpose());
        let Some((key, value)) = row.map_err(|e| error::read(table, &e))? else { return Ok(()) };
        if visit(&key[1..], value.into()).is_break() {
            return Ok(());
        }
    }
}

impl Read for FjallStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let disk_key = disk_key(table, key);
        let known = self.cache.borrow_mut().get(&disk_key);
        if let Some(value) = known {
            return Ok(value);
        }
        let value = get_one(table, key, || self.inner().keyspace(table).get(&disk_key))?;
        self.cache.borrow_mut().found(table, disk_key, value.as_ref());
        Ok(value)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        let Some(range) = disk_range(table, from, to) else { return Ok(()) };
        if !cache::is_of_object(table, from, to) {
            return visit_all(table, self.inner().keyspace(table).range(range), visit);
        }
        let object = range.start.clone();
        if self.cache.borrow_mut().has_none(&object) {
            return Ok(());
        }
        let mut found = false;
        let rows = self.inner().keyspace(table).range(range);
        visit_all(table, rows, &mut |key, value| {
            found = true;
            visit(key, value)
        })?;
        if !found {
            self.cache.borrow_mut().found_none(&object);
        }
        Ok(())
    }
}

/// The rows of a [`FjallStore`] at one moment, in both keyspaces. Cheap to take; while it lives, nothing that it shows
/// is reclaimed, and the data directory stays locked. Drop it soon.
#[derive(Clone)]
pub struct FjallSnapshot {
    snapshot: Snapshot,
    inner: Arc<Inner>,
}

impl FjallSnapshot {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { snapshot: inner.db.snapshot(), inner }
    }
}

impl FjallSnapshot {
    /// Visits the keys of a table as [`Read::scan`] visits its rows, without reading their values: also where those are
    /// damaged.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn keys(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(range) = disk_range(table, from, to) else { return Ok(()) };
        let mut rows = self.snapshot.range(self.inner.keyspace(table), range);
        loop {
            let key = no_panic(|| rows.next().map(Guard::key).transpose());
            let Some(key) = key.map_err(|e| error::read(table, &e))? else { return Ok(()) };
            if visit(&key[1..]).is_break() {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for FjallSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallSnapshot").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Read for FjallSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        get_one(table, key, || self.snapshot.get(self.inner.keyspace(table), disk_key(table, key)))
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        match disk_range(table, from, to) {
            Some(range) => visit_all(table, self.snapshot.range(self.inner.keyspace(table), range), visit),
            None => Ok(()),
        }
    }
}
