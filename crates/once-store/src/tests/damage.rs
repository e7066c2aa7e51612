//! Damaged files: what opens shows a state that once was, what cannot is refused.

use std::fs;
use std::path::{Path, PathBuf};

use once_core::store::{Batch, Durability, Read, Store, StoreError, Table};
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{Row, all_rows, put, scaled};
use crate::{FjallStore, OpenError, Options, journal};

const OPTIONS: Options =
    Options { cache_bytes: 1024 * 1024, reserve_bytes: 0, create: true, only_reads: false };

/// A closed store and what it held after each commit.
struct Written {
    dir: tempfile::TempDir,
    journal: PathBuf,
    /// Where each batch ends in the journal, beginning with what opening wrote.
    ends: Vec<u64>,
    /// Before the batch of this index, everything had been synced.
    synced_before: Vec<bool>,
    states: Vec<Vec<Row>>,
}

impl Written {
    /// One commit for each flag: synced or not.
    fn new(synced: &[bool]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = FjallStore::open(dir.path(), OPTIONS).unwrap();
        let end = || journal::end_of_newest(&dir.path().join("store"));
        let (journal, first) = end();
        let mut written = Self {
            journal,
            ends: vec![first],
            synced_before: vec![],
            states: vec![all_rows(&store)],
            dir: tempfile::tempdir().unwrap(),
        };
        let mut synced_before = true;
        for (index, synced) in synced.iter().enumerate() {
            let mut batch = put(Table::Head, format!("head {}", index % 3).as_bytes(), &[index as u8; 30]);
            batch.rows.extend(put(Table::Body, &[index as u8], &[1; 700]).rows);
            batch.rows.push((Table::Body, vec![(index as u8).wrapping_sub(2)], None));
            let durability = if *synced { Durability::Synced } else { Durability::Buffered };
            store.commit(batch, durability).unwrap();
            written.ends.push(end().1);
            written.synced_before.push(synced_before);
            written.states.push(all_rows(&store));
            synced_before = *synced;
        }
        drop(store);
        written.dir = dir;
        written
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The batch that holds this offset.
    fn batch_at(&self, offset: u64) -> usize {
        self.ends.iter().position(|end| offset < *end).unwrap() - 1
    }

    fn range(&self) -> std::ops::Range<u64> {
        self.ends[0]..*self.ends.last().unwrap()
    }
}

fn flip(path: &Path, offset: u64, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= mask;
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(Config { cases: scaled(48), ..Config::default() })]

    #[test]
    fn a_changed_byte_of_the_journal_costs_the_unsynced_end_or_is_refused(
        synced in prop::collection::vec(any::<bool>(), 1..8),
        place in 0.0..1.0_f64,
        mask in 1..=255_u8,
    ) {
        let written = Written::new(&synced);
        let range = written.range();
        let offset = range.start + ((range.end - range.start) as f64 * place) as u64;
        let hit = written.batch_at(offset);
        flip(&written.journal, offset, mask);

        let synced_later = written.synced_before[hit + 1..].contains(&true);
        // The number of a batch, which the checksum does not cover; what does not change the order is harmless.
        let in_number = (5..13).contains(&(offset - written.ends[hit]));
        match FjallStore::open(written.path(), OPTIONS) {
            Ok(store) => {
                let rows = all_rows(&store);
                let harmless = in_number && rows == *written.states.last().unwrap();
                let number_before = in_number && hit > 0 && rows == written.states[hit - 1];
                let prefix = rows == written.states[hit] || number_before;
                prop_assert!(harmless || (prefix && !synced_later), "batch {hit} at {offset}");
            }
            Err(error) => {
                prop_assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                // A wrong number makes the batch before it doubtful too.
                let doubtful = in_number && written.synced_before[hit];
                prop_assert!(synced_later || doubtful, "batch {hit} at {offset}: {error}");
            }
        }
    }

    #[test]
    fn a_journal_that_ends_early_shows_the_batches_before(
        synced in prop::collection::vec(any::<bool>(), 1..8),
        place in 0.0..1.0_f64,
        garbage in any::<bool>(),
    ) {
        let written = Written::new(&synced);
        let range = written.range();
        let offset = range.start + ((range.end - range.start) as f64 * place) as u64;
        let mut bytes = fs::read(&written.journal).unwrap();
        bytes.truncate(usize::try_from(offset).unwrap());
        if garbage {
            bytes.extend((0..3000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        }
        fs::write(&written.journal, bytes).unwrap();

        let mut store = FjallStore::open(written.path(), OPTIONS).unwrap();
        prop_assert_eq!(&all_rows(&store), &written.states[written.batch_at(offset)]);
        // What comes after the cut is found again.
        store.commit(put(Table::Head, b"after", b"x"), Durability::Synced).unwrap();
        let rows = all_rows(&store);
        drop(store);
        prop_assert_eq!(all_rows(&FjallStore::open(written.path(), OPTIONS).unwrap()), rows);
    }
}

/// fjall refuses this one for good, though it is what a power loss can leave of a batch longer than a page.
#[test]
fn a_batch_with_a_lost_page_at_the_end_is_dropped() {
    let written = Written::new(&[true, false]);
    let mut bytes = fs::read(&written.journal).unwrap();
    let end = usize::try_from(written.range().end).unwrap();
    bytes[end - 500..end - 100].fill(0);
    fs::write(&written.journal, bytes).unwrap();
    let store = FjallStore::open(written.path(), OPTIONS).unwrap();
    assert_eq!(all_rows(&store), written.states[1]);
}

#[test]
fn a_missing_journal_is_refused() {
    let written = Written::new(&[true]);
    fs::remove_file(&written.journal).unwrap();
    let refused = FjallStore::open(written.path(), OPTIONS).unwrap_err();
    assert!(refused.to_string().contains("journal is missing"), "{refused}");
}

/// After a failed sync the journal is written anew before it is believed.
#[test]
fn after_a_failure_the_journal_is_written_to_a_new_file() {
    use std::os::unix::fs::MetadataExt;
    let written = Written::new(&[true, false, true]);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let before = inode(&written.journal);
    drop(FjallStore::open(written.path(), OPTIONS).unwrap());
    assert_eq!(inode(&written.journal), before);
    crate::Lock::take(written.path()).unwrap().say(true).unwrap();
    let store = FjallStore::open(written.path(), OPTIONS).unwrap();
    assert_ne!(inode(&written.journal), before);
    assert_eq!(&all_rows(&store), written.states.last().unwrap());
    drop(store);
    let after = inode(&written.journal);
    drop(FjallStore::open(written.path(), OPTIONS).unwrap());
    assert_eq!(inode(&written.journal), after, "once is enough");
}

/// The look through the journal and fjall agree on what a batch is: an upgrade of fjall that changes the form shows
/// here.
#[test]
fn every_form_of_batch_is_read_as_fjall_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FjallStore::open(dir.path(), OPTIONS).unwrap();
    let count = || journal::examine(dir.path(), &dir.path().join("store"), false).unwrap().batches;
    let before = count();
    for (index, length) in [0, 1, 100, 4095, 4096, 8192, 70_000, 3_000_000].into_iter().enumerate() {
        let mut batch = put(Table::Body, b"key", &vec![7; length]);
        batch.rows.push((Table::Head, vec![], None));
        batch.rows.extend(put(Table::Head, b"", b"").rows);
        store.commit(batch, Durability::Buffered).unwrap();
        assert_eq!(count(), before + index as u64 + 1, "{length}");
    }
    let removals = (0..1000_u32).map(|key| (Table::Head, key.to_be_bytes().to_vec(), None)).collect();
    store.commit(Batch { rows: removals }, Durability::Synced).unwrap();
    assert_eq!(count(), before + 9);
}

/// Tables and blob files carry checksums: a changed byte is an error where it is read, never another value.
#[test]
fn a_changed_byte_of_any_file_never_shows_as_another_value() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FjallStore::open(dir.path(), OPTIONS).unwrap();
    for index in 0..200_u8 {
        store.commit(put(Table::Body, &[index], &[index; 700]), Durability::Buffered).unwrap();
        store.commit(put(Table::Head, &[index], &[index; 70]), Durability::Buffered).unwrap();
    }
    store.close().unwrap();
    let (mut errors, mut refused, mut whole_reads) = (0, 0, 0);
    for path in files(&dir.path().join("store")) {
        let whole = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "jnl") || whole.is_empty() {
            continue;
        }
        for _ in 0..scaled(10) {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), copy.path());
            let offset = rand_below(whole.len() as u64);
            flip(&copy.path().join(path.strip_prefix(dir.path()).unwrap()), offset, 1 << rand_below(8));
            let store = match FjallStore::open(copy.path(), OPTIONS) {
                Ok(store) => store,
                Err(error) => {
                    assert!(
                        !matches!(
                            error,
                            OpenError::InUse { .. }
                                | OpenError::SchemaNewer { .. }
                                | OpenError::SchemaOlder { .. }
                        ),
                        "{} at {offset}: {error}",
                        path.display()
                    );
                    refused += 1;
                    continue;
                }
            };
            for (table, length) in [(Table::Body, 700), (Table::Head, 70)] {
                for index in 0..200_u8 {
                    match store.get(table, &[index]) {
                        Ok(value) => {
                            assert_eq!(
                                value.as_deref(),
                                Some(&vec![index; length][..]),
                                "{}",
                                path.display()
                            );
                            whole_reads += 1;
                        }
                        Err(StoreError::Damaged { .. } | StoreError::Io(_)) => errors += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    }
    assert!(errors > 0 && refused > 0 && whole_reads > 0, "{errors} {refused} {whole_reads}");
}

fn rand_below(end: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) % end
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn copy_dir(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            // Not the 64 MiB of zeros.
            let bytes = fs::read(&path).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            fs::write(target, &bytes[..end]).unwrap();
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
