//! A world of kernels that do everything right, by hand: tests change one thing.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic)]

mod acts;
pub mod moving;
mod records;

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
            features: vec![1, 2],
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

    /// A has dialled b, and nobody has said anything.
    pub fn dial(&mut self, a: usize, b: usize, conn: u64) {
        let (id_a, id_b) = (self.k[a].id, self.k[b].id);
        self.see(a, Seen::LinkUp { conn, peer: id_b, dialled: true });
        self.see(b, Seen::LinkUp { conn, peer: id_a, dialled: false });
    }

    pub fn link(&mut self, a: usize, b: usize, conn: u64) {
        self.dial(a, b, conn);
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
