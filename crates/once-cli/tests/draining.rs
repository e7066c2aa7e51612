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

        let (code, text) = place.once("bob", &["grant", "alice", "host", "--component", "Counter"]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = place.once("alice", &["drain", "--to", "bob", "--dry-run"]);
        let would = "6 objects would move to bob, 2 scenarios would be shared";
        assert!(code == 0 && text.contains(would), "{code} {text}");
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
        assert_eq!(drained.unwrap()["cancelled"], true);
        assert!(all_at(&alice, &objects).await);
        assert_eq!(alice.call("moves", json!({})).await.unwrap()["moves"], json!([]));
        let bob = place.up("bob").await;
        let drained = alice.call("drain", json!({ "to": "bob" })).await.unwrap();
        assert_eq!((&drained["complete"], &drained["moved"]), (&json!(true), &json!(3)), "{drained}");
        assert!(all_at(&bob, &objects).await);
    });
}
