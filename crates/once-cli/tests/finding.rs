//! Finding objects with real kernels: here, at peers, and with one of them away.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use serde_json::Value;

fn pump(n: u32, name: &str, color: &str) -> String {
    let uuid = format!("0a1b2c3d-0000-4000-8000-{n:012x}");
    let (name, color) = (Value::from(name), Value::from(color));
    format!(
        r#"{{"ior":{{"uuid":"{uuid}","component":"Pump","version":"2"}},"model":{{"name":{name},"color":{color},"n":{n}}}}}"#
    )
}

fn names(ran: &Ran) -> Vec<String> {
    let found = ran.json();
    let objects = found["objects"].as_array().unwrap().iter();
    objects.map(|object| object["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn objects_are_found_by_what_they_are() {
    let home = Home::new();
    home.init("alice");
    for (n, name, color) in [(1, "Pump 1", "red"), (2, "pump 2", "blue"), (3, "valve", "red")] {
        home.file(&format!("in/{n}.json"), pump(n, name, color));
    }
    home.file("in/9.json", scenario(9, "a note on pump 1"));
    home.once("alice", &["import", "in"]).exits(0);
    // A kernel that does not run, and then one that does: without and with an index.
    for running in [false, true] {
        let _daemon = running.then(|| home.up("alice"));
        let find = |args: &[&str]| {
            let ran = home.once("alice", &[&["find", "--json"], args].concat()).exits(0);
            let mut found = names(&ran);
            found.sort();
            found
        };
        for _ in 0..2 {
            assert_eq!(find(&[]), ["Pump 1", "a note on pump 1", "pump 2", "valve"]);
            assert_eq!(find(&["--name", "pump ?"]), ["Pump 1", "pump 2"]);
            assert_eq!(find(&["pump 1"]), ["Pump 1", "a note on pump 1"]);
            assert_eq!(find(&["PUMP 1", "--component", "Pump"]), ["Pump 1"]);
            assert_eq!(find(&["--where", "/model/color=red"]), ["Pump 1", "valve"]);
            assert_eq!(find(&["--where", "/model/color=red", "--where", "/model/n=3"]), ["valve"]);
            assert_eq!(find(&["--where", "/model/n=\"3\""]), [""; 0]);
            assert_eq!(find(&["--changed-since", "1970-01-01"]).len(), 4);
            assert_eq!(find(&["--changed-since", "9999-01-01"]), [""; 0]);
            assert_eq!(find(&["--home", "here"]), [""; 0]);
            assert_eq!(find(&["-n", "1"]).len(), 1);
        }
        let shown = home.once("alice", &["find", "--name", "valve"]).exits(0);
        shown.prints("NAME").prints("valve").prints("Pump 2").says("1 object");
        home.once("alice", &["find", "--where", "model=1"]).exits(2).says("JSON pointer");
        home.once("alice", &["find", "--where", "/model"]).exits(2);
    }
    // What is claimed, renamed or removed is found as it is now.
    let _daemon = home.up("alice");
    home.once("alice", &["find"]).exits(0);
    let uuid = "0a1b2c3d-0000-4000-8000-000000000003";
    until("the index is built, and told of changes", || {
        let name = format!("valve {}", std::process::id());
        home.once("alice", &["act", uuid, "merge", &format!(r#"{{"name":"{name}"}}"#)]).exits(0);
        assert_eq!(
            names(&home.once("alice", &["find", "--name", &name, "--home", "here", "--json"])),
            [name]
        );
        true
    });
    assert_eq!(names(&home.once("alice", &["find", "--name", "valve", "--json"])), [""; 0]);
    home.once("alice", &["rm", uuid]).exits(0);
    assert_eq!(names(&home.once("alice", &["find", "--name", "valve*", "--json"])), [""; 0]);
}

#[test]
fn objects_are_found_at_three_kernels_of_which_one_is_away() {
    let home = Home::new();
    let (_alice, _bob) = home.pair();
    let carol = home.up("carol");
    let ticket = home.once("alice", &["invite", "--name", "carol"]).exits(0).out;
    home.once("carol", &["join", ticket.trim(), "--name", "alice"]).exits(0);
    for (n, kernel) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        let escape = "pump\u{1b}[31m";
        home.once(
            kernel,
            &[
                "import",
                home.file(&format!("{n}.json"), pump(n, &format!("{escape} {n}"), "red")).to_str().unwrap(),
            ],
        )
        .exits(0);
        home.once(kernel, &["create", "Pump", &format!(r#"{{"name":"pump of {kernel}"}}"#)]).exits(0);
    }
    let everywhere =
        |args: &[&str]| home.once("alice", &[&["find", "--everywhere", "--timeout", "60s"], args].concat());
    // Without a right nobody is told anything: that looks as if nothing were there.
    assert_eq!(names(&everywhere(&["--name", "pump of*", "--json"]).exits(0)), ["pump of alice"]);
    home.once("bob", &["grant", "alice", "read"]).exits(0);
    home.once("carol", &["grant", "alice", "find", "--component", "Pump"]).exits(0);
    let mut found = names(&everywhere(&["--name", "pump of*", "--json"]).exits(0));
    found.sort();
    assert_eq!(found, ["pump of alice", "pump of bob", "pump of carol"]);
    // Who may find, and not read, learns nothing of the content.
    let mut red = names(&everywhere(&["--where", "/model/color=red", "--json"]).exits(0));
    red.sort();
    assert_eq!(red, ["pump\u{1b}[31m 1", "pump\u{1b}[31m 2"]);
    let shown = everywhere(&["--name", "pump*"]).exits(0);
    assert!(!shown.out.contains('\u{1b}'), "{}", shown.out);
    // At one of them.
    assert_eq!(names(&home.once("alice", &["find", "--at", "bob", "--json"]).exits(0)).len(), 2);
    // A replica is one row for people, and an object of each kernel that has it for programs.
    let key = home.once("bob", &["find", "--name", "pump of bob", "-q"]).exits(0).out;
    home.once("alice", &["request", key.trim().split('#').next().unwrap(), "--from", "bob"]).exits(0);
    // This kernel is no peer that could permit it more.
    let nothing = everywhere(&["--name", "nobody's"]).exits(0).says("may find fits at: bob, carol");
    assert!(!nothing.err.contains("alice"), "{}", nothing.err);
    let shown = everywhere(&["--name", "pump of bob"]).exits(0).says("1 object");
    assert_eq!(shown.out.matches("pump of bob").count(), 1, "{}", shown.out);
    assert_eq!(names(&everywhere(&["--name", "pump of bob", "--json"]).exits(0)).len(), 2);
    // One is away: the others' objects are shown, and it is named.
    drop(carol);
    let away = everywhere(&["--name", "pump of*"]).exits(0).says("carol did not tell all");
    assert!(away.out.contains("pump of alice") && away.out.contains("pump of bob"), "{}", away.out);
    let away = everywhere(&["--name", "pump of*", "--json"]).exits(0).json();
    let kernels = away["kernels"].as_array().unwrap();
    let carol = kernels.iter().find(|kernel| kernel["name"] == "carol").unwrap();
    assert_eq!(
        (kernels.len(), &carol["complete"], &carol["error"]["code"]),
        (3, &false.into(), &"unreachable".into())
    );
    home.once("alice", &["find", "--at", "carol"]).exits(4).says("carol did not tell all");
    home.once("alice", &["find", "--at", "bob,carol", "--name", "pump of*"]).exits(4).prints("pump of bob");
    home.once("alice", &["find", "--at", "nobody"]).exits(1).says("no peer");
}

#[test]
fn a_listing_has_names_filters_orders_and_pages() {
    let home = Home::new();
    home.init("alice");
    for (n, name) in [(1, "delta"), (2, "Alpha"), (3, "charlie"), (4, "bravo")] {
        home.file(&format!("in/{n}.json"), pump(n, name, "red"));
    }
    home.file("in/5.json", r#"{"ior":{"component":"Note"},"model":{}}"#);
    home.once("alice", &["import", "in"]).exits(0);
    let _daemon = home.up("alice");
    let list = |args: &[&str]| names(&home.once("alice", &[&["ls", "--json"], args].concat()).exits(0));
    assert_eq!(list(&["--sort", "name"]), ["Alpha", "bravo", "charlie", "delta", ""]);
    assert_eq!(list(&["--sort", "component"])[0], "");
    assert_eq!(list(&["--name", "*a", "--sort", "name"]), ["Alpha", "delta"]);
    assert_eq!(list(&["--name", "*A"]), ["delta", "Alpha"]);
    home.once("alice", &["act", "0a1b2c3d-0000-4000-8000-000000000003", "merge", r#"{"seen":true}"#])
        .exits(0);
    assert_eq!(list(&["--sort", "changed", "-n", "1"]), ["charlie"]);
    assert_eq!(list(&["--sort", "name", "--state", "home"]), ["charlie"]);
    for sort in [&[][..], &["--sort", "name"], &["--sort", "component"], &["--sort", "changed"]] {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut args = [&["ls", "--json", "-n", "2"], sort].concat();
            if let Some(after) = &after {
                args.extend(["--after", after.as_str()]);
            }
            let page = home.once("alice", &args).exits(0);
            all.extend(names(&page));
            match page.json()["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(all, list(sort), "{sort:?}");
    }
    home.once("alice", &["ls", "-n", "1"]).exits(0).prints("delta").says("more: the same with --after");
    home.once("alice", &["ls", "--sort", "name", "--removed"]).exits(2).says("UUID");
    home.once("alice", &["ls", "--sort", "name", "--after", "x"]).exits(2);
}
