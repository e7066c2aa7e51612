//! What users of the library see names nothing of the crates that it is made of: those change their versions, or have no promise at all.
//!
//! It is read from the sources: what `lib.rs` and the public modules export, and of these the public functions, fields, variants and trait
//! implementations. A type that is only inferred, like that of an `impl Trait` that is returned, is not seen, and neither is what a macro
//! writes but a derive that is named.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Fields, ImplItem, Item, ItemImpl, Type, UseTree, Visibility};

use super::Finding;
use super::source::{Crate, File, Source};

/// The crate that is looked at.
const LIBRARY: &str = "once";

/// The crates of which nothing is shown.
const HIDDEN: [&str; 8] =
    ["once_core", "once_store", "iroh", "iroh_tickets", "iroh_base", "fjall", "minicbor", "negentropy"];

/// What shows something of them all the same: where, what, and why.
const ALLOWED: [(&str, &str, &str); 1] = [(
    "component/registry.rs",
    "Runner",
    "the simulator runs an embedder's components, and takes what the engine takes",
)];

/// Looks at what the library exports.
pub fn look(source: &Source) -> Vec<Finding> {
    let Some(library) = source.named(LIBRARY) else { return Vec::new() };
    let public = exported(library);
    let mut found = Vec::new();
    for file in &library.files {
        let mut looked = Looked { file, hidden: hidden(file), found: &mut found };
        file.items.iter().for_each(|item| looked.item(item, &public));
    }
    found
}

/// Whether a module can be named by users: its public items are exported by being there.
fn is_open(file: &File) -> bool {
    let module: Vec<_> = file.module.iter().map(String::as_str).collect();
    matches!(module.as_slice(), [] | ["component" | "receipts" | "api"] | ["api", "contract", ..])
}

/// The names of all that is exported.
fn exported(library: &Crate) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in library.files.iter().filter(|file| is_open(file)).flat_map(|file| &file.items) {
        let (is_public, name) = match item {
            Item::Use(item) if is_pub(&item.vis) => {
                leaves(&item.tree, &mut Vec::new(), &mut |_, name| {
                    names.insert(name.to_owned());
                });
                continue;
            }
            Item::Struct(item) => (is_pub(&item.vis), &item.ident),
            Item::Enum(item) => (is_pub(&item.vis), &item.ident),
            Item::Trait(item) => (is_pub(&item.vis), &item.ident),
            Item::Fn(item) => (is_pub(&item.vis), &item.sig.ident),
            Item::Type(item) => (is_pub(&item.vis), &item.ident),
            _ => continue,
        };
        if is_public {
            names.insert(name.to_string());
        }
    }
    names
}

const fn is_pub(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The types that a file declares, and whether they are public.
fn declared(file: &File) -> BTreeMap<String, bool> {
    let one = |item: &Item| match item {
        Item::Struct(item) => Some((item.ident.to_string(), is_pub(&item.vis))),
        Item::Enum(item) => Some((item.ident.to_string(), is_pub(&item.vis))),
        Item::Trait(item) => Some((item.ident.to_string(), is_pub(&item.vis))),
        Item::Type(item) => Some((item.ident.to_string(), is_pub(&item.vis))),
        _ => None,
    };
    file.items.iter().filter_map(one).collect()
}

/// The names by which a file knows something of the hidden crates.
fn hidden(file: &File) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> =
        HIDDEN.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    for item in &file.items {
        if let Item::Use(item) = item {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                if path.first().is_some_and(|root| HIDDEN.contains(&root.as_str())) {
                    names.insert(name.to_owned(), path.join("::"));
                }
            });
        }
    }
    names
}

/// Visits what a `use` brings in: the whole path, and the name that it has then.
fn leaves(tree: &UseTree, path: &mut Vec<String>, each: &mut dyn FnMut(&[String], &str)) {
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path, each);
            path.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, path, each)),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let known = if name == "self" { path.last().cloned().unwrap_or_default() } else { name.clone() };
            path.push(name);
            each(path, &known);
            path.pop();
        }
        UseTree::Rename(name) => {
            path.push(name.ident.to_string());
            each(path, &name.rename.to_string());
            path.pop();
        }
        UseTree::Glob(_) => each(path, "*"),
    }
}

struct Looked<'a> {
    file: &'a File,
    hidden: BTreeMap<String, String>,
    found: &'a mut Vec<Finding>,
}

impl Looked<'_> {
    fn item(&mut self, item: &Item, public: &BTreeSet<String>) {
        // Another type of this file may have the name of one that is exported.
        let own = declared(self.file);
        let is_shown = |name: &syn::Ident| {
            let name = name.to_string();
            public.contains(&name) && own.get(&name).copied().unwrap_or(true)
        };
        match item {
            Item::Use(item) if is_pub(&item.vis) && is_open(self.file) => {
                let line = item.span().start().line;
                let mut named = Vec::new();
                leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                    if path.first().is_some_and(|root| HIDDEN.contains(&root.as_str())) {
                        named.push((name.to_owned(), path.join("::")));
                    }
                });
                named
                    .into_iter()
                    .for_each(|(name, path)| self.finding(line, &name, &path, "what is exported"));
            }
            Item::Fn(item) if is_pub(&item.vis) && is_shown(&item.sig.ident) => {
                self.paths(&item.sig, &item.sig.ident.to_string());
            }
            Item::Struct(item) if is_shown(&item.ident) => {
                self.derives(&item.attrs, &item.ident.to_string());
                self.fields(&item.fields, &item.ident.to_string(), false);
            }
            Item::Enum(item) if is_shown(&item.ident) => {
                self.derives(&item.attrs, &item.ident.to_string());
                for variant in &item.variants {
                    self.fields(&variant.fields, &format!("{}::{}", item.ident, variant.ident), true);
                }
            }
            Item::Trait(item) if is_shown(&item.ident) => self.paths(item, &item.ident.to_string()),
            Item::Type(item) if is_shown(&item.ident) => self.paths(&*item.ty, &item.ident.to_string()),
            Item::Impl(item) => {
                let of = match &*item.self_ty {
                    Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
                    _ => None,
                };
                if let Some(of) = of.filter(is_shown) {
                    self.implementation(item, &of.to_string());
                }
            }
            _ => {}
        }
    }

    fn implementation(&mut self, item: &ItemImpl, of: &str) {
        if let Some((path, _)) = &item.trait_ {
            self.paths(path, &format!("a trait of {of}"));
        }
        self.paths(&item.generics, of);
        for inner in &item.items {
            match inner {
                ImplItem::Fn(method) if is_pub(&method.vis) || item.trait_.is_some() => {
                    self.paths(&method.sig, &format!("{of}::{}", method.sig.ident));
                }
                ImplItem::Type(inner) => self.paths(&inner.ty, &format!("{of}::{}", inner.ident)),
                _ => {}
            }
        }
    }

    fn fields(&mut self, fields: &Fields, of: &str, all: bool) {
        for field in fields.iter().filter(|field| all || is_pub(&field.vis)) {
            self.paths(&field.ty, &format!("a member of {of}"));
        }
    }

    /// A derive is named by its macro, which has the name of the trait.
    fn derives(&mut self, attributes: &[syn::Attribute], of: &str) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let text = attribute.meta.to_token_stream().to_string();
            let line = attribute.span().start().line;
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect::<Vec<_>>();
            let named: Vec<_> = (self.hidden.iter())
                .filter(|(name, _)| words.contains(&name.as_str()))
                .map(|(name, path)| (name.clone(), path.clone()))
                .collect();
            for (name, path) in named {
                self.finding(line, &name, &path, &format!("a trait of {of}"));
            }
        }
    }

    fn paths<'ast>(&mut self, of: &'ast (impl ToTokens + Parsed<'ast>), what: &str) {
        let mut paths = Paths { hidden: &self.hidden, found: Vec::new() };
        of.walk(&mut paths);
        for (line, name, path) in paths.found {
            self.finding(line, &name, &path, what);
        }
    }

    fn finding(&mut self, line: usize, name: &str, path: &str, what: &str) {
        let is_allowed =
            ALLOWED.iter().any(|(file, allowed, _)| self.file.path.ends_with(file) && *allowed == name);
        if !is_allowed {
            self.found.push(Finding {
                file: self.file.path.clone(),
                line,
                rule: "what users see is the library's own",
                what: format!("{what} shows {path}"),
                todo: "give it a type of the library, or keep it inside with pub(crate)",
            });
        }
    }
}

/// What can be walked for paths.
trait Parsed<'ast> {
    fn walk(&'ast self, paths: &mut Paths<'_>);
}

macro_rules! parsed {
    ($($type:ty => $visit:ident;)*) => {
        $(impl<'ast> Parsed<'ast> for $type {
            fn walk(&'ast self, paths: &mut Paths<'_>) {
                paths.$visit(self);
            }
        })*
    };
}

parsed! {
    syn::Signature => visit_signature;
    syn::Type => visit_type;
    syn::Path => visit_path;
    syn::Generics => visit_generics;
    syn::ItemTrait => visit_item_trait;
}

struct Paths<'a> {
    hidden: &'a BTreeMap<String, String>,
    found: Vec<(usize, String, String)>,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first()
            && let Some(whole) = self.hidden.get(&first.ident.to_string())
        {
            self.found.push((path.span().start().line, first.ident.to_string(), whole.clone()));
        }
        visit::visit_path(self, path);
    }

    /// What a trait's methods do by default is not seen.
    fn visit_block(&mut self, _: &'ast syn::Block) {}
}
