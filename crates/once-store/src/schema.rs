//! The version of the rows, and the way from an older one.

use bytes::Bytes;
use once_core::store::{Batch, Durability, Read, Store, StoreError, Table};

use crate::commit::FjallStore;
use crate::error::OpenError;

/// The version of the rows that this program writes.
pub const SCHEMA: u32 = 3;

/// The oldest that can be brought up. 3 broke the layout once, before anything was released: lanes by object, one outbox for
/// objects and lanes, debts as one enum, outcomes in their places. An older store is refused, not guessed at.
pub(crate) const OLDEST: u32 = 3;

/// The row of [`Table::Meta`] that holds it, a big-endian `u32`.
pub(crate) const KEY: &[u8] = b"schema";

/// One step from a version to the next: reads the store, returns what to change. It is committed together with the
/// new version, synced: a crash leaves the old version or the new one.
pub(crate) type Migration = fn(&dyn Read) -> Result<Batch, StoreError>;

/// The steps: the first leads on from [`OLDEST`].
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// The row for a version.
pub(crate) fn row(version: u32) -> (Table, Vec<u8>, Option<Bytes>) {
    (Table::Meta, KEY.to_vec(), Some(Bytes::copy_from_slice(&version.to_be_bytes())))
}

/// Refuses a newer store and one that is too old, and brings any other up.
pub(crate) fn migrate(store: &mut FjallStore, migrations: &[Migration]) -> Result<(), OpenError> {
    let found = version(store)?;
    let Some(done) = found.checked_sub(OLDEST) else {
        return Err(OpenError::SchemaOlder { found, oldest: OLDEST });
    };
    let Some(steps) = migrations.get(done as usize..) else {
        let known = OLDEST + u32::try_from(migrations.len()).unwrap_or(u32::MAX - OLDEST);
        return Err(OpenError::SchemaNewer { found, known });
    };
    for (version, migration) in (found + 1..).zip(steps) {
        let mut batch = migration(store)?;
        batch.rows.push(row(version));
        store.commit(batch, Durability::Synced)?;
        tracing::info!(version, "migrated the store");
    }
    Ok(())
}

fn version(store: &FjallStore) -> Result<u32, StoreError> {
    let value = store.get(Table::Meta, KEY)?;
    let damaged = |reason: &str| StoreError::damaged(Table::Meta, KEY, reason);
    let value = value.ok_or_else(|| damaged("the schema version is missing"))?;
    let bytes = value.as_ref().try_into().map_err(|_| damaged("the schema version is not 4 bytes long"))?;
    match u32::from_be_bytes(bytes) {
        0 => Err(damaged("the schema version is 0")),
        version => Ok(version),
    }
}

// The number and the steps change together.
const _: () = assert!(SCHEMA as usize == OLDEST as usize + MIGRATIONS.len());
