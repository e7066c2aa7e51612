//! The console blocks of the README are true.
//!
//! Each block is one shell script in a home directory of its own, with `once` in the path. It must end with 0. Each line
//! of output that the README shows must be a line that was printed, in this order; `…` stands for anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{Home, ONCE, Ran};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

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

fn run(block: &Block) {
    let home = Home::new();
    let _stop = Stop(&home);
    let path = std::env::join_paths(
        std::iter::once(Path::new(ONCE).parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let script = format!("set -eu\nexec 2>&1\n{}\n", block.commands.join("\n"));
    let mut shell = home.command("sh");
    // To files, not pipes: a kernel that goes on in the background must not keep the test waiting.
    let out = fs::File::create(home.join(".out")).unwrap();
    let status = shell.args(["-c", &script]).env("PATH", path.unwrap()).stdout(out).status().unwrap();
    let printed = fs::read_to_string(home.join(".out")).unwrap();
    let ran = Ran {
        what: format!("(README.md:{})\n{script}", block.line),
        exit: status.code(),
        out: printed,
        err: String::new(),
    };
    let ran = ran.exits(0);
    let mut lines = ran.out.lines();
    for shown in &block.expected {
        assert!(
            lines.any(|printed| fits(shown, printed)),
            "README.md:{} shows\n  {shown}\nbut this was printed:\n{}",
            block.line,
            ran.out
        );
    }
}

#[test]
fn what_the_readme_shows_is_true() {
    let blocks = blocks(&fs::read_to_string(README).unwrap());
    assert!(blocks.len() >= 3, "the README has lost its console blocks");
    for block in &blocks {
        assert!(!block.commands.is_empty() && !block.expected.is_empty(), "README.md:{}", block.line);
        run(block);
    }
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
