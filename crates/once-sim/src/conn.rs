//! The lives of connections: dialling, frames on their way, closing, breaking.

use bytes::Bytes;
use once_core::shell::{self, Asked, Heard};
use once_core::store::Store;
use once_core::waist::{ConnId, Input, LinkEvent, Why};
use once_core::{exchange, object, peers};
use once_judge::seen::Direction;
use once_model::ids::KernelId;
use once_model::limits::FRAME_MAX_BYTES;
use once_model::wire::{Absent, Frame, Parcel, ShareAnswer};

use crate::coverage;
use crate::judged::Stream;
use crate::net::{Conn, End, IDLE_TIMEOUT_US, Who};
use crate::node::MAILBOX_MAX;
use crate::queue::Event;
use crate::world::World;

impl World {
    /// A dial comes to its end.
    pub(crate) fn dialled(&mut self, index: usize, run: u64, peer: KernelId, addresses: &[String]) {
        if self.nodes[index].run != run {
            return;
        }
        let target = self.who.get(&peer).copied();
        let from = Who::Kernel(index);
        let reason = match target {
            None => Some("no such kernel"),
            Some(to) if self.net.is_blocked(from, to) || self.net.is_blocked(to, from) => Some("timed out"),
            Some(Who::Kernel(to)) if !self.nodes[to].is_up() => Some("connection refused"),
            // An address that is stale: sometimes the kernel is found by its key all the same.
            Some(Who::Kernel(to)) => {
                let known = addresses.is_empty() || addresses.contains(&self.nodes[to].address);
                (!known && self.rng.one_in(2)).then_some("nobody there")
            }
            Some(Who::Puppet(_)) => self.rng.one_in(4).then_some("connection refused"),
        };
        let (None, Some(to)) = (reason, target) else {
            let reason = reason.unwrap_or_default().to_owned();
            self.link(index, peer, LinkEvent::DialFailed { reason });
            return;
        };
        let address = match to {
            Who::Kernel(to) => Some(self.nodes[to].address.clone()),
            Who::Puppet(_) => None,
        };
        let conn = self.connect(from, to);
        self.link(index, peer, LinkEvent::Up { conn, dialled: true, address });
    }

    /// A new connection; the side that was dialled hears of it a little later.
    pub(crate) fn connect(&mut self, from: Who, to: Who) -> ConnId {
        let conn = self.next_id();
        let ends = [from, to].map(|who| match who {
            Who::Kernel(i) => End::new(self.nodes[i].id, who, self.nodes[i].run),
            Who::Puppet(p) => End::new(self.puppets[p].id, who, 0),
        });
        if self.net.between(from, to).is_some() {
            self.cover.met("state simultaneous dial");
        }
        let accepted_us = self.now_us + self.net.latency_us(&mut self.rng);
        let caller = ends[0].id;
        self.net.conns.insert(conn, Conn { ends, doomed: false, accepted_us });
        if let Some(conn) = self.net.conns.get_mut(&conn) {
            conn.ends[1].last_us = accepted_us;
        }
        if let Who::Kernel(node) = to {
            let address = match from {
                Who::Kernel(i) => Some(self.nodes[i].address.clone()),
                Who::Puppet(_) => None,
            };
            let event = LinkEvent::Up { conn, dialled: false, address };
            let run = self.nodes[node].run;
            let input = Input::Link { peer: caller, event };
            self.queue.push(accepted_us, Event::Input { node, run, input });
        }
        conn
    }

    /// Puts bytes on their way from one side of a connection to the other.
    pub(crate) fn transmit(&mut self, id: ConnId, from: usize, bytes: Bytes) {
        let latency_us = self.net.latency_us(&mut self.rng);
        let weather = self.net.weather.clone();
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        if !conn.ends[from].open {
            return;
        }
        let to = 1 - from;
        let (from_who, to_who) = (conn.ends[from].who, conn.ends[to].who);
        let mut at_us = (self.now_us + latency_us).max(conn.ends[to].last_us);
        if self.rng.per_mille(weather.delay_per_mille) {
            self.cover.met("fault delay");
            at_us += self.rng.up_to(4_000_000);
        }
        let reorder = self.rng.per_mille(weather.reorder_per_mille);
        if reorder {
            self.cover.met("fault reorder");
            at_us = (self.now_us + self.rng.up_to(latency_us * 8)).max(conn.accepted_us);
        } else {
            conn.ends[to].last_us = at_us;
        }
        let lost = self.rng.per_mille(weather.loss_per_mille);
        if lost {
            self.cover.met("fault loss");
        }
        if reorder || lost || self.net.is_blocked(from_who, to_who) {
            self.doom(id);
        }
        if lost || self.net.is_blocked(from_who, to_who) {
            return;
        }
        if self.rng.per_mille(weather.duplicate_per_mille) {
            self.cover.met("fault duplicate");
            let again_us = at_us + self.rng.up_to(2_000_000);
            self.queue.push(again_us, Event::Frame { conn: id, side: to, bytes: bytes.clone() });
        }
        self.queue.push(at_us, Event::Frame { conn: id, side: to, bytes });
    }

    /// The connection is dead; both sides notice within the idle timeout.
    pub(crate) fn doom(&mut self, id: ConnId) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        if std::mem::replace(&mut conn.doomed, true) {
            return;
        }
        for side in 0..2 {
            let at_us = self.now_us + self.rng.between(IDLE_TIMEOUT_US / 10, IDLE_TIMEOUT_US);
            self.queue.push(at_us, Event::Down { conn: id, side });
        }
    }

    /// One side notices that the connection is gone.
    pub(crate) fn down(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let end = &mut conn.ends[side];
        end.open = false;
        let tell = !std::mem::replace(&mut end.told, true);
        let (who, run) = (end.who, end.run);
        let peer = conn.ends[1 - side].id;
        if conn.ends.iter().all(|end| end.told) {
            self.net.conns.remove(&id);
        }
        self.cut_streams(id);
        if let (true, Who::Kernel(index)) = (tell, who)
            && self.nodes[index].run == run
        {
            self.link(index, peer, LinkEvent::Down { conn: id, reason: "the connection ended".into() });
        }
    }

    /// A kernel closes a connection, after what it has sent on it.
    pub(crate) fn close(&mut self, index: usize, id: ConnId) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let Some(side) = conn.side_of(Who::Kernel(index)) else { return };
        self.close_side(id, side);
    }

    /// Whether two kernels have another connection beside this one.
    pub(crate) fn has_other_connection(&self, index: usize, id: ConnId) -> bool {
        let Some(conn) = self.net.conns.get(&id) else { return false };
        let Some(side) = conn.side_of(Who::Kernel(index)) else { return false };
        let other = conn.ends[1 - side].who;
        self.net.between(Who::Kernel(index), other).is_some_and(|newest| newest != id)
    }

    pub(crate) fn close_side(&mut self, id: ConnId, side: usize) {
        let latency_us = self.net.latency_us(&mut self.rng);
        let now_us = self.now_us;
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        if !conn.ends[side].open {
            return;
        }
        conn.ends[side].open = false;
        conn.doomed = true;
        let other_us = (now_us + latency_us).max(conn.ends[1 - side].last_us);
        self.queue.push(now_us, Event::Down { conn: id, side });
        // If the word of the closing is swallowed, the other side still notices.
        let blocked = self
            .net
            .conns
            .get(&id)
            .is_some_and(|conn| self.net.is_blocked(conn.ends[side].who, conn.ends[1 - side].who));
        let late_us = if blocked { IDLE_TIMEOUT_US } else { 0 };
        self.queue.push(other_us + late_us, Event::Down { conn: id, side: 1 - side });
    }

    /// The process behind one end of these connections is gone without a word.
    pub(crate) fn cut_all(&mut self, index: usize) {
        let who = Who::Kernel(index);
        for id in self.net.open_of(who) {
            let quick = self.rng.one_in(2);
            let at_us = self.now_us + self.rng.up_to(if quick { 50_000 } else { IDLE_TIMEOUT_US });
            let Some(conn) = self.net.conns.get_mut(&id) else { continue };
            let Some(side) = conn.side_of(who) else { continue };
            conn.ends[side].open = false;
            conn.ends[side].told = true;
            self.queue.push(at_us, Event::Down { conn: id, side: 1 - side });
            self.cut_streams(id);
        }
    }

    /// A control frame reaches one side.
    pub(crate) fn frame_arrives(&mut self, id: ConnId, side: usize, bytes: Bytes) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        if !conn.ends[side].open {
            return;
        }
        let peer = conn.ends[1 - side].id;
        match conn.ends[side].who {
            Who::Puppet(puppet) => self.puppet_hears(puppet, id, side, &bytes),
            Who::Kernel(index) => {
                if self.nodes[index].run != conn.ends[side].run {
                    return;
                }
                let full = self.nodes[index].mailbox.len() >= MAILBOX_MAX;
                if full || !conn.ends[side].backlog.is_empty() {
                    // Stop reading: the connection pushes back.
                    conn.ends[side].backlog.push_back(bytes);
                    self.nodes[index].stalled.insert(id);
                    return;
                }
                self.trace.bytes(&bytes);
                self.read(index, id, peer, &bytes);
            }
        }
    }

    /// The mailbox has room again.
    pub(crate) fn read_on(&mut self, index: usize) {
        for id in self.nodes[index].stalled.clone() {
            while self.nodes[index].mailbox.len() < MAILBOX_MAX {
                let side = self.net.conns.get(&id).and_then(|conn| conn.side_of(Who::Kernel(index)));
                let (Some(side), Some(conn)) = (side, self.net.conns.get_mut(&id)) else { break };
                let peer = conn.ends[1 - side].id;
                let Some(bytes) = conn.ends[side].backlog.pop_front() else { break };
                if conn.ends[side].open {
                    self.trace.bytes(&bytes);
                    self.read(index, id, peer, &bytes);
                }
            }
            let waits = self.net.conns.get(&id).is_some_and(|conn| {
                conn.side_of(Who::Kernel(index)).is_some_and(|side| !conn.ends[side].backlog.is_empty())
            });
            if !waits {
                self.nodes[index].stalled.remove(&id);
            }
        }
    }

    /// The session of a connection reads one frame.
    fn read(&mut self, index: usize, conn: ConnId, peer: KernelId, bytes: &Bytes) {
        if bytes.len() > FRAME_MAX_BYTES {
            self.cover.met("state frame too large");
            if let Some(Who::Kernel(sender)) = self.who.get(&peer).copied() {
                self.violated(9, sender, format!("sends a frame of {} bytes", bytes.len()));
            }
            self.close(index, conn);
            return;
        }
        let Ok(mut frame) = Frame::decode(bytes) else {
            self.cover.met("state frame malformed");
            if let Some(Who::Kernel(sender)) = self.who.get(&peer).copied() {
                self.violated(8, sender, "sends a frame that cannot be read".into());
            }
            self.close(index, conn);
            return;
        };
        let disk = &self.nodes[index].disk;
        let stranger = peers::peer(disk, &peer).is_ok_and(|row| row.is_none());
        if stranger && !matches!(frame, Frame::Hello(_)) {
            self.cover.met("state stranger's frame dropped");
            // Sometimes the session has not heard yet that the peer was removed: the engine must see to it itself.
            if !self.rng.one_in(4) {
                return;
            }
        }
        if !self.made_whole(index, peer, &mut frame) {
            return;
        }
        if matches!(frame, Frame::Request(_) | Frame::EntriesOf(_))
            && let Some(side) = self.net.conns.get(&conn).and_then(|conn| conn.side_of(Who::Kernel(index)))
            && let Some(end) = self.net.conns.get_mut(&conn).map(|conn| &mut conn.ends[side])
            && !end.admitted
        {
            // It waits, as in the real session.
            end.early.push(frame);
            return;
        }
        self.take(index, conn, peer, frame);
    }

    /// Makes the chain of a frame whole, as the real session does: with what is known, or with what its sender has. Not so if that
    /// cannot be asked just now.
    fn made_whole(&mut self, index: usize, peer: KernelId, frame: &mut Frame) -> bool {
        let Some(chain) = frame.chain_mut() else { return true };
        if chain.lacks().is_none() {
            return true;
        }
        let disk = &self.nodes[index].disk;
        let Some((pull, bytes)) = shell::lacks(disk, &peer, chain) else {
            self.cover.met("state beginning of a chain known");
            return true;
        };
        let Some(Who::Kernel(sender)) = self.who.get(&peer).copied() else { return true };
        let (me, sender) = (self.nodes[index].id, &self.nodes[sender]);
        match exchange::pulled(&sender.disk, &me, &pull, 0) {
            Ok(Ok(earlier)) if earlier.len() as u64 == bytes => {
                self.cover.met("state beginning of a chain pulled");
                shell::complete(chain, &earlier);
                true
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }

    /// The engine has admitted a connection: what was asked before is answered.
    pub(crate) fn admitted(&mut self, index: usize, conn: ConnId, peer: KernelId) {
        let Some(side) = self.net.conns.get(&conn).and_then(|conn| conn.side_of(Who::Kernel(index))) else {
            return;
        };
        let Some(end) = self.net.conns.get_mut(&conn).map(|conn| &mut conn.ends[side]) else { return };
        end.admitted = true;
        for frame in std::mem::take(&mut end.early) {
            self.take(index, conn, peer, frame);
        }
    }

    fn take(&mut self, index: usize, conn: ConnId, peer: KernelId, frame: Frame) {
        if let Frame::Handed(handed) = &frame
            && self.comes_straight_back(index, peer, handed)
        {
            return;
        }
        if let Frame::Share(parcel) = &frame
            && (!shell::is_apart(parcel) || !shell::is_large(parcel.header.size))
        {
            self.judge_share(index, conn, parcel);
        }
        match shell::hear(peer, conn, frame) {
            Heard::Tell(input) => self.enqueue(index, input),
            Heard::Check(parcel) => self.receive(index, conn, peer, parcel),
            Heard::Answer(asked) => self.answer(index, conn, peer, &asked),
            Heard::Answers(_, Frame::Found(found)) => self.found(index, conn, peer, found.call, found.parcel),
            Heard::Answers(call, _) => drop(self.calls.remove(&call)),
            Heard::Nothing => {}
        }
    }

    /// Answers what a peer asks for, from a snapshot.
    fn answer(&mut self, index: usize, conn: ConnId, peer: KernelId, asked: &Asked) {
        let at = Stream { node: index, peer, conn, stream: 0 };
        let frame = match asked {
            Asked::Object(request) => Frame::Request(request.clone()),
            Asked::Entries(of) => Frame::EntriesOf(*of),
        };
        self.judge_frame(at, Direction::In, &frame);
        let node = &self.nodes[index];
        let now_ms = node.now_ms(self.now_us);
        let answer = match asked.answer(&node.disk.snapshot(), &node.key, &peer, now_ms) {
            Ok(answer) => answer,
            Err(error) => {
                return self.violated(4, index, format!("what a peer asks cannot be read: {error}"));
            }
        };
        let right = match asked {
            Asked::Object(request) => {
                self.checker.answered(&node.id, &peer, request, &answer, &node.disk, now_ms)
            }
            Asked::Entries(of) => self.checker.proves(&node.id, &peer, of, &answer, &node.disk, now_ms),
        };
        if let Err(what) = right {
            self.violated(7, index, what);
        }
        if let Frame::Absent(Absent { code, .. }) = &answer {
            self.cover.met(coverage::code(*code));
        }
        self.judge_frame(at, Direction::Out, &answer);
        self.send_from(index, conn, &answer);
    }

    /// A shared scenario is whole: it is verified beside the engine.
    pub(crate) fn receive(&mut self, index: usize, conn: ConnId, peer: KernelId, parcel: Parcel) {
        let share = shell::share_of(&parcel);
        if parcel.chain.as_ref().is_some_and(|chain| chain.home() != peer) {
            self.cover.met("state relayed revision verified");
        }
        let result = object::verify(&peer, parcel);
        if let Err(code) = result {
            self.cover.met(coverage::share(ShareAnswer::Refused(code)));
        }
        self.enqueue(index, shell::checked(peer, conn, share, result));
    }

    /// A peer has what a client here asked for.
    fn found(&mut self, index: usize, conn: ConnId, peer: KernelId, call: u64, parcel: Parcel) {
        if self.calls.get(&call) != Some(&(index, conn)) {
            return;
        }
        self.calls.remove(&call);
        if parcel.body.is_none() && !parcel.header.tombstone {
            self.pull_for_call(index, peer, conn, parcel, call);
        } else {
            self.keep_asked(index, peer, call, parcel);
        }
    }

    /// Keeps a scenario that was asked for: the call's number is the token of the reply.
    pub(crate) fn keep_asked(&mut self, index: usize, peer: KernelId, token: u64, parcel: Parcel) {
        if let Ok(arrival) = object::verify(&peer, parcel) {
            self.checker.asked(&self.nodes[index].id, token, "request");
            self.enqueue(index, Input::Arrived { peer, arrival, why: Why::Asked { token } });
        }
    }
}
