//! Objects at rest: what it costs to hold many of them, and to act on one that nobody has touched since the start.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::{Ior, Kernel};

use super::acts::{add_one, counter};
use super::kernels::{self, Other};
use super::{MANY, Measured, WARM_UP, millis, nanos};
use crate::noise::Noise;
use crate::rounds::{self, Latency};
use crate::{Bench, Res};

const RESTORED: usize = 2_000;
const CREATES_AT_ONCE: usize = 512;

/// Long enough for what a start leaves behind to be done.
const SETTLED: Duration = Duration::from_secs(2);

/// First and second action on the same objects.
pub struct Restored {
    pub cold: Latency,
    pub warm: Latency,
}

impl Restored {
    /// What the first one costs more at p50, in microseconds.
    pub fn added_us(&self) -> f64 {
        let p50 = |times: &Latency| times.value_at_quantile(0.5) as f64 / 1e3;
        p50(&self.cold) - p50(&self.warm)
    }
}

/// A kernel that is the home of so many objects, made once in a run and then at rest. Beside it lies a list of them:
/// asking the kernel would touch them.
async fn home(bench: &Bench, count: usize) -> Res<PathBuf> {
    let data = bench.kept_dir(&format!("home-{count}"));
    if !data.exists() {
        let new = bench.kept_dir(&format!("home-{count}.new"));
        kernels::init(&new, "mine")?;
        let kernel = Kernel::builder(&new).offline().start().await?;
        fill(&kernel, count, &list(&data)).await?;
        kernel.stop().await?;
        std::fs::rename(&new, &data)?;
    }
    Ok(data)
}

/// Where the IORs of a kernel's objects are, one in a line.
fn list(data: &Path) -> PathBuf {
    data.with_extension("iors")
}

async fn fill(kernel: &Kernel, count: usize, list: &Path) -> Res<()> {
    let noise = Noise::new();
    let mut list = BufWriter::new(File::create(list)?);
    let mut under_way = FuturesUnordered::new();
    let mut waiting = 0..count as u64;
    loop {
        while under_way.len() < CREATES_AT_ONCE
            && let Some(number) = waiting.next()
        {
            under_way.push(kernel.create(counter(&noise, number)?));
        }
        match under_way.next().await {
            Some(made) => writeln!(list, "{}", made?.0.ior(&[]).as_str())?,
            None => return Ok(list.flush()?),
        }
    }
}

/// Acts twice on each of many objects that nobody has touched since the kernel started.
pub async fn restore(bench: &Bench) -> Measured<Restored> {
    /// Each round takes objects that no round before has touched.
    static TOUCHED: AtomicUsize = AtomicUsize::new(0);
    let data = home(bench, bench.scaled(MANY)).await?;
    let count = WARM_UP + bench.scaled(RESTORED);
    let from = TOUCHED.fetch_add(count, Ordering::Relaxed);
    let all = std::fs::read_to_string(list(&data))?;
    let iors: Vec<Ior> = all.lines().skip(from).take(count).map(Ior::parse).collect::<Result<_, _>>()?;
    if iors.len() < count {
        return Err("too many rounds: all objects have been touched".into());
    }
    let kernel = Kernel::builder(&data).offline().start().await?;
    let (mut cold, mut warm) = (rounds::latency()?, rounds::latency()?);
    for (n, ior) in iors.iter().enumerate() {
        for (expected, times) in [(1, &mut cold), (2, &mut warm)] {
            let begun = Instant::now();
            let count = add_one(&kernel, ior).await?;
            let took = begun.elapsed();
            if count != expected {
                return Err(format!("action {expected} found a counter at {count}").into());
            }
            if n >= WARM_UP {
                times.saturating_record(nanos(took));
            }
        }
    }
    kernel.stop().await?;
    Ok(Some(Restored { cold, warm }))
}

/// Milliseconds from starting a kernel process that is the home of so many objects until it is ready.
pub async fn start_ms(bench: &Bench, objects: usize) -> Measured<f64> {
    let data = home(bench, bench.scaled(objects)).await?;
    let other = Other::start(&data).await?;
    let ready = millis(other.ready_after);
    other.stop().await?;
    Ok(Some(ready))
}

/// Resident memory of such a process once it has started, in MiB.
pub async fn rss_mib(bench: &Bench, objects: usize) -> Measured<f64> {
    let data = home(bench, bench.scaled(objects)).await?;
    let other = Other::start(&data).await?;
    tokio::time::sleep(SETTLED).await;
    let rss = other.rss_mib()?;
    other.stop().await?;
    Ok(Some(rss))
}
