//! Two engines, whose frames are carried by hand.

use std::collections::VecDeque;

use once_model::ids::KernelId;
use once_model::wire::{Frame, Pull};

use super::alone::Alone;
use crate::exchange;
use crate::shell::{self, pulled};
use crate::waist::{Apart, ConnId, Input, LinkEvent};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// [`Pair::a`].
    A,
    /// [`Pair::b`].
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Two kernels, and the connection between them. What one says lies on its way until the test has it arrive, lost, doubled or
/// overtaken; what a kernel answers from a snapshot comes with the frames.
#[derive(Debug)]
pub struct Pair {
    /// The kernel whose key is made from the number 1.
    pub a: Alone,
    /// The kernel whose key is made from the number 2.
    pub b: Alone,
    to_a: VecDeque<Frame>,
    to_b: VecDeque<Frame>,
    /// The connection, if there is one.
    conn: Option<ConnId>,
    conns: ConnId,
    /// So many of the next pulls break.
    pub breaks: usize,
    /// How often the beginning of a chain was pulled.
    pub chains_pulled: usize,
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// More frames than any test needs: two kernels that talk for ever.
const TALK_MAX: usize = 100_000;

impl Pair {
    /// Two kernels that do not know each other.
    #[must_use]
    pub fn strangers() -> Self {
        let (a, b) = (Alone::kernel(1), Alone::kernel(2));
        Self {
            a,
            b,
            to_a: VecDeque::new(),
            to_b: VecDeque::new(),
            conn: None,
            conns: 0,
            breaks: 0,
            chains_pulled: 0,
        }
    }

    /// Two peers without rights that are connected.
    #[must_use]
    pub fn new() -> Self {
        let mut pair = Self::strangers();
        pair.a.befriend(2);
        pair.b.befriend(1);
        pair.connect(Side::A);
        pair.settle();
        pair
    }

    /// One of them.
    pub fn side(&mut self, side: Side) -> &mut Alone {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    fn way(&mut self, to: Side) -> &mut VecDeque<Frame> {
        match to {
            Side::A => &mut self.to_a,
            Side::B => &mut self.to_b,
        }
    }

    fn id(&mut self, side: Side) -> KernelId {
        self.side(side).id()
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    /// A new connection: one of them has dialled. The old one is gone.
    pub fn connect(&mut self, dialler: Side) -> ConnId {
        self.cut();
        self.conns += 1;
        let conn = self.conns;
        self.conn = Some(conn);
        for side in [dialler.other(), dialler] {
            let peer = self.id(side.other());
            let event = LinkEvent::Up { conn, dialled: side == dialler, address: None };
            self.side(side).input(Input::Link { peer, event });
        }
        self.collect();
        conn
    }

    /// The connection breaks: what is on its way is lost, and both notice.
    pub fn cut(&mut self) {
        self.collect();
        let Some(conn) = self.conn.take() else { return };
        self.to_a.clear();
        self.to_b.clear();
        for side in [Side::A, Side::B] {
            let peer = self.id(side.other());
            let event = LinkEvent::Down { conn, reason: "cut".into() };
            self.side(side).input(Input::Link { peer, event });
        }
        self.collect();
    }

    /// Takes what has left the two: it is on its way now. What they say on another connection is lost.
    fn collect(&mut self) {
        for from in [Side::A, Side::B] {
            let (peer, conn) = (self.id(from.other()), self.conn);
            let kernel = self.side(from);
            let said: Vec<_> = kernel.outgoing.drain(..).collect();
            let mut pulled: Vec<_> = kernel.pulls.drain(..).collect();
            let is_here = |to: KernelId, on: ConnId| to == peer && Some(on) == conn;
            let frames = said.into_iter().filter(|(to, on, _)| is_here(*to, *on)).map(|(.., frame)| frame);
            self.way(from.other()).extend(frames);
            pulled.retain(|(to, on, ..)| is_here(*to, *on));
            for (_, conn, what) in pulled {
                self.pull(from, conn, what);
            }
        }
    }

    /// Fetches what is too large for a frame from the other one, and checks it as a session does.
    fn pull(&mut self, by: Side, conn: ConnId, what: Apart) {
        let (asker, sender) = (self.id(by), self.side(by.other()));
        let pull = Pull { key: what.key(), content: what.content(), offset: 0 };
        let Ok(bytes) = exchange::pulled(&sender.store, &asker, &pull, sender.ctx.now_ms)
            .unwrap_or(Err(once_model::wire::Code::Busy))
        else {
            return;
        };
        if self.breaks > 0 {
            self.breaks -= 1;
            return;
        }
        let peer = self.id(by.other());
        self.side(by).input(pulled(peer, conn, what, bytes));
        self.collect();
    }

    /// The frames on their way to one of them, oldest first.
    pub fn on_the_way(&mut self, to: Side) -> &VecDeque<Frame> {
        self.collect();
        self.way(to)
    }

    /// The oldest frame on its way to one of them is lost.
    pub fn lose(&mut self, to: Side) -> Option<Frame> {
        self.collect();
        self.way(to).pop_front()
    }

    /// The oldest frame on its way to one of them comes twice.
    pub fn double(&mut self, to: Side) {
        self.collect();
        let way = self.way(to);
        way.extend(way.front().cloned());
    }

    /// The oldest frame on its way to one of them is overtaken by all others.
    pub fn delay(&mut self, to: Side) {
        self.collect();
        let way = self.way(to);
        let first = way.pop_front();
        way.extend(first);
    }

    /// The oldest frame on its way to one of them arrives. Returns it.
    pub fn deliver(&mut self, to: Side) -> Option<Frame> {
        self.collect();
        let conn = self.conn?;
        let frame = self.way(to).pop_front()?;
        let frame = self.arrived(to, frame.shortened().unwrap_or(frame));
        let peer = self.id(to.other());
        self.side(to).says(peer, conn, frame.clone());
        self.collect();
        self.hang_up();
        Some(frame)
    }

    /// A frame as a session passes it on: with its chain as a whole.
    fn arrived(&mut self, to: Side, mut frame: Frame) -> Frame {
        let (asker, peer) = (self.id(to), self.id(to.other()));
        let lacks = frame.chain_mut().and_then(|chain| shell::lacks(&self.side(to).store, &peer, chain));
        if let Some((pull, bytes)) = lacks {
            self.chains_pulled += 1;
            let sender = self.side(to.other());
            let pulled = exchange::pulled(&sender.store, &asker, &pull, sender.ctx.now_ms);
            if let (Ok(Ok(came)), Some(chain)) = (pulled, frame.chain_mut())
                && came.len() as u64 == bytes
            {
                shell::complete(chain, &came);
            }
        }
        frame
    }

    /// Ends a connection that one of them has closed, when what it said before has arrived.
    fn hang_up(&mut self) {
        let Some(conn) = self.conn else { return };
        let is_closed = |kernel: &Alone| kernel.closed.iter().any(|(closed, _)| *closed == conn);
        if is_closed(&self.a) && self.to_b.is_empty() || is_closed(&self.b) && self.to_a.is_empty() {
            self.cut();
        }
    }

    /// All frames arrive, until nobody says anything more.
    pub fn settle(&mut self) {
        for _ in 0..TALK_MAX {
            self.collect();
            self.hang_up();
            let any = [Side::A, Side::B].map(|to| self.deliver(to).is_some());
            if any == [false; 2] {
                return;
            }
        }
        panic!("they talk for ever");
    }

    /// Time passes for both, and all frames arrive at once.
    pub fn pass(&mut self, ms: u64) {
        let end = self.a.ctx.now_ms.max(self.b.ctx.now_ms) + ms;
        self.settle();
        loop {
            let next = [Side::A, Side::B].into_iter().filter_map(|side| {
                let kernel = match side {
                    Side::A => &self.a,
                    Side::B => &self.b,
                };
                let place = kernel.next_timer(end)?;
                Some((kernel.timers[place].0, side, place))
            });
            let Some((at_ms, side, place)) = next.min_by_key(|(at_ms, ..)| *at_ms) else { break };
            for side in [Side::A, Side::B] {
                let now_ms = &mut self.side(side).ctx.now_ms;
                *now_ms = at_ms.max(*now_ms);
            }
            let (_, timer) = self.side(side).timers.remove(place);
            self.side(side).input(Input::Timer(timer));
            self.settle();
        }
        (self.a.ctx.now_ms, self.b.ctx.now_ms) = (end, end);
    }

    /// The process of one of them is killed and starts again on its disk: the connection is gone.
    pub fn restart(&mut self, side: Side) {
        self.break_off(side);
        self.side(side).restart();
        self.collect();
    }

    /// Power loss at one of them: of what was not synced only the oldest batches are there, so many. Then it starts again.
    pub fn crash(&mut self, side: Side, survivors: usize) {
        self.break_off(side);
        self.side(side).crash(survivors);
        self.collect();
    }

    /// One of them is gone: only the other one notices that the connection is.
    fn break_off(&mut self, gone: Side) {
        self.side(gone).outgoing.clear();
        self.side(gone).pulls.clear();
        self.to_a.clear();
        self.to_b.clear();
        if let Some(conn) = self.conn.take() {
            let peer = self.id(gone);
            let event = LinkEvent::Down { conn, reason: "cut".into() };
            self.side(gone.other()).input(Input::Link { peer, event });
        }
    }
}
