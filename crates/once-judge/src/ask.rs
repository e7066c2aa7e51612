//! What clients ask and are told, as `docs/local-api.md` has it.

use once_model::action::{Given, Outcome};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};

use crate::seen::{Json, Proof, State};

/// A right (glossary, grant).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To share into this kernel.
    Share,
    /// To read.
    Read,
    /// To act.
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
    /// One object.
    Object(ObjectKey),
}

/// Who has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// A kernel.
    Kernel(KernelId),
    /// An object.
    Object(ObjectKey),
}

/// A right that is granted or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub to: Grantee,
    /// The home of an object that is granted something, as it was said then.
    pub home: Option<KernelId>,
    /// What.
    pub right: Right,
    /// On what.
    pub scope: Scope,
    /// Until when, by the kernel's clock, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Which actions; absent: all.
    pub actions: Option<Vec<String>>,
}

/// An action as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAct {
    /// Its id.
    pub id: Uuid,
    /// The object, as the client named it.
    pub object: ObjectKey,
    /// The object's home as the name says, or the kernel that was named with it.
    pub home: Option<KernelId>,
    /// The action's name.
    pub name: String,
    /// Its arguments.
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
        /// Its bytes.
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
        /// The object.
        key: ObjectKey,
        /// What is kept.
        revision: Hash,
    },
    /// What is kept beside goes.
    Drop {
        /// The object.
        key: ObjectKey,
        /// What goes.
        revision: Hash,
    },
    /// An action.
    Act(Box<AskAct>),
    /// What came of it?
    Outcome(Uuid),
    /// It is not wanted any more.
    Cancel(Uuid),
    /// Prove it.
    Receipt(Uuid),
    /// A peer gets an object.
    Share {
        /// Which.
        key: ObjectKey,
        /// Who.
        to: KernelId,
    },
    /// What a peer is owed is given up.
    GiveUp {
        /// Which object.
        key: ObjectKey,
        /// Who.
        to: KernelId,
    },
    /// Revisions are wanted.
    Follow {
        /// Of which object.
        key: ObjectKey,
        /// From whom.
        from: KernelId,
    },
    /// No longer.
    Unfollow {
        /// Of which object.
        key: ObjectKey,
        /// From whom.
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
        /// Which.
        key: ObjectKey,
        /// Where.
        to: KernelId,
        /// It does not wait for its calls.
        leaves_calls: bool,
    },
    /// It stays.
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
        /// The object.
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
    /// Malformed.
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
    /// No connection.
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
