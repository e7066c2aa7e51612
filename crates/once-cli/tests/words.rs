//! What a person is told when something is not as it should be: it must be true, and name the right one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{Home, ONCE, scenario, until};

const UUID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// The last line of what it printed.
fn last(text: &str) -> String {
    text.lines().last().unwrap().to_owned()
}

#[test]
fn a_peer_that_was_removed_is_not_counted_as_connected() {
    let home = Home::new();
    let _both = home.pair();
    home.once("alice", &["peers", "dial", "bob"]).exits(0);
    home.once("alice", &["status"]).exits(0).prints("1 peer, 1 connected");
    home.once("alice", &["peers", "remove", "bob"]).exits(0);
    until("nobody is connected", || home.once("alice", &["status"]).out.contains("0 peers, 0 connected"));
}

#[test]
fn a_request_that_is_refused_names_the_home_and_not_whoever_was_asked_last() {
    let home = Home::new();
    let _both = home.pair();
    let _carol = home.up("carol");
    let ticket = home.once("alice", &["invite", "--name", "carol"]).exits(0).out;
    home.once("carol", &["join", ticket.trim(), "--name", "alice"]).exits(0);
    let ior = last(&home.once("bob", &["create", "Counter"]).exits(0).out);
    for verb in ["request", "follow"] {
        let refused = home.once("alice", &[verb, &ior]).exits(3).says("from bob (");
        assert!(!refused.err.contains("from carol"), "{}", refused.err);
        assert!(refused.err.contains("another peer did not give it either"), "{}", refused.err);
    }
}

#[test]
fn a_kernel_whose_socket_was_removed_is_said_to_run_and_nothing_is_waited_for() {
    let home = Home::new();
    let _alice = home.up("alice");
    let uuid = home.once("alice", &["create", "Counter", "--json"]).exits(0).json();
    let uuid = uuid["object"]["uuid"].as_str().unwrap();
    fs::remove_file(home.join("alice/api.sock")).unwrap();
    let act = home.once("alice", &["act", uuid, "add"]).exits(1).says("does not answer on its socket");
    assert!(!act.err.contains("waiting for the outcome"), "{}", act.err);
    home.once("alice", &["stop"]).exits(1).says("does not answer on its socket").says("SIGTERM");
}

#[test]
fn a_kernel_that_runs_is_reached_and_stopped_although_its_files_were_moved_away() {
    for file in ["key", "store"] {
        let home = Home::new();
        let mut alice = home.up("alice");
        fs::rename(home.join("alice").join(file), home.join("moved")).unwrap();
        home.once("alice", &["status"]).exits(0).prints("yes");
        home.once("alice", &["stop"]).exits(0).says("stopped");
        alice.ended();
    }
}

#[test]
fn a_key_of_another_kernel_is_named_at_the_start() {
    let home = Home::new();
    home.init("alice").init("bob");
    let own = fs::read(home.join("alice/key")).unwrap();
    fs::copy(home.join("bob/key"), home.join("alice/key")).unwrap();
    for words in [&["up"][..], &["up", "--detach"], &["status"]] {
        home.once("alice", words).exits(1).says("is the key of kernel").says("back from a backup");
    }
    fs::write(home.join("alice/key"), own).unwrap();
    home.once("alice", &["status"]).exits(0);
}

#[test]
fn a_good_file_that_the_kernel_does_not_take_is_not_called_broken() {
    let home = Home::new();
    home.init("alice");
    home.file("in/a.json", scenario(1, "a"));
    home.once("alice", &["import", "in"]).exits(0);
    home.once("alice", &["import", "in", "--over", "0000abcd"])
        .exits(1)
        .says("not taken: ")
        .prints("broken 0");
    home.once("alice", &["claim", UUID]).exits(0);
    home.once("alice", &["rm", UUID]).exits(0);
    let ran = home.once("alice", &["import", "in"]).exits(1);
    assert!(!ran.err.contains("broken:"), "{}", ran.err);
    let ran = ran.says("not taken: ").prints("broken 0, not taken 1");
    drop(ran);
    let json = home.once("alice", &["import", "in", "--json"]).exits(1).json();
    assert_eq!((&json["broken"], &json["refused"]), (&0.into(), &1.into()));
    assert_eq!(json["errors"][0]["refused"], "removed");
}

#[test]
fn an_action_for_a_kernel_that_is_no_peer_any_more_is_named_with_what_to_do() {
    let home = Home::new();
    let (_alice, bob) = home.pair();
    let ior = last(&home.once("bob", &["create", "Counter"]).exits(0).out);
    drop(bob);
    let id = last(&home.once("alice", &["act", &ior, "add", "--no-wait"]).exits(0).out);
    home.once("alice", &["peers", "remove", "bob"]).exits(0);
    home.once("alice", &["doctor"])
        .exits(1)
        .prints("which is no peer of this kernel")
        .prints(&format!("once cancel {id}"));
    home.once("alice", &["outbox"]).exits(0).prints("it is no peer of this kernel");
}

#[test]
fn a_refused_action_is_named_once() {
    let home = Home::new();
    home.init("alice");
    let uuid = home.once("alice", &["create", "Counter", "--json"]).exits(0).json();
    let uuid = uuid["object"]["uuid"].as_str().unwrap();
    let ran = home.once("alice", &["act", uuid, "fly"]).exits(1);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("action ")).count(), 1, "{}", ran.err);
    home.once("alice", &["act", uuid, "add", "--deadline", "99999999999d"]).exits(2).says("3650 days");
}

#[test]
fn what_is_said_of_losses_without_a_running_kernel_can_be_pasted_and_is_no_nonsense() {
    let home = Home::new();
    home.init("alice");
    home.file("alice/losses", "what somebody wrote\n");
    let output = home.command(ONCE).args(["--data", "alice", "status"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("`once --data alice doctor`"), "{said}");
    assert!(said.contains("cannot be read") && !said.contains(" ? "), "{said}");
}

#[test]
fn following_without_the_right_to_read_is_refused_although_a_copy_is_here() {
    let home = Home::new();
    let _both = home.pair();
    let ior = last(&home.once("bob", &["create", "Counter"]).exits(0).out);
    home.once("bob", &["grant", "alice", "read"]).exits(0);
    home.once("alice", &["request", &ior]).exits(0);
    home.once("alice", &["follow", &ior]).exits(0);
    home.once("alice", &["unfollow", &ior]).exits(0);
    home.once("bob", &["revoke", "alice", "read"]).exits(0);
    home.once("alice", &["follow", &ior]).exits(3).says("following of").says("from bob (");
    home.once("alice", &["follow"]).exits(0).says("nothing is followed");
}
