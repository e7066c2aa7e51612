//! Arguments of a step, in which outcomes of other steps may stand: `{"$outcome": "step", "at": "/pointer"}`.
//!
//! Such an object is a reference wherever it stands in the arguments. `at` is a JSON pointer (RFC 6901) into the result
//! of that step; without it, it is the whole result. All other bytes of the arguments are sent as they are spelled.

use std::collections::BTreeMap;

use once_model::json;
use once_model::limits::{ARGUMENTS_MAX_BYTES, PLAN_MAX_REFERENCES};
use serde_json::Value;
use serde_json::value::RawValue;

/// What makes an object a reference.
const OUTCOME: &str = "$outcome";

/// Arguments, and where the outcomes of other steps go in them.
#[derive(Debug, Clone)]
pub(super) struct Arguments {
    text: Box<RawValue>,
    references: Vec<Reference>,
}

/// A place that an outcome takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Where, in the arguments: a JSON pointer.
    place: String,
    /// The step whose outcome is meant.
    pub step: String,
    /// Which part of it: a JSON pointer.
    at: String,
}

impl Arguments {
    /// Reads the references.
    pub fn read(text: &RawValue) -> Result<Self, String> {
        if text.get().len() > ARGUMENTS_MAX_BYTES {
            let bytes = text.get().len();
            return Err(format!(
                "the arguments have {bytes} bytes; at most {ARGUMENTS_MAX_BYTES} are allowed"
            ));
        }
        let mut references = Vec::new();
        find(text, &mut String::new(), &mut references)?;
        if references.len() > PLAN_MAX_REFERENCES {
            let found = references.len();
            return Err(format!(
                "the arguments have {found} references to outcomes; at most {PLAN_MAX_REFERENCES} are allowed"
            ));
        }
        Ok(Self { text: text.to_owned(), references })
    }

    /// No outcomes of other steps.
    pub fn none() -> Self {
        Self { text: RawValue::NULL.to_owned(), references: Vec::new() }
    }

    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The arguments with every outcome in its place. `outcome` knows the results of the steps that are done.
    pub fn fill<'v>(&self, outcome: impl Fn(&str) -> Option<&'v Value>) -> Result<Box<RawValue>, String> {
        if self.references.is_empty() {
            return Ok(self.text.clone());
        }
        let mut text = self.text.get().to_owned();
        for Reference { place, step, at } in &self.references {
            let result = outcome(step)
                .ok_or_else(|| format!("the outcome of step '{step}' was not kept: it is too large"))?;
            let part = result
                .pointer(at)
                .ok_or_else(|| format!("the outcome of step '{step}' has nothing at '{at}'"))?;
            text = json::replace(&text, place, &part.to_string()).map_err(|error| error.to_string())?;
            if text.len() > ARGUMENTS_MAX_BYTES {
                return Err(format!(
                    "with the outcome of step '{step}' the arguments have more than {ARGUMENTS_MAX_BYTES} bytes"
                ));
            }
        }
        RawValue::from_string(text).map_err(|error| error.to_string())
    }
}

/// Collects the references below a place. The scanner has bounded the depth.
fn find(value: &RawValue, place: &mut String, found: &mut Vec<Reference>) -> Result<(), String> {
    let text = value.get();
    let unreadable = |error: serde_json::Error| format!("the arguments: {error}");
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(unreadable)?;
            if members.contains_key(OUTCOME) {
                found.push(reference(&members, place)?);
                return Ok(());
            }
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                below(&key, member, place, found)?;
            }
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
            for (at, element) in elements.into_iter().enumerate() {
                below(&at.to_string(), element, place, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn below(key: &str, value: &RawValue, place: &mut String, found: &mut Vec<Reference>) -> Result<(), String> {
    let length = place.len();
    place.push('/');
    place.push_str(key);
    let done = find(value, place, found);
    place.truncate(length);
    done
}

fn reference(members: &BTreeMap<String, &RawValue>, place: &str) -> Result<Reference, String> {
    let what = || {
        format!(
            "at '{place}': a reference is {{\"{OUTCOME}\": \"STEP\", \"at\": \"/POINTER\"}} and nothing else"
        )
    };
    let text = |value: &&RawValue| serde_json::from_str::<String>(value.get()).map_err(|_| what());
    let step = members.get(OUTCOME).map_or_else(|| Err(what()), text)?;
    let at = members.get("at").map(text).transpose()?;
    if members.len() > 1 + usize::from(at.is_some()) {
        return Err(what());
    }
    let at = at.unwrap_or_default();
    if !at.is_empty() && !at.starts_with('/') {
        return Err(format!("at '{place}': '{at}' is no JSON pointer: it must be empty or begin with '/'"));
    }
    Ok(Reference { place: place.to_owned(), step, at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Arguments, String> {
        Arguments::read(&RawValue::from_string(text.to_owned()).unwrap())
    }

    fn filled(text: &str, result: &Value) -> Result<String, String> {
        read(text)?.fill(|step| (step == "one").then_some(result)).map(|text| text.get().to_owned())
    }

    #[test]
    fn an_outcome_takes_its_place_and_all_else_stays_as_it_is_spelled() {
        let result = json!({ "a/b": [1, { "n": null }], "n": 7 });
        let text = r#"{ "x":1.0e+2, "é\u00e9/~":[ {"$outcome":"one","at":"/a~1b/1"},2 ] , "big":18446744073709551616,"y":{"$outcome" : "one"}}"#;
        let expected = text
            .replace(r#"{"$outcome":"one","at":"/a~1b/1"}"#, r#"{"n":null}"#)
            .replace(r#"{"$outcome" : "one"}"#, &result.to_string());
        assert_eq!(filled(text, &result), Ok(expected));
        assert_eq!(filled(r#"{"$outcome":"one","at":"/n"}"#, &result).as_deref(), Ok("7"));
        let plain = r#" {"a":1e999,"b":[{"outcome":"one"}]}"#.trim();
        assert_eq!(filled(plain, &result).as_deref(), Ok(plain));
    }

    #[test]
    fn what_cannot_be_filled_in_says_why() {
        let said = |text: &str| filled(text, &json!({ "n": 7 })).unwrap_err();
        assert!(said(r#"{"$outcome":"one","at":"/m"}"#).contains("nothing at '/m'"));
        assert!(said(r#"{"$outcome":"two"}"#).contains("'two' was not kept"));
        assert!(said(r#"[{"$outcome":"one","at":"n"}]"#).contains("no JSON pointer"));
        assert!(said(r#"[0,{"$outcome":"one","and":1}]"#).contains("at '/1': a reference is"));
        assert!(said(r#"{"$outcome":7}"#).contains("a reference is"));
        let large = json!("x".repeat(ARGUMENTS_MAX_BYTES));
        assert!(filled(r#"[{"$outcome":"one"}]"#, &large).unwrap_err().contains("more than"));
        assert!(read(&format!("\"{}\"", "x".repeat(ARGUMENTS_MAX_BYTES))).unwrap_err().contains("at most"));
        let many = format!("[{}0]", r#"{"$outcome":"one"},"#.repeat(PLAN_MAX_REFERENCES + 1));
        assert!(read(&many).unwrap_err().contains("references"));
    }
}
