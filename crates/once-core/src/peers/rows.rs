//! Who is a peer here, and who may become one.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};
use once_model::ids::{Hash, KernelId, Secret};
use once_model::progress::Progress;

use crate::store::{Read, StoreError, Table};
use crate::txn::{self, Txn};

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
    /// No peer: it comes here for single objects on which it has a right, and has no other.
    #[n(2)]
    Visitor,
    /// No peer: this kernel goes there for an object with which it has to do. If it has rights on objects here, it may come, too.
    #[n(3)]
    Host,
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

/// [`Table::Visit`]: a visitor comes for this object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct VisitRow {
    /// Since when, in milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
}

/// A kernel is a peer from now on, in whichever way people wanted that: it is not one that they removed any more.
pub(super) fn put_peer(txn: &mut Txn<'_>, peer: &KernelId, row: PeerRow) -> PeerRow {
    let row = PeerRow { status: PeerStatus::Active, ..row };
    txn.put(Table::Peer, peer.as_bytes(), &row);
    txn.delete(Table::Removed, peer.as_bytes());
    row
}

/// [`Table::Removed`]: people here have removed this kernel. It comes back by an invite, or when somebody adds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RemovedRow {
    /// When, in milliseconds since 1970.
    #[n(0)]
    pub at_ms: u64,
}

impl PeerRow {
    /// Whether this kernel calls it. Visitors come by themselves.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.status != PeerStatus::Visitor || self.secret.is_some()
    }

    /// Whether it is no peer, and has to do with single objects only.
    #[must_use]
    pub const fn is_for_objects(&self) -> bool {
        matches!(self.status, PeerStatus::Visitor | PeerStatus::Host)
    }

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

/// A peer's row.
///
/// # Errors
/// When the store cannot be read.
pub fn peer(rows: &dyn Read, id: &KernelId) -> Result<Option<PeerRow>, StoreError> {
    txn::get(rows, Table::Peer, id.as_bytes())
}

/// Every peer whose row can be read. The others are parked when they are dialled.
///
/// # Errors
/// When the store cannot be read.
pub fn all(rows: &dyn Read) -> Result<Vec<(KernelId, PeerRow)>, StoreError> {
    let mut found = Vec::new();
    rows.scan(Table::Peer, &[], None, &mut |key, value| {
        found.extend(KernelId::from_slice(key).map(|id| (id, value)));
        ControlFlow::Continue(())
    })?;
    Ok(found
        .into_iter()
        .filter_map(|(id, value)| Some((id, txn::decode(Table::Peer, &value).ok()?)))
        .collect())
}

/// Whether a peer has said, under its signature, what does not follow from what it said before in the same life: it was
/// put back from a backup, or two processes use its key.
#[must_use]
pub fn put_back(row: &PeerRow) -> bool {
    matches!(row.seen.as_slice(), [furthest, other, ..] if furthest.incarnation == other.incarnation)
}
