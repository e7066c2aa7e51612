//! A kernel's disk: the memory store with its crash model, and a note of what the last commit changed, for the
//! checkers.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::wear::{SMALL_BATCH_BYTES, STORE_RESERVE_BYTES};
use bytes::Bytes;
use once_core::memory::{DiskFault, MemorySnapshot, MemoryStore};
use once_core::store::{Batch, Durability, Read, Store, StoreError, Table, Visit};
use once_model::ids::ObjectKey;

/// One row that a commit changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The table of the row.
    pub table: Table,
    /// The row's key.
    pub key: Vec<u8>,
    /// What it was.
    pub before: Option<Bytes>,
    /// What it is.
    pub after: Option<Bytes>,
}

/// A commit that took effect.
#[derive(Debug, Default)]
pub struct Commit {
    /// What it changed.
    pub rows: Vec<Changed>,
    /// Whether it waited for the disk.
    pub synced: bool,
}

/// The disk of one kernel.
#[derive(Debug, Default)]
pub struct Disk {
    store: MemoryStore,
    commits: Rc<Cell<u64>>,
    rows: u64,
    last: Option<Commit>,
    in_doubt: Vec<(Table, Vec<u8>)>,
    /// So many reads of the engine still succeed; after that none, and no commit.
    reads_left: Cell<Option<u64>>,
    /// A row that cannot be read while the engine looks: what is there instead.
    pub(crate) damaged: Option<(Table, Vec<u8>)>,
    /// A damaged row was written anew or removed: what the engine has parked for it waits for the next start all the same.
    written_over: bool,
    /// The engine looks, not a checker.
    engine_reads: Cell<bool>,
    /// The damage was met.
    met: Cell<[bool; 2]>,
    /// Objects whose heads were written since the index of this kernel was told.
    pub(crate) heads: BTreeSet<ObjectKey>,
    /// Free bytes; none: more than it will ever need.
    pub(crate) room: Option<u64>,
}

/// What stands in a damaged row: nothing that anybody writes.
const DAMAGE: Bytes = Bytes::from_static(&[0xff; 7]);

fn unread() -> StoreError {
    StoreError::Io("the disk does not answer".into())
}

impl Disk {
    /// Counts the commits that took effect: shared, so that it can be read while the disk is lent to the engine.
    #[must_use]
    pub fn commits(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.commits)
    }

    /// Rows that all commits together wrote or removed.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.rows
    }

    /// What the last commit changed, once.
    pub fn take_last(&mut self) -> Option<Commit> {
        self.last.take()
    }

    /// Rows of a commit whose sync failed: after the crash they may be the old or the new ones.
    pub fn take_in_doubt(&mut self) -> Vec<(Table, Vec<u8>)> {
        std::mem::take(&mut self.in_doubt)
    }

    /// What the next commit does.
    pub fn set_fault(&mut self, fault: DiskFault) {
        self.store.fault = fault;
    }

    /// So many reads succeed from now on, and nothing after that; with nothing, all do again. Whether any had failed.
    pub fn fail_after(&mut self, reads: Option<u64>) -> bool {
        self.reads_left.replace(reads) == Some(0)
    }

    /// From now on the engine reads: so many reads succeed, and what is damaged cannot be read.
    pub fn lend(&mut self, reads: Option<u64>) {
        self.fail_after(reads);
        self.engine_reads.set(true);
    }

    /// From now on others read. Whether any read had failed.
    pub fn take_back(&mut self) -> bool {
        self.engine_reads.set(false);
        self.fail_after(None)
    }

    /// What the engine has met of what was damaged: a row, a body.
    pub fn damage_met(&self) -> [bool; 2] {
        self.met.get()
    }

    /// Mends what is damaged. Whether anything was, or had been and was written over since: the kernel must start anew.
    pub(crate) fn mend(&mut self) -> bool {
        self.damaged.take().is_some() | std::mem::take(&mut self.written_over)
    }

    fn is_damaged(&self, table: Table, key: &[u8]) -> bool {
        let Some((bad, row)) = &self.damaged else { return false };
        let is_it = self.engine_reads.get() && *bad == table && row == key;
        if is_it {
            let [row, body] = self.met.get();
            self.met.set([row || table != Table::Body, body || table == Table::Body]);
        }
        is_it
    }

    fn reads(&self) -> Result<(), StoreError> {
        match self.reads_left.get() {
            Some(0) => Err(unread()),
            left => {
                self.reads_left.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }

    /// Whether a batch has room, as the store counts: its reserve stays free, or half of it for a small one.
    fn take_room(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Some(room) = self.room else { return Ok(()) };
        let put = batch.rows.iter().filter_map(|(_, key, value)| Some(key.len() + value.as_ref()?.len()));
        let added = put.sum::<usize>() as u64;
        let reserve = if added <= SMALL_BATCH_BYTES { STORE_RESERVE_BYTES / 2 } else { STORE_RESERVE_BYTES };
        let left = room.saturating_sub(added);
        if left < reserve {
            return Err(StoreError::Full);
        }
        self.room = Some(left);
        Ok(())
    }

    /// How many commits a crash may take.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.store.unsynced()
    }

    /// Power loss: see [`MemoryStore::crash`].
    pub fn crash(&mut self, survivors: usize) {
        self.store.crash(survivors);
    }

    /// A row as it survives any crash.
    #[must_use]
    pub fn durable(&self, table: Table, key: &[u8]) -> Option<&Bytes> {
        self.store.durable(table, key)
    }

    /// What is on it for good, for a backup.
    #[must_use]
    pub fn backup(&self) -> MemoryStore {
        let mut copy = self.store.clone();
        copy.crash(0);
        copy
    }

    /// Puts a backup back.
    pub fn restore(&mut self, backup: MemoryStore) {
        self.store = backup;
    }
}

impl Read for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reads()?;
        if self.is_damaged(table, key) {
            // Of bytes that are amiss the receiver finds out; here they are gone.
            return Ok((table != Table::Body).then_some(DAMAGE));
        }
        self.store.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.reads()?;
        self.store.scan(table, from, to, &mut |key, value| {
            visit(key, if self.is_damaged(table, key) { DAMAGE } else { value })
        })
    }
}

impl Store for Disk {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        self.store.snapshot()
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        if self.reads_left.get() == Some(0) {
            return Err(unread());
        }
        self.take_room(&batch)?;
        let mut rows = Vec::with_capacity(batch.rows.len());
        for (table, key, after) in &batch.rows {
            let before = self.store.get(*table, key)?;
            rows.push(Changed { table: *table, key: key.clone(), before, after: after.clone() });
        }
        let result = self.store.commit(batch, durability);
        match &result {
            Ok(()) => {
                // What is written anew is whole again.
                if self
                    .damaged
                    .as_ref()
                    .is_some_and(|bad| rows.iter().any(|row| (row.table, &row.key) == (bad.0, &bad.1)))
                {
                    self.damaged = None;
                    self.written_over = true;
                }
                let heads = rows.iter().filter(|row| row.table == Table::Head);
                self.heads.extend(heads.filter_map(|row| ObjectKey::from_row(&row.key)));
                self.commits.set(self.commits.get() + 1);
                self.rows += rows.len() as u64;
                self.last = Some(Commit { rows, synced: durability == Durability::Synced });
            }
            Err(StoreError::Full) => {}
            Err(_) => self.in_doubt.extend(rows.into_iter().map(|row| (row.table, row.key))),
        }
        result
    }
}
