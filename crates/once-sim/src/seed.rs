//! One seed: a random world, a random workload under random faults, then peace, and the last checks.

use std::collections::{BTreeMap, BTreeSet};

use once_core::access::{Right, Scope};
use once_core::group;
use once_core::peers::{PeerRow, PeerStatus};
use once_core::share::UsageRow;
use once_core::store::{Batch, Durability, Store, Table};
use once_core::waist::{Command, Effect, Input};
use once_judge::Tally;
use once_model::cbor::to_cbor;
use once_model::ids::{KernelId, Line, ObjectKey};
use once_model::limits::{OUTBOX_MAX_ROWS, PEERS_MAX};

use crate::check::Violation;
use crate::coverage::{self, Coverage};
use crate::net::Weather;
use crate::workload::forever;
use crate::world::{Kernel, World};

/// Steps of the workload of one seed: chosen so that half of the seeds see well over 2,000 events.
const STEPS: u64 = 340;

/// Most exchanges at the end.
const ROUNDS_MAX: u64 = 9;

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed that the world is made from.
    pub seed: u64,
    /// How many things happened.
    pub events: u64,
    /// All of them, as one number.
    pub hash: u64,
    /// What was met.
    pub cover: Coverage,
    /// How often the judge made each check.
    pub tally: Tally,
    /// Complaints of the judge that fail nothing: it is not decided who is right.
    pub undecided: BTreeMap<&'static str, u64>,
    /// What was broken; empty if all is well.
    pub violations: Vec<Violation>,
}

/// Who looks at a world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Eyes {
    /// The checkers and the judge.
    #[default]
    All,
    /// The judge alone: the executable model of the documents.
    Judge,
    /// The checkers alone.
    Checkers,
}

/// Runs a seed. With `loud`, every event is printed.
#[must_use]
pub fn run(seed: u64, loud: bool) -> Outcome {
    run_before(Eyes::default(), seed, loud)
}

/// Runs a seed before certain eyes.
#[must_use]
pub fn run_before(eyes: Eyes, seed: u64, loud: bool) -> Outcome {
    let mut world = World::new(seed);
    world.judged.off = eyes == Eyes::Checkers;
    world.judged.alone = eyes == Eyes::Judge;
    world.listening = false;
    world.trace.loud = loud;
    let weather = Weather::storm(&mut world.rng);
    world.weather(weather);
    // What a kernel says of what it cannot read is not in the pages of which the judge is a model.
    world.damages = eyes != Eyes::Judge && world.rng.one_in(6);
    world.moves = crate::moves::is_drawn(seed);
    world.luggage_apart = crate::moves::is_apart(seed);
    world.judged.off |= world.damages;
    world.populate(STEPS);
    let end_us = world.now_us + world.planned_us();
    while !world.is_planned_out() && world.now_us < end_us && world.violations().is_empty() {
        world.step();
    }
    if world.violations().is_empty() {
        world.quiet();
        world.heal().settle();
    }
    if world.violations().is_empty() && world.rng.one_in(2) {
        world.tell_many();
    }
    if world.violations().is_empty() {
        exchange_and_compare(&mut world);
    }
    if world.violations().is_empty() {
        world.last_things();
    }
    Outcome {
        seed,
        events: world.events,
        hash: world.trace.hash(),
        tally: world.judged.tally().clone(),
        undecided: std::mem::take(&mut world.judged.undecided),
        violations: world.checker.violations.clone(),
        cover: world.cover,
    }
}

/// Two kernels are given every right and exchange until nothing more travels.
fn exchange_and_compare(world: &mut World) {
    let (a, b) = (Kernel(0), Kernel(1));
    for (here, there) in [(a, b), (b, a)] {
        let peer = world.id(there);
        let addresses = vec![world.nodes[there.0].address.clone()];
        world.command(here, Command::AddPeer { peer, addresses: addresses.clone(), petname: None });
        let quota_bytes = Some(u64::MAX);
        world.command(here, Command::ChangePeer { peer, petname: None, quota_bytes, addresses });
        for right in [Right::Share, Right::Read] {
            world.command(here, Command::Grant(forever(Scope::Kernel, right, peer)));
        }
        world.run_for(100);
        world.command(here, Command::Dial { peer });
    }
    let held = |world: &World| {
        let all = world.items(a.0).into_iter().chain(world.items(b.0));
        all.map(|(item, _)| item).collect::<BTreeSet<_>>()
    };
    world.run_for(45_000);
    for round in 0..ROUNDS_MAX {
        let (here, there) = if round % 2 == 0 { (a, b) } else { (b, a) };
        let before = held(world);
        if !world.exchange(here, there) && world.violations().is_empty() {
            let open = world.connections(here, there);
            world.violated(10, here.0, format!("cannot exchange: {open} connections, nothing broken"));
        }
        world.run_for(45_000);
        // Others may call late, and bring something new.
        if round > 1 && held(world).is_subset(&before) || !world.violations().is_empty() {
            break;
        }
    }
    if world.violations().is_empty() {
        world.check_equal(0, 1);
    }
}

impl World {
    /// What a random run seldom comes to by itself: limits that take millions of rows, a backup that is put back, an
    /// exchange with a kernel that does not want it.
    fn last_things(&mut self) {
        if self.rng.one_in(8) {
            self.backup_put_back();
        }
        if self.rng.one_in(8) {
            self.at_the_limits();
        }
        // A disk so slow that the first word arrives before the connection is closed.
        self.weather(Weather { sync_max_us: 200_000, ..Weather::calm() });
        if self.rng.one_in(8) && self.exchange(Kernel(1), Kernel(0)) {
            let peer = self.id(Kernel(1));
            self.command(Kernel(0), Command::RemovePeer { peer });
            if self.rng.one_in(2) {
                self.crash_while_removing(Kernel(0));
            }
            self.run_for(5000);
        }
    }

    /// A peer that was rolled back is noticed at hello. (Promises 2 to 5 do not hold for it any more.)
    fn backup_put_back(&mut self) {
        self.cover.met("fault backup put back");
        let backup = self.backup(Kernel(0));
        for _ in 0..3 {
            let uuid = once_model::ids::Uuid::from_bytes(self.rng.bytes());
            if let Some(scenario) = crate::scenarios::next_state(&mut self.rng, uuid) {
                self.command(Kernel(0), Command::Create { scenario });
                self.run_for(1000);
            }
            // Peers learn the commit number when they greet, and from shares.
            if self.rng.one_in(2)
                && let Some((_, key)) = self.items(0).last().copied()
            {
                let (to, delivered) = (self.id(Kernel(1)), true);
                self.command(Kernel(0), Command::Share { key, to, delivered });
                self.run_for(3000);
            } else {
                self.cut(Kernel(0), Kernel(1)).run_for(3000);
            }
        }
        if !self.nodes[0].is_up() {
            return;
        }
        // What was acknowledged after the backup is gone: that is what a rollback is.
        self.put_back(Kernel(0), backup).run_for(60_000);
        if let Some(scenario) =
            crate::scenarios::next_state(&mut self.rng, once_model::ids::Uuid::from_u128(7))
        {
            self.command(Kernel(0), Command::Create { scenario });
        }
        let without = self
            .nodes
            .iter()
            .map(|node| node.id)
            .chain(self.puppets.iter().map(|puppet| puppet.id))
            .collect();
        self.command(Kernel(0), Command::EndQuarantine { without });
        if self.rng.one_in(2) {
            self.crash_while_removing(Kernel(0));
        }
        self.run_for(1000);
    }

    fn at_the_limits(&mut self) {
        let Some(key) = self.items(0).first().map(|(_, key)| *key) else { return };
        let key = ObjectKey {
            uuid: key.uuid,
            line: match key.line {
                Line::Unclaimed(h) => Line::Unclaimed(h),
                claimed => claimed,
            },
        };
        let peer = self.id(Kernel(1));
        let usage = UsageRow { stored_bytes: 0, owed_rows: OUTBOX_MAX_ROWS };
        let row = |id: KernelId| {
            let row = PeerRow {
                petname: None,
                says: String::new(),
                status: PeerStatus::Active,
                secret: None,
                addresses: Vec::new(),
                seen: Vec::new(),
                quota_bytes: 0,
                since_ms: 0,
                heard: None,
                invite: None,
                addresses_ms: Vec::new(),
                reborn_ms: None,
            };
            (Table::Peer, id.as_bytes().to_vec(), Some(to_cbor(&row).into()))
        };
        let mut rows: Vec<_> = (0..PEERS_MAX as u64)
            .map(|n| {
                let mut id = [9; 32];
                id[..8].copy_from_slice(&n.to_be_bytes());
                row(KernelId::from_bytes(id))
            })
            .collect();
        rows.push((Table::Usage, peer.as_bytes().to_vec(), Some(to_cbor(&usage).into())));
        let now_us = self.now_us;
        let node = &mut self.nodes[0];
        let (Some(mut engine), Ok(())) =
            (node.engine.take(), node.disk.commit(Batch { rows }, Durability::Synced))
        else {
            return;
        };
        let ctx = node.ctx(now_us);
        let commands = [
            Command::AddPeer { peer: KernelId::from_bytes([3; 32]), addresses: Vec::new(), petname: None },
            Command::Share { key, to: peer, delivered: false },
        ];
        let inputs = commands.into_iter().map(|command| Input::Command { token: 0, command });
        let mut replies = Vec::new();
        let result = group::run(&mut engine, &mut node.disk, &ctx, &mut node.rng, inputs, &mut |effect| {
            if let Effect::Reply { reply, .. } = effect {
                replies.push(reply);
            }
        });
        replies.iter().for_each(|reply| self.cover.met(coverage::reply(reply)));
        if let Err(error) = result {
            self.violated(4, 0, format!("the engine failed at its limits: {error}"));
        }
    }
}
