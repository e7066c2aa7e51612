//! A small house in which each rule is broken once.

use super::exceptions::Exceptions;
use super::*;

const NOTHING: Exceptions = Exceptions {
    circles: &[],
    long_files: &[],
    long_functions: &[],
    many_parameters: &[],
    planted: &[],
    unmirrored: &[],
};

/// A repository of these files, beside a core and a simulator in which all is well.
fn house(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let well = [
        ("once-core/Cargo.toml", "[dependencies]\nonce-model.workspace = true\n"),
        ("once-core/src/lib.rs", "mod acts;\nmod step;\n#[cfg(test)]\nmod tests;\n"),
        ("once-core/src/acts/mod.rs", "mod home;\npub use home::run;\n"),
        ("once-core/src/acts/home.rs", "pub fn run() {}\n"),
        ("once-core/src/step.rs", "use crate::acts;\npub fn step() { acts::run(); }\n"),
        ("once-sim/Cargo.toml", "[dependencies]\nonce-core.workspace = true\n"),
        ("once-sim/src/lib.rs", "mod check;\n"),
        ("once-sim/src/check/mod.rs", "mod acts;\n"),
        ("once-sim/src/check/acts.rs", ""),
    ];
    for (file, text) in well.iter().chain(files) {
        let file = dir.path().join("crates").join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    dir
}

fn found(files: &[(&str, &str)], except: &Exceptions) -> Vec<Finding> {
    look(house(files).path(), except).unwrap()
}

/// The one finding in this house, as a person sees it.
fn only(files: &[(&str, &str)]) -> String {
    let found = found(files, &NOTHING);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(found(&[], &NOTHING), []);
}

#[test]
fn a_dependency_against_the_arrows_is_found() {
    let manifest =
        "[package]\n[dependencies]\nonce-sim.workspace = true\n[dev-dependencies]\nonce.workspace = true\n";
    let text = only(&[("once-core/Cargo.toml", manifest)]);
    assert!(
        text.starts_with("crates/once-core/Cargo.toml:3: arrows between crates: once-core uses once-sim\n"),
        "{text}"
    );
    let text = only(&[("stray/Cargo.toml", ""), ("stray/src/lib.rs", "")]);
    assert!(text.starts_with("crates/stray/Cargo.toml:1: arrows between crates: "), "{text}");
}

#[test]
fn a_circle_is_found_through_re_exports_and_printed_with_its_lines() {
    let home = "//! Runs.\npub fn run() { crate::step::step(); }\n";
    let text = only(&[("once-core/src/acts/home.rs", home)]);
    assert!(text.contains("no circles between files"), "{text}");
    assert!(text.contains("acts/home.rs:2 uses crates/once-core/src/step.rs"), "{text}");
    assert!(text.contains("step.rs:2 uses crates/once-core/src/acts/home.rs"), "{text}");
}

#[test]
fn every_way_to_name_a_file_closes_a_circle() {
    for home in [
        "use crate::step::step;\n",
        "use super::super::step;\npub fn other() { step::step(); }\n",
        "pub fn other() -> u8 { matches!(crate::step::step(), ()).into() }\n",
        "#[cbor(with = \"crate::step::step\")]\npub struct Row;\n",
        "mod inner { use crate::step::step as go; }\n",
    ] {
        let home = format!("{home}pub fn run() {{}}\n");
        let text = only(&[("once-core/src/acts/home.rs", &home)]);
        assert!(text.contains("no circles between files"), "{home}: {text}");
    }
}

#[test]
fn a_name_that_only_looks_like_a_use_closes_no_circle() {
    let acts = "mod home;\nmod at;\npub use home::run;\npub fn at() { home::run(); }\n";
    let home = "use super::at::go;\npub fn run() { go(); }\n";
    let files = [("once-core/src/acts/mod.rs", acts), ("once-core/src/acts/home.rs", home)];
    assert_eq!(found(&[files[0], files[1], ("once-core/src/acts/at.rs", "pub fn go() {}\n")], &NOTHING), []);
    let acts = "mod home;\npub use home::run;\npub struct A;\nimpl A { pub fn run(&self) {} }\n";
    let home = "use super::A;\npub fn run() {}\n";
    let files = [("once-core/src/acts/mod.rs", acts), ("once-core/src/acts/home.rs", home)];
    assert_eq!(found(&files, &NOTHING), []);
}

#[test]
fn a_test_closes_no_circle_and_has_no_size() {
    let long = format!(
        "#[cfg(test)]\nmod tests {{\n    use crate::step;\n{}}}\npub fn run() {{}}\n",
        "\n".repeat(600)
    );
    let tests = format!(
        "use crate::step;\nfn of(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {{{}}}\n",
        "\n".repeat(600)
    );
    assert_eq!(
        found(&[("once-core/src/acts/home.rs", &long), ("once-core/src/tests.rs", &tests)], &NOTHING),
        []
    );
}

#[test]
fn long_files_long_functions_and_many_parameters_are_found() {
    let file = format!("pub fn run() {{}}\n{}", "//\n".repeat(500));
    let text = only(&[("once-core/src/acts/home.rs", &file)]);
    assert!(text.starts_with("crates/once-core/src/acts/home.rs:1: long files: "), "{text}");
    let function = format!(
        "pub struct Home;\nimpl Home {{\n    fn long(&self) {{\n{}}}\n}}\npub fn run() {{}}\n",
        "//\n".repeat(69)
    );
    let text = only(&[("once-core/src/acts/home.rs", &function)]);
    assert!(text.starts_with("crates/once-core/src/acts/home.rs:3: long functions: "), "{text}");
    assert!(text.contains("Home::long has 71 lines, 70 are allowed"), "{text}");
    let text =
        only(&[("once-core/src/acts/home.rs", "pub fn run(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}\n")]);
    assert!(
        text.contains("many parameters: crates/once-core/src/acts/home.rs, run has 6 parameters"),
        "{text}"
    );
}

#[test]
fn a_planted_bug_stands_at_statement_level() {
    for bad in [
        "Ok(mutant!(A) || b())",
        "Row { floor: if mutant!(A) { 0 } else { 1 } }",
        "row.filter(|_| !mutant!(A))",
        "assert!(mutant!(A))",
        "f(match x { 1 if mutant!(A) => 1, _ => 2 })",
    ] {
        let text = only(&[("once-core/src/acts/home.rs", &format!("pub fn run() {{\n    {bad}\n}}\n"))]);
        assert!(
            text.starts_with("crates/once-core/src/acts/home.rs:2: where planted bugs stand: "),
            "{bad}: {text}"
        );
    }
    for good in [
        "if a && !mutant!(A) { b() } else if mutant!(B) { c() }",
        "let floor = if mutant!(A) { 0 } else { row.floor };",
        "match x { 1 if mutant!(A) => {} _ => while mutant!(B) {} }",
        "x.each(|y| { let z = y || mutant!(A); z })",
        "self.ended || mutant!(A)",
        "Ok(if mutant!(A) { b() } else { c() })",
    ] {
        let text = format!("pub fn run() {{\n    {good}\n}}\n");
        assert_eq!(found(&[("once-core/src/acts/home.rs", &text)], &NOTHING), [], "{good}");
    }
}

#[test]
fn a_capability_without_a_checker_is_found() {
    let files = [
        ("once-core/src/lib.rs", "mod acts;\nmod find;\n"),
        ("once-core/src/find/mod.rs", "mod ask;\n"),
        ("once-core/src/find/ask.rs", ""),
    ];
    let text = only(&files);
    assert!(text.starts_with("crates/once-core/src/find:1: mirrored capabilities: "), "{text}");
    assert_eq!(found(&files, &Exceptions { unmirrored: &["find"], ..NOTHING }), []);
}

#[test]
fn what_is_listed_is_allowed_and_struck_when_it_is_mended() {
    let home = "pub fn run(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) { crate::step::step(); }\n";
    let files = [("once-core/src/acts/home.rs", home)];
    let listed = Exceptions {
        circles: &[("crates/once-core/src/acts/home.rs", "crates/once-core/src/step.rs")],
        many_parameters: &[("crates/once-core/src/acts/home.rs, run", 6)],
        ..NOTHING
    };
    assert_eq!(found(&files, &listed), []);
    let mended = found(&[], &listed);
    let looser = Exceptions { many_parameters: &[("crates/once-core/src/acts/home.rs, run", 7)], ..listed };
    let smaller = found(&files, &looser);
    assert_eq!((mended.len(), smaller.len()), (2, 1), "{mended:?} {smaller:?}");
    assert!(
        mended
            .iter()
            .chain(&smaller)
            .all(|one| one.file == exceptions::FILE && one.rule == "exceptions shrink")
    );
}

#[test]
fn a_type_of_a_hidden_crate_that_users_see_is_found() {
    let manifest = "[dependencies]\nonce-core.workspace = true\n";
    let shown = |text: &str| {
        let lib = "mod a;\npub use a::{A, E, f};\n";
        let found = found(
            &[("once/Cargo.toml", manifest), ("once/src/lib.rs", lib), ("once/src/a.rs", text)],
            &NOTHING,
        );
        found.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    let a = "use once_core::{Head, waist};\npub struct A { row: Head }\n";
    assert_eq!(shown(a), [""; 0], "a private member is not seen");
    assert_eq!(
        shown("use once_core::Head;\npub struct A { pub row: Head }"),
        ["a member of A shows once_core::Head"]
    );
    assert_eq!(
        shown("use once_core::waist;\npub enum E { One(Vec<waist::Change>) }"),
        ["a member of E::One shows once_core::waist"]
    );
    let method = |method: &str| shown(&format!("{a}impl A {{ {method} }}"));
    assert_eq!(method("pub fn get(&self) -> Option<&Head> { None }"), ["A::get shows once_core::Head"]);
    assert_eq!(method("pub fn set(&self, to: impl Into<waist::X>) {}"), ["A::set shows once_core::waist"]);
    assert_eq!(method("fn get(&self) -> Head { self.head }"), [""; 0]);
    assert_eq!(method("pub(crate) fn get(&self) -> Head { let x: Head; x }"), [""; 0]);
    assert_eq!(
        shown("use once_core::Head;\npub fn f(head: Head) {}\npub fn hidden(head: Head) {}"),
        ["f shows once_core::Head"]
    );
    assert_eq!(shown(&format!("{a}impl From<Head> for A {{}}")), ["a trait of A shows once_core::Head"]);
    assert_eq!(
        shown("use minicbor::Encode;\n#[derive(Debug, Encode)]\npub struct A;"),
        ["a trait of A shows minicbor::Encode"]
    );
    let lib = [("once/Cargo.toml", manifest), ("once/src/lib.rs", "pub use once_core::Head;\n")];
    assert_eq!(found(&lib, &NOTHING)[0].what, "what is exported shows once_core::Head");
}

/// What is found in a repository with these pages.
fn found_in_pages(files: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let file = dir.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let mut found = pages::look(dir.path()).unwrap();
    found.sort();
    found.into_iter().map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.what)).collect()
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let summary = ("docs/SUMMARY.md", "[A](a.md) [B](more/b.md)\n");
    let b = ("docs/more/b.md", "# B, the *second* `page`\n\n## Twice\n\n## Twice\n");
    let found = |a: &str| found_in_pages(&[summary, ("docs/a.md", a), b, ("README.md", "[a](docs/a.md)")]);
    for well in [
        "[b](more/b.md#b-the-second-page) [again](more/b.md#twice-1) [web](https://example.org/x.md)",
        "# A\n[up](#a) [folder](more) ![b](./more/b.md)",
        "`[code](nowhere.md)`\n\n```\n[a block](nowhere.md)\n```\n",
        "`more/b.md`, `docs/a.md`, `a/<name>.md`, `no/ending`, `once import in/good.json`",
    ] {
        assert_eq!(found(well), [""; 0], "{well}");
    }
    assert_eq!(found("\n[b](b.md)"), ["docs/a.md:2: b.md leads to no file"]);
    assert_eq!(
        found("[b](more/b.md#third)"),
        ["docs/a.md:1: more/b.md#third: docs/more/b.md has no heading of this name"]
    );
    assert_eq!(found("[b][1]\n\n[1]: more/c.md\n"), ["docs/a.md:1: more/c.md leads to no file"]);
    assert_eq!(found("[out](../README.md)"), ["docs/a.md:1: ../README.md leads out of the book"]);
    assert_eq!(found("see `more/c.md`"), ["docs/a.md:1: there is no more/c.md"]);
    assert_eq!(found("`python3 docs/c.py`"), ["docs/a.md:1: there is no docs/c.py"]);
}

#[test]
fn a_page_that_the_book_has_not_is_found() {
    let a = ("docs/a.md", "# A\n");
    assert_eq!(found_in_pages(&[("docs/SUMMARY.md", "[A](a.md)"), a]), [""; 0]);
    assert_eq!(found_in_pages(&[("docs/SUMMARY.md", ""), a]), ["docs/SUMMARY.md:1: docs/a.md is no chapter"]);
    assert_eq!(found_in_pages(&[a]), ["docs/SUMMARY.md:1: docs/a.md is no chapter"]);
}
