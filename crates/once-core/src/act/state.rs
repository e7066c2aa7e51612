//! What is known of actions only while the engine runs.

use std::collections::BTreeMap;

use once_model::ids::{ObjectKey, Uuid};

use super::home::come::Busy;
use super::home::state::Marks;
use super::home::waiting::Waiting;
use super::origin::state::{Lanes, Requests, Slow};
use crate::engine::limits::Limits;
use crate::share::Window;
use crate::waist::Token;

/// Lanes, runs, and who waits for an outcome.
#[derive(Debug)]
pub(crate) struct State {
    /// Clients that wait for an outcome.
    pub acts: BTreeMap<Uuid, Vec<Token>>,
    /// What this kernel sends to itself: actions on objects of its own.
    pub own: Window,
    /// Lanes of this kernel as an origin that were met lately.
    pub lanes: Lanes,
    /// Objects that run an action.
    pub busy: BTreeMap<ObjectKey, Busy>,
    /// Lanes here whose next action cannot run just now.
    pub waiting: Waiting,
    /// Lanes of this kernel to objects of its own that take their time.
    pub slow: Slow,
    /// Lanes of other kernels and of this one at this kernel as a home that were met lately.
    pub marks: Marks,
    /// The client ledger.
    pub requests: Requests,
    /// Counts the runs of this run.
    pub runs: u64,
}

impl State {
    pub fn within(limits: &Limits) -> Self {
        Self {
            acts: BTreeMap::new(),
            own: Window::empty(limits),
            lanes: Lanes::default(),
            busy: BTreeMap::new(),
            waiting: Waiting::within(limits),
            slow: Slow::default(),
            marks: Marks::within(limits),
            requests: Requests::default(),
            runs: 0,
        }
    }

    /// Nobody waits for more than one reply.
    pub fn forget(&mut self, token: Token) {
        self.acts.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }

    /// Rows were taken back: what is remembered of them is made anew, or as it was then.
    pub fn taken_back(&mut self, requests: Requests) {
        self.lanes.forget();
        self.marks.forget();
        self.requests = requests;
    }

    /// A new life begins: what was under way in memory belongs to the life before.
    pub fn begin_anew(&mut self, limits: &Limits) {
        (self.own, self.busy) = (Window::empty(limits), BTreeMap::new());
        (self.waiting, self.slow) = (Waiting::within(limits), Slow::default());
        self.taken_back(self.requests);
    }
}
