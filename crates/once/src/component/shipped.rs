//! Components that every kernel has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Component, Context};
use crate::{Action, Model};

/// The state of a counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// What it has counted.
    #[serde(default)]
    pub count: i64,
}

impl Model for Counter {
    const COMPONENT: &str = "Counter";
    const VERSION: &str = "1.0";
}

/// Adds to a counter, and returns the new count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Add {
    /// How much, also below 0.
    pub by: i64,
}

impl Action<Counter> for Add {
    const NAME: &str = "add";
    type Outcome = i64;
    type Failure = String;

    fn act(self, counter: &mut Counter, _: &Context) -> Result<i64, String> {
        counter.count = counter.count.checked_add(self.by).ok_or("the count would be too large")?;
        Ok(counter.count)
    }
}

/// Returns what the object holds now: the count of a counter, the funds of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Get;

impl Action<Counter> for Get {
    const NAME: &str = "get";
    type Outcome = i64;
    type Failure = String;

    fn act(self, counter: &mut Counter, _: &Context) -> Result<i64, String> {
        Ok(counter.count)
    }
}

/// Counts: `add {"by": n}` returns the new count, `get` the count.
#[must_use]
pub fn counter() -> Component {
    Component::model::<Counter>()
        .first(&Counter::default())
        .on::<Add>()
        .describe::<Add>()
        .on::<Get>()
        .describe::<Get>()
        .into()
}
