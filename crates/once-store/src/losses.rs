//! What was cut off the journal: remembered in the data directory until a person has confirmed it.
//!
//! The file `losses` has one line for each: when (milliseconds since 1970), the journal, from which byte on, how many bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::sync_dir;

const FILE: &str = "losses";

/// Losses that are remembered. Whoever has not looked at so many need not know of more.
const LOSSES_MAX: usize = 100;

/// The end of a journal that could not be read and was cut off. It may be what a crash left unfinished, which nobody was
/// told is done; or it was damaged later, and then something that was acknowledged is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// When it was cut off, in milliseconds since 1970.
    pub at_ms: u64,
    /// The journal's file name.
    pub journal: String,
    /// Where its readable part ends.
    pub from_byte: u64,
    /// How many bytes were written behind that.
    pub bytes: u64,
}

impl Loss {
    pub(crate) fn now(journal: &Path, from_byte: u64, bytes: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let journal = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), journal, from_byte, bytes }
    }

    /// A line that somebody changed still says that something was lost.
    fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let at_ms = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let journal = words.next().unwrap_or("?").to_owned();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { at_ms, journal, from_byte: number(), bytes: number() }
    }
}

/// What was cut off and not confirmed yet, oldest first.
///
/// # Errors
/// When the file cannot be read.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// assert!(once_store::losses(dir.path())?.is_empty());
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn losses(dir: &Path) -> io::Result<Vec<Loss>> {
    match fs::read(dir.join(FILE)) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.lines().filter(|line| !line.trim().is_empty()).map(Loss::parse).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A person has seen what was cut off: it is not spoken of any more.
///
/// # Errors
/// When the file cannot be removed.
pub fn confirm_losses(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(dir),
    }
}

/// Durable when it returns.
pub(crate) fn remember(dir: &Path, loss: &Loss) -> io::Result<()> {
    if losses(dir)?.len() >= LOSSES_MAX {
        return Ok(());
    }
    let mut file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(FILE))?;
    let Loss { at_ms, journal, from_byte, bytes } = loss;
    file.write_all(format!("{at_ms} {journal} {from_byte} {bytes}\n").as_bytes())?;
    file.sync_all()?;
    sync_dir(dir)
}
