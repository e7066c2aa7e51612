//! The store as the engine's thread writes it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use once_core::store::{Batch, Durability, Read, Store, StoreError, Table, Visit};
use once_store::{FjallSnapshot, FjallStore};

use super::shared::Shared;
use super::snapshot::{Snapshot, closed};
use crate::catalog::heads_in;
use crate::{Error, ErrorKind};

/// How long readers may hold on to a store that is opened again.
const READERS_MAX: Duration = Duration::from_secs(10);
const READERS_STEP: Duration = Duration::from_millis(10);

fn not_opened(error: Error) -> StoreError {
    match error.kind() {
        ErrorKind::OutOfFiles => StoreError::OutOfFiles,
        _ => StoreError::Io(error.message().to_owned()),
    }
}

/// The store, showing each commit to the readers before anything that rests on it is released.
pub(super) struct Published {
    /// Absent only while it is opened again.
    pub store: Option<FjallStore>,
    pub shared: Arc<Shared>,
}

impl Published {
    pub fn publish(&self, snapshot: Option<FjallSnapshot>) {
        *self.shared.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Snapshot(snapshot);
    }

    pub fn open(&self) -> Result<&FjallStore, StoreError> {
        self.store.as_ref().ok_or_else(closed)
    }

    /// Opens the store again after a write has failed.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.publish(None);
        self.shared.catalog.forget();
        drop(self.store.take());
        let begun = Instant::now();
        let store = loop {
            match crate::datadir::open_store(&self.shared.data) {
                Ok(store) => break store,
                // Readers still hold on to the old one.
                Err(error) if error.kind() == ErrorKind::InUse && begun.elapsed() < READERS_MAX => {
                    std::thread::sleep(READERS_STEP);
                }
                Err(error) => return Err(not_opened(error)),
            }
        };
        let losses = crate::datadir::losses(&self.shared.data).map_err(not_opened)?;
        *crate::net::lock(&self.shared.losses) = losses;
        self.publish(Some(store.snapshot()));
        self.store = Some(store);
        Ok(())
    }
}

impl Read for Published {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.open()?.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.open()?.scan(table, from, to, visit)
    }
}

impl Store for Published {
    type Snapshot = Snapshot;

    fn snapshot(&self) -> Snapshot {
        Snapshot(self.store.as_ref().map(FjallStore::snapshot))
    }

    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let begun = Instant::now();
        let bytes = batch.rows.iter().filter_map(|(_, _, value)| value.as_ref()).map(bytes::Bytes::len).sum();
        let heads = heads_in(&batch);
        let store = self.store.as_mut().ok_or_else(closed)?;
        store.commit(batch, durability)?;
        let snapshot = store.snapshot();
        self.shared.tidy.used(bytes);
        self.publish(Some(snapshot));
        // After that: who is told of a change finds it at once.
        self.shared.catalog.committed(heads);
        // After that, too: readers look here first.
        if let Some(store) = &self.store {
            crate::net::lock(&self.shared.told_early).committed(store);
        }
        let mut metrics = self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.commit(begun.elapsed(), durability == Durability::Synced);
        Ok(())
    }
}
