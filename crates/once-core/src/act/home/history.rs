//! The history of an object: its ledger rows of all lanes, each with the hash of the one before it. The newest place
//! stands beside the newest revision.

use std::ops::ControlFlow;

use once_model::action::{BUILT_IN_FROM, Outcome};
use once_model::archive::{OutcomeStatus, Summary};
use once_model::certificate::Tip;
use once_model::ids::{Hash, Incarnation, KernelId, Line, ObjectKey};
use once_model::limits::ENTRIES_MAX;
use once_model::receipt::{EntriesOf, Entry, Receipt, ReceiptOf};
use once_model::sign::{KernelKey, Signature};

use super::state::mark_in;
use crate::act::rows::{LedgerRow, Origin, lane_from_key, lane_key, ledger_key};
use crate::object::{self, HeadRow};
use crate::store::{Read, StoreError, Table, prefix_end, scan_prefix, try_scan};
use crate::txn;

/// Nothing was recorded yet.
const NOTHING: Tip = Tip { number: 0, hash: Hash::from_bytes([0; 32]) };

/// The newest place in an object's history: it stands beside the newest revision.
pub(crate) fn tip(rows: &dyn Read, head: Option<&HeadRow>) -> Result<Tip, StoreError> {
    match head {
        None => Ok(NOTHING),
        Some(HeadRow { tip: Some(tip), .. }) => Ok(*tip),
        Some(head) => newest(rows, &head.header.key()),
    }
}

/// The same of a copy that is here anew: what was recorded of an earlier one is still there.
fn newest(rows: &dyn Read, key: &ObjectKey) -> Result<Tip, StoreError> {
    let entries = history(rows, key)?;
    Ok(entries.last().map_or(NOTHING, |recorded| Tip::of(&recorded.entry)))
}

/// The names under which an object may have lanes: its own, and that of the unclaimed copy that it began as.
pub(crate) fn names(read: &dyn Read, key: &ObjectKey) -> Result<Vec<ObjectKey>, StoreError> {
    let mut names = vec![*key];
    if let Some(lineage) = key.lineage()
        && let Some(genesis) = object::genesis(read, &lineage)?
    {
        let content = genesis.content;
        let place = object::content_key(&key.uuid, &content);
        if txn::get(read, Table::Genesis, &place)? == Some(lineage) {
            names.push(ObjectKey { uuid: key.uuid, line: Line::Unclaimed(content) });
        }
    }
    Ok(names)
}

/// A recorded action of an object, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the object's history.
    pub entry: Entry,
    /// When, by the home's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// What came of it, in a word. Absent in what an older version wrote.
    pub status: Option<OutcomeStatus>,
    /// What came of it, while that is kept.
    pub outcome: Option<Outcome>,
    /// What was asked and said, as much of it as is kept for people to read.
    pub told: Option<Summary>,
    /// Who recorded it, with that kernel's signature as in a receipt. Absent: this kernel has.
    pub signed: Option<(KernelId, Signature)>,
}

/// What was recorded of an object here, oldest first, as far as it is kept.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn history(read: &dyn Read, key: &ObjectKey) -> Result<Vec<Recorded>, StoreError> {
    let mut found = Vec::new();
    ledger(read, key, &mut |place, row| found.extend(recorded(place, row)))?;
    found.sort_by_key(|recorded: &Recorded| recorded.entry.number);
    Ok(found)
}

/// Each row of an object's ledger, whatever its lane is called.
fn ledger(
    read: &dyn Read,
    key: &ObjectKey,
    each: &mut dyn FnMut(&[u8], LedgerRow),
) -> Result<(), StoreError> {
    for name in names(read, key)? {
        let lanes = name.to_row();
        try_scan(read, Table::Ledger, &lanes, prefix_end(&lanes).as_deref(), |place, value| {
            each(place, txn::decode(Table::Ledger, &value)?);
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
    }
    Ok(())
}

/// Where in the ledger an object's entries are, with their numbers.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub(crate) fn recorded_places(read: &dyn Read, key: &ObjectKey) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    ledger(read, key, &mut |place, row| {
        found.extend(row.place.map(|row| (row.number, place.to_vec())));
    })?;
    Ok(found)
}

/// The entry in one of those places, if it is still kept.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn recorded_at(read: &dyn Read, place: &[u8]) -> Result<Option<Recorded>, StoreError> {
    let row = txn::get::<LedgerRow>(read, Table::Ledger, place)?;
    Ok(row.and_then(|row| recorded(place, row)))
}

/// The entries that lead from one back to the one that made a revision, newest first: as many as one answer has room
/// for. Looked up from the end of each lane, so that it costs what it gives.
///
/// # Errors
/// When the store cannot be read.
pub fn entries(read: &dyn Read, of: &EntriesOf) -> Result<Vec<Entry>, StoreError> {
    let newest = tip(read, object::head(read, &of.key)?.as_ref())?;
    let mut found = Vec::new();
    for name in names(read, &of.key)? {
        let mut lanes = Vec::new();
        scan_prefix(read, Table::Lane, &name.to_row(), &mut |place, _| {
            lanes.push(place.to_vec());
            ControlFlow::Continue(())
        })?;
        for place in lanes {
            walk_back(read, &place, mark_in(read, &place)?, of.revision, &mut found)?;
            built_ins(read, &place, newest.number, of.revision, &mut found)?;
        }
    }
    found.sort_unstable_by_key(|entry: &Entry| std::cmp::Reverse(entry.number));
    let mut link = of.newest;
    let mut proof = Vec::new();
    for entry in found.into_iter().skip_while(|entry| entry.hash() != of.newest) {
        if proof.len() >= ENTRIES_MAX || entry.hash() != link {
            break;
        }
        link = entry.previous;
        proof.push(entry);
    }
    Ok(proof)
}

/// Places of a lane that are looked at.
const LOOKED_MAX: u64 = 2048;

/// Gathers the entries of built-in actions in a lane: their places are numbered like the entries of all lanes.
fn built_ins(
    read: &dyn Read,
    lane: &[u8],
    tip: u64,
    revision: u64,
    found: &mut Vec<Entry>,
) -> Result<(), StoreError> {
    let from = ledger_key(lane, BUILT_IN_FROM + tip.saturating_sub(LOOKED_MAX));
    let mut rows = Vec::new();
    read.scan(Table::Ledger, &from, prefix_end(lane).as_deref(), &mut |place, value| {
        rows.push((place.to_vec(), value));
        ControlFlow::Continue(())
    })?;
    for (place, value) in rows {
        let recorded = recorded(&place, txn::decode(Table::Ledger, &value)?);
        found.extend(recorded.map(|recorded| recorded.entry).filter(|entry| entry.revision >= revision));
    }
    Ok(())
}

/// Gathers the entries of a lane from a sequence down, as long as they are not older than a revision.
fn walk_back(
    read: &dyn Read,
    lane: &[u8],
    from: u64,
    revision: u64,
    found: &mut Vec<Entry>,
) -> Result<(), StoreError> {
    for sequence in (from.saturating_sub(LOOKED_MAX)..=from).rev() {
        let place = ledger_key(lane, sequence);
        let Some(row) = txn::get::<LedgerRow>(read, Table::Ledger, &place)? else { continue };
        let Some(recorded) = recorded(&place, row) else { continue };
        if recorded.entry.revision < revision {
            break;
        }
        found.push(recorded.entry);
    }
    Ok(())
}

fn recorded(place: &[u8], row: LedgerRow) -> Option<Recorded> {
    let (name, origin, rest) = lane_from_key(place)?;
    let sequence = u64::from_be_bytes(rest.try_into().ok()?);
    let status = row.place.and_then(|place| place.status).or(row.outcome.as_ref().map(OutcomeStatus::from));
    let entry = row.entry(&name.key, &origin, sequence)?;
    let told = row.told_whole();
    Some(Recorded { entry, at_ms: row.at_ms, status, outcome: row.outcome, told, signed: None })
}

/// The first place in a history whose link to the one before it does not hold. Where places between are no longer
/// kept, nothing can be said.
#[must_use]
pub fn broken_link(history: &[Recorded]) -> Option<u64> {
    history.windows(2).find_map(|pair| {
        let [earlier, later] = pair else { return None };
        let follows = earlier.entry.number.checked_add(1) == Some(later.entry.number);
        let same = earlier.entry.number == later.entry.number;
        (same || follows && later.entry.previous != earlier.entry.hash()).then_some(later.entry.number)
    })
}

/// A receipt for the kernel that sent an action, made by the object's home. `None` if it recorded no such action.
///
/// # Errors
/// When the store cannot be read.
pub fn receipt(
    read: &dyn Read,
    key: &KernelKey,
    (kernel, incarnation): (KernelId, Incarnation),
    of: &ReceiptOf,
) -> Result<Option<Receipt>, StoreError> {
    let place = ledger_key(&lane_key(&of.lane, &Origin { kernel, incarnation }), of.sequence);
    let Some(row) = txn::get::<LedgerRow>(read, Table::Ledger, &place)? else { return Ok(None) };
    let Some(recorded) = recorded(&place, row).filter(|found| found.entry.id == of.id) else {
        return Ok(None);
    };
    receipt_for(read, key, recorded).map(Some)
}

/// A receipt for whoever wants one of what was recorded here.
///
/// # Errors
/// When the store cannot be read.
pub fn receipt_for(read: &dyn Read, key: &KernelKey, recorded: Recorded) -> Result<Receipt, StoreError> {
    let certificate = if mutant!(ReceiptOfToday) { None } else { recorded.entry.certificate };
    let chain = match recorded.entry.object.lineage() {
        // As it was then: the object may have moved on since.
        Some(lineage) => object::chain(read, &lineage)?.map(|chain| match certificate {
            Some(certificate) => chain.up_to(&certificate),
            None => chain,
        }),
        None => None,
    };
    let Recorded { entry, at_ms, outcome, signed, .. } = recorded;
    Ok(match signed {
        None => Receipt::sign(entry, outcome, at_ms, chain, key),
        Some((home, signature)) => Receipt { entry, outcome, at_ms, chain, home, signature },
    })
}
