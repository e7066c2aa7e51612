//! A look through fjall's journal before fjall opens it.
//!
//! fjall alone cuts the journal at the first byte it cannot read, also in the middle, and refuses to open when a
//! batch is whole in form but not in content, which an ordinary power loss can leave behind. Here the two are told
//! apart: each batch carries [`SYNCED`] when everything before it had been synced. What follows the first damaged
//! batch is dropped if it may be the unsynced end of the journal, and refused if it cannot.
//!
//! The form is fjall's, version 3: `Start`, items, `End`; numbers are little-endian.
//!
//! ```text
//! Start  1, item count u32, seqno u64
//! Item   2, kind u8, compression u8, keyspace u64, key length u16, value length u32, length here u32, key, value
//! Clear  4, keyspace u64
//! End    3, xxh3 of the items u64, "FJL" 3
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::disk::sync_dir;
use crate::error::{OpenError, at, missing};
use crate::losses::{self, Loss, Lost};

/// The key of the row that says: every batch before this one was synced before this one was written.
pub(crate) const SYNCED: &[u8] = &[0];

/// fjall numbers batches, flushes and merges with one counter; two batches in a row are never this far apart.
const SEQNO_GAP_MAX: u64 = 1 << 20;

/// The shortest batch: `Start`, one `Clear`, `End`.
const BATCH_BYTES_MIN: usize = 13 + 9 + 13;

/// What [`examine`] found and did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whole batches in the journals that are left.
    pub batches: u64,
    /// Bytes of the newest journal that were dropped, because nothing shows that they were synced.
    pub dropped_bytes: u64,
    /// It should have been written anew, and the disk had no room for that.
    pub is_stale: bool,
    /// The newest journal has no batch: the next is to be written at once, so that one that was emptied can be told from one
    /// that is new.
    pub is_blank: bool,
}

/// One batch of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    seqno: u64,
    synced_before: bool,
    /// Where it begins.
    at: u64,
}

/// Looks through the journals in `dir`, drops the torn end of the newest one, and refuses any other damage. What is
/// dropped is remembered in the data directory. `rewrite`: an earlier sync failed, so what the page cache shows may not be
/// on the disk: write it anew.
pub(crate) fn examine(data: &Path, dir: &Path, rewrite: bool) -> Result<Found, OpenError> {
    let journals = list(dir)?;
    let Some((newest, sealed)) = journals.split_last() else {
        return Err(OpenError::damaged(dir, "its journal is missing"));
    };
    let mut found = Found::default();
    for path in sealed {
        let scan = scan(path)?;
        // A journal is sealed when it is full.
        if !scan.rest_is_zero || scan.batches == 0 {
            return Err(OpenError::damaged(
                path,
                format!("unreadable at byte {}, before newer data", scan.end),
            ));
        }
        found.batches += scan.batches;
    }
    let scan = scan(newest)?;
    found.batches += scan.batches;
    if !scan.rest_is_zero {
        found.dropped_bytes = drop_torn_end(data, newest, &scan)?;
    } else if scan.batches == 0 && !is_untouched(newest).map_err(at(newest))? {
        losses::remember(data, &Loss::now(newest, Lost::All)).map_err(at(data))?;
        tracing::warn!(journal = %newest.display(), "the journal is empty: all that it held is gone");
    }
    found.is_blank = scan.batches == 0;
    if rewrite {
        found.is_stale = !write_all_anew(dir, &journals)?;
    }
    Ok(found)
}

/// What fjall makes a journal of: so many zeros that no block is given to yet.
const PREALLOCATED_BYTES: u64 = 64 * 1024 * 1024;

/// Whether a journal without a batch is as fjall made it when the one before was full. The first one never is: a store is made
/// with a row in it. After a later one was opened, it has one, too.
fn is_untouched(path: &Path) -> io::Result<bool> {
    let meta = fs::metadata(path)?;
    let is_first = path.file_stem().is_some_and(|number| number == "0");
    Ok(!is_first && meta.len() == PREALLOCATED_BYTES && meta.blocks() == 0)
}

/// Whether nothing was ever written to the newest journal.
pub(crate) fn is_blank(dir: &Path) -> bool {
    let newest = numbered(dir).ok().and_then(|mut paths| paths.pop());
    let mut first = [0];
    newest.is_none_or(|path| {
        File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_err() || first == [0]
    })
}

/// Cuts off what follows the last whole batch, if it may be the unsynced end; returns how many bytes went.
fn drop_torn_end(data: &Path, newest: &Path, scan: &Scan) -> Result<u64, OpenError> {
    let end = scan.end;
    match synced_later(newest, scan).map_err(at(newest))?.later {
        Later::Nothing => {}
        Later::Synced(seqno) => {
            let reason = format!("unreadable at byte {end}, before batch {seqno}, which came after a sync");
            return Err(OpenError::damaged(newest, reason));
        }
        Later::Undecided => {
            let reason = format!("unreadable at byte {end}; whether something synced follows cannot be told");
            return Err(OpenError::damaged(newest, reason));
        }
    }
    let bytes = written_after(newest, end).map_err(at(newest))?;
    let loss = Loss::now(newest, Lost::End { from_byte: end, bytes });
    // Before it is gone. A disk without room gets some by the cut.
    let remembered = losses::remember(data, &loss);
    cut(newest, end).map_err(at(newest))?;
    if remembered.is_err() {
        losses::remember(data, &loss).map_err(at(data))?;
    }
    tracing::warn!(journal = %newest.display(), at = end, bytes, "dropped the unsynced end of the journal");
    Ok(bytes)
}

/// Whether there was room for it.
fn write_all_anew(dir: &Path, journals: &[PathBuf]) -> Result<bool, OpenError> {
    for path in journals {
        match write_anew(path) {
            Err(error) if is_no_room(&error) => {
                tracing::warn!(journal = %path.display(), "no room to write it anew: this store is only read");
                return Ok(false);
            }
            done => done.map_err(at(path))?,
        }
    }
    sync_dir(dir).map_err(at(dir))?;
    Ok(true)
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The journals, oldest first. fjall removes only the oldest, so a gap is damage.
fn list(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let paths = numbered(dir)?;
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let numbers: Vec<_> = paths.iter().filter_map(number).collect();
    if let Some(gap) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        return Err(OpenError::damaged(dir, format!("journal {} is missing", gap[0] + 1)));
    }
    Ok(paths)
}

/// The same, whatever is missing.
fn numbered(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(missing(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jnl")).map(str::parse::<u64>);
        if let Some(Ok(number)) = number {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers.iter().map(|number| dir.join(format!("{number}.jnl"))).collect())
}

struct Scan {
    batches: u64,
    last_seqno: Option<u64>,
    /// Where the whole batches end.
    end: u64,
    /// Nothing follows them but the zeros of the preallocated file.
    rest_is_zero: bool,
}

fn scan(path: &Path) -> Result<Scan, OpenError> {
    let file = File::open(path).map_err(at(path))?;
    scan_file(&file).map_err(at(path))
}

fn scan_file(file: &File) -> io::Result<Scan> {
    let length = file.metadata()?.len();
    let mut reader = Counted { inner: BufReader::with_capacity(64 * 1024, file), position: 0 };
    let (mut batches, mut end) = (0, 0);
    let (mut last, mut before): (Option<Entry>, Option<Entry>) = (None, None);
    while let Some(entry) = read_batch(&mut reader, length)? {
        if let Some(previous) = last
            && !follows(entry.seqno, Some(previous.seqno))
        {
            // The checksum does not cover the number, so either may be wrong: trust neither.
            (end, last, batches) = (previous.at, before, batches - 1);
            break;
        }
        (before, last, batches, end) = (last, Some(entry), batches + 1, reader.position);
    }
    Ok(Scan { batches, last_seqno: last.map(|entry| entry.seqno), end, rest_is_zero: is_zero(file, end)? })
}

fn follows(seqno: u64, last: Option<u64>) -> bool {
    last.is_none_or(|last| seqno > last && seqno - last <= SEQNO_GAP_MAX)
}

/// What lies behind damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    /// No batch that was written after a sync.
    Nothing,
    /// A whole batch that was, and its number.
    Synced(u64),
    /// So much looks like one and is none that the search was given up.
    Undecided,
}

/// What a search came to, and what it cost.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    later: Later,
    /// Bytes that were read as part of a batch.
    read_bytes: u64,
}

/// How often as many bytes as there are may be read in the search. Batches do not overlap, so once is enough for any that a
/// store has written; only what somebody put into a scenario for this purpose takes more.
const SEARCH_READS: u64 = 2;

/// Looks behind the damage for a whole batch that was written after a sync.
fn synced_later(path: &Path, scan: &Scan) -> io::Result<Search> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(scan.end))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    Ok(search(&rest, scan.last_seqno))
}

fn search(rest: &[u8], last_seqno: Option<u64>) -> Search {
    let most = SEARCH_READS * rest.len() as u64;
    let mut read_bytes = 0;
    for at in 1..rest.len().saturating_sub(BATCH_BYTES_MIN) {
        let candidate = &rest[at..];
        if !may_be_synced_later(candidate, last_seqno) {
            continue;
        }
        if read_bytes >= most {
            return Search { later: Later::Undecided, read_bytes };
        }
        let mut reader = Counted { inner: candidate, position: 0 };
        let entry = read_batch(&mut reader, candidate.len() as u64);
        read_bytes += reader.position;
        if let Ok(Some(entry)) = entry
            && entry.synced_before
        {
            return Search { later: Later::Synced(entry.seqno), read_bytes };
        }
    }
    Search { later: Later::Nothing, read_bytes }
}

/// Whether these bytes begin like a batch that was written after a sync: with a number that follows, and with [`SYNCED`],
/// which comes first in such a batch.
fn may_be_synced_later(bytes: &[u8], last_seqno: Option<u64>) -> bool {
    let &[START, _, _, _, _, s0, s1, s2, s3, s4, s5, s6, s7, ITEM, ref rest @ ..] = bytes else {
        return false;
    };
    let Some((head, [key, ..])) = rest.split_first_chunk::<20>() else { return false };
    let seqno = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    // One byte of key, no value.
    follows(seqno, last_seqno) && head[10..] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] && SYNCED == [*key]
}

/// How many bytes up to the last one that is not zero follow.
fn written_after(path: &Path, end: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(end))?;
    let (mut written, mut seen, mut buffer) = (0, 0, vec![0; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(written);
        }
        if let Some(last) = buffer[..count].iter().rposition(|byte| *byte != 0) {
            written = seen + last as u64 + 1;
        }
        seen += count as u64;
    }
}

/// Cuts the file.
fn cut(path: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()
}

/// Writes the whole batches of a journal to a new file and puts that in its place. The blocks of the old one may hold
/// something else than the page cache says, and a dying handle on it can do no harm any more.
fn write_anew(path: &Path) -> io::Result<()> {
    let new_path = path.with_extension("jnl-new");
    copy_batches(path, &new_path).inspect_err(|_| {
        // What is there of it only takes room.
        let _ = fs::remove_file(&new_path);
    })?;
    fs::rename(&new_path, path)
}

fn copy_batches(path: &Path, new_path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let end = scan_file(&file)?.end;
    let mut new = File::create(new_path)?;
    let mut old = &file;
    old.seek(SeekFrom::Start(0))?;
    let mut old = old.take(end);
    // Not `io::copy`: that may share the blocks instead of writing them.
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = old.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        new.write_all(&buffer[..count])?;
    }
    new.sync_all()
}

/// What is added to the numbers of batches that are to be replayed although tables hold them.
const AGAIN: u64 = 1 << 48;

/// Writes every whole batch of the journals in `old` to journals in `new`, also behind damage. Returns what was left out.
///
/// `again`: tables have lost rows, and fjall would not replay batches that it has once written to tables. The journals are the
/// end of all that was committed: with higher numbers they may all be replayed, in their order, unless one is missing there
/// whose rows are in a table.
pub(crate) fn repair(old: &Path, new: &Path, again: bool) -> Result<Vec<String>, OpenError> {
    let mut left_out = Vec::new();
    let mut last_seqno = None;
    // fjall takes no gap in their numbers.
    let mut journals = Vec::new();
    for path in numbered(old)? {
        let bytes = fs::read(&path).map_err(at(&path))?;
        let found = readable(&bytes, &mut last_seqno);
        if found.lost_bytes > 0 {
            left_out.push(format!("{}: {} bytes cannot be read", path.display(), found.lost_bytes));
        }
        journals.push(found);
    }
    let again = again && left_out.is_empty();
    for (number, mut found) in journals.into_iter().enumerate() {
        if again {
            found.raise(AGAIN);
        }
        let to = new.join(format!("{number}.jnl"));
        fs::write(&to, found.batches).map_err(at(&to))?;
    }
    if left_out.is_empty() && numbered(new)?.is_empty() {
        let to = new.join("0.jnl");
        fs::write(&to, b"").map_err(at(&to))?;
        left_out.push("the journal is missing".into());
    }
    Ok(left_out)
}

struct Readable {
    batches: Vec<u8>,
    /// Where each of them begins.
    begins: Vec<usize>,
    lost_bytes: usize,
}

impl Readable {
    /// Adds to the number of each batch.
    fn raise(&mut self, add: u64) {
        for begin in &self.begins {
            let number = self.batches.get_mut(begin + 5..begin + 13);
            if let Some(number) = number.and_then(|bytes| <&mut [u8; 8]>::try_from(bytes).ok()) {
                *number = u64::from_le_bytes(*number).saturating_add(add).to_le_bytes();
            }
        }
    }
}

/// The whole batches among these bytes, one after the other.
fn readable(bytes: &[u8], last_seqno: &mut Option<u64>) -> Readable {
    let mut found = Readable { batches: Vec::new(), begins: Vec::new(), lost_bytes: 0 };
    let (mut at, mut budget) = (0, SEARCH_READS * bytes.len() as u64);
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    while let Some(rest) = bytes.get(at..written).filter(|rest| !rest.is_empty()) {
        let mut reader = Counted { inner: rest, position: 0 };
        let entry = match rest.first() {
            Some(&START) if budget > 0 => read_batch(&mut reader, rest.len() as u64).ok().flatten(),
            _ => None,
        };
        let length = usize::try_from(reader.position).unwrap_or(rest.len());
        match entry.filter(|entry| follows(entry.seqno, *last_seqno)) {
            Some(entry) => {
                found.begins.push(found.batches.len());
                found.batches.extend_from_slice(rest.get(..length).unwrap_or(rest));
                *last_seqno = Some(entry.seqno);
                at += length;
            }
            None => {
                budget = budget.saturating_sub(reader.position);
                found.lost_bytes += 1;
                at += 1;
            }
        }
    }
    found
}

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";

/// A reader that knows how far it is.
struct Counted<R> {
    inner: R,
    position: u64,
}

impl<R: Read> Counted<R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

/// The next batch; `None` where there is no whole one.
fn read_batch<R: Read>(reader: &mut Counted<R>, length: u64) -> io::Result<Option<Entry>> {
    match read_whole_batch(reader, length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        result => result,
    }
}

fn read_whole_batch<R: Read>(reader: &mut Counted<R>, length: u64) -> io::Result<Option<Entry>> {
    let at = reader.position;
    if reader.bytes()? != [START] {
        return Ok(None);
    }
    let count = u32::from_le_bytes(reader.bytes()?);
    let seqno = u64::from_le_bytes(reader.bytes()?);
    let mut hash = Xxh3::new();
    let mut synced_before = false;
    for _ in 0..count {
        let tag = reader.bytes()?;
        hash.update(&tag);
        match tag {
            [ITEM] => {
                let head: [u8; 20] = reader.bytes()?;
                hash.update(&head);
                let [.., k0, k1, _, _, _, _, v0, v1, v2, v3] = head;
                let key_length = u64::from(u16::from_le_bytes([k0, k1]));
                let value_length = u64::from(u32::from_le_bytes([v0, v1, v2, v3]));
                if reader.position + key_length + value_length > length {
                    return Ok(None);
                }
                let key = hash_bytes(reader, &mut hash, key_length)?;
                synced_before |= key_length == SYNCED.len() as u64 && Some(key) == SYNCED.first().copied();
                hash_bytes(reader, &mut hash, value_length)?;
            }
            [CLEAR] => hash.update(&reader.bytes::<8>()?),
            _ => return Ok(None),
        }
    }
    if reader.bytes()? != [END] || u64::from_le_bytes(reader.bytes()?) != hash.digest() {
        return Ok(None);
    }
    let whole = reader.bytes::<4>()? == TRAILER;
    Ok(whole.then_some(Entry { seqno, synced_before, at }))
}

/// Reads and hashes so many bytes; returns the last one.
fn hash_bytes<R: Read>(reader: &mut Counted<R>, hash: &mut Xxh3, mut count: u64) -> io::Result<u8> {
    let mut buffer = [0; 4096];
    let mut last = 0;
    while count > 0 {
        let part = usize::try_from(count).unwrap_or(usize::MAX).min(buffer.len());
        reader.inner.read_exact(&mut buffer[..part])?;
        reader.position += part as u64;
        hash.update(&buffer[..part]);
        last = buffer[part - 1];
        count -= part as u64;
    }
    Ok(last)
}

/// Whether nothing but zeros follows. fjall makes a journal as one hole of 64 MB: reading all of that would be most of
/// the time that opening takes, so holes are skipped.
fn is_zero(file: &File, mut at: u64) -> io::Result<bool> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut buffer = ZEROS.to_vec();
    while let Some(data) = next_data(file, at)? {
        let count = file.read_at(&mut buffer, data)?;
        if count == 0 {
            return Ok(true);
        }
        if buffer[..count] != ZEROS[..count] {
            return Ok(false);
        }
        at = data + count as u64;
    }
    Ok(true)
}

/// Where the next bytes of a file lie that are not a hole; `None` behind the last.
#[cfg(target_os = "linux")]
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        // A file system that knows no holes.
        Err(rustix::io::Errno::INVAL) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
fn next_data(_: &File, at: u64) -> io::Result<Option<u64>> {
    Ok(Some(at))
}

/// Where the whole batches of the newest journal end.
#[cfg(test)]
pub(crate) fn end_of_newest(dir: &Path) -> (PathBuf, u64) {
    let path = list(dir).unwrap().pop().unwrap();
    let end = scan(&path).unwrap().end;
    (path, end)
}

#[cfg(test)]
mod tests;
