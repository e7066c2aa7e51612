//! The package for Debian: it installs on a machine as it is, the program works there for whoever uses it, and when it goes
//! nobody's kernel goes with it.
//!
//! The machine is this one under an overlay that nobody else sees: what the test changes is gone when it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Home, ONCE};

/// Says that a test could not run. Fails where everything must.
fn skip(reason: &str) {
    println!("skipped: {reason}");
    assert!(
        std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"),
        "ONCE_REQUIRE_ALL=1, but skipped: {reason}"
    );
}

/// The package, with the program under test in it.
fn package(home: &Home) -> Option<PathBuf> {
    let there =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if !there("dpkg-deb") || !there("dpkg") {
        skip("no dpkg to make a package with");
        return None;
    }
    let mut make = Command::new(env!("CARGO"));
    make.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    make.args(["run", "--quiet", "--package", "xtask", "--", "deb", "--fast", "--binary", ONCE, "--out"]);
    let output = make.arg(home.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    Some(said.lines().last().unwrap().into())
}

fn said(program: &str, args: &[&str], package: &Path) -> String {
    let output = Command::new(program).args(args).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_has_all_that_belongs_to_the_program() {
    let home = Home::new();
    let Some(package) = package(&home) else { return };
    let listed = said("dpkg-deb", &["--contents"], &package);
    let files: BTreeSet<_> = listed
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| line.split_whitespace().last().unwrap().trim_start_matches("./"))
        .collect();
    for file in [
        "usr/bin/once",
        "usr/share/man/man1/once.1.gz",
        "usr/share/man/man1/once-peers-add.1.gz",
        "usr/share/bash-completion/completions/once",
        "usr/share/zsh/vendor-completions/_once",
        "usr/share/fish/vendor_completions.d/once.fish",
        "usr/lib/systemd/system/once.service",
        "usr/share/doc/once/copyright",
        "usr/share/doc/once/changelog.gz",
        "usr/share/doc/once/changelog.Debian.gz",
        "usr/share/doc/once/third-party-licences.gz",
    ] {
        assert!(files.contains(file), "no {file} in\n{listed}");
    }
    let all = "usr/bin/ usr/share/man/man1/ usr/share/bash-completion/ usr/share/zsh/ usr/share/fish/ usr/lib/systemd/system/ usr/share/doc/once/";
    assert!(files.iter().all(|file| all.split(' ').any(|place| file.starts_with(place))), "{listed}");
    assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");
    let tree = home.join("tree");
    let unit = fs::read_to_string(tree.join("usr/lib/systemd/system/once.service")).unwrap();
    assert!(unit.contains("ExecStart=:/usr/bin/once --data /var/lib/once up --init\n"), "{unit}");
    let copyright = fs::read_to_string(tree.join("usr/share/doc/once/copyright")).unwrap();
    assert!(copyright.contains(" Permission is hereby granted") && !copyright.contains('@'), "{copyright}");
    let licences = tree.join("usr/share/doc/once/third-party-licences.gz");
    let licences = said("gzip", &["-dc"], &licences);
    // What the network and the store are made of is in it, what only tests use is not.
    for (name, is_in) in [("\niroh ", true), ("\nfjall ", true), ("\nproptest ", false), ("\nonce ", false)] {
        assert_eq!(licences.contains(name), is_in, "{name}");
    }
    assert!(licences.contains("Permission is hereby granted"));
    let control = said("dpkg-deb", &["--field"], &package);
    assert!(control.contains("Depends: libc6 (>= 2."), "{control}");
}

/// Runs as root of a machine like this one, which is gone afterwards.
const MACHINE: &str = r#"
set -eu
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"
mount --bind /dev "$1/root/dev"
cp "$2" "$1/root/once.deb"
exec chroot "$1/root" /bin/sh -euc "$3" </dev/null 2>&1
"#;

/// A line of its own stands between two parts of what is said.
const STORY: &str = r#"
part() { echo "== $1"; }
as() { user=$1; shift; home=$(getent passwd "$user" | cut -d: -f6)
    setpriv --reuid="$user" --regid="$user" --init-groups env -i HOME="$home" PATH=/usr/bin:/bin NO_COLOR=1 sh -euc "$*"; }
rm -rf /var/lib/once /run/systemd/system
getent passwd once >/dev/null && exit 77
dpkg() { command dpkg --no-triggers "$@"; }

part install
dpkg --install /once.deb
command dpkg --verify once
stat -c '%U %a' /var/lib/once
test ! -e /var/lib/once/key
test "$(id -u once)" -lt 1000

part unit
if command -v systemd-analyze >/dev/null; then systemd-analyze verify --man=no /usr/lib/systemd/system/once.service; fi

part visitor
useradd --create-home --shell /bin/sh visitor
as visitor 'once init --name visitor --listen 127.0.0.1:0 && once up --detach'
as visitor 'once status --json | grep -o "\"running\":true"; once create Counter; once stop; once --version'

part machine
as once 'once --data /var/lib/once up --init --detach --name machine --listen 127.0.0.1:0'
as once 'once --data /var/lib/once status --json | grep -o "\"running\":true"'
as visitor 'once --data /var/lib/once status' && exit 78
as once 'once --data /var/lib/once stop'

part again
before=$(sha256sum /var/lib/once/key)
dpkg --install /once.deb
test "$(sha256sum /var/lib/once/key)" = "$before"

part remove
dpkg --remove once
test ! -e /usr/bin/once
test ! -e /usr/lib/systemd/system/once.service
test "$(sha256sum /var/lib/once/key)" = "$before"
test -e /home/visitor/.local/share/once/key

part purge
dpkg --purge once
test ! -e /var/lib/once
test -e /home/visitor/.local/share/once/key
id once >/dev/null

part other
# What somebody else keeps at that place is not the package's.
mkdir /var/lib/once
touch /var/lib/once/key
dpkg --install /once.deb
dpkg --purge once
test -e /var/lib/once/key
part end
"#;

#[test]
fn a_machine_gets_the_program_and_keeps_its_kernels_when_it_goes() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can make a machine to install the package on");
    }
    let home = Home::new();
    let Some(package) = package(&home) else { return };
    let machine = home.join("machine");
    fs::create_dir(&machine).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-c",
        MACHINE,
        "sh",
    ]);
    let output = unshare.arg(&machine).arg(&package).arg(STORY).output().unwrap();
    let (code, said) = (output.status.code(), [output.stdout, output.stderr].concat());
    let said = String::from_utf8_lossy(&said);
    if !said.contains("== install") && code != Some(77) {
        return skip(&format!("no overlay of this machine can be made: {said}"));
    }
    assert!(
        code != Some(77),
        "this machine has a user 'once' already, so it cannot be told what the package makes"
    );
    assert!(code == Some(0) && said.trim_end().ends_with("== end"), "{code:?}\n{said}");
    let part = |name: &str| {
        let after = said.split(&format!("== {name}\n")).nth(1).unwrap();
        after.split("== ").next().unwrap().to_owned()
    };
    assert!(part("install").contains("once 700\n"), "{said}");
    for who in ["visitor", "machine"] {
        assert!(part(who).contains("\"running\":true\n"), "{said}");
    }
    assert!(part("remove").contains("the kernel's key and its objects stay in /var/lib/once"), "{said}");
}
