//! The index by which objects are found, kept beside the engine. ADR 0018.
//!
//! Nothing of it happens before somebody looks for something. From then on the engine's thread notes the keys of the heads
//! that it commits, and who looks next reads those objects anew before anything else.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};

use once_core::find::Index;
use once_core::store::{Batch, Read, StoreError, Table};
use once_model::ids::ObjectKey;
use once_model::limits::FIND_INDEX_MAX_OBJECTS;

use crate::Error;
use crate::error::OrError;
use crate::lock::lock;

/// Objects that may have changed since somebody looked last, about 3 MiB. If more have, the index is built anew when it is
/// wanted again.
const CHANGES_MAX: usize = 32_768;

/// The index, and what it has not seen yet.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// Changes are noted: the index is there, or is being built.
    is_kept: AtomicBool,
    /// Objects whose heads were written since the index was told last.
    changed: Mutex<HashSet<ObjectKey>>,
    index: RwLock<Option<Index>>,
    /// One thread builds it.
    building: Mutex<()>,
    /// It would be too large: nobody need try again.
    is_too_large: AtomicBool,
}

impl Catalog {
    /// These heads are committed, and readers see it. Runs on the engine's thread.
    pub fn committed(&self, heads: Vec<ObjectKey>) {
        // Now, and not before the commit: who builds the index takes a snapshot after it has said so.
        if !self.is_kept() {
            return;
        }
        let mut changed = lock(&self.changed);
        changed.extend(heads);
        if changed.len() > CHANGES_MAX {
            drop(changed);
            self.forget();
        }
    }

    /// The store was opened again, or too much has changed: what the index says may be wrong.
    pub fn forget(&self) {
        self.is_kept.store(false, Ordering::Release);
        lock(&self.changed).clear();
    }

    /// Looks into the store as of the last commit, with the index if there is one. That may take long: beside other threads.
    pub fn look<S: Read, T>(
        &self,
        newest: impl FnOnce() -> S,
        look: impl FnOnce(&S, Option<&Index>) -> T,
    ) -> T {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // The keys first: what is committed after they were taken is noted for the next look.
        let changed = std::mem::take(&mut *lock(&self.changed));
        let snapshot = newest();
        if !self.is_kept() {
            *index = None;
        }
        if let Some(there) = index.as_mut() {
            let told = changed.iter().try_for_each(|key| there.update(&snapshot, key));
            if told.is_err() || there.is_full() {
                self.forget();
                *index = None;
            }
        }
        let index = RwLockWriteGuard::downgrade(index);
        look(&snapshot, index.as_ref())
    }

    /// Builds the index, unless it is there. That takes long. `false` if it would be too large.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn build<S: Read>(&self, newest: impl FnOnce() -> S) -> Result<bool, StoreError> {
        let _one = lock(&self.building);
        if self.is_too_large.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if self.is_there() {
            return Ok(true);
        }
        lock(&self.changed).clear();
        self.is_kept.store(true, Ordering::Release);
        match Index::build(&newest()) {
            Ok(Some(index)) => {
                *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
                Ok(true)
            }
            Ok(None) => {
                self.forget();
                self.is_too_large.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    /// Whether it is there. One that was forgotten is not, although it still lies here.
    fn is_there(&self) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        self.is_kept() && index.is_some()
    }

    /// Whether somebody should begin to build it.
    pub fn is_wanted(&self) -> bool {
        !self.is_too_large.load(Ordering::Relaxed) && !self.is_kept()
    }

    /// Looks like [`Self::look`], with the index for certain: builds it if it is not there.
    ///
    /// # Errors
    /// When the store cannot be read, or more objects are here than an index holds.
    pub fn look_at_index<S: Read, T>(
        &self,
        newest: impl Fn() -> S,
        look: impl FnOnce(&S, &Index) -> T,
    ) -> Result<T, Error> {
        if self.build(&newest).or_error()?
            && let Some(seen) = self.look(newest, |rows, index| index.map(|index| look(rows, index)))
        {
            return Ok(seen);
        }
        Err(Error::invalid(format!(
            "more than {FIND_INDEX_MAX_OBJECTS} objects are here, or very many change just now"
        ))
        .with_hint("without an order by name, component or time they are listed as they come: `once ls`"))
    }
}

/// The objects whose heads a batch writes or removes.
pub(crate) fn heads_in(batch: &Batch) -> Vec<ObjectKey> {
    let heads = batch.rows.iter().filter(|(table, ..)| *table == Table::Head);
    heads.filter_map(|(_, key, _)| ObjectKey::from_row(key)).collect()
}

#[cfg(test)]
mod tests {
    use once_core::memory::MemoryStore;
    use once_core::store::Store;
    use once_model::ids::{Hash, Line, Uuid};

    use super::*;

    fn key(n: u128) -> ObjectKey {
        ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([1; 32])) }
    }

    fn has_index(catalog: &Catalog, store: &MemoryStore) -> bool {
        catalog.look(|| store.snapshot(), |_, index| index.is_some())
    }

    #[test]
    fn nothing_is_noted_before_somebody_looks_and_too_much_is_forgotten() {
        let (catalog, store) = (Catalog::default(), MemoryStore::default());
        catalog.committed(vec![key(1)]);
        assert!(lock(&catalog.changed).is_empty());
        assert!(catalog.is_wanted() && !has_index(&catalog, &store));
        assert_eq!(catalog.build(|| store.snapshot()), Ok(true));
        assert!(!catalog.is_wanted() && has_index(&catalog, &store));
        catalog.committed(vec![key(1), key(2), key(1)]);
        assert_eq!(lock(&catalog.changed).len(), 2);
        assert!(has_index(&catalog, &store) && lock(&catalog.changed).is_empty());
        catalog.committed((0..=CHANGES_MAX as u128).map(key).collect());
        assert!(catalog.is_wanted() && lock(&catalog.changed).is_empty());
        assert!(!has_index(&catalog, &store));
        // And it is built anew.
        assert!(catalog.look_at_index(|| store.snapshot(), |_, _| ()).is_ok());
        catalog.forget();
        assert!(!has_index(&catalog, &store));
    }

    #[test]
    fn what_is_committed_while_it_is_built_is_noted() {
        let (catalog, store) = (Catalog::default(), MemoryStore::default());
        let built = catalog.build(|| {
            // Between the note that changes count, and the snapshot.
            catalog.committed(vec![key(7)]);
            store.snapshot()
        });
        assert_eq!(built, Ok(true));
        assert!(lock(&catalog.changed).contains(&key(7)));
    }

    #[test]
    fn the_heads_of_a_batch_are_seen() {
        let rows = vec![
            (Table::Head, key(1).to_row().to_vec(), None),
            (Table::Body, key(2).to_row().to_vec(), None),
            (Table::Head, vec![1], None),
        ];
        assert_eq!(heads_in(&Batch { rows }), [key(1)]);
    }
}
