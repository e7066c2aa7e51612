//! What the engine remembers of archives that it is giving away. What has arrived, a row says.

use std::collections::BTreeMap;

use once_model::ids::{Hash, KernelId, ObjectKey};

use super::read::Place;
use crate::waist::Token;

/// Archives that are on their way to the present homes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub giving: BTreeMap<ObjectKey, Giving>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Giving {
    /// The present home, which gets the entries.
    pub to: KernelId,
    /// That kernel's certificate.
    pub certificate: Hash,
    /// What it has not said to have, the oldest first: the next page is the end of this.
    pub left: Vec<Place>,
    /// How many entries of that are under way, and the number of the last of them.
    pub under_way: Option<(usize, u64)>,
    /// How many there were to be given when this began.
    pub entries: u64,
    /// Clients that wait for the end of it.
    pub tokens: Vec<Token>,
}

impl State {
    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.giving.values_mut().for_each(|giving| giving.tokens.retain(|waits| *waits != token));
    }
}
