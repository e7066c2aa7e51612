//! Shows the judge (crate `once-judge`) what every kernel does, in the order that it asks for.
//!
//! It is shown what the simulator observes: inputs as the engine takes them, the rows that each step writes, what leaves.
//! `words.rs` translates, `watch.rs` and `rows.rs` look at the steps of a group, `side.rs` remembers what was said in
//! passing, `group.rs` puts a group in order, and this file has one call for each place in the simulator that shows
//! something.

mod group;
mod leaving;
mod rows;
mod side;
mod watch;
mod words;

use std::collections::BTreeMap;

use once_core::waist::ConnId;
use once_judge::seen::{Direction, Seen};
use once_judge::{Check, Judge, Limits, Tally};
use once_model::ids::KernelId;
use once_model::wire::{Frame, Parcel};

pub(crate) use group::Ran;
use side::Side;
pub(crate) use watch::Watcher;

use crate::check::Violation;
use crate::net::Who;
use crate::world::World;

/// Checks of which it is not decided yet, in worlds with moves, who is right where they complain: the page, the judge or the
/// engine. Their complaints are counted and shown, and fail no seed there. All are decided in worlds without moves. Each complains
/// in a few of 8,000 seeds, which are named as they were when this list was made.
const UNDECIDED_MOVING: &[Check] = &[
    // Where an effect on an unclaimed copy goes, and what comes of it, if the copy has become an object that has moved since.
    Check::ActAllowed,  // 5242
    Check::AnswerKnown, // 1508, 4959
    // Which sequence goes on a lane of a copy's name, if that copy is known at several kernels.
    Check::SequenceGiven, // 736
    // Which of the scenarios that an act is given are shown by then, if they are copies of what has moved.
    Check::NeedLacks, // 3220
    // Whether a kernel is known to which this one goes for an object.
    Check::ClientCode, // 602, 4335
];

/// The judge, and what must be remembered to tell it.
#[derive(Debug)]
pub(crate) struct Judged {
    judge: Judge,
    sides: BTreeMap<KernelId, Side>,
    found: Vec<once_judge::Violation>,
    /// Names copies of disks, and commands that the simulator gives in its own name.
    next: u64,
    /// Complaints of checks that are not decided.
    pub undecided: BTreeMap<&'static str, u64>,
    /// Nobody is judged.
    pub off: bool,
    /// What others find does not count.
    pub alone: bool,
}

impl Judged {
    pub fn new() -> Self {
        Self {
            judge: Judge::new(Limits::default()),
            sides: BTreeMap::new(),
            found: Vec::new(),
            next: 1 << 60,
            off: false,
            undecided: BTreeMap::new(),
            alone: false,
        }
    }

    /// The bounds of a kernel.
    pub fn within(&mut self, kernel: KernelId, limits: &once_core::Limits) {
        let limits = Limits {
            window: limits.window,
            waiting: limits.waiting,
            waiting_bytes: limits.waiting_bytes,
            requests: usize::try_from(limits.requests).unwrap_or(usize::MAX),
            ledger_rows: limits.ledger_rows,
            outbox_rows: limits.outbox_rows,
            queue_rows: limits.queue_rows,
            peers: limits.peers,
            slice_rows: limits.slice_rows,
            ..Limits::default()
        };
        self.judge.within(kernel, limits);
    }

    /// How often each check was made.
    pub fn tally(&self) -> &Tally {
        self.judge.tally()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn see(&mut self, kernel: KernelId, at_ms: u64, seen: Seen) {
        self.found.extend(self.judge.see(kernel, at_ms, seen));
    }

    fn side(&mut self, kernel: KernelId) -> &mut Side {
        self.sides.entry(kernel).or_default()
    }

    /// The kernel's clock shows this: said whenever it has jumped.
    fn clock(&mut self, kernel: KernelId, at_ms: u64, now_ms: u64) {
        let ahead_ms = i128::from(now_ms) - i128::from(at_ms);
        if self.side(kernel).ahead_ms.replace(ahead_ms) != Some(ahead_ms) {
            self.see(kernel, at_ms, Seen::Clock { now_ms });
        }
    }
}

/// Where a frame travels beside the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub node: usize,
    pub peer: KernelId,
    pub conn: ConnId,
    /// 0 is the control stream.
    pub stream: u64,
}

impl World {
    /// A frame is read or sent beside the engine.
    pub(crate) fn judge_frame(&mut self, at: Stream, direction: Direction, frame: &Frame) {
        // What no connection carries is no business of a peer.
        if self.judged.off || !self.net.is_admitted(at.conn, Who::Kernel(at.node)) {
            return;
        }
        let node = &self.nodes[at.node];
        let (kernel, at_ms, now_ms) = (node.id, self.now_us / 1000, node.now_ms(self.now_us));
        self.judged.clock(kernel, at_ms, now_ms);
        let Stream { peer, conn, stream, .. } = at;
        let frame = Box::new(frame.clone());
        self.judged.see(kernel, at_ms, Seen::Frame { direction, conn, stream, peer, frame });
        self.judge_says();
    }

    /// A share with its bytes was read: the engine takes it later.
    pub(crate) fn judge_share(&mut self, index: usize, conn: ConnId, parcel: &Parcel) {
        if self.judged.off {
            return;
        }
        let place = (conn, parcel.header.key(), parcel.header.id());
        let side = self.judged.side(self.nodes[index].id);
        side.shares.entry(place).or_default().push_back(parcel.clone());
    }

    /// A process is gone, and of the commits that were not synced so many are on the disk.
    pub(crate) fn judge_crashed(&mut self, index: usize, survivors: usize) {
        if self.judged.off {
            return;
        }
        let (kernel, at_ms) = (self.nodes[index].id, self.now_us / 1000);
        let side = self.judged.side(kernel);
        let kept = side.kept(survivors);
        side.forget();
        self.judged.see(kernel, at_ms, Seen::Crashed { kept });
    }

    /// A disk is copied: its name.
    pub(crate) fn judge_backup(&mut self, index: usize) -> u64 {
        let (kernel, at_ms, copy) = (self.nodes[index].id, self.now_us / 1000, self.judged.number());
        if !self.judged.off {
            self.judged.see(kernel, at_ms, Seen::BackedUp { copy });
        }
        copy
    }

    /// A copy is put back: the process that was there is gone.
    pub(crate) fn judge_put_back(&mut self, index: usize, copy: u64) {
        self.judge_crashed(index, 0);
        if !self.judged.off {
            self.judged.see(self.nodes[index].id, self.now_us / 1000, Seen::RolledBack { copy });
        }
    }

    /// Everything had its time.
    pub(crate) fn judge_healed(&mut self) {
        if !self.judged.off {
            let found = self.judged.judge.healed(self.now_us / 1000);
            self.judged.found.extend(found);
            self.judge_says();
        }
    }

    /// What others have found does not count before the judge alone.
    pub(crate) fn only_judged(&mut self) {
        if self.judged.alone {
            self.checker.violations.retain(|found| found.check.is_some());
        }
    }

    /// What the judge has found is a violation like any other.
    fn judge_says(&mut self) {
        for found in std::mem::take(&mut self.judged.found) {
            if self.moves && UNDECIDED_MOVING.contains(&found.check) {
                self.trace.line(|| format!("undecided: {found}"));
                *self.judged.undecided.entry(found.check.name()).or_default() += 1;
                continue;
            }
            let kernel = self
                .nodes
                .iter()
                .find(|node| node.id == found.kernel)
                .map_or_else(|| found.kernel.short(), |node| node.name.clone());
            self.checker.violations.push(Violation {
                promise: 0,
                check: Some((found.check.name(), found.cite)),
                at_ms: found.at_ms,
                kernel,
                what: found.what,
            });
        }
    }
}
