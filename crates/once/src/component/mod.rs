//! Components: what objects do. A component is a name, a version, the type of its state, and one function for each
//! action it understands.
//!
//! ```
//! use once::{Component, Context};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Lamp {
//!     on: bool,
//! }
//!
//! let lamp = Component::of::<Lamp>("Lamp", "1.0").action("switch", |lamp: &mut Lamp, on: bool, _: &Context| {
//!     let was = std::mem::replace(&mut lamp.on, on);
//!     Ok::<_, String>(was)
//! });
//! assert_eq!(lamp.name(), "Lamp");
//! ```

mod account;
mod apply;
mod context;
pub(crate) mod coordination;
mod record;
mod registry;
mod shipped;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use once_core::waist::RunResult;
use once_model::scenario::Scenario;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use account::{Account, End, Ended, Funds, account};
pub use context::{Called, Came, Context, EffectError, NotDone};
pub use coordination::{Plan, PlanError, RunState, Standing, StepStanding, StepState, Told, coordination};
pub use registry::Activity;
pub(crate) use registry::Components;
pub use shipped::{Counter, counter};

type Act = Arc<dyn Fn(&Scenario, &str, &Context) -> RunResult + Send + Sync>;

/// A component: see the module's example.
#[derive(Clone)]
pub struct Component {
    name: String,
    version: String,
    actions: BTreeMap<String, Act>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.actions.keys().collect();
        f.debug_struct("Component")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("actions", &actions)
            .finish()
    }
}

/// A component whose actions are still being told.
#[must_use]
pub struct Typed<S> {
    component: Component,
    state: PhantomData<fn(S)>,
}

impl Component {
    /// Begins a component whose objects have the state `S`: the model of their scenarios. Fields of a model that `S`
    /// does not know stay as they are.
    pub fn of<S: Serialize + DeserializeOwned + 'static>(
        name: impl Into<String>,
        version: impl Into<String>,
    ) -> Typed<S> {
        let component = Self { name: name.into(), version: version.into(), actions: BTreeMap::new() };
        Typed { component, state: PhantomData }
    }

    /// What its objects name as their component.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that it writes into new objects.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn run(
        &self,
        scenario: &Scenario,
        action: &str,
        arguments: &str,
        context: &Context,
    ) -> Option<RunResult> {
        self.actions.get(action).map(|act| act(scenario, arguments, context))
    }
}

impl<S: Serialize + DeserializeOwned + 'static> Typed<S> {
    /// Teaches it an action. Arguments that are no `A` are a failure, and so is an error: the state is then as before.
    /// It must depend on nothing but what it is given.
    pub fn action<A, T, F>(
        mut self,
        name: impl Into<String>,
        act: impl Fn(&mut S, A, &Context) -> Result<T, F> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        T: Serialize,
        F: Serialize,
    {
        let run = move |scenario: &Scenario, arguments: &str, context: &Context| {
            apply::apply(scenario, arguments, context, |state: &mut S, arguments: A| {
                act(state, arguments, context)
            })
        };
        self.component.actions.insert(name.into(), Arc::new(run));
        self
    }

    /// Teaches it an action that only its own effects take: it is told what came of them. Whoever else asks for it
    /// fails.
    pub fn answer<W, T, F>(
        mut self,
        name: impl Into<String>,
        act: impl Fn(&mut S, Came<W>, &Context) -> Result<T, F> + Send + Sync + 'static,
    ) -> Self
    where
        W: DeserializeOwned,
        T: Serialize,
        F: Serialize,
    {
        let run = move |scenario: &Scenario, arguments: &str, context: &Context| {
            if context.answers.is_none() {
                return apply::failed(&"only this object's own effects may ask for that");
            }
            apply::apply(scenario, arguments, context, |state: &mut S, came: Came<W>| {
                act(state, came, context)
            })
        };
        self.component.actions.insert(name.into(), Arc::new(run));
        self
    }
}

impl<S> From<Typed<S>> for Component {
    fn from(typed: Typed<S>) -> Self {
        typed.component
    }
}

impl<S> std::ops::Deref for Typed<S> {
    type Target = Component;

    fn deref(&self) -> &Component {
        &self.component
    }
}
