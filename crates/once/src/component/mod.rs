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
mod changes;
mod clients;
mod context;
pub(crate) mod coordination;
mod dealing;
mod describe;
mod live;
mod moves;
mod offered;
mod record;
mod registry;
mod served;
mod shipped;
mod suspects;
mod typed;
mod usher;
mod version;
pub(crate) mod words;
mod works;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use apply::Raised;
use live::Awake;
use once_core::waist::RunResult;
use once_model::action::BUILT_IN_PREFIX;
use once_model::scenario::Scenario;
use once_model::wire::Code;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use account::{Account, Cancel, Confirm, Deposit, End, Ended, Funds, Reserve, Withdraw, account};
pub(crate) use clients::{Asked, ClientId, Slot};
pub use context::{CallError, Context, EffectError, PendingCall, Reply};
pub use coordination::{
    CoordinationStatus, Plan, PlanError, RunState, StepOutcome, StepState, StepStatus, StepTimes,
    coordination,
};
pub use describe::ActionDescription;
pub(crate) use describe::{built_in, of_every_record};
pub use moves::{ArrivalNotice, DepartureNotice};
pub(crate) use registry::Components;
pub use registry::{Activity, runner};
pub(crate) use served::{OFFERED_MAX, Offer, RUNS_MAX, SERVED_MAX, Served, Slowest, WORKS_MAX, told};
pub use shipped::{Add, Counter, Get, counter};
pub(crate) use suspects::Suspect;
pub use typed::{Action, Model};
pub(crate) use usher::usher;

type Act = Arc<dyn Fn(&mut Awake, Option<&Raised>, &str, &Context) -> RunResult + Send + Sync>;
type Upcast = Arc<dyn Fn(Value) -> Result<Value, String> + Send + Sync>;

/// A component: see the module's example.
#[derive(Clone)]
pub struct Component {
    name: String,
    version: String,
    first: Option<String>,
    /// Whether a model is one of its states, and what is wrong with it.
    fits: fn(&str) -> Result<(), String>,
    actions: BTreeMap<String, Act>,
    /// Those of the actions that only its own effects take.
    answers: BTreeSet<String>,
    /// What it says of its actions.
    descriptions: BTreeMap<String, ActionDescription>,
    /// From which versions older models can be read.
    upcasts: BTreeMap<String, Upcast>,
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
    pub fn of<S: Serialize + DeserializeOwned + Send + 'static>(
        name: impl Into<String>,
        version: impl Into<String>,
    ) -> Typed<S> {
        let component = Self {
            name: name.into(),
            version: version.into(),
            first: None,
            fits: words::is::<S>,
            actions: BTreeMap::new(),
            answers: BTreeSet::new(),
            descriptions: BTreeMap::new(),
            upcasts: BTreeMap::new(),
        };
        Typed { component, state: PhantomData }
    }

    /// Begins a component with its state as a type that knows its name and version: see [`Action`].
    pub fn model<S: Model>() -> Typed<S> {
        Self::of(S::COMPONENT, S::VERSION)
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

    /// The model of a new object that is given none.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// What anybody may ask of its objects.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        let is_for_all = |name: &&String| !self.answers.contains(*name) && !name.starts_with(BUILT_IN_PREFIX);
        self.actions.keys().filter(is_for_all).map(String::as_str)
    }

    /// What anybody may ask of its objects, in the order of the names, each as far as it is described.
    pub fn described(&self) -> impl Iterator<Item = ActionDescription> + '_ {
        let known = |name: &str| self.descriptions.get(name).cloned();
        self.actions().map(move |name| known(name).unwrap_or_else(|| ActionDescription::named(name)))
    }

    /// Whether an object can begin as this scenario. One that a newer version wrote may mean what this one does not know.
    pub(crate) fn check(&self, scenario: &Scenario) -> Result<(), String> {
        match self.raised(scenario) {
            Ok(None) => (self.fits)(scenario.editable()),
            Ok(Some(raised)) => (self.fits)(&raised.is.to_string()),
            Err(None) => Ok(()),
            Err(Some(why)) => Err(why),
        }
    }

    /// Runs an action. One that it does not understand fails, and the reason lists those that it does.
    pub(crate) fn run(
        &self,
        object: &mut Awake,
        action: &str,
        arguments: &str,
        context: &Context,
    ) -> RunResult {
        let Some(act) = self.actions.get(action) else {
            // What came of its effects an object must hear: it waits for a program that understands that. And what the kernel
            // asks of its own accord (that it moves) no object has to understand.
            return match context.answers.is_some() || action.starts_with(BUILT_IN_PREFIX) {
                true => RunResult::Refused(Code::NoComponent),
                false => apply::failed(&describe::unknown(&self.name, action, self.actions())),
            };
        };
        match self.raised(&object.scenario) {
            Ok(raised) => act(object, raised.as_ref(), arguments, context),
            Err(None) => RunResult::Refused(Code::NoComponent),
            // What came of its effects an object must hear: it waits for a program that can read its state.
            Err(Some(_)) if context.answers.is_some() => RunResult::Refused(Code::NoComponent),
            Err(Some(why)) => apply::failed(&why),
        }
    }

    /// Whether its objects are told that when they move.
    pub(crate) fn is_told(&self, action: &str) -> bool {
        self.actions.contains_key(action)
    }

    /// Whether it reads states of a version: its own, an older one, and one that it was taught to read.
    pub(crate) fn reads(&self, version: &str) -> bool {
        version.is_empty()
            || self.version == version
            || self.upcasts.contains_key(version)
            || version::is_not_newer(version, &self.version)
    }

    /// The model as this version reads it, if an older version wrote it. A newer one is not touched: it may mean what
    /// this version does not know.
    fn raised(&self, scenario: &Scenario) -> Result<Option<Raised>, Option<String>> {
        let Some(version) = scenario.version().filter(|version| *version != self.version) else {
            return Ok(None);
        };
        let Some(upcast) = self.upcasts.get(version) else {
            let older = version::is_not_newer(version, &self.version);
            return if older { Ok(None) } else { Err(None) };
        };
        let was: Value = serde_json::from_str(scenario.editable()).map_err(|_| None)?;
        match upcast(was.clone()) {
            Ok(is) => Ok(Some(Raised { was, is, version: self.version.clone() })),
            Err(why) => Err(Some(format!("its state is of version {version}: {why}"))),
        }
    }
}

impl<S: Serialize + DeserializeOwned + Send + 'static> Typed<S> {
    /// With this state new objects begin that are given none.
    pub fn first(mut self, state: &S) -> Self {
        self.component.first = serde_json::to_string(state).ok();
        self
    }

    /// Teaches it to read what an older version wrote: the model as that version had it, in; the model as this version
    /// has it, out. Fields that it does not know it leaves as they are. The first action that changes the object writes
    /// it in this version.
    ///
    /// ```
    /// # use once::Component;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Lamp { level: u8 }
    /// Component::of::<Lamp>("Lamp", "2.0").upcast("1.0", |mut model| {
    ///     let on = model["on"].as_bool().ok_or("no `on`")?;
    ///     model["level"] = if on { 100 } else { 0 }.into();
    ///     Ok(model)
    /// });
    /// ```
    pub fn upcast(
        mut self,
        from: impl Into<String>,
        upcast: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.component.upcasts.insert(from.into(), Arc::new(upcast));
        self
    }

    /// Teaches it an action. Arguments that are no `A` are a failure, and so is an error: the state is then as before.
    /// It must depend on nothing but what it is given. Names that begin with `once:` nobody can ask for: they belong to
    /// the kernel.
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
        let run = move |object: &mut Awake, raised: Option<&Raised>, arguments: &str, context: &Context| {
            apply::apply(object, raised, arguments, context, |state: &mut S, arguments: A| {
                act(state, arguments, context)
            })
        };
        let name = name.into();
        self.component.answers.remove(&name);
        self.component.actions.insert(name, Arc::new(run));
        self
    }

    /// Teaches it an action that is a type.
    pub fn on<A: Action<S>>(self) -> Self {
        self.action(A::NAME, |state: &mut S, action: A, context: &Context| action.act(state, context))
    }

    /// Describes an action that is a type, for whoever looks before they act (`once actions`): the documentation of the type
    /// is its description, and the JSON schemas of arguments and result are those of the types.
    ///
    /// ```
    /// use once::{Action, Component, Context, Model};
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Lamp {
    ///     on: bool,
    /// }
    ///
    /// impl Model for Lamp {
    ///     const COMPONENT: &str = "Lamp";
    ///     const VERSION: &str = "1.0";
    /// }
    ///
    /// /// Turns the lamp on or off, and returns what it was.
    /// #[derive(Serialize, Deserialize, JsonSchema)]
    /// struct Switch {
    ///     on: bool,
    /// }
    ///
    /// impl Action<Lamp> for Switch {
    ///     const NAME: &str = "switch";
    ///     type Outcome = bool;
    ///     type Failure = String;
    ///
    ///     fn act(self, lamp: &mut Lamp, _: &Context) -> Result<bool, String> {
    ///         Ok(std::mem::replace(&mut lamp.on, self.on))
    ///     }
    /// }
    ///
    /// let lamp = Component::model::<Lamp>().on::<Switch>().describe::<Switch>();
    /// let switch = lamp.described().next().unwrap();
    /// assert_eq!(switch.description.as_deref(), Some("Turns the lamp on or off, and returns what it was."));
    /// ```
    pub fn describe<A>(self) -> Self
    where
        A: Action<S> + JsonSchema,
        A::Outcome: JsonSchema,
    {
        self.describe_action(ActionDescription::named(A::NAME).types::<A, A::Outcome>())
    }

    /// Describes an action that is a function. A description of an action that it does not understand is never shown.
    ///
    /// ```
    /// # use once::{Component, Context};
    /// # use once::component::ActionDescription;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Lamp { on: bool }
    /// let switch = ActionDescription::named("switch").description("Turns the lamp on or off.").types::<bool, bool>();
    /// let lamp = Component::of::<Lamp>("Lamp", "1.0")
    ///     .action("switch", |lamp: &mut Lamp, on: bool, _: &Context| {
    ///         Ok::<_, String>(std::mem::replace(&mut lamp.on, on))
    ///     })
    ///     .describe_action(switch);
    /// assert_eq!(lamp.described().next().unwrap().arguments.unwrap()["type"], "boolean");
    /// ```
    pub fn describe_action(mut self, description: ActionDescription) -> Self {
        self.component.descriptions.insert(description.name.clone(), description);
        self
    }

    /// Teaches it an action that only its own effects take: it is told what came of them. Whoever else asks for it
    /// fails.
    pub fn answer<W, T, F>(
        mut self,
        name: impl Into<String>,
        act: impl Fn(&mut S, Reply<W>, &Context) -> Result<T, F> + Send + Sync + 'static,
    ) -> Self
    where
        W: DeserializeOwned,
        T: Serialize,
        F: Serialize,
    {
        let run = move |object: &mut Awake, raised: Option<&Raised>, arguments: &str, context: &Context| {
            if context.answers.is_none() {
                return apply::failed(&"only this object's own effects may ask for that");
            }
            apply::apply(object, raised, arguments, context, |state: &mut S, came: Reply<W>| {
                act(state, came, context)
            })
        };
        let name = name.into();
        self.component.answers.insert(name.clone());
        self.component.actions.insert(name, Arc::new(run));
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

#[cfg(test)]
mod tests {
    use once_model::ids::Uuid;

    use super::*;

    #[test]
    fn an_unknown_action_fails_but_what_the_kernel_asks_and_what_came_of_an_effect_does_not() {
        let text = r#"{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","model":{"count":1}}"#;
        for (action, answers, fails) in
            [("fly", None, true), ("once:leaving", None, false), ("fly", Some(Uuid::nil()), false)]
        {
            let mut object = Awake { scenario: Scenario::parse(text.to_owned()).unwrap(), state: None };
            match counter().run(&mut object, action, "null", &Context::sample(answers)) {
                RunResult::Failed(reason) if fails => {
                    let reason = String::from_utf8(reason.to_vec()).unwrap();
                    assert!(reason.contains("'fly'. It understands: add, get"), "{reason}");
                }
                RunResult::Refused(Code::NoComponent) if !fails => {}
                other => panic!("{action}: {other:?}"),
            }
        }
    }
}
