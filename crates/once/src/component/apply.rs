//! One typed action on one object: restore the state, act, and write back only what has changed.

use bytes::Bytes;
use once_core::waist::RunResult;
use once_model::json::EditError;
use once_model::scenario::Scenario;
use once_model::wire::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Context;
use super::changes::Changes;
use super::live::Awake;
use super::words;

/// A model as an older version of the component wrote it, and as this version reads it.
pub(super) struct Raised {
    pub was: Value,
    pub is: Value,
    /// The version that is written from now on.
    pub version: String,
}

pub(super) fn apply<S, A, T, F>(
    object: &mut Awake,
    raised: Option<&Raised>,
    arguments: &str,
    context: &Context,
    act: impl FnOnce(&mut S, A) -> Result<T, F>,
) -> RunResult
where
    S: Serialize + DeserializeOwned + Send + 'static,
    A: DeserializeOwned,
    T: Serialize,
    F: Serialize,
{
    let arguments: A = match words::read(arguments) {
        Ok(arguments) => arguments,
        // What came of its effects an object must hear: it waits for a program that can read it.
        Err(_) if context.answers.is_some() => return RunResult::Refused(Code::Invalid),
        Err(error) => return failed(&format!("the arguments do not fit: {error}")),
    };
    // From here on the state is the action's: only if it is done, it is put back.
    let awake = object.state.take().and_then(|state| state.downcast::<S>().ok());
    let state = match (awake, raised) {
        (Some(state), _) => Some(*state),
        (None, Some(raised)) => serde_json::from_value(raised.is.clone()).ok(),
        (None, None) => serde_json::from_str(object.scenario.editable()).ok(),
    };
    // Its version of this component is another one, or it was put together by hand.
    let Some(mut state): Option<S> = state else { return RunResult::Refused(Code::NoComponent) };
    let Ok(before) = serde_json::to_value(&state) else { return RunResult::Refused(Code::NoComponent) };
    let result = match act(&mut state, arguments) {
        Ok(result) => result,
        Err(failure) => return failed(&failure),
    };
    let (Ok(after), Ok(result)) = (serde_json::to_value(&state), serde_json::to_vec(&result)) else {
        return RunResult::Refused(Code::NoComponent);
    };
    let changes = Changes::between(&before, &after);
    let new = match changes.is_empty() {
        true => None,
        false => match changed(&object.scenario, raised, &changes) {
            Ok(changed) => Some(changed),
            Err(error) => return failed(&error.to_string()),
        },
    };
    // An older model is raised anew by each action, until one changes it.
    if raised.is_none() || new.is_some() {
        object.state = Some(Box::new(state));
    }
    RunResult::Done { state: new, result: result.into(), consequences: context.take_effects() }
}

/// The scenario with these changes in its model, all else as it was. What an older version wrote is written as this
/// version has it.
fn changed(
    scenario: &Scenario,
    raised: Option<&Raised>,
    changes: &Changes<'_>,
) -> Result<Scenario, EditError> {
    match raised {
        None => scenario.edit_model(|model| changes.edit(model)),
        Some(Raised { was, is, version }) => {
            let raise = Changes::between(was, is);
            scenario.edit_model(|model| changes.edit(&raise.edit(model)?))?.with_version(version)
        }
    }
}

/// A failure of the component, for the caller.
pub(super) fn failed<F: Serialize>(failure: &F) -> RunResult {
    let json = serde_json::to_vec(failure).unwrap_or_else(|_| b"null".to_vec());
    RunResult::Failed(Bytes::from(json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::json;
    use serde::Deserialize;
    use serde_json::Map;

    #[derive(Serialize, Deserialize)]
    struct Known {
        count: i64,
        name: Option<String>,
    }

    fn add(object: &mut Awake) -> RunResult {
        apply(object, None, "2", &Context::sample(None), |state: &mut Known, by: i64| {
            state.count += by;
            if state.count > 100 { Err("too much") } else { Ok(state.count) }
        })
    }

    fn awake(text: &str) -> Awake {
        Awake { scenario: Scenario::parse(text.to_owned()).unwrap(), state: None }
    }

    const TEXT: &str = "{\n \"ior\":{\"uuid\":\"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001\"},\"owner\":\"\",\n  \"model\": {\"newer\":[1.0e2, {\"x\":9007199254740993}],  \"count\" :1, \"é\":\"\\u00e9\" }\n}";

    #[test]
    fn only_what_changed_is_written_whether_it_was_awake_or_not() {
        let mut object = awake(TEXT);
        for count in [3, 5] {
            let RunResult::Done { state: Some(state), result, .. } = add(&mut object) else {
                panic!("not done")
            };
            assert_eq!(result, count.to_string());
            object.scenario = state.clone();
            assert_eq!(state.bytes(), &TEXT.replace("\"count\" :1", &format!("\"count\" :{count}")));
        }
    }

    #[test]
    fn a_null_is_written_and_what_is_gone_goes() {
        let text =
            r#"{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","model":{"a/b":{"old":1,"was":2.0},"n":1.0}}"#;
        let turn = |to: &str| {
            let mut object = awake(text);
            let done =
                apply(&mut object, None, to, &Context::sample(None), |state: &mut Map<String, Value>, to| {
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
        let mut object = awake(&TEXT.replace(":1,", ":97,"));
        let RunResult::Done { state: Some(state), .. } = add(&mut object) else { panic!("not done") };
        object.scenario = state;
        for _ in 0..2 {
            assert!(matches!(add(&mut object), RunResult::Failed(why) if why == "\"too much\""));
            // What the failed action did to the state in memory is gone.
            assert_eq!(json::get(object.scenario.editable(), "/count").unwrap(), Some("99"));
        }
        let other = TEXT.replace("\"count\" :1", "\"count\" :\"one\"");
        assert!(matches!(add(&mut awake(&other)), RunResult::Refused(Code::NoComponent)));
    }

    #[test]
    fn an_older_model_is_raised_and_keeps_what_nobody_knows() {
        let older =
            TEXT.replace("\"uuid\":", "\"version\": \"1.0\", \"uuid\":").replace("\"count\"", "\"n\"");
        let was: Value = serde_json::from_str(awake(&older).scenario.editable()).unwrap();
        let mut is = was.clone();
        let n = is.as_object_mut().unwrap().remove("n").unwrap();
        is["count"] = n;
        let raised = Raised { was, is, version: "2.0".into() };
        let mut object = awake(&older);
        let done =
            apply(&mut object, Some(&raised), "2", &Context::sample(None), |state: &mut Known, by: i64| {
                state.count += by;
                Ok::<_, ()>(state.count)
            });
        let RunResult::Done { state: Some(state), .. } = done else { panic!("not done: {done:?}") };
        assert_eq!(state.version(), Some("2.0"));
        assert_eq!(json::get(state.editable(), "/count").unwrap(), Some("3"));
        assert_eq!(json::get(state.editable(), "/n").unwrap(), None);
        assert_eq!(json::get(state.editable(), "/newer").unwrap(), Some("[1.0e2, {\"x\":9007199254740993}]"));
    }
}
