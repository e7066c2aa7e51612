//! Objects that are awake: what an action found in memory need not be read and parsed again. An object is restored by
//! its first action and hibernates when it has been idle, or when others need the room; at rest it takes no memory.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_model::ids::{Hash, ObjectKey};
use once_model::scenario::Scenario;

/// What awake objects may take up in memory, in bytes, unless the builder says otherwise.
pub(crate) const LIVE_MAX_BYTES: usize = 8 * 1024 * 1024;

/// How long an object stays awake without an action, unless the builder says otherwise.
pub(crate) const LIVE_IDLE: Duration = Duration::from_secs(60);

/// What one awake object takes up: its text, what was made of that (about as much again, twice), and its place here.
const PLACE_BYTES: usize = 512;
const TIMES_ITS_TEXT: usize = 3;

/// An object that is awake.
pub(crate) struct Awake {
    /// As it was last written.
    pub scenario: Scenario,
    /// What its component made of that; nothing until an action needs it.
    pub state: Option<Box<dyn Any + Send>>,
}

struct Place {
    awake: Awake,
    bytes: usize,
    /// Its place in the order of use.
    turn: u64,
    at: Instant,
}

/// How objects wake and rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How many are awake now.
    pub objects: usize,
    /// What they take up, about.
    pub bytes: usize,
    /// Woken since the start.
    pub restored: u64,
    /// Gone to rest since the start.
    pub hibernated: u64,
}

#[derive(Default)]
struct Inner {
    awake: HashMap<ObjectKey, Place>,
    /// The order of use, oldest first.
    order: BTreeMap<u64, ObjectKey>,
    turn: u64,
    counts: Counts,
}

/// The objects that are awake.
pub(crate) struct Live {
    inner: Mutex<Inner>,
    max_bytes: usize,
    idle: Duration,
}

impl Default for Live {
    fn default() -> Self {
        Self::new(LIVE_MAX_BYTES, LIVE_IDLE)
    }
}

/// The same room and the same patience; nobody is awake yet.
impl Clone for Live {
    fn clone(&self) -> Self {
        Self::new(self.max_bytes, self.idle)
    }
}

impl Live {
    pub fn new(max_bytes: usize, idle: Duration) -> Self {
        Self { inner: Mutex::default(), max_bytes, idle }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an object that is awake, if it is what the engine has by now: it may have been put, or an action on it may
    /// have come to nothing.
    pub fn take(&self, key: &ObjectKey, content: &Hash) -> Option<Awake> {
        let mut inner = self.inner();
        let place = inner.remove(key)?;
        let is_it = place.awake.scenario.hash() == *content;
        if !is_it {
            inner.counts.hibernated += 1;
        }
        is_it.then_some(place.awake)
    }

    /// Keeps an object awake, and lets others rest where it needs their room. `woken`: it was not before.
    pub fn keep(&self, key: ObjectKey, awake: Awake, woken: bool) {
        let bytes = PLACE_BYTES + TIMES_ITS_TEXT * awake.scenario.bytes().len();
        let mut inner = self.inner();
        inner.counts.restored += u64::from(woken);
        if bytes > self.max_bytes {
            inner.counts.hibernated += 1;
            return;
        }
        while inner.counts.bytes + bytes > self.max_bytes && inner.rest_oldest() {}
        inner.remove(&key);
        inner.turn += 1;
        let turn = inner.turn;
        inner.order.insert(turn, key);
        inner.counts.bytes += bytes;
        inner.awake.insert(key, Place { awake, bytes, turn, at: Instant::now() });
    }

    /// An object that was awake goes to rest.
    pub fn rest(&self) {
        self.inner().counts.hibernated += 1;
    }

    /// Lets all rest that had no action for long.
    pub fn rest_idle(&self) {
        let mut inner = self.inner();
        while let Some(key) = inner.order.values().next().copied()
            && inner.awake.get(&key).is_none_or(|place| place.at.elapsed() >= self.idle)
        {
            inner.rest_oldest();
        }
    }

    /// How often [`Self::rest_idle`] is to be called.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    pub fn counts(&self) -> Counts {
        let inner = self.inner();
        Counts { objects: inner.awake.len(), ..inner.counts }
    }
}

impl Inner {
    fn remove(&mut self, key: &ObjectKey) -> Option<Place> {
        let place = self.awake.remove(key)?;
        self.order.remove(&place.turn);
        self.counts.bytes -= place.bytes;
        Some(place)
    }

    fn rest_oldest(&mut self) -> bool {
        let Some(key) = self.order.pop_first().map(|(_, key)| key) else { return false };
        self.remove(&key);
        self.counts.hibernated += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Line, Uuid};

    fn object(n: u128, size: usize) -> (ObjectKey, Scenario) {
        let uuid = Uuid::from_u128(n << 16 | 0x7000_8000_0000_0000_0001);
        let text =
            format!("{{\"ior\":{{\"uuid\":\"{uuid}\"}},\"model\":{{\"x\":\"{}\"}}}}", "x".repeat(size));
        let scenario = Scenario::parse(text).unwrap();
        (ObjectKey { uuid, line: Line::Unclaimed(scenario.hash()) }, scenario)
    }

    #[test]
    fn the_budget_holds_and_the_oldest_rest_first() {
        let live = Live::new(20_000, Duration::from_secs(60));
        let all: Vec<_> = (1..=10).map(|n| object(n, 1000)).collect();
        for (key, scenario) in &all {
            live.keep(*key, Awake { scenario: scenario.clone(), state: Some(Box::new(7_u32)) }, true);
            assert!(live.counts().bytes <= 20_000);
        }
        let counts = live.counts();
        assert!((2..10).contains(&counts.objects), "{counts:?}");
        assert_eq!((counts.restored, counts.hibernated), (10, 10 - counts.objects as u64));
        assert!(live.take(&all[0].0, &all[0].1.hash()).is_none(), "the oldest rests");
        let newest = live.take(&all[9].0, &all[9].1.hash()).unwrap();
        assert_eq!(newest.state.unwrap().downcast_ref(), Some(&7_u32));
        // What is larger than the whole budget never stays.
        let (key, scenario) = object(11, 50_000);
        live.keep(key, Awake { scenario, state: None }, true);
        assert!(live.counts().bytes <= 20_000);
    }

    #[test]
    fn what_changed_behind_its_back_is_not_taken_for_it_and_idle_ones_rest() {
        let live = Live::new(1_000_000, Duration::ZERO);
        let ((key, scenario), (_, other)) = (object(1, 10), object(2, 10));
        live.keep(key, Awake { scenario: scenario.clone(), state: None }, true);
        assert!(live.take(&key, &other.hash()).is_none());
        live.keep(key, Awake { scenario, state: None }, true);
        live.rest_idle();
        assert_eq!(live.counts(), Counts { objects: 0, bytes: 0, restored: 2, hibernated: 2 });
    }
}
