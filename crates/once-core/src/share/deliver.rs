//! Sharing: pushing an object to a peer, and answering such a push.

use once_model::certificate::Chain;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{RESEND_AFTER_MS, SCENARIO_MAX_BYTES};
use once_model::wire::{Code, Frame, Parcel, ShareAnswer, Shared};

use super::later::pump;
use super::objects::{Kept, may_pass_on, promise};
use super::owed;
use super::owed::settle;
use super::rows::{self, Owed};
use super::unsent;
use super::window::Item;
use crate::engine::Step;
use crate::follow::with_copy;
use crate::peers::{self, PeerStatus};
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table};
use crate::waist::{Answer, Apart, Arrival, ConnId, Effect, Event, Timer, Token};
use crate::{access, act, moving, object};

/// A client wants a peer to have an object.
pub(crate) fn share(
    s: &mut Step<'_, '_>,
    token: Token,
    key: ObjectKey,
    to: KernelId,
    delivered: bool,
) -> Result<Option<Answer>, Failure> {
    s.room_on_disk()?;
    let key = object::current_key(s.txn, &key)?;
    let head = object::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    if peers::peer(s.txn, &to)?.is_none() {
        return Err(if to == s.ctx.me { Refusal::Myself } else { Refusal::NoPeer(to) }.into());
    }
    if !may_pass_on(s.txn, &s.ctx.me, &head)? {
        return Err(Refusal::Unsigned(key).into());
    }
    let kept = if delivered { Kept::WithItsClient } else { Kept::Durably };
    if !promise(s, to, &head, kept)? {
        return Err(Refusal::OutboxFull { peer: to, rows: rows::usage(s.txn, &to)?.owed_rows }.into());
    }
    unsent::settle(s, &to, &key)?;
    if !delivered {
        return Ok(Some(Answer::Owed));
    }
    s.engine.share.deliveries.entry((to, key)).or_default().push(token);
    Ok(None)
}

/// A share whose bytes travel apart: fetch them if they would be kept.
pub(crate) fn announced(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    parcel: Parcel,
) -> Result<(), StoreError> {
    let Parcel { header, chain, commit, .. } = parcel;
    peers::heard(s, peer, commit);
    let (key, id, content) = (header.key(), header.id(), header.content);
    let welcome = welcome(s, &peer, &key, chain.as_ref())?;
    let head = object::head(s.txn, &key)?;
    let answer = if welcome.is_none() {
        ShareAnswer::Refused(Code::Denied)
    } else if head.as_ref().is_some_and(|head| head.header.id() == id) {
        ShareAnswer::Known
    } else if header.size > SCENARIO_MAX_BYTES as u64 {
        ShareAnswer::Refused(Code::TooLarge)
    } else if let Some(Welcome::Guest { quota_bytes }) = welcome
        && object::over_quota(s, &peer, quota_bytes, &header, head.as_ref())?
    {
        ShareAnswer::Refused(Code::Quota)
    } else {
        s.out.push(Effect::Pull { peer, conn, what: Box::new(Apart::Scenario { header, chain }) });
        return Ok(());
    };
    answered(s, peer, conn, Shared { key, id, answer, commit: None });
    match answer {
        // It has only said that it has it.
        ShareAnswer::Known => Ok(()),
        _ => heard_of(s, peer, &key, &content, answer),
    }
}

/// Answers a share after the commit, and says how far this kernel is then.
fn answered(s: &mut Step<'_, '_>, peer: KernelId, conn: ConnId, shared: Shared) {
    let commit = Some(peers::told_after_commit(s));
    s.out.send(peer, conn, Frame::Shared(Shared { commit, ..shared }));
}

/// A shared scenario arrived whole: keep it if the peer may, and answer after the commit.
pub(crate) fn receive(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    arrival: Arrival,
) -> Result<(), StoreError> {
    let (key, id) = (arrival.header.key(), arrival.header.id());
    peers::heard(s, peer, arrival.commit);
    let (content, commit) = (arrival.header.content, None);
    let answer = admit(s, peer, arrival)?;
    answered(s, peer, conn, Shared { key, id, answer, commit });
    heard_of(s, peer, &key, &content, answer)
}

/// A shared scenario is not what its header says: nothing is written, and the answer rests on no commit.
pub(crate) fn unfit(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    (key, id, content): (ObjectKey, Hash, Hash),
    code: Code,
) -> Result<(), StoreError> {
    let answer = ShareAnswer::Refused(code);
    s.out.send(peer, conn, Frame::Shared(Shared { key, id, answer, commit: None }));
    heard_of(s, peer, &key, &content, answer)
}

/// An action may wait for what a peer shared.
fn heard_of(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
    answer: ShareAnswer,
) -> Result<(), StoreError> {
    match answer {
        // It comes again.
        ShareAnswer::Refused(Code::Busy | Code::DiskFull | Code::Stopping) => Ok(()),
        ShareAnswer::Refused(_) => act::not_kept(s, peer, key, content),
        _ => act::came(s, peer, key, content),
    }
}

/// Keeps what a peer sent of its own accord, if it may.
pub(crate) fn admit(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    arrival: Arrival,
) -> Result<ShareAnswer, StoreError> {
    match welcome(s, &peer, &arrival.header.key(), arrival.chain.as_ref())? {
        Some(Welcome::Guest { quota_bytes }) => object::accept(s, peer, arrival, Some(quota_bytes)),
        Some(Welcome::Asked) => object::accept(s, peer, arrival, None),
        None => Ok(ShareAnswer::Refused(Code::Denied)),
    }
}

/// Why a peer may send an object here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Welcome {
    /// It is followed for it: asked for, so nothing is charged.
    Asked,
    /// It has the right to share, into its quota.
    Guest { quota_bytes: u64 },
}

fn welcome(
    s: &Step<'_, '_>,
    peer: &KernelId,
    key: &ObjectKey,
    chain: Option<&Chain>,
) -> Result<Option<Welcome>, StoreError> {
    let row = peers::peer(s.txn, peer)?.filter(|row| row.status != PeerStatus::Joining);
    let Some(row) = row else { return Ok(None) };
    // Whoever follows nothing there need not look.
    let may_follow = s.engine.peers.links.get(peer).is_none_or(|link| link.may_follow || link.up().is_none());
    if may_follow {
        // What is followed as unclaimed is followed as whatever it was claimed as. The subscription keeps the key:
        // several kernels may have claimed the same copy, and which of their objects the peer follows is its to say.
        for asked in with_copy(key, chain.map(|chain| &chain.genesis)) {
            let followed = s.txn.get(Table::Subscription, &object::peer_object_key(peer, &asked))?.is_some();
            if followed && (asked == *key || !object::has_many_claims(s, key)?) {
                return Ok(Some(Welcome::Asked));
            }
        }
    }
    // Who is no peer sends what is asked for, and nothing else.
    if row.is_for_objects() {
        return Ok(None);
    }
    let guest = Welcome::Guest { quota_bytes: row.quota_bytes };
    // What is to move here comes ahead.
    if let Some(chain) = chain
        && moving::is_welcome(s.txn, peer, key, &chain.certificate())?
    {
        return Ok(Some(guest));
    }
    Ok(access::has_share(s.txn, peer, s.ctx.now_ms)?.then_some(guest))
}

/// A peer answered a share: the debt is settled, unless the object has changed since.
pub(crate) fn shared(s: &mut Step<'_, '_>, peer: KernelId, shared: &Shared) -> Result<(), StoreError> {
    let Shared { key, id, answer, commit } = *shared;
    peers::heard(s, peer, commit);
    let was_under_way =
        s.engine.peers.links.get_mut(&peer).is_some_and(|link| link.window.answered(&Item::Object(key)));
    let row = owed::debt(s.txn, &peer, &key)?;
    let later = matches!(answer, ShareAnswer::Refused(Code::Busy | Code::DiskFull | Code::Stopping));
    if later {
        // The debt stays, and comes up again with the resend timer or the next connection; at once if the answer is
        // to bytes that have changed since.
        if was_under_way && row.is_some() && !is_newest(s, &key, id)? {
            if let Some(link) = s.engine.peers.links.get_mut(&peer) {
                link.window.line_up(Owed::Object(key));
            }
        } else if let (Some(conn), Some(link)) = (s.up(&peer), s.engine.peers.links.get_mut(&peer))
            && link.window.put_off()
        {
            s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer: Timer::Resend(peer, conn) });
        }
        pump(s, peer);
        return Ok(());
    }
    moving::shared(s, peer, (key, id), answer)?;
    match row {
        // Only what the newest revision was answered with settles: a client shared the object, whatever it is by then.
        Some(_) if is_newest(s, &key, id)? || mutant!(SettleByAnyAnswer) => {
            settle(s, &peer, &key)?;
        }
        Some(_) => {
            // Changed while under way: the debt is for a newer revision, and so is what clients wait for.
            if was_under_way && let Some(link) = s.engine.peers.links.get_mut(&peer) {
                link.window.line_up(Owed::Object(key));
            }
            pump(s, peer);
            return Ok(());
        }
        None => {}
    }
    for token in s.engine.share.deliveries.remove(&(peer, key)).unwrap_or_default() {
        if !mutant!(ForgetDelivery) {
            s.out.push(Effect::Reply { token, reply: Ok(Answer::Delivered(answer)) });
        }
    }
    s.out.push(Effect::Event(Event::Delivered { peer, key, answer }));
    pump(s, peer);
    Ok(())
}

/// A peer is none any more: no client waits for its answer.
pub(crate) fn forget_delivery(s: &mut Step<'_, '_>, peer: KernelId, key: &[u8]) {
    let Some(key) = ObjectKey::from_row(key) else { return };
    for token in s.engine.share.deliveries.remove(&(peer, key)).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::NoPeer(peer)) });
    }
}

fn is_newest(s: &Step<'_, '_>, key: &ObjectKey, id: Hash) -> Result<bool, StoreError> {
    Ok(object::head(s.txn, key)?.is_some_and(|head| head.header.id() == id))
}
