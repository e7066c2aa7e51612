//! Real processes: a place for their data, daemons that end with the test, and a client of their local API.

#![allow(dead_code)] // Each test file uses its part.

pub mod acts;
pub mod trace;
pub mod wire;

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use once::ErrorKind;
use once::api::contract::ErrorInfo;
use once::api::{ApiError, Client};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary under test.
pub const ONCE: &str = env!("CARGO_BIN_EXE_once");

/// Long enough for any machine; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a story, and fails if it hangs.
pub fn story(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(900), run).await.expect("the story hangs");
    });
}

/// How much more to do than on a developer's machine. CI sets 4.
pub fn scale() -> usize {
    std::env::var("ONCE_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Says that a test could not run. Fails where everything must.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
    assert!(
        std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"),
        "ONCE_REQUIRE_ALL=1, but skipped: {reason}"
    );
}

/// Polls until it answers `Some`; fails if it never does.
pub async fn until<T>(what: &str, mut so: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = so().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A directory that is gone afterwards.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        // A socket's path has at most about 100 bytes.
        Self(tempfile::Builder::new().prefix("once-").tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `once --data NAME ARGS`, within `wrap` (`strace …`, `ip netns exec …`).
    pub fn command(&self, wrap: &[&str], name: &str, args: &[&str]) -> Command {
        let mut words = wrap.iter().copied().chain([ONCE]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--data").arg(self.data(name)).args(args);
        command.env("HOME", self.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        // Tests send nothing to the network that this machine is on.
        command.env("ONCE_NO_LAN", "1");
        command
    }

    /// Runs a command to its end: exit code and everything it said.
    pub fn once(&self, name: &str, args: &[&str]) -> (i32, String) {
        let output = self.command(&[], name, args).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Makes a kernel that listens on loopback.
    pub fn init(&self, name: &str) {
        self.init_at(name, "127.0.0.1:0");
    }

    pub fn init_at(&self, name: &str, listen: &str) {
        let (code, said) = self.once(name, &["init", "--name", name, "--listen", listen]);
        assert_eq!(code, 0, "{said}");
    }

    /// Starts a kernel and waits until it answers.
    pub async fn up(&self, name: &str) -> Daemon {
        self.up_in(&[], name).await
    }

    pub async fn up_in(&self, wrap: &[&str], name: &str) -> Daemon {
        let mut daemon = self.spawn(wrap, name);
        daemon.api = Some(
            until("the kernel answers", async || {
                if let Some(status) = daemon.child.try_wait().unwrap() {
                    panic!("{name} ended with {status}:\n{}", daemon.log());
                }
                Client::connect(&daemon.data).await.ok().flatten()
            })
            .await,
        );
        daemon
    }

    /// Starts a kernel that may not come up.
    pub fn spawn(&self, wrap: &[&str], name: &str) -> Daemon {
        let log = self.path().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(wrap, name, &["up", "--leash"]);
        if std::env::var_os("ONCE_LOG").is_none() {
            command.env("ONCE_LOG", "warn,once=debug");
        }
        let command = command.stdin(Stdio::piped()).stdout(file.try_clone().unwrap()).stderr(file);
        Daemon { child: command.spawn().unwrap(), data: self.data(name), log, api: None }
    }

    /// Two kernels that are peers and may read everything of each other; bob is called `bob` by alice and so on.
    pub async fn pair(&self) -> (Daemon, Daemon) {
        for name in ["alice", "bob"] {
            self.init(name);
        }
        let (alice, bob) = (self.up("alice").await, self.up("bob").await);
        befriend(&alice, &bob).await;
        (alice, bob)
    }
}

/// Makes two running kernels peers who may read everything of each other.
pub async fn befriend(alice: &Daemon, bob: &Daemon) {
    let ticket = alice.call("invite", json!({ "name": "bob" })).await.unwrap();
    bob.call("join", json!({ "ticket": ticket["ticket"], "name": "alice", "timeout_ms": 60_000 }))
        .await
        .unwrap();
    for (from, to) in [(alice, "bob"), (bob, "alice")] {
        from.call("grant", json!({ "peer": to, "right": "read" })).await.unwrap();
    }
}

/// A running kernel. It ends with this value, however that goes.
pub struct Daemon {
    child: Child,
    pub data: PathBuf,
    log: PathBuf,
    api: Option<Client>,
}

impl Daemon {
    pub fn api(&self) -> &Client {
        self.api.as_ref().expect("it was waited for")
    }

    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ApiError> {
        self.api().call(method, params).await
    }

    pub async fn status(&self) -> Value {
        self.call("status", json!({})).await.unwrap()
    }

    pub async fn objects(&self) -> u64 {
        self.status().await["objects"].as_u64().unwrap()
    }

    /// What it says of its only peer.
    pub async fn peer(&self) -> Value {
        self.call("peers", json!({})).await.unwrap()["peers"][0].clone()
    }

    /// Whether `doctor` finds nothing wrong with its key: however often connections were made anew.
    pub async fn key_is_used_once(&self) -> bool {
        let checks = self.call("doctor", json!({})).await.unwrap();
        let found = checks["checks"].as_array().unwrap().iter().find(|check| check["check"] == "quarantine");
        found.unwrap()["ok"] == true
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal to its process, by the name that `kill` knows.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGTERM to the kernel itself, also under a tracer; how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        let pid = self.status().await["pid"].to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the kernel ends", async || self.child.try_wait().unwrap()).await
    }

    /// Imports one scenario: its name at the API.
    pub async fn import(&self, text: &str) -> Result<String, ApiError> {
        let done = self.call("import", json!({ "scenarios": [{ "text": text }] })).await?;
        let result = &done["results"][0];
        match result.get("error") {
            Some(error) => Err(serde_json::from_value::<ErrorInfo>(error.clone()).unwrap().into()),
            None => Ok(result["object"]["key"].as_str().unwrap().to_owned()),
        }
    }

    /// Imports many at once: their names, in the same order.
    pub async fn import_all(&self, texts: &[String]) -> Vec<String> {
        let mut keys = Vec::new();
        for texts in texts.chunks(100) {
            let scenarios: Vec<_> = texts.iter().map(|text| json!({ "text": text })).collect();
            let done = self.call("import", json!({ "scenarios": scenarios })).await.unwrap();
            let results = done["results"].as_array().unwrap();
            keys.extend(results.iter().map(|result| result["object"]["key"].as_str().unwrap().to_owned()));
        }
        keys
    }

    pub async fn share(&self, key: &str, to: &str, delivered: bool) -> Result<Value, ApiError> {
        self.call("share", json!({ "objects": [key], "to": to, "delivered": delivered })).await
    }

    /// The scenario's bytes; `None` if it is not there.
    pub async fn text(&self, key: &str) -> Option<String> {
        match self.call("get", json!({ "object": key })).await {
            Ok(found) => found["text"].as_str().map(str::to_owned),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Fails unless each of these is there, byte for byte.
    pub async fn has_all(&self, expected: &BTreeMap<String, String>) {
        for (key, text) in expected {
            assert_eq!(self.text(key).await.as_deref(), Some(text.as_str()), "{key}");
        }
    }

    /// Waits until it has that many, then compares each.
    pub async fn gets_all(&self, expected: &BTreeMap<String, String>) {
        until("everything arrives", async || (self.objects().await >= expected.len() as u64).then_some(()))
            .await;
        self.has_all(expected).await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// A realistic scenario with its own UUID and oddities that must survive; from 200 bytes to 20 KB.
pub fn scenario(n: usize) -> String {
    let padding = "ä".repeat(n * 7919 % 97 * 100);
    format!(
        r#"{{ "ior": {{"uuid": "{n:08x}-0c5e-4a6b-9d7f-3b1a0f9e8d7c", "component": "Unit", "version": "0.3"}},
	"owner": "system", "model": {{"name": "unit {n}", "big": 12345678901234567890, "zero": 0.0, "e": 1E+2, "n": null,
	"same": 1, "same": 2, "text": "{padding}"}} }}
"#
    )
}
