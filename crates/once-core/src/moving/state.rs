//! What the engine remembers of objects that are about to leave, and of news under way. It is made from the rows at each start
//! and at each connection.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};

use crate::waist::Token;

/// Objects that are about to leave.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub leaving: BTreeMap<ObjectKey, Leaving>,
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

/// One of them.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub to: KernelId,
    /// It does not wait for its calls.
    pub leave_calls: bool,
    pub stage: Stage,
    /// Clients that wait for it to arrive.
    pub tokens: Vec<Token>,
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

/// Which acts on an object wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// All but answers to it, what it asked of itself, and what must run before these.
    AllButAnswers,
    /// All.
    All,
}

impl State {
    /// Whether acts on an object wait, because it is about to leave.
    pub fn hold(&self, key: &ObjectKey) -> Option<Hold> {
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
        if self.leaving.contains_key(key) {
            self.touched.insert(*key);
        }
    }

    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.leaving.values_mut().for_each(|leaving| leaving.tokens.retain(|waits| *waits != token));
    }
}
