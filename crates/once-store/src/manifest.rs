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
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{OpenError, at};

/// fjall's own keyspace, `rows`, and `bodies`.
const KEYSPACES: [&str; 3] = ["0", "1", "2"];

/// Refuses a store with a list of tables that is missing or changed.
pub(crate) fn examine(dir: &Path) -> Result<(), OpenError> {
    for keyspace in KEYSPACES {
        let keyspace = dir.join("keyspaces").join(keyspace);
        let current = keyspace.join("current");
        let bytes = fs::read(&current).map_err(at(&current))?;
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

fn parse(bytes: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}
