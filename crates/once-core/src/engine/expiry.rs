//! When something ends by the clock, and the latest time that was seen.

use crate::waist::{Effect, Timer};

/// Longest pause before the clock is looked at again while something is to end, in milliseconds: timers run by another
/// clock, and may be late after a pause of the machine.
const LOOK_EVERY_MS: u64 = 60 * 60 * 1000;

/// What ends next, and the latest time that was seen.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    pub next_ms: Option<u64>,
    /// When the timer that runs will ring.
    pub timer_ms: Option<u64>,
    pub latest_ms: u64,
    pub written_ms: u64,
}

impl Expiry {
    /// A row is over at this time.
    pub fn expect(&mut self, at_ms: u64) {
        self.next_ms = Some(self.next_ms.map_or(at_ms, |next| next.min(at_ms)));
    }

    /// The timer rang: it is looked at with each step.
    pub fn rang(&mut self) {
        self.timer_ms = None;
    }

    pub fn timer(&mut self, now_ms: u64) -> Option<Effect> {
        let after_ms = self.next_ms?.saturating_sub(now_ms).min(LOOK_EVERY_MS);
        let at_ms = now_ms.saturating_add(after_ms);
        // One that rings before runs already.
        if self.timer_ms.is_some_and(|timer| timer > now_ms && timer <= at_ms) {
            return None;
        }
        self.timer_ms = Some(at_ms);
        Some(Effect::Timer { after_ms, timer: Timer::Expiry })
    }
}
