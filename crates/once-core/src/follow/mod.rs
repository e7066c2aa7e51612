//! Following: a subscription that the follower keeps and repeats at each hello.

mod end;
mod instead;
mod state;
#[cfg(test)]
mod tests_instead;
#[cfg(test)]
mod tests_pair;

pub use end::FollowRow;
pub(crate) use instead::{hand_on, handed_on, instead};
pub(crate) use state::State;

pub(crate) use end::{asked_as, end_following, link_down, rename, with_copy};

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};
use once_model::wire::{Code, Follow, Following, Frame};

use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::object::{self, current_key};
use crate::refusal::{Failure, Refusal};
use crate::share::{Debt, Kept, followed_no_more, owe};
use crate::store::{Read, StoreError, Table, has_any};
use crate::waist::{Answer, ConnId, Effect, Event};
use crate::{access, moving, peers};

/// A client wants an object's revisions from a peer.
pub(crate) fn follow(s: &mut Step<'_, '_>, key: ObjectKey, from: KernelId) -> Result<Answer, Failure> {
    if peers::peer(s.txn, &from)?.is_none() {
        return Err(if from == s.ctx.me { Refusal::Myself } else { Refusal::NoPeer(from) }.into());
    }
    let row = FollowRow { since_ms: s.ctx.now_ms };
    s.txn.put(Table::Subscription, &object::peer_object_key(&from, &key), &row);
    if let Some(link) = s.engine.peers.links.get_mut(&from) {
        link.may_follow = true;
    }
    heard_unfollow(s, &from, &key)?;
    if let Some(conn) = to_tell(s, &from, Table::Subscription, &key) {
        subscribe(s, from, conn, key)?;
    }
    Ok(Answer::Done)
}

/// The names of these under which an object is followed at a peer.
pub(crate) fn follows(
    s: &Step<'_, '_>,
    names: &[ObjectKey],
    peer: &KernelId,
) -> Result<Vec<ObjectKey>, StoreError> {
    let mut found = Vec::new();
    for name in names {
        if s.txn.get(Table::Subscription, &object::peer_object_key(peer, name))?.is_some() {
            found.push(*name);
        }
    }
    Ok(found)
}

/// What was followed at one peer is followed at another one from now on: the object has moved there.
pub(crate) fn follow_there(
    s: &mut Step<'_, '_>,
    key: ObjectKey,
    (from, to): (KernelId, KernelId),
) -> Result<(), StoreError> {
    s.txn.delete(Table::Subscription, &object::peer_object_key(&from, &key));
    match follow(s, key, to) {
        Err(Failure::Store(error)) => return Err(error),
        // The new home is no peer of this kernel: people may know what to do.
        Err(Failure::Refused(_)) if to != s.ctx.me => {
            s.out.push(Effect::Event(Event::FollowDenied { peer: to, key }));
        }
        Ok(_) | Err(Failure::Refused(_)) => {}
    }
    Ok(())
}

/// A client no longer wants them.
pub(crate) fn unfollow(s: &mut Step<'_, '_>, key: ObjectKey, from: KernelId) -> Result<Answer, Failure> {
    let mut found = false;
    // A claim since the subscription began may have changed the key it is known by.
    for key in asked_as(s, &current_key(s.txn, &key)?)?.into_iter().chain([key]) {
        let place = object::peer_object_key(&from, &key);
        if s.txn.get(Table::Subscription, &place)?.is_some() {
            found = true;
            end_subscription(s, from, key);
        }
    }
    if found { Ok(Answer::Done) } else { Err(Refusal::NotFollowed { key, from }.into()) }
}

/// The copy of an object is dropped here: whoever sends its revisions need not any more.
pub(crate) fn unfollow_everywhere(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    let asked = asked_as(s, key)?;
    let mut peers = Vec::new();
    s.txn.scan(Table::Peer, &[], None, &mut |peer, _| {
        peers.extend(KernelId::from_slice(peer));
        ControlFlow::Continue(())
    })?;
    for peer in peers {
        for key in &asked {
            if s.txn.get(Table::Subscription, &object::peer_object_key(&peer, key))?.is_some() {
                end_subscription(s, peer, *key);
            }
        }
    }
    Ok(())
}

/// Ends a subscription here, and tells the peer, until it answers.
fn end_subscription(s: &mut Step<'_, '_>, peer: KernelId, key: ObjectKey) {
    let place = object::peer_object_key(&peer, &key);
    s.txn.delete(Table::Subscription, &place);
    s.txn.put(Table::Unfollow, &place, &FollowRow { since_ms: s.ctx.now_ms });
    if let Some(conn) = to_tell(s, &peer, Table::Unfollow, &key) {
        s.out.send(peer, conn, Frame::Unfollow(key));
    }
}

/// The peer knows that a subscription has ended, or it begins again.
fn heard_unfollow(s: &mut Step<'_, '_>, peer: &KernelId, key: &ObjectKey) -> Result<(), StoreError> {
    s.txn.delete_if_there_lazily(Table::Unfollow, &object::peer_object_key(peer, key)).map(drop)
}

fn subscribe(s: &mut Step<'_, '_>, peer: KernelId, conn: ConnId, key: ObjectKey) -> Result<(), StoreError> {
    let have = object::head(s.txn, &current_key(s.txn, &key)?)?.map(|head| head.header.id());
    s.out.send(peer, conn, Frame::Follow(Follow { key, have }));
    Ok(())
}

/// On a new connection: tells the peer again of a subscription, or of the end of one that it has not heard of.
pub(crate) fn repeat(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    table: Table,
    row: &[u8],
) -> Result<(), StoreError> {
    let key = row.get(KernelId::LEN..).and_then(ObjectKey::from_row);
    let (Some(key), Some(conn)) = (key, s.up(&peer)) else { return Ok(()) };
    match table {
        Table::Unfollow => s.out.send(peer, conn, Frame::Unfollow(key)),
        _ => drop(s.guarded((peer, key), |s| subscribe(s, peer, conn, key))?),
    }
    Ok(())
}

/// Every subscription at a peer was repeated: from here on it is known whether there is any.
pub(crate) fn repeated(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    let any = has_any(s.txn, Table::Subscription, peer.as_bytes())?;
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.may_follow = any;
    }
    Ok(())
}

/// The admitted connection to a peer, unless this row is still to be repeated on it.
fn to_tell(s: &Step<'_, '_>, peer: &KernelId, table: Table, key: &ObjectKey) -> Option<ConnId> {
    let row = object::peer_object_key(peer, key);
    s.up(peer).filter(|_| !chores::comes_by(s, Chore::Greet(*peer), table, &row))
}

/// A peer wants an object's revisions: if it may read it, it gets the newest now and each later one.
pub(crate) fn followed(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    follow: &Follow,
) -> Result<(), StoreError> {
    if moving::points_on(s, &peer, &follow.key)? {
        return Ok(());
    }
    let key = current_key(s.txn, &follow.key)?;
    let head = match object::head(s.txn, &key)? {
        Some(head) if access::may_read(s.txn, &peer, &head, s.ctx.now_ms)? => head,
        _ => {
            let answer = Following { key: follow.key, on: false, code: Some(Code::Denied) };
            s.out.send(peer, conn, Frame::Following(answer));
            return Ok(());
        }
    };
    let place = object::object_peer_key(&key, &peer);
    if s.txn.get(Table::Follower, &place)?.is_none() {
        s.txn.put(Table::Follower, &place, &FollowRow { since_ms: s.ctx.now_ms });
    }
    s.out.send(peer, conn, Frame::Following(Following { key: follow.key, on: true, code: None }));
    if follow.have != Some(head.header.id()) {
        owe(s, peer, &head, Debt::FOLLOWED, Kept::Durably)?;
    }
    Ok(())
}

/// A right to read was taken back: what the kernel follows and may no longer read ends.
pub(crate) fn end_unless_readable(
    s: &mut Step<'_, '_>,
    kernel: KernelId,
    follower: &[u8],
) -> Result<(), StoreError> {
    let Some((key, of)) = follower.split_at_checked(ObjectKey::ROW_LEN) else { return Ok(()) };
    let Some(key) = ObjectKey::from_row(key).filter(|_| of == kernel.as_bytes()) else { return Ok(()) };
    let may = match object::head(s.txn, &key)? {
        Some(head) => access::may_read(s.txn, &kernel, &head, s.ctx.now_ms)?,
        None => false,
    };
    if may || mutant!(RevokedFollowerServed) { Ok(()) } else { end_following(s, kernel, &key) }
}

/// A peer no longer wants them.
pub(crate) fn unfollowed(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    key: ObjectKey,
) -> Result<(), StoreError> {
    let current = if mutant!(UnfollowByName) { key } else { current_key(s.txn, &key)? };
    for key in [key, current] {
        s.txn.delete_if_there(Table::Follower, &object::object_peer_key(&key, &peer))?;
        followed_no_more(s, &peer, &key)?;
    }
    s.out.send(peer, conn, Frame::Following(Following { key, on: false, code: None }));
    Ok(())
}

/// A peer answered a subscription. A refusal ends it: repeating it would not change the answer.
pub(crate) fn following(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    following: &Following,
) -> Result<(), StoreError> {
    if !following.on {
        heard_unfollow(s, &peer, &following.key)?;
    }
    if following.code.is_none() {
        return Ok(());
    }
    for key in asked_as(s, &following.key)? {
        if s.txn.delete_if_there(Table::Subscription, &object::peer_object_key(&peer, &key))? {
            s.out.push(Effect::Event(Event::FollowDenied { peer, key }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use once_model::ids::{Hash, Line, Uuid};
    use once_model::sign::KernelKey;

    use super::*;
    use crate::group;
    use crate::testing::{Alone, greeting};
    use crate::waist::{Command, Input, LinkEvent};

    /// What is said in each step that follows from an input.
    fn said(kernel: &mut Alone, input: Input) -> Vec<Vec<Frame>> {
        let (mut inputs, mut steps) = (VecDeque::from([input]), Vec::new());
        while let Some(input) = inputs.pop_front() {
            let mut frames = Vec::new();
            group::run(
                &mut kernel.engine,
                &mut kernel.store,
                &kernel.ctx,
                &mut kernel.dice,
                [input],
                &mut |effect| match effect {
                    Effect::Send { frame, .. } => frames.push(frame),
                    Effect::Timer { after_ms: 0, timer } => inputs.push_back(Input::Timer(timer)),
                    _ => {}
                },
            )
            .unwrap();
            steps.push(frames);
        }
        steps
    }

    #[test]
    fn hundreds_of_subscriptions_are_repeated_a_few_in_each_step_and_each_once() {
        const MANY: u128 = 300;
        let mut kernel = Alone::new();
        let (peer, key) = (kernel.peer(9).kernel, KernelKey::from_bytes(&[9; 32]));
        let object = |n: u128| ObjectKey {
            uuid: Uuid::from_u128(n),
            line: Line::Unclaimed(Hash::from_bytes([1; 32])),
        };
        for n in 1..=MANY {
            kernel.command(Command::Follow { key: object(n), from: peer });
        }
        for n in 1..=MANY / 3 {
            kernel.command(Command::Unfollow { key: object(n), from: peer });
        }
        kernel.input(Input::Link { peer, event: LinkEvent::Up { conn: 1, dialled: true, address: None } });
        let admitted = Input::Frame { peer, conn: 1, frame: Frame::Admitted(greeting(&key)) };
        let steps = said(&mut kernel, admitted);
        assert!(
            steps.iter().all(|frames| frames.len() <= 64),
            "{:?}",
            steps.iter().map(Vec::len).collect::<Vec<_>>()
        );
        let all: Vec<_> = steps.into_iter().flatten().collect();
        let ended = all.iter().filter(|frame| matches!(frame, Frame::Unfollow(_))).count();
        let followed = all.iter().filter_map(|frame| match frame {
            Frame::Follow(follow) => Some(follow.key),
            _ => None,
        });
        assert_eq!(ended as u128, MANY / 3);
        assert_eq!(followed.collect::<Vec<_>>(), (MANY / 3 + 1..=MANY).map(object).collect::<Vec<_>>());
        // Nothing is repeated any more: what begins now is told at once.
        let begins = Command::Follow { key: object(MANY + 1), from: peer };
        let steps = said(&mut kernel, Input::Command { token: 9999, command: begins });
        assert!(matches!(steps.concat().as_slice(), [Frame::Follow(_)]));
    }
}
