use super::*;
use crate::limits::NAME_MAX_BYTES;
use crate::limits::{JSON_MAX_DEPTH, SCENARIO_MAX_BYTES};

const U1: &str = "0012bda9-f833-4909-a891-a75b183be4c8";
const U2: &str = "b9e3f01e-248f-4fc6-941d-6d86c0400000";

fn parsed(json: &str) -> Scenario {
    let scenario = Scenario::parse(json.to_owned()).unwrap();
    assert_eq!(scenario.bytes(), json.as_bytes());
    assert_eq!(scenario.as_str(), json);
    assert_eq!(scenario.hash(), content_hash(json.as_bytes()));
    scenario
}

fn refused(json: &str) -> ScenarioError {
    Scenario::parse(json.to_owned()).unwrap_err()
}

#[test]
fn knows_every_format() {
    let u = format!(r#""uuid":"{U1}""#);
    for (json, format) in [
        (format!(r#"{{"ior":{{{u}}},"owner":"","model":{{}},"unit":{{}}}}"#), Format::A),
        (format!(r#"{{"unit":{{}},"model":{{}},"extra":1,"owner":null,"ior":{{{u}}}}}"#), Format::A),
        (format!(r#"{{"ior":{{{u}}},"owner":"","model":{{}}}}"#), Format::B),
        (format!(r#"{{{u},"objectType":"T","version":"1","state":{{}},"metadata":{{}}}}"#), Format::C),
        (format!(r#"{{"IOR":{{{u}}},"owner":"","model":{{}},"unitIndex":{{}}}}"#), Format::D),
        (format!(r#"{{"IOR":{{{u}}},"owner":"","model":{{}}}}"#), Format::E),
        (format!(r#"{{"ior":{{{u}}},"model":{{}}}}"#), Format::F),
        (format!(r#"{{"ior":{{{u}}},"owner":"","model":{{}},"unitIndex":{{}}}}"#), Format::F),
        (format!(r#"{{{u},"name":"n","description":"","createdAt":"","unitIndex":{{}}}}"#), Format::F),
        (format!(r#"{{"ior":{{{u}}}}}"#), Format::Other),
        (r#"{"ior":"ior:esm:/A/1/B","owner":"","model":{}}"#.to_owned(), Format::Other),
        ("{}".to_owned(), Format::Other),
        (" {\"x\":[1]}\n".to_owned(), Format::Other),
    ] {
        assert_eq!(parsed(&json).format(), format, "{json}");
    }
    assert_eq!(format!("{} {:>6}", Format::A, Format::Other), "A  other");
}

#[test]
fn the_first_valid_uuid_counts() {
    let json = |ior: &str, model: &str, top: &str| {
        format!(r#"{{"ior":{{"uuid":{ior}}},"model":{{"uuid":{model}}},"uuid":{top}}}"#)
    };
    let (a, b) = (format!("\"{U1}\""), format!("\"{U2}\""));
    for (json, identity, uuid) in [
        (json(&a, &b, &b), Identity::Ior, U1),
        (json("\"unknown\"", &b, &a), Identity::Model, U2),
        (json("null", "\"example-unit-uuid\"", &a), Identity::TopLevel, U1),
        (json("7", "{}", &a.to_uppercase()), Identity::TopLevel, U1),
        (json("\"00000000-0000-0000-0000-000000000000\"", &b, "0"), Identity::Model, U2),
        (json(&a.replace('-', ""), &b, "0"), Identity::Model, U2),
        (json(&a.replace('-', "\\u002d"), &b, "0"), Identity::Ior, U1),
    ] {
        let scenario = parsed(&json);
        assert_eq!((scenario.identity(), scenario.uuid().to_string()), (identity, uuid.to_owned()), "{json}");
    }
}

#[test]
fn without_a_uuid_the_content_gives_one() {
    let scenario = parsed(r#"{"ior":{"uuid":"unknown"}}"#);
    assert_eq!(scenario.identity(), Identity::Derived);
    assert_eq!(scenario.uuid().get_version_num(), 5);
    assert_eq!(scenario.uuid(), Uuid::new_v5(&CONTENT_NAMESPACE, scenario.hash().as_bytes()));
    assert_eq!(scenario.uuid(), parsed(r#"{"ior":{"uuid":"unknown"}}"#).uuid());
    assert_ne!(scenario.uuid(), parsed(r#"{"ior":{"uuid":"unknown"} }"#).uuid());
    assert_eq!(CONTENT_NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"ior:once:content"));
}

#[test]
fn reads_the_envelope_of_each_format() {
    let a =
        parsed(r#"{"ior":{"component":"Unit","version":"0.3"},"owner":"system","model":{"name":"n\u00e9"}}"#);
    assert_eq!((a.component(), a.version(), a.name()), (Some("Unit"), Some("0.3"), Some("né")));
    assert_eq!(a.model(), Some(r#"{"name":"n\u00e9"}"#));

    let c = parsed(r#"{"uuid":"x","objectType":"Build","version":"0.1","state":{"name":"s"},"metadata":{}}"#);
    assert_eq!((c.component(), c.version(), c.name()), (Some("Build"), Some("0.1"), Some("s")));
    assert_eq!(c.model(), Some(r#"{"name":"s"}"#));

    let d = parsed(r#"{"IOR":{"component":"R","version":"v1.0"},"owner":"","model":{},"unitIndex":{}}"#);
    assert_eq!((d.component(), d.version(), d.name()), (Some("R"), Some("v1.0"), None));

    let f = parsed(&format!(r#"{{"uuid":"{U1}","name":"Test Unit","unitIndex":{{}}}}"#));
    assert_eq!((f.component(), f.version(), f.name(), f.model()), (None, None, Some("Test Unit"), None));

    let none =
        parsed(r#"{"ior":{"port":0,"iorString":"ior:https://h:undefined/x"},"owner":{},"model":null}"#);
    assert_eq!((none.component(), none.version(), none.model()), (None, None, Some("null")));
}

#[test]
fn a_version_that_is_no_text_is_shown_as_json() {
    let json =
        r#"{"ior":{"version": {"model": {"major": 0, "versionString": "0.3.22.1"}}},"owner":"","model":{}}"#;
    assert_eq!(parsed(json).version(), Some(r#"{"model":{"major":0,"versionString":"0.3.22.1"}}"#));
    assert_eq!(parsed(r#"{"ior":{"version":1.10},"model":{}}"#).version(), Some("1.10"));
    assert_eq!(parsed(r#"{"ior":{"version":null},"model":{}}"#).version(), None);
}

#[test]
fn of_duplicate_keys_the_last_counts_however_it_is_spelled() {
    let json = format!(
        r#"{{"ior":{{"uuid":"{U2}","component":"Old"}},"model":1,"ior":{{"uuid":"x","uuid":"{U1}"}},
            "model":{{"name":"a"}},"mod\u0065l":{{"n\u0061me":"b"}}}}"#
    );
    let scenario = parsed(&json);
    assert_eq!(scenario.uuid().to_string(), U1);
    assert_eq!(scenario.component(), None);
    assert_eq!(scenario.name(), Some("b"));
    assert_eq!(scenario.model(), Some(r#"{"n\u0061me":"b"}"#));
    assert_eq!(parsed(r#"{"ior":{"component":"Old"},"model":{},"ior":null}"#).component(), None);
}

#[test]
fn shown_texts_are_capped_between_characters() {
    let long = "é".repeat(200); // 400 bytes
    let json =
        format!(r#"{{"ior":{{"component":"x{long}","version":["{long}"]}},"model":{{"name":"\n{long}"}}}}"#);
    let scenario = parsed(&json);
    // Cut where a character ends.
    for shown in [scenario.component(), scenario.version(), scenario.name()] {
        assert!((NAME_MAX_BYTES - 1..=NAME_MAX_BYTES).contains(&shown.unwrap().len()));
    }
    assert!(parsed(&json.replace('x', "")).component().unwrap().len() <= NAME_MAX_BYTES);
}

#[test]
fn owners_are_made_readable() {
    let owner = |owner: &str| parsed(&format!(r#"{{"owner":{owner}}}"#)).owner();
    let b64 = |json: &str| format!("\"{}\"", data_encoding::BASE64.encode(json.as_bytes()));
    assert_eq!(parsed("{}").owner(), Owner::Absent);
    assert_eq!(owner("null"), Owner::Absent);
    assert_eq!(owner("\"\""), Owner::Name(String::new()));
    assert_eq!(owner("\"system\""), Owner::Name("system".into()));
    assert_eq!(owner("\"TsAstExtractor12\""), Owner::Name("TsAstExtractor12".into()));
    let user = |user: &str, host: Option<&str>| Owner::User { user: user.into(), host: host.map(Into::into) };
    let flat = r#"{"user":"ada","hostname":"box","utcTimestamp":"t","uuid":"u"}"#;
    assert_eq!(owner(&b64(flat)), user("ada", Some("box")));
    assert_eq!(owner(&b64(&format!("{flat}\n"))), user("ada", Some("box")));
    let nested = r#"{"ior":{"component":"User"},"owner":"","model":{"user":"ada","hostname":"box"}}"#;
    assert_eq!(owner(&b64(nested)), user("ada", Some("box")));
    assert_eq!(owner(&json::quote(flat)), user("ada", Some("box")));
    assert_eq!(owner(r#"{"userId":"system","timestamp":"t"}"#), user("system", None));
    assert_eq!(owner(r#"{ "id": 1 }"#), Owner::Json(r#"{"id":1}"#.into()));
    assert_eq!(owner(&b64(r#"{"id": 1}"#)), Owner::Json(r#"{"id":1}"#.into()));
    assert_eq!(owner("[1, 2]"), Owner::Json("[1,2]".into()));
    assert_eq!(owner(&json::quote("{not json")), Owner::Name("{not json".into()));
    assert_eq!(user("ada", Some("box")).to_string(), "ada@box");
    assert_eq!(owner(&json::quote(&"x".repeat(100_000))), Owner::Name("x".repeat(NAME_MAX_BYTES - 1)));
    assert!(
        matches!(owner(&format!("[{}0]", "0,".repeat(50_000))), Owner::Json(start) if start.len() == NAME_MAX_BYTES)
    );
}

#[test]
fn what_is_no_object_is_refused_by_name() {
    for (json, found) in [
        ("[{}]", "an array"),
        ("7", "a number"),
        ("\"x\"", "a string"),
        ("true", "a boolean"),
        ("null", "null"),
    ] {
        let error = refused(json);
        assert_eq!(error.kind(), ScenarioErrorKind::NotAnObject);
        assert!(error.to_string().ends_with(&format!("found {found}")), "{error}");
        assert!(error.hint().is_some());
    }
    let error = refused("{\"model\":\n{\"a\":[1,2,}}");
    assert_eq!(error.kind(), ScenarioErrorKind::Json(crate::json::JsonErrorKind::Syntax));
    assert_eq!((error.line(), error.column(), error.path()), (2, 11, "model.a[2]"));
    assert_eq!(error.to_string(), "line 2, column 11, at model.a[2]: expected a value, found `}`");
    assert_eq!(error.message(), "expected a value, found `}`");
}

#[test]
fn composes_what_the_real_kernels_write() {
    let uuid = U1.parse().unwrap();
    let scenario =
        Scenario::compose(uuid, "Unit", "0.3.22.2", "sys\"tem", r#"{"uuid":"x","n":[1.0],"e":{}}"#).unwrap();
    let expected = format!(
        r#"{{
  "ior": {{
    "uuid": "{U1}",
    "component": "Unit",
    "version": "0.3.22.2"
  }},
  "owner": "sys\"tem",
  "model": {{
    "uuid": "x",
    "n": [
      1.0
    ],
    "e": {{}}
  }},
  "unit": {{
    "indexPath": "0/0/1/2/b/{U1}.scenario.json",
    "symlinkPaths": [
      "type/Unit/0.3.22.2"
    ],
    "references": [],
    "schemaVersion": "1.1.0",
    "createdBy": "Unit/0.3.22.2"
  }}
}}"#
    );
    assert_eq!(scenario.as_str(), expected);
    assert_eq!((scenario.format(), scenario.identity(), scenario.uuid()), (Format::A, Identity::Ior, uuid));
    assert_eq!((scenario.component(), scenario.version()), (Some("Unit"), Some("0.3.22.2")));
    assert_eq!(scenario.owner(), Owner::Name("sys\"tem".into()));
    assert_eq!(parsed(&expected), scenario);
}

#[test]
fn compose_refuses_what_would_be_no_scenario() {
    let uuid: Uuid = U1.parse().unwrap();
    let compose = |component: &str, version: &str, model: &str| {
        Scenario::compose(uuid, component, version, "", model).map_err(|error| error.kind())
    };
    assert!(compose("C\"", "{\"v\":1}", " 7 ").is_ok());
    assert_eq!(compose("", "1", "{}"), Err(ScenarioErrorKind::BadName));
    assert_eq!(compose("C", "a\nb", "{}"), Err(ScenarioErrorKind::BadName));
    assert_eq!(compose(&"c".repeat(NAME_MAX_BYTES + 1), "1", "{}"), Err(ScenarioErrorKind::BadName));
    assert!(matches!(compose("C", "1", "1, \"owner\": 2"), Err(ScenarioErrorKind::Json(_))));
    let deepest = "[".repeat(JSON_MAX_DEPTH - 1) + &"]".repeat(JSON_MAX_DEPTH - 1);
    assert!(compose("C", "1", &deepest).is_ok());
    assert!(matches!(compose("C", "1", &format!("[{deepest}]")), Err(ScenarioErrorKind::Json(_))));
    let nil = Scenario::compose(Uuid::nil(), "C", "1", "", "{}").unwrap_err();
    assert_eq!(nil.to_string(), "not a UUID: all its bits are the same");
}

#[test]
fn another_model_changes_nothing_else() {
    let old = parsed(&format!(
        "{{\"ior\":{{\"uuid\":\"{U1}\"}},\r\n\t\"model\" : {{\"n\":1}} ,\"z\":1.0,\"a\":1e2}}\n"
    ));
    let new = old.with_model(" [1,\n2] ").unwrap();
    assert_eq!(new.as_str(), old.as_str().replace("{\"n\":1}", "[1,\n2]"));
    assert_eq!((new.uuid(), new.model()), (old.uuid(), Some("[1,\n2]")));
    assert_eq!(new.with_model(r#"{"n":1}"#).unwrap(), old);
    assert_ne!(new.hash(), old.hash());

    let legacy = parsed(r#"{"uuid":"","objectType":"T","state":{"a":1},"metadata":{}}"#);
    assert_eq!(
        legacy.with_model("{}").unwrap().as_str(),
        r#"{"uuid":"","objectType":"T","state":{},"metadata":{}}"#
    );

    assert_eq!(parsed("{}").with_model("{}").unwrap_err().kind(), ScenarioErrorKind::NoModel);
    for (bad, column) in [("", 1), ("1,\"owner\":2", 2), ("{}}", 3), ("{} // {", 4)] {
        assert_eq!(old.with_model(bad).unwrap_err().column(), column, "{bad}");
    }
    let large = format!("\"{}\"", "x".repeat(SCENARIO_MAX_BYTES - 10));
    assert!(old.with_model(&large).is_err());
}
