//! One process per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{OpenError, at};

/// The word behind the process id that says: a write or a sync failed, the journal in the page cache is not to be
/// trusted.
const FAILED: &str = "failed";

/// An exclusively locked file with the id of the process that holds it. Dropping it lets the directory go.
#[derive(Debug)]
pub struct Lock {
    file: File,
    failed_before: bool,
}

impl Lock {
    /// Locks a data directory that exists.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when it is locked, [`OpenError::Io`] when the file cannot be opened or written.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let lock = once_store::Lock::take(dir.path())?;
    /// assert!(once_store::Lock::take(dir.path()).is_err());
    /// drop(lock);
    /// assert!(once_store::Lock::take(dir.path()).is_ok());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at(&path))?;
        let held = match file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
        };
        // Whatever is in it only makes the message better.
        let mut text = String::new();
        let _ = (&file).take(64).read_to_string(&mut text);
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        if held {
            return Err(OpenError::InUse { dir: dir.into(), pid });
        }
        let lock = Self { file, failed_before: words.next() == Some(FAILED) };
        lock.say(lock.failed_before).map_err(at(&path))?;
        Ok(lock)
    }

    /// Whether the one that held it before stopped after a failed write or sync.
    pub(crate) fn failed_before(&self) -> bool {
        self.failed_before
    }

    /// Writes down whether a write or a sync has failed. It lives as long as the page cache, and so does the danger.
    pub(crate) fn say(&self, failed: bool) -> std::io::Result<()> {
        let mut file = &self.file;
        let word = if failed { FAILED } else { "" };
        file.seek(SeekFrom::Start(0))?;
        // Always of one length: the mark needs no new room on a full disk.
        file.write_all(format!("{:<10} {word:<6}\n", std::process::id()).as_bytes())
    }
}
