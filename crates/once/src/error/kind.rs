//! The kinds of errors: the list of stable codes and what each means.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;

/// Lists the kinds once: for matching, for the schema, for the pages.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal;)*) => {
        /// What kind of error it is: one variant for each stable code of the local API.
        ///
        /// A code never changes its meaning, and more may be added, so a `match` needs an arm for the rest.
        ///
        /// ```
        /// use once::ErrorKind;
        ///
        /// assert_eq!(ErrorKind::NotFound.as_str(), "not-found");
        /// assert_eq!("not-found".parse(), Ok(ErrorKind::NotFound));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(rename = "ErrorCode")]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $meaning])+ #[schemars(rename = $code)] $name,)*
            /// A code that this version of the library does not know: it came from a newer kernel. [`crate::Error::code`] has its
            /// text.
            #[schemars(skip)]
            Other,
        }

        impl ErrorKind {
            /// Every kind that has a code of its own, in the order of the pages.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its stable code, like `not-found`; `other` for a code that is not known here.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other => "other",
                }
            }
        }
    };
}

kinds! {
    /// Unknown method, missing or malformed parameter.
    Usage = "usage";
    /// No such object or peer here.
    NotFound = "not-found";
    /// More than one object or peer answers to that name; or an action on a copy of that name waits at another kernel.
    Ambiguous = "ambiguous";
    /// Not a scenario, ticket, IOR, …; with `line` and `column` where there are.
    Invalid = "invalid";
    /// Another process has the data directory open.
    InUse = "in-use";
    /// A file, directory or socket cannot be read or written. The message names it and has the system's words.
    Io = "io";
    /// The object was removed.
    Removed = "removed";
    /// `base` is not the newest revision.
    Stale = "stale";
    /// The action failed: the component rejected it. The message ends with what it said, as JSON.
    Failed = "failed";
    /// Only the object's home may do that.
    NotHome = "not-home";
    /// The object came from another kernel and has no home: `claim` it first.
    Unclaimed = "unclaimed";
    /// The other kernel refused: not found there, or not permitted. Of an action also: its home is elsewhere.
    Denied = "denied";
    /// The action's id belongs to another action of this kernel.
    IdReused = "id-reused";
    /// A quota or limit is used up.
    Quota = "quota";
    /// The disk is nearly full, and nothing of this was done. The hint says how much to free; the kernel takes writes again by itself.
    DiskFull = "disk-full";
    /// The kernel, or the system, has as many files open as it may, and nothing of this was done. It passes, and ends nothing: try again.
    OutOfFiles = "out-of-files";
    /// It is being removed, taken over or moved just now: try again.
    Busy = "busy";
    /// The object does not move, and stays where it is.
    NotMoved = "not-moved";
    /// This kernel was put back from a backup, and changes nothing until that has ended.
    Quarantined = "quarantined";
    /// The object's home was put back from a backup: whether an action ran there before, nobody can say.
    HomeLost = "home-lost";
    /// No connection to that peer in time.
    Unreachable = "unreachable";
    /// The action's id is older than what this kernel still knows; it may have run.
    IdTooOld = "id-too-old";
    /// The action was taken back before it ran.
    Cancelled = "cancelled";
    /// The action's deadline was over before it ran.
    Expired = "expired";
    /// A receipt does not prove what it says.
    Unproven = "unproven";
    /// No answer before the timeout; what was accepted goes on.
    Timeout = "timeout";
    /// The action has no outcome yet: whether it runs is not known; `outcome` tells it later. Also where the disk became full, or the kernel ended, before an answer was there: what was asked for may be done.
    Unknown = "unknown";
    /// The kernel is stopping.
    Stopping = "stopping";
    /// The disk lost or changed something: `doctor` names what, `once export --salvage` brings out the rest.
    Damaged = "damaged";
    /// The kernel's own fault; the log says more.
    Fault = "fault";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is no code that this version of the library knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no error of this version has that code")]
pub struct UnknownErrorKind(());

impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == code).ok_or(UnknownErrorKind(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_code() {
        assert!(ErrorKind::ALL.len() > 25, "{:?}", ErrorKind::ALL);
        for kind in ErrorKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("of-tomorrow".parse::<ErrorKind>().is_err());
        assert!("other".parse::<ErrorKind>().is_err(), "the catch-all is no code");
    }
}
