//! Real kernels that act on each other's objects while they are killed: each action has effect once.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::acts::{self, id};
use support::*;

/// The counter of these stories.
fn counter() -> String {
    acts::counter(1)
}

/// A counter at bob, on which alice may act.
async fn counter_at_bob(place: &Place) -> (Daemon, Daemon, String) {
    let (alice, bob) = place.pair().await;
    let key = bob.import(&counter()).await.unwrap();
    bob.call("claim", json!({ "object": key })).await.unwrap();
    let got = bob.call("get", json!({ "object": key })).await.unwrap();
    let ior = got["object"]["ior"].as_str().unwrap().to_owned();
    bob.call("grant", json!({ "peer": "alice", "right": "act" })).await.unwrap();
    (alice, bob, ior)
}

#[test]
fn one_id_is_one_action_however_often_it_is_asked_while_the_home_is_killed() {
    story(async {
        let place = Place::new();
        let (alice, bob, ior) = counter_at_bob(&place).await;
        let id = id(1);
        let add = json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id });
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let (client, add) = (alice.api().clone(), add.clone());
                tokio::spawn(async move { client.call("act", add).await })
            })
            .collect();
        bob.kill();
        let bob = place.up("bob").await;
        for answer in asked {
            assert_eq!(answer.await.unwrap().unwrap()["result"], 1);
        }
        let text = until("the counter", async || bob.text("7d0c2f6e").await).await;
        assert_eq!(text, counter().replace("\"count\": 0", "\"count\": 1"), "nothing else was touched");
        // The same id for something else is refused, and names both contents.
        let other = json!({ "object": ior, "name": "add", "arguments": { "by": 2 }, "id": id });
        let error = alice.call("act", other).await.unwrap_err().to_string();
        assert!(error.contains("belongs to another action"), "{error}");
        assert_eq!(alice.call("outcome", json!({ "id": id })).await.unwrap()["result"], 1);
    });
}

#[test]
fn what_was_accepted_runs_once_and_in_order_whoever_is_killed() {
    story(async {
        let place = Place::new();
        let (mut alice, mut bob, ior) = counter_at_bob(&place).await;
        let mut accepted = Vec::new();
        for round in 0..4 * scale() as u64 {
            let mut asked = Vec::new();
            for n in 0..25 {
                let id = id(1000 * (round + 1) + n);
                let add = json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id, "no_wait": true });
                alice.call("act", add).await.unwrap();
                asked.push(id);
            }
            if round % 2 == 0 {
                bob.kill();
                bob = place.up("bob").await;
            } else {
                alice.kill();
                alice = place.up("alice").await;
            }
            accepted.append(&mut asked);
        }
        // What counts up shows the order: the n-th action of this origin found the counter at n.
        for (n, id) in accepted.iter().enumerate() {
            let outcome = until("an outcome", async || {
                let outcome = alice.call("outcome", json!({ "id": id })).await.unwrap();
                (outcome["status"] == "done").then_some(outcome)
            })
            .await;
            assert_eq!(outcome["result"], Value::from(n + 1), "{id}");
        }
        let text = until("the counter", async || bob.text("7d0c2f6e").await).await;
        assert!(text.contains(&format!("\"count\": {},", accepted.len())), "{text}");
    });
}

#[test]
fn who_has_no_right_changes_nothing_and_a_record_keeps_every_byte() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        let odd = "{\n \"ior\": {\"uuid\":\"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c02\", \"component\":\"Nobody\"},\n \"model\": { \"n\":1.0e+2,\t\"n\":2, \"big\":18446744073709551616,\"é\":\"\\u00e9\" }\n}";
        let key = bob.import(odd).await.unwrap();
        let got = bob.call("get", json!({ "object": key })).await.unwrap();
        let merge = json!({ "object": got["object"]["ior"], "name": "merge", "arguments_text": "{\"x\":2.50}", "at": "bob" });
        let error = alice.call("act", merge.clone()).await.unwrap_err().to_string();
        assert!(error.contains("does not permit this"), "{error}");
        assert_eq!(bob.text("7d0c2f6e").await.as_deref(), Some(odd));
        let only = json!({ "peer": "alice", "right": "act", "component": "Nobody", "actions": ["merge"] });
        bob.call("grant", only).await.unwrap();
        alice.call("act", merge).await.unwrap();
        let text = bob.text("7d0c2f6e").await.unwrap();
        assert_eq!(text.replace(", \"x\":2.50", "").replace(",\"x\":2.50", ""), odd, "{text}");
        let get = json!({ "object": got["object"]["ior"], "name": "get", "at": "bob" });
        assert!(alice.call("act", get).await.is_err(), "only `merge` was granted");
    });
}

#[test]
fn what_waits_is_listed_and_nobody_waits_for_a_peer_that_was_removed() {
    story(async {
        let place = Place::new();
        let (alice, bob, ior) = counter_at_bob(&place).await;
        bob.kill();
        let id = id(1);
        let add = json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id });
        let asked = tokio::spawn({
            let (client, add) = (alice.api().clone(), add.clone());
            async move { client.call("act", add).await }
        });
        let waits = until("the action in the outbox", async || {
            let outbox = alice.call("outbox", json!({})).await.unwrap();
            outbox["acts"].as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!(
            (&waits["id"], &waits["name"], &waits["peer"]),
            (&json!(id), &json!("add"), &json!("bob"))
        );
        let (exit, said) = place.once("alice", &["outbox"]);
        assert!(exit == 0 && said.contains(&id), "{said}");
        alice.call("peers.remove", json!({ "peer": "bob" })).await.unwrap();
        let error = asked.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("has no outcome yet"), "{error}");
        // It was accepted, and stays so.
        assert_eq!(alice.call("outcome", json!({ "id": id })).await.unwrap()["status"], "accepted");
    });
}
