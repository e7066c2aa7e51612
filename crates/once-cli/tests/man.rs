//! The manual pages: one for each command, each without a word from whoever sets it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::{Home, ONCE, Ran, files};

/// How a page is set, if anything here can: what it prints, and what it complains about.
fn set(page: &Path) -> Option<(String, String)> {
    // But for one: an example that is one long word cannot be set in straight lines.
    let args = ["-man", "-ww", "-Wbreak", "-Kutf8", "-Tutf8", "-P-cbou"];
    let groff = Command::new("groff").args(args).arg(page).output();
    let output = match groff {
        Ok(output) => output,
        Err(_) => Command::new("mandoc").args(["-Tutf8", "-Wwarning"]).arg(page).output().ok()?,
    };
    assert!(output.status.success(), "{output:?}");
    let [text, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Some((text, said))
}

#[test]
fn every_command_has_a_page_that_names_what_is_below_it() {
    let home = Home::new();
    let run = |args: &[&str]| Ran::new(args, home.command(ONCE).args(args).output().unwrap()).exits(0);
    let written = run(&["man", "man1", "--json"]).json();
    let pages = files(&home.join("man1"));
    assert_eq!(written["pages"], pages.len());
    assert_eq!(run(&["man"]).out.as_bytes(), pages[Path::new("once.1")]);
    let names: BTreeSet<_> = pages.keys().map(|path| path.to_str().unwrap().to_owned()).collect();
    // What the help lists, for each command that has commands.
    let mut found = BTreeSet::from(["once.1".to_owned()]);
    let mut open = vec![Vec::<String>::new()];
    while let Some(words) = open.pop() {
        let args: Vec<_> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&args).out;
        let parts = match words.is_empty() {
            true => help.split("\n\nOptions").next().unwrap().to_owned(),
            false => help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest).to_owned(),
        };
        let listed = parts.lines().skip_while(|line| words.is_empty() && !line.ends_with(':'));
        let listed = listed.take_while(|line| words.is_empty() || line.starts_with("  "));
        for line in listed.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                let below: Vec<_> = words.iter().cloned().chain([name.to_owned()]).collect();
                let page = format!("once-{}.1", below.join("-"));
                let above = std::iter::once("once".to_owned()).chain(words.iter().cloned());
                let above = format!("{}.1", above.collect::<Vec<_>>().join("-"));
                let text = String::from_utf8_lossy(&pages[Path::new(&above)]).replace("\\-", "-");
                assert!(text.contains(&format!("{}(1)", page.trim_end_matches(".1"))), "{above}: no {page}");
                found.insert(page);
                open.push(below);
            }
        }
    }
    assert_eq!(names, found);
    assert!(names.len() > 60 && names.contains("once-peers-add.1"), "{names:?}");
}

#[test]
fn every_page_is_set_without_a_warning() {
    let home = Home::new();
    let args = ["man", "man1"];
    Ran::new(&args, home.command(ONCE).args(args).output().unwrap()).exits(0).prints("pages written to man1");
    for name in files(&home.join("man1")).into_keys() {
        let Some((text, said)) = set(&home.join("man1").join(&name)) else {
            let required = std::env::var("ONCE_REQUIRE_ALL").as_deref() == Ok("1");
            assert!(!required, "neither groff nor mandoc, and ONCE_REQUIRE_ALL=1");
            println!("skipped: neither groff nor mandoc to set the manual pages with");
            return;
        };
        assert_eq!(said, "", "{}", name.display());
        assert!(text.contains("SYNOPSIS") && text.contains("ONCE Manual"), "{}:\n{text}", name.display());
    }
}
