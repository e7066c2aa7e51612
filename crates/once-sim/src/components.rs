//! What the kernels of a world can run: the journal, by which the checkers see what became of each action, and components
//! of whoever embeds the simulator.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use once_core::waist::{Run, RunResult, Runner, Wait};
use once_model::ids::KernelId;
use once_model::scenario::Scenario;

use crate::journal;

/// Components of whoever embeds the simulator ([`crate::World::install`]).
///
/// ```
/// use once_core::waist::{Run, RunResult};
///
/// #[derive(Debug)]
/// struct Bells;
///
/// impl once_sim::Components for Bells {
///     fn has(&self, component: &str) -> bool {
///         component == "Bell"
///     }
///
///     fn run(&self, run: &Run) -> RunResult {
///         match run.action.name.as_str() {
///             "ring" => RunResult::Done { state: None, result: "\"dong\"".into(), consequences: Vec::new() },
///             _ => RunResult::Failed("\"a bell rings\"".into()),
///         }
///     }
/// }
///
/// let mut net = once_sim::World::new(7);
/// net.install(std::sync::Arc::new(Bells));
/// net.kernel("tower");
/// ```
pub trait Components: Debug + Send + Sync {
    /// Whether it has this one.
    fn has(&self, component: &str) -> bool;

    /// Runs an action. The result must depend on nothing but the run.
    fn run(&self, run: &Run) -> RunResult;
}

/// What was installed; all kernels of a world have the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Installed(pub Option<Arc<dyn Components>>);

/// Only some kernels have this one: what an object of it is depends on where it is.
const OF_SOME: &str = "User";

impl Installed {
    /// Whether a kernel has a component: objects of the others are plain records there.
    pub fn has(&self, kernel: &KernelId, component: &str) -> bool {
        component == journal::NAME
            || (component == OF_SOME && kernel.as_bytes().first().is_some_and(|byte| byte.is_multiple_of(2)))
            || self.0.as_ref().is_some_and(|others| others.has(component))
    }

    /// Runs an action.
    pub fn run(&self, run: &Run) -> RunResult {
        match &self.0 {
            Some(others) if others.has(&run.header.component) => others.run(run),
            _ => journal::run(run),
        }
    }

    /// Whether a body may be one that an action wrote, which no client ever brought.
    pub fn may_write(&self, body: &[u8]) -> bool {
        journal::entries(body).is_some()
            || self.0.as_ref().is_some_and(|others| {
                let scenario = Scenario::parse(body.to_vec()).ok();
                scenario
                    .and_then(|scenario| scenario.component().map(|name| others.has(name)))
                    .unwrap_or(false)
            })
    }
}

/// Runs some actions at once, as the shell does with short ones; which, their ids say. Some cannot be asked for a while,
/// as if nobody who serves them were there.
#[derive(Debug, Default)]
pub(crate) struct AtOnce {
    pub installed: Installed,
    /// Whose it is.
    pub kernel: Option<KernelId>,
    /// Something was put off.
    pub put_off: AtomicBool,
    /// What was run since it was told last.
    pub ran: Mutex<Vec<(Run, RunResult)>>,
}

impl AtOnce {
    /// What was run since this was asked last.
    pub fn told(&self) -> Vec<(Run, RunResult)> {
        std::mem::take(&mut self.ran.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, asked: &Run) -> Option<RunResult> {
        let id = asked.action.id.as_bytes();
        if id[12].is_multiple_of(16) && (asked.now_ms / AWAY_MS).is_multiple_of(3) {
            self.put_off.store(true, Ordering::Relaxed);
            let wait = if id[11].is_multiple_of(2) { Wait::ForRoom } else { Wait::ForItself };
            return Some(RunResult::Later(wait));
        }
        id[15].is_multiple_of(2).then(|| self.installed.run(asked))
    }
}

/// How long nobody is there for some actions, each time, in milliseconds.
const AWAY_MS: u64 = 700;

impl Runner for AtOnce {
    fn run(&self, asked: &Run) -> Option<RunResult> {
        let result = self.answer(asked)?;
        let mut ran = self.ran.lock().unwrap_or_else(PoisonError::into_inner);
        ran.push((asked.clone(), result.clone()));
        Some(result)
    }

    fn reads(&self, component: &str, _: &str) -> bool {
        self.knows(component)
    }

    fn knows(&self, component: &str) -> bool {
        self.kernel.is_none_or(|kernel| self.installed.has(&kernel, component))
    }

    fn is_told(&self, component: &str, _: &str) -> bool {
        component == journal::NAME
    }
}
