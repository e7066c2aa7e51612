//! What happens on a kernel: `event` notifications.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::ObjectInfo;

/// Sends `event` notifications on this connection from now on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {}

/// Something that happened on a kernel.
///
/// More kinds may be added at any time: a client skips those that it does not know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// An object has a new revision here, or is new here.
    Changed {
        /// The object.
        object: Box<ObjectInfo>,
        /// The kernel that sent it; `null` when it was changed here.
        from: Option<String>,
    },
    /// The copy of an object here is gone.
    Dropped {
        /// The object's key.
        key: String,
    },
    /// A peer has answered for an object that was shared with it.
    Delivered {
        /// The peer.
        peer: String,
        /// The object's key.
        key: String,
        /// What it said.
        answer: DeliveryAnswer,
        /// Why it was refused, else `null`.
        code: Option<String>,
    },
    /// A kernel became a peer by an invite of this one.
    Came {
        /// The kernel.
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
        /// The peer.
        peer: String,
    },
    /// A peer is connected.
    Connected {
        /// The peer.
        peer: String,
        /// How far its clock is ahead of the one here.
        clock_ahead_ms: i64,
    },
    /// A peer is not connected any more.
    Disconnected {
        /// The peer.
        peer: String,
        /// Why.
        reason: String,
    },
    /// A peer does not let this kernel follow an object.
    FollowDenied {
        /// The peer.
        peer: String,
        /// The object's key.
        key: String,
    },
    /// An action on an object here has its outcome.
    Acted(OutcomeEvent),
    /// An action of this kernel on another one's object has its outcome.
    Outcome(OutcomeEvent),
    /// An object here told whoever listens.
    Published {
        /// The object's key.
        key: String,
        /// What it is about.
        name: String,
        /// What it says: JSON, at most 64 KiB.
        data_text: String,
    },
    /// What the actions of a kernel on an object need cannot be read here. They stand still, and `doctor` remembers it.
    Parked {
        /// The kernel.
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
    },
    /// An object has moved here.
    MovedIn {
        /// The object's key.
        key: String,
        /// Its home before.
        from: String,
    },
    /// A peer sent another action in a place that has its outcome: one of the two kernels lost what it had written.
    LaneForked {
        /// The peer.
        peer: String,
        /// The object's key.
        key: String,
        /// The place.
        sequence: u64,
    },
    /// The client read too slowly.
    Lagged {
        /// So many events were skipped.
        missed: u64,
    },
}

/// An action that has its outcome.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ResultEvent {
    /// The component's words; `null` where they have more than 4,096 bytes: `outcome` has them whole, at the kernel that was asked
    /// to act.
    pub result_text: Option<String>,
    /// How many bytes they have.
    pub result_bytes: usize,
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
