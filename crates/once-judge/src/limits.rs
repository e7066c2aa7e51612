//! The limits of `docs/protocol.md`, section 11, as a value: a world may run with smaller ones.

use once_model::limits as page;

/// Every limit that the judge goes by. [`Limits::default`] has those of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest scenario, and all scenarios that one action is given together, in bytes.
    pub scenario_bytes: u64,
    /// Largest scenario inside a frame, in bytes.
    pub inline_bytes: u64,
    /// Largest arguments, and largest result, in bytes.
    pub arguments_bytes: usize,
    /// Largest thing that an object is reminded of, in bytes.
    pub reminder_bytes: usize,
    /// Longest name in bytes.
    pub name_bytes: usize,
    /// Most effects of one action.
    pub effects: usize,
    /// Most scenarios that one action is given.
    pub given: usize,
    /// Most unanswered shares to one peer, and most unanswered actions to one home.
    pub window: usize,
    /// After how long without an answer a share or an act is sent again, in milliseconds.
    pub resend_ms: u64,
    /// How long an action waits for what it is given, in milliseconds; the engine looks as often again.
    pub given_wait_ms: u64,
    /// Most actions of one origin that wait at their home.
    pub waiting: usize,
    /// What all of them may count, in bytes.
    pub waiting_bytes: usize,
    /// How far ahead of its origin's clock a client's id may be, in milliseconds.
    pub id_ahead_ms: u64,
    /// Ids of clients beyond which the oldest are forgotten.
    pub requests: usize,
    /// Most revisions that are kept beside a head.
    pub conflicts: usize,
    /// Most places that a connection remembers as refused (5.5 row 9).
    pub refused_places: usize,
    /// Lineages of one UUID beyond which a followed copy brings no more for nothing.
    pub lineages: usize,
    /// Most action names in one grant.
    pub grant_actions: usize,
    /// How late a kernel may notice that a time has come: the page names no figure, ADR 0007 says 66 s.
    pub notice_ms: u64,
    /// Most objects that are owed to one peer.
    pub outbox_rows: u64,
    /// Most actions of one lane that wait at their origin.
    pub queue_rows: u64,
    /// How many peers a kernel may have.
    pub peers: usize,
    /// Rows that a kernel looks at in one step.
    pub slice_rows: usize,
    /// Rows below the floor beyond which a lane's ledger forgets.
    pub ledger_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            scenario_bytes: page::SCENARIO_MAX_BYTES as u64,
            inline_bytes: page::INLINE_MAX_BYTES as u64,
            arguments_bytes: page::ARGUMENTS_MAX_BYTES,
            reminder_bytes: page::REMINDER_MAX_BYTES,
            name_bytes: page::NAME_MAX_BYTES,
            effects: page::EFFECTS_MAX,
            given: page::GIVEN_MAX,
            window: page::WINDOW_MAX_SHARES,
            resend_ms: page::RESEND_AFTER_MS,
            given_wait_ms: page::GIVEN_WAIT_MS,
            waiting: page::WINDOW_MAX_SHARES,
            waiting_bytes: page::WAITING_OF_PEER_MAX_BYTES,
            id_ahead_ms: page::ID_AHEAD_MAX_MS,
            requests: 1_000_000,
            conflicts: page::CONFLICTS_MAX_BODIES,
            refused_places: 1024,
            lineages: 8,
            grant_actions: page::GRANT_ACTIONS_MAX,
            notice_ms: 66_000,
            outbox_rows: page::OUTBOX_MAX_ROWS,
            queue_rows: page::QUEUE_MAX_ROWS,
            peers: page::PEERS_MAX,
            slice_rows: 64,
            ledger_rows: page::LEDGER_KEPT_ROWS,
        }
    }
}
