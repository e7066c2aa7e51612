//! When something ends by the clock, and the latest time that was seen.

use crate::waist::{Effect, Timer};

/// The longest pause before the clock is looked at again while something is to end, 2^21 ms, about 35 minutes: timers run by
/// another clock, and may be late after a pause of the machine.
const LONGEST: u8 = 21;

/// What ends next, and the latest time that was seen.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    pub next_ms: Option<u64>,
    /// Which timers run: bit n is one of 2^n milliseconds.
    pub timers: u32,
    pub latest_ms: u64,
    pub written_ms: u64,
}

impl Expiry {
    /// A row is over at this time.
    pub fn expect(&mut self, at_ms: u64) {
        self.next_ms = Some(self.next_ms.map_or(at_ms, |next| next.min(at_ms)));
    }

    /// A timer rang: what is over is looked at with each step.
    pub fn rang(&mut self, size: u8) {
        self.timers &= !(1_u32.checked_shl(u32::from(size)).unwrap_or(0));
    }

    /// A timer, unless one that runs rings in time. As with those of objects (`timer/clock.rs`) at most one of each size runs,
    /// however often something nearer comes along and however often the clock is set.
    pub fn timer(&mut self, now_ms: u64) -> Option<Effect> {
        let wait_ms = self.next_ms?.saturating_sub(now_ms).max(1);
        let size = u8::try_from(wait_ms.ilog2()).unwrap_or(LONGEST).min(LONGEST);
        let in_time = (1_u32 << (size + 1)) - 1;
        if self.timers & in_time != 0 {
            return None;
        }
        self.timers |= 1 << size;
        Some(Effect::Timer { after_ms: 1 << size, timer: Timer::Expiry(size) })
    }
}
