//! How long files and functions are, and how many parameters a function takes. Tests are not counted.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemTrait, Signature, TraitItemFn};

use super::exceptions::Exceptions;
use super::source::{File, Source};
use super::{Finding, struck};
use crate::attributes::is_test;

/// Lines of a file.
const FILE_MAX: usize = 500;

/// Lines of a function, from `fn` to its last brace.
const LINES_MAX: usize = 70;

/// Parameters of a function, without `self`.
const PARAMETERS_MAX: usize = 5;

/// Something that can be too large, and how large it is.
struct Measured {
    file: String,
    line: usize,
    /// The file again, or the file and the function: `crates/x/src/lib.rs, Type::method`.
    name: String,
    size: usize,
}

/// Measures all files and functions.
pub fn look(source: &Source, except: &Exceptions) -> Vec<Finding> {
    let mut measured = All::default();
    for file in source.files() {
        let size = file.text.lines().count().saturating_sub(file.test_lines);
        measured.files.push(Measured { file: file.path.clone(), line: 1, name: file.path.clone(), size });
        let mut measurer = Measurer { file, path: Vec::new(), all: &mut measured };
        file.items.iter().for_each(|item| measurer.visit_item(item));
    }
    let mut found = Rule {
        name: "long files",
        unit: "lines without tests",
        max: FILE_MAX,
        todo: "give one of its ideas a file of its own",
    }
    .hold(&measured.files, except.long_files);
    found.extend(
        Rule {
            name: "long functions",
            unit: "lines",
            max: LINES_MAX,
            todo: "give a part of it a name, as a function of its own",
        }
        .hold(&measured.lines, except.long_functions),
    );
    found.extend(
        Rule {
            name: "many parameters",
            unit: "parameters",
            max: PARAMETERS_MAX,
            todo: "make those that go together one struct",
        }
        .hold(&measured.parameters, except.many_parameters),
    );
    found
}

struct Rule {
    name: &'static str,
    unit: &'static str,
    max: usize,
    todo: &'static str,
}

impl Rule {
    fn hold(&self, measured: &[Measured], except: &[(&str, usize)]) -> Vec<Finding> {
        let mut found = Vec::new();
        for one in measured {
            let listed = except.iter().find(|(name, _)| *name == one.name).map(|(_, size)| *size);
            if one.size > listed.unwrap_or(self.max) {
                found.push(Finding {
                    file: one.file.clone(),
                    line: one.line,
                    rule: self.name,
                    what: format!(
                        "{} has {} {}, {} are allowed",
                        one.name,
                        one.size,
                        self.unit,
                        listed.unwrap_or(self.max)
                    ),
                    todo: self.todo,
                });
            }
        }
        for (name, size) in except {
            let now = measured.iter().filter(|one| one.name == *name).map(|one| one.size).max();
            if now.is_none_or(|now| now < *size) {
                let now = now.map_or("is gone".to_owned(), |now| format!("has {now} now"));
                found.push(struck(format!("{}: `{name}`, listed with {size}, {now}", self.name)));
            }
        }
        found
    }
}

#[derive(Default)]
struct All {
    files: Vec<Measured>,
    lines: Vec<Measured>,
    parameters: Vec<Measured>,
}

struct Measurer<'a> {
    file: &'a File,
    path: Vec<String>,
    all: &'a mut All,
}

impl Measurer<'_> {
    fn inside(&mut self, name: String, look: impl FnOnce(&mut Self)) {
        self.path.push(name);
        look(self);
        self.path.pop();
    }

    /// `end`: the function's last line.
    fn function(&mut self, attributes: &[Attribute], signature: &Signature, end: usize) {
        if is_test(attributes) {
            return;
        }
        let line = signature.span().start().line;
        let name = format!(
            "{}, {}",
            self.file.path,
            [self.path.as_slice(), &[signature.ident.to_string()]].concat().join("::")
        );
        let parameters = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count();
        let measured = |size| Measured { file: self.file.path.clone(), line, name: name.clone(), size };
        self.all.lines.push(measured(end + 1 - line));
        self.all.parameters.push(measured(parameters));
    }
}

impl<'ast> Visit<'ast> for Measurer<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, &item.sig, item.block.span().end().line);
        self.inside(item.sig.ident.to_string(), |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.attrs, &item.sig, item.block.span().end().line);
        self.inside(item.sig.ident.to_string(), |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.function(&item.attrs, &item.sig, item.span().end().line);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let name = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.inside(name.unwrap_or_default(), |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.inside(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            self.inside(item.ident.to_string(), |this| visit::visit_item_mod(this, item));
        }
    }
}
