//! Kernels that are no peers: they may show an invite, cheaply, and learn nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use iroh::endpoint::{Connection, SendStream, VarInt};
use once_core::store::{Read, Table};
use once_core::{access, invite_hash};
use once_model::ids::KernelId;
use once_model::wire::{Code, Frame};
use tokio::sync::Semaphore;

use super::Net;
use super::frames::{self, FrameReader};

/// Strangers who may be speaking at once.
const STRANGERS_MAX: usize = 16;

/// Invites that may be tried in a second, by all strangers together.
const TRIES_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// A stranger has this long to show an invite.
const PATIENCE: Duration = Duration::from_secs(3);

/// Guards the door.
pub(super) struct Gate {
    strangers: Semaphore,
    tries: DefaultDirectRateLimiter,
}

/// A control stream whose first frame was read already.
pub(super) struct Opened {
    pub send: SendStream,
    pub reader: FrameReader,
    pub first: Frame,
}

/// Who is at the door.
pub(super) enum Verdict {
    /// It is a peer.
    Peer,
    /// Someone with a secret that may be good: the engine decides.
    Invited(Box<Opened>),
    /// Someone else. The connection is closed.
    Stranger,
}

/// How a connection of a stranger is closed: it is not wanted, or there are too many of them just now. Someone with a
/// good invite tries again after the latter.
const DENIED: Code = Code::Denied;
const CROWDED: Code = Code::Busy;

impl Gate {
    pub fn new() -> Self {
        Self {
            strangers: Semaphore::new(STRANGERS_MAX),
            tries: RateLimiter::direct(Quota::per_second(TRIES_PER_SECOND)),
        }
    }

    pub async fn admit(&self, net: &Net, connection: &Connection, peer: KernelId) -> Verdict {
        if access::is_admitted(&net.shared.snapshot(), &peer).unwrap_or(false) {
            return Verdict::Peer;
        }
        let Ok(_permit) = self.strangers.try_acquire() else { return turned_away(connection, CROWDED) };
        if self.tries.check().is_err() {
            return turned_away(connection, CROWDED);
        }
        let opened = tokio::time::timeout(PATIENCE, async {
            let (send, recv) = connection.accept_bi().await.ok()?;
            let mut reader = FrameReader::new(recv);
            let first = reader.first().await.ok()?;
            Some(Opened { send, reader, first })
        });
        // Who is only slow may come again; who says nothing that makes sense may not.
        let Ok(opened) = opened.await else { return turned_away(connection, CROWDED) };
        let Some(mut opened) = opened else { return turned_away(connection, DENIED) };
        if may_be_good(net, &opened.first) {
            return Verdict::Invited(Box::new(opened));
        }
        // Said in words as well, so that the other side need not guess from a closed connection.
        let _ = frames::send(&mut opened.send, &Frame::Denied(Code::Denied)).await;
        let _ = opened.send.finish();
        let _ = tokio::time::timeout(Duration::from_millis(500), opened.send.stopped()).await;
        turned_away(connection, DENIED)
    }
}

/// Whether the secret is one that was given out. The engine checks again, in a transaction.
fn may_be_good(net: &Net, first: &Frame) -> bool {
    let Frame::Hello(hello) = first else { return false };
    let Some(secret) = &hello.invite else { return false };
    let known = net.shared.snapshot().get(Table::Invite, invite_hash(secret).as_bytes());
    known.is_ok_and(|row| row.is_some())
}

fn turned_away(connection: &Connection, why: Code) -> Verdict {
    connection.close(VarInt::from_u32(super::session::close_code(why)), b"");
    Verdict::Stranger
}
