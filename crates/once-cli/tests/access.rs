//! Who is let in, and who may do what, as people see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Home, ONCE};
use serde_json::json;

/// What others have rights on, below a directory and itself.
fn open_to_others(at: &Path) -> Vec<String> {
    let mut open = Vec::new();
    let mut left = vec![at.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.permissions().mode() & 0o077 != 0 {
            open.push(format!("{:o} {}", meta.permissions().mode(), path.display()));
        }
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    open
}

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
    // By the petname that `invites` lists.
    home.once("alice", &["invites", "revoke", "bob"]).exits(1).says("has used that invite");
    let made = home.once("alice", &["invite", "--name", "dave", "--json"]).exits(0).json();
    home.once("alice", &["invites", "revoke", "dave"]).exits(0).prints(made["id"].as_str().unwrap());
    home.once("alice", &["invites", "revoke", "dave"]).exits(1).says("hint: `once invites` lists them");
    home.once("alice", &["invites", "revoke", "eve"])
        .exits(2)
        .says("by its petname, or by at least 4 digits");
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

#[test]
fn nobody_else_reads_a_data_directory_whatever_the_umask() {
    let home = Home::new();
    let data = home.join("alice");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let wide = |args: &str| {
        let mut shell = home.command("sh");
        let line = format!("umask 000; {ONCE} --data {} {args}", data.display());
        let output = shell.args(["-c", &line]).output().unwrap();
        common::Ran::new(&[args], output)
    };
    wide("init --name alice --listen 127.0.0.1:0").exits(0).says("now only you can");
    assert_eq!(open_to_others(&data), Vec::<String>::new(), "after init");
    wide("create Counter").exits(0);
    assert_eq!(open_to_others(&data), Vec::<String>::new(), "after an offline command");
    wide("up --detach").exits(0);
    wide("create Counter").exits(0);
    assert_eq!(open_to_others(&data), Vec::<String>::new(), "while it runs");
    home.once("alice", &["doctor"]).prints("nobody else may look into");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    home.once("alice", &["doctor"]).exits(1).prints("others may look into").prints("chmod -R go= ");
    home.once("alice", &["stop"]).exits(0);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    home.once("alice", &["ls"]).exits(0).says("their rights were taken away");
    assert_eq!(open_to_others(&data), Vec::<String>::new(), "after the next start");
    // A directory that is there for something else is left alone.
    home.file("shared/diary.txt", "mine");
    fs::set_permissions(home.join("shared"), fs::Permissions::from_mode(0o755)).unwrap();
    home.once("shared", &["init"]).exits(1).says("is not empty");
    assert_eq!(fs::read_dir(home.join("shared")).unwrap().count(), 1);
}

#[test]
fn a_lost_key_is_said_and_nothing_is_overwritten() {
    let home = Home::new();
    home.init("alice").once("alice", &["create", "Counter"]).exits(0);
    let data = home.join("alice");
    fs::remove_file(data.join("key")).unwrap();
    let kept = || ["recovery.key", "kernel.scenario.json"].map(|name| fs::read(data.join(name)).unwrap());
    let before = kept();
    for args in [&["init", "--name", "me"][..], &["up", "--init"], &["up"], &["ls"]] {
        let ran = home.once("alice", args).exits(1).says("its key is missing").says("recovery.key");
        assert!(!ran.err.contains("once init"), "{}", ran.err);
    }
    assert_eq!(kept(), before);
    assert!(!data.join("key").exists());
    // Also when the recovery key is in a safe place, or only the store is left.
    fs::remove_file(data.join("recovery.key")).unwrap();
    fs::remove_file(data.join("kernel.scenario.json")).unwrap();
    home.once("alice", &["init"]).exits(1).says("store is still there");
}

#[test]
fn an_init_that_was_interrupted_is_begun_again() {
    let home = Home::new();
    home.init("alice");
    let data = home.join("alice");
    let recovery = fs::read(data.join("recovery.key")).unwrap();
    fs::remove_file(data.join("key")).unwrap();
    fs::write(data.join("init.begun"), "").unwrap();
    home.once("alice", &["init", "--name", "alice"]).exits(0);
    assert_ne!(fs::read(data.join("recovery.key")).unwrap(), recovery);
    assert!(!data.join("init.begun").exists());
    home.once("alice", &["init", "--name", "alice"]).exits(1).says("a kernel lives in");
}

#[test]
fn a_data_directory_that_was_put_back_does_nothing_and_says_so() {
    let home = Home::new();
    let (alice, _bob) = home.pair();
    let made = home.once("alice", &["create", "Counter", "--json"]).exits(0).json();
    let object = made["object"]["uuid"].as_str().unwrap().to_owned();
    home.once("alice", &["share", &object, "bob"]).exits(0);
    home.once("alice", &["stop"]).exits(0);
    drop(alice);
    let copy = |from: &str, to: &str| {
        let _ = fs::remove_dir_all(home.join(to));
        assert!(
            home.command("cp").arg("-a").arg(home.join(from)).arg(home.join(to)).status().unwrap().success()
        );
    };
    copy("alice", "backup");
    let alice = home.up("alice");
    home.once("alice", &["act", &object, "add", r#"{"by":1}"#]).exits(0);
    home.once("alice", &["share", &object, "bob"]).exits(0);
    home.once("alice", &["stop"]).exits(0);
    drop(alice);
    copy("backup", "alice");
    let mut alice = home.up("alice");
    common::until("the quarantine", || {
        home.once("alice", &["status", "--json"]).json()["quarantined"] == true
    });
    let act = ["act", &object, "add", r#"{"by":1}"#];
    home.once("alice", &act).exits(3).says("in quarantine").says("hint: `once quarantine`");
    home.once("alice", &["quarantine"]).exits(1).prints("this kernel has said").prints("heard: bob");
    home.once("alice", &["doctor"]).exits(1).prints("in quarantine");
    home.once("alice", &["retire"]).exits(1).prints("in quarantine");
    common::until("bob's doctor", || home.once("bob", &["doctor"]).out.contains("put back from a backup"));
    assert!(home.log("alice").contains("IN QUARANTINE"), "{}", home.log("alice"));
    // Through a restart, and at once.
    home.once("alice", &["stop"]).exits(0);
    alice.ended();
    home.once("alice", &["doctor"]).exits(1).prints("- peer bob").prints("not examined");
    home.once("alice", &act).exits(3).says("in quarantine");
    let _alice = home.up("alice");
    assert!(home.log("alice").contains("IN QUARANTINE"), "{}", home.log("alice"));
    home.once("alice", &["quarantine", "end"]).exits(0).prints("a new life has begun");
    home.once("alice", &["show", &object]).exits(0);
    home.once("alice", &["retire"]).exits(1).prints("was put back from a backup");
    home.once("alice", &act).exits(4).says("nobody can say");
    home.once("alice", &["create", "Counter"]).exits(0);
}

/// Makes the latest time that a stopped kernel has seen this long from now.
fn set_clock_back(data: &Path, by: std::time::Duration) {
    use once_core::store::{Batch, Durability, Store, Table};
    let mut store = once_store::FjallStore::open(data, once_store::Options::default()).unwrap();
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + by;
    let at_ms = u64::try_from(at.as_millis()).unwrap().to_be_bytes().to_vec();
    let rows = vec![(Table::Meta, b"latest".to_vec(), Some(at_ms.into()))];
    store.commit(Batch { rows }, Durability::Synced).unwrap();
    store.close().unwrap();
}

#[test]
fn a_clock_that_was_set_back_is_said_until_it_is_accepted() {
    let home = Home::new();
    home.init("alice");
    home.once("alice", &["doctor"]).prints("the clock has not gone back");
    set_clock_back(&home.join("alice"), std::time::Duration::from_secs(7200));
    let behind = || {
        home.once("alice", &["doctor"])
            .exits(1)
            .prints("s behind the latest time")
            .prints("`once clock accept`");
    };
    behind();
    let _alice = home.up("alice");
    behind();
    home.once("alice", &["clock", "accept"]).exits(0).prints("accepted: the clock went back by 11");
    home.once("alice", &["doctor"]).prints("the clock has not gone back");
    home.once("alice", &["clock", "accept"]).exits(0).prints("the clock was not behind");
    // It is durable.
    home.once("alice", &["stop"]).exits(0);
    home.once("alice", &["doctor"]).prints("the clock has not gone back");
}
