//! Every bound of the engine in one place, each with its unit and its reason.
//!
//! A limit is part of the protocol when two kernels must agree on it; those are sent in `hello`.

/// Largest scenario in bytes. The wire, the store and the JSON scanner all hold one in memory.
pub const SCENARIO_MAX_BYTES: usize = 64 * 1024 * 1024;

/// A scenario up to this many bytes travels inside its frame; a larger one is announced and then
/// pulled on a stream of its own, so that it never holds up acknowledgements.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;

/// Largest frame on a stream in bytes: an inline scenario, its header, its certificate chain, and room to grow.
pub const FRAME_MAX_BYTES: usize = 256 * 1024;

/// Deepest nesting of arrays and objects. Real scenarios reach 6; a parser's stack must not be a peer's to spend.
pub const JSON_MAX_DEPTH: usize = 64;

/// Most values (objects, arrays, strings, numbers, literals) in one document.
pub const JSON_MAX_NODES: usize = 4_000_000;

/// Longest white space in bytes that a new member takes over from its neighbour: ordinary indentation of 64 levels. What
/// is longer is no layout, and many new members would multiply it.
pub const JSON_LAYOUT_MAX_BYTES: usize = 512;

/// Longest IOR in bytes.
pub const IOR_MAX_BYTES: usize = 4096;

/// Most references that are read from one scenario.
pub const REFERENCES_MAX: usize = 65_536;

/// Longest name (component, version, petname) in bytes.
pub const NAME_MAX_BYTES: usize = 255;

/// Most certificates in the chain of one object: one for every move. A longer chain is refused.
pub const CHAIN_MAX_CERTIFICATES: usize = 2_064;

/// An object whose chain has so many certificates moves no more. What is left of a chain is for the end of a handoff that is
/// refused, and for takeovers after a loss.
pub const CHAIN_MOVES_MAX_CERTIFICATES: usize = 2_048;

/// Certificates of a chain inside of a frame: the last ones. Those before them are known to most who hear of the object, and pulled by
/// the others.
pub const CHAIN_TRAVELS_CERTIFICATES: usize = 64;

/// The beginning of a chain that is pulled, in bytes: a certificate has about 500.
pub const CHAIN_EARLIER_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Most recovery keys in a genesis record.
pub const RECOVERY_KEYS_MAX: usize = 8;

/// Largest arguments, and largest result, of an action in bytes: both fit into a frame. What is larger is a scenario,
/// and is given.
pub const ARGUMENTS_MAX_BYTES: usize = 64 * 1024;

/// The longest deadline that a client may give an action, in milliseconds: ten years. What is longer is a slip of the hand.
pub const DEADLINE_MAX_MS: u64 = 3650 * 24 * 60 * 60 * 1000;

/// Largest thing that a call, a timer or an activity reminds its object of, in bytes.
pub const REMINDER_MAX_BYTES: usize = 16 * 1024;

/// Largest arguments of the action that tells an object what came of its effect, in bytes: a result, a reminder, and
/// the names around them.
pub const ANSWER_MAX_BYTES: usize = ARGUMENTS_MAX_BYTES + REMINDER_MAX_BYTES + 1024;

/// Most effects of one action.
pub const EFFECTS_MAX: usize = 256;

/// How long an action waits at its home for the scenarios that it depends on, in milliseconds.
pub const GIVEN_WAIT_MS: u64 = 10_000;

/// Most actions that wait at one kernel for scenarios that they depend on.
pub const LACKING_MAX: usize = 1024;

/// Most of them of one peer. Behind them no more actions wait than a peer may have unanswered.
pub const LACKING_OF_PEER_MAX: usize = 32;

/// Most results that a kernel keeps for its own clients. The oldest go first.
pub const REQUESTS_MAX_ROWS: u64 = 1_000_000;

/// So many places of a lane below what else is kept of it, a row of the ledger goes whole.
pub const LEDGER_KEPT_ROWS: u64 = 10_000;

/// Most bytes of an action's arguments, and of its result, that the ledger keeps for people to read.
pub const TOLD_MAX_BYTES: usize = 1024;

/// Of how many of the newest entries of an object it keeps them, unless the kernel is told otherwise.
pub const TOLD_ROWS: u64 = 1000;

/// Most events that a kernel's event log keeps: what happened before them is gone for who watches.
pub const EVENTS_MAX_ROWS: u64 = 100_000;

/// What the event log may take up, in bytes.
pub const EVENTS_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Most scenarios that one action depends on.
pub const GIVEN_MAX: usize = 64;

/// Most bytes of one peer's actions that wait in memory, at their home, whatever they wait for; most of them as many as
/// it may have unanswered. An origin that keeps to its window never has more: its window holds about 4 MiB of arguments,
/// and names and given scenarios take up to 6 KiB each besides.
pub const WAITING_OF_PEER_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What an action that waits counts besides its name, its arguments and what it is given.
pub const WAITING_ACT_BYTES: usize = 512;

/// Most lanes of a kernel to objects of its own that go one action at a time, because the object takes its time, runs for
/// others, or cannot be asked just now: they take up no room in the window. About 15 MiB.
pub const SLOW_LANES_MAX: usize = 65_536;

/// Most actions of one lane that may wait at their origin.
pub const QUEUE_MAX_ROWS: u64 = 1_000_000;

/// How far ahead of this kernel's clock the time in a client's action id may be, in milliseconds: five minutes.
pub const ID_AHEAD_MAX_MS: u64 = 5 * 60 * 1000;

/// Most unanswered shares to one peer, and most unanswered actions.
pub const WINDOW_MAX_SHARES: usize = 256;

/// Most bytes of unanswered shares to one peer.
pub const WINDOW_MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long a share may stay unanswered on a live connection before it is sent again, in milliseconds.
pub const RESEND_AFTER_MS: u64 = 10_000;

/// How long a connection may take from its first byte to `admitted`, in milliseconds.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;

/// First pause before dialling again, in milliseconds; doubled after each failure, with jitter.
pub const REDIAL_MIN_MS: u64 = 200;

/// Longest pause before dialling again, in milliseconds. At this pace a hundred peers that are gone for good cost a dial
/// every few seconds.
pub const REDIAL_MAX_MS: u64 = 600_000;

/// To whom something new is owed is dialled without waiting for the end of the pause, so long after the last dial, in
/// milliseconds.
pub const REDIAL_WANTED_MS: u64 = 10_000;

/// The pause before dialling again those who could not be reached, when this kernel's own network has changed, in
/// milliseconds.
pub const REDIAL_SOON_MS: u64 = 2_000;

/// What one peer may store here by sharing, in bytes, unless its row says otherwise.
pub const PEER_QUOTA_BYTES: u64 = 256 * 1024 * 1024;

/// Most bytes on the disk of large scenarios that are not here whole, of all peers. Beyond it what nobody sends any more
/// goes first.
pub const INCOMING_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// How long what has come of a large scenario waits for the rest, in milliseconds: a week.
pub const INCOMING_KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Most ids in the difference that one comparison finds, in 32 bytes each. What differs beyond them the next comparison
/// finds.
pub const DIFFERENCE_MAX_IDS: usize = 262_144;

/// Most rows that wait in the outbox for one peer.
pub const OUTBOX_MAX_ROWS: u64 = 2_000_000;

/// Most bodies kept as conflicts of one object; further ones are only counted.
pub const CONFLICTS_MAX_BODIES: usize = 8;

/// New work is refused when fewer bytes than this are free on the disk; reading goes on.
pub const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// How long an invite is valid unless it says otherwise, in milliseconds: a day.
pub const INVITE_VALID_MS: u64 = 24 * 60 * 60 * 1000;

/// Most ids in one `want` or `offer` frame (32 bytes each).
pub const WANT_MAX_IDS: usize = 1024;

/// Largest payload of one `reconcile` frame in bytes.
pub const RECONCILE_MAX_BYTES: usize = 128 * 1024;

/// Most `reconcile` rounds of one exchange; the protocol needs about log16 of the number of scenarios, times the
/// frames that the differences fill. A peer that goes on for longer is cut off.
pub const RECONCILE_MAX_ROUNDS: usize = 4096;

/// Longest closure of references, in hops.
pub const CLOSURE_MAX_DEPTH: usize = 32;

/// Most objects in one closure of references.
pub const CLOSURE_MAX_OBJECTS: usize = 10_000;

/// Most bytes in one closure of references.
pub const CLOSURE_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Most addresses remembered for one peer.
pub const ADDRESSES_MAX: usize = 16;

/// Most actions that one grant names: of one grantee, on one thing.
pub const GRANT_ACTIONS_MAX: usize = 256;

/// Most peers that one kernel keeps.
pub const PEERS_MAX: usize = 4096;

/// Most steps of one coordination. Its plan is one scenario, and each of its answers makes a revision of that.
pub const PLAN_MAX_STEPS: usize = 64;

/// Longest name of a step in bytes.
pub const PLAN_NAME_MAX_BYTES: usize = 64;

/// Largest plan of a coordination in bytes.
pub const PLAN_MAX_BYTES: usize = 1024 * 1024;

/// Most outcomes of earlier steps in the arguments of one step: each may be as large as arguments may be.
pub const PLAN_MAX_REFERENCES: usize = 64;

/// Largest outcome that a coordination keeps in its scenario, in bytes; a larger one is left out, and cannot be referred to.
pub const PLAN_RESULT_MAX_BYTES: usize = 16 * 1024;

/// Deepest outcome that a coordination keeps in its scenario: there it stands six levels deeper.
pub const PLAN_RESULT_MAX_DEPTH: usize = 32;

/// Most ids of an account whose end is remembered; the oldest go first.
pub const ACCOUNT_ENDED_MAX: usize = 256;

/// Most amounts that an account sets aside at once.
pub const ACCOUNT_RESERVED_MAX: usize = 256;

/// Longest id of an amount that is set aside, in bytes.
pub const ACCOUNT_ID_MAX_BYTES: usize = 128;

/// What a kernel follows at one peer because others asked it to, together with what its own people follow there.
pub const FOLLOWS_INSTEAD_MAX: usize = 4096;

/// Entries in one page of an archive.
pub const ARCHIVE_PAGE_MAX_ENTRIES: usize = 256;

/// Bytes in one page of an archive, unless its only entry has more: well inside of a frame.
pub const ARCHIVE_PAGE_MAX_BYTES: usize = 160 * 1024;

/// Entries of a history in one answer: about 90 KB, well inside of a frame.
pub const ENTRIES_MAX: usize = 256;

/// Most bytes of what belongs to an object and moves with it, beside its scenario. One commit of the receiver takes all of it.
pub const LUGGAGE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Most bytes of it inside of a handoff; what is larger is pulled. With a small scenario and the longest chain it fits a frame.
pub const LUGGAGE_INLINE_MAX_BYTES: usize = 64 * 1024;

/// Most kernels that have to do with an object of which it takes the names along when it moves: with their addresses some 40 KB.
/// The others hear from the home before.
pub const ACQUAINTANCES_MAX: usize = 256;

/// Most addresses of one of them that go along.
pub const ACQUAINTANCE_ADDRESSES_MAX: usize = 4;

/// Most kernels that are let in as visitors for one object that moves in.
pub const VISITORS_OF_OBJECT_MAX: usize = 256;

/// Chains of guests that a connection remembers in each direction: objects that act in turn are seldom more, and a chain is
/// mostly below 1 KiB.
pub const GUESTS_SHOWN_MAX: usize = 32;

/// Most objects of which one peer is told where they are, and has not answered yet.
pub const NEWS_WINDOW: usize = 16;

/// How long an object that is to move waits for what is under way, in milliseconds.
pub const LEAVING_MAX_MS: u64 = 60_000;

/// Longest text, and longest value, that objects are looked for by, in bytes.
pub const FIND_TEXT_MAX_BYTES: usize = 1024;

/// Most values that one question is about: each is looked for in the whole scenario.
pub const FIND_CONDITIONS_MAX: usize = 8;

/// Longest place of such a value in bytes, a JSON pointer.
pub const FIND_POINTER_MAX_BYTES: usize = 1024;

/// What says where a question goes on, in bytes: an object's key, sealed, and room to grow.
pub const FIND_CURSOR_MAX_BYTES: usize = 128;

/// Most objects in one answer: with the longest names about 110 KB, well inside of a frame.
pub const FIND_PAGE_MAX_OBJECTS: usize = 128;

/// Objects that are looked at for one page. Whoever wants more asks for the next page: so each takes a bounded time, and
/// what was found is shown while the rest is looked at.
pub const FIND_LOOKS_MAX_OBJECTS: usize = 10_000;

/// Bytes of scenarios that are read for one page, and one scenario more.
pub const FIND_LOOKS_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Most questions of one peer that wait for their page. They are made one after the other.
pub const FINDS_OF_PEER_MAX: usize = 4;

/// Most objects in the index by which a kernel finds them, about 200 bytes each. A kernel that has more looks at all of
/// them each time.
pub const FIND_INDEX_MAX_OBJECTS: usize = 500_000;
