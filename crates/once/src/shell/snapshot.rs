//! The store as readers see it.

use std::ops::ControlFlow;

use once_core::store::{Read, StoreError, Table, Visit};
use once_store::FjallSnapshot;

/// The store at one moment, or nothing once the kernel has stopped: the data directory is free then, whoever still
/// holds on to the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot(pub(super) Option<FjallSnapshot>);

impl Snapshot {
    /// Whether nothing can be read just now.
    pub fn is_closed(&self) -> bool {
        self.0.is_none()
    }

    fn open(&self) -> Result<&FjallSnapshot, StoreError> {
        self.0.as_ref().ok_or_else(closed)
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Io("the kernel has stopped, or opens its store again".into())
}

impl Snapshot {
    /// Visits keys without their values: also where those are damaged.
    pub fn keys(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.open()?.keys(table, from, to, visit)
    }
}

impl Read for Snapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.open()?.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.open()?.scan(table, from, to, visit)
    }
}
