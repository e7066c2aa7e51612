//! Actions among three kernels, while they are killed: each takes effect exactly once.
//!
//! Every kernel has counters and accounts. Clients of all three count on all of them, and move money between accounts by
//! coordinations. A client asks again with the same id whenever it got no outcome, and every tenth time although it got
//! one. In the end each counter must show as many as were said to be done, and the money must be all there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once::RunState;
use once::api::contract::{Act, ActionInfo, Coordinate, Create, Get, Right};
use once::model::ids::Uuid;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::asker::{ANSWER_MS, Asker, new_id};
use super::examples::Dice;
use super::node::Node;
use super::play::grant;
use super::report::{Latency, Report, Stage};
use crate::failure::{Done, Failure};
use crate::ui;

/// Clients of each kernel.
const CLIENTS: u64 = 6;

/// What each of them wants done: three kernels' clients together some thousands.
const WISHES: u64 = 250;

/// Every so many wishes are transfers.
const TRANSFER_EVERY: u64 = 10;

/// Every so many requests are repeated although they have their outcome.
const REPEAT_EVERY: u64 = 10;

/// Kernels that are killed while it runs.
const KILLS: u64 = 6;

/// The longest pause before a kill.
const KILL_AFTER: Duration = Duration::from_secs(3);

/// Counters and accounts of each kernel.
const COUNTERS: usize = 4;
const ACCOUNTS: usize = 2;

/// What each account begins with.
const BALANCE: u64 = 1_000_000;

/// An object that is acted on.
#[derive(Debug, Clone)]
struct Target {
    ior: String,
    /// On which kernel.
    node: usize,
}

/// What there is to act on.
#[derive(Debug, Default)]
struct Targets {
    counters: Vec<Target>,
    accounts: Vec<Target>,
}

/// What the clients have done together.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    ids: AtomicU64,
    outcomes: AtomicU64,
    transfers: AtomicU64,
    /// Two answers to one id that differ.
    differ: AtomicBool,
    stop: AtomicBool,
}

/// What one client saw.
#[derive(Debug, Default)]
struct Seen {
    /// By counter: how many it was told are done.
    done: BTreeMap<usize, u64>,
    /// From the first request of an action to its outcome, where nobody had to ask twice.
    latency_us: Vec<u64>,
    wrong: Option<String>,
}

/// Clients that act on three kernels.
pub struct Load {
    targets: Arc<Targets>,
    tally: Arc<Tally>,
    clients: JoinSet<Seen>,
    begun: Instant,
}

/// Objects, load, kills, and the count.
pub async fn play(nodes: &mut [&mut Node; 3], stage: &Stage, report: &mut Report) -> Done<()> {
    stage.begin("preparing to act");
    let mut load = Load::begin(nodes, WISHES).await?;
    let bar = stage.bar("acting on three kernels", 3 * CLIENTS * WISHES);
    load.kill_now_and_then(nodes, &bar, report).await?;
    load.end(nodes, Some(bar), stage, report).await
}

impl Load {
    /// Makes the objects and lets the clients begin: each wants so much done.
    pub async fn begin(nodes: &mut [&mut Node; 3], wishes: u64) -> Done<Self> {
        let targets = Arc::new(prepare(nodes).await?);
        let tally = Arc::new(Tally::default());
        let mut clients = JoinSet::new();
        for (at, node) in nodes.iter().enumerate() {
            for client in 0..CLIENTS {
                let (data, targets, tally) = (node.data.clone(), Arc::clone(&targets), Arc::clone(&tally));
                let seed = at as u64 * CLIENTS + client;
                clients.spawn(async move { work(data, seed, wishes, &targets, &tally).await });
            }
        }
        Ok(Self { targets, tally, clients, begun: Instant::now() })
    }

    /// How many have come to their end.
    pub fn outcomes(&self) -> u64 {
        self.tally.outcomes.load(Ordering::Relaxed)
    }

    /// Nothing new is begun.
    pub fn stop(&self) {
        self.tally.stop.store(true, Ordering::Relaxed);
    }

    /// Kills one kernel after the other while the clients work, and starts it again.
    async fn kill_now_and_then(
        &mut self,
        nodes: &mut [&mut Node; 3],
        bar: &ui::Bar,
        report: &mut Report,
    ) -> Done<()> {
        let total = 3 * CLIENTS * WISHES;
        let (mut shown, mut killed, mut last) = (0, 0, Instant::now());
        while killed < KILLS && self.outcomes() < total {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let outcomes = self.outcomes();
            bar.more(outcomes - shown);
            shown = outcomes;
            // Spread over the whole of it, whatever the speed of this machine.
            if outcomes < (killed + 1) * total / (KILLS + 2) && last.elapsed() < KILL_AFTER {
                continue;
            }
            if let Some(node) = nodes.get_mut(killed as usize % 3) {
                node.kill()?;
                node.restart().await?;
            }
            (killed, last) = (killed + 1, Instant::now());
            report.kills += 1;
        }
        Ok(())
    }

    /// Waits for all clients, and counts what came of it.
    pub async fn end(
        mut self,
        nodes: &mut [&mut Node; 3],
        bar: Option<ui::Bar>,
        stage: &Stage,
        report: &mut Report,
    ) -> Done<()> {
        let mut seen = Seen::default();
        while !self.clients.is_empty() {
            // A kernel that somebody kills now is started again.
            for node in nodes.iter_mut().filter_map(|node| node.has_ended().then_some(node)) {
                report.kills += 1;
                node.restart().await?;
            }
            match tokio::time::timeout(Duration::from_millis(200), self.clients.join_next()).await {
                Ok(Some(Ok(one))) => seen.add(one),
                Ok(Some(Err(error))) => {
                    return Err(Failure::fault(format!("a client broke off: {error}")));
                }
                Ok(None) | Err(_) => {}
            }
        }
        drop(bar);
        self.count(nodes, seen, stage, report).await
    }
}

/// Makes the objects, and gives every kernel the right to act on the others'.
async fn prepare(nodes: &mut [&mut Node; 3]) -> Done<Targets> {
    for (at, node) in nodes.iter().enumerate() {
        for other in nodes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other) {
            node.ask(grant(other, Right::Act)).await?;
        }
    }
    let mut targets = Targets::default();
    for (at, node) in nodes.iter().enumerate() {
        for n in 0..COUNTERS + ACCOUNTS {
            let (component, model) = match n < COUNTERS {
                true => ("Counter", json!({ "count": 0 })),
                false => ("Account", json!({ "balance": BALANCE })),
            };
            let params = Create { component: component.to_owned(), model: Some(model), ..Create::default() };
            let ior = node.ask(params).await?.object.ior;
            let list = if n < COUNTERS { &mut targets.counters } else { &mut targets.accounts };
            list.push(Target { ior, node: at });
        }
    }
    Ok(targets)
}

/// One client of one kernel.
async fn work(data: PathBuf, seed: u64, wishes: u64, targets: &Targets, tally: &Tally) -> Seen {
    let mut dice = Dice::new(100 + seed);
    let mut seen = Seen::default();
    let mut asker = Asker::new(data);
    for n in 0..wishes {
        if tally.stop.load(Ordering::Relaxed) || seen.wrong.is_some() {
            break;
        }
        let id = new_id(&mut dice);
        tally.ids.fetch_add(1, Ordering::Relaxed);
        let counter = dice.below(targets.counters.len());
        if n % TRANSFER_EVERY == TRANSFER_EVERY - 1 {
            match asker.ask(&plan(targets, &mut dice, id), &tally.requests).await.0 {
                Ok(answer) => {
                    let done = u64::from(answer.state == RunState::Done);
                    tally.transfers.fetch_add(done, Ordering::Relaxed);
                }
                Err(why) => seen.wrong = Some(why),
            }
        } else {
            let ior = targets.counters.get(counter).map_or_else(String::new, |target| target.ior.clone());
            let add = add_one(ior, id);
            let begun = Instant::now();
            match asker.ask(&add, &tally.requests).await {
                (Ok(answer), tries) => {
                    *seen.done.entry(counter).or_default() += 1;
                    if tries == 1 {
                        seen.latency_us.push(begun.elapsed().as_micros() as u64);
                    }
                    if n % REPEAT_EVERY == 0 {
                        let (again, _) = asker.ask(&add, &tally.requests).await;
                        if again.is_ok_and(|again| result(&again) != result(&answer)) {
                            tally.differ.store(true, Ordering::Relaxed);
                        }
                    }
                }
                (Err(why), _) => seen.wrong = Some(why),
            }
        }
        tally.outcomes.fetch_add(1, Ordering::Relaxed);
    }
    seen
}

/// Adds one to a counter.
pub fn add_one(ior: String, id: Uuid) -> Act {
    Act {
        object: ior,
        name: "add".to_owned(),
        arguments: Some(json!({ "by": 1 })),
        id: Some(id),
        timeout_ms: Some(ANSWER_MS),
        ..Act::default()
    }
}

/// What came of an action.
pub fn result(answer: &ActionInfo) -> Option<&Value> {
    answer.done.as_ref().map(|done| &done.result)
}

/// A transfer between two accounts, with what undoes its first half.
fn plan(targets: &Targets, dice: &mut Dice, id: Uuid) -> Coordinate {
    let from = dice.below(targets.accounts.len());
    let to = (from + 1 + dice.below(targets.accounts.len() - 1)) % targets.accounts.len();
    let ior = |at: usize| targets.accounts.get(at).map(|account| account.ior.clone());
    let amount = json!({ "amount": 1 + dice.below(100) });
    let plan = json!({ "mode": "sequence", "steps": [
        { "name": "take", "ior": ior(from), "action": "withdraw", "arguments": amount,
          "compensation": { "action": "deposit", "arguments": amount } },
        { "name": "give", "ior": ior(to), "action": "deposit", "arguments": amount },
    ] });
    Coordinate { plan: Some(plan), plan_text: None, id: Some(id), wait: true, timeout_ms: Some(ANSWER_MS) }
}

impl Seen {
    fn add(&mut self, other: Self) {
        for (counter, done) in other.done {
            *self.done.entry(counter).or_default() += done;
        }
        self.latency_us.extend(other.latency_us);
        self.wrong = self.wrong.take().or(other.wrong);
    }
}

impl Load {
    /// Each counter shows as many as were said to be done, and the money is all there.
    async fn count(
        &self,
        nodes: &mut [&mut Node; 3],
        seen: Seen,
        stage: &Stage,
        report: &mut Report,
    ) -> Done<()> {
        let (targets, tally, took) = (&self.targets, &self.tally, self.begun.elapsed());
        let (mut effects, mut doubled, mut lost) = (0, 0, 0);
        for (at, target) in targets.counters.iter().enumerate() {
            let shown = read(nodes, target, "count").await?;
            let done = seen.done.get(&at).copied().unwrap_or_default();
            effects += shown;
            doubled += shown.saturating_sub(done);
            lost += done.saturating_sub(shown);
        }
        let (mut money, mut expected) = (0, 0);
        for target in &targets.accounts {
            money += read(nodes, target, "balance").await?;
            expected += BALANCE;
        }
        let transfers = tally.transfers.load(Ordering::Relaxed);
        report.actions = tally.requests.load(Ordering::Relaxed);
        report.distinct_ids = tally.ids.load(Ordering::Relaxed);
        report.effects = effects + transfers;
        (report.doubled, report.act_lost) = (doubled, lost);
        let latency = Latency::of(seen.latency_us);
        report.act_latency = Some(latency);
        let what = format!("{} actions, each once", ui::number(report.distinct_ids));
        let rate = ui::number((report.distinct_ids as u128 * 1000 / took.as_millis().max(1)) as u64);
        let numbers = format!(
            "{} requests, {} by coordinations, {rate} per second; {latency}",
            ui::number(report.actions),
            ui::number(transfers)
        );
        let wrong = if doubled + lost > 0 {
            Some(format!("{doubled} actions had effect twice, {lost} never"))
        } else if money != expected {
            Some(format!("there are {money} of {expected} coins"))
        } else if tally.differ.load(Ordering::Relaxed) {
            Some("one id had two outcomes".to_owned())
        } else {
            seen.wrong
        };
        match wrong {
            None => stage.done(&what, &numbers),
            Some(wrong) => {
                stage.failed(&what, &wrong);
                report.fail(wrong);
            }
        }
        Ok(())
    }
}

async fn read(nodes: &mut [&mut Node; 3], target: &Target, field: &str) -> Done<u64> {
    let node = nodes.get(target.node).ok_or_else(|| Failure::fault("no such kernel"))?;
    let answer = node.ask(Get { object: target.ior.clone(), bytes: None, revision: None }).await?;
    let scenario: Value = serde_json::from_str(&answer.text.unwrap_or_default())
        .map_err(|error| Failure::failed(format!("{} is no scenario: {error}", target.ior)))?;
    Ok(scenario["model"][field].as_u64().unwrap_or(0))
}
