//! Which file uses which, within one crate: paths followed through imports and re-exports to the file that has the item.

use std::collections::{BTreeMap, HashMap, HashSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Item, UseTree, Visibility};

use super::source::Crate;
use crate::attributes::is_test;

/// Paths that lead through so many imports go in a circle of their own.
const STEPS_MAX: usize = 32;

/// One module, in a file of its own or not.
#[derive(Default)]
struct Module {
    file: usize,
    modules: HashSet<String>,
    /// Its functions, types and so on.
    items: HashSet<String>,
    /// Names that it has from elsewhere, to itself or for others.
    imports: Vec<Import>,
}

struct Import {
    /// `None` for all names of a module.
    name: Option<String>,
    path: Vec<String>,
    is_private: bool,
    line: usize,
}

/// Where a path leads.
enum Place {
    Module(Vec<String>),
    /// An item in this file.
    File(usize),
}

/// The modules of a crate.
struct Modules(HashMap<Vec<String>, Module>);

/// For each file that uses another one, the line where it does so first. Files by their places in `Crate::files`.
pub fn uses(one: &Crate) -> BTreeMap<(usize, usize), usize> {
    let mut modules = Modules(HashMap::new());
    for (n, file) in one.files.iter().enumerate() {
        modules.add(file.module.clone(), n, &file.items);
    }
    let mut found = BTreeMap::new();
    for (n, file) in one.files.iter().enumerate() {
        modules.collect(&file.module, n, &file.items, &mut found);
    }
    found
}

impl Modules {
    fn add(&mut self, path: Vec<String>, file: usize, items: &[Item]) {
        let mut module = Module { file, ..Module::default() };
        for item in items {
            match item {
                Item::Use(item) => {
                    let is_private = matches!(item.vis, Visibility::Inherited);
                    imports(&item.tree, &mut Vec::new(), &mut |name, path| {
                        let line = item.span().start().line;
                        module.imports.push(Import { name, path, is_private, line });
                    });
                }
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    if let Some((_, items)) = &inner.content
                        && !is_test(&inner.attrs)
                    {
                        self.add([path.as_slice(), std::slice::from_ref(&name)].concat(), file, items);
                    }
                    module.modules.insert(name);
                }
                _ => module.items.extend(name_of(item)),
            }
        }
        self.0.insert(path, module);
    }

    fn collect(
        &self,
        path: &[String],
        file: usize,
        items: &[Item],
        found: &mut BTreeMap<(usize, usize), usize>,
    ) {
        let Some(module) = self.0.get(path) else { return };
        let mut paths = Vec::new();
        for import in module.imports.iter().filter(|import| import.is_private) {
            paths.push((import.path.clone(), import.line));
        }
        for item in items {
            match item {
                Item::Use(_) => {}
                Item::Mod(inner) => {
                    if let Some((_, items)) = &inner.content
                        && !is_test(&inner.attrs)
                    {
                        let inside = [path, &[inner.ident.to_string()]].concat();
                        self.collect(&inside, file, items, found);
                    }
                }
                _ => walk(item.to_token_stream(), &mut |path, line| paths.push((path.to_vec(), line))),
            }
        }
        for (segments, line) in paths {
            if let Some(Place::File(other)) = self.resolve(path, &segments, 0)
                && other != file
            {
                let first = found.entry((file, other)).or_insert(line);
                *first = line.min(*first);
            }
        }
    }

    fn resolve(&self, from: &[String], path: &[String], steps: usize) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Place::Module(Vec::new()),
            "self" => Place::Module(from.to_vec()),
            "super" => Place::Module(from.get(..from.len().checked_sub(1)?)?.to_vec()),
            name => self.look_up(from, name, rest.is_empty(), steps)?,
        };
        rest.iter().enumerate().try_fold(start, |place, (n, name)| match place {
            Place::Module(module) if name == "super" => {
                Some(Place::Module(module.get(..module.len().checked_sub(1)?)?.to_vec()))
            }
            Place::Module(module) if name == "self" => Some(Place::Module(module)),
            // What a macro makes is nowhere by name: it is in the module's file.
            Place::Module(module) => self
                .look_up(&module, name, n + 1 == rest.len(), steps)
                .or_else(|| self.0.get(&module).map(|module| Place::File(module.file))),
            item => Some(item),
        })
    }

    /// `is_last`: nothing of the path comes behind it. A function and a module may have one name.
    fn look_up(&self, path: &[String], name: &str, is_last: bool, steps: usize) -> Option<Place> {
        let module = self.0.get(path).filter(|_| steps < STEPS_MAX)?;
        let is_item = module.items.contains(name);
        if is_item && (is_last || !module.modules.contains(name)) {
            return Some(Place::File(module.file));
        }
        if module.modules.contains(name) {
            return Some(Place::Module([path, &[name.to_owned()]].concat()));
        }
        let named = |import: &&Import| import.name.as_deref() == Some(name) && import.path != [name];
        if let Some(import) = module.imports.iter().find(named) {
            return self.resolve(path, &import.path, steps + 1);
        }
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        globs.into_iter().find_map(|glob| match self.resolve(path, &glob.path, steps + 1)? {
            Place::Module(module) => self.look_up(&module, name, is_last, steps + 1),
            Place::File(_) => None,
        })
    }
}

/// The names that an item has of its own.
fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Takes an import apart into single names.
fn imports(tree: &UseTree, path: &mut Vec<String>, each: &mut impl FnMut(Option<String>, Vec<String>)) {
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            imports(&step.tree, path, each);
            path.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, path, each)),
        UseTree::Glob(_) => each(None, path.clone()),
        UseTree::Name(name) if name.ident == "self" => each(path.last().cloned(), path.clone()),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            each(Some(name.clone()), [path.as_slice(), &[name]].concat());
        }
        UseTree::Rename(renamed) => {
            let name = renamed.ident.to_string();
            let path = if name == "self" { path.clone() } else { [path.as_slice(), &[name]].concat() };
            each(Some(renamed.rename.to_string()), path);
        }
    }
}

/// Every path in some code: in types, expressions, attributes and the insides of macros alike.
fn walk(tokens: TokenStream, each: &mut impl FnMut(&[String], usize)) {
    let (mut path, mut line): (Vec<String>, usize) = (Vec::new(), 0);
    let (mut colons, mut is_no_path) = (0, false);
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let goes_on = colons == 2 && !path.is_empty();
                if !goes_on {
                    end(&mut path, line, each);
                    line = name.span().start().line;
                }
                if !is_no_path {
                    path.push(name.to_string());
                }
                // The name of a new function is no path either.
                (colons, is_no_path) = (0, name == "fn");
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            other => {
                end(&mut path, line, each);
                colons = 0;
                is_no_path = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '.');
                match other {
                    TokenTree::Group(group) => walk(group.stream(), each),
                    TokenTree::Literal(literal) => {
                        named_in_text(&literal.to_string(), literal.span().start().line, each)
                    }
                    _ => {}
                }
            }
        }
    }
    end(&mut path, line, each);
}

fn end(path: &mut Vec<String>, line: usize, each: &mut impl FnMut(&[String], usize)) {
    if !path.is_empty() {
        each(path, line);
        path.clear();
    }
}

/// A path that an attribute has as a text: `with = "crate::cbor::uuid_bytes"`.
fn named_in_text(text: &str, line: usize, each: &mut impl FnMut(&[String], usize)) {
    let text = text.trim_matches('"');
    if text.starts_with("crate::") || text.starts_with("super::") {
        let path: Vec<String> = text.split("::").map(str::to_owned).collect();
        each(&path, line);
    }
}
