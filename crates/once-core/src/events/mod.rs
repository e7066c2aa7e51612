//! The event log: what happened on this kernel, for whoever was away. `docs/store.md` and ADR 0019 say how it is kept.
//!
//! Each event has a number. What happened in a group is one row of the commit that it tells of, so that the log misses nothing
//! and costs no sync of its own. The oldest rows go when the log is larger than its bounds.

mod keep;
mod read;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use keep::{Moment, State};
pub use read::{Entry, Logged, Page, examine, newest, newest_since, page};
pub use rows::{EVENT_RESULT_MAX_BYTES, EventsRow, LoggedRow};

/// The place of an event in the log.
///
/// Events of a commit that the disk lost have numbers that are given again: the boot, which is on disk before anything of it is
/// told, keeps them apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The boot in which it happened ([`crate::meta::Boot`]).
    pub boot: u64,
    /// Counts the events of this data directory.
    pub number: u64,
}

impl Cursor {
    /// Before every event.
    pub const START: Self = Self { boot: 0, number: 0 };
}
