//! Finding objects over the network: a stream with a question and one page of its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use iroh::endpoint::SendStream;
use once_core::find::{self, Budget};
use once_model::find::{FindError, Findings, Question};
use once_model::wire::{Absent, Code, Frame};

use super::frames::{self, FrameReader, NetError};
use super::{Net, Session};
use crate::shell::{Shared, now_ms};

/// Why a peer's page is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindFailed {
    /// It does not know how to find.
    #[error("it does not know how to find objects: it needs a newer version")]
    Unknown,
    /// It says no.
    #[error("it refuses: {}", .0.name())]
    Refused(Code),
    /// No answer in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// Its answer is none.
    #[error("its answer was not believed: {0}")]
    Wrong(#[from] FindError),
    /// The connection, or what came on it.
    #[error("{0}")]
    Net(#[from] NetError),
}

/// Asks a peer for one page.
pub(crate) async fn find(
    session: &Session,
    question: Question,
    within: Duration,
) -> Result<Findings, FindFailed> {
    if !session.finds.load(Ordering::Relaxed) {
        return Err(FindFailed::Unknown);
    }
    let ask = async {
        let broken = |e: iroh::endpoint::ConnectionError| NetError::Broken(e.to_string());
        let (mut send, recv) = session.connection.open_bi().await.map_err(broken)?;
        frames::send(&mut send, &Frame::Find(Box::new(question))).await?;
        let _ = send.finish();
        match FrameReader::hurried(recv).expect().await? {
            Frame::Findings(findings) => Ok(findings),
            Frame::Absent(Absent { code, .. }) => Err(FindFailed::Refused(code)),
            _ => Err(NetError::Unexpected("findings or absent must answer find").into()),
        }
    };
    tokio::time::timeout(within, ask).await.unwrap_or(Err(FindFailed::Late(within)))
}

/// Answers a peer with one page.
pub(super) async fn answer(
    net: &Arc<Net>,
    session: &Session,
    send: &mut SendStream,
    question: Question,
) -> Result<(), NetError> {
    let Ok(place) = session.finding.try_acquire() else {
        return frames::send(send, &Frame::Absent(Absent { call: 0, code: Code::Busy })).await;
    };
    let _turn = session.finding_turn.acquire().await.map_err(|_| NetError::Stopping)?;
    let (shared, peer) = (Arc::clone(&net.shared), session.peer);
    let looked = session.read_beside(net, move |_| {
        let begun = Instant::now();
        let found = shared.catalog.look(
            || shared.snapshot(),
            |rows, index| {
                let who = (&shared.key, &peer);
                find::answer(rows, index, who, &question, (Budget::default(), now_ms()))
            },
        );
        let frame = found.unwrap_or_else(|error| {
            tracing::error!(%error, "what a peer looks for could not be read");
            Frame::Absent(Absent { call: 0, code: Code::Busy })
        });
        (frame, begun.elapsed())
    });
    let (frame, took) = looked.await?;
    frames::send(send, &frame).await?;
    if matches!(frame, Frame::Findings(_)) {
        build_index(&net.shared);
    }
    // Whoever asks without end has half of a thread at most.
    drop(place);
    tokio::time::sleep(took).await;
    Ok(())
}

/// Builds the index, unless it is there: who asks once asks again. Returns at once.
pub(crate) fn build_index(shared: &Arc<Shared>) {
    if shared.catalog.is_wanted() {
        let shared = Arc::clone(shared);
        crate::beside::start(&tokio::runtime::Handle::current(), move || {
            if let Err(error) = shared.catalog.build(|| shared.snapshot()) {
                tracing::error!(%error, "the index of objects could not be built");
            }
        });
    }
}
