//! Edits: a patch and a pointer do to a text what the RFCs say, to no byte more, and to a scenario only if it stays the
//! same object. The input is `target RS patch RS pointer RS value`, where RS is the byte 1e.

#![cfg_attr(not(test), no_main)]

use once_model::json::{EditError, EditErrorKind, JsonErrorKind, get, merge, replace, validate};
use once_model::scenario::Scenario;
use serde_json::{Map, Value};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(4, '\u{1e}');
    let mut part = || parts.next().unwrap_or_default();
    let (target, patch, pointer, value) = (part(), part(), part(), part());
    merges(target, patch);
    points(target, pointer, value);
    let Ok(scenario) = Scenario::parse(target.to_owned()) else { return };
    changes(&scenario, |model| merge(model, patch));
    changes(&scenario, |model| replace(model, pointer, value));
}

fn merges(target: &str, patch: &str) {
    let merged = match merge(target, patch) {
        Ok(merged) => merged,
        Err(error) => {
            let kind = shown(&error);
            return assert!(faulty_texts(kind, target, patch), "{error}");
        }
    };
    assert!(is_json(&merged));
    assert_eq!(merge(&merged, patch).as_ref(), Ok(&merged), "a second time it changes nothing");
    if let (Ok(old), Ok(new), Ok(patch)) = (tree(target), tree(&merged), tree(patch)) {
        let mut untouched = Vec::new();
        outside(&old, &patch, "", &mut untouched);
        for pointer in untouched.iter().take(16) {
            assert_eq!(get(&merged, pointer), get(target, pointer), "{pointer}");
        }
        assert_eq!(new, rfc7396(old, &patch));
    }
    if body(target).trim_start().starts_with('{') {
        assert_eq!(merge(target, "{}").as_deref(), Ok(target));
        comes_and_goes(target);
    }
}

/// A member that is added and removed again leaves no trace, but for the white space of an object without members.
fn comes_and_goes(target: &str) {
    if get(target, "/a new one") != Ok(None) {
        return;
    }
    match merge(target, r#"{"a new one":[1.0]}"#) {
        Ok(added) => {
            assert_eq!(get(&added, "/a new one"), Ok(Some("[1.0]")));
            let removed = merge(&added, r#"{"a new one":null}"#).expect("it was merged before");
            let blank = body(target).trim().trim_matches(['{', '}']).trim().is_empty();
            assert!(removed == target || (blank && body(&removed).trim() == "{}"), "{removed:?}");
        }
        Err(error) => assert!(is_limit(shown(&error)), "{error}"),
    }
}

fn points(target: &str, pointer: &str, value: &str) {
    let found = match get(target, pointer) {
        Ok(found) => found,
        Err(error) => {
            let kind = shown(&error);
            assert!(kind == EditErrorKind::Pointer || faulty_texts(kind, target, "0"), "{error}");
            return assert!(replace(target, pointer, value).is_err());
        }
    };
    if let Ok(tree) = tree(target) {
        let found = found.and_then(|found| serde_json::from_str(found).ok());
        assert_eq!(found.as_ref(), tree.pointer(pointer));
    }
    match (found, replace(target, pointer, value)) {
        (Some(found), Ok(new)) => {
            let start = found.as_ptr() as usize - target.as_ptr() as usize;
            let (before, after) = (&target[..start], &target[start + found.len()..]);
            assert_eq!(new, [before, value.trim(), after].concat());
            assert_eq!(get(&new, pointer), Ok(Some(value.trim())));
            assert_eq!(replace(&new, pointer, found).as_deref(), Ok(target));
        }
        (None, Ok(new)) => {
            assert!(is_json(&new) && one_piece_more(target, &new), "{new:?}");
            match get(&new, pointer) {
                // The place after the last element of an array has a number now.
                Ok(None) => {
                    let around = pointer.strip_suffix("/-").expect("only that can still lead to nothing");
                    if let Ok(Some(Value::Array(items))) =
                        tree(&new).map(|tree| tree.pointer(around).cloned())
                    {
                        let last = format!("{around}/{}", items.len() - 1);
                        assert_eq!(get(&new, &last), Ok(Some(value.trim())));
                    }
                }
                found => assert_eq!(found, Ok(Some(value.trim()))),
            }
        }
        (found, Err(error)) => {
            let kind = shown(&error);
            let nowhere = kind == EditErrorKind::NotFound && found.is_none();
            assert!(nowhere || faulty_texts(kind, target, value), "{error}");
        }
    }
}

/// An edited scenario is the same object, and only its model has changed.
fn changes(old: &Scenario, edit: impl Fn(&str) -> Result<String, EditError>) {
    let direct = edit(old.editable());
    let new = match old.edit_model(|model| edit(model)) {
        Ok(new) => new,
        Err(error) => {
            let kind = shown(&error);
            let ours = matches!(kind, EditErrorKind::Identity) || is_limit(kind);
            return assert!(ours || direct.as_ref() == Err(&error), "{error}");
        }
    };
    assert_eq!(Ok(new.editable()), direct.as_deref());
    assert_eq!(Scenario::parse(new.bytes().clone()).as_ref(), Ok(&new));
    assert_eq!((new.uuid(), new.format()), (old.uuid(), old.format()));
    assert_eq!((new.component(), new.version()), (old.component(), old.version()));
    assert_eq!(new.owner(), old.owner());
    assert_eq!(new.model().is_some(), old.model().is_some());
    if let Some(model) = old.model() {
        let start = model.as_ptr() as usize - old.as_str().as_ptr() as usize;
        let (before, after) = (&old.as_str()[..start], &old.as_str()[start + model.len()..]);
        assert_eq!(new.as_str(), [before, new.editable(), after].concat());
    }
}

/// What the error says can be shown to people; returns its kind.
fn shown(error: &EditError) -> EditErrorKind {
    let (text, _) = (error.to_string(), error.hint());
    assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
    assert!(error.line() >= 1 && error.column() >= 1);
    error.kind()
}

/// Whether the fault is in the text that has it.
fn faulty_texts(kind: EditErrorKind, target: &str, other: &str) -> bool {
    match kind {
        EditErrorKind::Target(_) => !is_json(target),
        EditErrorKind::Patch(_) => validate(other.as_bytes()).is_err(),
        kind => is_limit(kind),
    }
}

fn is_limit(kind: EditErrorKind) -> bool {
    use JsonErrorKind::{TooDeep, TooLarge, TooManyNodes};
    matches!(kind, EditErrorKind::Result(TooDeep | TooManyNodes | TooLarge))
}

/// Edits leave a byte order mark alone.
fn body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_json(text: &str) -> bool {
    validate(body(text).as_bytes()).is_ok()
}

/// Fails on lone surrogates and on numbers beyond a double, which are JSON all the same.
fn tree(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(body(text))
}

/// The function in RFC 7396.
fn rfc7396(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (key, value) in patch {
        let old = merged.remove(key);
        if !value.is_null() {
            merged.insert(key.clone(), rfc7396(old.unwrap_or_default(), value));
        }
    }
    Value::Object(merged)
}

/// Pointers to the values that a patch does not name.
fn outside(target: &Value, patch: &Value, at: &str, found: &mut Vec<String>) {
    let (Value::Object(members), Value::Object(patch)) = (target, patch) else { return };
    for (key, value) in members {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        match patch.get(key) {
            None => found.push(at),
            Some(patch) => outside(value, patch, &at, found),
        }
    }
}

/// Whether `long` is `short` with one piece put in.
fn one_piece_more(short: &str, long: &str) -> bool {
    let alike = |(a, b): &(u8, u8)| a == b;
    let start = short.bytes().zip(long.bytes()).take_while(alike).count();
    let end = short.bytes().rev().zip(long.bytes().rev()).take_while(alike).count();
    start + end >= short.len() && long.len() >= short.len()
}
