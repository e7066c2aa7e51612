//! The components that a kernel has, and running them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use once_core::waist::{Run, RunResult, Runner, Work};
use once_model::action::BUILT_IN_PREFIX;
use once_model::ids::{ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::Code;

use serde_json::Value;

use super::apply::failed;
use super::describe::unknown;
use super::live::{Awake, Live};
use super::served::{Served, Turn};
use super::{Component, Context, account, coordination, counter, record};

/// A scenario larger than this is not read on the engine's thread, in bytes: a step takes less than a millisecond.
const AT_ONCE_MAX_BYTES: usize = 64 * 1024;

/// Work outside that an object wants ([`Context::activity`]).
#[derive(Debug, Clone)]
pub struct Activity {
    /// The same whenever this work is asked for again: whoever does it can tell that it was done.
    pub id: Uuid,
    /// The object that wants it.
    pub object: ObjectKey,
    /// Which kind of work.
    pub name: String,
    /// With what, as JSON.
    pub arguments: Value,
}

/// Does work outside.
pub(crate) type Worker =
    Arc<dyn Fn(Activity) -> Pin<Box<dyn Future<Output = Result<Value, Value>> + Send>> + Send + Sync>;

/// What a kernel can run, and what of it is awake.
#[derive(Clone)]
pub(crate) struct Components {
    known: BTreeMap<String, Component>,
    workers: BTreeMap<String, Worker>,
    pub live: Arc<Live>,
    /// What programs on this machine serve.
    pub served: Arc<Served>,
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).entries(self.workers.keys()).finish()
    }
}

impl Default for Components {
    fn default() -> Self {
        let mut components = Self {
            known: BTreeMap::new(),
            workers: BTreeMap::new(),
            live: Arc::default(),
            served: Arc::default(),
        };
        components.add(account());
        components.add(counter());
        components.add(coordination());
        components
    }
}

impl Components {
    /// Adds one, or takes the place of another of that name.
    pub fn add(&mut self, component: Component) {
        self.known.insert(component.name().to_owned(), component);
    }

    /// The component of this name.
    pub fn get(&self, name: &str) -> Option<&Component> {
        self.known.get(name)
    }

    /// How much memory awake objects may take up, and how long they stay awake.
    pub fn stay_awake(&mut self, max_bytes: usize, idle: Duration) {
        self.live = Arc::new(Live::new(max_bytes, idle));
    }

    /// Adds someone who does work outside.
    pub fn add_worker(&mut self, name: String, worker: Worker) {
        self.workers.insert(name, worker);
    }

    /// Whether this kernel does such work itself.
    pub fn has_worker(&self, name: &str) -> bool {
        self.workers.contains_key(name)
    }

    /// Whether somebody here does such work: this kernel, or a program that is connected.
    pub fn does(&self, work: &str) -> bool {
        self.workers.contains_key(work) || self.served.does(work)
    }

    /// What clients served before this start. What it has itself by now, it runs itself.
    pub fn remember(&self, served: Vec<String>, moves: Vec<String>) {
        self.served.remember_moves(moves);
        self.served.remember(served.into_iter().filter(|name| !self.known.contains_key(name)));
    }

    /// Has a client do work. What this kernel does itself comes back.
    pub fn hand_out(&self, work: Work) -> Option<Work> {
        if self.workers.contains_key(&work.name) {
            return Some(work);
        }
        self.served.hand_out(work);
        None
    }

    /// Has work done; nothing if nobody here does such work. Work that panics has failed.
    pub async fn work(&self, work: Work) -> Option<Result<Bytes, Bytes>> {
        let worker = Arc::clone(self.workers.get(&work.name)?);
        let arguments = serde_json::from_slice(&work.arguments).unwrap_or_default();
        let activity = Activity { id: work.id, object: work.key, name: work.name, arguments };
        let json = |value: &Value| Bytes::from(value.to_string());
        Some(match tokio::spawn(worker(activity)).await {
            Ok(Ok(result)) => Ok(json(&result)),
            Ok(Err(reason)) => Err(json(&reason)),
            Err(_) => Err(json(&Value::from("the work outside panicked"))),
        })
    }

    /// Runs an action, however long it takes. A component that panics has failed.
    pub fn run_whole(&self, run: &Run) -> RunResult {
        let acted = catch_unwind(AssertUnwindSafe(|| self.run_inner(run)));
        acted.unwrap_or_else(|_| failed(&"the component panicked"))
    }

    fn run_inner(&self, run: &Run) -> RunResult {
        let Ok(arguments) = std::str::from_utf8(&run.action.arguments) else {
            return RunResult::Refused(Code::Invalid);
        };
        let (mut object, woken) = match self.live.take(&run.key, &run.header.content) {
            Some(awake) => (awake, false),
            None => match Scenario::parse(run.body.clone()) {
                Ok(scenario) => (Awake { scenario, state: None }, true),
                Err(_) => return RunResult::Refused(Code::Invalid),
            },
        };
        let context = Context::new(run);
        let result = match self.known.get(&run.header.component) {
            Some(component) => component.run(&mut object, &run.action.name, arguments, &context),
            // Whoever has effects has a component: another program than this one knows it. The answer waits for that.
            None if context.answers.is_some() => return RunResult::Refused(Code::NoComponent),
            None => record::run(&object.scenario, &run.header.component, &run.action.name, arguments),
        };
        if let RunResult::Done { state: Some(new), .. } = &result {
            // Its hash is taken once, for the engine and for the next action.
            let _ = new.hash();
            object.scenario = new.clone();
        }
        if context.is_to_rest() {
            self.live.rest();
        } else {
            self.live.keep(run.key, object, woken);
        }
        result
    }
}

/// Runs what every kernel can run, and these components, without a kernel: for a simulator, or to try them out.
#[must_use]
pub fn runner(components: Vec<Component>) -> impl Runner {
    let mut all = Components::default();
    components.into_iter().for_each(|component| all.add(component));
    all
}

impl Runner for Components {
    fn run(&self, run: &Run) -> Option<RunResult> {
        match self.served.turn(run) {
            Turn::Ours => (run.bytes() <= AT_ONCE_MAX_BYTES).then(|| self.run_whole(run)),
            Turn::Theirs => None,
            Turn::Later(wait) => Some(RunResult::Later(wait)),
            // As in `Component::run`.
            Turn::Never(_)
                if run.action.answers.is_some() || run.action.name.starts_with(BUILT_IN_PREFIX) =>
            {
                Some(RunResult::Refused(Code::NoComponent))
            }
            Turn::Never(known) => {
                let known = known.iter().map(String::as_str);
                Some(failed(&unknown(&run.header.component, &run.action.name, known)))
            }
        }
    }

    // Also what a program served that is not connected just now: until it is, actions wait.
    fn reads(&self, component: &str, version: &str) -> bool {
        match self.known.get(component) {
            Some(known) => known.reads(version),
            None => self.served.knows(component, version),
        }
    }

    fn knows(&self, component: &str) -> bool {
        self.known.contains_key(component) || self.served.list().iter().any(|(name, ..)| name == component)
    }

    fn is_told(&self, component: &str, action: &str) -> bool {
        match self.known.get(component) {
            Some(known) => known.is_told(action),
            None => self.served.is_told(component, action),
        }
    }
}
