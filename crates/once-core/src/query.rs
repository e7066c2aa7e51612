//! Reading: what clients and peers ask without changing anything. Runs on a snapshot, beside the engine, and checks
//! rights in that snapshot.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::certificate::Chain;
use once_model::hash::{content_hash, item_id};
use once_model::header::Header;
use once_model::ids::{ItemId, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::sign::KernelKey;
use once_model::wire::{Absent, Code, Found, Frame, Parcel, Pull, Request};

use crate::outbox;
use crate::rights;
use crate::rows::{self, HeadRow, PeerRow};
use crate::store::{Read, StoreError, Table, prefix_end, scan_prefix};
use crate::txn;

/// Visits every object, in the order of UUIDs.
///
/// # Errors
/// When the store cannot be read.
pub fn heads(rows: &dyn Read, visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>) -> Result<(), StoreError> {
    heads_between(rows, Table::Head, &[], None, visit)
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
    heads_between(rows, Table::Head, &from, None, visit)
}

/// Visits every revision that is kept beside an object's chain.
///
/// # Errors
/// When the store cannot be read.
pub fn conflicts(
    rows: &dyn Read,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    heads_between(rows, Table::Conflict, &[], None, visit)
}

fn heads_between(
    rows: &dyn Read,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    visit: &mut dyn FnMut(HeadRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut failed = None;
    rows.scan(table, from, to, &mut |_, value| match txn::decode(table, &value) {
        Ok(head) => visit(head),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
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
    let damaged = |reason: &str| StoreError::Damaged {
        table: Table::Body,
        reason: format!("object {}: {reason}", header.key()),
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

/// Every peer.
///
/// # Errors
/// When the store cannot be read.
pub fn peers(rows: &dyn Read) -> Result<Vec<(KernelId, PeerRow)>, StoreError> {
    let mut found = Vec::new();
    rows.scan(Table::Peer, &[], None, &mut |key, value| {
        found.extend(KernelId::from_slice(key).map(|id| (id, value)));
        ControlFlow::Continue(())
    })?;
    found.into_iter().map(|(id, value)| Ok((id, txn::decode(Table::Peer, &value)?))).collect()
}

/// The objects of a UUID that answer to a line: exactly it, or any if none is given. An unclaimed copy that was
/// claimed since is found as the object that it has become.
///
/// # Errors
/// When the store cannot be read.
pub fn find(rows: &dyn Read, uuid: &Uuid, line: Option<Line>) -> Result<Vec<HeadRow>, StoreError> {
    let Some(line) = line else { return with_prefix(rows, uuid.as_bytes(), None, usize::MAX) };
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
        [] => Frame::Absent(Absent { call, code: Code::Denied }),
        _ => Frame::Absent(Absent { call, code: Code::Ambiguous }),
    })
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
    let owed = rows.get(Table::Outbox, &rows::peer_object_key(peer, &pull.key))?.is_some();
    let may = rights::may_read(rows, peer, &head, now_ms)? || (owed && rights::is_peer(rows, peer)?);
    if !may {
        return Ok(Err(Code::Denied));
    }
    let body = body(rows, &head.header)?.ok_or(Code::Denied);
    let offset = usize::try_from(pull.offset).unwrap_or(usize::MAX);
    Ok(body.and_then(|body| if offset <= body.len() { Ok(body.slice(offset..)) } else { Err(Code::Invalid) }))
}

/// The object that has this item id now.
///
/// # Errors
/// When the store cannot be read.
pub fn item(rows: &dyn Read, id: &ItemId) -> Result<Option<HeadRow>, StoreError> {
    let (front, _) = id.as_bytes().split_at(8);
    let mut found = None;
    let mut failed = None;
    scan_prefix(rows, Table::Head, front, &mut |_, value| {
        match txn::decode::<HeadRow>(Table::Head, &value) {
            Ok(head) if item_id(&head.header) == *id => found = Some(head),
            Ok(_) => return ControlFlow::Continue(()),
            Err(error) => failed = Some(error),
        }
        ControlFlow::Break(())
    })?;
    failed.map_or(Ok(found), Err)
}
