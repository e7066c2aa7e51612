//! Data directories that lost something, and kernels in the background: what a person is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Home, scenario, until};

/// Objects that are written to tables: the kernel is stopped.
fn filled(home: &Home, objects: u32) {
    for n in 1..=objects {
        home.file(&format!("in/{n}.json"), scenario(n, &"x".repeat(2000)));
    }
    home.init("alice");
    home.once("alice", &["import", "in"]).exits(0);
}

const BLOBS_DAMAGED: &str =
    "keyspaces/2/blobs/0: it is damaged: objects of which it has nothing whole are named";

/// With one batch that changes nothing: the tables are on their own.
fn empty_the_journal(home: &Home) {
    fs::write(home.join("alice/store/0.jnl"), "").unwrap();
}

fn flip_the_middle(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_scenario_is_named_everywhere_and_the_others_are_brought_out() {
    let home = Home::new();
    filled(&home, 50);
    flip_the_middle(&home.join("alice/store/keyspaces/2/blobs/0"));
    // A salvage has it from the journal, while that is there.
    let answer = home.once("alice", &["export", "--salvage", "salvaged", "--json"]).exits(1).json();
    assert_eq!((&answer["written"], &answer["left_out"][0]), (&50.into(), &BLOBS_DAMAGED.into()), "{answer}");
    for journal in [true, false] {
        if !journal {
            empty_the_journal(&home);
        }
        let option = if journal { "--all" } else { "--salvage" };
        let folder = format!("out{option}");
        let ran = home.once("alice", &["export", option, &folder, "--json"]).exits(1);
        let answer = ran.json();
        assert_eq!(answer["written"], 49, "{answer}");
        let damaged = answer["unreadable"][0]["key"].as_str().unwrap().to_owned();
        assert_eq!(answer["unreadable"].as_array().unwrap().len(), 1);
        assert_eq!(fs::read_dir(home.join(&folder)).unwrap().count(), 49);
        home.once("alice", &["doctor"]).exits(1).prints(&damaged).prints("cannot be read");
        // What, where, why, whose fault, and what to do.
        home.once("alice", &["show", &damaged])
            .exits(5)
            .says("the scenario of")
            .says("its bytes are not those that were written")
            .says("the disk of this kernel lost or changed it")
            .says("export --salvage");
    }
}

#[test]
fn a_store_whose_files_are_gone_or_empty_is_called_damaged() {
    for (file, empty) in [
        ("version", false),
        ("version", true),
        ("keyspaces/1/current", false),
        ("keyspaces/1/current", true),
        ("keyspaces/1/tables/0", false),
        ("keyspaces/1/tables/0", true),
        ("0.jnl", false),
    ] {
        let home = Home::new();
        filled(&home, 3);
        let path = home.join("alice/store").join(file);
        if empty {
            fs::write(&path, "").unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        let ran = home.once("alice", &["ls", "--json"]);
        assert_eq!(
            (ran.exit, ran.json()["error"]["code"].as_str()),
            (Some(5), Some("damaged")),
            "{file}: {ran:?}"
        );
        home.once("alice", &["doctor"]).exits(1).prints("damaged");
    }
}

#[test]
fn what_can_be_read_of_a_store_that_does_not_open_is_brought_out() {
    let home = Home::new();
    home.init("alice");
    {
        let mut daemon = home.up("alice");
        for n in 1..=10 {
            home.file(&format!("in/{n}.json"), scenario(n, "a"));
            home.once("alice", &["import", &format!("in/{n}.json")]).exits(0);
        }
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
    }
    let journal = home.join("alice/store/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    home.once("alice", &["ls"]).exits(5).says("damaged").says("export --salvage");
    let answer = home.once("alice", &["export", "--salvage", "out", "--json"]).exits(1).json();
    assert!(answer["written"].as_u64().unwrap() >= 8, "{answer}");
    assert!(!answer["left_out"].as_array().unwrap().is_empty(), "{answer}");
    // The copy is gone, and the original as it was.
    let names = fs::read_dir(home.join("out")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.to_string_lossy().ends_with(".scenario.json")));
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

#[test]
fn what_was_cut_off_the_journal_is_said_until_a_person_has_confirmed_it() {
    let home = Home::new();
    home.init("alice");
    {
        let mut daemon = home.up("alice");
        for n in 1..=20 {
            home.file(&format!("in/{n}.json"), scenario(n, "a"));
        }
        home.once("alice", &["import", "in"]).exits(0);
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
    }
    // Cut in the middle of what was written.
    let journal = home.join("alice/store/0.jnl");
    let bytes = fs::read(&journal).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&journal, &bytes[..written * 2 / 3]).unwrap();
    {
        let _daemon = home.up("alice");
        assert!(home.log("alice").contains("could not be read and were cut off"), "{}", home.log("alice"));
        home.once("alice", &["status"]).exits(0).prints("cut off");
        home.once("alice", &["doctor"]).exits(1).prints("cut off").prints("--confirm-loss");
    }
    // Also after a restart.
    home.once("alice", &["status"]).exits(0).prints("cut off");
    home.once("alice", &["doctor", "--confirm-loss"]).exits(0).prints("cut off").says("confirmed");
    let status = home.once("alice", &["status"]).exits(0);
    assert!(!status.out.contains("cut off"), "{}", status.out);
    home.once("alice", &["doctor", "--confirm-loss"]).exits(0).says("nothing was cut off");
}

#[test]
fn the_log_of_a_kernel_in_the_background_goes_on_has_times_and_is_named() {
    let home = Home::new();
    home.init("alice");
    let log = home.join("alice/up.log");
    for run in 1..=2 {
        home.once("alice", &["up", "--detach"]).exits(0).says(&log.to_string_lossy());
        home.once("alice", &["status"]).exits(0).prints(&log.to_string_lossy());
        home.once("alice", &["stop"]).exits(0);
        until("it says that it has stopped", || {
            fs::read_to_string(&log).unwrap().matches("stopped").count() == run
        });
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("Ready after").count(), 2, "{text}");
    let has_time = |line: &str| line.starts_with("20") && line.contains(" UTC ");
    assert!(text.lines().all(has_time), "{text}");
    // Why a start failed, and what to do, is said at once, and is not that of an earlier run.
    let failed = home.once("alice", &["up", "--detach", "--listen", "nowhere"]).exits(2).says("nowhere");
    assert!(failed.err.contains("hint: like [::]:4277"), "{}", failed.err);
}

/// What becomes of a file of the store.
enum Harm {
    Cut,
    Emptied,
    Gone,
}

#[test]
fn what_is_left_of_files_of_the_store_that_were_cut_is_brought_out() {
    use Harm::{Cut, Emptied, Gone};
    // The journal is still there, and the least and the most that may come out of 200 objects.
    for (file, harm, journal, least, most) in [
        ("keyspaces/2/blobs/0", Cut, true, 200, 200),
        ("keyspaces/2/blobs/0", Cut, false, 80, 120),
        ("keyspaces/2/blobs/0", Emptied, true, 200, 200),
        ("keyspaces/2/blobs/0", Gone, false, 0, 0),
        ("keyspaces/2/tables/*", Cut, true, 200, 200),
        ("keyspaces/2/tables/*", Cut, false, 200, 200),
        ("keyspaces/2/tables/*", Gone, false, 200, 200),
        ("keyspaces/1/tables/*", Cut, true, 200, 200),
        ("keyspaces/1/tables/*", Cut, false, 60, 200),
        ("keyspaces/1/tables/*", Emptied, true, 200, 200),
        ("keyspaces/1/tables/*", Gone, true, 200, 200),
        ("keyspaces/0/tables/*", Cut, true, 200, 200),
        ("keyspaces/0/tables/*", Gone, false, 200, 200),
    ] {
        let home = Home::new();
        filled(&home, 200);
        let path = home.join("alice/store").join(file.trim_end_matches("/*"));
        let path = if path.is_dir() { largest_in(&path) } else { path };
        let bytes = fs::read(&path).unwrap();
        match harm {
            Cut => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            Emptied => fs::write(&path, "").unwrap(),
            Gone => fs::remove_file(&path).unwrap(),
        }
        if !journal {
            fs::write(home.join("alice/store/0.jnl"), "").unwrap();
        }
        home.once("alice", &["ls"]).exits(5).says("damaged").says("export --salvage");
        let ran = home.once("alice", &["export", "--salvage", "out", "--json"]);
        let answer = ran.json();
        let written = answer["written"].as_u64().unwrap();
        assert!((least..=most).contains(&written), "{file}, {journal}: {written}");
        assert!(!answer["left_out"].as_array().unwrap().is_empty(), "{file}: {answer}");
        for out in fs::read_dir(home.join("out")).into_iter().flatten() {
            let text = fs::read_to_string(out.unwrap().path()).unwrap();
            assert!(text.contains(&"x".repeat(2000)), "{text}");
        }
    }
}

fn largest_in(folder: &Path) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[test]
fn a_journal_that_was_emptied_is_a_loss_until_a_person_has_confirmed_it() {
    for zeros in [false, true] {
        let home = Home::new();
        home.init("alice");
        {
            let mut daemon = home.up("alice");
            home.file("in/1.json", scenario(1, "a"));
            home.once("alice", &["import", "in"]).exits(0);
            daemon.0.kill().unwrap();
            daemon.0.wait().unwrap();
        }
        let journal = home.join("alice/store/0.jnl");
        let length = if zeros { fs::metadata(&journal).unwrap().len() as usize } else { 0 };
        fs::write(&journal, vec![0; length]).unwrap();
        {
            let _daemon = home.up("alice");
            assert!(home.log("alice").contains("0.jnl was empty"), "{}", home.log("alice"));
            home.once("alice", &["status"]).exits(0).prints("0.jnl was empty");
            home.once("alice", &["doctor"]).exits(1).prints("0.jnl was empty").prints("--confirm-loss");
        }
        home.once("alice", &["status"]).exits(0).prints("0.jnl was empty");
        home.once("alice", &["doctor", "--confirm-loss"]).exits(0).says("confirmed");
        let status = home.once("alice", &["status"]).exits(0);
        assert!(!status.out.contains("empty"), "{}", status.out);
    }
}

#[test]
fn a_line_of_losses_that_cannot_be_read_is_said_without_figures() {
    let home = Home::new();
    home.init("alice");
    home.file("alice/losses", "junk\n");
    let status = home.once("alice", &["status"]).exits(0).prints("something of the journal was lost");
    assert!(!status.out.contains("0 bytes") && !status.out.contains('?'), "{}", status.out);
}

#[test]
fn the_copy_that_a_salvage_makes_is_never_open_to_others_and_goes() {
    let home = Home::new();
    filled(&home, 20);
    fs::remove_file(home.join("alice/store/0.jnl")).unwrap();
    // Rights that the original has do not go with it.
    let wide = Permissions::from_mode(0o644);
    fs::set_permissions(home.join("alice/store/version"), wide).unwrap();
    let (out, done) = (home.join("out"), AtomicBool::new(false));
    let (ran, (seen, open)) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut seen, mut open) = (0, BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                for path in walk(&out) {
                    let Ok(meta) = fs::metadata(&path) else { continue };
                    seen += 1;
                    if meta.permissions().mode() & 0o077 != 0 {
                        open.insert(path);
                    }
                }
            }
            (seen, open)
        });
        let ran = home.once("alice", &["export", "--salvage", "out"]);
        done.store(true, Ordering::Relaxed);
        (ran, watcher.join().unwrap())
    });
    assert!(seen > 0);
    assert_eq!(open, BTreeSet::<PathBuf>::new());
    assert!(!ran.err.contains("others could look"), "{}", ran.err);
    // All objects came out: what is missing is a file.
    let ran = ran.exits(1).says("damaged: the journal is missing");
    assert!(!ran.err.contains("an object:"), "{}", ran.err);
    let is_left = |path: &PathBuf| path.to_string_lossy().contains(".once-salvage");
    assert!(!fs::read_dir(&out).unwrap().any(|entry| is_left(&entry.unwrap().path())));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 20);
}

#[test]
fn a_salvage_that_is_interrupted_leaves_no_copy() {
    let home = Home::new();
    filled(&home, 100);
    flip_the_middle(&largest_in(&home.join("alice/store/keyspaces/1/tables")));
    let out = home.join("out");
    for wait_ms in (0..12).map(|n| n * 15) {
        let mut command = home.command(common::ONCE);
        command.arg("--data").arg(home.join("alice")).args(["export", "--salvage", "out"]);
        let mut child = command.spawn().unwrap();
        until("it copies, or has ended", || !walk(&out).is_empty() || child.try_wait().unwrap().is_some());
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        let _ = home.command("kill").args(["-INT", &child.id().to_string()]).output();
        child.wait().unwrap();
        assert_eq!(walk(&out), Vec::<PathBuf>::new(), "after {wait_ms} ms");
        let _ = fs::remove_dir_all(&out);
    }
}

/// What lies in the copies that salvages make below a folder.
fn walk(out: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let list = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    found.extend(list(out).filter(|path| path.to_string_lossy().contains(".once-salvage")));
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        if path.is_dir() {
            found.extend(list(&path));
        }
    }
    found
}

/// Every file of tables and blobs, and the lists of them.
fn files_of_the_store(home: &Home) -> Vec<PathBuf> {
    let mut found = vec![home.join("alice/store/keyspaces")];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        if path.is_dir() {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

#[test]
fn one_changed_byte_of_any_file_costs_little_and_the_rest_is_brought_out() {
    let home = Home::new();
    filled(&home, 100);
    empty_the_journal(&home);
    // So that what is lost is lost: the journal has it all otherwise. Opening it once makes that known.
    home.once("alice", &["doctor", "--confirm-loss"]).exits(0);
    for path in files_of_the_store(&home) {
        let whole = fs::read(&path).unwrap();
        let file = path.strip_prefix(home.join("alice")).unwrap().to_owned();
        for at in (0..4).map(|n| n * whole.len().saturating_sub(1) / 3).filter(|at| *at < whole.len()) {
            for folder in ["changed", "out"] {
                let _ = fs::remove_dir_all(home.join(folder));
            }
            let (from, to) = (home.join("alice"), home.join("changed"));
            assert!(home.command("cp").arg("-r").args([from, to]).status().unwrap().success());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(home.join("changed").join(&file), bytes).unwrap();
            let answer = home.once("changed", &["export", "--salvage", "out", "--json"]).json();
            let written = answer["written"].as_u64().unwrap_or(0);
            // A block of rows is 4 KiB: some thirty small heads.
            assert!(written >= 65, "{} at {at} of {}: {answer}", file.display(), whole.len());
        }
    }
}

#[test]
fn a_kernel_with_a_damaged_table_says_so_and_goes_on_reading() {
    let home = Home::new();
    filled(&home, 300);
    let table = largest_in(&home.join("alice/store/keyspaces/1/tables"));
    let mut bytes = fs::read(&table).unwrap();
    let tenth = bytes.len() / 10;
    bytes[tenth] ^= 0x55;
    fs::write(&table, &bytes).unwrap();
    let (mut refused, mut acknowledged) = (0, Vec::new());
    for round in 0..6 {
        {
            let _daemon = home.up("alice");
            until("the damage is said", || home.log("alice").contains("damaged files of the store"));
            let status = home.once("alice", &["status"]).exits(0);
            assert!(status.out.contains("damaged"), "{round}: {}", status.out);
            home.once("alice", &["doctor"]).exits(1).prints("keyspaces/1/tables/").prints("--salvage");
            home.file("one.json", scenario(1000 + round, "a"));
            let ran = home.once("alice", &["import", "one.json"]);
            assert!(ran.exit == Some(0) || ran.err.contains("damaged"), "{round}: {ran:?}");
            match ran.exit {
                Some(0) => acknowledged.push(1000 + round),
                _ => refused += 1,
            }
            let ran = home.once("alice", &["stop"]);
            assert!(ran.exit == Some(0) || ran.err.contains("damaged"), "{round}: {ran:?}");
        }
        let out = format!("out{round}");
        let answer = home.once("alice", &["export", "--salvage", &out, "--json"]).exits(1).json();
        assert!(answer["written"].as_u64().unwrap() >= 250, "{round}: {answer}");
        let is_out =
            |n: &u32| {
                fs::exists(home.join(&format!(
                    "{out}/{}.scenario.json",
                    format_args!("0a1b2c3d-0000-4000-8000-{n:012x}")
                )))
                .unwrap()
            };
        assert!(acknowledged.iter().all(is_out), "{round}: {acknowledged:?}");
    }
    // When the merge comes is the store's affair: before the first import, or after the fifth.
    assert!(refused > 0, "it came to a merge: {acknowledged:?}");
}
