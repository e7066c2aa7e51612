//! How errors are made: one function for each kind that is made in more than one place, and what the engine, the store and peers
//! say, as an error.
//!
//! The types of the engine and the store are no part of the library's surface, so what they say becomes an error by a trait that only
//! this crate sees, and not by `From`.

use std::io;
use std::sync::Arc;

use once_core::Refusal;
use once_core::store::{StoreError, Table};
use once_model::ids::Uuid;
use once_model::scenario::ScenarioError;
use once_model::wire::Code;
use once_store::OpenError;

use super::{Error, ErrorKind as Kind};

/// What becomes an error inside of this crate only.
pub(crate) trait IntoError {
    /// The same as an error.
    fn into_error(self) -> Error;
}

/// `?` on what the engine or the store answers: `read().or_error()?`.
pub(crate) trait OrError<T> {
    /// The same, with the error that users are shown.
    ///
    /// # Errors
    /// As the result itself.
    fn or_error(self) -> Result<T, Error>;
}

impl<T, E: IntoError> OrError<T> for Result<T, E> {
    fn or_error(self) -> Result<T, Error> {
        self.map_err(E::into_error)
    }
}

impl Error {
    /// Says where in a text that was read.
    #[must_use]
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.inner.position = Some((number(line), number(column)));
        self
    }

    /// The same, said in other words.
    #[must_use]
    pub(crate) fn said(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    /// The same with another hint, or with none.
    #[must_use]
    pub(crate) fn hinting(mut self, hint: Option<String>) -> Self {
        self.inner.hint = hint;
        self
    }

    /// Says what it comes from.
    #[must_use]
    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    /// Says which action it is about.
    #[must_use]
    pub(crate) fn about(mut self, id: Uuid) -> Self {
        self.inner.action = Some(id);
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
        Self::new(Kind::DiskFull, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub(crate) fn ambiguous(message: impl Into<String>) -> Self {
        Self::new(Kind::Ambiguous, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn unclaimed(message: impl Into<String>) -> Self {
        Self::new(Kind::Unclaimed, message)
    }

    pub(crate) fn removed(message: impl Into<String>) -> Self {
        Self::new(Kind::Removed, message)
    }

    pub(crate) fn not_home(message: impl Into<String>) -> Self {
        Self::new(Kind::NotHome, message)
    }

    pub(crate) fn unproven(message: impl Into<String>) -> Self {
        Self::new(Kind::Unproven, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(crate) fn quota(message: impl Into<String>) -> Self {
        Self::new(Kind::Quota, message)
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, message)
    }

    pub(crate) fn id_reused(message: impl Into<String>) -> Self {
        Self::new(Kind::IdReused, message)
    }

    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Kind::Cancelled, message)
    }

    pub(crate) fn stopping() -> Self {
        Self::new(Kind::Stopping, "the kernel is stopping")
    }

    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(Kind::Fault, message)
    }

    /// What the system said of a file, and what to look at unless that passes.
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error, hint: &str) -> Self {
        let message = format!("{}: {error}", path.display());
        if once_store::is_out_of_files(error) {
            return Refusal::OutOfFiles.into_error().said(message).because(copy_of(error));
        }
        let kind = if is_full(error) { Kind::DiskFull } else { Kind::Io };
        Self::new(kind, message).with_hint(hint).because(copy_of(error))
    }

    /// What a peer answered.
    pub(crate) fn from_code(code: Code, what: &str) -> Self {
        match code {
            Code::Denied | Code::NotHome => Self::new(Kind::Denied,
                format!("{what}: not found on the other kernel, or not permitted"),
            )
            .with_hint("its owner can permit it: 'once grant KERNEL read' there, with the id that `once status` prints here"),
            Code::Ambiguous => {
                Self::ambiguous(format!("{what}: more than one object there answers to that name"))
                    .with_hint("name it with its lineage: UUID#LINEAGE")
            }
            Code::Quota => Self::new(Kind::Quota, format!("{what}: the quota there is used up"))
                .with_hint("its owner can raise it: 'once peers quota KERNEL SIZE' there"),
            Code::DiskFull => Self::new(Kind::DiskFull, format!("{what}: the disk there is nearly full")),
            Code::Busy | Code::Stopping => {
                Self::unreachable(format!("{what}: the other kernel is busy or stopping"))
                    .with_hint("try again later")
            }
            // What the home ran before, it does not know any more: that is not refused, it is unknown for good.
            Code::Quarantined => Self::new(Kind::HomeLost,
                format!(
                    "{what}: the object's home was put back from a backup and does not change it any more: \
                     whether this ran there before, nobody can say"
                ),
            )
            .with_hint("look at the newest revision that anybody has, like a follower's, before you ask for it again"),
            Code::TooLarge => Self::invalid(format!("{what}: too large")),
            Code::Expired => Self::new(Kind::Expired, format!("{what}: its time was up before it ran")),
            _ => Self::invalid(format!("{what}: the other kernel does not accept it")),
        }
    }
}

/// Whether the system had no room for what was to be written.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The same error of the system once more: an `io::Error` cannot be cloned.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl IntoError for Refusal {
    fn into_error(self) -> Error {
        let kind = match &self {
            Refusal::NoObject(_)
            | Refusal::NoPeer(_)
            | Refusal::NotFollowed { .. }
            | Refusal::NoHome(_)
            | Refusal::NoAction(_)
            | Refusal::NoInvite
            | Refusal::NotOwed { .. }
            | Refusal::NoGrant { .. } => Kind::NotFound,
            Refusal::Damaged(_) => Kind::Fault,
            Refusal::Removed(_) => Kind::Removed,
            Refusal::NotHome { .. } => Kind::NotHome,
            Refusal::NotClaimed(_) => Kind::Unclaimed,
            Refusal::AskedElsewhere { .. } => Kind::Ambiguous,
            Refusal::NoConflict { .. } | Refusal::NoRevision { .. } => Kind::NotFound,
            Refusal::TooManyConflicts(_) => Kind::Quota,
            Refusal::Stale { .. } => Kind::Stale,
            Refusal::Denied(_) => Kind::Denied,
            Refusal::IdReused { .. } => Kind::IdReused,
            Refusal::IdTooOld { .. } => Kind::IdTooOld,
            Refusal::BadId { .. } | Refusal::IdAhead { .. } | Refusal::BadAction { .. } => Kind::Usage,
            Refusal::OutboxFull { .. } | Refusal::TooManyPeers(_) | Refusal::TooManyActions(_) => Kind::Quota,
            Refusal::DiskFull { .. } => Kind::DiskFull,
            Refusal::OutOfFiles => Kind::OutOfFiles,
            Refusal::StoreDamaged => Kind::Damaged,
            Refusal::Stopping => Kind::Stopping,
            Refusal::BeingRemoved(_)
            | Refusal::Leaving(_)
            | Refusal::Arriving(_)
            | Refusal::HandsOver { .. } => Kind::Busy,
            Refusal::NotConnected(_) => Kind::Unreachable,
            Refusal::NotArchived { .. } | Refusal::NotFollowedInstead { .. } => Kind::Denied,
            Refusal::NotLeaving(_) => Kind::NotFound,
            Refusal::Unmoved { .. } => Kind::NotMoved,
            Refusal::Quarantined | Refusal::EarlierLife(_) => Kind::Quarantined,
            Refusal::NameTaken(_)
            | Refusal::NameTooLong { .. }
            | Refusal::BadName { .. }
            | Refusal::Myself => Kind::Usage,
            Refusal::NoBytes { .. }
            | Refusal::OtherUuid { .. }
            | Refusal::WholeGrant { .. }
            | Refusal::NoQuarantine
            | Refusal::NotHeard(_)
            | Refusal::InviteUsed(_)
            | Refusal::OnlyForObjects(_)
            | Refusal::Unsigned(_) => Kind::Invalid,
        };
        Error::new(kind, self.to_string()).hinting(self.hint())
    }
}

impl IntoError for StoreError {
    fn into_error(self) -> Error {
        let error = match &self {
            StoreError::Full => Error::new(Kind::DiskFull, self.to_string()).with_hint(
                "free some space on the disk of the data directory; nothing that was acknowledged is lost",
            ),
            StoreError::OutOfFiles => Refusal::OutOfFiles.into_error(),
            StoreError::Damaged { table, key, reason } => Error::new(Kind::Damaged, damaged(*table, key, reason)).with_hint(
                "`once doctor` names what cannot be read, and `once export --salvage DIR` brings out all that can; \
                 everything else goes on",
            ),
            _ => Error::fault(self.to_string())
                .with_hint("stop the kernel and start it again; `once doctor` says more"),
        };
        error.because(self)
    }
}

/// What cannot be read, why, and whose fault that is.
fn damaged(table: Table, key: &[u8], reason: &str) -> String {
    let what = match once_core::of_object::object_of(table, key) {
        Some(object) if table == Table::Body => format!("the scenario of {object}"),
        Some(object) => format!("what the store has of {object}"),
        None => format!("what the store has of {}", table.holds()),
    };
    format!("{what} is damaged: {reason}; the disk of this kernel lost or changed it")
}

impl IntoError for OpenError {
    fn into_error(self) -> Error {
        if let OpenError::Store(error @ (StoreError::Full | StoreError::OutOfFiles)) = &self {
            return error.clone().into_error().with_hint(self.hint()).because(self);
        }
        let kind = match &self {
            OpenError::Io { source, .. } if is_full(source) => Kind::DiskFull,
            OpenError::InUse { .. } => Kind::InUse,
            OpenError::Io { source, .. } if once_store::is_out_of_files(source) => Kind::OutOfFiles,
            OpenError::Missing { .. } | OpenError::SchemaOlder { .. } | OpenError::SchemaNewer { .. } => {
                Kind::Invalid
            }
            OpenError::Damaged { .. } | OpenError::Store(StoreError::Damaged { .. }) => Kind::Damaged,
            _ => Kind::Fault,
        };
        Error::new(kind, self.to_string()).with_hint(self.hint()).because(self)
    }
}

impl From<ScenarioError> for Error {
    fn from(error: ScenarioError) -> Self {
        Self::invalid(error.message())
            .hinting(error.hint().map(Into::into))
            .at(error.line(), error.column())
            .because(error)
    }
}
