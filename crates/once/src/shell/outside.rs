//! What the engine gets from the system: the time, and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use once_core::waist::Entropy;
use rand::Rng;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The system's randomness.
pub(super) struct System;

impl Entropy for System {
    fn fill(&mut self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}
