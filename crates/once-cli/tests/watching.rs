//! `once watch` as somebody at a terminal has it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::*;
use serde_json::Value;

const COUNTER: &str = "0a1b2c3d-0000-4000-8000-000000000001";

fn counter(home: &Home) {
    let text = format!(
        r#"{{"ior":{{"uuid":"{COUNTER}","component":"Counter","version":"1.0"}},"model":{{"count":0,"name":"pump\u001b[31m"}}}}"#
    );
    home.file("in/1.json", text);
    home.once("alice", &["import", "in"]).exits(0);
    home.once("alice", &["claim", COUNTER]).exits(0);
}

fn events(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn acts(events: &[Value]) -> Vec<&str> {
    let acted = events.iter().filter(|event| event["kind"] == "acted");
    acted.map(|event| event["result_text"].as_str().unwrap()).collect()
}

#[test]
fn what_happened_is_shown_with_its_place_also_where_no_kernel_runs() {
    let home = Home::new();
    home.init("alice");
    counter(&home);
    let add = |by: u32| {
        home.once("alice", &["act", COUNTER, "add", &format!(r#"{{"by":{by}}}"#)]).exits(0);
    };
    add(2);
    let all = home.once("alice", &["watch", "--until-now", "--since", "start", "--json"]).exits(0);
    let all = events(&all);
    assert_eq!(acts(&all), ["2"]);
    let place = all.last().unwrap()["cursor"].as_str().unwrap().to_owned();
    add(3);
    // The same while a kernel runs.
    for running in [false, true] {
        let _daemon = running.then(|| home.up("alice"));
        let rest = home.once("alice", &["watch", "--until-now", "--since", &place, "--json"]).exits(0);
        assert_eq!(acts(&events(&rest)), ["5"]);
        let shown = home.once("alice", &["watch", COUNTER, "--until-now", "--since", "start"]).exits(0);
        let shown =
            shown.prints("Counter \"pump").prints("add by alice: done 5").prints("revision 3, by alice");
        let shown = shown.says("watch --since ").says(COUNTER);
        assert!(!shown.out.contains('\u{1b}'), "{:?}", shown.out);
        let widest = shown.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?} {}", shown.out);
        let none =
            home.once("alice", &["watch", "--component", "Note", "--until-now", "--since", "start"]).exits(0);
        assert_eq!(none.out, "");
    }
    let wrong = home.once("alice", &["watch", "--until-now", "--since", "yesterday"]).exits(2);
    wrong.says("is no place in an event log");
    home.once("alice", &["watch", "--until-now", "--since", "9-9-9999"]).exits(1).says("of this kernel");
    home.once("alice", &["watch"]).exits(4).says("once up");
}

#[test]
fn what_happens_is_shown_as_it_happens_until_the_kernel_stops() {
    let home = Home::new();
    home.init("alice");
    counter(&home);
    let daemon = home.up("alice");
    let mut command = home.command(ONCE);
    command.arg("--data").arg(home.join("alice")).args([
        "watch",
        "--component",
        "Counter",
        "--since",
        "start",
        "--json",
    ]);
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut until = |kind: &str| loop {
        let event: Value = serde_json::from_str(&lines.next().expect("it goes on").unwrap()).unwrap();
        if event["kind"] == kind {
            return event;
        }
    };
    assert_eq!(until("changed")["revision"], 0);
    home.once("alice", &["act", COUNTER, "add", r#"{"by":7}"#]).exits(0);
    let acted = until("acted");
    assert_eq!((&acted["action"], &acted["result_text"]), (&Value::from("add"), &Value::from("7")));
    home.once("alice", &["rm", COUNTER]).exits(0);
    while until("changed")["tombstone"] != true {}
    home.once("alice", &["stop"]).exits(0);
    drop(daemon);
    let end = watch.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&end.stderr).contains("the kernel has stopped"), "{end:?}");
}

#[test]
fn figures_are_printed_in_the_text_format_of_prometheus() {
    let home = Home::new();
    let _daemon = home.up("alice");
    let out = home.once("alice", &["metrics"]).exits(0).out;
    let mut types = std::collections::BTreeMap::new();
    let mut samples = 0;
    for line in out.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.split('{').next().unwrap();
            assert!(types.contains_key(name), "{line}");
            assert!(
                name.starts_with("once_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{line}"
            );
            assert!(value.parse::<f64>().is_ok(), "{line}");
            samples += 1;
        }
    }
    assert!(samples > 25 && samples >= types.len(), "{out}");
    assert!(out.contains("once_takes_writes 1\n"), "{out}");
}

#[test]
fn a_log_is_json_where_that_is_wanted() {
    let home = Home::new();
    home.init("alice");
    let _stops = home.stops("alice");
    home.once("alice", &["--log-format", "json", "up", "--detach"]).exits(0);
    let stopped = home.once("alice", &["stop"]).exits(0);
    drop(stopped);
    let log = std::fs::read_to_string(home.join("alice").join("up.log")).unwrap();
    assert!(!log.is_empty());
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line["level"].is_string(), "{line}");
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
    // An error that ends the kernel is quoted as before.
    let taken = home.once("alice", &["--log-format", "json", "up", "--detach", "--listen", "1.2.3.4:1"]);
    taken.exits(4).says("cannot listen on 1.2.3.4:1");
}

#[test]
fn the_log_of_a_kernel_that_runs_begins_anew_when_it_is_long() {
    let home = Home::new();
    home.init("alice");
    let _stops = home.stops("alice");
    home.once("alice", &["up", "--detach"]).exits(0);
    let (log, older) = (home.join("alice").join("up.log"), home.join("alice").join("up.log.1"));
    // As if it had said a lot.
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, "a line\n".repeat(200_000).as_bytes()).unwrap();
    drop(file);
    until("the log has begun anew", || older.exists() && log.exists());
    assert!(std::fs::read_to_string(&older).unwrap().contains("Ready after"));
    // What it says from now on is in the new one.
    home.once("alice", &["stop"]).exits(0);
    until("it says that it has stopped", || std::fs::read_to_string(&log).unwrap().contains(" stopped\n"));
    let meta = std::fs::metadata(&log).unwrap();
    assert!(meta.len() < 1000, "{}", meta.len());
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&older).unwrap().contains(" stopped\n"));
    assert_eq!(home.once("alice", &["status", "--json"]).exits(0).json()["log"], log.to_str().unwrap());
}
