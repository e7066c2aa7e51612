//! What happens on a kernel: its event log, page by page and as it grows.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sends `event` notifications on this connection from now on, or from a place in the event log on.
///
/// What happened in between is sent first. A connection has one such stream: a second call replaces the first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The `cursor` of the last event that is known, or `start` for all that is kept (from now on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what is about this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only what is about objects of this component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Only what is about this kernel: who sent, acted, answered or is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A stream of events begins.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListenResult {
    /// The place behind which it begins.
    pub cursor: String,
}

/// Reads the event log, a page at a time, oldest first.
///
/// The log keeps the newest 100,000 events, or 64 MiB of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Only what happened after this place: the `next` or `cursor` of the page before, or the `cursor` of an event (`start`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// About so many events in the answer (1,000), up to 10,000: a page ends with a commit, whose events belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only what is about this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only what is about objects of this component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Only what is about this kernel: who sent, acted, answered or is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A page of the event log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventsResult {
    /// What happened, in that order.
    pub events: Vec<EventInfo>,
    /// `after` of the next page; `null` if this is all that there is now.
    pub next: Option<String>,
    /// The place behind the last event that was looked at: to go on there later, with `events` or `listen`.
    pub cursor: String,
}

/// An event in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventInfo {
    /// The place behind it in the event log: who keeps it goes on there, with `listen` or `events`.
    pub cursor: String,
    /// When it happened, by this kernel's clock, in milliseconds since 1970; `null` of a gap.
    pub at_ms: Option<u64>,
    /// The component of the object that it is about; `null` if it is about none, or the object is not here.
    pub component: Option<String>,
    /// What that object is called now. It comes from whoever wrote the scenario.
    pub name: Option<String>,
    /// What happened: the members of the event's kind.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened on a kernel.
///
/// More kinds may be added at any time: a client skips those that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// An object has a new revision here, or is new here.
    Changed(ChangedEvent),
    /// The copy of an object here is gone.
    Dropped {
        /// The object's key.
        key: String,
    },
    /// A peer has answered for an object that was shared with it.
    Delivered {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
        /// The object's key.
        key: String,
        /// What it said.
        answer: DeliveryAnswer,
        /// Why it was refused, else `null`.
        code: Option<String>,
    },
    /// A kernel became a peer by an invite of this one.
    Came {
        /// The kernel's id.
        peer: String,
        /// The invite's id.
        invite: String,
        /// The petname that the kernel got here, or `null`.
        petname: Option<String>,
        /// What it calls itself.
        says: String,
    },
    /// A peer showed that the data of this kernel was put back from a backup. Nothing runs from now on.
    Quarantined {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
    },
    /// A peer is connected.
    Connected {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
        /// How far its clock is ahead of the one here.
        clock_ahead_ms: i64,
    },
    /// A peer is not connected any more.
    Disconnected {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
        /// The reason, in words.
        reason: String,
    },
    /// A peer does not let this kernel follow an object.
    FollowDenied {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
        /// The object's key.
        key: String,
    },
    /// An action on an object here has its outcome.
    Acted(ActedEvent),
    /// An action of this kernel on another one's object has its outcome.
    Outcome(OutcomeEvent),
    /// An object here published something.
    Published {
        /// The object's key.
        key: String,
        /// What it is about.
        topic: String,
        /// What it says: JSON, at most 64 KiB.
        data_text: String,
    },
    /// What the actions of a kernel on an object need cannot be read here. They stand still, and `doctor` remembers it.
    Parked {
        /// The id of the kernel that accepted the actions.
        origin: Option<String>,
        /// The object's key.
        key: Option<String>,
        /// What cannot be read.
        reason: String,
    },
    /// An object that had its home here lives elsewhere now.
    Moved {
        /// The object's key.
        key: String,
        /// Its home now.
        to: String,
        /// What that kernel is called here.
        to_name: String,
    },
    /// An object has moved here.
    MovedIn {
        /// The object's key.
        key: String,
        /// Its home before.
        from: String,
        /// What that kernel is called here.
        from_name: String,
    },
    /// A peer sent another action in a place that has its outcome: one of the two kernels lost what it had written.
    LaneForked {
        /// The peer's kernel id.
        peer: String,
        /// What it is called here.
        peer_name: String,
        /// The object's key.
        key: String,
        /// The place in the lane, counted from 1.
        sequence: u64,
    },
    /// The event log does not have what happened here any more.
    Gap {
        /// So many events are missing.
        missed: u64,
    },
}

/// An object has a new revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedEvent {
    /// The object's key.
    pub key: String,
    /// Its epoch: raised by each change of home.
    pub epoch: u64,
    /// The revision's number, which counts the object's changes.
    pub revision: u64,
    /// The revision's id: the hash of its header, 64 hexadecimal digits.
    pub revision_id: String,
    /// The hash of its content.
    pub hash: String,
    /// How long its content is, in bytes.
    pub size: u64,
    /// Whether it removes the object.
    pub tombstone: bool,
    /// The kernel that sent it; `null` when it was changed here.
    pub from: Option<String>,
    /// What that kernel is called here.
    pub from_name: Option<String>,
    /// The kernel that wanted the change: which accepted the action first. `null` of an import.
    pub origin: Option<String>,
    /// What that kernel is called here.
    pub origin_name: Option<String>,
    /// The id of the action that made it, or `null`.
    pub action_id: Option<Uuid>,
    /// The key of the object that acted, if an object did.
    pub acting: Option<String>,
}

/// An action on an object here that has its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActedEvent {
    /// The action's name.
    pub action: String,
    /// The kernel that accepted it first.
    pub origin: String,
    /// What that kernel is called here.
    pub origin_name: String,
    /// The key of the object that acted, if an object did.
    pub acting: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: OutcomeEvent,
}

/// An action that has its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeEvent {
    /// The object's key.
    pub key: String,
    /// The action's id.
    pub id: Uuid,
    /// `done`, `failed` or `refused`.
    pub status: String,
    /// What came of it, of `done` and `failed`.
    #[serde(flatten)]
    pub result: Option<ResultEvent>,
    /// Why, of `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultEvent {
    /// The component's words; `null` where they have more than 4,096 bytes: `outcome` has them whole, at the kernel that was asked
    /// to act.
    pub result_text: Option<String>,
    /// How many bytes they have.
    pub result_bytes: u64,
}

/// What a peer said to a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryAnswer {
    /// It has it now.
    Stored,
    /// It had it already.
    Known,
    /// It keeps it beside another revision.
    Conflict,
    /// It does not keep it.
    Refused,
}
