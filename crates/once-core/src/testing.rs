//! The harness for tests of the core beside the core: one engine, driven by hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use once_model::action::{Act, Action};
use once_model::ids::{BootId, Hash, Incarnation, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::limits::{FRAME_MAX_BYTES, RESEND_AFTER_MS, SCENARIO_MAX_BYTES};
use once_model::progress::Progress;
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Greeting};

use crate::access::{Grant, Right, Scope};
use crate::act::Origin;
use crate::chores::{Chore, ChoreRow};
use crate::engine::{Engine, Step};
use crate::memory::MemoryStore;
use crate::parked::Damage;
use crate::refusal::Refusal;
use crate::store::{Batch, Durability, Read, Store, StoreError, Table};
use crate::txn::Txn;
use crate::waist::{
    Answer, Call, Command, Consequence, Ctx, Effect, Effects, Entropy, Input, LinkEvent, Ran, Run, RunResult,
    Runner, Stands, Then, Timer, Token, Wait,
};
use crate::{group, meta};

pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// Has objects of the component `Served` asked elsewhere, as long as there is room. One of the component `Clock` sets a
/// timer, and `rang` is refused while nobody knows that. All others do what they are asked at once.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub room: AtomicI64,
    pub asked: Mutex<Vec<Run>>,
    pub knows_rang: AtomicBool,
    /// The actions that `Clock` has done.
    pub done: Mutex<Vec<String>>,
}

impl Desk {
    fn clock(&self, run: &Run) -> RunResult {
        let rang = run.action.name == "rang";
        if rang && !self.knows_rang.load(Ordering::Relaxed) {
            return RunResult::Refused(Code::NoComponent);
        }
        self.done.lock().unwrap().push(run.action.name.clone());
        let then = Then { action: "rang".into(), with: "1".into() };
        let timer = Consequence::Timer { name: "t".into(), after_ms: 1, then };
        let is_set = run.action.name == "set";
        let consequences = if is_set { vec![timer] } else { Vec::new() };
        RunResult::Done { state: None, result: "1".into(), consequences }
    }
}

/// Work outside, and an action on an object of another kernel, which its arguments name.
fn make(run: &Run) -> RunResult {
    let then = Then { action: "made".into(), with: "1".into() };
    let work = Consequence::Activity { name: "work".into(), arguments: "1".into(), then: then.clone() };
    let call = Consequence::Act(Call {
        key: ObjectKey { uuid: Uuid::from_u128(77), line: Line::Claimed(Lineage::from_bytes([7; 32])) },
        at: Some(KernelKey::from_bytes(&[9; 32]).id()),
        name: "go".into(),
        arguments: "1".into(),
        given: Vec::new(),
        deadline_ms: Some(60_000),
        then: Some(then),
    });
    let consequences = if run.action.name == "go" { vec![work, call] } else { Vec::new() };
    RunResult::Done { state: None, result: "1".into(), consequences }
}

/// A new state with every action but `look`, and its arguments as the result.
fn write(run: &Run) -> RunResult {
    let arguments = std::str::from_utf8(&run.action.arguments).unwrap();
    let state =
        Scenario::compose(run.key.uuid, "Paper", "1", "me", &format!("{{\"last\":{arguments}}}")).unwrap();
    let state = (run.action.name != "look").then_some(state);
    RunResult::Done { state, result: run.action.arguments.clone(), consequences: Vec::new() }
}

/// What a kernel sends to the home of an object, to have it act.
pub(crate) fn asked(key: ObjectKey, sequence: u64, arguments: String) -> Act {
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

/// What a peer says of itself.
pub(crate) fn greeting(key: &KernelKey) -> Greeting {
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

pub(crate) fn done() -> RunResult {
    RunResult::Done { state: None, result: "1".into(), consequences: Vec::new() }
}

impl Runner for Desk {
    fn run(&self, run: &Run) -> Option<RunResult> {
        match run.header.component.as_str() {
            "Served" => {}
            "Clock" => return Some(self.clock(run)),
            "Maker" => return Some(make(run)),
            "Paper" => return Some(write(run)),
            _ => return Some(done()),
        }
        let has_room = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| (room > 0).then_some(room - 1));
        has_room.is_err().then_some(RunResult::Later(Wait::ForRoom))
    }
}

pub(crate) struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

pub(crate) struct Alone {
    pub engine: Engine,
    pub store: MemoryStore,
    pub ctx: Ctx,
    pub desk: Arc<Desk>,
    pub tokens: Token,
    pub answered: BTreeMap<Token, Answer>,
    pub refused: BTreeMap<Token, Refusal>,
    pub timers: Vec<Timer>,
    /// What every frame that left said, newest last.
    pub sent: Vec<Frame>,
    /// Rows that were written, by what became of them.
    pub written: usize,
}

impl Alone {
    pub fn new() -> Self {
        let (key, desk) = (KernelKey::from_bytes(&[7; 32]), Arc::new(Desk::default()));
        let mut store = MemoryStore::new();
        let mut txn = Txn::new(&store);
        let incarnation = Incarnation::from_bytes([1; 16]);
        let identity = meta::Identity {
            kernel: key.id(),
            incarnation,
            name: String::new(),
            recovery: Vec::new(),
            ended: Vec::new(),
        };
        meta::set_identity(&mut txn, &identity);
        let (batch, durability) = txn.into_batch();
        store.commit(batch, durability).unwrap();
        let (me, boot) = (key.id(), BootId::from_bytes([2; 16]));
        let ctx = Ctx { key, me, boot, now_ms: NOW_MS, runner: Arc::clone(&desk) as Arc<dyn Runner> };
        Self {
            engine: Engine::new(),
            store,
            ctx,
            desk,
            tokens: 0,
            answered: BTreeMap::new(),
            refused: BTreeMap::new(),
            timers: Vec::new(),
            sent: Vec::new(),
            written: 0,
        }
    }

    /// One input, and everything that is to happen at once after it.
    pub fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let (engine, store, ctx) = (&mut self.engine, &mut self.store, &self.ctx);
            let release = &mut |effect| effects.push(effect);
            self.written += group::run(engine, store, ctx, &mut Zeros, [input], release).unwrap().rows;
            for effect in effects {
                match effect {
                    Effect::Timer { after_ms: 0, timer } => inputs.push_back(Input::Timer(timer)),
                    Effect::Timer { timer, .. } => self.timers.push(timer),
                    Effect::Run(run) => self.desk.asked.lock().unwrap().push(*run),
                    Effect::Send { frame, .. } => self.sent.push(frame),
                    Effect::Reply { token, reply: Ok(answer) } => {
                        self.answered.insert(token, answer);
                    }
                    Effect::Reply { token, reply: Err(refusal) } => {
                        self.refused.insert(token, refusal);
                    }
                    _ => {}
                }
            }
        }
    }

    pub fn command(&mut self, command: Command) -> Token {
        let token = self.tokens + 1;
        self.try_command(command).unwrap();
        token
    }

    /// A refusal if it is refused at once.
    pub fn try_command(&mut self, command: Command) -> Result<(), Refusal> {
        self.tokens += 1;
        let token = self.tokens;
        self.input(Input::Command { token, command });
        self.refused.remove(&token).map_or(Ok(()), Err)
    }

    /// Something that an input would do, and what follows from it.
    pub fn step(&mut self, work: impl FnOnce(&mut Step<'_, '_>) -> Result<(), StoreError>) {
        let mut txn = Txn::new(&self.store);
        let (engine, ctx, rng) = (&mut self.engine, &self.ctx, &mut Zeros);
        let mut step = Step { engine, txn: &mut txn, ctx, rng, out: Effects::default() };
        work(&mut step).unwrap();
        let effects = step.out;
        let (batch, durability) = txn.into_batch();
        self.store.commit(batch, durability).unwrap();
        for effect in effects.now.into_iter().chain(effects.after) {
            match effect {
                Effect::Run(run) => self.desk.asked.lock().unwrap().push(*run),
                Effect::Timer { after_ms: 0, timer } => self.input(Input::Timer(timer)),
                _ => {}
            }
        }
    }

    /// A peer that may act on everything.
    pub fn peer(&mut self, n: u8) -> Origin {
        let kernel = KernelKey::from_bytes(&[n; 32]).id();
        self.command(Command::AddPeer { peer: kernel, addresses: Vec::new(), petname: None });
        let grant = Grant {
            scope: Scope::Kernel,
            right: Right::Act,
            kernel,
            object: None,
            expires_ms: None,
            actions: None,
        };
        self.command(Command::Grant(grant));
        Origin { kernel, incarnation: Incarnation::from_bytes([n; 16]) }
    }

    /// An action of a peer is here.
    pub fn acts(&mut self, origin: Origin, key: ObjectKey, sequence: u64, arguments: String) {
        self.acts_as(origin, key, sequence, arguments, None);
    }

    /// The same of an object of that peer, which is its guest.
    pub fn acts_as(
        &mut self,
        origin: Origin,
        key: ObjectKey,
        sequence: u64,
        arguments: String,
        guest: Option<ObjectKey>,
    ) {
        let mut act = asked(key, sequence, arguments);
        act.action.acting = guest;
        act.guest = guest.map(|_| true);
        self.step(|s| crate::act::received(s, origin, act));
    }

    /// A peer that may act on everything dials, and is admitted; its commit number is 1.
    pub fn connected(&mut self, n: u8) -> Origin {
        let origin = self.peer(n);
        self.connect(n, origin, 1);
        origin
    }

    /// The same peer again, on another connection.
    pub fn connect(&mut self, n: u8, origin: Origin, conn: u64) {
        let key = KernelKey::from_bytes(&[n; 32]);
        let progress = Progress::sign(origin.incarnation, 1, BootId::from_bytes([n; 16]), 1, &key);
        let greeting = Greeting {
            features: vec![once_model::wire::FEATURE_ACTIONS],
            progress,
            window_shares: 1,
            clock_ms: NOW_MS,
            ..greeting(&key)
        };
        let (peer, event) = (origin.kernel, LinkEvent::Up { conn, dialled: false, address: None });
        self.input(Input::Link { peer, event });
        self.says(peer, conn, Frame::Hello(greeting));
    }

    /// A frame comes; what leaves after it.
    pub fn says(&mut self, peer: KernelId, conn: u64, frame: Frame) -> &[Frame] {
        self.sent.clear();
        self.input(Input::Frame { peer, conn, frame });
        &self.sent
    }

    /// The engine begins anew on the same store.
    pub fn restart(&mut self) {
        (self.engine, self.timers) = (Engine::new().keeping_told(self.engine.act.told_rows), Vec::new());
        group::start(&mut self.engine, &mut self.store, &self.ctx, &mut Zeros, &mut |_| {}).unwrap();
    }

    /// A kernel that has rows in every table, with peer 9. Returns its objects; nothing happens to the first of them.
    pub fn populated() -> (Self, Vec<ObjectKey>) {
        let mut kernel = Self::new();
        let peer = kernel.peer(9).kernel;
        let components = ["Open", "Clock", "Maker", "Served", "Plain"];
        let mut objects: Vec<_> = (1..).zip(components).map(|(n, name)| kernel.object(n, name)).collect();
        kernel.act_named(objects[1], "set", 1);
        kernel.act(objects[2], 2);
        kernel.act(objects[3], 3);
        let plain = objects[4];
        kernel.command(Command::Share { key: plain, to: peer, delivered: false });
        let grant = |right| Grant {
            scope: Scope::Object(plain),
            right,
            kernel: peer,
            object: None,
            expires_ms: None,
            actions: None,
        };
        kernel.command(Command::Grant(grant(Right::Read)));
        let elsewhere = ObjectKey { uuid: Uuid::from_u128(78), line: plain.line };
        for key in [plain, elsewhere] {
            kernel.command(Command::Follow { key, from: peer });
        }
        kernel.command(Command::Unfollow { key: elsewhere, from: peer });
        let secret_hash = Hash::from_bytes([5; 32]);
        kernel.command(Command::Invite { secret_hash, expires_ms: NOW_MS + 1, petname: None });
        let scenario = Scenario::compose(Uuid::from_u128(6), "Plain", "1", "me", "{}").unwrap();
        let imported = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
        kernel.command(Command::Import { source: Some("a".into()), scenario, over: None });
        kernel.command(Command::Claim { key: imported });
        objects.push(imported);
        // What only a peer can bring.
        kernel.step(|s| {
            let head = crate::object::head(s.txn, &plain)?.unwrap();
            let beside = [plain.to_row().as_slice(), head.header.id().as_bytes()].concat();
            s.txn.put(Table::Conflict, &beside, &head);
            let follower = [plain.to_row().as_slice(), peer.as_bytes()].concat();
            s.txn.put(Table::Follower, &follower, &crate::follow::FollowRow { since_ms: NOW_MS });
            // What only a crash leaves.
            let row = Chore::ForgetObject(plain).to_row().unwrap_or_default();
            s.txn.put(Table::Chore, &row, &ChoreRow::default());
            Ok(())
        });
        (kernel, objects)
    }

    pub fn peer_id(&self, n: u8) -> KernelId {
        KernelKey::from_bytes(&[n; 32]).id()
    }

    /// An action; a refusal if it is refused at once.
    pub fn try_act(&mut self, key: ObjectKey, n: u64) -> Result<(), Refusal> {
        let command = self.wish(key, "go", n);
        self.try_command(command)
    }

    /// What cannot be read.
    pub fn damaged(&mut self) -> Vec<Damage> {
        let token = self.command(Command::Standing);
        match &self.answered[&token] {
            Answer::Standing { damaged, .. } => damaged.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// All rows.
    pub fn rows(&self) -> Vec<(Table, Vec<u8>, bytes::Bytes)> {
        let mut rows = Vec::new();
        for table in Table::ALL {
            self.store
                .scan(table, &[], None, &mut |key, value| {
                    rows.push((table, key.to_vec(), value));
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
        }
        rows
    }

    /// The same kernel on a disk that has another value in one row; it has just started.
    pub fn with_row(&self, table: Table, key: &[u8], value: &'static [u8]) -> Self {
        let mut other = Self::new();
        let mut rows = self.rows();
        rows.retain(|(of, row, _)| (*of, row.as_slice()) != (table, key));
        rows.push((table, key.to_vec(), value.into()));
        let rows = rows.into_iter().map(|(table, key, value)| (table, key, Some(value))).collect();
        other.store.commit(Batch { rows }, Durability::Synced).unwrap();
        let mut effects = Vec::new();
        let Self { engine, store, ctx, .. } = &mut other;
        group::start(engine, store, ctx, &mut Zeros, &mut |effect| effects.push(effect)).unwrap();
        for effect in effects {
            match effect {
                Effect::Timer { after_ms: 0, timer } => other.input(Input::Timer(timer)),
                Effect::Timer { timer, .. } => other.timers.push(timer),
                _ => {}
            }
        }
        other
    }

    /// What stands still.
    pub fn standing(&mut self) -> Vec<Stands> {
        let token = self.command(Command::Standing);
        match &self.answered[&token] {
            Answer::Standing { lanes, .. } => lanes.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub fn object(&mut self, n: u128, component: &str) -> ObjectKey {
        let scenario = Scenario::compose(Uuid::from_u128(n), component, "1", "me", "{}").unwrap();
        let token = self.command(Command::Create { scenario });
        match &self.answered[&token] {
            Answer::Object { header, .. } => header.key(),
            other => panic!("{other:?}"),
        }
    }

    pub fn act(&mut self, key: ObjectKey, n: u64) -> Token {
        self.act_named(key, "go", n)
    }

    pub fn act_named(&mut self, key: ObjectKey, name: &str, n: u64) -> Token {
        let command = self.wish(key, name, n);
        self.command(command)
    }

    /// An action on an object of another kernel.
    pub fn act_at(&mut self, home: KernelId, key: ObjectKey, n: u64) -> Token {
        match self.wish(key, "go", n) {
            Command::Act { key, action, deadline_ms, wait, .. } => {
                self.command(Command::Act { key, at: Some(home), action, deadline_ms, wait })
            }
            other => panic!("{other:?}"),
        }
    }

    fn wish(&self, key: ObjectKey, name: &str, n: u64) -> Command {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&NOW_MS.to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&[0x70, 0]);
        id[8..].copy_from_slice(&n.to_be_bytes());
        let id = Uuid::from_bytes(id);
        let action = Action {
            id,
            name: name.into(),
            arguments: n.to_string().into(),
            given: Vec::new(),
            acting: None,
            answers: None,
        };
        Command::Act { key, at: None, action, deadline_ms: None, wait: true }
    }

    /// The runs that were asked for, by their arguments.
    pub fn asked(&self) -> Vec<u64> {
        let number = |run: &Run| std::str::from_utf8(&run.action.arguments).unwrap().parse::<u64>().unwrap();
        self.desk.asked.lock().unwrap().iter().map(number).collect()
    }

    /// Answers the run that was asked for first.
    pub fn answer(&mut self, result: RunResult) {
        let run = self.desk.asked.lock().unwrap().remove(0);
        self.input(Input::Ran(Box::new(Ran { run: run.run, key: run.key, result })));
    }

    pub fn ready(&mut self, room: i64) {
        self.desk.room.fetch_add(room, Ordering::Relaxed);
        self.input(Input::Ready { component: "Served".into() });
    }

    pub fn resend(&mut self) {
        self.ctx.now_ms += RESEND_AFTER_MS;
        let timers = std::mem::take(&mut self.timers);
        let resend = |timer: &&Timer| matches!(timer, Timer::Resend(..));
        assert_eq!(timers.iter().filter(resend).count(), 1, "one timer is enough");
        timers.into_iter().for_each(|timer| self.input(Input::Timer(timer)));
    }
}
