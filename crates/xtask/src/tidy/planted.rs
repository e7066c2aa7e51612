//! Planted bugs stand where a reader can step over them: a condition, or the value of a statement, never the inside of an
//! argument, a struct or a closure.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, Macro, Pat, Stmt};

use super::exceptions::Exceptions;
use super::source::{File, Source};
use super::{Finding, struck};

/// Looks at every `mutant!(..)`.
pub fn look(source: &Source, except: &Exceptions) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in source.files() {
        let mut looker = Looker { file, found: &mut found };
        file.items.iter().for_each(|item| looker.visit_item(item));
    }
    let is_in = |file: &str| found.iter().any(|one| one.file == file);
    let mended = except.planted.iter().filter(|file| !is_in(file));
    let mended: Vec<Finding> =
        mended.map(|file| struck(format!("planted bugs stand well in {file}"))).collect();
    found.retain(|one| !except.planted.contains(&one.file.as_str()));
    found.extend(mended);
    found
}

struct Looker<'a> {
    file: &'a File,
    found: &'a mut Vec<Finding>,
}

impl Looker<'_> {
    /// The value of a statement, past each planted bug that decides it. Branches are statements again.
    fn value(&mut self, expr: &Expr) {
        match expr {
            Expr::Macro(call) if call.mac.path.is_ident("mutant") => {}
            Expr::Paren(inner) => self.value(&inner.expr),
            Expr::Unary(unary) => self.value(&unary.expr),
            Expr::Binary(binary) => {
                self.value(&binary.left);
                self.value(&binary.right);
            }
            Expr::Assign(assigned) => {
                self.visit_expr(&assigned.left);
                self.value(&assigned.right);
            }
            Expr::If(branches) => {
                self.value(&branches.cond);
                self.visit_block(&branches.then_branch);
                if let Some((_, other)) = &branches.else_branch {
                    self.value(other);
                }
            }
            Expr::While(repeated) => {
                self.value(&repeated.cond);
                self.visit_block(&repeated.body);
            }
            Expr::Match(choice) => {
                self.visit_expr(&choice.expr);
                for arm in &choice.arms {
                    if let Pat::Guard(guarded) = &arm.pat {
                        self.value(&guarded.guard);
                    }
                    self.value(&arm.body);
                }
            }
            Expr::Call(call) if is_wrapped(call) => self.value(&call.args[0]),
            _ => visit::visit_expr(self, expr),
        }
    }
}

/// `Ok(if .. )` and the like: the branches decide what is answered.
fn is_wrapped(call: &ExprCall) -> bool {
    let wraps =
        matches!(&*call.func, Expr::Path(name) if ["Ok", "Some"].iter().any(|it| name.path.is_ident(it)));
    wraps && matches!(call.args.first(), Some(Expr::If(_) | Expr::Match(_)))
}

impl<'ast> Visit<'ast> for Looker<'_> {
    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        match stmt {
            Stmt::Expr(expr, _) => self.value(expr),
            Stmt::Local(local) => {
                if let Some(init) = &local.init {
                    self.value(&init.expr);
                    if let Some((_, diverge)) = &init.diverge {
                        self.visit_expr(diverge);
                    }
                }
            }
            _ => visit::visit_stmt(self, stmt),
        }
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        let asks = mac.path.is_ident("mutant") || names_a_bug(mac.tokens.clone());
        if asks && !mac.path.is_ident("macro_rules") {
            self.found.push(Finding {
                file: self.file.path.clone(),
                line: mac.span().start().line,
                rule: "where planted bugs stand",
                what: "`mutant!` inside another expression".to_owned(),
                todo: "ask it in the condition of an `if`, or bind its value with a `let` of its own",
            });
        }
    }
}

/// Whether the tokens of some other macro ask for a planted bug.
fn names_a_bug(tokens: TokenStream) -> bool {
    let mut after_name = false;
    tokens.into_iter().any(|token| {
        let was_name =
            std::mem::replace(&mut after_name, matches!(&token, TokenTree::Ident(name) if name == "mutant"));
        match token {
            TokenTree::Punct(punct) => was_name && punct.as_char() == '!',
            TokenTree::Group(group) => names_a_bug(group.stream()),
            _ => false,
        }
    })
}
