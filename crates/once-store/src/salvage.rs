//! A copy of a damaged store that opens: with all that can be read, and nothing of what cannot.
//!
//! Only the copy is changed. What a missing batch or table took along shows as damaged objects there; bytes are still only
//! believed with their checksums.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{OpenError, at};
use crate::lock::Lock;
use crate::{journal, manifest, tables};

/// Copies the store of the data directory `dir` into the data directory `to`, which must be empty, so that it opens there.
/// Returns what had to be left out, for people.
///
/// # Errors
/// When another process uses the directory, or files cannot be read or written.
///
/// ```
/// # use once_store::{FjallStore, Options};
/// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// # FjallStore::open(dir.path(), Options::default())?.close()?;
/// assert!(once_store::salvage(dir.path(), to.path())?.is_empty());
/// FjallStore::open(to.path(), Options { create: false, ..Options::default() })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(dir: &Path, to: &Path) -> Result<Vec<String>, OpenError> {
    let _lock = Lock::take(dir)?;
    let (old, new) = (dir.join("store"), to.join("store"));
    if !old.try_exists().map_err(at(&old))? {
        return Err(OpenError::Missing { path: old });
    }
    copy_folder(&old, &new)?;
    let without_list = manifest::repair(&new)?;
    let mut left_out = tables::repair(&new, &without_list)?;
    left_out.extend(journal::repair(&old, &new, !left_out.is_empty())?);
    Ok(left_out)
}

/// The files of the store of the data directory `dir` that are not as they were written, as paths in the store. Reads all
/// tables and blob files. Also of a store that is open.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # once_store::FjallStore::open(dir.path(), once_store::Options::default())?.close()?;
/// assert!(once_store::damaged_files(dir.path()).is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn damaged_files(dir: &Path) -> Vec<String> {
    tables::damaged(&dir.join("store"))
}

/// All but journals, whose names the repair chooses.
fn copy_folder(old: &Path, new: &Path) -> Result<(), OpenError> {
    DirBuilder::new().mode(0o700).create(new).map_err(at(new))?;
    for entry in fs::read_dir(old).map_err(at(old))? {
        let entry = entry.map_err(at(old))?;
        let (from, to) = (entry.path(), new.join(entry.file_name()));
        // What is neither a file nor a folder is none of the store's.
        let kind = entry.file_type().map_err(at(&from))?;
        if kind.is_dir() {
            copy_folder(&from, &to)?;
        } else if kind.is_file() && from.extension().is_none_or(|ending| ending != "jnl") {
            copy_file(&from, &to).map_err(at(&from))?;
        }
    }
    Ok(())
}

/// For its user alone from the first byte, whatever rights there are on the old one.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut new).map(|_| ())
}
