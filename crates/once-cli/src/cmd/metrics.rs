//! `once metrics`

use std::fmt::Write;

use clap::Args;
use once::api::contract::{self, SpreadInfo, StatusResult};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Print figures of the kernel in the text format of Prometheus
///
/// Names and units follow its conventions: <https://prometheus.io/docs/practices/naming>. `once status --json` has the same figures with
/// more of what they are about. To collect them, write the output to a file that the text collector of the node exporter reads.
#[derive(Debug, Args)]
pub struct Metrics {}

impl Metrics {
    pub async fn run(self, context: &Context) -> Done {
        let status = context.ask_running(contract::Status {}).await?;
        if context.json {
            ui::print_json(&status)?;
        } else {
            ui::print(exposition(&status).trim_end())?;
        }
        Ok(Exit::DONE)
    }
}

/// The text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats>
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn one(&mut self, kind: &str, name: &str, help: &str, value: f64) {
        self.begin(kind, name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn begin(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.one("gauge", name, help, value);
    }

    /// Counts since the start of the process.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one("counter", name, help, value as f64);
    }

    /// Quantiles of microseconds, in seconds. Not a summary: nobody has their sum.
    fn spread(&mut self, name: &str, help: &str, spread: Option<&SpreadInfo>) {
        let Some(spread) = spread else { return };
        self.begin("gauge", name, help);
        for (quantile, us) in [("0.5", spread.p50), ("0.99", spread.p99), ("1", spread.max)] {
            let _ = writeln!(self.0, "{name}{{quantile=\"{quantile}\"}} {}", us as f64 / 1e6);
        }
    }
}

fn exposition(status: &StatusResult) -> String {
    let mut out = Exposition::default();
    out.begin("gauge", "once_info", "What this kernel is; always 1.");
    let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let (kernel, version) = (label(&status.kernel), label(&status.version));
    let _ = writeln!(out.0, "once_info{{kernel=\"{kernel}\",version=\"{version}\"}} 1");
    out.gauge("once_uptime_seconds", "How long the kernel has run.", status.uptime_ms as f64 / 1e3);
    out.gauge(
        "once_takes_writes",
        "1 if new work is taken, else 0.",
        f64::from(u8::from(status.takes_writes)),
    );
    out.gauge("once_quarantined", "1 in quarantine, else 0.", f64::from(u8::from(status.quarantined)));
    out.gauge("once_objects", "Objects here.", status.objects as f64);
    out.gauge("once_tombstones", "Tombstones of removed objects here.", status.tombstones as f64);
    out.gauge("once_scenarios_bytes", "What the scenarios take up together.", status.bytes as f64);
    out.gauge("once_conflicts", "Conflicts that wait for a decision.", status.conflicts as f64);
    out.gauge("once_peers", "Peers.", status.peers as f64);
    out.gauge("once_peers_connected", "Peers that are connected.", status.connected as f64);
    out.gauge("once_owed_scenarios", "Scenarios that are owed to peers.", status.owed as f64);
    out.gauge("once_waiting_actions", "Actions without an outcome.", status.waiting as f64);
    out.gauge("once_coordinations_in_doubt", "Coordinations in doubt.", status.in_doubt as f64);
    out.gauge("once_leaving_objects", "Objects that are about to leave.", status.moves.leaving as f64);
    out.gauge(
        "once_sealed_objects",
        "Of those, handed over and not accepted yet.",
        status.moves.sealed as f64,
    );
    out.gauge("once_live_objects", "Objects that are awake.", status.live.objects as f64);
    out.gauge("once_live_bytes", "What they take up, about.", status.live.bytes as f64);
    out.gauge("once_transfers", "Large scenarios that are on their way.", status.transfers.len() as f64);
    out.gauge(
        "once_unconfirmed_losses",
        "Losses of the journal that nobody confirmed.",
        status.losses.len() as f64,
    );
    if let Some(free) = status.disk_free_bytes {
        out.gauge("once_disk_free_bytes", "What is free on the disk of the data directory.", free as f64);
    }
    if let Some(used) = status.store_bytes {
        out.gauge("once_store_bytes", "What the store takes up.", used as f64);
    }
    out.counter("once_commits_total", "Commits of the data directory.", status.commit);
    out.counter("once_groups_total", "Groups of inputs that were committed.", status.groups);
    out.counter("once_synced_groups_total", "Groups whose commit waited for the disk.", status.synced_groups);
    out.counter("once_inputs_total", "Inputs of those groups.", status.inputs);
    out.counter("once_rows_written_total", "Rows that they wrote.", status.rows);
    out.counter("once_restored_total", "Objects that were woken.", status.live.restored);
    out.counter("once_hibernated_total", "Objects that went to rest.", status.live.hibernated);
    out.spread(
        "once_step_seconds",
        "How long an input took, its share of the commit included.",
        status.step_us.as_ref(),
    );
    out.spread("once_commit_seconds", "How long a commit took.", status.commit_us.as_ref());
    out.0
}
