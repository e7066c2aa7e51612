//! The finder and the rewriting together: a small source in, what comes out compiles and switches. And the command.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::find::find;
use super::rewrite::{ALLOW, Rewritten, SWITCH, rewrite};
use super::site::Site;
use super::{Wanted, alone};

fn changes(text: &str) -> BTreeSet<String> {
    let found = find("rights.rs", text).unwrap();
    found.sites.iter().map(|site| format!("{} {}: {}", site.line, site.function, site.change)).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn each_kind_of_place_is_found() {
    let text = "
struct S { n: u64 }
impl S {
    const LIMIT: u64 = 3 + 4;
    fn up(&mut self, by: u64) -> bool {
        self.n += by;
        self.log(by)?;
        if !(by < 2) { return self.n == 7; }
        match by { 5 => true, 6 if self.n > 0 => false, _ => true }
    }
}";
    let expected = [
        "5 S::up: return true at once",
        "5 S::up: return false at once",
        "6 S::up: delete self.n += by;",
        "6 S::up: replace += by -= in self.n += by",
        "7 S::up: delete self.log(by)?;",
        "8 S::up: replace the condition !(by < 2) by true",
        "8 S::up: replace the condition !(by < 2) by false",
        "8 S::up: delete ! in !(by < 2)",
        "8 S::up: replace < by <= in by < 2",
        "8 S::up: replace < by >= in by < 2",
        "8 S::up: replace 2 by 1",
        "8 S::up: replace 2 by 3",
        "8 S::up: replace == by != in self.n == 7",
        "8 S::up: replace 7 by 6",
        "8 S::up: replace 7 by 8",
        "9 S::up: delete the arm 5",
        "9 S::up: replace the condition self.n > 0 by true",
        "9 S::up: replace the condition self.n > 0 by false",
        "9 S::up: replace > by >= in self.n > 0",
        "9 S::up: replace > by <= in self.n > 0",
        "9 S::up: replace 0 by 1",
    ];
    assert_eq!(changes(text), set(&expected));
}

#[test]
fn a_condition_that_binds_is_changed_in_its_other_parts() {
    let text = "fn f(a: Option<u8>, b: bool) { if let Some(_) = a && b { g(); } }";
    let expected = [
        "1 f: return () at once",
        "1 f: replace the condition b by true",
        "1 f: replace the condition b by false",
        "1 f: delete g();",
    ];
    assert_eq!(changes(text), set(&expected));
}

#[test]
fn tests_constants_types_and_planted_bugs_are_no_places() {
    let text = "
const A: u8 = 1 + 2;
#[cfg(test)] mod tests { fn f() -> u8 { 3 } }
#[cfg(test)] mod testing;
mod sending;
#[cfg(feature = \"mutants\")] fn g() -> u8 { 3 }
fn h(x: bool) -> [u8; 3] {
    const B: u8 = 4;
    if mutant!(Forget) { drop(1); }
    match x { true if mutant!(Other) => [9; 3], _ => i(x && !mutant!(Third)) }
}";
    let mut changes = changes(text);
    changes.retain(|change| !change.contains("at once"));
    assert_eq!(changes, set(&[]));
    let found = find("lib.rs", text).unwrap();
    assert_eq!((found.modules, found.left_out), (vec!["sending".to_owned()], vec!["testing".to_owned()]));
}

#[test]
fn without_mutants_a_source_stays_as_it_is_but_for_const_functions() {
    let text = "pub const fn two() -> u8 { 2 } // two\nconst A: u8 = 1;";
    let found = find("lib.rs", text).unwrap();
    assert_eq!(rewrite(text, &found.consts, &[]).text, "pub  fn two() -> u8 { 2 } // two\nconst A: u8 = 1;");
}

/// Two changes of one place, one around them, one inside, and all kinds of them.
const PROGRAM: &str = r#"//! A program.
const fn limit(n: u64) -> u64 { n * 2 }

fn judge(n: u64, marks: &mut Vec<&'static str>) -> Result<u64, String> {
    marks.push("in");
    if n > 2 && n < limit(4) || n == 100 {
        return Ok(1);
    }
    let name = match n {
        1 => "one",
        k if k % 2 == 0 => "even",
        _ => "rest",
    };
    marks.push(name);
    if !marks.is_empty() { Ok(n - 0) } else { Err("empty".to_owned()) }
}

fn main() {
    let all = [0, 1, 2, 3, 7, 8, 9, 100, 101].map(|n| {
        let mut marks = Vec::new();
        format!("{:?}{marks:?}", judge(n, &mut marks))
    });
    println!("{}", all.join(" "));
}
"#;

/// With all sites of the program in one file.
fn all_mutants() -> (Vec<Site>, Rewritten) {
    let found = find("main.rs", PROGRAM).unwrap();
    let sites: Vec<Site> = found.sites.into_iter().filter(|site| site.function != "main").collect();
    let chosen: Vec<_> = (1..).zip(&sites).collect();
    let mut new = rewrite(PROGRAM, &found.consts, &chosen);
    new.put_before(ALLOW);
    new.text.push_str(SWITCH);
    (sites, new)
}

fn compile(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let (source, program) = (dir.join(format!("{name}.rs")), dir.join(name));
    std::fs::write(&source, text).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).args(["--edition", "2024", "-o"]).args([&program, &source]).output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    program
}

fn says(program: &Path, id: u32, reached: &Path) -> String {
    let output = Command::new(program)
        .env("ONCE_MUTANT", id.to_string())
        .env("ONCE_MUTANT_REACHED", reached)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn all_changes_of_a_program_stand_in_one_file_and_are_on_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (sites, new) = all_mutants();
    let reached = dir.path().join("reached");
    let original = says(&compile(dir.path(), "original", PROGRAM), 0, &reached);
    let program = compile(dir.path(), "mutants", &new.text);
    assert_eq!(says(&program, 0, &reached), original);
    assert!(!reached.exists());
    let mut same = Vec::new();
    for (id, site) in (1..).zip(&sites) {
        if says(&program, id, &reached) == original {
            same.push(site.change.as_str());
        }
        assert!(reached.exists(), "{site} was not reached");
        std::fs::remove_file(&reached).unwrap();
    }
    // These two change nothing that can be seen: there is always a mark, and `n - 0` is `n + 0`.
    assert_eq!(same, ["replace the condition !marks.is_empty() by true", "replace - by + in n - 0"]);
}

#[test]
fn the_place_of_each_change_is_known() {
    let (sites, new) = all_mutants();
    assert_eq!(new.placed.len(), sites.len());
    for placed in &new.placed {
        let changed = &new.text[placed.changed.clone()];
        assert!(changed.contains(&format!("__mutation::on({})", placed.id)), "{changed}");
        assert!(placed.whole.start <= placed.changed.start && placed.changed.end <= placed.whole.end);
        let blamed = new.blamed(&placed.changed);
        assert_eq!(blamed, [placed.id]);
    }
    // In the original part of a change, the innermost one is to blame.
    let at = new.text.find("limit(4)").unwrap();
    assert!(!new.blamed(&(at..at + 5)).is_empty());
}

#[test]
fn the_arguments_are_numbers() {
    let read = |args: &[&str]| Wanted::read(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
    assert_eq!(read(&["60"]), Ok(Wanted { count: 60, seed: None, jobs: 2, folder: None }));
    assert_eq!(
        read(&["60", "7", "--jobs", "1"]),
        Ok(Wanted { count: 60, seed: Some(7), jobs: 1, folder: None })
    );
    let folder = Some("moving".to_owned());
    assert_eq!(read(&["--folder", "moving", "60"]), Ok(Wanted { count: 60, seed: None, jobs: 2, folder }));
    for wrong in [
        &[] as &[&str],
        &["0"],
        &["x"],
        &["1", "y"],
        &["1", "2", "3"],
        &["1", "--jobs"],
        &["1", "--jobs", "0"],
    ] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn two_samples_are_not_made_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = alone(dir.path()).unwrap();
    assert!(alone(dir.path()).unwrap_err().contains("another sample"));
    drop(first);
    assert!(alone(dir.path()).is_ok());
}
