//! Finds the places of one file where a change can be made, about as cargo-mutants does.
//!
//! What is not in the shipped engine is no place: tests, and what stands there only for the planted bugs
//! (`mutant!(..)` is `false` in a release). Neither are constants, types, patterns and the insides of macros.

use std::ops::Range;

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, Attribute, BinOp, Block, Expr, Lit, Pat, Signature, Stmt, UnOp};

use super::site::{Edit, Site};
use super::values;
use crate::attributes::{is_one_of, is_test};

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Found {
    pub sites: Vec<Site>,
    /// Modules that stand in files of their own, and belong to the shipped engine.
    pub modules: Vec<String>,
    /// Modules in files of their own that do not.
    pub left_out: Vec<String>,
    /// The word `const` of each function: the switch cannot be asked at compile time.
    pub consts: Vec<Range<usize>>,
}

/// Reads a file.
///
/// # Errors
///
/// It is no Rust.
pub fn find(file: &str, text: &str) -> syn::Result<Found> {
    let tree = syn::parse_file(text)?;
    let mut consts = Consts(Vec::new());
    consts.visit_file(&tree);
    let mut finder =
        Finder { file, text, path: Vec::new(), found: Found { consts: consts.0, ..Found::default() } };
    finder.visit_file(&tree);
    Ok(finder.found)
}

/// Looks for `const fn`, also in tests: they call each other.
struct Consts(Vec<Range<usize>>);

impl<'ast> Visit<'ast> for Consts {
    fn visit_signature(&mut self, signature: &'ast Signature) {
        if let Some(token) = &signature.constness {
            self.0.push(token.span.byte_range());
        }
        visit::visit_signature(self, signature);
    }
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    /// The names around: types and functions.
    path: Vec<String>,
    found: Found,
}

/// Whether something is compiled only for tests or for planted bugs.
fn is_left_out(attributes: &[Attribute]) -> bool {
    is_test(attributes) || is_one_of(attributes, &["cfg(feature=\"mutants\")"])
}

/// What an expression is in the shipped engine, as far as planted bugs decide it.
fn shipped_value(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Macro(call) if call.mac.path.is_ident("mutant") => Some(false),
        Expr::Paren(inner) => shipped_value(&inner.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
            shipped_value(&unary.expr).map(|value| !value)
        }
        Expr::Binary(binary) => {
            let (left, right) = (shipped_value(&binary.left), shipped_value(&binary.right));
            match binary.op {
                BinOp::And(_) if left == Some(false) || right == Some(false) => Some(false),
                BinOp::Or(_) if left == Some(true) || right == Some(true) => Some(true),
                BinOp::And(_) | BinOp::Or(_) if left == right => left,
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a condition binds names: then only its other parts can be changed.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

/// Whether a statement is there for what it does.
fn is_effect(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_) => true,
        Expr::Try(inner) => is_effect(&inner.expr),
        Expr::Binary(binary) => is_assigning(&binary.op),
        _ => false,
    }
}

fn is_assigning(op: &BinOp) -> bool {
    let text = op.to_token_stream().to_string();
    text.ends_with('=') && !matches!(text.as_str(), "==" | "!=" | "<=" | ">=")
}

/// The operators that are tried instead of one.
fn others_of(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">="],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<="],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["/"],
        BinOp::Div(_) | BinOp::Rem(_) => &["*"],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::BitXor(_) => &["&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::MulAssign(_) => &["/="],
        BinOp::BitAndAssign(_) => &["|="],
        BinOp::BitOrAssign(_) => &["&="],
        _ => &[],
    }
}

/// On one line, and not too long for a report.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(70) {
        Some((end, _)) => format!("{}..", &line[..end]),
        None => line,
    }
}

impl Finder<'_> {
    fn text(&self, span: Span) -> &str {
        self.text.get(span.byte_range()).unwrap_or_default()
    }

    fn add(&mut self, at: Span, range: Range<usize>, change: String, edit: Edit) {
        self.found.sites.push(Site {
            file: self.file.to_owned(),
            line: at.start().line,
            function: self.path.join("::"),
            change,
            range,
            edit,
        });
    }

    fn replace(&mut self, expr: &Expr, with: &str, change: String) {
        let span = expr.span();
        self.add(span, span.byte_range(), change, Edit::Replace(with.to_owned()));
    }

    fn inside(&mut self, name: String, look: impl FnOnce(&mut Self)) {
        self.path.push(name);
        look(self);
        self.path.pop();
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        if is_left_out(attributes) {
            return;
        }
        self.inside(signature.ident.to_string(), |this| {
            this.returns(signature, block);
            this.visit_block(block);
        });
    }

    fn returns(&mut self, signature: &Signature, block: &Block) {
        let open = block.brace_token.span.open();
        let body = self.text(block.span()).trim_matches(|c: char| c == '{' || c == '}' || c.is_whitespace());
        let body: String = body.to_owned();
        for value in values::of_return(&signature.output) {
            let is_same = body == value || body.is_empty() && value == "()";
            // `default` would call itself.
            if is_same || signature.ident == "default" && value.contains("Default::default()") {
                continue;
            }
            let at = open.byte_range().end;
            let change = format!("return {value} at once");
            self.add(signature.ident.span(), at..at, change, Edit::Return(value));
        }
    }

    /// A condition holds always, and never.
    fn condition(&mut self, expr: &Expr, always: bool) {
        match expr {
            _ if shipped_value(expr).is_some() => {}
            Expr::Let(_) => {}
            Expr::Binary(binary) if binds(expr) => {
                self.condition(&binary.left, always);
                self.condition(&binary.right, always);
            }
            _ => {
                let what = short(self.text(expr.span()));
                if always {
                    self.replace(expr, "true", format!("replace the condition {what} by true"));
                }
                self.replace(expr, "false", format!("replace the condition {what} by false"));
            }
        }
    }

    fn binary(&mut self, whole: &Expr, left: &Expr, op: &BinOp, right: &Expr) {
        if binds(whole) || shipped_value(left).is_some() || shipped_value(right).is_some() {
            return;
        }
        let (was, what) = (op.to_token_stream().to_string(), short(self.text(whole.span())));
        for other in others_of(op) {
            let (left, right) = (self.text(left.span()), self.text(right.span()));
            // What is assigned to cannot stand in parentheses without a warning; it binds tightly anyway.
            let with = if is_assigning(op) {
                format!("{left} {other} {right}")
            } else {
                format!("({left}) {other} ({right})")
            };
            self.replace(whole, &with, format!("replace {was} by {other} in {what}"));
        }
    }

    fn literal(&mut self, whole: &Expr, lit: &Lit) {
        let Lit::Int(int) = lit else { return };
        let Ok(value) = int.base10_parse::<u128>() else { return };
        let suffix = int.suffix();
        for other in [value.checked_sub(1), value.checked_add(1)].into_iter().flatten() {
            self.replace(whole, &format!("{other}{suffix}"), format!("replace {value} by {other}"));
        }
    }

    fn arms(&mut self, arms: &[Arm]) {
        let rest = arms.iter().position(|arm| match &arm.pat {
            Pat::Wild(_) => true,
            Pat::Ident(name) => {
                name.subpat.is_none() && name.ident.to_string().starts_with(|c: char| c.is_lowercase())
            }
            _ => false,
        });
        for (n, arm) in arms.iter().enumerate() {
            if let Pat::Guard(guarded) = &arm.pat {
                self.condition(&guarded.guard, true);
            } else if rest.is_some_and(|rest| n < rest) {
                let (span, what) = (arm.pat.span(), short(self.text(arm.pat.span())));
                let end = span.byte_range().end;
                self.add(span, end..end, format!("delete the arm {what}"), Edit::SkipArm);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.attrs, &item.sig, block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_left_out(&item.attrs) {
            let name = item.self_ty.to_token_stream().to_string().replace(' ', "");
            self.inside(name, |this| visit::visit_item_impl(this, item));
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        if !is_left_out(&item.attrs) {
            self.inside(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let (name, is_out) = (item.ident.to_string(), is_left_out(&item.attrs));
        match &item.content {
            Some(_) if is_out => {}
            Some(_) => self.inside(name, |this| visit::visit_item_mod(this, item)),
            None if is_out => self.found.left_out.push(name),
            None => self.found.modules.push(name),
        }
    }

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = stmt
            && is_effect(expr)
        {
            let span = stmt.span();
            let change = format!("delete {}", short(self.text(span)));
            self.add(span, span.byte_range(), change, Edit::Delete);
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        if shipped_value(expr).is_some() {
            return;
        }
        match expr {
            Expr::Binary(binary) => self.binary(expr, &binary.left, &binary.op, &binary.right),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let with = self.text(unary.expr.span()).to_owned();
                let change = format!("delete ! in {}", short(self.text(expr.span())));
                self.replace(expr, &with, change);
            }
            Expr::Lit(literal) => self.literal(expr, &literal.lit),
            Expr::If(branches) => {
                self.condition(&branches.cond, true);
                self.visit_expr(&branches.cond);
                if shipped_value(&branches.cond) != Some(false) {
                    self.visit_block(&branches.then_branch);
                }
                if let Some((_, other)) = &branches.else_branch {
                    self.visit_expr(other);
                }
                return;
            }
            Expr::While(repeated) => self.condition(&repeated.cond, false),
            Expr::Match(choice) => self.arms(&choice.arms),
            // The length is a constant.
            Expr::Repeat(repeat) => return self.visit_expr(&repeat.expr),
            Expr::Const(_) => return,
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if let Pat::Guard(guarded) = &arm.pat {
            if shipped_value(&guarded.guard) == Some(false) {
                return;
            }
            self.visit_expr(&guarded.guard);
        }
        self.visit_expr(&arm.body);
    }

    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_path(&mut self, _: &'ast syn::Path) {}
    fn visit_angle_bracketed_generic_arguments(&mut self, _: &'ast syn::AngleBracketedGenericArguments) {}
    fn visit_generics(&mut self, _: &'ast syn::Generics) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_item_struct(&mut self, _: &'ast syn::ItemStruct) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
}
