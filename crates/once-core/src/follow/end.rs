//! Ends what a peer follows here, and under which names an object is followed.

use minicbor::{Decode, Encode};
use once_model::certificate::Genesis;
use once_model::ids::{KernelId, Line, ObjectKey};
use once_model::wire::{Code, Following, Frame};

use crate::engine::Step;
use crate::object::{self, current_key};
use crate::refusal::Refusal;
use crate::share::followed_no_more;
use crate::store::{StoreError, Table};
use crate::txn::{self, Txn};
use crate::waist::Effect;

/// A peer may no longer read what it follows: it is told, so that it does not wait for news that will not come.
pub(crate) fn end_following(s: &mut Step<'_, '_>, peer: KernelId, key: &ObjectKey) -> Result<(), StoreError> {
    s.txn.delete(Table::Follower, &object::object_peer_key(key, &peer));
    followed_no_more(s, &peer, key)?;
    let Some(conn) = s.up(&peer) else { return Ok(()) };
    for asked in asked_as(s, key)? {
        // It may have asked for the copy that the object began from, and never have got more.
        if asked == *key || !mutant!(EndByOneName) && current_key(s.txn, &asked)? == *key {
            let answer = Following { key: asked, on: false, code: Some(Code::Denied) };
            s.out.send(peer, conn, Frame::Following(answer));
        }
    }
    Ok(())
}

/// The connection to a peer is no more: who waits asks again.
pub(crate) fn link_down(s: &mut Step<'_, '_>, peer: KernelId) {
    let waits = &mut s.engine.follow.handed_on;
    let gone: Vec<_> = waits.keys().filter(|(to, ..)| *to == peer).copied().collect();
    for place in gone {
        for token in s.engine.follow.handed_on.remove(&place).into_iter().flatten() {
            s.out.push(Effect::Reply { token, reply: Err(Refusal::NotConnected(peer)) });
        }
    }
}

/// The keys under which an object may have been asked for: its own, and that of the unclaimed copy it began from.
pub(crate) fn asked_as(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Vec<ObjectKey>, StoreError> {
    let genesis = match key.lineage() {
        Some(lineage) => object::genesis(s.txn, &lineage)?,
        None => None,
    };
    Ok(with_copy(key, genesis.as_ref()).collect())
}

/// An object's key, and that of the unclaimed copy it began from.
pub(crate) fn with_copy(key: &ObjectKey, genesis: Option<&Genesis>) -> impl Iterator<Item = ObjectKey> {
    let copy = genesis.map(|genesis| Line::Unclaimed(genesis.content));
    let uuid = key.uuid;
    [Some(key.line), copy].into_iter().flatten().map(move |line| ObjectKey { uuid, line })
}

/// [`Table::Subscription`], [`Table::Follower`] and [`Table::Unfollow`]: since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FollowRow {
    /// In milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
}

/// Who follows a copy follows the object that it has become.
pub(crate) fn rename(txn: &mut Txn<'_>, old: &ObjectKey, new: &ObjectKey) -> Result<(), StoreError> {
    txn::rename(txn, Table::Follower, &old.to_row(), &new.to_row())
}
