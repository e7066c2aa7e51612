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

/// Makes what was created, renamed or removed in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
