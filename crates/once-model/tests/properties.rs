//! What holds for every input, not only for those that somebody thought of.

use once_model::hash::content_hash;
use once_model::ids::{Hash, KernelId, Lineage, Uuid};
use once_model::ior::{Ior, OnceIor};
use once_model::json::{JsonErrorKind, compact, pretty, quote, validate};
use once_model::limits::JSON_MAX_DEPTH;
use once_model::references::references;
use once_model::scenario::{Scenario, ScenarioErrorKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::de::IgnoredAny;

fn space() -> impl Strategy<Value = String> {
    "[ \n\r\t]{0,2}"
}

/// A JSON string in one of its many spellings.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9 ,:{}<>=\\[\\]]{0,12}",
        r#"\\["\\/bfnrt]"#,
        r"\\u[0-9a-fA-F]{4}",
        "[^\"\\\\\\x00-\\x1f]{0,3}",
        Just("ior:unit:0012bda9-f833-4909-a891-a75b183be4c8".to_owned()),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ]
}

/// Any JSON value, in any spelling.
fn json() -> impl Strategy<Value = String> {
    scalar().prop_recursive(8, 64, 6, |inner| {
        prop_oneof![array(inner.clone()), object(text(), inner)] // keys may well be there twice
    })
}

fn array(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let item = (space(), inner, space()).prop_map(|(a, item, b)| format!("{a}{item}{b}"));
    (space(), vec(item, 0..6)).prop_map(|(space, items)| format!("[{space}{}]", items.join(",")))
}

fn object(
    key: impl Strategy<Value = String>,
    inner: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let field =
        (space(), key, space(), space(), inner).prop_map(|(a, k, b, c, v)| format!("{a}{k}{b}:{c}{v}"));
    (space(), vec(field, 0..6)).prop_map(|(space, fields)| format!("{{{space}{}}}", fields.join(",")))
}

/// Any JSON object, often with the keys that matter.
fn document() -> impl Strategy<Value = String> {
    let known =
        ["ior", "IOR", "owner", "model", "unit", "state", "uuid", "objectType", "metadata", "mod\\u0065l"];
    let key = prop_oneof![3 => proptest::sample::select(known.to_vec()).prop_map(|key| format!("\"{key}\"")), 1 => text()];
    let inner = prop_oneof![
        json(),
        object(proptest::sample::select(vec!["\"uuid\"", "\"name\""]).prop_map(str::to_owned), scalar())
    ];
    (space(), object(key, inner), space()).prop_map(|(a, object, b)| format!("{a}{object}{b}"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z][A-Za-z0-9]{0,12}", "[-.~/?#&=% ]{0,3}", "\\PC{0,8}"]
}

fn once_ior() -> impl Strategy<Value = OnceIor> {
    let at = prop_oneof![
        any::<std::net::SocketAddr>()
            .prop_filter("a port", |at| at.port() != 0)
            .prop_map(|at| at.to_string()),
        "[a-z][a-z0-9.-]{0,20}:[1-9][0-9]{0,3}",
    ];
    (
        option::of(any::<[u8; 32]>()),
        (name(), name()),
        any::<u128>(),
        option::of(any::<[u8; 32]>()),
        option::of(any::<[u8; 32]>()),
        vec(at, 0..4),
    )
        .prop_map(|(home, (component, version), uuid, lineage, content, at)| OnceIor {
            home: home.map(KernelId::from_bytes),
            component,
            version,
            uuid: Uuid::from_u128(uuid),
            lineage: lineage.map(Lineage::from_bytes),
            content: content.map(Hash::from_bytes),
            at,
        })
}

proptest! {
    #[test]
    fn any_object_is_read_and_comes_back_byte_for_byte(json in document()) {
        let scenario = Scenario::parse(json.clone().into_bytes()).unwrap();
        prop_assert_eq!(scenario.bytes(), json.as_bytes());
        prop_assert_eq!(scenario.hash(), content_hash(json.as_bytes()));
        // All that it shows can be asked for, and its parts are parts of it.
        let _ = (scenario.component(), scenario.version(), scenario.name(), scenario.owner().to_string());
        prop_assert!(scenario.model().is_none_or(|model| json.contains(model) && validate(model.as_bytes()).is_ok()));
        prop_assert!(!references(&scenario).truncated);
    }

    #[test]
    fn any_json_is_valid(json in json()) {
        prop_assert_eq!(validate(json.as_bytes()), Ok(json.as_str()));
    }

    /// Broken JSON is refused exactly where another parser refuses it.
    #[test]
    fn agrees_with_serde_json(json in json(), at: prop::sample::Index, new in "[\\[\\]{},:\"\\\\0-9a-z.eE+\\- \n]?", cut: bool) {
        let mut bytes = json.into_bytes();
        let at = at.index(bytes.len());
        let end = if cut { bytes.len() } else { at + 1 };
        bytes.splice(at..end, new.bytes());
        let ours = validate(&bytes);
        let theirs = std::str::from_utf8(&bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        prop_assert_eq!(ours.is_ok(), theirs, "{:?}: {:?}", String::from_utf8_lossy(&bytes), ours);
    }

    #[test]
    fn nothing_panics_on_arbitrary_bytes(bytes in vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        if let Err(error) = Scenario::parse(bytes) {
            prop_assert!(error.line() >= 1 && error.column() >= 1 && !error.to_string().contains('\n'));
        }
        let _ = (Scenario::parse(text.clone()), Ior::parse(&text).map(|ior| ior.uuid()));
        let _ = Ior::parse(&format!("ior:once://{text}"));
    }

    #[test]
    fn another_model_leaves_all_other_bytes(before in document(), model in json(), new in json(), owner in scalar()) {
        let json = format!("{{\"owner\":{owner},\"model\" : {model} ,\"before\":{before}}}");
        let old = Scenario::parse(json).unwrap();
        let changed = old.with_model(&new).unwrap();
        let expected = format!("{{\"owner\":{owner},\"model\" : {} ,\"before\":{before}}}", new.trim());
        prop_assert_eq!(changed.as_str(), expected);
        prop_assert_eq!(changed.model(), Some(new.trim()));
        prop_assert_eq!(changed.with_model(&model).unwrap(), old);
    }

    #[test]
    fn what_is_composed_reads_back(
        uuid in 1..u128::MAX, component in "[^\\x00-\\x1f\\x7f-\\u{9f}]{1,20}", owner in "\\PC{0,20}", model in json()
    ) {
        let uuid = Uuid::from_u128(uuid);
        let scenario = Scenario::compose(uuid, &component, "1.0", &owner, &model).unwrap();
        prop_assert_eq!(scenario.uuid(), uuid);
        prop_assert_eq!(scenario.component(), Some(component.as_str()));
        prop_assert_eq!(compact(scenario.model().unwrap()), compact(&model));
    }

    #[test]
    fn respacing_keeps_what_is_said(json in json()) {
        let tight = compact(&json).unwrap();
        let wide = pretty(&json, 3).unwrap();
        prop_assert_eq!(compact(&wide).unwrap(), tight.clone());
        prop_assert_eq!(compact(&tight).unwrap(), tight);
        prop_assert_eq!(pretty(&wide, 3).unwrap(), wide);
    }

    #[test]
    fn quoted_texts_are_json(text in any::<String>()) {
        prop_assert_eq!(serde_json::from_str::<String>(&quote(&text)).unwrap(), text);
    }

    #[test]
    fn our_references_round_trip(parts in once_ior()) {
        let ior = Ior::once(&parts).unwrap();
        prop_assert_eq!(Ior::parse(ior.as_str()).unwrap(), ior.clone());
        prop_assert_eq!(ior.as_once(), Some(parts.clone()));
        prop_assert_eq!((ior.uuid(), ior.lineage(), ior.home()), (Some(parts.uuid), parts.lineage, parts.home));
        prop_assert!(ior.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\<>#".contains(&b)));
    }

    #[test]
    fn any_reference_prints_as_it_was_read(
        scheme in "(ior|web4|IOR):(once:|git:|git:hash:|git:text:|esm:|unit:|unit:uuid:|local:|https:)?(//)?",
        rest in "[a-z0-9:/?&=#,.%-]{0,30}",
        tail in prop_oneof![Just(""), Just("0012bda9-f833-4909-a891-a75b183be4c8")],
    ) {
        let text = format!("{scheme}{rest}{tail}");
        match Ior::parse(&text) {
            Ok(ior) => {
                let _ = ior.form();
                prop_assert_eq!(ior.to_string(), text);
            }
            Err(_) => prop_assert!(text.starts_with("ior:once:")),
        }
    }

    #[test]
    fn depth_is_limited_whatever_nests(kinds in vec(any::<bool>(), 1..100)) {
        let open: String = kinds.iter().map(|&list| if list { "[" } else { "{\"k\":" }).collect();
        let close: String = kinds.iter().rev().map(|&list| if list { ']' } else { '}' }).collect();
        let json = format!("{{\"model\":{open}0{close}}}");
        let depth = kinds.len() + 1;
        match Scenario::parse(json) {
            Ok(_) => prop_assert!(depth <= JSON_MAX_DEPTH),
            Err(error) => {
                prop_assert_eq!(error.kind(), ScenarioErrorKind::Json(JsonErrorKind::TooDeep));
                prop_assert!(depth > JSON_MAX_DEPTH);
            }
        }
    }
}
