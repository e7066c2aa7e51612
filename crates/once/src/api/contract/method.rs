//! What every method is made of.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method of the local API. Its parameters are the type that implements this; their doc comment says what it does.
///
/// Only the list of this module implements it, so a method that is not in the list does not exist.
pub trait Method: Serialize + DeserializeOwned + JsonSchema + Send {
    /// The method's name on the wire.
    const NAME: &'static str;

    /// What it answers.
    type Result: Serialize + DeserializeOwned + JsonSchema + Send;
}
