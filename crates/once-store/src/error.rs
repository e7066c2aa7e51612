//! Why a store could not be opened, and how fjall's errors become ours.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use once_core::store::{StoreError, Table};

use crate::disk::is_out_of_files;

/// Why a data directory could not be opened. [`OpenError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store of this process, has it open.
    #[error("the data directory {} is in use by {}", .dir.display(), process(*.pid))]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process that has it open, if it has said so.
        pid: Option<u32>,
    },
    /// A newer version wrote it.
    #[error("the data directory has store schema {found}; this version knows up to {known}")]
    SchemaNewer {
        /// What is there.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// A version wrote it whose rows this one does not read any more.
    #[error(
        "the data directory has store schema {found}, which this version does not read: its oldest is {oldest}"
    )]
    SchemaOlder {
        /// What is there.
        found: u32,
        /// The oldest that this version reads.
        oldest: u32,
    },
    /// There is none, and none is to be made.
    #[error("the store is missing: {}", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something that had been synced is missing or changed.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// Path of the file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was opened, read or written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The store opened but could not be read, or its rows could not be migrated.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// What to do about it, in one line.
    ///
    /// ```
    /// let newer = once_store::OpenError::SchemaNewer { found: 2, known: 1 };
    /// assert!(newer.hint().contains("upgrade"));
    /// ```
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop that process first, or choose another data directory",
            Self::SchemaNewer { .. } => {
                "upgrade this program: a newer version has written this data directory"
            }
            Self::SchemaOlder { .. } => {
                "nothing was changed. With the program that wrote it, `once export --all DIR`; with this one, `once init` \
                 in another data directory, then `once import DIR`"
            }
            Self::Missing { .. } => {
                "is its disk mounted? Put it back from a backup. If it is lost, so is all that was in it: begin anew in \
                 another data directory"
            }
            Self::Damaged { .. } | Self::Store(StoreError::Damaged { .. }) => {
                "keep the data directory as it is and check the disk; `once export --salvage DIR` brings out all that can be \
                 read, a backup or your peers have the rest"
            }
            Self::Io { source, .. } if is_out_of_files(source) => {
                "this passes; allow more open files (`ulimit -n`), or end other programs"
            }
            Self::Io { .. } => "check the path, its permissions and the free space",
            Self::Store(StoreError::Full) => "free some disk space and start again",
            Self::Store(_) => "check the disk; nothing was changed",
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), reason: reason.into() }
    }

    /// What fjall said while it opened `path`.
    pub(crate) fn fjall(path: &Path, error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                missing(path)(source)
            }
            other => Self::damaged(path, reason(&other)),
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// Names the path that an I/O error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.into(), source }
}

/// The same for what a store must have: a file that is gone, empty or cut is damage.
pub(crate) fn missing(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| match is_damage(&source) {
        true => OpenError::damaged(path, format!("a file of it is missing or cut ({source})")),
        false => OpenError::Io { path: path.into(), source },
    }
}

fn is_damage(error: &io::Error) -> bool {
    // The end of an empty file is looked for before its beginning: an invalid argument.
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | UnexpectedEof | InvalidData | InvalidInput)
}

/// What fjall said while it read a row.
pub(crate) fn read(table: Table, error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Storage(fjall::LsmError::Io(source)) | fjall::Error::Io(source)
            if is_out_of_files(source) =>
        {
            StoreError::OutOfFiles
        }
        fjall::Error::Storage(fjall::LsmError::Io(source)) | fjall::Error::Io(source)
            if !is_damage(source) =>
        {
            StoreError::Io(reason(error))
        }
        other => StoreError::damaged(table, &[], reason(other)),
    }
}

/// fjall panics at damage that its checksums do not cover: an error here, like other damage.
pub(crate) fn no_panic<T>(run: impl FnOnce() -> Result<T, fjall::Error>) -> Result<T, fjall::Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(fjall::Error::Unrecoverable))
}

/// The one place where fjall's errors become words for people: they have no text of their own beyond `Debug`; those from the
/// system do.
pub(crate) fn reason(error: &fjall::Error) -> String {
    use fjall::LsmError as Tree;
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(Tree::Io(source)) => source.to_string(),
        fjall::Error::Storage(Tree::ChecksumMismatch { .. }) => {
            "its bytes are not those that were written (the checksum differs)".into()
        }
        fjall::Error::Storage(Tree::Decompress(_)) => {
            "its bytes are not those that were written (they cannot be unpacked)".into()
        }
        fjall::Error::Storage(Tree::Unrecoverable) | fjall::Error::Unrecoverable => {
            "files of it are missing, or nothing can be made of what they hold".into()
        }
        fjall::Error::Storage(_) => {
            "its bytes are not those that were written (nothing can be made of them)".into()
        }
        fjall::Error::JournalRecovery(_) => "nothing can be made of its journal".into(),
        fjall::Error::InvalidVersion(_) => {
            "another version of the store's format wrote it, or its disk changed it".into()
        }
        fjall::Error::Poisoned => "a write in the background failed".into(),
        fjall::Error::Locked => "another process has it open".into(),
        _ => "the store cannot go on with it".into(),
    }
}
