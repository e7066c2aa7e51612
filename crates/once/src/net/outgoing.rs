//! What waits to be written on a connection. A peer that does not read is not read from either.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_model::wire::{Code, Frame};
use tokio::sync::{Notify, mpsc};

/// Answers that may wait to be written.
const UNWRITTEN_MAX: usize = 4096;

/// Bytes in them.
const UNWRITTEN_MAX_BYTES: usize = 4 * 1024 * 1024;

/// What is said on a connection.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are frames")]
pub(crate) enum Out {
    Frame(Frame),
    Close(Code),
}

/// The way to a connection's writer, for the engine and for what answers beside it.
#[derive(Clone)]
pub(crate) struct Outgoing {
    queue: mpsc::UnboundedSender<Out>,
    unwritten: Arc<Unwritten>,
}

/// What was put in line and not written yet, of what answers a peer.
#[derive(Default)]
struct Unwritten {
    frames: AtomicUsize,
    bytes: AtomicUsize,
    less: Notify,
}

impl Outgoing {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Out>) {
        let (queue, outgoing) = mpsc::unbounded_channel();
        (Self { queue, unwritten: Arc::default() }, outgoing)
    }

    /// Puts something in line. If the connection is gone, so is what was to be said on it.
    pub fn say(&self, out: Out) {
        if let Out::Frame(frame) = &out
            && let Some(bytes) = answer_bytes(frame)
        {
            self.unwritten.frames.fetch_add(1, Ordering::Relaxed);
            self.unwritten.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        let _ = self.queue.send(out);
    }

    /// So many answers, with so many bytes in them, were written.
    pub fn written(&self, frames: usize, bytes: usize) {
        self.unwritten.frames.fetch_sub(frames, Ordering::Relaxed);
        self.unwritten.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.unwritten.less.notify_waiters();
    }

    /// Waits until there is room for one more answer.
    pub async fn room(&self) {
        loop {
            let less = self.unwritten.less.notified();
            if self.unwritten.frames.load(Ordering::Relaxed) < UNWRITTEN_MAX
                && self.unwritten.bytes.load(Ordering::Relaxed) < UNWRITTEN_MAX_BYTES
            {
                return;
            }
            less.await;
        }
    }
}

/// About what one scenario that is needed takes up in a frame.
const GIVEN_BYTES: usize = 100;

/// The bytes that an answer carries; nothing for a frame that is none. What a kernel says of its own accord has a window
/// of its own.
pub(super) fn answer_bytes(frame: &Frame) -> Option<usize> {
    match frame {
        Frame::Found(found) => Some(found.parcel.body.as_ref().map_or(0, bytes::Bytes::len)),
        Frame::Outcome(told) => Some(told.outcome.bytes()),
        Frame::Absent(_) | Frame::Shared(_) | Frame::Following(_) | Frame::Missing(_) => Some(0),
        Frame::Need(need) => Some(need.lacks.len() * GIVEN_BYTES),
        _ => None,
    }
}
