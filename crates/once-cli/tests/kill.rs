//! Real kernels that are killed, and what their system calls prove.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use once::api::contract::exit_of_error;
use once::api::contract::{DeliveryAnswer, Event, Listen};
use serde_json::json;
use support::trace::{self, Moment};
use support::*;

/// Kills of each story.
fn kills() -> usize {
    5 * scale()
}

/// Scenarios for one round between two kills.
const ROUND: usize = 120;

fn round(number: usize) -> Vec<String> {
    (number * ROUND..(number + 1) * ROUND).map(scenario).collect()
}

#[test]
fn what_an_import_acknowledged_survives_every_kill() {
    story(async {
        let place = Place::new();
        place.init("alice");
        let mut alice = place.up("alice").await;
        let mut acknowledged = BTreeMap::new();
        for kill in 0..kills() {
            // Several calls are on their way when it dies.
            let heard = Arc::new(Mutex::new(BTreeMap::new()));
            let mut importers = Vec::new();
            for texts in round(kill).chunks(ROUND / 4) {
                let (client, texts, heard) = (alice.api().clone(), texts.to_vec(), Arc::clone(&heard));
                importers.push(tokio::spawn(async move {
                    for text in texts {
                        let import = json!({ "scenarios": [{ "text": text }] });
                        let Ok(done) = client.call("import", import).await else { return };
                        let key = done["results"][0]["object"]["key"].as_str().unwrap().to_owned();
                        heard.lock().unwrap().insert(key, text);
                    }
                }));
            }
            let enough = 1 + kill * 17 % ROUND;
            until("some are acknowledged", async || (heard.lock().unwrap().len() >= enough).then_some(()))
                .await;
            alice.kill();
            for importer in importers {
                importer.await.unwrap();
            }
            acknowledged.append(&mut heard.lock().unwrap());
            alice = place.up("alice").await;
            alice.has_all(&acknowledged).await;
        }
        // What was under way is there or not; all of it is, once it was imported again.
        for kill in 0..kills() {
            for (key, text) in alice.import_all(&round(kill)).await.into_iter().zip(round(kill)) {
                acknowledged.insert(key, text);
            }
        }
        assert_eq!(alice.objects().await as usize, kills() * ROUND);
        alice.has_all(&acknowledged).await;
    });
}

#[test]
fn what_was_shared_arrives_whoever_is_killed() {
    story(async {
        let place = Place::new();
        let (mut alice, mut bob) = place.pair().await;
        let mut accepted = BTreeMap::new();
        for kill in 0..kills() {
            let texts = round(kill);
            let keys = alice.import_all(&texts).await;
            // Told by bob's kernel that it is durable there.
            let delivered = Arc::new(Mutex::new(Vec::new()));
            let mut events = alice.api().listen(Listen::default()).await.unwrap();
            let listener = tokio::spawn({
                let delivered = Arc::clone(&delivered);
                async move {
                    while let Some(event) = events.next().await {
                        if let Event::Delivered { key, answer: DeliveryAnswer::Stored, .. } = event.event {
                            delivered.lock().unwrap().push(key);
                        }
                    }
                }
            });
            // Accepted here: no more is needed for it to arrive.
            let share = json!({ "objects": keys, "to": "bob" });
            alice.call("share", share).await.unwrap();
            accepted.extend(keys.iter().cloned().zip(texts));
            let enough = kill * 17 % ROUND;
            until("some are delivered", async || (delivered.lock().unwrap().len() >= enough).then_some(()))
                .await;
            match kill % 3 {
                0 => {
                    bob.kill();
                    bob = place.up("bob").await;
                }
                1 => {
                    alice.kill();
                    alice = place.up("alice").await;
                }
                _ => {
                    alice.kill();
                    bob.kill();
                    (bob, alice) = (place.up("bob").await, place.up("alice").await);
                }
            }
            listener.abort();
            let delivered: Vec<_> = std::mem::take(&mut *delivered.lock().unwrap());
            let acknowledged = delivered.iter().map(|key| (key.clone(), accepted[key].clone())).collect();
            bob.has_all(&acknowledged).await;
        }
        bob.gets_all(&accepted).await;
        assert!(alice.key_is_used_once().await && bob.key_is_used_once().await);
        // And nothing is owed for ever.
        until("nothing is owed", async || (alice.status().await["owed"] == 0).then_some(())).await;
    });
}

#[test]
fn an_exchange_goes_on_after_every_kill() {
    story(async {
        let place = Place::new();
        let (mut alice, mut bob) = place.pair().await;
        let mut expected = BTreeMap::new();
        for kill in 0..kills() {
            // Some on either side, so that it goes both ways.
            let texts = round(kill);
            let (for_alice, for_bob) = texts.split_at(ROUND / 2);
            let mut keys = alice.import_all(for_alice).await;
            keys.extend(bob.import_all(for_bob).await);
            expected.extend(keys.into_iter().zip(texts));

            let before = (alice.objects().await, bob.objects().await);
            let client = bob.api().clone();
            let exchange =
                tokio::spawn(async move { client.call("exchange", json!({ "with": "alice" })).await });
            until("it is under way", async || {
                let now = (alice.objects().await, bob.objects().await);
                (now != before || exchange.is_finished()).then_some(())
            })
            .await;
            if kill % 2 == 0 {
                bob.kill();
                bob = place.up("bob").await;
            } else {
                alice.kill();
                alice = place.up("alice").await;
            }
            // It ends, one way or the other; what it claimed is true.
            let _ = exchange.await.unwrap();
        }
        let patient = json!({ "peer": "alice", "timeout_ms": 60_000 });
        bob.call("peers.dial", patient).await.unwrap();
        let report = bob.call("exchange", json!({ "with": "alice" })).await.unwrap();
        assert_eq!((&report["refused"], &report["sent_refused"]), (&json!(0), &json!(0)), "{report}");
        for kernel in [&alice, &bob] {
            assert_eq!(kernel.objects().await as usize, expected.len());
            kernel.has_all(&expected).await;
        }
        let again = bob.call("exchange", json!({ "with": "alice" })).await.unwrap();
        assert_eq!((&again["received"], &again["sent"]), (&json!(0), &json!(0)), "{again}");
    });
}

#[test]
fn calls_under_way_end_when_the_peer_is_killed_and_go_on_when_it_is_back() {
    story(async {
        let place = Place::new();
        let (alice, mut bob) = place.pair().await;
        let text = scenario(1);
        let key = bob.import(&text).await.unwrap();
        let uuid = key.split('@').next().unwrap();
        for _ in 0..kills() {
            let request = json!({ "object": uuid, "from": "bob", "keep": false, "timeout_ms": 20_000 });
            let calls: Vec<_> = (0..20)
                .map(|_| {
                    let (client, request) = (alice.api().clone(), request.clone());
                    tokio::spawn(async move { client.call("request", request).await })
                })
                .collect();
            bob.kill();
            bob = place.up("bob").await;
            for call in calls {
                // Answered before or after, or told within the deadline that nobody answers.
                match call.await.unwrap() {
                    Ok(found) => assert_eq!(found["text"], text.as_str()),
                    Err(error) => assert_eq!(exit_of_error(&error), 4, "{error}"),
                }
            }
            let found =
                until("bob answers again", async || alice.call("request", request.clone()).await.ok()).await;
            assert_eq!(found["text"], text.as_str());
        }
    });
}

#[test]
fn a_thousand_shares_one_after_the_other_are_a_thousand_syncs_at_the_receiver() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        let texts: Vec<_> = (0..1000).map(scenario).collect();
        let keys = alice.import_all(&texts).await;
        let synced = async || bob.status().await["synced_groups"].as_u64().unwrap();
        let before = synced().await;
        for key in &keys {
            assert_eq!(alice.share(key, "bob", true).await.unwrap()["delivered"], 1);
        }
        let syncs = synced().await - before;
        assert!(syncs >= 1000, "{syncs} syncs for 1000 shares");
    });
}

/// SIGKILL spares the page cache, so it cannot show a missing sync. The system calls of the receiver do.
///
/// One share is on its way at a time. What leaves is encrypted, so the trace does not say which datagram carries the
/// acknowledgement; but it has at least 100 bytes of hashes and so is larger than what QUIC sends by itself (an
/// acknowledgement of packets or a keep-alive: below 80 bytes), except a probe for the path's MTU, which is larger than
/// any acknowledgement can be here (1200 bytes and more). So: no datagram that could be one leaves between a write to
/// the journal and its sync; and there are at least as many syncs as acknowledgements.
#[test]
fn an_acknowledgement_leaves_after_the_sync_of_what_it_acknowledges() {
    const SHARES: usize = 100;
    const ACKNOWLEDGEMENT: std::ops::Range<usize> = 100..1200;
    if !trace::works() {
        return;
    }
    story(async {
        let place = Place::new();
        for name in ["alice", "bob"] {
            place.init(name);
        }
        let log = place.path().join("strace.log");
        let calls = "trace=write,writev,pwrite64,pwritev2,fdatasync,fsync,sendmsg,sendmmsg";
        let tracer = ["strace", "-f", "-qq", "-y", "-s", "1", "-e", calls, "-o", log.to_str().unwrap()];
        let (alice, bob) = (place.up("alice").await, place.up_in(&tracer, "bob").await);
        befriend(&alice, &bob).await;
        let texts: Vec<_> = (0..SHARES).map(scenario).collect();
        let keys = alice.import_all(&texts).await;
        let before = trace::moments(&log).len();
        for key in &keys {
            assert_eq!(alice.share(key, "bob", true).await.unwrap()["delivered"], 1);
        }
        assert!(bob.terminate().await.success());

        let moments = trace::moments(&log).split_off(before);
        let (mut unsynced, mut syncs, mut sent) = (false, 0, 0);
        for (n, moment) in moments.iter().enumerate() {
            match moment {
                Moment::Written => unsynced = true,
                Moment::Synced => {
                    syncs += usize::from(unsynced);
                    unsynced = false;
                }
                Moment::Sent { bytes } if ACKNOWLEDGEMENT.contains(bytes) => {
                    sent += 1;
                    let around = &moments[n.saturating_sub(8)..moments.len().min(n + 4)];
                    assert!(!unsynced, "{bytes} bytes left before a sync: {around:?}");
                }
                Moment::Sent { .. } => {}
            }
        }
        assert!(syncs >= SHARES, "{syncs} syncs for {SHARES} acknowledgements");
        assert!(sent >= SHARES, "{sent} datagrams for {SHARES} acknowledgements: the trace shows too little");
    });
}

/// After a power cut the kernel's own scenario is the old one or the new one: its bytes are synced before it gets its
/// name, and its name right after.
#[test]
fn the_kernels_own_scenario_is_synced_with_its_name() {
    if !trace::works() {
        return;
    }
    let place = Place::new();
    let log = place.path().join("strace.log");
    let calls = "trace=fsync,rename,renameat,renameat2";
    let tracer = ["strace", "-f", "-qq", "-y", "-e", calls, "-o", log.to_str().unwrap()];
    assert!(place.command(&tracer, "alice", &["init"]).output().unwrap().status.success());
    let trace = std::fs::read_to_string(log).unwrap();
    let folder = place.data("alice").canonicalize().unwrap();
    let (folder, file) = (folder.to_str().unwrap(), "kernel.scenario.json");
    let mut after = trace.lines();
    for moment in [format!("{folder}/{file}.new>"), format!("{file}.new\", "), format!("<{folder}>")] {
        assert!(after.any(|call| call.contains(&moment) && call.ends_with("= 0")), "{moment} in {trace}");
    }
}

#[test]
fn a_failed_sync_ends_the_kernel_as_its_own_fault_and_loses_nothing_that_was_acknowledged() {
    if !trace::works() {
        return;
    }
    story(async {
        let place = Place::new();
        place.init("alice");
        let mut acknowledged = BTreeMap::new();
        for when in ["5", "20"] {
            let inject = format!("inject=fdatasync:error=EIO:when={when}");
            let tracer = ["strace", "-f", "-qq", "-e", "trace=fdatasync", "-e", &inject, "-o", "/dev/null"];
            let mut alice = place.up_in(&tracer, "alice").await;
            let first = acknowledged.len();
            let error = loop {
                let text = scenario(acknowledged.len());
                match alice.import(&text).await {
                    Ok(key) => acknowledged.insert(key, text),
                    Err(error) => break error,
                };
                assert!(acknowledged.len() < first + 100, "it never failed");
            };
            assert!(exit_of_error(&error) >= 4, "{error:?}");
            assert_eq!(alice.ended().await.code(), Some(5), "{}", alice.log());
            let alice = place.up("alice").await;
            alice.has_all(&acknowledged).await;
            alice.import(&scenario(acknowledged.len())).await.unwrap();
            assert!(alice.terminate().await.success());
        }
    });
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    place.init("alice");
    let key = place.data("alice").join("key");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    for open in [0o640, 0o604, 0o644, 0o660, 0o620] {
        mode(open);
        let (code, said) = place.once("alice", &["up"]);
        assert!(
            code == 1 && said.contains("others can read the key") && said.contains("chmod 600"),
            "{code} {said}"
        );
    }
    mode(0o600);
    story(async {
        let alice = place.up("alice").await;
        assert!(alice.terminate().await.success());
    });
}

#[test]
fn one_directory_has_one_kernel_and_one_key() {
    story(async {
        let place = Place::new();
        place.init("alice");
        let key = std::fs::read(place.data("alice").join("key")).unwrap();
        let alice = place.up("alice").await;
        let (code, said) = place.once("alice", &["up", "--listen", "127.0.0.1:0"]);
        assert!(code == 1, "a second daemon on the directory: {code} {said}");
        for running in [true, false] {
            let (code, said) = place.once("alice", &["init"]);
            assert!(code == 1 && said.contains("already"), "a second init: {code} {said}");
            if running {
                // The first one has noticed nothing.
                alice.import(&scenario(1)).await.unwrap();
            }
        }
        assert!(alice.terminate().await.success());
        assert_eq!(std::fs::read(place.data("alice").join("key")).unwrap(), key);
    });
}

#[test]
fn of_several_inits_at_once_one_wins_and_its_kernel_is_whole() {
    story(async {
        for _ in 0..3 * scale() {
            let place = Place::new();
            let mut children: Vec<_> = (0..4)
                .map(|n| {
                    let mut command = place.command(&[], "alice", &["init", "--name", &format!("alice{n}")]);
                    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
                    command.spawn().unwrap()
                })
                .collect();
            let won =
                children.iter_mut().filter_map(|child| child.wait().unwrap().success().then_some(())).count();
            assert_eq!(won, 1, "kernels were made");
            // Its key, its identity in the store and its recovery key belong together: what it makes can be proved.
            let alice = place.up("alice").await;
            let made = json!({ "component": "Note", "model": { "text": "mine" } });
            let made = alice.call("create", made).await.unwrap();
            let status = alice.status().await;
            assert_eq!(made["object"]["home"], status["kernel"]);
            let config = std::fs::read_to_string(place.data("alice").join("kernel.scenario.json")).unwrap();
            let name = status["name"].as_str().unwrap();
            assert!(config.contains(name), "{name} in {config}");
        }
    });
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_a_killed_kernel_is_soon_back() {
    story(async {
        let place = Place::new();
        place.init("alice");
        let mut alice = place.up("alice").await;
        let key = alice.import(&scenario(1)).await.unwrap();
        for _ in 0..3 {
            alice.kill();
            let socket = place.data("alice").join("api.sock");
            assert!(socket.exists(), "SIGKILL leaves the socket behind");
            let begun = std::time::Instant::now();
            alice = place.up("alice").await;
            // Generous: what is promised is a second, and a busy machine may be slow.
            assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
            assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(alice.text(&key).await, Some(scenario(1)));
        }
        // Also a file of that name that is no socket.
        alice.kill();
        std::fs::remove_file(place.data("alice").join("api.sock")).unwrap();
        std::fs::write(place.data("alice").join("api.sock"), "not a socket").unwrap();
        let alice = place.up("alice").await;
        assert_eq!(alice.text(&key).await, Some(scenario(1)));
    });
}

#[test]
fn sigterm_stops_cleanly_also_while_it_is_busy() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        let texts = round(0);
        let keys = alice.import_all(&texts).await;
        alice.call("share", json!({ "objects": keys, "to": "bob" })).await.unwrap();
        assert_eq!(alice.terminate().await.code(), Some(0));
        assert_eq!(bob.terminate().await.code(), Some(0));
        let (alice, bob) = (place.up("alice").await, place.up("bob").await);
        bob.gets_all(&keys.into_iter().zip(texts).collect()).await;
        drop(alice);
    });
}
