//! Actions on the command line: what they depend on, taking them back, proofs, histories, what waits and why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Daemon, Home, scenario, until};
use serde_json::{Value, json};

const COUNTER: &str = "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01";
const NOTE: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// A UUID of version 7, made of a number.
fn id(n: u64) -> String {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    format!("{:08x}-{:04x}-7000-8000-{n:012x}", ms >> 16, ms & 0xffff)
}

/// A counter at bob, on which alice may act: its IOR.
fn counter_at_bob(home: &Home) -> (Daemon, Daemon, String) {
    let (alice, bob) = home.pair();
    let ior = home.once("bob", &["create", "Counter", "--uuid", COUNTER]).exits(0).out.trim().to_owned();
    home.once("bob", &["grant", "alice", "act"]).exits(0);
    (alice, bob, ior)
}

/// Its own name for a kernel.
fn kernel(home: &Home, name: &str) -> String {
    home.once(name, &["status", "--json"]).json()["kernel"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        let to = to.join(entry.file_name().unwrap());
        if kind.is_dir() {
            copy(&entry, &to);
        } else if kind.is_file() {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

#[test]
fn a_result_is_printed_whole() {
    let home = Home::new();
    home.init("alice");
    let model = json!({ "text": "a".repeat(300), "odd": "\u{202e}" }).to_string();
    let ior = home.once("alice", &["create", "Note", &model]).exits(0).out;
    let said = home.once("alice", &["act", ior.trim(), "get"]).exits(0).out;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), serde_json::from_str::<Value>(&model).unwrap());
    assert!(!said.contains('\u{202e}'), "it would turn the terminal's writing direction");
}

#[test]
fn whoever_waits_for_a_kernel_that_is_away_is_told_the_id() {
    let home = Home::new();
    let (alice, bob, ior) = counter_at_bob(&home);
    home.once("bob", &["stop"]).exits(0);
    let ran = home.once("alice", &["act", &ior, "add", r#"{"by":2}"#, "--timeout", "2s"]);
    let id = ran.err.split_whitespace().find(|word| word.len() == 36).unwrap().to_owned();
    assert!(ran.err.contains("waiting for the outcome of") && ran.err.contains("once cancel"), "{}", ran.err);
    home.once("alice", &["outbox"]).exits(0).prints(&id[..8]);
    drop((alice, bob));
}

#[test]
fn an_object_that_was_claimed_here_is_not_acted_on_elsewhere() {
    let home = Home::new();
    let (alice, bob) = home.pair();
    home.file(
        "counter.json",
        format!(r#"{{"ior":{{"uuid":"{COUNTER}","component":"Counter"}},"model":{{"count":1}}}}"#),
    );
    home.once("alice", &["import", "counter.json"]).exits(0);
    home.once("alice", &["share", COUNTER, "bob"]).exits(0);
    // What came from a peer is claimed on purpose only. The hint works when it is pasted.
    for careless in [&["act", COUNTER, "add", r#"{"by":1}"#][..], &["put", COUNTER, "counter.json"]] {
        let refused = home.once("bob", careless).exits(3);
        let hint = refused.err.lines().find_map(|line| line.strip_prefix("hint: `once ")).unwrap();
        let pasted: Vec<&str> = hint.split('`').next().unwrap().split(' ').collect();
        assert_eq!(pasted[0], "claim", "{}", refused.err);
        if careless[0] == "put" {
            home.once("bob", &pasted).exits(0).prints("claimed");
        }
    }
    assert_eq!(home.once("bob", &["act", COUNTER, "add", r#"{"by":1}"#]).exits(0).out, "2\n");
    let ran = home.once("bob", &["act", COUNTER, "add", r#"{"by":1}"#, "--at", "alice"]).exits(3);
    assert!(ran.err.contains("has its home at this kernel, not at alice"), "{}", ran.err);
    assert_eq!(home.once("bob", &["act", COUNTER, "get"]).exits(0).out, "2\n");
    drop((alice, bob));
}

#[test]
fn a_store_that_is_missing_is_said_and_not_replaced() {
    let home = Home::new();
    home.init("alice");
    home.once("alice", &["create", "Counter"]).exits(0);
    let store = home.join("alice/store");
    fs::rename(&store, home.join("away")).unwrap();
    for command in ["status", "ls", "up"] {
        let ran = home.once("alice", &[command]).exits(1);
        assert!(ran.err.contains("the store is missing") && ran.err.contains("hint:"), "{}", ran.err);
        assert!(!store.exists(), "`once {command}` made another one");
    }
    fs::rename(home.join("away"), &store).unwrap();
    home.once("alice", &["ls"]).exits(0).prints("Counter");
}

#[test]
fn an_object_is_made_and_named_by_its_ior() {
    let home = Home::new();
    home.init("alice");
    let ior = home.once("alice", &["create", "Counter"]).exits(0).out;
    assert!(ior.starts_with("ior:once://") && ior.contains("/Counter/1.0/"), "{ior}");
    let ior = ior.trim();
    assert_eq!(home.once("alice", &["act", ior, "add", r#"{"by":2}"#]).exits(0).out, "2\n");
    let account = home.once("alice", &["create", "Account"]).exits(0).out;
    home.once("alice", &["show", account.trim()]).exits(0).prints("\"balance\": 0");
    home.once("alice", &["act", account.trim(), "deposit", r#"{"amount":5}"#]).exits(0);
    let shown = |name: &str| home.once("alice", &["show", name]).exits(0).out;
    // The spelling stays, and the same again makes no second one.
    let made = ["create", "Thing", r#"{"n":1.0e2, "n":1}"#, "--uuid", COUNTER, "--version", "2.1"];
    let thing = home.once("alice", &made).exits(0);
    assert!(shown(COUNTER).contains("1.0e2"), "{}", shown(COUNTER));
    let again = home.once("alice", &made).exits(0).says("it was here already");
    assert_eq!((again.out.contains("/Thing/2.1/"), again.out), (true, thing.out));
    let other = ["create", "Thing", "{}", "--uuid", COUNTER];
    home.once("alice", &other).exits(0).says("another object here has this UUID: both are kept");
    let empty = home.once("alice", &["create", "Thing", "--json"]).exits(0).json();
    assert!(shown(empty["object"]["key"].as_str().unwrap()).contains(r#""model": {}"#));
    home.once("alice", &["create", "Thing", "{"]).exits(2).says("not JSON at 1:2: ");
    home.once("alice", &["create", "Thing", "--uuid", "7"]).exits(2).says("--uuid");
}

#[test]
fn an_action_names_what_it_depends_on() {
    let home = Home::new();
    let (_alice, _bob, ior) = counter_at_bob(&home);
    home.once("alice", &["import", home.file("note.json", scenario(1, "first")).to_str().unwrap()]).exits(0);
    let add = |given: &str| home.once("alice", &["act", &ior, "add", r#"{"by":1}"#, "--given", given]);
    // Bob has it when the action has run.
    assert_eq!(add(&NOTE[..12]).exits(0).out, "1\n");
    assert_eq!(home.once("bob", &["show", NOTE]).exits(0).out, scenario(1, "first"));
    // With its hash, which is what names it while nobody has claimed it.
    let shown = home.once("alice", &["show", NOTE, "--json"]).json();
    let hash = shown["object"]["hash"].as_str().unwrap().to_owned();
    assert_eq!(add(&format!("{NOTE}@{hash}")).exits(0).out, "2\n");
    assert_eq!(add(&format!("{}@{hash}", shown["object"]["ior"].as_str().unwrap())).exits(0).out, "3\n");
    assert_eq!(add(&format!("{NOTE}@{}", &hash[..8])).exits(0).out, "4\n");
    // What has changed since is another state.
    home.once("alice", &["put", NOTE, home.file("next.json", scenario(1, "second")).to_str().unwrap()])
        .exits(0);
    assert_eq!(add(NOTE).exits(0).out, "5\n");
    let own = home.once("alice", &["create", "Counter"]).exits(0).out;
    let get = |given: &str| home.once("alice", &["act", own.trim(), "get", "--given", given]);
    let new =
        home.once("alice", &["show", NOTE, "--json"]).json()["object"]["hash"].as_str().unwrap().to_owned();
    get(&format!("{NOTE}@{new}")).exits(0);
    get(&format!("{NOTE}@{hash}")).exits(1).says("the action never ran: a scenario that it depends on");
    // Bad names.
    add("ffff-ffff").exits(1).says("hint: one that is not here is given by its content: OBJECT@HASH");
    add(&format!("ffff@{hash}"))
        .exits(1)
        .says("needs its whole name: IOR@HASH, UUID#LINEAGE@HASH or UUID@HASH");
    add("x!").exits(2).says("'x!' names no object");
    home.once("alice", &["rm", NOTE]).exits(0);
    add(NOTE).exits(1).says("was removed");
    let many: Vec<_> = ["act", &ior, "get"].into_iter().chain(["--given", own.trim()].repeat(65)).collect();
    home.once("alice", &many).exits(2).says("at most 64 scenarios");
}

#[test]
fn what_is_taken_back_in_time_never_runs_else_its_outcome_is_told() {
    let home = Home::new();
    let (_alice, bob, ior) = counter_at_bob(&home);
    let act = |n: u64, by: &str, more: &[&str]| {
        let id = id(n);
        let args = [&["act", &ior, "add", by, "--id", &id], more].concat();
        (home.once("alice", &args), id)
    };
    let (_, ran) = act(1, r#"{"by":1}"#, &[]);
    let (_, failed) = act(2, r#"{"by":"x"}"#, &[]);
    let late = home.once("alice", &["cancel", &ran]).exits(1).says("too late: it had run");
    assert_eq!(late.out, "1\n");
    home.once("alice", &["cancel", &failed])
        .exits(1)
        .says("error: too late: the action failed, the component rejected it: ");
    home.once("alice", &["cancel", &id(9)]).exits(1).says("hint: the kernel that was asked to act knows it");
    home.once("alice", &["cancel", "x"]).exits(2).says("invalid value 'x' for '<ID>'");
    home.once("alice", &["cancel", &ran, "--no-wait", "--timeout", "1s"]).exits(2);

    drop(bob);
    until("bob is gone", || home.once("alice", &["peers", "--json"]).out.contains("\"connected\":false"));
    let (sent, back) = act(3, r#"{"by":10}"#, &["--no-wait"]);
    assert_eq!(sent.exits(0).out.trim(), back);
    let (waited, expires) = act(4, r#"{"by":100}"#, &["--deadline", "100ms", "--timeout", "1s"]);
    waited
        .exits(4)
        .says("whether it runs is not known here")
        .says(&format!("hint: `once outcome {expires}`"));
    let (sent, later) = act(5, r#"{"by":1000}"#, &["--deadline", "1h", "--no-wait"]);
    sent.exits(0);
    home.once("alice", &["cancel", &back, "--timeout", "100ms"]).exits(4).says("has no outcome yet");
    let not_known = home.once("alice", &["cancel", &back, "--no-wait"]).exits(0);
    assert_eq!(not_known.says("says whether that was in time").out.trim(), back);
    let outbox = home.once("alice", &["outbox"]).exits(0).out;
    for (id, note) in [(&back, "taken back"), (&expires, "its time is up"), (&later, "deadline in ")] {
        let line = outbox.lines().find(|line| line.contains(id.as_str())).unwrap();
        assert!(line.contains(note), "{outbox}");
    }
    let tries = |waits: Value| waits["acts"][0]["tries"].as_u64().unwrap();
    until("bob is dialled", || tries(home.once("alice", &["outbox", "--json"]).exits(0).json()) > 0);

    let _bob = home.up("bob");
    let said = format!("cancelled: {back} never ran, and never will\n");
    assert_eq!(home.once("alice", &["cancel", &back, "--timeout", "60s"]).exits(0).out, said);
    until("the rest", || home.once("alice", &["outbox"]).err.contains("nothing is owed"));
    home.once("alice", &["outcome", &back]).exits(3).says("taken back before it ran");
    home.once("alice", &["outcome", &expires]).exits(3).says("its time was up before it ran");
    assert_eq!(home.once("alice", &["outcome", &later]).exits(0).out, "1001\n");
    assert_eq!(
        home.once("alice", &["cancel", &back, "--json"]).exits(0).json(),
        json!({ "id": back, "status": "cancelled" })
    );
}

#[test]
fn a_receipt_is_checked_by_whoever_knows_the_key_and_nothing_else_is_believed() {
    let home = Home::new();
    let (alice, bob, ior) = counter_at_bob(&home);
    let ids: Vec<_> = (1..=3).map(id).collect();
    for id in &ids {
        home.once("alice", &["act", &ior, "add", r#"{"by":20}"#, "--id", id]).exits(0);
    }
    let (at_alice, at_bob) = (kernel(&home, "alice"), kernel(&home, "bob"));
    home.once("alice", &["receipt", &ids[1], "--out", "r.json"])
        .exits(0)
        .says("`once verify-receipt r.json`");
    home.once("alice", &["receipt", &ids[1], "--out", "r.json"]).exits(1).says("not replaced: r.json");
    home.once("alice", &["receipt", &id(9)]).exits(1).says("was accepted by this kernel");
    home.once("bob", &["receipt", &ids[1]]).exits(1).says("was accepted by this kernel");
    drop((alice, bob));
    home.once("alice", &["receipt", &ids[1]]).exits(4).says("hint: start it with `once up`");

    // No kernel, no data directory.
    let verify = |file: &str, more: &[&str]| {
        let ran = home.once("nowhere", &[&["verify-receipt", file], more].concat());
        assert!(!home.join("nowhere").exists());
        ran
    };
    let plain = verify("r.json", &[]).exits(0).says("checked against the key that the receipt itself names");
    // The result has been dropped at the home, and is here.
    for said in [&at_bob, &at_alice, &ids[1], &"done: 40".to_owned(), &format!("{COUNTER}#")] {
        assert!(plain.out.contains(said.as_str()), "{}", plain.out);
    }
    let named = verify("r.json", &["--home", &at_bob]).exits(0).prints("(the one that was named)");
    assert_eq!(named.err, "");
    let json = verify("r.json", &["--home", &at_bob, "--json"]).exits(0).json();
    assert_eq!((&json["verified"], &json["receipt"]["id"]), (&json!(true), &json!(ids[1])));
    let other = verify("r.json", &["--home", &at_alice]).exits(3).says("it is from another kernel");
    assert_eq!(other.out, "");
    verify("r.json", &["--home", "bob"]).exits(2).says("not a kernel id");

    let text = fs::read_to_string(home.join("r.json")).unwrap();
    let changed = |name: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        home.file(name, text.replacen(from, to, 1));
        let ran = verify(name, &[]);
        assert_eq!(ran.out, "", "what does not verify is not shown");
        ran
    };
    changed("result.json", r#""result_text": "40""#, r#""result_text": "41""#)
        .exits(3)
        .says("`result_text` was changed");
    changed("who.json", &format!(r#""origin": "{at_alice}""#), &format!(r#""origin": "{at_bob}""#)).exits(3);
    changed("twice.json", "{\n", "{\n  \"outcome\": \"failed\",\n").exits(1).says("`outcome` is there twice");
    changed("cut.json", "\"number\"", "number").exits(1).says("cut.json:15:3: ");
    home.file("more.json", text.replacen("{\n", "{\n  \"price\\u001b\": 1,\n", 1));
    verify("more.json", &[]).exits(0).says("nobody signed what else is in the file: price\\u{1b}");
    // A receipt of the same kernel with another signature in it.
    let value: Value = serde_json::from_str(&text).unwrap();
    let cbor = value["cbor"].as_str().unwrap();
    let (front, end) = cbor.split_at(cbor.len() - 20);
    let swapped = end.replacen(&end[..1], if &end[..1] == "A" { "B" } else { "A" }, 1);
    changed("signature.json", cbor, &format!("{front}{swapped}")).exits(3).says("its signature does not fit");
    home.file("empty.json", "");
    verify("empty.json", &[]).exits(1).says("empty.json:1:0: no receipt");
    verify("none.json", &[]).exits(1).says("none.json: No such file");
    verify("r.json", &["more"]).exits(2);
}

#[test]
fn a_history_lists_what_was_done_and_says_whether_it_holds() {
    let home = Home::new();
    let (_alice, _bob, ior) = counter_at_bob(&home);
    // Its birth is the first entry.
    home.once("bob", &["history", COUNTER]).exits(0).says("1 entry; the chain of hashes holds");
    let ids: Vec<_> = (1..=3).map(id).collect();
    for (id, by) in ids.iter().zip([r#"{"by":1}"#, r#"{"by":"x"}"#, r#"{"by":1}"#]) {
        home.once("alice", &["act", &ior, "add", by, "--id", id]);
    }
    home.once("bob", &["act", COUNTER, "get"]).exits(0);
    let listed =
        home.once("bob", &["history", COUNTER]).exits(0).says("5 entries; the chain of hashes holds").out;
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("NO") && lines.len() == 6, "{listed}");
    let lines = &lines[1..];
    // The newest first: what was done, by whom, and what came of it.
    assert!(lines[3].contains("alice") && lines[3].contains(r#"add({"by":1})"#), "{listed}");
    assert!(lines[3].contains("  1  ") && lines[0].contains("get"), "{listed}");
    let revision = |line: &str| line.rsplit("  ").next().unwrap().trim().to_owned();
    assert_eq!(revision(lines[3]), "2", "{listed}");
    assert!(lines[2].contains("failed") && revision(lines[2]) == revision(lines[3]), "{listed}");
    assert!(lines[0].contains(" bob ") && lines[0].contains("  2  "), "{listed}");
    let full = home.once("bob", &["history", COUNTER, "--full", "-n", "1"]).exits(0).out;
    for line in ["action     get", "arguments  null", "outcome    done", "result     2", "revision   3"] {
        assert!(full.contains(line), "no {line:?} in {full}");
    }
    let two = home.once("bob", &["history", COUNTER, "--after", "1", "-n", "2", "--json"]).exits(0).json();
    let numbers: Vec<_> = two["entries"].as_array().unwrap().iter().map(|entry| &entry["number"]).collect();
    assert_eq!((numbers, &two["total"], &two["next"]), (vec![&json!(2), &json!(3)], &json!(5), &json!(3)));
    assert_eq!(two["entries"][1]["previous"], two["entries"][0]["hash"]);
    home.once("alice", &["history", &ior])
        .exits(3)
        .says("is at its home, kernel bob")
        .says("hint: ask there");
    home.once("bob", &["history", "ffff"]).exits(1).says("hint: `once ls`");
}

#[test]
fn a_history_shows_what_was_asked_of_as_many_entries_as_one_says() {
    let home = Home::new();
    let asked = |told: &[&str]| {
        let up = [&["up", "--init", "--detach", "--listen", "127.0.0.1:0"], told].concat();
        home.once("alice", &up).exits(0);
        home.once("alice", &["create", "Counter", "--uuid", COUNTER]);
        home.once("alice", &["act", COUNTER, "add", r#"{"by":1}"#]).exits(0);
        let listed = home.once("alice", &["history", COUNTER, "-n", "1", "--json"]).exits(0).json();
        home.once("alice", &["stop"]).exits(0);
        listed["entries"][0]["name"].clone()
    };
    assert_eq!(asked(&["--told", "0"]), Value::Null);
    assert_eq!(asked(&[]), json!("add"));
}

#[test]
fn earlier_revisions_are_shown_where_they_are_kept() {
    let home = Home::new();
    let _stops = home.stops("alice");
    let up = |more: &[&str]| {
        let up = [&["up", "--init", "--detach", "--listen", "127.0.0.1:0"], more].concat();
        home.once("alice", &up).exits(0);
    };
    let add = || home.once("alice", &["act", COUNTER, "add", r#"{"by":1}"#]).exits(0);
    let show = |number: &str| home.once("alice", &["show", COUNTER, "--revision", number]);
    up(&[]);
    home.once("alice", &["create", "Counter", "--uuid", COUNTER]).exits(0);
    add();
    show("1").exits(1).says("revision 1 of").says("no earlier one is").says("once up");
    home.once("alice", &["stop"]).exits(0);
    up(&["--revisions", "2"]);
    for _ in 0..4 {
        add();
    }
    home.once("alice", &["show", COUNTER]).exits(0).says("2 earlier revisions, 4 to 5");
    for (number, count) in [("4", r#""count":3"#), ("6", r#""count":5"#)] {
        let shown = show(number).exits(0).out.replace(' ', "");
        assert!(shown.contains(count), "{number}: {shown}");
    }
    show("3").exits(1).says("of the earlier ones, 4 to 5 are");
    show("9").exits(1).says("its newest revision is 6");
    home.once("alice", &["show", COUNTER, "--revision", "4", "--path"]).exits(2);
}

#[test]
fn a_broken_history_is_our_fault_and_says_where() {
    let home = Home::new();
    home.init("alice");
    let socket = UnixListener::bind(home.join("alice/api.sock")).unwrap();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        let asked: Value = serde_json::from_str(&line).unwrap();
        let result = json!({ "object": COUNTER, "entries": [], "total": 3, "next": null, "broken": 2, "elsewhere": [], "given": [] });
        writeln!(stream, "{}", json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result })).unwrap();
    });
    home.once("alice", &["history", COUNTER])
        .exits(5)
        .says("error: the history is broken at entry 2")
        .says("hint: ");
    answers.join().unwrap();
}

#[test]
fn an_object_is_given_a_right_and_loses_it() {
    let home = Home::new();
    let (_alice, _bob) = home.pair();
    let caller = home.once("alice", &["create", "Counter"]).exits(0).out;
    let caller = caller.trim();
    home.once("bob", &["create", "Counter", "--uuid", COUNTER]).exits(0);
    let words = ["act", "--to-object", caller, "--object", COUNTER, "--action", "add", "--expires", "1h"];
    home.once("bob", &[&["grant"], &words[..]].concat())
        .exits(0)
        .prints(" may act on 7d0c2f6e")
        .prints("object ");
    let listed = home.once("bob", &["grants"]).exits(0).out;
    let line = listed.lines().find(|line| line.contains("act: add")).unwrap();
    assert!(line.contains(" (at alice) ") && line.contains("in "), "{listed}");
    assert!(home.once("bob", &["grants", "--json"]).json()["grants"].to_string().contains("to_object"));
    home.once("bob", &[&["revoke"], &words[..7]].concat()).exits(0).prints(" may no longer act on 7d0c2f6e");
    assert!(!home.once("bob", &["grants"]).exits(0).out.contains("act: add"));
    home.once("bob", &[&["revoke"], &words[..7]].concat()).exits(1).says("hint: `once grants`");
    home.once("bob", &["grant", "read", "--to-object", caller])
        .exits(2)
        .says("the right to act, and no other");
    home.once("bob", &["grant", "alice", "act", "--to-object", caller]).exits(2).says("cannot be used with");
    home.once("bob", &["grant", "act"]).exits(2).says("<PEER>");
    home.once("bob", &["grant", "act", "--to-object", NOTE]).exits(2).says("its whole IOR");
}

#[test]
fn what_is_asked_of_a_kernel_that_does_not_run_waits_and_says_so() {
    let home = Home::new();
    let (mut alice, bob, ior) = counter_at_bob(&home);
    home.once("alice", &["stop"]).exits(0);
    alice.ended();
    let id = id(1);
    let add = ["act", &ior, "add", r#"{"by":1}"#, "--id", &id];
    home.once("alice", &add)
        .exits(4)
        .says("is accepted and waits: this kernel is not running")
        .says("hint: `once up` starts it");
    home.once("alice", &["outbox"]).exits(0).prints(&id).prints("this kernel is not running");
    let _alice = home.up("alice");
    until("the outcome", || home.once("alice", &["outcome", &id]).out == "1\n");
    drop(bob);
}

/// A kernel that was put back has lost an action that its home has run. It does not give that action's place to another.
#[test]
fn a_kernel_that_was_put_back_does_not_act_in_the_place_of_what_it_has_lost() {
    let home = Home::new();
    let (mut alice, _bob, ior) = counter_at_bob(&home);
    let add = |id: &str| home.once("alice", &["act", &ior, "add", r#"{"by":1}"#, "--id", id]);
    let stop = |daemon: &mut Daemon| {
        home.once("alice", &["stop"]).exits(0);
        daemon.ended();
    };
    add(&id(1)).exits(0);
    stop(&mut alice);
    copy(&home.join("alice"), &home.join("copy"));
    alice = home.up("alice");
    add(&id(2)).exits(0);
    stop(&mut alice);
    fs::remove_dir_all(home.join("alice")).unwrap();
    copy(&home.join("copy"), &home.join("alice"));
    let _alice = home.up("alice");
    until("the quarantine", || home.once("alice", &["status", "--json"]).json()["quarantined"] == true);
    add(&id(3)).exits(3).says("in quarantine");
    let uuid = ior.split('/').next_back().unwrap().split('?').next().unwrap();
    assert!(
        home.once("bob", &["show", uuid]).exits(0).out.contains(r#""count": 2"#),
        "neither lost nor doubled"
    );
    // Bob met no second action in the place of the one that was lost.
    let checks = home.once("bob", &["doctor", "--json"]).json()["checks"].as_array().unwrap().clone();
    assert!(checks.iter().all(|check| check["check"] != "lane"), "{checks:?}");
}

#[test]
fn every_command_says_what_it_is_for() {
    let home = Home::new();
    let help = home.once("nobody", &["--help"]).exits(0).out;
    for name in ["create", "cancel", "receipt", "verify-receipt", "history"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(name)), "{help}");
        home.once("nobody", &[name, "--help"]).exits(0).prints("Usage: once ");
    }
    home.once("nobody", &["act", "--help"])
        .exits(0)
        .prints("--given <OBJECT[@HASH]>")
        .prints("--deadline <TIME>");
    home.once("nobody", &["grant", "--help"]).exits(0).prints("--to-object <IOR>");
}
