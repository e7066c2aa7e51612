use super::*;

const U: &str = "0012bda9-f833-4909-a891-a75b183be4c8";

fn uuid() -> Uuid {
    U.parse().unwrap()
}

fn read(text: &str) -> Ior {
    let ior = Ior::parse(text).unwrap();
    assert_eq!(ior.to_string(), text);
    assert_eq!(ior.to_string().parse(), Ok(ior.clone()));
    assert_eq!(serde_json::from_str::<Ior>(&serde_json::to_string(&ior).unwrap()).unwrap(), ior);
    ior
}

fn full() -> OnceIor {
    OnceIor {
        home: Some(KernelId::from_bytes([0xa5; 32])),
        component: "My Counter/ä".into(),
        version: r#"{"v":"1.0"}"#.into(),
        uuid: uuid(),
        lineage: Some(Lineage::from_bytes([7; 32])),
        content: None,
        at: vec!["10.0.0.7:42777".into(), "[fe80::1]:42777".into(), "box.example.net:1".into()],
    }
}

#[test]
fn ours_round_trips() {
    let ior = Ior::once(&full()).unwrap();
    assert_eq!(
        ior.as_str(),
        format!(
            "ior:once://{}/My%20Counter%2F%C3%A4/%7B%22v%22%3A%221.0%22%7D/{U}?lineage={}\
             &at=10.0.0.7:42777,%5Bfe80::1%5D:42777,box.example.net:1",
            KernelId::from_bytes([0xa5; 32]),
            "07".repeat(32),
        )
    );
    assert_eq!(read(ior.as_str()).form(), Form::Once(full()));
    assert_eq!(ior.uuid(), Some(uuid()));
    assert_eq!(ior.lineage(), full().lineage);
    assert_eq!(ior.home(), full().home);
    assert_eq!(ior.component().as_deref(), Some("My Counter/ä"));
    assert_eq!(ior.content(), None);
}

#[test]
fn ours_with_nothing_but_a_uuid() {
    let ior = Ior::once(&OnceIor::new(uuid())).unwrap();
    assert_eq!(ior.as_str(), format!("ior:once://-/-/-/{U}"));
    assert_eq!(ior.as_once(), Some(OnceIor::new(uuid())));
    assert_eq!((ior.home(), ior.lineage(), ior.component()), (None, None, None));
}

#[test]
fn names_that_look_like_syntax_survive() {
    for name in ["-", ".", "..", "%2D", "a?b#c&d=e", "-x", "\u{0}", " "] {
        let parts = OnceIor { component: name.into(), version: name.into(), ..OnceIor::new(uuid()) };
        assert_eq!(read(Ior::once(&parts).unwrap().as_str()).as_once(), Some(parts), "{name}");
    }
}

#[test]
fn an_unclaimed_object_is_named_by_its_content() {
    let content = Some(Hash::from_bytes([9; 32]));
    let ior = Ior::once(&OnceIor { content, ..OnceIor::new(uuid()) }).unwrap();
    assert!(ior.as_str().ends_with(&format!("?hash={}", "09".repeat(32))));
    assert_eq!((ior.content(), ior.lineage()), (content, None));
}

#[test]
fn hints_that_are_not_understood_are_passed_over_and_kept() {
    let ior = read(&format!(
        "ior:once://-/C/1/{}?new=1&at=relay+https://r,[::1]:7,x:0,h:42777&flag",
        U.to_uppercase()
    ));
    assert_eq!(ior.uuid(), Some(uuid()));
    assert_eq!(ior.as_once().unwrap().at, ["[::1]:7", "h:42777"]);
}

#[test]
fn what_identifies_must_be_right() {
    let l = "07".repeat(32);
    for (rest, error) in [
        ("".to_owned(), IorError::Shape),
        ("//".to_owned(), IorError::Shape),
        (format!("//-/C/{U}"), IorError::Shape),
        (format!("//-/C/1/{U}/x"), IorError::Shape),
        (format!("//-//1/{U}"), IorError::Shape),
        (format!("//alice/C/1/{U}"), IorError::Part { part: "home" }),
        ("//-/C/1/unknown".to_owned(), IorError::Part { part: "UUID" }),
        (format!("//-/C/1/{U}#x"), IorError::Part { part: "UUID" }),
        (format!("//-/%ff/1/{U}"), IorError::Part { part: "component" }),
        (format!("//-/C/1/{U}?lineage=07"), IorError::Part { part: "lineage" }),
        (format!("//-/C/1/{U}?hash="), IorError::Part { part: "hash" }),
        (format!("//-/C/1/{U}?lineage={l}&lineage={l}"), IorError::Twice { part: "lineage" }),
    ] {
        assert_eq!(Ior::parse(&format!("ior:once:{rest}")), Err(error), "{rest}");
    }
}

#[test]
fn wrong_addresses_are_not_written() {
    for address in
        ["", "host", ":1", "h:", "h:0", "h:65536", "a,b:1", "h:1&lineage=x", "http://h:1", "h:+1", "[::1]"]
    {
        let parts = OnceIor { at: vec![address.into()], ..OnceIor::new(uuid()) };
        assert!(matches!(Ior::once(&parts), Err(IorError::Address { .. })), "{address}");
    }
    let many = OnceIor { at: vec!["10.0.0.7:42777".into(); 1000], ..OnceIor::new(uuid()) };
    assert!(matches!(Ior::once(&many), Err(IorError::TooLong { .. })));
}

#[test]
fn knows_every_foreign_form() {
    let sha = "739f9292d995138960cecddbea3766614a003b121f339946196d616654b87c04";
    assert_eq!(read(U).form(), Form::Bare(uuid()));
    assert_eq!(read(&U.to_uppercase()).uuid(), Some(uuid()));
    assert_eq!(Ior::bare(uuid()), read(U));
    assert_eq!(read(&format!("ior:unit:{U}")).form(), Form::Unit(uuid()));
    assert_eq!(read(&format!("ior:unit:uuid:{U}")).form(), Form::Unit(uuid()));
    assert_eq!(
        read("ior:git:github.com/Org/Repo/blob/dev/web4v0100/src/x.ts").form(),
        Form::Git { host: "github.com", org: "Org", repo: "Repo", branch_and_path: "dev/web4v0100/src/x.ts" }
    );
    assert_eq!(read(&format!("ior:git:hash:{sha}")).form(), Form::GitHash(sha));
    assert_eq!(
        read("ior:git:text:https://h/a/../b.md#L1:1-18:1").form(),
        Form::GitText { url: "https://h/a/../b.md", lines: Some("L1:1-18:1") }
    );
    assert_eq!(
        read("ior:esm:/ONCE/0.3.22.2/File").form(),
        Form::Esm { package: "ONCE", version: "0.3.22.2", name: "File" }
    );
    assert_eq!(read("ior:local:ln:file:/abs").form(), Form::Local { path: "/abs", link: true });
    assert_eq!(read("ior:local:file://rel/x").form(), Form::Local { path: "rel/x", link: false });
    let web4 = read(&format!("web4://localhost:42777/once?uuid={U}&type=ONCE&version=0.2.0.0"));
    assert_eq!(
        web4.form(),
        Form::Web4 {
            host: "localhost:42777",
            uuid: Some(uuid()),
            component: Some("ONCE"),
            version: Some("0.2.0.0")
        }
    );
    assert_eq!((web4.uuid(), web4.component().as_deref()), (Some(uuid()), Some("ONCE")));
}

#[test]
fn knows_failover_profiles() {
    let ior = read(&format!("ior:https://h1:1,h2:2/Comp/1.0/{U}/method?k=v&l"));
    let form = |hosts, method, query| Form::Http {
        scheme: "https",
        hosts,
        component: "Comp",
        version: "1.0",
        uuid: uuid(),
        method,
        query,
    };
    assert_eq!(ior.form(), form("h1:1,h2:2", Some("method"), Some("k=v&l")));
    assert_eq!((ior.uuid(), ior.component().as_deref()), (Some(uuid()), Some("Comp")));
    let undefined = read(&format!("ior:https://h:undefined/Comp/1.0/{U}"));
    assert_eq!(undefined.form(), form("h:undefined", None, None));
}

#[test]
fn unknown_forms_are_kept() {
    for text in [
        "ior:",
        "IOR:010000000f",
        "ior:new:x",
        "ior:git:x",
        "ior:esm:x",
        "ior:unit:unknown",
        "ior:local:x",
        "ior:https://h/x",
        "ior:https:h",
        "web4:x",
        "Ior:once://kept",
        "ior:git:a b/ü",
    ] {
        assert_eq!(read(text).form(), Form::Other, "{text}");
        assert_eq!(read(text).uuid(), None);
    }
    assert!(matches!(
        read("web4://h/once").form(),
        Form::Web4 { host: "h", uuid: None, component: None, version: None }
    ));
}

#[test]
fn what_is_no_reference_is_refused() {
    for text in ["", "hello", "io", "http://x", "see ior:unit:x", "0012bda9f8334909a891a75b183be4c8", "ïor:x"]
    {
        assert_eq!(Ior::parse(text), Err(IorError::NotAnIor), "{text}");
    }
    assert_eq!(Ior::parse("ior:a\nb"), Err(IorError::ControlCharacter));
    let long = format!("ior:{}", "x".repeat(IOR_MAX_BYTES - 4));
    assert!(Ior::parse(&long).is_ok());
    assert_eq!(Ior::parse(&format!("{long}x")), Err(IorError::TooLong { bytes: IOR_MAX_BYTES + 1 }));
    assert!(IorError::Shape.hint().is_some());
}
