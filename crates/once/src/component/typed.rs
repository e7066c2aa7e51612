//! State and actions of components as types.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;

/// The state of a component's objects: the model of their scenarios.
pub trait Model: Serialize + DeserializeOwned + Send + 'static {
    /// What its objects name as their component.
    const COMPONENT: &'static str;
    /// The version that it writes.
    const VERSION: &'static str;
}

/// An action on objects with the state `S`: its arguments are the fields of the type.
///
/// ```
/// use once::{Action, Component, Context, Model};
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
/// #[derive(Serialize, Deserialize)]
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
/// let lamp = Component::model::<Lamp>().on::<Switch>();
/// assert_eq!(lamp.name(), "Lamp");
/// ```
pub trait Action<S>: Serialize + DeserializeOwned + Send + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// What it returns when it is done.
    type Outcome: Serialize + DeserializeOwned + Send;
    /// Why it rejects an action.
    type Failure: Serialize + DeserializeOwned + Send;

    /// Does it. Must depend on nothing but what it is given: a run that is lost is run again.
    ///
    /// # Errors
    /// When it rejects the action: the state is as before then, and nothing follows from it.
    fn act(self, state: &mut S, context: &Context) -> Result<Self::Outcome, Self::Failure>;
}
