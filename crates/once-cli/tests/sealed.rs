//! An object that is handed over, and whose receiver does not answer: what people are shown of it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../once/tests/raw/mod.rs"]
mod raw;
mod support;

use once::Ticket;
use once_model::moving::Welcome;
use once_model::wire::{FEATURE_ACTIONS, FEATURE_MOVES, Frame, Greeting};
use raw::{Control, Raw, greeting};
use serde_json::json;
use support::{Place, acts, story};

/// Says that it would take whatever it is asked for, until something is handed over; and then nothing.
async fn takes(mut control: Control) -> Control {
    loop {
        match control.hear().await.expect("the connection lasts") {
            Frame::Ahead(asked) => {
                let (key, certificate) = (asked.key, asked.certificate);
                control.say(&Frame::Welcome(Welcome { key, certificate, code: None })).await;
            }
            Frame::Handoff(_) => return control,
            _ => {}
        }
    }
}

/// A kernel whose object is handed over to one that says nothing.
async fn handed_over(place: &Place) -> (support::Daemon, Control, String) {
    place.init("alice");
    let alice = place.up("alice").await;
    let ticket = alice.call("invite", json!({ "name": "mallory" })).await.unwrap();
    let door: Ticket = ticket["ticket"].as_str().unwrap().parse().unwrap();
    let mallory = Raw::new().await;
    let connection = mallory.connect_at(door.kernel(), door.addresses()).await;
    let features = vec![FEATURE_ACTIONS, FEATURE_MOVES];
    let hello = Greeting { invite: Some(door.secret()), features, ..greeting(1) };
    let control = Control::greet(connection, mallory.signed(hello)).await;
    let key = alice.import(&acts::counter(1)).await.unwrap();
    let claimed = alice.call("claim", json!({ "object": key })).await.unwrap();
    let key = claimed["object"]["key"].as_str().unwrap().to_owned();
    alice.call("move", json!({ "objects": [key], "to": "mallory" })).await.unwrap();
    let control = takes(control).await;
    (alice, control, key)
}

#[test]
fn what_is_handed_over_and_not_answered_is_shown_everywhere() {
    story(async {
        let place = Place::new();
        let (alice, control, key) = handed_over(&place).await;

        let run = |args: &[&str]| place.once("alice", args);
        let (code, text) = run(&["status"]);
        let said =
            ["1 object about to leave, 1 of them handed over", "to mallory, since", "waits for the answer"];
        assert!(code == 0 && said.iter().all(|said| text.contains(said)), "{text}");
        // Younger than a minute, it is nothing to complain about.
        let (_, text) = run(&["doctor"]);
        assert!(text.contains("no object waits for longer than a minute"), "{text}");
        let (code, text) = run(&["show", "--path", &key]);
        assert!(code == 0 && text.contains("next  handed over to mallory"), "{code} {text}");
        // It is neither taken back nor moved elsewhere, and this kernel is not done with it.
        let (code, text) = run(&["drain", "--cancel"]);
        assert!(code == 0 && text.contains("is handed over to mallory"), "{code} {text}");
        let (code, text) = run(&["retire"]);
        assert!(code == 1 && text.contains("(handed over to mallory"), "{code} {text}");
        assert!(!text.contains("can be erased"), "{text}");
        drop((control, alice));
    });
}

/// What people are shown of a sealed object, and what comes of each change that they ask for.
fn shown_and_refused(place: &Place, key: &str) -> Vec<(String, i32, String)> {
    let file = place.path().join("changed.json");
    std::fs::write(&file, acts::counter(1).replace("\"count\": 0", "\"count\": 7")).unwrap();
    let file = file.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["ls"],
        &["ls", "--state", "sealed", "-q"],
        &["ls", "--state", "home", "-q"],
        &["ls", "--state", "sealed", "--sort", "name", "-q"],
        &["put", key, file],
        &["rm", key],
        &["claim", key],
        &["move", key, "--to", "mallory", "--no-wait"],
    ];
    let run = |args: &[&str]| {
        let (code, text) = place.once("alice", args);
        (args.join(" "), code, text)
    };
    let mut all: Vec<_> = commands.iter().map(|args| run(args)).collect();
    // An action waits for where the object will live; each has an id of its own.
    let (code, text) = place.once("alice", &["act", key, "add", "{\"by\":1}", "--timeout", "1s"]);
    assert!(text.contains("outcome"), "{text}");
    all.push(("act".to_owned(), code, String::new()));
    all
}

#[test]
fn a_sealed_object_is_shown_and_refused_alike_whether_its_kernel_runs_or_not() {
    story(async {
        let place = Place::new();
        let (alice, control, key) = handed_over(&place).await;
        let running = shown_and_refused(&place, &key);
        let said = |args: &str| running.iter().find(|ran| ran.0.starts_with(args)).unwrap();
        for changes in ["put", "rm", "claim", "move"] {
            let (_, code, text) = said(changes);
            assert!(*code == 4 && text.contains("is about to move to another kernel"), "{code}: {text}");
        }
        assert!(said("ls").2.contains("sealed"));
        assert_eq!(said("ls --state home").2, "");
        let (code, text) = place.once("alice", &["show", &key]);
        assert!(code == 0 && text.contains("sealed, revision 1: it is handed over"), "{text}");
        let (code, text) = place.once("alice", &["find"]);
        assert!(code == 0 && text.contains("here, sealed"), "{text}");
        drop(control);
        alice.terminate().await;
        assert_eq!(running, shown_and_refused(&place, &key));
    });
}

/// Two kernels of which alice has an object, and was put back from a backup that is older than what bob has seen of her.
async fn put_back(place: &Place) -> (support::Daemon, support::Daemon, String) {
    place.init("alice");
    place.init("bob");
    let (alice, bob) = (place.up("alice").await, place.up("bob").await);
    let ticket = alice.call("invite", json!({ "name": "bob" })).await.unwrap();
    bob.call("join", json!({ "ticket": ticket["ticket"], "name": "alice" })).await.unwrap();
    let import = |text: String| {
        let scenarios = json!({ "scenarios": [{ "text": text, "source": "here" }] });
        alice.call("import", scenarios)
    };
    import(acts::counter(1)).await.unwrap();
    let uuid = serde_json::from_str::<serde_json::Value>(&acts::counter(1)).unwrap()["ior"]["uuid"].clone();
    let claimed = alice.call("claim", json!({ "object": uuid })).await.unwrap();
    let key = claimed["object"]["key"].as_str().unwrap().to_owned();
    // A file that was made before that action is kept beside the object.
    alice.call("act", acts::add(&key, &once::new_action_id().to_string())).await.unwrap();
    import(acts::counter(1).replace("\"count\": 0", "\"count\": 7")).await.unwrap();
    alice.terminate().await;
    let (data, backup) = (place.data("alice"), place.data("backup"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&data, &backup);
    let alice = place.up("alice").await;
    alice.call("act", acts::add(&key, &once::new_action_id().to_string())).await.unwrap();
    support::until("bob has heard of that run", async || {
        (alice.status().await["connected"] == 1).then_some(())
    })
    .await;
    alice.terminate().await;
    copy(&backup, &data);
    let alice = place.up("alice").await;
    support::until("the quarantine", async || (alice.status().await["quarantined"] == true).then_some(()))
        .await;
    (alice, bob, key)
}

/// What is kept beside an object that is only read is dropped, and people are told nothing else.
fn only_dropped(place: &Place, key: &str) {
    let run = |args: &[&str]| place.once("alice", args);
    let (_, text) = run(&["retire"]);
    assert!(text.contains("1 object only read here since the backup was put back"), "{text}");
    assert!(text.contains("no object lives here") && text.contains("export DIR --all`"), "{text}");
    let (code, text) = run(&["conflicts"]);
    assert!(code == 0 && text.contains("a file that was imported here"), "{text}");
    assert!(text.contains("can only be dropped") && !text.contains("conflicts keep"), "{text}");
    let (_, json) = run(&["conflicts", "--json"]);
    let json: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let kept = &json["conflicts"][0]["objects"][0];
    assert_eq!((&kept["is_file"], &kept["can_keep"]), (&json!(true), &json!(false)), "{kept}");
    let (_, text) = run(&["ls"]);
    assert!(text.contains("read-only, conflict"), "{text}");
    let (_, text) = run(&["show", key]);
    assert!(text.contains("1 revision beside it"), "{text}");
    let (_, text) = run(&["show", key, "--json"]);
    assert!(text.contains("\"conflicts\":1"), "{text}");
    let revision = kept["revision_id"].as_str().unwrap();
    let (code, text) = run(&["conflicts", "keep", key, revision]);
    let hint = format!(" conflicts drop {key}").chars().take(60).collect::<String>();
    assert!(
        code == 3 && text.contains("here it can only be dropped") && text.contains(&hint),
        "{code} {text}"
    );
    let (code, text) = run(&["conflicts", "drop", key, revision]);
    assert_eq!(code, 0, "{text}");
}

/// People drop what is only read, and give up what was done after the backup: then the kernel can be erased.
fn retired(place: &Place, key: &str) {
    let run = |args: &[&str]| place.once("alice", args);
    let (code, text) = run(&["rm", key]);
    assert!(code == 3 && text.contains("rm --read-only OBJECT`"), "{code} {text}");
    let (_, text) = run(&["retire"]);
    assert!(text.contains("rm --read-only OBJECT`") && text.contains("retire --give-up-loss`"), "{text}");
    let (code, text) = run(&["rm", "--read-only", key]);
    assert!(code == 0 && text.contains("dropped"), "{code} {text}");
    assert_eq!(run(&["ls", "--quiet"]).1, "");
    let (code, text) = run(&["retire"]);
    assert!(code == 1 && text.contains("1 thing missing"), "{code} {text}");
    let (code, text) = run(&["retire", "--give-up-loss"]);
    assert!(code == 0 && text.contains("this kernel can be erased"), "{code} {text}");
    // Of no other object it is a removal.
    assert_eq!(run(&["create", "Counter"]).0, 0);
    let (_, text) = run(&["ls", "--quiet"]);
    let (code, said) = run(&["rm", "--read-only", text.trim()]);
    assert!(code == 2 && said.contains("its state is home"), "{code} {said}");
}

#[test]
fn what_is_only_read_after_a_backup_was_put_back_says_so_wherever_it_is_shown() {
    story(async {
        let place = Place::new();
        let (alice, bob, key) = put_back(&place).await;
        let looks_read_only = || {
            let run = |args: &[&str]| {
                let (code, text) = place.once("alice", args);
                assert_eq!(code, 0, "{args:?}: {text}");
                text
            };
            for args in [&["ls"][..], &["find"], &["show", &key], &["ls", "--state", "read-only"]] {
                let text = run(args);
                assert!(text.contains("read-only"), "{args:?}: {text}");
            }
            assert!(run(&["status"]).contains("1 object only read here"));
            assert!(run(&["conflicts"]).contains("1 object only read here"));
            assert_eq!(run(&["ls", "--state", "home", "--quiet"]), "");
        };
        looks_read_only();
        support::until("each peer was heard", async || {
            (place.once("alice", &["quarantine", "end"]).0 == 0).then_some(())
        })
        .await;
        looks_read_only();
        let put = |code: i32| {
            for what in ["rm", "claim"] {
                let (came, text) = place.once("alice", &[what, &key]);
                assert!(came == code && text.contains("it can be read, and not changed"), "{came}: {text}");
            }
        };
        put(3);
        only_dropped(&place, &key);
        alice.terminate().await;
        looks_read_only();
        put(3);
        let (code, text) = place.once("alice", &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert!(code == 0 && status["pid"].is_null() && status["running"] == false, "{text}");
        retired(&place, &key);
        drop(bob);
    });
}
