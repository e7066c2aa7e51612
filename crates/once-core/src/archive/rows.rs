//! The rows of archives. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::archive::ArchivedEntry;
use once_model::cbor::to_cbor;
use once_model::ids::{Hash, KernelId, ObjectKey};

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// [`Table::Archive`], at the present home: an entry that a former home has recorded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ArchiveRow {
    /// The entry as its former home has recorded it.
    #[n(0)]
    pub kept: ArchivedEntry,
    /// Who brought it: it counts against the quota of that kernel.
    #[n(1)]
    pub from: KernelId,
}

/// What a row takes up beside its value, in bytes.
const ROW_COST_BYTES: usize = 128;

/// What an entry counts against the quota of who brought it, in bytes.
#[must_use]
pub fn cost(kept: &ArchivedEntry) -> u64 {
    (to_cbor(kept).len() + ROW_COST_BYTES) as u64
}

/// [`Table::Archiving`], at a former home: how much of what it has recorded the present home has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ArchivingRow {
    /// The present home.
    #[n(0)]
    pub to: KernelId,
    /// Its certificate: once the object has moved on, its next home has nothing yet.
    #[n(1)]
    pub certificate: Hash,
    /// It has the entry of this number, and all later ones that were to be given.
    #[n(2)]
    pub down_to: u64,
}

/// [`Table::Receipted`], at whoever recorded something: people have written it down as receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptedRow {
    /// There is a receipt of the entry of this number, and of all before it.
    #[n(0)]
    pub up_to: u64,
    /// When that was said, in milliseconds since 1970.
    #[n(1)]
    pub at_ms: u64,
}

/// The key of an entry, in [`Table::Archive`] of the present home.
pub(super) fn place(key: &ObjectKey, number: u64) -> Vec<u8> {
    [key.to_row().as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn kept(
    rows: &dyn Read,
    key: &ObjectKey,
    number: u64,
) -> Result<Option<ArchivedEntry>, StoreError> {
    let row: Option<ArchiveRow> = txn::get(rows, Table::Archive, &place(key, number))?;
    Ok(row.map(|row| row.kept))
}

pub(super) fn archiving(rows: &dyn Read, key: &ObjectKey) -> Result<Option<ArchivingRow>, StoreError> {
    txn::get(rows, Table::Archiving, &key.to_row())
}

/// How much of what is kept here of an object's history people have written down as receipts.
///
/// # Errors
/// When the store cannot be read, or the row is damaged.
pub fn receipted(rows: &dyn Read, key: &ObjectKey) -> Result<Option<ReceiptedRow>, StoreError> {
    txn::get(rows, Table::Receipted, &key.to_row())
}
