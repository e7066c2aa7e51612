//! Giving memory back. The allocator keeps what was freed for a while, in case it is needed again, and looks at what is
//! due only when something is allocated, freed or a thread ends. A kernel that rests after a large scenario does none of
//! that: it would hold hundreds of MiB for as long as it rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is worth it, in bytes.
const LARGE_BYTES: usize = 1024 * 1024;

/// Later than the allocator keeps anything, and than the store needs to write a memtable out.
const LATER: Duration = Duration::from_secs(3);

/// Whether a thread waits to end, and whether there was something large since it began to.
#[derive(Debug, Default)]
pub(crate) struct Tidy {
    waits: AtomicBool,
    again: AtomicBool,
}

impl Tidy {
    /// So many bytes of memory are not needed much longer.
    pub fn used(self: &Arc<Self>, bytes: usize) {
        if bytes < LARGE_BYTES {
            return;
        }
        self.again.store(true, Ordering::Release);
        if self.waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let tidy = Arc::clone(self);
        // It does nothing but end, some time after the last use: the allocator then looks at all that is due.
        let spawned = std::thread::Builder::new().name("once-tidy".into()).spawn(move || {
            while tidy.again.swap(false, Ordering::AcqRel) {
                std::thread::sleep(LATER);
            }
            tidy.waits.store(false, Ordering::Release);
        });
        if spawned.is_err() {
            self.waits.store(false, Ordering::Release);
        }
    }
}
