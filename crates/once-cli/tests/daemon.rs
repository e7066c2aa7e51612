//! Kernels that run: two of them, what they tell each other, and how they end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::process::Command;

use common::{Home, Ran, scenario, until};
use serde_json::json;

const UUID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

fn with_one_object(home: &Home) {
    home.file("in/a.json", scenario(1, "a"));
    home.once("alice", &["import", "in"]).exits(0);
}

#[test]
fn two_kernels_share_a_scenario() {
    let home = Home::new();
    let _kernels = home.pair();
    with_one_object(&home);
    home.once("alice", &["share", UUID, "bob"]).exits(0).prints("delivered 1 of 1 object to bob");
    assert_eq!(home.once("bob", &["show", "0a1b2c3d"]).exits(0).out, scenario(1, "a"));
    home.once("bob", &["ls"]).exits(0).prints("unclaimed").prints(UUID);
    home.once("alice", &["peers"]).exits(0).prints("bob").prints("connected");
    let peers = home.once("bob", &["peers", "--json"]).exits(0).json();
    assert_eq!(peers["peers"][0]["petname"], "alice");
    home.once("alice", &["outbox"]).exits(0).says("nothing is owed");
    home.once("alice", &["peers", "dial", "bob"]).exits(0).prints("connected to bob");
    home.once("alice", &["status"]).exits(0).prints("1 object").prints("1 peer, 1 connected");
    home.once("alice", &["doctor"]).exits(0).prints("✓").says("nothing is wrong");
}

#[test]
fn reading_is_denied_until_granted_and_again_when_revoked() {
    let home = Home::new();
    let _kernels = home.pair();
    with_one_object(&home);
    let denied = home.once("bob", &["request", UUID, "--from", "alice"]).exits(3).says("hint: ");
    let unknown = "0a1b2c3d-0000-4000-8000-00000000ffff";
    let absent = home.once("bob", &["request", unknown, "--from", "alice"]).exits(3);
    assert_eq!(denied.err.replace(UUID, "X"), absent.err.replace(unknown, "X"), "the two must look alike");
    home.once("alice", &["grant", "bob", "read", "--object", UUID]).exits(0);
    home.once("alice", &["grants"]).exits(0).prints("read").prints(UUID);
    let found = home.once("bob", &["request", UUID, "--from", "alice", "--no-keep"]).exits(0);
    assert_eq!(found.out, scenario(1, "a"));
    assert_eq!(home.once("bob", &["ls", "-q"]).out, "");
    home.once("alice", &["revoke", "bob", "read", "--object", UUID]).exits(0);
    home.once("bob", &["request", UUID, "--from", "alice"]).exits(3);
    home.once("alice", &["revoke", "bob", "read", "--object", UUID]).exits(1).says("no such grant");
}

#[test]
fn an_exchange_brings_both_to_the_same() {
    let home = Home::new();
    let _kernels = home.pair();
    with_one_object(&home);
    home.file("other/b.json", scenario(2, "b"));
    home.once("bob", &["import", "other"]).exits(0);
    home.once("alice", &["grant", "bob", "read"]).exits(0);
    home.once("bob", &["grant", "alice", "read"]).exits(0);
    let report = home.once("alice", &["exchange", "bob", "--json"]).exits(0).json();
    assert_eq!((&report["sent"], &report["received"]), (&json!(1), &json!(1)));
    let names = |data: &str| home.once(data, &["ls", "-q"]).exits(0).out;
    assert_eq!(names("alice"), names("bob"));
    home.once("bob", &["exchange", "alice"]).exits(0).prints("received 0").prints("sent     0");
}

#[test]
fn a_mirror_that_may_only_read_exchanges_without_a_refusal() {
    let home = Home::new();
    let (_alice, _bob) = home.pair();
    home.once("alice", &["grant", "bob", "read"]).exits(0);
    home.once("alice", &["revoke", "bob", "share"]).exits(0);
    let ior = home.once("alice", &["create", "Record"]).exits(0).out;
    let ior = ior.lines().last().unwrap();
    home.once("bob", &["exchange", "alice"]).exits(0).prints("compared 1 object").prints("received 1");
    for n in 1..3 {
        home.once("alice", &["act", ior, "merge", &format!("{{\"n\":{n}}}")]).exits(0);
        // The older revision that bob had is not offered: alice would have to refuse it.
        home.once("bob", &["exchange", "alice"]).exits(0).prints("compared 1 object").prints("received 1");
    }
    home.once("bob", &["exchange", "alice"]).exits(0).prints("received 0").prints("compared 1 object");
    home.once("alice", &["rm", ior]).exits(0);
    home.once("bob", &["exchange", "alice"]).exits(0).prints("received 1");
}

#[test]
fn an_exchange_says_what_may_not_be_read_and_how_to_ask() {
    let home = Home::new();
    let (_alice, _bob) = home.pair();
    with_one_object(&home);
    let refused = home.once("alice", &["exchange", "bob"]).exits(3).prints("compared 0 objects");
    let refused = refused.says("1 object here not compared: bob may not read them");
    let refused = refused.says("hint: `once grant bob read`");
    let asked = refused.err.lines().find_map(|line| line.strip_prefix("hint: ask its owner: 'once "));
    let asked: Vec<&str> = asked.unwrap().split('\'').next().unwrap().split(' ').collect();
    home.once("alice", &["grant", "bob", "read"]).exits(0);
    home.once("alice", &["exchange", "bob"]).exits(0).prints("compared 1 object");
    // The hint works when it is pasted.
    home.once("bob", &asked).exits(0);
    let report = home.once("alice", &["exchange", "bob", "--json"]).exits(0).json();
    assert_eq!((report["compared"].as_u64(), report["shown"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_follower_gets_what_changes_and_cannot_change_it() {
    let home = Home::new();
    let _kernels = home.pair();
    with_one_object(&home);
    home.once("alice", &["claim", UUID]).exits(0);
    home.once("alice", &["grant", "bob", "read"]).exits(0);
    home.once("bob", &["follow", UUID, "--from", "alice"]).exits(0).prints("following 0a1b2c3d");
    home.once("bob", &["follow"]).exits(0).prints("alice");
    let second = home.file("second.json", scenario(1, "second"));
    home.once("alice", &["put", UUID, second.to_str().unwrap()]).exits(0);
    until("the change arrives", || home.once("bob", &["show", UUID]).out == scenario(1, "second"));
    let refused = home.once("bob", &["put", UUID, second.to_str().unwrap()]).exits(3).says("hint: ");
    assert!(refused.err.contains("home"), "{}", refused.err);
    home.once("bob", &["unfollow", UUID, "--from", "alice"]).exits(0);
    home.once("bob", &["rm", UUID]).exits(0).prints("only the copy here");
}

#[test]
fn what_is_shared_with_an_absent_peer_arrives_when_it_is_back() {
    let home = Home::new();
    let (_alice, bob) = home.pair();
    with_one_object(&home);
    drop(bob);
    let connected = || home.once("alice", &["status", "--json"]).json()["connected"].clone();
    until("alice has noticed", || connected() == json!(0));
    let late = home.once("alice", &["share", UUID, "bob", "--timeout", "1s"]).exits(4);
    assert!(late.err.contains("1 waits in the outbox until bob is back"), "{}", late.err);
    home.once("alice", &["outbox"]).exits(0).prints("bob").prints("OWED");
    let _bob = home.up("bob");
    until("the scenario arrives", || home.once("bob", &["show", UUID]).out == scenario(1, "a"));
    until("nothing is owed", || home.once("alice", &["outbox", "--json"]).json()["owed"] == json!([]));
}

#[test]
fn sharing_needs_no_daemon_when_nobody_waits() {
    let home = Home::new();
    let (alice, _bob) = home.pair();
    drop(alice);
    with_one_object(&home);
    home.once("alice", &["share", "--all", "bob", "--no-wait"]).exits(0).prints("shared 1 object with bob");
    let _alice = home.up("alice");
    until("the scenario arrives", || home.once("bob", &["show", UUID]).out == scenario(1, "a"));
}

#[test]
fn a_ticket_admits_once_and_a_wrong_one_never() {
    let home = Home::new();
    let _alice = home.up("alice");
    let (_bob, _eve) = (home.up("bob"), home.up("eve"));
    let ticket = home
        .once("alice", &["invite"])
        .exits(0)
        .says("once join TICKET")
        .says("works on this machine only")
        .out;
    home.once("bob", &["join", ticket.trim()]).exits(0).prints("joined alice (");
    let again = home.once("eve", &["join", ticket.trim()]).exits(3);
    assert!(again.err.starts_with("error: "), "{}", again.err);
    home.once("eve", &["join", "oncenonsense"])
        .exits(1)
        .says("hint: copy the whole line that 'once invite' printed");
    // A damaged one is refused at once, before anybody is called; and what is no address is none.
    let mut damaged = ticket.trim().to_owned().into_bytes();
    damaged[60] = if damaged[60] == b'a' { b'b' } else { b'a' };
    let damaged = String::from_utf8(damaged).unwrap();
    home.once("eve", &["join", &damaged]).exits(1).says("it is damaged or incomplete");
    let id = home.once("alice", &["status", "--json"]).json()["kernel"].as_str().unwrap().to_owned();
    home.once("eve", &["peers", "add", &id, "--at", "host.example.org"])
        .exits(2)
        .says("'host.example.org' is no address of a kernel: it has no port")
        .says("hint: like 192.0.2.7:4277");
    home.once("eve", &["peers"]).says("no peers yet");
    home.once("eve", &["share", UUID, "nobody"]).exits(1).says("hint: `once peers` lists the peers");
    home.once("eve", &["exchange", "nobody"]).exits(1);
    // What alice removed is a stranger again.
    home.once("alice", &["peers", "remove", "bob"]).exits(0).prints("removed ");
    home.once("alice", &["peers"]).exits(0).says("no peers yet");
}

#[test]
fn peers_are_renamed_and_bounded() {
    let home = Home::new();
    let _kernels = home.pair();
    with_one_object(&home);
    home.once("alice", &["peers", "rename", "bob", "robert"]).exits(0);
    home.once("alice", &["share", UUID, "robert"]).exits(0);
    home.once("bob", &["peers", "quota", "alice", "1kB"]).exits(0);
    home.file("large/b.json", scenario(2, &"x".repeat(2000)));
    home.once("alice", &["import", "large"]).exits(0);
    let refused = home.once("alice", &["share", "--all", "robert"]).exits(3);
    assert!(refused.err.contains("(quota)"), "{}", refused.err);
}

#[test]
fn a_kernel_stops_cleanly_however_it_is_told() {
    let home = Home::new();
    for signal in ["-INT", "-TERM"] {
        let mut alice = home.up("alice");
        let pid = alice.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(alice.ended(), Some(0), "{signal}: {}", home.log("alice"));
    }
    let mut alice = home.up("alice");
    home.once("alice", &["stop"]).exits(0).says("stopped");
    assert_eq!(alice.ended(), Some(0));
    let mut alice = home.up("alice");
    drop(alice.0.stdin.take());
    assert_eq!(alice.ended(), Some(0), "it outlives who started it");
    home.once("alice", &["status"]).exits(0).prints("no: start it with `once up`");
}

#[test]
fn only_one_process_runs_a_kernel() {
    let home = Home::new();
    let _alice = home.up("alice");
    let again =
        home.once("alice", &["up"]).exits(1).says("hint: `once status` says more, `once stop` stops it");
    assert!(again.err.contains("runs already"), "{}", again.err);
    home.once("alice", &["up", "--detach"]).exits(1);
}

#[test]
fn a_detached_kernel_runs_until_it_is_stopped() {
    let home = Home::new();
    home.once("alice", &["up", "--init", "--detach", "--listen", "127.0.0.1:0"])
        .exits(0)
        .prints("127.0.0.1:");
    home.once("alice", &["status"]).exits(0).prints("yes for");
    home.once("alice", &["stop", "--json"]).exits(0).prints("{\"stopped\":true}");
    let failed = home.once("alice", &["up", "--detach", "--listen", "nowhere"]).exits(2);
    assert!(failed.err.contains("nowhere"), "{}", failed.err);
}

#[test]
fn killed_kernels_keep_what_they_acknowledged() {
    let home = Home::new();
    let alice = home.up("alice");
    with_one_object(&home);
    home.once("alice", &["claim", UUID]).exits(0);
    drop(alice); // SIGKILL
    assert_eq!(home.once("alice", &["show", UUID]).exits(0).out, scenario(1, "a"));
    let _alice = home.up("alice");
    assert_eq!(home.once("alice", &["show", UUID, "--json"]).exits(0).json()["object"]["state"], "home");
}

/// The client in Node, on alice's kernel; nothing where there is no Node.
fn web4_client<'h>(home: &'h Home) -> Option<impl Fn(&[&str]) -> Command + 'h> {
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"), "no node, and ONCE_REQUIRE_ALL=1");
        println!("skipped: no node to run examples/web4-client.mjs");
        return None;
    }
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/web4-client.mjs");
    Some(move |args: &[&str]| {
        let mut node = home.command("node");
        node.arg(client).args(args).env("ONCE_DATA", home.join("alice"));
        node
    })
}

#[test]
fn the_web4_client_is_the_second_client() {
    let home = Home::new();
    let Some(client) = web4_client(&home) else { return };
    let _kernels = home.pair();
    let file = home.file("a.json", scenario(1, "a"));
    let run = |args: &[&str]| Ran::new(args, client(args).output().unwrap());
    run(&["import", file.to_str().unwrap()]).exits(0).prints(UUID);
    run(&["share", UUID, "bob"]).exits(0).prints("\"delivered\": 1");
    assert_eq!(home.once("bob", &["show", UUID]).exits(0).out, scenario(1, "a"));
    run(&["share", "ffff", "bob"]).exits(1).says("hint: ");

    let events = fs::File::create(home.join("events")).unwrap();
    let _listener = common::Daemon(client(&["listen"]).stdout(events).spawn().unwrap());
    let heard = || fs::read_to_string(home.join("events")).unwrap();
    until("it listens", || {
        home.once("alice", &["claim", UUID]);
        home.once("alice", &["share", UUID, "bob"]);
        heard().contains("\"delivered\"")
    });
}

#[test]
fn the_web4_client_serves_a_component() {
    let home = Home::new();
    let Some(client) = web4_client(&home) else { return };
    let _alice = home.up("alice");
    let lamp =
        scenario(1, "a").replace("Note", "Lamp").replace("\"model\": {", "\"model\": { \"on\" : false,");
    assert!(lamp.contains("Lamp") && lamp.contains("\"on\" : false,"), "{lamp}");
    home.file("in/lamp.json", &lamp);
    home.once("alice", &["import", "in"]).exits(0);
    let serve = || {
        let log = fs::File::create(home.join("served")).unwrap();
        common::Daemon(client(&["serve"]).stdout(log).spawn().unwrap())
    };
    let served = serve();
    until("it serves", || home.once("alice", &["status", "--json"]).json()["served"][0]["clients"] == 1);
    assert_eq!(home.once("alice", &["act", UUID, "switch", "true"]).exits(0).out, "true\n");
    let shown = || home.once("alice", &["show", UUID]).exits(0).out;
    assert_eq!(shown(), lamp.replace("\"on\" : false", "\"on\" : true"));
    home.once("alice", &["act", UUID, "explode"]).exits(1).says("Lamp understands no action 'explode'");
    // What its program sets, the kernel's timer does, also when the program is another one by then.
    Ran::new(&["act"], client(&["act", UUID, "blink", "1500"]).output().unwrap()).exits(0).prints("done");
    drop(served); // SIGKILL
    home.once("alice", &["act", UUID, "get", "--timeout", "300ms"]).exits(4).says("no outcome yet");
    let _served = serve();
    until("it is off", || shown() == lamp);
    assert_eq!(home.once("alice", &["act", UUID, "get"]).exits(0).out, "false\n");
}

#[test]
fn what_a_peer_is_owed_that_is_gone_for_good_is_given_up() {
    let home = Home::new();
    let (mut alice, bob) = home.pair();
    let create = || {
        let made = home.once("alice", &["create", "Counter", "--json"]).exits(0).json();
        made["object"]["uuid"].as_str().unwrap().to_owned()
    };
    let objects = [create(), create(), create(), create()];
    drop(bob);
    for object in &objects[..3] {
        home.once("alice", &["share", object, "bob", "--no-wait"]).exits(0);
    }
    home.once("alice", &["outbox"]).prints("bob");
    let one = ["outbox", "drop", "--peer", "bob", &objects[0]];
    home.once("alice", &one).exits(0).says("given up: 1 object for bob");
    home.once("alice", &one).exits(1).says("is not owed to bob").says("`once outbox`");
    home.once("alice", &["outbox", "drop", &objects[0], "--json"]).exits(1);
    home.once("alice", &["outbox", "drop", "nobody"]).exits(2).says("an action's id is a UUID");
    home.once("alice", &["outbox", "drop"]).exits(2);
    home.once("alice", &["outbox", "drop", "--peer", "bob"]).exits(0).says("given up: 2 objects for bob");
    home.once("alice", &["outbox", "drop", "--peer", "bob"]).exits(0).says("nothing is owed to bob");
    // It is durable when it is answered, and does not come up again.
    alice.0.kill().unwrap();
    alice.0.wait().unwrap();
    let (_alice, _bob) = (home.up("alice"), home.up("bob"));
    home.once("alice", &["outbox"]).exits(0).says("nothing is owed");
    home.once("alice", &["share", &objects[3], "bob"]).exits(0).prints("delivered 1 of 1");
    let there = home.once("bob", &["ls", "--json"]).json();
    let there: Vec<_> = there["objects"].as_array().unwrap().iter().map(|object| &object["uuid"]).collect();
    assert_eq!(there, [objects[3].as_str()]);
    // One that denies this kernel is named with what to do about it.
    home.once("bob", &["peers", "remove", "alice"]).exits(0);
    let hint = "`once outbox drop --peer";
    home.once("alice", &["share", &objects[0], "bob", "--timeout", "3s"]).exits(4).says("denied").says(hint);
    home.once("alice", &["doctor"]).exits(1).prints("denied").prints(hint);
    home.once("alice", &["outbox", "drop", "--peer", "bob"]).exits(0).says("given up: 1 object for bob");
}
