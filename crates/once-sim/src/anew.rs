//! An engine that has no room for its commit is thrown away, and another one begins in the same process: as the shell does
//! it. Runs, work outside and the mailbox are still those of the process; timers that have not rung are forgotten, and
//! connections end.

use std::collections::BTreeSet;

use once_core::act;
use once_core::shell::{self, Fate, Written};
use once_core::waist::{Input, Token, Why};
use once_model::ids::Uuid;

use crate::net::Who;
use crate::node::{Node, Thread};
use crate::queue::Event;
use crate::world::World;

/// How often the shell looks whether there is room, in microseconds.
const LOOK_EVERY_US: u64 = 500_000;

/// Most inputs that one group takes.
const GROUP_MAX: usize = 24;

/// So many runs of an engine that began anew are its first ones.
const FIRST_RUNS: u64 = 8;

impl Node {
    /// A group begins: some of what is queued. Whoever asks for something in it waits.
    pub(crate) fn take_inputs(&mut self) -> Vec<Input> {
        let most = self.mailbox.len().min(GROUP_MAX);
        let count = 1 + self.rng.index(most);
        let inputs: Vec<Input> = self.mailbox.drain(..count.min(most)).collect();
        self.clients.begin_group();
        for input in &inputs {
            if let Input::Command { token, command } = input {
                let mine = self.clients.ask(shell::acts(command), Some(command), |_| false);
                self.tokens.insert(*token, mine);
            }
        }
        inputs
    }

    /// A client is answered.
    pub(crate) fn note_answered(&mut self, token: Token) {
        if let Some(mine) = self.tokens.remove(&token) {
            self.clients.answered(mine);
        }
    }
}

impl World {
    /// The store has refused a group: nothing of it is on the disk, and what was committed before it is.
    pub(crate) fn throw_engine_away(&mut self, index: usize) {
        self.cover.met("fault engine begins anew in its process");
        let node = &mut self.nodes[index];
        (node.engine, node.anew, node.thread) = (None, true, Thread::Idle);
        // Of those who wait, the shell tells some that what they asked for was not done.
        node.tokens.clear();
        let told = node.clients.give_up(Written::Nothing, &node.disk);
        node.refused =
            told.into_iter().filter(|(_, fate)| *fate == Fate::Refused).filter_map(|(id, _)| id).collect();
        let unsynced = node.disk.unsynced();
        self.judge_crashed(index, unsynced);
        self.cut_off_clients(index);
        for conn in self.net.open_of(Who::Kernel(index)) {
            self.close(index, conn);
        }
        // Whoever makes room may do so at once.
        let within_us = if self.rng.one_in(2) { 5_000 } else { LOOK_EVERY_US };
        let again_us = self.now_us + self.rng.up_to(within_us);
        self.queue.push(again_us, Event::Start { node: index });
    }

    /// The next engine has begun.
    pub(crate) fn begun_anew(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let refused = std::mem::take(&mut node.refused);
        let is_here = |id: &Uuid| act::request(&node.disk, id).is_ok_and(|row| row.is_some());
        if let Some(id) = refused.into_iter().find(is_here) {
            self.violated(4, index, format!("action {id} was said to be refused, and is here"));
        }
        self.nodes[index].anew_runs = FIRST_RUNS;
        if let Some(free_bytes) = self.nodes[index].disk.room {
            self.nodes[index].mailbox.push_front(Input::Disk { free_bytes });
        }
    }

    /// There is still no room for the first commit.
    pub(crate) fn wait_anew(&mut self, index: usize) {
        self.nodes[index].anew = true;
        self.cut_off_clients(index);
        self.queue.push(self.now_us + LOOK_EVERY_US, Event::Start { node: index });
    }

    /// A component was asked to run an action: the disk may be full before it answers, and the answer comes to the next
    /// engine. At its limit a disk is full again soon.
    pub(crate) fn may_be_full(&mut self, index: usize) -> bool {
        let one_in = if self.nodes[index].anew_runs > 0 { 4 } else { 60 };
        let will_be = self.workload_goes_on() && self.rng.one_in(one_in);
        if will_be {
            self.nodes[index].full_after = Some(self.rng.up_to(3));
        }
        self.nodes[index].anew_runs = self.nodes[index].anew_runs.saturating_sub(1);
        will_be
    }

    /// Whoever waits is told that nothing is known. What has come while there was no engine is dropped; what comes last
    /// may be there for the next one.
    fn cut_off_clients(&mut self, index: usize) {
        match self.rng.one_in(2) {
            true => self.nodes[index].mailbox.clear(),
            // How much room there is the shell looks up itself, before each group.
            false => self.nodes[index].mailbox.retain(|input| !matches!(input, Input::Disk { .. })),
        }
        let token = |input: &Input| match input {
            Input::Command { token, .. }
            | Input::Arrived { why: Why::Asked { token } | Why::Offered { token }, .. } => Some(*token),
            _ => None,
        };
        let waiting: BTreeSet<_> = self.nodes[index].mailbox.iter().filter_map(token).collect();
        if self.checker.stopped(&self.nodes[index].id, &waiting) {
            self.cover.met("state unanswered client after a crash");
        }
    }
}
