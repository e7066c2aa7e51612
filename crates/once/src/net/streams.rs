//! Streams besides the control stream: pulling large bodies, and exchanges that a peer asked for.

use std::sync::Arc;

use bytes::Bytes;
use iroh::endpoint::{RecvStream, SendStream, VarInt};
use once_core::waist::{Arrival, Input, Why};
use once_core::{content, query};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::wire::{Absent, Code, Frame, Parcel, Pull, ShareAnswer, Shared};

use super::frames::{self, FrameReader, NetError};
use super::{Net, Session, exchange, lock, receipts};
use crate::engine::now_ms;

/// How often a broken pull goes on where it broke, on the same connection.
const PULL_TRIES: usize = 3;

/// Serves the streams that a peer opens, until the connection ends.
pub(super) async fn serve(net: Arc<Net>, session: Arc<Session>, peer: KernelId) {
    // The control stream is the first of the connection: wait until it is taken, and the peer admitted.
    session.control_taken.notified().await;
    session.admitted().await;
    while let Ok((send, recv)) = session.connection.accept_bi().await {
        let (net, session) = (Arc::clone(&net), Arc::clone(&session));
        tokio::spawn(async move {
            if let Err(error) = serve_one(&net, &session, peer, send, recv).await {
                tracing::debug!(peer = %peer.short(), %error, "a stream ended early");
            }
        });
    }
}

async fn serve_one(
    net: &Arc<Net>,
    session: &Session,
    peer: KernelId,
    mut send: SendStream,
    recv: RecvStream,
) -> Result<(), NetError> {
    let mut reader = FrameReader::hurried(recv);
    match reader.expect().await? {
        Frame::Pull(pull) => {
            let _permits = (session.large_going.acquire().await, net.large_going.acquire().await);
            let found = query::pulled(&net.shared.snapshot(), &peer, &pull, now_ms());
            let bytes = found.unwrap_or_else(|error| {
                tracing::error!(%error, "a body could not be read");
                Err(Code::Busy)
            });
            match bytes {
                Ok(bytes) => send_body(&mut send, bytes).await?,
                Err(code) => frames::send(&mut send, &Frame::Absent(Absent { call: 0, code })).await?,
            }
        }
        Frame::Reconcile(payload) => {
            let Ok(_permit) = session.responding.try_acquire() else {
                let busy = Frame::Absent(Absent { call: 0, code: Code::Busy });
                frames::send(&mut send, &busy).await?;
                let _ = send.finish();
                return Ok(());
            };
            exchange::respond(net, session, &mut send, &mut reader, payload).await?;
        }
        Frame::ReceiptOf(of) => {
            let found = receipts::made_for(&net.shared, &peer, &of).unwrap_or_else(|error| {
                tracing::error!(%error, "a receipt could not be made");
                None
            });
            let answer = match found {
                Some(receipt) => Frame::Receipt(Box::new(receipt)),
                None => Frame::Absent(Absent { call: 0, code: Code::Denied }),
            };
            frames::send(&mut send, &answer).await?;
        }
        _ => {
            let _ = send.reset(VarInt::from_u32(super::session::close_code(Code::Invalid)));
            return Err(NetError::Unexpected("a stream begins with pull, reconcile or receipt-of"));
        }
    }
    let _ = send.finish();
    Ok(())
}

async fn send_body(send: &mut SendStream, bytes: Bytes) -> Result<(), NetError> {
    frames::send(send, &Frame::Body(bytes.len() as u64)).await?;
    frames::write_body(send, bytes).await
}

/// Fetches the bytes of a large share and hands them to the engine. What fails is forgotten: the peer shares again.
pub(super) async fn pull_share(
    net: &Arc<Net>,
    session: &Session,
    peer: KernelId,
    header: Header,
    chain: Option<Chain>,
) {
    let (key, id, content) = (header.key(), header.id(), header.content);
    {
        let mut pulls = lock(&session.pulls);
        if pulls.contains(&(key, content)) {
            return;
        }
        // More than an honest peer ever has unanswered: it shares the rest again later.
        if pulls.len() >= WINDOW_MAX_SHARES {
            let answer = ShareAnswer::Refused(Code::Busy);
            session.say(Frame::Shared(Shared { key, id, answer, commit: None }));
            return;
        }
        pulls.insert((key, content));
    }
    let pulled = pull(net, session, peer, header, chain).await;
    lock(&session.pulls).remove(&(key, content));
    match pulled {
        Ok(arrival) => {
            let why = Why::Shared { conn: session.conn };
            net.tell(Input::Arrived { peer, arrival, why }).await;
        }
        Err(error) => {
            super::say_of!(net, peer, warn, %key, %error, "a large share could not be pulled");
            let code = match error {
                // What is wrong stays wrong: say so, or the peer would share it for ever.
                NetError::Unexpected(_) | NetError::Wire(_) => Some(Code::Invalid),
                // It has changed since: the peer need not wait before it shares what it has now.
                NetError::Gone => Some(Code::Busy),
                _ => None,
            };
            if let Some(code) = code {
                let answer = ShareAnswer::Refused(code);
                session.say(Frame::Shared(Shared { key, id, answer, commit: None }));
            }
        }
    }
}

/// Fetches and checks the bytes that a header names.
pub(crate) async fn pull(
    net: &Net,
    session: &Session,
    peer: KernelId,
    header: Header,
    chain: Option<Chain>,
) -> Result<Arrival, NetError> {
    let _permit = session.large_coming.acquire().await;
    let size = usize::try_from(header.size).unwrap_or(usize::MAX);
    if size > SCENARIO_MAX_BYTES {
        return Err(NetError::Unexpected("a scenario beyond the limit"));
    }
    let body = pull_bytes(net, session, header.key(), header.content, size).await?;
    // Hashing and reading up to 64 MiB takes a while: not on the network's thread.
    let checked = tokio::task::spawn_blocking(move || {
        content::verify(&peer, Parcel { header, chain, body: Some(body), commit: None })
    });
    match checked.await {
        Ok(Ok(arrival)) => Ok(arrival),
        _ => Err(NetError::Unexpected("bytes that do not match their header")),
    }
}

async fn pull_bytes(
    net: &Net,
    session: &Session,
    key: ObjectKey,
    content: Hash,
    size: usize,
) -> Result<Bytes, NetError> {
    let mut have: Vec<u8> = Vec::new();
    let mut tries = 0;
    loop {
        match pull_rest(net, session, key, content, size, &mut have).await {
            Ok(()) => return Ok(have.into()),
            Err(error @ (NetError::Broken(_) | NetError::Stalled))
                if tries < PULL_TRIES && session.connection.close_reason().is_none() =>
            {
                tries += 1;
                tracing::debug!(%error, tries, have = have.len(), "a pull goes on where it broke");
            }
            Err(error) => return Err(error),
        }
    }
}

async fn pull_rest(
    net: &Net,
    session: &Session,
    key: ObjectKey,
    content: Hash,
    size: usize,
    have: &mut Vec<u8>,
) -> Result<(), NetError> {
    let broken = |e: iroh::endpoint::ConnectionError| NetError::Broken(e.to_string());
    let (mut send, recv) = session.connection.open_bi().await.map_err(broken)?;
    frames::send(&mut send, &Frame::Pull(Pull { key, content, offset: have.len() as u64 })).await?;
    let _ = send.finish();
    let mut reader = FrameReader::hurried(recv);
    match reader.expect().await? {
        Frame::Body(rest) if rest == (size - have.len()) as u64 => {
            let _permit = net.large_coming.acquire().await;
            have.reserve_exact(size - have.len());
            reader.raw_into(have, size).await
        }
        Frame::Body(_) => Err(NetError::Unexpected("a body of another length")),
        Frame::Absent(_) => Err(NetError::Gone),
        _ => Err(NetError::Unexpected("body or absent must answer a pull")),
    }
}
