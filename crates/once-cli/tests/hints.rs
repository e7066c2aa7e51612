//! Whatever this program tells its reader to run can be run.
//!
//! A command for the kernel at hand stands in a text as `` `once NAME …` ``, one for another kernel as 'once NAME …'. All of them
//! are collected from the sources, whichever crate they are in, and each is run; so a new hint cannot be left out. What
//! stands for a value (`ID`, `{id}`) must have one in [`World::value`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "support/texts.rs"]
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Daemon, Home, ONCE, Ran, files, until};

const CRATES: [&str; 5] = ["once-model", "once-core", "once-store", "once", "once-cli"];

/// What does not end with 0 although all is well, and what it says then: too late, nothing that waits, something to look
/// at, no kernel that was put back from a backup.
const OTHER_EXITS: [(&str, i32, &str); 12] = [
    ("once cancel ID", 1, "too late: it had run"),
    ("once outbox drop ID", 1, "waits here"),
    ("once dead-letters drop ID", 1, "nothing waits here"),
    ("once doctor", 1, "to look at"),
    ("once doctor --all", 1, "to look at"),
    ("once drain --to PEER", 3, "cannot go"),
    ("once retire --to PEER", 1, "do not erase this kernel yet"),
    ("once retire --receipts FILE", 1, "do not erase this kernel yet"),
    ("once retire --give-up-loss", 1, "do not erase this kernel yet"),
    ("once rm --read-only OBJECT", 2, "is not only read here"),
    ("once quarantine end", 1, "this kernel is not in quarantine"),
    ("once quarantine end --without {peer}", 1, "this kernel is not in quarantine"),
];

const NOTE: &str = "5d1c7a90-3b52-4e0f-8f6a-0c9e2b7de001";
const UNCLAIMED: &str = "5d1c7a90-3b52-4e0f-8f6a-0c9e2b7de002";
const APART: &str = "5d1c7a90-3b52-4e0f-8f6a-0c9e2b7de004";
const AT_BOB: &str = "5d1c7a90-3b52-4e0f-8f6a-0c9e2b7de003";

/// A command in a text, and where that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    /// What is destroyed by it comes last.
    order: u8,
    command: String,
    here: bool,
}

/// All commands that stand in texts of the sources, with the first place of each.
fn told() -> BTreeMap<Told, String> {
    let mut found = BTreeMap::new();
    for name in CRATES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
        for (path, source) in files(&folder) {
            if path.extension().is_none_or(|ext| ext != "rs") || path.ends_with("tests.rs") {
                continue;
            }
            for (line, text) in texts::of(&String::from_utf8(source).unwrap()) {
                for (mark, here) in [('`', true), ('\'', false)] {
                    for command in commands(&text, mark) {
                        let order = if command.starts_with("once peers remove") { 1 } else { 0 };
                        let place = format!("crates/{name}/src/{}:{line}", path.display());
                        found.entry(Told { order, command, here }).or_insert(place);
                    }
                }
            }
        }
    }
    found
}

fn commands(text: &str, mark: char) -> Vec<String> {
    let begin = format!("{mark}once ");
    let after = text.split(begin.as_str()).skip(1);
    after.filter_map(|rest| Some(format!("once {}", rest.split_once(mark)?.0))).collect()
}

/// Two kernels that know each other, with something of everything that a command may name.
struct World {
    home: Home,
    kernels: BTreeMap<&'static str, Daemon>,
    ids: BTreeMap<&'static str, String>,
    action: String,
    ior: String,
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        let (alice, bob) = home.pair();
        let id = |name: &str| {
            home.once(name, &["status", "--json"]).exits(0).json()["kernel"].as_str().unwrap().to_owned()
        };
        let ids = BTreeMap::from([("alice", id("alice")), ("bob", id("bob"))]);
        for (at, uuid) in [("alice", NOTE), ("alice", UNCLAIMED), ("bob", AT_BOB)] {
            let text = format!(r#"{{"ior":{{"uuid":"{uuid}","component":"Note"}},"model":{{"n":1}}}}"#);
            home.once(at, &["import", home.file("note.json", text).to_str().unwrap()]).exits(0);
        }
        home.once("bob", &["grant", "alice", "read"]).exits(0);
        let ior = home.once("bob", &["show", AT_BOB, "--json"]).json()["object"]["ior"]
            .as_str()
            .unwrap()
            .to_owned();
        let acted = home.once("alice", &["act", NOTE, "merge", r#"{"n":2}"#, "--json"]).exits(0).json();
        let action = acted["id"].as_str().unwrap().to_owned();
        home.once("alice", &["receipt", &action, "--out", "receipt.json"]).exits(0);
        home.file("plan.json", "{}");
        home.init("carol");
        let mut kernels = BTreeMap::from([("alice", alice), ("bob", bob)]);
        kernels.insert("carol", home.up("carol"));
        Self { home, kernels, ids, action, ior }
    }

    /// What stands for a word that is a place for a value.
    fn value(&self, command: &str, word: &str, at: &str) -> Option<String> {
        let second = command.split(' ').nth(1)?;
        let other = if at == "alice" { "bob" } else { "alice" };
        Some(match (word, second) {
            ("{id}" | "ID" | "{uuid}", "coordination") => self.coordination(),
            ("{id}" | "ID", _) | ("{}" | "{0}", "cancel" | "outbox") => self.action.clone(),
            ("{uuid}" | "{key}", "rm") => self.value("once rm OBJECT", "OBJECT", at)?,
            ("{cursor}" | "{cursor}{}", "watch") => "start".into(),
            ("OBJECT", "claim") => UNCLAIMED.into(),
            ("OBJECT" | "{0}", "rm" | "share") => {
                let made = self.home.once("alice", &["create", "Counter", "--json"]).exits(0).json();
                made["object"]["uuid"].as_str()?.into()
            }
            ("PEER", "share" | "drain" | "retire" | "outbox") => other.into(),
            ("FILE", "retire") => self.home.join("receipts.jsonl").to_str()?.into(),
            ("{key}", "claim") => UNCLAIMED.into(),
            ("{peer}", "peers") if command.starts_with("once peers add") => self.ids[other].clone(),
            ("{peer}" | "{me}", "grant")
            | ("{me}", "peers")
            | ("{peer}" | "{to}", "outbox")
            | ("{peer}", "quarantine") => other.into(),
            ("{path}", _) => "peers".into(),
            ("{uuid}", "show") => NOTE.into(),
            ("OBJECT" | "{key}", "conflicts") => self.conflict().into(),
            ("REVISION" | "{revision}", "conflicts") => self.kept()?,
            ("OBJECT", "show" | "actions") if at == "bob" => AT_BOB.into(),
            ("OBJECT" | "NAME" | "{}" | "{0}", "show") | ("OBJECT", _) => NOTE.into(),
            ("FILE" | "{}", "verify-receipt") => "receipt.json".into(),
            ("KERNEL", "grant") => self.ids[other].clone(),
            ("PEER" | "KERNEL" | "{0}" | "{}", "peers" | "grant") => other.into(),
            ("NAME", "peers") => other.into(),
            ("TICKET", _) => self.home.once("alice", &["invite"]).exits(0).out.trim().into(),
            ("IOR", _) => self.ior.clone(),
            ("FILE", _) => "note.json".into(),
            ("DIR", "export") => self.home.join("out-dir").to_str()?.into(),
            ("DIR", "import") => {
                let dir = self.home.join("to-import");
                fs::create_dir_all(&dir).ok()?;
                fs::copy(self.home.join("note.json"), dir.join("note.json")).ok()?;
                dir.to_str()?.into()
            }
            ("DIR", _) => self.home.join("in-dir").to_str()?.into(),
            ("SIZE", _) => "512MiB".into(),
            ("HOST:PORT", _) => "127.0.0.1:9".into(),
            _ => return None,
        })
    }

    /// Carries out a plan, and returns its id.
    fn coordination(&self) -> String {
        let ior = self.home.once("alice", &["show", NOTE, "--json"]).exits(0).json()["object"]["ior"].clone();
        let plan = format!(r#"{{"mode":"all","steps":[{{"name":"read","ior":{ior},"action":"get"}}]}}"#);
        let file = self.home.file("a-plan.json", plan);
        let done =
            self.home.once("alice", &["coordinate", file.to_str().unwrap(), "--wait", "--json"]).exits(0);
        done.json()["id"].as_str().unwrap().to_owned()
    }

    /// Makes a conflict: a file is changed, and so was its object since it was imported.
    fn conflict(&self) -> &'static str {
        for change in 1..=2 {
            let count = self.home.once("alice", &["conflicts", "--json"]).out.len() + 100 * change;
            let text = format!(
                r#"{{"ior":{{"uuid":"{APART}","component":"Counter"}},"model":{{"count":{count}}}}}"#
            );
            self.home.once("alice", &["import", self.home.file("apart.json", text).to_str().unwrap()]);
            self.home.once("alice", &["act", APART, "add", r#"{"by":1}"#]).exits(0);
        }
        APART
    }

    /// The revision that is kept in it.
    fn kept(&self) -> Option<String> {
        let listed = self.home.once("alice", &["conflicts", "--json"]).exits(0).json();
        let all = listed["conflicts"].as_array()?.iter().flat_map(|one| one["objects"].as_array().cloned());
        let kept = all.flatten().find(|object| object["kept"] == true)?;
        kept["revision_id"].as_str().map(str::to_owned)
    }

    /// Which kernel a command is run at.
    fn place(told: &Told) -> &'static str {
        let second = told.command.split(' ').nth(1).unwrap_or_default();
        match (second, told.here) {
            ("init", _) => "new",
            ("up" | "stop", _) => "dora",
            ("join", _) => "carol",
            // The action was accepted there.
            ("receipt" | "outcome", _) | (_, true) => "alice",
            (_, false) => "bob",
        }
    }

    /// Runs a command, and says what is wrong if it does not end well.
    fn run(&self, told: &Told) -> Result<(), String> {
        let at = Self::place(told);
        let is_value = |word: &str| {
            let capital = |c: char| c.is_ascii_uppercase() || c == ':';
            word.starts_with('{') || (word.len() > 1 && word.chars().all(capital))
        };
        let value = |word: &str| {
            let value = self.value(&told.command, word, at);
            value.ok_or_else(|| format!("say in World::value what stands for {word} in it"))
        };
        let words = told.command.split(' ').skip(1);
        let args = words.map(|word| if is_value(word) { value(word) } else { Ok(word.to_owned()) });
        let args = args.collect::<Result<Vec<_>, _>>()?;
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        if args[0] == "watch" {
            // Else it goes on for ever.
            args.push("--until-now");
        }
        if args.starts_with(&["peers", "remove"]) {
            // Several texts say so, and it can be removed once.
            self.home.once(at, &["peers", "add", &self.ids["bob"], "--name", "bob"]);
        }
        if args[0] == "init" {
            // Several texts say so, and a kernel is made once.
            let _ = fs::remove_dir_all(self.home.join("new"));
        }
        let ran = match (args[0], args.contains(&"--data")) {
            // One after the other, at a kernel of their own.
            ("up", _) => return self.up_and_stop(),
            ("stop", _) => return Ok(()),
            (_, true) if fs::exists(self.home.join("in-dir")).unwrap() => return Ok(()),
            (_, true) => Ran::new(&args, self.home.command(ONCE).args(&args).output().unwrap()),
            _ => self.home.once(at, &args),
        };
        let plain =
            ["{id}", "{0}", "{}"].iter().fold(told.command.clone(), |said, id| said.replace(id, "ID"));
        let said = |text: &str| ran.out.contains(text) || ran.err.contains(text);
        let other = OTHER_EXITS
            .iter()
            .any(|(command, exit, text)| plain == *command && ran.exit == Some(*exit) && said(text));
        match ran.exit == Some(0) || other {
            true => Ok(()),
            false => Err(format!("it ends with {:?}\n{}{}", ran.exit, ran.out, ran.err)),
        }
    }

    fn up_and_stop(&self) -> Result<(), String> {
        if !self.home.join("dora").exists() {
            self.home.init("dora");
        }
        let data = self.home.join("dora");
        let child = self
            .home
            .command(ONCE)
            .arg("--data")
            .arg(data)
            .arg("up")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut dora = Daemon(child);
        until("it is up", || self.home.once("dora", &["status", "--json"]).json()["running"] == true);
        self.home.once("dora", &["stop"]).exits(0);
        let ended = dora.ended();
        if ended == Some(0) { Ok(()) } else { Err(format!("it ends with {ended:?}")) }
    }
}

#[test]
fn every_command_in_a_text_can_be_run() {
    let told = told();
    assert!(told.len() > 25 && told.keys().any(|told| !told.here), "the texts are not found: {told:?}");
    let world = World::new();
    let wrong = told.iter().filter_map(|(told, place)| {
        let why = world.run(told).err()?;
        Some(format!("{place} says '{}': {why}\n", told.command))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
    assert_eq!(world.kernels.len(), 3);
}

/// The commands of a hint, as they are shown.
fn pasted(ran: &str) -> Vec<String> {
    let begin = "`";
    let hints = ran.lines().filter(|line| line.contains("hint:") || line.contains("`once "));
    hints
        .flat_map(|line| line.split(begin).skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_hint_works_as_it_is_pasted() {
    let home = Home::new();
    let folder: PathBuf = home.join("my kernels");
    fs::create_dir(&folder).unwrap();
    let path = format!("{}:{}", Path::new(ONCE).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let shell = |command: &str| {
        let mut sh = home.command("sh");
        let out = sh.args(["-c", command]).env("PATH", &path).output().unwrap();
        let text = [out.stdout, out.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (out.status.code(), text)
    };
    let begin = "once --data './my kernels/a' ";
    let next = |command: &str, exit: i32, wanted: &str| {
        let (code, text) = shell(command);
        assert_eq!(code, Some(exit), "{command}\n{text}");
        let hints = pasted(&text);
        let hint =
            hints.iter().find(|hint| hint.contains(wanted)).unwrap_or_else(|| panic!("{command}: {text}"));
        assert!(hint.starts_with(begin) || !begin.contains("--data"), "{hint}");
        hint.clone()
    };
    let init = next(&format!("{begin}status"), 1, "init");
    assert_eq!(init, format!("{begin}init"));
    assert_eq!(shell(&format!("{init} --listen 127.0.0.1:0")).0, Some(0));
    let up = next(&format!("{begin}invite"), 4, "up");
    assert_eq!(shell(&format!("{up} --detach")).0, Some(0));
    let stop = next(&format!("{begin}up --detach"), 1, "stop");
    // A shortened id is enough to say where a peer can be reached.
    let stranger =
        home.init("b").once("b", &["status", "--json"]).json()["kernel"].as_str().unwrap().to_owned();
    assert_eq!(shell(&format!("{begin}peers add {stranger}")).0, Some(0));
    let tell = next(&format!("{begin}doctor"), 1, "peers address");
    assert_eq!(shell(&tell.replace("HOST:PORT", "127.0.0.1:9")).0, Some(0), "{tell}");
    let tell = next(&format!("{begin}doctor"), 1, "peers address");
    assert_eq!(shell(&tell.replace("HOST:PORT", "127.0.0.1:10")).0, Some(0), "{tell}");
    // In JSON, too.
    let (_, text) = shell(&format!("{begin}show 00000000-0000-4000-8000-000000000001 --json 2>/dev/null"));
    let error: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(error["error"]["hint"].as_str().unwrap().contains(&format!("`{begin}ls`")), "{error}");
    // What starts in the background and does not come up says what the kernel itself would say.
    assert_eq!(shell(&stop).0, Some(0));
    let key = folder.join("a").join("key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, text) = shell(&format!("{begin}up --detach"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("hint: run `chmod 600 "), "{text}");
}

/// What stands under `Example:` in the help of `coordinate` is run as a person would paste it.
#[test]
fn the_example_in_the_help_of_coordinate_works_as_it_is_pasted() {
    let home = Home::new();
    let _alice = home.up("alice");
    let page = home.on_terminal(80, "alice", &["coordinate", "--help"]).exits(0).out;
    let example = page.split("Example:").nth(1).unwrap().split_once('\n').unwrap().1;
    let folder = Path::new(ONCE).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut sh = home.command("sh");
    sh.args(["-ec", example]).env("PATH", &path).env("ONCE_DATA", home.join("alice"));
    let ran = Ran::new(&["coordinate"], sh.output().unwrap()).exits(0);
    assert!(
        ran.out.starts_with("done ") && ran.out.contains("take") && ran.out.contains("give"),
        "{}",
        ran.out
    );
    let balances: Vec<_> = home
        .once("alice", &["find", "--component", "Account", "--quiet"])
        .exits(0)
        .out
        .lines()
        .map(|key| home.once("alice", &["act", key, "get"]).exits(0).out)
        .collect();
    assert!(
        balances.iter().any(|all| all.contains("\"balance\":70"))
            && balances.iter().any(|all| all.contains("\"balance\":50"))
    );
}
