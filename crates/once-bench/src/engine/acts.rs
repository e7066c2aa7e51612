//! Actions: on objects of another kernel, and on one's own.
//!
//! Every row acts with the shipped `Counter`, on objects of 1 KiB, and adds up what the counters say at the end: a run
//! in which an action got lost or ran twice is no measurement.

use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::api::contract::{Status, StatusResult};
use once::model::scenario::Scenario;
use once::{Ior, Kernel};
use serde_json::{Value, json};

use super::kernels::{Other, SCENARIO_LEN, cpu_s, mine, uuid};
use super::{Measured, WARM_UP, nanos, pair, part, per_second, row};
use crate::noise::Noise;
use crate::rounds::{self, Latency};
use crate::yard::store::Plan;
use crate::{Bench, Res};

const ACTS: usize = 5_000;
const ACTS_FOR_RATE: usize = 50_000;
const ACTS_AT_ONCE: usize = 256;
/// Objects that are acted on in turn.
const OBJECTS: usize = 1_000;
/// The same with one action at a time.
const OBJECTS_FOR_LATENCY: usize = 64;

const COMPONENT: &str = "Counter";
const VERSION: &str = "1.0";

/// What acting many times at once came to.
pub struct Rate {
    pub per_s: f64,
    /// Processor time of all kernels taken together, in seconds for 100,000 actions; only where `/proc` tells.
    pub cpu_s_per_100k: Option<f64>,
}

/// The model of a counter whose scenario is as long as the others.
fn model(noise: &Noise, number: u64) -> Res<String> {
    let text = |fill: &str| format!("{{\"count\": 0, \"text\": \"{fill}\"}}");
    let bare = compose(number, &text(""))?.bytes().len();
    let fill = noise.text(number, SCENARIO_LEN.saturating_sub(bare));
    Ok(text(std::str::from_utf8(fill)?))
}

fn compose(number: u64, model: &str) -> Res<Scenario> {
    Ok(Scenario::compose(uuid(number).parse()?, COMPONENT, VERSION, "mine", model)?)
}

/// A counter of this number.
pub fn counter(noise: &Noise, number: u64) -> Res<Scenario> {
    compose(number, &model(noise, number)?)
}

/// Counters whose home is the other kernel, where the first may act.
async fn counters_at(other: &Other, kernel: &Kernel, count: usize) -> Res<Vec<Ior>> {
    other.api.call("grant", json!({ "peer": kernel.id().to_string(), "right": "act" })).await?;
    let noise = Noise::new();
    let mut iors = Vec::new();
    for number in 0..count as u64 {
        let model: Value = serde_json::from_str(&model(&noise, number)?)?;
        let new = json!({ "component": COMPONENT, "version": VERSION, "model": model, "uuid": uuid(number) });
        let made = other.api.call("create", new).await?;
        iors.push(Ior::parse(made["object"]["ior"].as_str().ok_or("no IOR")?)?);
    }
    Ok(iors)
}

/// Counters whose home is this kernel.
async fn counters_here(kernel: &Kernel, count: usize) -> Res<Vec<Ior>> {
    let noise = Noise::new();
    let mut iors = Vec::new();
    for number in 0..count as u64 {
        let (object, _) = kernel.create(counter(&noise, number)?).await?;
        iors.push(object.ior(&[]));
    }
    Ok(iors)
}

/// Adds one, and returns what the counter says then.
pub async fn add_one(kernel: &Kernel, ior: &Ior) -> Res<u64> {
    let acted = kernel.act(ior, "add", r#"{"by": 1}"#)?.await?;
    Ok(serde_json::from_slice(&acted.result)?)
}

/// Acts so many times, on one object after the other, 256 at once.
async fn add_many(kernel: &Kernel, iors: &[Ior], count: usize) -> Res<()> {
    let mut waiting = iors.iter().cycle().take(count);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < ACTS_AT_ONCE
            && let Some(ior) = waiting.next()
        {
            under_way.push(add_one(kernel, ior));
        }
        match under_way.next().await {
            Some(done) => done?,
            None => return Ok(()),
        };
    }
}

/// Whether each action had its effect once: `count` of them went over these objects.
async fn check(kernel: &Kernel, iors: &[Ior], count: usize) -> Res<()> {
    let mut sum = 0;
    for ior in iors {
        let acted = kernel.act(ior, "get", "null")?.await?;
        sum += serde_json::from_slice::<usize>(&acted.result)?;
    }
    if sum == count { Ok(()) } else { Err(format!("{count} actions had {sum} effects").into()) }
}

/// An action on a 1 KiB object of another kernel, one at a time. Beside: bare durable call.
pub async fn act_p50(bench: &Bench) -> Measured<Latency> {
    let (kernel, other, _) = pair(bench, "act").await?;
    let iors = counters_at(&other, &kernel, OBJECTS_FOR_LATENCY).await?;
    let before = Counted::both(&kernel, Some(&other)).await?;
    let count = WARM_UP + bench.scaled(ACTS);
    let mut times = rounds::latency()?;
    for (n, ior) in iors.iter().cycle().take(count).enumerate() {
        let begun = Instant::now();
        add_one(&kernel, ior).await?;
        if n >= WARM_UP {
            times.saturating_record(nanos(begun.elapsed()));
        }
    }
    before.tell("act", &kernel, Some(&other), count).await?;
    check(&kernel, &iors, count).await?;
    part(kernel, other).await?;
    Ok(Some(times))
}

/// Actions per second with 256 in flight over 1,000 objects of another kernel. Beside: bare store with `act_plan`.
pub async fn act_rate(bench: &Bench) -> Measured<Rate> {
    let (kernel, other, _) = pair(bench, "act_rate").await?;
    let iors = counters_at(&other, &kernel, OBJECTS).await?;
    let before = Counted::both(&kernel, Some(&other)).await?;
    let count = bench.scaled(ACTS_FOR_RATE);
    let both =
        || Ok::<_, Box<dyn std::error::Error + Send + Sync>>(cpu_s(std::process::id())? + other.cpu_s()?);
    let (cpu, begun) = (both(), Instant::now());
    add_many(&kernel, &iors, count).await?;
    let per_s = per_second(count, begun.elapsed());
    let cpu = both().and_then(|now| Ok(now - cpu?)).ok();
    let rows = before.tell("act_rate", &kernel, Some(&other), count).await?;
    agrees(&act_plan(bench), rows);
    check(&kernel, &iors, count).await?;
    part(kernel, other).await?;
    Ok(Some(Rate { per_s, cpu_s_per_100k: cpu.map(|s| s * 1e5 / count as f64) }))
}

/// The same on objects of one's own. Beside: bare store with `act_local_plan`.
pub async fn act_local(bench: &Bench) -> Measured<f64> {
    let kernel = mine(bench, "act_local").await?;
    let iors = counters_here(&kernel, OBJECTS).await?;
    let before = Counted::both(&kernel, None).await?;
    let count = bench.scaled(ACTS_FOR_RATE);
    let begun = Instant::now();
    add_many(&kernel, &iors, count).await?;
    let per_s = per_second(count, begun.elapsed());
    let rows = before.tell("act_local", &kernel, None, count).await?;
    agrees(&act_local_plan(bench), rows);
    check(&kernel, &iors, count).await?;
    kernel.stop().await?;
    Ok(Some(per_s))
}

/// What the kernels have counted of themselves, ours first.
struct Counted(Vec<StatusResult>);

impl Counted {
    async fn both(kernel: &Kernel, other: Option<&Other>) -> Res<Self> {
        let mut all = vec![kernel.status()?];
        if let Some(other) = other {
            all.push(other.api.ask(Status {}).await?);
        }
        Ok(Self(all))
    }

    /// Says what `actions` actions came to since, so that the plans of the bare store can be checked against it.
    /// Returns the rows that each wrote, all kernels taken together.
    async fn tell(&self, what: &str, kernel: &Kernel, other: Option<&Other>, actions: usize) -> Res<f64> {
        let now = Self::both(kernel, other).await?;
        let mut rows = 0.0;
        for (end, (before, now)) in ["origin", "home"].iter().zip(self.0.iter().zip(&now.0)) {
            let since = |number: fn(&StatusResult) -> u64| number(now) as f64 - number(before) as f64;
            let each = since(|all| all.rows) / actions as f64;
            rows += each;
            eprintln!(
                "  {what}, {}: {each:.1} rows an action, {:.1} actions and {:.1} inputs a group, {:.0} % of groups \
                 synced, commit p50 {} us",
                if other.is_some() { *end } else { "this kernel" },
                actions as f64 / since(|all| all.groups).max(1.0),
                since(|all| all.inputs) / since(|all| all.groups).max(1.0),
                100.0 * since(|all| all.synced_groups) / since(|all| all.groups).max(1.0),
                now.commit_us.as_ref().map_or(0, |took| took.p50)
            );
        }
        Ok(rows)
    }
}

/// A plan that does not write what the engine writes makes no bar.
fn agrees(plan: &Plan, rows: f64) {
    let planned = plan.rows_each() as f64;
    if (rows - planned).abs() > 0.1 * planned {
        eprintln!("  the engine wrote {rows:.1} rows an action, the bare store {planned}: mend the plan");
    }
}

/// The rows that one action writes, those of both processes counted, and how many actions meet in one group: at the
/// home, as `act_rate` printed it. The commit number and the counts of each group are left out, in favour of the
/// yardstick, and both ends share one sync.
pub fn act_plan(bench: &Bench) -> Plan {
    let mut rows = at_home();
    // At the home, the ledger. At the origin: queue and id when it is accepted; the queue's row once more with its outcome.
    rows.extend([row("rows", 107, 340), row("rows", 91, 100).again(190), row("rows", 17, 100)]);
    Plan { rows, items_per_commit: 80, items: bench.scaled(ACTS_FOR_RATE) }
}

/// The same where home and origin are one kernel: what both ends write meets in one batch. Its queue row is
/// written with its outcome, and the ledger keeps no result.
pub fn act_local_plan(bench: &Bench) -> Plan {
    let mut rows = at_home();
    rows.extend([row("rows", 107, 340), row("rows", 91, 190), row("rows", 17, 100)]);
    Plan { rows, items_per_commit: 150, items: bench.scaled(ACTS_FOR_RATE) }
}

/// Head, and body (the one before goes).
fn at_home() -> Vec<crate::yard::store::RowShape> {
    vec![row("rows", 50, 352).of(OBJECTS), row("bodies", 82, SCENARIO_LEN).apart().removed()]
}
