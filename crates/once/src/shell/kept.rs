//! What a kernel keeps of the past: settings.

use once_core::Engine;

/// What is kept of the past; what is absent is as the page has it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    /// Of how many of the newest entries of an object it is kept what was asked and said.
    pub told_rows: Option<u64>,
    /// How many earlier revisions of an object are kept.
    pub revisions: Option<usize>,
}

impl Kept {
    /// An engine that keeps so much.
    pub fn engine(self) -> Engine {
        let told_rows = self.told_rows.unwrap_or(once_model::limits::TOLD_ROWS);
        Engine::new().keeping_told(told_rows).keeping_revisions(self.revisions.unwrap_or(0))
    }
}
