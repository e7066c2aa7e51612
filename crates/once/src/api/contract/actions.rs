//! What objects understand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionDescription, ActionsKnown};

/// Lists the actions that an object understands, as far as this kernel knows its component.
///
/// `not-found` if the object is not here and its IOR does not name its component. An object's home decides what its actions are:
/// another kernel may have the component in another version.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    /// The object. One that is not here needs its IOR.
    pub object: String,
}

/// What can be asked of an object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ActionsResult {
    /// The object as it was named, or its IOR.
    pub object: String,
    /// Its component; empty if it names none.
    pub component: String,
    /// The version of its component; empty if it names none.
    pub version: String,
    /// Its home, or `null` if that is not known here.
    pub home: Option<String>,
    /// What the home is called here.
    pub home_name: Option<String>,
    /// From where the actions are known. Of `unnamed` and `unknown` there are none in `actions`.
    pub known: ActionsKnown,
    /// The actions of its component, by name.
    pub actions: Vec<ActionDescription>,
    /// What a home does with every object, under the names that a history shows. They cannot be asked for with `act`.
    pub built_in: Vec<ActionDescription>,
}
