//! What the rows hold, as CBOR maps. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::certificate::Tip;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey, Secret, Uuid};
use once_model::progress::Progress;

pub use crate::outbox::{Debt, DebtRow, Kind, OutboxRow, Owed, debt, owed};
use crate::store::{Read, StoreError, Table};
use crate::txn;

/// [`Table::Head`]: the newest revision of an object known here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeadRow {
    /// The revision.
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
}

impl HeadRow {
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

/// Where a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PeerStatus {
    /// We hold its invite and have not been admitted yet.
    #[n(0)]
    Joining,
    /// Admitted on both sides.
    #[n(1)]
    Active,
}

/// [`Table::Peer`]: a kernel that this one talks to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PeerRow {
    /// What people here call it.
    #[n(0)]
    pub petname: Option<String>,
    /// What it calls itself. Escaped wherever it is shown.
    #[n(1)]
    pub says: String,
    /// Where it stands.
    #[n(2)]
    pub status: PeerStatus,
    /// The secret of the invite that admits us there, until it has.
    #[n(3)]
    pub secret: Option<Secret>,
    /// Where it was last reached or said to be, best first.
    #[n(4)]
    pub addresses: Vec<String>,
    /// What it has said of how far it is: the furthest, and beside it one that does not follow.
    #[n(5)]
    pub seen: Vec<Progress>,
    /// What it may store here by sharing, in bytes.
    #[n(6)]
    pub quota_bytes: u64,
    /// When it became a peer, in milliseconds since 1970.
    #[n(7)]
    pub since_ms: u64,
    /// The highest commit number that it has told, unsigned, in the incarnation of the first of `seen`.
    #[n(8)]
    pub heard: Option<u64>,
    /// The invite of this kernel by which it came: the hash of its secret.
    #[n(9)]
    pub invite: Option<Hash>,
    /// When each address was good or told last, in milliseconds since 1970; of none that was written before this was.
    #[n(10)]
    #[cbor(default)]
    pub addresses_ms: Vec<u64>,
    /// When it was met first in another life than the one before, in milliseconds since 1970.
    #[n(11)]
    pub reborn_ms: Option<u64>,
}

impl PeerRow {
    /// The name to show: the petname, else what it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.petname.as_deref().unwrap_or(&self.says)
    }
}

/// [`Table::Invite`]: lets one kernel become a peer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InviteRow {
    /// When it ends, in milliseconds since 1970.
    #[n(0)]
    pub expires_ms: u64,
    /// The petname that whoever uses it gets.
    #[n(1)]
    pub petname: Option<String>,
    /// Who used it. A used invite stays until it expires, so that a second use is told apart from a wrong secret in
    /// the log here (never to the stranger).
    #[n(2)]
    pub used_by: Option<KernelId>,
    /// It was seen to be over, and stays so whatever the clock says later.
    #[n(3)]
    pub ended: bool,
    /// When it was made, in milliseconds since 1970.
    #[n(4)]
    pub since_ms: u64,
}

impl InviteRow {
    /// Whether its time is over.
    #[must_use]
    pub const fn is_over(&self, now_ms: u64) -> bool {
        self.ended || self.expires_ms <= now_ms
    }
}

/// [`Table::Grant`]: what one grantee may do by one right on one thing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantRow {
    /// What was granted; each action once.
    #[n(0)]
    pub parts: Vec<GrantPart>,
    /// The object that has it, instead of a kernel.
    #[n(1)]
    pub object: Option<ObjectKey>,
    /// That object's home when it was granted.
    #[n(2)]
    pub home: Option<KernelId>,
}

/// One action of a grant, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantPart {
    /// For the right to act: this action. Every action if absent.
    #[n(0)]
    pub action: Option<String>,
    /// When it ends, in milliseconds since 1970; never if absent.
    #[n(1)]
    pub expires_ms: Option<u64>,
    /// It was seen to be over, and stays so whatever the clock says later.
    #[n(2)]
    pub ended: bool,
}

impl GrantRow {
    /// Whether it allows this action now; or what needs no action's name.
    #[must_use]
    pub fn allows(&self, action: Option<&str>, now_ms: u64) -> bool {
        let named = |part: &GrantPart| part.action.is_none() || part.action.as_deref() == action;
        self.parts.iter().any(|part| named(part) && part.holds(now_ms))
    }

    /// Marks what is over by now; whether anything is that was not marked.
    pub(crate) fn end(&mut self, now_ms: u64) -> bool {
        let mut any = false;
        for part in self.parts.iter_mut().filter(|part| !part.ended && is_over(part.expires_ms, now_ms)) {
            part.ended = true;
            any = true;
        }
        any
    }

    /// When the next part of it is over.
    pub(crate) fn next_end_ms(&self) -> Option<u64> {
        self.parts.iter().filter(|part| !part.ended).filter_map(|part| part.expires_ms).min()
    }
}

impl GrantPart {
    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, now_ms: u64) -> bool {
        mutant!(GrantNeverExpires) || !(self.ended || is_over(self.expires_ms, now_ms))
    }
}

fn is_over(expires_ms: Option<u64>, now_ms: u64) -> bool {
    expires_ms.is_some_and(|end| end <= now_ms)
}

/// [`Table::Source`]: what was imported from a path.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SourceRow {
    /// The path.
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

/// [`Table::Usage`]: what a peer takes up here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageRow {
    /// Bytes of the scenarios that it shared.
    #[n(0)]
    pub stored_bytes: u64,
    /// Rows that wait for it in the outbox.
    #[n(1)]
    pub owed_rows: u64,
}

/// [`Table::Subscription`], [`Table::Follower`] and [`Table::Unfollow`]: since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FollowRow {
    /// In milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
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

/// A peer's row.
///
/// # Errors
/// When the store cannot be read.
pub fn peer(rows: &dyn Read, id: &KernelId) -> Result<Option<PeerRow>, StoreError> {
    txn::get(rows, Table::Peer, id.as_bytes())
}

/// What a peer takes up here.
///
/// # Errors
/// When the store cannot be read.
pub fn usage(rows: &dyn Read, id: &KernelId) -> Result<UsageRow, StoreError> {
    Ok(txn::get(rows, Table::Usage, id.as_bytes())?.unwrap_or_default())
}
