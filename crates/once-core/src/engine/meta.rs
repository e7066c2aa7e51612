//! The kernel's own facts: incarnation, commit number, name, recovery keys.

use std::ops::ControlFlow;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use once_model::ids::{BootId, Incarnation, KernelId};

use crate::store::{Read, StoreError, Table};
use crate::txn::{self, Txn};

const COMMIT: &[u8] = b"commit";
const IDENTITY: &[u8] = b"identity";
const LATEST: &[u8] = b"latest";

/// Written once by `init`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Identity {
    /// The kernel that this store belongs to.
    #[n(0)]
    pub kernel: KernelId,
    /// This life of the data directory.
    #[n(1)]
    pub incarnation: Incarnation,
    /// What this kernel calls itself.
    #[n(2)]
    pub name: String,
    /// Keys that may claim its objects after a loss; their secret halves are not here.
    #[n(3)]
    pub recovery: Vec<KernelId>,
    /// Lives of this data directory that this kernel ended itself, after a backup was put back.
    #[n(4)]
    pub ended: Vec<Incarnation>,
}

/// Who this store belongs to; `None` before `init`.
///
/// # Errors
/// When the store cannot be read.
pub fn identity(rows: &dyn Read) -> Result<Option<Identity>, StoreError> {
    txn::get(rows, Table::Meta, IDENTITY)
}

/// This life of the store; zeros before `init`.
///
/// # Errors
/// When the store cannot be read.
pub fn incarnation(rows: &dyn Read) -> Result<Incarnation, StoreError> {
    Ok(identity(rows)?.map_or(Incarnation::from_bytes([0; 16]), |identity| identity.incarnation))
}

/// Writes who this store belongs to.
pub fn set_identity(txn: &mut Txn<'_>, identity: &Identity) {
    txn.put(Table::Meta, IDENTITY, identity);
}

/// The number of the last commit.
///
/// # Errors
/// When the store cannot be read.
pub fn commit_number(rows: &dyn Read) -> Result<u64, StoreError> {
    number(rows, COMMIT)
}

/// About the latest time that this kernel has seen, in milliseconds since 1970; 0 if none is kept yet.
///
/// # Errors
/// When the store cannot be read.
pub fn latest_ms(rows: &dyn Read) -> Result<u64, StoreError> {
    number(rows, LATEST)
}

/// Keeps the latest time seen. No reason of its own to wait for the disk.
pub(crate) fn set_latest_ms(txn: &mut Txn<'_>, at_ms: u64) {
    txn.put_bytes_lazily(Table::Meta, LATEST, Bytes::copy_from_slice(&at_ms.to_be_bytes()));
}

fn number(rows: &dyn Read, key: &[u8]) -> Result<u64, StoreError> {
    let Some(bytes) = rows.get(Table::Meta, key)? else { return Ok(0) };
    match <[u8; 8]>::try_from(bytes.as_ref()) {
        Ok(number) => Ok(u64::from_be_bytes(number)),
        Err(_) => {
            let reason = format!("{} is no number", String::from_utf8_lossy(key));
            Err(StoreError::damaged(Table::Meta, key, reason))
        }
    }
}

/// [`Table::Boot`]: one life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Boot {
    /// Random, new at each start of the process.
    #[n(0)]
    pub id: BootId,
    /// The number of its first commit. It ends where the next boot begins.
    #[n(1)]
    pub first_commit: u64,
}

/// Boots that are remembered: of older ones only the commit number counts.
pub(crate) const BOOTS_MAX: u64 = 1000;

/// The number of the last boot that is remembered; 0 if none is.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn last_boot(rows: &dyn Read) -> Result<u64, StoreError> {
    let mut last = 0;
    rows.scan(Table::Boot, &[], None, &mut |key, _| {
        last = key.try_into().map_or(last, |key| last.max(u64::from_be_bytes(key)));
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// Writes down that a boot begins, before anything of it is told. Returns its number, which is above `before` and above every
/// boot that is remembered: places in the event log are in the order of boots, also where a new life begins.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn begin_boot(
    txn: &mut Txn<'_>,
    id: BootId,
    first_commit: u64,
    before: u64,
) -> Result<u64, StoreError> {
    let number = before.max(last_boot(txn)?) + 1;
    txn.put(Table::Boot, &number.to_be_bytes(), &Boot { id, first_commit });
    if let Some(old) = number.checked_sub(BOOTS_MAX) {
        txn.delete(Table::Boot, &old.to_be_bytes());
    }
    Ok(number)
}

/// Counts a commit. Part of every batch, and no reason of its own to wait for the disk.
pub(crate) fn set_commit_number(txn: &mut Txn<'_>, number: u64) {
    txn.put_bytes_lazily(Table::Meta, COMMIT, Bytes::copy_from_slice(&number.to_be_bytes()));
}

/// The recovery keys for new objects.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn recovery_keys(rows: &dyn Read) -> Result<Vec<KernelId>, StoreError> {
    Ok(identity(rows)?.map(|identity| identity.recovery).unwrap_or_default())
}
