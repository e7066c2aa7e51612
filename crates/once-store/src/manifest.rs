//! A look at the lists of tables before fjall believes them.
//!
//! `current` names the newest list, `v<number>`, and holds its checksum, which lsm-tree 3.1 writes but does not check.
//! A keyspace without `current` counts as never finished, and fjall removes it; here a new store is only moved into
//! place when it is whole, so that is damage.
//!
//! ```text
//! current  number u64, xxh3 of the list u128, 0; little-endian
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{OpenError, at, missing};

/// fjall's own keyspace, `rows`, and `bodies`.
pub(crate) const KEYSPACES: [&str; 3] = ["0", "1", "2"];

/// fjall's marker of its format, version 3.
const VERSION: &[u8] = b"FJL\x03";

/// Refuses a store with a list of tables that is missing or changed.
pub(crate) fn examine(dir: &Path) -> Result<(), OpenError> {
    // Without it fjall would make a new database here.
    let version = dir.join("version");
    if fs::read(&version).map_err(missing(&version))? != VERSION {
        return Err(OpenError::damaged(&version, "it is not what this version writes"));
    }
    for keyspace in KEYSPACES {
        let keyspace = dir.join("keyspaces").join(keyspace);
        let current = keyspace.join("current");
        let bytes = fs::read(&current).map_err(missing(&current))?;
        let Some((number, checksum)) = parse(&bytes) else {
            return Err(OpenError::damaged(&current, "it is not what this version writes"));
        };
        let list = keyspace.join(format!("v{number}"));
        if !list.try_exists().map_err(at(&list))? {
            return Err(OpenError::damaged(&list, "it is missing"));
        }
        if xxh3_128(&fs::read(&list).map_err(at(&list))?) != checksum {
            return Err(OpenError::damaged(&list, "its checksum is another"));
        }
    }
    Ok(())
}

/// Makes a copied store have its marker. Returns the keyspaces whose list of tables is missing or changed.
pub(crate) fn repair(dir: &Path) -> Result<Vec<&'static str>, OpenError> {
    let version = dir.join("version");
    fs::write(&version, VERSION).map_err(at(&version))?;
    let mut damaged = Vec::new();
    for keyspace in KEYSPACES {
        let folder = dir.join("keyspaces").join(keyspace);
        let current = folder.join("current");
        let bytes = fs::read(&current).unwrap_or_default();
        let list = |number: u64| fs::read(folder.join(format!("v{number}")));
        if let Some((number, checksum)) = parse(&bytes)
            && list(number).is_ok_and(|list| xxh3_128(&list) == checksum)
        {
            continue;
        }
        let numbers = fs::read_dir(&folder).map_err(missing(&folder))?.flatten().filter_map(|entry| {
            entry.file_name().to_str().and_then(|name| name.strip_prefix('v')?.parse::<u64>().ok())
        });
        let newest = numbers.max().unwrap_or(1);
        let path = folder.join(format!("v{newest}"));
        if !path.try_exists().map_err(at(&path))? {
            fs::write(&path, b"").map_err(at(&path))?;
        }
        name_list(&folder, &path, newest)?;
        damaged.push(keyspace);
    }
    Ok(damaged)
}

/// The list that a keyspace uses: its number and where it is.
pub(crate) fn current_list(folder: &Path) -> Result<(u64, PathBuf), OpenError> {
    let current = folder.join("current");
    match parse(&fs::read(&current).map_err(missing(&current))?) {
        Some((number, _)) => Ok((number, folder.join(format!("v{number}")))),
        None => Err(OpenError::damaged(&current, "it is not what this version writes")),
    }
}

/// Makes a keyspace use the list of this number, as it is.
pub(crate) fn name_list(folder: &Path, list: &Path, number: u64) -> Result<(), OpenError> {
    let checksum = xxh3_128(&fs::read(list).map_err(at(list))?);
    let bytes = [number.to_le_bytes().as_slice(), &checksum.to_le_bytes(), &[0]].concat();
    let current = folder.join("current");
    fs::write(&current, bytes).map_err(at(&current))
}

fn parse(bytes: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}
