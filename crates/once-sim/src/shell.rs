//! What the shell does around the engine, thinly, as the real one: the process, mailbox and groups, effects, timers.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use once_core::memory::DiskFault;
use once_core::store::StoreError;
use once_core::waist::{
    self, Answer, Effect, Event as Notice, Input, LinkEvent, RunResult, Timer, Token, Wait,
};
use once_core::{Engine, Refusal, group};
use once_model::ids::BootId;
use once_model::wire::{Code, Frame};

use crate::check::Group;
use crate::coverage;
use crate::judged::{Ran, Watcher};
use crate::node::{MAILBOX_MAX, Thread};
use crate::queue::Event;
use crate::world::{Kernel, World};

/// Pauses before dials are numbered: those of one peer count together.
fn of_a_kind(timer: Timer) -> Timer {
    match timer {
        Timer::Redial(peer, _) => Timer::Redial(peer, 0),
        other => other,
    }
}

impl World {
    /// One thing happens.
    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Input { node, run, input } => {
                if self.nodes[node].run != run || !self.nodes[node].is_up() {
                    return;
                }
                if let Input::Timer(timer) = &input
                    && let Some(count) = self.nodes[node].timers.get_mut(&of_a_kind(*timer))
                {
                    *count = count.saturating_sub(1);
                }
                if let Input::Ran(ran) = &input {
                    self.nodes[node].runs.remove(&ran.run);
                }
                // One that was given ahead is waited for from now on, whichever engine of this process hears it.
                if let Input::Command { token, command } = &input {
                    let what = crate::coverage::command(command);
                    self.checker.asked(&self.nodes[node].id, *token, what);
                }
                self.enqueue(node, input);
            }
            Event::Frame { conn, side, bytes } => self.frame_arrives(conn, side, bytes),
            Event::Wake { node, run } => {
                if self.nodes[node].run == run && self.nodes[node].thread == Thread::Woken {
                    self.group(node);
                }
                return;
            }
            Event::Release { node, run, effects } => {
                if self.nodes[node].run != run {
                    self.cover.met("fault crash between commit and effects");
                    return;
                }
                self.nodes[node].thread = Thread::Idle;
                effects.into_iter().for_each(|effect| self.carry_out(node, effect));
                self.read_on(node);
                self.wake(node);
                return;
            }
            Event::Dialled { node, run, peer, addresses } => self.dialled(node, run, peer, &addresses),
            Event::Down { conn, side } => self.down(conn, side),
            Event::Pull { id, step } => self.pull_step(id, step),
            Event::Exchange { id, message } => self.exchange_step(id, message),
            Event::Crash { node, run } => {
                if self.nodes[node].run == run {
                    self.crash(Kernel(node));
                }
            }
            Event::Start { node } => {
                if !self.nodes[node].is_up() && !self.waits_for_room(node) {
                    self.start(node);
                }
            }
            Event::Room { node, until_us } => self.look_for_room(node, until_us),
            Event::Storm { node, left } => self.storm(node, left),
            Event::Mischief { puppet } => self.mischief(puppet),
            Event::Plan => self.plan(),
        }
        self.events += 1;
        self.trace.number(self.now_us);
    }

    /// Puts an input into the mailbox and wakes the engine.
    pub(crate) fn enqueue(&mut self, node: usize, input: Input) {
        self.cover.met(coverage::input(&input));
        self.trace.number(node as u64);
        self.nodes[node].mailbox.push_back(input);
        if self.nodes[node].mailbox.len() >= MAILBOX_MAX {
            self.cover.met("state mailbox full");
        }
        self.wake(node);
    }

    /// The engine thread takes what is queued a moment later: more may have come until then.
    fn wake(&mut self, node: usize) {
        let (thread, run) = (self.nodes[node].thread, self.nodes[node].run);
        if thread == Thread::Idle && !self.nodes[node].mailbox.is_empty() {
            self.nodes[node].thread = Thread::Woken;
            let pause_us = if self.rng.one_in(4) { self.rng.up_to(3000) } else { 0 };
            self.queue.push(self.now_us + pause_us, Event::Wake { node, run });
        }
    }

    /// Starts a kernel's process on its disk as it is.
    pub(crate) fn start(&mut self, index: usize) {
        let boot = BootId::from_bytes(self.rng.bytes());
        let now_us = self.now_us;
        let node = &mut self.nodes[index];
        let anew = std::mem::take(&mut node.anew);
        if !anew {
            node.run += 1;
            node.boot = boot;
        } else {
            // The shell forgets those of the engine before; what rings just now is on its way.
            self.queue.forget_timers(index, now_us);
            node.timers.clear();
        }
        node.thread = Thread::Idle;
        node.index = None;
        let in_doubt = node.disk.take_in_doubt();
        if self.checker.is_removing(&node.disk) {
            self.cover.met("state removal goes on after a crash");
        }
        self.checker.within(&node.id, &node.limits);
        self.judged.within(node.id, &node.limits);
        self.checker.started(&node.id, &node.disk, &in_doubt);
        self.checker.log_opened(&node.id, &node.disk);
        let ctx = node.ctx(now_us);
        node.disk.set_fault(if node.disk_full_until_us > now_us { DiskFault::Full } else { DiskFault::None });
        let mut engine = Engine::within(node.limits);
        let mut effects = Vec::new();
        let mut watcher = Watcher::new(&node.runner);
        node.disk.fail_after(node.reads_left.take());
        let result = group::start_watched(
            &mut engine,
            &mut node.disk,
            (&ctx, &mut node.rng),
            &mut |txn, effects| watcher.step(txn, effects, &[]),
            &mut |effect| effects.push((effect, false)),
        );
        if node.disk.fail_after(None) {
            self.cover.met("fault failed read at a start");
        }
        let commit = node.disk.take_last();
        match result {
            Ok(()) => {
                node.engine = Some(engine);
                self.checker.begun(&node.id, &node.disk, ctx.now_ms);
                self.trace.line(|| format!("{:>9} {} started", now_us / 1000, self.nodes[index].name));
                self.trace.line(|| format!("          with {:?}", self.nodes[index].limits));
                let commit = commit.as_ref();
                let ran = Ran {
                    ctx: &ctx,
                    inputs: &[],
                    watcher,
                    effects: &effects,
                    commit,
                    failed: false,
                    unread: false,
                };
                self.judge_started(index, ran);
                effects.into_iter().for_each(|(effect, _)| self.carry_out(index, effect));
                if let Err(what) = self.checker.check_store(&self.nodes[index].id, &self.nodes[index].disk) {
                    self.violated(4, index, what);
                }
                if anew {
                    self.begun_anew(index);
                }
                self.wake(index);
            }
            Err(StoreError::Full) if anew => self.wait_anew(index),
            Err(_) => self.stopped(index),
        }
    }

    /// One group: what is queued is stepped, committed, and its effects are released when the commit is on disk.
    fn group(&mut self, index: usize) {
        let now_us = self.now_us;
        let node = &mut self.nodes[index];
        let Some(mut engine) = node.engine.take() else { return };
        let inputs = node.take_inputs();
        if inputs.len() > 4 {
            self.cover.met("state group of many inputs");
        }
        let ctx = node.ctx(now_us);
        let fault = node.fault(now_us);
        node.disk.set_fault(fault);
        let commits = node.disk.commits();
        let before = commits.get();
        let mut released = Vec::new();
        let mut watcher = Watcher::new(&node.runner);
        node.disk.lend(node.reads_left.take());
        let result = group::run_watched(
            &mut engine,
            &mut node.disk,
            (&ctx, &mut node.rng),
            inputs.clone(),
            &mut |txn, effects| watcher.step(txn, effects, &inputs),
            &mut |effect| released.push((effect, commits.get() == before)),
        );
        node.engine = Some(engine);
        let unread = node.disk.take_back();
        let commit = node.disk.take_last();
        let committed = commit.is_some() || result.is_err();
        // Without a commit nothing is early.
        released.iter_mut().for_each(|(_, early)| *early &= committed);
        for (effect, early) in &released {
            self.cover.met(if *early { "effect Send before the commit" } else { coverage::effect(effect) });
            self.trace.number(coverage::effect(effect).len() as u64);
        }
        self.trace.number(commit.as_ref().map_or(0, |commit| commit.rows.len() as u64));
        let node = &self.nodes[index];
        self.checker.group(
            &Group {
                kernel: node.id,
                now_ms: ctx.now_ms,
                at_ms: now_us / 1000,
                inputs: &inputs,
                effects: &released,
                commit: commit.as_ref(),
                store: &node.disk,
                failed: result.is_err(),
            },
            &mut self.cover,
        );
        let (inputs, failed) = (inputs.as_slice(), result.is_err());
        let (effects, of) = (released.as_slice(), commit.as_ref());
        self.judge_group(index, Ran { ctx: &ctx, inputs, watcher, effects, commit: of, failed, unread });
        if !self.checker.violations.is_empty() {
            // What the kernel was given in the group that broke it.
            for input in inputs {
                self.trace.line(|| format!("          group: {:.400}", format!("{input:?}")));
            }
        }
        if self.nodes[index].runner.put_off.swap(false, Ordering::Relaxed) {
            self.cover.met("state action put off");
            self.ready_soon(index);
        }
        let synced = result.as_ref().is_ok_and(|committed| committed.synced);
        let (early, late): (Vec<_>, Vec<_>) = released.into_iter().partition(|(_, early)| *early);
        early.into_iter().for_each(|(effect, _)| self.carry_out(index, effect));
        if let Err(error) = result {
            return self.failed(index, &error, fault, unread);
        }
        let run = self.nodes[index].run;
        self.nodes[index].thread = Thread::Committing;
        let took_us = if synced { self.rng.up_to(self.net.weather.sync_max_us) } else { 0 };
        self.crash_soon(index, took_us, commit.as_ref());
        let effects = late.into_iter().map(|(effect, _)| effect).collect();
        self.queue.push(now_us + took_us, Event::Release { node: index, run, effects });
    }

    /// The engine gave up: it must have had a reason.
    fn failed(&mut self, index: usize, error: &StoreError, fault: DiskFault, unread: bool) {
        self.trace.line(|| format!("{:>9} {} fails: {error}", self.now_us / 1000, self.nodes[index].name));
        self.cover.met("state engine thrown away");
        let without = fault == DiskFault::None && !unread && *error != StoreError::Full;
        self.cover.met(match fault {
            DiskFault::Full => "fault disk full",
            DiskFault::FailedSync => "fault failed sync",
            DiskFault::None if unread => "fault failed read",
            DiskFault::None if !without => "fault disk full to the last byte",
            DiskFault::None => "engine failed without a fault",
        });
        if without {
            self.violated(4, index, format!("the engine failed: {error}"));
        }
        match *error == StoreError::Full && !self.rng.one_in(4) {
            true => self.throw_engine_away(index),
            false => self.crash_node(index),
        }
    }

    /// Who serves the component of the simulator is there again. Now and then nobody says so.
    fn ready_soon(&mut self, index: usize) {
        if self.workload_goes_on() && self.rng.one_in(20) {
            return;
        }
        let (run, at_us) = (self.nodes[index].run, self.now_us + self.rng.up_to(2_000_000));
        let input = Input::Ready { component: crate::journal::NAME.into() };
        self.queue.push(at_us, Event::Input { node: index, run, input });
    }

    /// Does what the engine wants done.
    fn carry_out(&mut self, index: usize, effect: Effect) {
        let run = self.nodes[index].run;
        match effect {
            // No client here reads snapshots: it asks the engine.
            Effect::Told { .. } => {}
            Effect::Reply { token, reply } => self.replied(index, token, reply),
            Effect::Send { peer: _, conn, frame } => self.send_from(index, conn, &frame),
            Effect::Dial { peer, addresses } => {
                let after_us = self.net.latency_us(&mut self.rng) * 2;
                self.queue.push(self.now_us + after_us, Event::Dialled { node: index, run, peer, addresses });
            }
            Effect::Close { peer: _, conn, code } => {
                self.cover.met(coverage::code(code));
                if code == Code::Busy && self.has_other_connection(index, conn) {
                    self.cover.met("state superseded connection");
                }
                self.close(index, conn);
            }
            Effect::Run(asked) => self.run_asked(index, &asked),
            Effect::Work(work) => {
                let after_us = self.rng.up_to(3_000_000);
                let result = if self.rng.one_in(5) { Err("\"no\"".into()) } else { Ok(work.arguments) };
                let worked = Input::Worked { key: work.key, id: work.id, result };
                self.queue.push(self.now_us + after_us, Event::Input { node: index, run, input: worked });
            }
            Effect::Pull { peer, conn, what } => self.pull(index, peer, conn, *what),
            Effect::Timer { after_ms, timer } => {
                let count = self.nodes[index].timers.entry(of_a_kind(timer)).or_default();
                *count += 1;
                let count = *count;
                self.checker.timers(&self.nodes[index].id, timer, count, self.now_us / 1000);
                let input = Input::Timer(timer);
                self.queue.push(self.now_us + after_ms * 1000, Event::Input { node: index, run, input });
            }
            Effect::Event(notice) => {
                self.cover.met(coverage::event(&notice));
                if let Notice::Delivered { answer, .. } = &notice {
                    self.cover.met(coverage::share(*answer));
                }
                if let Notice::Connected { peer, conn, .. } = &notice {
                    self.admitted(index, *conn, *peer);
                }
                if self.listening {
                    self.notices.push((Kernel(index), notice));
                }
            }
        }
    }

    /// A component is asked to run an action; now and then it gives it back.
    fn run_asked(&mut self, index: usize, asked: &waist::Run) {
        let run = self.nodes[index].run;
        let (run_id, key) = (asked.run, asked.key);
        if !self.nodes[index].runs.insert(run_id) {
            self.violated(3, index, format!("asks for run {run_id} while one of that number is being made"));
        }
        let is_slow = self.may_be_full(index);
        let result = if self.workload_goes_on() && self.rng.one_in(16) {
            self.cover.met("state run given up");
            self.ready_soon(index);
            RunResult::Later(Wait::ForRoom)
        } else {
            self.nodes[index].runner.installed.run(asked)
        };
        let after_us =
            if is_slow || self.rng.one_in(4) { self.rng.up_to(2_000_000) } else { self.rng.up_to(20_000) };
        let ran = Input::Ran(Box::new(waist::Ran { run: run_id, key, result }));
        self.queue.push(self.now_us + after_us, Event::Input { node: index, run, input: ran });
    }

    /// A client of a kernel is answered.
    fn replied(&mut self, index: usize, token: Token, reply: Result<Answer, Refusal>) {
        self.nodes[index].note_answered(token);
        self.cover.met(coverage::reply(&reply));
        if let Err(Refusal::OutboxFull { rows, .. }) = &reply {
            let lane = *rows == self.nodes[index].limits.queue_rows;
            self.cover.met(if lane { "state lane full at its origin" } else { "state outbox full" });
        }
        self.trace.line(|| format!("{:>9} {} replies {reply:?}", self.now_us / 1000, self.nodes[index].name));
        if let Ok(Answer::Kept(answer)) = &reply {
            self.cover.met(coverage::share(*answer));
            self.exchange_kept(token, *answer);
        }
        if self.listening {
            self.replies.insert(token, reply);
        }
    }

    /// Sends a control frame from a kernel.
    pub(crate) fn send_from(&mut self, index: usize, conn: u64, frame: &Frame) {
        self.cover.met(coverage::frame(frame));
        if let Frame::Handoff(said) = frame {
            self.spy_on(index, said);
        }
        let who = crate::net::Who::Kernel(index);
        let Some(side) = self.net.conns.get(&conn).and_then(|conn| conn.side_of(who)) else { return };
        self.trace.line(|| {
            format!("{:>9} {} -> conn {conn}: {}", self.now_us / 1000, self.nodes[index].name, brief(frame))
        });
        // Chains are short here: of all but the last certificate the receiver is told where they are.
        let bytes = frame.shortened_to(1).map_or_else(|| frame.encode(), |short| short.encode());
        self.transmit(conn, side, bytes.into());
    }

    /// The process of a kernel is gone: its memory, its connections, its clients.
    pub(crate) fn stopped(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.engine = None;
        (node.anew, node.anew_runs) = (false, 0);
        node.run += 1;
        node.mailbox.clear();
        node.clients.forget();
        node.tokens.clear();
        node.stalled.clear();
        node.timers.clear();
        node.runs.clear();
        if self.checker.stopped(&node.id, &BTreeSet::new()) {
            self.cover.met("state unanswered client after a crash");
        }
        let restart_us = self.now_us + self.rng.between(50_000, 12_000_000);
        self.queue.push(restart_us, Event::Start { node: index });
        self.cut_all(index);
    }

    /// Power loss at a kernel: what was not synced may be lost. It starts again some time later.
    pub(crate) fn crash_node(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let unsynced = node.disk.unsynced();
        let survivors = node.rng.index(unsynced + 1);
        if survivors < unsynced {
            self.cover.met("fault crash loses unsynced writes");
        }
        if node.thread == Thread::Committing {
            self.cover.met("fault crash during the sync");
        }
        node.sync_will_fail = false;
        node.disk.crash(survivors);
        self.checker.sealed_at_a_crash(&node.disk, &mut self.cover);
        self.judge_crashed(index, survivors);
        self.trace.line(|| format!("{:>9} {} crashes", self.now_us / 1000, self.nodes[index].name));
        self.stopped(index);
    }

    /// Tells the engine what became of a connection.
    pub(crate) fn link(&mut self, index: usize, peer: once_model::ids::KernelId, event: LinkEvent) {
        self.trace.line(|| format!("{:>9} {} link {event:?}", self.now_us / 1000, self.nodes[index].name));
        self.enqueue(index, Input::Link { peer, event });
    }
}

/// A frame in a few words.
pub(crate) fn brief(frame: &Frame) -> String {
    match frame {
        Frame::Share(parcel) => {
            let header = &parcel.header;
            let bytes = parcel.body.as_ref().map(bytes::Bytes::len);
            format!("Share {} epoch {} revision {} {bytes:?}", header.key(), header.epoch, header.revision)
        }
        Frame::Hello(_) => "Hello".into(),
        Frame::Admitted(_) => "Admitted".into(),
        other => format!("{other:?}").chars().take(200).collect(),
    }
}
