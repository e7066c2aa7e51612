//! One kernel over its crashes: what it knows, what of that is on its disk, and what was seen since.

use std::collections::BTreeMap;

use once_model::action::BUILT_IN_FROM;
use once_model::ids::KernelId;

use crate::check::{Check, Tally, Violation};
use crate::eyes::{Eyes, LaneId, World};
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::seen::{Direction, Recorded, Seen};

/// What all kernels share while one event is looked at.
pub(crate) struct Shared<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) world: &'a mut World,
    pub(crate) tally: &'a mut Tally,
    pub(crate) found: &'a mut Vec<Violation>,
}

impl Shared<'_> {
    /// Eyes that report, or with no disk eyes that only follow.
    pub(crate) fn eyes<'b>(&'b mut self, me: KernelId, at: u64, disk: Option<&'b Kernel>) -> Eyes<'b> {
        Eyes { me, at, limits: self.limits, disk, world: self.world, tally: self.tally, found: self.found }
    }
}

/// One kernel: the same model twice, as it is and as the disk has it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) now: Kernel,
    pub(crate) disk: Kernel,
    /// What was seen since the disk was as the model.
    log: Vec<(u64, Seen)>,
    copies: BTreeMap<u64, Kernel>,
}

impl Life {
    pub(crate) fn new(me: KernelId) -> Self {
        Self { now: Kernel::new(me), disk: Kernel::new(me), log: Vec::new(), copies: BTreeMap::new() }
    }

    /// Takes one event.
    pub(crate) fn see(&mut self, at: u64, seen: Seen, shared: &mut Shared<'_>) {
        match seen {
            Seen::Crashed { kept } => self.crash(at, kept, shared),
            Seen::BackedUp { copy } => {
                self.copies.insert(copy, self.disk.clone());
            }
            Seen::RolledBack { copy } => {
                if let Some(old) = self.copies.get(&copy) {
                    self.disk = old.clone();
                    self.now = old.clone();
                    self.log.clear();
                    self.now.crashed();
                    shared.world.rolled.insert(self.now.me);
                }
            }
            seen => {
                let durable = matches!(seen, Seen::Durable);
                let mut eyes = shared.eyes(self.now.me, at, Some(&self.disk));
                self.now.apply(&seen, &mut eyes);
                self.log.push((at, seen));
                if durable {
                    self.sync(shared);
                }
            }
        }
    }

    /// All that was seen is on the disk now.
    fn sync(&mut self, shared: &mut Shared<'_>) {
        for (at, seen) in std::mem::take(&mut self.log) {
            if let Seen::Recorded(recorded) = &seen {
                self.once_in_the_world(at, recorded, shared);
            }
            let mut eyes = shared.eyes(self.disk.me, at, None);
            self.disk.apply(&seen, &mut eyes);
        }
    }

    /// An action is recorded at one place in the world.
    fn once_in_the_world(&self, at: u64, recorded: &Recorded, shared: &mut Shared<'_>) {
        let entry = &recorded.entry;
        let rolled =
            shared.world.rolled.contains(&entry.origin) || shared.world.rolled.contains(&self.now.me);
        if entry.sequence >= BUILT_IN_FROM || rolled || !shared.world.judged.contains(&entry.origin) {
            return;
        }
        let lane = LaneId { origin: entry.origin, incarnation: entry.incarnation, name: recorded.lane };
        let place = (self.now.me, lane, entry.sequence);
        let first = *shared.world.recorded.entry((entry.origin, entry.id)).or_insert(place);
        let mut eyes = shared.eyes(self.now.me, at, Some(&self.disk));
        eyes.exact(Check::Once, first == place, || {
            format!("action {} is recorded in sequence {} and elsewhere", entry.id, entry.sequence)
        });
    }

    /// The process is gone. What it said after its last sync rests on what is on the disk, so that stays known.
    fn crash(&mut self, at: u64, kept: u64, shared: &mut Shared<'_>) {
        let mut commits = 0;
        let mut said_since = true;
        for (then, seen) in std::mem::take(&mut self.log) {
            let commit = matches!(seen, Seen::Committed);
            if commits >= kept {
                said_since = said_since && is_said(&seen);
                if !said_since {
                    break;
                }
            }
            commits += u64::from(commit);
            let mut eyes = shared.eyes(self.disk.me, then, None);
            self.disk.apply(&seen, &mut eyes);
        }
        let mut eyes = shared.eyes(self.disk.me, at, None);
        self.disk.apply(&Seen::Crashed { kept }, &mut eyes);
        self.now = self.disk.clone();
    }
}

/// Whether it is something that the kernel has said, and not something that it was told or did.
fn is_said(seen: &Seen) -> bool {
    match seen {
        Seen::Frame { direction, .. } => *direction == Direction::Out,
        Seen::Answered { .. } | Seen::Work { .. } | Seen::Published { .. } => true,
        _ => false,
    }
}
