//! The six events that more than one capability has a part in, and what each of them does then. This is the one place that
//! lists the capabilities: whoever adds one looks here. Rows in numbers go in a chore (`chores/parts.rs`), a few in each step.

use once_model::ids::{KernelId, ObjectKey};
use once_model::wire::Greeting;

use super::{Step, Todo};
use crate::access::{self, expiry};
use crate::chores::{self, Chore};
use crate::share::Window;
use crate::store::{StoreError, Table};
use crate::{act, archive, follow, moving, peers, share, timer};

/// A run of the engine begins: what the last one left goes on, and every peer is dialled. Each capability on its own: what
/// one of them cannot read holds up no other.
pub(crate) fn started(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    drop(s.tried(chores::resume)?);
    drop(s.tried(expiry::resume)?);
    peers::dial_all(s);
    if !peers::resume_quarantine(s)? {
        drop(s.tried(act::resume)?);
        drop(s.tried(timer::resume)?);
        s.later(Todo::Departures);
    }
    Ok(())
}

/// A connection to a peer is admitted: subscriptions are repeated on it, and what the peer is owed is sent.
pub(crate) fn link_up(s: &mut Step<'_, '_>, peer: KernelId, hello: &Greeting) {
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.window = Window::fresh(&s.engine.limits);
        if mutant!(ForgetUnanswered) {
            link.window = Window::default();
        }
        let before = std::mem::replace(&mut link.act, act::Channel::new(hello));
        if mutant!(GuestShownOnce) {
            link.act.guests = before.guests;
        }
        link.may_follow = true;
    }
    // It may have taken the place of another one.
    unanswered(s, peer);
    if !mutant!(FollowOnce) {
        chores::begin(s, Chore::Greet(peer));
    }
    share::pump(s, peer);
    s.later(Todo::Greet(peer));
}

/// The connection to a peer is no more: what was under way on it is sent again on the next.
pub(crate) fn link_down(s: &mut Step<'_, '_>, peer: KernelId) {
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.window = Window::default();
    }
    unanswered(s, peer);
}

/// What clients have asked a peer for on a connection that is no more: they are told so, and ask again.
fn unanswered(s: &mut Step<'_, '_>, peer: KernelId) {
    archive::link_down(s, peer);
    moving::link_down(s, peer);
    follow::link_down(s, peer);
}

/// A kernel is no peer any more. It has no right from here on; what rests on its rights goes, perhaps in later steps.
pub(crate) fn peer_removed(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    share::forget_count(s, &peer)?;
    if !mutant!(RemovedWaits) {
        s.engine.act.waiting.forget_peer(&peer);
    }
    chores::begin(s, Chore::ForgetPeer(peer));
    Ok(())
}

/// An object of this kernel has come to its end: from here on no timer of it rings, no work outside counts, it is told nothing, and
/// it is about to leave no more.
pub(crate) fn object_gone(s: &mut Step<'_, '_>, key: ObjectKey) {
    s.engine.moving.touch(&key);
    if s.engine.moving.arriving.remove(&key).is_some() {
        s.txn.delete(Table::Arriving, &key.to_row());
    }
    chores::begin(s, Chore::ForgetObject(key));
}

/// An unclaimed copy was claimed: what others have of it is theirs under its new name.
pub(crate) fn key_changed(s: &mut Step<'_, '_>, old: &ObjectKey, new: &ObjectKey) -> Result<(), StoreError> {
    access::rename(s.txn, old, new, s.ctx.now_ms)?;
    if !mutant!(ClaimLosesFollowers) {
        follow::rename(s.txn, old, new)?;
    }
    Ok(())
}
