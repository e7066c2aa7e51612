//! The crates of the workspace: their manifests, and their files as their modules name them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Item};

use crate::attributes::is_test;

/// All of it.
pub struct Source {
    pub crates: Vec<Crate>,
}

/// One crate of the workspace.
pub struct Crate {
    pub name: String,
    /// Relative to the repository.
    pub folder: String,
    pub manifest: String,
    /// What is shipped of it, not its tests.
    pub files: Vec<File>,
}

/// One file that belongs to what is shipped.
pub struct File {
    /// Relative to the repository.
    pub path: String,
    /// The module that it is: `["actions", "home"]`. Empty for the root.
    pub module: Vec<String>,
    pub text: String,
    /// Without its tests.
    pub items: Vec<Item>,
    /// Lines that belong to tests.
    pub test_lines: usize,
}

impl Source {
    /// Reads the crates in `root/crates`.
    pub fn read(root: &Path) -> Result<Self, String> {
        let folder = root.join("crates");
        let listed = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut names: Vec<String> = listed
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| folder.join(name).join("Cargo.toml").is_file())
            .collect();
        names.sort();
        let crates = names.into_iter().map(|name| Crate::read(root, name)).collect::<Result<_, _>>()?;
        Ok(Self { crates })
    }

    pub fn named(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|one| one.name == name)
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.crates.iter().flat_map(|one| &one.files)
    }
}

impl Crate {
    fn read(root: &Path, name: String) -> Result<Self, String> {
        let folder = format!("crates/{name}");
        let manifest = text(&root.join(&folder).join("Cargo.toml"))?;
        let mut files = Vec::new();
        for top in ["lib.rs", "main.rs"] {
            if root.join(&folder).join("src").join(top).is_file() {
                let path = PathBuf::from(&folder).join("src").join(top);
                File::read(root, &path, Vec::new(), &mut files)?;
            }
        }
        Ok(Self { name, folder, manifest, files })
    }
}

impl File {
    /// Reads a file and the modules that it names.
    fn read(root: &Path, path: &Path, module: Vec<String>, files: &mut Vec<Self>) -> Result<(), String> {
        let text = text(&root.join(path))?;
        let tree = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = match path.file_stem().and_then(OsStr::to_str) {
            Some("lib" | "main" | "mod") => path.parent().map(Path::to_owned).unwrap_or_default(),
            _ => path.with_extension(""),
        };
        let (tests, items): (Vec<Item>, Vec<Item>) =
            tree.items.into_iter().partition(|item| is_test(attributes(item)));
        let test_lines = tests.iter().map(lines).sum();
        let named: Vec<String> = items.iter().filter_map(named_module).collect();
        files.push(Self {
            path: path.to_string_lossy().replace('\\', "/"),
            module: module.clone(),
            text,
            items,
            test_lines,
        });
        for name in named {
            let flat = folder.join(format!("{name}.rs"));
            let file = if root.join(&flat).is_file() { flat } else { folder.join(&name).join("mod.rs") };
            let inner = module.iter().cloned().chain([name]).collect();
            Self::read(root, &file, inner, files)?;
        }
        Ok(())
    }
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// A module in a file of its own.
fn named_module(item: &Item) -> Option<String> {
    match item {
        Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
        _ => None,
    }
}

/// How many lines something takes.
pub fn lines(item: &impl ToTokens) -> usize {
    let tokens = item.to_token_stream().into_iter();
    let spans = tokens.map(|token| (token.span().start().line, token.span().end().line));
    let both = spans.reduce(|(first, _), (_, last)| (first, last));
    both.map_or(0, |(first, last)| last + 1 - first)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
