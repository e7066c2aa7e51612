//! The engine's rows. Each function measures one round and returns `None` while the engine cannot do it yet: a row
//! without a measurement stays absent from the report, there are no stand-in figures.
//!
//! Two processes as in the yardsticks: the bench is one kernel, `child::Part` gets a variant for the other.
//! Counts go through `bench.scaled`, data into `bench.fresh_dir`, scenario bodies come from `noise::Noise` (the same
//! text that the bare store writes).

use std::path::PathBuf;

use crate::rounds::Latency;
use crate::yard::store::{Plan, RowShape};
use crate::{Bench, Res};

/// `None`: the engine cannot do this yet.
pub type Measured<T> = Res<Option<T>>;

/// Request of a 1 KiB scenario, one in flight. Beside: bare echo.
pub async fn request_p50(_bench: &Bench) -> Measured<Latency> {
    Ok(None)
}

/// Share of a 1 KiB scenario until it is acknowledged after the receiver's sync, one in flight. Beside: bare durable echo.
pub async fn share_p50(_bench: &Bench) -> Measured<Latency> {
    Ok(None)
}

/// Shares acknowledged per second with 256 in flight, long enough to span memtable flushes. Beside: bare store with `share_plan`.
pub async fn share_rate(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// Scenarios per second when `exchange_plan().items` of 1 KiB go into an empty kernel. Beside: bare store with `exchange_plan`.
pub async fn exchange_all(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// Bytes on the wire, both directions, when 10 of 100,000 differ between kernels that got them from a third and never spoke.
pub async fn exchange_delta_bytes(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// One scenario of 64 MiB, in megabytes (10^6) per second. Beside: bare bulk.
pub async fn bulk(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// How many of 100 scenarios of 64 MiB in a row broke the connection. Once per run.
pub async fn bulk_broken(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// Milliseconds from starting a kernel process that holds this many scenarios until it is ready.
pub async fn start_ms(_bench: &Bench, _scenarios: usize) -> Measured<f64> {
    Ok(None)
}

/// The same with 100,000 scenarios after SIGKILL.
pub async fn start_after_kill_ms(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// Resident memory of a fresh idle kernel process, in MiB. Once per run.
pub async fn rss_idle_mib(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// Resident memory 60 s after the exchange of 100,000, in MiB. Once per run.
pub async fn rss_after_mib(_bench: &Bench) -> Measured<f64> {
    Ok(None)
}

/// The binary `once`: the one beside this executable.
pub fn binary() -> Measured<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(format!("once{}", std::env::consts::EXE_SUFFIX));
    Ok(beside.exists().then_some(beside))
}

/// The rows that one share writes, those of both processes counted, and how many shares meet in one group.
///
/// PROVISIONAL until `docs/store.md` is there: outbox row at the sender, put and removed; header, body, index and
/// lane mark at the receiver. To be replaced by what the engine was seen to write.
pub fn share_plan(bench: &Bench) -> Plan {
    let rows = vec![
        row("outbox", 48, 160).removed(),
        row("objects", 48, 300),
        row("bodies", 32, 1024).apart(),
        row("index", 64, 40),
        row("marks", 48, 40),
    ];
    Plan { rows, items_per_commit: 64, items: bench.scaled(50_000) }
}

/// The rows that one scenario writes in an exchange into an empty kernel. PROVISIONAL as above.
pub fn exchange_plan(bench: &Bench) -> Plan {
    let rows = vec![row("objects", 48, 300), row("bodies", 32, 1024).apart(), row("index", 64, 40)];
    Plan { rows, items_per_commit: 256, items: bench.scaled(100_000) }
}

fn row(keyspace: &'static str, key_len: usize, value_len: usize) -> RowShape {
    RowShape { keyspace, key_len, value_len, apart: false, removed: false }
}

impl RowShape {
    fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    fn removed(self) -> Self {
        Self { removed: true, ..self }
    }
}
