//! Pulling the bytes of large bodies from a peer, and going on where that broke.

use std::sync::Arc;

use once_core::shell::is_large;
use once_core::store::{Read, Table};
use once_core::waist::{Arrival, Input, Why};
use once_core::{object, peers, share};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::wire::{Code, Frame, Parcel, Pull, ShareAnswer, Shared};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::bodies::{Moving, Way};
use super::frames::{self, BODY_PIECE, FrameReader, NetError};
use super::incoming::Part;
use super::{Net, Session, lock};
use crate::shell::Mail;

/// How often a broken pull goes on where it broke, on the same connection, without getting on.
const PULL_TRIES: usize = 3;

/// A chain up to this many certificates is checked on the spot: each signature costs 50 us.
const CHAIN_AT_ONCE: usize = 4;

/// A body that was pulled and checked.
pub(crate) struct Pulled {
    pub arrival: Arrival,
    pub rest: Rest,
}

/// What a pulled body still takes up: its bytes on the disk, and its place in memory.
pub(crate) struct Rest {
    part: Part,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Rest {
    /// It is stored, or was refused: nothing of it stays behind. Whoever does not say so keeps it for the next time.
    pub fn settled(self) {
        self.part.remove();
    }
}

/// Fetches the bytes of a large share and hands them to the engine. What fails is forgotten, but not what came: the peer
/// shares again.
pub(super) async fn pull_share(
    net: &Arc<Net>,
    session: &Session,
    peer: KernelId,
    header: Header,
    chain: Option<Chain>,
) {
    let (key, id, content) = (header.key(), header.id(), header.content);
    let refuse = |code| {
        let answer = ShareAnswer::Refused(code);
        session.say(Frame::Shared(Shared { key, id, answer, commit: None }));
    };
    {
        let mut pulls = lock(&session.pulls);
        if pulls.contains(&(key, content)) {
            return;
        }
        // More than an honest peer ever has unanswered: it shares the rest again later.
        if pulls.len() >= WINDOW_MAX_SHARES {
            refuse(Code::Busy);
            return;
        }
        pulls.insert((key, content));
    }
    match pull(net, session, peer, header, chain).await {
        Ok(Pulled { arrival, rest }) => {
            let input = Input::Arrived { peer, arrival, why: Why::Shared { conn: session.conn } };
            let (told, committed) = oneshot::channel();
            let _ = net.shared.mail.send(Mail::Told(input, told)).await;
            if committed.await.is_ok() {
                rest.settled();
            }
        }
        Err(error) => {
            super::say_of!(net, peer, warn, %key, %error, "a large share could not be pulled");
            match error {
                // What is wrong stays wrong: say so, or the peer would share it for ever.
                NetError::Unexpected(_) | NetError::Wire(_) => {
                    let (conn, share, code) = (session.conn, (key, id, content), Code::Invalid);
                    session.pass_on(net, Input::Unfit { peer, conn, share, code }).await;
                }
                // It has changed since, and the peer need not wait before it shares what it has now; or it is not to be
                // had just now.
                NetError::Gone | NetError::Busy | NetError::NoRoom => refuse(Code::Busy),
                _ => {}
            }
        }
    }
    lock(&session.pulls).remove(&(key, content));
}

/// Fetches and checks the bytes that a header names, from where an earlier transfer broke.
pub(crate) async fn pull(
    net: &Arc<Net>,
    session: &Session,
    peer: KernelId,
    header: Header,
    chain: Option<Chain>,
) -> Result<Pulled, NetError> {
    if header.size > SCENARIO_MAX_BYTES as u64 {
        return Err(NetError::Unexpected("a scenario beyond the limit"));
    }
    let _turn = session.large_coming.acquire().await;
    loop {
        let place = (peer, header.content);
        let mut part = net.incoming.open(place, header.size, of_peer_max(net, &peer)).await;
        let resumed = part.have() > 0;
        let moving = net.transfers.begin(Way::In, peer, header.key(), header.size);
        moving.reached(part.have());
        fetch(net, session, &header, &mut part, &moving).await?;
        let memory = match part.take_memory() {
            Some(memory) => Some(memory),
            None => net.memory.hold(header.size).await,
        };
        let body = part.whole().await?;
        let parcel = Parcel { header: header.clone(), chain: chain.clone(), body: Some(body), commit: None };
        match check(peer, parcel).await? {
            Ok(arrival) => return Ok(Pulled { arrival, rest: Rest { part, _memory: memory } }),
            // What an earlier run left may have been spoilt by a power failure: that is not this peer's fault.
            Err(_) if resumed => part.remove(),
            Err(_) => {
                part.remove();
                return Err(NetError::Unexpected("bytes that do not match their header"));
            }
        }
    }
}

/// How many bytes of bodies that are not whole a peer may have here: what its quota has left, but always one body, since
/// what was asked for needs no quota.
fn of_peer_max(net: &Net, peer: &KernelId) -> u64 {
    let snapshot = net.shared.snapshot();
    let quota = peers::peer(&snapshot, peer).ok().flatten().map_or(0, |row| row.quota_bytes);
    let used = share::usage(&snapshot, peer).map_or(u64::MAX, |usage| usage.stored_bytes);
    quota.saturating_sub(used).max(SCENARIO_MAX_BYTES as u64)
}

/// Whether what a peer offers fits into its quota as it is now. The engine looks again when it stores it.
pub(super) fn fits_quota(rows: &dyn Read, peer: &KernelId, key: &ObjectKey, header: &Header) -> bool {
    let followed = rows.get(Table::Subscription, &object::peer_object_key(peer, key));
    if followed.is_ok_and(|row| row.is_some()) {
        return true;
    }
    let quota = peers::peer(rows, peer).ok().flatten().map_or(0, |row| row.quota_bytes);
    let used = share::usage(rows, peer).map_or(u64::MAX, |usage| usage.stored_bytes);
    let given_back = object::head(rows, key).ok().flatten();
    let given_back = given_back.filter(|head| head.charged && head.from == Some(*peer));
    let used = used.saturating_sub(given_back.map_or(0, |head| object::cost(&head.header)));
    used.saturating_add(object::cost(header)) <= quota
}

/// Checks a parcel: one that takes long not on the network's thread.
pub(super) async fn check(peer: KernelId, parcel: Parcel) -> Result<Result<Arrival, Code>, NetError> {
    let large = parcel.body.as_ref().is_some_and(|body| is_large(body.len() as u64));
    let long = parcel.chain.as_ref().is_some_and(|chain| chain.links.len() > CHAIN_AT_ONCE);
    if !large && !long {
        return Ok(object::verify(&peer, parcel));
    }
    let checked = crate::beside::wait_for(move || object::verify(&peer, parcel));
    checked.await.map_err(|_| NetError::Stopping)
}

/// Fetches what is missing of a body.
async fn fetch(
    net: &Net,
    session: &Session,
    header: &Header,
    part: &mut Part,
    moving: &Moving,
) -> Result<(), NetError> {
    let mut tries = 0;
    while part.have() < header.size {
        let before = part.have();
        match fetch_rest(net, session, header, part, moving).await {
            Ok(()) => {}
            Err(error @ (NetError::Broken(_) | NetError::Stalled))
                if session.connection.close_reason().is_none() =>
            {
                tries = if part.have() - before >= BODY_PIECE as u64 { 0 } else { tries + 1 };
                if tries > PULL_TRIES {
                    return Err(error);
                }
                tracing::debug!(%error, tries, have = part.have(), "a pull goes on where it broke");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn fetch_rest(
    net: &Net,
    session: &Session,
    header: &Header,
    part: &mut Part,
    moving: &Moving,
) -> Result<(), NetError> {
    let (key, content, size) = (header.key(), header.content, header.size);
    let broken = |e: iroh::endpoint::ConnectionError| NetError::Broken(e.to_string());
    let (mut send, recv) = session.connection.open_bi().await.map_err(broken)?;
    frames::send(&mut send, &Frame::Pull(Pull { key, content, offset: part.have() })).await?;
    let _ = send.finish();
    let mut reader = FrameReader::hurried(recv);
    match reader.expect().await? {
        Frame::Body(rest) if rest == size - part.have() => {}
        Frame::Body(_) => return Err(NetError::Unexpected("a body of another length")),
        Frame::Absent(absent) if matches!(absent.code, Code::Busy | Code::Stopping) => {
            return Err(NetError::Busy);
        }
        Frame::Absent(_) => return Err(NetError::Gone),
        _ => return Err(NetError::Unexpected("body or absent must answer a pull")),
    }
    part.gather(net.memory.try_hold(size), size - part.have());
    while part.have() < size {
        let piece = usize::try_from(size - part.have()).unwrap_or(usize::MAX).min(BODY_PIECE);
        let until = part.gathers_until();
        let come = reader.raw(piece, |bytes| part.push(bytes));
        let come = match until {
            // However slowly it comes, it leaves the memory.
            Some(until) => tokio::time::timeout_at(until, come).await.unwrap_or(Ok(())),
            None => come.await,
        };
        moving.reached(part.have());
        session.body_moved();
        part.write_some().await?;
        come?;
    }
    Ok(())
}
