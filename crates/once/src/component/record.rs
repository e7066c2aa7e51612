//! `Record`: what every object can do whose component nobody here knows. It touches only the bytes that it is told to.

use once_core::waist::RunResult;
use once_model::json::{self, EditError};
use once_model::scenario::Scenario;
use serde::Deserialize;

use super::apply::failed;
use super::describe::unknown;
use super::words;

#[derive(Deserialize)]
struct Replace<'a> {
    #[serde(default)]
    at: String,
    #[serde(borrow)]
    with: &'a serde_json::value::RawValue,
}

#[derive(Deserialize)]
struct Get {
    #[serde(default)]
    at: String,
}

/// `merge` (RFC 7396), `replace {"at": pointer, "with": value}` and `get {"at": pointer}` (RFC 6901).
pub(super) fn run(scenario: &Scenario, component: &str, action: &str, arguments: &str) -> RunResult {
    match action {
        "merge" => edited(scenario.edit_model(|model| json::merge(model, arguments))),
        "replace" => match words::read::<Replace<'_>>(arguments) {
            Ok(Replace { at, with }) => {
                edited(scenario.edit_model(|model| json::replace(model, &at, with.get())))
            }
            Err(error) => failed(&format!("the arguments do not fit: {error}")),
        },
        "get" => {
            let at = match arguments.trim() {
                "null" => String::new(),
                arguments => match words::read::<Get>(arguments) {
                    Ok(get) => get.at,
                    Err(error) => return failed(&format!("the arguments do not fit: {error}")),
                },
            };
            match json::get(scenario.editable(), &at) {
                Ok(found) => {
                    let result = found.unwrap_or("null").as_bytes().to_vec().into();
                    RunResult::Done { state: None, result, consequences: Vec::new() }
                }
                Err(error) => failed(&error.to_string()),
            }
        }
        _ => {
            let reason = unknown(component, action, ["get", "merge", "replace"]);
            failed(&format!("{reason}, as every object whose component this home does not have"))
        }
    }
}

fn edited(edited: Result<Scenario, EditError>) -> RunResult {
    match edited {
        Ok(state) => RunResult::Done { state: Some(state), result: "null".into(), consequences: Vec::new() },
        Err(error) => failed(&error.to_string()),
    }
}
