//! Objects that move: how long one takes, how many go in a second, and what an action sees meanwhile and afterwards.
//!
//! Every row ends by looking where the objects live and what the actions came to: a run in which an object stayed, or an
//! action got lost, is no measurement.

use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::{ErrorKind, Ior, Kernel, KernelId, ObjectKey};
use serde_json::json;

use super::acts::{add_one, counter};
use super::kernels::{Other, SCENARIO_LEN, uuid};
use super::{Measured, nanos, pair, part, per_second, row};
use crate::noise::Noise;
use crate::rounds::{self, Latency};
use crate::yard::store::Plan;
use crate::{Bench, Res};

/// Objects that move one after the other.
const MOVES: usize = 1_000;

/// Objects that move many at a time.
const MOVES_FOR_RATE: usize = 10_000;
const MOVES_AT_ONCE: usize = 256;

/// Moves before the clock runs.
const WARM_UP: usize = 20;

/// Counters of 1 KiB that have their home in this kernel, which may move them to the other, and act on them there.
async fn travellers(kernel: &Kernel, other: &Other, count: usize) -> Res<Vec<(ObjectKey, Ior)>> {
    let me = kernel.id().to_string();
    for right in ["host", "act"] {
        other.api.call("grant", json!({ "peer": me, "right": right })).await?;
    }
    let noise = Noise::new();
    let mut made = Vec::new();
    for number in 0..count as u64 {
        let (object, _) = kernel.create(counter(&noise, number)?).await?;
        made.push((object.key(), object.ior(&[])));
    }
    Ok(made)
}

/// Whether these objects live on the other kernel.
async fn live_there(other: &Other, iors: impl IntoIterator<Item = &Ior>) -> Res<()> {
    for ior in iors {
        let got = other.api.call("get", json!({ "object": ior.to_string() })).await?;
        if got["object"]["state"] != "home" {
            return Err(format!("{ior} did not arrive: it is {}", got["object"]["state"]).into());
        }
    }
    Ok(())
}

/// A 1 KiB object moves, one after the other, until its home before knows that it has arrived. Beside: bare durable call.
pub async fn move_p50(bench: &Bench) -> Measured<Latency> {
    let (kernel, other, peer) = pair(bench, "move").await?;
    let objects = travellers(&kernel, &other, WARM_UP + bench.scaled(MOVES)).await?;
    let mut times = rounds::latency()?;
    for (n, (key, _)) in objects.iter().enumerate() {
        let begun = Instant::now();
        kernel.move_to(*key, peer).await?;
        if n >= WARM_UP {
            times.saturating_record(nanos(begun.elapsed()));
        }
    }
    live_there(&other, objects.iter().map(|(_, ior)| ior)).await?;
    part(kernel, other).await?;
    Ok(Some(times))
}

/// 10,000 objects of 1 KiB move, 256 at a time. Beside: bare store with `move_plan`.
pub async fn move_rate(bench: &Bench) -> Measured<f64> {
    let (kernel, other, peer) = pair(bench, "move_rate").await?;
    let objects = travellers(&kernel, &other, bench.scaled(MOVES_FOR_RATE)).await?;
    let begun = Instant::now();
    move_all(&kernel, peer, &objects).await?;
    let rate = per_second(objects.len(), begun.elapsed());
    // A sample: each was told to have arrived.
    live_there(&other, objects.iter().step_by(97).map(|(_, ior)| ior)).await?;
    part(kernel, other).await?;
    Ok(Some(rate))
}

async fn move_all(kernel: &Kernel, peer: KernelId, objects: &[(ObjectKey, Ior)]) -> Res<()> {
    let mut waiting = objects.iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < MOVES_AT_ONCE
            && let Some((key, _)) = waiting.next()
        {
            under_way.push(kernel.move_to(*key, peer).into_future());
        }
        match under_way.next().await {
            Some(done) => done?,
            None => return Ok(()),
        };
    }
}

/// An action that is asked for as soon as the object's move has begun, until its outcome: what a client sees of the move.
pub async fn act_while_moving(bench: &Bench) -> Measured<Latency> {
    let (kernel, other, peer) = pair(bench, "act_while_moving").await?;
    let objects = travellers(&kernel, &other, WARM_UP + bench.scaled(MOVES)).await?;
    let mut times = rounds::latency()?;
    for (n, (key, ior)) in objects.iter().enumerate() {
        kernel.move_to(*key, peer).begin().await?;
        let begun = Instant::now();
        let result = loop {
            match add_one(&kernel, ior).await {
                Ok(result) => break result,
                // A change by the home's own client while it is handed over: refused, and asked for again.
                Err(error) if is_busy(error.as_ref()) => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        };
        if n >= WARM_UP {
            times.saturating_record(nanos(begun.elapsed()));
        }
        if result != 1 {
            return Err(format!("one action, and the counter says {result}").into());
        }
    }
    part(kernel, other).await?;
    Ok(Some(times))
}

fn is_busy(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<once::Error>().is_some_and(|error| error.kind() == ErrorKind::Busy)
}

/// The first action on an object after it has moved, from a third kernel that has acted on it before. Beside: `act`.
pub async fn act_after_move(bench: &Bench) -> Measured<Latency> {
    let (kernel, before, _) = pair(bench, "act_after_move").await?;
    let after = Other::start(&bench.dir("act_after_move").join("after")).await?;
    let there = after.meet(&kernel).await?.to_string();
    let ticket = after.api.call("invite", json!({})).await?;
    before.api.call("join", json!({ "ticket": ticket["ticket"] })).await?;
    let home = before.api.call("status", json!({})).await?["kernel"].clone();
    after.api.call("grant", json!({ "peer": home, "right": "host" })).await?;
    let me = kernel.id().to_string();
    for other in [&before, &after] {
        other.api.call("grant", json!({ "peer": me, "right": "act" })).await?;
    }
    let mut times = rounds::latency()?;
    for number in 0..(WARM_UP + bench.scaled(MOVES)) as u64 {
        let new = json!({ "component": "Counter", "model": { "count": 0 }, "uuid": uuid(number) });
        let made = before.api.call("create", new).await?;
        let ior = Ior::parse(made["object"]["ior"].as_str().ok_or("no IOR")?)?;
        add_one(&kernel, &ior).await?;
        let wish = json!({ "objects": [ior.to_string()], "to": there, "wait": true });
        let moved = before.api.call("move", wish).await?;
        if moved["moved"].as_array().is_none_or(Vec::is_empty) {
            return Err(format!("it did not move: {moved}").into());
        }
        let begun = Instant::now();
        let result = add_one(&kernel, &ior).await?;
        if number >= WARM_UP as u64 {
            times.saturating_record(nanos(begun.elapsed()));
        }
        if result != 2 {
            return Err(format!("two actions, and the counter says {result}").into());
        }
    }
    after.stop().await?;
    part(kernel, before).await?;
    Ok(Some(times))
}

/// What a move writes at both ends: the wish, what it is sealed as, and what the object is then at its former home; the yes, the
/// answer, and all of the object at its new one.
pub fn move_plan(bench: &Bench) -> Plan {
    let rows = vec![
        // Former home: the wish and then the seal; head, chain.
        row("rows", 50, 50).again(2_100),
        row("rows", 50, 450),
        row("rows", 33, 900),
        // New home: the yes, the answer, head, chain, history, two grants, and the body.
        row("rows", 50, 110),
        row("rows", 82, 160),
        row("rows", 50, 450),
        row("rows", 33, 900),
        row("rows", 107, 340),
        row("rows", 90, 40),
        row("rows", 90, 40),
        row("bodies", 82, SCENARIO_LEN).apart(),
    ];
    Plan { rows, items_per_commit: 80, items: bench.scaled(MOVES_FOR_RATE) }
}
