//! What is known of debts only while the engine runs.

use std::collections::BTreeMap;

use once_model::ids::{KernelId, ObjectKey};

use crate::waist::Token;

/// Who waits for what is owed.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Clients that wait for a peer's answer to a share.
    pub deliveries: BTreeMap<(KernelId, ObjectKey), Vec<Token>>,
}

impl State {
    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.deliveries.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }
}
