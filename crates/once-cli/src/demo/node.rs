//! A kernel in a process of its own, which ends with this value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use once::api::Client;
use once::api::contract::{Hello, Method, Status, Stop};

use crate::failure::{Done, Failure, plain};
use crate::ui;

/// How long a kernel may take until it answers.
const READY_MAX: Duration = Duration::from_secs(30);
const READY_STEP: Duration = Duration::from_millis(2);

/// How long a kernel may take to stop cleanly before it is killed.
const STOP_MAX: Duration = Duration::from_secs(20);

/// How much of a kernel's log is shown when it does not start.
const LOG_MAX_LINES: usize = 6;

/// A kernel process.
pub struct Node {
    /// What it is called.
    pub name: &'static str,
    /// Its kernel id.
    pub kernel: String,
    /// Its data directory.
    pub data: PathBuf,
    /// Where it listens.
    pub address: String,
    child: Child,
    client: Client,
}

impl Node {
    /// Makes a kernel below `folder` and starts it.
    pub async fn start(name: &'static str, folder: &Path) -> Done<Self> {
        let data = folder.join(name);
        // The port that is free now is kept for its later lives.
        let child = spawn(&data, &["--init", "--name", name, "--listen", "127.0.0.1:0"])?;
        let mut child = Guard(Some(child));
        let client = ready(&data, child.get()?).await?;
        let status = client.ask(Status {}).await?;
        let (kernel, address) = (status.kernel, status.addresses.into_iter().next().unwrap_or_default());
        let child = child.0.take().ok_or_else(|| Failure::fault("no process"))?;
        Ok(Self { name, kernel, data, address, child, client })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Calls a method of its API.
    pub async fn ask<M: Method>(&self, params: M) -> Done<M::Result> {
        self.client.ask(params).await.map_err(|error| {
            let failure = Failure::from(error);
            Failure { message: format!("{}: {}: {}", self.name, M::NAME, failure.message), ..failure }
        })
    }

    /// The connection that calls go over.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens another connection to it.
    pub async fn connect(&self) -> Done<Client> {
        let client = Client::connect(&self.data).await?;
        client.ok_or_else(|| Failure::failed(format!("{} does not answer", self.name)))
    }

    /// SIGKILL: no time to say goodbye.
    pub fn kill(&mut self) -> Done<()> {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        ended
            .map(drop)
            .map_err(|error| Failure::failed(format!("cannot kill {}: {}", self.name, plain(&error))))
    }

    /// Whether the process has ended by itself, or was killed by someone else.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it answers within a time.
    pub async fn answers(&self, within: Duration) -> bool {
        let hello = self.client.ask(Hello {});
        tokio::time::timeout(within, hello).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Starts it again on its data directory, after its process has ended. Says how long that took.
    pub async fn restart(&mut self) -> Done<Duration> {
        let begun = Instant::now();
        self.child = spawn(&self.data, &[])?;
        self.client = ready(&self.data, &mut self.child).await?;
        Ok(begun.elapsed())
    }

    /// Stops it cleanly, or at least ends it.
    pub async fn stop(&mut self) {
        // Whether it heard or not: what counts is that the process ends.
        let _ = tokio::time::timeout(STOP_MAX, self.client.ask(Stop {})).await;
        let begun = Instant::now();
        while !self.has_ended() && begun.elapsed() < STOP_MAX {
            tokio::time::sleep(READY_STEP).await;
        }
        let _ = self.kill();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a process that no node owns yet.
struct Guard(Option<Child>);

impl Guard {
    fn get(&mut self) -> Done<&mut Child> {
        self.0.as_mut().ok_or_else(|| Failure::fault("no process"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn log(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// The kernel stops when our end of its stdin closes, however we end. It has a process group of its own, so that Ctrl-C
/// reaches only us.
fn spawn(data: &Path, options: &[&str]) -> Done<Child> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start a kernel: {}", plain(&error)));
    let log = File::options().create(true).append(true).open(log(data)).map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("--data").arg(data).args(["up", "--leash", "--no-lan"]).args(options);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(failed)
}

async fn ready(data: &Path, child: &mut Child) -> Done<Client> {
    let begun = Instant::now();
    loop {
        if let Ok(Some(client)) = Client::connect(data).await {
            return Ok(client);
        }
        let ended = !matches!(child.try_wait(), Ok(None));
        if ended || begun.elapsed() > READY_MAX {
            let said = std::fs::read_to_string(log(data)).unwrap_or_default();
            let lines: Vec<_> =
                said.lines().rev().take(LOG_MAX_LINES).map(|line| ui::capped(line, 200)).collect();
            let said: Vec<_> = lines.into_iter().rev().collect();
            let what = if ended { "ended instead of starting" } else { "does not answer" };
            return Err(Failure::failed(format!("a kernel {what}: {}", said.join(" / "))));
        }
        tokio::time::sleep(READY_STEP).await;
    }
}
