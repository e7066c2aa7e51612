//! Tables and blob files of a store that were cut or changed. Those of a copy are written anew with what is left of them, so
//! that fjall opens and reads it.
//!
//! Both are archives (`sfa`): sections, then a list of the sections, then where that is. A cut takes the list first, and
//! with it the file would not open at all; a changed byte may take an index, and with it many blocks. The rows of a table come
//! before everything else, in blocks with a checksum each, and these are read without an index; the values of a blob file have a
//! checksum each, and are found by their place, which stays. Of each file the list of tables has the checksum.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lsm_tree::coding::{Decode, Encode};
use lsm_tree::file::MAGIC_BYTES;
use lsm_tree::table::block::{BlockType, Header};
use lsm_tree::table::{Block, DataBlock, Scanner, Writer};
use lsm_tree::{CompressionType, InternalValue, ValueType};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::error::{OpenError, at};
use crate::options::Options;
use crate::{manifest, places};

/// fjall's own keyspace: written when the store is made, and never again.
const SETTINGS: &str = "0";

/// The folders of a keyspace.
const TABLES: &str = "tables";
const BLOBS: &str = "blobs";

/// How often a list is looked for that an open store may replace just then.
const LIST_TRIES: usize = 10;

/// The parts of a list of tables that are kept as they are.
const OTHER_SECTIONS: [&str; 5] =
    ["format_version", "crate_version", "tree_type", "level_count", "filter_hash_type"];

/// The tables and blob files of a store that are not as they were written: the name of each in the store's folder, and why.
/// Reads all of them. Those that the store replaces meanwhile are passed over.
pub(crate) fn damaged(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for keyspace in manifest::KEYSPACES {
        let folder = dir.join("keyspaces").join(keyspace);
        // While it is read, the store may have put another one in its place.
        let list = || {
            let read = || {
                let (_, path) = manifest::current_list(&folder).ok()?;
                List::read(&path).ok()
            };
            (0..LIST_TRIES).find_map(|_| read())
        };
        let Some(before) = list() else { continue };
        let wrong: Vec<_> =
            before.files().filter(|(kind, file)| !is_as_written(&folder, kind, file)).collect();
        if wrong.is_empty() {
            continue;
        }
        let after = list();
        let is_used = |kind: &str, id| {
            after.as_ref().is_none_or(|list| list.files().any(|(other, file)| other == kind && file.id == id))
        };
        let named = wrong.iter().filter(|(kind, file)| is_used(kind, file.id));
        found.extend(named.map(|(kind, file)| format!("keyspaces/{keyspace}/{kind}/{}", file.id)));
    }
    found
}

fn is_as_written(folder: &Path, kind: &str, file: &Entry) -> bool {
    checksum(&folder.join(kind).join(file.id.to_string())).is_ok_and(|checksum| checksum == file.checksum)
}

fn checksum(path: &Path) -> io::Result<u128> {
    let (mut file, mut hash) = (File::open(path)?, Xxh3::new());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.digest128()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Makes every table and blob file of a copied store one that opens. Returns what was left out. `without_list`: the keyspaces
/// whose list is not as it was written.
pub(crate) fn repair(dir: &Path, without_list: &[&str]) -> Result<Vec<String>, OpenError> {
    let mut left_out = Vec::new();
    for keyspace in manifest::KEYSPACES {
        let folder = dir.join("keyspaces").join(keyspace);
        let mut mend = Mend { keyspace, folder: &folder, left_out: Vec::new() };
        let (number, path) = manifest::current_list(&folder)?;
        let is_sure = !without_list.contains(&keyspace);
        // A changed list is as good as it was while all that it names is there as it says.
        let list = quietly(|| Ok(List::read(&path)?))
            .filter(|list| is_sure || list.files().all(|(kind, file)| is_as_written(&folder, kind, file)));
        if keyspace == SETTINGS {
            // They are the same in every store of this version.
            let is_whole = list.is_some_and(|list| {
                is_sure && list.files().all(|(kind, file)| is_as_written(&folder, kind, file))
            });
            if !is_whole {
                settings_anew(&folder)?;
                left_out.push("the settings of the store were damaged: they were made anew".into());
            }
            continue;
        }
        if !is_sure {
            left_out.push(format!("the list of tables of keyspace {keyspace} was damaged: it was made anew"));
        }
        let mut list = match list {
            Some(list) if is_sure => list,
            list => List::anew(&folder, list)?,
        };
        for run in list.levels.iter_mut().flatten() {
            run.retain_mut(|table| mend.table(table));
        }
        list.blob_files.retain_mut(|file| mend.blob_file(file));
        if !is_sure || !mend.left_out.is_empty() {
            list.write(&path).map_err(at(&path))?;
            manifest::name_list(&folder, &path, number)?;
            left_out.append(&mut mend.left_out);
        }
    }
    Ok(left_out)
}

/// Takes fjall's own keyspace from a new store.
fn settings_anew(folder: &Path) -> Result<(), OpenError> {
    with_new_store(folder, |from| {
        fs::remove_dir_all(folder).map_err(at(folder))?;
        fs::rename(from, folder).map_err(at(from))
    })
}

/// Does something with the same keyspace of a new store.
fn with_new_store<T>(folder: &Path, run: impl FnOnce(&Path) -> Result<T, OpenError>) -> Result<T, OpenError> {
    let new = folder.with_extension("new");
    crate::FjallStore::open(&new, Options { reserve_bytes: 0, ..Options::default() })?.close()?;
    let done = run(&new.join("store/keyspaces").join(folder.file_name().unwrap_or_default()))?;
    fs::remove_dir_all(&new).map_err(at(&new))?;
    Ok(done)
}

/// The files of a kind in the folder of a keyspace. What is damaged in them shows when it is read.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        files => files?,
    };
    for file in files {
        let file = file?;
        if let Some(id) = file.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(Entry { id, checksum: checksum(&file.path())?, global_seqno: 0 });
        }
    }
    Ok(found)
}

/// The number of the newest row of a table: what decides between rows of one key.
fn newest_row(path: &Path) -> Option<u64> {
    let aside = path.with_extension("left");
    let rows = quietly(|| rows_of(path, &aside));
    let _ = fs::remove_file(&aside);
    rows?.iter().map(|row| row.key.seqno).max()
}

/// The files of one keyspace, and what is wrong with them.
struct Mend<'a> {
    keyspace: &'a str,
    folder: &'a Path,
    left_out: Vec<String>,
}

impl Mend<'_> {
    fn say(&mut self, kind: &str, file: &Entry, what: &str) {
        self.left_out.push(format!("keyspaces/{}/{kind}/{}: {what}", self.keyspace, file.id));
    }

    /// Whether there is anything in a table, after what is left of it was written anew.
    fn table(&mut self, table: &mut Entry) -> bool {
        if is_as_written(self.folder, TABLES, table) {
            return true;
        }
        let path = self.folder.join(TABLES).join(table.id.to_string());
        let aside = self.folder.join("left");
        let mut rows = quietly(|| rows_of(&path, &aside)).unwrap_or_default();
        let _ = fs::remove_file(&aside);
        let kept = rows.len();
        // Only bodies have some.
        places::add_missing(&self.folder.join(BLOBS), &mut rows);
        if rows.is_empty() {
            self.say(TABLES, table, "none of its rows can be read");
            return false;
        }
        let written = quietly(|| {
            let _ = fs::remove_file(&path);
            let mut writer = Writer::new(path.clone(), table.id, 0)?;
            rows.into_iter().try_for_each(|row| writer.write(row))?;
            writer.finish()
        });
        let Some((_, checksum)) = written.flatten() else {
            self.say(TABLES, table, "it is damaged, and could not be written anew");
            return false;
        };
        table.checksum = checksum.into_u128();
        self.say(TABLES, table, &format!("it is damaged: {kept} rows of it can be read"));
        true
    }

    /// Whether there is anything in a blob file, after it was made one that opens.
    fn blob_file(&mut self, file: &mut Entry) -> bool {
        if is_as_written(self.folder, BLOBS, file) {
            return true;
        }
        let path = self.folder.join(BLOBS).join(file.id.to_string());
        let bytes = fs::read(&path).unwrap_or_default();
        if bytes.is_empty() {
            self.say(BLOBS, file, "nothing of it is there");
            return false;
        }
        let written = quietly(|| {
            write_blob_file(&path, file.id, &bytes)?;
            Ok(checksum(&path)?)
        });
        let Some(checksum) = written else {
            self.say(BLOBS, file, "it is damaged, and could not be written anew");
            return false;
        };
        file.checksum = checksum;
        self.say(BLOBS, file, "it is damaged: objects of which it has nothing whole are named");
        true
    }
}

/// The rows of all blocks of a table that can be read, from a file that has only these.
fn rows_of(path: &Path, aside: &Path) -> lsm_tree::Result<Vec<InternalValue>> {
    let bytes = fs::read(path)?;
    let (blocks, is_compressed) = blocks_of(&bytes);
    fs::write(aside, blocks)?;
    let compression = if is_compressed { CompressionType::Lz4 } else { CompressionType::None };
    let rows = Scanner::new(aside, usize::MAX, compression, 0)?;
    // It ends where there are no more.
    Ok(rows.map_while(Result::ok).collect())
}

/// All whole blocks of rows one after the other, also behind damage, and whether they are compressed.
fn blocks_of(bytes: &[u8]) -> (Vec<u8>, bool) {
    let (mut blocks, mut is_compressed, mut at) = (Vec::new(), false, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // A header has a checksum of its own, a block's content another.
        let header = Header::decode_from(&mut &*rest).ok();
        let length = header.map(|header| Header::serialized_len() + header.data_length as usize);
        let block = length.and_then(|length| rest.get(..length));
        let (Some(header), Some(block)) = (header, block) else {
            at += 1 + rest[1..]
                .windows(MAGIC_BYTES.len())
                .position(|four| four == MAGIC_BYTES)
                .unwrap_or(rest.len());
            continue;
        };
        let content = &block[Header::serialized_len()..];
        if header.block_type == BlockType::Data && xxh3_128(content) == header.checksum.into_u128() {
            is_compressed |= header.data_length != header.uncompressed_length;
            blocks.extend_from_slice(block);
        }
        at += block.len();
    }
    (blocks, is_compressed)
}

/// Values as they lie, and what fjall wants to know of them all. It counts for tidying up only.
fn write_blob_file(path: &Path, id: u64, values: &[u8]) -> lsm_tree::Result<()> {
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
        meta("key#max", &[0]),
        meta("key#min", &[0]),
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
    /// Every file, and the folder that those of its kind are in.
    fn files(&self) -> impl Iterator<Item = (&'static str, &Entry)> {
        let tables = self.levels.iter().flatten().flatten().map(|table| (TABLES, table));
        tables.chain(self.blob_files.iter().map(|file| (BLOBS, file)))
    }

    /// The files that a list names, or else all that lie there, with the parts that are the same in each store. The newest table
    /// is looked into first.
    fn anew(folder: &Path, named: Option<Self>) -> Result<Self, OpenError> {
        let mut list = with_new_store(folder, |new| {
            let (_, path) = manifest::current_list(new)?;
            Self::read(&path).map_err(at(&path))
        })?;
        if let Some(Self { levels, blob_files, .. }) = named {
            return Ok(Self { levels, blob_files, ..list });
        }
        let in_folder = |kind| entries(&folder.join(kind)).map_err(at(folder));
        let tables = in_folder(TABLES)?.into_iter();
        let newest = |id: u64| newest_row(&folder.join(TABLES).join(id.to_string()));
        let mut tables: Vec<_> = tables.filter_map(|table| Some((newest(table.id)?, table))).collect();
        tables.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
        list.levels.iter_mut().for_each(Vec::clear);
        if let Some(first) = list.levels.first_mut() {
            *first = tables.into_iter().map(|(_, table)| vec![table]).collect();
        }
        list.blob_files = in_folder(BLOBS)?;
        Ok(list)
    }

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
