//! The fjall store does what the memory store does: random commits, reads, snapshots, flushes, restarts, power losses.

use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use once_core::memory::{MemorySnapshot, MemoryStore};
use once_core::store::{Batch, Durability, Read, Store, Table, prefix_end};
use once_model::ids::ObjectKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{all_rows, scaled};
use crate::{FjallSnapshot, FjallStore, Options, journal};

const TABLES: [Table; 4] = [Table::Meta, Table::Head, Table::Body, Table::Usage];

#[derive(Debug, Clone)]
enum Step {
    Commit(Batch, Durability),
    Get(Table, Vec<u8>),
    Scan {
        table: Table,
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        limit: usize,
    },
    Snapshot,
    Compare,
    Flush,
    /// Closed and opened.
    Restart,
    /// Killed and opened.
    Kill,
    /// So many of the batches that were not synced have reached the disk all the same.
    PowerLoss(usize),
}

fn table() -> impl Strategy<Value = Table> {
    prop::sample::select(TABLES.to_vec())
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), Just(1), Just(255)], 0..4)
}

/// Also around the size from which bodies lie apart, and beyond fjall's write buffer of 8 KiB.
fn value() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![4 => 0..40_usize, 2 => 500..530_usize, 1 => 4000..20_000_usize];
    (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length].into())
}

/// Followers and conflicts are looked for by object, and mostly there are none.
fn by_object() -> impl Strategy<Value = Table> {
    prop_oneof![Just(Table::Follower), Just(Table::Conflict)]
}

fn object() -> impl Strategy<Value = Vec<u8>> {
    (0..3_u8).prop_map(|byte| vec![byte; ObjectKey::ROW_LEN])
}

fn key_of_object() -> impl Strategy<Value = Vec<u8>> {
    (object(), key()).prop_map(|(object, more)| [object, more].concat())
}

fn batch() -> impl Strategy<Value = Batch> {
    let row = (table(), key(), prop::option::weighted(0.8, value()));
    let of_object = (by_object(), key_of_object(), prop::option::weighted(0.4, value()));
    let row = prop_oneof![4 => row, 1 => of_object];
    vec(row, 0..6).prop_map(|rows| Batch { rows })
}

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![2 => Just(Durability::Buffered), 1 => Just(Durability::Synced)];
    prop_oneof![
        12 => (batch(), durability).prop_map(|(batch, durability)| Step::Commit(batch, durability)),
        3 => (table(), key()).prop_map(|(table, key)| Step::Get(table, key)),
        3 => (table(), key(), prop::option::of(key()), 1..9_usize)
            .prop_map(|(table, from, to, limit)| Step::Scan { table, from, to, limit }),
        3 => (by_object(), object(), 1..9_usize).prop_map(|(table, from, limit)| {
            Step::Scan { table, to: prefix_end(&from), from, limit }
        }),
        2 => Just(Step::Snapshot),
        2 => Just(Step::Compare),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => (0..4_usize).prop_map(Step::PowerLoss),
    ]
}

struct World<'a> {
    dir: &'a Path,
    fjall: Option<FjallStore>,
    memory: MemoryStore,
    snapshots: Vec<(FjallSnapshot, MemorySnapshot)>,
    /// Where the journal ends after what is synced, and after each batch that is not.
    ends: Vec<u64>,
}

impl<'a> World<'a> {
    fn new(dir: &'a Path) -> Self {
        let mut world =
            Self { dir, fjall: None, memory: MemoryStore::new(), snapshots: vec![], ends: vec![] };
        world.open();
        world
    }

    /// Opening makes durable whatever it finds.
    fn open(&mut self) {
        self.snapshots.clear();
        self.fjall = None;
        self.fjall =
            Some(FjallStore::open(self.dir, Options { reserve_bytes: 0, ..Options::default() }).unwrap());
        self.memory.commit(Batch::default(), Durability::Synced).unwrap();
        self.ends = vec![self.journal_end()];
    }

    fn journal_end(&self) -> u64 {
        journal::end_of_newest(&self.dir.join("store")).1
    }

    fn fjall(&mut self) -> &mut FjallStore {
        self.fjall.as_mut().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(batch, durability) => {
                self.memory.commit(batch.clone(), durability).unwrap();
                self.fjall().commit(batch, durability).unwrap();
                if durability == Durability::Synced {
                    self.ends.clear();
                }
                self.ends.push(self.journal_end());
            }
            Step::Get(table, key) => {
                assert_eq!(self.fjall().get(table, &key), self.memory.get(table, &key));
            }
            Step::Scan { table, from, to, limit } => {
                let memory = scan(&self.memory, table, &from, to.as_deref(), limit);
                assert_eq!(scan(self.fjall(), table, &from, to.as_deref(), limit), memory);
            }
            Step::Snapshot => {
                let snapshots = (self.fjall().snapshot(), self.memory.snapshot());
                self.snapshots.push(snapshots);
            }
            Step::Compare => {
                assert_eq!(all_rows(self.fjall()), all_rows(&self.memory));
                for (fjall, memory) in &self.snapshots {
                    assert_eq!(all_rows(fjall), all_rows(memory));
                }
            }
            Step::Flush => {
                // A flush syncs the journal first.
                let inner = self.fjall().inner();
                inner.rows.rotate_memtable_and_wait().unwrap();
                inner.bodies.rotate_memtable_and_wait().unwrap();
                self.fjall().commit(Batch::default(), Durability::Synced).unwrap();
                self.memory.commit(Batch::default(), Durability::Synced).unwrap();
                self.ends = vec![self.journal_end()];
            }
            Step::Restart => {
                self.snapshots.clear();
                self.fjall.take().unwrap().close().unwrap();
                self.open();
            }
            Step::Kill => self.open(),
            Step::PowerLoss(survivors) => {
                self.snapshots.clear();
                self.fjall = None;
                let survivors = survivors.min(self.ends.len() - 1);
                let (path, _) = journal::end_of_newest(&self.dir.join("store"));
                OpenOptions::new().write(true).open(path).unwrap().set_len(self.ends[survivors]).unwrap();
                self.memory.crash(survivors);
                self.open();
            }
        }
    }
}

fn scan(
    store: &dyn Read,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    limit: usize,
) -> Vec<(Vec<u8>, Bytes)> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value| {
        if key != crate::schema::KEY {
            rows.push((key.to_vec(), value));
        }
        if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.scan(table, from, to, visit).unwrap();
    rows
}

proptest! {
    #![proptest_config(Config { cases: scaled(24), max_shrink_iters: 200, ..Config::default() })]

    #[test]
    fn it_does_what_the_memory_store_does(steps in vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(dir.path());
        for step in steps {
            world.step(step);
        }
        world.step(Step::Compare);
        world.step(Step::Kill);
        world.step(Step::Compare);
    }
}
