//! How long a drain waits, and what it tells.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use once_model::ids::KernelId;

use super::done::{DrainProgress, End};
use crate::error::OrError;
use crate::net::Way;
use crate::{Error, Kernel};

/// Objects of a drain that the engine is asked for at once.
pub(super) const AHEAD: usize = 256;

/// How often it is looked at what has come to an end without a word.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What moves when something goes on: what has ended, what is owed, and bytes of large scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Signs {
    done: usize,
    owed: u64,
    bytes: u64,
}

/// Watches over a drain.
pub(super) struct Watch<'a> {
    pub kernel: &'a Kernel,
    pub to: KernelId,
    patience: Option<Duration>,
    progress: &'a (dyn Fn(DrainProgress) + Send + Sync),
    /// How many were cancelled before it began.
    cancelled: u64,
    signs: Signs,
    since: Instant,
    told: Option<DrainProgress>,
}

impl<'a> Watch<'a> {
    pub fn new(
        kernel: &'a Kernel,
        to: KernelId,
        patience: Option<Duration>,
        progress: &'a (dyn Fn(DrainProgress) + Send + Sync),
    ) -> Self {
        let cancelled = kernel.shared().drains_cancelled.load(Ordering::Relaxed);
        let (signs, since, told) = (Signs::default(), Instant::now(), None);
        Self { kernel, to, patience, progress, cancelled, signs, since, told }
    }

    /// A phase begins: it has all the patience for itself.
    pub fn begin(&mut self, phase: &'static str, total: usize) {
        self.since = Instant::now();
        self.tell(phase, 0, total);
    }

    /// Says how far it is, if that has changed.
    pub fn tell(&mut self, phase: &'static str, done: usize, total: usize) {
        let progress = DrainProgress { phase, done, total };
        if self.told.replace(progress) != Some(progress) {
            (self.progress)(progress);
        }
    }

    /// Whether it is to end, although not everything has.
    pub fn end(&mut self, done: usize) -> Result<Option<End>, Error> {
        if self.kernel.shared().drains_cancelled.load(Ordering::Relaxed) != self.cancelled {
            return Ok(Some(End::Cancelled));
        }
        let Some(patience) = self.patience else { return Ok(None) };
        let owed = once_core::share::usage(&self.kernel.shared().snapshot(), &self.to).or_error()?.owed_rows;
        let signs = Signs { done, owed, bytes: self.bytes() };
        if signs != self.signs {
            (self.signs, self.since) = (signs, Instant::now());
        }
        Ok((self.since.elapsed() >= patience).then_some(End::Waited))
    }

    fn bytes(&self) -> u64 {
        let all = self.kernel.net().map(|net| net.transfers()).unwrap_or_default();
        let there = |transfer: &&std::sync::Arc<crate::net::Transfer>| {
            transfer.peer == self.to && transfer.way == Way::Out
        };
        all.iter().filter(there).map(|transfer| transfer.done()).sum()
    }
}
