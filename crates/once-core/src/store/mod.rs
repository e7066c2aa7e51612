//! The port to the store: get, scan, atomic batch, sync. The fjall store and the memory store implement it alike.

pub mod memory;
#[cfg(test)]
mod tests_scan;
pub mod txn;

use std::ops::ControlFlow;

use bytes::Bytes;

/// The kinds of rows. The number is the first byte of a row's key on disk and never changes meaning.
///
/// `docs/store.md` shows every row, and where those lie that later capabilities add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Schema, incarnation, commit number, name.
    Meta = 1,
    /// Object key -> the newest revision known here.
    Head = 2,
    /// Object key + content hash -> verbatim bytes. In a keyspace of its own, large values apart from the index.
    Body = 3,
    /// Lineage -> genesis record and certificates.
    Chain = 4,
    /// UUID + content hash -> lineage: which claim took an unclaimed copy over.
    Genesis = 5,
    /// Object key + revision id -> a revision that the head does not continue.
    Conflict = 6,
    /// Hash of a source path -> what was imported from there.
    Source = 7,
    /// Kernel id -> a peer.
    Peer = 8,
    /// Hash of an invite's secret -> the invite.
    Invite = 9,
    /// Scope + right + grantee -> a grant.
    Grant = 10,
    /// Peer + kind + object key or lane -> that this peer is owed the object, or actions of the lane.
    Outbox = 11,
    /// Object key + peer -> that this peer follows the object here.
    Follower = 12,
    /// Peer + object key -> that we follow the object there.
    Subscription = 13,
    /// Peer -> bytes stored for it, rows owed to it.
    Usage = 14,
    /// Peer + object key -> that the peer has not heard yet that we no longer follow the object there.
    Unfollow = 15,
    /// Object key + origin + incarnation -> how far a lane has come, at its home.
    Lane = 32,
    /// Lane + sequence -> what ran, at its home.
    Ledger = 33,
    /// Object key + hash of a name -> a timer.
    Timer = 34,
    /// Time + what is due then: the order of timers and deadlines.
    Due = 35,
    /// Object key + id -> work outside that is not done yet.
    Activity = 36,
    /// Lane + sequence -> an action, at its origin: without its outcome, or with it for a client that asks.
    Queue = 37,
    /// Object key + takeover + home at which it began -> a lane, at its origin.
    Sending = 38,
    /// Action id of a client -> its place in Queue, at its origin.
    Request = 39,
    /// Number of a boot -> its id and its first commit.
    Boot = 40,
    /// Kind + what it is about -> how far some work of many rows is that must come to its end.
    Chore = 41,
    /// Object key -> to where it is about to leave, and what it was sealed as.
    Leaving = 42,
    /// Object key -> that this kernel said that it would take the object.
    Welcome = 43,
    /// Object key + certificate -> this kernel's one answer to a handoff.
    Handed = 44,
    /// Object key + kernel -> that it has to do with an object that has moved in, or had with one that has left.
    Acquaintance = 45,
    /// Kernel + object key -> that this peer is to hear where the object is.
    News = 46,
    /// Object key -> the luggage of an object that is sealed. Beside the bodies: it may be large.
    Luggage = 47,
    /// Object key -> from where it has come, as long as it has not been told so.
    Arriving = 48,
    /// Object key -> that it was to move and stays, and why.
    Stayed = 49,
    /// Kernel + object key -> that this kernel, which is no peer, may come for the object.
    Visit = 50,
    /// Kernel id -> that people here have removed it.
    Removed = 51,
    /// Boot + number of the last of them -> what happened in one commit.
    Event = 52,
    /// Object key + number -> an earlier revision whose bytes are kept.
    Revision = 53,
    /// Object key + number -> an entry of the history that a former home has recorded.
    Archive = 54,
    /// Object key -> how much of what was recorded here the present home has.
    Archiving = 55,
    /// Object key -> how much of what was recorded here has been written down as receipts.
    Receipted = 56,
    /// Kernel + object key -> that this kernel was removed while it was owed the object.
    Unsent = 57,
}

impl Table {
    /// What its rows are about, in the words that people know.
    #[must_use]
    pub const fn holds(self) -> &'static str {
        match self {
            Self::Meta | Self::Boot => "this kernel itself",
            Self::Head | Self::Conflict | Self::Source => "the revisions of objects",
            Self::Body | Self::Revision => "scenarios",
            Self::Chain | Self::Genesis => "certificates",
            Self::Peer | Self::Visit | Self::Removed | Self::Invite => "peers and invites",
            Self::Grant => "grants",
            Self::Outbox | Self::Usage | Self::Unsent => "what peers are owed",
            Self::Follower | Self::Subscription | Self::Unfollow => "who follows what",
            Self::Queue | Self::Sending | Self::Request => "actions that were asked for here",
            Self::Lane | Self::Ledger | Self::Activity => "actions that ran here",
            Self::Timer | Self::Due => "timers and deadlines",
            Self::Event => "the event log",
            Self::Archive | Self::Archiving | Self::Receipted => "what former homes recorded",
            Self::Chore => "work that is not done yet",
            Self::Leaving
            | Self::Welcome
            | Self::Handed
            | Self::Acquaintance
            | Self::News
            | Self::Luggage
            | Self::Arriving
            | Self::Stayed => "objects that move",
        }
    }

    /// Every table, in the order of their numbers.
    pub const ALL: [Self; 41] = [
        Self::Meta,
        Self::Head,
        Self::Body,
        Self::Chain,
        Self::Genesis,
        Self::Conflict,
        Self::Source,
        Self::Peer,
        Self::Invite,
        Self::Grant,
        Self::Outbox,
        Self::Follower,
        Self::Subscription,
        Self::Usage,
        Self::Unfollow,
        Self::Lane,
        Self::Ledger,
        Self::Timer,
        Self::Due,
        Self::Activity,
        Self::Queue,
        Self::Sending,
        Self::Request,
        Self::Boot,
        Self::Chore,
        Self::Leaving,
        Self::Welcome,
        Self::Handed,
        Self::Acquaintance,
        Self::News,
        Self::Luggage,
        Self::Arriving,
        Self::Stayed,
        Self::Visit,
        Self::Removed,
        Self::Event,
        Self::Revision,
        Self::Archive,
        Self::Archiving,
        Self::Receipted,
        Self::Unsent,
    ];
}

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk has no room. Nothing of the batch was written.
    #[error("the disk is full")]
    Full,
    /// Reading or writing failed; after a failed write or sync nothing is certain until the store is opened again.
    #[error("the store failed: {0}")]
    Io(String),
    /// This process, or the system, has as many files open as it may, and a row that is in none of them was asked for. That
    /// passes; nothing was written.
    #[error("too many open files: no other one of the store can be read just now")]
    OutOfFiles,
    /// A row is not what this version writes.
    #[error("what the store has of {} is damaged: {reason}", .table.holds())]
    Damaged {
        /// The table of the row.
        table: Table,
        /// Its key; nothing if it is not known.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    /// A row that is not what this version writes.
    pub fn damaged(table: Table, key: &[u8], reason: impl Into<String>) -> Self {
        Self::Damaged { table, key: key.to_vec(), reason: reason.into() }
    }

    /// The same, of the row with this key if it is not known of which.
    #[must_use]
    pub fn at(self, row: &[u8]) -> Self {
        match self {
            Self::Damaged { table, key, reason } if key.is_empty() => {
                Self::Damaged { table, key: row.to_vec(), reason }
            }
            other => other,
        }
    }
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written in order, on disk some time later: for rows whose loss only repeats work.
    Buffered,
    /// On disk before the commit returns.
    Synced,
}

/// One atomic change of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The new value of each row, or its removal.
    pub rows: Vec<(Table, Vec<u8>, Option<Bytes>)>,
}

/// What a scan does with each row.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], Bytes) -> ControlFlow<()>;

/// Something that can be read: a store, a snapshot of it, a transaction on it.
pub trait Read {
    /// The value of one row.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the rows of a table with `from <= key` and, if given, `key < to`, in the order of their keys, until
    /// the visitor breaks.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError>;
}

/// A durable map of rows.
pub trait Store: Read {
    /// A view that later commits do not change.
    type Snapshot: Read + Send + Sync + 'static;

    /// The rows as they are now.
    fn snapshot(&self) -> Self::Snapshot;

    /// Applies a batch: all of it or nothing. Commits take effect in the order of the calls, also on disk.
    ///
    /// # Errors
    /// [`StoreError::Full`] leaves the store usable; after any other error it must be opened again.
    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError>;
}

/// The end of the range of keys that begin with `prefix`; `None` if there is no greater key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The first key that comes behind another one: where a look at rows goes on.
#[must_use]
pub(crate) fn key_behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// How many rows of a table have a key that begins with `prefix`. No more than so many are looked at.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn count_prefix(
    rows: &dyn Read,
    table: Table,
    prefix: &[u8],
    most: usize,
) -> Result<usize, StoreError> {
    let mut count = 0;
    if most > 0 {
        scan_prefix(rows, table, prefix, &mut |_, _| {
            count += 1;
            if count < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(count)
}

/// Whether any row of a table has a key that begins with `prefix`.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn has_any(rows: &dyn Read, table: Table, prefix: &[u8]) -> Result<bool, StoreError> {
    Ok(count_prefix(rows, table, prefix, 1)? == 1)
}

/// Visits every row of a table whose key begins with `prefix`.
///
/// # Errors
/// When the store cannot be read.
pub fn scan_prefix(rows: &dyn Read, table: Table, prefix: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
    rows.scan(table, prefix, prefix_end(prefix).as_deref(), visit)
}

/// Visits rows like [`Read::scan`], with a visitor that can fail: its first error ends the scan and is the answer.
///
/// # Errors
/// When the store cannot be read, and what the visitor says.
pub fn try_scan<E: From<StoreError>>(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    mut visit: impl FnMut(&[u8], Bytes) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut failed = None;
    rows.scan(table, from, to, &mut |key, value| {
        visit(key, value).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;

    /// Keys may differ in their lengths alone.
    #[test]
    fn no_key_lies_between_a_key_and_what_comes_behind_it() {
        let mut store = MemoryStore::default();
        let keys: [&[u8]; 5] = [&[1], &[1, 0], &[1, 0, 0], &[1, 1], &[2]];
        let rows = keys.iter().map(|key| (Table::Meta, key.to_vec(), Some(Bytes::new()))).collect();
        store.commit(Batch { rows }, Durability::Synced).unwrap();
        let (mut seen, mut next) = (Vec::new(), Vec::new());
        while seen.len() <= keys.len() {
            let before = seen.len();
            store
                .scan(Table::Meta, &next, None, &mut |key, _| {
                    seen.push(key.to_vec());
                    ControlFlow::Break(())
                })
                .unwrap();
            let Some(last) = seen.get(before) else { break };
            next = key_behind(last);
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn rows_are_counted_by_how_their_keys_begin_and_no_further_than_asked() {
        let mut store = MemoryStore::default();
        let keys: [&[u8]; 5] = [&[1], &[2, 1], &[2, 2], &[2, 3], &[3]];
        let rows = keys.iter().map(|key| (Table::Meta, key.to_vec(), Some(Bytes::new()))).collect();
        store.commit(Batch { rows }, Durability::Synced).unwrap();
        let counts = [0, 1, 2, 3, 4, 9].map(|most| count_prefix(&store, Table::Meta, &[2], most).unwrap());
        assert_eq!(counts, [0, 1, 2, 3, 3, 3]);
        assert_eq!(count_prefix(&store, Table::Meta, &[], 9), Ok(5));
        assert_eq!(
            [0, 1, 2].map(|first| has_any(&store, Table::Meta, &[first]).unwrap()),
            [false, true, true]
        );
        assert_eq!(has_any(&store, Table::Head, &[]), Ok(false));
    }

    #[test]
    fn a_scan_ends_with_the_first_error_of_its_visitor_or_when_it_breaks() {
        let mut store = MemoryStore::default();
        let rows = (0..5).map(|n| (Table::Meta, vec![n], Some(Bytes::new()))).collect();
        store.commit(Batch { rows }, Durability::Synced).unwrap();
        let mut seen = Vec::new();
        let mut scan = |error_at: u8, break_at: u8| {
            seen.clear();
            let done = try_scan(&store, Table::Meta, &[1], None, |key, _| {
                seen.push(key[0]);
                match key[0] {
                    n if n == error_at => Err(StoreError::Full),
                    n if n == break_at => Ok(ControlFlow::Break(())),
                    _ => Ok(ControlFlow::Continue(())),
                }
            });
            (done, seen.clone())
        };
        assert_eq!(scan(9, 9), (Ok(()), vec![1, 2, 3, 4]));
        assert_eq!(scan(3, 9), (Err(StoreError::Full), vec![1, 2, 3]));
        assert_eq!(scan(3, 2), (Ok(()), vec![1, 2]));
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_of_its_length() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255]), None);
        assert_eq!(prefix_end(&[]), None);
    }
}
