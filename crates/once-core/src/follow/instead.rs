//! A kernel that is to be erased asks another one to follow what it follows: `docs/protocol.md`, 5.8. The other one does so if it lets
//! that kernel move objects there; what it may read is for the followed kernel to say, as always.

use once_model::follow::{FollowInstead, FollowedInstead};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::FOLLOWS_INSTEAD_MAX;
use once_model::wire::{Code, Frame};

use super::{follow, unfollow};
use crate::engine::Step;
use crate::moving::connection;
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table, count_prefix};
use crate::waist::{Answer, Effect, Token};
use crate::{access, object, peers};

/// A client wants another kernel to follow what this one follows.
pub(crate) fn hand_on(
    s: &mut Step<'_, '_>,
    token: Token,
    key: ObjectKey,
    (at, to): (KernelId, KernelId),
) -> Result<Option<Answer>, Failure> {
    if s.txn.get(Table::Subscription, &object::peer_object_key(&at, &key))?.is_none() {
        return Err(Refusal::NotFollowed { key, from: at }.into());
    }
    let conn = connection(s, &to).ok_or(Refusal::NotConnected(to))?;
    s.engine.follow.handed_on.entry((to, at, key)).or_default().push(token);
    s.out.send(to, conn, Frame::FollowInstead(FollowInstead { key, at }));
    Ok(None)
}

/// A peer asks this kernel to follow what it follows.
pub(crate) fn instead(s: &mut Step<'_, '_>, peer: KernelId, asked: FollowInstead) -> Result<(), StoreError> {
    let FollowInstead { key, at } = asked;
    // What cannot be read just now may be tomorrow.
    let code = s.tried(|s| take(s, &peer, key, at))?.unwrap_or(Some(Code::Busy));
    if let Some(conn) = connection(s, &peer) {
        s.out.send(peer, conn, Frame::FollowedInstead(FollowedInstead { key, at, code }));
    }
    Ok(())
}

fn take(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    key: ObjectKey,
    at: KernelId,
) -> Result<Option<Code>, StoreError> {
    if !access::may_host_all(s.txn, peer, s.ctx.now_ms)? && !mutant!(FollowsForAnybody) {
        return Ok(Some(Code::Denied));
    }
    // What lives here need not be followed.
    let lives_here = object::head(s.txn, &key)?.is_some_and(|head| head.home == Some(s.ctx.me));
    if at == s.ctx.me || lives_here {
        return Ok(None);
    }
    if peers::peer(s.txn, &at)?.is_none_or(|row| !row.is_called()) {
        return Ok(Some(Code::Lacking));
    }
    let place = object::peer_object_key(&at, &key);
    if s.txn.get(Table::Subscription, &place)?.is_none() {
        if s.room_on_disk().is_err() {
            return Ok(Some(Code::DiskFull));
        }
        if is_full(s, &at)? {
            return Ok(Some(Code::Quota));
        }
    }
    match follow(s, key, at) {
        Ok(_) => Ok(None),
        Err(Failure::Store(error)) => Err(error),
        Err(Failure::Refused(refusal)) => Ok(Some(refusal.code())),
    }
}

/// Whether as much is followed at a peer as others may have this kernel follow there.
fn is_full(s: &Step<'_, '_>, at: &KernelId) -> Result<bool, StoreError> {
    let most = FOLLOWS_INSTEAD_MAX;
    Ok(count_prefix(s.txn, Table::Subscription, at.as_bytes(), most)? == most)
}

/// That peer has answered. Follows it what this kernel follows, this one need not any more.
pub(crate) fn handed_on(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    said: FollowedInstead,
) -> Result<(), StoreError> {
    let FollowedInstead { key, at, code } = said;
    let Some(tokens) = s.engine.follow.handed_on.remove(&(peer, at, key)) else { return Ok(()) };
    let reply = match code {
        Some(code) => Err(Refusal::NotFollowedInstead { key, by: peer, code }),
        None => match unfollow(s, key, at) {
            Ok(_) | Err(Failure::Refused(Refusal::NotFollowed { .. })) => Ok(Answer::Done),
            Err(Failure::Refused(refusal)) => Err(refusal),
            Err(Failure::Store(error)) => return Err(error),
        },
    };
    for token in tokens {
        s.out.push(Effect::Reply { token, reply: reply.clone() });
    }
    Ok(())
}
