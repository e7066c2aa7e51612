//! Each capability of the engine has a checker of its name in the simulator: an oracle does not live with its subject,
//! and whoever adds a capability adds what judges it.

use std::collections::BTreeSet;

use super::exceptions::Exceptions;
use super::source::Source;
use super::{Finding, struck};

/// Folders of the engine that are no capability.
const NO_CAPABILITY: [&str; 4] = ["engine", "shell", "store", "waist"];

/// Looks for the checker of each folder.
pub fn look(source: &Source, except: &Exceptions) -> Vec<Finding> {
    let (Some(core), Some(sim)) = (source.named("once-core"), source.named("once-sim")) else {
        return Vec::new();
    };
    let folders: BTreeSet<&str> =
        core.files.iter().filter(|file| file.module.len() > 1).map(|file| file.module[0].as_str()).collect();
    let is_checked = |name: &str| sim.files.iter().any(|file| file.module == ["check", name]);
    let mut found = Vec::new();
    for name in folders.iter().filter(|name| !NO_CAPABILITY.contains(name)) {
        if !is_checked(name) && !except.unmirrored.contains(name) {
            found.push(Finding {
                file: format!("{}/src/{name}", core.folder),
                line: 1,
                rule: "mirrored capabilities",
                what: format!("{}/src/check has no {name}.rs", sim.folder),
                todo: "write the checker of this capability there, in a file of its name",
            });
        }
    }
    for name in except.unmirrored.iter().filter(|name| is_checked(name) || !folders.contains(*name)) {
        found.push(struck(format!("`{name}` is mirrored, or is no folder any more")));
    }
    found
}
