//! Where two JSON texts differ: the places, as JSON pointers, with what stands there in each.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::contract::{DifferenceInfo, DifferencePlace};

/// Places that are listed.
const PLACES_MAX: usize = 32;
/// Longest text of a value that is shown, in characters.
const SHOWN_CHARS: usize = 120;
/// Texts above this size, in bytes, are not compared.
const COMPARED_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Compares two JSON texts. Numbers and texts are compared as they are spelled, white space between values is not
/// compared.
pub(super) fn difference(newest: &str, kept: &str) -> DifferenceInfo {
    let mut found = DifferenceInfo::default();
    if newest.len().max(kept.len()) > COMPARED_MAX_BYTES {
        found.truncated = true;
        return found;
    }
    if let (Ok(newest), Ok(kept)) = (serde_json::from_str(newest), serde_json::from_str(kept)) {
        compare(Some(newest), Some(kept), &mut String::new(), &mut found);
    }
    found
}

type Members<'t> = BTreeMap<String, &'t RawValue>;

fn compare(
    newest: Option<&RawValue>,
    kept: Option<&RawValue>,
    path: &mut String,
    found: &mut DifferenceInfo,
) {
    let text = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
    if text(newest) == text(kept) {
        return;
    }
    if found.places.len() >= PLACES_MAX {
        found.truncated = true;
        return;
    }
    match (members(newest), members(kept)) {
        (Some(newest), Some(kept)) => {
            let names: std::collections::BTreeSet<&String> = newest.keys().chain(kept.keys()).collect();
            for name in names {
                let before = path.len();
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                compare(newest.get(name).copied(), kept.get(name).copied(), path, found);
                path.truncate(before);
            }
        }
        _ => {
            let shown = |value: Option<&RawValue>| value.map(|value| shortened(value.get()));
            found.places.push(DifferencePlace {
                path: path.clone(),
                newest: shown(newest),
                kept: shown(kept),
            });
        }
    }
}

/// The members of an object, or the items of a list by their numbers.
fn members(value: Option<&RawValue>) -> Option<Members<'_>> {
    let text = value?.get();
    match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).ok(),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Some(items.into_iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect())
        }
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_that_differ_are_named() {
        let newest = r#"{"ior":{"uuid":"x"},"model":{"value":45,"a/b":[1,2],"gone":null}}"#;
        let kept = r#"{ "ior": {"uuid":"x"}, "model": {"value":50,"a/b":[1,3,4],"new":"é"} }"#;
        let found = difference(newest, kept);
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({ "truncated": false, "places": [
                { "path": "/model/a~1b/1", "newest": "2", "kept": "3" },
                { "path": "/model/a~1b/2", "kept": "4" },
                { "path": "/model/gone", "newest": "null" },
                { "path": "/model/new", "kept": "\"é\"" },
                { "path": "/model/value", "newest": "45", "kept": "50" },
            ]})
        );
    }

    #[test]
    fn a_number_is_compared_as_it_is_spelled_and_long_lists_end() {
        assert_eq!(difference(r#"{"n":1.0}"#, r#"{"n":1.00}"#).places.len(), 1);
        assert_eq!(difference(r#"{"n":1 }"#, r#"{ "n" : 1}"#), DifferenceInfo::default());
        let many = |n: u32| {
            format!("{{{}}}", (0..100).map(|i| format!("\"k{i}\":{n}")).collect::<Vec<_>>().join(","))
        };
        let found = difference(&many(1), &many(2));
        assert_eq!((found.places.len(), found.truncated), (PLACES_MAX, true));
    }
}
