//! Why the engine did not do what a client asked, in words that say what to do next.

use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, CONFLICTS_MAX_BODIES, JSON_MAX_DEPTH, NAME_MAX_BYTES};
use once_model::wire::Code;

use crate::parked::Damage;
use crate::store::StoreError;

pub use super::unmoved::Unmoved;

/// A command that was not carried out. Nothing of it remains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such object here.
    #[error("no object {0} on this kernel")]
    NoObject(ObjectKey),
    /// The object was removed.
    #[error("object {0} was removed")]
    Removed(ObjectKey),
    /// Only the home may change an object.
    #[error("this kernel holds a replica of {key}; only its home {home} may change it")]
    NotHome {
        /// The object that was to be changed.
        key: ObjectKey,
        /// The kernel that may change it.
        home: KernelId,
    },
    /// An unclaimed copy that came from a peer: it is not changed by accident.
    #[error("{0} came from another kernel and has no home: nobody may change it yet")]
    NotClaimed(ObjectKey),
    /// There is no such revision beside the object.
    #[error("no revision {revision} is kept beside {key}")]
    NoConflict {
        /// The object that was named.
        key: ObjectKey,
        /// Id of the revision that was named ([`once_model::header::Header::id`]).
        revision: Hash,
    },
    /// A revision without bytes: a tombstone.
    #[error("revision {revision} has no content that could be kept")]
    NoBytes {
        /// Id of the revision that was named.
        revision: Hash,
    },
    /// So many revisions are kept beside the object that no further one is.
    #[error("{CONFLICTS_MAX_BODIES} revisions are kept beside {0} already")]
    TooManyConflicts(ObjectKey),
    /// No object of a UUID has this newest revision.
    #[error("no object {uuid} here has the newest revision {revision}")]
    NoRevision {
        /// The UUID of the imported file.
        uuid: Uuid,
        /// Id of the revision that the file was to be laid over.
        revision: Hash,
    },
    /// The object has another newest revision than the caller thought.
    #[error("object {key} has changed since: its newest revision is {newest}")]
    Stale {
        /// The object that was to be changed.
        key: ObjectKey,
        /// Its newest revision.
        newest: u64,
    },
    /// A `put` whose scenario has another UUID than the object.
    #[error("the scenario has the UUID {found}, the object has {wanted}")]
    OtherUuid {
        /// Of the object.
        wanted: Uuid,
        /// Of the scenario.
        found: Uuid,
    },
    /// There is nothing to unfollow.
    #[error("object {key} of kernel {from} is not followed")]
    NotFollowed {
        /// The object that was named.
        key: ObjectKey,
        /// The kernel that was named.
        from: KernelId,
    },
    /// There is nothing to take back.
    #[error("kernel {kernel} has no such grant of '{right}'")]
    NoGrant {
        /// The kernel, or the home of the object, that would hold the grant.
        kernel: KernelId,
        /// The right's name, like `read`.
        right: &'static str,
    },
    /// One action cannot be taken from a grant of every action.
    #[error("kernel {kernel} may do every action there: single ones cannot be taken from that")]
    WholeGrant {
        /// The kernel that holds the grant.
        kernel: KernelId,
    },
    /// A grant names too many actions.
    #[error("a grant may name at most {0} actions")]
    TooManyActions(usize),
    /// The data of this kernel was put back from a backup.
    #[error(
        "this kernel is in quarantine: its data was put back from a backup, and its peers were told more than it has"
    )]
    Quarantined,
    /// It is not in quarantine.
    #[error("this kernel is not in quarantine")]
    NoQuarantine,
    /// A peer has not greeted since the quarantine began.
    #[error("peer {0} was not heard since the quarantine began")]
    NotHeard(KernelId),
    /// The object belongs to a life of this kernel that has ended.
    #[error(
        "object {0} belongs to the life of this kernel before the backup was put back: it can be read, and not changed"
    )]
    EarlierLife(ObjectKey),
    /// There is no such invite.
    #[error("no such invite on this kernel")]
    NoInvite,
    /// The invite was used: there is nothing to take back.
    #[error("kernel {0} has used that invite")]
    InviteUsed(KernelId),
    /// A row that is needed for it cannot be read.
    #[error("this kernel cannot read what it needs for that: {0}")]
    Damaged(Damage),
    /// Not a peer.
    #[error("kernel {0} is not a peer of this kernel")]
    NoPeer(KernelId),
    /// It is no peer: it has to do with single objects only.
    #[error("kernel {0} is a visitor of this kernel: it can have rights on single objects only")]
    OnlyForObjects(KernelId),
    /// It was a peer until just now, and something of it is still to be forgotten.
    #[error("kernel {0} is being removed: its rights and debts of before are still being taken away")]
    BeingRemoved(KernelId),
    /// The peer denied us.
    #[error("kernel {0} denied this kernel")]
    Denied(KernelId),
    /// A kernel cannot be its own peer.
    #[error("that is this kernel itself")]
    Myself,
    /// Too many peers.
    #[error("this kernel has as many peers as it may have ({0})")]
    TooManyPeers(usize),
    /// A replica that its home never signed: nobody else would believe where it comes from.
    #[error("object {0} came from its home without a signature and cannot be passed on")]
    Unsigned(ObjectKey),
    /// The outbox for a peer is full.
    #[error("{rows} objects wait for {peer} already, which is the limit")]
    OutboxFull {
        /// The peer that they wait for.
        peer: KernelId,
        /// How many objects wait: the limit.
        rows: u64,
    },
    /// A peer is not owed that object.
    #[error("object {key} is not owed to {peer}")]
    NotOwed {
        /// The peer that was named.
        peer: KernelId,
        /// The object that was named.
        key: ObjectKey,
    },
    /// The disk is nearly full.
    #[error("the disk is nearly full: {free_mib} MiB are free, {reserve_mib} MiB are kept in reserve")]
    DiskFull {
        /// Free room on the disk, in MiB.
        free_mib: u64,
        /// What is kept free, in MiB: no new work is taken within it.
        reserve_mib: u64,
    },
    /// No other file can be opened just now.
    #[error("this kernel cannot open any more files just now")]
    OutOfFiles,
    /// Files of the store are damaged, and nothing more can be written.
    #[error("the store of this kernel is damaged, and this kernel only reads")]
    StoreDamaged,
    /// An action's id was used for another one.
    #[error(
        "the id {id} belongs to another action: that one's content has the hash {first}, this one's {now}"
    )]
    IdReused {
        /// The id that both actions have.
        id: Uuid,
        /// Hash of the first action.
        first: Hash,
        /// Hash of this one.
        now: Hash,
    },
    /// An action's id is not of the right kind.
    #[error("the id {id} is no UUID of version 7")]
    BadId {
        /// The id as it was given.
        id: Uuid,
    },
    /// An action's id is from the future.
    #[error("the id {id} is {ahead_ms} ms ahead of this kernel's clock")]
    IdAhead {
        /// The id as it was given.
        id: Uuid,
        /// By how much.
        ahead_ms: u64,
    },
    /// An action's id is older than what was pruned: it may have run.
    #[error(
        "the id {id} is too old: what was asked before {floor_ms} ms since 1970 is no longer known here, and may have run"
    )]
    IdTooOld {
        /// The id as it was given.
        id: Uuid,
        /// Up to which time ids were pruned, in milliseconds since 1970.
        floor_ms: u64,
    },
    /// No action of this id was accepted here.
    #[error("no action {0} was accepted by this kernel")]
    NoAction(Uuid),
    /// An action that no home would take.
    #[error("{what}")]
    BadAction {
        /// Why, for programs.
        code: Code,
        /// Why, in words: one reason, the first that was found.
        what: String,
    },
    /// An object that is not here and whose home is not known.
    #[error("the home of object {0} is not known here")]
    NoHome(ObjectKey),
    /// An action under this name waits for its outcome at another kernel, which may turn out to have been the home of the same object.
    #[error(
        "an action on {key} still waits for its outcome at kernel {home}, and both kernels may have the same object"
    )]
    AskedElsewhere {
        /// As it was named.
        key: ObjectKey,
        /// Where the other action waits.
        home: KernelId,
    },
    /// A name that is too long.
    #[error("a name may have at most {max_bytes} bytes")]
    NameTooLong {
        /// The longest that is allowed, in bytes of UTF-8.
        max_bytes: usize,
    },
    /// A petname that is none.
    #[error("a petname has 1 to {max_bytes} bytes, no control characters, and is not blank")]
    BadName {
        /// The longest that is allowed, in bytes of UTF-8.
        max_bytes: usize,
    },
    /// Another peer has that petname, or an open invite gives it.
    #[error("another peer, or an open invite, has the name '{0}' already")]
    NameTaken(String),
    /// The object is about to leave this kernel.
    #[error("object {0} is about to move to another kernel")]
    Leaving(ObjectKey),
    /// The object has moved here, and its component has not been told so yet.
    #[error("object {0} has come here, and its component has not been told so yet")]
    Arriving(ObjectKey),
    /// It is not.
    #[error("object {0} is not about to move")]
    NotLeaving(ObjectKey),
    /// An object did not move.
    #[error("object {key} did not move: {why}")]
    Unmoved {
        /// The object, which is still here.
        key: ObjectKey,
        /// Why it stayed.
        why: Box<Unmoved>,
    },
    /// A peer is not removed while an object is handed over to it.
    #[error("object {key} is being handed over to {peer}, which has not answered yet")]
    HandsOver {
        /// The object that is on its way.
        key: ObjectKey,
        /// The peer that has not answered.
        peer: KernelId,
    },
    /// There is no connection to a kernel that is needed for it.
    #[error("kernel {0} is not connected")]
    NotConnected(KernelId),
    /// The present home of an object does not keep what was recorded here.
    #[error("kernel {by} does not keep the history of object {key}: {}", code.name())]
    NotArchived {
        /// The object whose history was offered.
        key: ObjectKey,
        /// The present home.
        by: KernelId,
        /// Its code: why it does not keep it.
        code: Code,
    },
    /// Another kernel does not follow what this one follows.
    #[error("kernel {by} does not follow object {key} in place of this kernel: {}", code.name())]
    NotFollowedInstead {
        /// The object that is followed here.
        key: ObjectKey,
        /// Who was asked.
        by: KernelId,
        /// Why: `denied` without the right `host` on that kernel; `lacking` if who is followed is no peer there.
        code: Code,
    },
    /// The kernel is stopping.
    #[error("the kernel is stopping")]
    Stopping,
}

/// What to do about [`Refusal::AskedElsewhere`].
const ASKED_ELSEWHERE: &str = "wait for that outcome (`once outbox` lists what waits), or name the object by its lineage, which its home shows";

/// What to do about [`Refusal::Damaged`].
const DAMAGED: &str =
    "this disk lost or changed something: `once doctor` says more; all else goes on meanwhile";

impl Refusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadAction { code, .. } => *code,
            Self::IdReused { .. } => Code::IdReused,
            Self::NoAction(_)
            | Self::NoObject(_)
            | Self::NoHome(_)
            | Self::AskedElsewhere { .. }
            | Self::Removed(_)
            | Self::NoPeer(_)
            | Self::NoInvite
            | Self::Damaged(_)
            | Self::Denied(_) => Code::Denied,
            Self::NotHome { .. } | Self::NotClaimed(_) => Code::NotHome,
            Self::Leaving(_) | Self::Arriving(_) | Self::HandsOver { .. } => Code::Busy,
            Self::Unmoved { why, .. } => match **why {
                Unmoved::Unwelcome(code) => code,
                _ => Code::Invalid,
            },
            Self::OutboxFull { .. } | Self::TooManyPeers(_) | Self::TooManyActions(_) => Code::Quota,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::NotArchived { code, .. } | Self::NotFollowedInstead { code, .. } => *code,
            Self::OutOfFiles | Self::StoreDamaged | Self::NotConnected(_) => Code::Busy,
            Self::Stopping => Code::Stopping,
            Self::BeingRemoved(_) => Code::Busy,
            Self::Quarantined | Self::EarlierLife(_) => Code::Quarantined,
            _ => Code::Invalid,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoObject(_) => {
                "`once ls` shows what is here; `once request IOR` fetches an object from a peer".into()
            }
            Self::Removed(_) => {
                "a removed object does not come back; import the scenario under a new UUID".into()
            }
            Self::NotHome { home, .. } => format!("change it at its home, kernel {}", home.short()),
            Self::NotClaimed(key) => format!("`once claim {key}` makes it an object of this kernel"),
            Self::NoConflict { .. } => "`once conflicts` lists what is kept".into(),
            Self::TooManyConflicts(_) => {
                "`once conflicts` lists them; `once conflicts keep OBJECT REVISION` or `once conflicts drop OBJECT REVISION` decides about one".into()
            }
            Self::NoRevision { uuid, .. } => format!("`once show {uuid} --json` says what is the newest"),
            Self::Stale { key, .. } => format!("look at the newest revision with `once show {}`, then put again", key.uuid),
            Self::OtherUuid { .. } => "`once import FILE` takes in a scenario of another object".into(),
            Self::IdReused { .. } => {
                "use a new id for a new action; the same id only repeats the same one".into()
            }
            Self::BadId { .. } => "leave the id out, or make one with `uuidgen --time-v7`".into(),
            Self::IdTooOld { .. } => "look at the object before you ask again, and then use a new id".into(),
            Self::IdAhead { .. } => "set the clock of whoever made the id".into(),
            Self::NoAction(_) => "the kernel that was asked to act knows it; `once outbox` lists what waits".into(),
            Self::BadAction { .. } => format!(
                "a name has 1 to {NAME_MAX_BYTES} bytes; arguments are one JSON value of at most {} KiB, nested at most {JSON_MAX_DEPTH} deep",
                ARGUMENTS_MAX_BYTES / 1024
            ),
            Self::NotConnected(kernel) => format!("`once peers dial {}` tries to reach it", kernel.short()),
            Self::NotFollowedInstead { .. } => "its owner can make who is followed a peer there, and say 'once grant PEER host'".into(),
            Self::NotArchived { .. } => "`once retire --receipts FILE` writes receipts of it instead".into(),
            Self::NoHome(_) => "name it by its IOR, which says where its home is; for an object that nobody has claimed yet say `--at PEER`".into(),
            Self::AskedElsewhere { .. } => ASKED_ELSEWHERE.into(),
            Self::Damaged(_) => DAMAGED.into(),
            Self::NoPeer(_) => "`once peers` lists the peers; `once join TICKET` makes one".into(),
            Self::OnlyForObjects(peer) => {
                format!("name an object, or make it a peer first: `once invite` makes a ticket for it, `once peers add {peer}` adds it")
            }
            Self::BeingRemoved(peer) => {
                format!("`once peers remove {}` waits until that is done; then add it again", peer)
            }
            Self::Denied(_) => "ask its owner for a new invite: they work once and expire".into(),
            Self::OutboxFull { peer, .. } => {
                format!("it goes on when {0} is back; `once peers remove {0}` forgets it", peer.short())
            }
            Self::DiskFull { .. } => "free some space; what is here can be read meanwhile (`once ls`); each action is written down, also one that only looks".into(),
            Self::NotOwed { .. } => "`once outbox` lists what is owed".into(),
            Self::OutOfFiles => "try again later; allow more (`ulimit -n`) before you start the kernel the next time".into(),
            Self::StoreDamaged => {
                "`once doctor` names what is damaged; `once stop`, then `once export --salvage DIR` brings out all that can be read"
                    .into()
            }
            Self::NoGrant { .. } => "`once grants` lists what was granted".into(),
            Self::NameTaken(_) => "choose another name; `once peers` and `once invites` list those that are taken".into(),
            Self::WholeGrant { .. } => "take the whole grant back (without --action), then grant those that shall stay".into(),
            Self::Quarantined => "`once quarantine` says what was seen, and how to leave it".into(),
            Self::NotHeard(peer) => format!("wait until it is reached, or give it up: `once quarantine end --without {peer}`"),
            Self::EarlierLife(_) => "`once export DIR OBJECT` writes it out, `once rm --read-only OBJECT` drops it here; imported then it is a new object".into(),
            Self::NoInvite => "`once invites` lists them".into(),
            Self::InviteUsed(by) => format!("`once peers remove {}` ends what it gave", by),
            Self::Leaving(_) | Self::Arriving(_) | Self::HandsOver { .. } => {
                "`once moves` shows what it waits for".into()
            }
            Self::NotLeaving(_) => "`once moves` lists what is".into(),
            Self::Unmoved { why, .. } => return why.hint(),
            Self::TooManyPeers(_) => "`once peers remove PEER` forgets one that is gone".into(),
            _ => return None,
        })
    }
}

/// Why a step did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was not allowed: the step leaves nothing behind.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed: the engine stops.
    #[error(transparent)]
    Store(#[from] StoreError),
}
