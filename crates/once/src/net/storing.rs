//! What is given in an exchange, on its way into the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use once_core::shell::{has_too_much, is_apart, is_large};
use once_core::waist::{Answer, Arrival};
use once_model::certificate::Chain;
use once_model::ids::ItemId;
use once_model::limits::{SCENARIO_MAX_BYTES, WINDOW_MAX_BYTES};
use once_model::wire::{Frame, Kept, Parcel, ShareAnswer};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::chains;
use super::frames::{FrameReader, NetError};
use super::pulls::{self, Pulled};
use super::{Net, Session};
use crate::shell::{Mail, Unanswered};

/// Scenarios on their way through the engine at once.
const STORING_MAX: usize = 1024;

/// Large scenarios that wait to be pulled before no more are asked for.
const PULLS_MAX: usize = 256;

/// About what a certificate takes up.
const CERTIFICATE_BYTES: usize = 320;

/// What became of one scenario.
enum Came {
    Kept(ShareAnswer),
    Refused,
    /// It has changed there since: the next exchange finds what is there then.
    Gone,
}

impl From<Result<Answer, Unanswered>> for Came {
    fn from(answer: Result<Answer, Unanswered>) -> Self {
        match answer {
            Ok(Answer::Kept(answer)) => Self::Kept(answer),
            _ => Self::Refused,
        }
    }
}

/// Scenarios that are on their way through the engine, and large ones that are being pulled.
pub(super) struct Storing {
    net: Arc<Net>,
    session: Arc<Session>,
    offered: bool,
    under_way: JoinSet<Result<(Came, usize), NetError>>,
    /// What they take up in memory.
    held_bytes: usize,
    kept: Kept,
    taken: u64,
    done: u64,
    bytes: u64,
}

impl Storing {
    pub fn new(net: &Arc<Net>, session: &Arc<Session>, offered: bool) -> Self {
        Self {
            net: Arc::clone(net),
            session: Arc::clone(session),
            offered,
            under_way: JoinSet::new(),
            held_bytes: 0,
            kept: Kept::default(),
            taken: 0,
            done: 0,
            bytes: 0,
        }
    }

    /// How many came.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many were refused before they came.
    pub fn refuse(&mut self, count: u64) {
        self.kept.refused += count;
    }

    /// Whether to ask for more.
    pub fn has_room_for_more(&self) -> bool {
        self.under_way.len() < PULLS_MAX && self.held_bytes < WINDOW_MAX_BYTES
    }

    /// Takes what is given of what was wanted, until `given`.
    pub async fn take_batch(
        &mut self,
        reader: &mut FrameReader,
        mut wanted: BTreeSet<ItemId>,
    ) -> Result<(), NetError> {
        loop {
            match reader.expect().await? {
                Frame::Give(parcel) if wanted.remove(&parcel.header.item_id()) => self.take(parcel).await?,
                Frame::Given(_) => return Ok(()),
                _ => {
                    return Err(NetError::Unexpected("only what was wanted, then given, may answer a want"));
                }
            }
        }
    }

    async fn take(&mut self, mut parcel: Parcel) -> Result<(), NetError> {
        self.taken += 1;
        if !chains::complete(&self.net, &self.session, parcel.chain.as_mut()).await? {
            self.kept.refused += 1;
            return Ok(());
        }
        if is_apart(&parcel) {
            return self.pull(parcel);
        }
        let held = parcel.body.as_ref().map_or(0, bytes::Bytes::len) + chain_bytes(parcel.chain.as_ref());
        let checked = match has_too_much(&parcel) {
            true => Err(once_model::wire::Code::Invalid),
            false => pulls::check(self.session.peer, parcel).await?,
        };
        let arrival = match checked {
            Ok(arrival) => arrival,
            Err(code) => {
                let peer = self.session.peer;
                super::say_of!(self.net, peer, warn, ?code, "an exchanged scenario was invalid");
                self.kept.refused += 1;
                return Ok(());
            }
        };
        while self.under_way.len() >= STORING_MAX || self.held_bytes >= WINDOW_MAX_BYTES {
            self.settle_one().await?;
        }
        self.bytes += arrival.header.size;
        let stored = keep(&self.net, &self.session, arrival, self.offered).await?;
        self.hold(held, async move { Ok((stored.await.map_err(|_| NetError::Stopping)?.into(), held)) });
        Ok(())
    }

    /// Fetches a large one beside all else.
    fn pull(&mut self, parcel: Parcel) -> Result<(), NetError> {
        let Parcel { header, chain, .. } = parcel;
        if header.size > SCENARIO_MAX_BYTES as u64 || !is_large(header.size) {
            return Err(NetError::Unexpected("a scenario beyond the limits"));
        }
        let peer = self.session.peer;
        if self.offered && !pulls::fits_quota(&self.net.shared.snapshot(), &peer, &header.key(), &header) {
            self.kept.refused += 1;
            return Ok(());
        }
        let held = chain_bytes(chain.as_ref());
        // What is too much at once the next exchange brings.
        if self.held_bytes + held > 2 * WINDOW_MAX_BYTES {
            return Ok(());
        }
        self.bytes += header.size;
        let (net, session, offered) = (Arc::clone(&self.net), Arc::clone(&self.session), self.offered);
        self.hold(held, async move {
            let key = header.key();
            let Pulled { arrival, rest } = match pulls::pull(&net, &session, peer, header, chain).await {
                Ok(pulled) => pulled,
                Err(NetError::Gone) => return Ok((Came::Gone, held)),
                Err(
                    error @ (NetError::Unexpected(_) | NetError::Wire(_) | NetError::Busy | NetError::NoRoom),
                ) => {
                    super::say_of!(net, peer, warn, %key, %error, "a large scenario was not taken");
                    return Ok((Came::Refused, held));
                }
                Err(error) => return Err(error),
            };
            let stored = keep(&net, &session, arrival, offered).await?;
            let stored = stored.await.map_err(|_| NetError::Stopping)?;
            rest.settled();
            Ok((stored.into(), held))
        });
        Ok(())
    }

    fn hold(
        &mut self,
        held: usize,
        came: impl Future<Output = Result<(Came, usize), NetError>> + Send + 'static,
    ) {
        self.held_bytes += held;
        self.under_way.spawn(came);
    }

    /// Waits for one of them.
    pub async fn settle_one(&mut self) -> Result<(), NetError> {
        let Some(ended) = self.under_way.join_next().await else { return Ok(()) };
        let (came, held) = ended.map_err(|_| NetError::Stopping)??;
        self.held_bytes -= held;
        self.done += 1;
        match came {
            Came::Gone => {}
            Came::Kept(ShareAnswer::Stored) => self.kept.stored += 1,
            Came::Kept(ShareAnswer::Known) => self.kept.known += 1,
            Came::Kept(ShareAnswer::Conflict) => self.kept.conflicts += 1,
            Came::Kept(ShareAnswer::Refused(_)) | Came::Refused => self.kept.refused += 1,
        }
        Ok(())
    }

    /// Waits until all of it is durable, and shows how many are and how many bytes they have.
    pub async fn finish(&mut self, show: impl Fn(u64, u64)) -> Result<Kept, NetError> {
        while !self.under_way.is_empty() {
            self.settle_one().await?;
            show(self.done, self.bytes);
        }
        Ok(self.kept)
    }
}

fn chain_bytes(chain: Option<&Chain>) -> usize {
    chain.map_or(0, |chain| chain.links.len() * CERTIFICATE_BYTES)
}

/// Hands a scenario to the engine: what comes of it is told.
async fn keep(
    net: &Net,
    session: &Session,
    arrival: Arrival,
    offered: bool,
) -> Result<oneshot::Receiver<Result<Answer, Unanswered>>, NetError> {
    let (reply, stored) = oneshot::channel();
    let mail = Mail::Arrived { peer: session.peer, arrival, offered, reply };
    net.shared.mail.send(mail).await.map_err(|_| NetError::Stopping)?;
    Ok(stored)
}
