//! What a peer takes up here.

use minicbor::{Decode, Encode};
use once_model::ids::KernelId;

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// [`Table::Usage`]: what a peer takes up here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageRow {
    /// Bytes of the scenarios that it shared.
    #[n(0)]
    pub stored_bytes: u64,
    /// Rows that wait for it in the outbox.
    #[n(1)]
    pub owed_rows: u64,
}

/// What a peer takes up here.
///
/// # Errors
/// When the store cannot be read.
pub fn usage(rows: &dyn Read, id: &KernelId) -> Result<UsageRow, StoreError> {
    Ok(txn::get(rows, Table::Usage, id.as_bytes())?.unwrap_or_default())
}
