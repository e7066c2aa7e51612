//! The components that a kernel has, and running them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use once_core::waist::{Run, RunResult, Runner};
use once_model::scenario::Scenario;
use once_model::wire::Code;

use super::apply::failed;
use super::{Component, Context, counter, record};

/// A scenario larger than this is not read on the engine's thread, in bytes: a step takes less than a millisecond.
const AT_ONCE_MAX_BYTES: usize = 64 * 1024;

/// What a kernel can run.
#[derive(Debug, Clone)]
pub(crate) struct Components(BTreeMap<String, Component>);

impl Default for Components {
    fn default() -> Self {
        let mut components = Self(BTreeMap::new());
        components.add(counter());
        components
    }
}

impl Components {
    /// Adds one, or takes the place of another of that name.
    pub fn add(&mut self, component: Component) {
        self.0.insert(component.name().to_owned(), component);
    }

    /// Runs an action, however long it takes. A component that panics has failed.
    pub fn run_whole(&self, run: &Run) -> RunResult {
        let acted = catch_unwind(AssertUnwindSafe(|| self.run_inner(run)));
        acted.unwrap_or_else(|_| failed(&"the component panicked"))
    }

    fn run_inner(&self, run: &Run) -> RunResult {
        let Ok(scenario) = Scenario::parse(run.body.clone()) else {
            return RunResult::Refused(Code::Invalid);
        };
        let Ok(arguments) = std::str::from_utf8(&run.action.arguments) else {
            return RunResult::Refused(Code::Invalid);
        };
        let context = Context { now_ms: run.now_ms, id: run.action.id, origin: run.origin };
        match self.0.get(&run.header.component) {
            Some(component) => component
                .run(&scenario, &run.action.name, arguments, &context)
                .unwrap_or(RunResult::Refused(Code::NoComponent)),
            None => record::run(&scenario, &run.action.name, arguments),
        }
    }
}

impl Runner for Components {
    fn run(&self, run: &Run) -> Option<RunResult> {
        (run.body.len() <= AT_ONCE_MAX_BYTES).then(|| self.run_whole(run))
    }
}
