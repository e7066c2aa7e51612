//! Why bytes are no scenario.

use std::fmt;

use crate::json::{JsonError, JsonErrorKind};

/// What is wrong with a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScenarioErrorKind {
    /// Not JSON within the limits.
    Json(JsonErrorKind),
    /// JSON, but not an object.
    NotAnObject,
    /// There is no model that could be replaced.
    NoModel,
    /// A component or version that cannot be one.
    BadName,
}

/// Why bytes are no scenario, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError(Reason);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Json(JsonError),
    NotAnObject { found: &'static str },
    NoModel,
    BadName { what: &'static str, why: String },
}

impl ScenarioError {
    pub(super) fn not_an_object(found: &'static str) -> Self {
        Self(Reason::NotAnObject { found })
    }

    pub(super) fn no_model() -> Self {
        Self(Reason::NoModel)
    }

    pub(super) fn bad_name(what: &'static str, why: impl Into<String>) -> Self {
        Self(Reason::BadName { what, why: why.into() })
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ScenarioErrorKind {
        match &self.0 {
            Reason::Json(error) => ScenarioErrorKind::Json(error.kind()),
            Reason::NotAnObject { .. } => ScenarioErrorKind::NotAnObject,
            Reason::NoModel => ScenarioErrorKind::NoModel,
            Reason::BadName { .. } => ScenarioErrorKind::BadName,
        }
    }

    /// The line of the fault, from 1; 1 where there is no place.
    #[must_use]
    pub fn line(&self) -> usize {
        self.json().map_or(1, JsonError::line)
    }

    /// The column of the fault in characters, from 1; 1 where there is no place.
    #[must_use]
    pub fn column(&self) -> usize {
        self.json().map_or(1, JsonError::column)
    }

    /// Where in the document, like `model.items[3].name`; empty at the top or where it is not known.
    #[must_use]
    pub fn path(&self) -> &str {
        self.json().map_or("", JsonError::path)
    }

    /// The reason in plain words, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.0 {
            Reason::Json(error) => error.message().to_owned(),
            Reason::NotAnObject { found } => {
                format!("expected a JSON object like {{\"ior\":…,\"owner\":…,\"model\":…}}, found {found}")
            }
            Reason::NoModel => "the scenario has no model to replace".to_owned(),
            Reason::BadName { what, why } => format!("not a {what}: {why}"),
        }
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match &self.0 {
            Reason::Json(error) => error.hint(),
            Reason::NotAnObject { .. } => {
                Some("a scenario describes one object; import each of several on its own")
            }
            Reason::NoModel | Reason::BadName { .. } => None,
        }
    }

    fn json(&self) -> Option<&JsonError> {
        match &self.0 {
            Reason::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<JsonError> for ScenarioError {
    fn from(error: JsonError) -> Self {
        Self(Reason::Json(error))
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Json(error) => error.fmt(f),
            _ => f.write_str(&self.message()),
        }
    }
}

impl std::error::Error for ScenarioError {}
