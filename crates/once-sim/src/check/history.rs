//! One road for change: each revision that a home makes names its entry in the object's history, which fits it, and
//! numbers have no gaps. What is kept beside names none. A file is not laid over what happened since it was imported.
//! What was asked of an object is kept of its newest entries.

use std::collections::BTreeMap;

use once_core::Limits;
use once_core::act::{self, Recorded};
use once_core::object::HeadRow;
use once_core::store::Table;
use once_core::waist::{Answer, Change, Command};
use once_model::cbor::to_cbor;
use once_model::hash::record_hash;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line, ObjectKey};
use once_model::receipt::Entry;

use super::shadow::{Shadow, scan};
use super::{Checker, Group, head_in};
use crate::coverage::Coverage;
use crate::disk::{Commit, Disk};

/// Of the newest entries of an object of which it is kept what was asked, so many are looked at.
const TOLD: u64 = 6;

/// The histories of one kernel's objects, as far as they were followed, with the hash of each entry.
pub(super) type Followed = BTreeMap<ObjectKey, Vec<(Entry, Hash)>>;

/// The entries of all objects at all their homes: by number, the hash, and who has it.
pub(super) type Entries = BTreeMap<ObjectKey, BTreeMap<u64, (Hash, KernelId)>>;

impl Checker {
    /// A process starts: of its entries, those that are on its disk are there.
    pub(super) fn entries_started(&mut self, kernel: &KernelId, disk: &Disk) {
        self.entries_of_new(kernel, disk);
        for (key, entries) in &mut self.entries {
            // Where it has left, all of them were on the disk before.
            let head = once_core::object::head(disk, key).ok().flatten();
            if head.is_none_or(|head| head.home != Some(*kernel)) {
                continue;
            }
            if entries.values().all(|(_, by)| by != kernel) {
                continue;
            }
            let history = act::history(disk, key).unwrap_or_default();
            let newest = history.last().map_or(0, |newest| newest.entry.number);
            // Old ones may have been dropped; those behind the newest were lost.
            entries.retain(|number, (_, by)| by != kernel || *number <= newest);
            for Recorded { entry, .. } in history {
                let place = entries.entry(entry.number).or_insert((hash(&entry), *kernel));
                if place.1 == *kernel {
                    place.0 = hash(&entry);
                }
            }
        }
    }

    /// An object may have been made in a commit that nobody has seen, since the process ended with it.
    fn entries_of_new(&mut self, kernel: &KernelId, disk: &Disk) {
        let is_new = |head: &HeadRow| {
            let key = head.header.key();
            head.home == Some(*kernel) && key.lineage().is_some() && !self.entries.contains_key(&key)
        };
        let read = |_: &[u8], value: &bytes::Bytes| head_in(Some(value));
        let new: Vec<_> = scan(disk, Table::Head, read).into_iter().filter(is_new).collect();
        for key in new.iter().map(|head| head.header.key()) {
            let entries = self.entries.entry(key).or_default();
            for Recorded { entry, .. } in act::history(disk, &key).unwrap_or_default() {
                entries.insert(entry.number, (hash(&entry), *kernel));
            }
        }
    }

    /// Looks at the histories of all objects that a commit changed.
    pub(super) fn histories(&mut self, group: &Group<'_>, commit: &Commit) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        let mut wrong = Vec::new();
        for changed in commit.rows.iter().filter(|row| row.table == Table::Head) {
            let Some(head) = head_in(changed.after.as_ref()) else { continue };
            let entered = head.from.is_none() && head.header.lineage.is_some();
            let at_home = head.home == Some(group.kernel);
            if !entered && !at_home {
                continue;
            }
            let key = head.header.key();
            let history = match act::history(group.store, &key) {
                Ok(history) => history,
                Err(error) => {
                    wrong.push(error.to_string());
                    continue;
                }
            };
            if entered {
                let followed = shadow.followed.entry(key).or_default();
                let whole = shadow.limits.ledger_rows == Limits::PAGE.ledger_rows;
                let entries = self.entries.entry(key).or_default();
                wrong.extend(follows((&head.header, whole), &history, followed, entries).err());
                for (entry, hash) in &*followed {
                    let (first, by) = *entries.entry(entry.number).or_insert((*hash, group.kernel));
                    if first == *hash {
                        continue;
                    }
                    if by != group.kernel {
                        wrong
                            .push(format!("entry {} of {key} is another one than at {by:.10}", entry.number));
                    }
                    entries.insert(entry.number, (*hash, group.kernel));
                }
            }
            if at_home {
                wrong.extend(told(&key, &history, shadow.limits.told_rows));
            }
        }
        for what in wrong {
            self.violation(4, &group.kernel, group.at_ms, what);
        }
    }
}

fn told(key: &ObjectKey, history: &[Recorded], told_rows: u64) -> Option<String> {
    // What was recorded at other homes counts, too: those are the newest entries of the object, not of this kernel.
    let (newest, kept) = (history.last()?.entry.number, told_rows.min(TOLD));
    let shown = history.iter().rev().take_while(|recorded| recorded.entry.number + kept > newest);
    let silent = shown.take(kept as usize).find(|recorded| {
        recorded.told.as_ref().is_none_or(|told| told.name.is_empty() || told.arguments.bytes.is_empty())
    })?;
    Some(format!("it is not kept what entry {} of {key} was asked", silent.entry.number))
}

/// Whether the newest revision of an object is that of an entry, and each entry goes on from the one before it. Where not
/// the whole history is kept, old entries may lack.
fn follows(
    (header, whole): (&Header, bool),
    history: &[Recorded],
    followed: &mut Vec<(Entry, Hash)>,
    elsewhere: &BTreeMap<u64, (Hash, KernelId)>,
) -> Result<(), String> {
    let key = header.key();
    // What was recorded at another home goes before.
    let goes_on = |entry: &Entry| {
        let before = entry.number.checked_sub(1).and_then(|before| elsewhere.get(&before));
        before.is_some_and(|(hash, _)| *hash == entry.previous)
    };
    if whole && history.first().is_some_and(|first| first.entry.number != 1 && !goes_on(&first.entry)) {
        return Err(format!("the history of {key} does not begin with 1"));
    }
    // What is as it was needs no new hash.
    let same = history.iter().zip(&*followed).take_while(|(now, (was, _))| now.entry == *was).count();
    followed.truncate(same);
    for Recorded { entry, .. } in history.get(same..).unwrap_or_default() {
        if let Some((earlier, hash)) = followed.last()
            && (entry.number <= earlier.number
                || whole && entry.number != earlier.number + 1 && !goes_on(entry)
                || entry.number == earlier.number + 1 && entry.previous != *hash)
        {
            return Err(format!("the history of {key} breaks at {}", entry.number));
        }
        followed.push((entry.clone(), hash(entry)));
    }
    let lacks = |(_, hash): &(Entry, Hash)| Some(*hash) != header.entry;
    if !whole && followed.iter().all(lacks) {
        return Ok(());
    }
    let mut from_there = followed.iter().skip_while(|entry| lacks(entry));
    if !from_there.next().is_some_and(|(entry, _)| fits(header, entry)) {
        return Err(format!("revision {} of {key} has no entry that fits it", header.revision));
    }
    // What was recorded after it changed nothing.
    match from_there.find(|(entry, _)| (entry.revision, entry.content) != (header.revision, header.content)) {
        Some((entry, _)) => {
            Err(format!("entry {} of {key} made a revision that is not the newest", entry.number))
        }
        None => Ok(()),
    }
}

fn fits(header: &Header, entry: &Entry) -> bool {
    (entry.object, entry.revision, entry.content, entry.certificate)
        == (header.key(), header.revision, header.content, header.certificate)
        && header.parent.is_none_or(|parent| parent == entry.before)
        && header.cause.as_ref().is_some_and(|cause| cause.id == entry.id && cause.sequence == entry.sequence)
}

/// As the protocol says it, not as the engine does.
pub(super) fn hash(entry: &Entry) -> Hash {
    record_hash("once/2 ledger entry", &to_cbor(entry))
}

/// A file that was kept beside its object.
pub(super) fn kept_file(kernel: &KernelId, row: &HeadRow) -> Result<(), String> {
    let header = &row.header;
    let bare = header.entry.is_none() && header.cause.is_none() && header.signature.is_none();
    if bare && row.home == Some(*kernel) && header.parent.is_some() && !row.charged {
        return Ok(());
    }
    Err(format!("keeps {} beside {} as if a home had made it", header.id(), header.key()))
}

/// What a client was told of a file that it imported.
pub(super) fn imported(
    shadow: &mut Shadow,
    command: &Command,
    answer: &Answer,
    cover: &mut Coverage,
) -> Result<(), String> {
    let Command::Import { source: Some(path), over, scenario } = command else { return Ok(()) };
    let Answer::Object { header, change } = answer else { return Ok(()) };
    if *change == Change::KeptBeside {
        cover.met("state file kept beside");
        return Ok(());
    }
    let brought = (header.key(), header.id());
    let before = match header.content == scenario.hash() {
        true => shadow.sources.insert(path.clone(), brought),
        false => return Ok(()),
    };
    if !matches!(change, Change::Changed | Change::ClaimedAndChanged) || over.is_some() {
        return Ok(());
    }
    cover.met("state re-import is a put");
    let Some((key, revision)) = before else { return Ok(()) };
    if header.parent == Some(revision) || is_claim(&key, header) {
        return Ok(());
    }
    Err(format!("lays a file over {}, which has gone on since {revision:.12}", header.key()))
}

/// Whether what stood before is the claim of what was imported: the same bytes.
fn is_claim(key: &ObjectKey, header: &Header) -> bool {
    matches!(key.line, Line::Unclaimed(_)) && header.revision == 2
}
