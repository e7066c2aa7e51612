//! What people see, on a terminal of 80 columns: the help of each command, tables, empty lists, errors and their hints. The
//! texts are files of `tests/snapshots`. `INSTA_UPDATE=always cargo test -p once-cli --test snapshots` writes them anew; what has
//! changed shows in `git diff`.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::{Home, Ran, scenario};

const WIDTH: u16 = 80;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Compares with the file of that name.
#[track_caller]
fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// What commands print and say, one after the other.
struct Seen<'a> {
    home: &'a Home,
    text: String,
}

impl<'a> Seen<'a> {
    const fn new(home: &'a Home) -> Self {
        Self { home, text: String::new() }
    }

    fn look(&mut self, data: &str, args: &[&str]) -> Ran {
        let ran = self.home.on_terminal(WIDTH, data, args);
        let words = args
            .iter()
            .map(|word| if word.contains([' ', '"']) { format!("'{word}'") } else { (*word).to_owned() });
        let _ = writeln!(self.text, "$ once {}", words.collect::<Vec<_>>().join(" "));
        if !ran.out.trim_end().is_empty() {
            let _ = writeln!(self.text, "{}", ran.out.trim_end());
        }
        for line in ran.err.lines() {
            let _ = writeln!(self.text, "stderr: {line}");
        }
        let _ = writeln!(self.text, "exit {}\n", ran.exit.unwrap());
        ran
    }

    #[track_caller]
    fn compare(self, name: &str) {
        let text = masked(&self.text.replace(self.home.path().to_str().unwrap(), "~"));
        compare(name, text.replace("\n\n\n", "\n\n").trim_end());
    }
}

/// The same whenever it is printed: ids, hashes and times become others of the same length where that can be.
fn masked(text: &str) -> String {
    let mut names = BTreeMap::new();
    let mut one = |command: &str| {
        let lines: Vec<_> = command.lines().map(|line| without_ids(line, &mut names)).collect();
        // How long ago it was takes more room or less: what stands behind it is not in one column each time.
        let is_loose = lines.iter().any(|line| line.contains(" ago"));
        lines.iter().map(|line| without_times(line, is_loose)).collect::<Vec<_>>().join("\n")
    };
    text.split("\n\n").map(&mut one).collect::<Vec<_>>().join("\n\n")
}

fn without_ids(line: &str, names: &mut BTreeMap<String, usize>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&without_id(word, after, names));
        let next = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(next);
        out.push_str(between);
        rest = after;
    }
    out
}

fn without_id(word: &str, after: &str, names: &mut BTreeMap<String, usize>) -> String {
    /// Those of the test itself are the same each time.
    const OURS: &str = "0a1b2c3d-";
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_base32 = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let parts: Vec<_> = word.split('-').collect();
    let is_uuid =
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part));
    match word.len() {
        36 if is_uuid && !word.starts_with(OURS) => {
            let next = names.len() + 1;
            let n = names.entry(word.to_owned()).or_insert(next);
            format!("01890000-0000-7000-8000-{n:012}")
        }
        52 if is_base32(word) => "k".repeat(52),
        64 | 12 if is_hex(word) => "f".repeat(word.len()),
        10 if after.starts_with('…') && is_base32(word) => "k".repeat(10),
        _ => word.to_owned(),
    }
}

fn without_times(line: &str, is_loose: bool) -> String {
    const DATE: &str = "2026-01-01 00:00:00";
    let fits = |text: &str| {
        text.bytes().zip(DATE.bytes()).all(|(b, of)| b == of || b.is_ascii_digit() && of.is_ascii_digit())
    };
    let mut out = line.to_owned();
    for at in 0..out.len().saturating_sub(DATE.len() - 1) {
        if out.get(at..at + DATE.len()).is_some_and(fits) {
            out.replace_range(at..at + DATE.len(), DATE);
        }
    }
    if !is_loose {
        return out;
    }
    let mut words: Vec<&str> = out.trim_start().split(' ').filter(|word| !word.is_empty()).collect();
    for at in 2..words.len() {
        let unit = words.get(at - 1).copied().unwrap_or_default();
        if words.get(at).is_some_and(|word| word.starts_with("ago"))
            && matches!(unit, "µs" | "ms" | "s" | "min")
        {
            words.splice(at - 2..at, ["N", "s"]);
        }
    }
    let indent = out.len() - out.trim_start().len();
    format!("{}{}", " ".repeat(indent), words.join(" "))
}

/// Commands that a page of help lists.
fn listed(help: &str) -> Vec<String> {
    let lines =
        help.lines().take_while(|line| !line.starts_with("Options") && !line.starts_with("Arguments"));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_help_of_each_command() {
    let home = Home::new();
    let mut all = BTreeSet::from(["help-once.snap".to_owned()]);
    let mut seen = Seen::new(&home);
    let first = seen.look("alice", &["--help"]);
    seen.compare("help-once");
    let commands = listed(&first.out);
    assert!(commands.len() > 40 && commands.contains(&"dead-letters".to_owned()), "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        let mut seen = Seen::new(&home);
        let page = seen.look("alice", &[command, "--help"]).exits(0);
        let inner = page.out.split_once("Commands:\n").map(|(_, list)| listed(list)).unwrap_or_default();
        for inner in inner.iter().filter(|inner| *inner != "help") {
            seen.look("alice", &[command, inner, "--help"]).exits(0);
        }
        seen.compare(&format!("help-{command}"));
        all.insert(format!("help-{command}.snap"));
    }
    let files =
        std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let stale: Vec<_> = files
        .filter(|name| name.starts_with("help-") && name.ends_with(".snap") && !all.contains(name))
        .collect();
    assert!(stale.is_empty(), "no command has these: {stale:?}");
}

#[test]
fn lists_without_an_entry() {
    let home = Home::new();
    home.init("alice");
    let mut seen = Seen::new(&home);
    for list in [
        "ls",
        "find",
        "peers",
        "grants",
        "invites",
        "follow",
        "outbox",
        "dead-letters",
        "conflicts",
        "coordinations",
        "moves",
    ] {
        seen.look("alice", &[list]).exits(0);
    }
    seen.compare("empty");
}

/// Alice, who does not run, with objects, peers, rights and things that wait.
fn furnished(home: &Home) -> String {
    home.init("alice").init("bob");
    let long = "a pump with a name that is longer than a line of the table has room for";
    home.file("in/1.json", scenario(1, long));
    home.file(
        "in/2.json",
        scenario(2, "pump 2")
            .replace("system", "ior:once://nowhere/Note/1.0/0a1b2c3d-0000-4000-8000-000000000001"),
    );
    home.file("in/3.json", r#"{"ior":{"uuid":"0a1b2c3d-0000-4000-8000-000000000003","component":"Counter"},"model":{"count":40}}"#);
    home.once("alice", &["import", "in"]).exits(0);
    home.once("alice", &["claim", COUNTER]).exits(0);
    for act in [
        ["add", r#"{"by":1}"#],
        ["add", r#"{"by":"a text that is no number, and long enough to be cut"}"#],
        ["get", "null"],
    ] {
        home.once("alice", &["act", COUNTER, act[0], act[1]]);
    }
    let bob = home.once("bob", &["status", "--json"]).exits(0).json()["kernel"].as_str().unwrap().to_owned();
    home.once("bob", &["import", "in/3.json"]).exits(0);
    let theirs = home.once("bob", &["create", "Counter"]).exits(0).out.trim().to_owned();
    home.once(
        "alice",
        &["peers", "add", &bob, "--name", "bob", "--at", "192.0.2.1:4277", "--at", "bob.example.org:4277"],
    )
    .exits(0);
    for right in [
        &["grant", "bob", "read", "--component", "Note"][..],
        &["grant", "bob", "act", "--object", COUNTER, "--action", "add"],
        &["grant", "bob", "share"],
    ] {
        home.once("alice", right).exits(0);
    }
    home.once("alice", &["share", COUNTER, "bob", "--no-wait"]).exits(0);
    home.once("alice", &["act", &theirs, "add", r#"{"by":1}"#, "--no-wait"]).exits(0);
    let step = format!(
        r#"{{"mode":"sequence","name":"a transfer","steps":[{{"name":"take","ior":"{theirs}","action":"add","arguments":{{"by":1}}}}]}}"#
    );
    home.file("plan.json", step);
    home.once("alice", &["coordinate", "plan.json"]).exits(0).out.trim().to_owned()
}

const COUNTER: &str = "0a1b2c3d-0000-4000-8000-000000000003";
const NOTE: &str = "0a1b2c3d-0000-4000-8000-000000000002";

#[test]
fn tables() {
    let home = Home::new();
    furnished(&home);
    let mut seen = Seen::new(&home);
    for look in [
        // Ids are drawn: their order is another one each time.
        &["ls", "--sort", "component"][..],
        &["find", "--name", "*pump*"],
        &["history", COUNTER],
        &["peers"],
        &["grants"],
        &["refs", NOTE],
        &["outbox"],
        &["dead-letters", "--older-than", "0s"],
        &["coordinations"],
    ] {
        seen.look("alice", look).exits(0);
    }
    for line in seen.text.lines().filter(|line| !line.starts_with("stderr:") && !line.starts_with('$')) {
        assert!(line.chars().count() <= usize::from(WIDTH), "wider than the terminal: {line}");
    }
    seen.compare("tables");
}

#[test]
fn nothing_is_cut_in_a_pipe() {
    let home = Home::new();
    let coordination = furnished(&home);
    for args in [
        &["ls"][..],
        &["find"],
        &["history", COUNTER],
        &["peers"],
        &["grants"],
        &["outbox"],
        &["dead-letters", "--older-than", "0s"],
        &["coordinations"],
        &["coordination", &coordination],
    ] {
        let ran = home.once("alice", args).exits(0);
        assert!(!ran.out.is_empty() && !ran.out.contains('…'), "once {}:\n{}", ran.what, ran.out);
    }
    home.once("alice", &["find"])
        .prints("a pump with a name that is longer than a line of the table has room for");
    home.once("alice", &["history", COUNTER]).prints("a text that is no number, and long enough to be cut");
}

#[test]
fn errors_and_what_to_do_about_them() {
    let home = Home::new();
    furnished(&home);
    home.file("broken.json", "{\"mode\": \"sequence\", \"steps\": [{\"name\": \"a\"}]}");
    let mut seen = Seen::new(&home);
    seen.look("nobody", &["ls"]);
    for wrong in [
        &["show", "ffff"][..],
        &["act", "ffff0000", "add"],
        &["act", COUNTER, "ad"],
        &["act", COUNTER, "add", "{by:1}"],
        &["put", NOTE, "nowhere.json"],
        &["share", COUNTER, "carol"],
        &["grant", "carol", "read"],
        &["peers", "remove", "carol"],
        &["request", "ior:once:nothing"],
        &["coordinate", "broken.json"],
        &["invite"],
        &["move", COUNTER, "--to", "bob"],
        &["outcome", "0a1b2c3d-0000-4000-8000-000000000003"],
        &["invites", "revoke", "carol"],
        &["dead-letters", "drop", "nothing"],
        &["frobnicate"],
        &["statsu"],
        &["peers", "remov"],
        &["put"],
        &["ls", "--stat", "home"],
        &["ls", "--sort", "colour", "--json"],
        &["put", "--json"],
    ] {
        let ran = seen.look("alice", wrong);
        assert_ne!(ran.exit, Some(0), "once {}", ran.what);
    }
    seen.compare("errors");
}
