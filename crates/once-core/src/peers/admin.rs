//! What people decide about peers: join, name, grant, remove.

use once_model::ids::{KernelId, Secret};
use once_model::limits::NAME_MAX_BYTES;
use once_model::wire::Code;

use super::addresses::put_first;
use super::begin::new_row;
use super::dial::dial;
use super::names::{check_petname, room_for_peer};
use super::rows::{self, RemovedRow};
use super::visitors::{comes_for, hang_up};
use super::{PeerRow, PeerStatus};
use crate::access::{self, Grant, GrantRow, Right, Scope};
use crate::chores::{self, Chore};
use crate::engine::{Step, Todo, life};
use crate::object;
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Effect, Token};

/// Uses an invite of another kernel.
pub(crate) fn join(
    s: &mut Step<'_, '_>,
    token: Token,
    peer: KernelId,
    secret: Secret,
    addresses: Vec<String>,
    petname: Option<String>,
) -> Result<(), Failure> {
    let known = rows::peer(s.txn, &peer)?;
    check_new(s, &peer, petname.as_deref(), known.is_none())?;
    let row = match known.filter(|row| row.status != PeerStatus::Joining) {
        // A peer here, but perhaps no longer there: the invite shall open its door again. If it is one there, too, the
        // invite is shown all the same, on a new connection: one that was never shown would let someone else in.
        Some(mut row) => {
            put_first(&mut row, addresses, s.ctx.now_ms);
            PeerRow { secret: Some(secret), petname: petname.or(row.petname), ..row }
        }
        None => new_row(s, PeerStatus::Joining, Some(secret), addresses, petname),
    };
    s.txn.put(Table::Peer, peer.as_bytes(), &row);
    s.engine.peers.joins.entry(peer).or_default().push(token);
    if let Some(conn) = s.up(&peer) {
        s.out.push(Effect::Close { peer, conn, code: Code::Busy });
    }
    dial(s, peer)?;
    Ok(())
}

/// Becomes a peer of a kernel that adds us too.
pub(crate) fn add(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    addresses: Vec<String>,
    petname: Option<String>,
) -> Result<Answer, Failure> {
    if let Some(row) = rows::peer(s.txn, &peer)? {
        let answer = change(s, peer, petname, None, addresses)?;
        // Whatever becomes of the invite, or of what it comes for: somebody here has vouched for it.
        let row = rows::peer(s.txn, &peer)?.unwrap_or(row);
        rows::put_peer(s.txn, &peer, row);
        return Ok(answer);
    }
    check_new(s, &peer, petname.as_deref(), true)?;
    let row = new_row(s, PeerStatus::Active, None, addresses, petname);
    rows::put_peer(s.txn, &peer, row);
    dial(s, peer)?;
    Ok(Answer::Done)
}

/// Calls a peer something else, gives it another quota, or learns where it is.
pub(crate) fn change(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    petname: Option<String>,
    quota_bytes: Option<u64>,
    addresses: Vec<String>,
) -> Result<Answer, Failure> {
    let mut row = rows::peer(s.txn, &peer)?.ok_or(Refusal::NoPeer(peer))?;
    check_new(s, &peer, petname.as_deref(), false)?;
    row.petname = petname.or(row.petname);
    row.quota_bytes = quota_bytes.unwrap_or(row.quota_bytes);
    put_first(&mut row, addresses, s.ctx.now_ms);
    s.txn.put(Table::Peer, peer.as_bytes(), &row);
    dial(s, peer)?;
    Ok(Answer::Done)
}

/// Ends it: the connection and every right at once, since who is no peer has none; then, perhaps in later steps, what rests
/// on them, debts and subscriptions. The client is answered when nothing of it is left. Its scenarios stay, and stay
/// counted: should it become a peer again, they are part of its quota.
pub(crate) fn remove(s: &mut Step<'_, '_>, token: Token, peer: KernelId) -> Result<Option<Answer>, Failure> {
    let rest = Chore::ForgetPeer(peer);
    // It may have accepted: whoever is asked later must be able to hear it.
    if let Some(key) = s.engine.moving.hands_to(&peer) {
        return Err(Refusal::HandsOver { key, peer }.into());
    }
    if rows::peer(s.txn, &peer)?.is_none() {
        let under_way = chores::is_under_way(s, rest)?;
        return if under_way { Ok(chores::wait(s, rest, token)) } else { Err(Refusal::NoPeer(peer).into()) };
    }
    s.txn.delete(Table::Peer, peer.as_bytes());
    s.txn.put(Table::Removed, peer.as_bytes(), &RemovedRow { at_ms: s.ctx.now_ms });
    life::peer_removed(s, peer)?;
    hang_up(s, peer, "it was removed here");
    for token in s.engine.peers.joins.remove(&peer).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::NoPeer(peer)) });
    }
    Ok(chores::wait(s, rest, token))
}

/// A grant on what its scope is called now: a copy may have been claimed since whoever names it has looked.
fn as_it_is_called(s: &Step<'_, '_>, mut grant: Grant) -> Result<Grant, StoreError> {
    if let Scope::Object(key) = &mut grant.scope {
        *key = object::current_key(s.txn, key)?;
    }
    Ok(grant)
}

/// Gives a right.
pub(crate) fn grant(s: &mut Step<'_, '_>, grant: Grant) -> Result<Answer, Failure> {
    let grant = &as_it_is_called(s, grant)?;
    // An object of this kernel may need a right here: one that moved in has none.
    let own = grant.object.is_some() && grant.kernel == s.ctx.me;
    let holder = rows::peer(s.txn, &grant.kernel)?;
    if !own && holder.is_none() {
        return Err(Refusal::NoPeer(grant.kernel).into());
    }
    let is_visitor = holder.is_some_and(|row| row.is_for_objects());
    if is_visitor && !matches!(grant.scope, Scope::Object(_)) {
        return Err(Refusal::OnlyForObjects(grant.kernel).into());
    }
    let component = match &grant.scope {
        Scope::Component(name) => Some(name),
        Scope::Kernel | Scope::Object(_) => None,
    };
    if component.into_iter().chain(grant.actions.iter().flatten()).any(|name| name.len() > NAME_MAX_BYTES) {
        return Err(Refusal::NameTooLong { max_bytes: NAME_MAX_BYTES }.into());
    }
    access::add(s, grant)??;
    if let Scope::Object(key) = grant.scope
        && is_visitor
    {
        comes_for(s, &grant.kernel, &key);
    }
    Ok(Answer::Done)
}

/// Takes a right back, also what rests on it: who may no longer read an object no longer follows it. The right is gone at
/// once; the client is answered when all that rests on it is.
pub(crate) fn revoke(s: &mut Step<'_, '_>, token: Token, grant: Grant) -> Result<Option<Answer>, Failure> {
    let grant = as_it_is_called(s, grant)?;
    let place = grant.to_row();
    let row: Option<GrantRow> = txn::get(s.txn, Table::Grant, &place)?;
    let row = row.ok_or(Refusal::NoGrant { kernel: grant.kernel, right: grant.right.name() })?;
    match grant.take_from(row, s.ctx.now_ms)? {
        Some(left) => s.txn.put(Table::Grant, &place, &left),
        None if mutant!(LazyRevoke) => s.txn.delete_lazily(Table::Grant, &place),
        None => s.txn.delete(Table::Grant, &place),
    }
    s.later(Todo::Visitor(grant.kernel));
    match grant.right {
        Right::Read => Ok(chores::begin_for(s, Chore::EndFollowing(grant.kernel), token)),
        _ => Ok(Some(Answer::Done)),
    }
}

/// Gives a new peer a right on the kernel, for good.
pub(super) fn give(s: &mut Step<'_, '_>, kernel: KernelId, right: Right) -> Result<(), StoreError> {
    let grant = Grant { scope: Scope::Kernel, right, kernel, object: None, expires_ms: None, actions: None };
    // It names no actions, so there are never too many.
    access::add(s, &grant).map(drop)
}

fn check_new(s: &Step<'_, '_>, peer: &KernelId, petname: Option<&str>, new: bool) -> Result<(), Failure> {
    if *peer == s.ctx.me {
        return Err(Refusal::Myself.into());
    }
    if new && chores::is_under_way(s, Chore::ForgetPeer(*peer))? {
        return Err(Refusal::BeingRemoved(*peer).into());
    }
    if new && !room_for_peer(s)? {
        return Err(Refusal::TooManyPeers(s.engine.limits.peers).into());
    }
    check_petname(s, Some(peer), petname)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use once_model::sign::KernelKey;
    use once_model::wire::Frame;

    use super::*;
    use crate::testing::Alone;
    use crate::waist::{Command, Input, LinkEvent};

    /// An invite that is refused ends what rests on it, and nothing else.
    #[test]
    fn a_peer_that_somebody_adds_stays_one_when_its_invite_is_refused() {
        for added in [false, true] {
            let mut kernel = Alone::new();
            let peer = KernelKey::from_bytes(&[9; 32]).id();
            let (secret, addresses, petname) = (Secret::from_bytes([1; 16]), Vec::new(), None);
            kernel.command(Command::Join { peer, secret, addresses, petname });
            if added {
                kernel.command(Command::AddPeer { peer, addresses: Vec::new(), petname: None });
            }
            kernel
                .input(Input::Link { peer, event: LinkEvent::Up { conn: 1, dialled: true, address: None } });
            kernel.input(Input::Frame { peer, conn: 1, frame: Frame::Denied(Code::Denied) });
            let row = rows::peer(&kernel.store, &peer).unwrap();
            assert_eq!(row.map(|row| row.status), added.then_some(PeerStatus::Active));
        }
    }
}
