//! Pulling the bytes of large bodies from a peer, and going on where that broke.

use std::sync::Arc;

use bytes::Bytes;
use once_core::shell::is_large;
use once_core::store::{Read, Table};
use once_core::waist::{Apart, Arrival, Input, Why};
use once_core::{object, peers, share};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::moving::Handoff;
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

/// What is asked for by its hash.
#[derive(Debug, Clone, Copy)]
struct Named {
    key: ObjectKey,
    content: Hash,
    size: u64,
}

/// Fetches what the engine wants and hands it over. What fails is forgotten, but not what came: the peer announces it again.
pub(super) async fn pull_for_engine(net: &Arc<Net>, session: &Session, peer: KernelId, what: Apart) {
    let place = (what.key(), what.content());
    let may_begin = {
        let mut pulls = lock(&session.pulls);
        if pulls.contains(&place) {
            return;
        }
        // More than an honest peer ever has unanswered: it announces the rest again later.
        let may_begin = pulls.len() < WINDOW_MAX_SHARES;
        if may_begin {
            pulls.insert(place);
        }
        may_begin
    };
    match what {
        Apart::Scenario { header, .. } if !may_begin => refuse(session, &header, Code::Busy),
        Apart::Luggage { .. } if !may_begin => return,
        Apart::Scenario { header, chain } => pull_share(net, session, peer, (header, chain)).await,
        Apart::Luggage { handoff, size, .. } => {
            let named = Named { key: place.0, content: place.1, size };
            pull_luggage(net, session, named, handoff).await;
        }
    }
    if may_begin {
        lock(&session.pulls).remove(&place);
    }
}

/// Says that a share is not taken.
fn refuse(session: &Session, header: &Header, code: Code) {
    let (key, id, answer) = (header.key(), header.id(), ShareAnswer::Refused(code));
    session.say(Frame::Shared(Shared { key, id, answer, commit: None }));
}

/// Tells the engine what came. When that is committed, nothing of it stays behind.
async fn hand_over(net: &Net, input: Input, rest: Rest) {
    let (told, committed) = oneshot::channel();
    let _ = net.shared.mail.send(Mail::Told(input, told)).await;
    if committed.await.is_ok() {
        rest.settled();
    }
}

/// The bytes of a large share.
async fn pull_share(
    net: &Arc<Net>,
    session: &Session,
    peer: KernelId,
    (header, chain): (Header, Option<Chain>),
) {
    let (key, id, content, conn) = (header.key(), header.id(), header.content, session.conn);
    match pull(net, session, peer, header.clone(), chain).await {
        Ok(Pulled { arrival, rest }) => {
            let input = Input::Arrived { peer, arrival, why: Why::Shared { conn } };
            hand_over(net, input, rest).await;
        }
        Err(error) => {
            super::say_of!(net, peer, warn, %key, %error, "a large share could not be pulled");
            match error {
                // What is wrong stays wrong: say so, or the peer would share it for ever.
                NetError::Unexpected(_) | NetError::Wire(_) => {
                    let (share, code) = ((key, id, content), Code::Invalid);
                    session.pass_on(net, Input::Unfit { peer, conn, share, code }).await;
                }
                // It has changed since, and the peer need not wait before it shares what it has now; or it is not to be
                // had just now.
                NetError::Gone | NetError::Busy | NetError::NoRoom => refuse(session, &header, Code::Busy),
                _ => {}
            }
        }
    }
}

/// The luggage of an object that is handed over.
async fn pull_luggage(net: &Arc<Net>, session: &Session, named: Named, handoff: Handoff) {
    let (peer, conn, handoff) = (session.peer, session.conn, Arc::new(handoff));
    let pulled = whole(net, session, named, |bytes| {
        let handoff = Arc::clone(&handoff);
        let checked = crate::beside::wait_for(move || handoff.unpack(&bytes));
        async { checked.await.map_err(|_| NetError::Stopping) }
    });
    let (luggage, rest) = match pulled.await {
        Ok((luggage, rest)) => (Some(luggage), Some(rest)),
        Err(error) => {
            let key = named.key;
            super::say_of!(net, peer, warn, %key, %error, "the luggage of an object could not be pulled");
            // What is wrong stays wrong: the engine refuses it.
            if !matches!(error, NetError::Unexpected(_) | NetError::Wire(_)) {
                return;
            }
            (None, None)
        }
    };
    let handoff = Box::new(Arc::unwrap_or_clone(handoff));
    let input = Input::Luggage { peer, conn, handoff, luggage };
    match rest {
        Some(rest) => hand_over(net, input, rest).await,
        None => session.pass_on(net, input).await,
    }
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
    let named = Named { key: header.key(), content: header.content, size: header.size };
    let pulled = whole(net, session, named, |bytes| {
        let parcel = Parcel { header: header.clone(), chain: chain.clone(), body: Some(bytes), commit: None };
        async move { Ok(check(peer, parcel).await?.ok()) }
    });
    pulled.await.map(|(arrival, rest)| Pulled { arrival, rest })
}

/// Fetches what has a hash, from where an earlier transfer broke, until it is what it should be. `check`: nothing if it is not.
async fn whole<T, F: Future<Output = Result<Option<T>, NetError>>>(
    net: &Arc<Net>,
    session: &Session,
    named: Named,
    check: impl Fn(Bytes) -> F,
) -> Result<(T, Rest), NetError> {
    let _turn = session.large_coming.acquire().await;
    let (peer, Named { key, content, size }) = (session.peer, named);
    loop {
        let mut part = net.incoming.open((peer, content), size, of_peer_max(net, &peer)).await;
        let resumed = part.have() > 0;
        let moving = net.transfers.begin(Way::In, peer, key, size);
        moving.reached(part.have());
        fetch(net, session, named, &mut part, &moving).await?;
        let memory = match part.take_memory() {
            Some(memory) => Some(memory),
            None => net.memory.hold(size).await,
        };
        match check(part.whole().await?).await? {
            Some(checked) => return Ok((checked, Rest { part, _memory: memory })),
            // What an earlier run left may have been spoilt by a power failure: that is not this peer's fault.
            None if resumed => part.remove(),
            None => {
                part.remove();
                return Err(NetError::Unexpected("bytes that do not match their hash"));
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
    named: Named,
    part: &mut Part,
    moving: &Moving,
) -> Result<(), NetError> {
    let mut tries = 0;
    while part.have() < named.size {
        let before = part.have();
        match fetch_rest(net, session, named, part, moving).await {
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
    named: Named,
    part: &mut Part,
    moving: &Moving,
) -> Result<(), NetError> {
    let Named { key, content, size } = named;
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
