//! Lock, schema, room, and what an interrupted creation leaves behind.

use std::fs;

use bytes::Bytes;
use once_core::store::{Batch, Durability, Read, Store, StoreError, Table};

use super::{all_rows, put};
use crate::schema::{Migration, OLDEST};
use crate::{FjallStore, OpenError, Options, SCHEMA, free_bytes};

#[test]
fn a_second_store_on_the_directory_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path(), Options::default()).unwrap();
    let refused = FjallStore::open(dir.path(), Options::default()).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(&format!("is in use by process {}", std::process::id())), "{text}");
    assert!(refused.hint().contains("stop that process"));

    let snapshot = store.snapshot();
    store.close().unwrap();
    assert!(matches!(FjallStore::open(dir.path(), Options::default()), Err(OpenError::InUse { .. })));
    drop(snapshot);
    assert!(FjallStore::open(dir.path(), Options::default()).is_ok());
}

/// One step: heads move to another table. The next: a mark.
const STEPS: &[Migration] = &[
    |rows| {
        let mut batch = Batch::default();
        let visit = &mut |key: &[u8], value| {
            batch.rows.push((Table::Head, key.to_vec(), None));
            batch.rows.push((Table::Usage, key.to_vec(), Some(value)));
            std::ops::ControlFlow::Continue(())
        };
        rows.scan(Table::Head, &[], None, visit)?;
        Ok(batch)
    },
    |_| Ok(put(Table::Meta, b"mark", b"3")),
];

#[test]
fn an_older_schema_is_migrated_once_and_a_newer_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = |steps: usize| FjallStore::open_with(dir.path(), Options::default(), &STEPS[..steps]);
    let mut store = open(0).unwrap();
    store.commit(put(Table::Head, b"key", b"value"), Durability::Synced).unwrap();
    drop(store);

    let store = open(1).unwrap();
    assert_eq!(store.get(Table::Head, b"key").unwrap(), None);
    assert_eq!(store.get(Table::Usage, b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.get(Table::Meta, b"schema").unwrap().as_deref(), Some(&(OLDEST + 1).to_be_bytes()[..]));
    drop(store);

    assert!(open(2).unwrap().get(Table::Meta, b"mark").unwrap().is_some());
    assert!(open(2).unwrap().get(Table::Meta, b"mark").unwrap().is_some());

    let refused = FjallStore::open(dir.path(), Options::default()).unwrap_err();
    let found = OLDEST + 2;
    assert!(matches!(refused, OpenError::SchemaNewer { found: f, known: SCHEMA } if f == found), "{refused}");
    assert!(refused.hint().contains("upgrade"));
}

/// Its rows mean something else: it is refused with a way out, and nothing of it is touched.
#[test]
fn a_store_from_before_the_layout_broke_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FjallStore::open(dir.path(), Options::default()).unwrap();
    store.commit(put(Table::Meta, b"schema", &2_u32.to_be_bytes()), Durability::Synced).unwrap();
    drop(store);
    for _ in 0..2 {
        let refused = FjallStore::open(dir.path(), Options::default()).unwrap_err();
        assert!(matches!(refused, OpenError::SchemaOlder { found: 2, oldest: OLDEST }), "{refused}");
        assert!(refused.to_string().contains("store schema 2"), "{refused}");
        assert!(refused.hint().contains("`once export --all DIR`"), "{}", refused.hint());
    }
}

#[test]
fn a_failed_migration_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(FjallStore::open_with(dir.path(), Options::default(), &[]).unwrap());
    let failing: Migration = |_| Err(StoreError::Io("no".into()));
    assert!(matches!(
        FjallStore::open_with(dir.path(), Options::default(), &[failing]),
        Err(OpenError::Store(StoreError::Io(_)))
    ));
    let schema = |store: FjallStore| store.get(Table::Meta, b"schema").unwrap().unwrap();
    assert_eq!(
        schema(FjallStore::open_with(dir.path(), Options::default(), &[]).unwrap())[..],
        OLDEST.to_be_bytes()
    );
    let now = schema(FjallStore::open(dir.path(), Options::default()).unwrap());
    assert_eq!(now[..], SCHEMA.to_be_bytes(), "the steps that are known lead here");
}

#[test]
fn without_room_new_rows_are_refused_removals_and_reads_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let open = |reserve_bytes| {
        FjallStore::open(dir.path(), Options { reserve_bytes, ..Options::default() }).unwrap()
    };
    let mut store = open(0);
    store.commit(put(Table::Body, b"key", b"value"), Durability::Synced).unwrap();
    drop(store);

    let mut store = open(free_bytes(dir.path()).unwrap() / 2 * 3);
    assert_eq!(store.commit(put(Table::Body, b"a", &[1; 5000]), Durability::Synced), Err(StoreError::Full));
    assert!(!store.is_poisoned());
    assert_eq!(store.get(Table::Body, b"a").unwrap(), None);
    assert!(store.get(Table::Body, b"key").unwrap().is_some());
    let removal = (Table::Body, b"key".to_vec(), None);
    let count = (Table::Meta, b"commit".to_vec(), Some(Bytes::from_static(&[1; 8])));
    store.commit(Batch { rows: vec![removal, count] }, Durability::Synced).unwrap();
    assert_eq!(store.get(Table::Body, b"key").unwrap(), None);
    drop(store);

    let removal = (Table::Meta, b"commit".to_vec(), None);
    assert_eq!(
        open(u64::MAX).commit(Batch { rows: vec![removal] }, Durability::Synced),
        Err(StoreError::Full)
    );
}

#[test]
fn a_store_whose_creation_was_interrupted_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("store.new/keyspaces")).unwrap();
    fs::write(dir.path().join("store.new/0.jnl"), b"half").unwrap();
    fs::write(dir.path().join("store.new/version"), b"").unwrap();
    let store = FjallStore::open(dir.path(), Options::default()).unwrap();
    assert_eq!(all_rows(&store), []);
    assert!(!dir.path().join("store.new").exists());
}

#[test]
fn a_key_that_is_too_long_is_refused_and_the_longest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FjallStore::open(dir.path(), Options::default()).unwrap();
    assert!(store.commit(put(Table::Head, &[7; 65_535], b""), Durability::Buffered).is_err());
    store.commit(put(Table::Head, &[7; 65_534], b"v"), Durability::Buffered).unwrap();
    assert!(store.get(Table::Head, &[7; 65_534]).unwrap().is_some());
}
