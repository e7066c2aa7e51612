//! How much of an object's rows is looked at while its luggage is packed: an object may have more than moves, or than fits the
//! memory.

use once_model::limits::LUGGAGE_MAX_BYTES;

/// A row of what has run also says what was asked, which stays behind. So what does not fit twice the limit is too much.
const ROWS_MAX_BYTES: usize = 2 * LUGGAGE_MAX_BYTES;

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Room {
    left_bytes: Option<usize>,
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { left_bytes: Some(ROWS_MAX_BYTES) }
    }

    /// A row of so many bytes. Whether there is room for it.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.left_bytes = self.left_bytes.and_then(|left| left.checked_sub(bytes));
        self.left_bytes.is_some()
    }

    /// Whether there was room for all.
    pub(super) const fn was_enough(&self) -> bool {
        self.left_bytes.is_some()
    }
}
