//! What only processes of their own show: SIGKILL, the order of system calls, and disks that fail.
//!
//! A test starts this binary again with [`DIR`] set; the test named `child` then writes numbered batches into that
//! directory and says `done <number>` after each.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use once_core::store::{Batch, Durability, Read, Store, StoreError, Table};
use once_store::{FjallStore, Options};

/// The child's data directory.
const DIR: &str = "ONCE_STORE_TEST_DIR";
/// After how many batches the child ends.
const BATCHES: &str = "ONCE_STORE_TEST_BATCHES";

fn row(number: u32) -> Batch {
    let key = number.to_be_bytes().to_vec();
    let head = (Table::Head, key.clone(), Some(Bytes::copy_from_slice(&number.to_be_bytes())));
    // Some batches are larger than fjall's write buffer of 8 KiB.
    let body = (Table::Body, key, Some(Bytes::from(vec![number as u8; 200 + (number as usize % 7) * 3000])));
    Batch { rows: vec![head, body] }
}

fn has(store: &dyn Read, number: u32) -> bool {
    let key = number.to_be_bytes();
    let head = store.get(Table::Head, &key).unwrap().is_some();
    assert_eq!(store.get(Table::Body, &key).unwrap().is_some(), head, "half of batch {number}");
    head
}

/// One write(2) per line, so that it shows in a trace.
fn say(text: &str) {
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let batches = std::env::var(BATCHES).map_or(u32::MAX, |count| count.parse().unwrap());
    let mut store = FjallStore::open(dir.as_ref(), Options::default()).unwrap();
    say("opened");
    for number in 0..batches {
        // Every third one is only handed to the system.
        let durability = if number % 3 == 2 { Durability::Buffered } else { Durability::Synced };
        match store.commit(row(number), durability) {
            Ok(()) => say(&format!("done {number} {durability:?}")),
            Err(StoreError::Io(reason)) => {
                say(&format!("failed {number}: {reason}"));
                assert!(store.is_poisoned());
                assert!(!has(&store, number), "a failed batch is visible");
                assert!(number == 0 || has(&store, number - 1), "reading goes on");
                let again = store.commit(row(number), durability);
                assert!(matches!(again, Err(StoreError::Io(_))), "{again:?}");
                say("refused");
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn child_command(dir: &Path, batches: u32, tracer: &[&str]) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = match tracer {
        [] => Command::new(&exe),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&exe);
            command
        }
    };
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(BATCHES, batches.to_string()).stdin(Stdio::null());
    command
}

#[test]
fn what_a_killed_process_had_committed_is_there() {
    for after in [1, 40, 400] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = child_command(dir.path(), u32::MAX, &[]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = lines.by_ref().filter_map(|line| done(&line)).nth(after).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(|line| done(&line)).last().unwrap_or(last);

        let store = FjallStore::open(dir.path(), Options::default()).unwrap();
        // A killed process loses nothing that was committed, synced or not.
        assert!((0..=last).all(|number| has(&store, number)), "killed after {last}");
        // Of what it was at, whole batches in order.
        assert!(!has(&store, last + 2));
    }
}

fn done(line: &str) -> Option<u32> {
    line.strip_prefix("done ")?.split(' ').next()?.parse().ok()
}

/// `false` where the test cannot run, which fails under `ONCE_REQUIRE_ALL=1`.
fn strace_works() -> bool {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success());
    if !works {
        println!("skipped: strace not found, or it may not trace");
        assert!(std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"), "ONCE_REQUIRE_ALL=1");
    }
    works
}

/// A child that runs under strace; ends with what it said.
fn traced(dir: &Path, batches: u32, arguments: &[&str]) -> (Output, String) {
    let log = dir.join("strace.log");
    let mut tracer = vec!["strace", "-f", "-qq", "-y", "-s", "64", "-o", log.to_str().unwrap()];
    tracer.extend(arguments);
    let output = child_command(dir, batches, &tracer).output().unwrap();
    let mut trace = String::new();
    std::fs::File::open(&log).unwrap().read_to_string(&mut trace).unwrap();
    (output, trace)
}

/// SIGKILL spares the page cache, so it cannot show a missing sync. This does.
#[test]
fn the_journal_is_synced_between_the_write_of_a_batch_and_its_return() {
    if !strace_works() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let calls = "trace=write,writev,pwrite64,pwritev2,fdatasync,fsync";
    let (output, trace) = traced(dir.path(), 30, &["-e", calls]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    // What is on the way of each thread, for calls that the trace shows in two parts.
    let mut pending = std::collections::HashMap::new();
    let (mut opened, mut written, mut synced, mut acknowledged) = (false, false, false, 0);
    for line in trace.lines() {
        let (thread, mut call) = line.split_once(' ').unwrap();
        call = call.trim_start();
        let finished = if call.starts_with("<...") {
            let result = call;
            call = pending.remove(thread).unwrap_or("");
            result.contains(" = ") && !result.contains(" = -1")
        } else if call.ends_with("<unfinished ...>") {
            // A line may be read before the write of it returns.
            let said = call.starts_with("write(1<");
            if !said {
                pending.insert(thread, call);
            }
            said
        } else {
            !call.contains(" = -1")
        };
        if !finished {
            continue;
        }
        let journal = call.contains(".jnl>");
        if call.contains("\"opened\\n\"") {
            opened = true;
        } else if opened && journal && call.contains("write") {
            (written, synced) = (true, false);
        } else if journal && call.contains("sync(") {
            synced = true;
        } else if opened && call.contains("\"done ") {
            assert!(written, "nothing was written before: {line}");
            assert!(synced || call.contains("Buffered"), "not synced before: {line}\n{trace}");
            written = false;
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, 30, "{trace}");
}

/// The store is opened and batches are tried, while the `when`th call of a name fails, of those to `path` if given.
fn with_failing(call: &str, error: &str, when: &str, path: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    drop(FjallStore::open(dir.path(), Options::default()).unwrap());
    let (inject, trace) = (format!("inject={call}:error={error}:when={when}"), format!("trace={call}"));
    let path = path.map(|path| dir.path().join(path));
    let mut arguments = vec!["-e", &trace, "-e", &inject];
    if let Some(path) = &path {
        arguments.extend(["-P", path.to_str().unwrap()]);
    }
    let (output, trace) = traced(dir.path(), 5000, &arguments);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let failed =
        said.lines().find_map(|line| line.strip_prefix("failed ")?.split(':').next()?.parse::<u32>().ok());
    let failed = failed.unwrap_or_else(|| panic!("{call} did not fail: {said}\n{trace}"));
    assert!(said.contains("refused"), "{said}");

    let mark = std::fs::read_to_string(dir.path().join("lock")).unwrap();
    assert!(mark.contains("failed"), "{mark}");
    let mut store = FjallStore::open(dir.path(), Options::default()).unwrap();
    assert!((0..failed).all(|number| has(&store, number)), "{said}");
    // The failed one is there or not, whole; the next is not.
    has(&store, failed);
    assert!(!has(&store, failed + 1));
    store.commit(row(failed + 1), Durability::Synced).unwrap();
    drop(store);
    let store = FjallStore::open(dir.path(), Options::default()).unwrap();
    assert!(has(&store, failed + 1));
}

#[test]
fn after_a_failed_sync_nothing_is_tried_again_and_a_new_open_recovers() {
    if strace_works() {
        with_failing("fdatasync", "EIO", "7", Some("store/0.jnl"));
    }
}

#[test]
fn after_a_write_to_a_full_disk_nothing_is_tried_again_and_a_new_open_recovers() {
    if strace_works() {
        with_failing("write", "ENOSPC", "9", Some("store/0.jnl"));
    }
}

/// fjall's thread that flushes ends; commits must not wait for it.
#[test]
fn after_a_flush_on_a_full_disk_commits_end_in_an_error_and_a_new_open_recovers() {
    if strace_works() {
        with_failing("renameat", "ENOSPC", "1+", None);
    }
}
