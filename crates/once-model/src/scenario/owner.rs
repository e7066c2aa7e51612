//! The owner that a scenario names, made readable.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};

use super::form::capped;
use crate::json::{Kind, Span, Trail, Visitor, compact, decode, scan};

/// Longest owner that is decoded, in bytes; real ones stay below 1 KiB.
const OWNER_MAX_BYTES: usize = 16 * 1024;

/// Who owns an object by its scenario's own account. It is not signed, so it is shown and never believed.
///
/// ```
/// use once_model::scenario::Scenario;
///
/// // base64 of {"user":"ada","hostname":"box"}
/// let scenario = Scenario::parse(&br#"{"owner":"eyJ1c2VyIjoiYWRhIiwiaG9zdG5hbWUiOiJib3gifQ=="}"#[..])?;
/// assert_eq!(scenario.owner().to_string(), "ada@box");
/// # Ok::<(), once_model::scenario::ScenarioError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// There is none, or it is null.
    Absent,
    /// A plain name, like `system`; may be empty.
    Name(String),
    /// A user: from an object, from JSON in a string, or from JSON in base64.
    User {
        /// `user`, `userId`, `username` or `name`, also inside of a `model`.
        user: String,
        /// `hostname`.
        host: Option<String>,
    },
    /// Something else, as compact JSON.
    Json(String),
}

impl Owner {
    /// Reads the raw JSON of an owner field.
    pub(super) fn read(json: &str) -> Self {
        if json == "null" {
            return Self::Absent;
        }
        if json.len() > OWNER_MAX_BYTES {
            let start = capped(json);
            return match start.strip_prefix('"') {
                Some(text) => Self::Name(text.to_owned()),
                None => Self::Json(start.to_owned()),
            };
        }
        if !json.starts_with('"') {
            return user(json).unwrap_or_else(|| Self::json(json));
        }
        let text = decode(json);
        if text.starts_with('{') {
            return user(&text).unwrap_or_else(|| Self::Name(capped(&text).to_owned()));
        }
        // Names can be valid base64 too; only JSON inside makes it one.
        BASE64
            .decode(text.as_bytes())
            .or_else(|_| BASE64_NOPAD.decode(text.as_bytes()))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|inner| inner.starts_with('{'))
            .and_then(|inner| user(&inner).or_else(|| compact(&inner).ok().map(|inner| Self::json(&inner))))
            .unwrap_or_else(|| Self::Name(capped(&text).to_owned()))
    }

    fn json(json: &str) -> Self {
        let compact = compact(json).unwrap_or_default();
        Self::Json(capped(&compact).to_owned())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Name(text) | Self::Json(text) | Self::User { user: text, host: None } => f.write_str(text),
            Self::User { user, host: Some(host) } => write!(f, "{user}@{host}"),
        }
    }
}

/// The user whom a JSON object describes, if it does.
fn user(json: &str) -> Option<Owner> {
    let mut finder = Finder::default();
    scan(json, &mut finder).ok()?;
    let user = finder.user.filter(|user| !user.is_empty())?;
    Some(Owner::User { user, host: finder.host.filter(|host| !host.is_empty()) })
}

#[derive(Default)]
struct Finder {
    user: Option<String>,
    host: Option<String>,
}

impl Visitor for Finder {
    fn value(&mut self, trail: &Trail<'_>, kind: Kind, span: Span) {
        // The fields of the object itself, or of its model if it is a whole User scenario.
        let level = match trail.depth() {
            1 => 0,
            2 if trail.key(0).as_deref() == Some("model") => 1,
            _ => return,
        };
        if kind != Kind::Text {
            return;
        }
        let field = match trail.key(level).as_deref() {
            Some("user" | "userId" | "username" | "name") => &mut self.user,
            Some("hostname") => &mut self.host,
            _ => return,
        };
        field.get_or_insert_with(|| capped(&decode(trail.text(span))).to_owned());
    }
}
