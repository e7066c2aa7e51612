//! Nobody but its user reads a data directory: folders 0700, files 0600, whoever made them and with whatever umask.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Error;

/// What others may do with a file, of its rights.
const OTHERS: u32 = 0o077;

/// Makes the directory of a new kernel, or takes one that is there: its rights are narrowed if it is empty. Whether they
/// were.
///
/// # Errors
/// When others may look into it and it is not empty: it may be there for something else.
pub(crate) fn prepare(data: &Path) -> Result<bool, Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|e| wrong(data, &e))?;
    let rights = fs::metadata(data).map_err(|e| wrong(data, &e))?.permissions().mode();
    if rights & OTHERS == 0 {
        return Ok(false);
    }
    let empty = fs::read_dir(data).map_err(|e| wrong(data, &e))?.next().is_none();
    if !empty {
        let shown = data.display();
        return Err(Error::invalid(format!("others may look into {shown}, and it is not empty")).with_hint(
            "name a new directory with --data; if this one is for the kernel alone, take their rights away: \
             `chmod -R go= DIR`",
        ));
    }
    fs::set_permissions(data, Permissions::from_mode(0o700)).map_err(|e| wrong(data, &e))?;
    Ok(true)
}

/// Takes all rights of others away, of the directory and of everything in it. Whether others could look into it.
///
/// # Errors
/// When that cannot be done: then the directory belongs to someone else.
pub(crate) fn narrow(data: &Path) -> Result<bool, Error> {
    let open = open_to_others(data).map_err(|e| wrong(data, &e))?;
    for path in &open {
        let rights = if path.is_dir() { 0o700 } else { 0o600 };
        match fs::set_permissions(path, Permissions::from_mode(rights)) {
            // The store merges its files while it is open.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(|e| wrong(path, &e))?,
        }
    }
    Ok(open.iter().any(|path| path == data))
}

/// What of a data directory others have rights on: the directory itself first, if it is among them.
pub(crate) fn open_to_others(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut open = Vec::new();
    let mut folders = Vec::new();
    let mut look = |path: PathBuf, meta: &fs::Metadata, folders: &mut Vec<PathBuf>| {
        // The rights of a link mean nothing, and what it leads to is not ours.
        if meta.is_symlink() {
            return;
        }
        if meta.permissions().mode() & OTHERS != 0 {
            open.push(path.clone());
        }
        if meta.is_dir() {
            folders.push(path);
        }
    };
    look(data.to_owned(), &fs::metadata(data)?, &mut folders);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(meta) => look(entry.path(), &meta, &mut folders),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(open)
}

fn wrong(path: &Path, error: &io::Error) -> Error {
    Error::io(
        path,
        error,
        "a data directory belongs to the user that runs the kernel: check its owner and rights",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_wide_directory_is_taken_only_if_it_is_empty() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("a/b");
        assert_eq!(prepare(&data), Ok(false));
        assert_eq!((mode(&data), mode(&home.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(prepare(&data), Ok(true));
        assert_eq!(mode(&data), 0o700);
        fs::set_permissions(&data, Permissions::from_mode(0o750)).unwrap();
        fs::write(data.join("diary"), "").unwrap();
        assert!(prepare(&data).is_err());
        assert_eq!(mode(&data), 0o750, "it is left as it was");
    }

    #[test]
    fn everything_is_narrowed_and_no_link_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let (data, outside) = (home.path().join("data"), home.path().join("outside"));
        fs::create_dir_all(data.join("store/tables")).unwrap();
        fs::write(data.join("store/tables/0"), "").unwrap();
        fs::write(&outside, "").unwrap();
        for wide in [&data, &data.join("store"), &data.join("store/tables")] {
            fs::set_permissions(wide, Permissions::from_mode(0o755)).unwrap();
        }
        for wide in [&data.join("store/tables/0"), &outside] {
            fs::set_permissions(wide, Permissions::from_mode(0o644)).unwrap();
        }
        std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
        assert_eq!(open_to_others(&data).unwrap().len(), 4);
        assert_eq!(narrow(&data), Ok(true));
        assert_eq!(open_to_others(&data).unwrap(), Vec::<PathBuf>::new());
        assert_eq!((mode(&data.join("store")), mode(&data.join("store/tables/0"))), (0o700, 0o600));
        assert_eq!(mode(&outside), 0o644);
        assert_eq!(narrow(&data), Ok(false));
    }
}
