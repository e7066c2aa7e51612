//! A group in the order that the judge asks for: each input and what it led to, the commit, what leaves.

use std::collections::VecDeque;
use std::ops::Range;

use once_core::access;
use once_core::waist::{Ctx, Effect, Event, Input, LinkEvent, Run, RunResult, Why};
use once_judge::seen::{Ask, Direction, Reply, Seen};
use once_model::action::BUILT_IN_FROM;
use once_model::ids::{Incarnation, KernelId, ObjectKey};
use once_model::limits::DISK_RESERVE_BYTES;
use once_model::wire::Frame;

use super::rows::Row;
use super::watch::{Step, Watcher};
use super::{Judged, words};
use crate::disk::{Commit, Disk};
use crate::workload::forever;
use crate::world::World;

/// A group that was run.
pub(crate) struct Ran<'a> {
    pub ctx: &'a Ctx,
    pub inputs: &'a [Input],
    pub watcher: Watcher,
    /// With whether they left before the commit.
    pub effects: &'a [(Effect, bool)],
    pub commit: Option<&'a Commit>,
    pub failed: bool,
    /// The disk ceased to answer.
    pub unread: bool,
}

impl World {
    /// A process begins, and this is its first group.
    pub(crate) fn judge_started(&mut self, index: usize, ran: Ran<'_>) {
        if self.judged.off {
            return;
        }
        let (kernel, at_ms, disk) = (self.nodes[index].id, self.now_us / 1000, &self.nodes[index].disk);
        let incarnation = once_core::meta::incarnation(disk).ok();
        let boot = ran.watcher.steps.iter().find_map(|step| step.rows.boot);
        let (Some(incarnation), Some(boot)) = (incarnation, boot) else { return };
        let Ctx { now_ms, boot: boot_id, .. } = *ran.ctx;
        let side = self.judged.side(kernel);
        side.ahead_ms = Some(i128::from(now_ms) - i128::from(at_ms));
        side.incarnation = Some(incarnation);
        self.judged.see(kernel, at_ms, Seen::Started { incarnation, boot, boot_id, now_ms });
        let mut known = Vec::new();
        for peer in std::mem::take(&mut self.judged.side(kernel).greeted) {
            if access::is_peer(disk, &peer).unwrap_or(false) {
                known.push((Ask::PeerAdd(peer), Reply::Done));
                let share = forever(access::Scope::Kernel, access::Right::Share, peer);
                if matches!(access::may_share(disk, &peer, now_ms), Ok(true)) {
                    known.push((Ask::Grant(words::grant(&share)), Reply::Done));
                }
            }
        }
        for (ask, reply) in known {
            let token = self.judged.number();
            self.judged.see(kernel, at_ms, Seen::Client { token, ask });
            self.judged.see(kernel, at_ms, Seen::Answered { token, answer: Ok(reply) });
        }
        // The engine thinks that there is room until it is told otherwise.
        self.judged.see(kernel, at_ms, Seen::Room { short: false });
        self.judge_group(index, ran);
    }

    /// A group was run.
    pub(crate) fn judge_group(&mut self, index: usize, ran: Ran<'_>) {
        // Of a group in which the disk fell silent nothing has happened, and what it wrote cannot be looked at.
        let is_void = ran.unread && ran.failed && ran.effects.is_empty();
        if self.judged.off || is_void {
            return;
        }
        let (at_ms, node) = (self.now_us / 1000, &self.nodes[index]);
        let told = Told { judged: &mut self.judged, kernel: node.id, at_ms, disk: &node.disk };
        told.group(ran);
        self.judge_says();
    }
}

/// Tells of one kernel at one moment.
struct Told<'a> {
    judged: &'a mut Judged,
    kernel: KernelId,
    at_ms: u64,
    /// After the commit.
    disk: &'a Disk,
}

impl Told<'_> {
    fn see(&mut self, seen: Seen) {
        self.judged.see(self.kernel, self.at_ms, seen);
    }

    fn group(mut self, ran: Ran<'_>) {
        if ran.failed {
            let greeted = ran.inputs.iter().filter_map(|input| match input {
                Input::Frame { peer, frame: Frame::Hello(_), .. } => Some(*peer),
                _ => None,
            });
            self.judged.side(self.kernel).greeted.extend(greeted);
        }
        self.judged.clock(self.kernel, self.at_ms, ran.ctx.now_ms);
        let inputs = ran.inputs.iter().map(Some).chain(std::iter::repeat(None));
        for (input, step) in inputs.zip(ran.watcher.steps) {
            self.step(input, step);
        }
        let (early, late): (Vec<_>, Vec<_>) = ran.effects.iter().partition(|(_, early)| *early);
        early.into_iter().for_each(|(effect, _)| self.effect(effect));
        self.commit(ran.commit, ran.failed, late.is_empty());
        if !ran.failed {
            late.into_iter().for_each(|(effect, _)| self.effect(effect));
        }
    }

    fn commit(&mut self, commit: Option<&Commit>, failed: bool, idle: bool) {
        let unsynced = self.disk.unsynced();
        let side = self.judged.side(self.kernel);
        let before = std::mem::replace(&mut side.unsynced, unsynced);
        let seen = match commit {
            Some(commit) if commit.synced => Seen::Durable,
            // A commit whose sync failed may be there after the crash.
            None if failed && unsynced <= before => return,
            None if failed => Seen::Committed,
            None if idle => return,
            None if unsynced == 0 => Seen::Durable,
            _ => Seen::Committed,
        };
        match seen {
            Seen::Durable => {
                side.commits.clear();
                side.untold = 0;
            }
            _ => {
                let real = commit.is_some() || failed;
                side.commits.push(real);
                side.untold += unsynced.saturating_sub(before + usize::from(real));
            }
        }
        self.see(seen);
    }

    fn step(&mut self, input: Option<&Input>, step: Step) {
        let side = self.judged.side(self.kernel);
        let reborn = step.rows.incarnation.filter(|life| side.incarnation.replace(*life) != Some(*life));
        side.placed(&step.rows.places);
        if let Some(input) = input {
            self.input(input, &step);
        }
        reborn.into_iter().for_each(|life| self.reborn(life));
        self.runs_and_rows(step.ran, step.asked.into(), step.rows.rows.into());
    }

    fn asked(&mut self, run: &Run) {
        let asked = self.judged.side(self.kernel).asked(self.kernel, run);
        self.see(Seen::Asked(Box::new(asked)));
    }

    /// A quarantine has ended. After a crash nobody is told, since whoever asked for it is gone.
    fn reborn(&mut self, life: Incarnation) {
        let told =
            self.judged.side(self.kernel).asks.values().any(|ask| matches!(ask, Ask::QuarantineEnd { .. }));
        if !told {
            let token = self.judged.number();
            self.see(Seen::Client { token, ask: Ask::QuarantineEnd { without: Vec::new() } });
            self.see(Seen::Answered { token, answer: Ok(Reply::Incarnation(life)) });
        }
    }

    /// Runs that were answered at once, each before what was recorded of it, and those that are made beside the engine: runs
    /// are numbered in their order.
    fn runs_and_rows(
        &mut self,
        ran: Vec<(Run, RunResult)>,
        mut asked: VecDeque<Run>,
        mut rows: VecDeque<Row>,
    ) {
        let mut ran = ran.into_iter();
        while let Some((run, result)) = ran.next() {
            let here = of_run(&rows, &run, &result);
            // What was recorded before it; of one that came to nothing, before the next.
            let next =
                here.clone().or_else(|| ran.clone().find_map(|(run, result)| of_run(&rows, &run, &result)));
            self.rows(rows.drain(..next.map_or(rows.len(), |next| next.start)).collect());
            while let Some(beside) = asked.pop_front_if(|beside| beside.run < run.run) {
                self.asked(&beside);
            }
            self.asked(&run);
            self.see(Seen::Ran { run: run.run, said: words::said(&result) });
            self.rows(rows.drain(..here.map_or(0, |here| here.len())).collect());
        }
        self.rows(rows);
        asked.iter().for_each(|run| self.asked(run));
    }

    fn rows(&mut self, rows: VecDeque<Row>) {
        rows.into_iter().for_each(|row| self.row(row));
    }

    fn row(&mut self, row: Row) {
        self.see(match row {
            Row::Recorded(recorded) => Seen::Recorded(recorded),
            Row::Kept(kept) => Seen::Kept(kept),
            Row::Sealed(handoff) => Seen::Sealed(handoff),
            Row::Dropped(key) => Seen::Dropped { key },
        });
    }

    fn input(&mut self, input: &Input, step: &Step) {
        match input {
            Input::Command { token, command } => {
                let ask = words::ask(command);
                if let Some(ask) = ask {
                    self.judged.side(self.kernel).asks.insert(*token, ask.clone());
                    self.see(Seen::Client { token: *token, ask });
                }
            }
            Input::Frame { peer, conn, frame } => self.frame_in(*peer, *conn, frame.clone()),
            Input::Arrived { peer, arrival, why: Why::Shared { conn } } => {
                self.share_in(*peer, *conn, arrival.header.key(), arrival.header.id());
            }
            Input::Unfit { peer, conn, share: (key, id, _), .. } => self.share_in(*peer, *conn, *key, *id),
            Input::Link { peer, event: LinkEvent::Up { conn, dialled, .. } } => {
                self.see(Seen::LinkUp { conn: *conn, peer: *peer, dialled: *dialled });
            }
            Input::Link { peer, event: LinkEvent::Down { conn, .. } } => {
                self.see(Seen::LinkDown { conn: *conn, peer: *peer });
            }
            Input::Ran(ran) => self.see(Seen::Ran { run: ran.run, said: words::said(&ran.result) }),
            Input::Worked { key, id, result } => {
                let token = self.judged.number();
                let answer = match result {
                    Ok(result) => Ok(result.to_vec()),
                    Err(why) => Err(why.to_vec()),
                };
                self.see(Seen::Client { token, ask: Ask::Worked { id: *id, object: *key, answer } });
                let done = step.rows.worked.contains(id);
                let answer = if done { Ok(Reply::Done) } else { Err(once_judge::seen::Refusal::NotFound) };
                self.see(Seen::Answered { token, answer });
            }
            Input::Disk { free_bytes } => self.see(Seen::Room { short: *free_bytes < DISK_RESERVE_BYTES }),
            Input::Luggage { handoff, luggage: Some(luggage), .. } => {
                if let Some(handoff) = handoff.chain.links.last() {
                    let bytes = luggage.pack().0.to_vec();
                    self.see(Seen::Luggage { certificate: handoff.id(), bytes });
                }
            }
            Input::Luggage { luggage: None, .. } => {}
            Input::Arrived { .. } | Input::Link { .. } | Input::Ready { .. } => {}
            Input::Timer(_) | Input::NetworkChanged => {}
        }
    }

    fn frame_in(&mut self, peer: KernelId, conn: u64, frame: Frame) {
        self.judged.side(self.kernel).heard(peer, conn, &frame);
        let (direction, frame) = (Direction::In, Box::new(frame));
        self.see(Seen::Frame { direction, conn, stream: 0, peer, frame });
    }

    /// A share that came with its bytes. One whose bytes were pulled was taken before.
    fn share_in(&mut self, peer: KernelId, conn: u64, key: ObjectKey, id: once_model::ids::Hash) {
        let read = self.judged.side(self.kernel).shares.get_mut(&(conn, key, id));
        if let Some(parcel) = read.and_then(VecDeque::pop_front) {
            self.frame_in(peer, conn, Frame::Share(parcel));
        }
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Reply { token, reply } => {
                let Some(ask) = self.judged.side(self.kernel).asks.remove(token) else { return };
                let answer = match reply {
                    Ok(answer) => Ok(self.reply(&ask, words::reply(&ask, answer))),
                    Err(refusal) => Err(words::refusal(refusal)),
                };
                self.see(Seen::Answered { token: *token, answer });
            }
            Effect::Send { peer, conn, frame } => {
                let (direction, frame) = (Direction::Out, Box::new(frame.clone()));
                self.see(Seen::Frame { direction, conn: *conn, stream: 0, peer: *peer, frame });
            }
            Effect::Work(work) => self.see(Seen::Work {
                id: work.id,
                object: work.key,
                name: work.name.clone(),
                arguments: work.arguments.to_vec(),
            }),
            Effect::Event(Event::Published { key, name, data }) => {
                let (object, name, data) = (*key, name.clone(), data.to_vec());
                self.see(Seen::Published { object, name, data });
            }
            _ => {}
        }
    }

    /// What only the rows say.
    fn reply(&mut self, ask: &Ask, reply: Reply) -> Reply {
        let life = self.judged.side(self.kernel).incarnation;
        match ask {
            Ask::QuarantineEnd { .. } => life.map_or(reply, Reply::Incarnation),
            _ => reply,
        }
    }
}

/// Where the record of a run is, with the claim that it needs.
fn of_run(rows: &VecDeque<Row>, run: &Run, result: &RunResult) -> Option<Range<usize>> {
    let of_run = |row: &Row| matches!(row, Row::Recorded(recorded) if recorded.entry.id == run.action.id);
    let at = rows.iter().position(of_run).filter(|_| !matches!(result, RunResult::Later(_)))?;
    let claim = at.checked_sub(1).filter(|before| is_claim(rows.get(*before), rows.get(at)));
    Some(claim.unwrap_or(at)..at + 1)
}

/// Whether a record is the claim that the next one needs.
fn is_claim(row: Option<&Row>, next: Option<&Row>) -> bool {
    match (row, next) {
        (Some(Row::Recorded(claim)), Some(Row::Recorded(act))) => {
            claim.entry.sequence >= BUILT_IN_FROM
                && act.entry.sequence < BUILT_IN_FROM
                && claim.entry.object == act.entry.object
                && claim.revision.as_ref().is_some_and(|made| made.header.revision == 1)
                && claim.entry.number + 1 == act.entry.number
        }
        _ => false,
    }
}
