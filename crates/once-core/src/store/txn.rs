//! A group's transaction: the store as it was, and over it what the inputs of the group have changed so far.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use once_model::wire::{from_cbor, to_cbor};

use super::{Batch, Durability, Read, StoreError, Table, Visit, scan_prefix};

type Overlay = BTreeMap<Table, BTreeMap<Vec<u8>, Written>>;

/// What a group has made of a row.
#[derive(Debug, Clone)]
struct Written {
    value: Option<Bytes>,
    /// The store has no such row: if it is removed in the same group, there is nothing to write.
    new: bool,
}

/// A point to which a transaction can be taken back; by default its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Savepoint {
    undo: usize,
    synced: bool,
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub struct Write {
    /// The table that was written to.
    pub table: Table,
    /// Key of the row.
    pub key: Vec<u8>,
    /// What it was, and what it is from then on.
    pub values: [Option<Bytes>; 2],
}

/// Reads see the group's own writes; nothing is written before [`Self::into_batch`] is committed.
pub struct Txn<'s> {
    base: &'s dyn Read,
    overlay: Overlay,
    /// What each write replaced in the overlay, newest last.
    undo: Vec<(Table, Vec<u8>, Option<Written>)>,
    synced: bool,
}

impl<'s> Txn<'s> {
    /// A transaction that has changed nothing yet.
    pub fn new(base: &'s dyn Read) -> Self {
        Self { base, overlay: Overlay::new(), undo: Vec::new(), synced: false }
    }

    /// Writes a row whose loss would break a promise: the commit will wait for the disk.
    pub fn put<T: Encode<()>>(&mut self, table: Table, key: &[u8], row: &T) {
        self.synced = true;
        self.write(table, key, Some(to_cbor(row).into()), false);
    }

    /// Writes a row whose loss only repeats work.
    pub fn put_lazily<T: Encode<()>>(&mut self, table: Table, key: &[u8], row: &T) {
        self.write(table, key, Some(to_cbor(row).into()), false);
    }

    /// Writes a row whose loss only repeats work, under a key that the store has never had. One that is removed in the
    /// same group costs nothing.
    pub fn put_new_lazily<T: Encode<()>>(&mut self, table: Table, key: &[u8], row: &T) {
        self.write(table, key, Some(to_cbor(row).into()), true);
    }

    /// Writes raw bytes that must be durable.
    pub fn put_bytes(&mut self, table: Table, key: &[u8], value: Bytes) {
        self.synced = true;
        self.write(table, key, Some(value), false);
    }

    /// Writes raw bytes whose loss only repeats work.
    pub fn put_bytes_lazily(&mut self, table: Table, key: &[u8], value: Bytes) {
        self.write(table, key, Some(value), false);
    }

    /// Removes a row; the removal must be durable.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.synced = true;
        self.write(table, key, None, false);
    }

    /// Removes a row whose return after a crash only repeats work.
    pub fn delete_lazily(&mut self, table: Table, key: &[u8]) {
        self.write(table, key, None, false);
    }

    /// Removes a row if it is there; the removal must be durable. Whether it was there: else nothing is written.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn delete_if_there(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let is_there = self.delete_if_there_lazily(table, key)?;
        self.synced |= is_there;
        Ok(is_there)
    }

    /// The same of a row whose return after a crash only repeats work.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn delete_if_there_lazily(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let is_there = self.get(table, key)?.is_some();
        if is_there {
            self.delete_lazily(table, key);
        }
        Ok(is_there)
    }

    /// Makes the commit wait for the disk, whatever it writes.
    pub fn require_sync(&mut self) {
        self.synced = true;
    }

    /// Whether the commit will wait for the disk, as far as is known by now.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    fn write(&mut self, table: Table, key: &[u8], value: Option<Bytes>, new: bool) {
        let before = match self.overlay.entry(table).or_default().entry(key.to_vec()) {
            Entry::Vacant(_) if new && value.is_none() => None,
            Entry::Vacant(place) => {
                place.insert(Written { value, new });
                None
            }
            Entry::Occupied(place) if value.is_none() && (new || place.get().new) => Some(place.remove()),
            Entry::Occupied(mut place) => {
                let new = new || place.get().new;
                Some(place.insert(Written { value, new }))
            }
        };
        self.undo.push((table, key.to_vec(), before));
    }

    /// Whether this group has written the row: it is not durable yet.
    #[must_use]
    pub fn is_dirty(&self, table: Table, key: &[u8]) -> bool {
        self.overlay.get(&table).is_some_and(|rows| rows.contains_key(key))
    }

    /// Whether this group has written the row, and the store has never had it: taking it away again costs nothing.
    #[must_use]
    pub fn is_new(&self, table: Table, key: &[u8]) -> bool {
        self.overlay.get(&table).and_then(|rows| rows.get(key)).is_some_and(|written| written.new)
    }

    /// Remembers where the transaction stands.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { undo: self.undo.len(), synced: self.synced }
    }

    /// Takes back everything since the savepoint. Whether that was anything.
    pub fn rollback(&mut self, to: Savepoint) -> bool {
        self.synced = to.synced;
        let any = self.undo.len() > to.undo;
        while self.undo.len() > to.undo {
            let Some((table, key, before)) = self.undo.pop() else { break };
            let rows = self.overlay.entry(table).or_default();
            match before {
                Some(before) => rows.insert(key, before),
                None => rows.remove(&key),
            };
        }
        any
    }

    /// The writes to the rows of some tables since a savepoint, in their order: also those that later ones replaced. For
    /// whoever watches the engine.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn writes_since(&self, from: Savepoint, tables: &[Table]) -> Result<Vec<Write>, StoreError> {
        let mut later: BTreeMap<(Table, &[u8]), Option<Option<Bytes>>> = BTreeMap::new();
        let mut found = Vec::new();
        let done = self.undo.get(from.undo..).unwrap_or_default();
        for (table, key, before) in done.iter().rev().filter(|(table, ..)| tables.contains(table)) {
            let before = before.as_ref().map(|written| written.value.clone());
            let after = later.insert((*table, key), before.clone());
            let value = |overlaid: Option<Option<Bytes>>| match overlaid {
                Some(value) => Ok(value),
                None => self.base.get(*table, key),
            };
            let after = match after {
                Some(overlaid) => value(overlaid)?,
                None => self.get(*table, key)?,
            };
            found.push(Write { table: *table, key: key.clone(), values: [value(before)?, after] });
        }
        found.reverse();
        Ok(found)
    }

    /// Whether anything was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overlay.values().all(BTreeMap::is_empty)
    }

    /// The changes, and whether the commit must wait for the disk.
    #[must_use]
    pub fn into_batch(mut self) -> (Batch, Durability) {
        if mutant!(LazyHeads) {
            self.synced &= !self.overlay.contains_key(&Table::Head);
        }
        let rows = self
            .overlay
            .into_iter()
            .flat_map(|(table, rows)| rows.into_iter().map(move |(key, row)| (table, key, row.value)))
            .collect();
        (Batch { rows }, if self.synced { Durability::Synced } else { Durability::Buffered })
    }
}

impl Read for Txn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.overlay.get(&table).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.value.clone()),
            None => self.base.get(table, key),
        }
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let Some(rows) = self.overlay.get(&table) else { return self.base.scan(table, from, to, visit) };
        let mut written = rows
            .range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to))
            .peekable();
        let mut stopped = false;
        self.base.scan(table, from, to, &mut |key, value| {
            while let Some((own, change)) = written.next_if(|(own, _)| own.as_slice() < key) {
                if let Some(change) = &change.value
                    && visit(own, change.clone()).is_break()
                {
                    stopped = true;
                    return ControlFlow::Break(());
                }
            }
            let seen = match written.next_if(|(own, _)| own.as_slice() == key) {
                Some((_, Written { value: Some(change), .. })) => visit(key, change.clone()),
                Some((_, Written { value: None, .. })) => ControlFlow::Continue(()),
                None => visit(key, value),
            };
            stopped = seen.is_break();
            seen
        })?;
        if !stopped {
            for (key, change) in written {
                if let Some(change) = &change.value
                    && visit(key, change.clone()).is_break()
                {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads a row as its type.
///
/// # Errors
/// When the store cannot be read, or the row is damaged.
pub fn get<T: for<'b> Decode<'b, ()>>(
    rows: &dyn Read,
    table: Table,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    rows.get(table, key)?.map(|value| decode(table, &value).map_err(|error| error.at(key))).transpose()
}

/// Decodes a row's value.
///
/// # Errors
/// When it is damaged.
pub fn decode<T: for<'b> Decode<'b, ()>>(table: Table, value: &[u8]) -> Result<T, StoreError> {
    from_cbor(value).map_err(|e| StoreError::damaged(table, &[], e.to_string()))
}

/// Rows of one object in a table get the name of another: all whose keys begin so begin otherwise from here on.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn rename(txn: &mut Txn<'_>, table: Table, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
    let mut found = Vec::new();
    scan_prefix(txn, table, from, &mut |key, value| {
        found.push((key.to_vec(), value));
        ControlFlow::Continue(())
    })?;
    for (key, value) in found {
        txn.delete(table, &key);
        txn.put_bytes(table, &[to, key.get(from.len()..).unwrap_or_default()].concat(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::Store;
    use proptest::prelude::*;

    fn rows(read: &dyn Read, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Bytes)> {
        let mut found = Vec::new();
        read.scan(Table::Meta, from, to, &mut |key, value| {
            found.push((key.to_vec(), value));
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    #[test]
    fn every_write_is_told_in_its_order() {
        let mut store = MemoryStore::new();
        let old = Bytes::from_static(b"old");
        let rows = vec![(Table::Meta, vec![1], Some(old.clone()))];
        store.commit(Batch { rows }, Durability::Synced).unwrap();
        let mut txn = Txn::new(&store);
        txn.put_bytes(Table::Meta, &[1], Bytes::from_static(b"a"));
        let here = txn.savepoint();
        txn.put_bytes(Table::Meta, &[1], Bytes::from_static(b"b"));
        txn.put_new_lazily(Table::Meta, &[2], &7);
        txn.put_bytes(Table::Head, &[1], Bytes::new());
        txn.delete(Table::Meta, &[2]);
        let told = |from| {
            let writes = txn.writes_since(from, &[Table::Meta]).unwrap();
            writes.into_iter().map(|w| (w.key[0], w.values)).collect::<Vec<_>>()
        };
        let [a, b, seven] = [&b"a"[..], b"b", &to_cbor(&7)].map(|v| Some(Bytes::copy_from_slice(v)));
        let since = vec![(1, [a.clone(), b]), (2, [None, seven.clone()]), (2, [seven, None])];
        assert_eq!(told(here), since);
        let all = told(Savepoint::default());
        assert_eq!(all[0], (1, [Some(old), a]));
        assert_eq!(all[1..], since);
    }

    #[test]
    fn what_is_not_there_is_not_removed_and_costs_nothing() {
        let mut store = MemoryStore::new();
        let rows = [1, 2].map(|key| (Table::Meta, vec![key], Some(Bytes::new()))).into();
        store.commit(Batch { rows }, Durability::Synced).unwrap();
        let mut txn = Txn::new(&store);
        assert_eq!(txn.delete_if_there(Table::Meta, &[7]), Ok(false));
        assert_eq!(txn.delete_if_there_lazily(Table::Meta, &[7]), Ok(false));
        assert!(txn.is_empty() && !txn.is_synced());
        assert_eq!(txn.delete_if_there_lazily(Table::Meta, &[1]), Ok(true));
        assert_eq!(txn.delete_if_there_lazily(Table::Meta, &[1]), Ok(false), "it is gone");
        assert!(!txn.is_synced());
        assert_eq!(txn.delete_if_there(Table::Meta, &[2]), Ok(true));
        assert!(txn.is_synced());
        assert_eq!(txn.into_batch().0.rows, [1, 2].map(|key| (Table::Meta, vec![key], None)));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Put(u8, u8),
        /// If the store has no such row.
        PutNew(u8, u8),
        Delete(u8),
        Savepoint,
        Rollback,
        Commit,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..12u8, any::<u8>()).prop_map(|(k, v)| Op::Put(k, v)),
            2 => (0..12u8, any::<u8>()).prop_map(|(k, v)| Op::PutNew(k, v)),
            4 => (0..12u8).prop_map(Op::Delete),
            1 => Just(Op::Savepoint),
            1 => Just(Op::Rollback),
            1 => Just(Op::Commit),
        ]
    }

    proptest! {
        /// A transaction reads as if every write had been made in place, and a rollback as if none since had.
        #[test]
        fn reads_and_rollbacks_agree_with_a_plain_map(ops in prop::collection::vec(op(), 0..60), from in 0..12u8, to in 0..14u8) {
            let mut store = MemoryStore::new();
            let mut model: BTreeMap<Vec<u8>, Bytes> = BTreeMap::new();
            for group in ops.split(|op| matches!(op, Op::Commit)) {
                let base = store.snapshot();
                let mut txn = Txn::new(&base);
                let mut saved = (txn.savepoint(), model.clone());
                for op in group {
                    match op {
                        Op::Put(k, v) => {
                            txn.put_bytes(Table::Meta, &[*k], vec![*v].into());
                            model.insert(vec![*k], vec![*v].into());
                        }
                        Op::PutNew(k, _) if base.get(Table::Meta, &[*k]).unwrap().is_some() => {}
                        Op::PutNew(k, v) => {
                            txn.put_new_lazily(Table::Meta, &[*k], v);
                            model.insert(vec![*k], to_cbor(v).into());
                        }
                        Op::Delete(k) => {
                            txn.delete(Table::Meta, &[*k]);
                            model.remove(&vec![*k]);
                        }
                        Op::Savepoint => saved = (txn.savepoint(), model.clone()),
                        Op::Rollback => {
                            txn.rollback(saved.0);
                            model = saved.1.clone();
                        }
                        Op::Commit => {}
                    }
                }
                let expected: Vec<_> = model.clone().into_iter().filter(|(k, _)| k[0] >= from && k[0] < to).collect();
                prop_assert_eq!(rows(&txn, &[from], Some(&[to])), expected);
                prop_assert_eq!(rows(&txn, &[], None).len(), model.len());
                let (batch, durability) = txn.into_batch();
                store.commit(batch, durability).unwrap();
                prop_assert_eq!(rows(&store, &[], None), model.clone().into_iter().collect::<Vec<_>>());
            }
        }
    }
}
