//! The waist: everything that goes into the engine and everything that comes out of it.
//!
//! Read [`Input`] and [`Effect`] and you know what the engine does.

mod apart;
mod command;
mod event;
mod run;

use std::sync::Arc;

use bytes::Bytes;
use once_model::action::Outcome;
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{BootId, Hash, KernelId, ObjectKey, Uuid};
use once_model::moving::{Handoff, Luggage};
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame};

pub use apart::Apart;
pub use command::{Answer, Change, Command, Stands, StandsFor};
pub use event::Event;
pub use run::{Call, Consequence, NoRunner, Ran, Run, RunResult, Runner, Then, Wait, Work};

use crate::refusal::Refusal;

/// Ties a reply to its command. Chosen by the caller.
pub type Token = u64;

/// One connection to a peer, for as long as it lives. Chosen by the shell, never used twice in one run.
pub type ConnId = u64;

/// What the engine knows of the world at one step.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// This kernel's key.
    pub key: KernelKey,
    /// This kernel's id: the public half of its key.
    pub me: KernelId,
    /// This run of the process.
    pub boot: BootId,
    /// The wall clock in milliseconds since 1970. Compared only with times of this kernel.
    pub now_ms: u64,
    /// Who runs short actions at once.
    pub runner: Arc<dyn Runner>,
}

/// The randomness that the engine is given: seeded in the simulator, the system's in production.
pub trait Entropy {
    /// Fills the buffer.
    fn fill(&mut self, buffer: &mut [u8]);

    /// A number below `bound` (0 for 0). The bias below 2^-32 does not matter for what the engine draws.
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        if bound == 0 { 0 } else { u64::from_le_bytes(bytes) % bound }
    }
}

/// What happens to a kernel.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client of this kernel wants something done.
    Command {
        /// Comes back with the reply.
        token: Token,
        /// What the client wants done.
        command: Command,
    },
    /// A peer said something on the control stream of a connection.
    Frame {
        /// The peer that said it.
        peer: KernelId,
        /// On which connection.
        conn: ConnId,
        /// What it said.
        frame: Frame,
    },
    /// A scenario arrived whole: verified, but not yet allowed.
    Arrived {
        /// The peer that sent it.
        peer: KernelId,
        /// The scenario, with header and chain.
        arrival: Arrival,
        /// Why it came.
        why: Why,
    },
    /// A shared scenario was checked beside the engine, and is not what its header says: it is answered, and whatever waits
    /// for it here waits in vain.
    Unfit {
        /// Who shared it.
        peer: KernelId,
        /// Where the answer goes.
        conn: ConnId,
        /// What the header says that it is: the object, the revision id, and the hash of the bytes.
        share: (ObjectKey, Hash, Hash),
        /// Why it is refused.
        code: Code,
    },
    /// The luggage of an object that a peer hands over was pulled, and checked beside the engine ([`Handoff::unpack`]).
    Luggage {
        /// Who hands it over.
        peer: KernelId,
        /// On which connection it was pulled.
        conn: ConnId,
        /// What was said with it.
        handoff: Box<Handoff>,
        /// Nothing if the bytes are not what the handoff has signed.
        luggage: Option<Luggage>,
    },
    /// A connection changed.
    Link {
        /// The peer at the other end.
        peer: KernelId,
        /// What became of the connection.
        event: LinkEvent,
    },
    /// A run came to its end.
    Ran(Box<Ran>),
    /// Actions on objects of this component that were put off ([`RunResult::Later`]) can be asked now, at least one of
    /// them. Without this they are tried again some time later.
    Ready {
        /// The component's name.
        component: String,
    },
    /// A timer that the engine asked for.
    Timer(Timer),
    /// Work outside came to its end.
    Worked {
        /// The object that wanted it.
        key: ObjectKey,
        /// The effect's id.
        id: Uuid,
        /// What came of it: verbatim JSON, of a success or of a failure.
        result: Result<Bytes, Bytes>,
    },
    /// This kernel's own addresses have changed: peers that could not be reached perhaps can be now.
    NetworkChanged,
    /// How much room the disk has.
    Disk {
        /// Free room on the disk, in bytes.
        free_bytes: u64,
    },
}

/// Why a scenario arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The peer shared it: it needs the right, counts against the quota, and is acknowledged on the connection.
    Shared {
        /// Where the acknowledgement goes.
        conn: ConnId,
    },
    /// A client or an exchange here asked for it.
    Asked {
        /// Whom to tell.
        token: Token,
    },
    /// The peer offered it in an exchange: it needs the right and counts against the quota, as a share does.
    Offered {
        /// Whom to tell.
        token: Token,
    },
}

/// What becomes of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The transport is connected and knows the peer's key; nothing has been said yet.
    Up {
        /// The connection that is ready to be greeted on.
        conn: ConnId,
        /// Whether this kernel dialled.
        dialled: bool,
        /// The peer's address, for the next dial.
        address: Option<String>,
    },
    /// The connection leads to another address now: one side moved, and it went along.
    Moved {
        /// The connection that moved.
        conn: ConnId,
        /// The peer's address, for the next dial.
        address: String,
    },
    /// The connection is gone.
    Down {
        /// The connection that ended.
        conn: ConnId,
        /// Why, for people.
        reason: String,
    },
    /// A dial did not get through.
    DialFailed {
        /// Why, for people.
        reason: String,
    },
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Dial this peer again: the end of the pause of that number.
    Redial(KernelId, u64),
    /// By now this connection should have been admitted.
    Hello(KernelId, ConnId),
    /// Look for what stays unanswered by this peer; on which connection, 0 for this kernel itself.
    Resend(KernelId, ConnId),
    /// Go on sending to this peer: a step sends only so much.
    Pump(KernelId),
    /// Look for actions that wait too long for scenarios they depend on.
    Given,
    /// Tell peers how far this kernel is.
    Progress,
    /// Something ends by the clock. At most one is under way of each size, as of [`Self::Due`].
    Expiry(u8),
    /// Go on with what takes many rows: a step does only some.
    Chores,
    /// Look for objects that are about to leave and wait for something.
    Leaving,
    /// Look for timers and deadlines that are due. At most one is under way of each size: it was set to end after
    /// 2^n milliseconds.
    Due(u8),
}

/// A scenario from a peer after [`crate::object::verify`]: well-formed, the bytes match the header, the chain leads
/// to its home, and the home's signature was checked unless it came from the home itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Header of the revision that arrived.
    pub header: Header,
    /// Its chain, if claimed.
    pub chain: Option<Chain>,
    /// The verbatim bytes, unless it is a tombstone.
    pub body: Option<Bytes>,
    /// How far the sender said it is: its commit number.
    pub commit: Option<u64>,
}

/// What the shell does for the engine.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "most effects are frames: a box for each would cost more than it saves"
)]
pub enum Effect {
    /// Answer a command.
    Reply {
        /// The token that came with the command.
        token: Token,
        /// What the command came to, or why it was refused.
        reply: Result<Answer, Refusal>,
    },
    /// An outcome is told before the commit that writes it down: until then, whoever asks for it hears the same.
    Told {
        /// Of which action.
        id: once_model::ids::Uuid,
        /// What came of it.
        outcome: Outcome,
        /// The object after it.
        after: Option<once_model::action::After>,
    },
    /// Say something to a peer on the control stream of this connection.
    Send {
        /// The peer that is to hear it.
        peer: KernelId,
        /// On which connection. If it is gone, the frame is dropped: the engine says it again on the next.
        conn: ConnId,
        /// What is said.
        frame: Frame,
    },
    /// Connect to a peer.
    Dial {
        /// The peer to dial.
        peer: KernelId,
        /// Where it might be, best first.
        addresses: Vec<String>,
    },
    /// Close a connection, after what was sent on it before.
    Close {
        /// The peer at the other end.
        peer: KernelId,
        /// The connection to close.
        conn: ConnId,
        /// Why, for the other side's people.
        code: Code,
    },
    /// Fetch what is too large for a frame, on a stream of its own, and bring it back as [`Input::Arrived`] or
    /// [`Input::Luggage`]. If that fails, forget it: the peer will announce it again. If it is under way already, do
    /// nothing.
    Pull {
        /// The peer that has it.
        peer: KernelId,
        /// On which connection.
        conn: ConnId,
        /// What it is.
        what: Box<Apart>,
    },
    /// Do work outside, and bring what came of it back as [`Input::Worked`]. It is asked for again at each start, until
    /// that has come.
    Work(Box<Work>),
    /// Run an action on an object, and bring the result back as [`Input::Ran`]. A run that is lost is asked for again.
    Run(Box<Run>),
    /// Give the timer back after a while.
    Timer {
        /// In how many milliseconds.
        after_ms: u64,
        /// What comes back then.
        timer: Timer,
    },
    /// Something that clients who listen want to know.
    Event(Event),
}

/// The effects of a step.
///
/// `now` may leave before the commit because it rests on nothing that the commit writes; `after` may not.
#[derive(Debug, Default)]
pub struct Effects {
    /// Released at once.
    pub now: Vec<Effect>,
    /// Released after the commit.
    pub after: Vec<Effect>,
}

impl Effects {
    /// Adds an effect to be released after the commit.
    pub fn push(&mut self, effect: Effect) {
        self.after.push(effect);
    }

    /// Adds a frame to be sent after the commit.
    pub fn send(&mut self, peer: KernelId, conn: ConnId, frame: Frame) {
        self.after.push(Effect::Send { peer, conn, frame });
    }
}
