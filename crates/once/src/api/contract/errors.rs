//! Errors, as JSON-RPC carries them.

use std::borrow::Cow;

use once_model::ids::Uuid;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// The `code` of every JSON-RPC error: what happened is said in `data.code`.
pub const RPC_CODE: i32 = -32_000;

/// Why a call was not done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RpcError {
    /// The code of JSON-RPC, -32000 for every error: programs go by `data.code`.
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
    pub code: ErrorCode,
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

/// Why one of several was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorInfo {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What the command line exits with: 1 failed, 2 wrong use, 3 refused, 4 unreachable or unknown, 5 our fault.
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

/// The code of an error, as its sender wrote it: [`ErrorCode::kind`] is what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// What it means; [`ErrorKind::Other`] if it is of a later version.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.parse().unwrap_or(ErrorKind::Other)
    }

    /// The code as it is spelled in an answer.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Error> for ErrorCode {
    fn from(error: &Error) -> Self {
        Self(error.code().to_owned())
    }
}

impl From<ErrorKind> for ErrorCode {
    fn from(kind: ErrorKind) -> Self {
        Self(kind.as_str().to_owned())
    }
}

/// The schema lists the codes of this version.
impl JsonSchema for ErrorCode {
    fn schema_name() -> Cow<'static, str> {
        ErrorKind::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ErrorKind::json_schema(generator)
    }
}

/// What the command line exits with for a kind of error: 1 failed, 2 wrong use, 3 refused, 4 unreachable or unknown, 5 our fault.
#[must_use]
pub const fn exit_of(kind: ErrorKind) -> u8 {
    use ErrorKind as K;
    match kind {
        K::Invalid | K::NotFound | K::Removed | K::Stale | K::Failed | K::InUse | K::Io | K::Other => 1,
        K::Usage | K::Ambiguous => 2,
        K::NotHome | K::Unclaimed | K::Denied | K::IdReused | K::IdTooOld | K::Quota | K::NotMoved => 3,
        K::DiskFull | K::OutOfFiles | K::Quarantined | K::Cancelled | K::Expired | K::Unproven => 3,
        K::Busy | K::Unreachable | K::Timeout | K::Unknown | K::HomeLost | K::Stopping => 4,
        K::Damaged | K::Fault => 5,
    }
}

/// The same for an error, whose code may be of a later version: then its kernel said it.
#[must_use]
pub fn exit_of_error(error: &Error) -> u8 {
    error.foreign().map_or_else(|| exit_of(error.kind()), |foreign| foreign.exit)
}

impl From<&Error> for ErrorInfo {
    fn from(error: &Error) -> Self {
        let (line, column) = error.position().unzip();
        Self {
            code: error.into(),
            exit: exit_of_error(error),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            line,
            column,
            id: error.action(),
        }
    }
}

impl From<ErrorInfo> for Error {
    fn from(info: ErrorInfo) -> Self {
        let mut error = Self::said_by_api(info.code.0, info.exit, info.message).hinting(info.hint);
        if let (Some(line), Some(column)) = (info.line, info.column) {
            error = error.at(line as usize, column as usize);
        }
        match info.id {
            Some(id) => error.about(id),
            None => error,
        }
    }
}

impl From<&Error> for RpcError {
    fn from(error: &Error) -> Self {
        let ErrorInfo { code, exit, message, hint, line, column, id } = error.into();
        Self { code: RPC_CODE, message, data: ErrorData { code, exit, hint, line, column, id } }
    }
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Self {
        let ErrorData { code, exit, hint, line, column, id } = error.data;
        ErrorInfo { code, exit, message: error.message, hint, line, column, id }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_through_the_socket_as_it_was() {
        let id = crate::new_action_id();
        let error = Error::new(ErrorKind::Expired, "too late").with_hint("earlier").at(3, 4).about(id);
        assert_eq!(Error::from(RpcError::from(&error)), error);
        assert_eq!(RpcError::from(&error).data.exit, 3);
    }

    #[test]
    fn an_error_of_a_newer_kernel_keeps_its_code_and_its_exit() {
        let text = r#"{"code":-32000,"message":"no","data":{"code":"of-tomorrow","exit":4}}"#;
        let error = Error::from(serde_json::from_str::<RpcError>(text).unwrap());
        assert_eq!((error.kind(), error.code(), exit_of_error(&error)), (ErrorKind::Other, "of-tomorrow", 4));
        assert_eq!(serde_json::to_string(&RpcError::from(&error)).unwrap(), text);
    }
}
