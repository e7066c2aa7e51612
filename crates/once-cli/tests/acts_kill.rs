//! Three real kernels act on each other's counters while they are killed, again and again: whatever was accepted has
//! its effect once, and in order.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once::ErrorKind;
use once::api::{ApiError, Client};
use serde_json::{Value, json};
use support::acts::{Account, add, counted, counter, drained, id, object_at};
use support::*;
use tokio::sync::watch;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Clients of each kernel.
const CUSTOMERS: usize = 4;

/// Kills of all kernels together: 200 where CI runs.
fn kills() -> usize {
    50 * scale()
}

/// Numbers without a pattern.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A counter, as it is asked for by others and by its home.
#[derive(Clone)]
struct Target {
    home: usize,
    ior: String,
}

/// A kernel through all its lives: which one it is, and how to call it.
type Lives = watch::Receiver<(u64, Client)>;

/// An id that was asked for, each to add one to a counter.
struct Asked {
    id: String,
    target: usize,
    /// Its kernel said that it has it.
    accepted: bool,
    /// Its kernel said what came of it.
    result: Option<u64>,
}

/// What all customers share.
struct Shop {
    targets: Vec<Target>,
    closed: AtomicBool,
    /// Requests, with those that were repeated.
    requests: AtomicU64,
    /// Outcomes that came from another kernel.
    outcomes: AtomicU64,
}

impl Shop {
    async fn ask(&self, client: &Client, asked: &mut Asked, params: &Value) -> Result<(), ApiError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = client.call("act", params.clone()).await?;
        asked.accepted = true;
        if answer["status"] == "done" {
            let result = answer["result"].as_u64().unwrap();
            assert_eq!(asked.result.replace(result).unwrap_or(result), result, "{}: two outcomes", asked.id);
        }
        Ok(())
    }
}

/// Asks for one action after the other until the shop closes. When its kernel dies it asks again, or leaves it at that.
async fn customer(shop: Arc<Shop>, origin: usize, number: u64, mut lives: Lives) -> Vec<Asked> {
    let mut dice = Dice(number);
    let mut all = Vec::new();
    let (mut life, mut client) = lives.borrow().clone();
    while !shop.closed.load(Ordering::Relaxed) {
        let count = all.len() as u64;
        let target = dice.below(shop.targets.len() as u64) as usize;
        let Target { home, ior } = &shop.targets[target];
        let mut asked = Asked { id: id(number << 32 | count), target, accepted: false, result: None };
        let mut params = add(ior, &asked.id);
        if *home != origin {
            params["at"] = json!(NAMES[*home]);
        }
        params["no_wait"] = json!(count.is_multiple_of(3));
        let mut tries = if count % 10 == 9 { 2 } else { 1 };
        while tries > 0 {
            match shop.ask(&client, &mut asked, &params).await {
                Ok(()) => tries -= 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
                    (life, client) = lives.wait_for(|(newer, _)| *newer > life).await.unwrap().clone();
                    // Accepted or not: sometimes nobody asks again.
                    tries -= usize::from(dice.below(3) == 0);
                }
            }
        }
        if asked.result.is_some() && *home != origin {
            shop.outcomes.fetch_add(1, Ordering::Relaxed);
        }
        all.push(asked);
    }
    all
}

/// Everyone is a peer of everyone, and may act there.
async fn acquaint(kernels: &[Daemon]) {
    for (n, (kernel, name)) in kernels.iter().zip(NAMES).enumerate() {
        for (other, called) in kernels.iter().zip(NAMES).skip(n + 1) {
            let ticket = kernel.call("invite", json!({ "name": called })).await.unwrap();
            let join = json!({ "ticket": ticket["ticket"], "name": name, "timeout_ms": 60_000 });
            other.call("join", join).await.unwrap();
            kernel.call("grant", json!({ "peer": called, "right": "act" })).await.unwrap();
            other.call("grant", json!({ "peer": name, "right": "act" })).await.unwrap();
        }
    }
}

/// The kernels, as long as they are killed.
struct Victims<'p> {
    place: &'p Place,
    kernels: Vec<Option<Daemon>>,
    lives: Vec<watch::Sender<(u64, Client)>>,
    killed: usize,
}

impl Victims<'_> {
    fn kill(&mut self, n: usize) {
        self.kernels[n].take().unwrap().kill();
        self.killed += 1;
    }

    async fn up(&mut self, n: usize, dice: &mut Dice) {
        // Now and then it dies again before it is ready.
        if dice.below(8) == 0 {
            self.kernels[n] = Some(self.place.spawn(&[], NAMES[n]));
            tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
            self.kill(n);
        }
        let kernel = self.place.up(NAMES[n]).await;
        self.lives[n].send_modify(|life| *life = (life.0 + 1, kernel.api().clone()));
        self.kernels[n] = Some(kernel);
    }
}

#[test]
fn three_kernels_under_load_double_nothing_and_lose_nothing_however_often_they_are_killed() {
    let begun = Instant::now();
    story(async {
        let place = Place::new();
        let mut kernels = Vec::new();
        for name in NAMES {
            place.init(name);
            kernels.push(place.up(name).await);
        }
        acquaint(&kernels).await;
        // One that has its home there, and one that its first action claims.
        let mut targets = Vec::new();
        for (home, kernel) in kernels.iter().enumerate() {
            for (claimed, n) in [(true, 1), (false, 2)] {
                targets.push(Target { home, ior: object_at(kernel, &counter(10 * home + n), claimed).await });
            }
        }
        let shop = Arc::new(Shop {
            targets,
            closed: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            outcomes: AtomicU64::new(0),
        });
        let lives: Vec<_> =
            kernels.iter().map(|kernel| watch::channel((1, kernel.api().clone())).0).collect();
        let mut customers = Vec::new();
        for number in 0..NAMES.len() * CUSTOMERS {
            let origin = number % NAMES.len();
            let lives = lives[origin].subscribe();
            let served = customer(Arc::clone(&shop), origin, number as u64, lives);
            customers.push((origin, tokio::spawn(served)));
        }

        let mut dice = Dice(u64::from(std::process::id()));
        let kernels = kernels.into_iter().map(Some).collect();
        let mut victims = Victims { place: &place, kernels, lives, killed: 0 };
        while victims.killed < kills() {
            let enough = shop.outcomes.load(Ordering::Relaxed) + dice.below(30);
            until("actions get through", async || {
                (shop.outcomes.load(Ordering::Relaxed) >= enough).then_some(())
            })
            .await;
            // Mostly one, sometimes two or all of them.
            let first = dice.below(3) as usize;
            let together = [1, 1, 1, 1, 2, 3][dice.below(6) as usize];
            let dead: Vec<_> = (0..together).map(|more| (first + more) % NAMES.len()).collect();
            dead.iter().for_each(|n| victims.kill(*n));
            // The others go on without it for a while.
            tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
            for n in dead {
                victims.up(n, &mut dice).await;
            }
        }
        shop.closed.store(true, Ordering::Relaxed);
        let mut asked = Vec::new();
        for (origin, customer) in customers {
            asked.push((origin, customer.await.unwrap()));
        }
        let kernels: Vec<_> = victims.kernels.into_iter().map(Option::unwrap).collect();
        for kernel in &kernels {
            drained(kernel).await;
        }
        balance(&shop, &kernels, &asked, victims.killed, begun).await;
    });
}

/// Compares what the counters have counted with what was asked for.
async fn balance(
    shop: &Shop,
    kernels: &[Daemon],
    asked: &[(usize, Vec<Asked>)],
    killed: usize,
    begun: Instant,
) {
    let mut account = Account::default();
    let mut ids = 0;
    for (origin, asked) in asked {
        // What one customer asked of one counter ran in that order.
        let mut last = BTreeMap::new();
        for Asked { id, target, accepted, result } in asked {
            ids += 1;
            let object = &shop.targets[*target].ior;
            let found = account.look(&kernels[*origin], object, id, *accepted).await;
            assert!(result.is_none() || found == *result, "{id}: told {result:?}, then {found:?}");
            if let Some(found) = found
                && let Some(before) = last.insert(target, found)
            {
                assert!(before < found, "{id} was number {found}, the one before it {before}");
            }
        }
    }
    let (mut doubled, mut lost, mut done) = (0, account.lost.len() as u64, 0);
    let mut wrong = Vec::new();
    for Target { home, ior } in &shop.targets {
        let mut results = account.done.remove(ior).unwrap_or_default();
        let count = counted(&kernels[*home], ior).await;
        done += results.len() as u64;
        doubled += count.saturating_sub(results.len() as u64);
        lost += (results.len() as u64).saturating_sub(count);
        results.sort_unstable();
        // Each that counted saw a number of its own.
        if !results.iter().copied().eq(1..=count) {
            wrong.push(format!("{ior} counted {count}: {results:?}"));
        }
    }
    // Also where nobody shows what tests print.
    let _ = writeln!(
        std::io::stderr(),
        "acts under kill: kills {killed}, actions {}, distinct ids {ids}, done {done}, never accepted {}, \
         doubled {doubled}, lost {lost}, {:.1} s",
        shop.requests.load(Ordering::Relaxed),
        account.never,
        begun.elapsed().as_secs_f64()
    );
    assert_eq!((doubled, lost), (0, 0), "{wrong:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(done + account.never as u64, ids);
    assert!(killed >= kills() && done > kills() as u64);
}
