//! Components that every kernel has.

use serde::{Deserialize, Serialize};

use super::{Component, Context};

/// The state of a counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// What it has counted.
    #[serde(default)]
    pub count: i64,
}

#[derive(Deserialize)]
struct Add {
    by: i64,
}

/// Counts: `add {"by": n}` returns the new count, `get` the count.
#[must_use]
pub fn counter() -> Component {
    Component::of::<Counter>("Counter", "1.0")
        .action("add", |counter: &mut Counter, add: Add, _: &Context| {
            let count = counter.count.checked_add(add.by).ok_or("the count would be too large")?;
            counter.count = count;
            Ok::<_, &str>(count)
        })
        .action("get", |counter: &mut Counter, (): (), _: &Context| Ok::<_, ()>(counter.count))
        .into()
}
