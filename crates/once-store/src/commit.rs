//! The store: one commit at a time, and the end of it.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fjall::{AbstractTree, Database, Keyspace, OwnedWriteBatch, PersistMode, Slice};
use once_core::store::{Batch, Durability, Store, StoreError, Table};

use crate::cache::RowCache;
use crate::disk::{can_open_files, free_bytes};
use crate::journal::{self, SYNCED};
use crate::lock::Lock;
use crate::options::KEY_BYTES;
use crate::read::{FjallSnapshot, disk_key};

/// A commit waits while a keyspace has more memtables than this still to be written. fjall waits at 4, without
/// noticing when the thread that should write them is gone; here that ends in an error.
const SEALED_MAX: usize = 1;

/// The same for sorted runs that wait to be merged; fjall waits at 30.
const RUNS_MAX: usize = 20;

/// A batch that adds no more than this may use half of the reserve: what removes rows, and so makes room, adds little.
const SMALL_BYTES: u64 = 4096;

/// Between two looks at whether the background threads have caught up.
const WAIT: Duration = Duration::from_millis(1);

/// What a store and its snapshots share. The lock goes last.
pub(crate) struct Inner {
    pub rows: Keyspace,
    pub bodies: Keyspace,
    pub db: Database,
    pub path: PathBuf,
    pub lock: Arc<Lock>,
}

impl Inner {
    pub(crate) fn keyspace(&self, table: Table) -> &Keyspace {
        match table {
            Table::Body | Table::Luggage => &self.bodies,
            _ => &self.rows,
        }
    }

    /// Whether a write or a sync has failed, on any thread.
    fn is_poisoned(&self) -> bool {
        // It asks for nothing to be synced, and everything was handed to the system already.
        self.db.persist(PersistMode::Buffer).is_err()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_poisoned() {
            let _ = self.lock.say(true);
        }
    }
}

/// The [`Store`] port on fjall.
///
/// One thread commits (`&mut self`); snapshots are read anywhere. Dropping it without [`FjallStore::close`] is as
/// safe as a crash: nothing committed is lost to the process, but the next open replays the journal.
pub struct FjallStore {
    inner: Arc<Inner>,
    pub(crate) cache: RefCell<RowCache>,
    reserve_bytes: u64,
    /// Everything committed is on disk.
    synced: bool,
    /// Why no further commit is taken.
    failed: Option<Failed>,
}

/// Why a store takes no commit until it is opened again.
#[derive(Debug)]
enum Failed {
    /// A write or a sync failed.
    Write(String),
    /// One had failed before it was opened, and the disk had no room to write the journal anew: what it shows may not be
    /// on the disk.
    Stale,
    /// It was opened for reading: it is damaged.
    OnlyReads,
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl FjallStore {
    /// Opening has synced whatever was recovered.
    pub(crate) fn new(inner: Inner, reserve_bytes: u64) -> Self {
        let cache = RefCell::default();
        Self { inner: Arc::new(inner), cache, reserve_bytes, synced: true, failed: None }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// For reading only, until it is opened again: the disk has no room to make it safe to build upon.
    pub(crate) fn is_stale(&mut self) {
        self.failed = Some(Failed::Stale);
    }

    /// For reading only, until it is opened again: it is damaged.
    pub(crate) fn only_reads(&mut self) {
        self.failed = Some(Failed::OnlyReads);
    }

    /// Whether a write or a sync has failed, also on a background thread, or before it was opened on a disk without room
    /// to repair that. Then no commit is taken: open the store again. One that is only read for its damage would be as it is.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let store = once_store::FjallStore::open(dir.path(), once_store::Options::default())?;
    /// assert!(!store.is_poisoned());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        let is_failed = matches!(self.failed, Some(Failed::Write(_) | Failed::Stale));
        is_failed || self.inner.is_poisoned()
    }

    /// Writes the memtables out and syncs, so that the next open has nothing to replay. The data directory is free
    /// once the snapshots are gone too.
    ///
    /// # Errors
    /// When that fails. What was committed as synced is safe all the same. Without room for that it only syncs.
    pub fn close(mut self) -> Result<(), StoreError> {
        if matches!(self.failed, Some(Failed::Stale | Failed::OnlyReads)) {
            return Ok(());
        }
        self.refuse_if_failed()?;
        if self.free_bytes() < self.reserve_bytes || !can_open_files(&self.inner.path) {
            // Tables need room and open files; the journal has it all, and the next open replays it. If a table was tried and there was
            // no room, then nothing can be synced through this handle, and dropping it says so to the next.
            return if self.inner.is_poisoned() { Ok(()) } else { self.sync() };
        }
        let rotated = self.inner.rows.rotate_memtable().and_then(|_| self.inner.bodies.rotate_memtable());
        if let Err(error) = rotated {
            return Err(self.fail("flushing", &error));
        }
        self.wait_until(|keyspace| keyspace.sealed_memtable_count() == 0)?;
        if journal::is_blank(&self.inner.path) {
            self.begin_journal()?;
        }
        self.sync()
    }

    /// Writes a first batch to a new journal: the row of every batch after a sync. On a full disk it comes later.
    pub(crate) fn begin_journal(&mut self) -> Result<(), StoreError> {
        if self.free_bytes() < self.reserve_bytes / 2 {
            return Ok(());
        }
        let mut write = OwnedWriteBatch::with_capacity(self.inner.db.clone(), 1);
        write.insert(&self.inner.rows, SYNCED, Slice::default());
        let done = write.durability(Some(PersistMode::SyncData)).commit();
        done.map_err(|error| self.fail("writing the journal", &error))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.inner.db.persist(PersistMode::SyncAll).map_err(|error| self.fail("syncing", &error))
    }

    /// Where the room cannot be told, the write itself will show it.
    fn free_bytes(&self) -> u64 {
        free_bytes(&self.inner.path).unwrap_or(u64::MAX)
    }

    /// Remembers that nothing is certain any more, here and for the process that opens the directory next.
    fn fail(&mut self, what: &str, error: &fjall::Error) -> StoreError {
        let reason = match error {
            fjall::Error::Poisoned => "a write in the background failed".into(),
            other => format!("{what}: {}", crate::error::reason(other)),
        };
        tracing::error!(path = %self.inner.path.display(), reason, "the store failed and takes no more commits");
        let _ = self.inner.lock.say(true);
        self.failed = Some(Failed::Write(reason.clone()));
        StoreError::Io(reason)
    }

    fn refuse_if_failed(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(Failed::Write(reason)) => {
                Err(StoreError::Io(format!("it failed earlier ({reason}); open it again")))
            }
            Some(Failed::Stale) => Err(StoreError::Full),
            Some(Failed::OnlyReads) => Err(StoreError::damaged(
                Table::Meta,
                &[],
                "files of this store are damaged, and it is only read",
            )),
            None => Ok(()),
        }
    }

    /// Refuses a batch that adds rows when little room is left. Nothing was tried, so the store goes on.
    fn refuse_if_full(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let added = |(_, key, value): &(_, Vec<u8>, Option<Bytes>)| Some(key.len() + value.as_ref()?.len());
        let added = batch.rows.iter().filter_map(added).sum::<usize>() as u64;
        let reserve = if added <= SMALL_BYTES { self.reserve_bytes / 2 } else { self.reserve_bytes };
        if self.free_bytes().saturating_sub(added) >= reserve {
            return Ok(());
        }
        match self.inner.is_poisoned() {
            true => Err(self.fail("writing", &fjall::Error::Poisoned)),
            false => Err(StoreError::Full),
        }
    }

    /// Waits for the background threads, as long as they live.
    fn wait_until(&mut self, done: impl Fn(&Keyspace) -> bool) -> Result<(), StoreError> {
        while !(done(&self.inner.rows) && done(&self.inner.bodies)) {
            if self.inner.is_poisoned() {
                return Err(self.fail("flushing", &fjall::Error::Poisoned));
            }
            std::thread::sleep(WAIT);
        }
        Ok(())
    }

    fn fjall_batch(&self, batch: &Batch) -> OwnedWriteBatch {
        let mut write = OwnedWriteBatch::with_capacity(self.inner.db.clone(), 1 + batch.rows.len());
        if self.synced {
            write.insert(&self.inner.rows, SYNCED, Slice::default());
        }
        for (table, key, value) in &batch.rows {
            let (keyspace, key) = (self.inner.keyspace(*table), disk_key(*table, key));
            match value {
                // A copy: a slice of a larger buffer would keep all of that in the memtable.
                Some(value) => write.insert(keyspace, key, Slice::from(&value[..])),
                None => write.remove(keyspace, key),
            }
        }
        write
    }
}

impl Store for FjallStore {
    type Snapshot = FjallSnapshot;

    fn snapshot(&self) -> FjallSnapshot {
        // Not during a commit, which has `&mut self`: fjall's background threads move the moment that a new snapshot
        // shows past a batch that is still being applied.
        FjallSnapshot::new(Arc::clone(&self.inner))
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.refuse_if_failed()?;
        refuse_if_too_long(&batch)?;
        self.refuse_if_full(&batch)?;
        self.wait_until(|keyspace| {
            keyspace.sealed_memtable_count() <= SEALED_MAX && keyspace.tree.l0_run_count() < RUNS_MAX
        })?;
        let mode = match durability {
            // Handed to the system: a killed process loses nothing.
            Durability::Buffered => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncData,
        };
        let done = match batch.rows.is_empty() {
            true => self.inner.db.persist(mode),
            false => self.fjall_batch(&batch).durability(Some(mode)).commit(),
        };
        if let Err(error) = done {
            return Err(self.fail("writing the journal", &error));
        }
        self.synced = durability == Durability::Synced || (self.synced && batch.rows.is_empty());
        let cache = self.cache.get_mut();
        for (table, key, value) in batch.rows {
            cache.committed(table, disk_key(table, &key), value);
        }
        Ok(())
    }
}

/// fjall panics at what it cannot hold.
fn refuse_if_too_long(batch: &Batch) -> Result<(), StoreError> {
    for (table, key, value) in &batch.rows {
        if key.len() > KEY_BYTES || value.as_ref().is_some_and(|value| u32::try_from(value.len()).is_err()) {
            return Err(StoreError::Io(format!(
                "a row of {table:?} is too long: its key has {} bytes",
                key.len()
            )));
        }
    }
    Ok(())
}
