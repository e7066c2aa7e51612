//! Running actions: what the engine asks of whoever has the components.

use std::fmt;

use bytes::Bytes;
use once_model::action::Action;
use once_model::header::Header;
use once_model::ids::{KernelId, ObjectKey};
use once_model::scenario::Scenario;
use once_model::wire::Code;

/// An action to be run: all that the component may know. The result must depend on nothing else, because a run that
/// is lost is run again.
#[derive(Debug, Clone)]
pub struct Run {
    /// Comes back with the result.
    pub run: u64,
    /// The object.
    pub key: ObjectKey,
    /// Its newest revision.
    pub header: Header,
    /// The bytes of that.
    pub body: Bytes,
    /// What to do.
    pub action: Action,
    /// Who asked.
    pub origin: KernelId,
    /// The time that the component is told, in milliseconds since 1970.
    pub now_ms: u64,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// From the run.
    pub run: u64,
    /// From the run.
    pub key: ObjectKey,
    /// What the component said.
    pub result: RunResult,
}

/// What a component says to an action.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all are `Done`")]
pub enum RunResult {
    /// It did it.
    Done {
        /// The whole new state; nothing if it has not changed.
        state: Option<Scenario>,
        /// For the caller: verbatim JSON.
        result: Bytes,
    },
    /// It said no, and nothing has changed. For the caller: verbatim JSON.
    Failed(Bytes),
    /// It could not be asked.
    Refused(Code),
}

/// Runs short actions at once, before the group that they belong to is committed.
pub trait Runner: fmt::Debug + Send + Sync {
    /// The result, or nothing if the run takes long: then it is asked for with [`super::Effect::Run`]. Must not panic.
    fn run(&self, run: &Run) -> Option<RunResult>;
}

/// Runs nothing at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRunner;

impl Runner for NoRunner {
    fn run(&self, _: &Run) -> Option<RunResult> {
        None
    }
}
