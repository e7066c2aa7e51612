//! Exchanges on a stream of their own: compare, then want, give, offer. `docs/protocol.md` shows the order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use iroh::endpoint::SendStream;
use once_core::exchange::{self, Comparison, Difference, Items};
use once_core::waist::Answer;
use once_core::{Refusal, content, query, rights};
use once_model::hash::item_id;
use once_model::ids::{ItemId, KernelId};
use once_model::limits::{INLINE_MAX_BYTES, RECONCILE_MAX_ROUNDS, WANT_MAX_IDS};
use once_model::wire::{Absent, Code, Frame, Kept, Parcel, ShareAnswer};
use serde::Serialize;
use tokio::sync::oneshot;

use super::frames::{self, FrameReader, NetError};
use super::{Net, Session};
use crate::Error;
use crate::engine::{Mail, now_ms};

/// Ids in one `want`: enough to fill the pipe, few enough that progress shows.
const BATCH: usize = 256;

/// Wants that may be unanswered at once: the giver never waits for the next.
const WANTS_AHEAD: usize = 4;

/// Scenarios on their way through the engine at once.
const STORING_MAX: usize = 1024;

/// Bytes that are gathered before they are written.
const GIVE_BYTES: usize = 128 * 1024;

/// What an exchange came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Objects that were compared: what either side has that the other may read, each counted once.
    pub compared: u64,
    /// Of these, what the other kernel has.
    pub shown: u64,
    /// Objects here that the other kernel may not read: they were not compared.
    pub withheld: u64,
    /// Received and kept.
    pub received: u64,
    /// Received, but here already.
    pub known: u64,
    /// Received and kept beside another revision.
    pub conflicts: u64,
    /// Received and not kept.
    pub refused: u64,
    /// Kept by the other kernel.
    pub sent: u64,
    /// There already.
    pub sent_known: u64,
    /// Kept there beside another revision.
    pub sent_conflicts: u64,
    /// Not kept there.
    pub sent_refused: u64,
    /// Rounds of comparing.
    pub rounds: u64,
    /// Bytes that left this kernel on the connection meanwhile, with everything that QUIC and UDP add.
    pub bytes_sent: u64,
    /// Bytes that came.
    pub bytes_received: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// How far an exchange is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Progress {
    /// `comparing`, `receiving` or `sending`.
    pub phase: &'static str,
    /// Scenarios done in this phase.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// Bytes of scenarios so far.
    pub bytes: u64,
}

/// Compares with a peer, gets what is missing here and gives what is missing there.
pub(crate) async fn initiate(
    net: &Arc<Net>,
    session: &Session,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, Error> {
    let begun = Instant::now();
    let before = session.connection.stats();
    let run = run(net, session, progress).await;
    let mut report = run.map_err(|failed| match failed {
        Ended::Refused(code) => Error::from_code(code, "exchange"),
        Ended::Net(error) => Error::unreachable(format!("the exchange broke off: {error}"))
            .with_hint("what came so far is kept; the next exchange goes on from there"),
        Ended::Error(error) => error,
    })?;
    let after = session.connection.stats();
    report.bytes_sent = after.udp_tx.bytes.saturating_sub(before.udp_tx.bytes);
    report.bytes_received = after.udp_rx.bytes.saturating_sub(before.udp_rx.bytes);
    report.took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Why an exchange ended early.
enum Ended {
    Refused(Code),
    Net(NetError),
    Error(Error),
}

impl From<NetError> for Ended {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

async fn run(
    net: &Arc<Net>,
    session: &Session,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, Ended> {
    let mut report = Report::default();
    progress(Progress { phase: "comparing", done: 0, total: 0, bytes: 0 });
    let items = collect(net, session.peer)
        .await?
        .map_err(|error| Ended::Error(Error::from_code(error.code(), "exchange")))?;
    report.withheld = items.withheld() as u64;
    let opened = session.connection.open_bi().await;
    let (mut send, recv) = opened.map_err(|e| NetError::Broken(e.to_string()))?;
    let mut reader = FrameReader::hurried(recv);
    let difference = compare(&items, &mut send, &mut reader, &mut report).await?;
    let mine = items.len() as u64;
    drop(items);

    let snapshot = net.shared.snapshot();
    report.compared = mine + difference.only_there() as u64;
    let Difference { have, need } = difference;
    report.shown = (mine + need.len() as u64).saturating_sub(have.len() as u64);
    let need = tokio::task::spawn_blocking(move || exchange::missing(&snapshot, &need));
    let need = need.await.map_err(|e| Error::fault(e.to_string()))?.map_err(Error::from)?;
    receive(net, session, &need, &mut send, &mut reader, &mut report, progress).await?;
    // What has been replaced by what came is older than what the other side has.
    let snapshot = net.shared.snapshot();
    let have = tokio::task::spawn_blocking(move || exchange::newest(&snapshot, &have));
    let have = have.await.map_err(|e| Error::fault(e.to_string()))?.map_err(Error::from)?;
    offer(net, session, &have, &mut send, &mut reader, &mut report, progress).await?;
    Ok(report)
}

/// What the peer may read here, gathered off the network's thread.
async fn collect(net: &Net, peer: KernelId) -> Result<Result<Items, exchange::CompareError>, Error> {
    let snapshot = net.shared.snapshot();
    let gathered = tokio::task::spawn_blocking(move || Items::collect(&snapshot, &peer, now_ms())).await;
    gathered.map_err(|e| Error::fault(e.to_string()))
}

async fn compare(
    items: &Items,
    send: &mut SendStream,
    reader: &mut FrameReader,
    report: &mut Report,
) -> Result<Difference, Ended> {
    let malformed = |error: exchange::CompareError| Ended::Refused(error.code());
    let (mut comparison, mut payload) = Comparison::begin(items).map_err(malformed)?;
    for _ in 0..RECONCILE_MAX_ROUNDS {
        report.rounds += 1;
        frames::send(send, &Frame::Reconcile(payload)).await?;
        let answer = match reader.expect().await? {
            Frame::Reconcile(answer) => answer,
            Frame::Absent(Absent { code, .. }) => return Err(Ended::Refused(code)),
            _ => return Err(NetError::Unexpected("reconcile must answer reconcile").into()),
        };
        match comparison.go_on(&answer).map_err(malformed)? {
            Some(next) => payload = next,
            None => return Ok(comparison.difference()),
        }
    }
    Err(NetError::Unexpected("a comparison without end").into())
}

/// Wants what is missing here, in batches, and keeps it.
async fn receive(
    net: &Arc<Net>,
    session: &Session,
    need: &[ItemId],
    send: &mut SendStream,
    reader: &mut FrameReader,
    report: &mut Report,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Ended> {
    let total = need.len() as u64;
    let mut batches = need.chunks(BATCH);
    let mut answers = need.chunks(BATCH);
    let mut ahead = 0;
    let mut storing = Storing::new(net, session, false);
    let mut bytes = 0;
    loop {
        while ahead < WANTS_AHEAD
            && let Some(batch) = batches.next()
        {
            frames::send(send, &Frame::Want(batch.to_vec())).await?;
            ahead += 1;
        }
        if ahead == 0 {
            break;
        }
        // What the other side no longer has, or has changed meanwhile, is the next exchange's.
        let wanted: BTreeSet<_> = answers.next().into_iter().flatten().copied().collect();
        storing.take_batch(reader, wanted, &mut bytes).await?;
        ahead -= 1;
        progress(Progress { phase: "receiving", done: storing.taken, total, bytes });
    }
    let kept = storing.finish().await?;
    (report.received, report.known) = (kept.stored, kept.known);
    (report.conflicts, report.refused) = (kept.conflicts, kept.refused);
    Ok(())
}

/// Offers what only this side has; the other side wants of it what it will keep.
async fn offer(
    net: &Arc<Net>,
    session: &Session,
    have: &[ItemId],
    send: &mut SendStream,
    reader: &mut FrameReader,
    report: &mut Report,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Ended> {
    let (mut done, mut bytes) = (0, 0);
    for batch in have.chunks(BATCH) {
        frames::send(send, &Frame::Offer(batch.to_vec())).await?;
        match reader.expect().await? {
            Frame::Want(ids) => give(net, session, &ids, send, &mut bytes).await?,
            _ => return Err(NetError::Unexpected("want must answer an offer").into()),
        }
        done += batch.len() as u64;
        progress(Progress { phase: "sending", done, total: have.len() as u64, bytes });
    }
    frames::send(send, &Frame::Offer(Vec::new())).await?;
    let _ = send.finish();
    match reader.expect().await? {
        Frame::Kept(kept) => {
            (report.sent, report.sent_known) = (kept.stored, kept.known);
            (report.sent_conflicts, report.sent_refused) = (kept.conflicts, kept.refused);
            Ok(())
        }
        _ => Err(NetError::Unexpected("kept must end an exchange").into()),
    }
}

/// The other side of an exchange.
pub(super) async fn respond(
    net: &Arc<Net>,
    session: &Session,
    send: &mut SendStream,
    reader: &mut FrameReader,
    first: Vec<u8>,
) -> Result<(), NetError> {
    let items = match collect(net, session.peer).await {
        Ok(Ok(items)) => items,
        Ok(Err(error)) => return absent(send, error.code()).await,
        Err(_) => return absent(send, Code::Stopping).await,
    };
    let mut payload = Some(first);
    let mut rounds = 0;
    let mut storing = Storing::new(net, session, true);
    let mut bytes = 0;
    loop {
        let frame = match payload.take() {
            Some(payload) => Frame::Reconcile(payload),
            None => match reader.next().await? {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        // A peer that was removed meanwhile gets no more.
        if !rights::is_peer(&net.shared.snapshot(), &session.peer).unwrap_or(false) {
            return absent(send, Code::Denied).await;
        }
        match frame {
            Frame::Reconcile(_) if rounds >= RECONCILE_MAX_ROUNDS => {
                return Err(NetError::Unexpected("a comparison without end"));
            }
            Frame::Reconcile(payload) => {
                rounds += 1;
                match exchange::respond(&items, &payload) {
                    Ok(answer) => frames::send(send, &Frame::Reconcile(answer)).await?,
                    Err(error) => return absent(send, error.code()).await,
                }
            }
            Frame::Want(ids) if ids.len() <= WANT_MAX_IDS => {
                give(net, session, &ids, send, &mut bytes).await?
            }
            Frame::Offer(ids) if ids.is_empty() => {
                let kept = storing.finish().await.map_err(|_| NetError::Torn)?;
                return frames::send(send, &Frame::Kept(kept)).await;
            }
            Frame::Offer(ids) if ids.len() <= WANT_MAX_IDS => {
                let (wanted, refused) = acceptable(net, &session.peer, &ids);
                storing.kept.refused += refused;
                let expected = wanted.iter().copied().collect();
                frames::send(send, &Frame::Want(wanted)).await?;
                storing.take_batch(reader, expected, &mut bytes).await?;
            }
            _ => return Err(NetError::Unexpected("not part of an exchange")),
        }
    }
}

async fn absent(send: &mut SendStream, code: Code) -> Result<(), NetError> {
    frames::send(send, &Frame::Absent(Absent { call: 0, code })).await
}

/// What of an offer is missing here and may come, and how many may not.
fn acceptable(net: &Net, peer: &KernelId, ids: &[ItemId]) -> (Vec<ItemId>, u64) {
    let snapshot = net.shared.snapshot();
    if !rights::may_share(&snapshot, peer, now_ms()).unwrap_or(false) {
        return (Vec::new(), ids.len() as u64);
    }
    (exchange::missing(&snapshot, ids).unwrap_or_default(), 0)
}

/// Gives what is wanted and may be had.
async fn give(
    net: &Net,
    session: &Session,
    ids: &[ItemId],
    send: &mut SendStream,
    bytes: &mut u64,
) -> Result<(), NetError> {
    let snapshot = net.shared.snapshot();
    let mut buffer = Vec::with_capacity(GIVE_BYTES + INLINE_MAX_BYTES);
    let mut given = 0;
    let heads = exchange::wanted(&snapshot, &session.peer, ids, now_ms()).unwrap_or_else(|error| {
        tracing::error!(%error, "what a peer wants could not be looked up");
        Vec::new()
    });
    for head in heads {
        let parcel = match query::parcel(&snapshot, &net.shared.key, &head) {
            Ok(Some(parcel)) => parcel,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%error, "a wanted scenario could not be read");
                continue;
            }
        };
        given += 1;
        *bytes += parcel.header.size;
        let large = is_apart(&parcel).then(|| parcel.header.clone());
        frames::put(&mut buffer, &Frame::Give(parcel));
        if let Some(header) = large {
            frames::write(send, &buffer).await?;
            buffer.clear();
            let _permits = (session.large_going.acquire().await, net.large_going.acquire().await);
            // The length is announced: without the bytes the stream would mean something else.
            let body = query::body(&snapshot, &header).ok().flatten().ok_or(NetError::Torn)?;
            frames::write_body(send, body).await?;
        } else if buffer.len() >= GIVE_BYTES {
            frames::write(send, &buffer).await?;
            buffer.clear();
        }
    }
    frames::put(&mut buffer, &Frame::Given(given));
    frames::write(send, &buffer).await
}

/// Whether a parcel's bytes follow it on the stream.
fn is_apart(parcel: &Parcel) -> bool {
    parcel.body.is_none() && !parcel.header.tombstone
}

type Stored = oneshot::Receiver<Result<Answer, Refusal>>;

/// Scenarios that are on their way through the engine.
struct Storing<'n> {
    net: &'n Arc<Net>,
    session: &'n Session,
    offered: bool,
    under_way: VecDeque<Stored>,
    kept: Kept,
    taken: u64,
}

impl<'n> Storing<'n> {
    fn new(net: &'n Arc<Net>, session: &'n Session, offered: bool) -> Self {
        Self { net, session, offered, under_way: VecDeque::new(), kept: Kept::default(), taken: 0 }
    }

    /// Takes what is given of what was wanted, until `given`.
    async fn take_batch(
        &mut self,
        reader: &mut FrameReader,
        mut wanted: BTreeSet<ItemId>,
        bytes: &mut u64,
    ) -> Result<(), NetError> {
        loop {
            match reader.expect().await? {
                Frame::Give(parcel) if wanted.remove(&item_id(&parcel.header)) => {
                    *bytes += parcel.header.size;
                    self.take(reader, parcel).await?;
                }
                Frame::Given(_) => return Ok(()),
                _ => return Err(NetError::Unexpected("only what was wanted, then given, may answer a want")),
            }
        }
    }

    async fn take(&mut self, reader: &mut FrameReader, mut parcel: Parcel) -> Result<(), NetError> {
        self.taken += 1;
        let mut permits = None;
        if is_apart(&parcel) {
            let size = usize::try_from(parcel.header.size).unwrap_or(usize::MAX);
            if size > once_model::limits::SCENARIO_MAX_BYTES || size <= INLINE_MAX_BYTES {
                return Err(NetError::Unexpected("a scenario beyond the limits"));
            }
            let (mine, all) =
                (self.session.large_coming.acquire().await, self.net.large_coming.acquire().await);
            permits = Some((mine, all));
            parcel.body = Some(reader.raw(size).await?);
        }
        let arrival = match content::verify(&self.session.peer, parcel) {
            Ok(arrival) => arrival,
            Err(code) => {
                super::say_of!(self.net, self.session.peer, warn, ?code, "an exchanged scenario was invalid");
                self.kept.refused += 1;
                return Ok(());
            }
        };
        if self.under_way.len() >= STORING_MAX {
            self.settle_one().await?;
        }
        let (reply, stored) = oneshot::channel();
        let mail = Mail::Arrived { peer: self.session.peer, arrival, offered: self.offered, reply };
        self.net.shared.mail.send(mail).await.map_err(|_| NetError::Torn)?;
        self.under_way.push_back(stored);
        drop(permits);
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), NetError> {
        let Some(stored) = self.under_way.pop_front() else { return Ok(()) };
        match stored.await.map_err(|_| NetError::Torn)? {
            Ok(Answer::Kept(ShareAnswer::Stored)) => self.kept.stored += 1,
            Ok(Answer::Kept(ShareAnswer::Known)) => self.kept.known += 1,
            Ok(Answer::Kept(ShareAnswer::Conflict)) => self.kept.conflicts += 1,
            _ => self.kept.refused += 1,
        }
        Ok(())
    }

    /// Waits until all of it is durable.
    async fn finish(&mut self) -> Result<Kept, NetError> {
        while !self.under_way.is_empty() {
            self.settle_one().await?;
        }
        Ok(self.kept)
    }
}
