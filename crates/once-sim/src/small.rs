//! Small limits: what takes millions of rows or a very bad day happens in many seeds, because kernels are given limits of
//! a few rows.

use once_core::Limits;

use crate::rng::Rng;
use crate::world::{Kernel, World};

/// So few results are kept for clients of some kernels.
const FEW_REQUESTS: u64 = 12;

/// So few rows that chores take many steps also in a small world.
const SMALL_SLICE_ROWS: usize = 3;

/// Of a kernel in a story: some forget soon what their clients asked and what came of it, some do what takes many rows in
/// very small slices.
pub(crate) fn in_stories(index: usize) -> Limits {
    match index % 3 {
        0 => Limits { slice_rows: SMALL_SLICE_ROWS, ..Limits::PAGE },
        1 => Limits { requests: FEW_REQUESTS, told_rows: 3, behind: 4, ..Limits::PAGE },
        _ => Limits::PAGE,
    }
}

/// Of a kernel in a random world: each limit is small at one kernel in some, so that seldom all are. The
/// first two have room for all peers: in the end they meet.
pub(crate) fn draw(rng: &mut Rng, index: usize) -> Limits {
    let mut limits = Limits::PAGE;
    if rng.one_in(4) {
        limits.window = rng.between(1, 8) as usize;
    }
    if rng.one_in(8) {
        limits.window_bytes = rng.between(1, 100_000) as usize;
    }
    if rng.one_in(4) {
        limits.in_line = rng.up_to(5) as usize;
    }
    if rng.one_in(4) {
        limits.waiting = rng.between(1, 8) as usize;
    }
    if rng.one_in(8) {
        limits.waiting_bytes = rng.between(1_000, 20_000) as usize;
    }
    if rng.one_in(5) {
        limits.lacking = rng.between(1, 3) as usize;
        limits.lacking_of_peer = rng.between(1, 2) as usize;
    }
    if rng.one_in(5) {
        limits.slow_lanes = rng.between(1, 3) as usize;
    }
    if rng.one_in(4) {
        limits.lanes = rng.between(1, 4) as usize;
    }
    if rng.one_in(5) {
        limits.effects_room = rng.between(4, 8);
        limits.queue_rows = limits.effects_room + rng.between(2, 40);
    }
    if rng.one_in(5) {
        limits.outbox_rows = rng.between(1, 20);
    }
    if rng.one_in(3) {
        limits.requests = rng.between(2, FEW_REQUESTS);
    }
    if rng.one_in(3) {
        limits.told_rows = rng.up_to(6);
    }
    if rng.one_in(3) {
        limits.ledger_rows = rng.between(1, 20);
    }
    if rng.one_in(2) {
        limits.behind = rng.between(1, 8);
    }
    if index > 1 && rng.one_in(6) {
        limits.peers = rng.between(2, 8) as usize;
    }
    if rng.one_in(4) {
        limits.proofs = rng.between(1, 2) as usize;
    }
    if rng.one_in(3) {
        limits.events = rng.between(1, 40);
    }
    if rng.one_in(4) {
        limits.events_bytes = rng.between(1, 20_000);
    }
    if rng.one_in(3) {
        limits.slice_rows = rng.between(1, 5) as usize;
    }
    limits
}

impl World {
    /// Objects that act on each other, or on themselves, in lanes that are full stand still until there is more room, and only
    /// a new process has more.
    pub(crate) fn make_room_in_lanes(&mut self, index: usize) {
        let limits = &mut self.nodes[index].limits;
        if limits.queue_rows < Limits::PAGE.queue_rows {
            limits.queue_rows = Limits::PAGE.queue_rows;
            self.crash(Kernel(index));
        }
    }
}
