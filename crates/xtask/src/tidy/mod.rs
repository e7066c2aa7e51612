//! Holds the house: what ARCHITECTURE.md says of crates, folders, files and functions, read from the sources; and the links of its
//! pages.
//!
//! What breaks a rule today is listed in `exceptions.rs`, the only place for it. The lists shrink: what is listed and no
//! longer breaks its rule is a finding, too.

mod arrows;
mod circles;
mod compared;
mod exceptions;
mod foreign;
mod glossary;
mod mirrors;
mod pages;
mod paths;
mod planted;
mod sizes;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use exceptions::Exceptions;
use source::Source;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the repository.
    file: String,
    line: usize,
    rule: &'static str,
    what: String,
    /// What whoever broke it can do.
    todo: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, what, todo } = self;
        write!(f, "{file}:{line}: {rule}: {what}\n    {todo}")
    }
}

/// Looks at the repository around the working directory.
///
/// # Errors
///
/// A rule is broken, or the sources cannot be read.
pub fn run() -> Result<(), String> {
    let root = root()?;
    let mut found = look(&root, &exceptions::TODAY)?;
    found.extend(arrows::pure(&root)?);
    if found.is_empty() {
        return Ok(());
    }
    for finding in &found {
        println!("{finding}");
    }
    Err(format!("{} findings", found.len()))
}

/// Somebody has compared each page with the files that it describes.
///
/// # Errors
///
/// A page cannot be read or written.
pub fn compared() -> Result<(), String> {
    compared::compared(&root()?)
}

fn root() -> Result<PathBuf, String> {
    let output = Command::new("git").args(["rev-parse", "--show-toplevel"]).output();
    let output = output.map_err(|error| format!("git does not start: {error}"))?;
    let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(PathBuf::from(root))
}

/// All that breaks a rule in the repository at `root`, except what is listed.
fn look(root: &Path, except: &Exceptions) -> Result<Vec<Finding>, String> {
    let source = Source::read(root)?;
    let mut found = arrows::look(&source);
    found.extend(circles::look(&source, except));
    found.extend(sizes::look(&source, except));
    found.extend(planted::look(&source, except));
    found.extend(mirrors::look(&source, except));
    found.extend(foreign::look(&source));
    found.extend(pages::look(root)?);
    found.extend(glossary::look(root, &source)?);
    found.extend(compared::look(root)?);
    found.sort();
    Ok(found)
}

/// Of an exception that is no longer one.
fn struck(what: String) -> Finding {
    Finding {
        file: exceptions::FILE.to_owned(),
        line: 1,
        rule: "exceptions shrink",
        what,
        todo: "strike it from the list, or write the smaller number there",
    }
}
