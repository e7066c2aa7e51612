//! What the engine knows only while it runs.

use crate::chores::Chores;
use crate::parked::Parked;
use crate::{act, archive, events, follow, moving, object, peers, share};

use super::expiry::Expiry;
use super::limits::{BEHIND_MAX, Limits};

/// What the engine knows only while it runs: of each capability its own, and what belongs to none. All else is rows.
#[derive(Debug)]
pub struct Engine {
    pub(crate) limits: Limits,
    pub(crate) act: act::State,
    pub(crate) object: object::State,
    pub(crate) share: share::State,
    pub(crate) peers: peers::State,
    pub(crate) follow: follow::State,
    pub(crate) moving: moving::State,
    pub(crate) archive: archive::State,
    pub(crate) events: events::State,
    /// What takes more than one step.
    pub(crate) chores: Chores,
    /// What ends by the clock.
    pub(crate) expiry: Expiry,
    /// Which clocks run for timers and deadlines: bit n is one of 2^n milliseconds.
    pub(crate) clocks: u32,
    /// What cannot be read.
    pub(crate) parked: Parked,
    /// Free bytes on the disk, as last heard.
    pub(crate) disk_free_bytes: u64,
    /// The number of this boot.
    pub(crate) boot: u64,
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// The number of the last commit that is on disk: the only one that peers may be told.
    pub(crate) synced_commit: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that has just started: nothing is connected.
    #[must_use]
    pub fn new() -> Self {
        Self::within(Limits::default())
    }

    /// An engine that has just started, with bounds of its own. For tests: what happens rarely happens often.
    #[must_use]
    pub fn within(limits: Limits) -> Self {
        let limits = Limits {
            behind: limits.behind.clamp(1, BEHIND_MAX),
            slice_rows: limits.slice_rows.max(1),
            ..limits
        };
        Self {
            limits,
            act: act::State::within(&limits),
            object: object::State::default(),
            share: share::State::default(),
            peers: peers::State::default(),
            follow: follow::State::default(),
            moving: moving::State::default(),
            archive: archive::State::default(),
            events: events::State::default(),
            chores: Chores::default(),
            expiry: Expiry::default(),
            clocks: 0,
            parked: Parked::default(),
            disk_free_bytes: u64::MAX,
            boot: 0,
            commit: 0,
            synced_commit: 0,
        }
    }

    /// The place of the newest event that the engine has made happen.
    #[must_use]
    pub fn newest_event(&self) -> events::Cursor {
        events::Cursor { boot: self.boot, number: self.events.newest() }
    }

    /// Keeps what was asked and said of the newest entries of each object, of so many instead of
    /// [`once_model::limits::TOLD_ROWS`]; of none with 0.
    #[must_use]
    pub fn keeping_told(mut self, rows: u64) -> Self {
        self.limits.told_rows = rows;
        self
    }

    /// Keeps so many earlier revisions of each object whose home this kernel is, at most
    /// [`once_model::limits::REVISIONS_MAX`]; none unless it is told so.
    #[must_use]
    pub fn keeping_revisions(mut self, revisions: usize) -> Self {
        self.limits.revisions = revisions;
        self
    }
}
