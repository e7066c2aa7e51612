//! What goes wrong with disks one by one: reads that fail, and room that goes byte by byte, as the real store counts it
//! (docs/store.md, *Disk full*).

use std::ops::ControlFlow;

use once_core::store::{Read, Table};
use once_core::waist::Input;
use once_model::limits::DISK_RESERVE_BYTES;

use crate::queue::Event;
use crate::world::{Kernel, World};

/// The store's own reserve: a batch must leave so much.
pub(crate) const STORE_RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// A batch that adds no more may use half of the store's reserve.
pub(crate) const SMALL_BATCH_BYTES: u64 = 4 * 1024;

/// How often the shell looks how much room there is, in microseconds.
const LOOK_EVERY_US: u64 = 500_000;

/// Tables of which rows are damaged.
const DAMAGED: [Table; 14] = [
    Table::Head,
    Table::Body,
    Table::Chain,
    Table::Genesis,
    Table::Conflict,
    Table::Source,
    Table::Outbox,
    Table::Follower,
    Table::Subscription,
    Table::Lane,
    Table::Ledger,
    Table::Queue,
    Table::Sending,
    Table::Request,
];

impl World {
    /// Something of the next group of a kernel, or of its next start, cannot be read: the process ends.
    pub(crate) fn fail_a_read(&mut self, index: usize) {
        self.nodes[index].reads_left = Some(self.rng.up_to(60));
    }

    /// A row of a kernel cannot be read until it is written anew, or somebody mends it.
    pub(crate) fn damage_a_row(&mut self, index: usize) {
        if !self.damages {
            return;
        }
        let Some(table) = self.rng.pick(&DAMAGED).copied() else { return };
        let mut keys = Vec::new();
        let read = self.nodes[index].disk.scan(table, &[], None, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        });
        if read.is_ok() && self.nodes[index].disk.damaged.is_none() {
            self.nodes[index].disk.damaged = self.rng.pick(&keys).map(|key| (table, key.clone()));
        }
    }

    /// Somebody mends what is damaged, and the kernel starts anew.
    pub(crate) fn mend(&mut self, index: usize) {
        let met = self.nodes[index].disk.damage_met();
        for (name, _) in ["fault damaged row", "fault body lost"].iter().zip(met).filter(|(_, met)| *met) {
            self.cover.met(name);
        }
        if self.nodes[index].disk.mend() && self.nodes[index].is_up() {
            self.crash(Kernel(index));
        }
    }

    /// From now on a kernel's disk fills, by what it writes and by what others write, until somebody makes room.
    pub(crate) fn let_disk_fill(&mut self, index: usize) {
        if self.nodes[index].disk.room.is_some() {
            return;
        }
        self.cover.met("fault disk fills by bytes");
        let room = match self.rng.up_to(3) {
            0 => DISK_RESERVE_BYTES + self.rng.up_to(200_000),
            1 => STORE_RESERVE_BYTES + self.rng.up_to(6_000_000),
            _ => STORE_RESERVE_BYTES / 2 + self.rng.up_to(2_000_000),
        };
        self.nodes[index].disk.room = Some(room);
        let until_us = self.now_us + self.rng.between(1_000_000, 15_000_000);
        self.queue.push(self.now_us, Event::Room { node: index, until_us });
    }

    /// The shell looks how much room there is; meanwhile others have written, too.
    pub(crate) fn look_for_room(&mut self, index: usize, until_us: u64) {
        let Some(room) = self.nodes[index].disk.room else { return };
        let over = self.now_us >= until_us;
        let room = if over { u64::MAX } else { room.saturating_sub(self.rng.up_to(3_000_000)) };
        self.nodes[index].disk.room = (!over).then_some(room);
        if self.nodes[index].is_up() {
            self.input(index, Input::Disk { free_bytes: room });
        }
        if !over {
            self.queue.push(self.now_us + LOOK_EVERY_US, Event::Room { node: index, until_us });
        }
    }

    /// A kernel whose disk has no room does not begin before it has: when it can, if it must wait.
    pub(crate) fn waits_for_room(&mut self, index: usize) -> bool {
        let short = self.nodes[index].disk.room.is_some_and(|room| room < DISK_RESERVE_BYTES);
        if short {
            self.cover.met("state start waits for room");
            self.queue.push(self.now_us + LOOK_EVERY_US, Event::Start { node: index });
        }
        short
    }

    /// Every connection of a kernel breaks, again and again, while it and others dial.
    pub(crate) fn storm(&mut self, index: usize, left: u64) {
        self.cover.met("fault reconnect storm");
        for id in self.net.open_of(crate::net::Who::Kernel(index)) {
            for side in 0..2 {
                let at_us = self.now_us + self.rng.up_to(5000);
                self.queue.push(at_us, Event::Down { conn: id, side });
            }
        }
        if self.nodes[index].is_up() && self.rng.one_in(2) {
            self.input(index, Input::NetworkChanged);
        }
        if left > 0 && self.workload_goes_on() {
            let again_us = self.now_us + self.rng.between(20_000, 500_000);
            self.queue.push(again_us, Event::Storm { node: index, left: left - 1 });
        }
    }
}
