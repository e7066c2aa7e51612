//! `once actions`

use clap::Args;
use once::api::contract::{self, ActionsResult};
use once::{ActionDescription, ActionsKnown};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Longest line of a description, in characters, without its indentation.
const LINE_MAX_CHARS: usize = 76;

/// Longest description of an action, in characters.
const SAID_MAX_CHARS: usize = 4000;

/// Longest form of arguments or of a result, in characters. `--json` has the whole schema.
const FORM_MAX_CHARS: usize = 64;

/// How deep a form goes into a schema.
const FORM_MAX_DEPTH: usize = 4;

/// List the actions that an object understands
///
/// Each with what it does, and the form of its arguments and its result, where its component says so: a member with a question
/// mark can be left out. With --json these are JSON schemas.
///
/// This kernel tells what it knows of the object's component. The object's home runs the actions, and may have another version
/// of it.
#[derive(Debug, Args)]
pub struct Actions {
    /// Which object; one that is not here by its whole IOR
    object: String,
}

impl Actions {
    /// What every object goes through is listed apart.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Actions { object: self.object }).await?;
        context.answer(&answer, print)?;
        Ok(Exit::DONE)
    }
}

fn print(answer: &ActionsResult) -> Done<()> {
    for action in &answer.actions {
        ui::print(&ui::shown(&action.name))?;
        describe(action)?;
    }
    note(answer);
    if !answer.actions.is_empty() {
        ui::print("")?;
    }
    ui::print("With every object, at its home:")?;
    for action in &answer.built_in {
        let name = ui::shown(&action.name);
        let text = ui::capped(action.description.as_deref().unwrap_or_default(), LINE_MAX_CHARS - 12);
        ui::print(&format!("  {name:<11} {text}"))?;
    }
    Ok(())
}

fn describe(action: &ActionDescription) -> Done<()> {
    if let Some(description) = action.description.as_deref().map(said).filter(|text| !text.is_empty()) {
        ui::prose(&format!("    {description}"))?;
    }
    let forms = [("arguments", &action.arguments), ("result", &action.result)];
    for (label, schema) in forms {
        if let Some(schema) = schema {
            ui::print(&format!("    {label:<10} {}", ui::capped(&form(schema), FORM_MAX_CHARS)))?;
        }
    }
    Ok(())
}

/// From where the actions are known, or why none are.
fn note(answer: &ActionsResult) {
    let component = match answer.component.as_str() {
        "" => "no component".to_owned(),
        name => format!("the component {}", ui::shown(format!("{name} {}", answer.version).trim())),
    };
    let home = answer.home_name.as_deref().map_or_else(|| "its home".to_owned(), ui::shown);
    ui::say(&match answer.known {
        ActionsKnown::Component => format!("{component}, as this kernel has it"),
        ActionsKnown::Program => format!("{component}, as a program serves it here"),
        ActionsKnown::Unnamed => format!(
            "{component}: a program serves it here, and does not name its actions now; start it (`once status` shows whether it \
             is connected), or see its own documentation"
        ),
        ActionsKnown::Record => {
            format!(
                "{component}: this kernel does not have it; these work on every object of such a component"
            )
        }
        _ => format!(
            "{component}: this kernel does not have it. say 'once actions OBJECT' at {home}, or try: an action that is not \
             known there fails, and says which ones are"
        ),
    });
}

/// Words on one line, fit for a terminal.
fn said(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    ui::capped(&words.join(" "), SAID_MAX_CHARS)
}

/// What values of a schema look like, in short: `{"by": integer, "note"?: string}`.
fn form(schema: &Value) -> String {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    part(schema, definitions, FORM_MAX_DEPTH)
}

fn part(schema: &Value, definitions: Option<&Map<String, Value>>, depth: usize) -> String {
    let Some(members) = schema.as_object().filter(|_| depth > 0) else { return "any".to_owned() };
    let inner = |schema: &Value| part(schema, definitions, depth - 1);
    if let Some(name) = members.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        return definitions.and_then(|all| all.get(name)).map_or_else(|| "any".to_owned(), inner);
    }
    if let Some(value) = members.get("const") {
        return value.to_string();
    }
    if let Some(values) = members.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(all) = ["anyOf", "oneOf"].iter().find_map(|word| members.get(*word)?.as_array()) {
        return all.iter().map(inner).collect::<Vec<_>>().join(" | ");
    }
    let types: Vec<&str> = match members.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ if members.contains_key("properties") => vec!["object"],
        _ => return "any".to_owned(),
    };
    let one = |name: &str| match name {
        "object" => object(members, &inner),
        "array" => format!("[{}]", members.get("items").map_or_else(|| "any".to_owned(), inner)),
        other => other.to_owned(),
    };
    types.into_iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn object(members: &Map<String, Value>, inner: &dyn Fn(&Value) -> String) -> String {
    let Some(properties) = members.get("properties").and_then(Value::as_object) else {
        return "object".to_owned();
    };
    let required = members.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|all| all.iter().any(|one| one == name));
    let one = |(name, schema): (&String, &Value)| {
        let mark = if is_required(name) { "" } else { "?" };
        format!("{}{mark}: {}", Value::from(name.as_str()), inner(schema))
    };
    format!("{{{}}}", properties.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_shown_as_what_values_look_like() {
        let schema = json!({
            "type": "object",
            "properties": { "by": { "type": "integer" }, "how": { "$ref": "#/$defs/How" }, "note": { "type": ["string", "null"] } },
            "required": ["by"],
            "$defs": { "How": { "enum": ["up", "down"] } }
        });
        assert_eq!(form(&schema), r#"{"by": integer, "how"?: "up" | "down", "note"?: string | null}"#);
        assert_eq!(form(&json!({ "type": "array", "items": { "const": 7 } })), "[7]");
        for any in [json!(true), json!({}), json!({ "$ref": "#/$defs/Gone" }), json!([])] {
            assert_eq!(form(&any), "any");
        }
        // A schema that refers to itself comes to an end.
        let endless = json!({ "type": "array", "items": { "$ref": "#/$defs/E" }, "$defs": { "E": { "$ref": "#/$defs/E" } } });
        assert_eq!(form(&endless), "[any]");
    }

    #[test]
    fn long_texts_are_cut_and_controls_are_escaped() {
        assert_eq!(said(" a\n  longer\tword "), "a longer word");
        assert_eq!(said(&"y".repeat(9000)).chars().count(), SAID_MAX_CHARS + 1);
        assert!(!said("a\u{1b}[2Jb").contains('\u{1b}'));
    }
}
