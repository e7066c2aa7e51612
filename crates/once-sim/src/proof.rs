//! `docs/proof/simulation.json`: many seeds, run once on one commit. Only this program writes that file.
//!
//! It says which commit ran, and the hashes of the trees of what was run: whoever reads it compares them with
//! `git rev-parse HEAD:crates/once-core`, and sees whether the figures are those of the code at hand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use once_sim::seed::Eyes;

use crate::figures::{Figures, measure};

/// Seeds in one part of the file.
pub const PART_SEEDS: u64 = 5_000;

/// The crates that the figures depend on.
const TREES: [&str; 4] = ["once-model", "once-core", "once-judge", "once-sim"];

/// The state of the repository that is run.
struct Ground {
    commit: String,
    trees: Vec<(&'static str, String)>,
}

fn git(args: &[&str]) -> Result<String, String> {
    let failed = |why: String| format!("git {}: {why}", args.join(" "));
    let output = Command::new("git").args(args).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Ground {
    /// Refuses a tree that is not exactly a commit: nobody could run it again.
    fn read() -> Result<Self, String> {
        let changed = git(&["status", "--porcelain"])?;
        if !changed.is_empty() {
            return Err(format!("the tree is dirty: commit first, or put these away\n{changed}"));
        }
        let trees =
            TREES.iter().map(|name| Ok((*name, git(&["rev-parse", &format!("HEAD:crates/{name}")])?)));
        Ok(Self { commit: git(&["rev-parse", "HEAD"])?, trees: trees.collect::<Result<_, String>>()? })
    }
}

/// Runs `count` seeds from `first`, and writes the file.
///
/// # Errors
/// When the tree is dirty or changes meanwhile, a promise is broken, something is never reached, or the file cannot be
/// written. The file is then as it was.
pub fn write(path: &Path, first: u64, count: u64) -> Result<(), String> {
    // Told before hours are spent on it.
    let ground = Ground::read()?;
    let mut whole = Figures::new(first);
    let mut parts = Vec::new();
    while whole.seeds < count {
        let part = measure(first + whole.seeds, PART_SEEDS.min(count - whole.seeds), None, Eyes::default());
        part.tell();
        whole.add(&part);
        parts.push(part);
    }
    let never = whole.cover.never_reached();
    if whole.violations() > 0 || !never.is_empty() {
        let (violations, never) = (whole.violations(), never.join(", "));
        return Err(format!("not written: {violations} violations, never reached: [{never}]"));
    }
    let now = Ground::read()?;
    if now.commit != ground.commit {
        return Err(format!("not written: the commit was {}, and is now {}", ground.commit, now.commit));
    }
    std::fs::write(path, text(&ground, &whole, &parts))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("written; commit {} alone, as the next commit", path.display());
    Ok(())
}

fn text(ground: &Ground, whole: &Figures, parts: &[Figures]) -> String {
    let trees: Vec<_> = ground.trees.iter().map(|(name, hash)| format!("  \"{name}\": \"{hash}\"")).collect();
    let parts: Vec<_> = parts.iter().map(|part| format!("  {}", part.json())).collect();
    let mut out = String::from("{\n");
    let (commit, first, seeds) = (&ground.commit, whole.first, whole.seeds);
    // Writing to a string does not fail.
    let _ = writeln!(out, " \"commit\": \"{commit}\",\n \"trees\": {{\n{}\n }},", trees.join(",\n"));
    let command = format!("cargo run --release -p once-sim -- --proof FILE --seed {first} --seeds {seeds}");
    let _ = writeln!(out, " \"command\": \"{command}\",");
    let _ = writeln!(out, " \"first_seed\": {first},\n \"seeds\": {seeds},");
    let _ = writeln!(out, " \"violations\": {},\n \"never_reached\": [],", whole.violations());
    let _ = writeln!(out, " \"parts\": [\n{}\n ]\n}}", parts.join(",\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_what_was_run() {
        let tree = "0".repeat(40);
        let ground = Ground { commit: "c".repeat(40), trees: vec![("once-core", tree.clone())] };
        let part = measure(3, 1, None, Eyes::default());
        let mut whole = Figures::new(3);
        whole.add(&part);
        let text = text(&ground, &whole, &[part]);
        for said in [
            format!("\"commit\": \"{}\"", ground.commit),
            format!("\"once-core\": \"{tree}\""),
            "\"first_seed\": 3,\n \"seeds\": 1,".to_owned(),
            "{\"first_seed\":3,\"seeds\":1,\"violations\":0,".to_owned(),
        ] {
            assert!(text.contains(&said), "{text}");
        }
    }
}
