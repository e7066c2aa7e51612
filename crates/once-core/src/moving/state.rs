//! What the engine remembers of objects that are about to leave, and of news under way. It is made from the rows at each start
//! and at each connection.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};
use once_model::wire::Code;

use super::remembered::Remembered;
use crate::waist::Token;

/// Objects that are told at once, of those that wait for it: keeps a step short.
const READY_MAX: usize = 32;

/// Objects that are about to leave.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub leaving: Remembered<Leaving>,
    /// Clients that only ask whether a kernel would take an object.
    pub asks: BTreeMap<(KernelId, ObjectKey), Asks>,
    /// Objects that have come, from where, and have not been told so. Nothing else is asked of them before.
    pub arriving: Remembered<KernelId>,
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
    /// The last certificate of the chain, if that could be read.
    pub certificate: Option<Hash>,
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
#[derive(Debug, Clone)]
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
    /// How many calls it has left behind at the seal: who waits is told.
    pub left: usize,
    /// Clients that wait for it to arrive.
    pub tokens: Vec<Token>,
}

impl Leaving {
    /// At its beginning.
    pub fn new(to: KernelId, leave_calls: bool, tokens: Vec<Token>) -> Self {
        let (told, untold, record, left) = Default::default();
        Self { to, leave_calls, told, untold, record, stage: Stage::Asking, left, tokens }
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
    /// A step begins.
    pub fn begin(&mut self) {
        self.leaving.begin();
        self.arriving.begin();
    }

    /// What the step has changed so far.
    pub fn changes(&self) -> [usize; 2] {
        [self.leaving.changes(), self.arriving.changes()]
    }

    /// Rows were taken back, and so is what is remembered of them.
    pub fn taken_back(&mut self, [leaving, arriving]: [usize; 2]) {
        self.leaving.take_back(leaving);
        self.arriving.take_back(arriving);
    }

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

#[cfg(test)]
mod tests {
    use once_model::ids::{Hash, Line, Uuid};

    use super::*;

    fn key(n: u128) -> ObjectKey {
        ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([1; 32])) }
    }

    fn kernel(n: u8) -> KernelId {
        KernelId::from_bytes([n; 32])
    }

    /// Object 1 is sealed for kernel 1, 2 drains for kernel 2, 3 is asked for at kernel 3; 4 has come from kernel 4.
    fn state() -> State {
        let mut state = State::default();
        let receiver = Incarnation::from_bytes([1; 16]);
        let draining = Stage::Draining { receiver, until_ms: 1, has: None };
        for (n, stage) in [(1, Stage::Sealed { sent_ms: 1 }), (2, draining), (3, Stage::Asking)] {
            let leaving = Leaving::new(kernel(n), false, vec![u64::from(n), 10]);
            state.leaving.insert(key(u128::from(n)), Leaving { stage, ..leaving });
        }
        state.arriving.insert(key(4), kernel(4));
        state
    }

    #[test]
    fn what_moves_holds_up_what_it_must() {
        let mut state = state();
        let holds = [1, 2, 3, 4, 5].map(|n| state.hold(&key(n)));
        assert_eq!(holds, [Some(Hold::All), Some(Hold::AllButAnswers), None, Some(Hold::All), None]);
        assert_eq!([1, 2, 3].map(|n| state.hands_to(&kernel(n))), [Some(key(1)), None, None]);
        let leaves = [1, 2, 3, 4].map(|n| state.waits_for(&key(n), Word::Leaving));
        assert_eq!(leaves, [None, Some(kernel(2)), None, None]);
        let comes = [1, 2, 3, 4].map(|n| state.waits_for(&key(n), Word::Arrived));
        assert_eq!(comes, [None, None, None, Some(kernel(4))]);
        state.leaving.get_mut(&key(2)).unwrap().told = true;
        assert_eq!(state.waits_for(&key(2), Word::Leaving), None);
    }

    #[test]
    fn only_what_moves_is_looked_at_again() {
        let mut state = state();
        (1..=5).for_each(|n| state.touch(&key(n)));
        assert_eq!(state.touched, (1..=4).map(key).collect());
        state.touched.clear();
        for (n, heard) in [(2, Heard::Done), (4, Heard::Again), (5, Heard::Done)] {
            state.hears(key(n), heard);
        }
        assert_eq!(state.touched, [2, 4].map(key).into());
        assert_eq!([2, 4, 5, 2].map(|n| state.heard(&key(n))), [Some(Heard::Done), None, None, None]);
    }

    #[test]
    fn a_few_at_once_have_their_turn() {
        let mut state = State::default();
        let most = READY_MAX as u128;
        for n in 1..=most + 2 {
            state.put_off("Paper", key(n));
            state.arriving.insert(key(n), kernel(1));
        }
        state.ready("Pen");
        assert!(state.touched.is_empty());
        state.ready("Paper");
        assert_eq!(std::mem::take(&mut state.touched), (1..=most).map(key).collect());
        assert_eq!(state.put_off.len(), 1);
        state.ready("Paper");
        assert_eq!(std::mem::take(&mut state.touched), (most + 1..=most + 2).map(key).collect());
        assert!(state.put_off.is_empty());
        // With time, one after the other, and then from the beginning.
        for turn in [Some(1..=most), Some(most + 1..=most + 2), None, Some(1..=most)] {
            state.look_again();
            let turn = turn.into_iter().flatten().map(key).collect();
            assert_eq!(std::mem::take(&mut state.touched), turn);
        }
    }

    #[test]
    fn nobody_waits_for_two_answers() {
        let mut state = state();
        for (n, tokens) in [(1, vec![10]), (2, vec![10, 11])] {
            state.asks.insert((kernel(1), key(n)), Asks { certificate: None, tokens });
        }
        state.forget(10);
        let waits: Vec<_> = state.leaving.values().map(|leaving| leaving.tokens.clone()).collect();
        assert_eq!(waits, [vec![1], vec![2], vec![3]]);
        let asks: Vec<_> = state.asks.iter().map(|((_, key), asks)| (*key, asks.tokens.clone())).collect();
        assert_eq!(asks, [(key(2), vec![11])]);
    }
}
