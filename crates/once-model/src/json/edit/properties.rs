//! What holds for every edit.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Tree;

use super::super::validate;
use super::*;

fn space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \n\r\t]{1,3}", 1 => Just("\n    ".to_owned())]
}

/// One of few keys, some in several spellings, so that they meet.
fn key() -> impl Strategy<Value = String> {
    let keys = ["a", "b", "c", "\\u0061", "é", "\\u00e9", "", "/~", "\\/~", "0", "-"];
    select(keys.to_vec()).prop_map(|key| format!("\"{key}\""))
}

fn scalar() -> impl Strategy<Value = String> {
    let odd =
        ["null", "null", "true", "-0", "1.50", "1E2", "18446744073709551616", r#""\u00e9\/""#, r#""}, {""#];
    prop_oneof![
        select(odd.to_vec()).prop_map(str::to_owned),
        "-?[1-9][0-9]{0,5}",
        "\"[a-z ,:{}\\[\\]]{0,5}\""
    ]
}

/// Any value, with duplicate keys where `distinct` does not forbid them.
fn json(distinct: bool) -> impl Strategy<Value = String> {
    scalar().prop_recursive(
        4,
        40,
        5,
        move |inner| prop_oneof![1 => array(inner.clone()), 3 => object(inner, distinct)],
    )
}

fn array(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let item = (space(), inner, space()).prop_map(|(a, item, b)| format!("{a}{item}{b}"));
    (space(), vec(item, 0..4)).prop_map(|(space, items)| match items.is_empty() {
        true => format!("[{space}]"),
        false => format!("[{}]", items.join(",")),
    })
}

fn object(inner: impl Strategy<Value = String>, distinct: bool) -> impl Strategy<Value = String> {
    let field = (key(), (space(), space(), space(), space()), inner);
    (space(), vec(field, 0..6)).prop_map(move |(space, mut fields)| {
        let mut seen = Vec::new();
        fields.retain(|(key, ..)| {
            let name: String = serde_json::from_str(key).unwrap();
            let new = !seen.contains(&name);
            seen.push(name);
            new || !distinct
        });
        let fields = fields.iter().map(|(key, (a, b, c, d), value)| format!("{a}{key}{b}:{c}{value}{d}"));
        let fields = fields.collect::<Vec<_>>();
        match fields.is_empty() {
            true => format!("{{{space}}}"),
            false => format!("{{{}}}", fields.join(",")),
        }
    })
}

fn document(distinct: bool) -> impl Strategy<Value = String> {
    (space(), object(json(distinct), distinct), space()).prop_map(|(a, object, b)| format!("{a}{object}{b}"))
}

fn tree(json: &str) -> Tree {
    serde_json::from_str(json).unwrap()
}

/// The function in RFC 7396.
fn rfc7396(target: Tree, patch: &Tree) -> Tree {
    let Tree::Object(patch) = patch else { return patch.clone() };
    let mut merged = match target {
        Tree::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    for (key, value) in patch {
        let old = merged.remove(key);
        if !value.is_null() {
            merged.insert(key.clone(), rfc7396(old.unwrap_or_default(), value));
        }
    }
    Tree::Object(merged)
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Pointers to the values that a patch leaves as they are, as deep as it goes.
fn untouched(target: &Tree, patch: &Tree, at: &str, found: &mut Vec<String>) {
    let (Tree::Object(members), Tree::Object(patch)) = (target, patch) else { return };
    for (key, value) in members {
        let at = format!("{at}/{}", escape(key));
        match patch.get(key) {
            None => found.push(at),
            Some(patch) => untouched(value, patch, &at, found),
        }
    }
}

/// Pointers to all values.
fn pointers(value: &Tree, at: String, found: &mut Vec<String>) {
    match value {
        Tree::Object(members) => {
            members.iter().for_each(|(key, value)| pointers(value, format!("{at}/{}", escape(key)), found));
        }
        Tree::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| pointers(item, format!("{at}/{n}"), found));
        }
        _ => {}
    }
    found.push(at);
}

/// Whether `long` is `short` with one piece put in.
fn one_piece_more(short: &str, long: &str) -> bool {
    let alike = |(a, b): &(u8, u8)| a == b;
    let start = short.bytes().zip(long.bytes()).take_while(alike).count();
    let end = short.bytes().rev().zip(long.bytes().rev()).take_while(alike).count();
    start + end >= short.len() && long.len() >= short.len()
}

/// Whether `part` is what is left of `whole` if some bytes are left out.
fn is_left_of(part: &str, whole: &str) -> bool {
    let mut bytes = whole.bytes();
    part.bytes().all(|b| bytes.any(|other| other == b))
}

proptest! {
    #[test]
    fn merging_means_what_the_rfc_says(target in json(true), patch in json(true)) {
        let merged = merge(&target, &patch).unwrap();
        prop_assert!(validate(merged.as_bytes()).is_ok());
        prop_assert_eq!(tree(&merged), rfc7396(tree(&target), &tree(&patch)));
    }

    /// With duplicate keys too, of which a parser keeps the last.
    #[test]
    fn merging_duplicate_keys_means_what_the_rfc_says(target in document(false), patch in document(false)) {
        let merged = merge(&target, &patch).unwrap();
        prop_assert_eq!(tree(&merged), rfc7396(tree(&target), &tree(&patch)), "{}", merged);
        // A second time, nothing is left to do but to spell it the same way again.
        prop_assert_eq!(merge(&merged, &patch).unwrap(), merged);
    }

    /// What the limit is held against: how many values the result has.
    #[test]
    fn values_are_counted_as_they_come_and_go(target in document(false), patch in json(false)) {
        let new = outline(&patch, Some(Pattern::All)).unwrap();
        let old = outline(&target, new.root.object().map(Pattern::Patch)).unwrap();
        let mut out = Out::new("", &target, old.root.nodes, &patch);
        out.merge(&old.root, &new.root, None).unwrap();
        let counted = out.nodes;
        prop_assert_eq!(outline(&out.finish().unwrap(), None).unwrap().root.nodes, counted);
    }

    #[test]
    fn what_a_patch_does_not_name_keeps_its_bytes(target in document(false), patch in document(false)) {
        let merged = merge(&target, &patch).unwrap();
        let mut found = Vec::new();
        untouched(&tree(&target), &tree(&patch), "", &mut found);
        for pointer in found {
            prop_assert_eq!(get(&merged, &pointer).unwrap(), get(&target, &pointer).unwrap(), "{}", pointer);
        }
        let outer = |text: &str| {
            let inner = text.trim();
            text.split_once(inner).map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        prop_assert_eq!(outer(&merged), outer(&target));
        prop_assert_eq!(merge(&target, "{}").unwrap(), target.clone());
        prop_assert_eq!(merge(&target, r#" {"none": null, "no": null} "#).unwrap(), target);
    }

    #[test]
    fn removing_only_takes_away(target in document(false), keys in vec(key(), 0..4)) {
        let members = keys.iter().map(|key| format!("{key}:null")).collect::<Vec<_>>();
        let left = merge(&target, &format!("{{{}}}", members.join(","))).unwrap();
        prop_assert!(is_left_of(&left, &target));
    }

    #[test]
    fn removing_one_takes_one_piece(target in document(true), key in key()) {
        let left = merge(&target, &format!("{{{key}:null}}")).unwrap();
        prop_assert!(one_piece_more(&left, &target), "{}", left);
    }

    #[test]
    fn what_is_added_can_be_removed(target in document(false), value in json(false)) {
        prop_assume!(value != "null");
        let added = merge(&target, &format!("{{\"new\":{value}}}")).unwrap();
        prop_assert!(one_piece_more(&target, &added), "{}", added);
        let removed = merge(&added, r#"{"new":null}"#).unwrap();
        let empty = tree(&target) == Tree::Object(serde_json::Map::new());
        match empty {
            true => prop_assert_eq!(removed.trim(), "{}"),
            false => prop_assert_eq!(removed, target),
        }
    }

    #[test]
    fn a_pointer_finds_what_a_parser_finds(target in json(false), value in json(false)) {
        let parsed = tree(&target);
        let mut found = Vec::new();
        pointers(&parsed, String::new(), &mut found);
        for pointer in found {
            let old = get(&target, &pointer).unwrap().unwrap();
            prop_assert_eq!(Some(&tree(old)), parsed.pointer(&pointer));
            let new = replace(&target, &pointer, &value).unwrap();
            let mut expected = parsed.clone();
            *expected.pointer_mut(&pointer).unwrap() = tree(&value);
            prop_assert_eq!(tree(&new), expected);
            prop_assert_eq!(get(&new, &pointer).unwrap(), Some(value.as_str()));
            prop_assert_eq!(replace(&new, &pointer, old).unwrap(), target.clone());
        }
    }

    #[test]
    fn nothing_panics(target in "[\\[\\]{},:\"a\\\\0-9nul \n\u{feff}é]{0,12}", other in "[{}\"a:/~0-1\\[\\],n é]{0,8}") {
        let _ = merge(&target, &other).map_err(|error| error.to_string());
        let _ = get(&target, &other).map_err(|error| error.to_string());
        let _ = replace(&target, &other, &target).map_err(|error| error.to_string());
    }

    /// As the scanner breaks at any byte, so do edits.
    #[test]
    fn cut_texts_are_refused(target in document(false), patch in document(false), at: prop::sample::Index) {
        let boundary = |text: &str, at| text.floor_char_boundary(at);
        let end = target.trim_end().len();
        let start = target.len() - target.trim_start().len();
        let cut = &target[..boundary(&target, start + at.index(end - start))];
        prop_assert!(merge(cut, &patch).is_err());
        prop_assert!(merge(&patch, cut).is_err());
        prop_assert!(replace(&patch, "/a", cut).is_err());
        prop_assert!(get(cut, "/a").is_err());
    }
}
