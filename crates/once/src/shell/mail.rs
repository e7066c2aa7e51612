//! What the engine's thread is sent, and who waits for what comes of it.

use once_core::Refusal;
use once_core::waist::{Answer, Arrival, Command, ConnId, Input};
use once_model::ids::KernelId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::lack::Lack;
use crate::Error;
use crate::error::IntoError;
use crate::net::Outgoing;

/// Most mails in one group. More in a group means fewer syncs and a longer wait for the first of them.
pub(super) const GROUP_MAX: usize = 256;

/// Mails that wait for the engine. Whoever finds the box full waits: a session stops reading, QUIC pushes back.
pub(super) const MAILBOX_MAX: usize = 1024;

/// Mails of one connection among them. So what one peer says never fills the box, and what another one says waits for
/// at most so many of each.
pub(crate) const MAILS_OF_PEER_MAX: usize = 128;

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It was not carried out.
    Refused(Refusal),
    /// The engine lacked something before the answer was there: what it asked for may be durable and go on.
    CutOff(Lack),
}

impl IntoError for Unanswered {
    fn into_error(self) -> Error {
        match self {
            Self::Refused(refusal) => refusal.into_error(),
            Self::CutOff(lack) => Error::unknown(format!("{lack}: whether this was done is not known yet"))
                .with_hint("what was accepted goes on by itself as soon as that has passed"),
        }
    }
}

/// Where a command's answer goes.
pub(crate) type ReplyTo = oneshot::Sender<Result<Answer, Unanswered>>;

/// What the engine's thread is sent.
pub(crate) enum Mail {
    Input(Input),
    /// What a peer says, and its place in the box.
    Said(Input, OwnedSemaphorePermit),
    Command(Command, ReplyTo),
    /// An input, and whom to tell when what came of it is committed. Nobody is told if it is not.
    Told(Input, oneshot::Sender<()>),
    /// A scenario that someone here waits for.
    Arrived {
        peer: KernelId,
        arrival: Arrival,
        offered: bool,
        reply: ReplyTo,
    },
    /// A new connection, before anything is said on it.
    Conn {
        conn: ConnId,
        out: Outgoing,
    },
    /// It is gone: no more mail comes from it.
    Gone {
        conn: ConnId,
    },
    /// Whoever wants to know that the engine's thread goes on.
    Ping(oneshot::Sender<()>),
    Stop(oneshot::Sender<Result<(), Error>>),
}

/// Where the engine's thread finds its mail.
pub(super) struct Mailbox {
    pub waiting: mpsc::Receiver<Mail>,
    /// Taken out, and not opened yet.
    pub taken: Vec<Mail>,
}

impl Mailbox {
    /// Waits for mail, unless some is taken out already. `false` once no more can come.
    pub fn take(&mut self) -> bool {
        !self.taken.is_empty() || self.waiting.blocking_recv_many(&mut self.taken, GROUP_MAX) > 0
    }
}
