//! Objects that move between real kernels: what is asked of them is done once, wherever they live and whoever is killed.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::acts::{self, id};
use support::*;

/// Two kernels that may act on each other's objects and move them to each other.
async fn pair(place: &Place) -> (Daemon, Daemon) {
    let (alice, bob) = place.pair().await;
    for (kernel, peer) in [(&alice, "bob"), (&bob, "alice")] {
        for right in ["act", "host"] {
            kernel.call("grant", json!({ "peer": peer, "right": right })).await.unwrap();
        }
    }
    (alice, bob)
}

async fn state(kernel: &Daemon, object: &str) -> Option<String> {
    let got = kernel.call("get", json!({ "object": object })).await.ok()?;
    got["object"]["state"].as_str().map(str::to_owned)
}

/// The thin thread, with the commands that people use.
#[test]
fn a_counter_moves_and_the_reference_printed_before_answers() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        let (code, text) = place.once("alice", &["--json", "create", "Counter"]);
        assert_eq!(code, 0, "{text}");
        let created: Value = serde_json::from_str(&text).unwrap();
        let ior = created["object"]["ior"].as_str().or(created["ior"].as_str()).unwrap().to_owned();
        let uuid = created["object"]["uuid"].as_str().or(created["uuid"].as_str()).unwrap().to_owned();
        let (code, text) = place.once("alice", &["act", &ior, "add", "--by", "41"]);
        let (code, text) = match code {
            0 => (code, text),
            _ => place.once("alice", &["act", &ior, "add", r#"{"by":41}"#]),
        };
        assert_eq!(code, 0, "{text}");
        // Nobody is moved to where he is not wanted.
        let (code, text) = place.once("alice", &["move", &uuid, "--to", "bob"]);
        assert_eq!(code, 3, "{text}");
        assert!(
            text.contains("does not let this kernel move objects there") && text.contains("hint:"),
            "{text}"
        );
        let (code, text) = place.once("bob", &["grant", "alice", "host"]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = place.once("alice", &["move", &uuid, "--to", "bob", "--dry-run"]);
        assert!(code == 0 && text.contains("1 object would move to bob"), "{text}");
        let (code, text) = place.once("alice", &["move", &uuid, "--to", "bob"]);
        assert!(code == 0 && text.contains("1 object moved to bob"), "{code} {text}");
        assert_eq!(state(&bob, &uuid).await.as_deref(), Some("home"));
        assert_eq!(state(&alice, &uuid).await.as_deref(), Some("replica"));
        // Alice's clients go on with the reference that they have.
        let add = json!({ "object": ior, "name": "add", "arguments": { "by": 1 } });
        assert_eq!(alice.call("act", add).await.unwrap()["result"], 42);
        let (code, text) = place.once("alice", &["moves"]);
        assert!(code == 0 && text.contains("No object is about to leave."), "{text}");
        // Its history goes on with its numbers.
        let history = bob.call("history", json!({ "object": uuid })).await.unwrap();
        assert!(history.to_string().contains("once:move"), "{history}");
        let (code, text) = place.once("bob", &["history", &uuid]);
        assert!(code == 0 && text.contains("entries 1 to 2 are at alice"), "{code} {text}");
        let (code, text) = place.once("alice", &["history", &uuid]);
        assert!(code == 0 && text.contains("entries from 3 on are at bob"), "{code} {text}");
        // Both print its way, and what they print holds.
        for name in ["alice", "bob"] {
            let (code, text) = place.once(name, &["show", "--path", &uuid]);
            let said =
                ["genesis at alice", "handoff from alice to bob, accepted", "2 steps: every signature"];
            assert!(code == 0 && said.iter().all(|said| text.contains(said)), "{name} {code} {text}");
        }
        let path = bob.call("path", json!({ "object": uuid })).await.unwrap();
        assert_eq!((&path["verified"], &path["path"][1]["accepted"]), (&json!(true), &json!(true)), "{path}");
        assert!(path["path"][1]["at_ms"].is_u64() && path["newest"]["by_name"] == "bob", "{path}");
    });
}

#[test]
fn an_object_that_goes_to_and_fro_loses_and_doubles_nothing_while_kernels_are_killed() {
    story(async {
        let place = Place::new();
        let (mut alice, mut bob) = pair(&place).await;
        let key = alice.import(&acts::counter(1)).await.unwrap();
        alice.call("claim", json!({ "object": key })).await.unwrap();
        let got = alice.call("get", json!({ "object": key })).await.unwrap();
        let ior = got["object"]["ior"].as_str().unwrap().to_owned();
        let (mut accepted, mut n) = (Vec::new(), 0);
        for round in 0..6 * scale() as u64 {
            let to_bob = round % 2 == 0;
            for name in ["alice", "bob"] {
                for _ in 0..5 {
                    n += 1;
                    let id = id(n);
                    let add = json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id, "no_wait": true });
                    let kernel = if name == "alice" { &alice } else { &bob };
                    kernel.call("act", add).await.unwrap();
                    accepted.push((name, id));
                }
            }
            let (from, to) = if to_bob { (&alice, "bob") } else { (&bob, "alice") };
            let wish = json!({ "objects": [ior], "to": to });
            from.call("move", wish).await.unwrap();
            // One or the other dies at some moment of it.
            tokio::time::sleep(std::time::Duration::from_micros(400 * (round * 7 % 23))).await;
            if (round / 2) % 2 == 0 {
                alice.kill();
                alice = place.up("alice").await;
            } else {
                bob.kill();
                bob = place.up("bob").await;
            }
            let there = if to_bob { &bob } else { &alice };
            until("it lives there", async || (state(there, &ior).await? == "home").then_some(())).await;
            let here = if to_bob { &alice } else { &bob };
            until("it lives there alone", async || (state(here, &ior).await? == "replica").then_some(()))
                .await;
        }
        let mut results = BTreeSet::new();
        for (name, id) in &accepted {
            let kernel = if *name == "alice" { &alice } else { &bob };
            let result = until("an outcome", async || {
                let outcome = kernel.call("outcome", json!({ "id": id })).await.ok()?;
                outcome["result"].as_u64()
            })
            .await;
            results.insert(result);
        }
        // Each of them found the counter at another number: none ran twice, and none is missing.
        let all = accepted.len() as u64;
        assert!(results.iter().copied().eq(1..=all), "{results:?} of {all}");
    });
}

/// Who ran it proves it, also to those who were told by another kernel what came of it.
#[test]
fn receipts_of_what_ran_at_a_former_home_come_from_there() {
    story(async {
        let place = Place::new();
        let (alice, bob) = pair(&place).await;
        place.init("carol");
        let mut carol = place.up("carol").await;
        for (kernel, name) in [(&alice, "alice"), (&bob, "bob")] {
            let ticket = kernel.call("invite", json!({ "name": "carol" })).await.unwrap();
            let join = json!({ "ticket": ticket["ticket"], "name": name, "timeout_ms": 60_000 });
            carol.call("join", join).await.unwrap();
        }
        let key = alice.import(&acts::counter(1)).await.unwrap();
        alice.call("claim", json!({ "object": key })).await.unwrap();
        let got = alice.call("get", json!({ "object": key })).await.unwrap();
        let ior = got["object"]["ior"].as_str().unwrap().to_owned();
        let grant = json!({ "peer": "carol", "right": "act", "object": ior });
        alice.call("grant", grant).await.unwrap();
        let [first, of_bob] = [id(1), id(2)];
        carol.call("act", acts::add(&ior, &first)).await.unwrap();
        bob.call("act", acts::add(&ior, &of_bob)).await.unwrap();
        // Alice stands still, and carol is gone when she goes on: what runs now, carol does not hear of from her.
        let signal = |signal: &str, pid: &str| {
            assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
        };
        let pid = alice.status().await["pid"].to_string();
        signal("-STOP", &pid);
        let all: Vec<String> = [first].into_iter().chain((3..12).map(id)).collect();
        for id in &all[1..] {
            let mut add = acts::add(&ior, id);
            add["no_wait"] = json!(true);
            carol.call("act", add).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        carol.kill();
        signal("-CONT", &pid);
        until("alice has run what came", async || {
            let history = alice.call("history", json!({ "object": ior })).await.ok()?;
            (history["total"].as_u64()? > 3).then_some(())
        })
        .await;
        let (code, text) = place.once("alice", &["move", &ior, "--to", "bob"]);
        assert_eq!(code, 0, "{text}");
        carol = place.up("carol").await;
        let home = alice.status().await["kernel"].as_str().unwrap().to_owned();
        let mut by_alice = 0;
        for asked in &all {
            until("an outcome", async || {
                carol.call("outcome", json!({ "id": asked })).await.ok()?["result"].as_u64()
            })
            .await;
            let receipt = carol.call("receipt", json!({ "id": asked })).await.unwrap();
            by_alice += u64::from(receipt["home"] == home);
        }
        assert!(by_alice > 1, "some ran at alice, and their outcomes were told by bob");
        // At the new home, who asked before the move is shown alice's receipt; it verifies by itself.
        let path = place.path().join("receipt.json");
        let (code, text) = place.once("bob", &["receipt", &of_bob, "--out", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{text}");
        let home = alice.status().await["kernel"].as_str().unwrap().to_owned();
        let (code, text) = place.once("bob", &["verify-receipt", path.to_str().unwrap(), "--home", &home]);
        assert!(code == 0 && text.contains("verified"), "{code} {text}");
    });
}

/// A coordination waits for a kernel that is off. It does not wait for it when it moves, and says that it will never know.
#[test]
fn an_object_leaves_its_calls_behind_when_it_is_told_to() {
    story(async {
        let place = Place::new();
        let (alice, bob) = pair(&place).await;
        place.init("carol");
        let carol = place.up("carol").await;
        let ticket = carol.call("invite", json!({ "name": "alice" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "carol", "timeout_ms": 60_000 });
        alice.call("join", join).await.unwrap();
        carol.call("grant", json!({ "peer": "alice", "right": "act" })).await.unwrap();
        let made = carol.call("create", json!({ "component": "Counter", "model": {} })).await.unwrap();
        carol.terminate().await;
        let step =
            json!({ "name": "far", "ior": made["object"]["ior"], "action": "add", "arguments": { "by": 1 } });
        let plan = json!({ "mode": "sequence", "steps": [step] });
        let begun = alice.call("coordinate", json!({ "plan": plan })).await.unwrap();
        let uuid = begun["uuid"].as_str().or(begun["object"]["uuid"].as_str()).unwrap_or_default().to_owned();
        assert!(!uuid.is_empty(), "{begun}");
        let dry = place.once("alice", &["move", &uuid, "--to", "bob", "--no-wait"]);
        assert_eq!(dry.0, 0, "{}", dry.1);
        let (code, text) = place.once("alice", &["moves"]);
        assert!(code == 0 && text.contains("waits for what is under way"), "{text}");
        let (code, text) = place.once("alice", &["moves", "withdraw", &uuid]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = place.once("alice", &["move", &uuid, "--to", "bob", "--leave-calls"]);
        assert!(code == 0 && text.contains("1 object moved to bob"), "{code} {text}");
        assert!(text.contains("1 call left behind"), "{text}");
        let told = until("it is told", async || {
            let get = json!({ "object": uuid, "name": "get" });
            let standing = bob.call("act", get).await.ok()?["result"].to_string();
            standing.contains("unknown").then_some(standing)
        });
        told.await;
    });
}

/// Whoever has a copy sees where the object lives now: its former home, and a third kernel that follows it.
#[test]
fn everybody_who_was_told_of_a_move_names_the_new_home() {
    story(async {
        let place = Place::new();
        let (alice, bob) = pair(&place).await;
        place.init("carol");
        let carol = place.up("carol").await;
        let ticket = alice.call("invite", json!({ "name": "carol" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "alice", "timeout_ms": 60_000 });
        carol.call("join", join).await.unwrap();
        alice.call("grant", json!({ "peer": "carol", "right": "read" })).await.unwrap();
        let created = alice.call("create", json!({ "component": "Counter" })).await.unwrap();
        let (key, ior) = (created["object"]["key"].clone(), created["object"]["ior"].clone());
        carol.call("follow", json!({ "object": ior })).await.unwrap();
        let has = || async {
            let got = carol.call("get", json!({ "object": key })).await.ok()?;
            (got["object"]["state"] == "replica").then_some(())
        };
        until("carol has a copy", async || has().await).await;
        let to = json!({ "objects": [key], "to": "bob", "wait": true });
        alice.call("move", to).await.unwrap();
        // Nothing but the word of its former home reaches her: she may not read at bob.
        let new = bob.status().await["kernel"].as_str().unwrap().to_owned();
        for (name, kernel) in [("alice", &alice), ("carol", &carol)] {
            until("it knows", async || {
                let got = kernel.call("get", json!({ "object": key })).await.ok()?;
                (got["object"]["home"] == json!(new)).then_some(())
            })
            .await;
            let listed = kernel.call("list", json!({})).await.unwrap();
            assert_eq!(listed["objects"][0]["home"], json!(new), "{name}: {listed}");
            let found = kernel.call("find", json!({ "home": new })).await.unwrap();
            assert_eq!(found["objects"][0]["key"], key, "{name}: {found}");
            let (code, text) = place.once(name, &["show", "--json", key.as_str().unwrap()]);
            assert!(code == 0 && text.contains(&format!("\"home\":\"{new}\"")), "{name}: {text}");
        }
        let follows = carol.call("follows", json!({})).await.unwrap();
        assert_eq!(follows["following"][0]["peer"], json!(new), "{follows}");
    });
}

/// Each home has its own part of the history. Whoever is asked says which parts are where, and who may have an earlier revision.
#[test]
fn of_an_object_that_moved_twice_each_kernel_says_who_has_which_part() {
    story(async {
        let place = Place::new();
        let (alice, bob) = pair(&place).await;
        for name in ["carol", "dora"] {
            place.init(name);
        }
        let (carol, dora) = (place.up("carol").await, place.up("dora").await);
        for (guest, name) in [(&bob, "bob"), (&alice, "alice"), (&dora, "dora")] {
            let ticket = carol.call("invite", json!({ "name": name })).await.unwrap();
            let join = json!({ "ticket": ticket["ticket"], "name": "carol", "timeout_ms": 60_000 });
            guest.call("join", join).await.unwrap();
            for right in ["read", "host"] {
                carol.call("grant", json!({ "peer": name, "right": right })).await.unwrap();
            }
        }
        let created = alice.call("create", json!({ "component": "Counter" })).await.unwrap();
        let (key, ior) = (created["object"]["key"].clone(), created["object"]["ior"].clone());
        alice.call("act", json!({ "object": ior, "name": "add", "arguments": { "by": 1 } })).await.unwrap();
        alice.call("move", json!({ "objects": [key], "to": "bob", "wait": true })).await.unwrap();
        bob.call("act", json!({ "object": ior, "name": "add", "arguments": { "by": 1 } })).await.unwrap();
        bob.call("move", json!({ "objects": [key], "to": "carol", "wait": true })).await.unwrap();
        carol.call("act", json!({ "object": ior, "name": "add", "arguments": { "by": 1 } })).await.unwrap();
        let key = key.as_str().unwrap().to_owned();
        let said = |name: &str, args: &[&str]| place.once(name, args).1;
        until("alice has heard of it", async || {
            said("alice", &["history", &key]).contains("on are at carol").then_some(())
        })
        .await;
        let at_alice = said("alice", &["history", &key]);
        assert!(
            at_alice.contains("entries 3 to 4 are at bob")
                && at_alice.contains("entries from 5 on are at carol"),
            "{at_alice}"
        );
        let at_carol = said("carol", &["history", &key]);
        assert!(
            at_carol.contains("entries 1 to 2 are at alice")
                && at_carol.contains("entries 3 to 4 are at bob"),
            "{at_carol}"
        );
        // Who never was its home names all who were.
        let uuid = key.split('#').next().unwrap();
        let (code, text) = place.once("dora", &["request", ior.as_str().unwrap(), "--from", "carol"]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = place.once("dora", &["history", uuid]);
        assert!(
            code == 3 && text.contains("at the homes that it has had: entries 1 to 2 at kernel"),
            "{code} {text}"
        );
        assert!(text.contains("from 5 on at kernel carol"), "{text}");
        for (name, number, home) in
            [("carol", "1", "alice"), ("carol", "3", "bob"), ("alice", "3", "bob"), ("dora", "5", "carol")]
        {
            let (code, text) = place.once(name, &["show", uuid, "--revision", number]);
            assert!(
                code == 1 && text.contains(&format!("its home was {home} then")),
                "{name} {number}: {text}"
            );
        }
    });
}
