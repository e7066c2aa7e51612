//! Finding one of many objects, at a client of the local API: by the index, and by looking at all of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::Kernel;
use once::api::Client;
use serde_json::{Value, json};

use super::kernels::{self, Other, SCENARIO_LEN, uuid};
use super::{MANY, Measured, WARM_UP, millis, nanos};
use crate::noise::Noise;
use crate::rounds::{self, Latency};
use crate::{Bench, Res};

const FINDS: usize = 1_000;
const IMPORTS_AT_ONCE: usize = 512;

/// One object of so many has what a scan looks for.
const RARE: u64 = 1_000;

/// From the first question until the index is there.
const INDEX_MAX: Duration = Duration::from_secs(60);

/// Milliseconds from the question until the first object, and until all were looked at.
pub struct Scan {
    pub first_ms: f64,
    pub all_ms: f64,
}

fn scenario(noise: &Noise, number: u64) -> String {
    let mark = if number.is_multiple_of(RARE) { "needle" } else { "hay" };
    let fill = std::str::from_utf8(noise.text(number, SCENARIO_LEN - 160)).unwrap_or_default();
    format!(
        "{{\"ior\":{{\"uuid\":\"{}\",\"component\":\"Bench\"}},\"model\":{{\"name\":\"object {number}\",\
         \"text\":\"{fill}\",\"mark\":\"{mark}\"}}}}",
        uuid(number)
    )
}

/// A kernel with so many objects that have names, made once in a run.
pub(super) async fn full(bench: &Bench) -> Res<PathBuf> {
    let data = bench.kept_dir("named");
    if data.exists() {
        return Ok(data);
    }
    let new = bench.kept_dir("named.new");
    kernels::init(&new, "named")?;
    let kernel = Kernel::builder(&new).offline().start().await?;
    let (noise, mut waiting) = (Noise::new(), 0..bench.scaled(MANY) as u64);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < IMPORTS_AT_ONCE
            && let Some(number) = waiting.next()
        {
            let text = scenario(&noise, number);
            let kernel = &kernel;
            under_way.push(async move { kernel.import(text).await });
        }
        match under_way.next().await {
            Some(done) => drop(done?),
            None => break,
        }
    }
    drop(under_way);
    kernel.stop().await?;
    std::fs::rename(&new, &data)?;
    Ok(data)
}

/// All pages of a question: how many objects, how many pages, and when the first object came.
async fn pages(api: &Client, question: &Value) -> Res<(usize, usize, Option<Duration>)> {
    let (begun, mut question) = (Instant::now(), question.clone());
    let (mut found, mut pages, mut first) = (0, 0, None);
    loop {
        let page = api.call("find", question.clone()).await?;
        pages += 1;
        found += page["objects"].as_array().map_or(0, Vec::len);
        if found > 0 && first.is_none() {
            first = Some(begun.elapsed());
        }
        match &page["next"] {
            Value::Null => return Ok((found, pages, first)),
            next => question["after"] = next.clone(),
        }
    }
}

/// One object by its name, with the index.
pub async fn by_index(bench: &Bench) -> Measured<Latency> {
    let other = Other::start(&full(bench).await?).await?;
    let count = bench.scaled(MANY) as u64;
    let (begun, wanted) = (Instant::now(), json!({ "name": "object 7" }));
    while count > 10_000 && pages(&other.api, &wanted).await?.1 > 1 {
        if begun.elapsed() > INDEX_MAX {
            return Err("the index is not built".into());
        }
    }
    eprintln!("  find_index: the index is there after {:.0} ms", millis(begun.elapsed()));
    let mut times = rounds::latency()?;
    for n in 0..WARM_UP + bench.scaled(FINDS) {
        let question = json!({ "name": format!("object {}", (n as u64 * 7_919) % count) });
        let begun = Instant::now();
        let (found, ..) = pages(&other.api, &question).await?;
        let took = begun.elapsed();
        if found != 1 {
            return Err(format!("{found} objects were found").into());
        }
        if n >= WARM_UP {
            times.saturating_record(nanos(took));
        }
    }
    other.stop().await?;
    Ok(Some(times))
}

/// The few objects in which a text stands, without anything else that is known of them.
pub async fn by_scan(bench: &Bench) -> Measured<Scan> {
    let other = Other::start(&full(bench).await?).await?;
    let begun = Instant::now();
    let (found, pages, first) = pages(&other.api, &json!({ "text": "needle" })).await?;
    let all_ms = millis(begun.elapsed());
    let wanted = bench.scaled(MANY).div_ceil(RARE as usize);
    if found != wanted {
        return Err(format!("{found} objects were found, not {wanted}").into());
    }
    eprintln!("  find_scan: {pages} pages");
    let first_ms = first.map_or(all_ms, millis);
    other.stop().await?;
    Ok(Some(Scan { first_ms, all_ms }))
}
