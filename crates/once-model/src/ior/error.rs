//! What is no reference, and what may be one.

use uuid::Uuid;

use crate::limits::IOR_MAX_BYTES;

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IorError {
    /// It is neither a UUID nor does it start like a reference.
    #[error("not a reference: expected a UUID, or a text that starts with `ior:` or `web4:`")]
    NotAnIor,
    /// It is longer than [`IOR_MAX_BYTES`].
    #[error("a reference of {bytes} bytes; at most {IOR_MAX_BYTES} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It has control characters.
    #[error("a reference cannot have control characters")]
    ControlCharacter,
    /// It does not have the shape of a reference of ours.
    #[error("not a reference: expected ior:once://<home>/<Component>/<version>/<uuid>[?lineage=…&at=…]")]
    Shape,
    /// A part of a reference of ours is not what it should be.
    #[error("in a reference: the {part} is not valid")]
    Part {
        /// The part of the IOR that is missing or wrong.
        part: &'static str,
    },
    /// A part that must be unique is there twice.
    #[error("in a reference: the {part} is there twice")]
    Twice {
        /// The part of the IOR that is missing or wrong.
        part: &'static str,
    },
    /// An address is neither `host:port` nor a socket address.
    #[error("not an address: {address:?}; expected host:port, like 10.0.0.7:42777 or [::1]:42777")]
    Address {
        /// The address, shortened.
        address: String,
    },
}

impl IorError {
    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Shape | Self::Part { .. } => Some("copy the whole reference, up to its last character"),
            _ => None,
        }
    }
}

/// A UUID in its usual form, 8-4-4-4-12. The others that the `uuid` crate reads (32 digits in a row, braces, URNs)
/// would make references of hashes and of other texts.
pub(crate) fn bare_uuid(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}
