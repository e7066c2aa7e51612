//! What is known of peers only while the engine runs.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::KernelId;

use super::link::Link;
use crate::waist::{ConnId, Token};

/// Connections, and who waits for one.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By peer: the connection and what is under way on it.
    pub links: BTreeMap<KernelId, Link>,
    /// Clients that wait for a kernel to admit us.
    pub joins: BTreeMap<KernelId, Vec<Token>>,
    /// Connections that this kernel has dialled: who greets on them, and who admits, does not depend on what the peer says.
    pub outgoing: BTreeSet<ConnId>,
    /// Peers to whom something is owed since this step, and who are not connected.
    pub wanted: BTreeSet<KernelId>,
    /// Counts the pauses before dials.
    pub pauses: u64,
    /// Where those call from who have not been admitted yet.
    pub callers: BTreeMap<ConnId, String>,
    /// Peers that were admitted in this group. Until it is committed nothing may leave early to them: it would overtake
    /// `admitted`.
    pub admitted: BTreeSet<KernelId>,
    /// Peers that said, since the last group, that they are much further than their rows say.
    pub heard: BTreeSet<KernelId>,
    /// The disk was put back from a backup: nothing runs, and nothing leaves.
    pub quarantined: bool,
    /// This kernel has begun a new life: what the earlier one was home of is not changed here.
    pub reborn: bool,
    /// The commit that peers were last told of, signed.
    pub told_commit: u64,
    /// A timer to tell them runs.
    pub told_set: bool,
}

impl State {
    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.joins.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }
}
