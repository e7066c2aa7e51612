//! A session: one connection to one peer. Reads the control stream into the engine's mailbox, writes what the engine
//! says, answers reading requests from a snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use iroh::endpoint::{Connection, ConnectionError};
use once_core::waist::ConnId;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::FINDS_OF_PEER_MAX;
use once_model::wire::{Code, Frame, Request};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::frames::{self};
use super::heard::Pulse;
use super::outgoing::Outgoing;
use super::{heard, lock};
use crate::net::Out;
use crate::shell::MAILS_OF_PEER_MAX;

/// Concurrent large transfers per peer and direction, so that one peer cannot take every slot.
const LARGE_AT_ONCE: usize = 2;

/// A connection, and what is under way on it besides the engine's frames.
pub(crate) struct Session {
    pub connection: Connection,
    pub peer: KernelId,
    pub conn: ConnId,
    /// Whether this side dialled.
    pub dialled: bool,
    pub(super) pulse: Mutex<Pulse>,
    /// The control stream is there: what is opened from now on is something else.
    pub control_taken: Notify,
    pub(super) out: Outgoing,
    pub(super) next_call: AtomicU64,
    pub(super) calls: Mutex<HashMap<u64, oneshot::Sender<Frame>>>,
    pub(super) admitted: watch::Sender<bool>,
    /// Why this side closes the connection, once it does.
    pub(super) closing: OnceLock<Code>,
    /// Large shares that are being pulled.
    pub pulls: Mutex<BTreeSet<(ObjectKey, Hash)>>,
    /// One exchange at a time that the peer asked for.
    pub responding: Semaphore,
    pub(super) large_coming: Semaphore,
    pub(super) large_going: Semaphore,
    /// One look into the store at a time that the peer causes.
    pub(super) reading: Semaphore,
    /// Questions of the peer, which looks for objects, that are not answered yet.
    pub(super) finding: Semaphore,
    /// One of them is being answered, or was just now.
    pub(super) finding_turn: Semaphore,
    /// The peer's greeting says that it knows how to find.
    pub(super) finds: AtomicBool,
    /// When bytes of a body came or went last.
    pub(super) moved: Mutex<Option<Instant>>,
    /// Its places in the engine's mailbox.
    pub(super) places: Arc<Semaphore>,
}

/// The number under which a connection is closed; the other side learns it even if no frame got through.
pub(super) const fn close_code(code: Code) -> u32 {
    match code {
        Code::Denied => 100,
        Code::Unsupported => 101,
        Code::Invalid => 102,
        Code::Stopping => 103,
        _ => 104,
    }
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        peer: KernelId,
        conn: ConnId,
        dialled: bool,
        out: Outgoing,
    ) -> Self {
        Self {
            pulse: Mutex::new(Pulse::new(&connection)),
            connection,
            peer,
            conn,
            dialled,
            control_taken: Notify::new(),
            out,
            next_call: AtomicU64::new(1),
            calls: Mutex::new(HashMap::new()),
            admitted: watch::channel(false).0,
            closing: OnceLock::new(),
            pulls: Mutex::new(BTreeSet::new()),
            responding: Semaphore::new(1),
            large_coming: Semaphore::new(LARGE_AT_ONCE),
            large_going: Semaphore::new(LARGE_AT_ONCE),
            reading: Semaphore::new(1),
            finding: Semaphore::new(FINDS_OF_PEER_MAX),
            finding_turn: Semaphore::new(1),
            finds: AtomicBool::new(false),
            moved: Mutex::new(None),
            places: Arc::new(Semaphore::new(MAILS_OF_PEER_MAX)),
        }
    }

    /// Waits until the engine has admitted the connection. Rights are checked all the same; but who was not admitted
    /// speaks no version that both know.
    pub async fn admitted(&self) {
        let mut admitted = self.admitted.subscribe();
        let _ = admitted.wait_for(|admitted| *admitted).await;
    }

    /// Bytes of a body came or went.
    pub(super) fn body_moved(&self) {
        *lock(&self.moved) = Some(Instant::now());
    }

    /// Whether bytes of a body came or went lately: whoever is busy with them has not stalled.
    pub(super) fn has_moved(&self) -> bool {
        lock(&self.moved).is_some_and(|last| last.elapsed() < frames::STALL_MAX)
    }

    pub(super) fn say(&self, frame: Frame) {
        self.out.say(Out::Frame(frame));
    }

    /// Asks the peer for an object.
    pub async fn request(&self, uuid: Uuid, line: Option<Line>) -> Option<Frame> {
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        lock(&self.calls).insert(call, reply);
        let forget = Forget { session: self, call };
        self.say(Frame::Request(Request { call, uuid, line }));
        let answer = answer.await.ok();
        drop(forget);
        answer
    }

    /// Why the connection has ended, for people.
    pub(super) fn end(&self) -> &'static str {
        match self.connection.close_reason() {
            _ if lock(&self.pulse).is_over() => "it is heard no more, or hears this kernel no more",
            Some(ConnectionError::ApplicationClosed(close)) if close.reason == heard::UNHEARD => {
                "it is heard, but it does not hear this kernel"
            }
            Some(ConnectionError::TimedOut) => "it was silent for too long",
            Some(ConnectionError::ApplicationClosed(_)) => "it closed the connection",
            _ => "the connection ended",
        }
    }

    /// The round trip time in microseconds.
    pub fn rtt_us(&self) -> Option<u64> {
        let paths = self.connection.paths();
        let path = paths.iter().find(iroh::endpoint::Path::is_selected)?;
        u64::try_from(path.rtt().as_micros()).ok()
    }
}

/// A caller who no longer waits leaves nothing behind.
struct Forget<'s> {
    session: &'s Session,
    call: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.session.calls).remove(&self.call);
    }
}
