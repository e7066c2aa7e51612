//! Pages that describe a file are compared with it again when it has changed.
//!
//! A page names the file and the hash that it had: `<!-- compared with crates/once-model/src/wire.rs 0123456789abcdef -->`. Another hash
//! is a finding: somebody reads both, mends the page, and says so with `cargo xtask tidy --compared`.

use std::path::Path;

use super::{Finding, pages};

const BEGIN: &str = "<!-- compared with ";
const END: &str = " -->";

/// Digits of a hash that are written: enough to notice a change, not to withstand somebody who forges one.
const DIGITS: usize = 16;

/// Looks at all pages.
///
/// # Errors
///
/// A page cannot be read.
pub fn look(root: &Path) -> Result<Vec<Finding>, String> {
    let mut found = Vec::new();
    for (page, text) in pages::read(root)? {
        for (at, line) in text.lines().enumerate() {
            let Some((file, hash)) = named(line) else { continue };
            let what = match hash_of(root, file) {
                Some(now) if now == hash => continue,
                Some(_) => format!("{file} has changed since this page was compared with it"),
                None => format!("there is no {file}"),
            };
            let todo = "read both, mend the page, then run `cargo xtask tidy --compared`";
            found.push(Finding {
                file: page.clone(),
                line: at + 1,
                rule: "pages follow their files",
                what,
                todo,
            });
        }
    }
    Ok(found)
}

/// Somebody has compared all of them.
///
/// # Errors
///
/// A page cannot be read or written.
pub fn compared(root: &Path) -> Result<(), String> {
    for (page, text) in pages::read(root)? {
        let anew: String = text.split_inclusive('\n').map(|line| renewed(root, line)).collect();
        if anew != text {
            std::fs::write(root.join(&page), anew).map_err(|error| format!("{page}: {error}"))?;
            println!("{page} is compared");
        }
    }
    Ok(())
}

fn renewed(root: &Path, line: &str) -> String {
    match named(line).and_then(|(file, _)| Some((file, hash_of(root, file)?))) {
        Some((file, hash)) => format!("{BEGIN}{file} {hash}{END}\n"),
        None => line.to_owned(),
    }
}

/// The file that a line names, and the hash.
fn named(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix(BEGIN)?.strip_suffix(END)?.split_once(' ')
}

fn hash_of(root: &Path, file: &str) -> Option<String> {
    let bytes = std::fs::read(root.join(file)).ok()?;
    let hash = blake3::hash(&bytes).to_hex();
    Some(hash[..DIGITS].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_compared_again_when_its_file_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("README.md");
        std::fs::write(dir.path().join("wire.rs"), "one").unwrap();
        std::fs::write(&page, "# Wire\n\n<!-- compared with wire.rs ? -->\nText.\n").unwrap();
        compared(dir.path()).unwrap();
        assert_eq!(look(dir.path()).unwrap(), []);
        std::fs::write(dir.path().join("wire.rs"), "two").unwrap();
        let found = look(dir.path()).unwrap();
        assert_eq!((found.len(), found[0].line), (1, 3), "{found:?}");
        compared(dir.path()).unwrap();
        assert_eq!(look(dir.path()).unwrap(), []);
        assert!(std::fs::read_to_string(&page).unwrap().ends_with("-->\nText.\n"));
        std::fs::remove_file(dir.path().join("wire.rs")).unwrap();
        assert!(look(dir.path()).unwrap()[0].what.contains("there is no wire.rs"));
    }
}
