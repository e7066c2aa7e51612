//! What each chore does with one row.

use bytes::Bytes;
use once_model::ids::KernelId;

use super::chore::Chore;
use super::parts::Part;
use crate::access::{Grant, expiry};
use crate::engine::Step;
use crate::share::{self};
use crate::store::{StoreError, Table};
use crate::{act, follow, moving, object, peers, timer};

/// Does one row. What is removed is removed lazily: should it come back after a crash, so does the chore's own.
pub(super) fn one(
    s: &mut Step<'_, '_>,
    chore: Chore,
    part: &Part,
    key: &[u8],
    value: &Bytes,
) -> Result<(), StoreError> {
    let table = match (part, chore) {
        (Part::Rows(table, _), _) => *table,
        (Part::Acts, Chore::ForgetPeer(peer)) => return act::forget_waiter(s, peer, key),
        (Part::Deliveries(peer), _) => {
            share::forget_delivery(s, *peer, key);
            return Ok(());
        }
        (Part::Acts, _) => return Ok(()),
    };
    match chore {
        Chore::ForgetPeer(peer) if !is_of_peer(&peer, table, key, value) => {}
        Chore::ForgetPeer(_) if table == Table::Outbox => {
            share::keep_unsent(s, key, value);
            s.txn.delete_lazily(table, key);
        }
        Chore::ForgetObject(_) if table == Table::Timer => timer::forget(s, key, value),
        Chore::BeginLife if table == Table::Outbox => share::forget_owed(s, key)?,
        Chore::BeginLife if table == Table::Request => act::forget_request(s, key)?,
        Chore::ForgetPeer(_) | Chore::ForgetObject(_) | Chore::BeginLife => s.txn.delete_lazily(table, key),
        Chore::TellFollowers(object) => object::tell_follower(s, object, key)?,
        Chore::OweNews(object) => moving::owe_news(s, object, key)?,
        Chore::EndFollowing(kernel) => follow::end_unless_readable(s, kernel, key)?,
        Chore::Greet(peer) if table == Table::Conflict => object::ask_again(s, peer, value)?,
        Chore::Greet(peer) => follow::repeat(s, peer, table, key)?,
        Chore::Dial => peers::dial_one(s, key)?,
        Chore::Work => act::work_again(s, key, value)?,
        Chore::Sweep => expiry::end(s, table, key, value),
    }
    Ok(())
}

/// Whether a row is one of a peer that is removed: also the rights of objects that have their home there.
fn is_of_peer(peer: &KernelId, table: Table, key: &[u8], value: &[u8]) -> bool {
    match table {
        Table::Grant if mutant!(RemovePeerLeavesGrants) => false,
        Table::Grant => {
            key.ends_with(peer.as_bytes()) || Grant::whose(key, value).is_ok_and(|kernel| kernel == *peer)
        }
        Table::Follower => key.ends_with(peer.as_bytes()),
        _ => true,
    }
}

/// All rows are done.
pub(super) fn ended(s: &mut Step<'_, '_>, chore: Chore) -> Result<(), StoreError> {
    match chore {
        Chore::BeginLife => peers::begin_life(s),
        Chore::Greet(peer) => follow::repeated(s, peer),
        _ => Ok(()),
    }
}
