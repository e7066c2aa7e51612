use super::*;
use crate::limits::{JSON_MAX_DEPTH, JSON_MAX_NODES};
use serde::de::IgnoredAny;

fn refused(json: impl AsRef<[u8]>) -> JsonError {
    validate(json.as_ref()).unwrap_err()
}

/// Kind, line, column and path of the fault.
fn fault(json: &str) -> (JsonErrorKind, usize, usize, String) {
    let error = refused(json);
    (error.kind(), error.line(), error.column(), error.path().to_owned())
}

#[test]
fn accepts_all_that_json_allows() {
    for json in [
        "null",
        " true ",
        "false\n",
        "0",
        "-0",
        "-0.0e-0",
        "1E+400",
        "123456789012345678901234567890",
        "1.10",
        r#""""#,
        r#""\u0000\ud800 \" \\ \/ \b\f\n\r\t""#,
        "\"\u{7f}\u{2028}é😀\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "\t\r\n[1,\n[],{}]",
        r#"{"a":1,"a":2,"":{"a":[{}]}}"#,
        r#"["12345678","1234567","123456789"]"#,
    ] {
        assert_eq!(validate(json.as_bytes()).unwrap(), json);
        assert!(serde_json::from_str::<IgnoredAny>(json).is_ok(), "{json}");
    }
}

#[test]
fn refuses_all_that_json_does_not_allow() {
    for json in [
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "--1",
        "NaN",
        "Infinity",
        "True",
        "nul",
        "nulll",
        "'a'",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{,}",
        "[,]",
        "[1 2]",
        "{\"a\" 1}",
        "]",
        "}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "{}{}",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "\"\t\"",
        "\"open",
        "\"\\",
        "// no\n{}",
        "[1,/*c*/2]",
        "\u{a0}1",
        "\u{0}",
        "1\u{0}",
        "{\"a\":\"12345678\u{1}\"}",
        "{1:2}",
        "[",
        "{",
        "tru",
    ] {
        assert!(serde_json::from_str::<IgnoredAny>(json).is_err(), "{json}");
        let error = refused(json);
        assert!(matches!(error.kind(), JsonErrorKind::Syntax | JsonErrorKind::Incomplete), "{json}: {error}");
    }
}

/// Strings are read eight bytes at a time: what ends them must be seen at each place of a word.
#[test]
fn strings_end_where_they_end() {
    for length in 0..40 {
        let text = "é0😀abcdefg".repeat(3).chars().cycle().take(length).collect::<String>();
        let json = format!("[\"{text}\",\"{text}\\n{text}\"]");
        assert_eq!(validate(json.as_bytes()).unwrap(), json);
        for control in ["\n", "\0", "\u{1f}"] {
            let error = refused(format!("\"{text}{control}{text}12345678\""));
            assert_eq!((error.kind(), error.column()), (JsonErrorKind::Syntax, length + 2), "{error}");
        }
    }
}

#[test]
fn says_where() {
    let syntax = JsonErrorKind::Syntax;
    assert_eq!(fault("{\n  \"a\": tru,\n}"), (syntax, 2, 8, "a".into()));
    assert_eq!(
        fault(r#"{"model":{"items":[1,{"name":"x" y}]}}"#),
        (syntax, 1, 34, "model.items[1].name".into())
    );
    assert_eq!(fault(r#"{"é😀":?}"#), (syntax, 1, 7, "[\"é😀\"]".into()));
    assert_eq!(fault(r#"{"a":1,"b" 2}"#), (syntax, 1, 12, "b".into()));
    assert_eq!(fault(r#"{"x":{"a":1,b:2}}"#), (syntax, 1, 13, "x".into()));
    assert_eq!(fault("[1]\n\n x"), (syntax, 3, 2, String::new()));
    assert_eq!(refused("[1,]").to_string(), "line 1, column 4, at [1]: expected a value, found `]`");
    assert_eq!(
        refused("[\u{1b}]").to_string(),
        "line 1, column 2, at [0]: expected a value, found `\\u{1b}`"
    );
}

#[test]
fn a_text_that_ends_too_early_is_incomplete() {
    for json in [
        "{",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1,",
        "\"abc",
        "\"\\",
        "\"\\u1",
        "tr",
        "-",
        "1.",
        "2e+",
    ] {
        let error = refused(json);
        assert_eq!(error.kind(), JsonErrorKind::Incomplete, "{json}");
        assert_eq!(error.column(), json.len() + 1, "{json}");
        assert!(error.message().ends_with("but the text ends here"), "{error}");
    }
}

#[test]
fn names_the_usual_reasons() {
    let conflict = "{\n  \"a\": 1,\n<<<<<<< HEAD\n  \"b\": 2\n=======\n  \"b\": 3\n>>>>>>> other\n}";
    assert_eq!(fault(conflict), (JsonErrorKind::ConflictMarker, 3, 1, String::new()));
    assert_eq!(refused(conflict).to_string(), "line 3, column 1: git conflict marker");
    assert_eq!(fault("{}\r\n=======\r\n{}").0, JsonErrorKind::ConflictMarker);
    assert_eq!(fault("{}\n>>>>>>>").0, JsonErrorKind::ConflictMarker);
    assert_eq!(fault("========").0, JsonErrorKind::Syntax);
    assert_eq!(fault(" <<<<<<< HEAD").0, JsonErrorKind::Syntax);

    for blank in ["", " ", "\n\t\r\n"] {
        assert_eq!(fault(blank), (JsonErrorKind::Blank, 1, 1, String::new()));
    }
    for path in ["../../0/1/x.scenario.json", "./a b", "x.scenario.json\n", "/Users/x/y.json"] {
        assert_eq!(fault(path).0, JsonErrorKind::PathOnly, "{path}");
    }
    for text in ["hello", "https://example.net/x.json", "../a\n../b", "{../x.json}"] {
        assert_eq!(fault(text).0, JsonErrorKind::Syntax, "{text}");
    }
    assert_eq!(fault("\u{feff}{}").0, JsonErrorKind::NotUtf8);
    for error in [refused(""), refused(conflict), refused("../x.json"), refused("\u{feff}{}"), refused("[")] {
        assert!(error.hint().is_some());
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn names_what_is_not_utf8() {
    let error = refused(b"{\n\"a\": \"\xc3\xa9\xff\"}");
    assert_eq!((error.kind(), error.line(), error.column()), (JsonErrorKind::NotUtf8, 2, 8));
    assert_eq!(error.message(), "not UTF-8: unexpected byte 0xff");
    assert_eq!(refused(b"\xff\xfe{\0}\0").message(), "UTF-16, not UTF-8");
    assert_eq!(refused(b"\"\xed\xa0\x80\"").kind(), JsonErrorKind::NotUtf8); // a surrogate
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(validate(nested(JSON_MAX_DEPTH).as_bytes()).is_ok());
    let error = refused(nested(JSON_MAX_DEPTH + 1));
    assert_eq!((error.kind(), error.column()), (JsonErrorKind::TooDeep, JSON_MAX_DEPTH + 1));
    // A hostile document is refused at the limit, not after it was read.
    assert_eq!(refused("[".repeat(1_000_000)).kind(), JsonErrorKind::TooDeep);
    assert_eq!(refused("{\"a\":".repeat(1_000_000)).kind(), JsonErrorKind::TooDeep);

    let list = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
    assert!(validate(list(JSON_MAX_NODES - 1).as_bytes()).is_ok());
    assert_eq!(refused(list(JSON_MAX_NODES)).kind(), JsonErrorKind::TooManyNodes);

    let error = refused(vec![b' '; SCENARIO_MAX_BYTES + 1]);
    assert_eq!(error.kind(), JsonErrorKind::TooLarge);
    assert!(error.message().starts_with("67108865 bytes"));
}

#[test]
fn paths_are_shortened_and_hide_what_would_act_on_a_terminal() {
    let error = refused(format!("{{\"{}\":?}}", "k".repeat(1 << 20)));
    assert!(error.path().len() < 600 && error.path().ends_with('…'));
    let error = refused("{\"\u{202e}x\u{9b}\":?}");
    assert_eq!(error.path(), r#"["\u{202e}x\u{9b}"]"#);
}

#[test]
fn respacing_keeps_every_token() {
    let json = r#" { "a" : [ 1.0 , "x, { \" y" , [ ] , { } ] , "b\\" : null } "#;
    let compact = compact(json).unwrap();
    assert_eq!(compact, r#"{"a":[1.0,"x, { \" y",[],{}],"b\\":null}"#);
    let pretty = pretty(json, 0).unwrap();
    assert_eq!(
        pretty,
        "{\n  \"a\": [\n    1.0,\n    \"x, { \\\" y\",\n    [],\n    {}\n  ],\n  \"b\\\\\": null\n}"
    );
    assert_eq!(super::compact(&pretty).unwrap(), compact);
    assert_eq!(super::pretty("{\"a\":1}", 1).unwrap(), "{\n    \"a\": 1\n  }");
    assert!(super::compact("[1,").is_err());
}

#[test]
fn indentation_cannot_blow_up() {
    let json = format!("{}{}0{}", "[".repeat(63), "0,".repeat(1_000_000), "]".repeat(63));
    assert_eq!(super::pretty(&json, 0).unwrap_err().kind(), JsonErrorKind::TooLarge);
}

#[test]
fn decoding_keeps_what_stands_for_no_text() {
    assert_eq!(decode(r#""plain""#), "plain");
    assert_eq!(decode(r#""a\u00e9\/\n""#), "aé/\n");
    assert_eq!(decode(r#""lone \ud800""#), r"lone \ud800");
}
