//! What an action changed of a state, and writing just that.

use once_model::json::{self, EditError};
use serde_json::{Map, Value};

/// The changes between two values.
pub(super) struct Changes<'v> {
    patch: Option<Value>,
    exact: Vec<(String, &'v Value)>,
}

impl<'v> Changes<'v> {
    pub fn between(before: &Value, after: &'v Value) -> Self {
        let mut exact = Vec::new();
        let patch = difference(before, after, &mut String::new(), &mut exact);
        Self { patch, exact }
    }

    pub fn is_empty(&self) -> bool {
        self.patch.is_none() && self.exact.is_empty()
    }

    /// A text with these changes; what they do not touch keeps its bytes.
    pub fn edit(&self, text: &str) -> Result<String, EditError> {
        let mut text = match &self.patch {
            Some(patch) => json::merge(text, &patch.to_string())?,
            None => text.to_owned(),
        };
        for (pointer, value) in &self.exact {
            text = json::replace(&text, pointer, &value.to_string())?;
        }
        Ok(text)
    }
}

/// What must be merged into `before` to get `after` (RFC 7396); nothing if that changes nothing. A merge takes `null` for
/// what goes: values with a `null` in them go to `exact`, with their place, and are put in after the merge.
fn difference<'v>(
    before: &Value,
    after: &'v Value,
    place: &mut String,
    exact: &mut Vec<(String, &'v Value)>,
) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(before), Value::Object(members)) = (before, after) else {
        if has_null(after) {
            exact.push((place.clone(), after));
            return None;
        }
        return Some(after.clone());
    };
    let mut patch = Map::new();
    for (key, value) in members {
        let length = place.len();
        place.push('/');
        place.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let changed = match before.get(key) {
            Some(was) => difference(was, value, place, exact),
            None if has_null(value) => {
                exact.push((place.clone(), value));
                None
            }
            None => Some(value.clone()),
        };
        place.truncate(length);
        patch.extend(changed.map(|changed| (key.clone(), changed)));
    }
    for key in before.keys().filter(|key| !members.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Whether a merge would take something of this value for what goes. Arrays are taken as they are.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}
