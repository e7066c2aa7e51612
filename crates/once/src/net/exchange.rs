//! Exchanges on a stream of their own: compare, then want, give, offer. `docs/protocol.md` shows the order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use iroh::endpoint::SendStream;
use once_core::access;
use once_core::exchange::{self, CompareError, Comparison, Difference, Items};
use once_model::ids::ItemId;
use once_model::limits::{RECONCILE_MAX_ROUNDS, WANT_MAX_IDS};
use once_model::wire::{Absent, Code, Frame};
use serde::Serialize;

use super::frames::{self, FrameReader, NetError};
use super::storing::Storing;
use super::{Net, Session};
use crate::Error;
use crate::error::OrError;
use crate::shell::now_ms;

/// Ids in one `want`: enough to fill the pipe, few enough that progress shows.
const BATCH: usize = 256;

/// Wants that may be unanswered at once: the giver never waits for the next.
const WANTS_AHEAD: usize = 4;

/// Scenarios that are read at once to be given: at most 2 MiB.
const GIVE_AT_ONCE: usize = 32;

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
    /// Wanted, and not given: the other kernel cannot read it, or changed it meanwhile.
    pub missing: u64,
    /// Kept by the other kernel.
    pub sent: u64,
    /// The other kernel had them already.
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

/// What shows how far an exchange is.
type Show<'p> = &'p (dyn Fn(Progress) + Send + Sync);

/// Compares with a peer, gets what is missing here and gives what is missing there.
pub(crate) async fn initiate(
    net: &Arc<Net>,
    session: &Arc<Session>,
    progress: Show<'_>,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let before = session.connection.stats();
    let mut report = Report::default();
    loop {
        let stream = session.connection.open_bi().await;
        let opened = stream.map_err(|e| Ended::from(NetError::Broken(e.to_string())));
        let run = match opened {
            Ok((send, recv)) => {
                Flow { net, session, send, reader: FrameReader::hurried(recv), progress }
                    .run(&mut report)
                    .await
            }
            Err(ended) => Err(ended),
        };
        let went_on = run.map_err(|failed| match failed {
            Ended::Refused(code) => Error::from_code(code, "exchange"),
            Ended::Net(error) => Error::unreachable(format!("the exchange broke off: {error}"))
                .with_hint("what came so far is kept; the next exchange goes on from there"),
            Ended::Error(error) => error,
        })?;
        if !went_on {
            break;
        }
    }
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

/// An exchange that this side began.
struct Flow<'f> {
    net: &'f Arc<Net>,
    session: &'f Arc<Session>,
    send: SendStream,
    reader: FrameReader,
    progress: Show<'f>,
}

impl Flow<'_> {
    /// Whether there is more to exchange than one comparison finds, and this one got on.
    async fn run(mut self, report: &mut Report) -> Result<bool, Ended> {
        (self.progress)(Progress { phase: "comparing", done: 0, total: 0, bytes: 0 });
        let items = collect(self.net, self.session).await?;
        let items = items.map_err(|error| Ended::Error(Error::from_code(error.code(), "exchange")))?;
        report.withheld = items.withheld() as u64;
        let mine = items.len() as u64;
        let difference = self.compare(items, report).await?;
        report.compared = mine + difference.only_there() as u64;
        let Difference { have, need, more } = difference;
        report.shown = (mine + need.len() as u64).saturating_sub(have.len() as u64);
        let missing = self.session.read_beside(self.net, move |rows| exchange::missing(rows, &need));
        let need = missing.await?.or_error()?;
        let mut storing = Storing::new(self.net, self.session, false);
        self.receive(&need, &mut storing).await?;
        let kept = storing.finish(|done, bytes| {
            let total = need.len() as u64;
            (self.progress)(Progress { phase: "receiving", done, total, bytes });
        });
        let kept = kept.await?;
        let came = kept.stored + kept.known + kept.conflicts + kept.refused;
        report.missing = (need.len() as u64).saturating_sub(came);
        // What has been replaced by what came is older than what the other side has.
        let newest = self.session.read_beside(self.net, move |rows| exchange::newest(rows, &have));
        let have = newest.await?.or_error()?;
        let sent = self.offer(&have, report).await?;
        report.received += kept.stored;
        report.known += kept.known;
        report.conflicts += kept.conflicts;
        report.refused += kept.refused;
        Ok(more && sent + kept.stored + kept.conflicts > 0)
    }

    async fn compare(&mut self, items: Items, report: &mut Report) -> Result<Difference, Ended> {
        let malformed = |error: CompareError| Ended::Refused(error.code());
        let (mut comparison, mut payload) = Comparison::begin(items).map_err(malformed)?;
        for _ in 0..RECONCILE_MAX_ROUNDS {
            report.rounds += 1;
            frames::send(&mut self.send, &Frame::Reconcile(payload)).await?;
            let answer = match self.reader.expect().await? {
                Frame::Reconcile(answer) => answer,
                Frame::Absent(Absent { code, .. }) => return Err(Ended::Refused(code)),
                _ => return Err(NetError::Unexpected("reconcile must answer reconcile").into()),
            };
            // Beside the network's thread: it goes over all items that are here.
            let compared = crate::beside::wait_for(move || {
                let next = comparison.go_on(&answer);
                (comparison, next)
            });
            let (went_on, next) = compared.await.map_err(|_| NetError::Stopping)?;
            match next.map_err(malformed)? {
                Some(next) => (comparison, payload) = (went_on, next),
                None => return Ok(went_on.difference()),
            }
        }
        Err(NetError::Unexpected("a comparison without end").into())
    }

    /// Wants what is missing here, in batches, and keeps it.
    async fn receive(&mut self, need: &[ItemId], storing: &mut Storing) -> Result<(), Ended> {
        let total = need.len() as u64;
        let mut batches = need.chunks(BATCH);
        let mut answers = need.chunks(BATCH);
        let mut ahead = 0;
        loop {
            while ahead < WANTS_AHEAD
                && storing.has_room_for_more()
                && let Some(batch) = batches.next()
            {
                frames::send(&mut self.send, &Frame::Want(batch.to_vec())).await?;
                ahead += 1;
            }
            if ahead == 0 {
                if batches.len() == 0 {
                    return Ok(());
                }
                storing.settle_one().await?;
                continue;
            }
            // What the other side no longer has, or has changed meanwhile, is the next exchange's.
            let wanted: BTreeSet<_> = answers.next().into_iter().flatten().copied().collect();
            storing.take_batch(&mut self.reader, wanted).await?;
            ahead -= 1;
            let bytes = storing.bytes();
            (self.progress)(Progress { phase: "receiving", done: storing.taken(), total, bytes });
        }
    }

    /// Offers what only this side has; the other side wants of it what it will keep. How much it kept.
    async fn offer(&mut self, have: &[ItemId], report: &mut Report) -> Result<u64, Ended> {
        let (mut done, mut bytes) = (0, 0);
        for batch in have.chunks(BATCH) {
            frames::send(&mut self.send, &Frame::Offer(batch.to_vec())).await?;
            match patiently(self.session, &mut self.reader).await? {
                Some(Frame::Want(ids)) => {
                    bytes += give(self.net, self.session, &ids, &mut self.send).await?;
                }
                _ => return Err(NetError::Unexpected("want must answer an offer").into()),
            }
            done += batch.len() as u64;
            (self.progress)(Progress { phase: "sending", done, total: have.len() as u64, bytes });
        }
        frames::send(&mut self.send, &Frame::Offer(Vec::new())).await?;
        let _ = self.send.finish();
        match patiently(self.session, &mut self.reader).await? {
            Some(Frame::Kept(kept)) => {
                report.sent += kept.stored;
                report.sent_known += kept.known;
                report.sent_conflicts += kept.conflicts;
                report.sent_refused += kept.refused;
                Ok(kept.stored + kept.conflicts)
            }
            _ => Err(NetError::Unexpected("kept must end an exchange").into()),
        }
    }
}

/// What the peer may read here, gathered off the network's thread.
async fn collect(net: &Arc<Net>, session: &Session) -> Result<Result<Items, CompareError>, NetError> {
    let peer = session.peer;
    session.read_beside(net, move |rows| Items::collect(rows, &peer, now_ms())).await
}

/// The next frame. While large bodies of this exchange are on their way, the stream itself may be silent.
async fn patiently(session: &Session, reader: &mut FrameReader) -> Result<Option<Frame>, NetError> {
    loop {
        match reader.next().await {
            Err(NetError::Stalled) if session.has_moved() => {}
            come => return come,
        }
    }
}

/// The other side of an exchange.
pub(super) async fn respond(
    net: &Arc<Net>,
    session: &Arc<Session>,
    send: &mut SendStream,
    reader: &mut FrameReader,
    first: Vec<u8>,
) -> Result<(), NetError> {
    let items = match collect(net, session).await? {
        Ok(items) => Arc::new(items),
        Err(error) => return absent(send, error.code()).await,
    };
    let mut payload = Some(first);
    let mut rounds = 0;
    let mut storing = Storing::new(net, session, true);
    loop {
        let frame = match payload.take() {
            Some(payload) => Frame::Reconcile(payload),
            None => match patiently(session, reader).await? {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        // A peer that was removed meanwhile gets no more.
        if !access::is_peer(&net.shared.snapshot(), &session.peer).unwrap_or(false) {
            return absent(send, Code::Denied).await;
        }
        match frame {
            Frame::Reconcile(_) if rounds >= RECONCILE_MAX_ROUNDS => {
                return Err(NetError::Unexpected("a comparison without end"));
            }
            Frame::Reconcile(payload) => {
                rounds += 1;
                let items = Arc::clone(&items);
                match session.read_beside(net, move |_| exchange::respond(&items, &payload)).await? {
                    Ok(answer) => frames::send(send, &Frame::Reconcile(answer)).await?,
                    Err(error) => return absent(send, error.code()).await,
                }
            }
            Frame::Want(ids) if ids.len() <= WANT_MAX_IDS => drop(give(net, session, &ids, send).await?),
            Frame::Offer(ids) if ids.is_empty() => {
                let kept = storing.finish(|_, _| {}).await?;
                return frames::send(send, &Frame::Kept(kept)).await;
            }
            Frame::Offer(ids) if ids.len() <= WANT_MAX_IDS => {
                while !storing.has_room_for_more() {
                    storing.settle_one().await?;
                }
                let (wanted, refused) = acceptable(net, session, ids).await?;
                storing.refuse(refused);
                let expected = wanted.iter().copied().collect();
                frames::send(send, &Frame::Want(wanted)).await?;
                storing.take_batch(reader, expected).await?;
            }
            _ => return Err(NetError::Unexpected("not part of an exchange")),
        }
    }
}

async fn absent(send: &mut SendStream, code: Code) -> Result<(), NetError> {
    frames::send(send, &Frame::Absent(Absent { call: 0, code })).await
}

/// What of an offer is missing here and may come, and how many may not.
async fn acceptable(
    net: &Arc<Net>,
    session: &Session,
    ids: Vec<ItemId>,
) -> Result<(Vec<ItemId>, u64), NetError> {
    let peer = session.peer;
    let looked = session.read_beside(net, move |rows| {
        if !access::may_share(rows, &peer, now_ms()).unwrap_or(false) {
            return (Vec::new(), ids.len() as u64);
        }
        (exchange::missing(rows, &ids).unwrap_or_default(), 0)
    });
    looked.await
}

/// Gives what is wanted and may be had: small scenarios whole, of large ones what the peer needs to pull them. Returns
/// how many bytes these scenarios have.
async fn give(
    net: &Arc<Net>,
    session: &Session,
    ids: &[ItemId],
    send: &mut SendStream,
) -> Result<u64, NetError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let (mut given, mut bytes) = (0, 0);
    for some in ids.chunks(GIVE_AT_ONCE) {
        let (some, shared, peer) = (some.to_vec(), Arc::clone(&net.shared), session.peer);
        let found = session.read_beside(net, move |rows| {
            let heads = exchange::wanted(rows, &peer, &some, now_ms()).unwrap_or_else(|error| {
                tracing::error!(%error, "what a peer wants could not be looked up");
                Vec::new()
            });
            let (mut buffer, mut count, mut bytes) = (Vec::new(), 0, 0);
            for head in heads {
                match exchange::parcel(rows, &shared.key, &head) {
                    Ok(Some(parcel)) => {
                        count += 1;
                        bytes += parcel.header.size;
                        frames::put(&mut buffer, &Frame::Give(parcel));
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a wanted scenario could not be read"),
                }
            }
            (buffer, count, bytes)
        });
        let (buffer, count, size) = found.await?;
        given += count;
        bytes += size;
        frames::write(send, &buffer).await?;
    }
    frames::send(send, &Frame::Given(given)).await?;
    Ok(bytes)
}
