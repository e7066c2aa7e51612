//! What removed peers were owed. Nothing of it is sent any more; that it was not sent stays known until people give it up, or share it
//! anew.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::ids::{KernelId, ObjectKey};

use super::debt::Debt;
use super::rows::{OutboxRow, Owed, UnsentRow};
use crate::engine::Step;
use crate::object::peer_object_key;
use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;

/// A peer is removed that is owed this. Only what a client has promised is kept: following ends with the peer.
pub(crate) fn keep(s: &mut Step<'_, '_>, place: &[u8], value: &Bytes) {
    let owed = Owed::from_key(place);
    let row = txn::decode::<OutboxRow>(Table::Outbox, value);
    if let (Some((peer, Owed::Object(key))), Ok(OutboxRow::Object(row))) = (owed, row)
        && row.debt == Debt::Promised
    {
        let row = UnsentRow { since_ms: row.since_ms };
        s.txn.put_lazily(Table::Unsent, &peer_object_key(&peer, &key), &row);
    }
}

/// It is given up, or owed anew. Whether there was anything.
pub(crate) fn settle(s: &mut Step<'_, '_>, peer: &KernelId, key: &ObjectKey) -> Result<bool, StoreError> {
    s.txn.delete_if_there(Table::Unsent, &peer_object_key(peer, key))
}

/// Visits what kernels were owed when they were removed.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn unsent(
    rows: &dyn Read,
    visit: &mut dyn FnMut(KernelId, ObjectKey, UnsentRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    try_scan(rows, Table::Unsent, &[], None, |place, value| {
        let row = txn::decode(Table::Unsent, &value).map_err(|error| error.at(place))?;
        let named = place.get(..KernelId::LEN).and_then(KernelId::from_slice);
        let key = place.get(KernelId::LEN..).and_then(ObjectKey::from_row);
        Ok(named.zip(key).map_or(ControlFlow::Continue(()), |(peer, key)| visit(peer, key, row)))
    })
}
