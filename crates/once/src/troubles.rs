//! What went wrong with lanes since this kernel started, for `doctor`: in memory, the newest of them.

use std::collections::VecDeque;

use once_core::waist::Event;
use once_model::ids::{KernelId, ObjectKey};

/// Troubles that are remembered. One lane has one of each kind at most.
const TROUBLES_MAX: usize = 64;

/// Longest reason that is remembered, in characters.
const REASON_MAX_CHARS: usize = 400;

/// A lane that does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Whose lane, if it is one.
    pub origin: Option<KernelId>,
    /// Which object, if it is one.
    pub key: Option<ObjectKey>,
    pub what: What,
    /// When it was noticed last, in milliseconds since 1970.
    pub at_ms: u64,
    /// How often it was seen.
    pub times: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// What the lane needs cannot be read here.
    Parked { reason: String },
    /// Its origin sent another action in a place that has its outcome.
    Forked { sequence: u64 },
}

impl Trouble {
    fn is_like(&self, other: &Self) -> bool {
        let kind = |trouble: &Self| matches!(trouble.what, What::Parked { .. });
        (self.origin, self.key, kind(self)) == (other.origin, other.key, kind(other))
    }
}

/// The newest troubles, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Troubles(VecDeque<Trouble>);

impl Troubles {
    /// Remembers an event if it is one, and forgets what an event shows to be solved.
    pub fn note(&mut self, event: &Event, now_ms: u64) {
        let (origin, key, what) = match event {
            Event::Parked { origin, key, reason } => {
                let reason = reason.chars().take(REASON_MAX_CHARS).collect();
                (*origin, *key, What::Parked { reason })
            }
            Event::LaneForked { peer, key, sequence } => {
                (Some(*peer), Some(*key), What::Forked { sequence: *sequence })
            }
            // It can be read again. A lane that cannot go on all the same says so within seconds.
            Event::Acted { key, .. } => {
                self.0.retain(|old| old.key != Some(*key) || !matches!(old.what, What::Parked { .. }));
                return;
            }
            _ => return,
        };
        let mut new = Trouble { origin, key, what, at_ms: now_ms, times: 1 };
        if let Some(at) = self.0.iter().position(|old| old.is_like(&new)) {
            new.times += self.0.remove(at).map_or(0, |old| old.times);
        }
        self.0.push_back(new);
        if self.0.len() > TROUBLES_MAX {
            self.0.pop_front();
        }
    }

    /// Forgets what is solved.
    pub fn keep(&mut self, is_there: impl FnMut(&Trouble) -> bool) {
        self.0.retain(is_there);
    }

    /// What is remembered, newest first.
    pub fn newest(&self) -> Vec<Trouble> {
        self.0.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use once_model::ids::{Hash, Line, Uuid};

    use super::*;

    #[test]
    fn the_newest_are_remembered_each_lane_once_for_each_kind() {
        let origin = KernelId::from_bytes([1; 32]);
        let key = |n: u128| ObjectKey {
            uuid: Uuid::from_u128(n),
            line: Line::Unclaimed(Hash::from_bytes([0; 32])),
        };
        let parked =
            |n| Event::Parked { origin: Some(origin), key: Some(key(n)), reason: "x".repeat(10_000) };
        let forked = |n, sequence| Event::LaneForked { peer: origin, key: key(n), sequence };
        let mut troubles = Troubles::default();
        troubles.note(&parked(1), 1);
        troubles.note(&forked(1, 7), 2);
        troubles.note(&parked(1), 3);
        troubles.note(&Event::Quarantined { by: origin }, 4);
        let newest = troubles.newest();
        assert_eq!(newest.len(), 2);
        assert_eq!((newest[0].at_ms, newest[0].times), (3, 2));
        assert_eq!(newest[0].what, What::Parked { reason: "x".repeat(REASON_MAX_CHARS) });
        assert_eq!(newest[1].what, What::Forked { sequence: 7 });
        for n in 2..200 {
            troubles.note(&parked(n), 5);
        }
        let newest = troubles.newest();
        assert_eq!((newest.len(), newest[0].key), (TROUBLES_MAX, Some(key(199))));
    }

    #[test]
    fn what_is_solved_is_forgotten() {
        let origin = KernelId::from_bytes([1; 32]);
        let key = ObjectKey { uuid: Uuid::from_u128(1), line: Line::Unclaimed(Hash::from_bytes([0; 32])) };
        let mut troubles = Troubles::default();
        troubles.note(&Event::Parked { origin: Some(origin), key: Some(key), reason: "x".into() }, 1);
        troubles.note(&Event::LaneForked { peer: origin, key, sequence: 7 }, 2);
        let outcome = once_model::action::Outcome::Done(bytes::Bytes::from_static(b"1"));
        let acted =
            Event::Acted { key, id: Uuid::from_u128(2), name: "add".into(), origin, acting: None, outcome };
        troubles.note(&acted, 3);
        assert_eq!(troubles.newest().len(), 1, "it can be read; the other kernel has still lost something");
        troubles.keep(|trouble| trouble.origin != Some(origin));
        assert!(troubles.newest().is_empty());
    }
}
