//! Whether the page and the documents are what the contract says.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::{METHODS, json_schema, openrpc, page};

/// Set, the test writes the page anew instead of comparing it.
const REWRITE: &str = "ONCE_WRITE_DOCS";

#[test]
fn the_tables_of_the_page_are_written_from_the_contract() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/local-api.md");
    let old = std::fs::read_to_string(&file).unwrap();
    let mut new = old.clone();
    for (name, text) in page::parts() {
        let (begin, end) =
            (format!("<!-- {name}: written from the contract -->\n"), format!("<!-- {name}: end -->"));
        let from = new.find(&begin).unwrap_or_else(|| panic!("{begin} is missing")) + begin.len();
        let to = from + new[from..].find(&end).unwrap_or_else(|| panic!("{end} is missing"));
        new.replace_range(from..to, &format!("\n{}\n\n", text.trim_end()));
    }
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&file, new).unwrap();
        return;
    }
    let differs = old.lines().zip(new.lines()).position(|(old, new)| old != new);
    assert!(
        old == new,
        "docs/local-api.md is not what the contract says, from line {:?} on: {REWRITE}=1 cargo test -p once --lib contract writes it",
        differs.map(|line| line + 1)
    );
}

/// Every reference in a document, where it leads.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn is_whole(document: &Value) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    assert!(found.len() > 60, "{found:?}");
    for path in found {
        let pointer = path.strip_prefix('#').expect("all is in the document");
        assert!(document.pointer(pointer).is_some(), "{path} leads nowhere");
    }
}

#[test]
fn every_method_is_in_both_documents_and_every_reference_leads_somewhere() {
    let (rpc, schema) = (openrpc(), json_schema());
    is_whole(&rpc);
    is_whole(&schema);
    let names: Vec<_> =
        rpc["methods"].as_array().unwrap().iter().map(|method| method["name"].clone()).collect();
    assert_eq!(names, METHODS.iter().map(|method| Value::from(method.name)).collect::<Vec<_>>());
    assert_eq!(
        METHODS.iter().map(|method| method.name).collect::<BTreeSet<_>>().len(),
        names.len(),
        "no name twice"
    );
    for method in rpc["methods"].as_array().unwrap() {
        assert!(!method["summary"].as_str().unwrap().is_empty(), "{} says nothing of itself", method["name"]);
        assert!(schema["methods"][method["name"].as_str().unwrap()]["result"].is_object());
    }
}

/// A name that two types have would be told apart by a digit, and one of the two would be lost where documents are put together.
#[test]
fn no_two_types_have_one_name() {
    let schema = json_schema();
    let types: &Map<String, Value> = schema["$defs"].as_object().unwrap();
    let doubled: Vec<_> = types.keys().filter(|name| name.ends_with(|c: char| c.is_ascii_digit())).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

/// What is shown to people says what it is.
#[test]
fn every_member_of_every_type_says_what_it_is() {
    let schema = json_schema();
    let mut silent = Vec::new();
    for (name, of) in schema["$defs"].as_object().unwrap() {
        if of["description"].is_null() {
            silent.push(name.clone());
        }
        for (member, about) in of["properties"].as_object().into_iter().flatten() {
            if about["description"].is_null() && about["const"].is_null() {
                silent.push(format!("{name}.{member}"));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}
