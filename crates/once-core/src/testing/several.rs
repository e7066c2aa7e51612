//! Several engines: whom they dial they reach, and whatever they say arrives, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_model::ids::KernelId;
use once_model::wire::Frame;

use super::alone::Alone;
use crate::waist::{ConnId, Input, LinkEvent};

/// Kernels 1 to n, by place: the first is at 0. Unlike a pair they call each other by themselves.
#[derive(Debug)]
pub struct Several {
    /// The kernels, in the order in which they were made.
    pub kernels: Vec<Alone>,
    conns: BTreeMap<ConnId, [usize; 2]>,
    last: ConnId,
    /// To whom, from whom, on which connection.
    way: VecDeque<(usize, usize, ConnId, Frame)>,
    /// Whatever has arrived: from whom, at whom.
    pub heard: Vec<(usize, usize, Frame)>,
    /// Who cannot be reached.
    away: BTreeSet<usize>,
}

/// More frames than any test needs: kernels that talk for ever.
const TALK_MAX: usize = 100_000;

impl Several {
    /// So many kernels that do not know each other.
    #[must_use]
    pub fn strangers(count: u8) -> Self {
        let kernels = (1..=count).map(Alone::kernel).collect();
        let (conns, way, heard) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        Self { kernels, conns, last: 0, way, heard, away: BTreeSet::new() }
    }

    /// These become peers of each other, each of each.
    pub fn befriend(&mut self, places: &[usize]) {
        for one in places {
            for other in places.iter().filter(|other| *other != one) {
                let n = u8::try_from(*other + 1).unwrap_or(u8::MAX);
                self.kernels[*one].befriend(n);
            }
        }
        self.settle();
    }

    /// Who a kernel is.
    #[must_use]
    pub fn id(&self, place: usize) -> KernelId {
        self.kernels[place].id()
    }

    fn place(&self, kernel: &KernelId) -> Option<usize> {
        self.kernels.iter().position(|other| other.id() == *kernel)
    }

    /// Whether two of them have an admitted connection.
    #[must_use]
    pub fn are_connected(&self, one: usize, other: usize) -> bool {
        let up = |one: usize, other: usize| {
            let link = self.kernels[one].engine.peers.links.get(&self.kernels[other].id());
            link.is_some_and(|link| link.up().is_some())
        };
        up(one, other) && up(other, one)
    }

    /// One of them cannot be reached any more, or again.
    pub fn set_away(&mut self, place: usize, is_away: bool) {
        if !is_away {
            self.away.remove(&place);
            return;
        }
        self.away.insert(place);
        let gone: Vec<_> =
            self.conns.iter().filter(|(_, ends)| ends.contains(&place)).map(|(conn, _)| *conn).collect();
        gone.into_iter().for_each(|conn| self.cut(conn));
    }

    /// The process of one of them is killed, and starts again on its disk.
    pub fn restart(&mut self, place: usize) {
        self.set_away(place, true);
        self.kernels[place].restart();
        self.set_away(place, false);
        self.settle();
    }

    fn cut(&mut self, conn: ConnId) {
        let Some(ends) = self.conns.remove(&conn) else { return };
        self.way.retain(|(_, _, on, _)| *on != conn);
        for (one, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let event = LinkEvent::Down { conn, reason: "cut".into() };
            let peer = self.id(other);
            self.kernels[one].input(Input::Link { peer, event });
        }
    }

    fn dial(&mut self, from: usize, peer: KernelId) {
        let to = self.place(&peer).filter(|to| ![from, *to].iter().any(|end| self.away.contains(end)));
        let Some(to) = to else {
            let event = LinkEvent::DialFailed { reason: "nobody answers".into() };
            return self.kernels[from].input(Input::Link { peer, event });
        };
        self.last += 1;
        let conn = self.last;
        self.conns.insert(conn, [from, to]);
        for (one, other) in [(to, from), (from, to)] {
            let event = LinkEvent::Up { conn, dialled: one == from, address: None };
            let peer = self.id(other);
            self.kernels[one].input(Input::Link { peer, event });
        }
    }

    /// What has left is on its way; whom somebody dialled is connected. Whether there was anything.
    fn collect(&mut self) -> bool {
        let mut any = false;
        for from in 0..self.kernels.len() {
            for peer in std::mem::take(&mut self.kernels[from].dialled) {
                any = true;
                self.dial(from, peer);
            }
            for (peer, conn, frame) in std::mem::take(&mut self.kernels[from].outgoing) {
                let to = self.place(&peer);
                let is_there =
                    |ends: &[usize; 2]| ends.contains(&from) && to.is_some_and(|to| ends.contains(&to));
                if let (Some(to), true) = (to, self.conns.get(&conn).is_some_and(is_there)) {
                    self.way.push_back((to, from, conn, frame));
                }
            }
        }
        any || !self.way.is_empty()
    }

    /// Ends what somebody has closed, when what was said before has arrived.
    fn hang_up(&mut self) -> bool {
        let closed: Vec<_> = self.kernels.iter_mut().flat_map(|kernel| kernel.closed.drain(..)).collect();
        closed.iter().for_each(|(conn, _)| self.cut(*conn));
        !closed.is_empty()
    }

    /// All frames arrive, until nobody says anything more.
    pub fn settle(&mut self) {
        for _ in 0..TALK_MAX {
            let any = self.collect();
            match self.way.pop_front() {
                Some((to, from, conn, frame)) => {
                    let peer = self.id(from);
                    self.heard.push((from, to, frame.clone()));
                    self.kernels[to].says(peer, conn, frame);
                }
                None if any || self.hang_up() => {}
                None => return,
            }
        }
        panic!("they talk for ever");
    }

    /// Time passes for all of them, and all frames arrive at once.
    pub fn pass(&mut self, ms: u64) {
        let end = self.kernels.iter().map(|kernel| kernel.ctx.now_ms).max().unwrap_or_default() + ms;
        self.settle();
        loop {
            let next = self.kernels.iter().enumerate().filter_map(|(place, kernel)| {
                let timer = kernel.next_timer(end)?;
                Some((kernel.timers[timer].0, place, timer))
            });
            let Some((at_ms, place, timer)) = next.min_by_key(|(at_ms, ..)| *at_ms) else { break };
            self.kernels.iter_mut().for_each(|kernel| kernel.ctx.now_ms = kernel.ctx.now_ms.max(at_ms));
            let (_, timer) = self.kernels[place].timers.remove(timer);
            self.kernels[place].input(Input::Timer(timer));
            self.settle();
        }
        self.kernels.iter_mut().for_each(|kernel| kernel.ctx.now_ms = end);
    }
}
