//! The rows of the event log. `docs/store.md` shows their keys.

use minicbor::{Decode, Encode};
use once_model::action::Outcome;

use super::Cursor;
use crate::store::Table;
use crate::waist::Event;

/// Longest result of an action that the log keeps, in bytes: a longer one is told by its length.
pub const EVENT_RESULT_MAX_BYTES: usize = 4 * 1024;

/// What a row takes up beside its value, in bytes.
const ROW_COST_BYTES: u64 = 32;

/// [`Table::Event`]: what happened in one commit. Its key is the cursor of the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EventsRow {
    /// When, by this kernel's clock, in milliseconds since 1970. Shown, never relied on.
    #[n(0)]
    pub at_ms: u64,
    /// What all rows before this one have taken up, in bytes, also those that are gone.
    #[n(1)]
    pub before_bytes: u64,
    /// What happened, in that order.
    #[n(2)]
    pub events: Vec<LoggedRow>,
}

/// One event, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LoggedRow {
    /// What happened. A long result of an action is left out.
    #[n(0)]
    pub event: Event,
    /// How long the result is that was left out, in bytes.
    #[n(1)]
    pub cut_bytes: Option<u64>,
}

/// Of a row of the log, all but its events.
#[derive(Debug, Clone, Copy, Decode)]
#[cbor(map)]
pub(super) struct Bounds {
    #[n(1)]
    pub before_bytes: u64,
}

impl LoggedRow {
    /// An event, without a result that is too long to be kept.
    pub(super) fn of(event: &Event) -> Self {
        let mut event = event.clone();
        let mut cut_bytes = None;
        if let Event::Acted { outcome, .. } | Event::Outcome { outcome, .. } = &mut event
            && let Outcome::Done(json) | Outcome::Failed(json) = outcome
            && json.len() > EVENT_RESULT_MAX_BYTES
        {
            cut_bytes = Some(json.len() as u64);
            json.clear();
        }
        Self { event, cut_bytes }
    }
}

/// What a row takes up, in bytes.
pub(super) const fn cost(value_bytes: usize) -> u64 {
    value_bytes as u64 + ROW_COST_BYTES
}

pub(super) const TABLE: Table = Table::Event;

impl Cursor {
    /// The key of a row: the cursor of its last event.
    pub(super) fn to_row(self) -> [u8; 16] {
        ((u128::from(self.boot) << 64) | u128::from(self.number)).to_be_bytes()
    }

    pub(super) fn from_row(key: &[u8]) -> Option<Self> {
        let both = u128::from_be_bytes(key.try_into().ok()?);
        Some(Self { boot: (both >> 64) as u64, number: both as u64 })
    }

    /// The place right behind it.
    pub(super) const fn next(self) -> Self {
        Self { boot: self.boot, number: self.number.saturating_add(1) }
    }
}
