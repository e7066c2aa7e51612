//! Reading histories: what this kernel has recorded, and what former homes have given to it.

use std::ops::ControlFlow;

use once_model::archive::ArchivedEntry;
use once_model::ids::{Incarnation, KernelId, ObjectKey};
use once_model::receipt::{Receipt, ReceiptOf};
use once_model::sign::KernelKey;

use super::rows::{self, ArchiveRow};
use crate::act::{self, Recorded};
use crate::object;
use crate::store::{Read, StoreError, Table, prefix_end, try_scan};
use crate::txn;

/// Where an entry is kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the ledger of this kernel, under this key.
    Ledger(u64, Vec<u8>),
    /// Among those of others.
    Archive(u64),
}

impl Place {
    pub const fn number(&self) -> u64 {
        match self {
            Self::Ledger(number, _) | Self::Archive(number) => *number,
        }
    }

    /// What is kept there.
    pub fn read(&self, read: &dyn Read, key: &ObjectKey) -> Result<Option<Recorded>, StoreError> {
        match self {
            Self::Ledger(_, place) => act::recorded_at(read, place),
            Self::Archive(number) => Ok(rows::kept(read, key, *number)?.map(recorded)),
        }
    }
}

/// What is kept here of an object's history, oldest first: what this kernel has recorded, and what former homes have given to it.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn history(read: &dyn Read, key: &ObjectKey) -> Result<Vec<Recorded>, StoreError> {
    let mut found = act::history(read, key)?;
    let own = found.len();
    given(read, key, &mut |entry| found.push(recorded(entry)))?;
    if found.len() > own {
        found.sort_by_key(|recorded| recorded.entry.number);
    }
    Ok(found)
}

fn given(read: &dyn Read, key: &ObjectKey, each: &mut dyn FnMut(ArchivedEntry)) -> Result<(), StoreError> {
    let prefix = key.to_row();
    try_scan(read, Table::Archive, &prefix, prefix_end(&prefix).as_deref(), |_, value| {
        each(txn::decode::<ArchiveRow>(Table::Archive, &value)?.kept);
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })
}

fn recorded(kept: ArchivedEntry) -> Recorded {
    let ArchivedEntry { entry, home, at_ms, signature, outcome, status, summary } = kept;
    Recorded { entry, at_ms, status, outcome, told: summary, signed: Some((home, signature)) }
}

/// Of an object that has moved from here: what is kept here of its history, and its present home has not said to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The present home, as far as is known.
    pub home: KernelId,
    /// How many entries of it are kept here, that the present home has not recorded itself.
    pub entries: u64,
    /// How many of those it has not said to have.
    pub missing: u64,
    /// How many of these people have written down as receipts.
    pub receipted: u64,
}

/// Of an object that is gone: what is kept here of its history, which no other kernel can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many entries.
    pub entries: u64,
    /// The number of the newest one; 0 if there is none.
    pub newest: u64,
    /// How many of them people have written down as receipts.
    pub receipted: u64,
}

/// How much is kept here of an object's history, and how much of that people have written down as receipts.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn written(read: &dyn Read, key: &ObjectKey) -> Result<Written, StoreError> {
    let all = history(read, key)?;
    let up_to = rows::receipted(read, key)?.map_or(0, |row| row.up_to);
    let receipted = all.iter().filter(|recorded| recorded.entry.number <= up_to).count() as u64;
    let newest = all.last().map_or(0, |recorded| recorded.entry.number);
    Ok(Written { entries: all.len() as u64, newest, receipted })
}

/// How much of an object's history is kept only here, as far as is known. `None` if the object lives here, or is unclaimed.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn left(read: &dyn Read, me: &KernelId, key: &ObjectKey) -> Result<Option<Left>, StoreError> {
    let Some(chain) = object::chain_of(read, key)?.filter(|chain| chain.home() != *me) else {
        return Ok(None);
    };
    let home = chain.home();
    let places = places(read, key, &home)?;
    let entries = places.len() as u64;
    let missing = still_missing(read, key, &chain.certificate(), places)?;
    let up_to = rows::receipted(read, key)?.map_or(0, |row| row.up_to);
    let receipted = missing.iter().filter(|place| place.number() <= up_to).count() as u64;
    Ok(Some(Left { home, entries, missing: missing.len() as u64, receipted }))
}

/// The entries that are kept here and that this home has not recorded itself, oldest first.
pub(super) fn places(read: &dyn Read, key: &ObjectKey, home: &KernelId) -> Result<Vec<Place>, StoreError> {
    let mut found = Vec::new();
    for (number, place) in act::recorded_places(read, key)? {
        found.push(Place::Ledger(number, place));
    }
    given(read, key, &mut |entry| {
        if entry.home != *home {
            found.push(Place::Archive(entry.entry.number));
        }
    })?;
    found.sort_by_key(Place::number);
    Ok(found)
}

/// Those of them that whoever is the home by this certificate has not said to have.
pub(super) fn still_missing(
    read: &dyn Read,
    key: &ObjectKey,
    certificate: &once_model::ids::Hash,
    mut places: Vec<Place>,
) -> Result<Vec<Place>, StoreError> {
    if let Some(row) = rows::archiving(read, key)?.filter(|row| row.certificate == *certificate) {
        places.retain(|place| place.number() < row.down_to);
    }
    Ok(places)
}

/// A receipt for the kernel that sent an action: of what this kernel has recorded, or a former home of the object. `None` if
/// nothing of it is kept here.
///
/// # Errors
/// When the store cannot be read.
pub fn receipt(
    read: &dyn Read,
    key: &KernelKey,
    origin: (KernelId, Incarnation),
    of: &ReceiptOf,
) -> Result<Option<Receipt>, StoreError> {
    if let Some(receipt) = act::receipt(read, key, origin, of)? {
        return Ok(Some(receipt));
    }
    let (object, mut found) = (object::current_key(read, &of.lane.key)?, None);
    given(read, &object, &mut |kept| {
        let entry = &kept.entry;
        if (entry.origin, entry.incarnation) == origin && (entry.id, entry.sequence) == (of.id, of.sequence) {
            found = Some(kept);
        }
    })?;
    found.map(|kept| act::receipt_for(read, key, recorded(kept))).transpose()
}
