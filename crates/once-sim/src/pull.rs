//! Fetching large bodies on streams of their own: for shares that were announced, and for requests.

use bytes::Bytes;
use once_core::store::Store;
use once_core::waist::{Apart, ConnId};
use once_core::{exchange, shell};
use once_judge::seen::Direction;
use once_model::ids::KernelId;
use once_model::wire::{Absent, Code, Frame, Parcel, Pull, ShareAnswer, Shared};

use crate::coverage;
use crate::judged::Stream;
use crate::net::Who;
use crate::queue::Event;
use crate::world::World;

/// One body on its way.
#[derive(Debug)]
pub(crate) struct Transfer {
    node: usize,
    peer: KernelId,
    conn: ConnId,
    what: Apart,
    have: Vec<u8>,
    /// The request that it is for; none if it is for a share.
    call: Option<u64>,
}

/// What happens with it next.
#[derive(Debug)]
pub(crate) enum PullStep {
    /// The other side reads the pull.
    Asked,
    /// This side reads the answer.
    Answered(Option<Bytes>),
}

impl World {
    /// The engine wants what is too large for a frame.
    pub(crate) fn pull(&mut self, node: usize, peer: KernelId, conn: ConnId, what: Apart) {
        let same = |t: &Transfer| t.node == node && t.conn == conn && t.what == what && t.call.is_none();
        if self.pulls.values().any(same) {
            return;
        }
        self.begin(Transfer { node, peer, conn, what, have: Vec::new(), call: None });
    }

    /// A client asked for something large.
    pub(crate) fn pull_for_call(
        &mut self,
        node: usize,
        peer: KernelId,
        conn: ConnId,
        parcel: Parcel,
        call: u64,
    ) {
        let Parcel { header, chain, .. } = parcel;
        let what = Apart::Scenario { header, chain };
        self.begin(Transfer { node, peer, conn, what, have: Vec::new(), call: Some(call) });
    }

    fn begin(&mut self, transfer: Transfer) {
        if self.net.conns.get(&transfer.conn).is_none_or(|conn| conn.ends.iter().any(|end| !end.open)) {
            return;
        }
        let id = self.next_id();
        self.pulls.insert(id, transfer);
        self.pull_soon(id, 0, PullStep::Asked);
    }

    fn pull_soon(&mut self, id: u64, bytes: usize, step: PullStep) {
        // 20 MB/s, so that much can happen meanwhile.
        let us = self.net.latency_us(&mut self.rng) + bytes as u64 / 20;
        self.queue.push(self.now_us + us, Event::Pull { id, step });
    }

    pub(crate) fn pull_step(&mut self, id: u64, step: PullStep) {
        match step {
            PullStep::Asked => self.pull_asked(id),
            PullStep::Answered(bytes) => self.pull_answered(id, bytes),
        }
    }

    fn pull_asked(&mut self, id: u64) {
        let Some(transfer) = self.pulls.get(&id) else { return };
        let pull = Pull {
            key: transfer.what.key(),
            content: transfer.what.content(),
            offset: transfer.have.len() as u64,
        };
        self.cover.met(coverage::frame(&Frame::Pull(pull.clone())));
        let (reader, conn) = (self.nodes[transfer.node].id, transfer.conn);
        let bytes = match self.who.get(&transfer.peer) {
            Some(Who::Kernel(other)) => {
                self.give_bytes(Stream { node: *other, peer: reader, conn, stream: id }, &pull)
            }
            Some(Who::Puppet(puppet)) => self.puppets[*puppet].bytes(&pull, &mut self.rng),
            None => None,
        };
        self.pull_soon(id, bytes.as_ref().map_or(0, Bytes::len), PullStep::Answered(bytes));
    }

    /// A kernel answers a pull from a snapshot.
    pub(crate) fn give_bytes(&mut self, at: Stream, pull: &Pull) -> Option<Bytes> {
        self.judge_frame(at, Direction::In, &Frame::Pull(pull.clone()));
        let (index, reader) = (at.node, &at.peer);
        let node = &self.nodes[index];
        let now_ms = node.now_ms(self.now_us);
        match exchange::pulled(&node.disk.snapshot(), reader, pull, now_ms) {
            Ok(Ok(bytes)) => {
                if let Err(what) = self.checker.pulled(&node.id, reader, pull, &bytes, &node.disk, now_ms) {
                    self.violated(7, index, what);
                }
                let body = Frame::Body(bytes.len() as u64);
                self.cover.met(coverage::frame(&body));
                self.judge_frame(at, Direction::Out, &body);
                Some(bytes)
            }
            Ok(Err(code)) => {
                let absent = Frame::Absent(Absent { call: 0, code });
                self.cover.met(coverage::frame(&absent));
                self.judge_frame(at, Direction::Out, &absent);
                None
            }
            Err(error) => {
                self.violated(4, index, format!("a pull failed: {error}"));
                None
            }
        }
    }

    fn pull_answered(&mut self, id: u64, bytes: Option<Bytes>) {
        let Some(mut transfer) = self.pulls.remove(&id) else { return };
        let Some(bytes) = bytes else {
            // It has changed there: whoever shared it may share what it has now at once.
            if let (None, Apart::Scenario { header, .. }) = (transfer.call, &transfer.what) {
                let (key, id) = (header.key(), header.id());
                let answer = ShareAnswer::Refused(Code::Busy);
                let busy = Frame::Shared(Shared { key, id, answer, commit: None });
                let Transfer { node, peer, conn, .. } = transfer;
                self.judge_frame(Stream { node, peer, conn, stream: 0 }, Direction::Out, &busy);
                self.send_from(node, conn, &busy);
            }
            return;
        };
        if transfer.have.is_empty() && bytes.len() > 1 && self.rng.one_in(3) {
            // The stream broke half way: go on from there.
            self.cover.met("state pull resumed");
            transfer.have.extend_from_slice(&bytes[..bytes.len() / 2]);
            self.pulls.insert(id, transfer);
            self.pull_soon(id, 0, PullStep::Asked);
            return;
        }
        transfer.have.extend_from_slice(&bytes);
        let Transfer { node, peer, conn, what, have, call } = transfer;
        match what {
            Apart::Scenario { header, chain } => {
                self.cover.met("state body pulled");
                let parcel = Parcel { header, chain, body: Some(have.into()), commit: None };
                match call {
                    Some(call) => self.keep_asked(node, peer, call, parcel),
                    None => self.receive(node, conn, peer, parcel),
                }
            }
            luggage @ Apart::Luggage { .. } => {
                self.cover.met("state luggage pulled");
                self.enqueue(node, shell::pulled(peer, conn, luggage, have.into()));
            }
        }
    }

    /// A connection is gone, and every stream with it.
    pub(crate) fn cut_streams(&mut self, conn: ConnId) {
        let before = self.pulls.len();
        let is_luggage = |transfer: &Transfer| matches!(transfer.what, Apart::Luggage { .. });
        if self.pulls.values().any(|transfer| transfer.conn == conn && is_luggage(transfer)) {
            self.cover.met("state pull of luggage broke");
        }
        self.pulls.retain(|_, transfer| transfer.conn != conn);
        if self.pulls.len() < before {
            self.cover.met("state pull broke");
        }
        self.cut_exchanges(conn);
    }
}
