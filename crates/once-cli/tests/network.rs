//! Kernels on machines of their own: network namespaces with a bad network between them.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::Instant;

use once::api::contract::exit_of_error;
use serde_json::{Value, json};
use support::acts::{Account, add, counted, counter, drained, id, object_at};
use support::wire::{self, Wire};
use support::*;

/// The port of every kernel here: each has an address of its own.
const PORT: u16 = 4277;

/// How a kernel says that a peer hears it no more: as the dialler, and as the one dialled.
const UNHEARD: [&str; 2] =
    ["it is heard no more, or hears this kernel no more", "it is heard, but it does not hear this kernel"];

/// Tells a story of kernels that each run on a machine of their own, if that is possible here.
fn on_a_wire(machines: u8, tell: impl AsyncFnOnce(&Place, &Wire)) {
    if !wire::works() {
        return;
    }
    let (place, wire) = (Place::new(), Wire::new(machines));
    story(async { tell(&place, &wire).await });
}

async fn up(place: &Place, wire: &Wire, n: usize, name: &str) -> Daemon {
    if !place.data(name).exists() {
        place.init_at(name, &format!("0.0.0.0:{PORT}"));
    }
    place.up_in(&wire.on(n), name).await
}

/// Alice on machine 0, bob on machine 1, peers.
async fn pair(place: &Place, wire: &Wire) -> (Daemon, Daemon) {
    let (alice, bob) = (up(place, wire, 0, "alice").await, up(place, wire, 1, "bob").await);
    befriend(&alice, &bob).await;
    (alice, bob)
}

async fn connected(kernel: &Daemon, is: bool) {
    until("the connection is noticed", async || (kernel.peer().await["connected"] == is).then_some(())).await;
}

/// Imports as many, shares them all, and says what was shared.
async fn share_new(from: &Daemon, to: &str, numbers: std::ops::Range<usize>) -> BTreeMap<String, String> {
    let texts: Vec<_> = numbers.map(scenario).collect();
    let keys = from.import_all(&texts).await;
    from.call("share", json!({ "objects": keys, "to": to })).await.unwrap();
    keys.into_iter().zip(texts).collect()
}

#[test]
fn kernels_find_each_other_by_host_and_port() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = (up(place, wire, 0, "alice").await, up(place, wire, 1, "bob").await);
        let at = |n: usize| format!("{}:{PORT}", Wire::address(n));
        let mine = alice.status().await["addresses"].clone();
        assert!(mine.as_array().unwrap().contains(&json!(at(0))), "{mine}");
        let ids = (alice.status().await["kernel"].clone(), bob.status().await["kernel"].clone());
        alice.call("peers.add", json!({ "kernel": ids.1, "name": "bob" })).await.unwrap();
        let add = json!({ "kernel": ids.0, "name": "alice", "addresses": [at(0)] });
        bob.call("peers.add", add).await.unwrap();
        bob.call("peers.dial", json!({ "peer": "alice", "timeout_ms": 60_000 })).await.unwrap();
        alice.call("grant", json!({ "peer": "bob", "right": "share" })).await.unwrap();
        let sent = share_new(&bob, "alice", 0..50).await;
        alice.gets_all(&sent).await;
        // Alice was told no address; now she knows where bob called from.
        let known = alice.peer().await["addresses"].clone();
        assert_eq!(known[0], json!(at(1)), "{known}");
    });
}

#[test]
fn kernels_on_a_network_of_ipv6_alone_find_each_other_by_a_ticket() {
    on_a_wire(2, async |place, wire| {
        for n in [0, 1] {
            wire.at(n, &["ip", "addr", "flush", "dev", "eth0"]).unwrap();
            let address = format!("fd77::{}/64", n + 1);
            wire.at(n, &["ip", "addr", "add", &address, "dev", "eth0", "nodad"]).unwrap();
        }
        for name in ["alice", "bob"] {
            let (code, said) = place.once(name, &["init", "--name", name]);
            assert_eq!(code, 0, "{said}");
        }
        let (alice, bob) = (place.up_in(&wire.on(0), "alice").await, place.up_in(&wire.on(1), "bob").await);
        let invite = until("alice knows her address", async || {
            let invite = alice.call("invite", json!({ "name": "bob" })).await.unwrap();
            (invite["reach"] == "others").then_some(invite)
        })
        .await;
        let addresses = alice.status().await["addresses"].clone();
        let all: Vec<_> =
            addresses.as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect();
        assert!(all.iter().all(|address| address.starts_with("[fd77::1]:")), "{all:?}");
        let join = json!({ "ticket": invite["ticket"], "name": "alice", "timeout_ms": 60_000 });
        bob.call("join", join).await.unwrap();
    });
}

#[test]
fn what_is_shared_during_a_partition_arrives_after_it() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let mut expected = share_new(&alice, "bob", 0..50).await;
        bob.gets_all(&expected).await;
        wire.rule(0, "drop").unwrap();
        wire.rule(1, "drop").unwrap();
        connected(&alice, false).await;
        connected(&bob, false).await;
        expected.extend(share_new(&alice, "bob", 50..100).await);
        let back = share_new(&bob, "alice", 100..150).await;
        expected.extend(back.clone());
        assert_eq!(alice.status().await["owed"], 50);
        wire.heal(0).unwrap();
        wire.heal(1).unwrap();
        bob.gets_all(&expected).await;
        alice.gets_all(&expected).await;
        until("nothing is owed", async || (alice.status().await["owed"] == 0).then_some(())).await;
    });
}

#[test]
fn a_partition_in_one_direction_is_a_partition_and_heals() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let mut expected = BTreeMap::new();
        for deaf in [0, 1] {
            // One hears the other and is not heard. Who hears does not wait for silence: it is told, or notices that
            // nothing that it says is acknowledged.
            let hears = if deaf == 0 { &bob } else { &alice };
            let said = |kernel: &Daemon| {
                let log = kernel.log();
                log.matches(UNHEARD[0]).count() + log.matches(UNHEARD[1]).count()
            };
            let before = said(hears);
            let cut = Instant::now();
            wire.rule(deaf, "drop").unwrap();
            connected(hears, false).await;
            println!("who hears has noticed after {:?}", cut.elapsed());
            connected(if deaf == 0 { &alice } else { &bob }, false).await;
            println!("both have noticed after {:?}", cut.elapsed());
            assert!(said(hears) > before, "{}", hears.log());
            let first = 100 * (deaf + 1);
            expected.extend(share_new(&alice, "bob", first..first + 30).await);
            expected.extend(share_new(&bob, "alice", first + 30..first + 60).await);
            wire.heal(deaf).unwrap();
            bob.gets_all(&expected).await;
            alice.gets_all(&expected).await;
            assert!(alice.key_is_used_once().await && bob.key_is_used_once().await);
        }
    });
}

/// One that asks for actions on objects of one other kernel, where their order shows, without waiting for outcomes.
struct Asker<'k> {
    origin: &'k Daemon,
    home: &'k Daemon,
    counter: String,
    list: String,
    /// What adds one to the counter, and what appends to the list; in the order in which they were accepted.
    accepted: Vec<[String; 2]>,
}

impl<'k> Asker<'k> {
    async fn new(origin: &'k Daemon, home: &'k Daemon, called: &str, n: usize) -> Self {
        home.call("grant", json!({ "peer": called, "right": "act" })).await.unwrap();
        let list = counter(n + 1).replace("Counter", "List").replace("\"count\": 0", "\"list\": []");
        let (counter, list) = (object_at(home, &counter(n), true).await, object_at(home, &list, true).await);
        Self { origin, home, counter, list, accepted: Vec::new() }
    }

    /// So many more on each object; every tenth is asked for twice.
    async fn ask(&mut self, more: usize) {
        for _ in 0..more {
            let n = self.accepted.len() as u64;
            let ids = [id(2 * n), id(2 * n + 1)];
            let append = json!({ "at": "/list/-", "with": n });
            let append = json!({ "object": self.list, "name": "replace", "arguments": append, "id": ids[1] });
            for mut act in [add(&self.counter, &ids[0]), append] {
                act["no_wait"] = json!(true);
                for _ in 0..1 + usize::from(n % 10 == 9) {
                    self.origin.call("act", act.clone()).await.unwrap();
                }
            }
            self.accepted.push(ids);
        }
    }

    /// Waits until everything has its outcome. Each has had its effect once, in the order of acceptance.
    async fn all_ran(&self) {
        drained(self.origin).await;
        let (count, mut account) = (self.accepted.len(), Account::default());
        for (n, [add, append]) in self.accepted.iter().enumerate() {
            let result = account.look(self.origin, &self.counter, add, true).await;
            assert_eq!(result, Some(n as u64 + 1), "the order of {add}");
            let appended = self.origin.call("outcome", json!({ "id": append })).await.unwrap();
            assert_eq!((&appended["status"], &appended["result"]), (&json!("done"), &Value::Null));
        }
        assert_eq!(counted(self.home, &self.counter).await, count as u64);
        let list = self.home.call("get", json!({ "object": self.list })).await.unwrap();
        let list: Value = serde_json::from_str(list["text"].as_str().unwrap()).unwrap();
        assert_eq!(list["model"]["list"], json!((0..count).collect::<Vec<_>>()));
    }
}

#[test]
fn actions_that_are_accepted_during_a_partition_run_once_and_in_order_after_it() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let mut there = Asker::new(&alice, &bob, "alice", 10).await;
        let mut back = Asker::new(&bob, &alice, "bob", 20).await;
        // Neither hears the other; or one does, and what it does about it is not heard.
        for deaf in [&[0, 1][..], &[0], &[1]] {
            tokio::join!(there.ask(30), back.ask(30));
            // In the middle of it.
            for n in deaf {
                wire.rule(*n, "drop").unwrap();
            }
            tokio::join!(there.ask(30), back.ask(30));
            connected(&alice, false).await;
            connected(&bob, false).await;
            let heard = (counted(&bob, &there.counter).await, counted(&alice, &back.counter).await);
            tokio::join!(there.ask(30 * scale()), back.ask(30 * scale()));
            // One more, and somebody waits for its outcome.
            let (id, client) = (id(1 << 40), alice.api().clone());
            let waited = add(&there.counter, &id);
            let waiting = tokio::spawn(async move { client.call("act", waited).await });
            until("it is accepted", async || alice.call("outcome", json!({ "id": id })).await.ok()).await;
            let now = (counted(&bob, &there.counter).await, counted(&alice, &back.counter).await);
            assert_eq!(heard, now, "something came through");
            for n in deaf {
                wire.heal(*n).unwrap();
            }
            assert_eq!(waiting.await.unwrap().unwrap()["result"], there.accepted.len() as u64 + 1);
            let append = json!({ "at": "/list/-", "with": there.accepted.len() });
            let append = json!({ "object": there.list, "name": "replace", "arguments": append });
            let appended = alice.call("act", append).await.unwrap();
            there.accepted.push([id, appended["id"].as_str().unwrap().to_owned()]);
            there.all_ran().await;
            back.all_ran().await;
        }
    });
}

/// The dangerous half of a partition: the action has run, and its origin has not heard so.
#[test]
fn an_outcome_that_a_partition_took_comes_from_the_ledger_also_after_both_are_killed() {
    on_a_wire(2, async |place, wire| {
        let (mut alice, mut bob) = pair(place, wire).await;
        bob.call("grant", json!({ "peer": "alice", "right": "act" })).await.unwrap();
        let object = object_at(&bob, &counter(1), true).await;
        let mut ids = Vec::new();
        for killed in [false, true] {
            let before = counted(&bob, &object).await;
            connected(&alice, true).await;
            wire.rule(0, "drop").unwrap();
            for n in 0..5 {
                ids.push(id(n));
                let mut act = add(&object, &ids[ids.len() - 1]);
                act["no_wait"] = json!(true);
                alice.call("act", act).await.unwrap();
            }
            until("they ran", async || (counted(&bob, &object).await == before + 5).then_some(())).await;
            for id in &ids[before as usize..] {
                let outcome = alice.call("outcome", json!({ "id": id })).await.unwrap();
                assert_eq!(outcome["status"], "accepted");
            }
            if killed {
                alice.kill();
                bob.kill();
                (alice, bob) = (up(place, wire, 0, "alice").await, up(place, wire, 1, "bob").await);
            } else {
                connected(&alice, false).await;
            }
            wire.heal(0).unwrap();
            drained(&alice).await;
            let mut account = Account::default();
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(account.look(&alice, &object, id, true).await, Some(n as u64 + 1));
            }
            assert_eq!(counted(&bob, &object).await, ids.len() as u64);
        }
    });
}

#[test]
fn a_dead_peer_is_noticed_in_time_and_no_call_waits_for_ever() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let key = bob.import(&scenario(1)).await.unwrap();
        let uuid = key.split('@').next().unwrap();
        connected(&alice, true).await;
        wire.link(1, "down");
        let begun = Instant::now();
        // Calls that are under way end, at their own deadline at the latest.
        let request = json!({ "object": uuid, "from": "bob", "timeout_ms": 12_000 });
        let asked = alice.call("request", request);
        let exchange = alice.call("exchange", json!({ "with": "bob" }));
        let (asked, exchange) = tokio::join!(asked, exchange);
        assert_eq!(exit_of_error(&asked.unwrap_err()), 4);
        assert_eq!(exit_of_error(&exchange.unwrap_err()), 4);
        assert!(begun.elapsed().as_secs() < 45, "the calls took {:?}", begun.elapsed());
        wire.link(1, "up");
        connected(&alice, true).await;

        // Promised are 6 s.
        let begun = Instant::now();
        wire.link(1, "down");
        connected(&alice, false).await;
        assert!(begun.elapsed().as_secs() <= 10, "noticed after {:?}", begun.elapsed());
        wire.link(1, "up");
        connected(&alice, true).await;
        connected(&bob, true).await;
        assert_eq!(
            alice.call("request", json!({ "object": uuid, "from": "bob" })).await.unwrap()["text"],
            scenario(1)
        );
    });
}

/// A packet that is lost is sent again; nothing else may show.
fn with_loss(percent: usize) {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        for n in [0, 1] {
            wire.rule(n, &format!("numgen random mod 100 < {percent} counter drop")).unwrap();
        }
        let count = 60 * scale();
        let mut expected = share_new(&alice, "bob", 0..count).await;
        expected.extend(share_new(&bob, "alice", count..2 * count).await);
        bob.gets_all(&expected).await;
        alice.gets_all(&expected).await;

        // Few packets carry much, and of a hundred perhaps none is lost: go on until some were, both ways.
        for n in (1000..9000).step_by(100) {
            if wire.taken(0) > 0 && wire.taken(1) > 0 {
                break;
            }
            expected.extend(share_new(&alice, "bob", n..n + 50).await);
            expected.extend(share_new(&bob, "alice", n + 50..n + 100).await);
            bob.gets_all(&expected).await;
            alice.gets_all(&expected).await;
        }

        // An exchange of a few hundred, both ways. It may break off at 20 %, and goes on where it was.
        let texts: Vec<_> = (10_000..10_000 + 300 * scale()).map(scenario).collect();
        let (for_alice, for_bob) = texts.split_at(texts.len() / 2);
        let mut keys = alice.import_all(for_alice).await;
        keys.extend(bob.import_all(for_bob).await);
        expected.extend(keys.into_iter().zip(texts.clone()));
        until("the exchange goes through", async || {
            alice.call("exchange", json!({ "with": "bob", "timeout_ms": 60_000 })).await.ok()
        })
        .await;
        for kernel in [&alice, &bob] {
            assert_eq!(kernel.objects().await as usize, expected.len());
            kernel.has_all(&expected).await;
        }
        assert!(wire.taken(0) > 0 && wire.taken(1) > 0, "nothing was lost, so nothing was shown");
    });
}

#[test]
fn everything_arrives_at_1_percent_loss() {
    with_loss(1);
}

#[test]
fn everything_arrives_at_5_percent_loss() {
    with_loss(5);
}

#[test]
fn everything_arrives_at_20_percent_loss() {
    with_loss(20);
}

#[test]
fn a_kernel_that_moves_is_found_at_its_new_address() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let mut expected = share_new(&alice, "bob", 0..20).await;
        bob.gets_all(&expected).await;
        for (step, address) in ["10.77.0.101", "10.77.0.102"].into_iter().enumerate() {
            wire.readdress(1, address);
            let first = 100 * (step + 1);
            expected.extend(share_new(&alice, "bob", first..first + 20).await);
            bob.gets_all(&expected).await;
            let here = json!(format!("{address}:{PORT}"));
            // Bob has called from there, or the living connection was taken along.
            until("alice learns the new address", async || {
                let peer = alice.peer().await;
                (peer["connected"] == true && peer["addresses"][0] == here).then_some(())
            })
            .await;
        }
        // What she learned outlives both processes, and is enough to call him.
        alice.kill();
        bob.kill();
        let bob = up(place, wire, 1, "bob").await;
        let alice = up(place, wire, 0, "alice").await;
        expected.extend(share_new(&alice, "bob", 900..920).await);
        bob.gets_all(&expected).await;
    });
}

/// Neither knows an address at which the other still is.
#[test]
fn kernels_that_both_moved_find_each_other_on_the_local_network() {
    on_a_wire(2, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        alice.kill();
        bob.kill();
        let moved = |round: usize| [0, 1].map(|n| wire.readdress(n, &format!("10.77.0.{}", 10 * round + n)));
        moved(10);
        {
            // Without multicast they call where nobody is.
            let (alice, _bob) = (up(place, wire, 0, "alice").await, up(place, wire, 1, "bob").await);
            until("alice has called in vain", async || {
                alice.peer().await["last_error"].as_str()?.contains("no answer from").then_some(())
            })
            .await;
            assert_eq!(alice.peer().await["connected"], false);
        }
        let near = |n: usize| [&wire.on(n)[..], &["env", "ONCE_NO_LAN=0"]].concat();
        let (alice, bob) = (place.up_in(&near(0), "alice").await, place.up_in(&near(1), "bob").await);
        let mut expected = share_new(&alice, "bob", 0..20).await;
        bob.gets_all(&expected).await;
        // Both at once, while they run.
        for n in [0, 1] {
            wire.link(n, "down");
        }
        connected(&alice, false).await;
        connected(&bob, false).await;
        moved(12);
        for n in [0, 1] {
            wire.link(n, "up");
        }
        expected.extend(share_new(&bob, "alice", 100..120).await);
        alice.gets_all(&expected).await;
        let known = alice.peer().await["addresses"].clone();
        assert!(known.as_array().unwrap().contains(&json!(format!("10.77.0.121:{PORT}"))), "{known}");
    });
}

/// An absent peer and a slow one hold up nobody else.
#[test]
fn a_peer_that_is_away_holds_up_no_other() {
    on_a_wire(3, async |place, wire| {
        let (alice, bob) = pair(place, wire).await;
        let carol = up(place, wire, 2, "carol").await;
        let ticket: Value = alice.call("invite", json!({ "name": "carol" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "alice", "timeout_ms": 60_000 });
        carol.call("join", join).await.unwrap();
        wire.rule(1, "drop").unwrap();
        let texts: Vec<_> = (0..300).map(scenario).collect();
        let keys = alice.import_all(&texts).await;
        for to in ["bob", "carol"] {
            alice.call("share", json!({ "objects": keys, "to": to })).await.unwrap();
        }
        let expected: BTreeMap<_, _> = keys.into_iter().zip(texts).collect();
        carol.gets_all(&expected).await;
        assert_eq!(bob.objects().await, 0);
        wire.heal(1).unwrap();
        bob.gets_all(&expected).await;
    });
}
