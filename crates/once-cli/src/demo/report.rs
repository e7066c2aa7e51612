//! What the demo says: steps as they are done, and a verdict.

use std::cell::RefCell;
use std::time::Instant;

use serde_json::{Value, json};

use crate::ui;

/// Width of a step's name.
const NAME_COLUMNS: usize = 30;

/// Shows steps: to stdout for people, to stderr where stdout is for JSON.
pub struct Stage {
    json: bool,
    paint: ui::Paint,
    begun: Instant,
    now: RefCell<Option<ui::Bar>>,
}

impl Stage {
    /// Nothing is shown yet.
    pub fn new(json: bool) -> Self {
        let paint = if json { ui::Paint::stderr() } else { ui::Paint::stdout() };
        Self { json, paint, begun: Instant::now(), now: RefCell::new(None) }
    }

    /// What goes on, while it goes on.
    pub fn begin(&self, what: &str) {
        *self.now.borrow_mut() = None;
        *self.now.borrow_mut() = Some(ui::Bar::spinner(what));
    }

    /// A bar for what goes on.
    pub fn bar(&self, what: &str, total: u64) -> ui::Bar {
        *self.now.borrow_mut() = None;
        ui::Bar::new(what, total)
    }

    /// A step is done.
    pub fn done(&self, what: &str, numbers: &str) {
        self.step(&self.paint.green("✓"), what, numbers);
    }

    /// A step has failed.
    pub fn failed(&self, what: &str, why: &str) {
        self.step(&self.paint.red("✗"), what, why);
    }

    /// Says something that is no figure.
    pub fn talk(&self, text: &str) {
        *self.now.borrow_mut() = None;
        // Whoever reads may have gone; the verdict counts all the same.
        if self.json {
            ui::say(text);
        } else {
            let _ = ui::print(text);
        }
    }

    /// The last line.
    pub fn verdict(&self, report: &Report) {
        let took = ui::duration_us(self.begun.elapsed().as_micros() as u64);
        self.talk("");
        match &report.failed {
            None => {
                let what = "nothing was lost, doubled, or changed on the way";
                let verdict = self.paint.green("verdict: ok");
                self.talk(&format!("{verdict}  {what} ({took}). Everything is stopped and removed."));
            }
            Some(why) => {
                let verdict = self.paint.red("verdict: failed");
                self.talk(&format!(
                    "{verdict}  {} ({took}). Everything is stopped and removed.",
                    ui::capped(why, 600)
                ));
            }
        }
    }

    fn step(&self, mark: &str, what: &str, numbers: &str) {
        let pad = " ".repeat(NAME_COLUMNS.saturating_sub(what.chars().count()));
        self.talk(&format!("{mark} {}{pad} {numbers}", self.paint.bold(what)));
    }
}

/// Percentiles of a sample, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Latency {
    /// Of a sample in any order.
    pub fn of(mut sample_us: Vec<u64>) -> Self {
        sample_us.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (sample_us.len() * per_mille).div_ceil(1000).saturating_sub(1);
            sample_us.get(rank).copied().unwrap_or_default()
        };
        Self { p50: at(500), p99: at(990), p999: at(999), max: at(1000) }
    }

    fn json(self) -> Value {
        json!({ "p50": self.p50, "p99": self.p99, "p999": self.p999, "max": self.max })
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, p999, max] = [self.p50, self.p99, self.p999, self.max].map(ui::duration_us);
        write!(f, "p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")
    }
}

/// The numbers, and whether all is well.
#[derive(Debug, Default)]
pub struct Report {
    /// Files with a scenario, also those that share a UUID.
    pub scenarios: u64,
    /// Files without one.
    pub broken: u64,
    /// Bytes of the scenarios.
    pub bytes: u64,
    /// Scenarios that the second kernel does not have byte for byte.
    pub lost: u64,
    /// Scenarios that were changed, and whose change arrived.
    pub changed: u64,
    /// Kernels that were killed.
    pub kills: u64,
    /// One share after the other, until it is durable on the other side.
    pub latency: Option<Latency>,
    /// One request after the other.
    pub request: Option<Latency>,
    /// Shares per second, many at a time.
    pub per_second: u64,
    /// What the second exchange cost.
    pub delta_wire_bytes: u64,
    /// Requests for actions, repeated ones counted.
    pub actions: u64,
    /// How many different ids they had.
    pub distinct_ids: u64,
    /// Those that had effect.
    pub effects: u64,
    /// Effects beyond one.
    pub doubled: u64,
    /// Actions that were said to be done and had none.
    pub act_lost: u64,
    /// Legs of the object that travels.
    pub moves: u64,
    /// Actions on it that were said to be done.
    pub moved_actions: u64,
    /// Those that had effect, as it shows when it is home again.
    pub moved_effects: u64,
    /// One action, until its outcome is known.
    pub act_latency: Option<Latency>,
    failed: Option<String>,
}

impl Report {
    /// The first reason counts.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.failed.get_or_insert_with(|| why.into());
    }

    /// Nothing went wrong so far.
    pub fn is_ok(&self) -> bool {
        self.failed.is_none()
    }

    /// The whole report as one object.
    pub fn json(&self) -> Value {
        json!({
            "scenarios": self.scenarios, "broken": self.broken, "bytes": self.bytes, "lost": self.lost,
            "changed": self.changed, "kills": self.kills, "latency_us": self.latency.map(Latency::json),
            "request_us": self.request.map(Latency::json), "per_second": self.per_second,
            "delta_wire_bytes": self.delta_wire_bytes, "actions": self.actions,
            "distinct_ids": self.distinct_ids, "effects": self.effects, "doubled": self.doubled,
            "act_lost": self.act_lost, "act_latency_us": self.act_latency.map(Latency::json),
            "moves": self.moves, "moved_actions": self.moved_actions, "moved_effects": self.moved_effects,
            "verdict": if self.is_ok() { "ok" } else { "failed" }, "reason": self.failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_sample() {
        let latency = Latency::of((1..=1000).rev().collect());
        assert_eq!((latency.p50, latency.p99, latency.p999, latency.max), (500, 990, 999, 1000));
        let one = Latency::of(vec![7]);
        assert_eq!((one.p50, one.max), (7, 7));
        assert_eq!(Latency::of(Vec::new()).max, 0);
    }

    #[test]
    fn the_first_reason_to_fail_stays() {
        let mut report = Report::default();
        assert_eq!(report.json()["verdict"], "ok");
        report.fail("first");
        report.fail("second");
        assert_eq!(
            (report.json()["verdict"].as_str(), report.json()["reason"].as_str()),
            (Some("failed"), Some("first"))
        );
    }
}
