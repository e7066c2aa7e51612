//! The outbox: one index of what each peer is owed, objects and lanes of actions alike.

use std::ops::ControlFlow;

use minicbor::{Decode, Encode};
use once_model::ids::{Hash, KernelId, ObjectKey};

use super::debt::Debt;
use crate::act::LaneId;
use crate::engine::Step;
use crate::store::{Read, StoreError, Table, prefix_end};
use crate::txn;

/// What is owed, as it stands in a row's key behind the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owed {
    /// An object.
    Object(ObjectKey),
    /// The actions of a lane that have no outcome.
    Lane(LaneId),
}

/// The kinds of what is owed. The rows of one kind lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Objects.
    Objects,
    /// Lanes.
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
    /// Its kind.
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
    /// An object.
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

/// Why a peer is owed an object, if it is.
///
/// # Errors
/// When the store cannot be read.
pub fn debt(rows: &dyn Read, peer: &KernelId, key: &ObjectKey) -> Result<Option<DebtRow>, StoreError> {
    Ok(match txn::get(rows, Table::Outbox, &Owed::Object(*key).key(peer))? {
        Some(OutboxRow::Object(row)) => Some(row),
        _ => None,
    })
}

/// Visits what of one kind is owed to a peer, from a place on: of [`Kind::Lanes`], perhaps also some of which nothing
/// waits any more.
///
/// # Errors
/// When the store cannot be read.
pub fn owed(
    rows: &dyn Read,
    peer: &KernelId,
    kind: Kind,
    next: &[u8],
    visit: &mut dyn FnMut(Owed, &[u8]) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let all = kind.of(peer);
    let from = [all.as_slice(), next].concat();
    rows.scan(Table::Outbox, &from, prefix_end(&all).as_deref(), &mut |key, value| {
        Owed::from_key(key).map_or(ControlFlow::Continue(()), |(_, owed)| visit(owed, &value))
    })
}

/// Whether the outbox names a lane.
pub(crate) fn lists(rows: &dyn Read, home: &KernelId, lane: &LaneId) -> Result<bool, StoreError> {
    Ok(rows.get(Table::Outbox, &Owed::Lane(*lane).key(home))?.is_some())
}

/// Whether any lane to a home is in the outbox.
pub(crate) fn owes(s: &Step<'_, '_>, home: &KernelId) -> Result<bool, StoreError> {
    let mut any = false;
    owed(s.txn, home, Kind::Lanes, &[], &mut |_, _| {
        any = true;
        ControlFlow::Break(())
    })?;
    Ok(any)
}

/// A lane has something that waits: from now on the pump finds it.
pub(crate) fn list(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) {
    let key = Owed::Lane(*lane).key(home);
    if s.txn.is_dirty(Table::Outbox, &key) {
        s.txn.put_lazily(Table::Outbox, &key, &OutboxRow::Lane);
    } else {
        s.txn.put_new_lazily(Table::Outbox, &key, &OutboxRow::Lane);
    }
}

/// Nothing of a lane waits any more.
pub(crate) fn unlist(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) {
    s.txn.delete_lazily(Table::Outbox, &Owed::Lane(*lane).key(home));
}

/// The same, if that costs nothing: the row was written by this very group. Any other stays for as long as the lane is
/// used; the pump takes it away when it comes by.
pub(crate) fn unlist_new(s: &mut Step<'_, '_>, home: &KernelId, lane: &LaneId) -> bool {
    let key = Owed::Lane(*lane).key(home);
    let new = s.txn.is_new(Table::Outbox, &key);
    if new {
        s.txn.delete_lazily(Table::Outbox, &key);
    }
    new
}
