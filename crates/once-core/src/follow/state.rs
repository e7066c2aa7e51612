//! What is known of subscriptions only while the engine runs.

use std::collections::BTreeMap;

use once_model::ids::{KernelId, ObjectKey};

use crate::waist::Token;

/// Who waits for another kernel to follow something.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By who is asked, who is followed, and what: clients that wait for the answer.
    pub handed_on: BTreeMap<(KernelId, KernelId, ObjectKey), Vec<Token>>,
}

impl State {
    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.handed_on.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }
}
