//! An object travels from kernel to kernel and home again, while clients of all of them act on it and kernels are killed.
//!
//! It is a counter, and everybody adds one. So each outcome must be another number, from one to as many as there were
//! actions: an action that ran twice leaves a gap, and one that was lost is missing at the end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once::api::contract::{Create, Get, Move, ObjectState, Right};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::acts::{add_one, result};
use super::asker::{Asker, STALL_MAX, new_id};
use super::examples::Dice;
use super::node::Node;
use super::play::grant;
use super::report::{Report, Stage};
use crate::failure::{Done, Failure};
use crate::ui;

/// Clients of each kernel.
const CLIENTS: u64 = 2;

/// From alice to bob to carol and home again, so often.
const ROUNDS: u64 = 4;

/// A kernel is killed at most this long after a leg has begun: some time between asking and being told.
const KILL_WITHIN_US: usize = 12_000;

/// How often the traveller looks whether it has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// How long clients pause between two actions: what matters is that some are under way at any moment.
const BREATH: Duration = Duration::from_millis(2);

/// What everybody has done together.
#[derive(Debug, Default)]
struct Shared {
    /// Legs that came to their end.
    moves: AtomicU64,
    requests: AtomicU64,
    /// No new leg is begun; the traveller goes home.
    go_home: AtomicBool,
    /// No new action is begun.
    stop: AtomicBool,
}

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    results: Vec<u64>,
    wrong: Option<String>,
}

/// A traveller under way, and its clients.
pub struct Travel {
    ior: String,
    shared: Arc<Shared>,
    clients: JoinSet<Told>,
    /// Ends when the traveller is at home, with what went wrong.
    legs: JoinHandle<Option<String>>,
}

/// Where a kernel is found, for whoever outlives its process.
struct Stop {
    data: PathBuf,
    kernel: String,
}

/// All legs, with a kernel killed in each, and the count.
pub async fn play(nodes: &mut [&mut Node; 3], stage: &Stage, report: &mut Report) -> Done<()> {
    let total = ROUNDS * nodes.len() as u64;
    let travel = Travel::begin(nodes, total).await?;
    let bar = stage.bar("an object travels", total);
    let (mut dice, mut shown, mut since) = (Dice::new(300), 0, Instant::now());
    while !travel.legs.is_finished() {
        let pause = dice.below(KILL_WITHIN_US) as u64;
        tokio::time::sleep(Duration::from_micros(pause)).await;
        // Both kernels of a leg and the one that only looks on have their turns.
        let victim = dice.below(nodes.len());
        if let Some(node) = nodes.get_mut(victim) {
            node.kill()?;
            node.restart().await?;
            report.kills += 1;
        }
        let begun = shown;
        while travel.moves() == begun && !travel.legs.is_finished() && since.elapsed() < STALL_MAX {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if travel.moves() == begun && since.elapsed() >= STALL_MAX {
            break;
        }
        bar.more(travel.moves() - shown);
        (shown, since) = (travel.moves(), Instant::now());
    }
    drop(bar);
    travel.end(nodes, stage, report).await
}

impl Travel {
    /// Makes the traveller, on the first kernel, and lets it go: so many legs, or until it is told to go home.
    pub async fn begin(nodes: &[&mut Node; 3], legs: u64) -> Done<Self> {
        for node in nodes {
            for other in nodes.iter().filter(|other| other.kernel != node.kernel) {
                for right in [Right::Act, Right::Host] {
                    node.ask(grant(other, right)).await?;
                }
            }
        }
        let counter = Create {
            component: "Counter".to_owned(),
            model: Some(json!({ "count": 0 })),
            ..Create::default()
        };
        let ior = nodes[0].ask(counter).await?.object.ior;
        let shared = Arc::new(Shared::default());
        let mut clients = JoinSet::new();
        for (at, node) in nodes.iter().enumerate() {
            for client in 0..CLIENTS {
                let seed = 200 + at as u64 * CLIENTS + client;
                let (data, ior, shared) = (node.data.clone(), ior.clone(), Arc::clone(&shared));
                clients.spawn(async move { act(data, seed, &ior, &shared).await });
            }
        }
        let stops = nodes.iter().map(|node| Stop { data: node.data.clone(), kernel: node.kernel.clone() });
        let stops = stops.collect();
        let legs = {
            let (ior, shared) = (ior.clone(), Arc::clone(&shared));
            tokio::spawn(async move { travel(stops, legs, &ior, &shared).await })
        };
        Ok(Self { ior, shared, clients, legs })
    }

    /// How many legs have ended.
    pub fn moves(&self) -> u64 {
        self.shared.moves.load(Ordering::Relaxed)
    }

    /// The traveller goes home, by the way that it takes anyhow.
    pub fn go_home(&self) {
        self.shared.go_home.store(true, Ordering::Relaxed);
    }

    /// Waits until it is at home and every action has its outcome, and counts.
    pub async fn end(mut self, nodes: &mut [&mut Node; 3], stage: &Stage, report: &mut Report) -> Done<()> {
        let legs = loop {
            revive(nodes, report).await?;
            tokio::select! {
                ended = &mut self.legs => break ended,
                () = tokio::time::sleep(20 * LOOK_EVERY) => {}
            }
        };
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        while !self.clients.is_empty() {
            revive(nodes, report).await?;
            match tokio::time::timeout(20 * LOOK_EVERY, self.clients.join_next()).await {
                Ok(Some(Ok(told))) => {
                    all.results.extend(told.results);
                    all.wrong = all.wrong.or(told.wrong);
                }
                Ok(Some(Err(error))) => return Err(Failure::fault(format!("a client broke off: {error}"))),
                Ok(None) | Err(_) => {}
            }
        }
        let lost = legs.map_err(|error| Failure::fault(format!("the traveller broke off: {error}")))?;
        let at_home = nodes[0].ask(Get { object: self.ior.clone(), bytes: None, revision: None }).await?;
        let scenario: Value = serde_json::from_str(&at_home.text.unwrap_or_default()).unwrap_or_default();
        let shows = scenario["model"]["count"].as_u64().unwrap_or(0);
        report.moves = self.moves();
        report.moved_actions = all.results.len() as u64;
        report.moved_effects = shows;
        let wrong = lost.or(all.wrong).or_else(|| verdict(at_home.object.state, &all.results, shows));
        let what = format!("an object moved {}", ui::count(report.moves, "time"));
        match wrong {
            Some(wrong) => {
                stage.failed(&what, &wrong);
                report.fail(wrong);
            }
            None => {
                let numbers = format!(
                    "alice > bob > carol > alice, and is home; {} on it meanwhile, each once",
                    ui::count(report.moved_actions, "action"),
                );
                stage.done(&what, &numbers);
            }
        }
        Ok(())
    }
}

/// What is wrong, if anything is: each action found the counter at another number, and none is missing.
fn verdict(state: ObjectState, results: &[u64], shows: u64) -> Option<String> {
    let distinct: BTreeSet<_> = results.iter().copied().collect();
    if state != ObjectState::Home {
        return Some("the traveller did not come home to alice: it is a replica there".to_owned());
    }
    if distinct.len() != results.len() {
        return Some(format!("{} of {} results came twice", results.len() - distinct.len(), results.len()));
    }
    if !distinct.iter().copied().eq(1..=shows) {
        return Some(format!("{} actions were done, and the counter shows {shows}", results.len()));
    }
    None
}

/// A kernel that somebody killed is started again.
async fn revive(nodes: &mut [&mut Node; 3], report: &mut Report) -> Done<()> {
    for node in nodes.iter_mut().filter_map(|node| node.has_ended().then_some(node)) {
        report.kills += 1;
        node.restart().await?;
    }
    Ok(())
}

/// One client of one kernel: adds one, and again.
async fn act(data: PathBuf, seed: u64, ior: &str, shared: &Shared) -> Told {
    let (mut dice, mut asker, mut told) = (Dice::new(seed), Asker::new(data), Told::default());
    while !shared.stop.load(Ordering::Relaxed) && told.wrong.is_none() {
        let add = add_one(ior.to_owned(), new_id(&mut dice));
        match asker.ask(&add, &shared.requests).await.0 {
            Ok(answer) => told.results.push(result(&answer).and_then(Value::as_u64).unwrap_or(0)),
            Err(why) => told.wrong = Some(why),
        }
        tokio::time::sleep(BREATH).await;
    }
    told
}

/// From each kernel to the next. It ends at home.
async fn travel(stops: Vec<Stop>, legs: u64, ior: &str, shared: &Shared) -> Option<String> {
    let mut askers: Vec<_> = stops.iter().map(|stop| Asker::new(stop.data.clone())).collect();
    for leg in 0.. {
        let (from, to) = (leg % stops.len(), (leg + 1) % stops.len());
        if from == 0 && (leg as u64 >= legs || shared.go_home.load(Ordering::Relaxed)) {
            break;
        }
        let begun = Instant::now();
        while state(askers.get_mut(to)?, ior).await != Some(ObjectState::Home) {
            if begun.elapsed() > STALL_MAX {
                return Some(format!("leg {} did not end within {} s", leg + 1, STALL_MAX.as_secs()));
            }
            // Asked again until it is under way: a kernel that is killed before it wrote the wish down forgets it.
            let to = stops.get(to)?.kernel.clone();
            let wish = Move { objects: vec![ior.to_owned()], to, ..Move::default() };
            askers.get_mut(from)?.try_once(wish).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        shared.moves.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// How a kernel has the object.
async fn state(asker: &mut Asker, ior: &str) -> Option<ObjectState> {
    let get = Get { object: ior.to_owned(), bytes: None, revision: None };
    asker.try_once(get).await.map(|answer| answer.object.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_sees_what_is_lost_doubled_and_astray() {
        assert_eq!(verdict(ObjectState::Home, &[3, 1, 2], 3), None);
        assert!(verdict(ObjectState::Replica, &[1], 1).is_some());
        assert!(verdict(ObjectState::Home, &[1, 2, 2], 2).is_some_and(|why| why.contains("twice")));
        assert!(verdict(ObjectState::Home, &[1, 3], 3).is_some());
        assert!(verdict(ObjectState::Home, &[1, 2, 3], 2).is_some());
        assert!(verdict(ObjectState::Home, &[1, 2], 3).is_some());
    }
}
