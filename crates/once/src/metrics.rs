//! What a kernel measures of itself. `once status --json` is made from it.

use std::time::Duration;

use hdrhistogram::Histogram;
use once_core::group::Committed;

/// Counters and histograms since the start.
pub(crate) struct Metrics {
    pub groups: u64,
    pub synced_groups: u64,
    pub inputs: u64,
    pub rows: u64,
    /// Microseconds of a group, its commit included, shared out over its inputs.
    pub step_us: Option<Histogram<u64>>,
    pub commit_us: Option<Histogram<u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        // Two digits are enough for people, and keep a histogram within a few KiB.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 2).ok();
        Self { groups: 0, synced_groups: 0, inputs: 0, rows: 0, step_us: histogram(), commit_us: histogram() }
    }
}

impl Metrics {
    pub fn group(&mut self, took: Duration, run: &Committed) {
        self.groups += 1;
        self.inputs += run.inputs as u64;
        self.rows += run.rows as u64;
        let each = took / u32::try_from(run.inputs.max(1)).unwrap_or(u32::MAX);
        record(&mut self.step_us, each);
    }

    pub fn commit(&mut self, took: Duration, synced: bool) {
        self.synced_groups += u64::from(synced);
        record(&mut self.commit_us, took);
    }
}

fn record(histogram: &mut Option<Histogram<u64>>, took: Duration) {
    if let Some(histogram) = histogram {
        histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
