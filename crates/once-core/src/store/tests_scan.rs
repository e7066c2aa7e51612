//! A transaction over a store: what is read is what was written last, in order, and only as far as somebody looks.

use std::ops::ControlFlow;

use super::memory::MemoryStore;
use super::txn::Txn;
use super::{Batch, Durability, Read, Store, Table, prefix_end, scan_prefix};

const TABLE: Table = Table::Meta;

fn store(keys: &[u8]) -> MemoryStore {
    let mut store = MemoryStore::new();
    let rows = keys.iter().map(|key| (TABLE, vec![*key], Some(vec![*key].into()))).collect();
    store.commit(Batch { rows }, Durability::Synced).unwrap();
    store
}

/// Keys and values from one key to another, as far as so many.
fn scan(rows: &dyn Read, from: u8, to: Option<u8>, most: usize) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    let to = to.map(|to| vec![to]);
    rows.scan(TABLE, &[from], to.as_deref(), &mut |key, value| {
        found.push((key[0], value[0]));
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .unwrap();
    found
}

#[test]
fn a_scan_sees_what_was_written_among_what_was_there() {
    let store = store(&[2, 4, 6, 8]);
    let mut txn = Txn::new(&store);
    for (key, value) in [(1, 11), (4, 14), (5, 15), (9, 19)] {
        txn.put_bytes_lazily(TABLE, &[key], vec![value].into());
    }
    txn.delete_lazily(TABLE, &[6]);
    txn.delete_lazily(TABLE, &[7]);
    txn.put_bytes_lazily(Table::Head, &[3], vec![3].into());
    let all = [(1, 11), (2, 2), (4, 14), (5, 15), (8, 8), (9, 19)];
    assert_eq!(scan(&txn, 0, None, 99), all);
    for most in 1..=all.len() {
        assert_eq!(scan(&txn, 0, None, most), all[..most], "as far as {most}");
    }
    for from in 0..=10 {
        for to in 0..=10 {
            let expected: Vec<_> = all.iter().copied().filter(|(key, _)| (from..to).contains(key)).collect();
            assert_eq!(scan(&txn, from, Some(to), 99), expected, "{from} to {to}");
            assert_eq!(scan(&txn, from, Some(to), 1), expected[..expected.len().min(1)], "{from} to {to}");
        }
    }
    // The store itself has none of it yet.
    assert_eq!(scan(&store, 0, None, 99), [(2, 2), (4, 4), (6, 6), (8, 8)]);
    assert_eq!(scan(&store, 3, Some(8), 99), [(4, 4), (6, 6)]);
    assert_eq!(scan(&store, 8, Some(3), 99), []);
    let (batch, _) = txn.into_batch();
    assert_eq!(batch.rows.len(), 7);
}

#[test]
fn rows_with_one_beginning_lie_together() {
    let mut store = MemoryStore::new();
    let keys: [&[u8]; 6] = [&[1], &[1, 0], &[1, 255], &[1, 255, 255], &[2], &[255, 255]];
    let rows = keys.iter().map(|key| (TABLE, key.to_vec(), Some("v".into()))).collect();
    store.commit(Batch { rows }, Durability::Synced).unwrap();
    let with = |prefix: &[u8]| {
        let mut count = 0;
        scan_prefix(&store, TABLE, prefix, &mut |key, _| {
            assert!(key.starts_with(prefix));
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        count
    };
    assert_eq!(
        [with(&[1]), with(&[1, 255]), with(&[2]), with(&[255]), with(&[]), with(&[3])],
        [4, 2, 1, 1, 6, 0]
    );
    assert_eq!(prefix_end(&[1, 255, 255]), Some(vec![2]));
}
