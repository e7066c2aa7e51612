//! The two kernels of an engine row: one in the bench, one in a child process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use once::api::Client;
use once::{InitOptions, Kernel, KernelId, ObjectKey, Ticket};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::noise::Noise;
use crate::{Bench, Res};

/// The size of the scenarios in most rows, in bytes.
pub const SCENARIO_LEN: usize = 1024;

/// From the start of a kernel's process until it is ready.
const READY_MAX: Duration = Duration::from_secs(60);

/// From closing its standard input to its end: it writes its memtables out.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Makes a kernel in a folder, listening on loopback.
pub fn init(data: &Path, name: &str) -> Res<()> {
    let options = InitOptions { name: Some(name.into()), listen: Some("127.0.0.1:0".into()), relay: None };
    once::init(data, options)?;
    Ok(())
}

/// A scenario of this number, as long as asked, in the format that half of the real ones have.
pub fn scenario(noise: &Noise, number: u64, len: usize) -> String {
    let front = format!(
        "{{\n  \"ior\": {{\n    \"uuid\": \"{}\",\n    \"component\": \"Bench\",\n    \"version\": \"0.1\"\n  }},\n  \
         \"owner\": \"system\",\n  \"model\": {{\n    \"text\": \"",
        uuid(number)
    );
    let back = "\"\n  }\n}\n";
    let fill = len.saturating_sub(front.len() + back.len());
    let mut text = String::with_capacity(len);
    text.push_str(&front);
    while text.len() < front.len() + fill {
        let part = (front.len() + fill - text.len()).min(512 * 1024);
        text.push_str(std::str::from_utf8(noise.text(number, part)).unwrap_or_default());
    }
    text.push_str(back);
    text
}

/// The UUID that belongs to this number.
pub fn uuid(number: u64) -> String {
    let key: String = crate::noise::key(number, 16).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-8{}-{}", &key[..8], &key[8..12], &key[13..16], &key[17..20], &key[20..32])
}

/// Imports scenarios into a kernel, many at once.
pub async fn fill(kernel: &Kernel, numbers: std::ops::Range<u64>, len: usize) -> Res<Vec<ObjectKey>> {
    let noise = Noise::new();
    let mut under_way = FuturesUnordered::new();
    let mut keys = Vec::new();
    let mut waiting = numbers;
    loop {
        while under_way.len() < 512
            && let Some(number) = waiting.next()
        {
            let text = scenario(&noise, number, len);
            under_way.push(async move { kernel.import(text).await });
        }
        match under_way.next().await {
            Some(done) => keys.push(done?.0.key()),
            None => return Ok(keys),
        }
    }
}

/// A kernel with this many scenarios, made once in a run and then at rest.
pub async fn full(bench: &Bench, name: &str, count: u64) -> Res<PathBuf> {
    let data = bench.kept_dir(name);
    if !data.exists() {
        let new = bench.kept_dir(&format!("{name}.new"));
        init(&new, name)?;
        let kernel = Kernel::builder(&new).offline().start().await?;
        fill(&kernel, 0..count, SCENARIO_LEN).await?;
        kernel.stop().await?;
        std::fs::rename(&new, &data)?;
    }
    Ok(data)
}

/// Copies a data directory at rest.
pub fn copy(from: &Path, to: &Path) -> Res<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A kernel in a process of its own.
pub struct Other {
    process: Child,
    pub api: Client,
    ticket: String,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Other {
    /// Starts a kernel on a data directory, making it if there is none.
    pub async fn start(data: &Path) -> Res<Self> {
        let begun = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .args(["child", "kernel"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the child has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        timeout(READY_MAX, lines.next_line()).await??.ok_or("the kernel did not start")?;
        let ready_after = begun.elapsed();
        let api = Client::connect(data).await?.ok_or("the kernel has no socket")?;
        let invite = api.call("invite", json!({})).await?;
        let ticket = invite["ticket"].as_str().ok_or("no ticket")?.to_owned();
        Ok(Self { process, api, ticket, ready_after })
    }

    /// Becomes a peer of it; each may read everything of the other.
    pub async fn meet(&self, kernel: &Kernel) -> Res<KernelId> {
        let ticket: Ticket = self.ticket.parse()?;
        let peer = kernel.join(&ticket).await?;
        kernel.grant(peer, once::Right::Read).await?;
        let me = kernel.id().to_string();
        self.api.call("peers.set", json!({ "peer": me, "quota_bytes": u64::MAX >> 1 })).await?;
        self.api.call("grant", json!({ "peer": me, "right": "read" })).await?;
        Ok(peer)
    }

    /// Processor time that it has taken so far, in seconds.
    pub fn cpu_s(&self) -> Res<f64> {
        cpu_s(self.process.id().ok_or("the kernel's process has ended")?)
    }

    /// How often its threads have slept and woken.
    pub fn wakes(&self) -> Res<u64> {
        let pid = self.process.id().ok_or("the kernel's process has ended")?;
        let mut wakes = 0;
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            wakes += line.ok_or("no count of switches")?.trim().parse::<u64>()?;
        }
        Ok(wakes)
    }

    /// Resident memory in MiB.
    pub fn rss_mib(&self) -> Res<f64> {
        let pid = self.process.id().ok_or("the kernel's process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends the process with SIGKILL.
    pub async fn kill(mut self) -> Res<()> {
        self.process.kill().await?;
        Ok(())
    }

    /// Closes its standard input and waits for its clean end.
    pub async fn stop(mut self) -> Res<()> {
        drop(self.process.stdin.take());
        match timeout(STOP_MAX, self.process.wait()).await {
            Ok(ended) => match ended?.success() {
                true => Ok(()),
                false => Err("the kernel ended with an error".into()),
            },
            Err(_) => {
                self.process.kill().await?;
                Err("the kernel did not end by itself".into())
            }
        }
    }
}

/// Processor time that a process has taken so far, in user and kernel mode, all threads, in seconds.
pub fn cpu_s(pid: u32) -> Res<f64> {
    /// What `/proc` counts in, wherever Linux runs.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may hold blanks and brackets.
    let (_, fields) = stat.rsplit_once(')').ok_or("no times of the process")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The child's side.
pub async fn serve(data: &Path) -> Res<()> {
    if !once::is_initialised(data) {
        init(data, "other")?;
    }
    let kernel = Kernel::builder(data).start().await?;
    kernel.serve_api().await?;
    println!("ready");
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
        let _ = closed.send(());
    });
    tokio::select! {
        _ = wait => {}
        ended = kernel.stopped() => ended?,
    }
    kernel.stop().await?;
    Ok(())
}

/// A kernel in this process, on a fresh folder.
pub async fn mine(bench: &Bench, row: &str) -> Res<Kernel> {
    let data = bench.fresh_dir(row)?.join("mine");
    init(&data, "mine")?;
    Ok(Kernel::builder(&data).start().await?)
}
