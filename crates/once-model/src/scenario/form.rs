//! How scenarios come, and what of them is shown.

use std::fmt;
use std::ops::Range;

use uuid::Uuid;

use crate::limits::NAME_MAX_BYTES;

/// The envelopes that are known from the wild, by their top-level keys. Further keys may stand beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `ior, owner, model, unit`: what today's kernels write, and what [`crate::scenario::Scenario::compose`] writes.
    A,
    /// `ior, owner, model`.
    B,
    /// The legacy form: `uuid, objectType, version, state, metadata`.
    C,
    /// `IOR, owner, model, unitIndex`.
    D,
    /// `IOR, owner, model`.
    E,
    /// Rare ones: `ior, model`; `ior, owner, model, unitIndex`; `uuid, unitIndex` without a model.
    F,
    /// Any other JSON object.
    Other,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::Other => "other",
        })
    }
}

/// Where a scenario's UUID comes from: the first of these that holds a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// `ior.uuid` or `IOR.uuid`.
    Ior,
    /// `model.uuid`.
    Model,
    /// `uuid` at the top.
    TopLevel,
    /// It has none of its own: version 5 of its content hash in [`crate::scenario::CONTENT_NAMESPACE`]. Other content, other UUID.
    Derived,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ior => "ior.uuid",
            Self::Model => "model.uuid",
            Self::TopLevel => "uuid",
            Self::Derived => "derived from the content",
        })
    }
}

/// A text to show, at most [`NAME_MAX_BYTES`] long: a range of the document where it is spelled as it reads.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Verbatim(Range<usize>),
    Decoded(Box<str>),
}

/// Nil and max are UUIDs, but mean "none": whoever wrote one did not name an object.
pub(super) fn is_identity(uuid: &Uuid) -> bool {
    !uuid.is_nil() && !uuid.is_max()
}

/// The start of a text, cut between characters.
pub(super) fn capped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NAME_MAX_BYTES)).unwrap_or(text)
}
