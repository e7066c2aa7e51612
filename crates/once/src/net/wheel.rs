//! The engine's timers: one task for all of them. Timers that need not be exact wait for each other, so that a kernel
//! with hundreds of absent peers wakes seldom and dials many of them at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use once_core::waist::{Input, Timer};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::lock;
use crate::shell::Mail;

/// Timers that run.
pub(crate) struct Wheel {
    begun: Instant,
    due: Mutex<BinaryHeap<Reverse<(Instant, Timer)>>>,
    /// Told when there is one that ends before all others.
    sooner: Notify,
}

impl Wheel {
    pub fn new() -> Self {
        Self { begun: Instant::now(), due: Mutex::default(), sooner: Notify::new() }
    }

    /// Sets a timer.
    pub fn set(&self, after: Duration, timer: Timer) {
        let since = self.begun.elapsed() + after;
        let at = self.begun + rounded(since, slack(after, &timer));
        let mut due = lock(&self.due);
        let first = due.peek().is_none_or(|Reverse((first, _))| at < *first);
        due.push(Reverse((at, timer)));
        if first {
            self.sooner.notify_one();
        }
    }

    /// The engine that has set them is gone.
    pub fn forget(&self) {
        lock(&self.due).clear();
    }

    /// Gives the engine its timers back, for as long as there is one.
    pub async fn turn(self: Arc<Self>, mail: mpsc::WeakSender<Mail>) {
        loop {
            let next = lock(&self.due).peek().map(|Reverse((at, _))| *at);
            match next {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.sooner.notified() => continue,
                },
            }
            let over = self.over(Instant::now());
            // A timer that is running does not keep a stopped kernel's socket open.
            let Some(mail) = mail.upgrade() else { return };
            for timer in over {
                if mail.send(Mail::Input(Input::Timer(timer))).await.is_err() {
                    return;
                }
            }
        }
    }

    fn over(&self, now: Instant) -> Vec<Timer> {
        let mut due = lock(&self.due);
        let mut over = Vec::new();
        while let Some(Reverse((at, timer))) = due.peek().copied()
            && at <= now
        {
            due.pop();
            over.push(timer);
        }
        over
    }
}

/// How much later a timer may come, so that it comes with others. A clock that people have set comes when it is due.
fn slack(after: Duration, timer: &Timer) -> Duration {
    match timer {
        Timer::Redial(..) => after / 4,
        Timer::Hello(..) | Timer::Resend(..) | Timer::Given | Timer::Progress | Timer::Leaving => after / 16,
        Timer::Pump(_) | Timer::Due(_) | Timer::Expiry(_) | Timer::Chores => Duration::ZERO,
    }
}

/// The next multiple of the largest power of two, in milliseconds, that is within the slack: so timers of like lengths
/// meet, whenever they were set.
fn rounded(since: Duration, slack: Duration) -> Duration {
    let slack_ms = u64::try_from(slack.as_millis()).unwrap_or(u64::MAX);
    if slack_ms < 2 {
        return since;
    }
    let grid_ms = 1u64 << slack_ms.ilog2();
    let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    Duration::from_millis(since_ms.div_ceil(grid_ms).saturating_mul(grid_ms))
}

#[cfg(test)]
mod tests {
    use once_model::ids::KernelId;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_timer_is_never_early_and_late_by_its_slack_at_most() {
        for (since, slack) in [(0, 0), (1, 1), (999, 500), (1_000, 512), (12_345, 1_000), (600_000, 150_000)]
        {
            let at = rounded(MS(since), MS(slack));
            assert!(at >= MS(since) && at <= MS(since + slack + 1), "{since} {slack}: {at:?}");
        }
        let peer = KernelId::from_bytes([1; 32]);
        assert_eq!(slack(MS(60_000), &Timer::Due(16)), Duration::ZERO, "somebody has set it");
        assert_eq!(slack(MS(60_000), &Timer::Redial(peer, 1)), MS(15_000));
    }

    /// What an idle hub does is what its timers make it do: a few wake-ups, however many peers are gone.
    #[tokio::test(start_paused = true)]
    async fn hundreds_of_long_pauses_end_at_a_few_moments() {
        let wheel = Wheel::new();
        for n in 0..200u64 {
            let peer = KernelId::from_bytes([u8::try_from(n).unwrap(); 32]);
            wheel.set(MS(300_000 + n * 1_500), Timer::Redial(peer, n));
        }
        let moments: std::collections::BTreeSet<_> =
            lock(&wheel.due).iter().map(|Reverse((at, _))| *at).collect();
        assert!(moments.len() <= 8, "{} moments", moments.len());
        assert_eq!(wheel.over(Instant::now() + MS(299_000)), [], "none is early");
        assert_eq!(wheel.over(Instant::now() + MS(900_000)).len(), 200, "none is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn timers_come_in_their_order_also_when_a_sooner_one_is_set_later() {
        let wheel = Arc::new(Wheel::new());
        let (mail, mut box_) = mpsc::channel(8);
        wheel.set(MS(5_000), Timer::Due(12));
        let turning = tokio::spawn(Arc::clone(&wheel).turn(mail.downgrade()));
        tokio::task::yield_now().await;
        wheel.set(MS(100), Timer::Due(3));
        for expected in [3, 12] {
            let came = box_.recv().await.unwrap();
            assert!(matches!(came, Mail::Input(Input::Timer(Timer::Due(size))) if size == expected));
        }
        drop(mail);
        wheel.set(MS(1), Timer::Due(0));
        turning.await.unwrap();
    }
}
