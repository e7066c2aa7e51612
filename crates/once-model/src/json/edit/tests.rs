use super::super::{JsonErrorKind, validate};
use super::*;
use crate::limits::{JSON_LAYOUT_MAX_BYTES, JSON_MAX_NODES, SCENARIO_MAX_BYTES};

#[track_caller]
fn merges(target: &str, patch: &str, expected: &str) {
    let merged = merge(target, patch).unwrap();
    assert_eq!(merged, expected);
    if target.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        assert_eq!(merge(target, "{}").unwrap(), target);
    }
    validate(merged.trim_start_matches('\u{feff}').as_bytes()).unwrap();
}

#[track_caller]
fn refused(result: Result<String, EditError>) -> (EditErrorKind, usize, usize) {
    let error = result.unwrap_err();
    assert!(!error.to_string().contains('\n') && !error.message().is_empty());
    (error.kind(), error.line(), error.column())
}

/// The examples of RFC 7396, appendix A.
#[test]
fn merges_as_the_rfc_says() {
    for (target, patch, expected) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        ("[1]", "{}", "{}"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merge(target, patch).unwrap(), expected, "{target} + {patch}");
    }
}

#[test]
fn what_is_not_touched_keeps_its_bytes() {
    let odd = "\u{feff} \t{\r\n\t\"n\" : -0 ,\r\n\t\"big\":18446744073709551616, \"far\":1e400,\r\n\r\n\
               \t\"\\u0065\\/\": \"\\ud800 \\u00e9 \\/\",\"e\":[ ] , \"o\":{ },\"d\":1,\"d\":{\"x\":{}}\r\n}\r\n\n";
    for (patch, old, new) in [
        (r#"{"big": 1.0 }"#, "18446744073709551616", "1.0"),
        (r#"{"e/":[{"x":null}]}"#, r#""\ud800 \u00e9 \/""#, r#"[{"x":null}]"#),
        (r#"{"n":null}"#, "\"n\" : -0 ,\r\n\t", ""),
        (r#"{"big":null}"#, " ,\r\n\t\"big\":18446744073709551616", ""),
        (r#"{"far":null,"big":null}"#, " ,\r\n\t\"big\":18446744073709551616, \"far\":1e400", ""),
        (r#"{"e":null}"#, ",\"e\":[ ]", ""),
        (r#"{"d":{"x":1}}"#, "{\"x\":{}}", "{\"x\":1}"),
        (r#"{"d":null}"#, r#","d":1,"d":{"x":{}}"#, ""),
        (r#"{"d":{"x":null}}"#, r#"{"x":{}}"#, "{}"),
        (r#"{"d":{"x":{"y":[ 1 ]}}}"#, r#"{"x":{}}"#, r#"{"x":{"y":[ 1 ]}}"#),
        (r#"{"o":{"y":-0}}"#, "{ }", "{ \"y\":-0 }"),
        (r#"{"z":1e400}"#, "{\"x\":{}}\r\n", "{\"x\":{}},\"z\":1e400\r\n"),
    ] {
        assert_eq!(odd.matches(old).count(), 1, "{old}");
        merges(odd, patch, &odd.replace(old, new));
    }
    merges("  [1]\n", " 7 ", "  7\n");
    merges("\u{feff}1\n", "{ \"a\" : 1 , \"b\" : null }", "\u{feff}{ \"a\" : 1 }\n");
}

#[test]
fn members_go_with_their_lines() {
    let old = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4\n}\n";
    for (patch, expected) in [
        (r#"{"a":null}"#, "{\n  \"b\": 2,\n  \"c\": 3,\n  \"d\": 4\n}\n"),
        (r#"{"b":null}"#, "{\n  \"a\": 1,\n  \"c\": 3,\n  \"d\": 4\n}\n"),
        (r#"{"d":null}"#, "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n"),
        (r#"{"a":null,"b":null}"#, "{\n  \"c\": 3,\n  \"d\": 4\n}\n"),
        (r#"{"a":null,"c":null}"#, "{\n  \"b\": 2,\n  \"d\": 4\n}\n"),
        (r#"{"b":null,"c":null,"x":null}"#, "{\n  \"a\": 1,\n  \"d\": 4\n}\n"),
        (r#"{"c":null,"d":null}"#, "{\n  \"a\": 1,\n  \"b\": 2\n}\n"),
        (r#"{"a":null,"b":9,"d":null}"#, "{\n  \"b\": 9,\n  \"c\": 3\n}\n"),
        (r#"{"d":null,"e":5}"#, "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n  \"e\": 5\n}\n"),
        (r#"{"a":null,"b":null,"c":null,"d":null}"#, "{}\n"),
        (r#"{"a":null,"b":null,"c":null,"d":null,"e":5,"f":6}"#, "{\n  \"e\": 5,\n  \"f\": 6\n}\n"),
    ] {
        merges(old, patch, expected);
    }
    merges(r#"{ "a" : 1 , "b" : 2 }"#, r#"{"a":null}"#, r#"{ "b" : 2 }"#);
    merges(r#"{ "a" : 1 , "b" : 2 }"#, r#"{"b":null}"#, r#"{ "a" : 1 }"#);
    merges("{\n  \"a\": 1\n, \"b\": 2\n}", r#"{"a":null}"#, "{\n  \"b\": 2\n}");
}

#[test]
fn new_members_look_like_their_neighbours() {
    let new = r#"{"x":1,"y":{"z":null}}"#;
    for (old, expected) in [
        (r#"{"a":1}"#, r#"{"a":1,"x":1,"y":{}}"#),
        (r#"{"a": 1}"#, r#"{"a": 1, "x": 1, "y": {}}"#),
        (r#"{"a": 1,"b": 2}"#, r#"{"a": 1,"b": 2,"x": 1,"y": {}}"#),
        (r#"{ "a" : 1 }"#, r#"{ "a" : 1, "x" : 1, "y" : {} }"#),
        (r#"{ "a":1 ,"b" :2 }"#, r#"{ "a":1 ,"b" :2 ,"x" :1 ,"y" :{} }"#),
        ("{\n  \"a\": 1\n}", "{\n  \"a\": 1,\n  \"x\": 1,\n  \"y\": {}\n}"),
        ("{\r\n\t\"a\":1\r\n}\r\n", "{\r\n\t\"a\":1,\r\n\t\"x\":1,\r\n\t\"y\":{}\r\n}\r\n"),
        ("{ \"a\": 1\n, \"b\": 2\n}", "{ \"a\": 1\n, \"b\": 2\n, \"x\": 1\n, \"y\": {}\n}"),
        ("{}", "{\"x\":1,\"y\":{}}"),
        ("{ }", "{ \"x\":1, \"y\":{} }"),
        ("{\n}", "{\n  \"x\": 1,\n  \"y\": {}\n}"),
        ("{\r\n\t}", "{\r\n\t\t\"x\": 1,\r\n\t\t\"y\": {}\r\n\t}"),
    ] {
        merges(old, new, expected);
    }
}

#[test]
fn members_of_empty_objects_are_indented_like_what_is_around() {
    let new = r#"{"e":{"x":1,"y":2}}"#;
    for (old, expected) in [
        (r#"{"e":{}}"#, r#"{"e":{"x":1,"y":2}}"#),
        (r#"{"e": {}}"#, r#"{"e": {"x": 1, "y": 2}}"#),
        (r#"{ "e": {} }"#, r#"{ "e": {"x": 1, "y": 2} }"#),
        ("{\n  \"e\": {}\n}", "{\n  \"e\": {\n    \"x\": 1,\n    \"y\": 2\n  }\n}"),
        // As the model of a scenario is spelled.
        ("{\n    \"e\": {}\n  }", "{\n    \"e\": {\n      \"x\": 1,\n      \"y\": 2\n    }\n  }"),
        ("{\r\n\t\"e\":{}\r\n}", "{\r\n\t\"e\":{\r\n\t\t\"x\":1,\r\n\t\t\"y\":2\r\n\t}\r\n}"),
        ("{\n    \"e\": {\n    }\n}", "{\n    \"e\": {\n        \"x\": 1,\n        \"y\": 2\n    }\n}"),
        ("{\n  \"a\": 1, \"e\": {}\n}", "{\n  \"a\": 1, \"e\": {\"x\": 1, \"y\": 2}\n}"),
    ] {
        merges(old, new, expected);
        let restored = merge(expected, r#"{"e":{"x":null,"y":null}}"#).unwrap();
        assert_eq!(restored, old.replace("{\n    }", "{}"));
    }
    let list = "[\n  [],\n  {}\n]";
    assert_eq!(replace(list, "/0/0", "1").unwrap(), "[\n  [\n    1\n  ],\n  {}\n]");
    assert_eq!(replace(list, "/1/a", "1").unwrap(), "[\n  [],\n  {\n    \"a\": 1\n  }\n]");
}

#[test]
fn of_duplicate_keys_the_last_counts() {
    let old = r#"{"a":{"x":0,"y":2},"\u0061":{"x":5,"x":6},"b":1}"#;
    merges(old, r#"{"a":{"x":7}}"#, r#"{"a":{"x":0,"y":2},"\u0061":{"x":5,"x":7},"b":1}"#);
    merges(old, r#"{"a":{"x":null}}"#, r#"{"a":{"x":0,"y":2},"\u0061":{},"b":1}"#);
    merges(old, r#"{"a":null}"#, r#"{"b":1}"#);
    merges(old, r#"{"a":9}"#, r#"{"a":{"x":0,"y":2},"\u0061":9,"b":1}"#);
    merges(r#"{"a":{"x":1},"a":2}"#, r#"{"a":{"x":3}}"#, r#"{"a":{"x":1},"a":{"x":3}}"#);
    // In the patch too, also in what is taken over from it.
    merges(old, r#"{"b":null,"a":1,"\u0062":2,"a":null}"#, r#"{"b":2}"#);
    merges("{}", r#"{"a":{"x":null,"y":1,"x":{"z":1,"z":null}}}"#, r#"{"a":{"y":1,"x":{}}}"#);
    merges("{}", r#"{"a": { "x" : 1 , "x" : 2 }}"#, r#"{"a":{ "x" : 2 }}"#);
    // Patches keep their values in arrays, whatever these are.
    merges("{}", r#"{"a":[null,{"x":null,"x":1}]}"#, r#"{"a":[null,{"x":null,"x":1}]}"#);

    assert_eq!(get(old, "/a/x"), Ok(Some("6")));
    assert_eq!(get(old, "/a/y"), Ok(None));
    let replaced = replace(old, "/a/x", "[]").unwrap();
    assert_eq!(replaced, r#"{"a":{"x":0,"y":2},"\u0061":{"x":5,"x":[]},"b":1}"#);
}

#[test]
fn keys_are_compared_as_they_read() {
    merges(r#"{"\u00e9\n\/":1,"é":2}"#, r#"{"é\u000a/":3}"#, r#"{"\u00e9\n\/":3,"é":2}"#);
    merges("{\"\\ud83d\\ude00\":1}", "{\"😀\":2}", "{\"\\ud83d\\ude00\":2}");
    // A lone surrogate is not the text of its escape, but the same as one that is spelled in capitals.
    merges(r#"{"\\ud800":1,"\ud800":2}"#, r#"{"\ud800":null}"#, r#"{"\\ud800":1}"#);
    merges(r#"{"\\ud800":1,"\uD800":2}"#, r#"{"\ud800":3}"#, r#"{"\\ud800":1,"\uD800":3}"#);
    let long = "k".repeat(10_000);
    merges(&format!("{{\"{long}\":1}}"), &format!("{{\"{long}\":null}}"), "{}");
    merges(r#"{"":1}"#, r#"{"":{"":2}}"#, r#"{"":{"":2}}"#);
}

#[test]
fn pointers_lead_as_the_rfc_says() {
    let text =
        r#" {"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8} "#;
    for (pointer, value) in [
        ("", Some(text.trim())),
        ("/foo", Some(r#"["bar","baz"]"#)),
        ("/foo/0", Some("\"bar\"")),
        ("/", Some("0")),
        ("/a~1b", Some("1")),
        ("/c%d", Some("2")),
        ("/e^f", Some("3")),
        ("/g|h", Some("4")),
        ("/i\\j", Some("5")),
        ("/k\"l", Some("6")),
        ("/ ", Some("7")),
        ("/m~0n", Some("8")),
        ("/m~01n", None),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/00", None),
        ("/foo/+1", None),
        ("/foo/18446744073709551616", None),
        ("/foo/", None),
        ("/foo/0/0", None),
        ("/bar", None),
    ] {
        assert_eq!(get(text, pointer).unwrap(), value, "{pointer}");
        assert_eq!(
            value.is_some(),
            serde_json::from_str::<serde_json::Value>(text).unwrap().pointer(pointer).is_some()
        );
        if let Some(value) = value {
            let replaced = replace(text, pointer, "\n[1E1] ").unwrap();
            assert_eq!(get(&replaced, pointer).unwrap(), Some("[1E1]"), "{pointer}");
            assert_eq!(replace(&replaced, pointer, value).unwrap(), text);
        }
    }
    assert_eq!(get("\u{feff}[1]", "/0"), Ok(Some("1")));
    assert_eq!(get("[1]", &"/0".repeat(100_000)), Ok(None));
    for (pointer, column) in [("a", 1), ("~", 1), ("/a~", 3), ("/é~2", 3), ("/~1~/", 4), ("x/y", 1)] {
        assert_eq!(refused(replace("{}", pointer, "1")), (EditErrorKind::Pointer, 1, column), "{pointer}");
    }
    let error = get("{}", &format!("\n\u{202e}'\"{}", "x".repeat(1000))).unwrap_err();
    assert!(error.to_string().starts_with(r#"line 1, column 1: `\u{a}\u{202e}'"xxx"#), "{error}");
    assert!(error.message().len() < 400 && error.hint().is_some());
}

#[test]
fn values_are_added_where_there_is_a_place() {
    let text = "{\n  \"list\": [1, 2],\n  \"one\": [ 1 ],\n  \"none\": [],\n  \"o\": {\"a\": 0}\n}\n";
    for (pointer, old, new) in [
        ("/list/2", "[1, 2]", "[1, 2, 9]"),
        ("/list/-", "[1, 2]", "[1, 2, 9]"),
        ("/one/1", "[ 1 ]", "[ 1, 9 ]"),
        ("/none/0", "[]", "[\n    9\n  ]"),
        ("/none/-", "[]", "[\n    9\n  ]"),
        ("/o/-", "{\"a\": 0}", "{\"a\": 0, \"-\": 9}"),
        ("/o/~1\"\n", "{\"a\": 0}", "{\"a\": 0, \"/\\\"\\n\": 9}"),
        ("/new", "0}\n", "0},\n  \"new\": 9\n"),
    ] {
        assert_eq!(replace(text, pointer, " 9\n").unwrap(), text.replace(old, new), "{pointer}");
    }
    // Replacing takes the value as it is, null and all.
    assert_eq!(replace("{}", "/a", r#"{"x":null,"x":1}"#).unwrap(), r#"{"a":{"x":null,"x":1}}"#);
    for (pointer, line, column, message) in [
        ("/list/3", 2, 11, "nothing at `/list/3`: it would be number 3 of an array of 2"),
        ("/list/02", 2, 11, "nothing at `/list/02`: an array of 2 has numbers, no names"),
        ("/list/-/x", 2, 11, "nothing at `/list/-`: an array of 2 has numbers, no names"),
        ("/o/b/c", 5, 8, "nothing at `/o/b`: the object has no such member"),
        ("/o/a/c/d", 5, 14, "nothing at `/o/a/c`: a number has no members"),
    ] {
        let error = replace(text, pointer, "9").unwrap_err();
        assert_eq!((error.kind(), error.line(), error.column()), (EditErrorKind::NotFound, line, column));
        assert_eq!(error.message(), message);
    }
    assert_eq!(refused(replace("[1]", &"/0".repeat(100_000), "1")).0, EditErrorKind::NotFound);
}

#[test]
fn faults_are_found_in_the_text_that_has_them() {
    let syntax = JsonErrorKind::Syntax;
    let error = merge("{}", "{\n \"a\": ?}").unwrap_err();
    assert_eq!((error.kind(), error.path()), (EditErrorKind::Patch(syntax), "a"));
    assert_eq!(error.to_string(), "in the patch: line 2, column 7, at a: expected a value, found `?`");
    assert_eq!(refused(merge("{\n1}", "{}")), (EditErrorKind::Target(syntax), 2, 1));
    assert_eq!(refused(replace("{}", "/a", "1,2")), (EditErrorKind::Patch(syntax), 1, 2));
    assert_eq!(refused(replace("\u{feff}[1", "/0", "1")).0, EditErrorKind::Target(JsonErrorKind::Incomplete));
    assert_eq!(refused(merge("\u{feff}\u{feff}1", "1")).0, EditErrorKind::Target(JsonErrorKind::NotUtf8));
    assert_eq!(refused(merge("1", "\u{feff}1")).0, EditErrorKind::Patch(JsonErrorKind::NotUtf8));
    assert_eq!(get("", "").unwrap_err().kind(), EditErrorKind::Target(JsonErrorKind::Blank));
}

#[test]
fn the_result_is_limited_too() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let (deep, path) = (nested(JSON_MAX_DEPTH), "/0".repeat(30));
    assert!(replace(&deep, &path, &nested(JSON_MAX_DEPTH - 30)).is_ok());
    let too_deep = replace(&deep, &path, &nested(JSON_MAX_DEPTH - 29));
    assert_eq!(refused(too_deep).0, EditErrorKind::Result(JsonErrorKind::TooDeep));
    assert!(replace(&deep, &"/0".repeat(JSON_MAX_DEPTH), "1").is_ok());

    let list = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
    let half = format!("{{\"a\":{},\"b\":1}}", list(JSON_MAX_NODES / 2));
    let fits = format!("{{\"b\":{}}}", list(JSON_MAX_NODES / 2 - 3));
    assert!(validate(merge(&half, &fits).unwrap().as_bytes()).is_ok());
    let patch = format!("{{\"b\":{}}}", list(JSON_MAX_NODES / 2 - 2));
    assert_eq!(refused(merge(&half, &patch)).0, EditErrorKind::Result(JsonErrorKind::TooManyNodes));
    // What goes makes room.
    assert!(merge(&half, &patch.replacen('{', "{\"a\":null,", 1)).is_ok());

    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(SCENARIO_MAX_BYTES / 2));
    let too_large = merge(&large, &large.replace("\"a\"", "\"b\""));
    assert_eq!(refused(too_large).0, EditErrorKind::Result(JsonErrorKind::TooLarge));
    assert_eq!(merge(&large, &large.replace("xx", "yy")).unwrap().len(), large.len());
    let huge = " ".repeat(SCENARIO_MAX_BYTES + 1);
    assert_eq!(refused(merge(&huge, "{}")).0, EditErrorKind::Target(JsonErrorKind::TooLarge));
    assert_eq!(refused(merge("{}", &huge)).0, EditErrorKind::Patch(JsonErrorKind::TooLarge));
}

/// White space could be multiplied by the members that imitate it, or be read once for each of them. (If it were, this
/// test would not end.)
#[test]
fn white_space_is_not_multiplied() {
    let gap = " ".repeat(4_000_000);
    let keys = |value: &str| (0..10_000).map(|n| format!("\"{n}\":{value}")).collect::<Vec<_>>().join(",");
    let patch = format!("{{{}}}", keys("{\"n\":1}"));
    for old in [
        format!("{{\n{gap}\"a\"{gap}:{gap}1{gap},{gap}\"b\" : {gap}2{gap}}}"),
        format!("{{\n{gap}\"a\":{gap}1\n{gap}}}"),
        format!("{{{gap}}}"),
        format!("{{\n{}\n{gap}}}", keys("{}").replace("\"1\"", &format!("{gap}\"1\""))),
    ] {
        let merged = merge(&old, &patch).unwrap();
        assert!(merged.len() <= old.len() + 2 * patch.len() + 10_000 * JSON_LAYOUT_MAX_BYTES);
        validate(merged.as_bytes()).unwrap();
    }
}

/// If they did not, this test would take minutes.
#[test]
fn many_keys_take_linear_time() {
    let object = |from: usize, to: usize, value: &str| {
        let members = (from..to).map(|n| format!("\n  \"key {n}\": {value}")).collect::<Vec<_>>();
        format!("{{{}\n}}", members.join(","))
    };
    let old = object(0, 30_000, "{}");
    assert_eq!(merge(&old, &object(0, 30_000, "1")).unwrap(), object(0, 30_000, "1"));
    assert_eq!(merge(&old, &object(0, 30_000, "null")).unwrap(), "{}");
    assert_eq!(merge(&old, &object(1, 30_000, "null")).unwrap(), object(0, 1, "{}"));
    assert_eq!(merge(&old, &object(0, 29_999, "null")).unwrap(), object(29_999, 30_000, "{}"));
    assert_eq!(merge(&old, &object(30_000, 60_000, "{}")).unwrap(), object(0, 60_000, "{}"));
    // The same key again and again, in both texts.
    let same = |value: &str| format!("{{{}\"a\":0}}", format!("\"a\":{value},").repeat(30_000));
    assert_eq!(merge(&same("{}"), &same("{\"b\":1}")).unwrap(), same("{}"));
    assert_eq!(merge(&same("{\"b\":{}}"), "{\"a\":null}").unwrap(), "{}");
    assert_eq!(get(&same("{\"b\":{}}"), "/a/b"), Ok(None));
}

#[test]
fn the_smallest_texts_do_not_confuse() {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "{}",
        "[]",
        "[",
        "\"",
        "\"\"",
        "0",
        "-",
        "null",
        "{\"\":{}}",
        "\u{feff}",
        "~",
        "/",
    ];
    for target in texts {
        for other in texts {
            let _ = merge(target, other).map(|merged| validate(merged.as_bytes()).map(str::len));
            let _ = get(target, other);
            for value in texts {
                let _ = replace(target, other, value).map(|new| validate(new.as_bytes()).map(str::len));
            }
        }
    }
}
