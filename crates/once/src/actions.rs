//! What objects understand: the actions of their components, as far as this kernel knows them.

use once_core::object;
use once_model::ior::Ior;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::component::{self, ActionDescription};
use crate::error::{IntoError, OrError};
use crate::{Error, Kernel, KernelId};

/// From where the actions of an object are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ActionsKnown {
    /// This kernel has the component.
    Component,
    /// A program serves the component here, and has named its actions.
    Program,
    /// A program serves the component here, but none is connected now, or one is asked for every action.
    Unnamed,
    /// This kernel is the object's home and does not have its component: such an object understands what every one does.
    Record,
    /// The home is another kernel, and this one does not have the component.
    Unknown,
}

/// What can be asked of an object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ObjectActions {
    /// The object's component; empty if it names none.
    pub component: String,
    /// The version of the component that the object names; empty if it names none.
    pub version: String,
    /// The object's home, as far as it is known here. Whatever this kernel knows of the component, the home runs its actions.
    pub home: Option<KernelId>,
    /// From where the actions are known.
    pub known: ActionsKnown,
    /// The actions of its component.
    pub actions: Vec<ActionDescription>,
    /// What every object goes through at its home without its component: the names that a history shows.
    pub built_in: Vec<ActionDescription>,
}

impl Kernel {
    /// What can be asked of an object: of one that is not here, as far as its IOR names its component.
    ///
    /// ```no_run
    /// # fn f(kernel: once::Kernel, counter: once::Ior) -> Result<(), once::Error> {
    /// for action in kernel.actions(&counter)?.actions {
    ///     println!("{}: {}", action.name, action.description.unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the object is not here and its IOR does not name its component, or it was removed.
    pub fn actions(&self, ior: &Ior) -> Result<ObjectActions, Error> {
        let uuid =
            ior.uuid().ok_or_else(|| Error::usage(format!("{ior} names no object: it has no UUID")))?;
        let found = object::find(&self.shared().snapshot(), &uuid, ior.line()).or_error()?;
        if let Some(row) = found.iter().find(|row| !row.header.tombstone) {
            return Ok(self.actions_of(
                &row.header.component,
                &row.header.version,
                row.home.or_else(|| ior.home()),
            ));
        }
        if let Some(row) = found.first() {
            return Err(once_core::Refusal::Removed(row.header.key()).into_error());
        }
        let component = ior.component().ok_or_else(|| {
            Error::not_found(format!("no object {uuid} on this kernel"))
                .with_hint("name an object elsewhere by its whole IOR, which names its component")
        })?;
        let version = ior.as_once().map(|parts| parts.version).unwrap_or_default();
        Ok(self.actions_of(&component, &version, ior.home()))
    }

    fn actions_of(&self, component: &str, version: &str, home: Option<KernelId>) -> ObjectActions {
        let components = &self.shared().components;
        let is_served = || components.served.list().iter().any(|(known, ..)| known == component);
        let (known, actions) = if let Some(known) = components.get(component) {
            (ActionsKnown::Component, known.described().collect())
        } else if let Some(actions) = components.served.described(component) {
            (ActionsKnown::Program, actions)
        } else if is_served() {
            (ActionsKnown::Unnamed, Vec::new())
        } else if home.is_none_or(|home| home == self.id()) {
            (ActionsKnown::Record, component::of_every_record().to_vec())
        } else {
            (ActionsKnown::Unknown, Vec::new())
        };
        ObjectActions {
            component: component.to_owned(),
            version: version.to_owned(),
            home,
            known,
            actions,
            built_in: component::built_in().to_vec(),
        }
    }
}
