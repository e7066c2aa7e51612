//! Moving everything away from a kernel, as people do it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::acts;
use support::*;

/// Counters that have their home at alice.
async fn counters(alice: &Daemon, of: std::ops::Range<usize>) -> Vec<String> {
    let mut keys = Vec::new();
    for n in of {
        let key = alice.import(&acts::counter(n)).await.unwrap();
        let claimed = alice.call("claim", json!({ "object": key })).await.unwrap();
        keys.push(claimed["object"]["key"].as_str().unwrap().to_owned());
    }
    keys
}

async fn state(kernel: &Daemon, object: &str) -> Option<String> {
    let got = kernel.call("get", json!({ "object": object })).await.ok()?;
    got["object"]["state"].as_str().map(str::to_owned)
}

async fn all_at(kernel: &Daemon, objects: &[String]) -> bool {
    for object in objects {
        if state(kernel, object).await.as_deref() != Some("home") {
            return false;
        }
    }
    true
}

#[test]
fn everything_goes_but_what_may_not_and_that_is_named() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        let counters = counters(&alice, 1..6).await;
        let account = alice.call("create", json!({ "component": "Account" })).await.unwrap();
        let account = account["object"]["key"].as_str().unwrap().to_owned();
        let unclaimed = alice.import(&scenario(2)).await.unwrap();
        // What lives at bob, and carol's, of which alice has a copy that she follows.
        place.init("carol");
        let carol = place.up("carol").await;
        let ticket = carol.call("invite", json!({ "name": "alice" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "carol", "timeout_ms": 60_000 });
        alice.call("join", join).await.unwrap();
        carol.call("grant", json!({ "peer": "alice", "right": "read" })).await.unwrap();
        let theirs = carol.import(&scenario(3)).await.unwrap();
        let theirs = carol.call("claim", json!({ "object": theirs })).await.unwrap();
        let ior = theirs["object"]["ior"].as_str().unwrap().to_owned();
        let theirs = theirs["object"]["key"].as_str().unwrap().to_owned();
        alice.call("follow", json!({ "object": ior })).await.unwrap();

        let (code, text) = place.once("alice", &["drain", "--to", "bob", "--dry-run"]);
        let why = "does not let this kernel move objects there";
        assert!(code == 3 && text.matches(why).count() == 1, "{code} {text}");
        assert!(text.contains("and 5 more, for the same reason"), "{text}");
        let (code, text) = place.once("bob", &["grant", "alice", "host", "--component", "Counter"]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = place.once("alice", &["drain", "--to", "bob", "--dry-run"]);
        let would = ["5 objects would move to bob, 2 scenarios would be shared", "1 object would not go:"];
        assert!(code == 3 && would.iter().all(|would| text.contains(would)), "{code} {text}");
        assert!(text.contains("does not let this kernel move objects there"), "{text}");
        assert_eq!(alice.call("moves", json!({})).await.unwrap()["moves"], json!([]), "nothing has begun");
        let (code, text) = place.once("alice", &["move", &account, "--to", "bob", "--dry-run"]);
        assert!(code == 3 && text.contains("0 objects would move to bob"), "{code} {text}");
        let (code, text) = place.once("alice", &["drain", "--to", "bob"]);
        assert_eq!(code, 3, "{text}");
        let said = [
            "5 objects moved to bob, 2 scenarios shared",
            "1 object cannot go:",
            "does not let this kernel move objects there",
            "once follow ",
        ];
        assert!(said.iter().all(|said| text.contains(said)), "{text}");
        assert!(all_at(&bob, &counters).await);
        assert_eq!(state(&bob, &unclaimed).await.as_deref(), Some("unclaimed"));
        assert_eq!(state(&bob, &theirs).await.as_deref(), Some("replica"));
        assert_eq!(state(&alice, &account).await.as_deref(), Some("home"));

        // Who is a peer here, and what it may do here, is listed with what gives it again there.
        let hers = carol.status().await["kernel"].as_str().unwrap().to_owned();
        let again = [format!("once peers add {hers} --name carol --at "), format!("once grant {hers} share")];
        assert!(again.iter().all(|command| text.contains(command.as_str())), "{text}");
        let rights = text.lines().map(str::trim).find(|line| line.starts_with(again[1].as_str()));
        let rights = rights.unwrap().to_owned();

        // Asked again, it goes on with the rest, a line for each step; and then there is nothing to do.
        let (code, text) = place.once("bob", &["grant", "alice", "host"]);
        assert_eq!(code, 0, "{text}");
        for moved in [1, 0] {
            let (code, text) = place.once("alice", &["--json", "drain", "--to", "bob"]);
            let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let (answer, progress) = lines.split_last().unwrap();
            assert_eq!((code, &answer["moved"]), (0, &json!(moved)), "{text}");
            assert!(!progress.is_empty() && progress.iter().all(|line| line["progress"]["total"].is_u64()));
        }
        assert!(all_at(&bob, &[account]).await);
        // What alice follows, bob follows in her place as soon as he knows carol.
        let ticket = carol.call("invite", json!({ "name": "bob" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "carol", "timeout_ms": 60_000 });
        bob.call("join", join).await.unwrap();
        carol.call("grant", json!({ "peer": "bob", "right": "read" })).await.unwrap();
        let (code, text) = place.once("alice", &["drain", "--to", "bob"]);
        let said = "1 object that this kernel followed at others: bob follows in its place";
        assert!(code == 0 && text.contains(said) && !text.contains("once follow"), "{code} {text}");
        let (code, said) = place.once("bob", &rights.split(' ').skip(1).collect::<Vec<_>>());
        assert!(code == 0 && said.contains("may share into this kernel"), "{rights}: {said}");
        let change = json!({ "object": theirs, "name": "merge", "arguments": { "a": 1 } });
        carol.call("act", change).await.unwrap();
        let newest = carol.call("get", json!({ "object": theirs })).await.unwrap();
        until("bob has what carol changed", async || {
            let there = bob.call("get", json!({ "object": theirs })).await.ok()?;
            (there["object"]["hash"] == newest["object"]["hash"]).then_some(())
        })
        .await;
    });
}

#[test]
fn a_drain_that_is_cut_off_goes_on_with_the_same_command() {
    story(async {
        let place = Place::new();
        let (mut alice, mut bob) = place.pair().await;
        bob.call("grant", json!({ "peer": "alice", "right": "host" })).await.unwrap();
        let objects = counters(&alice, 1..61).await;
        // Either of them dies while it runs, or who asked for it does not wait.
        for round in 0..4 {
            let drain = alice.call("drain", json!({ "to": "bob" }));
            let after = std::time::Duration::from_millis(15 * round);
            let _ = tokio::time::timeout(after, drain).await;
            if round % 2 == 0 {
                alice.kill();
                alice = place.up("alice").await;
            } else {
                bob.kill();
                bob = place.up("bob").await;
            }
        }
        let drained = alice.call("drain", json!({ "to": "bob" })).await.unwrap();
        assert_eq!(drained["complete"], true, "{drained}");
        assert!(all_at(&bob, &objects).await);
        assert_eq!(alice.call("moves", json!({})).await.unwrap()["moves"], json!([]));
    });
}

#[test]
fn a_drain_to_a_kernel_that_is_away_stops_waiting_and_can_be_cancelled() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        bob.call("grant", json!({ "peer": "alice", "right": "host" })).await.unwrap();
        let objects = counters(&alice, 1..4).await;
        alice.import(&scenario(9)).await.unwrap();
        bob.kill();
        let (code, text) = place.once("alice", &["drain", "--to", "bob", "--timeout", "1s"]);
        assert!(code == 4 && text.contains("not there yet: 3 objects"), "{code} {text}");
        // One that runs ends when somebody cancels it.
        let waits = alice.call("drain", json!({ "to": "bob" }));
        let cancel = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            place.once("alice", &["drain", "--cancel"])
        };
        let (drained, (code, text)) = tokio::join!(waits, cancel);
        assert!(code == 0 && text.contains("cancelled: 3 objects"), "{code} {text}");
        assert!(text.contains("1 scenario shared with bob") && text.contains("outbox drop --peer"), "{text}");
        assert_eq!(drained.unwrap()["cancelled"], true);
        assert!(all_at(&alice, &objects).await);
        assert_eq!(alice.call("moves", json!({})).await.unwrap()["moves"], json!([]));
        let bob = place.up("bob").await;
        let drained = alice.call("drain", json!({ "to": "bob" })).await.unwrap();
        assert_eq!((&drained["complete"], &drained["moved"]), (&json!(true), &json!(3)), "{drained}");
        assert!(all_at(&bob, &objects).await);
    });
}

/// What `retire` says of one thing.
fn said(text: &str, check: &str) -> String {
    let of = |line: &&str| line.split_whitespace().nth(1) == Some(check);
    text.lines().find(of).unwrap_or_else(|| panic!("{check}: {text}")).to_owned()
}

#[test]
fn a_kernel_may_be_erased_when_nothing_is_missing_and_not_before() {
    story(async {
        let place = Place::new();
        let (mut alice, bob) = place.pair().await;
        place.init("carol");
        let carol = place.up("carol").await;
        let ticket = alice.call("invite", json!({ "name": "carol" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "alice", "timeout_ms": 60_000 });
        carol.call("join", join).await.unwrap();
        bob.call("grant", json!({ "peer": "alice", "right": "host" })).await.unwrap();
        let objects = counters(&alice, 1..3).await;
        alice.import(&scenario(1)).await.unwrap();
        let grant = json!({ "peer": "carol", "right": "act", "object": objects[0] });
        alice.call("grant", grant).await.unwrap();
        let got = alice.call("get", json!({ "object": objects[0] })).await.unwrap();
        let ior = got["object"]["ior"].as_str().unwrap().to_owned();
        let id = acts::id(1);
        carol.call("act", acts::add(&ior, &id)).await.unwrap();
        // She is away while everything moves, and owed something.
        carol.kill();
        alice.share(&objects[1], "carol", false).await.unwrap();

        let (code, text) = place.once("alice", &["retire"]);
        assert_eq!(code, 1, "{text}");
        for missing in ["objects", "copies", "owed"] {
            assert!(said(&text, missing).starts_with('✗'), "{missing}: {text}");
        }
        let (code, text) = place.once("alice", &["drain", "--to", "bob"]);
        assert_eq!(code, 0, "{text}");
        // What was recorded here is nowhere else as long as the present home is away.
        bob.kill();
        let (_, text) = place.once("alice", &["retire"]);
        let history = said(&text, "history");
        assert!(history.starts_with('✗') && history.contains("3 entries for kernel bob"), "{text}");
        let bob = place.up("bob").await;
        is_connected(&alice, "bob").await;
        let receipts = place.path().join("receipts.jsonl");
        let retire = ["retire", "--to", "bob", "--receipts", receipts.to_str().unwrap()];
        let (code, text) = place.once("alice", &retire);
        assert_eq!(code, 1, "{text}");
        for (check, mark) in
            [("objects", '✓'), ("copies", '✓'), ("history", '✓'), ("owed", '✗'), ("news", '✗')]
        {
            assert!(said(&text, check).starts_with(mark), "{check}: {text}");
        }
        assert!(said(&text, "news").contains("carol") && !text.contains("can be erased"), "{text}");

        // She hears of it. What is there already is not written over.
        let _carol = place.up("carol").await;
        until("she has heard", async || {
            let moves = alice.call("moves", json!({})).await.ok()?;
            let waits = moves["news"].as_array()?.iter().any(|one| one["waits_for"] != json!([]));
            (!waits && acts_are_done(&alice).await).then_some(())
        })
        .await;
        let (code, text) = place.once("alice", &retire);
        assert!(code == 1 && text.contains("receipts.jsonl"), "{code} {text}");
        std::fs::remove_file(&receipts).unwrap();
        let (code, text) = place.once("alice", &retire);
        assert!(code == 0 && text.contains("this kernel can be erased"), "{code} {text}");
        // What was said once need not be said again, also after a restart.
        for round in 0..2 {
            let (code, text) = place.once("alice", &["retire", "--to", "bob"]);
            assert!(code == 0 && text.contains("this kernel can be erased"), "{round}: {code} {text}");
            if round == 0 {
                alice.kill();
                alice = place.up("alice").await;
                is_connected(&alice, "bob").await;
            }
        }
        // Each line proves by itself what was done, without the kernel that is erased.
        let home = alice.status().await["kernel"].as_str().unwrap().to_owned();
        alice.kill();
        std::fs::remove_dir_all(place.data("alice")).unwrap();
        let verify = ["verify-receipt", receipts.to_str().unwrap(), "--home", home.as_str()];
        let (code, text) = place.once("bob", &verify);
        assert!(code == 0 && text.contains("3 receipts verified, 0 wrong"), "{code} {text}");
        let lines = std::fs::read_to_string(&receipts).unwrap();
        let forged = place.path().join("forged.jsonl");
        std::fs::write(&forged, lines.replacen("\"number\":1", "\"number\":7", 1)).unwrap();
        let (code, text) = place.once("bob", &["verify-receipt", forged.to_str().unwrap()]);
        assert!(code == 1 && text.contains("2 receipts verified, 1 wrong"), "{code} {text}");
        assert!(text.contains("its `number` was changed"), "{text}");
        assert_eq!(lines.lines().count(), 3, "two claims and an action: {lines}");
        for line in lines.lines() {
            let one = place.path().join("one.json");
            std::fs::write(&one, line).unwrap();
            let verify = ["verify-receipt", one.to_str().unwrap(), "--home", home.as_str()];
            let (code, text) = place.once("bob", &verify);
            assert!(code == 0 && text.contains("verified"), "{code} {text}");
        }
        // The new home has it as well, as alice's, and gives her receipt to who acted.
        let told = bob.call("history", json!({ "object": objects[0] })).await.unwrap();
        assert_eq!((&told["given"][0]["home"], &told["elsewhere"]), (&json!(home), &json!([])), "{told}");
        let (code, text) = place.once("carol", &["receipt", &id, "--timeout", "5s"]);
        assert!(code == 0 && text.contains(&home), "{code} {text}");
    });
}

async fn is_connected(kernel: &Daemon, to: &str) {
    until("it is connected", async || {
        let peers = kernel.call("peers", json!({})).await.ok()?;
        let is_it = |peer: &Value| peer["name"] == to && peer["connected"] == true;
        peers["peers"].as_array()?.iter().any(is_it).then_some(())
    })
    .await;
}

#[test]
fn receipts_of_what_was_removed_are_all_that_is_left_of_it_and_are_remembered() {
    story(async {
        let place = Place::new();
        place.init("alice");
        let alice = place.up("alice").await;
        let objects = counters(&alice, 1..2).await;
        alice.call("remove", json!({ "object": objects[0] })).await.unwrap();
        let (code, text) = place.once("alice", &["retire"]);
        assert!(code == 1 && said(&text, "history").contains("of objects that were removed"), "{text}");
        assert!(text.contains("no kernel can have what was recorded of removed objects"), "{text}");
        let receipts = place.path().join("receipts.jsonl");
        for args in [&["retire", "--receipts", receipts.to_str().unwrap()][..], &["retire"]] {
            let (code, text) = place.once("alice", args);
            assert!(code == 0 && text.contains("this kernel can be erased"), "{args:?}: {code} {text}");
        }
        // What is recorded later is none of them.
        let more = counters(&alice, 2..3).await;
        alice.call("remove", json!({ "object": more[0] })).await.unwrap();
        let (code, text) = place.once("alice", &["retire"]);
        assert!(code == 1 && said(&text, "history").starts_with('✗'), "{code} {text}");
    });
}

/// Whether nothing waits in an outbox.
async fn acts_are_done(kernel: &Daemon) -> bool {
    let outbox = kernel.call("outbox", json!({})).await.unwrap();
    outbox["owed"] == json!([]) && outbox["acts"] == json!([])
}
