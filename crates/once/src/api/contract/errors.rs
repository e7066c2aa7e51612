//! Errors, as JSON-RPC carries them.

use once_model::ids::Uuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The `code` of every JSON-RPC error: what happened is said in `data.code`.
pub const RPC_CODE: i32 = -32_000;

/// Why a call was not done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RpcError {
    /// Always -32000.
    pub code: i32,
    /// What happened, and where. It calls a peer by its petname, else by what it calls itself, with the beginning of its id.
    pub message: String,
    /// What a program needs of it.
    pub data: ErrorData,
}

/// What a program needs of an error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// What kind of error it is.
    #[schemars(with = "ErrorCode")]
    pub code: String,
    /// What the command line exits with: 1 failed, 2 wrong use, 3 refused, 4 unreachable or unknown, 5 our fault.
    pub exit: u8,
    /// What to do next. A command of the command line for this kernel stands in it between backticks, `` `once NAME …` ``, one for
    /// another kernel between apostrophes, 'once NAME …'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line, where a text was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, where a text was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The action that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
}

impl From<&Error> for RpcError {
    fn from(error: &Error) -> Self {
        let Error { code, exit, message, hint, line, column, id } = error.clone();
        Self { code: RPC_CODE, message, data: ErrorData { code, exit, hint, line, column, id } }
    }
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Self {
        let ErrorData { code, exit, hint, line, column, id } = error.data;
        Self { code, exit, message: error.message, hint, line, column, id }
    }
}

/// Lists the codes once: for the schema, for the page, and for who has to know all of them.
macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal exit $exit:literal;)*) => {
        /// What kind of error it is. A code never changes its meaning; more may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[doc = $meaning])+ #[serde(rename = $code)] $name,)*
        }

        impl ErrorCode {
            /// All of them, with what the command line exits with.
            pub const ALL: &[(&str, u8)] = &[$(($code, $exit)),*];
        }
    };
}

codes! {
    /// Unknown method, missing or malformed parameter.
    Usage = "usage" exit 2;
    /// No such object or peer here.
    NotFound = "not-found" exit 1;
    /// More than one object or peer answers to that name; or an action on a copy of that name waits at another kernel.
    Ambiguous = "ambiguous" exit 2;
    /// Not a scenario, ticket, IOR, …; with `line` and `column` where there are.
    Invalid = "invalid" exit 1;
    /// Another process has the data directory open.
    InUse = "in-use" exit 1;
    /// The object was removed.
    Removed = "removed" exit 1;
    /// `base` is not the newest revision.
    Stale = "stale" exit 1;
    /// The action failed: the component rejected it. The message ends with what it said, as JSON.
    Failed = "failed" exit 1;
    /// Only the object's home may do that.
    NotHome = "not-home" exit 3;
    /// The object came from another kernel and has no home: `claim` it first.
    Unclaimed = "unclaimed" exit 3;
    /// The other kernel refused, or has no such thing. Of an action also: its home is elsewhere.
    Denied = "denied" exit 3;
    /// The action's id belongs to another action of this kernel.
    IdReused = "id-reused" exit 3;
    /// A quota or limit is used up.
    Quota = "quota" exit 3;
    /// The disk is nearly full, and nothing of this was done. The hint says how much to free; the kernel takes writes again by itself.
    DiskFull = "disk-full" exit 3;
    /// The kernel, or the system, has as many files open as it may, and nothing of this was done. It passes, and ends nothing: try again.
    OutOfFiles = "out-of-files" exit 3;
    /// It is being removed, taken over or moved just now: try again.
    Busy = "busy" exit 4;
    /// The object does not move, and stays where it is.
    NotMoved = "not-moved" exit 3;
    /// A kernel was put back from a backup, and changes nothing until that has ended. Exit 4 where it is the object's home: whether an action ran there before, nobody can say.
    Quarantined = "quarantined" exit 3;
    /// No connection to that peer in time.
    Unreachable = "unreachable" exit 4;
    /// The action's id is older than what this kernel still knows; it may have run.
    IdTooOld = "id-too-old" exit 3;
    /// The action was taken back before it ran.
    Cancelled = "cancelled" exit 3;
    /// The action's deadline was over before it ran.
    Expired = "expired" exit 3;
    /// A receipt does not prove what it says.
    Unproven = "unproven" exit 3;
    /// No answer before the timeout; what was accepted goes on.
    Timeout = "timeout" exit 4;
    /// The action has no outcome yet: whether it runs is not known; `outcome` tells it later. Also where the disk became full, or the kernel ended, before an answer was there: what was asked for may be done.
    Unknown = "unknown" exit 4;
    /// The kernel is stopping.
    Stopping = "stopping" exit 4;
    /// The disk lost or changed something: `doctor` names what, `once export --salvage` brings out the rest.
    Damaged = "damaged" exit 5;
    /// The kernel's own fault; the log says more.
    Fault = "fault" exit 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_the_library_makes_is_in_the_contract() {
        let source = include_str!("../../error.rs");
        let quoted = source.split('"').skip(1).step_by(2);
        let made: Vec<_> = quoted.filter(|text| is_code(text)).collect();
        assert!(made.len() > 40, "{made:?}");
        for code in made {
            assert!(ErrorCode::ALL.iter().any(|(known, _)| *known == code), "{code} is not in the contract");
        }
    }

    fn is_code(text: &str) -> bool {
        let begins = ["#", "{"].iter().all(|no| !text.starts_with(no));
        begins && text.len() > 3 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    }
}
