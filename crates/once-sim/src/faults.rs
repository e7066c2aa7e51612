//! What goes wrong: on purpose in stories, at random in the workload.

use once_core::memory::MemoryStore;
use once_core::store::Table;
use once_core::waist::{ConnId, Input, LinkEvent};
use once_model::limits::DISK_RESERVE_BYTES;

use crate::disk::Commit;
use crate::net::{Conn, Weather, Who};
use crate::queue::Event;
use crate::world::{Kernel, SECOND_US, World};

/// A copy of a kernel's disk.
#[derive(Debug)]
pub struct Backup {
    disk: MemoryStore,
    name: u64,
}

impl World {
    /// Power loss at a kernel, right now. It comes back some seconds later, or with [`World::heal`].
    pub fn crash(&mut self, kernel: Kernel) -> &mut Self {
        self.cover.met("fault crash");
        if self.nodes[kernel.0].is_up() {
            self.crash_node(kernel.0);
        }
        self
    }

    /// Power loss at a kernel in the middle of a removal, or of the end of a quarantine, that was just asked for. False: it
    /// had so little to take away that there was no middle.
    pub fn crash_while_removing(&mut self, kernel: Kernel) -> bool {
        let until_us = self.now_us + 2 * SECOND_US;
        while self.now_us < until_us && self.step() {
            if self.is_removing(kernel) {
                self.crash(kernel);
                return true;
            }
        }
        false
    }

    /// Starts a kernel that is down.
    pub fn restart(&mut self, kernel: Kernel) -> &mut Self {
        if !self.nodes[kernel.0].is_up() {
            self.start(kernel.0);
        }
        self
    }

    /// Nothing reaches `to` from `from` any more.
    pub fn block(&mut self, from: Kernel, to: Kernel) -> &mut Self {
        self.net.blocked.insert((from.0, to.0));
        self.joining(from, to).into_iter().for_each(|id| self.doom(id));
        self
    }

    /// Nothing gets through between the two.
    pub fn partition(&mut self, a: Kernel, b: Kernel) -> &mut Self {
        self.block(a, b).block(b, a)
    }

    /// The network between all kernels works again; what is down stays down.
    pub fn join_network(&mut self) -> &mut Self {
        self.net.blocked.clear();
        self
    }

    /// Breaks every connection between two kernels.
    pub fn cut(&mut self, a: Kernel, b: Kernel) -> &mut Self {
        for id in self.joining(a, b) {
            for side in 0..2 {
                let at_us = self.now_us + self.rng.up_to(5000);
                self.queue.push(at_us, Event::Down { conn: id, side });
            }
        }
        self
    }

    /// Every connection between two kernels.
    fn joining(&self, a: Kernel, b: Kernel) -> Vec<ConnId> {
        let (a, b) = (Who::Kernel(a.0), Who::Kernel(b.0));
        let joins = |conn: &Conn| conn.side_of(a).is_some() && conn.side_of(b).is_some();
        self.net.conns.iter().filter(|(_, conn)| joins(conn)).map(|(id, _)| *id).collect()
    }

    /// The disk of a kernel has no room for this long.
    pub fn fill_disk(&mut self, kernel: Kernel, ms: u64) -> &mut Self {
        self.nodes[kernel.0].disk_full_until_us = self.now_us + ms * 1000;
        self
    }

    /// The next sync of a kernel fails.
    pub fn fail_sync(&mut self, kernel: Kernel) -> &mut Self {
        self.nodes[kernel.0].sync_will_fail = true;
        self
    }

    /// Tells a kernel how much room its disk has.
    pub fn free_bytes(&mut self, kernel: Kernel, free_bytes: u64) -> &mut Self {
        if self.nodes[kernel.0].is_up() {
            self.input(kernel.0, Input::Disk { free_bytes });
        }
        self
    }

    /// What is on a kernel's disk for good, to be put back later.
    #[must_use]
    pub fn backup(&mut self, kernel: Kernel) -> Backup {
        Backup { disk: self.nodes[kernel.0].disk.backup(), name: self.judge_backup(kernel.0) }
    }

    /// Stops a kernel and puts a backup of its disk back: promises 2 to 5 do not hold for it any more. It starts again.
    pub fn put_back(&mut self, kernel: Kernel, backup: Backup) -> &mut Self {
        self.nodes[kernel.0].disk.restore(backup.disk);
        self.judge_put_back(kernel.0, backup.name);
        self.checker.rolled_back(&self.nodes[kernel.0].id);
        self.stopped(kernel.0);
        self
    }

    /// Sets a kernel's clock forward or back.
    pub fn set_clock(&mut self, kernel: Kernel, ms: i64) -> &mut Self {
        self.nodes[kernel.0].clock_off_ms += ms;
        self
    }

    /// A kernel notices that its own addresses have changed.
    pub fn network_changed(&mut self, kernel: Kernel) -> &mut Self {
        if self.nodes[kernel.0].is_up() {
            self.input(kernel.0, Input::NetworkChanged);
        }
        self
    }

    /// A kernel's address changes. Its connections go along.
    fn roam(&mut self, index: usize) {
        self.cover.met("fault address changed");
        let address = format!("sim:{index}:{}", self.rng.up_to(1000));
        self.nodes[index].address.clone_from(&address);
        let mut told = Vec::new();
        for (conn, link) in &self.net.conns {
            if let Some(side) = link.side_of(Who::Kernel(index))
                && let Who::Kernel(other) = link.ends[1 - side].who
            {
                told.push((other, *conn));
            }
        }
        let peer = self.id(Kernel(index));
        for (node, conn) in told {
            let event = LinkEvent::Moved { conn, address: address.clone() };
            let (run, input) = (self.nodes[node].run, Input::Link { peer, event });
            self.queue.push(self.now_us, Event::Input { node, run, input });
        }
        self.network_changed(Kernel(index));
    }

    /// Power loss between a commit and what rests on it, or while what goes on in later steps has only just begun.
    pub(crate) fn crash_soon(&mut self, index: usize, took_us: u64, commit: Option<&Commit>) {
        if !self.workload_goes_on() {
            return;
        }
        let begun = commit
            .into_iter()
            .flat_map(|commit| &commit.rows)
            .find(|row| row.table == Table::Chore && row.before.is_none() && row.after.is_some());
        let one_in = match begun.and_then(|row| row.key.first()) {
            // An object has come to its end.
            Some(2) => 2,
            Some(_) => 40,
            None if took_us > 0 => 700,
            None => return,
        };
        if self.rng.one_in(one_in) {
            if begun.is_some() {
                self.cover.met("fault crash in a chore");
            }
            let within_us = if begun.is_some() { took_us + 30_000 } else { took_us };
            let (run, at_us) = (self.nodes[index].run, self.now_us + self.rng.up_to(within_us));
            self.queue.push(at_us, Event::Crash { node: index, run });
        }
    }

    /// Breaks something, drawn at random.
    pub(crate) fn random_fault(&mut self) {
        let (a, b) = (self.rng.index(self.nodes.len()), self.rng.index(self.nodes.len()));
        let (ka, kb) = (Kernel(a), Kernel(b));
        match self.rng.up_to(23) {
            0..=4 => {
                if self.rng.one_in(3) {
                    self.roam(a);
                    if self.rng.one_in(2) {
                        return;
                    }
                }
                self.crash(ka);
            }
            5 | 6 if a != b => {
                self.cover.met("fault partition");
                self.partition(ka, kb);
            }
            7 if a != b => {
                self.cover.met("fault one-way partition");
                self.block(ka, kb);
            }
            8 => {
                self.cover.met("fault partition");
                for other in (0..self.nodes.len()).filter(|other| *other != a) {
                    self.partition(ka, Kernel(other));
                }
            }
            9..=11 => {
                self.join_network();
            }
            12 | 13 if a != b => {
                self.cover.met("fault dropped connection");
                self.cut(ka, kb);
            }
            14 => {
                let ms = self.rng.between(200, 8000);
                self.fill_disk(ka, ms);
            }
            15 => {
                self.fail_sync(ka);
            }
            16 => {
                self.cover.met("fault disk low");
                let free = if self.rng.one_in(2) { DISK_RESERVE_BYTES - 1 } else { 0 };
                self.free_bytes(ka, free);
                let (run, later_us) = (self.nodes[a].run, self.now_us + self.rng.up_to(20) * SECOND_US);
                let input = Input::Disk { free_bytes: u64::MAX };
                self.queue.push(later_us, Event::Input { node: a, run, input });
            }
            17 => {
                self.cover.met("fault clock jump");
                let hours = self.rng.up_to(12) as i64 - 6;
                let ms = hours * 3_600_000 + self.rng.up_to(60_000) as i64;
                self.set_clock(ka, ms);
            }
            19 => self.fail_a_read(a),
            22 => self.damage_a_row(a),
            20 => self.let_disk_fill(a),
            21 => {
                let left = self.rng.between(3, 12);
                self.storm(a, left);
            }
            18 => {
                let weather = Weather::storm(&mut self.rng);
                self.weather(weather);
            }
            _ => {}
        }
    }
}
