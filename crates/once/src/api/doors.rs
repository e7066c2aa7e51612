//! Who is connected to the local API: at most so many, and there is always a place for one more call of `once`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::net::lock;

/// Open files that the store, the network and the runtime need.
const FILES_OF_OTHERS: u64 = 192;

/// Connections, whatever the process may open.
const DOORS_MIN: usize = 16;
const DOORS_MAX: usize = 1024;

/// Places for those who come when all others are busy. They may not stay.
const BRIEF_MAX: usize = 8;

/// The connections of one kernel.
#[derive(Debug)]
pub(super) struct Doors {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// In the order in which they were used last.
    doors: BTreeMap<u64, Arc<Door>>,
    next: u64,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Calls under way, `listen` among them, and whether it serves something.
    busy: AtomicUsize,
    /// Told when its place is needed.
    wanted: Notify,
    /// It may not stay.
    pub is_brief: bool,
}

impl Door {
    /// Until the returned value is dropped, nobody takes its place.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// From now on nobody takes its place, as long as it lives.
    pub fn stays(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// Waits until its place is needed.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

/// Something is under way on a connection.
#[derive(Debug)]
pub(super) struct Busy(Arc<Door>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holds a place as long as the connection lives.
#[derive(Debug)]
pub(super) struct Entered {
    doors: Arc<Doors>,
    number: u64,
    pub door: Arc<Door>,
}

impl Entered {
    /// It was used just now: others are closed before it.
    pub fn used(&mut self) {
        let mut open = lock(&self.doors.open);
        open.next += 1;
        let (old, new) = (self.number, open.next);
        open.doors.remove(&old);
        open.doors.insert(new, Arc::clone(&self.door));
        self.number = new;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.doors.open).doors.remove(&self.number);
    }
}

impl Doors {
    /// As many as the process may open files for.
    pub fn new() -> Arc<Self> {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let spare = files.map_or(DOORS_MAX, |files| {
            usize::try_from(files.saturating_sub(FILES_OF_OTHERS) / 2).unwrap_or(DOORS_MAX)
        });
        Self::with(spare.clamp(DOORS_MIN, DOORS_MAX))
    }

    fn with(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for a new connection. Where all are taken, the one that was idle the longest is closed for it; where all are
    /// busy it may come in for a call, but not stay; `None` if there are too many of those, too.
    pub fn enter(self: &Arc<Self>) -> Option<Entered> {
        let mut open = lock(&self.open);
        let mut is_brief = false;
        if open.doors.len() >= self.most && !close_idlest(&open, |door| !door.is_brief) {
            is_brief = true;
            if open.doors.len() >= self.most + BRIEF_MAX && !close_idlest(&open, |door| door.is_brief) {
                return None;
            }
        }
        let door = Arc::new(Door { is_brief, ..Door::default() });
        open.next += 1;
        let number = open.next;
        open.doors.insert(number, Arc::clone(&door));
        drop(open);
        Some(Entered { doors: Arc::clone(self), number, door })
    }

    /// The process cannot open another file: whoever is idle the longest makes room.
    pub fn make_room(&self) {
        close_idlest(&lock(&self.open), |_| true);
    }
}

fn close_idlest(open: &Open, may_be: impl Fn(&Door) -> bool) -> bool {
    let idle = open.doors.values().find(|door| door.is_idle() && may_be(door));
    // A place is told once: it is not idle any more for the next who looks.
    idle.inspect(|door| {
        door.stays();
        door.wanted.notify_one();
    })
    .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idlest_makes_room_and_when_all_are_busy_a_caller_still_comes_in() {
        let doors = Doors::with(3);
        let mut first = doors.enter().unwrap();
        let second = doors.enter().unwrap();
        let third = doors.enter().unwrap();
        first.used();
        let busy = third.door.busy();
        // The second was not used since it came.
        let fourth = doors.enter().unwrap();
        assert!(!fourth.door.is_brief && !second.door.is_idle() && first.door.is_idle());
        drop(second);
        let others: Vec<_> = [&first, &fourth].map(|entered| entered.door.busy()).into();
        let brief: Vec<_> = (0..BRIEF_MAX).map(|_| doors.enter().unwrap()).collect();
        assert!(brief.iter().all(|entered| entered.door.is_brief));
        // One of those that may not stay makes room for another.
        assert!(doors.enter().unwrap().door.is_brief);
        let _all: Vec<_> = brief.iter().map(|entered| entered.door.busy()).collect();
        drop((busy, others));
        assert!(!doors.enter().unwrap().door.is_brief);
    }
}
