//! What other kernels are shown when they ask. Runs on a snapshot, beside the engine, and checks rights in that snapshot.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::ids::KernelId;
use once_model::receipt::{Entries, EntriesOf};
use once_model::sign::KernelKey;
use once_model::wire::{Absent, Code, Found, Frame, Parcel, Pull, Request};

use crate::object::{self, HeadRow, find, readable};
use crate::store::{Read, StoreError, Table};
use crate::{access, act, moving, share};

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
        if access::may_read(rows, peer, &head, now_ms)? {
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
    let may = match object::head(rows, &of.key)? {
        Some(head) => access::may_read(rows, peer, &head, now_ms)?,
        None => false,
    };
    let entries = if may { act::entries(rows, of)? } else { Vec::new() };
    Ok(Frame::Entries(Entries { key: of.key, newest: of.newest, entries }))
}

/// A scenario as it leaves this kernel: signed if it was made here. `None` if it may not be passed on: its home never
/// signed it.
///
/// # Errors
/// When the store cannot be read.
pub fn parcel(rows: &dyn Read, key: &KernelKey, head: &HeadRow) -> Result<Option<Parcel>, StoreError> {
    let me = key.id();
    let mut parcel = share::parcel(rows, &me, head)?;
    if let Some(parcel) = &mut parcel
        && head.is_of_here()
    {
        parcel.header.sign(key);
    }
    Ok(parcel)
}

/// What a peer asks for by hash, if it may have it.
enum Pulled {
    /// A row of so many bytes.
    Row { table: Table, place: Vec<u8>, bytes: u64 },
    /// The beginning of a chain.
    Chain(Bytes),
}

/// Of a revision that it may read, or that this kernel is sharing with it; or the luggage of an object that is sealed to it; or the
/// beginning of a chain, up to a certificate that it names.
fn may_pull(
    rows: &dyn Read,
    peer: &KernelId,
    pull: &Pull,
    now_ms: u64,
) -> Result<Result<Pulled, Code>, StoreError> {
    if let Some(bytes) = moving::luggage_for(rows, peer, &pull.key, &pull.content)? {
        return Ok(Ok(Pulled::Row { table: Table::Luggage, place: pull.key.to_row().to_vec(), bytes }));
    }
    let Some(head) = object::head(rows, &pull.key)?.filter(|head| head.header.content == pull.content) else {
        return Ok(beginning(rows, peer, pull)?.map(Pulled::Chain).ok_or(Code::Denied));
    };
    let owed = match share::debt(rows, peer, &pull.key)? {
        Some(row) => row.debt.allows(rows, peer, &head, now_ms)? && access::is_peer(rows, peer)?,
        None => false,
    };
    let may = mutant!(PullWithoutRight) || owed || access::may_read(rows, peer, &head, now_ms)?;
    if !may {
        return Ok(Err(Code::Denied));
    }
    let (place, bytes) = (object::body_key(&head.header), head.header.size);
    Ok(Ok(Pulled::Row { table: Table::Body, place, bytes }))
}

/// The beginning of a chain. Whoever knows the id of a certificate was told it, and all that comes before it stands behind that: so
/// a peer needs no further right.
fn beginning(rows: &dyn Read, peer: &KernelId, pull: &Pull) -> Result<Option<Bytes>, StoreError> {
    let Some(lineage) = pull.key.lineage().filter(|_| pull.offset == 0) else { return Ok(None) };
    if !access::is_admitted(rows, peer)? {
        return Ok(None);
    }
    let chain = object::chain(rows, &lineage)?.filter(|chain| chain.genesis.uuid == pull.key.uuid);
    Ok(chain.and_then(|chain| chain.earlier(&pull.content)))
}

/// How many bytes there are of what a peer asks for by hash.
///
/// # Errors
/// When the store cannot be read.
pub fn pull_bytes(
    rows: &dyn Read,
    peer: &KernelId,
    pull: &Pull,
    now_ms: u64,
) -> Result<Result<u64, Code>, StoreError> {
    Ok(may_pull(rows, peer, pull, now_ms)?.map(|pulled| match pulled {
        Pulled::Row { bytes, .. } => bytes,
        Pulled::Chain(bytes) => bytes.len() as u64,
    }))
}

/// The bytes that a peer asks for by hash.
///
/// # Errors
/// When the store cannot be read.
pub fn pulled(
    rows: &dyn Read,
    peer: &KernelId,
    pull: &Pull,
    now_ms: u64,
) -> Result<Result<Bytes, Code>, StoreError> {
    let (table, place) = match may_pull(rows, peer, pull, now_ms)? {
        Ok(Pulled::Row { table, place, .. }) => (table, place),
        Ok(Pulled::Chain(bytes)) => return Ok(Ok(bytes)),
        Err(code) => return Ok(Err(code)),
    };
    // Not hashed here: the asker does, who must not believe us anyway, and 64 MiB take a while.
    let body = rows.get(table, &place)?.ok_or(Code::Denied);
    let offset = usize::try_from(pull.offset).unwrap_or(usize::MAX);
    Ok(body.and_then(|body| if offset <= body.len() { Ok(body.slice(offset..)) } else { Err(Code::Invalid) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::{Durability, Store};
    use crate::txn::Txn;
    use once_model::hash::content_hash;
    use once_model::header::Header;
    use once_model::ids::Uuid;
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
            guest: None,
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
        use crate::peers::{PeerRow, PeerStatus};
        use crate::share::{Debt, DebtRow, OutboxRow, Owed};
        use once_model::ids::Hash;
        let peer = KernelKey::from_bytes(&[7; 32]).id();
        let row = head(1, 1);
        let (key, content) = (row.header.key(), row.header.content);
        let asks = |debt: Option<Debt>, may_read: bool| {
            let mut store = MemoryStore::new();
            let mut txn = Txn::new(&store);
            txn.put(Table::Head, &key.to_row(), &row);
            txn.put_bytes(Table::Body, &object::body_key(&row.header), Bytes::from_static(&[1]));
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
                let (scope, right) = (access::Scope::Kernel, access::Right::Read);
                let grant = access::Grant {
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
            let mut found: Vec<_> = crate::exchange::items(&store, &ids).unwrap().into_iter().map(|(id, _)| id).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
