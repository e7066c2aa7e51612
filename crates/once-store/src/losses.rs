//! What the journal lost: remembered in the data directory until a person has confirmed it.
//!
//! The file `losses` has one line for each: when (milliseconds since 1970), the journal, from which byte on, how many bytes. Of
//! a journal that was empty: when, the journal, `all`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::sync_dir;

const FILE: &str = "losses";

/// In place of a beginning and a length: nothing of the journal was there.
const ALL: &str = "all";

/// Losses that are remembered. Whoever has not looked at so many need not know of more.
const LOSSES_MAX: usize = 100;

/// What could not be read of a journal, and is gone. It may be what a crash left unfinished, which nobody was told is done; or
/// it was damaged later, and then something that was acknowledged is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// When that was found, in milliseconds since 1970.
    pub at_ms: u64,
    /// The journal's file name.
    pub journal: String,
    /// How much of it.
    pub lost: Lost,
}

/// How much of a journal is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Its end, which was cut off.
    End {
        /// Where its readable part ends.
        from_byte: u64,
        /// How many bytes were written behind that.
        bytes: u64,
    },
    /// All: it was empty, or nothing but zeros.
    All,
    /// The line that should say it cannot be read.
    Unknown,
}

impl Loss {
    pub(crate) fn now(journal: &Path, lost: Lost) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let journal = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), journal, lost }
    }

    /// A line that somebody changed still says that something was lost.
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let parsed = || {
            let (at_ms, journal, lost) = match *words.as_slice() {
                [at_ms, journal, ALL] => (at_ms, journal, Lost::All),
                [at_ms, journal, from, bytes] => {
                    (at_ms, journal, Lost::End { from_byte: from.parse().ok()?, bytes: bytes.parse().ok()? })
                }
                _ => return None,
            };
            let journal = journal.strip_suffix(".jnl")?.parse::<u64>().ok().map(|_| journal.to_owned())?;
            Some(Self { at_ms: at_ms.parse().ok()?, journal, lost })
        };
        parsed().unwrap_or(Self { at_ms: 0, journal: String::new(), lost: Lost::Unknown })
    }

    fn line(&self) -> String {
        let Self { at_ms, journal, lost } = self;
        match lost {
            Lost::End { from_byte, bytes } => format!("{at_ms} {journal} {from_byte} {bytes}\n"),
            _ => format!("{at_ms} {journal} {ALL}\n"),
        }
    }

    /// Whether it is the same loss, found again.
    fn is_again(&self, later: &Self) -> bool {
        self.lost == Lost::All && later.lost == Lost::All && self.journal == later.journal
    }
}

/// What was lost and not confirmed yet, oldest first.
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

/// A person has seen what was lost: it is not spoken of any more.
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
    let known = losses(dir)?;
    // A journal without a batch stays so while nothing can be written.
    if known.len() >= LOSSES_MAX || known.last().is_some_and(|last| last.is_again(loss)) {
        return Ok(());
    }
    let mut file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(FILE))?;
    file.write_all(loss.line().as_bytes())?;
    file.sync_all()?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_read_as_it_was_written_and_junk_is_no_number() {
        for lost in [Lost::All, Lost::End { from_byte: 7, bytes: 9 }] {
            let loss = Loss::now(Path::new("store/3.jnl"), lost);
            assert_eq!(Loss::parse(&loss.line()), loss);
        }
        for junk in
            ["junk", "1 0.jnl", "1 0.jnl x 3", "x 0.jnl 1 3", "1 etc 1 3", "1 0.jnl 1 3 4", "\u{fffd}"]
        {
            assert_eq!(Loss::parse(junk).lost, Lost::Unknown, "{junk}");
        }
    }
}
