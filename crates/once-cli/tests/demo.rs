//! `once demo`: the verdict is true, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Home, ONCE, Ran, until};
use serde_json::Value;

fn demo(home: &Home) -> Command {
    let mut command = home.command(ONCE);
    command.arg("demo").env("TMPDIR", home.path());
    command
}

/// No process and no file of it is left.
#[track_caller]
fn left_nothing(home: &Home) {
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let left: Vec<_> =
        left.into_iter().filter(|name| name.to_string_lossy().starts_with("once-demo-")).collect();
    assert!(left.is_empty(), "{left:?}");
    until("its processes end", || !someone_uses(home));
}

/// Whether a process has the directory in its command line.
fn someone_uses(home: &Home) -> bool {
    let marker = home.path().to_string_lossy().into_owned();
    let lines = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    String::from_utf8_lossy(&lines.stdout)
        .lines()
        .any(|line| line.contains(&marker) && line.contains("--leash"))
}

#[test]
fn the_demo_moves_everything_and_says_so() {
    let home = Home::new();
    let ran = Ran::new(&["demo"], demo(&home).arg("--json").output().unwrap()).exits(0);
    let report: Value = ran.json();
    assert_eq!(report["verdict"], "ok");
    assert!(report["scenarios"].as_u64() >= Some(200), "{report}");
    let none_or_few =
        [("lost", 0), ("changed", 10), ("moves", 12), ("broken", 0), ("doubled", 0), ("act_lost", 0)];
    for (name, expected) in none_or_few {
        assert_eq!(report[name], expected, "{name}: {report}");
    }
    // Seven while they exchange and act; at least half of the traveller's legs see another.
    assert!(report["kills"].as_u64() >= Some(7 + 6), "{report}");
    assert_eq!(report["distinct_ids"], report["effects"], "{report}");
    assert_eq!(report["moved_actions"], report["moved_effects"], "{report}");
    assert!(report["actions"].as_u64() > report["distinct_ids"].as_u64(), "{report}");
    for name in ["p50", "p99", "p999", "max"] {
        assert!(report["latency_us"][name].as_u64() > Some(0), "{report}");
        assert!(report["act_latency_us"][name].as_u64() > Some(0), "{report}");
    }
    for name in ["bytes", "per_second", "delta_wire_bytes", "effects", "moved_effects"] {
        assert!(report[name].as_u64() > Some(0), "{report}");
    }
    left_nothing(&home);
}

#[test]
fn a_flipped_byte_is_a_failure() {
    let home = Home::new();
    let output = demo(&home).arg("--json").env("ONCE_DEMO_DAMAGE", "1").output().unwrap();
    let ran = Ran::new(&["demo"], output).exits(1);
    assert_eq!(ran.json()["verdict"], "failed", "{}", ran.out);
    // Where the disk is almost full a kernel stops with its journal alone, and the damage there keeps it from starting.
    let refused = ran.json()["reason"].as_str().is_some_and(|why| why.contains("noticed the damage"));
    assert!(refused || ran.json()["lost"].as_u64() > Some(0), "{}", ran.out);
    left_nothing(&home);
}

#[test]
fn a_folder_without_scenarios_is_said() {
    let home = Home::new();
    home.file("in/broken.json", "<<<<<<< HEAD\n");
    let ran = Ran::new(&["demo"], demo(&home).args(["in", "--json"]).output().unwrap()).exits(1);
    assert_eq!(ran.json()["broken"], 1);
    assert!(ran.json()["reason"].as_str().unwrap().contains("no scenario in "), "{}", ran.out);
    left_nothing(&home);
}

#[test]
fn whoever_is_killed_while_it_holds_the_verdict_stays() {
    let home = Home::new();
    let out = fs::File::create(home.join("out")).unwrap();
    let mut command = demo(&home);
    command.arg("--hold").stdout(out).stderr(Stdio::null());
    let mut held = common::Daemon(command.spawn().unwrap());
    let said = || fs::read_to_string(home.join("out")).unwrap();
    until("it goes on", || said().contains("Kill what you like"));
    for name in ["bob", "alice", "bob"] {
        let pid = latest_pid(&said(), name);
        let killed = Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        assert!(killed.success());
        until("it is back", || latest_pid(&said(), name) != pid);
        std::thread::sleep(Duration::from_millis(500));
    }
    let pid = held.pid().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(held.ended(), Some(0), "{}", said());
    assert!(said().contains("verdict: ok"), "{}", said());
    left_nothing(&home);
}

/// The pid that was printed last for a kernel.
fn latest_pid(said: &str, name: &str) -> String {
    let named = |line: &str| {
        let (_, after) = match line.split_once(&format!("{name} is pid ")) {
            Some(listed) => listed,
            None if line.contains(&format!("{name} was killed")) => line.rsplit_once("pid ")?,
            None => return None,
        };
        Some(after.to_owned())
    };
    let after = said.lines().rev().find_map(named).unwrap();
    after.chars().take_while(char::is_ascii_digit).collect()
}

#[test]
fn killing_the_demo_itself_leaves_no_process() {
    let home = Home::new();
    let mut command = demo(&home);
    command.arg("--hold").stdout(fs::File::create(home.join("out")).unwrap()).stderr(Stdio::null());
    let held = common::Daemon(command.spawn().unwrap());
    until("it runs", || fs::read_to_string(home.join("out")).unwrap().contains("bob is up"));
    assert!(someone_uses(&home));
    drop(held); // SIGKILL
    until("its kernels end", || !someone_uses(&home));
}
