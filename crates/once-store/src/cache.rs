//! Rows that were read or written lately, so that the next step does not search the store for them again.
//!
//! A share touches the same few rows several times: its debt when it is made, sent and answered, its head before each
//! of these, the peer and its grants every time. A search costs one to several microseconds: a skip list, then a filter
//! and perhaps a block of each sorted run. Also that a row is *not* there is remembered: it is the dearest search.
//!
//! Only the committing thread reads through it. Snapshots do not: they show an earlier moment.

use std::collections::HashMap;

use bytes::Bytes;
use once_core::store::Table;

/// Bytes of keys and values in each of the two generations, with [`ROW_BYTES`] for each row: a few thousand rows,
/// enough for what is under way to some peers.
const GENERATION_BYTES: usize = 1024 * 1024;

/// What a row takes besides its key and value, about, in bytes.
const ROW_BYTES: usize = 128;

/// A longer value is not worth its room.
const VALUE_BYTES: usize = 4096;

type Rows = HashMap<Box<[u8]>, Option<Bytes>>;

/// Two generations: what is used moves to the young one; when that is full it becomes the old one, and what the old
/// one still held is forgotten.
#[derive(Default)]
pub(crate) struct RowCache {
    /// By the key on disk, which begins with the table's number.
    young: Rows,
    young_bytes: usize,
    old: Rows,
}

impl RowCache {
    /// What is known of a row: `Some(None)` if it is known that there is none.
    pub fn get(&mut self, disk_key: &[u8]) -> Option<Option<Bytes>> {
        if let Some(value) = self.young.get(disk_key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(disk_key)?;
        self.put(key, value.clone());
        Some(value)
    }

    /// Remembers what a search found.
    pub fn found(&mut self, table: Table, disk_key: Vec<u8>, value: Option<&Bytes>) {
        if is_worth_it(table, value) {
            // A copy: what the store returns is a slice of a whole block.
            self.put(disk_key.into_boxed_slice(), value.map(|value| Bytes::copy_from_slice(value)));
        }
    }

    /// A row of a batch that was committed.
    pub fn committed(&mut self, table: Table, disk_key: Vec<u8>, value: Option<Bytes>) {
        self.old.remove(disk_key.as_slice());
        if is_worth_it(table, value.as_ref()) {
            self.put(disk_key.into_boxed_slice(), value);
        } else {
            self.young.remove(disk_key.as_slice());
        }
    }

    fn put(&mut self, disk_key: Box<[u8]>, value: Option<Bytes>) {
        self.young_bytes += ROW_BYTES + disk_key.len() + value.as_ref().map_or(0, Bytes::len);
        self.young.insert(disk_key, value);
        if self.young_bytes > GENERATION_BYTES {
            // What was replaced or removed was counted all the same: a generation ends a little early for it.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
    }
}

/// Bodies are read once.
fn is_worth_it(table: Table, value: Option<&Bytes>) -> bool {
    table != Table::Body && value.is_none_or(|value| value.len() <= VALUE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(mut cache: RowCache) -> RowCache {
        cache.old = std::mem::take(&mut cache.young);
        cache
    }

    #[test]
    fn the_newest_value_is_remembered_also_across_generations() {
        let one = Bytes::from_static(b"1");
        let mut cache = RowCache::default();
        cache.found(Table::Head, b"a".to_vec(), None);
        assert_eq!(cache.get(b"a"), Some(None));
        assert_eq!(cache.get(b"b"), None);
        cache = aged(cache);
        cache.committed(Table::Head, b"a".to_vec(), Some(one.clone()));
        assert_eq!(cache.get(b"a"), Some(Some(one.clone())));
        cache = aged(cache);
        assert_eq!(cache.get(b"a"), Some(Some(one)), "it moved along");
        cache.committed(Table::Head, b"a".to_vec(), None);
        assert_eq!(cache.get(b"a"), Some(None));
        cache.committed(Table::Head, b"a".to_vec(), Some(vec![0; VALUE_BYTES + 1].into()));
        assert_eq!(cache.get(b"a"), None, "forgotten rather than wrong");
    }

    #[test]
    fn it_stays_within_its_bound() {
        let mut cache = RowCache::default();
        let mut most = 0;
        for n in 0..100_000_u32 {
            cache.found(Table::Outbox, n.to_be_bytes().to_vec(), Some(&Bytes::from(vec![0; 100])));
            most = most.max(cache.young.len() + cache.old.len());
        }
        assert!(most * (ROW_BYTES + 104) <= 2 * GENERATION_BYTES + 1024, "{most} rows");
    }
}
