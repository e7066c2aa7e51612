//! One engine, driven by hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use once_model::action::{Act, Action, Outcome};
use once_model::header::Header;
use once_model::ids::{BootId, Incarnation, KernelId, ObjectKey, Uuid};
use once_model::limits::{FRAME_MAX_BYTES, SCENARIO_MAX_BYTES};
use once_model::progress::Progress;
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Greeting};

use super::desk::Desk;
use crate::access::{Grant, Right, Scope};
use crate::engine::Engine;
use crate::memory::MemoryStore;
use crate::object::verify;
use crate::refusal::Refusal;
use crate::store::{Batch, Durability, Store};
use crate::txn::Txn;
use crate::waist::{
    Answer, Apart, Arrival, Command, ConnId, Ctx, Effect, Entropy, Event, Input, LinkEvent, Ran, RunResult,
    Runner, Timer, Token, Why, Work,
};
use crate::{exchange, group, meta};

/// The time at which an engine under test begins.
pub const NOW_MS: u64 = 1_700_000_000_000;

/// More than any test has happen at once: an engine that sets timers for ever.
const AT_ONCE_MAX: usize = 20_000;

/// Numbers that look random and are the same in each run of a test.
#[derive(Debug, Clone, Default)]
pub struct Dice(pub u64);

impl Entropy for Dice {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// One engine, its disk, its clock, and whatever has left it.
#[derive(Debug)]
pub struct Alone {
    /// The engine under test.
    pub engine: Engine,
    /// Its disk, which a test can crash.
    pub store: MemoryStore,
    /// Who it is, and what time it is.
    pub ctx: Ctx,
    /// What it draws.
    pub dice: Dice,
    /// Who has its components.
    pub desk: Arc<Desk>,
    /// The token that was given last.
    pub tokens: Token,
    /// What its clients were told.
    pub answered: BTreeMap<Token, Answer>,
    /// What its clients were refused.
    pub refused: BTreeMap<Token, Refusal>,
    /// Timers that run, and when they end.
    pub timers: Vec<(u64, Timer)>,
    /// What was said since the last frame came in ([`Self::says`]), newest last.
    pub sent: Vec<Frame>,
    /// Frames that have left and were not carried anywhere yet.
    pub outgoing: VecDeque<(KernelId, ConnId, Frame)>,
    /// Connections that it closed.
    pub closed: Vec<(ConnId, Code)>,
    /// Whom it dialled.
    pub dialled: Vec<KernelId>,
    /// What it wants to pull: from whom, on which connection.
    pub pulls: VecDeque<(KernelId, ConnId, Apart)>,
    /// Work outside that it asked for.
    pub works: Vec<Work>,
    /// What it told those who listen.
    pub events: Vec<Event>,
    /// What the last input released before its commit.
    pub early: Vec<Effect>,
    /// Rows that were written.
    pub written: usize,
    /// Rows were written that the engine has not read.
    pub(super) is_ahead: bool,
    boots: u8,
}

impl Default for Alone {
    fn default() -> Self {
        Self::new()
    }
}

/// What a peer says of itself.
#[must_use]
pub fn greeting(key: &KernelKey) -> Greeting {
    let (life, boot) = (Incarnation::from_bytes([1; 16]), BootId::from_bytes([1; 16]));
    Greeting {
        features: Vec::new(),
        critical: Vec::new(),
        progress: Progress::sign(life, 1, boot, 1, key),
        seen: Vec::new(),
        frame_max_bytes: FRAME_MAX_BYTES as u64,
        scenario_max_bytes: SCENARIO_MAX_BYTES as u64,
        window_shares: 256,
        name: String::new(),
        clock_ms: 0,
        invite: None,
        heard: None,
    }
}

/// What a kernel sends to the home of an object, to have it act.
#[must_use]
pub fn asked(key: ObjectKey, sequence: u64, arguments: String) -> Act {
    let action = Action {
        id: Uuid::from_u128(u128::from(sequence)),
        name: "go".into(),
        arguments: arguments.into(),
        given: Vec::new(),
        acting: None,
        answers: None,
    };
    Act {
        lane: key.into(),
        sequence,
        floor: 1,
        action,
        remaining_ms: None,
        commit: None,
        void: None,
        certificate: None,
        guest: None,
    }
}

impl Alone {
    /// A kernel whose key is made from the number 7.
    #[must_use]
    pub fn new() -> Self {
        Self::kernel(7)
    }

    /// The kernel of that number, just started: its key is that byte 32 times.
    #[must_use]
    pub fn kernel(n: u8) -> Self {
        let (key, desk) = (KernelKey::from_bytes(&[n; 32]), Arc::new(Desk::default()));
        let mut store = MemoryStore::new();
        let mut txn = Txn::new(&store);
        let identity = meta::Identity {
            kernel: key.id(),
            incarnation: Incarnation::from_bytes([1; 16]),
            name: String::new(),
            recovery: Vec::new(),
            ended: Vec::new(),
        };
        meta::set_identity(&mut txn, &identity);
        let (batch, durability) = txn.into_batch();
        store.commit(batch, durability).unwrap();
        let (me, boot) = (key.id(), BootId::from_bytes([2; 16]));
        let ctx = Ctx { key, me, boot, now_ms: NOW_MS, runner: Arc::clone(&desk) as Arc<dyn Runner> };
        let mut kernel = Self {
            engine: Engine::new(),
            store,
            ctx,
            dice: Dice(u64::from(n)),
            desk,
            tokens: 0,
            answered: BTreeMap::new(),
            refused: BTreeMap::new(),
            timers: Vec::new(),
            sent: Vec::new(),
            outgoing: VecDeque::new(),
            closed: Vec::new(),
            dialled: Vec::new(),
            pulls: VecDeque::new(),
            works: Vec::new(),
            events: Vec::new(),
            early: Vec::new(),
            written: 0,
            is_ahead: false,
            boots: 2,
        };
        kernel.start();
        kernel
    }

    /// The engine begins on its disk.
    pub(super) fn start(&mut self) {
        let (mut effects, mut next) = (Vec::new(), VecDeque::new());
        let Self { engine, store, ctx, dice, .. } = self;
        group::start(engine, store, ctx, dice, &mut |effect| effects.push(effect)).unwrap();
        self.take(effects, &mut next);
        self.go_on(next);
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> KernelId {
        self.ctx.me
    }

    /// One input, and everything that is to happen at once after it.
    pub fn input(&mut self, input: Input) {
        self.inputs([input]);
    }

    /// Inputs that are committed together, and everything that is to happen at once after them.
    pub fn inputs(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let mut next = VecDeque::new();
        self.early.clear();
        self.group(inputs.into_iter().collect(), &mut next);
        self.go_on(next);
    }

    fn group(&mut self, group: Vec<Input>, next: &mut VecDeque<Input>) {
        let mut effects = Vec::new();
        let release = &mut |effect| effects.push(effect);
        let Self { engine, store, ctx, dice, .. } = self;
        self.written += group::run(engine, store, ctx, dice, group, release).unwrap().rows;
        self.take(effects, next);
    }

    /// What is to happen at once, and all that is after it.
    pub(super) fn go_on(&mut self, mut next: VecDeque<Input>) {
        for _ in 0..AT_ONCE_MAX {
            let Some(input) = next.pop_front() else {
                #[cfg(test)]
                self.holds();
                return;
            };
            self.group(vec![input], &mut next);
        }
        panic!("it goes on for ever: {next:?}");
    }

    /// Sorts what left.
    pub(super) fn take(&mut self, effects: Vec<Effect>, next: &mut VecDeque<Input>) {
        for effect in effects {
            match effect {
                Effect::Timer { after_ms: 0, timer } => next.push_back(Input::Timer(timer)),
                Effect::Timer { after_ms, timer } => self.timers.push((self.ctx.now_ms + after_ms, timer)),
                Effect::Run(run) => self.desk.asked.lock().unwrap().push(*run),
                Effect::Send { peer, conn, frame } => {
                    self.sent.push(frame.clone());
                    self.outgoing.push_back((peer, conn, frame));
                }
                Effect::Reply { token, reply: Ok(answer) } => {
                    self.answered.insert(token, answer);
                }
                Effect::Reply { token, reply: Err(refusal) } => {
                    self.refused.insert(token, refusal);
                }
                Effect::Close { conn, code, .. } => self.closed.push((conn, code)),
                Effect::Dial { peer, .. } => self.dialled.push(peer),
                Effect::Pull { peer, conn, what } => self.pulls.push_back((peer, conn, *what)),
                Effect::Work(work) => self.works.push(*work),
                Effect::Event(event) => self.events.push(event),
                told @ Effect::Told { .. } => self.early.push(told),
            }
        }
    }

    /// A client asks for something.
    pub fn command(&mut self, command: Command) -> Token {
        let token = self.tokens + 1;
        self.try_command(command).unwrap();
        token
    }

    /// The same; the refusal if it is refused at once.
    ///
    /// # Errors
    /// When it is.
    pub fn try_command(&mut self, command: Command) -> Result<(), Refusal> {
        self.tokens += 1;
        let token = self.tokens;
        self.input(Input::Command { token, command });
        self.refused.remove(&token).map_or(Ok(()), Err)
    }

    /// Kernel n becomes a peer.
    pub fn befriend(&mut self, n: u8) -> KernelId {
        let peer = self.peer_id(n);
        self.command(Command::AddPeer { peer, addresses: Vec::new(), petname: None });
        peer
    }

    /// The id of kernel n.
    #[must_use]
    pub fn peer_id(&self, n: u8) -> KernelId {
        KernelKey::from_bytes(&[n; 32]).id()
    }

    /// A peer gets a right.
    pub fn grant(&mut self, kernel: KernelId, right: Right, scope: Scope) -> Grant {
        let grant = Grant { scope, right, kernel, object: None, expires_ms: None, actions: None };
        self.command(Command::Grant(grant.clone()));
        grant
    }

    /// A peer may act on everything.
    pub fn may_act(&mut self, kernel: KernelId) {
        self.grant(kernel, Right::Act, Scope::Kernel);
    }

    /// The connection changes: kernel n has dialled this one.
    pub fn up(&mut self, n: u8, conn: ConnId) {
        let event = LinkEvent::Up { conn, dialled: false, address: None };
        self.input(Input::Link { peer: self.peer_id(n), event });
    }

    /// The connection is gone.
    pub fn down(&mut self, n: u8, conn: ConnId) {
        let event = LinkEvent::Down { conn, reason: "gone".into() };
        self.input(Input::Link { peer: self.peer_id(n), event });
    }

    /// Kernel n, which is a peer, has dialled this one and greets on the new connection.
    pub fn greets(&mut self, n: u8, conn: ConnId) -> &[Frame] {
        let key = KernelKey::from_bytes(&[n; 32]);
        let hello = Greeting {
            features: vec![once_model::wire::FEATURE_ACTIONS],
            clock_ms: self.ctx.now_ms,
            ..greeting(&key)
        };
        self.up(n, conn);
        self.says(key.id(), conn, Frame::Hello(hello))
    }

    /// A frame comes; what leaves after it. As a session does, it checks what is shared beside the engine, and answers from a
    /// snapshot what needs no engine.
    pub fn says(&mut self, peer: KernelId, conn: ConnId, frame: Frame) -> &[Frame] {
        self.sent.clear();
        let reply = match &frame {
            Frame::Share(parcel) if parcel.body.is_some() || parcel.header.tombstone => {
                let header = &parcel.header;
                let share = (header.key(), header.id(), header.content);
                match verify(&peer, parcel.clone()) {
                    Ok(arrival) => self.input(Input::Arrived { peer, arrival, why: Why::Shared { conn } }),
                    Err(code) => self.input(Input::Unfit { peer, conn, share, code }),
                }
                return &self.sent;
            }
            Frame::Request(request) => {
                Some(exchange::answer(&self.store, &self.ctx.key, &peer, request, self.ctx.now_ms).unwrap())
            }
            Frame::EntriesOf(of) => Some(exchange::entries(&self.store, &peer, of, self.ctx.now_ms).unwrap()),
            _ => None,
        };
        match reply {
            Some(frame) => {
                self.sent.push(frame.clone());
                self.outgoing.push_back((peer, conn, frame));
            }
            None => self.input(Input::Frame { peer, conn, frame }),
        }
        &self.sent
    }

    /// A client or an exchange asked a peer for a scenario, and it came.
    pub fn arrives(&mut self, peer: KernelId, arrival: Arrival) -> Token {
        self.tokens += 1;
        let token = self.tokens;
        self.input(Input::Arrived { peer, arrival, why: Why::Asked { token } });
        token
    }

    /// The engine begins anew on the same disk.
    pub fn restart(&mut self) {
        self.restart_with(Engine::new().keeping_told(self.engine.limits.told_rows));
    }

    /// The same with an engine of other settings.
    pub fn restart_with(&mut self, engine: Engine) {
        self.boots = self.boots.wrapping_add(1);
        self.ctx.boot = BootId::from_bytes([self.boots; 16]);
        (self.engine, self.timers) = (engine, Vec::new());
        self.desk.asked.lock().unwrap().clear();
        self.outgoing.clear();
        self.pulls.clear();
        self.is_ahead = false;
        self.start();
    }

    /// Power loss: of what was not synced only the oldest batches are there, so many. Then it begins anew.
    pub fn crash(&mut self, survivors: usize) {
        self.store.crash(survivors);
        self.restart();
    }

    /// Time passes, and timers ring when they end.
    pub fn pass(&mut self, ms: u64) {
        let end = self.ctx.now_ms + ms;
        while let Some(first) = self.next_timer(end) {
            let (at_ms, timer) = self.timers.remove(first);
            self.ctx.now_ms = self.ctx.now_ms.max(at_ms);
            self.input(Input::Timer(timer));
        }
        self.ctx.now_ms = end;
    }

    /// The place of the timer that ends first, at this time at the latest.
    pub(super) fn next_timer(&self, end_ms: u64) -> Option<usize> {
        let due = self.timers.iter().enumerate().filter(|(_, (at_ms, _))| *at_ms <= end_ms);
        due.min_by_key(|(place, (at_ms, _))| (*at_ms, *place)).map(|(place, _)| place)
    }

    /// Timers ring, whatever time it is: those that are meant.
    pub fn ring(&mut self, is_meant: impl Fn(&Timer) -> bool) {
        let (mut left, mut place) = (self.timers.len(), 0);
        while left > 0 && place < self.timers.len() {
            left -= 1;
            match is_meant(&self.timers[place].1) {
                true => {
                    let (_, timer) = self.timers.remove(place);
                    self.input(Input::Timer(timer));
                }
                false => place += 1,
            }
        }
    }

    /// A new object of this kernel. Its uuid is the number.
    pub fn object(&mut self, n: u128, component: &str) -> ObjectKey {
        let scenario = Scenario::compose(Uuid::from_u128(n), component, "1", "me", "{}").unwrap();
        let token = self.command(Command::Create { scenario });
        match &self.answered[&token] {
            Answer::Object { header, .. } => header.key(),
            other => panic!("{other:?}"),
        }
    }

    /// A client has an object do `go`; its arguments are the number, which also tells it from other actions.
    pub fn act(&mut self, key: ObjectKey, n: u64) -> Token {
        self.act_named(key, "go", n)
    }

    /// The same with another name.
    pub fn act_named(&mut self, key: ObjectKey, name: &str, n: u64) -> Token {
        let command = self.wish(key, name, n);
        self.command(command)
    }

    /// The same; the refusal if it is refused at once.
    ///
    /// # Errors
    /// When it is.
    pub fn try_act(&mut self, key: ObjectKey, n: u64) -> Result<(), Refusal> {
        let command = self.wish(key, "go", n);
        self.try_command(command)
    }

    /// An action on an object of another kernel.
    pub fn act_at(&mut self, home: KernelId, key: ObjectKey, n: u64) -> Token {
        let command = match self.wish(key, "go", n) {
            Command::Act { key, action, deadline_ms, wait, .. } => {
                Command::Act { key, at: Some(home), action, deadline_ms, wait }
            }
            other => panic!("{other:?}"),
        };
        self.command(command)
    }

    /// What a client says that wants an action: its id has the time of the beginning ([`NOW_MS`]) and the number.
    #[must_use]
    pub fn wish(&self, key: ObjectKey, name: &str, n: u64) -> Command {
        let action = Action {
            id: wish_id(NOW_MS, n),
            name: name.into(),
            arguments: n.to_string().into(),
            given: Vec::new(),
            acting: None,
            answers: None,
        };
        Command::Act { key, at: None, action, deadline_ms: None, wait: true }
    }

    /// What a client was told of its action, if it has ended.
    #[must_use]
    pub fn outcome(&self, token: Token) -> Option<&Outcome> {
        match self.answered.get(&token)? {
            Answer::Acted { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Answers the run that was asked for first.
    pub fn answer(&mut self, result: RunResult) {
        let run = self.desk.asked.lock().unwrap().remove(0);
        self.input(Input::Ran(Box::new(Ran { run: run.run, key: run.key, result })));
    }

    /// There is room for so many more runs of `Served`.
    pub fn ready(&mut self, room: i64) {
        self.desk.room.fetch_add(room, Ordering::Relaxed);
        self.input(Input::Ready { component: "Served".into() });
    }

    /// The newest revision of an object here.
    #[must_use]
    pub fn head(&self, key: &ObjectKey) -> Option<Header> {
        crate::object::head(&self.store, key).unwrap().map(|head| head.header)
    }

    /// Writes rows, as if they had been on the disk.
    pub fn put_rows(&mut self, rows: Batch) {
        self.is_ahead = true;
        self.store.commit(rows, Durability::Synced).unwrap();
    }
}

/// The id of a client's action of that time and number.
fn wish_id(at_ms: u64, n: u64) -> Uuid {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    id[6..8].copy_from_slice(&[0x70, 0]);
    id[8..].copy_from_slice(&n.to_be_bytes());
    Uuid::from_bytes(id)
}
