//! What the engine remembers of objects that are about to leave, and of news under way. It is made from the rows at each start
//! and at each connection.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};
use once_model::wire::Code;

use crate::waist::Token;

/// Objects that are told at once, of those that wait for it: keeps a step short.
const READY_MAX: usize = 32;

/// Objects that are about to leave.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub leaving: BTreeMap<ObjectKey, Leaving>,
    /// Clients that only ask whether a kernel would take an object.
    pub asks: BTreeMap<(KernelId, ObjectKey), Asks>,
    /// Objects that have come, from where, and have not been told so. Nothing else is asked of them before.
    pub arriving: BTreeMap<ObjectKey, KernelId>,
    /// What came of telling one of these or those, in this step.
    heard: BTreeMap<ObjectKey, Heard>,
    /// Those that could not be told just now, by component.
    put_off: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// The last one that was looked at because time has passed.
    looked_at: Option<ObjectKey>,
    /// Those of which something has ended in this step: perhaps nothing is under way any more.
    pub touched: BTreeSet<ObjectKey>,
    /// What peers are told of where objects are, and have not answered.
    pub telling: BTreeMap<KernelId, BTreeMap<ObjectKey, Told>>,
    /// Whether the clock runs by which all of this is looked at.
    pub ticking: bool,
}

/// What a peer was told last of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The last certificate of the chain.
    pub certificate: Hash,
    pub sent_ms: u64,
}

/// Who asks whether a kernel would take an object.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// That of the object when it was asked last.
    pub certificate: Option<Hash>,
    pub tokens: Vec<Token>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub to: KernelId,
    /// It does not wait for its calls.
    pub leave_calls: bool,
    /// It was told that it leaves, and that is recorded.
    pub told: bool,
    /// Its component cannot read it, and so is told nothing.
    pub untold: bool,
    /// The receiver was asked for it as a plain record.
    pub record: bool,
    pub stage: Stage,
    /// Clients that wait for it to arrive.
    pub tokens: Vec<Token>,
}

impl Leaving {
    /// At its beginning.
    pub const fn new(to: KernelId, leave_calls: bool, tokens: Vec<Token>) -> Self {
        Self { to, leave_calls, told: false, untold: false, record: false, stage: Stage::Asking, tokens }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The receiver has not said yet whether it would take it.
    Asking,
    /// It would, in this life of it. What is under way comes to its end. `has`: the revision that it has said to have.
    Draining { receiver: Incarnation, until_ms: u64, has: Option<Hash> },
    /// It is handed over, as soon as the receiver says so.
    Sealed { sent_ms: u64 },
}

/// What an object is told because it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is about to leave. It may say no.
    Leaving,
    /// It has come.
    Arrived,
}

impl Word {
    /// Name of the built-in action that tells the object of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaving => "once:leaving",
            Self::Arrived => "once:arrived",
        }
    }

    /// What the other kernel is to it.
    pub const fn other(self) -> &'static str {
        match self {
            Self::Leaving => "to",
            Self::Arrived => "from",
        }
    }
}

/// What came of telling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It knows, and that is recorded.
    Done,
    /// Its component says no.
    Failed(Bytes),
    /// Its component wants what no kernel does.
    Refused(Code),
    /// Its component cannot read it: it is told nothing, as if that did not want to know.
    Nothing,
    /// It cannot be told just now.
    NotNow,
    /// It has changed meanwhile, or need not be told any more.
    Again,
}

/// Which acts on an object wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// All but answers to it, what it asked of itself, and what must run before these.
    AllButAnswers,
    /// Every act on the object waits.
    All,
}

impl State {
    /// Whether acts on an object wait, because it is about to leave.
    pub fn hold(&self, key: &ObjectKey) -> Option<Hold> {
        if self.arriving.contains_key(key) {
            return Some(Hold::All);
        }
        match self.leaving.get(key)?.stage {
            Stage::Asking => None,
            Stage::Draining { .. } => Some(Hold::AllButAnswers),
            Stage::Sealed { .. } => Some(Hold::All),
        }
    }

    /// The object that is sealed for a kernel, if one is: then that kernel stays a peer.
    pub fn hands_to(&self, peer: &KernelId) -> Option<ObjectKey> {
        let is_sealed = |leaving: &Leaving| matches!(leaving.stage, Stage::Sealed { .. });
        let mut all = self.leaving.iter();
        all.find(|(_, leaving)| leaving.to == *peer && is_sealed(leaving)).map(|(key, _)| *key)
    }

    /// Something of an object has ended.
    pub fn touch(&mut self, key: &ObjectKey) {
        if self.leaving.contains_key(key) || self.arriving.contains_key(key) {
            self.touched.insert(*key);
        }
    }

    /// Whether an object is still to be told that, and of which kernel.
    pub fn waits_for(&self, key: &ObjectKey, word: Word) -> Option<KernelId> {
        match word {
            Word::Arrived => self.arriving.get(key).copied(),
            Word::Leaving => {
                let leaving = self.leaving.get(key)?;
                (matches!(leaving.stage, Stage::Draining { .. }) && !leaving.told).then_some(leaving.to)
            }
        }
    }

    /// An object has been told.
    pub fn hears(&mut self, key: ObjectKey, heard: Heard) {
        if self.leaving.contains_key(&key) || self.arriving.contains_key(&key) {
            self.heard.insert(key, heard);
            self.touched.insert(key);
        }
    }

    /// What came of it, if that came in this step.
    pub fn heard(&mut self, key: &ObjectKey) -> Option<Heard> {
        self.heard.remove(key).filter(|heard| *heard != Heard::Again)
    }

    /// An object could not be told: it is as soon as whoever has its component is there.
    pub fn put_off(&mut self, component: &str, key: ObjectKey) {
        self.put_off.entry(component.to_owned()).or_default().insert(key);
    }

    /// Whoever has a component can be asked: some of those that wait for that are looked at.
    pub fn ready(&mut self, component: &str) {
        let Some(waits) = self.put_off.get_mut(component) else { return };
        for _ in 0..READY_MAX {
            let Some(key) = waits.pop_first() else { break };
            self.touched.insert(key);
        }
        if waits.is_empty() {
            self.put_off.remove(component);
        }
    }

    /// Time has passed: some of those that have come and were not told are looked at, in turn.
    pub fn look_again(&mut self) {
        let from = self.looked_at.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.arriving.range((from, Bound::Unbounded));
        let next: Vec<_> = rest.map(|(key, _)| *key).take(READY_MAX).collect();
        self.looked_at = next.last().copied();
        self.touched.extend(next);
    }

    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.leaving.values_mut().for_each(|leaving| leaving.tokens.retain(|waits| *waits != token));
        self.asks.retain(|_, asks| {
            asks.tokens.retain(|waits| *waits != token);
            !asks.tokens.is_empty()
        });
    }
}
