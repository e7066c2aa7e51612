//! The part of the random workload that moves objects: there, back, on and on, while they are acted on and while those who
//! take part in it crash, lose each other or lose the right.

use std::ops::ControlFlow;

use once_core::access::{Grant, Right, Scope};
use once_core::object;
use once_core::waist::Command;
use once_model::action::Action;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::PEER_QUOTA_BYTES;
use once_model::moving::{Handed, Handoff};
use once_model::wire::Pull;

use crate::journal;
use crate::judged::Stream;
use crate::queue::Event;
use crate::rng::Rng;
use crate::scenarios;
use crate::workload::{Workload, forever};
use crate::world::{Kernel, World};

/// Marks the seeds whose objects move, without a draw from the numbers of the world: all others stay as they were.
const MOVES: u64 = 0x6d6f_7665;

/// One seed in so many moves objects.
const ONE_IN: u64 = 6;

/// Whether objects move in the world of a seed.
pub(crate) fn is_drawn(seed: u64) -> bool {
    Rng::new(seed ^ MOVES).one_in(ONE_IN)
}

/// Marks the seeds in which luggage is pulled.
const APART: u64 = 0x6170_6172;

/// Whether luggage is pulled in the world of a seed.
pub(crate) fn is_apart(seed: u64) -> bool {
    is_drawn(seed) && Rng::new(seed ^ APART).one_in(2)
}

/// Most luggage is small: so where it is pulled, every other kernel puts none inside a frame.
pub(crate) fn luggage_inline(index: usize) -> usize {
    if index.is_multiple_of(2) { 0 } else { once_model::limits::LUGGAGE_INLINE_MAX_BYTES }
}

impl World {
    /// At the beginning: who may move objects where.
    pub(crate) fn allow_moves(&mut self) {
        for (a, b) in self.pairs_of_kernels() {
            if self.rng.per_mille(800) {
                let grant = self.right_to_host(self.nodes[b].id);
                self.command(Kernel(a), Command::Grant(grant));
            }
        }
    }

    fn pairs_of_kernels(&self) -> Vec<(usize, usize)> {
        let count = self.nodes.len();
        (0..count).flat_map(|a| (0..count).filter(move |b| *b != a).map(move |b| (a, b))).collect()
    }

    fn right_to_host(&mut self, kernel: KernelId) -> Grant {
        let scope = match self.rng.up_to(6) {
            0 => Scope::Component(journal::NAME.into()),
            1 => Scope::Component(self.rng.pick(&scenarios::COMPONENTS).copied().unwrap_or_default().into()),
            _ => Scope::Kernel,
        };
        let expires_ms =
            self.rng.one_in(12).then(|| self.nodes[0].now_ms(self.now_us) + self.rng.up_to(30_000));
        Grant { expires_ms, ..forever(scope, Right::Host, kernel) }
    }

    /// One step: an object begins to move, stays, or a right changes.
    pub(crate) fn move_something(&mut self, index: usize, work: &mut Workload) {
        let here = Kernel(index);
        match self.rng.up_to(16) {
            0 => {
                let leaving = once_core::moving::departures(&self.nodes[index].disk).unwrap_or_default();
                let leaving = self.rng.pick(&leaving).map(|departure| departure.key);
                let key = leaving.unwrap_or_else(|| self.any_key(index, work));
                self.command(here, Command::Stay { key });
            }
            1 => {
                let other = self.rng.index(self.nodes.len());
                let grant = self.right_to_host(self.nodes[other].id);
                self.command(here, Command::Grant(grant));
            }
            2 => {
                let other = self.rng.index(self.nodes.len());
                let grant = self.right_to_host(self.nodes[other].id);
                self.command(here, Command::Revoke(grant));
            }
            3 | 4 => self.give_history(index),
            5 => self.hand_on_follows(index, work),
            _ => self.move_away(index, work),
        }
    }

    /// Somebody wants another kernel to follow what a kernel follows.
    fn hand_on_follows(&mut self, index: usize, work: &mut Workload) {
        let follows = crate::check::follow::all_subscriptions(&self.nodes[index].disk);
        let Some((at, key)) = self.rng.pick(&follows).copied() else { return };
        let Some(to) = self.any_peer(index, work) else { return };
        self.command(Kernel(index), Command::FollowInstead { key, at, to });
    }

    /// Somebody wants a kernel to give what it has recorded of an object that has moved, or of several, to the present homes.
    fn give_history(&mut self, index: usize) {
        let (me, mut moved) = (self.nodes[index].id, Vec::new());
        let read = object::heads(&self.nodes[index].disk, &mut |head| {
            let home = head.home.filter(|home| *home != me);
            moved.extend(home.map(|home| (head.header.key(), home)));
            ControlFlow::Continue(())
        });
        if read.is_err() {
            return;
        }
        for _ in 0..=self.rng.up_to(2) {
            let Some((key, home)) = self.rng.pick(&moved).copied() else { return };
            if self.rng.one_in(3) {
                self.leave_little_room(home, me);
            }
            self.command(Kernel(index), Command::Archive { key });
            if self.rng.one_in(4) {
                let up_to = self.rng.up_to(8);
                self.command(Kernel(index), Command::Receipted { key, up_to });
            }
            if self.rng.one_in(2) {
                // The connection breaks while a page is on its way, and people ask again.
                let soon_us = self.now_us + self.rng.up_to(80_000);
                self.queue.push(soon_us, Event::Storm { node: index, left: 0 });
                for seconds in [3, 9] {
                    self.command_at(self.now_us + seconds * 1_000_000, index, Command::Archive { key });
                }
            }
        }
    }

    /// For some seconds a kernel keeps next to nothing more for another one.
    fn leave_little_room(&mut self, at: KernelId, of: KernelId) {
        let Some(index) = self.nodes.iter().position(|node| node.id == at) else { return };
        for (seconds, quota) in [(0, self.rng.up_to(2_000)), (20, PEER_QUOTA_BYTES)] {
            let quota_bytes = Some(quota);
            let less = Command::ChangePeer { peer: of, petname: None, quota_bytes, addresses: Vec::new() };
            self.command_at(self.now_us + seconds * 1_000_000, index, less);
        }
    }

    fn move_away(&mut self, index: usize, work: &mut Workload) {
        let key = self.any_own(index).unwrap_or_else(|| self.any_key(index, work));
        let Some(to) = self.any_peer(index, work) else { return };
        if key.lineage().is_none() && !self.rng.one_in(6) {
            self.command(Kernel(index), Command::Claim { key });
            return;
        }
        if self.rng.one_in(2) {
            self.invite_a_visitor((index, key, to), work);
        }
        if self.luggage_apart && self.rng.one_in(3) {
            self.command(Kernel(index), Command::WouldMove { key, to });
        }
        let wait = self.rng.one_in(2);
        let leave_calls = self.rng.one_in(3);
        let without_me = self.rng.one_in(4);
        if leave_calls {
            let payee = self.rng.pick(&work.acting.journals).copied();
            let payee = payee.map(|(home, key)| journal::name(&key, &self.nodes[home].id));
            self.has_do(index, work, &key, "pay", payee);
        }
        // If it is a journal, it may go by itself.
        let roams = self.rng.one_in(5) && self.has_do(index, work, &key, "roam", Some(format!("\"{to}\"")));
        if !roams {
            self.command(Kernel(index), Command::Move { key, to, leave_calls, without_me, wait });
        }
        if self.rng.one_in(8)
            && let Some(other) = self.any_peer(index, work)
        {
            self.command(Kernel(index), Command::Move { key, to: other, leave_calls, without_me, wait });
        }
        if self.rng.one_in(4) {
            self.has_do(index, work, &key, "bear", Some("{}".to_owned()));
        }
        if self.rng.per_mille(700) {
            self.trust(index, key);
        }
        if self.rng.one_in(6) {
            let soon_us = self.now_us + self.rng.up_to(600_000);
            self.command_at(soon_us, index, Command::Stay { key });
        }
        for _ in 0..self.rng.up_to(3) {
            self.act_on_something(index, work);
        }
        self.disturb(index, to);
    }

    /// A client has a journal do something, by the name that it had first: so it is in the lane of all others. Whether it is a journal.
    fn has_do(
        &mut self,
        index: usize,
        work: &mut Workload,
        key: &ObjectKey,
        name: &str,
        arguments: Option<String>,
    ) -> bool {
        let known = work.acting.journals.iter().find(|(_, known)| known.uuid == key.uuid).copied();
        let (Some((home, key)), Some(arguments)) = (known, arguments) else { return false };
        let any = self.any_action(index, &work.acting);
        let action = Action { name: name.into(), arguments: arguments.into(), given: Vec::new(), ..any };
        let at = Some(self.nodes[home].id);
        self.command(Kernel(index), Command::Act { key, at, action, deadline_ms: None, wait: false });
        true
    }

    /// Somebody gives an object a right of its own: wherever it goes it acts by that.
    fn trust(&mut self, index: usize, key: ObjectKey) {
        let kernel = self.nodes[index].id;
        let (at, on) = (self.rng.index(self.nodes.len()), self.rng.one_in(2));
        let scope = if on { Scope::Kernel } else { Scope::Component(journal::NAME.into()) };
        let grant = Grant { object: Some(key), ..forever(scope, Right::Act, kernel) };
        self.command(Kernel(at), Command::Grant(grant));
    }

    /// Something happens to those who take part, in the seconds that a move takes.
    fn disturb(&mut self, index: usize, to: KernelId) {
        let Some(crate::net::Who::Kernel(other)) = self.who.get(&to).copied() else { return };
        let soon_us = self.now_us + self.rng.up_to(400_000);
        let who = if self.rng.one_in(2) { index } else { other };
        match self.rng.up_to(10) {
            0 | 1 => {
                let run = self.nodes[who].run;
                self.queue.push(soon_us, Event::Crash { node: who, run });
            }
            2 if self.nodes[other].is_up() => {
                let peer = self.nodes[index].id;
                for scope in [Scope::Kernel, Scope::Component(journal::NAME.into())] {
                    let command = Command::Revoke(forever(scope, Right::Host, peer));
                    self.command_at(soon_us, other, command);
                }
            }
            3 => {
                self.queue.push(soon_us, Event::Storm { node: who, left: 2 });
            }
            4 => self.command_at(soon_us, index, Command::RemovePeer { peer: to }),
            _ => {}
        }
    }

    /// A client gives a command some time later, if the kernel is still the same process.
    pub(crate) fn command_at(&mut self, at_us: u64, index: usize, command: Command) {
        if !self.nodes[index].is_up() {
            return;
        }
        let (token, run) = (self.next_id(), self.nodes[index].run);
        self.cover.met(crate::coverage::command(&command));
        let input = once_core::waist::Input::Command { token, command };
        self.queue.push(at_us, Event::Input { node: index, run, input });
    }

    /// A receiver has accepted an object: now and then its home does not take that in, as where its disk cannot be read just then,
    /// and the object comes straight back.
    pub(crate) fn comes_straight_back(&mut self, index: usize, peer: KernelId, handed: &Handed) -> bool {
        let Some(crate::net::Who::Kernel(other)) = self.who.get(&peer).copied() else { return false };
        if !handed.answer.accepted || !self.moves || !self.rng.one_in(5) {
            return false;
        }
        let (key, to) = (handed.key, self.nodes[index].id);
        let grant = self.right_to_host(peer);
        self.command(Kernel(index), Command::Grant(grant));
        let command =
            Command::Move { key, to, wait: false, leave_calls: self.rng.one_in(2), without_me: false };
        let soon_us = self.now_us + self.rng.up_to(200_000);
        self.command_at(soon_us, other, command);
        true
    }

    /// An object is handed over: now and then somebody else asks for its luggage, too, whose name he should not know.
    pub(crate) fn spy_on(&mut self, index: usize, said: &Handoff) {
        let Some(handoff) = said.chain.links.last() else { return };
        let (spy, stream) = (self.rng.index(self.nodes.len()), self.next_id());
        let (peer, Some(content)) = (self.nodes[spy].id, handoff.luggage) else { return };
        if peer == handoff.home || !self.rng.one_in(4) {
            return;
        }
        self.cover.met("state luggage asked for by others");
        let pull = Pull { key: said.header.key(), content, offset: 0 };
        self.give_bytes(Stream { node: index, peer, conn: 0, stream }, &pull);
    }

    /// An object whose home a kernel is: mostly a journal.
    fn any_own(&mut self, index: usize) -> Option<ObjectKey> {
        let me = self.nodes[index].id;
        let (mut journals, mut others) = (Vec::new(), Vec::new());
        let read = object::heads(&self.nodes[index].disk, &mut |head| {
            let own = head.home == Some(me) || head.header.lineage.is_none();
            if own && !head.header.tombstone {
                let of = if head.header.component == journal::NAME { &mut journals } else { &mut others };
                of.push(head.header.key());
            }
            ControlFlow::Continue(())
        });
        read.ok()?;
        let first = if self.rng.per_mille(800) { &journals } else { &others };
        self.rng.pick(first).copied()
    }
}
