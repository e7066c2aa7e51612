//! An object goes round three kernels, while a client of each acts on it and a kernel is killed in every leg.
//!
//! Thirteen legs, times `ONCE_SCALE`; `ONCE_LEGS=1000` for as many. One object goes all of them, so that its chain
//! becomes longer than a frame has room for. What is durable of a move at a kill is printed as the
//! phase that it was in, and each phase must have been hit on both sides.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once::ErrorKind;
use once::api::Client;
use once::api::contract::exit_of_error;
use serde_json::{Value, json};
use support::acts::id;
use support::*;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// What a kill found, in the words of docs/protocol.md 5.6; the numbers are the phases of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing is written down yet.
    AtRest,
    /// Asked for, or waiting for what is under way (0 and 1).
    Leaving,
    /// Sealed, and not accepted (2 and 3).
    Sealed,
    /// Accepted, and the home before does not know it (4).
    Accepted,
    /// Both know (5).
    Moved,
}

/// The phases that a run of any length must have hit, on both sides.
const PHASES: [Phase; 4] = [Phase::Leaving, Phase::Sealed, Phase::Accepted, Phase::Moved];

/// Legs after which it is no bad luck any more that a phase was not hit.
const LEGS_MAX: usize = 2_000;

/// How often each phase was hit, by whether the home was killed or the receiver.
type Hits = BTreeMap<(Phase, bool), u64>;

/// Legs of one object: fewer than it can move, and it ends at home.
const LEGS_OF_ONE: usize = 1_800;

#[test]
fn an_object_goes_round_three_kernels_and_every_action_counts_once() {
    story(async {
        let place = Place::new();
        let mut kernels = three(&place).await;
        let legs = std::env::var("ONCE_LEGS").ok().and_then(|legs| legs.parse().ok());
        let legs: usize = legs.unwrap_or(13 * scale());
        let next = Arc::new(AtomicU64::new(0));
        let (mut hits, mut moves, mut effects) = (Hits::new(), 0, 0);
        while moves < legs || (missing(&hits).is_some() && moves < LEGS_MAX) {
            let of_one = LEGS_OF_ONE.min(legs.saturating_sub(moves).max(6)).next_multiple_of(3);
            effects += journey(&place, &mut kernels, of_one, &next, &mut hits).await;
            moves += of_one;
        }
        for ((phase, is_home), count) in &hits {
            let side = if *is_home { "home" } else { "receiver" };
            println!("killed the {side} in phase {phase:?}: {count} times");
        }
        let kills: u64 = hits.values().sum();
        println!("moves={moves} kills={kills} distinct={effects} effects={effects}");
        assert_eq!(missing(&hits), None, "a phase was never hit");
    });
}

/// A phase that no kill has hit yet, and on which side.
fn missing(hits: &Hits) -> Option<(Phase, bool)> {
    let all = PHASES.into_iter().flat_map(|phase| [(phase, true), (phase, false)]);
    all.into_iter().find(|hit| !hits.contains_key(hit))
}

/// One object goes round so many legs. Returns how many actions were done on it: each once, or this fails.
async fn journey(
    place: &Place,
    kernels: &mut Vec<Daemon>,
    legs: usize,
    next: &Arc<AtomicU64>,
    hits: &mut Hits,
) -> u64 {
    let made = kernels[0].call("create", json!({ "component": "Counter", "model": { "count": 0 } }));
    let ior = made.await.unwrap()["object"]["ior"].as_str().unwrap().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let client = |name: &&str| act(place.data(name), ior.clone(), Arc::clone(next), Arc::clone(&stop));
    let clients: Vec<_> = NAMES.iter().map(client).map(tokio::spawn).collect();
    for leg in 0..legs {
        let (from, to) = (leg % 3, (leg + 1) % 3);
        let wish = json!({ "objects": [ior], "to": NAMES[to] });
        aim(kernels, leg, (from, to), &wish, &ior).await;
        let kills_home = leg % 2 == 0;
        let (victim, other) = if kills_home { (from, to) } else { (to, from) };
        // What the receiver has said to the home that stands still must not be heard after all.
        let both = stands_still(leg);
        let phase = kill(place, kernels, (victim, other, both), (from, to), &ior).await;
        for side in [true, false].into_iter().filter(|side| both || *side == kills_home) {
            *hits.entry((phase, side)).or_default() += 1;
        }
        until("it lives there", async || {
            if state(&kernels[to], &ior).await.as_deref() == Some("home") {
                return Some(());
            }
            // It may not have been written down before the kill. Refused if it was.
            let _ = kernels[from].call("move", wish.clone()).await;
            None
        })
        .await;
        until("it lives nowhere else", async || {
            (state(&kernels[from], &ior).await? == "replica").then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut results = Vec::new();
    for client in clients {
        results.extend(client.await.unwrap());
    }
    let distinct: BTreeSet<u64> = results.iter().copied().collect();
    let shows = counted(&kernels[0], &ior).await;
    assert_eq!(results.len(), distinct.len(), "a result came twice");
    // Each of them found the counter at another number: none ran twice, and none is missing.
    assert!(distinct.iter().copied().eq(1..=shows), "{} of {shows}", distinct.len());
    shows
}

/// Whether the home is stopped when it has sealed the object, so that the receiver has it and the home does not know.
fn stands_still(leg: usize) -> bool {
    matches!(leg % 8, 4 | 5)
}

/// Begins a leg, and lets it come to about where it is to be interrupted: in turn early, some time, when the receiver has it and
/// the home before does not know, and when both know.
async fn aim(kernels: &[Daemon], leg: usize, (from, to): (usize, usize), wish: &Value, ior: &str) {
    let (home, receiver) = (&kernels[from], &kernels[to]);
    if leg % 8 < 4 {
        let after = Duration::from_micros(173 * (leg as u64 * 29 % 97));
        let _ = tokio::time::timeout(after, home.call("move", wish.clone())).await;
        return;
    }
    // At rest still if it is refused: then the kill finds it so.
    let _ = home.call("move", wish.clone()).await;
    for _ in 0..200 {
        match home.call("moves", json!({})).await.unwrap()["moves"].as_array().unwrap().first() {
            Some(one) if one["sealed"] == false => {}
            _ => break,
        }
    }
    if stands_still(leg) {
        home.signal("STOP");
    }
    // Whether it has what it needs is seen by that; if not, the kill finds it sealed.
    for _ in 0..100 {
        if state(receiver, ior).await.as_deref() == Some("home") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Three kernels that may act on each other's objects and move them to each other.
async fn three(place: &Place) -> Vec<Daemon> {
    let mut kernels = Vec::new();
    for name in NAMES {
        place.init(name);
        kernels.push(place.up(name).await);
    }
    for (inviting, joining) in [(0, 1), (0, 2), (1, 2)] {
        let ticket = kernels[inviting].call("invite", json!({ "name": NAMES[joining] })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": NAMES[inviting], "timeout_ms": 60_000 });
        kernels[joining].call("join", join).await.unwrap();
    }
    for (at, kernel) in kernels.iter().enumerate() {
        for peer in NAMES.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, name)| name) {
            for right in ["read", "act", "host"] {
                kernel.call("grant", json!({ "peer": peer, "right": right })).await.unwrap();
            }
        }
    }
    kernels
}

async fn state(kernel: &Daemon, object: &str) -> Option<String> {
    let got = kernel.call("get", json!({ "object": object })).await.ok()?;
    got["object"]["state"].as_str().map(str::to_owned)
}

async fn counted(kernel: &Daemon, object: &str) -> u64 {
    let got = kernel.call("get", json!({ "object": object })).await.unwrap();
    let scenario: Value = serde_json::from_str(got["text"].as_str().unwrap()).unwrap();
    scenario["model"]["count"].as_u64().unwrap()
}

/// Kills one of the two kernels of a leg while the other stands still, or both, starts them again, and says in which phase that
/// was. One is looked at while the other stands still, so nothing goes on meanwhile.
async fn kill(
    place: &Place,
    kernels: &mut Vec<Daemon>,
    (victim, other, both): (usize, usize, bool),
    (from, to): (usize, usize),
    ior: &str,
) -> Phase {
    kernels[other].signal("STOP");
    let mut seen = BTreeMap::new();
    restart(place, kernels, victim).await;
    seen.insert(victim, look(&kernels[victim], ior).await);
    kernels[victim].signal("STOP");
    match both {
        true => restart(place, kernels, other).await,
        false => kernels[other].signal("CONT"),
    }
    seen.insert(other, look(&kernels[other], ior).await);
    kernels[victim].signal("CONT");
    let ((home, leaving), (receiver, _)) = (&seen[&from], &seen[&to]);
    match (home.as_str(), leaving, receiver.as_str()) {
        ("home", None, _) => Phase::AtRest,
        ("home" | "leaving", Some(false), _) => Phase::Leaving,
        (_, Some(true), "home") => Phase::Accepted,
        (_, Some(true), _) => Phase::Sealed,
        _ => Phase::Moved,
    }
}

async fn restart(place: &Place, kernels: &mut Vec<Daemon>, at: usize) {
    kernels.remove(at).kill();
    kernels.insert(at, place.up(NAMES[at]).await);
}

/// What a kernel has of the object, and whether it is about to leave and sealed.
async fn look(kernel: &Daemon, ior: &str) -> (String, Option<bool>) {
    let state =
        until("it says what it has", async || match kernel.call("get", json!({ "object": ior })).await {
            Ok(got) => got["object"]["state"].as_str().map(str::to_owned),
            Err(error) => (error.kind() == ErrorKind::NotFound).then(String::new),
        })
        .await;
    let moves = kernel.call("moves", json!({})).await.unwrap();
    (state, moves["moves"].as_array().unwrap().first().map(|one| one["sealed"] == true))
}

/// A client of one kernel: adds one, and again, each time with the same id until it knows what came of it.
async fn act(data: PathBuf, ior: String, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Vec<u64> {
    let (mut results, mut client) = (Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let id = id(next.fetch_add(1, Ordering::Relaxed));
        let add =
            json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id, "timeout_ms": 2_000 });
        let begun = Instant::now();
        loop {
            if let Some(result) = ask(&data, &mut client, &add).await {
                results.push(result);
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{id} has no outcome");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    results
}

/// Asks once; nothing if that is not known yet, or the kernel is away.
async fn ask(data: &Path, client: &mut Option<Client>, add: &Value) -> Option<u64> {
    if client.is_none() {
        *client = Client::connect(data).await.ok().flatten();
    }
    let call = client.as_ref()?.call("act", add.clone());
    match tokio::time::timeout(Duration::from_secs(4), call).await {
        Ok(Ok(answer)) => return answer["result"].as_u64(),
        Ok(Err(error)) if error.kind() == ErrorKind::Unknown || error.kind() == ErrorKind::Busy => {}
        Ok(Err(error)) if exit_of_error(&error) != 4 => panic!("{error}"),
        _ => *client = None,
    }
    None
}
