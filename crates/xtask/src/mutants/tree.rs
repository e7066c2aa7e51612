//! The repository's files, and a copy of them with the mutants written in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::find::{self, Found};
use super::rewrite::{self, Rewritten};
use super::site::Site;

/// The sources whose mutants are drawn.
pub const SRC: &str = "crates/once-core/src";

/// What decides which mutants there are, and what comes of them.
const DECISIVE: [&str; 6] = [
    "Cargo.lock",
    "Cargo.toml",
    "crates/once-core",
    "crates/once-model",
    "crates/once-sim",
    "crates/xtask/src",
];

/// The repository.
pub struct Tree {
    root: PathBuf,
    /// All that git knows or would take, relative to the root.
    files: Vec<PathBuf>,
    pub head: String,
    /// Of what a sample depends on: its record is of these contents only.
    pub hash: u64,
}

/// One file of the engine.
pub struct Source {
    /// Relative to `SRC`.
    pub file: String,
    text: String,
    found: Found,
}

impl Source {
    pub fn sites(&self) -> &[Site] {
        &self.found.sites
    }
}

fn git(dir: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output();
    let output = output.map_err(|error| format!("git does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Tree {
    /// The repository around the working directory.
    pub fn here() -> Result<Self, String> {
        let root = PathBuf::from(git(Path::new("."), &["rev-parse", "--show-toplevel"])?.trim());
        let head = git(&root, &["rev-parse", "HEAD"])?.trim().to_owned();
        let listed = git(&root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let files: BTreeSet<PathBuf> =
            listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        let files: Vec<PathBuf> = files.into_iter().filter(|file| root.join(file).is_file()).collect();
        let mut hasher = DefaultHasher::new();
        for file in files.iter().filter(|file| DECISIVE.iter().any(|name| file.starts_with(name))) {
            (file, read(&root.join(file))?).hash(&mut hasher);
        }
        Ok(Self { root, files, head, hash: hasher.finish() })
    }

    /// Where cargo puts what it makes.
    pub fn target(&self) -> PathBuf {
        self.root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
    }

    /// The engine's sources, as `lib.rs` and its modules name them.
    pub fn sources(&self) -> Result<Vec<Source>, String> {
        let src = self.root.join(SRC);
        let (mut sources, mut left_out) = (Vec::new(), Vec::new());
        let mut wanted = vec![PathBuf::from("lib.rs")];
        while let Some(path) = wanted.pop() {
            let text = String::from_utf8(read(&src.join(&path))?)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let file = path.display().to_string();
            let found = find::find(&file, &text).map_err(|error| format!("{SRC}/{file}: {error}"))?;
            // `lib.rs` and `mod.rs` have their modules beside them, `rights.rs` has them in `rights/`.
            let folder = match path.file_stem().and_then(OsStr::to_str) {
                Some("lib" | "mod") => path.parent().map(Path::to_owned).unwrap_or_default(),
                _ => path.with_extension(""),
            };
            let place = |name: &String| {
                let flat = folder.join(format!("{name}.rs"));
                if src.join(&flat).is_file() { flat } else { folder.join(name).join("mod.rs") }
            };
            wanted.extend(found.modules.iter().map(place));
            left_out.extend(found.left_out.iter().map(place));
            sources.push(Source { file, text, found });
        }
        sources.sort_by(|a, b| a.file.cmp(&b.file));
        self.nothing_is_forgotten(&sources, &left_out)?;
        Ok(sources)
    }

    /// Each file of the crate is either looked at, or is there only for tests.
    fn nothing_is_forgotten(&self, sources: &[Source], left_out: &[PathBuf]) -> Result<(), String> {
        for file in self.files.iter().filter_map(|file| file.strip_prefix(SRC).ok()) {
            let is_read = sources.iter().any(|source| Path::new(&source.file) == file);
            let is_left_out = left_out.iter().any(|out| match out.file_name() {
                Some(name) if name == "mod.rs" => out.parent().is_some_and(|folder| file.starts_with(folder)),
                _ => file == out || file.starts_with(out.with_extension("")),
            });
            if !is_read && !is_left_out {
                return Err(format!("{SRC}/{} is not found through the modules of lib.rs", file.display()));
            }
        }
        Ok(())
    }

    /// Writes the copy, and the chosen mutants into it. What is right already is not touched, so that cargo does not
    /// build it again. Answers where the mutants of each file went.
    pub fn copy(
        &self,
        to: &Path,
        sources: &[Source],
        chosen: &[(u32, &Site)],
    ) -> Result<BTreeMap<String, Rewritten>, String> {
        let mut written = BTreeMap::new();
        for source in sources {
            let here: Vec<_> = chosen.iter().filter(|(_, site)| site.file == source.file).copied().collect();
            let is_root = source.file == "lib.rs";
            let mut new = rewrite::rewrite(&source.text, &source.found.consts, &here);
            if is_root {
                new.put_before(rewrite::ALLOW);
                new.text.push_str(rewrite::SWITCH);
            }
            written.insert(source.file.clone(), new);
        }
        self.forget(to, Path::new(""))?;
        for file in &self.files {
            let mine = file.strip_prefix(SRC).ok().and_then(|file| written.get(&file.display().to_string()));
            let content = match mine {
                Some(new) => new.text.clone().into_bytes(),
                // Tests call functions that are `const` no more.
                None if file.starts_with(SRC) => without_const(read(&self.root.join(file))?),
                None => read(&self.root.join(file))?,
            };
            write(&to.join(file), &content)?;
        }
        Ok(written)
    }

    /// Removes from the copy what is no longer in the repository: cargo would build it.
    fn forget(&self, copy: &Path, folder: &Path) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", copy.join(folder).display());
        let entries = match std::fs::read_dir(copy.join(folder)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(wrong)?,
        };
        for entry in entries {
            let entry = entry.map_err(wrong)?;
            let path = folder.join(entry.file_name());
            if entry.file_type().map_err(wrong)?.is_dir() {
                self.forget(copy, &path)?;
            } else if self.files.binary_search(&path).is_err() {
                std::fs::remove_file(entry.path()).map_err(wrong)?;
            }
        }
        Ok(())
    }
}

fn without_const(content: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(content.clone()) else { return content };
    let Ok(found) = find::find("", &text) else { return content };
    rewrite::rewrite(&text, &found.consts, &[]).text.into_bytes()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, content))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    /// A repository with an engine of two files, and some for tests.
    fn repository(dir: &Path) -> Tree {
        let files = [
            ("Cargo.toml", "[workspace]"),
            (
                "crates/once-core/src/lib.rs",
                "//! Core.\nmod rights;\n#[cfg(test)]\nmod testing;\n#[cfg(any(test, feature = \"testing\"))]\nmod pair;",
            ),
            ("crates/once-core/src/pair/mod.rs", "mod side;"),
            ("crates/once-core/src/pair/side.rs", "fn left() -> bool { true }"),
            ("crates/once-core/src/rights.rs", "pub const fn may(n: u8) -> bool { n > 1 }"),
            ("crates/once-core/src/testing.rs", "const fn two() -> u8 { 2 }"),
        ];
        for (file, text) in files {
            write(&dir.join(file), text.as_bytes()).unwrap();
        }
        let files = files.iter().map(|(file, _)| PathBuf::from(file)).collect();
        Tree { root: dir.to_owned(), files, head: String::new(), hash: 0 }
    }

    #[test]
    fn a_copy_holds_the_chosen_mutants_and_nothing_that_is_gone() {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = repository(dir.path());
        let sources = tree.sources().unwrap();
        let names: Vec<&str> = sources.iter().map(|source| source.file.as_str()).collect();
        assert_eq!(names, ["lib.rs", "rights.rs"]);
        write(&copy.path().join("crates/gone/src/lib.rs"), b"old").unwrap();
        let site = sources[1].sites().iter().find(|site| site.change.contains("> by >=")).unwrap();
        let written = tree.copy(copy.path(), &sources, &[(9, site)]).unwrap();
        assert_eq!(written["rights.rs"].placed[0].id, 9);
        let text = |file: &str| {
            String::from_utf8(read(&copy.path().join("crates/once-core/src").join(file)).unwrap()).unwrap()
        };
        let expected =
            "pub  fn may(n: u8) -> bool { (if crate::__mutation::on(9) { (n) >= (1) } else { n > 1 }) }";
        assert_eq!(text("rights.rs"), expected);
        assert_eq!(text("testing.rs"), " fn two() -> u8 { 2 }");
        assert!(text("lib.rs").contains("pub mod __mutation"));
        assert!(find::find("lib.rs", &text("lib.rs")).is_ok());
        assert!(!copy.path().join("crates/gone/src/lib.rs").exists());
    }

    #[test]
    fn a_file_that_no_module_names_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = repository(dir.path());
        tree.files.push(PathBuf::from("crates/once-core/src/actions/lost.rs"));
        let error = tree.sources().map(|_| ()).unwrap_err();
        assert!(error.contains("actions/lost.rs"), "{error}");
    }
}
