//! What clients of the local API are asked, and how much of it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_core::waist::{Run, Work};
use tokio::sync::Notify;

/// Bytes of scenarios that one client is asked about at once. One run is always asked for, however large.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// One connection that serves something.
pub(crate) type ClientId = u64;

/// What a client is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// An action. The number comes back with the answer.
    Run(u64, Arc<Run>),
    /// Work outside that a program does.
    Work(Work),
}

/// Goes with what a client is asked until it is on its way and answered, whichever comes last: whoever does not read is
/// asked no more.
#[derive(Debug)]
pub(crate) struct Slot {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.room.count.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.room.wake.notify_one();
    }
}

/// How much one client is asked at once.
#[derive(Debug)]
pub(super) struct Room {
    count: AtomicUsize,
    bytes: AtomicUsize,
    most: usize,
    wake: Arc<Notify>,
}

impl Room {
    pub fn new(most: usize, wake: &Arc<Notify>) -> Arc<Self> {
        let (count, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { count, bytes, most, wake: Arc::clone(wake) })
    }

    pub fn is_free(&self, bytes: usize) -> bool {
        let held = self.bytes.load(Ordering::Relaxed);
        self.count.load(Ordering::Relaxed) < self.most && (held == 0 || held + bytes <= BYTES_MAX)
    }

    /// Takes some of it. Only [`super::Served`] does, under its lock.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Arc<Slot>> {
        self.is_free(bytes).then(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            Arc::new(Slot { room: Arc::clone(self), bytes })
        })
    }
}
