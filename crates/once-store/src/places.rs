//! Where the values of blob files are, from these files themselves: for a table that has lost the rows which say so.
//!
//! ```text
//! value  "BLOB", xxh3 of key and value u128, seqno u64, key length u16, value length u32, length here u32, key, value
//! row    place, blob file, length here, value length: each LEB128
//! ```

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lsm_tree::{InternalValue, ValueType};
use xxhash_rust::xxh3::Xxh3;

const MARK: &[u8] = b"BLOB";
const HEADER_BYTES: usize = 4 + 16 + 8 + 2 + 4 + 4;

/// Adds to the rows of a table those of whole values in the blob files of its keyspace that it does not have. A value that was
/// removed may be among them: no head leads to it.
pub(crate) fn add_missing(blobs: &Path, rows: &mut Vec<InternalValue>) {
    let known: HashSet<_> = rows.iter().map(|row| (row.key.user_key.to_vec(), row.key.seqno)).collect();
    for file in fs::read_dir(blobs).into_iter().flatten().flatten() {
        let id = file.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        let (Some(id), Ok(bytes)) = (id, fs::read(file.path())) else { continue };
        rows.extend(
            in_file(id, &bytes).filter(|row| !known.contains(&(row.key.user_key.to_vec(), row.key.seqno))),
        );
    }
    rows.sort_by(|one, other| one.key.cmp(&other.key));
}

fn in_file(id: u64, bytes: &[u8]) -> impl Iterator<Item = InternalValue> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..)?;
            let begin = rest.windows(MARK.len()).position(|four| four == MARK)?;
            let place = at + begin;
            match value_at(id, place, rest.get(begin..)?) {
                Some((row, length)) => {
                    at = place + length;
                    return Some(row);
                }
                None => at = place + MARK.len(),
            }
        }
    })
}

/// The row of the whole value that begins here, and how long that is.
fn value_at(id: u64, place: usize, bytes: &[u8]) -> Option<(InternalValue, usize)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let number = |from: usize, to: usize| {
        let bytes = header.get(from..to)?;
        Some(bytes.iter().rev().fold(0_u128, |number, byte| number << 8 | u128::from(*byte)))
    };
    let checksum = number(4, 20)?;
    let [seqno, key, length, here] =
        [(20, 28), (28, 30), (30, 34), (34, 38)].map(|(from, to)| number(from, to));
    let (key, here) = (usize::try_from(key?).ok()?, usize::try_from(here?).ok()?);
    let all = HEADER_BYTES + key + here;
    let content = bytes.get(HEADER_BYTES..all)?;
    let mut hash = Xxh3::new();
    hash.update(content);
    if hash.digest128() != checksum || key == 0 {
        return None;
    }
    let mut row = Vec::new();
    for number in [place as u64, id, here as u64, u64::try_from(length?).ok()?] {
        leb128(number, &mut row);
    }
    let seqno = u64::try_from(seqno?).ok()?;
    Some((InternalValue::from_components(&content[..key], row, seqno, ValueType::Indirection), all))
}

fn leb128(mut number: u64, to: &mut Vec<u8>) {
    loop {
        let seven = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            to.push(seven);
            return;
        }
        to.push(seven | 0x80);
    }
}
