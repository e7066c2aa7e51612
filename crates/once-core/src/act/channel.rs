//! What a home and an origin know of actions on one connection.

use std::collections::{BTreeMap, VecDeque};

use once_model::action::LaneName;
use once_model::certificate::Chain;
use once_model::ids::{Hash, ObjectKey};
use once_model::limits::{GUESTS_SHOWN_MAX, WINDOW_MAX_SHARES};
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_MOVES, Greeting};

/// What is remembered of the actions on one connection.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// The peer knows what an action is.
    pub knows_actions: bool,
    /// The peer knows what a move is.
    pub knows_moves: bool,
    /// Places of its lanes that were refused.
    pub refused: Refused,
    /// Chains of guests that were shown on it.
    pub guests: Guests,
}

impl Channel {
    pub fn new(hello: &Greeting) -> Self {
        let knows = |feature| hello.features.contains(&feature);
        Self {
            knows_actions: knows(FEATURE_ACTIONS),
            knows_moves: knows(FEATURE_MOVES),
            refused: Refused::default(),
            guests: Guests::default(),
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

/// What was shown of guests on one connection. Both sides remember as many, in the same order: so who shows them knows which
/// ones the other side has forgotten.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    /// What this kernel has shown: the object, and the last certificate of its chain.
    told: VecDeque<(ObjectKey, Hash)>,
    /// What it was shown.
    heard: VecDeque<(ObjectKey, Chain)>,
}

impl Guests {
    /// Whether this is to be shown; from here on it was.
    pub fn is_news(&mut self, object: ObjectKey, certificate: Hash) -> bool {
        let is_new = !self.told.contains(&(object, certificate));
        if is_new {
            add(&mut self.told, (object, certificate));
        }
        is_new
    }

    /// It is shown the chain of an object.
    pub fn hears(&mut self, object: ObjectKey, chain: Chain) {
        add(&mut self.heard, (object, chain));
    }

    /// The chain of an object that was shown last. It is looked at once.
    pub fn take(&mut self, object: &ObjectKey) -> Option<Chain> {
        let place = self.heard.iter().rposition(|(shown, _)| shown == object)?;
        self.heard.remove(place).map(|(_, chain)| chain)
    }
}

fn add<T>(line: &mut VecDeque<T>, new: T) {
    line.push_back(new);
    while line.len() > GUESTS_SHOWN_MAX {
        line.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_long_ago_is_shown_again() {
        let key = |n: u128| ObjectKey {
            uuid: once_model::ids::Uuid::from_u128(n),
            line: once_model::ids::Line::Claimed(once_model::ids::Lineage::from_bytes([1; 32])),
        };
        let (mut guests, hash) = (Guests::default(), Hash::from_bytes([1; 32]));
        assert!(guests.is_news(key(0), hash) && !guests.is_news(key(0), hash));
        assert!(guests.is_news(key(0), Hash::from_bytes([2; 32])), "its chain has grown");
        for n in 1..GUESTS_SHOWN_MAX as u128 - 1 {
            assert!(guests.is_news(key(n), hash));
        }
        // So many are remembered; the next one takes the place of the first.
        assert!(!guests.is_news(key(0), hash));
        assert!(guests.is_news(key(999), hash) && guests.is_news(key(0), hash));
        assert_eq!(guests.told.len(), GUESTS_SHOWN_MAX);
    }

    #[test]
    fn so_many_places_that_were_refused_are_known_each_with_the_last_word() {
        let lane = |n: u128| {
            LaneName::from(ObjectKey {
                uuid: once_model::ids::Uuid::from_u128(n),
                line: once_model::ids::Line::Claimed(once_model::ids::Lineage::from_bytes([1; 32])),
            })
        };
        let mut refused = Refused::default();
        for n in 1..=Refused::MAX as u64 {
            refused.add((lane(1), n), Code::Denied);
            refused.add((lane(1), n), Code::Quota);
        }
        assert_eq!(refused.get(&(lane(1), 1)), Some(Code::Quota), "each takes one place");
        assert_eq!(refused.get(&(lane(2), 1)), None);
        refused.add((lane(2), 1), Code::NotHome);
        assert_eq!(refused.get(&(lane(2), 1)), Some(Code::NotHome));
        assert_eq!([1, 2].map(|n| refused.get(&(lane(1), n))), [None, Some(Code::Quota)]);
        assert_eq!((refused.codes.len(), refused.order.len()), (Refused::MAX, Refused::MAX));
    }
}
