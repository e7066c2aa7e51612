//! What happens on a kernel, for whoever watches it.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use once_model::action::Outcome;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::wire::ShareAnswer;

/// Something that happened on this kernel. Kept in the event log ([`crate::events`]): the numbers never change meaning.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Event {
    /// An object has a new newest revision here.
    #[n(0)]
    Changed {
        /// Header of the new revision.
        #[n(0)]
        header: Box<Header>,
        /// Who sent it; nobody if it was changed here.
        #[n(1)]
        from: Option<KernelId>,
    },
    /// An object that had its home here has another one.
    #[n(1)]
    Moved {
        /// The object that moved away.
        #[n(0)]
        key: ObjectKey,
        /// Its home now.
        #[n(1)]
        to: KernelId,
    },
    /// An object has moved here from another kernel.
    #[n(2)]
    MovedIn {
        /// The object that came.
        #[n(0)]
        key: ObjectKey,
        /// Its home before.
        #[n(1)]
        from: KernelId,
    },
    /// An object's copy here is gone.
    #[n(3)]
    Dropped {
        /// The object whose copy is gone.
        #[n(0)]
        key: ObjectKey,
    },
    /// A peer answered a share.
    #[n(4)]
    Delivered {
        /// The peer that answered.
        #[n(0)]
        peer: KernelId,
        /// The object that was shared.
        #[n(1)]
        key: ObjectKey,
        /// What it did with it.
        #[n(2)]
        answer: ShareAnswer,
    },
    /// A peer does not let us follow an object; the subscription has ended.
    #[n(5)]
    FollowDenied {
        /// The peer that does not allow it.
        #[n(0)]
        peer: KernelId,
        /// The object that was to be followed.
        #[n(1)]
        key: ObjectKey,
    },
    /// An action on an object here has its outcome.
    #[n(6)]
    Acted {
        /// The object that was acted on.
        #[n(0)]
        key: ObjectKey,
        /// The action's id.
        #[cbor(n(1), with = "once_model::cbor::uuid_bytes")]
        id: Uuid,
        /// The action's name.
        #[n(2)]
        name: String,
        /// The kernel that accepted it first.
        #[n(3)]
        origin: KernelId,
        /// The object that acted, if an object did.
        #[n(4)]
        acting: Option<ObjectKey>,
        /// What came of it.
        #[n(5)]
        outcome: Outcome,
    },
    /// An action of this kernel on another one's object has its outcome.
    #[n(7)]
    Outcome {
        /// The object that was acted on.
        #[n(0)]
        key: ObjectKey,
        /// The action's id.
        #[cbor(n(1), with = "once_model::cbor::uuid_bytes")]
        id: Uuid,
        /// What came of it.
        #[n(2)]
        outcome: Outcome,
    },
    /// An object published something.
    #[n(8)]
    Published {
        /// The object that published it.
        #[n(0)]
        key: ObjectKey,
        /// The topic, in the words of the object's component.
        #[n(1)]
        name: String,
        /// More about it: verbatim JSON.
        #[cbor(n(2), with = "once_model::cbor::json_bytes")]
        data: Bytes,
    },
    /// Something here cannot go on, by a fault of this kernel: what it needs cannot be read. Nothing outside it waits.
    #[n(9)]
    Parked {
        /// Whose actions, if it is a lane.
        #[n(0)]
        origin: Option<KernelId>,
        /// The object, if it is about one.
        #[n(1)]
        key: Option<ObjectKey>,
        /// Why, for people.
        #[n(2)]
        reason: String,
    },
    /// A peer sent another action in a place of a lane that has its outcome: one of the two lost what it had written.
    #[n(10)]
    LaneForked {
        /// The peer that sent the other action.
        #[n(0)]
        peer: KernelId,
        /// The object that the lane leads to.
        #[n(1)]
        key: ObjectKey,
        /// The place in the lane.
        #[n(2)]
        sequence: u64,
    },
    /// A peer showed that the disk of this kernel was put back from a backup: it is in quarantine from now on.
    #[n(11)]
    Quarantined {
        /// The peer that showed it.
        #[n(0)]
        by: KernelId,
    },
    /// A kernel became a peer by an invite of this one.
    #[n(12)]
    Came {
        /// The kernel that became a peer.
        #[n(0)]
        peer: KernelId,
        /// The invite: the hash of its secret.
        #[n(1)]
        invite: Hash,
        /// What it is called here, if the invite said so. Another peer may have got that name meanwhile: then it is one
        /// like it.
        #[n(2)]
        petname: Option<String>,
        /// What it calls itself.
        #[n(3)]
        says: String,
    },
    /// A connection to a peer is ready.
    #[n(13)]
    Connected {
        /// The peer that is connected.
        #[n(0)]
        peer: KernelId,
        /// The connection: further streams are opened on it. It means nothing in the log.
        #[cbor(skip)]
        conn: u64,
        /// The difference between its clock and ours in milliseconds; positive when it is ahead.
        #[n(1)]
        clock_ahead_ms: i64,
    },
    /// A connection to a peer ended, or could not be made.
    #[n(14)]
    Disconnected {
        /// The peer that is not connected any more.
        #[n(0)]
        peer: KernelId,
        /// Why, for people.
        #[n(1)]
        reason: String,
    },
}

impl Event {
    /// The object that it is about, if it is about one.
    #[must_use]
    pub fn object(&self) -> Option<ObjectKey> {
        match self {
            Self::Changed { header, .. } => Some(header.key()),
            Self::Moved { key, .. }
            | Self::MovedIn { key, .. }
            | Self::Dropped { key }
            | Self::Delivered { key, .. }
            | Self::FollowDenied { key, .. }
            | Self::Acted { key, .. }
            | Self::Outcome { key, .. }
            | Self::Published { key, .. }
            | Self::LaneForked { key, .. } => Some(*key),
            Self::Parked { key, .. } => *key,
            Self::Quarantined { .. }
            | Self::Came { .. }
            | Self::Connected { .. }
            | Self::Disconnected { .. } => None,
        }
    }

    /// The other kernel that it is about, if there is one: who sent, answered, asked or is connected.
    #[must_use]
    pub fn peer(&self) -> Option<KernelId> {
        match self {
            Self::Changed { from, .. } => *from,
            Self::Acted { origin, .. } => Some(*origin),
            Self::Parked { origin, .. } => *origin,
            Self::Moved { to: peer, .. }
            | Self::MovedIn { from: peer, .. }
            | Self::Delivered { peer, .. }
            | Self::FollowDenied { peer, .. }
            | Self::LaneForked { peer, .. }
            | Self::Quarantined { by: peer }
            | Self::Came { peer, .. }
            | Self::Connected { peer, .. }
            | Self::Disconnected { peer, .. } => Some(*peer),
            Self::Dropped { .. } | Self::Outcome { .. } | Self::Published { .. } => None,
        }
    }
}
