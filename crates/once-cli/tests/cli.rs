//! The command line on one machine: what it prints, how it ends, what it leaves alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{Home, ONCE, Ran, corpus, files, scenario};
use serde_json::json;

const UUID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

#[test]
fn a_kernel_is_made_once() {
    let home = Home::new();
    let made = home.once("alice", &["init", "--name", "alice", "--json"]).exits(0);
    assert_eq!(made.json()["name"], "alice");
    assert_eq!(made.json()["kernel"].as_str().map(str::len), Some(52));
    let again = home.once("alice", &["init"]).exits(1).says("hint: ");
    assert!(again.err.starts_with("error: a kernel lives in "), "{}", again.err);
}

#[test]
fn without_a_kernel_it_says_what_to_do() {
    let home = Home::new();
    for args in [&["ls"][..], &["up"], &["status"], &["share", "0a1b", "bob"]] {
        let ran = home.once("nobody", args).exits(1).says("hint: make one with `once init`");
        assert!(ran.err.starts_with("error: no kernel in "), "{}", ran.err);
        assert!(!home.join("nobody").exists());
    }
}

#[test]
fn the_data_directory_is_chosen_by_flag_then_environment_then_xdg() {
    let home = Home::new();
    let init = |command: &mut std::process::Command| {
        let output = command.args(["init", "--json"]).output().unwrap();
        Ran::new(&["init"], output).exits(0).json()["data"].as_str().unwrap().to_owned()
    };
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    assert_eq!(init(&mut home.command(ONCE)), at(".local/share/once"));
    assert_eq!(init(home.command(ONCE).env("ONCE_DATA", "from-env")), at("from-env"));
    assert_eq!(init(home.command(ONCE).env("ONCE_DATA", "from-env").args(["--data", "flag"])), at("flag"));
    assert_eq!(init(home.command(ONCE).env("XDG_DATA_HOME", home.join("xdg"))), at("xdg/once"));
}

#[test]
fn wrong_use_exits_with_2() {
    let home = Home::new();
    home.init("alice");
    for args in [
        &["frobnicate"][..],
        &["import"],
        &["export", "out"],
        &["export", "out", "0a1b", "--all"],
        &["share", "bob"],
        &["share", "--all", "0a1b", "bob"],
        &["grant", "bob", "write"],
        &["invite", "--expires", "soon"],
        &["peers", "quota", "bob", "much"],
        &["show", "x!"],
        &["ls", "--state", "gone"],
    ] {
        let ran = home.once("alice", args).exits(2);
        assert!(ran.out.is_empty() && ran.err.starts_with("error: "), "{args:?}: {}{}", ran.out, ran.err);
        // With `--json` there always is an object on stdout.
        let error = home.once("alice", &[args, &["--json"]].concat()).exits(2).json()["error"].take();
        assert_eq!((&error["code"], &error["exit"]), (&"usage".into(), &2.into()), "{args:?}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n') && !message.starts_with("error"), "{error}");
    }
    home.once("alice", &["--help"]).exits(0).prints("Exit codes: 0 done");
    home.once("alice", &["--version"]).exits(0).prints("once 0.");
}

#[test]
fn an_object_begins_as_its_component_can_read_it_and_what_is_wrong_is_said_in_words_of_json() {
    let home = Home::new();
    home.init("alice");
    let wrong = home.once("alice", &["create", "Counter", r#"{"count":"many"}"#]).exits(1);
    wrong
        .says("error: this is no state of a Counter: expected a whole number, found the string \"many\"")
        .says(r#"hint: a new one begins with {"count":0}"#);
    home.once("alice", &["create", "Counter", r#"{"count":1,"more":[]}"#]).exits(0);
    let ior = home.once("alice", &["create", "Counter"]).exits(0).out;
    let id = "01890000-0000-7000-8000-000000000001";
    for (arguments, said) in [
        (r#"{"by":"x"}"#, "expected a whole number, found the string"),
        ("[1]", "expected an object, found an array"),
        ("{}", "missing member `by`"),
    ] {
        home.once("alice", &["act", ior.trim(), "add", arguments]).exits(1).says(said);
    }
    home.once("alice", &["act", ior.trim(), "fly"])
        .exits(1)
        .says("Counter understands no action 'fly'. It understands: add, get");
    home.once("alice", &["act", ior.trim(), "ad"]).exits(1).says("Did you mean 'add'?");
    let told = home.once("alice", &["actions", ior.trim()]).exits(0).says("the component Counter 1.0");
    let add = r#"arguments  {"by": integer}"#;
    let told = told.prints("add\n    Adds to a counter, and returns the new count.\n").prints(add);
    assert!(
        told.out.contains("\n    Returns what the object holds now: the count of a counter, the funds of"),
        "{}",
        told.out
    );
    let seen = home.on_terminal(80, "alice", &["actions", ior.trim()]).exits(0);
    assert!(seen.out.lines().all(|line| line.chars().count() <= 80), "{}", seen.out);
    home.once("alice", &["act", ior.trim(), "add", "many"]).exits(2).says("not JSON at 1:1");
    // Whoever has to ask again knows by which id.
    let failed = home.once("alice", &["act", ior.trim(), "add", "7", "--id", id, "--json"]).exits(1);
    assert_eq!(failed.json()["error"]["id"], id);
    assert!(failed.err.contains(&format!("\naction {id}\n")), "{}", failed.err);
    // Nothing waits; the count is told only if something does.
    assert_eq!(home.once("alice", &["status", "--json"]).json()["waiting"], 0);
}

/// What a command shows on a terminal of this width.
#[cfg(target_os = "linux")]
fn on_a_terminal(home: &Home, columns: usize, command: &str) -> String {
    let inside = format!("stty cols {columns} rows 24; exec {ONCE} --data alice {command} 2>/dev/null");
    let output = home.command("script").args(["-qec", &inside, "/dev/null"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[test]
#[cfg(target_os = "linux")]
fn tables_fit_the_terminal_and_a_pipe_gets_all_of_them() {
    let home = Home::new();
    home.init("alice");
    home.file("in/1.json", scenario(1, "one"));
    home.once("alice", &["import", "in"]).exits(0);
    home.once("alice", &["create", "Counter"]).exits(0);
    let uuid = "0a1b2c3d-0000-4000-8000-000000000001";
    home.once("alice", &["act", uuid, "merge", r#"{"name":"two"}"#]).exits(0);
    let piped = home.once("alice", &["ls"]).exits(0).out;
    for title in ["OBJECT", "STATE", "REVISION", "SIZE", "HOME", "COMPONENT"] {
        assert!(piped.lines().next().unwrap().contains(title), "{piped}");
    }
    for columns in [80, 60, 40] {
        for command in ["ls".to_owned(), format!("history {uuid}"), "peers".to_owned(), "grants".to_owned()] {
            let shown = on_a_terminal(&home, columns, &command);
            assert!(
                shown.lines().all(|line| line.chars().count() <= columns),
                "{command} at {columns}:\n{shown}"
            );
        }
        let listed = on_a_terminal(&home, columns, "ls");
        // What has no room in its row stands below it, whole.
        let rows = listed.lines().filter(|line| !line.starts_with("    "));
        let has_all =
            [uuid, "two", "Note 1.0", "Counter 1.0", "home"].iter().all(|said| listed.contains(said));
        assert!(rows.count() == 3 && has_all, "{columns}: {listed}");
    }
    let wide = on_a_terminal(&home, 200, "ls");
    assert_eq!(wide.lines().map(str::trim_end).collect::<Vec<_>>(), piped.lines().collect::<Vec<_>>());
}

#[test]
fn what_needs_the_network_says_how_to_start_it() {
    let home = Home::new();
    home.init("alice");
    home.once("alice", &["import", home.file("a.json", scenario(1, "a")).to_str().unwrap()]).exits(0);
    for args in [
        &["invite"][..],
        &["join", "once1"],
        &["request", UUID],
        &["exchange", "bob"],
        &["share", UUID, "bob"],
        &["peers", "dial", "bob"],
        &["stop"],
    ] {
        let ran = home.once("alice", args).exits(4).says("hint: start it with `once up`");
        assert!(
            ran.err.contains("error: the kernel in ") && ran.err.contains(" is not running\n"),
            "{}",
            ran.err
        );
    }
    let ran = home.once("alice", &["invite", "--json"]).exits(4);
    assert_eq!(ran.json()["error"]["code"], "unreachable");
    assert_eq!(ran.json()["error"]["exit"], 4);
}

#[test]
fn scenarios_come_back_byte_for_byte() {
    let home = Home::new();
    home.init("alice");
    let one = scenario(1, "Größe\u{1b}[31m");
    home.file("in/a.scenario.json", &one);
    home.file("in/deeper/b.json", scenario(2, "b").replace('\n', "\r\n"));
    home.file("in/c.json", r#"{"model":{"no":"uuid"}}"#);
    let ran = home.once("alice", &["import", "in", "--json"]).exits(0).json();
    let expected =
        json!({ "files": 3, "new": 3, "same": 0, "changed": 0, "beside": 0, "broken": 0, "derived": 1 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&ran[name], value, "{name}");
    }
    let again = home.once("alice", &["import", "in", "--json"]).exits(0).json();
    assert_eq!((&again["new"], &again["same"]), (&json!(0), &json!(3)));

    assert_eq!(home.once("alice", &["show", UUID]).exits(0).out, one);
    assert_eq!(home.once("alice", &["show", &UUID[..35]]).exits(2).out, "", "two begin like that");
    let shown = home.once("alice", &["show", UUID, "--json"]).exits(0).json();
    assert_eq!(shown["text"], one);
    assert_eq!(shown["object"]["state"], "unclaimed");
    assert_eq!(shown["object"]["name"], "Größe\u{1b}[31m");
    let said = home.once("alice", &["show", UUID]).err;
    assert!(said.contains("Größe\\u{1b}[31m"), "escaped for the terminal: {said}");

    let listed = home.once("alice", &["ls", "--json"]).exits(0).json();
    assert_eq!(listed["objects"].as_array().map(Vec::len), Some(3));
    let names = home.once("alice", &["ls", "-q"]).exits(0).out;
    assert_eq!(names.lines().count(), 3);
    home.once("alice", &["ls"]).exits(0).prints("OBJECT").prints(UUID).says("3 objects");
    assert_eq!(home.once("alice", &["ls", "-n", "2", "-q"]).exits(0).out.lines().count(), 2);
    assert_eq!(home.once("alice", &["ls", "--component", "None", "-q"]).exits(0).out, "");

    home.once("alice", &["export", "out", "--all"]).exits(0).prints("3 files written and read back");
    let bytes = |folder: &str| files(&home.join(folder)).into_values().collect::<BTreeSet<_>>();
    assert_eq!(bytes("out"), bytes("in"));
    assert!(home.join(&format!("out/{UUID}.scenario.json")).is_file());
}

#[test]
fn an_export_never_replaces_other_content_by_itself() {
    let home = Home::new();
    home.init("alice");
    home.file("in/a.json", scenario(1, "a"));
    home.once("alice", &["import", "in"]).exits(0);
    let there = home.file(&format!("out/{UUID}.scenario.json"), "mine");
    let ran = home.once("alice", &["export", "out", "0a1b"]).exits(1).says("hint: --force replaces");
    assert!(ran.err.starts_with("not replaced: "), "{}", ran.err);
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    home.once("alice", &["export", "out", "0a1b", "--force"]).exits(0);
    assert_eq!(fs::read_to_string(&there).unwrap(), scenario(1, "a"));
    let same = home.once("alice", &["export", "out", UUID, "--json"]).exits(0).json();
    assert_eq!((&same["written"], &same["same"]), (&json!(0), &json!(1)));
}

#[test]
fn one_uuid_with_two_contents_stays_two_objects() {
    let home = Home::new();
    home.init("alice");
    home.file("in/a.json", scenario(1, "a"));
    home.file("in/b.json", scenario(1, "b"));
    let ran =
        home.once("alice", &["import", "in"]).exits(0).prints("new 1, same 0, changed 0, beside 1, broken 0");
    assert!(ran.err.contains("both are kept (`once conflicts`)"), "{}", ran.err);
    let ran = home.once("alice", &["show", UUID]).exits(2).says("hint: ");
    assert!(ran.err.contains(&format!("{UUID}@")), "{}", ran.err);
    let names = home.once("alice", &["ls", "-q"]).exits(0).out;
    let shown: BTreeSet<_> =
        names.lines().map(|name| home.once("alice", &["show", name]).exits(0).out).collect();
    assert_eq!(shown, BTreeSet::from([scenario(1, "a"), scenario(1, "b")]));
    home.once("alice", &["conflicts"])
        .exits(0)
        .prints("different objects with the same UUID")
        .prints("takes it away, only here")
        .says("1 conflict");
    home.once("alice", &["status"]).exits(0).prints("1 conflict (`once conflicts`)");
    home.once("alice", &["export", "out", "--all"]).exits(0);
    for name in files(&home.join("out")).into_keys() {
        let name = name.to_str().unwrap();
        assert!(name.starts_with(&format!("{UUID}@")) && name.ends_with(".scenario.json"), "{name}");
    }
}

#[test]
fn an_object_lives_changes_and_goes() {
    let home = Home::new();
    home.init("alice");
    let file = home.file("in/a.json", scenario(1, "first"));
    home.once("alice", &["import", "in"]).exits(0);
    home.once("alice", &["claim", UUID]).exits(0).prints("claimed    0a1b2c3d");
    let before = home.once("alice", &["show", UUID, "--json"]).json()["object"]["revision_id"].clone();
    let second = home.file("second.json", scenario(1, "second"));
    let put = home.once("alice", &["put", UUID, second.to_str().unwrap(), "--json"]).exits(0).json();
    assert_eq!(put["changes"][0]["change"], "changed");
    let stale = ["put", UUID, second.to_str().unwrap(), "--base", before.as_str().unwrap()];
    home.once("alice", &stale).exits(1).says("hint: ");
    fs::write(&file, scenario(1, "third")).unwrap();
    // The object has gone on since the file was imported: only who says so lays it over that.
    home.once("alice", &["import", "in"]).exits(1).prints("kept beside 1");
    let newest = home.once("alice", &["show", UUID, "--json"]).json()["object"]["revision_id"].clone();
    home.once("alice", &["import", "in", "--over", newest.as_str().unwrap()]).exits(0).prints("changed 1");
    assert_eq!(home.once("alice", &["show", UUID]).out, scenario(1, "third"));
    home.once("alice", &["rm", UUID]).exits(0).prints("removed    0a1b2c3d");
    let gone = home.once("alice", &["show", UUID]).exits(1);
    assert!(gone.err.contains("was removed"), "{}", gone.err);
    assert_eq!(home.once("alice", &["ls", "-q"]).out, "");
    assert_eq!(home.once("alice", &["ls", "-q", "--removed"]).out.lines().count(), 1);
    home.once("alice", &["show", "ffff"]).exits(1).says("hint: `once ls`");
}

/// A counter, and its file.
fn counter(home: &Home, count: u32) -> std::path::PathBuf {
    let ior = format!(r#"{{"uuid":"{UUID}","component":"Counter","version":"1.0"}}"#);
    home.file("counter.json", format!(r#"{{"ior":{ior},"model":{{"count":{count}}}}}"#))
}

/// What is kept beside it, as `conflicts --json` says.
fn kept(home: &Home) -> Vec<serde_json::Value> {
    let listed = home.once("alice", &["conflicts", "--json"]).exits(0).json();
    let objects =
        listed["conflicts"].as_array().unwrap().iter().flat_map(|one| one["objects"].as_array().unwrap());
    objects.filter(|object| object["kept"] == true).cloned().collect()
}

#[test]
fn a_file_is_not_laid_over_what_happened_since_it_was_imported() {
    let home = Home::new();
    home.init("alice");
    let count = || home.once("alice", &["act", UUID, "get"]).exits(0).out;
    let import = |args: &[&str]| home.once("alice", &[&["import", "counter.json"], args].concat());
    counter(&home, 40);
    import(&[]).exits(0).prints("new 1");
    let first = home.once("alice", &["act", UUID, "add", r#"{"by":5}"#]).exits(0).prints("45");
    first.says("claimed: this kernel is the object's home now");
    // The file as it was is no news.
    import(&[]).exits(0).prints("same 1");
    counter(&home, 50);
    import(&[]).exits(1).prints("kept beside 1").says("hint: `once conflicts`");
    assert_eq!(count(), "45\n");
    // The same file again is kept once, and did not become what the next import rests on.
    import(&[]).exits(1).prints("kept beside 1");
    let beside = kept(&home);
    assert_eq!(beside.len(), 1);
    assert_eq!(
        beside[0]["difference"]["places"],
        json!([{ "path": "/model/count", "newest": "45", "kept": "50" }])
    );
    let revision = &beside[0]["revision_id"].as_str().unwrap()[..12];
    home.once("alice", &["conflicts"]).exits(0).prints(revision).prints("/model/count: newest 45, kept 50");
    home.once("alice", &["conflicts", "keep", UUID, revision]).exits(0).prints("changed");
    assert_eq!((count().as_str(), kept(&home).len()), ("50\n", 0));
    // Now the file and the object are the same again: the next change of the file continues it.
    import(&[]).exits(0).prints("same 1");
    counter(&home, 60);
    import(&[]).exits(0).prints("changed 1");
    // Whoever means it says what it is laid over.
    home.once("alice", &["act", UUID, "add", r#"{"by":1}"#]).exits(0).prints("61");
    counter(&home, 70);
    let before = home.once("alice", &["show", UUID, "--json"]).json()["object"]["revision_id"].clone();
    import(&[]).exits(1).prints("kept beside 1");
    import(&["--over", "ffffffffffff"]).exits(1);
    import(&["--over", before.as_str().unwrap()]).exits(0).prints("changed 1");
    assert_eq!((count().as_str(), kept(&home).len()), ("70\n", 0));
    counter(&home, 80);
    home.once("alice", &["act", UUID, "add", r#"{"by":1}"#]).exits(0);
    import(&[]).exits(1);
    let revision = kept(&home)[0]["revision_id"].as_str().unwrap().to_owned();
    home.once("alice", &["conflicts", "drop", UUID, "ffffffff"]).exits(1).says("hint: `once conflicts`");
    home.once("alice", &["conflicts", "drop", UUID, &revision]).exits(0).prints("resolved");
    assert_eq!((count().as_str(), kept(&home).len()), ("71\n", 0));
}

#[test]
fn every_change_is_an_entry_of_the_history() {
    let home = Home::new();
    home.init("alice");
    counter(&home, 1);
    home.once("alice", &["import", "counter.json"]).exits(0);
    let changed = counter(&home, 2);
    // Imported here: claimed by its first change, and that is said.
    let put = home.once("alice", &["put", UUID, changed.to_str().unwrap()]).exits(0);
    put.prints("claimed: this kernel is its home now");
    home.once("alice", &["act", UUID, "add", r#"{"by":1}"#]).exits(0);
    home.once("alice", &["act", UUID, "get"]).exits(0);
    let before = counter(&home, 9);
    home.once("alice", &["put", UUID, before.to_str().unwrap(), "--json"]).exits(0);
    home.once("alice", &["rm", UUID]).exits(0);
    let history = home.once("alice", &["history", UUID, "--json"]).exits(0).json();
    let entries = history["entries"].as_array().unwrap();
    let numbers: Vec<_> = entries.iter().map(|entry| entry["number"].as_u64().unwrap()).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    // The claim, the put, add, get, the second put, the removal.
    assert_eq!(sorted, [1, 2, 3, 4, 5, 6]);
    assert_eq!(history["broken"], json!(null));
    // Each has a receipt, like any action.
    for entry in entries {
        home.once("alice", &["receipt", entry["id"].as_str().unwrap(), "--json"]).exits(0);
    }
    // Nobody may ask for one, and it says why.
    home.once("alice", &["create", "Counter", "--uuid", "0a1b2c3d-0000-4000-8000-000000000002"]).exits(0);
    home.once("alice", &["act", "0a1b2c3d-0000-4000-8000-000000000002", "once:remove"])
        .exits(2)
        .says("`once:`");
}

#[test]
fn an_old_export_after_rm_says_that_there_is_a_tombstone() {
    let home = Home::new();
    home.init("alice");
    counter(&home, 1);
    home.once("alice", &["import", "counter.json"]).exits(0);
    home.once("alice", &["act", UUID, "add", r#"{"by":1}"#]).exits(0);
    home.once("alice", &["export", "out", UUID]).exits(0);
    home.once("alice", &["rm", UUID]).exits(0);
    home.once("alice", &["import", "counter.json"]).exits(1).says("was removed");
    home.once("alice", &["import", "out"]).exits(0).prints("new 1").says("new beside a tombstone");
}

#[test]
fn a_scenario_goes_through_a_pipe() {
    let home = Home::new();
    home.init("alice");
    let pipe = |args: &[&str], input: &str| {
        let mut command = home.command(ONCE);
        command.arg("--data").arg(home.join("alice")).args(args);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        Ran::new(args, child.wait_with_output().unwrap())
    };
    pipe(&["import", "-"], &scenario(1, "piped")).exits(0).prints("new 1");
    assert_eq!(home.once("alice", &["export", "-", UUID]).exits(0).out, scenario(1, "piped"));
    // How large it is: the bytes as they came, with the same figure everywhere.
    let again = scenario(1, "again");
    let size = format!("{} B", again.len());
    pipe(&["put", UUID, "-"], &again).exits(0).prints("changed").prints(&format!("(revision 2, {size})"));
    home.once("alice", &["ls"]).exits(0).prints(&size);
    let shown = home.once("alice", &["show", UUID]).exits(0).says(&size);
    assert_eq!(shown.out.len(), again.len());
    // That nothing came is said, and changes nothing.
    for args in [&["put", UUID, "-"][..], &["put", UUID], &["import", "-"]] {
        pipe(args, " \n").exits(1).says("nothing came");
    }
    assert_eq!(home.once("alice", &["export", "-", UUID]).exits(0).out, scenario(1, "again"));
    home.once("alice", &["export", "-", "--all"]).exits(2).says("hint: ");
}

#[test]
fn broken_files_are_named_with_place_and_reason() {
    let home = Home::new();
    home.init("alice");
    home.file("in/good.json", scenario(1, "good"));
    home.file("in/blank.json", "\n");
    home.file("in/conflict.json", "{\n  \"ior\": {\n<<<<<<< HEAD\n  }\n=======\n  }\n>>>>>>> other\n}\n");
    home.file("in/cut.json", "{\"ior\": {\"uuid\": ");
    home.file("in/link.json", "../../0/a/1/b/2/x.scenario.json");
    home.file("in/list.json", "[1, 2]");
    home.file("in/comma.json", "{\"model\": {\"items\": [1,\n  2,, 3]}}");
    home.file("in/latin.json", b"{\"name\": \"Gr\xf6\xdfe\"}");
    home.file("in/bom.json", "\u{feff}{}");
    home.file("in/deep.json", "[".repeat(100));
    let ran = home.once("alice", &["import", "in"]).exits(1);
    let root = home.join("in").canonicalize().unwrap();
    let said: Vec<_> = ran.err.lines().filter_map(|line| line.strip_prefix("broken: ")).collect();
    let expected = [
        "blank.json:1:1: blank: there is no JSON in it",
        "bom.json:1:1: byte order mark before the JSON",
        "comma.json:2:5: at model.items[2]: expected a value, found `,`",
        "conflict.json:3:1: git conflict marker",
        "cut.json:1:18: at ior.uuid: expected a value, but the text ends here",
        "deep.json:1:65: at [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0…: \
         nested deeper than 64 levels",
        "latin.json:1:13: not UTF-8: unexpected byte 0xf6",
        "link.json:1:1: only a file path: a symbolic link checked out as text",
        "list.json:1:1: expected a JSON object like {\"ior\":…,\"owner\":…,\"model\":…}, found an array",
    ];
    let expected: Vec<_> = expected.iter().map(|line| format!("{}/{line}", root.display())).collect();
    assert_eq!(said.len(), expected.len(), "{}", ran.err);
    for (said, expected) in said.iter().zip(&expected) {
        assert_eq!(said, expected);
    }
    assert!(ran.err.contains("        resolve the merge in this file, then try again\n"), "{}", ran.err);
    let ran = ran.prints("imported 1 of 10 files (").prints("new 1, same 0, changed 0, beside 0, broken 9");
    assert_eq!(ran.out.lines().count(), 2);

    let json = home.once("alice", &["import", "in", "--json"]).exits(1).json();
    assert_eq!((&json["broken"], &json["same"]), (&json!(9), &json!(1)));
    let conflict =
        json["errors"].as_array().unwrap().iter().find(|e| e["reason"] == "git conflict marker").unwrap();
    assert_eq!((&conflict["line"], &conflict["column"]), (&json!(3), &json!(1)));
}

#[test]
fn links_out_of_the_folder_are_not_followed() {
    let home = Home::new();
    home.init("alice");
    let outside = home.file("secret.json", scenario(9, "secret"));
    home.file("in/a.json", scenario(1, "a"));
    std::os::unix::fs::symlink(&outside, home.join("in/out.json")).unwrap();
    std::os::unix::fs::symlink("a.json", home.join("in/b.json")).unwrap();
    std::os::unix::fs::symlink("nowhere", home.join("in/c.json")).unwrap();
    let ran = home.once("alice", &["import", "in"]).exits(0).prints("imported 1 of 1 file (");
    let left = "left out: 1 link to what is read anyway, 1 link out of the folder, 1 link to nowhere";
    assert!(ran.err.contains(left), "{}", ran.err);
    // Whoever names a link means it.
    home.once("alice", &["import", "in/out.json"]).exits(0).prints("new 1");
}

#[test]
fn the_corpus_survives_a_round_trip() {
    let Some(corpus) = corpus() else { return };
    let home = Home::new();
    home.init("alice");
    let scenarios = corpus.join("scenarios");
    let ran = home.once("alice", &["import", scenarios.to_str().unwrap(), "--json"]).exits(0).json();
    let original = files(&scenarios);
    assert_eq!(ran["files"].as_u64(), Some(original.len() as u64));
    assert_eq!(ran["broken"], 0);
    home.once("alice", &["export", "out", "--all"]).exits(0);
    let distinct = |folder| files(folder).into_values().collect::<BTreeSet<_>>();
    assert_eq!(distinct(&home.join("out")), distinct(&scenarios));

    let ran = home.once("alice", &["import", corpus.join("malformed").to_str().unwrap()]).exits(1);
    let reasons = |reason: &str| ran.err.lines().filter(|line| line.ends_with(reason)).count();
    assert_eq!(reasons(": git conflict marker"), 5, "{}", ran.err);
    assert_eq!(reasons(":1:1: blank: there is no JSON in it"), 1, "{}", ran.err);
}

#[test]
fn references_are_listed_with_what_is_here() {
    let home = Home::new();
    home.init("alice");
    let other = "0a1b2c3d-0000-4000-8000-000000000002";
    let text = format!(
        r#"{{"ior":{{"uuid":"{UUID}"}},"model":{{"to":"{other}","self":"{UUID}","type":"ior:esm:/ONCE/1.0/Note"}}}}"#
    );
    home.file("in/a.json", text);
    home.file("in/b.json", scenario(2, "b"));
    home.once("alice", &["import", "in"]).exits(0);
    let refs = home.once("alice", &["refs", UUID, "--json"]).exits(0).json();
    let found = refs["references"].as_array().unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["target"], &found[0]["path"]), (&json!(other), &json!("model.to")));
    assert_eq!(found[0]["objects"].as_array().map(Vec::len), Some(1));
    home.once("alice", &["refs", UUID]).exits(0).prints("TARGET").prints(other);
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let home = Home::new();
    home.init("alice");
    for n in 0..300 {
        home.file(&format!("in/{n}.json"), scenario(n, "one of many"));
    }
    home.once("alice", &["import", "in"]).exits(0);
    let script = format!("set -o pipefail; '{ONCE}' --data alice ls --json | head -c 10");
    let output = home.command("bash").args(["-c", &script]).output().unwrap();
    Ran::new(&["ls | head"], output).exits(0).prints("{\"objects\"");
}

#[test]
fn every_shell_has_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        home.once("nobody", &["completions", shell]).exits(0).prints("exchange");
    }
}

#[test]
fn the_api_is_described_without_a_kernel() {
    let home = Home::new();
    let document = home.once("nobody", &["api", "schema"]).exits(0).json();
    assert!(document["openrpc"].as_str().is_some_and(|version| version.starts_with("1.3")));
    let methods = document["methods"].as_array().unwrap();
    let act = methods.iter().find(|method| method["name"] == "act").unwrap();
    let object = &act["params"].as_array().unwrap()[1];
    assert_eq!((&object["name"], &object["required"]), (&json!("object"), &json!(true)), "{act}");
    let schema = home.once("nobody", &["api", "schema", "--json-schema"]).exits(0).json();
    assert_eq!(schema["methods"]["act"]["params"]["$ref"], "#/$defs/Act");
    assert_eq!(schema["$defs"]["Act"]["additionalProperties"], false);
}
