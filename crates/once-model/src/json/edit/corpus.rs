//! Edits of every real scenario. The corpus is looked for as in `tests/corpus.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Tree;

use super::*;
use crate::scenario::{Identity, Scenario};

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
    eprintln!("skipped: corpus not found at {}", folder.display());
    None
}

/// All real scenarios; none if there is no corpus. Links are not followed.
fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = corpus().into_iter().map(|corpus| corpus.join("scenarios")).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => {
                    found.push((entry.path(), Scenario::parse(fs::read(entry.path()).unwrap()).unwrap()));
                }
                _ => {}
            }
        }
    }
    found
}

/// Pointers to all objects and to all scalars.
fn pointers(value: &Tree, at: &str, objects: &mut Vec<String>, scalars: &mut Vec<String>) {
    match value {
        Tree::Object(members) => {
            objects.push(at.to_owned());
            for (key, value) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{key}"), objects, scalars);
            }
        }
        Tree::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{nth}"), objects, scalars);
            }
        }
        _ => scalars.push(at.to_owned()),
    }
}

#[test]
fn the_empty_patch_changes_nothing() {
    for (path, scenario) in scenarios() {
        let text = scenario.as_str();
        assert_eq!(merge(text, "{}").unwrap(), text, "{}", path.display());
        assert_eq!(
            scenario.edit_model(|model| merge(model, " { } ")).unwrap(),
            scenario,
            "{}",
            path.display()
        );
    }
}

/// In every object of every scenario, a member is added and removed again.
#[test]
fn an_added_member_can_be_removed_to_the_byte() {
    let mut objects_seen = 0;
    for (path, scenario) in scenarios() {
        let text = scenario.as_str();
        let (mut objects, mut scalars) = (Vec::new(), Vec::new());
        pointers(&serde_json::from_str(text).unwrap(), "", &mut objects, &mut scalars);
        for object in objects.iter().take(20) {
            let context = format!("{}: {object}", path.display());
            let new = format!("{object}/once test");
            let added = replace(text, &new, "[1.0]").unwrap();
            assert_eq!(get(&added, &new).unwrap(), Some("[1.0]"), "{context}");
            // The nested patch that reaches it: `{"a":{"b":{"once test":null}}}`. Objects in arrays cannot be reached.
            let steps: Vec<_> =
                pointer::parse(&new).unwrap().iter().map(|token| quote(&token.text)).collect();
            let patch = |value: &str| format!("{{{}:{value}{}", steps.join(":{"), "}".repeat(steps.len()));
            let old = get(text, object).unwrap().unwrap();
            if merge(&added, &patch("null")).as_deref() != Ok(text) {
                let in_array = object.split('/').any(|step| step.parse::<usize>().is_ok());
                let blank = old != "{}" && old.replace(['{', '}'], "").trim().is_empty();
                assert!(in_array || blank, "{context}");
                continue;
            }
            assert_eq!(merge(text, &patch("[1.0]")).unwrap(), added, "{context}");
            objects_seen += 1;
            // Where each member has its line, so has the new one, and it is indented like the one before it.
            if old.len() > 2
                && old.contains("\n")
                && old.lines().nth(1).is_some_and(|line| !line.contains("[{"))
            {
                let lines = get(&added, object).unwrap().unwrap().lines().count();
                assert_eq!(lines, old.lines().count() + 1, "{context}");
            }
        }
    }
    eprintln!("{objects_seen} objects had a member added and removed");
}

#[test]
fn replacing_a_scalar_touches_only_its_bytes() {
    for (path, scenario) in scenarios() {
        let text = scenario.as_str();
        let (mut objects, mut scalars) = (Vec::new(), Vec::new());
        pointers(&serde_json::from_str(text).unwrap(), "", &mut objects, &mut scalars);
        for pointer in scalars.iter().take(20) {
            let old = get(text, pointer).unwrap().unwrap();
            let start = old.as_ptr() as usize - text.as_ptr() as usize;
            let new = replace(text, pointer, " 1e400\n").unwrap();
            let expected = [&text[..start], "1e400", &text[start + old.len()..]].concat();
            assert_eq!(new, expected, "{}: {pointer}", path.display());
            assert_eq!(replace(&new, pointer, old).unwrap(), text, "{}: {pointer}", path.display());
        }
    }
}

#[test]
fn every_model_can_be_edited_and_stays_the_same_object() {
    let patch = r#"{"once test":{"n":18446744073709551616,"none":null}}"#;
    for (path, scenario) in scenarios() {
        let path = path.display();
        let edited = scenario.edit_model(|model| merge(model, patch));
        if scenario.identity() == Identity::Derived {
            assert_eq!(edited.unwrap_err().kind(), EditErrorKind::Identity, "{path}");
            continue;
        }
        let edited = edited.unwrap();
        assert_eq!((edited.uuid(), edited.identity()), (scenario.uuid(), scenario.identity()), "{path}");
        assert_eq!((edited.format(), edited.owner()), (scenario.format(), scenario.owner()), "{path}");
        assert_eq!((edited.component(), edited.version()), (scenario.component(), scenario.version()));
        let n = get(edited.editable(), "/once test/n").unwrap();
        assert_eq!(n, Some("18446744073709551616"), "{path}");
        let restored = edited.edit_model(|model| merge(model, r#"{"once test":null}"#)).unwrap();
        assert_eq!(restored, scenario, "{path}");
    }
}
