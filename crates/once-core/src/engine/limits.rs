//! The bounds of one engine that another kernel need not know: settings, so that what rarely happens can be made to happen
//! often. None is larger than its page has it.

use once_model::limits as page;

/// Bounds of one engine. [`Limits::default`] has those of `docs/protocol.md`, section 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most unanswered shares to one peer, and most unanswered actions.
    pub window: usize,
    /// Most bytes of unanswered shares to one peer, and of unanswered actions.
    pub window_bytes: usize,
    /// What waits for a peer and is remembered in line. More is found by a look at the rows.
    pub in_line: usize,
    /// Most actions of one origin that wait at this home, and what they may count in bytes.
    pub waiting: usize,
    /// How many bytes of them, of each peer: see `waiting`.
    pub waiting_bytes: usize,
    /// Most lanes that wait here for scenarios.
    pub lacking: usize,
    /// Most of them of one origin.
    pub lacking_of_peer: usize,
    /// Most lanes to own objects that go one action at a time, and most lanes that stand still without an action in memory.
    pub slow_lanes: usize,
    /// Lanes that are remembered, of this kernel as a home and as an origin; of all others the rows are looked at.
    pub lanes: usize,
    /// Most actions of one lane that may wait at their origin.
    pub queue_rows: u64,
    /// Of these, kept free for the effects of one action.
    pub effects_room: u64,
    /// Most rows that wait in the outbox for one peer.
    pub outbox_rows: u64,
    /// Most results that are kept for this kernel's own clients.
    pub requests: u64,
    /// Of how many of the newest entries of an object it is kept what was asked and said.
    pub told_rows: u64,
    /// How many earlier revisions of each object are kept, where this kernel is its home.
    pub revisions: usize,
    /// So many places of a lane below what else is kept of it, a row of the ledger goes whole.
    pub ledger_rows: u64,
    /// After so many actions of a lane its row is written, and what is over of its ledger dropped.
    pub behind: u64,
    /// Most peers that this kernel may have.
    pub peers: usize,
    /// Objects whose proof waits for that of another one, of one home.
    pub proofs: usize,
    /// Rows that one step looks at, of all chores together.
    pub slice_rows: usize,
    /// Most events in the event log, and what they may take up in bytes.
    pub events: u64,
    /// How many bytes of events are kept: see `events`.
    pub events_bytes: u64,
    /// Most bytes of luggage inside of a handoff; what is larger is pulled.
    pub luggage_inline: usize,
}

/// A lane's row is at most so many ledger rows behind: that many are looked at when the lane is met again.
pub(crate) const BEHIND_MAX: u64 = 64;

impl Limits {
    /// Of the page.
    pub const PAGE: Self = Self {
        window: page::WINDOW_MAX_SHARES,
        window_bytes: page::WINDOW_MAX_BYTES,
        in_line: 8192,
        waiting: page::WINDOW_MAX_SHARES,
        waiting_bytes: page::WAITING_OF_PEER_MAX_BYTES,
        lacking: page::LACKING_MAX,
        lacking_of_peer: page::LACKING_OF_PEER_MAX,
        slow_lanes: page::SLOW_LANES_MAX,
        lanes: 65_536,
        queue_rows: page::QUEUE_MAX_ROWS,
        effects_room: page::EFFECTS_MAX as u64,
        outbox_rows: page::OUTBOX_MAX_ROWS,
        requests: page::REQUESTS_MAX_ROWS,
        told_rows: page::TOLD_ROWS,
        revisions: 0,
        ledger_rows: page::LEDGER_KEPT_ROWS,
        behind: BEHIND_MAX,
        peers: page::PEERS_MAX,
        proofs: 1024,
        slice_rows: 64,
        events: page::EVENTS_MAX_ROWS,
        events_bytes: page::EVENTS_MAX_BYTES,
        luggage_inline: page::LUGGAGE_INLINE_MAX_BYTES,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::PAGE
    }
}
