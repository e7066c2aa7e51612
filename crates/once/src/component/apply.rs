//! One typed action on one scenario: read the state, act, and write back only what has changed.

use super::Context;
use bytes::Bytes;
use once_core::waist::RunResult;
use once_model::json;
use once_model::scenario::Scenario;
use once_model::wire::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(super) fn apply<S, A, T, F>(
    scenario: &Scenario,
    arguments: &str,
    context: &Context,
    act: impl FnOnce(&mut S, A) -> Result<T, F>,
) -> RunResult
where
    S: Serialize + DeserializeOwned,
    A: DeserializeOwned,
    T: Serialize,
    F: Serialize,
{
    let mut state: S = match serde_json::from_str(scenario.editable()) {
        Ok(state) => state,
        // Its version of this component is another one, or it was put together by hand.
        Err(_) => return RunResult::Refused(Code::NoComponent),
    };
    let arguments: A = match serde_json::from_str(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return failed(&format!("the arguments do not fit: {error}")),
    };
    let Ok(before) = serde_json::to_value(&state) else { return RunResult::Refused(Code::NoComponent) };
    let result = match act(&mut state, arguments) {
        Ok(result) => result,
        Err(failure) => return failed(&failure),
    };
    let (Ok(after), Ok(result)) = (serde_json::to_value(&state), serde_json::to_vec(&result)) else {
        return RunResult::Refused(Code::NoComponent);
    };
    let patch = difference(&before, &after);
    let state = match patch {
        None => None,
        Some(patch) => match scenario.edit_model(|model| json::merge(model, &patch.to_string())) {
            Ok(changed) => Some(changed),
            Err(error) => return failed(&error.to_string()),
        },
    };
    RunResult::Done { state, result: result.into(), consequences: context.take_effects() }
}

/// A failure of the component, for the caller.
pub(super) fn failed<F: Serialize>(failure: &F) -> RunResult {
    let json = serde_json::to_vec(failure).unwrap_or_else(|_| b"null".to_vec());
    RunResult::Failed(Bytes::from(json))
}

/// What must be merged into `before` to get `after` (RFC 7396); nothing if they are the same. A member that becomes
/// `null` cannot be told from one that goes: types that need it write something else.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for (key, value) in after {
        let changed = match before.get(key) {
            Some(was) => difference(was, value),
            None => Some(value.clone()),
        };
        patch.extend(changed.map(|changed| (key.clone(), changed)));
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize)]
    struct Known {
        count: i64,
        name: Option<String>,
    }

    fn add(text: &str) -> RunResult {
        let scenario = Scenario::parse(text.to_owned()).unwrap();
        apply(&scenario, "2", &Context::sample(None), |state: &mut Known, by: i64| {
            state.count += by;
            if state.count > 100 { Err("too much") } else { Ok(state.count) }
        })
    }

    const TEXT: &str = "{\n \"ior\":{\"uuid\":\"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001\"},\"owner\":\"\",\n  \"model\": {\"newer\":[1.0e2, {\"x\":9007199254740993}],  \"count\" :1, \"é\":\"\\u00e9\" }\n}";

    #[test]
    fn only_what_changed_is_written() {
        let RunResult::Done { state: Some(state), result, .. } = add(TEXT) else { panic!("not done") };
        assert_eq!(result, "3");
        assert_eq!(state.bytes(), &TEXT.replace("\"count\" :1", "\"count\" :3"));
    }

    #[test]
    fn a_failure_changes_nothing_and_other_states_are_not_touched() {
        assert!(matches!(add(&TEXT.replace(":1,", ":99,")), RunResult::Failed(why) if why == "\"too much\""));
        let other = TEXT.replace("\"count\" :1", "\"count\" :\"one\"");
        assert!(matches!(add(&other), RunResult::Refused(Code::NoComponent)));
    }
}
