//! Why a text was not edited.

use std::fmt;

use super::super::Kind;
use super::super::error::{JsonError, JsonErrorKind, position};
use super::super::scan::visible;
use super::outline::Value;
use super::token::Token;
use crate::limits::NAME_MAX_BYTES;

/// What is wrong with an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EditErrorKind {
    /// The text to edit is no JSON within the limits.
    Target(JsonErrorKind),
    /// The patch or the new value is no JSON within the limits.
    Patch(JsonErrorKind),
    /// The result would be no JSON within the limits.
    Result(JsonErrorKind),
    /// Not a JSON pointer.
    Pointer,
    /// The pointer leads to no place where a value could be.
    NotFound,
    /// The result would be no scenario, or one of another object.
    Identity,
}

/// Why a text was not edited, and where.
///
/// Text from outside is shortened and its control characters are escaped, so that the message is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditError {
    kind: EditErrorKind,
    line: usize,
    column: usize,
    path: String,
    message: String,
}

impl EditError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> EditErrorKind {
        self.kind
    }

    /// The line of the fault, from 1, in the text that the kind tells: the one to edit, the patch, the pointer. 1 where
    /// there is no place.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the fault in characters, from 1; 1 where there is no place.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Where in that text, like `items[3].name`; empty at the top or where it is not known.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reason in plain words, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            EditErrorKind::Target(kind) | EditErrorKind::Patch(kind) | EditErrorKind::Result(kind) => {
                kind.hint()
            }
            EditErrorKind::Pointer => {
                Some("write it like `/items/3/name`, with `~1` for `/` and `~0` for `~`")
            }
            EditErrorKind::NotFound => {
                Some("add what is around it first; `-` is the place after the last element of an array")
            }
            EditErrorKind::Identity => None,
        }
    }

    fn json(kind: EditErrorKind, error: &JsonError) -> Self {
        let (line, column) = (error.line(), error.column());
        Self { kind, line, column, path: error.path().to_owned(), message: error.message().to_owned() }
    }

    #[cold]
    pub(super) fn target(error: JsonError) -> Self {
        Self::json(EditErrorKind::Target(error.kind()), &error)
    }

    #[cold]
    pub(super) fn patch(error: JsonError) -> Self {
        Self::json(EditErrorKind::Patch(error.kind()), &error)
    }

    #[cold]
    pub(super) fn result(error: JsonError) -> Self {
        Self::json(EditErrorKind::Result(error.kind()), &error)
    }

    #[cold]
    pub(super) fn pointer(pointer: &str, at: usize, why: &str) -> Self {
        let (line, column) = position(pointer.as_bytes(), at);
        let message = format!("`{}` is no JSON pointer: {why}", shortened(pointer));
        Self { kind: EditErrorKind::Pointer, line, column, path: String::new(), message }
    }

    /// There is no place for the step of the pointer in the value that the steps before it lead to.
    #[cold]
    pub(super) fn not_found(text: &str, pointer: &str, token: &Token<'_>, value: &Value<'_>) -> Self {
        let (line, column) = position(text.as_bytes(), value.span.start);
        let why = match (value.kind, token.index) {
            (Kind::Object, _) => "the object has no such member".to_owned(),
            (Kind::Array, Some(index)) => {
                format!("it would be number {index} of an array of {}", value.count())
            }
            (Kind::Array, None) => format!("an array of {} has numbers, no names", value.count()),
            (Kind::Text, _) => "a string has no members".to_owned(),
            (Kind::Number, _) => "a number has no members".to_owned(),
            (Kind::Bool, _) => "a boolean has no members".to_owned(),
            (Kind::Null, _) => "null has no members".to_owned(),
        };
        let message =
            format!("nothing at `{}`: {why}", shortened(pointer.get(..token.end).unwrap_or(pointer)));
        Self { kind: EditErrorKind::NotFound, line, column, path: String::new(), message }
    }

    /// The result is no JSON within the limits.
    #[cold]
    pub(crate) fn in_result(
        kind: JsonErrorKind,
        line: usize,
        column: usize,
        path: &str,
        message: String,
    ) -> Self {
        Self { kind: EditErrorKind::Result(kind), line, column, path: path.to_owned(), message }
    }

    #[cold]
    pub(crate) fn identity(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: EditErrorKind::Identity, line: 1, column: 1, path: String::new(), message }
    }
}

/// A pointer, fit for a message.
fn shortened(pointer: &str) -> String {
    let start = pointer.get(..pointer.floor_char_boundary(NAME_MAX_BYTES)).unwrap_or(pointer);
    let more = if start.len() < pointer.len() { "…" } else { "" };
    start.chars().flat_map(visible).collect::<String>() + more
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EditErrorKind::Patch(_) => f.write_str("in the patch: ")?,
            EditErrorKind::Result(_) => f.write_str("in the result: ")?,
            EditErrorKind::Identity => return f.write_str(&self.message),
            _ => {}
        }
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, ", at {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for EditError {}
