//! The part of the random workload that brings about visits: somebody gets a right on an object that is about to move to a
//! kernel whose peer he is not, uses it there, and loses it, now and then.

use once_core::access::{Grant, Right, Scope};
use once_core::peers;
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};

use crate::net::Who;
use crate::queue::Event;
use crate::workload::{Workload, forever};
use crate::world::{Kernel, World};

impl World {
    /// An object of a kernel is about to move.
    pub(crate) fn invite_a_visitor(
        &mut self,
        (index, key, to): (usize, ObjectKey, KernelId),
        work: &mut Workload,
    ) {
        let Some(Who::Kernel(there)) = self.who.get(&to).copied() else { return };
        let is_peer = |at: usize, of: usize| matches!(peers::peer(&self.nodes[at].disk, &self.nodes[of].id), Ok(Some(row)) if !row.is_for_objects());
        let others: Vec<_> = (0..self.nodes.len())
            .filter(|other| {
                ![index, there].contains(other) && is_peer(index, *other) && !is_peer(there, *other)
            })
            .collect();
        let Some(visitor) = self.rng.pick(&others).copied() else { return };
        let kernel = self.nodes[visitor].id;
        // Now and then all of its rights end together, whenever the object has come, and the visitor comes again after that.
        let ends_us: Vec<_> = match self.rng.one_in(2) {
            true => [5, 15, 40].map(|seconds| self.now_us + seconds * 1_000_000).to_vec(),
            false if self.rng.one_in(3) => vec![self.now_us + self.rng.between(1_000_000, 20_000_000)],
            false => Vec::new(),
        };
        for end_us in &ends_us {
            self.queue.push(end_us + 2_000_000, Event::Storm { node: visitor, left: 1 });
        }
        for right in [Right::Act, Right::Read] {
            if self.rng.per_mille(700) {
                let end_ms = self.nodes[index].now_ms(self.now_us) + self.rng.between(1_000, 60_000);
                let expires_ms = self.rng.one_in(4).then_some(end_ms);
                let grant = Grant { expires_ms, ..forever(Scope::Object(key), right, kernel) };
                self.command(Kernel(index), Command::Grant(grant.clone()));
                for end_us in &ends_us {
                    self.command_at(*end_us, there, Command::Revoke(grant.clone()));
                }
            }
        }
        let home = self.nodes[index].id;
        if self.rng.one_in(2) {
            self.command(Kernel(visitor), Command::Follow { key, from: home });
        }
        for after_us in [0, 1_000_000, 6_000_000] {
            if self.rng.one_in(2) {
                let at_us = self.now_us + after_us + self.rng.up_to(2_000_000);
                let act = self.ask_anything(visitor, (key, Some(home)), &mut work.acting);
                self.command_at(at_us, visitor, act);
            }
        }
        if self.rng.one_in(6) {
            let scope = if self.rng.one_in(2) { Scope::Kernel } else { Scope::Object(key) };
            let late_us = self.now_us + self.rng.between(500_000, 8_000_000);
            self.command_at(late_us, there, Command::Grant(forever(scope, Right::Act, kernel)));
        }
        if self.rng.one_in(12) {
            let late_us = self.now_us + self.rng.between(500_000, 8_000_000);
            self.command_at(late_us, there, Command::RemovePeer { peer: kernel });
        }
    }
}
