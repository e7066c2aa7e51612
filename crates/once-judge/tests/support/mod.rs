//! A world of kernels that do everything right, by hand: tests change one thing.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use once_judge::seen::*;
use once_judge::{Check, Judge, Limits, Violation};
use once_model::action::{Act, ActOutcome, Action, After, BUILT_IN_FROM, LaneName, Outcome, client_id};
use once_model::certificate::{Chain, Genesis};
use once_model::hash::content_hash;
use once_model::header::{Cause, Header};
use once_model::ids::*;
use once_model::progress::Progress;
use once_model::receipt::Entry;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Greeting, Parcel, ShareAnswer, Shared};

pub const A: usize = 0;
pub const B: usize = 1;
pub const C: usize = 2;
pub const ZERO: Hash = Hash::from_bytes([0; 32]);
pub const T0: u64 = 1_700_000_000_000;

/// An object as its home has it.
#[derive(Clone)]
pub struct Thing {
    pub header: Header,
    pub chain: Chain,
    pub number: u64,
    pub tip: Hash,
    pub entry: Option<Entry>,
}

pub struct K {
    pub key: KernelKey,
    pub id: KernelId,
    pub incarnation: Incarnation,
    pub boot: u64,
    pub things: BTreeMap<ObjectKey, Thing>,
}

/// An action on its way.
#[derive(Clone)]
pub struct Case {
    pub from: usize,
    pub to: usize,
    pub token: u64,
    pub lane: LaneName,
    pub sequence: u64,
    pub floor: u64,
    pub action: Action,
    pub remaining_ms: Option<u64>,
    pub void: Option<Code>,
    pub run: u64,
}

pub struct World {
    pub judge: Judge,
    pub at: u64,
    pub found: Vec<Violation>,
    pub k: Vec<K>,
    pub next: u64,
}

pub fn state(uuid: Uuid, n: u64) -> (State, String) {
    let text = format!(
        "{{\"ior\":{{\"uuid\":\"{uuid}\",\"component\":\"Counter\",\"version\":\"1.0\"}},\"owner\":\"\",\"model\":{{\"n\":{n}}}}}"
    );
    let content = content_hash(text.as_bytes());
    let state = State { uuid, derived: false, content, size: text.len() as u64, component: "Counter".into() };
    (state, text)
}

impl World {
    /// Two kernels that are peers and connected by connection 1.
    pub fn pair() -> Self {
        let mut world = Self::apart();
        world.befriend(A, B);
        world.link(A, B, 1);
        world
    }

    /// Three kernels that run.
    pub fn apart() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let kernel = |n: u8| {
            let key = KernelKey::from_bytes(&[n; 32]);
            let incarnation = Incarnation::from_bytes([n; 16]);
            K { id: key.id(), key, incarnation, boot: 0, things: BTreeMap::new() }
        };
        let k = vec![kernel(1), kernel(2), kernel(3)];
        let mut world = Self { judge: Judge::new(limits), at: 0, found: Vec::new(), k, next: 1000 };
        for n in [A, B, C] {
            world.start(n);
        }
        world
    }

    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn see(&mut self, k: usize, seen: Seen) {
        self.found.extend(self.judge.see(self.k[k].id, self.at, seen));
    }

    pub fn start(&mut self, n: usize) {
        self.k[n].boot += 1;
        let (incarnation, boot) = (self.k[n].incarnation, self.k[n].boot);
        let now_ms = T0 + self.at;
        self.see(
            n,
            Seen::Started { incarnation, boot, boot_id: BootId::from_bytes([boot as u8; 16]), now_ms },
        );
    }

    pub fn wait(&mut self, ms: u64) {
        self.at += ms;
    }

    /// A command that is done.
    pub fn done(&mut self, k: usize, ask: Ask) {
        let token = self.number();
        self.see(k, Seen::Client { token, ask });
        self.see(k, Seen::Durable);
        self.see(k, Seen::Answered { token, answer: Ok(Reply::Done) });
    }

    /// A command that is refused.
    pub fn refused(&mut self, k: usize, ask: Ask, refusal: Refusal) {
        let token = self.number();
        self.see(k, Seen::Client { token, ask });
        self.see(k, Seen::Durable);
        self.see(k, Seen::Answered { token, answer: Err(refusal) });
    }

    pub fn befriend(&mut self, a: usize, b: usize) {
        let (id_a, id_b) = (self.k[a].id, self.k[b].id);
        self.done(a, Ask::PeerAdd(id_b));
        self.done(b, Ask::PeerAdd(id_a));
    }

    pub fn greeting(&self, n: usize) -> Greeting {
        let k = &self.k[n];
        Greeting {
            features: vec![1],
            critical: vec![],
            progress: Progress::sign(
                k.incarnation,
                k.boot,
                BootId::from_bytes([k.boot as u8; 16]),
                1,
                &k.key,
            ),
            seen: vec![],
            frame_max_bytes: 262_144,
            scenario_max_bytes: 67_108_864,
            window_shares: 256,
            name: String::new(),
            clock_ms: T0,
            invite: None,
            heard: None,
        }
    }

    pub fn link(&mut self, a: usize, b: usize, conn: u64) {
        let (id_a, id_b) = (self.k[a].id, self.k[b].id);
        self.see(a, Seen::LinkUp { conn, peer: id_b });
        self.see(b, Seen::LinkUp { conn, peer: id_a });
        let hello = Frame::Hello(self.greeting(a));
        self.pass(a, b, conn, hello);
        let admitted = Frame::Admitted(self.greeting(b));
        self.pass(b, a, conn, admitted);
    }

    pub fn unlink(&mut self, a: usize, b: usize, conn: u64) {
        let (id_a, id_b) = (self.k[a].id, self.k[b].id);
        self.see(a, Seen::LinkDown { conn, peer: id_b });
        self.see(b, Seen::LinkDown { conn, peer: id_a });
    }

    pub fn out(&mut self, from: usize, to: usize, conn: u64, frame: Frame) {
        let peer = self.k[to].id;
        self.see(from, Seen::Durable);
        self.see(
            from,
            Seen::Frame { direction: Direction::Out, conn, stream: 0, peer, frame: Box::new(frame) },
        );
    }

    pub fn take_in(&mut self, from: usize, to: usize, conn: u64, frame: Frame) {
        let peer = self.k[from].id;
        self.see(to, Seen::Frame { direction: Direction::In, conn, stream: 0, peer, frame: Box::new(frame) });
    }

    /// A frame leaves, and is taken.
    pub fn pass(&mut self, from: usize, to: usize, conn: u64, frame: Frame) {
        self.out(from, to, conn, frame.clone());
        self.take_in(from, to, conn, frame);
    }

    /// A new object at a kernel, by a client.
    pub fn create(&mut self, k: usize, uuid: u128) -> ObjectKey {
        let (state, _) = state(Uuid::from_u128(uuid), 0);
        let token = self.number();
        self.see(k, Seen::Client { token, ask: Ask::Create(state.clone()) });
        let id = client_id(T0 + self.at, &[self.next as u8; 10]);
        let recorded = self.creates(k, &state, id);
        let key = recorded.entry.object;
        self.record(k, recorded);
        self.see(k, Seen::Durable);
        self.see(k, Seen::Answered { token, answer: Ok(Reply::Changed { key, revision: None }) });
        key
    }

    /// The record of a new object.
    pub fn creates(&self, k: usize, state: &State, id: Uuid) -> Recorded {
        let me = &self.k[k];
        let genesis = Genesis {
            uuid: state.uuid,
            home: me.id,
            recovery: vec![],
            content: state.content,
            nonce: [7; 16],
            incarnation: me.incarnation,
        };
        let chain = Chain::new(genesis);
        let key = ObjectKey { uuid: state.uuid, line: Line::Claimed(chain.genesis.lineage()) };
        let action = built_in(id, "once:create", format!("{{\"content\":\"{}\"}}", state.content));
        let mut recorded = self.builds(k, key, &action, state, None);
        self.fill(&mut recorded, &chain, None, state);
        recorded
    }

    /// The record of a change without a component.
    pub fn changes(&self, k: usize, key: ObjectKey, name: &str, id: Uuid, state: &State) -> Recorded {
        let thing = &self.k[k].things[&key];
        let base = thing.header.id();
        let arguments = if name == "once:remove" {
            format!("{{\"base\":\"{base}\"}}")
        } else {
            format!("{{\"base\":\"{base}\",\"content\":\"{}\"}}", state.content)
        };
        let action = built_in(id, name, arguments);
        let mut recorded = self.builds(k, key, &action, state, Some(thing));
        self.fill(&mut recorded, &thing.chain, Some(thing), state);
        if name == "once:remove" {
            let revised = recorded.revision.as_mut().unwrap();
            revised.header.tombstone = true;
            revised.header.size = 0;
            revised.header.content = content_hash(b"");
            recorded.entry.content = content_hash(b"");
            revised.header.entry = Some(recorded.entry.hash());
        }
        recorded
    }

    fn builds(
        &self,
        k: usize,
        key: ObjectKey,
        action: &Action,
        state: &State,
        thing: Option<&Thing>,
    ) -> Recorded {
        let me = &self.k[k];
        let number = thing.map_or(0, |thing| thing.number) + 1;
        let entry = Entry {
            object: key,
            number,
            previous: thing.map_or(ZERO, |thing| thing.tip),
            origin: me.id,
            incarnation: me.incarnation,
            sequence: BUILT_IN_FROM + number,
            id: action.id,
            action: action.hash(&key.uuid),
            outcome: Outcome::Done("null".into()).hash(),
            before: thing.map_or(ZERO, |thing| thing.header.id()),
            revision: thing.map_or(0, |thing| thing.header.revision) + 1,
            content: state.content,
            certificate: key.lineage().map(|lineage| Hash::from_bytes(*lineage.as_bytes())),
        };
        Recorded { lane: key.into(), entry, outcome: Outcome::Done("null".into()), revision: None }
    }

    /// Gives a record its revision.
    pub fn fill(&self, recorded: &mut Recorded, chain: &Chain, before: Option<&Thing>, state: &State) {
        let entry = &recorded.entry;
        let header = Header {
            uuid: entry.object.uuid,
            lineage: entry.object.lineage(),
            epoch: 1,
            revision: before.map_or(0, |thing| thing.header.revision) + 1,
            certificate: Some(chain.certificate()),
            parent: before.map(|thing| thing.header.id()),
            content: state.content,
            size: state.size,
            tombstone: false,
            component: state.component.clone(),
            version: "1.0".into(),
            cause: Some(Cause {
                origin: entry.origin,
                incarnation: entry.incarnation,
                sequence: entry.sequence,
                id: entry.id,
                acting: None,
            }),
            signature: None,
            entry: Some(entry.hash()),
        };
        recorded.revision = Some(Revised { header, chain: chain.clone() });
    }

    /// A record is written, and the kernel's object is so.
    pub fn record(&mut self, k: usize, recorded: Recorded) {
        let key = recorded.entry.object;
        let old = self.k[k].things.get(&key).cloned();
        let (header, chain) = match (&recorded.revision, old) {
            (Some(revised), _) => (revised.header.clone(), revised.chain.clone()),
            (None, Some(old)) => (old.header, old.chain),
            (None, None) => panic!("no object"),
        };
        let entry = recorded.entry.clone();
        let thing = Thing { header, chain, number: entry.number, tip: entry.hash(), entry: Some(entry) };
        self.k[k].things.insert(key, thing);
        self.see(k, Seen::Recorded(Box::new(recorded)));
    }

    pub fn ask(&mut self, _from: usize, to: usize, object: ObjectKey, name: &str) -> AskAct {
        let n = self.number();
        AskAct {
            id: client_id(T0 + self.at, &[n as u8; 10]),
            object,
            home: self.k[to].id,
            name: name.into(),
            arguments: b"{}".to_vec(),
            given: vec![],
            deadline_ms: None,
        }
    }

    /// A client's action is accepted.
    pub fn accept(&mut self, from: usize, to: usize, sequence: u64, ask: AskAct) -> Case {
        let token = self.number();
        let action = Action {
            id: ask.id,
            name: ask.name.clone(),
            arguments: ask.arguments.clone().into(),
            given: ask.given.clone(),
            acting: None,
            answers: None,
        };
        let (lane, remaining_ms) = (ask.object.into(), ask.deadline_ms);
        self.see(from, Seen::Client { token, ask: Ask::Act(Box::new(ask)) });
        self.see(from, Seen::Durable);
        self.see(from, Seen::Answered { token, answer: Ok(Reply::Accepted) });
        let run = self.number();
        Case { from, to, token, lane, sequence, floor: 0, action, remaining_ms, void: None, run }
    }

    pub fn frame(case: &Case) -> Act {
        Act {
            lane: case.lane,
            sequence: case.sequence,
            floor: case.floor,
            action: case.action.clone(),
            remaining_ms: case.remaining_ms,
            commit: None,
            void: case.void,
            certificate: None,
            guest: None,
        }
    }

    pub fn send(&mut self, case: &Case) {
        self.pass(case.from, case.to, 1, Frame::Act(Self::frame(case)));
    }

    /// An action is accepted and sent.
    pub fn act(&mut self, object: ObjectKey, sequence: u64, name: &str) -> Case {
        let ask = self.ask(A, B, object, name);
        let case = self.accept(A, B, sequence, ask);
        self.send(&case);
        case
    }

    pub fn asked(&mut self, case: &Case) {
        let object = case.lane.key;
        let asked = Asked {
            run: case.run,
            object,
            base: self.k[case.to].things[&object].header.id(),
            origin: self.k[case.from].id,
            incarnation: self.k[case.from].incarnation,
            sequence: case.sequence,
            action: case.action.clone(),
        };
        self.see(case.to, Seen::Asked(Box::new(asked)));
    }

    /// The component says that the object has this state now.
    pub fn said(&mut self, case: &Case, n: Option<u64>, effects: Vec<Effect>) {
        let state = n.map(|n| state(case.lane.key.uuid, n).0);
        self.see(
            case.to,
            Seen::Ran { run: case.run, said: Said::Done { state, result: b"1".to_vec(), effects } },
        );
    }

    /// The right record of an action.
    pub fn records(&self, case: &Case, outcome: Outcome, n: Option<u64>) -> Recorded {
        let key = case.lane.key;
        let thing = &self.k[case.to].things[&key];
        let new = n.map(|n| state(key.uuid, n).0);
        let entry = Entry {
            object: key,
            number: thing.number + 1,
            previous: thing.tip,
            origin: self.k[case.from].id,
            incarnation: self.k[case.from].incarnation,
            sequence: case.sequence,
            id: case.action.id,
            action: case.action.hash(&key.uuid),
            outcome: outcome.hash(),
            before: thing.header.id(),
            revision: thing.header.revision + u64::from(n.is_some()),
            content: new.as_ref().map_or(thing.header.content, |state| state.content),
            certificate: Some(thing.chain.certificate()),
        };
        let mut recorded = Recorded { lane: case.lane, entry, outcome, revision: None };
        if let Some(state) = &new {
            self.fill(&mut recorded, &thing.chain, Some(thing), state);
        }
        recorded
    }

    /// It runs, and is recorded as done.
    pub fn run(&mut self, case: &Case, n: Option<u64>, effects: Vec<Effect>) {
        self.asked(case);
        self.said(case, n, effects);
        let recorded = self.records(case, done(), n);
        self.record(case.to, recorded);
    }

    pub fn outcome(&self, case: &Case, outcome: Outcome, recorded: bool) -> ActOutcome {
        let thing = self.k[case.to].things.get(&case.lane.key);
        let after = thing.filter(|_| recorded).map(|t| After { key: case.lane.key, revision: t.header.id() });
        ActOutcome {
            lane: case.lane,
            sequence: case.sequence,
            id: case.action.id,
            outcome,
            after,
            commit: None,
            certificate: thing.filter(|_| recorded).map(|thing| thing.chain.certificate()),
        }
    }

    /// The home tells, the origin takes it and tells its client.
    pub fn tell(&mut self, case: &Case, outcome: Outcome, recorded: bool) {
        let frame = Frame::Outcome(self.outcome(case, outcome.clone(), recorded));
        self.pass(case.to, case.from, 1, frame);
        self.see(case.from, Seen::Durable);
        self.told(case, outcome);
    }

    pub fn told(&mut self, case: &Case, outcome: Outcome) {
        let (from, token) = (case.from, case.token);
        self.see(from, Seen::Answered { token, answer: Ok(Reply::Outcome(outcome)) });
    }

    /// An action, all the way.
    pub fn whole(&mut self, object: ObjectKey, sequence: u64, n: u64) -> Case {
        let case = self.act(object, sequence, "add");
        self.run(&case, Some(n), vec![]);
        self.tell(&case, done(), true);
        case
    }

    pub fn grant(&mut self, k: usize, to: usize, right: Right, scope: Scope) -> Grant {
        let grant = Grant {
            to: Grantee::Kernel(self.k[to].id),
            home: None,
            right,
            scope,
            expires_ms: None,
            actions: None,
        };
        self.done(k, Ask::Grant(grant.clone()));
        grant
    }

    pub fn parcel(&self, k: usize, key: ObjectKey, n: u64) -> Parcel {
        let thing = &self.k[k].things[&key];
        let mut header = thing.header.clone();
        header.sign(&self.k[k].key);
        let body = (!header.tombstone).then(|| state(key.uuid, n).1.into_bytes().into());
        Parcel { header, chain: Some(thing.chain.clone()), body, commit: None }
    }

    /// A share arrives and is kept and answered.
    pub fn takes(&mut self, from: usize, to: usize, parcel: &Parcel) {
        let peer = self.k[from].id;
        self.take_in(from, to, 1, Frame::Share(parcel.clone()));
        let kept = Kept {
            header: parcel.header.clone(),
            chain: parcel.chain.clone(),
            from: Some(peer),
            beside: false,
        };
        self.see(to, Seen::Kept(Box::new(kept)));
        let answer = shared(parcel, ShareAnswer::Stored);
        self.pass(to, from, 1, answer);
    }

    pub fn healed(&mut self) {
        self.wait(200_000);
        let found = self.judge.healed(self.at);
        self.found.extend(found);
    }

    /// Nothing was wrong.
    #[track_caller]
    pub fn right(&self) {
        assert!(self.found.is_empty(), "{:#?}", self.found);
    }

    /// Just this was wrong.
    #[track_caller]
    pub fn wrong(&self, check: Check) {
        let checks: Vec<_> = self.found.iter().map(|found| found.check).collect();
        assert!(checks.contains(&check), "{check:?} is not in {:#?}", self.found);
    }
}

pub fn built_in(id: Uuid, name: &str, arguments: String) -> Action {
    Action { id, name: name.into(), arguments: arguments.into(), given: vec![], acting: None, answers: None }
}

pub fn shared(parcel: &Parcel, answer: ShareAnswer) -> Frame {
    Frame::Shared(Shared { key: parcel.header.key(), id: parcel.header.id(), answer, commit: None })
}

pub fn done() -> Outcome {
    Outcome::Done("1".into())
}

pub fn refused(code: Code) -> Outcome {
    Outcome::Refused(code)
}

impl World {
    /// An action of A's at B, as a client would ask for it.
    pub fn ask_of(&self, object: ObjectKey) -> AskAct {
        AskAct {
            id: client_id(T0 + self.at, &[77; 10]),
            object,
            home: self.k[B].id,
            name: "add".into(),
            arguments: b"{}".to_vec(),
            given: vec![],
            deadline_ms: None,
        }
    }
}
