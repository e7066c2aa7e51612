//! Checking and editing JSON that others wrote, without building a tree of it.
//!
//! A scenario stays the bytes it came as, so all that is needed of a parser is to say whether the bytes are JSON within
//! the limits, and where in them things lie. One scanner does both: it walks the text once, without recursion, and
//! tells a visitor about every value. [`validate`] uses it with no visitor at all, [`crate::scenario`] picks the fields
//! of the envelope, [`crate::references`] looks at every string, [`merge`] and [`replace`] at what they change.
//!
//! What JSON allows is accepted as it is spelled: duplicate keys, integers beyond 2^53, `1E+400`, lone surrogate
//! escapes. What reads such values later decides what they mean.

mod edit;
mod error;
mod scan;
mod space;
#[cfg(test)]
mod tests;

pub use edit::{EditError, EditErrorKind, get, merge, replace};
pub use error::{JsonError, JsonErrorKind};
pub use space::{compact, pretty, quote};

pub(crate) use scan::{Kind, Span, Step, Trail, Visitor, decode, scan};

use crate::limits::SCENARIO_MAX_BYTES;

/// Checks that `bytes` are one JSON document in UTF-8 within the limits, and returns them as text.
///
/// ```
/// use once_model::json::validate;
///
/// assert_eq!(validate(br#"{"n": 9007199254740993}"#)?, r#"{"n": 9007199254740993}"#);
/// let error = validate(b"{\"items\": [1,\n 2,, 3]}").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 4, at items[2]: expected a value, found `,`");
/// # Ok::<(), once_model::json::JsonError>(())
/// ```
///
/// # Errors
///
/// Says what is wrong, with line, column and JSON path: see [`JsonErrorKind`].
pub fn validate(bytes: &[u8]) -> Result<&str, JsonError> {
    struct Nobody;
    impl Visitor for Nobody {}

    let text = utf8(bytes)?;
    scan(text, &mut Nobody)?;
    Ok(text)
}

/// The bytes as text, if they are small enough and UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    if bytes.len() > SCENARIO_MAX_BYTES {
        return Err(JsonError::too_large(bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| JsonError::not_utf8(bytes, error.valid_up_to()))
}
