//! What clients ask of the engine, and what they are told.

use once_model::action::{Action, After, Outcome};
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey, Secret, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::{Code, ShareAnswer};

use crate::access::Grant;
use crate::parked::Damage;

/// What clients ask of the engine. Reading needs no command: see [`crate::object`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    /// Keep a scenario from outside. From the path of an earlier import it is a new revision of the same object.
    Import {
        /// Where it came from.
        source: Option<String>,
        /// Lay it over this revision ([`Header::id`]), although the object has gone on since the file was imported.
        over: Option<Hash>,
        /// The scenario, whose bytes are kept as they are.
        scenario: Scenario,
    },
    /// A new revision of an object that has its home here, or of an unclaimed one (which this claims).
    Put {
        /// The object to change.
        key: ObjectKey,
        /// Only if this is the newest revision ([`Header::id`]).
        base: Option<Hash>,
        /// The new state.
        scenario: Scenario,
    },
    /// A new object born here: claimed at once.
    Create {
        /// Its first state.
        scenario: Scenario,
    },
    /// Give an unclaimed object a lineage and a home: this kernel.
    Claim {
        /// The object to claim.
        key: ObjectKey,
    },
    /// At home: a tombstone that travels. Elsewhere: drop the copy.
    Remove {
        /// The object to remove.
        key: ObjectKey,
    },
    /// What is kept beside an object becomes its next revision, at its home.
    Keep {
        /// The object that the revision is kept beside.
        key: ObjectKey,
        /// Which revision ([`Header::id`]).
        revision: Hash,
    },
    /// What is kept beside an object is not wanted. Of one that is only read here since a backup was put back, its newest revision
    /// may be meant, too: then the copy here goes.
    Discard {
        /// The object that the revision is kept beside.
        key: ObjectKey,
        /// Which revision ([`Header::id`]).
        revision: Hash,
    },
    /// Send an object to a peer, now or when it is back.
    Share {
        /// The object to send.
        key: ObjectKey,
        /// The peer that gets it.
        to: KernelId,
        /// Reply when the peer has answered, instead of when the share is durable here.
        delivered: bool,
    },
    /// Do something to an object, once, wherever its home is.
    Act {
        /// The object to act on.
        key: ObjectKey,
        /// Where its home is, if the client knows: needed for an object that is not here.
        at: Option<KernelId>,
        /// What to do: id, name, arguments, and the scenarios that it depends on.
        action: Action,
        /// In how many milliseconds it is no longer wanted.
        deadline_ms: Option<u64>,
        /// Reply with the outcome, instead of when the action is durable here.
        wait: bool,
    },
    /// Take an action back, if it has not run.
    Cancel {
        /// The action's id.
        id: Uuid,
        /// Reply with the outcome, instead of when this is durable here.
        wait: bool,
    },
    /// Take back an action that no client waits for: an object's, or one that tells an object what came of its effect.
    Drop {
        /// Where it is to run.
        home: KernelId,
        /// On which object.
        key: ObjectKey,
        /// Its place in the lane.
        sequence: u64,
        /// The action's id.
        id: Uuid,
    },
    /// Move an object that has its home here to another kernel.
    Move {
        /// The object to move.
        key: ObjectKey,
        /// The kernel that is to be its home.
        to: KernelId,
        /// Do not wait for its calls that have no outcome: they are left behind.
        leave_calls: bool,
        /// No right to read it there, and to act on it, for this kernel.
        without_me: bool,
        /// Reply when it lives there, instead of when the wish is durable here.
        wait: bool,
    },
    /// Ask another kernel whether it would take an object of this one. Nothing moves.
    WouldMove {
        /// Which.
        key: ObjectKey,
        /// To whom.
        to: KernelId,
    },
    /// Take that back, as long as the object is not sealed.
    Stay {
        /// The object that is to stay.
        key: ObjectKey,
    },
    /// Give what was recorded here of an object to its present home, which keeps it.
    Archive {
        /// The object, whose home is elsewhere now.
        key: ObjectKey,
    },
    /// People have written down the receipts of what was recorded here of an object.
    Receipted {
        /// Which.
        key: ObjectKey,
        /// Up to the entry of this number.
        up_to: u64,
    },
    /// Give up an object that a peer is owed, whyever it is owed.
    GiveUp {
        /// The peer that is owed it.
        peer: KernelId,
        /// The object that it does not get any more.
        key: ObjectKey,
    },
    /// What stands still on this kernel, and why.
    Standing,
    /// Ask a peer for an object's revisions from now on.
    Follow {
        /// The object to follow.
        key: ObjectKey,
        /// The kernel that tells of its revisions: mostly its home.
        from: KernelId,
    },
    /// Have another kernel follow what this one follows; then this one does not any more.
    FollowInstead {
        /// The object that is followed.
        key: ObjectKey,
        /// Who is followed.
        at: KernelId,
        /// Who is to follow.
        to: KernelId,
    },
    /// Ends a subscription made with `Follow`.
    Unfollow {
        /// The object that is followed.
        key: ObjectKey,
        /// The kernel that told of its revisions.
        from: KernelId,
    },
    /// Let whoever shows the secret become a peer, once.
    Invite {
        /// Hash of the secret; the secret itself is never stored.
        secret_hash: Hash,
        /// When it ends, in milliseconds since 1970.
        expires_ms: u64,
        /// The petname that the new peer gets.
        petname: Option<String>,
    },
    /// Take an invite back that nobody has used.
    RevokeInvite {
        /// Hash of its secret.
        secret_hash: Hash,
    },
    /// Leave the quarantine, with a new incarnation.
    EndQuarantine {
        /// Peers that have not greeted since it began, and are given up.
        without: Vec<KernelId>,
    },
    /// Take the clock as it is, although it is behind the latest time seen. What was seen to be over stays over.
    AcceptClock,
    /// Use an invite of another kernel. The reply comes when it admitted or denied us.
    Join {
        /// The kernel that made the invite.
        peer: KernelId,
        /// The invite's secret, as the ticket has it.
        secret: Secret,
        /// Where it can be dialled.
        addresses: Vec<String>,
        /// What to call it.
        petname: Option<String>,
    },
    /// Become a peer of a kernel that adds us too, without an invite and without rights.
    AddPeer {
        /// The kernel to add.
        peer: KernelId,
        /// Where it can be dialled.
        addresses: Vec<String>,
        /// What to call it.
        petname: Option<String>,
    },
    /// Call a peer something else, or give it another quota.
    ChangePeer {
        /// The peer to change.
        peer: KernelId,
        /// The new petname.
        petname: Option<String>,
        /// The new quota in bytes.
        quota_bytes: Option<u64>,
        /// Addresses to try first from now on.
        addresses: Vec<String>,
    },
    /// No longer a peer: its rights, what waits for it and its connection end now.
    RemovePeer {
        /// The peer to forget.
        peer: KernelId,
    },
    /// Give a right, beside those given before.
    Grant(Grant),
    /// Take it back: the actions that it names, or all of it.
    Revoke(Grant),
    /// Dial this peer now, whatever the pause.
    Dial {
        /// The peer to dial.
        peer: KernelId,
    },
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The object as it is now.
    Object {
        /// Its newest revision.
        header: Box<Header>,
        /// What became of the object by the command.
        change: Change,
    },
    /// The share is durable and will be sent until answered.
    Owed,
    /// The peer's answer to a share.
    Delivered(ShareAnswer),
    /// What became of a scenario that was asked for.
    Kept(ShareAnswer),
    /// The action is durable, and will be sent until it has its outcome.
    Accepted,
    /// The outcome of an action.
    Acted {
        /// What came of it.
        outcome: Outcome,
        /// The object after it, if it ran.
        after: Option<After>,
    },
    /// The object has another home.
    Moved {
        /// Its new home.
        to: KernelId,
        /// How many of its calls it did not wait for: it was told `unknown`.
        left: usize,
    },
    /// The other kernel would take the object.
    Welcome,
    /// The present home has all that was kept here of the object's history.
    Archived {
        /// The object whose history was given away.
        key: ObjectKey,
        /// The kernel that keeps it now.
        to: KernelId,
        /// How many entries.
        entries: u64,
    },
    /// Admitted by this peer.
    Joined {
        /// What the peer calls itself.
        says: String,
    },
    /// What stands still.
    Standing {
        /// Lanes whose first action cannot be run.
        lanes: Vec<Stands>,
        /// Rows that cannot be read: what they belong to stands still.
        damaged: Vec<Damage>,
    },
    /// It was done, and there is nothing to tell of it.
    Done,
}

/// Lanes of one object's component that stand still at this kernel, because their first actions cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    /// The kernel that accepted the actions.
    pub origin: KernelId,
    /// On which object.
    pub key: ObjectKey,
    /// The object's component.
    pub component: String,
    /// The version of its state.
    pub version: String,
    /// Why the first of them cannot be run.
    pub why: StandsFor,
}

/// Why a lane stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandsFor {
    /// Nobody who has the component is there, or has room.
    Room,
    /// Its first action waits for something of its own: a newer program, or its turn after one that went away over it.
    Itself,
    /// Its first action tells the object what came of its effect, and whoever was asked cannot take it: with this code it
    /// would be refused, if it could be.
    Refused(Code),
}

/// What a command changed of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new here.
    New,
    /// It was here with the same bytes.
    Same,
    /// It has a new revision.
    Changed,
    /// It was imported here and has its first change: it has a home now, this kernel.
    ClaimedAndChanged,
    /// It has gone on since this file was imported: the file is kept beside it, as a conflict.
    KeptBeside,
    /// What was kept beside it is gone.
    Resolved,
    /// Another object here has the same UUID and other bytes: both are kept.
    Beside,
    /// It is new here. An object of the same UUID was removed: its tombstone stays.
    BesideTombstone,
    /// It has a lineage and a home now.
    Claimed,
    /// It is gone from everywhere, once they hear of it.
    Removed,
    /// The copy here is gone.
    Dropped,
}
