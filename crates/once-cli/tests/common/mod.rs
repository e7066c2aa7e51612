//! A place of its own for each test: a home directory, data directories, and processes that end with it.
#![allow(dead_code)] // Each test file uses its part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const ONCE: &str = env!("CARGO_BIN_EXE_once");

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A home directory that nobody else uses.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("once-test-").tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file and says where.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `once` with nothing of the outside but PATH.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if program == ONCE {
            // As from a PATH: hints begin with the name that the program was called by.
            std::os::unix::process::CommandExt::arg0(&mut command, "once");
        }
        command.env_clear().env("HOME", self.path()).env("NO_COLOR", "1").current_dir(self.path());
        // Tests send nothing to the network that this machine is on.
        command.env("ONCE_NO_LAN", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null());
        command
    }

    /// Runs `once --data DATA ARGS` to its end.
    pub fn once(&self, data: &str, args: &[&str]) -> Ran {
        let output = self.command(ONCE).arg("--data").arg(self.join(data)).args(args).output().unwrap();
        Ran::new(args, output)
    }

    /// The same on a terminal that is so wide: stdout is one, and stderr another one.
    pub fn on_terminal(&self, width: u16, data: &str, args: &[&str]) -> Ran {
        let (out, err) = (Terminal::new(width), Terminal::new(width));
        let mut command = self.command(ONCE);
        // Not on the command line, else every hint would name a directory that is another one each time.
        command.env("ONCE_DATA", self.join(data)).args(args).stdout(out.end()).stderr(err.end());
        let mut child = command.spawn().unwrap();
        let ends = [&out, &err].map(|terminal| fs::File::from(terminal.theirs.try_clone().unwrap()));
        let waits = std::thread::spawn(move || {
            let status = child.wait().unwrap();
            for mut end in ends {
                std::io::Write::write_all(&mut end, &[Terminal::MARK]).unwrap();
            }
            status
        });
        let err = std::thread::spawn(move || err.read());
        let stdout = out.read().into_bytes();
        Ran::new(
            args,
            Output { status: waits.join().unwrap(), stdout, stderr: err.join().unwrap().into_bytes() },
        )
    }

    /// A kernel that does not run.
    pub fn init(&self, data: &str) -> &Self {
        self.once(data, &["init", "--name", data, "--listen", "127.0.0.1:0"]).exits(0);
        self
    }

    /// A kernel that runs.
    pub fn up(&self, data: &str) -> Daemon {
        if !self.join(data).exists() {
            self.init(data);
        }
        let log = fs::File::create(self.join(&format!("{data}.log"))).unwrap();
        let mut command = self.command(ONCE);
        command.arg("--data").arg(self.join(data)).args(["up", "--leash"]);
        let child =
            command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut daemon = Daemon(child);
        let begun = Instant::now();
        while self.once(data, &["status", "--json"]).json()["running"] != true {
            assert!(daemon.0.try_wait().unwrap().is_none(), "{}", self.log(data));
            assert!(begun.elapsed() < PATIENCE, "{}", self.log(data));
        }
        daemon
    }

    /// Stops a kernel that was started in the background when it is dropped, also when the test fails.
    pub fn stops<'a>(&'a self, data: &'a str) -> Stops<'a> {
        Stops(self, data)
    }

    pub fn log(&self, data: &str) -> String {
        fs::read_to_string(self.join(&format!("{data}.log"))).unwrap_or_default()
    }

    /// Two kernels that know each other.
    pub fn pair(&self) -> (Daemon, Daemon) {
        let (alice, bob) = (self.up("alice"), self.up("bob"));
        let ticket = self.once("alice", &["invite", "--name", "bob"]).exits(0).out;
        self.once("bob", &["join", ticket.trim(), "--name", "alice"]).exits(0);
        (alice, bob)
    }
}

/// A terminal without anybody in front of it.
struct Terminal {
    ours: std::os::fd::OwnedFd,
    theirs: std::os::fd::OwnedFd,
}

impl Terminal {
    fn new(width: u16) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let size = rustix::termios::Winsize { ws_row: 40, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&theirs, size).unwrap();
        Self { ours, theirs }
    }

    fn end(&self) -> Stdio {
        self.theirs.try_clone().unwrap().into()
    }

    /// Written behind all that a command prints.
    const MARK: u8 = 0x1e;

    /// Everything that is printed before the mark. A terminal whose other end is closed can lose what was printed last, so that
    /// end stays open until then.
    fn read(self) -> String {
        let mut file = std::io::BufReader::new(fs::File::from(self.ours));
        let mut read = Vec::new();
        std::io::BufRead::read_until(&mut file, Self::MARK, &mut read).unwrap();
        assert_eq!(read.pop(), Some(Self::MARK));
        drop(self.theirs);
        String::from_utf8(read).unwrap().replace("\r\n", "\n")
    }
}

/// A kernel in the background; stopped when dropped.
pub struct Stops<'a>(&'a Home, &'a str);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.once(self.1, &["stop"]);
    }
}

/// A kernel process; killed when dropped.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends, and says how.
    pub fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the kernel goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names from inside of the store: whatever a command says, it is none of them.
const RAW: [&str; 6] =
    ["ChecksumMismatch", "InvalidHeader", "InvalidTag", "LsmTree", "FjallError", "StoreError"];

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub what: String,
    pub exit: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn new(args: &[&str], output: Output) -> Self {
        let ran = Self {
            what: args.join(" "),
            exit: output.status.code(),
            out: without_data(&String::from_utf8(output.stdout).unwrap()),
            err: without_data(&String::from_utf8(output.stderr).unwrap()),
        };
        for raw in RAW {
            assert!(!ran.out.contains(raw) && !ran.err.contains(raw), "{raw} is no word for people: {ran:?}");
        }
        ran
    }

    #[track_caller]
    pub fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, Some(exit), "once {}\n{}{}", self.what, self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, what: &str) -> Self {
        assert!(self.err.contains(what), "once {}: no {what:?} in\n{}", self.what, self.err);
        self
    }

    #[track_caller]
    pub fn prints(self, what: &str) -> Self {
        assert!(self.out.contains(what), "once {}: no {what:?} in\n{}", self.what, self.out);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("once {}: {error}\n{}{}", self.what, self.out, self.err))
    }
}

/// Commands in a text as if no data directory had been named: `tests/hints.rs` looks at that.
fn without_data(text: &str) -> String {
    const NAMED: &str = "`once --data ";
    let mut parts = text.split(NAMED);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("`once ");
        out.push_str(part.split_once(' ').map_or(part, |(_, rest)| rest));
    }
    out
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The corpus of real scenarios, where it is there.
pub fn corpus() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = std::env::var_os("ONCE_CORPUS").map_or(default, PathBuf::from);
    if corpus.join("scenarios").is_dir() {
        return Some(corpus);
    }
    let required = std::env::var("ONCE_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "no corpus at {}, and ONCE_REQUIRE_ALL=1", corpus.display());
    println!("skipped: no corpus at {}", corpus.display());
    None
}

/// Every file below a folder, by the path from there.
pub fn files(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A scenario with a UUID that ends in these digits.
pub fn scenario(n: u32, name: &str) -> String {
    let uuid = format!("0a1b2c3d-0000-4000-8000-{n:012x}");
    let name = Value::from(name);
    format!(
        "{{\n  \"ior\": {{ \"uuid\": \"{uuid}\", \"component\": \"Note\", \"version\": \"1.0\" }},\n  \"owner\": \
         \"system\",\n  \"model\": {{ \"name\": {name}, \"exact\": 1.0, \"large\": 18446744073709551617 }}\n}}\n"
    )
}
