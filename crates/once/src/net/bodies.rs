//! What large bodies on their way cost: memory, and how far each of them is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::SCENARIO_MAX_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use once_model::limits::INCOMING_MAX_BYTES;

use super::lock;

/// Bytes of all such files at once.
pub(super) const SCRATCH_BYTES: u64 = INCOMING_MAX_BYTES;

/// What those are counted in, in bytes.
pub(super) const SCRATCH_UNIT: u64 = 1024;

/// Whole bodies that are in memory at once, of all peers and both ways, in bytes: the largest one. It is held while a
/// body is read, checked and stored here, never while a peer is waited for: so nobody can keep it.
const MEMORY_BYTES: usize = SCENARIO_MAX_BYTES;

/// How long a body may be in memory while a peer is waited for, on a connection that is quick enough for all of it. Then
/// it goes to the disk.
pub(super) const HELD_FOR: Duration = Duration::from_secs(1);

/// What it is counted in, in bytes.
const UNIT: u64 = 1024;

/// The budget for whole bodies in memory.
pub(super) struct Memory(Arc<Semaphore>);

impl Memory {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(units(MEMORY_BYTES as u64) as usize)))
    }

    /// Waits until there is room for a body. A larger one than ever fits takes all of it.
    pub async fn hold(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let all = units(MEMORY_BYTES as u64);
        // It is never closed.
        Arc::clone(&self.0).acquire_many_owned(units(bytes).min(all)).await.ok()
    }

    /// The same, if there is room just now.
    pub fn try_hold(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(units(bytes).min(units(MEMORY_BYTES as u64))).ok()
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// A large body on its way.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub peer: KernelId,
    pub key: ObjectKey,
    pub way: Way,
    pub size: u64,
    done: AtomicU64,
}

impl Transfer {
    /// Bytes that are over: of one that goes out, handed to the transport.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

/// Every large body that is on its way now.
#[derive(Default)]
pub(super) struct Transfers {
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Transfer>>>,
}

impl Transfers {
    pub fn begin(self: &Arc<Self>, way: Way, peer: KernelId, key: ObjectKey, size: u64) -> Moving {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let transfer = Arc::new(Transfer { peer, key, way, size, done: AtomicU64::new(0) });
        lock(&self.all).insert(id, Arc::clone(&transfer));
        Moving { transfers: Arc::clone(self), id, transfer }
    }

    pub fn list(&self) -> Vec<Arc<Transfer>> {
        lock(&self.all).values().cloned().collect()
    }
}

/// A body on its way, for as long as it is.
pub(super) struct Moving {
    transfers: Arc<Transfers>,
    id: u64,
    transfer: Arc<Transfer>,
}

impl Moving {
    /// So many bytes are over.
    pub fn reached(&self, bytes: u64) {
        self.transfer.done.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        lock(&self.transfers.all).remove(&self.id);
    }
}
