//! *Bare store*: plain fjall writes a given set of rows, in given groups, one sync for each group.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::Res;
use crate::noise::{Noise, key};

/// The engine's settings, kept in step with `once-store` by hand: this file must not contain engine code.
const MEMTABLE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One row that each item brings.
#[derive(Clone, Copy, Debug)]
pub struct RowShape {
    /// Rows of one keyspace lie together.
    pub keyspace: &'static str,
    pub key_len: usize,
    pub value_len: usize,
    /// Values lie apart from keys, as scenario bodies do.
    pub apart: bool,
    /// Rows of so many objects, written again and again; without it each item has a row of its own.
    pub of: Option<usize>,
    /// What becomes of the row in the next group.
    pub later: Later,
}

/// What becomes of a row in the group after the one that brought it.
#[derive(Clone, Copy, Debug)]
pub enum Later {
    Stays,
    /// As an outbox row does once its answer came.
    Removed,
    /// With a value of so many bytes, as an action's row once its outcome is known.
    Again(usize),
}

/// What to write.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rows: Vec<RowShape>,
    pub items_per_commit: usize,
    pub items: usize,
}

impl Plan {
    /// How many rows an item writes, or removes, all in all.
    pub fn rows_each(&self) -> usize {
        self.rows.iter().map(|row| 1 + usize::from(!matches!(row.later, Later::Stays))).sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items, {} per commit, each:", self.items, self.items_per_commit)?;
        for row in &self.rows {
            let apart = if row.apart { " apart" } else { "" };
            write!(f, " {} {}+{} B{apart}", row.keyspace, row.key_len, row.value_len)?;
            match row.later {
                Later::Stays => write!(f, ";")?,
                Later::Removed => write!(f, " removed;")?,
                Later::Again(len) => write!(f, " again {len} B;")?,
            }
        }
        Ok(())
    }
}

/// Writes the plan into an empty folder and returns items per second.
pub fn measure(plan: &Plan, dir: &Path) -> Res<f64> {
    if plan.items_per_commit == 0 {
        return Err("a commit of no items never ends".into());
    }
    let db = Database::builder(dir).max_journaling_size(JOURNAL_BYTES_MAX).open()?;
    let mut spaces = Vec::new();
    for row in &plan.rows {
        spaces.push(db.keyspace(row.keyspace, || options(row.apart))?);
    }
    let noise = Noise::new();
    let start = Instant::now();
    let mut before = 0..0;
    let mut from = 0;
    while from < plan.items {
        let group = from..plan.items.min(from + plan.items_per_commit);
        let mut batch = db.batch().durability(Some(PersistMode::SyncData));
        for (nth, row, space) in each(plan, &spaces) {
            for item in group.clone() {
                let number = number(nth, item, row);
                batch.insert(space, key(number, row.key_len), noise.text(number, row.value_len));
            }
            for item in before.clone() {
                let number = number(nth, item, row);
                match row.later {
                    Later::Stays => break,
                    Later::Removed => batch.remove(space, key(number, row.key_len)),
                    Later::Again(len) => {
                        batch.insert(space, key(number, row.key_len), noise.text(number, len))
                    }
                }
            }
        }
        batch.commit()?;
        from = group.end;
        before = group;
    }
    Ok(plan.items as f64 / start.elapsed().as_secs_f64())
}

fn options(apart: bool) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES_MAX)
        .with_kv_separation(apart.then(KvSeparationOptions::default))
}

fn each<'a>(
    plan: &'a Plan,
    spaces: &'a [Keyspace],
) -> impl Iterator<Item = (usize, &'a RowShape, &'a Keyspace)> {
    plan.rows.iter().zip(spaces).enumerate().map(|(nth, (row, space))| (nth, row, space))
}

/// Each row of each item, or object, has a key of its own, also where two rows share a keyspace.
fn number(nth: usize, item: usize, row: &RowShape) -> u64 {
    ((nth as u64) << 48) | row.of.map_or(item, |objects| item % objects.max(1)) as u64
}
