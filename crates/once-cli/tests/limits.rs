//! A kernel that runs out of what the system gives it, and has it again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use common::{Daemon, Home, ONCE, until};

/// A kernel that may open so many files.
fn up_with_files(home: &Home, files: u64) -> Daemon {
    home.init("alice");
    start_with_files(home, files)
}

fn start_with_files(home: &Home, files: u64) -> Daemon {
    let log = std::fs::File::create(home.join("alice.log")).unwrap();
    let mut command = home.command("sh");
    let script = format!("ulimit -n {files} && exec \"$0\" --data \"$1\" up --leash");
    command.args(["-c", &script, ONCE]).arg(home.join("alice"));
    command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    let daemon = Daemon(command.spawn().unwrap());
    until("the kernel runs", || home.once("alice", &["status", "--json"]).json()["running"] == true);
    daemon
}

/// What a kernel may open that runs out of it when the test says so.
const FILES: u64 = 1024;

/// The numbers of the files that a process has open.
fn open_files(daemon: &Daemon) -> BTreeSet<u64> {
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", daemon.0.id())).unwrap();
    numbers.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Connections until no number is free between those that the kernel uses: below that it can open nothing more.
fn fill(daemon: &Daemon, socket: &Path) -> Vec<Connection> {
    let mut connections = Vec::new();
    loop {
        let mut connection = Connection::new(socket);
        assert!(connection.call("hello", "{}").contains("\"result\":"));
        connections.push(connection);
        let open = open_files(daemon);
        if open.last().is_some_and(|last| *last + 1 == open.len() as u64) {
            return connections;
        }
    }
}

/// From now on a process may open so many files.
fn may_open(daemon: &Daemon, files: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(i32::try_from(daemon.0.id()).unwrap());
    let limit = Rlimit { current: Some(files), maximum: Some(FILES) };
    prlimit(Some(pid.unwrap()), Resource::Nofile, limit).unwrap();
}

/// One connection to the local API.
struct Connection {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Connection {
    fn new(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    /// What a method answers, whole.
    fn call(&mut self, method: &str, params: &str) -> String {
        let call = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
        self.stream.write_all(call.as_bytes()).unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn a_crowd_on_the_local_api_takes_its_own_places_and_lets_one_more_call_in() {
    let home = Home::new();
    let mut daemon = up_with_files(&home, 128);
    let socket = home.join("alice/api.sock");
    // More than it may open, again and again; as long as they are there, and after that.
    for _ in 0..3 {
        let crowd: Vec<_> = (0..200).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
        assert!(crowd.len() > 128, "{}", crowd.len());
        home.once("alice", &["status"]).exits(0).prints("yes for");
        drop(crowd);
        home.once("alice", &["status"]).exits(0).prints("yes for");
    }
    assert!(!home.log("alice").contains("cannot accept"), "there was always one more: {}", home.log("alice"));
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn a_kernel_that_can_open_no_other_file_answers_goes_on_and_stops() {
    let home = Home::new();
    let mut daemon = up_with_files(&home, FILES);
    let socket = home.join("alice/api.sock");
    let note = home.file("note.json", common::scenario(7, "note"));
    home.once("alice", &["import", note.to_str().unwrap()]).exits(0);
    let found = home.once("alice", &["ls", "--json"]).json();
    let key = found["objects"][0]["key"].as_str().unwrap();
    let uuid = &format!("{{\"object\":\"{key}\"}}");
    let mut crowd = fill(&daemon, &socket);
    let full = open_files(&daemon).len() as u64;
    let connection = crowd.last_mut().unwrap();
    let calls = [
        ("status", "{}"),
        ("doctor", "{}"),
        ("survey", "{}"),
        ("list", "{}"),
        ("get", uuid),
        ("refs", uuid),
        ("history", uuid),
        ("conflicts", "{}"),
        ("outbox", "{}"),
        ("follows", "{}"),
        ("peers", "{}"),
        ("grants", "{}"),
        ("invite", "{}"),
        ("invites", "{}"),
        ("quarantine", "{}"),
        ("create", r#"{"component":"Note"}"#),
    ];
    for round in 0..2 {
        may_open(&daemon, full);
        for (method, params) in calls {
            let answer = connection.call(method, params);
            assert!(answer.contains("\"result\":"), "{round}: {method}: {answer}");
        }
        assert!(connection.call("status", "{}").contains("\"losses\":[]"));
        // Places are kept for more callers.
        home.once("alice", &["status"]).exits(0).prints("yes for");
        may_open(&daemon, FILES);
        home.once("alice", &["status"]).exits(0).prints("yes for");
    }
    assert!(home.log("alice").matches("cannot accept").count() <= 1, "said once: {}", home.log("alice"));
    may_open(&daemon, full);
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0));
    home.once("alice", &["doctor", "--all"]).prints("3 objects were read");
}

#[test]
fn a_row_in_a_file_that_cannot_be_opened_ends_nothing() {
    let home = Home::new();
    let mut daemon = up_with_files(&home, FILES);
    let socket = home.join("alice/api.sock");
    // Long enough to lie in a file of its own, which nobody has read since the start.
    let long = "x".repeat(4000);
    let note = home.file("note.json", common::scenario(8, &long));
    home.once("alice", &["import", note.to_str().unwrap()]).exits(0);
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0));
    let mut daemon = start_with_files(&home, FILES);
    let uuid = r#"{"object":"0a1b2c3d-0000-4000-8000-000000000008"}"#;
    let act =
        r#"{"object":"0a1b2c3d-0000-4000-8000-000000000008","name":"merge","arguments":{"name":"short"}}"#;
    let mut crowd = fill(&daemon, &socket);
    may_open(&daemon, open_files(&daemon).len() as u64);
    let connection = crowd.last_mut().unwrap();
    for _ in 0..2 {
        let answer = connection.call("get", uuid);
        assert!(answer.contains("\"out-of-files\""), "{answer}");
        let answer = connection.call("act", act);
        assert!(answer.contains("\"out-of-files\""), "nothing was written: {answer}");
        assert!(connection.call("status", "{}").contains("\"result\":"));
    }
    may_open(&daemon, FILES);
    until("it takes writes again", || connection.call("status", "{}").contains("\"takes_writes\":true"));
    assert!(connection.call("get", uuid).contains(&long));
    let answer = connection.call("act", act);
    assert!(answer.contains("\"done\""), "{answer}");
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0), "{}", home.log("alice"));
    assert!(!home.log("alice").contains("the engine stops"));
}

#[test]
fn who_only_listens_does_not_keep_others_out() {
    let home = Home::new();
    let mut daemon = up_with_files(&home, 256);
    let socket = home.join("alice/api.sock");
    // Until there is no place but for a call.
    let mut crowd = Vec::new();
    let refused = loop {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"listen\"}\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        if line.contains("\"result\":{") {
            crowd.push(stream);
            assert!(crowd.len() < 256);
        } else {
            break line;
        }
    };
    assert!(refused.contains("\"quota\"") && crowd.len() >= 15, "{refused} after {}", crowd.len());
    home.once("alice", &["status"]).exits(0).prints("yes for");
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0));
}

/// A disk that is so large, and is gone when it is dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    /// `None`, and said so, where this user may not mount.
    fn new(home: &Home, mib: u32) -> Option<Self> {
        let path = home.join("disk");
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={mib}m,mode=700");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "once-test"]).arg(&path);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        println!("skipped: no root, so no small file system");
        assert!(std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"), "ONCE_REQUIRE_ALL=1, but skipped");
        None
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 64 * 1024]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_everything_that_only_reads_goes_on_whether_the_kernel_runs_or_not() {
    let home = Home::new();
    let Some(disk) = Disk::new(&home, 300) else { return };
    let data = "disk/alice";
    home.once(data, &["init", "--name", "alice", "--listen", "127.0.0.1:0"]).exits(0);
    let note = home.file("note.json", common::scenario(8, "x"));
    home.once(data, &["import", note.to_str().unwrap()]).exits(0);
    disk.fill();
    let look = || {
        for args in [&["ls"][..], &["show", "0a1b"], &["outbox"], &["dead-letters"], &["status"], &["find"]] {
            home.once(data, args).exits(0);
        }
        // The disk is named as what is wrong, and the rest is looked at.
        let ran =
            home.once(data, &["doctor"]).exits(1).prints("new work is refused").prints("objects were read");
        assert!(!ran.out.contains("\u{2717} kernel"), "{}", ran.out);
        // An action that only looks is written down like all others, and the hint says so.
        let ran = home.once(data, &["act", "0a1b", "get"]).exits(3);
        assert!(ran.err.contains("nearly full") && ran.err.contains("each is written down"), "{}", ran.err);
    };
    look();
    let log = std::fs::File::create(home.join("alice.log")).unwrap();
    let mut command = home.command(ONCE);
    command.arg("--data").arg(home.join(data)).args(["up", "--leash"]);
    command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut daemon = Daemon(command.spawn().unwrap());
    until("the kernel runs", || home.once(data, &["status", "--json"]).json()["running"] == true);
    look();
    home.once(data, &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0), "{}", home.log("alice"));
}

#[test]
fn a_kernel_that_has_no_room_to_begin_leaves_nothing_behind() {
    let home = Home::new();
    let Some(disk) = Disk::new(&home, 8) else { return };
    std::fs::create_dir(disk.0.join("empty")).unwrap();
    for name in ["disk/new/deep", "disk/empty"] {
        let ran = home.once(name, &["init", "--name", "alice"]).exits(3);
        assert!(ran.err.contains("the disk is full") && ran.err.contains("MiB are free"), "{}", ran.err);
    }
    assert!(!disk.0.join("new").exists(), "what was not there is not there");
    assert_eq!(std::fs::read_dir(disk.0.join("empty")).unwrap().count(), 0, "what was empty is empty");
    // And with room it is a place for a kernel.
    let mut mount = std::process::Command::new("mount");
    mount.args(["-o", "remount,size=200m"]).arg(&disk.0);
    assert!(mount.status().unwrap().success());
    home.once("disk/empty", &["init", "--name", "alice"]).exits(0);
}
