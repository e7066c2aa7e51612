//! The heart of a world: what happens when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::Bytes;
use once_core::waist::{ConnId, Effect, Input};
use once_model::ids::KernelId;

use crate::exchange::Message;
use crate::pull::PullStep;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// An input reaches a kernel's mailbox, unless the kernel has been restarted since.
    Input { node: usize, run: u64, input: Input },
    /// A control frame reaches one side of a connection.
    Frame { conn: ConnId, side: usize, bytes: Bytes },
    /// A kernel takes a group from its mailbox.
    Wake { node: usize, run: u64 },
    /// The commit is on disk: its effects leave.
    Release { node: usize, run: u64, effects: Vec<Effect> },
    /// A dial comes to its end, this way or that.
    Dialled { node: usize, run: u64, peer: KernelId, addresses: Vec<String> },
    /// One side of a connection notices that it is gone.
    Down { conn: ConnId, side: usize },
    /// A step of fetching a large body.
    Pull { id: u64, step: PullStep },
    /// A message of an exchange.
    Exchange { id: u64, message: Message },
    /// Power loss at a kernel.
    Crash { node: usize, run: u64 },
    /// A kernel's process starts.
    Start { node: usize },
    /// The shell of a kernel whose disk fills looks for room.
    Room { node: usize, until_us: u64 },
    /// Every connection of a kernel breaks, and will so many times more.
    Storm { node: usize, left: u64 },
    /// A hostile kernel does something.
    Mischief { puppet: usize },
    /// The workload or the weather does something.
    Plan,
}

#[derive(Debug)]
struct Entry {
    at_us: u64,
    seq: u64,
    /// Apart, since a heap moves its entries about.
    event: Box<Event>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest: the heap gives that one.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.seq).cmp(&(self.at_us, self.seq))
    }
}

/// A priority queue of events; those of one moment come in the order in which they were put in.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    seq: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at_us: u64, event: Event) {
        self.seq += 1;
        self.heap.push(Entry { at_us, seq: self.seq, event: Box::new(event) });
    }

    /// The timers of a kernel that are still to ring do not.
    pub(crate) fn forget_timers(&mut self, of: usize, now_us: u64) {
        self.heap.retain(|entry| {
            let is_timer = |input: &Input| matches!(input, Input::Timer(_));
            let is_of =
                matches!(&*entry.event, Event::Input { node, input, .. } if *node == of && is_timer(input));
            !is_of || entry.at_us <= now_us
        });
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at_us)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at_us, *entry.event))
    }
}
