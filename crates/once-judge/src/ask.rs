//! What clients ask and are told, as `docs/local-api.md` has it.

use once_model::action::{Given, Outcome};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};

use crate::seen::{Json, Proof, State};

/// A right (glossary, grant).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To share into this kernel.
    Share,
    /// Read objects.
    Read,
    /// Act on objects.
    Act,
    /// To move objects here.
    Host,
    /// To find objects.
    Find,
}

/// What a right is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything on the kernel.
    All,
    /// The objects of a component.
    Component(String),
    /// One object, by its key.
    Object(ObjectKey),
}

/// Who has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// A kernel holds it.
    Kernel(KernelId),
    /// An object holds it.
    Object(ObjectKey),
}

/// A right that is granted or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The kernel or object that gets the right.
    pub to: Grantee,
    /// The home of an object that is granted something, as it was said then.
    pub home: Option<KernelId>,
    /// What it allows.
    pub right: Right,
    /// What it is a right on.
    pub scope: Scope,
    /// Until when, by the kernel's clock, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Which actions; absent: all.
    pub actions: Option<Vec<String>>,
}

/// An action as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAct {
    /// The action's id.
    pub id: Uuid,
    /// The object, as the client named it.
    pub object: ObjectKey,
    /// The object's home as the name says, or the kernel that was named with it.
    pub home: Option<KernelId>,
    /// The action's name.
    pub name: String,
    /// The arguments, as JSON.
    pub arguments: Json,
    /// What it depends on.
    pub given: Vec<Given>,
    /// How long it is wanted, in milliseconds from now.
    pub deadline_ms: Option<u64>,
    /// The answer is what came of it; else that it is accepted.
    pub wait: bool,
}

/// A command of a client. Those that only read and that no check needs are left out.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A new object.
    Create(State),
    /// A file: a new unclaimed object, or the next revision of the one that it was before.
    Import(State),
    /// The next revision.
    Put {
        /// Of which object.
        key: ObjectKey,
        /// The new state's bytes.
        state: State,
        /// Made from this revision; absent: the newest.
        base: Option<Hash>,
    },
    /// An unclaimed copy becomes an object of this kernel.
    Claim(ObjectKey),
    /// The object's end, or that of a copy here.
    Remove(ObjectKey),
    /// What is kept beside becomes the next revision.
    Keep {
        /// The object that the revision is kept beside.
        key: ObjectKey,
        /// What is kept.
        revision: Hash,
    },
    /// What is kept beside goes.
    Drop {
        /// The object that the revision is kept beside.
        key: ObjectKey,
        /// Id of the revision that is dropped.
        revision: Hash,
    },
    /// Do something to an object.
    Act(Box<AskAct>),
    /// What came of it?
    Outcome(Uuid),
    /// It is not wanted any more.
    Cancel(Uuid),
    /// Fetch the receipt of the action of this id.
    Receipt(Uuid),
    /// A peer gets an object.
    Share {
        /// The object to send.
        key: ObjectKey,
        /// The peer that gets it.
        to: KernelId,
    },
    /// What a peer is owed is given up.
    GiveUp {
        /// The object that was owed.
        key: ObjectKey,
        /// The peer that it was owed to.
        to: KernelId,
    },
    /// Revisions are wanted.
    Follow {
        /// Of which object.
        key: ObjectKey,
        /// The kernel that sends the revisions.
        from: KernelId,
    },
    /// Ends a subscription.
    Unfollow {
        /// Of which object.
        key: ObjectKey,
        /// The kernel that sent the revisions.
        from: KernelId,
    },
    /// A right is given.
    Grant(Grant),
    /// A right is taken back: these actions of it, or all of it.
    Revoke(Grant),
    /// A kernel is a peer now.
    PeerAdd(KernelId),
    /// It is none any more.
    PeerRemove(KernelId),
    /// Somebody is let in, once.
    Invite {
        /// `once/2 invite` of its secret.
        hash: Hash,
        /// Until when, by the kernel's clock.
        expires_ms: u64,
    },
    /// An open invite is taken back, by the hash of its secret.
    InviteRevoke(Hash),
    /// A ticket is used.
    Join(KernelId),
    /// An object gets another home.
    Move {
        /// The object to move.
        key: ObjectKey,
        /// The kernel that is to be its home.
        to: KernelId,
        /// It does not wait for its calls.
        leaves_calls: bool,
    },
    /// Could this object move there? Nothing is written down.
    WouldMove {
        /// The object.
        key: ObjectKey,
        /// The kernel that is asked.
        to: KernelId,
    },
    /// Take the wish to move this object back.
    Stay(ObjectKey),
    /// The clock is right, although it is behind.
    ClockAccept,
    /// A new life begins after a rollback.
    QuarantineEnd {
        /// Peers that are not waited for.
        without: Vec<KernelId>,
    },
    /// An action of an object, or an answer to one, is given up.
    OutboxDrop(Uuid),
    /// Work outside is done.
    Worked {
        /// The effect's id.
        id: Uuid,
        /// The object that is written.
        object: ObjectKey,
        /// Its result, or why it failed.
        answer: Result<Json, Json>,
    },
}

/// What a client is told.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It is done; nothing to say that the judge looks at.
    Done,
    /// An object has changed, or is as it was.
    Changed {
        /// What it is called now.
        key: ObjectKey,
        /// Its newest revision.
        revision: Option<Hash>,
    },
    /// The action is durable here, and has no outcome yet.
    Accepted,
    /// What came of the action, whatever it is.
    Outcome(Outcome),
    /// A cancel is durable, and the home has not said more.
    Cancelling,
    /// What the home says.
    Receipt(Proof),
    /// A new life.
    Incarnation(Incarnation),
}

/// `data.code` of an error (`docs/local-api.md`, Errors). What came of an action is [`Reply::Outcome`] and no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The request is malformed.
    Usage,
    /// No such thing here.
    NotFound,
    /// More than one.
    Ambiguous,
    /// Not a scenario, an action ...
    Invalid,
    /// The object was removed.
    Removed,
    /// `base` is not the newest revision.
    Stale,
    /// Only the home may do that.
    NotHome,
    /// It has no home: claim it first.
    Unclaimed,
    /// The other kernel refused.
    Denied,
    /// The id belongs to another action.
    IdReused,
    /// A limit is used up.
    Quota,
    /// The disk is nearly full.
    DiskFull,
    /// There is no connection to the kernel.
    Unreachable,
    /// The id is older than what is known.
    IdTooOld,
    /// A receipt proves nothing.
    Unproven,
    /// No answer in time.
    Timeout,
    /// No outcome yet.
    Unknown,
    /// The kernel is stopping.
    Stopping,
    /// The disk lost something.
    Damaged,
    /// Rights of before are still being taken away.
    Busy,
    /// The kernel's fault.
    Fault,
    /// The kernel is in quarantine.
    Quarantined,
}
