//! What can be wrong with JSON, said so that a person finds the place.

use std::fmt;

use crate::limits::{JSON_MAX_DEPTH, JSON_MAX_NODES, SCENARIO_MAX_BYTES};

/// What is wrong with a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Nothing but white space.
    Blank,
    /// Markers of a merge that git could not finish.
    ConflictMarker,
    /// Only a file path: a symbolic link that was checked out as text.
    PathOnly,
    /// Not UTF-8, or UTF-8 behind a byte order mark.
    NotUtf8,
    /// The bytes are no JSON.
    Syntax,
    /// JSON that ends too early.
    Incomplete,
    /// Arrays and objects nested deeper than [`JSON_MAX_DEPTH`].
    TooDeep,
    /// More values than [`JSON_MAX_NODES`].
    TooManyNodes,
    /// More bytes than [`SCENARIO_MAX_BYTES`].
    TooLarge,
}

impl JsonErrorKind {
    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Blank => Some("the file was probably cut off while it was written; look for an older copy"),
            Self::ConflictMarker => Some("resolve the merge in this file, then try again"),
            Self::PathOnly => Some("read the file that it points to instead"),
            Self::NotUtf8 => Some("save the file as UTF-8 without a byte order mark"),
            Self::Incomplete => Some("the file was probably cut off; fetch or copy it again"),
            Self::TooDeep | Self::TooManyNodes | Self::TooLarge => {
                Some("split it into several scenarios that refer to each other")
            }
            Self::Syntax => None,
        }
    }
}

/// Why a document was refused, and where.
///
/// Text from the document is shortened and its control characters are escaped, so that the message is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    line: usize,
    column: usize,
    path: String,
    message: String,
}

impl JsonError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }

    /// The line of the fault, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the fault in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Where in the document, like `model.items[3].name`; empty at the top or where it is not known.
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
        self.kind.hint()
    }

    #[cold]
    pub(super) fn too_large(bytes: usize) -> Self {
        let message = format!("{bytes} bytes; at most {SCENARIO_MAX_BYTES} are allowed");
        Self { kind: JsonErrorKind::TooLarge, line: 1, column: 1, path: String::new(), message }
    }

    #[cold]
    pub(super) fn not_utf8(bytes: &[u8], at: usize) -> Self {
        let message = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16, not UTF-8".to_owned(),
            _ => format!("not UTF-8: unexpected byte 0x{:02x}", bytes.get(at).copied().unwrap_or_default()),
        };
        let (line, column) = position(bytes, at);
        Self { kind: JsonErrorKind::NotUtf8, line, column, path: String::new(), message }
    }

    /// What the scanner found at byte `at`. Broken text gets a second look, since whoever reads "expected a value,
    /// found `<`" would have to open the file to learn that a merge was left unfinished.
    #[cold]
    pub(super) fn found(text: &str, at: usize, path: String, fault: Fault) -> Self {
        let bytes = text.as_bytes();
        let (kind, at, message) = match fault {
            Fault::TooDeep => {
                (JsonErrorKind::TooDeep, at, format!("nested deeper than {JSON_MAX_DEPTH} levels"))
            }
            Fault::TooManyNodes => {
                (JsonErrorKind::TooManyNodes, at, format!("more than {JSON_MAX_NODES} values"))
            }
            Fault::Expected(what) => match diagnose(text) {
                Some((kind, at, message)) => (kind, at, message.to_owned()),
                None => match text.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(found) => {
                        (JsonErrorKind::Syntax, at, format!("expected {what}, found {}", shown(found)))
                    }
                    None => {
                        (JsonErrorKind::Incomplete, at, format!("expected {what}, but the text ends here"))
                    }
                },
            },
        };
        let path = if diagnosed(kind) { String::new() } else { path };
        let (line, column) = position(bytes, at);
        Self { kind, line, column, path, message }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, ", at {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for JsonError {}

/// Why the scanner stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Expected(&'static str),
    TooDeep,
    TooManyNodes,
}

/// Kinds that concern the whole file, where a path into the document says nothing.
fn diagnosed(kind: JsonErrorKind) -> bool {
    matches!(
        kind,
        JsonErrorKind::Blank
            | JsonErrorKind::ConflictMarker
            | JsonErrorKind::PathOnly
            | JsonErrorKind::NotUtf8
    )
}

/// The usual reasons for a scenario file that is no JSON at all.
fn diagnose(text: &str) -> Option<(JsonErrorKind, usize, &'static str)> {
    if text.starts_with('\u{feff}') {
        return Some((JsonErrorKind::NotUtf8, 0, "byte order mark before the JSON"));
    }
    if text.trim().is_empty() {
        return Some((JsonErrorKind::Blank, 0, "blank: there is no JSON in it"));
    }
    if let Some(at) = conflict_marker(text) {
        return Some((JsonErrorKind::ConflictMarker, at, "git conflict marker"));
    }
    is_path(text.trim()).then_some((
        JsonErrorKind::PathOnly,
        0,
        "only a file path: a symbolic link checked out as text",
    ))
}

/// Where the first line starts that is a conflict marker. No valid JSON has one: strings hold no line breaks.
fn conflict_marker(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for marker in ["<<<<<<<", "|||||||", "=======", ">>>>>>>"] {
            let rest = line.strip_prefix(marker);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\r', '\n'])) {
                return Some(start);
            }
        }
        start += line.len();
    }
    None
}

/// Git writes the target of a link as the whole content of the file.
fn is_path(text: &str) -> bool {
    const PATH_MAX_BYTES: usize = 4096; // PATH_MAX of Linux
    let plain = |c: char| !c.is_control() && !"\"{}[]<>".contains(c);
    text.len() <= PATH_MAX_BYTES
        && text.chars().all(plain)
        && !text.contains("://")
        && (text.starts_with("./")
            || text.starts_with("../")
            || text.starts_with('/')
            || text.ends_with(".json"))
}

/// Line and column of a byte, both from 1; the column counts characters, as editors do.
pub(super) fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = before.rsplit(|&b| b == b'\n').next().unwrap_or_default();
    // Bytes 0b10xxxxxx continue a character.
    (line, column.iter().filter(|&&b| b & 0xc0 != 0x80).count() + 1)
}

/// A character of the document, fit for a message.
fn shown(found: char) -> String {
    if found.is_ascii_graphic() { format!("`{found}`") } else { format!("`{}`", found.escape_debug()) }
}
