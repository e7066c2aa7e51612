//! What is known of chores only while the engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::chore::{Chore, ChoreRow};
use crate::waist::Token;

/// What the engine knows of its chores. Which lasting ones there are, only the rows say.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    /// Those that end with the run.
    pub passing: BTreeMap<Chore, ChoreRow>,
    /// There may be rows of lasting ones.
    pub lasting: bool,
    /// All of those are held up: none has a turn before one begins.
    pub all_stuck: bool,
    /// Clients that wait for the end of one.
    pub tokens: BTreeMap<Chore, Vec<Token>>,
    /// Those that a damaged row holds up, until the next start.
    pub stuck: BTreeSet<Chore>,
    /// Who had a turn last: of the passing ones, and of the lasting ones, by its row.
    pub last: (Option<Chore>, Vec<u8>),
    pub timer_set: bool,
}

impl Chores {
    /// What it is about is no more.
    pub fn drop(&mut self, chore: Chore) {
        self.passing.remove(&chore);
    }

    /// Whether a passing one is under way.
    pub fn is_passing(&self, chore: Chore) -> bool {
        self.passing.contains_key(&chore)
    }

    /// Nobody waits any more under this token.
    pub fn forget(&mut self, token: Token) {
        self.tokens.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }

    pub fn next_passing(&mut self) -> Option<(Chore, ChoreRow)> {
        let after = self.last.0.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.passing.range((after, Bound::Unbounded));
        let chore = *behind.next().or_else(|| self.passing.first_key_value())?.0;
        self.last.0 = Some(chore);
        self.passing.remove(&chore).map(|at| (chore, at))
    }
}
