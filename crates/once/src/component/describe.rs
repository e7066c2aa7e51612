//! What components say of their actions: a description, and the JSON schemas of arguments and result, for people and
//! programs that look before they act. And what somebody is told who asks for an action that is none.

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::words::shown;

/// Names of actions that an error lists at most.
const LISTED_MAX: usize = 16;

/// What these names take up at most in an error, in bytes: a name may be as long as 255.
const LISTED_MAX_BYTES: usize = 512;

/// Names that are compared with one that was mistyped, and how long they may be, in bytes: this is done on the engine's thread.
const COMPARED_MAX: usize = 256;
const COMPARED_MAX_BYTES: usize = 48;

/// Names that are less alike are not suggested: 0 for nothing in common, 1 for the same.
const ALIKE_MIN: f64 = 0.75;

/// An action that a component understands, as far as the component describes it.
///
/// ```
/// let counter = once::component::counter();
/// let add = counter.described().find(|action| action.name == "add").unwrap();
/// assert_eq!(add.arguments.as_ref().unwrap()["required"], serde_json::json!(["by"]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ActionDescription {
    /// The action's name.
    pub name: String,
    /// What it does, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema (draft 2020-12) of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The JSON schema of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

impl ActionDescription {
    /// An action of which only the name is known.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With a text that says what the action does.
    #[must_use]
    pub fn description(self, text: impl Into<String>) -> Self {
        Self { description: Some(text.into()), ..self }
    }

    /// With the schemas of types: `A` for the arguments, `T` for the result. Where the action has no description yet, the
    /// documentation of `A` becomes it.
    #[must_use]
    pub fn types<A: JsonSchema, T: JsonSchema>(self) -> Self {
        let mut arguments = schema::<A>();
        let text = arguments.as_object_mut().and_then(|members| members.remove("description"));
        let text = text.and_then(|text| text.as_str().map(str::to_owned));
        Self {
            description: self.description.or(text),
            arguments: Some(arguments),
            result: Some(schema::<T>()),
            ..self
        }
    }
}

/// The schema of a type, without what is the same for all.
fn schema<T: JsonSchema>() -> Value {
    let mut schema = Value::from(SchemaGenerator::default().into_root_schema_for::<T>());
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
    }
    schema
}

/// What every object understands whose component is not known at its home.
pub(crate) fn of_every_record() -> [ActionDescription; 3] {
    let at =
        json!({ "type": "string", "description": "a JSON pointer into the model, or \"\" for all of it" });
    let with_schema = |name: &str, text: &str, arguments: Value| ActionDescription {
        arguments: Some(arguments),
        ..ActionDescription::named(name).description(text)
    };
    [
        with_schema(
            "get",
            "Returns the model, or what is at one place in it.",
            json!({ "type": ["object", "null"], "properties": { "at": at } }),
        ),
        with_schema(
            "merge",
            "Changes the model by a merge patch (RFC 7396).",
            json!({ "type": "object", "description": "the patch" }),
        ),
        with_schema(
            "replace",
            "Replaces what is at one place in the model.",
            json!({ "type": "object", "properties": { "at": at, "with": true }, "required": ["with"] }),
        ),
    ]
}

/// What a kernel does with every object that has its home there, under the names that a history shows.
pub(crate) fn built_in() -> [ActionDescription; 6] {
    let action = |name: &str, text: &str| ActionDescription::named(name).description(text);
    [
        action("once:claim", "This kernel becomes its first home (once claim)."),
        action("once:put", "Replaces the whole scenario (once put)."),
        action("once:import", "Takes in a file that was changed (once import)."),
        action("once:keep", "Takes over what is kept beside it (once conflicts keep)."),
        action("once:move", "Gives it another home (once move)."),
        action("once:remove", "Removes it for good (once rm)."),
    ]
}

/// The reason for which an action fails that a component does not know: what it does know, as far as there is room, and
/// what was probably meant. The text travels to wherever the action came from.
pub(super) fn unknown<'a>(component: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let meant =
        closest(name, &known).map_or_else(String::new, |meant| format!(" Did you mean '{}'?", shown(meant)));
    let component = shown(component);
    let of = if component.is_empty() { "an object without a component".to_owned() } else { component };
    let begin = format!("{of} understands no action '{}'.{meant}", shown(name));
    match known.is_empty() {
        true => format!("{begin} It understands none that is known."),
        false => format!("{begin} It understands: {}", listed(&known)),
    }
}

/// As many names as there is room for, and how many more there are.
fn listed(known: &[&str]) -> String {
    let mut text = String::new();
    for (at, name) in known.iter().enumerate() {
        let name = shown(name);
        if at == LISTED_MAX || text.len() + name.len() > LISTED_MAX_BYTES {
            return format!("{text} and {} more", known.len() - at);
        }
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    text
}

/// The name that is most like one that was asked for.
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = name.to_ascii_lowercase();
    if folded.len() > COMPARED_MAX_BYTES {
        return None;
    }
    let near = known.iter().take(COMPARED_MAX).filter(|other| other.len() <= COMPARED_MAX_BYTES);
    let scored = near.map(|other| (strsim::jaro_winkler(&folded, &other.to_ascii_lowercase()), *other));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(alike, _)| *alike >= ALIKE_MIN).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_action_is_told_what_is_known_and_what_was_meant() {
        let told = unknown("Counter", "ad", ["add", "get"]);
        assert_eq!(told, "Counter understands no action 'ad'. Did you mean 'add'? It understands: add, get");
        assert!(!unknown("Counter", "explode", ["add", "get"]).contains("mean"));
        assert!(unknown("Counter", "GET", ["add", "get"]).contains("'get'?"));
        assert!(unknown("Served", "x", []).ends_with("none that is known."));
    }

    #[test]
    fn what_it_is_told_is_bounded_and_shown() {
        let many: Vec<String> = (0..1000).map(|n| format!("action-{n}")).collect();
        let told = unknown("Big", "act", many.iter().map(String::as_str));
        assert!(told.contains("action-15 and 984 more") && !told.contains("action-16,"), "{told}");
        let long: Vec<String> = (0..1000).map(|n| format!("{n:0>255}")).collect();
        let told = unknown(&"C".repeat(255), &"n".repeat(255), long.iter().map(String::as_str));
        assert!(told.len() < 1024, "{} bytes", told.len());
        assert!(!unknown("a\u{1b}[2J", "b\n", ["c\u{9b}"]).chars().any(char::is_control));
    }

    #[test]
    fn every_action_of_what_is_shipped_is_described() {
        for component in [super::super::counter(), super::super::account(), super::super::coordination()] {
            assert!(component.actions().count() > 1);
            for action in component.described() {
                let whole =
                    action.description.is_some() && action.arguments.is_some() && action.result.is_some();
                assert!(whole, "{}: {action:?}", component.name());
            }
        }
        let funds = super::super::account().described().find(|action| action.name == "deposit").unwrap();
        assert_eq!(funds.arguments.unwrap()["properties"]["amount"]["minimum"], 0);
        assert_eq!(funds.result.unwrap()["required"], json!(["balance", "available"]));
    }
}
