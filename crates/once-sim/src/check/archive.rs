//! What former homes have recorded of an object and given to its present one (`docs/protocol.md`, 5.7): it is what they have
//! recorded, and who was told that it is kept can go.

use std::collections::{BTreeMap, BTreeSet};

use once_core::act;
use once_core::archive::{ArchiveRow, ReceiptedRow};
use once_core::store::Table;
use once_core::txn;
use once_core::waist::{Answer, Effect};
use once_model::archive::ArchivedEntry;
use once_model::ids::{Hash, KernelId, ObjectKey};

use super::history::hash;
use super::shadow::scan;
use super::{Checker, Group};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit, Disk};

/// What present homes keep.
#[derive(Debug, Default)]
pub(super) struct Archives {
    /// By the home that keeps it, object and number.
    kept: BTreeMap<(KernelId, ObjectKey, u64), Hash>,
    /// That of which a former home was told that it is kept.
    promised: BTreeSet<(KernelId, ObjectKey, u64)>,
}

/// What people have written down as receipts they have: the row only ever says more.
fn forgets(changed: &Changed) -> Option<String> {
    let row = |row: &Option<bytes::Bytes>| -> Option<ReceiptedRow> {
        txn::decode(Table::Receipted, row.as_ref()?).ok()
    };
    let (before, after) =
        (row(&changed.before).map(|row| row.up_to), row(&changed.after).map(|row| row.up_to));
    (after < before).then(|| format!("has forgotten receipts: {before:?}, then {after:?}"))
}

fn place(key: &[u8]) -> Option<(ObjectKey, u64)> {
    let (object, number) = key.split_at_checked(ObjectKey::ROW_LEN)?;
    Some((ObjectKey::from_row(object)?, u64::from_be_bytes(number.try_into().ok()?)))
}

impl Checker {
    /// Looks at what a group has kept of others' entries, and at whom it tells that all is kept.
    pub(super) fn archives(&mut self, group: &Group<'_>, commit: Option<&Commit>, cover: &mut Coverage) {
        let mut wrong = Vec::new();
        for changed in commit.into_iter().flat_map(|commit| &commit.rows) {
            if changed.table == Table::Receipted {
                wrong.extend(forgets(changed));
            }
            let Some((key, number)) =
                (changed.table == Table::Archive).then(|| place(&changed.key)).flatten()
            else {
                continue;
            };
            let after = changed.after.as_ref().and_then(|row| txn::decode(Table::Archive, row).ok());
            let Some(row) = after.map(|row: ArchiveRow| row.kept) else {
                wrong.push(format!("keeps entry {number} of {key} no more"));
                continue;
            };
            cover.met("state entry of a former home kept");
            wrong.extend(self.is_recorded(&key, number, &row).err());
            self.archives.kept.insert((group.kernel, key, number), hash(&row.entry));
        }
        for (effect, _) in group.effects {
            if let Effect::Reply { reply: Ok(Answer::Archived { key, to, .. }), .. } = effect {
                wrong.extend(self.can_go(group, *key, *to));
            }
        }
        for what in wrong {
            self.violation(4, &group.kernel, group.at_ms, what);
        }
    }

    /// Whether the home that an entry names has recorded it there.
    fn is_recorded(&self, key: &ObjectKey, number: u64, row: &ArchivedEntry) -> Result<(), String> {
        if row.entry.number != number || !row.is_signed() {
            return Err(format!("keeps an entry of {key} that is not number {number}, or nobody's word"));
        }
        // What was put back from a backup may have recorded something else before.
        if self.rolled_back.contains(&row.home) {
            return Ok(());
        }
        let recorded = self.entries.get(key).and_then(|entries| entries.get(&number));
        match recorded {
            Some((recorded, by)) if *recorded == hash(&row.entry) && *by == row.home => Ok(()),
            other => Err(format!(
                "keeps entry {number} of {key} for that of {:.10}, and recorded is {other:?}",
                row.home
            )),
        }
    }

    /// Whether all that a former home has recorded is at the present one, now that it is told so.
    fn can_go(&mut self, group: &Group<'_>, key: ObjectKey, to: KernelId) -> Option<String> {
        if to == group.kernel || self.rolled_back.contains(&to) {
            return None;
        }
        let recorded = act::history(group.store, &key).unwrap_or_default();
        for entry in recorded.into_iter().map(|recorded| recorded.entry) {
            let place = (to, key, entry.number);
            if self.archives.kept.get(&place) != Some(&hash(&entry)) {
                return Some(format!("believes that {to:.10} keeps entry {} of {key}", entry.number));
            }
            self.archives.promised.insert(place);
        }
        None
    }

    /// A process starts: what was promised is on its disk.
    pub(super) fn archives_started(&mut self, kernel: &KernelId, disk: &Disk) {
        let read = |key: &[u8], value: &bytes::Bytes| {
            let row: ArchiveRow = txn::decode(Table::Archive, value).ok()?;
            Some((place(key)?, hash(&row.kept.entry)))
        };
        let there: BTreeMap<_, _> = scan(disk, Table::Archive, read).into_iter().collect();
        let is_gone = |(by, key, number): &(KernelId, ObjectKey, u64)| {
            by == kernel && !there.contains_key(&(*key, *number))
        };
        let gone: Vec<_> = self.archives.promised.iter().copied().filter(is_gone).collect();
        self.archives.kept.retain(|place, _| !is_gone(place));
        // Also what was kept in a commit that nobody has seen, since the process ended with it.
        self.archives
            .kept
            .extend(there.iter().map(|((key, number), hash)| ((*kernel, *key, *number), *hash)));
        for place in gone {
            self.archives.promised.remove(&place);
            let (_, key, number) = place;
            if !self.rolled_back.contains(kernel) {
                self.violation(
                    4,
                    kernel,
                    0,
                    format!("promised to keep entry {number} of {key}, and has it no more"),
                );
            }
        }
    }
}
