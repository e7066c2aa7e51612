//! The random workload: what clients of all kernels want, while things break.

use std::ops::ControlFlow;

use once_core::access::{Grant, Right, Scope};
use once_core::object;
use once_core::waist::Command;
use once_model::ids::{Hash, ItemId, KernelId, Line, ObjectKey, Secret, Uuid};
use once_model::limits::NAME_MAX_BYTES;
use once_model::scenario::Scenario;
use once_model::wire::{Frame, Pull, Request};

use crate::acting::Acting;
use crate::judged::Stream;
use crate::net::Who;
use crate::scenes::Relay;
use crate::world::{Kernel, SECOND_US, World};
use crate::{queue::Event, scenarios};

/// What the workload remembers.
#[derive(Debug, Default)]
pub(crate) struct Workload {
    /// How many steps it still does.
    left: u64,
    /// Scenarios that were imported: others import the same.
    used: Vec<Scenario>,
    uuids: Vec<Uuid>,
    /// Objects that were made somewhere.
    keys: Vec<ObjectKey>,
    /// Invites: whose, and the secret.
    invites: Vec<(usize, Secret)>,
    hostile: Vec<KernelId>,
    pub(crate) acting: Acting,
    pub(crate) relays: Vec<Relay>,
    /// One step of the workload, in microseconds, on average.
    pace_us: u64,
}

impl Workload {
    pub(crate) fn is_hostile(&self, kernel: &KernelId) -> bool {
        self.hostile.contains(kernel)
    }
}

impl World {
    /// Makes the kernels and the beginning of a random run.
    pub(crate) fn populate(&mut self, steps: u64) {
        let kernels = self.rng.between(2, 9);
        let names = ["ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hal", "ida"];
        for name in names.iter().take(kernels as usize) {
            let index = self.nodes.len();
            let mut limits = crate::small::draw(&mut self.rng, index);
            if self.luggage_apart {
                limits.luggage_inline = crate::moves::luggage_inline(index);
            }
            let kernel = self.kernel_within(name, limits);
            if self.rng.one_in(3) {
                self.cover.met("fault clock off");
                self.nodes[kernel.0].clock_off_ms = self.rng.up_to(7_200_000) as i64 - 3_600_000;
            }
        }
        let hostile: Vec<_> = (0..self.rng.up_to(3)).map(|_| self.puppet()).collect();
        let pace_us = self.rng.between(60_000, 300_000);
        let work = Workload { left: steps, hostile: hostile.clone(), pace_us, ..Workload::default() };
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                if self.rng.per_mille(700) {
                    self.befriend_some(a, b);
                }
            }
            for id in &hostile {
                if self.rng.one_in(2) {
                    self.command(
                        Kernel(a),
                        Command::AddPeer { peer: *id, addresses: Vec::new(), petname: None },
                    );
                    if self.rng.per_mille(700) {
                        self.command(Kernel(a), Command::Grant(forever(Scope::Kernel, Right::Share, *id)));
                    }
                    if self.rng.one_in(3) {
                        self.command(Kernel(a), Command::Grant(forever(Scope::Kernel, Right::Read, *id)));
                    }
                    if self.rng.one_in(2) {
                        let grant = self.any_right_to_act(a, *id, &work);
                        self.command(Kernel(a), Command::Grant(grant));
                    }
                }
            }
        }
        if self.moves {
            self.allow_moves();
        }
        self.workload = Some(work);
        self.queue.push(self.now_us + 500_000, Event::Plan);
    }

    fn befriend_some(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let (id, address) = (self.nodes[to].id, self.nodes[to].address.clone());
            self.command(
                Kernel(from),
                Command::AddPeer { peer: id, addresses: vec![address], petname: None },
            );
            if self.rng.per_mille(800) {
                self.command(Kernel(from), Command::Grant(forever(Scope::Kernel, Right::Share, id)));
            }
            if self.rng.one_in(2) {
                self.command(Kernel(from), Command::Grant(forever(Scope::Kernel, Right::Read, id)));
            }
            if self.rng.one_in(6) {
                let quota = self.rng.between(2_000, 60_000);
                self.command(
                    Kernel(from),
                    Command::ChangePeer {
                        peer: id,
                        petname: None,
                        quota_bytes: Some(quota),
                        addresses: Vec::new(),
                    },
                );
            }
        }
    }

    /// One step of the workload, and now and then a fault.
    pub(crate) fn plan(&mut self) {
        let Some(mut work) = self.workload.take() else { return };
        if work.left > 0 {
            work.left -= 1;
            let next_us = self.now_us + self.rng.up_to(2 * work.pace_us);
            self.queue.push(next_us, Event::Plan);
            if self.rng.one_in(9) {
                self.random_fault();
            }
            let index = self.rng.index(self.nodes.len());
            self.scenes_go_on(&mut work);
            // With dice of their own: searches change nothing, and so no seed becomes another one by them.
            std::mem::swap(&mut self.rng, &mut self.search_rng);
            if self.rng.one_in(8) {
                self.search(index, &work);
            }
            std::mem::swap(&mut self.rng, &mut self.search_rng);
            if self.nodes[index].is_up() {
                if self.rng.one_in(25) {
                    self.begin_scene(index, &mut work);
                } else if self.moves && self.rng.one_in(8) {
                    self.move_something(index, &mut work);
                } else {
                    self.act(index, &mut work);
                }
            }
        }
        self.workload = Some(work);
    }

    /// Whether a random workload is under way.
    pub(crate) fn workload_goes_on(&self) -> bool {
        self.workload.as_ref().is_some_and(|work| work.left > 0)
    }

    /// Whether the workload is done.
    pub(crate) fn is_planned_out(&self) -> bool {
        self.workload.as_ref().is_none_or(|work| work.left == 0)
    }

    fn act(&mut self, index: usize, work: &mut Workload) {
        if self.rng.one_in(4) {
            return self.act_on_something(index, work);
        }
        let here = Kernel(index);
        let Some(peer) = self.any_peer(index, work) else { return };
        match self.rng.up_to(100) {
            0..=15 => self.import_something(here, work),
            16..=19 => {
                let uuid = Uuid::from_bytes(self.rng.bytes());
                if let Some(scenario) = scenarios::next_state(&mut self.rng, uuid) {
                    self.command(here, Command::Create { scenario });
                }
            }
            20..=35 => self.put_something(here, work),
            36..=38 => {
                let key = self.any_key(index, work);
                self.command(here, Command::Claim { key });
            }
            39..=40 => {
                let key = self.any_key(index, work);
                self.command(here, Command::Remove { key });
            }
            41..=59 => self.share_something(here, peer, work),
            60..=66 => {
                let key = match self.who.get(&peer) {
                    Some(Who::Kernel(other)) if self.rng.per_mille(850) => self.any_key(*other, work),
                    _ => self.any_key(index, work),
                };
                self.command(here, Command::Follow { key, from: peer });
            }
            67 => self.unfollow_something(index, peer, work),
            68..=71 => self.invite_and_join(index, work),
            72..=73 => {
                let address = self.address_of(&peer);
                let petname = self.rng.one_in(3).then(|| self.petname());
                self.command(here, Command::AddPeer { peer, addresses: address, petname });
            }
            74 => {
                let petname = self.rng.one_in(2).then(|| self.petname());
                let quota_bytes = self.rng.one_in(2).then(|| self.rng.between(1_000, 3_000_000));
                let addresses = self.address_of(&peer);
                self.command(here, Command::ChangePeer { peer, petname, quota_bytes, addresses });
            }
            75 if self.rng.one_in(2) => {
                self.command(here, Command::RemovePeer { peer });
            }
            76..=82 => {
                let grant = self.any_grant(index, peer, work);
                self.command(here, Command::Grant(grant));
            }
            83..=85 => {
                self.revoke_something(index, peer, work);
            }
            86 if self.rng.one_in(4) => {
                self.command(here, Command::AcceptClock);
            }
            86 if self.rng.one_in(3) => {
                let owed = self.debts(index);
                let (to, key) = self.rng.pick(&owed).copied().unwrap_or((peer, self.any_key(index, work)));
                self.command(here, Command::GiveUp { peer: to, key });
            }
            86 => {
                self.command(here, Command::Dial { peer });
            }
            87..=91 => self.request_something(index, peer, work),
            92..=95 => {
                if let Some(who) = self.who.get(&peer).copied() {
                    self.begin_exchange(Who::Kernel(index), who);
                }
            }
            96 if self.rng.one_in(16) => self.share_very_much(here, peer),
            97 => self.pull_something(here, peer, work),
            98 => self.resolve_something(here),
            _ => self.burst(here, peer, work),
        }
    }

    fn share_something(&mut self, here: Kernel, peer: KernelId, work: &Workload) {
        let followed = self.rng.one_in(4).then(|| self.followed_at(here.0)).flatten();
        if followed.is_some() {
            self.cover.met("share of what is followed");
        }
        let (key, to) = followed.unwrap_or_else(|| (self.any_key(here.0, work), peer));
        let delivered = self.rng.one_in(3);
        self.command(here, Command::Share { key, to, delivered });
    }

    /// Several things at once: they end up in one group.
    fn burst(&mut self, here: Kernel, peer: KernelId, work: &mut Workload) {
        for _ in 0..self.rng.between(2, 5) {
            match self.rng.up_to(4) {
                0 => self.import_something(here, work),
                1 => self.put_something(here, work),
                _ => {
                    let key = self.any_key(here.0, work);
                    self.command(here, Command::Share { key, to: peer, delivered: false });
                }
            }
        }
    }

    /// More than a window holds.
    fn share_very_much(&mut self, here: Kernel, peer: KernelId) {
        let large = self.rng.one_in(6);
        let count = if large { 75 } else { self.rng.between(250, 330) };
        for n in 0..count {
            let filler = if large { "w".repeat(60_000) } else { String::new() };
            let uuid = Uuid::from_bytes(self.rng.bytes());
            let text =
                format!("{{\"ior\":{{\"uuid\":\"{uuid}\"}},\"model\":{{\"n\":{n},\"w\":\"{filler}\"}}}}");
            let Some(scenario) = self.parse(text) else { continue };
            let key = ObjectKey { uuid, line: Line::Unclaimed(scenario.hash()) };
            self.command(here, Command::Import { source: None, over: None, scenario });
            self.command(here, Command::Share { key, to: peer, delivered: false });
        }
    }

    fn import_something(&mut self, here: Kernel, work: &mut Workload) {
        let uuid = match self.rng.pick(&work.uuids) {
            Some(uuid) if self.rng.one_in(5) => {
                self.cover.met("state one UUID in two files");
                *uuid
            }
            _ => Uuid::from_bytes(self.rng.bytes()),
        };
        if self.rng.one_in(25) {
            let bytes = scenarios::broken(&mut self.rng, uuid);
            self.parse(bytes);
            return;
        }
        let known = self.rng.pick(&work.used).cloned().filter(|_| self.rng.per_mille(350));
        let scenario = match known {
            Some(scenario) => scenario,
            None => {
                let text = scenarios::text(&mut self.rng, uuid);
                let Some(scenario) = self.parse(text) else { return };
                scenario
            }
        };
        work.uuids.push(scenario.uuid());
        work.keys.push(ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) });
        work.used.push(scenario.clone());
        // A path stands for one object; now and then another file lies there.
        let source = self.rng.one_in(2).then(|| match self.rng.up_to(8) {
            0 => "shared path".to_owned(),
            _ => format!("{}.scenario.json", scenario.uuid()),
        });
        self.command(here, Command::Import { source, over: None, scenario });
    }

    fn put_something(&mut self, here: Kernel, work: &mut Workload) {
        let key = self.any_key(here.0, work);
        let uuid = if self.rng.one_in(40) { Uuid::from_u128(1) } else { key.uuid };
        let Some(scenario) = scenarios::next_state(&mut self.rng, uuid) else { return };
        if self.rng.one_in(6) {
            let source = Some(format!("{uuid}.scenario.json"));
            let newest = self.head(here, key).map(|head| head.header.id());
            let over = newest.filter(|_| self.rng.one_in(4));
            self.command(here, Command::Import { source, over, scenario });
            return;
        }
        let base = match self.rng.up_to(6) {
            0 => Some(Hash::from_bytes([7; 32])),
            1 => self.head(here, key).map(|head| head.header.id()),
            _ => None,
        };
        self.command(here, Command::Put { key, base, scenario });
    }

    /// Somebody decides about what is kept beside an object.
    fn resolve_something(&mut self, here: Kernel) {
        let mut kept = Vec::new();
        let disk = once_core::store::Store::snapshot(&self.nodes[here.0].disk);
        let _ = once_core::object::conflicts(&disk, &mut |row| {
            kept.push((row.header.key(), row.header.id()));
            ControlFlow::Continue(())
        });
        let Some((key, revision)) = self.rng.pick(&kept).copied() else { return };
        let revision = if self.rng.one_in(6) { Hash::from_bytes([7; 32]) } else { revision };
        let command = if self.rng.one_in(2) {
            Command::Keep { key, revision }
        } else {
            Command::Discard { key, revision }
        };
        self.command(here, command);
    }

    fn invite_and_join(&mut self, index: usize, work: &mut Workload) {
        if work.invites.is_empty() || self.rng.one_in(3) {
            let secret = Secret::from_bytes(self.rng.bytes());
            let valid_ms = if self.rng.one_in(4) { self.rng.up_to(3000) } else { 3_600_000 };
            let expires_ms = self.nodes[index].now_ms(self.now_us) + valid_ms;
            let petname = self.rng.one_in(3).then(|| self.petname());
            let secret_hash = once_core::invite_hash(&secret);
            self.command(Kernel(index), Command::Invite { secret_hash, expires_ms, petname });
            work.invites.push((index, secret));
        }
        let Some((host, secret)) = self.rng.pick(&work.invites).copied() else { return };
        if self.rng.one_in(6) {
            let host = if self.rng.one_in(4) { index } else { host };
            if self.nodes[host].is_up() {
                let secret_hash = once_core::invite_hash(&secret);
                self.command(Kernel(host), Command::RevokeInvite { secret_hash });
            }
            return;
        }
        let guest = self.rng.index(self.nodes.len());
        if self.nodes[guest].is_up() {
            let (peer, addresses) = (self.nodes[host].id, vec![self.nodes[host].address.clone()]);
            // To try an invite, the guest must not be a peer already.
            if self.rng.one_in(2) && guest != host {
                self.command(Kernel(guest), Command::RemovePeer { peer });
                let id = self.nodes[guest].id;
                if self.nodes[host].is_up() {
                    self.command(Kernel(host), Command::RemovePeer { peer: id });
                }
            }
            self.command(Kernel(guest), Command::Join { peer, secret, addresses, petname: None });
        }
    }

    fn request_something(&mut self, index: usize, peer: KernelId, work: &mut Workload) {
        let Some(other) = self.who.get(&peer).copied() else { return };
        let Some(conn) = self.net.between(Who::Kernel(index), other) else { return };
        let key = match other {
            Who::Kernel(other) => self.any_key(other, work),
            Who::Puppet(_) => self.any_key(index, work),
        };
        let call = self.next_id();
        self.calls.insert(call, (index, conn));
        let line = self.rng.one_in(2).then_some(key.line);
        self.send_from(index, conn, &Frame::Request(Request { call, uuid: key.uuid, line }));
    }

    /// A peer asks for bytes of which it only knows the hash.
    fn pull_something(&mut self, here: Kernel, peer: KernelId, work: &mut Workload) {
        let key = self.any_key(here.0, work);
        let Some(head) = self.head(here, key) else { return };
        let pull = Pull { key: head.header.key(), content: head.header.content, offset: self.rng.up_to(3) };
        let there = self.who.get(&peer).copied();
        let conn = there.and_then(|there| self.net.between(Who::Kernel(here.0), there));
        let at = Stream { node: here.0, peer, conn: conn.unwrap_or_default(), stream: self.next_id() };
        self.give_bytes(at, &pull);
    }

    fn petname(&mut self) -> String {
        if self.rng.one_in(16) {
            " ".to_owned()
        } else if self.rng.one_in(16) {
            "n".repeat(NAME_MAX_BYTES + 1)
        } else {
            format!("friend {}", self.rng.up_to(4))
        }
    }

    fn address_of(&self, peer: &KernelId) -> Vec<String> {
        match self.who.get(peer) {
            Some(Who::Kernel(other)) => vec![self.nodes[*other].address.clone()],
            _ => Vec::new(),
        }
    }

    /// Mostly another kernel, sometimes a hostile one, seldom itself or nobody.
    pub(crate) fn any_peer(&mut self, index: usize, work: &Workload) -> Option<KernelId> {
        if let Some(id) = self.rng.pick(&work.hostile).copied()
            && self.rng.one_in(6)
        {
            return Some(id);
        }
        if self.rng.one_in(50) {
            return Some(if self.rng.one_in(2) {
                self.nodes[index].id
            } else {
                KernelId::from_bytes([5; 32])
            });
        }
        let other = self.rng.index(self.nodes.len() - 1);
        Some(self.nodes[if other >= index { other + 1 } else { other }].id)
    }

    /// Mostly an object that is at this kernel.
    pub(crate) fn any_key(&mut self, index: usize, work: &Workload) -> ObjectKey {
        if self.rng.per_mille(850) {
            let from: [u8; 2] = self.rng.bytes();
            for (from, to) in [(from.as_slice(), None), (&[], Some(from))] {
                let mut found = None;
                let first = once_core::store::Read::scan(
                    &self.nodes[index].disk,
                    once_core::store::Table::Head,
                    from,
                    to.as_ref().map(<[u8; 2]>::as_slice),
                    &mut |key, _| {
                        found = ObjectKey::from_row(key);
                        ControlFlow::Break(())
                    },
                );
                if let (Ok(()), Some(key)) = (first, found) {
                    return key;
                }
            }
        }
        let nothing =
            ObjectKey { uuid: Uuid::from_u128(9), line: Line::Unclaimed(Hash::from_bytes([9; 32])) };
        self.rng.pick(&work.keys).copied().unwrap_or(nothing)
    }

    /// Lets hostile kernels rest.
    pub(crate) fn quiet(&mut self) {
        self.puppets.iter_mut().for_each(|puppet| puppet.quiet = true);
    }

    /// What is at a kernel, as an exchange sees it, but for objects whose home is hostile.
    pub(crate) fn items(&self, index: usize) -> Vec<(ItemId, ObjectKey)> {
        let mut items = Vec::new();
        let read = object::heads(&self.nodes[index].disk, &mut |head| {
            let key = head.header.key();
            if !self.checker.forked.contains(&key) {
                items.push((head.header.item_id(), key));
            }
            ControlFlow::Continue(())
        });
        if read.is_err() { Vec::new() } else { items }
    }

    /// The time that the workload takes, with room to spare.
    pub(crate) fn planned_us(&self) -> u64 {
        self.workload.as_ref().map_or(0, |work| work.left * work.pace_us * 2) + 10 * SECOND_US
    }
}

/// A grant without an end.
pub(crate) fn forever(scope: Scope, right: Right, kernel: KernelId) -> Grant {
    Grant { scope, right, kernel, object: None, expires_ms: None, actions: None }
}
