//! Streams besides the control stream: pulls of large bodies, exchanges, receipts and objects that a peer asks for.

use std::sync::Arc;

use iroh::endpoint::{RecvStream, SendStream, VarInt};
use once_model::ids::KernelId;
use once_model::wire::{Absent, Code, Frame};

use super::frames::{self, FrameReader, NetError};
use super::session::close_code;
use super::{Net, Session, exchange, finding, giving, receipts};

/// Serves the streams that a peer opens, until the connection ends.
pub(super) async fn serve(net: Arc<Net>, session: Arc<Session>, peer: KernelId) {
    // The control stream is the first of the connection: wait until it is taken, and the peer admitted.
    session.control_taken.notified().await;
    session.admitted().await;
    while let Ok((mut send, recv)) = session.connection.accept_bi().await {
        let (net, session) = (Arc::clone(&net), Arc::clone(&session));
        tokio::spawn(async move {
            match serve_one(&net, &session, peer, &mut send, recv).await {
                Ok(()) => drop(send.finish()),
                Err(error) => {
                    tracing::debug!(peer = %peer.short(), %error, "a stream ended early");
                    // An end would look as if all had been said.
                    let _ = send.reset(VarInt::from_u32(close_code(error.code())));
                }
            }
        });
    }
}

async fn serve_one(
    net: &Arc<Net>,
    session: &Arc<Session>,
    peer: KernelId,
    send: &mut SendStream,
    recv: RecvStream,
) -> Result<(), NetError> {
    let mut reader = FrameReader::hurried(recv);
    match reader.first().await? {
        Frame::Pull(pull) => giving::give(net, session, send, pull).await,
        Frame::Reconcile(payload) => match session.responding.try_acquire() {
            Ok(_permit) => exchange::respond(net, session, send, &mut reader, payload).await,
            Err(_) => frames::send(send, &Frame::Absent(Absent { call: 0, code: Code::Busy })).await,
        },
        Frame::ReceiptOf(of) => {
            let shared = Arc::clone(&net.shared);
            let made =
                session.read_beside(net, move |snapshot| receipts::made_for(snapshot, &shared, &peer, &of));
            let found = made.await?.unwrap_or_else(|error| {
                tracing::error!(%error, "a receipt could not be made");
                None
            });
            let answer = match found {
                Some(receipt) => Frame::Receipt(Box::new(receipt)),
                None => Frame::Absent(Absent { call: 0, code: Code::Denied }),
            };
            frames::send(send, &answer).await
        }
        Frame::Find(question) => finding::answer(net, session, send, *question).await,
        _ => Err(NetError::Unexpected("a stream begins with pull, reconcile, receipt-of or find")),
    }
}
