//! What the rows hold, as CBOR maps. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::certificate::Tip;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// [`Table::Head`]: the newest revision of an object known here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeadRow {
    /// Header of the newest revision.
    #[n(0)]
    pub header: Header,
    /// Its home, from the chain; nobody for an unclaimed object.
    #[n(1)]
    pub home: Option<KernelId>,
    /// Who sent it, if it came from a peer.
    #[n(2)]
    pub from: Option<KernelId>,
    /// Whether its bytes count against the quota of that peer (it was shared, not asked for).
    #[n(3)]
    pub charged: bool,
    /// When it was stored here, by this kernel's clock, in milliseconds since 1970. Shown, never relied on.
    #[n(4)]
    pub stored_ms: u64,
    /// Revisions beside the chain that came but were not kept because there were too many.
    #[n(5)]
    pub conflicts_dropped: u64,
    /// Whether the home's signature was checked when it came. What came from the home itself needed no check, and
    /// gets it before it is passed on.
    #[n(6)]
    pub proven: bool,
    /// Of what is kept beside a head: it was the head before a later revision came that is not proven to continue it,
    /// and that is only missing the proof.
    #[n(7)]
    pub replaced: Option<bool>,
    /// Of an object whose home is here: the newest place in its history.
    #[n(8)]
    pub tip: Option<Tip>,
    /// Of an object whose home is here: it moved in, or was made by one that did, and has none of this kernel's rights.
    #[n(9)]
    pub guest: Option<bool>,
}

impl HeadRow {
    /// Whether it is a guest of this kernel.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.guest == Some(true)
    }

    /// Whether it was made here, when this kernel was its home: then this kernel can sign it, also if the object has moved since.
    #[must_use]
    pub fn is_of_here(&self) -> bool {
        self.from.is_none() && self.home.is_some()
    }

    /// Whether it was replaced, and waits for the proof that it is an ancestor.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.replaced == Some(true)
    }
}

/// What a lane takes up of its origin's quota, in bytes: its row is kept for ever, and each incarnation begins new ones.
pub const LANE_COST_BYTES: u64 = 1024;

/// What a revision takes up of a peer's quota, in bytes: the scenario, and about what its rows and its chain take. A
/// tombstone has no bytes, and many of them fill a disk all the same.
#[must_use]
pub fn cost(header: &Header) -> u64 {
    const ROWS_BYTES: u64 = 1024;
    const CERTIFICATE_BYTES: u64 = 320;
    // Each certificate raises the epoch, by one or more.
    let certificates = header.epoch.min(once_model::limits::CHAIN_MAX_CERTIFICATES as u64);
    header.size.saturating_add(ROWS_BYTES + certificates * CERTIFICATE_BYTES)
}

/// [`Table::Source`]: what was imported from a path.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SourceRow {
    /// Path of the file, as the client named it.
    #[n(0)]
    pub path: String,
    /// The object as it was then; a claim since is found through [`Table::Genesis`].
    #[n(1)]
    pub key: ObjectKey,
    /// The hash of the bytes.
    #[n(2)]
    pub content: Hash,
    /// [`Header::id`] of the revision that it was brought in as. What was kept beside does not count.
    #[n(3)]
    pub revision: Hash,
    /// [`Header::revision`] of it.
    #[n(4)]
    pub number: u64,
}

/// Key of what is known of a content: UUID, then content hash.
#[must_use]
pub fn content_key(uuid: &Uuid, content: &Hash) -> [u8; 48] {
    let mut key = [0; 48];
    key[..16].copy_from_slice(uuid.as_bytes());
    key[16..].copy_from_slice(content.as_bytes());
    key
}

/// Key of the body of a revision: object key, then content hash. No two objects share a body, so that a body's end is
/// its object's own matter.
#[must_use]
pub fn body_key(header: &Header) -> Vec<u8> {
    [header.key().to_row().as_slice(), header.content.as_bytes()].concat()
}

/// Key of a row that belongs to a peer and an object.
#[must_use]
pub fn peer_object_key(peer: &KernelId, key: &ObjectKey) -> Vec<u8> {
    [peer.as_bytes().as_slice(), &key.to_row()].concat()
}

/// Key of a row that belongs to an object and a peer.
#[must_use]
pub fn object_peer_key(key: &ObjectKey, peer: &KernelId) -> Vec<u8> {
    [key.to_row().as_slice(), peer.as_bytes()].concat()
}

/// Key of a conflict row.
#[must_use]
pub fn conflict_key(key: &ObjectKey, id: &Hash) -> Vec<u8> {
    [key.to_row().as_slice(), id.as_bytes()].concat()
}

/// The head of an object.
///
/// # Errors
/// When the store cannot be read.
pub fn head(rows: &dyn Read, key: &ObjectKey) -> Result<Option<HeadRow>, StoreError> {
    txn::get(rows, Table::Head, &key.to_row())
}
