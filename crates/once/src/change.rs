//! What became of an object.

use once_core::waist::Change as Engine;

/// What a call changed of an object.
///
/// ```
/// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
/// use once::Change;
///
/// let note = r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#;
/// let (_, first) = alice.import(note).source("hello.json").await?;
/// let (_, again) = alice.import(note).source("hello.json").await?;
/// assert_eq!((first, again), (Change::New, Change::Same));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new here.
    New,
    /// It was here with the same bytes.
    Same,
    /// It has a new revision.
    Changed,
    /// It was imported here and has its first change: it has a home now, this kernel.
    ClaimedAndChanged,
    /// It has gone on since this file was imported: the file is kept beside it, as a conflict.
    KeptBeside,
    /// What was kept beside it is gone.
    Resolved,
    /// Another object here has the same UUID and other bytes: both are kept.
    Beside,
    /// It is new here. An object of the same UUID was removed: its tombstone stays.
    BesideTombstone,
    /// It has a lineage and a home now.
    Claimed,
    /// It is gone from everywhere, once they hear of it.
    Removed,
    /// The copy here is gone.
    Dropped,
}

impl Change {
    /// As the engine says it.
    pub(crate) const fn of(change: Engine) -> Self {
        match change {
            Engine::New => Self::New,
            Engine::Same => Self::Same,
            Engine::Changed => Self::Changed,
            Engine::ClaimedAndChanged => Self::ClaimedAndChanged,
            Engine::KeptBeside => Self::KeptBeside,
            Engine::Resolved => Self::Resolved,
            Engine::Beside => Self::Beside,
            Engine::BesideTombstone => Self::BesideTombstone,
            Engine::Claimed => Self::Claimed,
            Engine::Removed => Self::Removed,
            Engine::Dropped => Self::Dropped,
        }
    }
}
