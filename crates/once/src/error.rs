//! One error for everything that a user of a kernel can meet: what kind it is, what happened, what to do next.

mod kind;
mod made;

use std::fmt;
use std::sync::Arc;

use once_model::ids::Uuid;

pub use kind::{ErrorKind, UnknownErrorKind};
pub(crate) use made::{IntoError, OrError};

/// Why something was not done.
///
/// [`Error::kind`] is what a program decides by; it never changes its meaning. [`Error::message`] and [`Error::hint`] are for people:
/// what happened and where, and what to do next. A hint has commands of the command line between backticks.
///
/// ```
/// use once::ErrorKind;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let data = dir.path().join("alice");
/// once::init(&data, once::InitOptions::default())?;
/// let error = once::init(&data, once::InitOptions::default()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert!(error.message().contains("alice"));
/// # Ok::<(), once::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    /// Apart, so that a result is not as large as all that may be said of an error.
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    foreign: Option<ForeignCode>,
    message: String,
    hint: Option<String>,
    position: Option<(u32, u32)>,
    action: Option<Uuid>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// A code that only a newer kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignCode {
    /// The code, as the other kernel spells it.
    pub code: String,
    /// What the command line exits with, as that kernel says.
    pub exit: u8,
}

impl PartialEq for Inner {
    fn eq(&self, other: &Self) -> bool {
        // What it comes from has no equality, and its words are in the message.
        (self.kind, &self.foreign, self.position, self.action)
            == (other.kind, &other.foreign, other.position, other.action)
            && (&self.message, &self.hint) == (&other.message, &other.hint)
    }
}

impl Eq for Inner {}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, foreign, message, hint, position, action, source } = &*self.inner;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind).field("message", message);
        let more: [(&str, Option<&dyn fmt::Debug>); 5] = [
            ("code", foreign.as_ref().map(|foreign| &foreign.code as _)),
            ("hint", hint.as_ref().map(|hint| hint as _)),
            ("position", position.as_ref().map(|position| position as _)),
            ("action", action.as_ref().map(|action| action as _)),
            ("source", source.as_ref().map(|source| source as _)),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        out.finish()
    }
}

impl Error {
    /// An error of a kind, with what happened and where.
    ///
    /// ```
    /// use once::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Invalid, "notes.json is no scenario").with_hint("look at its first line");
    /// assert_eq!((error.kind(), error.hint()), (ErrorKind::Invalid, Some("look at its first line")));
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (message, hint, position, action) = (message.into(), None, None, None);
        Self { inner: Box::new(Inner { kind, foreign: None, message, hint, position, action, source: None }) }
    }

    /// Says what to do next, in place of what was said before.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// What kind of error it is: what a program decides by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The stable code of its kind. For [`ErrorKind::Other`] it is the code that a newer kernel said.
    #[must_use]
    pub fn code(&self) -> &str {
        self.inner.foreign.as_ref().map_or_else(|| self.kind().as_str(), |foreign| &foreign.code)
    }

    /// What happened, and where.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Line and column, counted from 1, where a text was read.
    #[must_use]
    pub fn position(&self) -> Option<(u32, u32)> {
        self.inner.position
    }

    /// The id of the action that it is about. Whoever let the kernel make that id knows it from here, and may ask again by it.
    #[must_use]
    pub fn action(&self) -> Option<Uuid> {
        self.inner.action
    }

    /// Whether there is no such thing here.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the same may well work in a moment, and nothing was done: what it needs is away, busy, stopping or full.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use ErrorKind::{Busy, DiskFull, OutOfFiles, Stopping, Unreachable};
        matches!(self.kind(), Busy | DiskFull | OutOfFiles | Stopping | Unreachable)
    }

    /// Whether it is not known if what was asked for was done. An action is safe to ask for again, with the same id
    /// ([`Error::action`]).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        use ErrorKind::{HomeLost, Timeout, Unknown};
        matches!(self.kind(), HomeLost | Timeout | Unknown)
    }

    /// An error that another kernel's program said, with a code that may be of a later version.
    pub(crate) fn said_by_api(code: String, exit: u8, message: String) -> Self {
        match code.parse() {
            Ok(kind) => Self::new(kind, message),
            Err(UnknownErrorKind { .. }) => {
                let mut error = Self::new(ErrorKind::Other, message);
                error.inner.foreign = Some(ForeignCode { code, exit });
                error
            }
        }
    }

    /// The code that only a newer kernel knows, if that is its kind.
    pub(crate) fn foreign(&self) -> Option<&ForeignCode> {
        self.inner.foreign.as_ref()
    }
}
