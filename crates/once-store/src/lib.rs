//! The [`Store`](once_core::store::Store) port on fjall, a log-structured store in pure Rust.
//!
//! A data directory holds a `lock` file and the folder `store`. [`FjallStore::open`] locks the directory, looks
//! through the journal, recovers, and migrates the rows of an older version. `docs/store.md` shows every row, the
//! settings, and why no crash loses what was synced.
//!
//! ```
//! use bytes::Bytes;
//! use once_core::store::{Batch, Durability, Read, Store, Table};
//! use once_store::{FjallStore, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let mut store = FjallStore::open(dir.path(), Options::default())?;
//! let before = store.snapshot();
//! let rows = vec![(Table::Head, b"key".to_vec(), Some(Bytes::from_static(b"value")))];
//! store.commit(Batch { rows }, Durability::Synced)?;
//! assert_eq!(store.get(Table::Head, b"key")?.as_deref(), Some(&b"value"[..]));
//! assert_eq!(before.get(Table::Head, b"key")?, None);
//! drop(before);
//! store.close()?;
//! # Ok(())
//! # }
//! ```

mod cache;
mod commit;
mod disk;
mod error;
mod journal;
mod lock;
mod losses;
mod manifest;
mod open;
mod options;
mod places;
mod read;
mod salvage;
mod schema;
mod tables;

#[cfg(test)]
mod tests;

pub use commit::FjallStore;
pub use disk::{can_open_files, free_bytes, is_out_of_files};
pub use error::OpenError;
pub use lock::Lock;
pub use losses::{Loss, Lost, confirm_losses, losses};
pub use options::Options;
pub use read::FjallSnapshot;
pub use salvage::{damaged_files, salvage};
pub use schema::SCHEMA;
