//! A kernel that runs out of what the system gives it, and has it again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::os::unix::net::UnixStream;
use std::process::Stdio;

use common::{Daemon, Home, ONCE, until};

/// A kernel that may open so many files.
fn up_with_files(home: &Home, files: u32) -> Daemon {
    home.init("alice");
    let log = std::fs::File::create(home.join("alice.log")).unwrap();
    let mut command = home.command("sh");
    let script = format!("ulimit -n {files} && exec \"$0\" --data \"$1\" up --leash");
    command.args(["-c", &script, ONCE]).arg(home.join("alice"));
    command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    let daemon = Daemon(command.spawn().unwrap());
    until("the kernel runs", || home.once("alice", &["status", "--json"]).json()["running"] == true);
    daemon
}

#[test]
fn the_local_api_outlives_running_out_of_files_and_lets_one_more_call_in() {
    let home = Home::new();
    let mut daemon = up_with_files(&home, 64);
    let socket = home.join("alice/api.sock");
    // More than it may open, again and again; as long as they are there, and after that.
    for _ in 0..3 {
        let crowd: Vec<_> = (0..100).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
        assert!(crowd.len() > 64, "{}", crowd.len());
        home.once("alice", &["status"]).exits(0).prints("yes for");
        drop(crowd);
        home.once("alice", &["status"]).exits(0).prints("yes for");
    }
    assert!(home.log("alice").matches("cannot accept").count() <= 1, "said once: {}", home.log("alice"));
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn who_only_listens_does_not_keep_others_out() {
    use std::io::{BufRead, BufReader, Write};
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
        if line.contains("\"result\":true") {
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
