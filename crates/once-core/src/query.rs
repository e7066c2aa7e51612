//! Reading: what clients and peers ask without changing anything. Runs on a snapshot, beside the engine, and checks
//! rights in that snapshot.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::certificate::Chain;
use once_model::hash::content_hash;
use once_model::header::Header;
use once_model::ids::{ItemId, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::receipt::{Entries, EntriesOf};
use once_model::sign::KernelKey;
use once_model::wire::{Absent, Code, Found, Frame, Parcel, Pull, Request};

use crate::actions;
use crate::outbox;
use crate::rights;
use crate::rows::{self, HeadRow, PeerRow};
use crate::store::{Read, StoreError, Table, prefix_end, try_scan};
use crate::txn;

/// Visits every object, in the order of UUIDs.
///
/// # Errors
/// When the store cannot be read. A row that is damaged is passed over.
pub fn heads(rows: &dyn Read, visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>) -> Result<(), StoreError> {
    readable(rows, Table::Head, &[], visit)
}

/// The same with a visitor that can fail.
pub(crate) fn try_heads<E: From<StoreError>>(
    rows: &dyn Read,
    mut visit: impl FnMut(HeadRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    try_scan(rows, Table::Head, &[], None, |_, value| {
        txn::decode(Table::Head, &value).map_or(Ok(ControlFlow::Continue(())), &mut visit)
    })
}

/// Visits every object that comes after one, in the order of keys.
///
/// # Errors
/// When the store cannot be read.
pub fn heads_after(
    rows: &dyn Read,
    after: Option<&ObjectKey>,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let from = after.map_or_else(Vec::new, |key| [key.to_row().as_slice(), &[0]].concat());
    readable(rows, Table::Head, &from, visit)
}

/// Visits every revision that is kept beside an object's chain.
///
/// # Errors
/// When the store cannot be read.
pub fn conflicts(
    rows: &dyn Read,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    readable(rows, Table::Conflict, &[], visit)
}

/// Of all objects: one row that is damaged is passed over, so that it costs only its own object. Who wants that object gets
/// the error, and a look at all rows for damage names it.
fn readable(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    rows.scan(table, from, None, &mut |_, value| {
        txn::decode(table, &value).map_or(ControlFlow::Continue(()), &mut *visit)
    })
}

fn heads_between(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    try_scan(rows, table, from, to, |_, value| Ok(visit(txn::decode(table, &value)?)))
}

/// The objects whose UUID begins with these bytes and then, if given, with this half byte; at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn with_prefix(
    rows: &dyn Read,
    bytes: &[u8],
    half: Option<u8>,
    limit: usize,
) -> Result<Vec<HeadRow>, StoreError> {
    let mut found = Vec::new();
    heads_between(rows, Table::Head, bytes, prefix_end(bytes).as_deref(), &mut |head| {
        let next = head.header.uuid.as_bytes().get(bytes.len()).map(|byte| byte >> 4);
        if half.is_none() || half == next {
            found.push(head);
        }
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// The verbatim bytes of a revision; `None` for a tombstone.
///
/// # Errors
/// When the store cannot be read, or the bytes are not those that were stored.
pub fn body(rows: &dyn Read, header: &Header) -> Result<Option<Bytes>, StoreError> {
    if header.tombstone {
        return Ok(None);
    }
    let damaged = |reason: &str| {
        let reason = format!("object {}: {reason}", header.key());
        StoreError::damaged(Table::Body, &rows::body_key(header), reason)
    };
    let body = rows.get(Table::Body, &rows::body_key(header))?.ok_or_else(|| damaged("no bytes"))?;
    if content_hash(&body) != header.content {
        return Err(damaged("the bytes do not have the hash that they were stored under"));
    }
    Ok(Some(body))
}

/// The chain of a claimed object.
///
/// # Errors
/// When the store cannot be read.
pub fn chain(rows: &dyn Read, lineage: &Lineage) -> Result<Option<Chain>, StoreError> {
    txn::get(rows, Table::Chain, lineage.as_bytes())
}

/// Every peer whose row can be read. The others are parked when they are dialled.
///
/// # Errors
/// When the store cannot be read.
pub fn peers(rows: &dyn Read) -> Result<Vec<(KernelId, PeerRow)>, StoreError> {
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

/// Objects of one UUID that are looked at.
const FIND_MAX: usize = 1000;

/// The objects of a UUID that answer to a line: exactly it, or any if none is given. An unclaimed copy that was
/// claimed since is found as the object that it has become.
///
/// # Errors
/// When the store cannot be read.
pub fn find(rows: &dyn Read, uuid: &Uuid, line: Option<Line>) -> Result<Vec<HeadRow>, StoreError> {
    let Some(line) = line else { return with_prefix(rows, uuid.as_bytes(), None, FIND_MAX) };
    if let Some(head) = rows::head(rows, &ObjectKey { uuid: *uuid, line })? {
        return Ok(vec![head]);
    }
    let Line::Unclaimed(content) = line else { return Ok(Vec::new()) };
    let place = rows::content_key(uuid, &content);
    let Some(lineage) = txn::get::<Lineage>(rows, Table::Genesis, &place)? else { return Ok(Vec::new()) };
    Ok(rows::head(rows, &ObjectKey { uuid: *uuid, line: Line::Claimed(lineage) })?.into_iter().collect())
}

/// Answers a peer's request for an object.
///
/// # Errors
/// When the store cannot be read.
pub fn answer(
    rows: &dyn Read,
    key: &KernelKey,
    peer: &KernelId,
    request: &Request,
    now_ms: u64,
) -> Result<Frame, StoreError> {
    let call = request.call;
    let mut found = Vec::new();
    for head in find(rows, &request.uuid, request.line)? {
        if rights::may_read(rows, peer, &head, now_ms)? {
            found.push(head);
        }
    }
    if found.len() > 1 {
        found.retain(|head| !head.header.tombstone);
    }
    Ok(match found.as_slice() {
        [head] => match parcel(rows, key, head)? {
            Some(parcel) => Frame::Found(Found { call, parcel }),
            None => Frame::Absent(Absent { call, code: Code::Denied }),
        },
        [] if mutant!(SayWhyNot) && !find(rows, &request.uuid, request.line)?.is_empty() => {
            Frame::Absent(Absent { call, code: Code::NotHome })
        }
        [] => Frame::Absent(Absent { call, code: Code::Denied }),
        _ => Frame::Absent(Absent { call, code: Code::Ambiguous }),
    })
}

/// Objects of one UUID of which a request is quick.
const QUICK_OBJECTS: usize = 4;

/// Certificates of an object of which a request is quick.
const QUICK_CERTIFICATES: u64 = 4;

/// Whether [`answer`] costs little, however much is here: few objects have that UUID, and each has a short chain.
///
/// # Errors
/// When the store cannot be read.
pub fn is_quick(rows: &dyn Read, request: &Request) -> Result<bool, StoreError> {
    let (mut objects, mut quick) = (0, true);
    readable(rows, Table::Head, request.uuid.as_bytes(), &mut |head| {
        if head.header.uuid != request.uuid {
            return ControlFlow::Break(());
        }
        objects += 1;
        quick = objects <= QUICK_OBJECTS && head.header.epoch <= QUICK_CERTIFICATES;
        if quick { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(quick)
}

/// Answers a peer that wants to know whether a revision continues an older one. What it may not read has no entries.
///
/// # Errors
/// When the store cannot be read.
pub fn entries(rows: &dyn Read, peer: &KernelId, of: &EntriesOf, now_ms: u64) -> Result<Frame, StoreError> {
    let may = match rows::head(rows, &of.key)? {
        Some(head) => rights::may_read(rows, peer, &head, now_ms)?,
        None => false,
    };
    let entries = if may { actions::entries(rows, of)? } else { Vec::new() };
    Ok(Frame::Entries(Entries { key: of.key, newest: of.newest, entries }))
}

/// A scenario as it leaves this kernel: signed if this is its home. `None` if it may not be passed on: its home never
/// signed it.
///
/// # Errors
/// When the store cannot be read.
pub fn parcel(rows: &dyn Read, key: &KernelKey, head: &HeadRow) -> Result<Option<Parcel>, StoreError> {
    let me = key.id();
    let mut parcel = outbox::parcel(rows, &me, head)?;
    if let Some(parcel) = &mut parcel
        && head.home == Some(me)
    {
        parcel.header.sign(key);
    }
    Ok(parcel)
}

/// The bytes that a peer asks for by hash: of a revision that it may read, or that this kernel is sharing with it.
///
/// # Errors
/// When the store cannot be read.
pub fn pulled(
    rows: &dyn Read,
    peer: &KernelId,
    pull: &Pull,
    now_ms: u64,
) -> Result<Result<Bytes, Code>, StoreError> {
    let Some(head) = rows::head(rows, &pull.key)?.filter(|head| head.header.content == pull.content) else {
        return Ok(Err(Code::Denied));
    };
    let owed = match outbox::debt(rows, peer, &pull.key)? {
        Some(row) => row.debt.allows(rows, peer, &head, now_ms)? && rights::is_peer(rows, peer)?,
        None => false,
    };
    let may = mutant!(PullWithoutRight) || owed || rights::may_read(rows, peer, &head, now_ms)?;
    if !may {
        return Ok(Err(Code::Denied));
    }
    // Not hashed here: the asker does, who must not believe us anyway, and 64 MiB take a while.
    let body = rows.get(Table::Body, &rows::body_key(&head.header))?.ok_or(Code::Denied);
    let offset = usize::try_from(pull.offset).unwrap_or(usize::MAX);
    Ok(body.and_then(|body| if offset <= body.len() { Ok(body.slice(offset..)) } else { Err(Code::Invalid) }))
}

/// Rows between two wanted items that are read over; a wider gap is jumped with a new scan.
const GAP_ROWS: usize = 16;

/// The objects that have these item ids now, in the order of their ids. What is not here is left out.
///
/// # Errors
/// When the store cannot be read.
pub fn items(rows: &dyn Read, ids: &[ItemId]) -> Result<Vec<(ItemId, HeadRow)>, StoreError> {
    items_in(rows, Table::Head, ids)
}

/// The revisions with these item ids in a table whose rows are revisions: the heads, or what is kept beside them.
pub(crate) fn items_in(
    rows: &dyn Read,
    table: Table,
    ids: &[ItemId],
) -> Result<Vec<(ItemId, HeadRow)>, StoreError> {
    let mut wanted: Vec<ItemId> = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::new();
    let mut next = 0;
    // One scan reads what lies close together, as it does when much is missing: a scan for each would cost more.
    while let Some(first) = wanted.get(next) {
        let mut gap = 0;
        let begun_at = next;
        try_scan(rows, table, front(first), None, |key, value| {
            let uuid = key.get(..FRONT).unwrap_or(key);
            while wanted.get(next).is_some_and(|id| front(id) < uuid) {
                next += 1;
            }
            // Ids of one front are few: the versions of one object that are wanted together.
            let mut matching = wanted.iter().skip(next).take_while(|id| front(id) == uuid).peekable();
            if matching.peek().is_none() {
                gap += 1;
                let done = wanted.get(next).is_none();
                let is_over = done || gap > GAP_ROWS;
                return Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            gap = 0;
            let head: HeadRow = txn::decode(table, &value)?;
            let id = head.header.item_id();
            if matching.any(|wanted| *wanted == id) {
                found.push((id, head));
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
        if gap == 0 || next == begun_at {
            // The table ended, or nothing lies at this id: what remains of its front is not here.
            let Some(passed) = wanted.get(next).map(|id| front(id).to_vec()) else { break };
            while wanted.get(next).is_some_and(|id| front(id) == passed) {
                next += 1;
            }
        }
    }
    Ok(found)
}

/// How much of an item id is the beginning of its UUID, in bytes.
const FRONT: usize = 8;

/// The part of an item id that all revisions of an object share.
pub(crate) fn front(id: &ItemId) -> &[u8] {
    id.as_bytes().split_at(FRONT).0
}

/// Whether a peer has said, under its signature, what does not follow from what it said before in the same life: it was
/// put back from a backup, or two processes use its key.
#[must_use]
pub fn put_back(row: &rows::PeerRow) -> bool {
    matches!(row.seen.as_slice(), [furthest, other, ..] if furthest.incarnation == other.incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::{Durability, Store};
    use crate::txn::Txn;
    use once_model::hash::content_hash;
    use proptest::prelude::*;

    fn head(uuid: u128, content: u8) -> HeadRow {
        let content = content_hash(&[content]);
        let header = Header {
            uuid: Uuid::from_u128(uuid),
            lineage: None,
            epoch: 0,
            revision: 0,
            certificate: None,
            parent: None,
            content,
            size: 1,
            tombstone: false,
            component: String::new(),
            version: String::new(),
            cause: None,
            signature: None,
            entry: None,
        };
        HeadRow {
            header,
            home: None,
            from: None,
            charged: false,
            stored_ms: 0,
            conflicts_dropped: 0,
            proven: false,
            replaced: None,
            tip: None,
        }
    }

    #[test]
    fn a_request_is_quick_where_little_is_looked_at() {
        let quick = |contents: std::ops::RangeInclusive<u8>, epoch: u64| {
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            for uuid in 1..=3 {
                let contents = if uuid == 2 { contents.clone() } else { 1..=20 };
                for mut row in contents.map(|content| head(uuid, content)) {
                    row.header.epoch = epoch;
                    txn.put(Table::Head, &row.header.key().to_row(), &row);
                }
            }
            let (batch, durability) = txn.into_batch();
            store.commit(batch, durability).unwrap();
            is_quick(&store, &Request { call: 1, uuid: Uuid::from_u128(2), line: None }).unwrap()
        };
        assert!(quick(1..=4, 4));
        assert!(!quick(1..=5, 4));
        assert!(!quick(1..=4, 5));
    }

    /// What a peer is owed opens the bytes that it is owed, and no others: neither the newest that nobody named, nor what
    /// it could read once.
    #[test]
    fn a_debt_opens_the_bytes_that_it_is_for() {
        use crate::rows::{Debt, DebtRow, OutboxRow, Owed, PeerStatus};
        use once_model::ids::Hash;
        let peer = KernelKey::from_bytes(&[7; 32]).id();
        let row = head(1, 1);
        let (key, content) = (row.header.key(), row.header.content);
        let asks = |debt: Option<Debt>, may_read: bool| {
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            txn.put(Table::Head, &key.to_row(), &row);
            txn.put_bytes(Table::Body, &rows::body_key(&row.header), Bytes::from_static(&[1]));
            let known = PeerRow {
                petname: None,
                says: String::new(),
                status: PeerStatus::Active,
                secret: None,
                addresses: Vec::new(),
                seen: Vec::new(),
                quota_bytes: 0,
                since_ms: 0,
                heard: None,
                invite: None,
                addresses_ms: Vec::new(),
                reborn_ms: None,
            };
            txn.put(Table::Peer, peer.as_bytes(), &known);
            if let Some(debt) = debt {
                let owed = OutboxRow::Object(DebtRow { since_ms: 0, id: row.header.id(), debt });
                txn.put(Table::Outbox, &Owed::Object(key).key(&peer), &owed);
            }
            if may_read {
                let (scope, right) = (rights::Scope::Kernel, rights::Right::Read);
                let grant = rights::Grant {
                    scope,
                    right,
                    kernel: peer,
                    object: None,
                    expires_ms: None,
                    actions: None,
                };
                txn.put(Table::Grant, &grant.to_row(), &grant.add_to(None, 0).unwrap());
            }
            let (batch, _) = txn.into_batch();
            store.commit(batch, Durability::Synced).unwrap();
            pulled(&store, &peer, &Pull { key, content, offset: 0 }, 1).unwrap().is_ok()
        };
        let (this, other) = (content, Hash::from_bytes([9; 32]));
        assert!(!asks(None, false));
        assert!(asks(Some(Debt::Promised), false));
        assert!(asks(Some(Debt::Given { content: this }), false));
        assert!(!asks(Some(Debt::Given { content: other }), false), "only what the action names");
        assert!(!asks(Some(Debt::FOLLOWED), false));
        assert!(asks(Some(Debt::FOLLOWED), true));
        assert!(asks(Some(Debt::Followed { given: Some(this) }), false));
        assert!(!asks(Some(Debt::Followed { given: Some(other) }), false));
    }

    proptest! {
        /// Whatever is wanted of whatever is here, exactly what is here is found.
        #[test]
        fn items_finds_what_is_here(
            here in prop::collection::btree_set((0..200_u128, 0..3_u8), 0..150),
            wanted in prop::collection::vec((0..200_u128, 0..3_u8), 0..80),
            shift in prop_oneof![Just(0), Just(64), Just(60)],
        ) {
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            for (uuid, content) in &here {
                let row = head(uuid << shift, *content);
                txn.put(Table::Head, &row.header.key().to_row(), &row);
            }
            let (batch, _) = txn.into_batch();
            store.commit(batch, Durability::Synced).unwrap();
            let id = |(uuid, content): &(u128, u8)| head(uuid << shift, *content).header.item_id();
            let ids: Vec<_> = wanted.iter().map(id).collect();
            let mut expected: Vec<_> = wanted.iter().filter(|item| here.contains(item)).map(id).collect();
            expected.sort_unstable();
            expected.dedup();
            let mut found: Vec<_> = items(&store, &ids).unwrap().into_iter().map(|(id, _)| id).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
