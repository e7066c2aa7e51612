//! How fast: one by one for latencies, many at a time for the rate.

use std::time::Instant;

use once::api::contract::{self, Get, Import, ImportInfo, ImportText};
use once::model::ids::Uuid;
use once::model::scenario::Scenario;
use serde_json::{Value, json};

use super::examples::Dice;
use super::node::Node;
use super::play::share;
use super::report::{Latency, Report, Stage};
use crate::failure::{Done, Failure};
use crate::ui;

/// Shares one after the other: enough for a 99.9th percentile.
const ONE_BY_ONE: usize = 1000;

/// Shares at a time, for the rate.
const AT_ONCE: usize = 5000;

/// Scenarios in one call of `import`.
const BATCH: usize = 64;

/// About as large as most real scenarios, in bytes.
const SCENARIO_BYTES: usize = 1024;

/// An object to measure with.
struct Sample {
    key: String,
    text: String,
}

/// Measures, and checks that what was measured did arrive.
pub async fn measure(alice: &Node, bob: &Node, stage: &Stage, report: &mut Report) -> Done<()> {
    let mut dice = Dice::new(2);
    stage.begin("preparing to measure");
    let singles = import(alice, &mut dice, ONE_BY_ONE).await?;
    let many = import(alice, &mut dice, AT_ONCE).await?;

    let bar = stage.bar("sharing one by one", ONE_BY_ONE as u64);
    let mut shares = Vec::with_capacity(ONE_BY_ONE);
    for sample in &singles {
        let key = std::slice::from_ref(&sample.key);
        let begun = Instant::now();
        share(alice, &bob.kernel, key, true, &bar).await?;
        shares.push(begun.elapsed().as_micros() as u64);
    }
    drop(bar);
    let latency = Latency::of(shares);
    report.latency = Some(latency);
    let what = format!("{} shares one by one", ui::number(ONE_BY_ONE as u64));
    stage.done(&what, &format!("{latency} (durable at bob)"));

    let bar = stage.bar("requesting one by one", ONE_BY_ONE as u64);
    let mut requests = Vec::with_capacity(ONE_BY_ONE);
    for sample in &singles {
        let params = contract::Request {
            object: sample.key.clone(),
            from: Some(alice.kernel.clone()),
            keep: Some(false),
            timeout_ms: None,
        };
        let begun = Instant::now();
        let answer = bob.ask(params).await?;
        requests.push(begun.elapsed().as_micros() as u64);
        if answer.text.as_ref() != Some(&sample.text) {
            report.fail("a requested scenario came with other bytes");
        }
        bar.more(1);
    }
    drop(bar);
    let latency = Latency::of(requests);
    report.request = Some(latency);
    stage.done(&format!("{} requests one by one", ui::number(ONE_BY_ONE as u64)), &latency.to_string());

    let bar = stage.bar("sharing many at once", AT_ONCE as u64);
    let mut keys: Vec<_> = many.iter().map(|sample| sample.key.clone()).collect();
    // As `once share --all` does it.
    keys.sort_unstable();
    let begun = Instant::now();
    share(alice, &bob.kernel, &keys, true, &bar).await?;
    let took_us = begun.elapsed().as_micros().max(1) as u64;
    drop(bar);
    report.per_second = AT_ONCE as u64 * 1_000_000 / took_us;
    let rate = ui::number(report.per_second);
    stage.done(&format!("{} shares at once", ui::number(AT_ONCE as u64)), &format!("{rate} per second"));

    stage.begin("checking these too");
    for sample in singles.iter().chain(&many) {
        let answer = bob.ask(Get { object: sample.key.clone(), bytes: None, revision: None }).await?;
        if answer.text.as_ref() != Some(&sample.text) {
            report.fail(format!("{} arrived with other bytes", sample.key));
        }
    }
    Ok(())
}

async fn import(alice: &Node, dice: &mut Dice, wanted: usize) -> Done<Vec<Sample>> {
    let mut samples = Vec::with_capacity(wanted);
    while samples.len() < wanted {
        let batch = (wanted - samples.len()).min(BATCH);
        let texts = (0..batch).map(|_| scenario(dice)).collect::<Done<Vec<_>>>()?;
        let scenarios = texts.iter().map(|text| ImportText { text: text.clone(), ..ImportText::default() });
        let answer = alice.ask(Import { scenarios: scenarios.collect() }).await?;
        for (text, result) in texts.into_iter().zip(answer.results) {
            match result {
                ImportInfo::Kept(kept) => samples.push(Sample { key: kept.change.object.key, text }),
                ImportInfo::Refused { error } => return Err(once::Error::from(error).into()),
            }
        }
    }
    Ok(samples)
}

fn scenario(dice: &mut Dice) -> Done<String> {
    let uuid = dice.uuid();
    let model = json!({ "uuid": uuid.to_string(), "name": "a measurement", "filling": "" });
    let bare = compose(uuid, &model)?;
    let mut model = model;
    model["filling"] = "x".repeat(SCENARIO_BYTES.saturating_sub(bare.len())).into();
    compose(uuid, &model)
}

fn compose(uuid: Uuid, model: &Value) -> Done<String> {
    let scenario = Scenario::compose(uuid, "Measurement", "1.0", "system", &model.to_string());
    scenario.map(|scenario| scenario.as_str().to_owned()).map_err(|error| Failure::fault(error.to_string()))
}
