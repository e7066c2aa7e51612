//! Arrows between crates, as ARCHITECTURE.md has them.

use std::path::Path;
use std::process::Command;

use super::Finding;
use super::source::{Crate, Source};

const RULE: &str = "arrows between crates";

/// Which crates of ours each one may use.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("once-model", &[]),
    ("once-core", &["once-model"]),
    ("once-store", &["once-model", "once-core"]),
    ("once", &["once-model", "once-core", "once-store"]),
    ("once-cli", &["once"]),
    ("once-sim", &["once-model", "once-core", "once-judge"]),
    ("once-judge", &["once-model"]),
    ("once-bench", &["once"]),
    ("xtask", &[]),
];

/// The crates that do no I/O, and what they do not know, at whatever distance.
const PURE: [&str; 2] = ["once-model", "once-core"];
const WORLD: [&str; 5] = ["tokio", "iroh", "fjall", "mio", "getrandom"];

/// Every crate uses only what it may.
pub fn look(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in &source.crates {
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == one.name) else {
            found.push(finding(
                one,
                1,
                format!("{} is in no row of MAY_USE", one.name),
                "say in crates/xtask/src/tidy/arrows.rs, and in ARCHITECTURE.md, which crates it may use",
            ));
            continue;
        };
        for (line, name) in dependencies(&one.manifest) {
            let is_ours = MAY_USE.iter().any(|(ours, _)| *ours == name);
            if is_ours && !may.contains(&name.as_str()) {
                found.push(finding(
                    one,
                    line,
                    format!("{} uses {name}", one.name),
                    "move what is needed into a crate that both may use; tests may use it as a dev-dependency",
                ));
            }
        }
    }
    found
}

fn finding(one: &Crate, line: usize, what: String, todo: &'static str) -> Finding {
    Finding { file: format!("{}/Cargo.toml", one.folder), line, rule: RULE, what, todo }
}

/// What a manifest names in `[dependencies]`, for whatever target, with its line. What is there for tests alone is left out.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let (mut found, mut inside) = (Vec::new(), false);
    for (line, text) in (1..).zip(manifest.lines().map(str::trim)) {
        if let Some(section) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = section == "dependencies" || section.ends_with(".dependencies");
            if let Some(name) = section.strip_prefix("dependencies.") {
                found.push((line, name.to_owned()));
            }
        } else if inside && !text.starts_with('#') {
            let name = text.split(['=', '.', ' ']).next().unwrap_or_default().trim_matches('"');
            if !name.is_empty() {
                found.push((line, name.to_owned()));
            }
        }
    }
    found
}

/// The pure crates know nothing of the world, at whatever distance: what `cargo tree` says.
pub fn pure(root: &Path) -> Result<Vec<Finding>, String> {
    let mut found = Vec::new();
    for name in PURE {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root).args(["tree", "--package", name, "--edges", "normal", "--prefix", "none"]);
        let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let worldly = worldly(&String::from_utf8_lossy(&output.stdout));
        found.extend(worldly.into_iter().map(|other| Finding {
            file: format!("crates/{name}/Cargo.toml"),
            line: 1,
            rule: "the engine stays pure",
            what: format!("{name} depends on {other}, itself or through another crate"),
            todo: "leave the dependency out, or switch off the feature that brings it: `cargo tree -i` shows the way",
        }));
    }
    Ok(found)
}

/// What of a tree of dependencies a pure crate must not know.
fn worldly(tree: &str) -> Vec<&'static str> {
    let is_there = |name: &&str| tree.lines().any(|line| line.split(' ').next() == Some(*name));
    WORLD.into_iter().filter(|name| is_there(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_in_all_their_forms() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# iroh = 1\nonce-model.workspace = true\nbytes = \"1\"\n\
                        [dev-dependencies]\nonce-sim = { path = \"..\" }\n[target.'cfg(unix)'.dependencies]\nrustix = \"1\"\n\
                        [dependencies.once-core]\nworkspace = true\n";
        let names: Vec<String> = dependencies(manifest).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["once-model", "bytes", "rustix", "once-core"]);
    }

    #[test]
    fn a_crate_of_the_world_is_noticed_at_whatever_distance() {
        assert_eq!(worldly("once-core v0.1.0 (/x)\nbytes v1\nfjall v3.1\nmio v1.0\n"), ["fjall", "mio"]);
        assert!(worldly("once-core v0.1.0\niroh-base v1\ntokio-util v1\n").is_empty());
    }
}
