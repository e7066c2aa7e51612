//! Which files an import reads.
//!
//! In a folder: every file that ends in `.json`, also deeper down, but not in hidden folders and `node_modules`. A
//! symbolic link is followed only to a file inside of the folder, and each file is read once, however many links lead
//! to it; what leads outside or nowhere is counted and left alone.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Done, Failure};

/// Deepest nesting of folders: only a loop of mounts is deeper.
const FOLDERS_MAX_DEPTH: usize = 128;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, sorted, each once.
    pub files: Vec<PathBuf>,
    /// What was left out.
    pub skipped: Skipped,
    /// Folders and files that could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// What was left out, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Links to what is read anyway.
    pub links_inside: u64,
    /// Links that lead out of the folder: not followed.
    pub links_outside: u64,
    /// Links that lead nowhere.
    pub links_dangling: u64,
    /// Files that do not end in `.json`, and what is no file.
    pub others: u64,
    /// Hidden folders and `node_modules`.
    pub folders: u64,
}

/// The files under these paths. A path that is named is taken as it is, whatever it is called and also if it is a link;
/// `-` is stdin.
///
/// # Errors
/// When a named path does not exist.
pub fn find(paths: &[PathBuf]) -> Done<Found> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for path in paths {
        // Stdin: a file of that name is called `./-`.
        if path.as_os_str() == "-" {
            if seen.insert(path.clone()) {
                found.files.push(path.clone());
            }
            continue;
        }
        let root = fs::canonicalize(path).map_err(|error| {
            Failure::io(path, &error).hint("name scenario files, or folders with `*.json` in them")
        })?;
        if root.is_dir() {
            let mut walk = Walk { root: root.clone(), links: Vec::new(), found: &mut found, seen: &mut seen };
            walk.folder(&root, 0);
            walk.follow_links();
        } else if seen.insert(root.clone()) {
            found.files.push(root);
        }
    }
    found.files.sort_unstable();
    Ok(found)
}

struct Walk<'a> {
    root: PathBuf,
    links: Vec<PathBuf>,
    found: &'a mut Found,
    seen: &'a mut HashSet<PathBuf>,
}

impl Walk<'_> {
    /// No link is followed on the way, so every path stays below the root and is the only one of its file.
    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > FOLDERS_MAX_DEPTH {
            self.found.unreadable.push((folder.to_owned(), "nested too deep".to_owned()));
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(folder, &error),
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) => self.entry(&entry.path(), kind, depth),
                Err(error) => self.unreadable(folder, &error),
            }
        }
    }

    fn entry(&mut self, path: &Path, kind: fs::FileType, depth: usize) {
        if kind.is_symlink() {
            self.links.push(path.to_owned());
        } else if kind.is_dir() {
            let hidden = path
                .file_name()
                .is_some_and(|name| name == "node_modules" || name.as_encoded_bytes().starts_with(b"."));
            if hidden {
                self.found.skipped.folders += 1;
            } else {
                self.folder(path, depth + 1);
            }
        } else if kind.is_file() && is_json(path) {
            if self.seen.insert(path.to_owned()) {
                self.found.files.push(path.to_owned());
            }
        } else {
            self.found.skipped.others += 1;
        }
    }

    /// When all folders were read it is known which targets are found without their links.
    fn follow_links(&mut self) {
        for link in std::mem::take(&mut self.links) {
            let Ok(target) = fs::canonicalize(&link) else {
                self.found.skipped.links_dangling += 1;
                continue;
            };
            if !target.starts_with(&self.root) {
                self.found.skipped.links_outside += 1;
            } else if target.is_file() && is_json(&link) && self.seen.insert(target.clone()) {
                self.found.files.push(target);
            } else {
                self.found.skipped.links_inside += 1;
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.found.unreadable.push((path.to_owned(), crate::failure::plain(error)));
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_never_lead_out_and_each_file_is_found_once() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(outside.path().join("secret.json"), "{}").unwrap();
        fs::create_dir_all(at("deep/er")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at(".git/packed.json"), "{}").unwrap();
        fs::write(at("a.scenario.json"), "{}").unwrap();
        fs::write(at("deep/er/b.JSON"), "{}").unwrap();
        fs::write(at("notes.md"), "").unwrap();
        fs::write(at("data.txt"), "{}").unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink(outside.path().join("secret.json"), at("out.json")).unwrap();
        symlink("../a.scenario.json", at("deep/again.json")).unwrap();
        symlink("..", at("deep/loop")).unwrap();
        symlink("nowhere.json", at("dangling.json")).unwrap();
        symlink("data.txt", at("only-by-link.json")).unwrap();

        let found = find(&[folder.path().to_owned(), folder.path().to_owned()]).unwrap();
        let root = folder.path().canonicalize().unwrap();
        let names: Vec<_> =
            found.files.iter().map(|file| file.strip_prefix(&root).unwrap().to_owned()).collect();
        assert_eq!(names, ["a.scenario.json", "data.txt", "deep/er/b.JSON"].map(PathBuf::from));
        let one = find(&[folder.path().to_owned()]).unwrap().skipped;
        let expected =
            Skipped { links_inside: 2, links_outside: 2, links_dangling: 1, others: 2, folders: 1 };
        assert_eq!(one, expected);
    }

    #[test]
    fn a_path_that_is_not_there_is_said() {
        let failure = find(&[PathBuf::from("/no/such/folder")]).unwrap_err();
        assert_eq!(failure.message, "/no/such/folder: No such file or directory");
    }
}
