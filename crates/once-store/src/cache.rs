//! Rows that were read or written lately, so that the next step does not search the store for them again.
//!
//! A share touches the same few rows several times: its debt when it is made, sent and answered, its head before each
//! of these, the peer and its grants every time. A search costs one to several microseconds: a skip list, then a filter
//! and perhaps a block of each sorted run. Also that a row is *not* there is remembered: it is the dearest search.
//!
//! Nobody follows most objects, they have no timers, and no conflict is kept beside them: that an object has no such rows is
//! remembered too. Each change asks for some of them, and a move for all, more than once; and opening a range costs as much as
//! the rest of a change.
//!
//! Only the committing thread reads through it. Snapshots do not: they show an earlier moment.

use std::collections::HashMap;

use bytes::Bytes;
use once_core::store::{Table, prefix_end};
use once_model::ids::ObjectKey;

/// Bytes of keys and values in each of the two generations, with [`ROW_BYTES`] for each row: some ten thousand rows,
/// enough for what is under way to some peers, and for some thousand objects that are acted on in turn.
const GENERATION_BYTES: usize = 4 * 1024 * 1024;

/// What a row takes besides its key and value, about, in bytes.
const ROW_BYTES: usize = 128;

/// A longer value is not worth its room.
const VALUE_BYTES: usize = 4096;

/// Keys are long, and hashed a dozen times for an action: the standard library's hash costs as much as the rest of a look.
/// This one is seeded at random, too, and a generation is small.
type Rows = HashMap<Box<[u8]>, Option<Bytes>, foldhash::fast::RandomState>;

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

    /// Whether it is known that an object has no row in a table.
    pub fn has_none(&mut self, object: &[u8]) -> bool {
        self.get(&none_of(object)).is_some()
    }

    /// Remembers that an object has no row in a table.
    pub fn found_none(&mut self, object: &[u8]) {
        self.put(none_of(object).into_boxed_slice(), None);
    }

    /// A row of a batch that was committed.
    pub fn committed(&mut self, table: Table, disk_key: Vec<u8>, value: Option<Bytes>) {
        if value.is_some()
            && let Some(object) = front_len(table).and_then(|front| disk_key.get(..=front))
        {
            self.forget(&none_of(object));
        }
        if !is_worth_it(table, value.as_ref()) {
            return self.forget(&disk_key);
        }
        self.old.remove(disk_key.as_slice());
        let value = match table {
            // A copy: it is a slice of the frame in which it came.
            Table::Body => value.map(|body| Bytes::copy_from_slice(&body)),
            _ => value,
        };
        self.put(disk_key.into_boxed_slice(), value);
    }

    fn forget(&mut self, disk_key: &[u8]) {
        self.old.remove(disk_key);
        if let Some(value) = self.young.remove(disk_key) {
            self.young_bytes -= cost(disk_key.len(), value.as_ref());
        }
    }

    fn put(&mut self, disk_key: Box<[u8]>, value: Option<Bytes>) {
        let key_len = disk_key.len();
        self.young_bytes += cost(key_len, value.as_ref());
        if let Some(replaced) = self.young.insert(disk_key, value) {
            self.young_bytes -= cost(key_len, replaced.as_ref());
        }
        if self.young_bytes > GENERATION_BYTES {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
    }
}

fn cost(key_len: usize, value: Option<&Bytes>) -> usize {
    ROW_BYTES + key_len + value.map_or(0, Bytes::len)
}

/// The key under which it is remembered that an object has no row in a table: that of no row.
fn none_of(object: &[u8]) -> Vec<u8> {
    let mut none = object.to_vec();
    if let Some(table) = none.first_mut() {
        *table |= 0x80;
    }
    none
}

/// Of a table in which most objects have no row: how long the front of a key is that names the object.
fn front_len(table: Table) -> Option<usize> {
    match table {
        Table::Follower
        | Table::Conflict
        | Table::Timer
        | Table::Activity
        | Table::Acquaintance
        | Table::Lane
        | Table::Sending => Some(ObjectKey::ROW_LEN),
        // A byte for the scope comes first.
        Table::Grant => Some(1 + ObjectKey::ROW_LEN),
        _ => None,
    }
}

/// Whether a range is that of one object, in a table in which most objects have no row.
pub(crate) fn is_of_object(table: Table, from: &[u8], to: Option<&[u8]>) -> bool {
    front_len(table) == Some(from.len()) && to == prefix_end(from).as_deref()
}

/// A body that is gone, and what has left the queue, is never asked for again.
fn is_worth_it(table: Table, value: Option<&Bytes>) -> bool {
    match value {
        Some(value) => value.len() <= VALUE_BYTES,
        None => !matches!(table, Table::Body | Table::Queue),
    }
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
    fn that_an_object_has_no_rows_is_remembered_until_it_has_one() {
        let object = vec![Table::Follower as u8; 1 + ObjectKey::ROW_LEN];
        let follower = [object.as_slice(), &[7; 32]].concat();
        let mut cache = RowCache::default();
        assert!(is_of_object(Table::Follower, &object[1..], prefix_end(&object[1..]).as_deref()));
        assert!(!is_of_object(Table::Follower, &follower[1..], prefix_end(&follower[1..]).as_deref()));
        assert!(!is_of_object(Table::Follower, &object[1..], None));
        for old in [false, true] {
            cache.found_none(&object);
            if old {
                cache = aged(cache);
            }
            cache.committed(Table::Follower, follower.clone(), None);
            assert!(cache.has_none(&object), "one less");
            if old {
                cache = aged(cache);
            }
            cache.committed(Table::Follower, follower.clone(), Some(Bytes::from_static(b"1")));
            assert!(!cache.has_none(&object));
            assert_eq!(cache.get(&object), None, "that is no row");
        }
    }

    #[test]
    fn what_is_replaced_is_not_counted_twice() {
        let mut cache = RowCache::default();
        for _ in 0..100_000 {
            cache.committed(Table::Head, b"a".to_vec(), Some(vec![0; 1000].into()));
        }
        assert_eq!(cache.young_bytes, ROW_BYTES + 1001);
        cache.committed(Table::Head, b"a".to_vec(), Some(vec![0; VALUE_BYTES + 1].into()));
        assert_eq!(cache.young_bytes, 0);
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
