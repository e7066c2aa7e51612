//! One typed action on one scenario: read the state, act, and write back only what has changed.

use super::Context;
use bytes::Bytes;
use once_core::waist::RunResult;
use once_model::json::{self, EditError};
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
    let mut exact = Vec::new();
    let state = match difference(&before, &after, &mut String::new(), &mut exact) {
        None if exact.is_empty() => None,
        patch => match scenario.edit_model(|model| edited(model, patch, &exact)) {
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

fn edited(model: &str, patch: Option<Value>, exact: &[(String, &Value)]) -> Result<String, EditError> {
    let mut model = match patch {
        Some(patch) => json::merge(model, &patch.to_string())?,
        None => model.to_owned(),
    };
    for (pointer, value) in exact {
        model = json::replace(&model, pointer, &value.to_string())?;
    }
    Ok(model)
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
    fn a_null_is_written_and_what_is_gone_goes() {
        let text =
            r#"{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","model":{"a/b":{"old":1,"was":2.0},"n":1.0}}"#;
        let scenario = Scenario::parse(text).unwrap();
        let turn = |to: &str| {
            let done = apply(&scenario, to, &Context::sample(None), |state: &mut Map<String, Value>, to| {
                *state = to;
                Ok::<_, ()>(())
            });
            let RunResult::Done { state, .. } = done else { panic!("not done") };
            state.map(|state| state.model().unwrap().to_owned())
        };
        let null = r#"{"a/b":{"was":2.0,"new":{"x":null,"y":[null]}},"n":1.0}"#;
        assert_eq!(turn(null).as_deref(), Some(null));
        assert_eq!(turn(r#"{"n":null}"#).as_deref(), Some(r#"{"n":null}"#));
        assert_eq!(turn(r#"{"a/b":null,"n":1.0}"#).as_deref(), Some(r#"{"a/b":null,"n":1.0}"#));
        assert_eq!(turn(r#"{"a/b":{"old":1,"was":2.0},"n":1.0}"#), None);
    }

    #[test]
    fn a_failure_changes_nothing_and_other_states_are_not_touched() {
        assert!(matches!(add(&TEXT.replace(":1,", ":99,")), RunResult::Failed(why) if why == "\"too much\""));
        let other = TEXT.replace("\"count\" :1", "\"count\" :\"one\"");
        assert!(matches!(add(&other), RunResult::Refused(Code::NoComponent)));
    }
}
