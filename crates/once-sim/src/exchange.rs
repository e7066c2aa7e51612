//! Driving an exchange between two kernels: rounds of comparing, then what is missing here, then what is missing
//! there. Everything but the waiting is the engine's code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use once_core::exchange::{self, Comparison, Items, missing, respond, wanted};
use once_core::store::Store;
use once_core::waist::{ConnId, Input, Token, Why};
use once_core::{access, object};
use once_judge::seen::Direction;
use once_model::ids::{ItemId, KernelId};
use once_model::limits::WANT_MAX_IDS;
use once_model::wire::{Absent, Code, Frame, Kept, Parcel, Pull, ShareAnswer};

use crate::coverage;
use crate::judged::Stream;
use crate::net::Who;
use crate::queue::Event;
use crate::world::{Kernel, World};

/// One exchange: side 0 began it.
pub(crate) struct Exchange {
    sides: [Who; 2],
    conn: ConnId,
    items: [Option<Items>; 2],
    /// What side 1 may tell side 0 of.
    allowed: BTreeSet<ItemId>,
    /// The payloads that side 0 has read so far.
    read: Vec<Vec<u8>>,
    need: VecDeque<ItemId>,
    have: VecDeque<ItemId>,
    /// Large scenarios whose bytes are on their way, by their receiver.
    large: [VecDeque<Parcel>; 2],
    /// Arrivals whose reply is awaited.
    tokens: BTreeMap<Token, usize>,
    /// `Given` was read; what arrived is not all kept yet.
    given: bool,
    kept: Kept,
}

/// What travels on the stream of an exchange.
#[derive(Debug)]
pub(crate) struct Message {
    /// The side that reads it.
    to: usize,
    frame: Frame,
    /// Raw bytes after the frame.
    extra: Option<Bytes>,
}

impl World {
    /// A client of `a` wants to exchange with `b`: begins if they are connected.
    pub fn exchange(&mut self, a: Kernel, b: Kernel) -> bool {
        self.begin_exchange(Who::Kernel(a.0), Who::Kernel(b.0))
    }

    /// Whether an exchange is under way.
    #[must_use]
    pub fn is_exchanging(&self) -> bool {
        !self.exchanges.is_empty()
    }

    pub(crate) fn begin_exchange(&mut self, a: Who, b: Who) -> bool {
        let Some(conn) = self.net.between(a, b) else { return false };
        let id = self.next_id();
        let mut exchange = Exchange {
            sides: [a, b],
            conn,
            items: [None, None],
            allowed: BTreeSet::new(),
            read: Vec::new(),
            need: VecDeque::new(),
            have: VecDeque::new(),
            large: [VecDeque::new(), VecDeque::new()],
            tokens: BTreeMap::new(),
            given: false,
            kept: Kept::default(),
        };
        let first = match self.collect(&mut exchange, 0) {
            Some(()) => exchange.items[0].clone().and_then(|items| Comparison::begin(items).ok()),
            None => None,
        };
        let Some((_, payload)) = first.map(|(comparison, payload)| (comparison.difference(), payload)) else {
            return false;
        };
        self.exchanges.insert(id, exchange);
        self.tell(id, 1, Frame::Reconcile(payload), None);
        true
    }

    /// Collects what one side lets the other compare.
    fn collect(&mut self, exchange: &mut Exchange, side: usize) -> Option<()> {
        let Who::Kernel(index) = exchange.sides[side] else { return None };
        let peer = self.id_of(exchange.sides[1 - side]);
        let node = &self.nodes[index];
        let now_ms = node.now_ms(self.now_us);
        let items = Items::collect(&node.disk.snapshot(), &peer, now_ms).ok()?;
        if side == 1 {
            exchange.allowed = self.checker.readable(&node.id, &peer, &node.disk, now_ms);
        }
        exchange.items[side] = Some(items);
        Some(())
    }

    pub(crate) fn id_of(&self, who: Who) -> KernelId {
        match who {
            Who::Kernel(index) => self.nodes[index].id,
            Who::Puppet(puppet) => self.puppets[puppet].id,
        }
    }

    fn tell(&mut self, id: u64, to: usize, frame: Frame, extra: Option<Bytes>) {
        self.cover.met(coverage::frame(&frame));
        let us = self.net.weather.latency_max_us;
        self.trace.line(|| {
            format!("{:>9} exchange {id} to side {to}: {}", self.now_us / 1000, crate::shell::brief(&frame))
        });
        self.queue.push(self.now_us + us, Event::Exchange { id, message: Message { to, frame, extra } });
    }

    pub(crate) fn exchange_step(&mut self, id: u64, message: Message) {
        let Some(mut exchange) = self.exchanges.remove(&id) else { return };
        let Message { to, frame, extra } = message;
        let going_on = match exchange.sides[to] {
            Who::Kernel(index) => self.exchange_reads(id, &mut exchange, to, index, frame, extra),
            // A hostile kernel answers nonsense, once.
            Who::Puppet(_) => {
                let nonsense = self.rng.bytes::<24>().to_vec();
                self.tell(id, 1 - to, Frame::Reconcile(nonsense), None);
                Some(())
            }
        };
        if going_on.is_some() {
            self.exchanges.insert(id, exchange);
            self.exchange_goes_on(id);
        }
    }

    fn exchange_reads(
        &mut self,
        id: u64,
        exchange: &mut Exchange,
        side: usize,
        index: usize,
        frame: Frame,
        extra: Option<Bytes>,
    ) -> Option<()> {
        let peer = self.id_of(exchange.sides[1 - side]);
        let at = Stream { node: index, peer, conn: exchange.conn, stream: id };
        match frame {
            Frame::Reconcile(payload) if side == 1 => {
                if exchange.items[1].is_none() && self.collect(exchange, 1).is_none() {
                    self.cover.met("state exchange refused");
                    self.tell(id, 0, Frame::Absent(Absent { call: 0, code: Code::Denied }), None);
                    return Some(());
                }
                match respond(exchange.items[1].as_ref()?, &payload) {
                    Ok(answer) => self.tell(id, 0, Frame::Reconcile(answer), None),
                    Err(_) => return None,
                }
            }
            Frame::Reconcile(payload) => {
                exchange.read.push(payload);
                match compared(exchange) {
                    Ok(Some(next)) => self.tell(id, 1, Frame::Reconcile(next), None),
                    Ok(None) => {
                        if let Some(leak) = exchange.need.iter().find(|item| !exchange.allowed.contains(item))
                        {
                            let what =
                                format!("comparing told {peer:?} of item {leak}, which it may not read");
                            self.violated(7, index, what);
                        }
                        self.want_more(id, exchange);
                    }
                    Err(()) => return None,
                }
            }
            Frame::Want(ids) => {
                let now_ms = self.nodes[index].now_ms(self.now_us);
                let mut count = 0;
                let node = &self.nodes[index];
                let disk = node.disk.snapshot();
                let ids = ids.get(..WANT_MAX_IDS).unwrap_or(&ids);
                let heads = wanted(&disk, &peer, ids, now_ms).ok()?;
                for head in heads {
                    let node = &self.nodes[index];
                    let Ok(Some(parcel)) = exchange::parcel(&disk, &node.key, &head) else { continue };
                    if let Err(what) = self.checker.given(&node.id, &peer, &parcel, &node.disk, now_ms) {
                        self.violated(7, index, what);
                    }
                    count += 1;
                    let give = Frame::Give(parcel);
                    self.judge_frame(at, Direction::Out, &give);
                    self.tell(id, 1 - side, give, None);
                }
                self.tell(id, 1 - side, Frame::Given(count), None);
            }
            Frame::Give(parcel) if parcel.body.is_none() && !parcel.header.tombstone => {
                let pull = Pull { key: parcel.header.key(), content: parcel.header.content, offset: 0 };
                exchange.large[side].push_back(parcel);
                self.tell(id, 1 - side, Frame::Pull(pull), None);
            }
            Frame::Give(parcel) => self.exchange_keep(id, exchange, side, index, peer, parcel),
            Frame::Pull(pull) => {
                let bytes = self.give_bytes(at, &pull);
                let frame = match &bytes {
                    Some(bytes) => Frame::Body(bytes.len() as u64),
                    None => Frame::Absent(Absent { call: 0, code: Code::Denied }),
                };
                self.tell(id, 1 - side, frame, bytes);
            }
            Frame::Body(_) => {
                if let Some(parcel) = exchange.large[side].pop_front() {
                    self.exchange_keep(id, exchange, side, index, peer, Parcel { body: extra, ..parcel });
                }
            }
            Frame::Absent(_) if !exchange.large[side].is_empty() => {
                exchange.large[side].pop_front();
            }
            Frame::Given(_) => exchange.given = true,
            Frame::Offer(items) => {
                let disk = self.nodes[index].disk.snapshot();
                let now_ms = self.nodes[index].now_ms(self.now_us);
                let may = access::may_share(&disk, &peer, now_ms).unwrap_or(false);
                let wanted = if may { missing(&disk, &items).ok()? } else { Vec::new() };
                if wanted.is_empty() {
                    self.tell(id, 0, Frame::Kept(std::mem::take(&mut exchange.kept)), None);
                } else {
                    self.tell(id, 0, Frame::Want(wanted), None);
                }
            }
            Frame::Kept(_) => self.offer_more(id, exchange)?,
            _ => return None,
        }
        Some(())
    }

    /// Verifies what was given and hands it to the engine.
    fn exchange_keep(
        &mut self,
        id: u64,
        exchange: &mut Exchange,
        side: usize,
        index: usize,
        peer: KernelId,
        parcel: Parcel,
    ) {
        let Ok(arrival) = object::verify(&peer, parcel) else { return };
        let token = self.next_id();
        exchange.tokens.insert(token, side);
        self.exchange_tokens.insert(token, id);
        self.checker.asked(&self.nodes[index].id, token, "exchange");
        let why = if side == 0 { Why::Asked { token } } else { Why::Offered { token } };
        self.enqueue(index, Input::Arrived { peer, arrival, why });
    }

    /// The engine has kept an arrival, or not.
    pub(crate) fn exchange_kept(&mut self, token: Token, answer: ShareAnswer) {
        let Some(id) = self.exchange_tokens.remove(&token) else { return };
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if exchange.tokens.remove(&token) == Some(1) {
            let kept = &mut exchange.kept;
            match answer {
                ShareAnswer::Stored => kept.stored += 1,
                ShareAnswer::Known => kept.known += 1,
                ShareAnswer::Conflict => kept.conflicts += 1,
                ShareAnswer::Refused(_) => kept.refused += 1,
            }
        }
        self.exchange_goes_on(id);
    }

    /// After a batch is given and kept: the next one.
    fn exchange_goes_on(&mut self, id: u64) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let waits = exchange.large.iter().any(|large| !large.is_empty()) || !exchange.tokens.is_empty();
        if !exchange.given || waits {
            return;
        }
        let Some(mut exchange) = self.exchanges.remove(&id) else { return };
        exchange.given = false;
        let offering = exchange.read.is_empty();
        if offering {
            self.tell(id, 0, Frame::Kept(std::mem::take(&mut exchange.kept)), None);
        } else {
            self.want_more(id, &mut exchange);
        }
        self.exchanges.insert(id, exchange);
    }

    fn want_more(&mut self, id: u64, exchange: &mut Exchange) {
        let most = self.rng.between(1, WANT_MAX_IDS as u64) as usize;
        let batch: Vec<_> = exchange.need.drain(..most.min(exchange.need.len())).collect();
        if !batch.is_empty() {
            self.tell(id, 1, Frame::Want(batch), None);
            return;
        }
        // From here on side 1 receives.
        exchange.read.clear();
        let rest = self.offer_batch(exchange);
        self.tell(id, 1, Frame::Offer(rest), None);
    }

    fn offer_batch(&mut self, exchange: &mut Exchange) -> Vec<ItemId> {
        let most = self.rng.between(1, WANT_MAX_IDS as u64) as usize;
        exchange.have.drain(..most.min(exchange.have.len())).collect()
    }

    /// `None` when all is done.
    fn offer_more(&mut self, id: u64, exchange: &mut Exchange) -> Option<()> {
        let batch = self.offer_batch(exchange);
        if batch.is_empty() {
            self.cover.met("state exchange finished");
            return None;
        }
        self.tell(id, 1, Frame::Offer(batch), None);
        Some(())
    }

    /// A connection is gone, and with it every exchange on it.
    pub(crate) fn cut_exchanges(&mut self, conn: ConnId) {
        let before = self.exchanges.len();
        self.exchanges.retain(|_, exchange| exchange.conn != conn);
        if self.exchanges.len() < before {
            self.cover.met("state exchange broke");
        }
    }
}

/// Side 0 compares: from the beginning each time, because a comparison borrows its items.
fn compared(exchange: &mut Exchange) -> Result<Option<Vec<u8>>, ()> {
    let items = exchange.items[0].clone().ok_or(())?;
    let (mut comparison, _) = Comparison::begin(items).map_err(|_| ())?;
    let mut next = None;
    for payload in &exchange.read {
        next = comparison.go_on(payload).map_err(|_| ())?;
    }
    if next.is_none() {
        let found = comparison.difference();
        exchange.need = found.need.into();
        exchange.have = found.have.into();
    }
    Ok(next)
}
