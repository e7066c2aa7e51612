//! A store in memory with a model of crashes: what was not synced may be lost, in whole batches, newest first.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use super::{Batch, Durability, Read, Store, StoreError, Table, Visit};

type Rows = BTreeMap<Table, BTreeMap<Vec<u8>, Bytes>>;

/// What the next commit does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiskFault {
    /// The commit is written and synced.
    #[default]
    None,
    /// The disk is full: nothing is written.
    Full,
    /// The sync fails: the batch may or may not survive, and the store refuses every further commit until it is
    /// opened again (with [`MemoryStore::crash`]).
    FailedSync,
}

/// A store in memory. Cloning it clones the disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    /// What a process sees.
    live: Arc<Rows>,
    /// What survives any crash.
    durable: Rows,
    /// Committed but not synced, oldest first.
    unsynced: Vec<Batch>,
    /// The next commit's fate.
    pub fault: DiskFault,
    poisoned: bool,
    syncs: u64,
}

fn apply(rows: &mut Rows, batch: Batch) {
    for (table, key, value) in batch.rows {
        let rows = rows.entry(table).or_default();
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

impl MemoryStore {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commits have not been synced: at most this many can be lost.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The value of a row as it survives any crash.
    #[must_use]
    pub fn durable(&self, table: Table, key: &[u8]) -> Option<&Bytes> {
        self.durable.get(&table)?.get(key)
    }

    /// How many syncs there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Power loss: of what was not synced only the `survivors` oldest batches are there after the restart.
    pub fn crash(&mut self, survivors: usize) {
        for batch in self.unsynced.drain(..).take(survivors) {
            apply(&mut self.durable, batch);
        }
        self.live = Arc::new(self.durable.clone());
        self.poisoned = false;
        self.fault = DiskFault::None;
    }
}

impl Read for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(get(&self.live, table, key))
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        scan(&self.live, table, (from, to), visit);
        Ok(())
    }
}

fn get(rows: &Rows, table: Table, key: &[u8]) -> Option<Bytes> {
    rows.get(&table)?.get(key).cloned()
}

fn scan(rows: &Rows, table: Table, (from, to): (&[u8], Option<&[u8]>), visit: Visit<'_>) {
    let Some(rows) = rows.get(&table).filter(|_| to.is_none_or(|to| from < to)) else { return };
    let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
    for (key, value) in rows.range::<[u8], _>(range) {
        if let ControlFlow::Break(()) = visit(key, value.clone()) {
            break;
        }
    }
}

impl Store for MemoryStore {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot(Arc::clone(&self.live))
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Io("an earlier sync failed; open the store again".into()));
        }
        if self.fault == DiskFault::Full {
            return Err(StoreError::Full);
        }
        if self.fault == DiskFault::FailedSync && durability == Durability::Synced {
            self.unsynced.push(batch);
            self.poisoned = true;
            return Err(StoreError::Io("sync failed".into()));
        }
        apply(Arc::make_mut(&mut self.live), batch.clone());
        self.unsynced.push(batch);
        if durability == Durability::Synced {
            self.syncs += 1;
            for batch in self.unsynced.drain(..) {
                apply(&mut self.durable, batch);
            }
        }
        Ok(())
    }
}

/// The rows of a [`MemoryStore`] at one moment.
#[derive(Debug, Clone)]
pub struct MemorySnapshot(Arc<Rows>);

impl Read for MemorySnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(get(&self.0, table, key))
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        scan(&self.0, table, (from, to), visit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: u8) -> Batch {
        Batch { rows: vec![(Table::Meta, vec![key], Some(Bytes::from_static(b"v")))] }
    }

    #[test]
    fn a_crash_takes_the_newest_unsynced_batches_and_spares_synced_ones() {
        let mut store = MemoryStore::new();
        store.commit(put(1), Durability::Synced).unwrap();
        store.commit(put(2), Durability::Buffered).unwrap();
        store.commit(put(3), Durability::Buffered).unwrap();
        store.crash(1);
        assert!(store.get(Table::Meta, &[1]).unwrap().is_some());
        assert!(store.get(Table::Meta, &[2]).unwrap().is_some());
        assert!(store.get(Table::Meta, &[3]).unwrap().is_none());
    }

    #[test]
    fn a_full_disk_writes_nothing_and_a_failed_sync_ends_the_store() {
        let mut store = MemoryStore::new();
        store.fault = DiskFault::Full;
        assert_eq!(store.commit(put(1), Durability::Synced), Err(StoreError::Full));
        assert!(store.get(Table::Meta, &[1]).unwrap().is_none());
        store.fault = DiskFault::FailedSync;
        assert!(store.commit(put(1), Durability::Synced).is_err());
        store.fault = DiskFault::None;
        assert!(store.commit(put(2), Durability::Synced).is_err());
        store.crash(0);
        assert!(store.commit(put(2), Durability::Synced).is_ok());
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut store = MemoryStore::new();
        let before = store.snapshot();
        store.commit(put(1), Durability::Synced).unwrap();
        assert!(before.get(Table::Meta, &[1]).unwrap().is_none());
    }
}
