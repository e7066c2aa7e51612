//! Tables and blob files of a copied store that were cut: what is left of them is written anew, so that fjall opens them.
//!
//! Both are archives (`sfa`): sections, then a list of the sections, then where that is. A cut takes the list first, and
//! with it the file would not open at all. The rows of a table come before everything else, in blocks with a checksum each; the
//! values of a blob file have a checksum each, and are found by their place, which stays.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use lsm_tree::coding::{Decode, Encode};
use lsm_tree::table::block::{BlockType, Header};
use lsm_tree::table::{Block, DataBlock, Scanner, Writer};
use lsm_tree::{Cache, Checksum, CompressionType, InternalValue, Table, ValueType};

use crate::error::{OpenError, at};
use crate::manifest;
use crate::options::Options;

/// fjall's own keyspace: written when the store is made, and never again.
const SETTINGS: &str = "0";

/// The beginning of a value in a blob file: a mark, a checksum, a number, the lengths of the key and, twice, of the value.
const BLOB_MARK: &[u8] = b"BLOB";
const BLOB_HEADER_BYTES: usize = 4 + 16 + 8 + 2 + 4 + 4;

/// The parts of a list of tables that are kept as they are.
const OTHER_SECTIONS: [&str; 5] =
    ["format_version", "crate_version", "tree_type", "level_count", "filter_hash_type"];

/// Makes every table and blob file of a copied store one that opens. Returns what was left out.
pub(crate) fn repair(dir: &Path) -> Result<Vec<String>, OpenError> {
    let mut left_out = Vec::new();
    for keyspace in manifest::KEYSPACES {
        let folder = dir.join("keyspaces").join(keyspace);
        let (number, path) = manifest::current_list(&folder)?;
        let mut list = List::read(&path).map_err(|e| OpenError::damaged(&path, e.to_string()))?;
        let before = left_out.len();
        for run in list.levels.iter_mut().flatten() {
            run.retain(|table| mend_table(&folder.join("tables"), table, &mut left_out));
        }
        list.blob_files.retain(|file| mend_blob_file(&folder.join("blobs"), file.id, &mut left_out));
        if left_out.len() == before {
            continue;
        }
        if keyspace == SETTINGS {
            // They are the same in every store of this version.
            settings_anew(&folder)?;
            left_out.truncate(before);
            left_out.push("the settings of the store were damaged: they were made anew".into());
        } else {
            list.write(&path).map_err(at(&path))?;
            manifest::name_list(&folder, &path, number)?;
        }
    }
    Ok(left_out)
}

/// Takes fjall's own keyspace from a new store.
fn settings_anew(folder: &Path) -> Result<(), OpenError> {
    let new = folder.with_extension("new");
    crate::FjallStore::open(&new, Options { reserve_bytes: 0, ..Options::default() })?.close()?;
    fs::remove_dir_all(folder).map_err(at(folder))?;
    let from = new.join("store/keyspaces").join(SETTINGS);
    fs::rename(&from, folder).map_err(at(&from))?;
    fs::remove_dir_all(&new).map_err(at(&new))
}

/// Whether there is anything in a table, after what is left of it was written anew.
fn mend_table(folder: &Path, table: &Entry, left_out: &mut Vec<String>) -> bool {
    let path = folder.join(table.id.to_string());
    if opens(&path, table) {
        return true;
    }
    let rows = quietly(|| rows_of(&path)).unwrap_or_default();
    let name = path.display();
    if rows.is_empty() {
        left_out.push(format!("{name}: none of its rows can be read"));
        return false;
    }
    let kept = rows.len();
    let written = quietly(|| {
        fs::remove_file(&path)?;
        let mut writer = Writer::new(path.clone(), table.id, 0)?;
        rows.into_iter().try_for_each(|row| writer.write(row))?;
        writer.finish()
    });
    let is_there = written.flatten().is_some();
    left_out.push(match is_there {
        true => format!("{name} is cut: {kept} rows at its beginning can be read"),
        false => format!("{name} is cut, and could not be written anew"),
    });
    is_there
}

fn opens(path: &Path, table: &Entry) -> bool {
    let cache = Arc::new(Cache::with_capacity_bytes(0));
    let (path, checksum) = (path.to_owned(), Checksum::from_raw(table.checksum));
    quietly(|| Table::recover(path, checksum, table.global_seqno, 0, cache, None, false, false)).is_some()
}

/// The rows of the readable blocks at the beginning of a table.
fn rows_of(path: &Path) -> lsm_tree::Result<Vec<InternalValue>> {
    let first = Header::decode_from(&mut File::open(path)?)?;
    let compression = match first.data_length == first.uncompressed_length {
        true => CompressionType::None,
        false => CompressionType::Lz4,
    };
    // It ends at the first block that is not whole, or not of rows.
    let rows = Scanner::new(path, usize::MAX, compression, 0)?;
    Ok(rows.map_while(Result::ok).collect())
}

/// Whether there is anything in a blob file, after it was made one that opens.
fn mend_blob_file(folder: &Path, id: u64, left_out: &mut Vec<String>) -> bool {
    let path = folder.join(id.to_string());
    let bytes = fs::read(&path).unwrap_or_default();
    let whole = sfa::Reader::new(&path).is_ok_and(|file| file.toc().section(b"meta").is_some());
    if whole {
        return true;
    }
    let name = path.display();
    let Some(key) = first_key(&bytes) else {
        left_out.push(format!("{name}: none of its values can be read"));
        return false;
    };
    let is_there = quietly(|| write_blob_file(&path, id, &bytes, key)).is_some();
    left_out.push(match is_there {
        true => format!("{name} is cut: {} bytes at its beginning are left", bytes.len()),
        false => format!("{name} is cut, and could not be written anew"),
    });
    is_there
}

/// The key of the first value of a blob file.
fn first_key(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.get(..BLOB_HEADER_BYTES).filter(|header| header.starts_with(BLOB_MARK))?;
    let length = usize::from(u16::from_le_bytes(header.get(28..30)?.try_into().ok()?));
    bytes.get(BLOB_HEADER_BYTES..BLOB_HEADER_BYTES + length).filter(|key| !key.is_empty())
}

/// Values as they lie, and what fjall wants to know of them all. It counts for tidying up only.
fn write_blob_file(path: &Path, id: u64, values: &[u8], key: &[u8]) -> lsm_tree::Result<()> {
    let mut file = sfa::Writer::from_writer(File::create(path)?);
    file.start("data")?;
    file.write_all(values)?;
    file.start("meta")?;
    file.write_all(b"META")?;
    let size = (values.len() as u64).to_le_bytes();
    let meta = |name: &str, value: &[u8]| InternalValue::from_components(name, value, 0, ValueType::Value);
    let items = [
        meta("blob_file_version", &[3]),
        meta("checksum_type", &[0]),
        meta("compression", &CompressionType::None.encode_into_vec()),
        meta("crate_version", b"3"),
        meta("created_at", &0_u128.to_le_bytes()),
        meta("file_size", &size),
        meta("id", &id.to_le_bytes()),
        meta("item_count", &1_u64.to_le_bytes()),
        meta("key#max", key),
        meta("key#min", key),
        meta("uncompressed_size", &size),
    ];
    let block = DataBlock::encode_into_vec(&items, 1, 0.0)?;
    Block::write_into(&mut file, &block, BlockType::Meta, CompressionType::None)?;
    file.into_inner().map_err(io::Error::other)?.sync_all()?;
    Ok(())
}

/// What fjall does with damage, its panics among it, is that it does not read it.
fn quietly<T>(read: impl FnOnce() -> lsm_tree::Result<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()?.ok()
}

/// A table or a blob file in a list.
struct Entry {
    id: u64,
    checksum: u128,
    /// Of tables.
    global_seqno: u64,
}

/// A list of tables, `v<number>`: by level and run, and the blob files.
struct List {
    levels: Vec<Vec<Vec<Entry>>>,
    blob_files: Vec<Entry>,
    others: Vec<(&'static str, Vec<u8>)>,
}

impl List {
    fn read(path: &Path) -> io::Result<Self> {
        let file = sfa::Reader::new(path).map_err(io::Error::other)?;
        let section = |name: &str| match file.toc().section(name.as_bytes()) {
            None => Ok(None),
            Some(section) => {
                let mut bytes = Vec::new();
                section.reader(path)?.read_to_end(&mut bytes)?;
                Ok::<_, io::Error>(Some(bytes))
            }
        };
        let needed = |name| section(name)?.ok_or_else(|| io::Error::other(format!("it has no {name}")));
        let (tables, files) = (needed("tables")?, needed("blob_files")?);
        let mut others = Vec::new();
        for name in OTHER_SECTIONS {
            others.extend(section(name)?.map(|bytes| (name, bytes)));
        }
        let mut rest = tables.as_slice();
        let levels = many(number::<1>(&mut rest)?, || {
            many(number::<1>(&mut rest)?, || many(number::<4>(&mut rest)?, || entry(&mut rest, true)))
        })?;
        let mut rest = files.as_slice();
        let blob_files = many(number::<4>(&mut rest)?, || entry(&mut rest, false))?;
        Ok(Self { levels, blob_files, others })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = sfa::Writer::from_writer(File::create(path)?);
        for (name, bytes) in &self.others {
            file.start(*name)?;
            file.write_all(bytes)?;
        }
        file.start("tables")?;
        file.write_all(&[self.levels.len() as u8])?;
        for level in &self.levels {
            // fjall has no run without tables.
            let runs = || level.iter().filter(|run| !run.is_empty());
            file.write_all(&[runs().count() as u8])?;
            for run in runs() {
                file.write_all(&(run.len() as u32).to_le_bytes())?;
                for Entry { id, checksum, global_seqno } in run {
                    file.write_all(&id.to_le_bytes())?;
                    file.write_all(&[0])?;
                    file.write_all(&checksum.to_le_bytes())?;
                    file.write_all(&global_seqno.to_le_bytes())?;
                }
            }
        }
        file.start("blob_files")?;
        file.write_all(&(self.blob_files.len() as u32).to_le_bytes())?;
        for Entry { id, checksum, .. } in &self.blob_files {
            file.write_all(&id.to_le_bytes())?;
            file.write_all(&[0])?;
            file.write_all(&checksum.to_le_bytes())?;
        }
        // What could be tidied up in the blob files: nothing, as far as is known.
        file.start("blob_gc_stats")?;
        file.write_all(&0_u32.to_le_bytes())?;
        file.into_inner().map_err(io::Error::other)?.sync_all()
    }
}

fn many<T>(count: u128, mut one: impl FnMut() -> io::Result<T>) -> io::Result<Vec<T>> {
    (0..count).map(|_| one()).collect()
}

fn entry(rest: &mut &[u8], is_table: bool) -> io::Result<Entry> {
    let id = number::<8>(rest)?;
    // The kind of the checksum.
    number::<1>(rest)?;
    let checksum = number::<16>(rest)?;
    let global_seqno = if is_table { number::<8>(rest)? } else { 0 };
    Ok(Entry { id: id as u64, checksum, global_seqno: global_seqno as u64 })
}

/// A number of so many bytes, little-endian.
fn number<const BYTES: usize>(rest: &mut &[u8]) -> io::Result<u128> {
    let mut bytes = [0; 16];
    rest.read_exact(&mut bytes[..BYTES])?;
    Ok(u128::from_le_bytes(bytes))
}
