//! The parts of `docs/local-api.md` that are written from the contract.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::errors::exit_of;
use super::list::METHODS;
use super::openrpc::{json_schema, resolved};
use crate::ErrorKind;

/// The name of each part, and what stands in it.
pub(super) fn parts() -> Vec<(&'static str, String)> {
    let schema = json_schema();
    let empty = Map::new();
    let types = schema["$defs"].as_object().unwrap_or(&empty);
    vec![
        ("methods", methods(&schema["methods"], types)),
        ("notifications", notifications(&schema["notifications"], types)),
        ("types", all_types(types)),
        ("errors", errors(types)),
    ]
}

fn methods(all: &Value, types: &Map<String, Value>) -> String {
    let (mut out, mut group) = (String::new(), "");
    for method in METHODS {
        if method.group != group {
            group = method.group;
            let _ = writeln!(out, "### {group}\n");
        }
        let Value::Object(of) = &all[method.name] else { continue };
        let params = resolved(types, &of["params"]);
        let _ = writeln!(out, "#### `{}`\n\n{}\n", method.name, text(&params));
        members(&mut out, &params, "parameter");
        let _ = writeln!(out, "Answer: {}.\n", type_of(&of["result"]));
    }
    out
}

fn notifications(all: &Value, types: &Map<String, Value>) -> String {
    let mut out = "| `kind` | members | |\n|---|---|---|\n".to_owned();
    let event = resolved(types, &all["event"]);
    for kind in event["oneOf"].as_array().into_iter().flatten() {
        let inner = kind["$ref"].as_str().map_or_else(|| kind.clone(), |_| resolved(types, kind));
        let mut names: Vec<_> =
            kind["properties"].as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect();
        if inner != *kind {
            names.extend(inner["properties"].as_object().into_iter().flatten().map(|(n, _)| n.clone()));
        }
        let word = kind["properties"]["kind"]["const"].as_str().unwrap_or_default();
        names.retain(|name| name != "kind");
        let named: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "| `{word}` | {} | {} |", named.join(", "), line(kind));
    }
    out
}

/// Every type that is not the parameters of a method.
fn all_types(types: &Map<String, Value>) -> String {
    let mut out = String::new();
    let schema = json_schema();
    let is_params = |name: &str| {
        let path = format!("#/$defs/{name}");
        schema["methods"]
            .as_object()
            .into_iter()
            .flatten()
            .any(|(_, of)| of["params"]["$ref"] == path.as_str())
    };
    for (name, schema) in types.iter().filter(|(name, _)| !is_params(name) && *name != "ErrorCode") {
        let _ = writeln!(out, "#### {name}\n\n{}\n", text(schema));
        members(&mut out, schema, "member");
        choices(&mut out, schema);
    }
    out
}

fn errors(types: &Map<String, Value>) -> String {
    let mut out = "| `data.code` | exit | meaning |\n|---|---|---|\n".to_owned();
    let about = types.get("ErrorCode").and_then(|codes| codes["oneOf"].as_array());
    for kind in ErrorKind::ALL {
        let (code, exit) = (kind.as_str(), exit_of(*kind));
        let meaning = about.into_iter().flatten().find(|one| one["const"] == code).map(line);
        let _ = writeln!(out, "| `{code}` | {exit} | {} |", meaning.unwrap_or_default());
    }
    out
}

/// A table of an object's members, those that are always there first.
fn members(out: &mut String, schema: &Value, title: &str) {
    let Some(all) = schema["properties"].as_object().filter(|all| !all.is_empty()) else { return };
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let mut rows: Vec<_> = all.iter().collect();
    rows.sort_by_key(|(name, _)| !is_required(name));
    let _ = writeln!(out, "| {title} | type | |\n|---|---|---|");
    for (name, member) in rows {
        let mark = if is_required(name) { "" } else { "?" };
        let _ = writeln!(out, "| `{name}{mark}` | {} | {} |", type_of(member), line(member));
    }
    out.push('\n');
}

/// A table of the values that a type may have, or of the shapes.
fn choices(out: &mut String, schema: &Value) {
    let Some(all) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) else { return };
    let _ = writeln!(out, "| one of | |\n|---|---|");
    for one in all {
        if let Some(words) = one["enum"].as_array() {
            for word in words.iter().filter_map(Value::as_str) {
                let _ = writeln!(out, "| `{word}` | {} |", line(one));
            }
            continue;
        }
        let (name, about) =
            match (one["const"].as_str(), one["$ref"].is_string(), one["properties"].is_object()) {
                (Some(word), ..) => (format!("`{word}`"), line(one)),
                (None, true, false) => (type_of(one), line(one)),
                // A tag, and the members of another type beside it.
                (None, true, true) => {
                    let (name, about) = variant(one);
                    (name, format!("{about} The members of {} besides.", type_of(one)))
                }
                (None, false, _) => variant(one),
            };
        let _ = writeln!(out, "| {name} | {about} |");
    }
    out.push('\n');
}

/// One of several shapes of an object: by its tag, or by its members; and what these are.
fn variant(schema: &Value) -> (String, String) {
    let members: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    let tag = members.iter().find_map(|(name, of)| Some(format!("`{name}`: `{}`", of["const"].as_str()?)));
    let others = || members.iter().filter(|(_, of)| of["const"].is_null());
    let name = tag.unwrap_or_else(|| {
        others().map(|(name, of)| format!("`{name}`: {}", type_of(of))).collect::<Vec<_>>().join(", ")
    });
    let about = others().filter(|(_, of)| of["description"].is_string());
    let about: Vec<_> = about.map(|(name, of)| format!("`{name}` ({}): {}", type_of(of), line(of))).collect();
    (name, [vec![line(schema)], about].concat().join(" "))
}

/// What a type is called on the page.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        if name == "ErrorCode" {
            return "[code](#errors)".to_owned(); // the codes have a table of their own
        }
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(all) = schema["anyOf"].as_array() {
        return all.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let one = |word: &str| match (word, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("string", Some("uuid")) => "UUID".to_owned(),
        ("string", _) => "text".to_owned(),
        (word, _) => word.to_owned(),
    };
    match &schema["type"] {
        Value::String(word) => one(word),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "any JSON".to_owned(),
    }
}

/// What a type says of itself, without the examples in Rust that follow.
fn text(schema: &Value) -> String {
    let whole = schema["description"].as_str().unwrap_or_default();
    whole.split("\n\n```").next().unwrap_or_default().to_owned()
}

/// The same in one line.
fn line(schema: &Value) -> String {
    text(schema).replace('\n', " ").replace('|', "\\|")
}
