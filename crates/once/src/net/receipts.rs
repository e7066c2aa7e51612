//! Receipts over the network: a stream with a question and an answer.

use std::time::Duration;

use once_core::store::StoreError;
use once_model::ids::KernelId;
use once_model::receipt::{Receipt, ReceiptOf};
use once_model::wire::Frame;

use super::frames::{self, FrameReader, NetError};
use super::{Net, Session, chains};
use crate::Error;
use crate::shell::{Shared, Snapshot};

/// A receipt for a peer, of what it asked for itself: for that it needs no right.
pub(super) fn made_for(
    snapshot: &Snapshot,
    shared: &Shared,
    peer: &KernelId,
    of: &ReceiptOf,
) -> Result<Option<Receipt>, StoreError> {
    let row = once_core::peers::peer(snapshot, peer)?;
    let Some(seen) = row.and_then(|row| row.seen.first().copied()) else { return Ok(None) };
    once_core::archive::receipt(snapshot, &shared.key, (*peer, seen.incarnation), of)
}

/// Asks a peer for a receipt. `None` if it has none to give.
pub(crate) async fn receipt(
    net: &Net,
    session: &Session,
    of: ReceiptOf,
    within: Duration,
) -> Result<Option<Receipt>, Error> {
    let ask = async {
        let broken = |e: iroh::endpoint::ConnectionError| NetError::Broken(e.to_string());
        let (mut send, recv) = session.connection.open_bi().await.map_err(broken)?;
        frames::send(&mut send, &Frame::ReceiptOf(of)).await?;
        let _ = send.finish();
        match FrameReader::hurried(recv).expect().await? {
            Frame::Receipt(mut receipt) => {
                match chains::complete(net, session, receipt.chain.as_mut()).await? {
                    true => Ok(Some(*receipt)),
                    false => Err(NetError::Busy),
                }
            }
            Frame::Absent(_) => Ok(None),
            _ => Err(NetError::Unexpected("receipt or absent must answer receipt-of")),
        }
    };
    match tokio::time::timeout(within, ask).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Error::unreachable(format!("no receipt: {error}")).with_hint("try again")),
        Err(_) => Err(Error::timeout("no receipt came in time").with_hint("try again")),
    }
}
