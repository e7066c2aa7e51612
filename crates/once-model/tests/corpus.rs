//! Every real scenario: 1,034 files from the wild, and 6 broken ones.
//!
//! The corpus is not part of the project. It is looked for in `ONCE_CORPUS` or beside the repository; without it these
//! tests say so and pass, unless `ONCE_REQUIRE_ALL=1`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use once_model::hash::content_hash;
use once_model::ior::{Form, Ior};
use once_model::json::{JsonErrorKind, compact};
use once_model::references::{Place, references};
use once_model::scenario::{Format, Identity, Owner, Scenario, ScenarioErrorKind};
use serde_json::Value;

/// How many files there are, of which the exact counts are known.
const FILES: usize = 1034;

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("ONCE_CORPUS").map_or_else(beside, PathBuf::from);
    if folder.join("scenarios").is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"),
        "corpus not found at {}",
        folder.display()
    );
    println!("skipped: corpus not found at {}", folder.display());
    None
}

/// All files below a folder, in the order of their paths; links are not followed.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push((entry.path(), fs::read(entry.path()).unwrap())),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// All real scenarios; none if there is no corpus.
fn scenarios() -> Vec<(PathBuf, Vec<u8>, Scenario)> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let parse = |(path, bytes): (PathBuf, Vec<u8>)| match Scenario::parse(bytes.clone()) {
        Ok(scenario) => (path, bytes, scenario),
        Err(error) => panic!("{}: {error}", path.display()),
    };
    files(&corpus.join("scenarios")).into_iter().map(parse).collect()
}

fn count<T: ToString>(values: impl Iterator<Item = T>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value.to_string()).or_default() += 1;
    }
    counts
}

fn pairs<const N: usize>(pairs: [(&str, usize); N]) -> BTreeMap<String, usize> {
    pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn every_scenario_is_read_and_comes_back_byte_for_byte() {
    let all = scenarios();
    for (path, bytes, scenario) in &all {
        assert_eq!(scenario.bytes(), bytes, "{}", path.display());
        assert_eq!(scenario.hash(), content_hash(bytes));
        assert_ne!(scenario.format(), Format::Other, "{}", path.display());
        if let Some(model) = scenario.model() {
            assert_eq!(scenario.with_model(model).as_ref(), Ok(scenario), "{}", path.display());
        }
    }
    if all.len() == FILES {
        let formats = count(all.iter().map(|(_, _, scenario)| scenario.format()));
        assert_eq!(formats, pairs([("A", 555), ("B", 430), ("C", 9), ("D", 28), ("E", 9), ("F", 3)]));
        let identities = count(all.iter().map(|(_, _, scenario)| scenario.identity()));
        let expected =
            [("ior.uuid", 1006), ("model.uuid", 16), ("uuid", 10), ("derived from the content", 2)];
        assert_eq!(identities, pairs(expected));
    }
}

/// The view against an ordinary JSON parser, which keeps the last of duplicate keys too.
#[test]
fn the_view_agrees_with_a_full_parse() {
    for (path, bytes, scenario) in scenarios() {
        let tree: Value = serde_json::from_slice(&bytes).unwrap();
        let path = path.display();
        let ior = tree.get("ior").or(tree.get("IOR")).unwrap_or(&Value::Null);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (component, version, model) = match scenario.format() {
            Format::C => (&tree["objectType"], &tree["version"], &tree["state"]),
            _ => (&ior["component"], &ior["version"], &tree["model"]),
        };
        assert_eq!(scenario.component().map(str::to_owned), text(component), "{path}");
        match version {
            Value::Object(_) => {
                assert_eq!(&serde_json::from_str::<Value>(scenario.version().unwrap()).unwrap(), version)
            }
            _ => assert_eq!(scenario.version().map(str::to_owned), text(version), "{path}"),
        }
        assert_eq!(
            scenario.name().map(str::to_owned),
            text(&model["name"]).or(text(&tree["name"])),
            "{path}"
        );
        let seen = scenario.model().map_or(Value::Null, |model| serde_json::from_str(model).unwrap());
        assert_eq!(&seen, model, "{path}");
        let uuid = scenario.uuid().to_string();
        match scenario.identity() {
            Identity::Ior => assert_eq!(text(&ior["uuid"]), Some(uuid), "{path}"),
            Identity::Model => assert_eq!(text(&model["uuid"]), Some(uuid), "{path}"),
            Identity::TopLevel => assert_eq!(text(&tree["uuid"]), Some(uuid), "{path}"),
            _ => assert_eq!(scenario.uuid().get_version_num(), 5, "{path}"),
        }
    }
}

#[test]
fn every_owner_is_readable() {
    for (path, bytes, scenario) in scenarios() {
        let tree: Value = serde_json::from_slice(&bytes).unwrap();
        match scenario.owner() {
            Owner::Absent => assert!(tree.get("owner").is_none(), "{}", path.display()),
            Owner::Name(name) => {
                assert!(name.len() < 20 && !name.contains('{'), "{}: {name}", path.display())
            }
            Owner::User { user, .. } => assert!(!user.is_empty()),
            owner => panic!("{}: {owner}", path.display()),
        }
    }
}

#[test]
fn every_broken_file_is_named_for_what_it_is() {
    let Some(corpus) = corpus() else { return };
    let mut seen = Vec::new();
    for (path, bytes) in files(&corpus.join("malformed")) {
        let error = Scenario::parse(bytes).unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 1), "{}: {error}", path.display());
        assert!(error.hint().is_some());
        seen.push(match error.kind() {
            ScenarioErrorKind::Json(JsonErrorKind::ConflictMarker) => "conflict",
            ScenarioErrorKind::Json(JsonErrorKind::Blank) => "blank",
            _ => panic!("{}: {error}", path.display()),
        });
    }
    assert_eq!(count(seen.into_iter()), pairs([("conflict", 5), ("blank", 1)]));
}

#[test]
fn every_ior_round_trips_and_has_a_known_form() {
    fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::String(text) => found.push(text),
            Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
            Value::Object(map) => map.values().for_each(|value| texts(value, found)),
            _ => {}
        }
    }
    let mut forms = Vec::new();
    for (path, bytes, _) in scenarios() {
        let tree: Value = serde_json::from_slice(&bytes).unwrap();
        let mut found = Vec::new();
        texts(&tree, &mut found);
        for text in found.into_iter().filter(|text| text.starts_with("ior:") || text.starts_with("web4:")) {
            let ior = Ior::parse(text).unwrap();
            assert_eq!(ior.to_string(), text);
            forms.push(match ior.form() {
                Form::Git { .. } => "git",
                Form::GitHash(_) => "git:hash",
                Form::GitText { .. } => "git:text",
                Form::Esm { .. } => "esm",
                Form::Unit(_) => "unit",
                Form::Local { .. } => "local",
                Form::Web4 { uuid: Some(_), .. } => "web4",
                Form::Http { .. } => "http",
                form => panic!("{}: {text}: {form:?}", path.display()),
            });
        }
    }
    if !forms.is_empty() {
        let forms = count(forms.into_iter());
        assert_eq!(forms.len(), 8, "{forms:?}");
    }
}

#[test]
fn references_are_found_wherever_they_stand() {
    let all = scenarios();
    let mut places = BTreeMap::new();
    for (path, bytes, scenario) in &all {
        let found = references(scenario);
        assert!(!found.truncated);
        let tree: Value = serde_json::from_slice(bytes).unwrap();
        for reference in found.items {
            assert_ne!(reference.target.uuid(), Some(scenario.uuid()), "{}", path.display());
            // Each path leads to what was found.
            let pointer = format!("/{}", reference.path.replace(['.', '['], "/").replace(']', ""));
            let target = tree.pointer(&pointer).and_then(Value::as_str);
            assert_eq!(target, Some(reference.target.as_str()), "{}: {pointer}", path.display());
            *places.entry(format!("{:?}", reference.place)).or_insert(0) += 1;
        }
    }
    if all.len() == FILES {
        assert!(places[&format!("{:?}", Place::IorString)] > 500, "{places:?}");
        assert!(places[&format!("{:?}", Place::Uuid)] > 10, "{places:?}");
    }
}

/// What is composed here looks like what the TypeScript kernels write, but for the times.
#[test]
fn composed_scenarios_look_like_real_ones() {
    let all = scenarios();
    let mut alike = 0;
    for (_, bytes, scenario) in all.iter().filter(|(_, _, scenario)| scenario.format() == Format::A) {
        let tree: Value = serde_json::from_slice(bytes).unwrap();
        let (Some(owner), Some(model)) = (tree["owner"].as_str(), scenario.model()) else { continue };
        let (Some(component), Some(version)) = (scenario.component(), scenario.version()) else { continue };
        let composed = Scenario::compose(scenario.uuid(), component, version, owner, model).unwrap();
        assert_eq!(compact(composed.model().unwrap()), compact(model));
        let real = scenario.as_str();
        let timeless =
            real.rsplit_once(",\n    \"createdAt\"").map(|(before, _)| format!("{before}\n  }}\n}}"));
        alike += usize::from(timeless.as_deref() == Some(composed.as_str()));
    }
    println!("{alike} composed scenarios are like real ones to the byte");
    if all.len() == FILES {
        assert!(alike > 100, "{alike}");
    }
}
