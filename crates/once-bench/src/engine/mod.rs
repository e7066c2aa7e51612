//! The engine's rows. Each function measures one round.
//!
//! Two processes as in the yardsticks: the bench is one kernel, the child the other. Counts go through `bench.scaled`,
//! data into `bench.fresh_dir`; the scenarios are filled with the same noise that the bare store writes.

pub mod acts;
pub mod find;
pub mod kernels;
pub mod moves;
pub mod rest;
pub mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::api::contract::Status;
use once::{Kernel, ObjectKey};
use serde_json::json;

use crate::noise::Noise;
use crate::rounds::{self, Latency};
use crate::yard::store::{Later, Plan, RowShape};
use crate::{Bench, Res};
use kernels::{Other, SCENARIO_LEN, copy, fill, full, mine, scenario};

/// `None`: cannot be measured here.
pub type Measured<T> = Res<Option<T>>;

const REQUESTS: usize = 10_000;
const SHARES: usize = 5_000;
const SHARES_AT_ONCE: usize = 256;
const SHARES_FOR_RATE: usize = 50_000;
const MANY: usize = 100_000;
const BULK_LEN: usize = 64 * 1024 * 1024;
const BULK_TIMES: usize = 4;
const BULK_IN_A_ROW: usize = 100;

/// Requests and shares before the clock runs.
const WARM_UP: usize = 200;

/// How long a kernel rests before its memory is looked at.
const REST: Duration = Duration::from_secs(60);

/// A pair of kernels that are peers: ours, the other, and a folder each.
async fn pair(bench: &Bench, row: &str) -> Res<(Kernel, Other, once::KernelId)> {
    let kernel = mine(bench, row).await?;
    let other = Other::start(&bench.dir(row).join("other")).await?;
    let peer = other.meet(&kernel).await?;
    Ok((kernel, other, peer))
}

async fn part(kernel: Kernel, other: Other) -> Res<()> {
    kernel.stop().await?;
    other.stop().await
}

/// Request of a 1 KiB scenario, one in flight. Beside: bare echo.
pub async fn request_p50(bench: &Bench) -> Measured<Latency> {
    let (kernel, other, peer) = pair(bench, "request").await?;
    let noise = Noise::new();
    let mut iors = Vec::new();
    for number in 0..64 {
        let text = scenario(&noise, number, SCENARIO_LEN);
        let done = other.api.call("import", json!({ "scenarios": [{ "text": text }] })).await?;
        let ior = done["results"][0]["object"]["ior"].as_str().ok_or("no IOR")?.to_owned();
        iors.push(once::Ior::parse(&ior)?);
    }
    let mut times = rounds::latency()?;
    for (n, ior) in iors.iter().cycle().take(WARM_UP + bench.scaled(REQUESTS)).enumerate() {
        let begun = Instant::now();
        let found = kernel.request(ior).from(peer).await?;
        let took = begun.elapsed();
        if found.bytes().map(bytes::Bytes::len) != Some(SCENARIO_LEN) {
            return Err("the request brought something else".into());
        }
        if n >= WARM_UP {
            times.saturating_record(nanos(took));
        }
    }
    part(kernel, other).await?;
    Ok(Some(times))
}

/// Share of a 1 KiB scenario until it is acknowledged after the receiver's sync, one in flight. Beside: bare durable
/// echo.
pub async fn share_p50(bench: &Bench) -> Measured<Latency> {
    let (kernel, other, peer) = pair(bench, "share").await?;
    let count = WARM_UP + bench.scaled(SHARES);
    let keys = fill(&kernel, 0..count as u64, SCENARIO_LEN).await?;
    let mut times = rounds::latency()?;
    for (n, key) in keys.into_iter().enumerate() {
        let begun = Instant::now();
        kernel.share(key).to(peer).delivered().await?;
        if n >= WARM_UP {
            times.saturating_record(nanos(begun.elapsed()));
        }
    }
    groups("share, sender", &kernel, None).await?;
    groups("share, receiver", &kernel, Some(&other)).await?;
    part(kernel, other).await?;
    Ok(Some(times))
}

/// Shares acknowledged per second with 256 in flight, long enough to span memtable flushes. Beside: bare store with
/// `share_plan`.
pub async fn share_rate(bench: &Bench) -> Measured<f64> {
    let (kernel, other, peer) = pair(bench, "share_rate").await?;
    let keys = fill(&kernel, 0..bench.scaled(SHARES_FOR_RATE) as u64, SCENARIO_LEN).await?;
    let count = keys.len();
    let begun = Instant::now();
    share_all(&kernel, peer, keys).await?;
    let rate = per_second(count, begun.elapsed());
    groups("share_rate, sender", &kernel, None).await?;
    groups("share_rate, receiver", &kernel, Some(&other)).await?;
    part(kernel, other).await?;
    Ok(Some(rate))
}

async fn share_all(kernel: &Kernel, peer: once::KernelId, keys: Vec<ObjectKey>) -> Res<()> {
    let mut waiting = keys.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < SHARES_AT_ONCE
            && let Some(key) = waiting.next()
        {
            under_way.push(kernel.share(key).to(peer).delivered());
        }
        match under_way.next().await {
            Some(done) => done?,
            None => return Ok(()),
        };
    }
}

/// Says how large the groups were, so that the plans of the bare store can be checked against it.
async fn groups(what: &str, kernel: &Kernel, other: Option<&Other>) -> Res<()> {
    let status = match other {
        Some(other) => other.api.ask(Status {}).await?,
        None => kernel.status()?,
    };
    let (inputs, groups, rows) = (status.inputs as f64, status.groups as f64, status.rows as f64);
    let each = inputs / groups.max(1.0);
    eprintln!(
        "  {what}: {each:.0} inputs a group, {:.1} rows an input, commit p50 {} us",
        rows / inputs.max(1.0),
        status.commit_us.map_or(0, |took| took.p50)
    );
    Ok(())
}

/// Scenarios per second when `exchange_plan().items` of 1 KiB go into an empty kernel. Beside: bare store with
/// `exchange_plan`.
pub async fn exchange_all(bench: &Bench) -> Measured<f64> {
    let source = full(bench, "source", bench.scaled(MANY) as u64).await?;
    let other = Other::start(&source).await?;
    let kernel = mine(bench, "exchange_all").await?;
    let peer = other.meet(&kernel).await?;
    let report = kernel.exchange(peer).await?;
    if report.received != bench.scaled(MANY) as u64 {
        return Err(format!("the exchange brought {} scenarios", report.received).into());
    }
    groups("exchange_all, receiver", &kernel, None).await?;
    part(kernel, other).await?;
    Ok(Some(report.received as f64 * 1e6 / report.took_us as f64))
}

/// Bytes on the wire, both directions, when 10 of 100,000 differ between kernels that got them from a third and never
/// spoke.
pub async fn exchange_delta_bytes(bench: &Bench) -> Measured<f64> {
    let count = bench.scaled(MANY) as u64;
    let source = full(bench, "source", count).await?;
    let mut dirs = Vec::new();
    for name in ["delta-a", "delta-b"] {
        let data = bench.kept_dir(name);
        if !data.exists() {
            let new = bench.kept_dir(&format!("{name}.new"));
            kernels::init(&new, name)?;
            let kernel = Kernel::builder(&new).start().await?;
            let third = Other::start(&source).await?;
            let peer = third.meet(&kernel).await?;
            kernel.exchange(peer).await?;
            kernel.remove_peer(peer).await?;
            part(kernel, third).await?;
            std::fs::rename(&new, &data)?;
        }
        dirs.push(data);
    }
    let place = bench.fresh_dir("exchange_delta")?;
    let (mine, others) = (place.join("mine"), place.join("other"));
    copy(&dirs[0], &mine)?;
    copy(&dirs[1], &others)?;
    let kernel = Kernel::builder(&mine).start().await?;
    let other = Other::start(&others).await?;
    let noise = Noise::new();
    for number in 0..10 {
        let number = number * (count / 10);
        let old = scenario(&noise, number, SCENARIO_LEN);
        let (object, _) = kernel.import(old.clone()).await?;
        kernel.put(object.key(), old.replace("\"0.1\"", "\"0.2\"")).await?;
    }
    let peer = other.meet(&kernel).await?;
    let report = kernel.exchange(peer).await?;
    if report.sent != 10 {
        return Err(format!("the exchange sent {} scenarios, not 10: {report:?}", report.sent).into());
    }
    part(kernel, other).await?;
    Ok(Some((report.bytes_sent + report.bytes_received) as f64))
}

/// One scenario of 64 MiB, in megabytes (10^6) per second. Beside: bare bulk.
pub async fn bulk(bench: &Bench) -> Measured<f64> {
    let (kernel, other, peer, ior) = with_bulk(bench, "bulk").await?;
    let times = bench.scaled(BULK_TIMES);
    let begun = Instant::now();
    for _ in 0..times {
        let found = kernel.request(&ior).from(peer).timeout(Duration::from_secs(60)).await?;
        if found.bytes().map(bytes::Bytes::len) != Some(BULK_LEN) {
            return Err("the request brought something else".into());
        }
    }
    let took = begun.elapsed();
    part(kernel, other).await?;
    Ok(Some((times * BULK_LEN) as f64 / 1e6 / took.as_secs_f64()))
}

/// How many of 100 scenarios of 64 MiB in a row broke the connection. Once per run.
pub async fn bulk_broken(bench: &Bench) -> Measured<f64> {
    let (kernel, other, peer, ior) = with_bulk(bench, "bulk_broken").await?;
    let mut broken = 0.0;
    for _ in 0..bench.scaled(BULK_IN_A_ROW) {
        let found = kernel.request(&ior).from(peer).timeout(Duration::from_secs(60)).await;
        broken += f64::from(u8::from(found.is_err()));
    }
    part(kernel, other).await?;
    Ok(Some(broken))
}

async fn with_bulk(bench: &Bench, row: &str) -> Res<(Kernel, Other, once::KernelId, once::Ior)> {
    let (kernel, other, peer) = pair(bench, row).await?;
    let text = scenario(&Noise::new(), 1, BULK_LEN);
    let done = other.api.call("import", json!({ "scenarios": [{ "text": text }] })).await?;
    let ior = done["results"][0]["object"]["ior"].as_str().ok_or("no IOR")?;
    let ior = once::Ior::parse(ior)?;
    Ok((kernel, other, peer, ior))
}

/// Milliseconds from starting a kernel process that holds this many scenarios until it is ready.
pub async fn start_ms(bench: &Bench, scenarios: usize) -> Measured<f64> {
    let name = if scenarios == MANY { "source".to_owned() } else { format!("holds-{scenarios}") };
    let data = full(bench, &name, bench.scaled(scenarios) as u64).await?;
    let other = Other::start(&data).await?;
    let ready = millis(other.ready_after);
    other.stop().await?;
    Ok(Some(ready))
}

/// The same with 100,000 scenarios after SIGKILL.
pub async fn start_after_kill_ms(bench: &Bench) -> Measured<f64> {
    let source = full(bench, "source", bench.scaled(MANY) as u64).await?;
    let data = bench.fresh_dir("start_after_kill")?.join("data");
    kernels::init(&data, "killed")?;
    let victim = Other::start(&data).await?;
    let kernel = Kernel::builder(&source).start().await?;
    let peer = victim.meet(&kernel).await?;
    kernel.exchange(peer).await?;
    kernel.remove_peer(peer).await?;
    victim.kill().await?;
    kernel.stop().await?;
    let other = Other::start(&data).await?;
    let ready = millis(other.ready_after);
    other.stop().await?;
    Ok(Some(ready))
}

/// Resident memory of a fresh idle kernel process, in MiB. Once per run.
pub async fn rss_idle_mib(bench: &Bench) -> Measured<f64> {
    let other = Other::start(&bench.fresh_dir("rss_idle")?.join("data")).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rss = other.rss_mib()?;
    other.stop().await?;
    Ok(Some(rss))
}

/// Resident memory 60 s after the exchange of 100,000, in MiB. Once per run.
pub async fn rss_after_mib(bench: &Bench) -> Measured<f64> {
    let source = full(bench, "source", bench.scaled(MANY) as u64).await?;
    let other = Other::start(&bench.fresh_dir("rss_after")?.join("data")).await?;
    let kernel = Kernel::builder(&source).start().await?;
    let peer = other.meet(&kernel).await?;
    kernel.exchange(peer).await?;
    tokio::time::sleep(if bench.scaled(2) == 2 { REST } else { Duration::from_secs(3) }).await;
    let rss = other.rss_mib()?;
    kernel.remove_peer(peer).await?;
    part(kernel, other).await?;
    Ok(Some(rss))
}

/// The binary `once`: the one beside this executable.
pub fn binary() -> Measured<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(format!("once{}", std::env::consts::EXE_SUFFIX));
    Ok(beside.exists().then_some(beside))
}

/// The rows that one share writes, those of both processes counted, and how many shares meet in one group: the outbox
/// row at the sender, put and removed; head and body at the receiver. The commit number and the usage row of each
/// group are left out, in favour of the yardstick. The size of the groups is what `groups` printed for the receiver.
pub fn share_plan(bench: &Bench) -> Plan {
    let rows =
        vec![row("rows", 82, 48).removed(), row("rows", 50, 190), row("bodies", 49, SCENARIO_LEN).apart()];
    Plan { rows, items_per_commit: 36, items: bench.scaled(SHARES_FOR_RATE) }
}

/// The rows that one scenario writes in an exchange into an empty kernel: head and body.
pub fn exchange_plan(bench: &Bench) -> Plan {
    let rows = vec![row("rows", 50, 190), row("bodies", 49, SCENARIO_LEN).apart()];
    Plan { rows, items_per_commit: 184, items: bench.scaled(MANY) }
}

fn row(keyspace: &'static str, key_len: usize, value_len: usize) -> RowShape {
    RowShape { keyspace, key_len, value_len, apart: false, of: None, later: Later::Stays }
}

impl RowShape {
    fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    fn removed(self) -> Self {
        Self { later: Later::Removed, ..self }
    }

    fn again(self, value_len: usize) -> Self {
        Self { later: Later::Again(value_len), ..self }
    }

    fn of(self, objects: usize) -> Self {
        Self { of: Some(objects), ..self }
    }
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
