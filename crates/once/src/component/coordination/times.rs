//! When each step of a coordination was asked for and answered, by the clock of the coordination's home.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a step was asked for, and answered; and the same of undoing it. All in milliseconds since 1970, by the clock of the
/// coordination's home. What has not happened has no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StepTimes {
    /// Its object was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_ms: Option<u64>,
    /// What came of it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// Its object was asked to undo it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_asked_ms: Option<u64>,
    /// What came of undoing it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_answered_ms: Option<u64>,
}

impl StepTimes {
    /// Whether nothing has happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The step has come so far by now.
    pub(super) fn note(&mut self, reached: Reached, now_ms: u64) {
        let times = [
            (Reached::Asked, &mut self.asked_ms),
            (Reached::Answered, &mut self.answered_ms),
            (Reached::UndoAsked, &mut self.undo_asked_ms),
            (Reached::UndoAnswered, &mut self.undo_answered_ms),
        ];
        for (_, time) in times.into_iter().filter(|(at, _)| *at <= reached) {
            *time = time.or(Some(now_ms));
        }
    }
}

/// How far a step has come: each comes after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    Asked,
    Answered,
    UndoAsked,
    UndoAnswered,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_happens_has_the_time_at_which_it_was_first_known() {
        let mut times = StepTimes::default();
        assert!(times.is_empty());
        let reached = [Reached::Asked, Reached::Answered, Reached::Answered, Reached::UndoAsked];
        (2..).zip(reached).for_each(|(now_ms, reached)| times.note(reached, now_ms));
        assert_eq!((times.asked_ms, times.answered_ms), (Some(2), Some(3)));
        assert_eq!((times.undo_asked_ms, times.undo_answered_ms), (Some(5), None));
    }
}
