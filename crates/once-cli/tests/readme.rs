//! The console blocks of the README, the quick start, the tutorials and the recipes are true.
//!
//! All blocks of a page are run as a reader does: one after the other, in one shell, in one folder, with `once` in the path. No command
//! may fail. Each line of output that a block shows must be a line that it printed, in this order; `…` stands for anything. A block that
//! begins with ```` ```python file=NAME ```` is the file NAME, which the reader has saved before; the page names it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
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

/// The files that a page tells its reader to save, each with its name.
fn saved(text: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            let name = line.split_once(" file=").map(|(_, name)| name.to_owned());
            inside = name.is_some();
            files.extend(name.map(|name| (name, String::new())));
        } else if inside {
            let (_, content) = files.last_mut().unwrap();
            content.push_str(line);
            content.push('\n');
        }
    }
    files
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
fn run(page: &str, blocks: &[Block], files: &[(String, String)]) -> Vec<String> {
    let home = Home::new();
    let _stop = Stop(&home);
    for (name, content) in files {
        home.file(name, content);
    }
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
    let text = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let (blocks, files) = (blocks(&text), saved(&text));
    assert!(!blocks.is_empty(), "{page} has lost its console blocks");
    for (name, _) in &files {
        assert!(text.contains(&format!("`{name}`")), "{page} does not say where {name} is to be saved");
    }
    let printed = run(page, &blocks, &files);
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

/// One test for each page, so that they run side by side, and the list of them.
macro_rules! pages {
    ($($name:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];

        mod what_it_shows_is_true {
            $(
                #[test]
                fn $name() {
                    super::is_true($page);
                }
            )*
        }
    };
}

pages! {
    readme: "README.md",
    quick_start: "docs/quick-start.md",
    replacing_a_machine: "docs/replacing-a-machine.md",
    field_team: "docs/tutorials/field-team.md",
    money: "docs/tutorials/money.md",
    device_twins: "docs/tutorials/device-twins.md",
    python_component: "docs/tutorials/python-component.md",
    how_to_objects: "docs/how-to/objects.md",
    how_to_peers: "docs/how-to/peers.md",
    how_to_actions: "docs/how-to/actions.md",
    how_to_sharing: "docs/how-to/sharing.md",
    how_to_care: "docs/how-to/care.md",
    service: "docs/operations/service.md",
    logs: "docs/operations/logs.md",
    upgrade: "docs/operations/upgrade.md",
    uninstall: "docs/operations/uninstall.md",
}

#[test]
fn every_page_with_console_blocks_is_run() {
    let mut with_blocks = BTreeSet::from(["README.md".to_owned()]);
    for (path, text) in common::files(&Path::new(ROOT).join("docs")) {
        if path.extension().is_some_and(|ending| ending == "md")
            && !blocks(&String::from_utf8(text).unwrap()).is_empty()
        {
            with_blocks.insert(format!("docs/{}", path.display()));
        }
    }
    let run: BTreeSet<_> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(with_blocks, run);
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
