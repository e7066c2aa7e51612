//! Scenarios: what the bytes are is said without a panic, what was read is what an ordinary parser reads, and no byte of
//! it is lost.

#![cfg_attr(not(test), no_main)]

use std::collections::BTreeSet;

use once_model::hash::content_hash;
use once_model::ior::Ior;
use once_model::json::{JsonErrorKind, compact, pretty, validate};
use once_model::limits::{NAME_MAX_BYTES, REFERENCES_MAX};
use once_model::references::references;
use once_model::scenario::{Format, Identity, Scenario, ScenarioError, ScenarioErrorKind};
use serde_json::Value;

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    match Scenario::parse(bytes.to_vec()) {
        Ok(scenario) => {
            keeps_its_bytes(&scenario, bytes);
            holds_the_limits(&scenario);
            refers(&scenario);
            respaces(&scenario);
            composes(&scenario);
            changes_version(&scenario);
            // What it does not read are lone surrogates and numbers beyond a double.
            if let Ok(tree) = serde_json::from_slice(bytes) {
                agrees(&scenario, &tree);
            }
        }
        Err(error) => refused(&error, bytes),
    }
}

fn keeps_its_bytes(scenario: &Scenario, bytes: &[u8]) {
    assert_eq!(scenario.bytes(), bytes);
    assert_eq!(scenario.as_str().as_bytes(), bytes);
    assert_eq!(validate(bytes), Ok(scenario.as_str()));
    assert_eq!(scenario.hash(), content_hash(bytes));
    match scenario.model() {
        Some(model) => {
            assert_eq!(scenario.editable(), model);
            assert_eq!(validate(model.as_bytes()), Ok(model.trim()));
            assert_eq!(scenario.with_model(model).as_ref(), Ok(scenario));
        }
        None => {
            assert_eq!(scenario.editable(), scenario.as_str());
            assert_eq!(scenario.with_model("{}").map_err(|e| e.kind()), Err(ScenarioErrorKind::NoModel));
        }
    }
}

fn holds_the_limits(scenario: &Scenario) {
    for shown in [scenario.component(), scenario.version(), scenario.name()].into_iter().flatten() {
        assert!(shown.len() <= NAME_MAX_BYTES);
    }
    assert!(scenario.owner().to_string().len() <= 2 * NAME_MAX_BYTES + 1); // user@host
    assert!(!scenario.uuid().is_nil() && !scenario.uuid().is_max());
    assert!(format!("{scenario:?}").len() < 4096);
}

fn refers(scenario: &Scenario) {
    let found = references(scenario);
    assert!(found.items.len() <= REFERENCES_MAX);
    assert!(!found.truncated, "the fuzzer's texts are short");
    let mut seen = BTreeSet::new();
    for reference in found.items {
        assert_eq!(Ior::parse(reference.target.as_str()).as_ref(), Ok(&reference.target));
        assert!(reference.path.len() < 600);
        assert!(seen.insert(reference.target), "twice");
    }
}

fn respaces(scenario: &Scenario) {
    let tight = compact(scenario.as_str()).expect("it was read");
    assert_eq!(compact(&tight).as_ref(), Ok(&tight));
    let wide = pretty(scenario.as_str(), 1).expect("short texts stay below the limit");
    assert_eq!(compact(&wide).as_ref(), Ok(&tight));
    assert_eq!(pretty(&wide, 1), Ok(wide));
}

/// Its parts, put together anew, are read as they were.
fn composes(scenario: &Scenario) {
    let (Some(component), Some(version)) = (scenario.component(), scenario.version()) else { return };
    let (uuid, owner) = (scenario.uuid(), scenario.owner().to_string());
    let model = scenario.model().unwrap_or("{}");
    match Scenario::compose(uuid, component, version, &owner, model) {
        Ok(new) => {
            assert_eq!((new.uuid(), new.identity(), new.format()), (uuid, Identity::Ior, Format::A));
            assert_eq!((new.component(), new.version()), (Some(component), Some(version)));
            assert_eq!(new.model().map(compact), Some(compact(model)));
        }
        Err(error) => assert_eq!(error.kind(), ScenarioErrorKind::BadName),
    }
}

/// With another version it is the same object in all else.
fn changes_version(old: &Scenario) {
    match old.with_version("fuzz \"\u{e9}\"") {
        Ok(new) => {
            assert_eq!(new.version(), Some("fuzz \"\u{e9}\""));
            assert_eq!(
                (new.uuid(), new.identity(), new.format()),
                (old.uuid(), old.identity(), old.format())
            );
            assert_eq!(
                (new.component(), new.name(), new.owner()),
                (old.component(), old.name(), old.owner())
            );
            assert_eq!(new.model(), old.model());
            if let Some(version) = old.version() {
                assert_eq!(new.with_version(version).as_ref().map(Scenario::version), Ok(Some(version)));
            }
        }
        Err(_) => assert!(old.version().is_none() || old.identity() == Identity::Derived),
    }
}

/// The view against a tree, which keeps the last of duplicate keys too.
fn agrees(scenario: &Scenario, tree: &Value) {
    let ior = Some(&tree["ior"]).filter(|ior| ior.is_object()).unwrap_or(&tree["IOR"]);
    let (component, version) = match scenario.format() {
        Format::C => (&tree["objectType"], &tree["version"]),
        _ => (&ior["component"], &ior["version"]),
    };
    let model = match scenario.format() {
        Format::C if tree.get("model").is_none() => tree.get("state"),
        _ => tree.get("model"),
    };
    let name = model.and_then(|model| model["name"].as_str()).or(tree["name"].as_str());
    assert_eq!(scenario.component(), component.as_str().map(capped));
    assert_eq!(scenario.name(), name.map(capped));
    match version {
        Value::String(version) => assert_eq!(scenario.version(), Some(capped(version))),
        Value::Null => assert_eq!(scenario.version(), None),
        _ => assert!(scenario.version().is_some()),
    }
    let seen: Option<Value> = scenario.model().and_then(|model| serde_json::from_str(model).ok());
    assert_eq!(seen.as_ref(), model);

    let uuid = |value: &Value| {
        let uuid = value.as_str().filter(|text| text.len() == 36)?.parse::<once_model::ids::Uuid>().ok()?;
        (!uuid.is_nil() && !uuid.is_max()).then_some(uuid)
    };
    let expected = [
        (uuid(&ior["uuid"]), Identity::Ior),
        (uuid(&tree["model"]["uuid"]), Identity::Model),
        (uuid(&tree["uuid"]), Identity::TopLevel),
    ];
    match expected.into_iter().find_map(|(uuid, from)| Some((uuid?, from))) {
        Some(expected) => assert_eq!((scenario.uuid(), scenario.identity()), expected),
        None => assert_eq!(scenario.identity(), Identity::Derived),
    }

    let mut wanted = Vec::new();
    texts(tree, &mut wanted);
    let found: BTreeSet<Ior> = references(scenario).items.into_iter().map(|found| found.target).collect();
    for ior in wanted.into_iter().filter_map(|text| Ior::parse(text).ok()) {
        let own = ior.uuid() == Some(scenario.uuid()) && ior.lineage().is_none();
        assert!(own || found.contains(&ior), "{ior} was not found");
    }
}

fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_MAX_BYTES)]
}

/// All texts but those that may say which object it is itself.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            members.iter().filter(|(key, _)| *key != "uuid").for_each(|(_, value)| texts(value, found));
        }
        _ => {}
    }
}

/// The fault is one, it is where it is said to be, and the message can be shown to people.
fn refused(error: &ScenarioError, bytes: &[u8]) {
    let json =
        std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    match error.kind() {
        ScenarioErrorKind::NotAnObject => {
            assert!(json && bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{'));
        }
        // The depth of that parser is another one.
        ScenarioErrorKind::Json(JsonErrorKind::TooDeep) => {}
        ScenarioErrorKind::Json(_) => assert!(!json, "{error}"),
        kind => panic!("{kind:?}"),
    }
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!((1..=lines).contains(&error.line()) && (1..=bytes.len() + 1).contains(&error.column()));
    let (shown, _) = (error.to_string(), (error.message(), error.hint()));
    assert!(shown.len() < 2048 && !shown.chars().any(char::is_control), "{shown:?}");
}
