//! One error for everything that a user of a kernel can meet: a stable code, what happened, what to do next.

use std::fmt;

use once_core::Refusal;
use once_core::store::StoreError;
use once_model::ids::Uuid;
use once_model::scenario::ScenarioError;
use once_model::wire::Code;
use once_store::OpenError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something was not done.
///
/// `code` never changes its meaning (`docs/local-api.md` lists the codes); `exit` is what the command line exits with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// Stable code, like `not-found`.
    pub code: String,
    /// 1 failed, 2 wrong use, 3 refused, 4 unreachable or unknown, 5 our fault.
    pub exit: u8,
    /// What happened, and where.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line, where a text was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, where a text was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The action that it is about. Whoever let the kernel make the id knows it from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    fn new(code: &str, exit: u8, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            exit,
            message: message.into(),
            hint: None,
            line: None,
            column: None,
            id: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where in a text that was read.
    #[must_use]
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        let number = |n: usize| Some(u32::try_from(n).unwrap_or(u32::MAX));
        (self.line, self.column) = (number(line), number(column));
        self
    }

    /// Says which action it is about.
    #[must_use]
    pub(crate) fn about(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// An action may have been accepted, and whether it runs is not known here: asking again with its id is safe, with
    /// another one it would be a second action.
    pub(crate) fn outcome_unknown(id: Uuid, why: &str) -> Self {
        let message =
            format!("the action {id} may have been accepted, and its outcome is not known yet: {why}");
        let hint = format!(
            "`once outcome {id}` says what came of it; if it has to be asked again, then with --id {id}"
        );
        Self::unknown(message).with_hint(hint).about(id)
    }

    /// Nothing was done, for want of room.
    pub(crate) fn disk_full(message: impl Into<String>) -> Self {
        Self::new("disk-full", 3, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", 2, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("not-found", 1, message)
    }

    pub(crate) fn ambiguous(message: impl Into<String>) -> Self {
        Self::new("ambiguous", 2, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", 1, message)
    }

    pub(crate) fn unclaimed(message: impl Into<String>) -> Self {
        Self::new("unclaimed", 3, message)
    }

    pub(crate) fn removed(message: impl Into<String>) -> Self {
        Self::new("removed", 1, message)
    }

    pub(crate) fn not_home(message: impl Into<String>) -> Self {
        Self::new("not-home", 3, message)
    }

    pub(crate) fn unproven(message: impl Into<String>) -> Self {
        Self::new("unproven", 3, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new("failed", 1, message)
    }

    pub(crate) fn quota(message: impl Into<String>) -> Self {
        Self::new("quota", 3, message)
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new("unreachable", 4, message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new("timeout", 4, message)
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new("unknown", 4, message)
    }

    pub(crate) fn id_reused(message: impl Into<String>) -> Self {
        Self::new("id-reused", 3, message)
    }

    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self::new("cancelled", 3, message)
    }

    pub(crate) fn stopping() -> Self {
        Self::new("stopping", 4, "the kernel is stopping")
    }

    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new("fault", 5, message)
    }

    /// What the system said of a file, and what to look at unless that passes.
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error, hint: &str) -> Self {
        let message = format!("{}: {error}", path.display());
        if once_store::is_out_of_files(error) {
            let refused = Self::from(Refusal::OutOfFiles);
            return Self { message, ..refused };
        }
        Self::new("fault", 1, message).with_hint(hint)
    }

    /// What a peer answered.
    pub(crate) fn from_code(code: Code, what: &str) -> Self {
        match code {
            Code::Denied | Code::NotHome => Self::new(
                "denied",
                3,
                format!("{what}: not found on the other kernel, or not permitted"),
            )
            .with_hint("its owner can permit it: 'once grant KERNEL read' there, with the id that `once status` prints here"),
            Code::Ambiguous => {
                Self::ambiguous(format!("{what}: more than one object there answers to that name"))
                    .with_hint("name it with its lineage: UUID#LINEAGE")
            }
            Code::Quota => Self::new("quota", 3, format!("{what}: the quota there is used up"))
                .with_hint("its owner can raise it: 'once peers quota KERNEL SIZE' there"),
            Code::DiskFull => Self::new("disk-full", 3, format!("{what}: the disk there is nearly full")),
            Code::Busy | Code::Stopping => {
                Self::unreachable(format!("{what}: the other kernel is busy or stopping"))
                    .with_hint("try again later")
            }
            // What the home ran before, it does not know any more: that is not refused, it is unknown for good.
            Code::Quarantined => Self::new(
                "quarantined",
                4,
                format!(
                    "{what}: the object's home was put back from a backup and does not change it any more: \
                     whether this ran there before, nobody can say"
                ),
            )
            .with_hint("look at the newest revision that anybody has, like a follower's, before you ask for it again"),
            Code::TooLarge => Self::invalid(format!("{what}: too large")),
            Code::Expired => Self::new("expired", 3, format!("{what}: its time was up before it ran")),
            _ => Self::invalid(format!("{what}: the other kernel does not accept it")),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (code, exit) = match &refusal {
            Refusal::NoObject(_)
            | Refusal::NoPeer(_)
            | Refusal::NotFollowed { .. }
            | Refusal::NoHome(_)
            | Refusal::NoAction(_)
            | Refusal::NoInvite
            | Refusal::NotOwed { .. }
            | Refusal::NoGrant { .. } => ("not-found", 1),
            Refusal::Damaged(_) => ("fault", 5),
            Refusal::Removed(_) => ("removed", 1),
            Refusal::NotHome { .. } => ("not-home", 3),
            Refusal::NotClaimed(_) => ("unclaimed", 3),
            Refusal::AskedElsewhere { .. } => ("ambiguous", 2),
            Refusal::NoConflict { .. } | Refusal::NoRevision { .. } => ("not-found", 1),
            Refusal::TooManyConflicts(_) => ("quota", 3),
            Refusal::Stale { .. } => ("stale", 1),
            Refusal::Denied(_) => ("denied", 3),
            Refusal::IdReused { .. } => ("id-reused", 3),
            Refusal::IdTooOld { .. } => ("id-too-old", 3),
            Refusal::BadId { .. } | Refusal::IdAhead { .. } | Refusal::BadAction { .. } => ("usage", 2),
            Refusal::OutboxFull { .. } | Refusal::TooManyPeers(_) | Refusal::TooManyActions(_) => {
                ("quota", 3)
            }
            Refusal::DiskFull { .. } => ("disk-full", 3),
            Refusal::OutOfFiles => ("out-of-files", 3),
            Refusal::StoreDamaged => ("damaged", 5),
            Refusal::Stopping => ("stopping", 4),
            Refusal::BeingRemoved(_)
            | Refusal::Leaving(_)
            | Refusal::Arriving(_)
            | Refusal::HandsOver { .. } => ("busy", 4),
            Refusal::NotConnected(_) => ("unreachable", 4),
            Refusal::NotArchived { .. } | Refusal::NotFollowedInstead { .. } => ("denied", 3),
            Refusal::NotLeaving(_) => ("not-found", 1),
            Refusal::Unmoved { .. } => ("not-moved", 3),
            Refusal::Quarantined | Refusal::EarlierLife(_) => ("quarantined", 3),
            Refusal::NameTaken(_)
            | Refusal::NameTooLong { .. }
            | Refusal::BadName { .. }
            | Refusal::Myself => ("usage", 2),
            _ => ("invalid", 1),
        };
        let mut error = Self::new(code, exit, refusal.to_string());
        error.hint = refusal.hint();
        error
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new("disk-full", 3, error.to_string()).with_hint(
                "free some space on the disk of the data directory; nothing that was acknowledged is lost",
            ),
            StoreError::OutOfFiles => Refusal::OutOfFiles.into(),
            StoreError::Damaged { .. } => Self::new("damaged", 5, error.to_string()).with_hint(
                "`once doctor` names what cannot be read, and `once export --salvage DIR` brings out all that can; \
                 everything else goes on",
            ),
            error => Self::fault(error.to_string())
                .with_hint("stop the kernel and start it again; `once doctor` says more"),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        let (code, exit) = match &error {
            OpenError::InUse { .. } => ("in-use", 1),
            OpenError::Io { source, .. } if once_store::is_out_of_files(source) => ("out-of-files", 3),
            OpenError::Store(StoreError::OutOfFiles) => ("out-of-files", 3),
            OpenError::Missing { .. } | OpenError::SchemaOlder { .. } | OpenError::SchemaNewer { .. } => {
                ("invalid", 1)
            }
            OpenError::Damaged { .. } | OpenError::Store(StoreError::Damaged { .. }) => ("damaged", 5),
            _ => ("fault", 5),
        };
        Self::new(code, exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<ScenarioError> for Error {
    fn from(error: ScenarioError) -> Self {
        let mut out = Self::invalid(error.message());
        out.hint = error.hint().map(Into::into);
        out.at(error.line(), error.column())
    }
}
