//! The kernel as a service: its unit is one that systemd takes, and systemd is told the truth about it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{Daemon, Home, ONCE, PATIENCE, Ran};

/// A service manager, as far as a kernel sees it: whoever reads the socket.
struct Manager(UnixDatagram, PathBuf);

impl Manager {
    fn new(home: &Home) -> Self {
        let path = home.join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, path)
    }

    /// The next message, each assignment on a line of its own.
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let read = self.0.recv(&mut bytes).expect("the kernel says nothing");
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    /// What comes until one has this line, that one included.
    fn until(&self, line: &str) -> Vec<String> {
        let begun = Instant::now();
        let mut came = Vec::new();
        while begun.elapsed() < PATIENCE {
            came.push(self.next());
            if came.last().unwrap().lines().any(|said| said == line) {
                return came;
            }
        }
        panic!("no {line} in {came:?}");
    }

    fn says_no_more(&self) {
        self.0.set_nonblocking(true).unwrap();
        let mut bytes = [0; 4096];
        if let Ok(read) = self.0.recv(&mut bytes) {
            panic!("{}", String::from_utf8_lossy(&bytes[..read]));
        }
    }

    /// Starts a kernel that is told of this manager.
    fn up(&self, home: &Home, data: &str, watchdog_us: Option<u64>) -> Daemon {
        let mut command = home.command(ONCE);
        command.arg("--data").arg(home.join(data)).arg("up").env("NOTIFY_SOCKET", &self.1);
        if let Some(us) = watchdog_us {
            command.env("WATCHDOG_USEC", us.to_string());
        }
        Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

#[test]
fn the_service_manager_hears_when_a_kernel_is_up_and_when_it_stops() {
    let home = Home::new();
    home.init("alice");
    let manager = Manager::new(&home);
    let mut alice = manager.up(&home, "alice", None);
    let came = manager.until("READY=1").concat();
    assert!(came.starts_with("STATUS=opening the data directory\n"), "{came}");
    assert!(came.ends_with("READY=1\nSTATUS=running, no peers yet\n"), "{came}");
    // It is up in truth: its socket answers at once.
    assert_eq!(home.once("alice", &["status", "--json"]).exits(0).json()["running"], true);
    home.once("alice", &["stop"]).exits(0);
    let came = manager.until("STOPPING=1").concat();
    assert!(!came.contains("WATCHDOG"), "no watchdog was asked for: {came}");
    assert_eq!(alice.ended(), Some(0));
    manager.says_no_more();
}

#[test]
fn a_watchdog_hears_a_kernel_that_goes_on_and_no_more_of_one_that_hangs() {
    let home = Home::new();
    home.init("alice");
    let manager = Manager::new(&home);
    let mut alice = manager.up(&home, "alice", Some(200_000));
    manager.until("READY=1");
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    let signal = |name: &str| {
        let pid = alice.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    // What was said before it hung.
    manager.0.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    while manager.0.recv(&mut [0; 4096]).is_ok() {}
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    manager.says_no_more();
    manager.0.set_nonblocking(false).unwrap();
    signal("-CONT");
    manager.until("WATCHDOG=1");
    signal("-TERM");
    manager.until("STOPPING=1");
    assert_eq!(alice.ended(), Some(0));
}

#[test]
fn a_kernel_that_does_not_start_is_never_ready_and_one_in_the_background_tells_nobody() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let nobody = manager.up(&home, "nobody", None).ended();
    home.init("alice");
    let _stops = home.stops("alice");
    let mut detached = home.command(ONCE);
    detached.arg("--data").arg(home.join("alice")).args(["up", "--detach"]).env("NOTIFY_SOCKET", &manager.1);
    Ran::new(&["up", "--detach"], detached.output().unwrap()).exits(0);
    manager.says_no_more();
    manager.0.set_nonblocking(false).unwrap();
    // Another process has its data directory.
    let taken = manager.up(&home, "alice", None).ended();
    assert_eq!(manager.next(), "STATUS=opening the data directory\n");
    manager.says_no_more();
    let wrong = home.once("alice", &["up", "--listen", "nowhere"]).exit;
    // None of these would be better the next time.
    let unit = home.once("alice", &["service", "print"]).exits(0).out;
    let never = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    for exit in [nobody, taken, wrong] {
        assert!(
            never.split(' ').any(|code| Some(code.parse().unwrap()) == exit),
            "{exit:?} is not in {never}"
        );
    }
    // An address that another process has may be free soon.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    home.init("bob");
    let busy = home.once("bob", &["up", "--listen", &address]).exit.unwrap().to_string();
    assert!(!never.split(' ').any(|code| code == busy), "{busy} is in {never}");
}

#[test]
fn a_service_whose_log_is_for_programs_says_nothing_else() {
    let home = Home::new();
    home.init("alice");
    let unit = home.once("alice", &["--log-format", "json", "service", "print"]).exits(0).out;
    assert!(unit.contains(" --log-format json up\n"), "{unit}");
    let log = fs::File::create(home.join("journal")).unwrap();
    let mut command = home.command(ONCE);
    command.arg("--data").arg(home.join("alice")).args(["--log-format", "json", "up"]);
    let mut alice = Daemon(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    common::until("it is up", || home.once("alice", &["status", "--json"]).json()["running"] == true);
    home.once("alice", &["stop"]).exits(0);
    assert_eq!(alice.ended(), Some(0));
    let journal = fs::read_to_string(home.join("journal")).unwrap();
    let said: Vec<serde_json::Value> =
        journal.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let message = |line: &serde_json::Value| line["fields"]["message"].as_str().unwrap().to_owned();
    assert!(said.iter().map(message).any(|said| said.starts_with("kernel ")), "{journal}");
    assert_eq!(said.last().map(message).as_deref(), Some("stopped"));
}

/// `systemd-analyze`, if there is one of this form.
fn analyze(args: &[&str]) -> Option<Command> {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        let mut command = Command::new("systemd-analyze");
        command.args(args);
        return Some(command);
    }
    let required = std::env::var("ONCE_REQUIRE_ALL").as_deref() == Ok("1");
    assert!(!required, "no systemd-analyze, and ONCE_REQUIRE_ALL=1");
    println!("skipped: no systemd-analyze to look at the units with");
    None
}

/// A folder whose name means something to systemd and to shells, with the program in it.
fn awkward(home: &Home) -> PathBuf {
    let folder = home.join("my 100%h $HOME");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("once");
    fs::copy(ONCE, &program).unwrap();
    program
}

/// Prints a unit into a file of its own.
fn printed(home: &Home, data: &Path, args: &[&str]) -> PathBuf {
    let mut command = home.command(ONCE);
    command.arg("--data").arg(data).args(["service", "print"]).args(args);
    let text = Ran::new(args, command.output().unwrap()).exits(0).out;
    home.file("units/once.service", text)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let home = Home::new();
    let program = awkward(&home);
    let (program, odd) = (program.to_str().unwrap(), program.parent().unwrap().join("\"a\"\\b"));
    for (data, args) in [
        (home.join("alice"), vec![]),
        (home.join("alice"), vec!["--system", "--user", "root"]),
        (odd.clone(), vec!["--program", program]),
        (odd, vec!["--program", program, "--system", "--user", "root"]),
    ] {
        let unit = printed(&home, &data, &args);
        let scope = if args.contains(&"--system") { "--system" } else { "--user" };
        let Some(mut verify) = analyze(&["verify", "--man=no", scope]) else { return };
        verify.env("XDG_RUNTIME_DIR", home.path()).arg(&unit);
        let output = verify.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Of ours, not of what else is on this machine.
        let ours: Vec<_> = said.lines().filter(|line| line.contains("once")).collect();
        let text = fs::read_to_string(&unit).unwrap();
        assert!(ours.is_empty() && output.status.success(), "{said}\n{text}");
        // And it would say so, if there were something.
        fs::write(&unit, text.replace("ExecStart=:", "ExecStart=:/not/there")).unwrap();
        assert!(!verify.output().unwrap().status.success());
    }
}

#[test]
fn the_units_leave_little_to_whoever_takes_the_kernel_over() {
    let home = Home::new();
    // From 0 (nothing is open) to 100, as `systemd-analyze security` counts it.
    for (args, most) in [(vec!["--system"], "15"), (vec![], "65")] {
        let unit = printed(&home, Path::new("/var/lib/once"), &args);
        let Some(mut security) = analyze(&["security", "--offline=true", "--no-pager", "--threshold", most])
        else {
            return;
        };
        let output = security.arg(&unit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Installs and so on, with a systemctl of the test's own in the path.
fn service(home: &Home, data: &str, args: &[&str]) -> Ran {
    let path = std::env::join_paths(
        std::iter::once(home.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = home.command(ONCE);
    command.env("PATH", path.unwrap()).arg("--data").arg(home.join(data)).arg("service").args(args);
    Ran::new(args, command.output().unwrap())
}

/// A systemctl that notes what it is told.
fn systemctl(home: &Home) {
    let told = home.join("told");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\ncase \"$*\" in *is-*) echo enabled;; esac\n",
        told.display()
    );
    let program = home.file("bin/systemctl", script);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_service_is_installed_and_goes_without_a_trace_but_its_data() {
    let home = Home::new();
    systemctl(&home);
    service(&home, "alice", &["install"]).exits(1).says("no kernel in").says("`once init`");
    home.init("alice");
    let unit = home.join(".config/systemd/user/once.service");
    let dry = service(&home, "alice", &["install", "--dry-run"]).exits(0).out;
    assert!(!unit.exists() && !home.join("told").exists());
    service(&home, "alice", &["install"]).exits(0).says("starts by itself").says("loginctl enable-linger");
    let text = fs::read_to_string(&unit).unwrap();
    assert_eq!(text, dry);
    assert!(text.contains(&format!("--data {} up\n", home.join("alice").display())), "{text}");
    assert_eq!(fs::metadata(&unit).unwrap().permissions().mode() & 0o777, 0o644);
    let told = || fs::read_to_string(home.join("told")).unwrap();
    assert_eq!(told(), "--user daemon-reload\n--user enable --now once.service\n");
    service(&home, "alice", &["status"]).exits(0).prints("installed  yes\n").prints("active     enabled");
    let status = service(&home, "alice", &["status", "--json"]).exits(0).json();
    assert_eq!((&status["untouched"], &status["current"]), (&true.into(), &true.into()));
    // Once more changes nothing.
    service(&home, "alice", &["install"]).exits(0);
    assert_eq!(fs::read_to_string(&unit).unwrap(), text);
    service(&home, "alice", &["uninstall"]).exits(0).says("The data directory stays");
    assert!(!unit.exists() && home.join("alice/key").exists());
    assert!(told().ends_with("--user disable --now once.service\n--user daemon-reload\n"), "{}", told());
    service(&home, "alice", &["uninstall"]).exits(1).says("no unit");
    service(&home, "alice", &["status"]).exits(0).prints("installed  no\n");
    // A second kernel is a second service.
    home.init("bob");
    service(&home, "bob", &["install", "--unit", "bob", "--no-start"])
        .exits(0)
        .says("Start it with: systemctl --user daemon-reload && systemctl --user enable --now bob.service");
    assert!(!told().contains("bob"), "{}", told());
    service(&home, "bob", &["install", "--unit", "../bob"]).exits(2).says("no name for a unit");
}

#[test]
fn a_unit_that_somebody_changed_is_left_as_it_is() {
    let home = Home::new();
    home.init("alice");
    let unit = home.join(".config/systemd/user/once.service");
    service(&home, "alice", &["install", "--no-start"]).exits(0);
    let text = fs::read_to_string(&unit).unwrap();
    let changed = text.replace("RestartSec=2", "RestartSec=20");
    fs::write(&unit, &changed).unwrap();
    for what in [&["install", "--no-start"][..], &["uninstall", "--no-stop"]] {
        service(&home, "alice", what).exits(1).says("somebody changed it").says("--force");
        assert_eq!(fs::read_to_string(&unit).unwrap(), changed);
    }
    service(&home, "alice", &["status"]).exits(0).prints("changed by hand");
    service(&home, "alice", &["install", "--no-start", "--force"]).exits(0);
    assert_eq!(fs::read_to_string(&unit).unwrap(), text);
    // One of an earlier version is not changed by hand: it is brought up to date.
    let body = text.replace("RestartSec=2", "RestartSec=1");
    let (head, body) = body.split_once("# seal ").unwrap();
    let body = body.split_once('\n').unwrap().1;
    let seal = once_model::hash::content_hash(body.as_bytes());
    fs::write(&unit, format!("{head}# seal {seal}\n{body}")).unwrap();
    service(&home, "alice", &["status"]).exits(0).prints("in other words");
    service(&home, "alice", &["install", "--no-start"]).exits(0);
    assert_eq!(fs::read_to_string(&unit).unwrap(), text);
    fs::write(&unit, changed).unwrap();
    service(&home, "alice", &["uninstall", "--no-stop", "--force"]).exits(0);
    assert!(!unit.exists());
}

#[test]
fn a_service_of_the_machine_runs_as_a_user_that_is_there() {
    let home = Home::new();
    let nobody = ["install", "--system", "--user", "no-such-user", "--no-start"];
    service(&home, "alice", &nobody).exits(1).says("no user 'no-such-user'").says("useradd --system");
    let root = ["install", "--system", "--user", "root", "--no-start"];
    service(&home, "not-there", &root).exits(1).says("no directory").says("sudo install -d -m 700 -o root");
    // Without --data it is not the data of whoever calls.
    let print = home.command(ONCE).args(["service", "print", "--system"]).output().unwrap();
    let unit = Ran::new(&["service", "print", "--system"], print).exits(0).out;
    assert!(unit.contains("--data /var/lib/once up --init\n") && unit.contains("User=once\n"), "{unit}");
    home.once("alice", &["service", "print", "--user", "root"]).exits(2);
}
