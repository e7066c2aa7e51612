//! A part of a JSON Pointer.

use std::borrow::Cow;

/// One step of a pointer.
pub(super) struct Token<'p> {
    /// Decoded.
    pub(super) text: Cow<'p, str>,
    /// If it is a number as indices are written.
    pub(super) index: Option<usize>,
    /// Where it ends in the pointer.
    pub(super) end: usize,
}
