//! What a home and an origin know of actions on one connection.

use std::collections::{BTreeMap, VecDeque};

use once_model::action::LaneName;
use once_model::limits::WINDOW_MAX_SHARES;
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_MOVES, Greeting};

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// The peer knows what an action is.
    pub knows_actions: bool,
    /// The peer knows what a move is.
    pub knows_moves: bool,
    /// Places of its lanes that were refused.
    pub refused: Refused,
}

impl Channel {
    pub fn new(hello: &Greeting) -> Self {
        let knows = |feature| hello.features.contains(&feature);
        Self {
            knows_actions: knows(FEATURE_ACTIONS),
            knows_moves: knows(FEATURE_MOVES),
            refused: Refused::default(),
        }
    }
}

/// Actions that were refused without a record: copies of them that are under way stay refused, whatever was granted
/// since. Only the latest are known: a peer has so many unanswered at most, and hears of a refusal before it goes on.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    codes: BTreeMap<(LaneName, u64), Code>,
    order: VecDeque<(LaneName, u64)>,
}

impl Refused {
    /// The latest that are known.
    const MAX: usize = 4 * WINDOW_MAX_SHARES;

    pub fn get(&self, place: &(LaneName, u64)) -> Option<Code> {
        self.codes.get(place).copied()
    }

    pub fn add(&mut self, place: (LaneName, u64), code: Code) {
        if self.codes.insert(place, code).is_none() {
            self.order.push_back(place);
        }
        while self.order.len() > Self::MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.codes.remove(&oldest);
            }
        }
    }
}
