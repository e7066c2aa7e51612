//! Who is let in, and who may do what, as people see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Home;
use serde_json::json;

#[test]
fn grants_add_up_revocations_subtract_and_both_say_what_is_left() {
    let home = Home::new();
    let _both = home.pair();
    let act = |verb: &str, actions: &[&str]| {
        let mut words = vec![verb, "bob", "act"];
        actions.iter().for_each(|name| words.extend(["--action", name]));
        home.once("alice", &words)
    };
    act("grant", &["add"]).exits(0).prints("bob may act on everything: add");
    act("grant", &["set"]).exits(0).prints("in force: act: add, set on everything");
    act("revoke", &["set"]).exits(0).prints("bob may no longer act on everything: set").prints("act: add on");
    let left = home.once("alice", &["grants", "--json"]).json();
    let left: Vec<_> =
        left["grants"].as_array().unwrap().iter().filter(|grant| grant["right"] == "act").collect();
    assert_eq!((left.len(), &left[0]["actions"]), (1, &json!(["add"])));
    act("revoke", &["set"]).exits(1).says("no such grant");
    // One action cannot be taken from every action in silence, nor the whole for one.
    act("grant", &[]).exits(0);
    act("revoke", &["set"])
        .exits(1)
        .says("may do every action there")
        .says("hint: take the whole grant back");
    let answer = home.once("alice", &["revoke", "bob", "act", "--json"]).exits(0).json();
    assert_eq!(answer["grants"], json!([]));
    act("grant", &["add"]).exits(0);
    act("revoke", &["add"]).exits(0).prints("in force: nothing");
}

#[test]
fn invites_are_listed_taken_back_and_say_who_came() {
    let home = Home::new();
    let both = [home.up("alice"), home.up("bob")];
    let taken_back = home.once("alice", &["invite", "--name", "bob", "--json"]).exits(0).json();
    let id = taken_back["id"].as_str().unwrap();
    home.once("alice", &["invites"]).exits(0).prints(id).prints("open");
    home.once("alice", &["invite", "--name", "bob"]).exits(2).says("has the name 'bob' already");
    home.once("alice", &["invites", "revoke", id]).exits(0).prints(id);
    let ticket = taken_back["ticket"].as_str().unwrap();
    home.once("bob", &["join", ticket]).exits(3).says("denied");
    home.once("alice", &["invites", "revoke", id]).exits(1).says("hint: `once invites` lists them");
    let used = home.once("alice", &["invite", "--name", "bob", "--json"]).exits(0).json();
    home.once("bob", &["join", used["ticket"].as_str().unwrap(), "--name", "alice"]).exits(0);
    let id = used["id"].as_str().unwrap();
    home.once("alice", &["invites"]).exits(0).prints("used by bob");
    home.once("alice", &["peers"]).exits(0).prints(&format!("invite {id}"));
    home.once("alice", &["invites", "revoke", id])
        .exits(1)
        .says("has used that invite")
        .says("once peers remove");
    drop(both);
}

#[test]
fn no_two_peers_are_called_the_same() {
    let home = Home::new();
    let _both = home.pair();
    home.once("alice", &["invite", "--name", "bob"]).exits(2).says("has the name 'bob' already");
    home.once("alice", &["invite", "--name", " "]).exits(2).says("a petname has");
    home.once("alice", &["peers", "rename", "bob", "b\u{1b}[2J"]).exits(2).says("no control characters");
    home.once("carol", &["init", "--name", " "]).exits(2);
}
