//! Free space, and making a directory's entries durable.

use std::fs::File;
use std::io;
use std::path::Path;

/// How many bytes this user may still write to the disk that holds `dir`.
///
/// The kernel refuses new work well before [`Options::reserve_bytes`](crate::Options::reserve_bytes) is reached.
///
/// # Errors
/// When the directory cannot be looked at.
///
/// ```
/// assert!(once_store::free_bytes(std::path::Path::new(".")).is_ok());
/// ```
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Files that a background thread of the store has open at once, about.
const FILES_AT_ONCE: usize = 8;

/// Whether this process may open the files that writing a table needs. Another error than that there are too many open ones
/// shows when they are opened.
///
/// ```
/// assert!(once_store::can_open_files(std::path::Path::new(".")));
/// ```
#[must_use]
pub fn can_open_files(dir: &Path) -> bool {
    let open: io::Result<Vec<File>> = (0..FILES_AT_ONCE).map(|_| File::open(dir)).collect();
    !open.is_err_and(|error| is_out_of_files(&error))
}

/// Whether this process, or the system, has as many files open as it may. That passes.
///
/// ```
/// assert!(!once_store::is_out_of_files(&std::io::ErrorKind::NotFound.into()));
/// ```
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| number == Some(errno.raw_os_error()))
}

/// Makes what was created, renamed or removed in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
