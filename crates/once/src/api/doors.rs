//! Who is connected to the local API: at most so many, and there is always a place for one more call of `once`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::net::lock;

/// Open files that the store and the network may need beyond those that are open when the server begins: at most, and at
/// least where the process may open few.
const FILES_OF_OTHERS: u64 = 160;
const FILES_OF_OTHERS_MIN: u64 = 16;

/// Connections, whatever the process may open.
const DOORS_MIN: usize = 4;
const DOORS_MAX: usize = 1024;

/// Places for those who come when all others are busy. They may not stay.
const BRIEF_MAX: usize = 8;

/// How long somebody who is asked to go may take.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// The connections of one kernel.
#[derive(Debug)]
pub(super) struct Doors {
    most: usize,
    open: Mutex<Open>,
    /// Told when somebody has left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    /// In the order in which they were used last.
    doors: BTreeMap<u64, Arc<Door>>,
    next: u64,
}

/// One connection of a client.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Calls under way, `listen` among them, and whether it serves something.
    busy: AtomicUsize,
    /// Told when its place is needed.
    wanted: Notify,
    /// It was told.
    is_leaving: AtomicBool,
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
        self.doors.left.notify_one();
    }
}

impl Doors {
    /// As many as the process may open files for. Those of one kernel are a part of that, however many come at once: the
    /// store and the network have the rest.
    pub fn new() -> Arc<Self> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self::with(limit.map_or(DOORS_MAX, |limit| most(limit, open_files())))
    }

    fn with(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), left: Notify::new() })
    }

    /// Connections at once, those that may not stay among them.
    fn limit(&self) -> usize {
        self.most + self.most.min(BRIEF_MAX)
    }

    /// Waits until there may be room for a new connection. While all places are taken, the one that was idle the longest
    /// has to leave first: it holds an open file until then.
    pub async fn room(&self) {
        let room = async {
            loop {
                {
                    let open = lock(&self.open);
                    let leaves = |door: &Arc<Door>| door.is_leaving.load(Ordering::Relaxed);
                    if open.doors.len() < self.limit()
                        || !(open.doors.values().any(leaves) || close_idlest(&open, |_| true))
                    {
                        return;
                    }
                }
                self.left.notified().await;
            }
        };
        // One that is asked to go and does not: whoever comes now is turned away.
        let _ = tokio::time::timeout(LEAVE_MAX, room).await;
    }

    /// A place for a new connection. Where all are taken, the one that was idle the longest is closed for it; where all are
    /// busy it may come in for a call, but not stay; `None` if there are too many of those, too.
    pub fn enter(self: &Arc<Self>) -> Option<Entered> {
        let mut open = lock(&self.open);
        if open.doors.len() >= self.limit() {
            return None;
        }
        let stay = open.doors.values().filter(|door| !door.is_leaving.load(Ordering::Relaxed)).count();
        let is_brief = stay >= self.most && !close_idlest(&open, |door| !door.is_brief);
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

/// Connections that may stay, of a process that may open so many files and has so many open already.
fn most(limit: u64, open: u64) -> usize {
    let spare = limit.saturating_sub(open);
    let others = (spare / 2).clamp(FILES_OF_OTHERS_MIN, FILES_OF_OTHERS);
    let ours = usize::try_from(spare.saturating_sub(others)).unwrap_or(DOORS_MAX);
    // Those that may not stay come on top.
    (ours.saturating_sub(BRIEF_MAX).max(ours / 2)).clamp(DOORS_MIN, DOORS_MAX)
}

/// Files that the process has open; a guess where the system does not tell.
fn open_files() -> u64 {
    const GUESS: u64 = 32;
    std::fs::read_dir("/proc/self/fd").map_or(GUESS, |open| open.count() as u64)
}

fn close_idlest(open: &Open, may_be: impl Fn(&Door) -> bool) -> bool {
    let idle = open.doors.values().find(|door| door.is_idle() && may_be(door));
    // A place is told once: it is not idle any more for the next who looks.
    idle.inspect(|door| {
        door.stays();
        door.is_leaving.store(true, Ordering::Relaxed);
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
        let mut brief: Vec<_> = (0..3).map(|_| doors.enter().unwrap()).collect();
        assert!(brief.iter().all(|entered| entered.door.is_brief));
        assert!(doors.enter().is_none(), "never more than that, whoever is about to leave");
        brief.pop();
        assert!(doors.enter().unwrap().door.is_brief);
        drop((busy, others));
        assert!(!doors.enter().unwrap().door.is_brief);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_when_somebody_has_left() {
        let doors = Doors::with(1);
        let idle = doors.enter().unwrap();
        doors.room().await;
        let busy = doors.enter().unwrap();
        let _call = busy.door.busy();
        let waits = tokio::spawn({
            let doors = Arc::clone(&doors);
            async move {
                doors.room().await;
                doors.enter().is_some_and(|entered| !entered.door.is_brief)
            }
        });
        idle.door.wanted().await;
        assert!(doors.enter().is_none());
        drop(idle);
        assert!(!waits.await.unwrap(), "the other one is busy: this one may not stay");
        // Nobody leaves: it is not waited for ever.
        let _brief = doors.enter().unwrap();
        doors.room().await;
        assert!(doors.enter().is_none());
    }

    #[test]
    fn the_store_and_the_network_keep_their_share_of_what_may_be_opened() {
        for (limit, open, most_now) in
            [(1 << 20, 40, DOORS_MAX), (1024, 40, 816), (256, 40, 100), (64, 30, 9), (64, 60, DOORS_MIN)]
        {
            assert_eq!(most(limit, open), most_now, "{limit}, {open}");
        }
    }
}
