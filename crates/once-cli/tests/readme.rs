//! The console blocks of the README, and of the page on replacing a machine, are true.
//!
//! All blocks of a page are run as a reader does: one after the other, in one shell, in one folder, with `once` in the path. No command
//! may fail. Each line of output that a block shows must be a line that it printed, in this order; `…` stands for anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{Home, ONCE, Ran};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

struct Block {
    line: usize,
    commands: Vec<String>,
    expected: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
            if inside {
                blocks.push(Block { line: at + 1, commands: Vec::new(), expected: Vec::new() });
            }
        } else if inside {
            let block = blocks.last_mut().unwrap();
            match line.strip_prefix("$ ") {
                Some(command) => block.commands.push(command.to_owned()),
                None => block.expected.push(line.to_owned()),
            }
        }
    }
    blocks
}

/// Whether a printed line is the one that is shown.
fn fits(shown: &str, printed: &str) -> bool {
    let parts: Vec<_> = shown.split('…').map(str::trim).collect();
    let Some(mut rest) = printed.trim().strip_prefix(parts[0]) else { return false };
    for part in &parts[1..] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || shown.trim_end().ends_with('…')
}

/// Stops every kernel that a block left running.
struct Stop<'a>(&'a Home);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let stop = |data: &Path| {
            if data.join("api.sock").exists() {
                let _ = self.0.command(ONCE).arg("--data").arg(data).arg("stop").output();
            }
        };
        stop(&self.0.join(".local/share/once"));
        for entry in fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            stop(&entry.path());
        }
    }
}

/// Between what two blocks print.
const NEXT: &str = "-- the next block --";

/// Runs all blocks, and returns what each of them printed.
fn run(page: &str, blocks: &[Block]) -> Vec<String> {
    let home = Home::new();
    let _stop = Stop(&home);
    let path = std::env::join_paths(
        std::iter::once(Path::new(ONCE).parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let scripts: Vec<_> = blocks.iter().map(|block| block.commands.join("\n")).collect();
    let script = format!("set -eu\nexec 2>&1\n{}\n", scripts.join(&format!("\necho '{NEXT}'\n")));
    let mut shell = home.command("sh");
    // To files, not pipes: a kernel that goes on in the background must not keep the test waiting.
    let out = fs::File::create(home.join(".out")).unwrap();
    let status = shell.args(["-c", &script]).env("PATH", path.unwrap()).stdout(out).status().unwrap();
    let printed = fs::read_to_string(home.join(".out")).unwrap();
    let parts: Vec<_> = printed.split(&format!("{NEXT}\n")).map(str::to_owned).collect();
    let ran = Ran {
        what: format!("({page}:{})\n{script}", blocks[parts.len() - 1].line),
        exit: status.code(),
        out: printed,
        err: String::new(),
    };
    ran.exits(0);
    parts
}

/// Runs all blocks of a page, and holds what they printed against what they show.
fn is_true(page: &str) {
    let blocks = blocks(&fs::read_to_string(Path::new(ROOT).join(page)).unwrap());
    assert!(blocks.len() >= 3, "{page} has lost its console blocks");
    let printed = run(page, &blocks);
    assert_eq!(printed.len(), blocks.len());
    for (block, printed) in blocks.iter().zip(&printed) {
        assert!(!block.commands.is_empty() && !block.expected.is_empty(), "{page}:{}", block.line);
        let mut lines = printed.lines();
        for shown in &block.expected {
            assert!(
                lines.any(|printed| fits(shown, printed)),
                "{page}:{} shows\n  {shown}\nbut this was printed:\n{printed}",
                block.line,
            );
        }
    }
}

#[test]
fn what_the_readme_shows_is_true() {
    is_true("README.md");
}

#[test]
fn what_the_page_on_replacing_a_machine_shows_is_true() {
    is_true("docs/replacing-a-machine.md");
}

#[test]
fn what_the_page_on_services_shows_is_true() {
    is_true("docs/operations/service.md");
}

#[test]
fn what_the_page_on_logs_shows_is_true() {
    is_true("docs/operations/logs.md");
}

#[test]
fn what_the_page_on_upgrading_shows_is_true() {
    is_true("docs/operations/upgrade.md");
}

#[test]
fn what_the_page_on_uninstalling_shows_is_true() {
    is_true("docs/operations/uninstall.md");
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(fits("joined alice (…)", "joined alice (k5abc)"));
    assert!(fits("kernel …", "kernel     k5abc"));
    assert!(fits("exit 3", "exit 3"));
    assert!(!fits("exit 3", "exit 31"));
    assert!(!fits("joined bob (…)", "joined alice (k5abc)"));
    assert!(!fits("delivered … bob", "delivered 2 of 2 objects to bobby"));
}
