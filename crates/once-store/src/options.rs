//! What can be chosen at open, and every number of the store with its unit and reason.

use fjall::config::PartitioningPolicy;
use fjall::{CompressionType, Database, DatabaseBuilder, KeyspaceCreateOptions, KvSeparationOptions};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A memtable is written to a table when it is this large: little to replay after a crash, little resident memory.
/// fjall keeps the value with the keyspace when it creates it.
pub(crate) const MEMTABLE_BYTES: u64 = 8 * MIB;

/// Journals together, before keyspaces that rarely flush are made to. The least that fjall takes.
pub(crate) const JOURNAL_BYTES: u64 = 64 * MIB;

/// A body at least this large lies apart from its key, in a blob file, and is not rewritten when tables are merged.
pub(crate) const SEPARATION_BYTES: u32 = 512;

/// Blob files end at this size: small enough that the space of removed bodies comes back piece by piece.
pub(crate) const BLOB_FILE_BYTES: u64 = 16 * MIB;

/// fjall's threads: one that only flushes and one that also merges, so that a long merge never stops the commits.
pub(crate) const WORKERS: usize = 2;

/// Open files that fjall keeps, at least and at most. What it has open it reads also when nothing more can be opened.
const FILES_MIN: u64 = 16;
const FILES_MAX: u64 = 4096;

/// The longest key: fjall counts it in 16 bits, one byte goes to the table number.
pub(crate) const KEY_BYTES: usize = u16::MAX as usize - 1;

/// How a store is opened.
///
/// ```
/// let options = once_store::Options { cache_bytes: 32 * 1024 * 1024, ..Default::default() };
/// assert!(options.reserve_bytes > 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Memory for blocks that were read, in bytes. Default 8 MiB.
    pub cache_bytes: u64,
    /// Free disk space, in bytes, below which a commit is refused with
    /// [`StoreError::Full`](once_core::store::StoreError::Full); one that adds at most 4 KiB, such as a removal, is
    /// below half of it. Flushing and merging need it: should they find the
    /// disk full, the store stops. The kernel refuses new work well before. Default 32 MiB.
    pub reserve_bytes: u64,
    /// Make an empty store where there is none. Of a directory that must have one, `false`: an empty one in its place
    /// would forget everything without a word. Default `true`.
    pub create: bool,
    /// For reading alone: nothing is flushed or merged, every commit is refused. Of a copy of a damaged store. Default `false`.
    pub only_reads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 8 * MIB, reserve_bytes: 32 * MIB, create: true, only_reads: false }
    }
}

pub(crate) fn database(builder: DatabaseBuilder<Database>, options: &Options) -> DatabaseBuilder<Database> {
    builder
        .cache_size(options.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES)
        // Without any, nothing but a commit writes.
        .worker_threads_unchecked(if options.only_reads { 0 } else { WORKERS })
        .max_cached_files(Some(files()))
        // The reader checks a compressed item by compressing it again: another version of the compressor would make
        // the journal unreadable.
        .journal_compression(CompressionType::None)
}

/// A quarter of what the process may open.
fn files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = limit.map_or(FILES_MAX, |limit| (limit / 4).clamp(FILES_MIN, FILES_MAX));
    usize::try_from(files).unwrap_or(usize::MAX)
}

pub(crate) fn rows() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        // In pieces: of the filter of a table of 64 MiB, 200 KiB as a whole, a read needs 4 KiB. Not so in the first
        // level, whose few small tables every read looks through: there they are whole and stay in memory.
        .filter_block_partitioning_policy(PartitioningPolicy::new([false, true]))
        .index_block_partitioning_policy(PartitioningPolicy::new([false, true]))
}

pub(crate) fn bodies() -> KeyspaceCreateOptions {
    rows().with_kv_separation(Some(
        KvSeparationOptions::default()
            // A blob's checksum does not cover its length before compression: with one bit of that changed, reading
            // it returned whatever lay in memory behind the value.
            .compression(CompressionType::None)
            .separation_threshold(SEPARATION_BYTES)
            .file_target_size(BLOB_FILE_BYTES),
    ))
}
