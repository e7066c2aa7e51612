//! What a peer is owed, and what it takes up here.

use minicbor::{Decode, Encode};
use once_model::ids::{Hash, KernelId, ObjectKey};

use super::debt::Debt;
use crate::act::LaneId;
use crate::store::{Read, StoreError, Table};
use crate::txn;

/// What is owed, as it stands in a row's key behind the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owed {
    /// An object that the peer is owed.
    Object(ObjectKey),
    /// The actions of a lane that have no outcome.
    Lane(LaneId),
}

/// The kinds of what is owed. The rows of one kind lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debts of objects.
    Objects,
    /// Debts of lanes with actions that wait.
    Lanes,
}

impl Kind {
    const fn tag(self) -> u8 {
        match self {
            Self::Objects => 0,
            Self::Lanes => 1,
        }
    }

    /// Where the rows of this kind begin that are owed to a peer.
    #[must_use]
    pub fn of(self, peer: &KernelId) -> Vec<u8> {
        [peer.as_bytes().as_slice(), &[self.tag()]].concat()
    }
}

impl Owed {
    /// Whether an object or a lane is owed.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Object(_) => Kind::Objects,
            Self::Lane(_) => Kind::Lanes,
        }
    }

    /// Behind the peer and the kind.
    pub(crate) fn to_row(self) -> Vec<u8> {
        match self {
            Self::Object(key) => key.to_row().to_vec(),
            Self::Lane(lane) => lane.to_row(),
        }
    }

    /// Key of the row that says that this is owed to a peer: kernel id, kind, object key or lane.
    #[must_use]
    pub fn key(self, peer: &KernelId) -> Vec<u8> {
        [self.kind().of(peer), self.to_row()].concat()
    }

    /// From such a key.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<(KernelId, Self)> {
        let (peer, rest) = key.split_at_checked(KernelId::LEN)?;
        let (tag, rest) = rest.split_first()?;
        let owed = match tag {
            0 => Self::Object(ObjectKey::from_row(rest)?),
            1 => Self::Lane(LaneId::from_row(rest).filter(|(_, rest)| rest.is_empty())?.0),
            _ => return None,
        };
        Some((KernelId::from_slice(peer)?, owed))
    }
}

/// [`Table::Outbox`]: what a peer is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum OutboxRow {
    /// An object, and why the peer is owed it.
    #[n(0)]
    Object(#[n(0)] DebtRow),
    /// Actions of a lane. Which, its rows say; perhaps none any more.
    #[n(1)]
    Lane,
}

/// Why a peer is owed an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DebtRow {
    /// Since when, in milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
    /// [`once_model::header::Header::id`] of the revision that was the newest when the row was last written.
    #[n(1)]
    pub id: Hash,
    /// Why, and so which of its revisions.
    #[n(2)]
    pub debt: Debt,
}

/// [`Table::Unsent`]: a kernel was removed while it was owed an object that a client had shared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnsentRow {
    /// Since when it was owed, in milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
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

/// What a peer takes up here.
///
/// # Errors
/// When the store cannot be read.
pub fn usage(rows: &dyn Read, id: &KernelId) -> Result<UsageRow, StoreError> {
    Ok(txn::get(rows, Table::Usage, id.as_bytes())?.unwrap_or_default())
}
