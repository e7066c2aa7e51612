//! `cargo xtask deb`: the package for Debian and what descends from it, put together with `dpkg-deb` from the binary and what the
//! binary says of itself. The scripts that dpkg runs are in `packaging/debian/`.

mod licences;
mod needs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Counts packages of one version of the sources.
const REVISION: &str = "1";

const MAINTAINER: &str = "The ONCE project <once@localhost>";

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/once"),
    ("zsh", "usr/share/zsh/vendor-completions/_once"),
    ("fish", "usr/share/fish/vendor_completions.d/once.fish"),
];

/// What is asked for.
pub struct Wanted {
    /// The binary that is packed; else one is built for it.
    binary: Option<PathBuf>,
    /// Where the package goes; else `target/deb`.
    out: Option<PathBuf>,
    /// Not packed tightly, for a test.
    fast: bool,
}

impl Wanted {
    /// Reads the arguments.
    pub fn read(args: &[String]) -> Result<Self, String> {
        let mut wanted = Self { binary: None, out: None, fast: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut path = || args.next().map(PathBuf::from).ok_or_else(|| format!("{arg} needs a path"));
            match arg.as_str() {
                "--binary" => wanted.binary = Some(path()?),
                "--out" => wanted.out = Some(path()?),
                "--fast" => wanted.fast = true,
                _ => return Err(format!("what is '{arg}'?")),
            }
        }
        Ok(wanted)
    }
}

/// Makes the package, and says where it is.
pub fn run(wanted: &Wanted) -> Result<(), String> {
    let metadata = metadata()?;
    let target = PathBuf::from(text(&metadata, "target_directory")?);
    let out = wanted.out.clone().unwrap_or_else(|| target.join("deb"));
    let binary = match &wanted.binary {
        Some(binary) => binary.clone(),
        None => built(&target)?,
    };
    // Made anew: what an earlier package had must not stay.
    let tree = out.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(|error| said(&tree, &error))?;
    }
    fill(&tree, &binary)?;
    documents(&tree, &licences::of(&metadata)?)?;
    let architecture = printed(Command::new("dpkg").arg("--print-architecture"))?;
    control(&tree, architecture.trim(), &binary)?;
    let package = out.join(format!("once_{VERSION}-{REVISION}_{}.deb", architecture.trim()));
    let mut dpkg = Command::new("dpkg-deb");
    // The same sources make the same package.
    dpkg.env("SOURCE_DATE_EPOCH", changed_s()?.to_string()).arg("--root-owner-group");
    if wanted.fast {
        dpkg.args(["-Zgzip", "-z1"]);
    }
    printed(dpkg.arg("--build").arg(&tree).arg(&package))?;
    println!("{}", package.display());
    Ok(())
}

/// The binary and what it says of itself: pages, completions, the unit.
fn fill(tree: &Path, binary: &Path) -> Result<(), String> {
    let bytes = fs::read(binary).map_err(|error| said(binary, &error))?;
    put(tree, "usr/bin/once", &bytes, 0o755)?;
    for (shell, path) in COMPLETIONS {
        let script = printed(Command::new(binary).args(["completions", shell]))?;
        put(tree, path, script.as_bytes(), 0o644)?;
    }
    let unit = printed(Command::new(binary).env_remove("ONCE_DATA").env_remove("ONCE_LOG_FORMAT").args([
        "service",
        "print",
        "--system",
        "--program",
        "/usr/bin/once",
    ]))?;
    put(tree, "usr/lib/systemd/system/once.service", unit.as_bytes(), 0o644)?;
    let pages = tree.join("usr/share/man/man1");
    printed(Command::new(binary).arg("man").arg(&pages))?;
    let entries = fs::read_dir(&pages).map_err(|error| said(&pages, &error))?;
    let pages: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    zip(&pages.map_err(|error| error.to_string())?)
}

/// Licences and changes.
fn documents(tree: &Path, third_party: &str) -> Result<(), String> {
    let folder = "usr/share/doc/once";
    let from = |path: &str| {
        let path = Path::new(ROOT).join(path);
        fs::read_to_string(&path).map_err(|error| said(&path, &error))
    };
    let mit = from("LICENSE-MIT")?;
    let mit: String =
        mit.lines().map(|line| if line.is_empty() { " .\n".into() } else { format!(" {line}\n") }).collect();
    let copyright = from("packaging/debian/copyright")?.replace("@MIT@\n", &mit);
    put(tree, &format!("{folder}/copyright"), copyright.as_bytes(), 0o644)?;
    let when = printed(Command::new("date").args(["-u", "-R", "-d"]).arg(format!("@{}", changed_s()?)))?;
    let entry = format!(
        "once ({VERSION}-{REVISION}) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n -- {MAINTAINER}  {when}"
    );
    let files = [
        ("changelog", from("CHANGELOG.md")?),
        ("changelog.Debian", entry),
        ("third-party-licences", third_party.to_owned()),
    ];
    let mut paths = Vec::new();
    for (name, text) in files {
        put(tree, &format!("{folder}/{name}"), text.as_bytes(), 0o644)?;
        paths.push(tree.join(folder).join(name));
    }
    zip(&paths)
}

/// What dpkg reads: what the package is, what it needs, what its files are, and what is run when it comes and goes.
fn control(tree: &Path, architecture: &str, binary: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    files.sort();
    let mut bytes = 0;
    let mut sums = Command::new("md5sum");
    for file in &files {
        bytes += fs::metadata(file).map_err(|error| said(file, &error))?.len();
        sums.arg(file.strip_prefix(tree).map_err(|error| error.to_string())?);
    }
    let sums = printed(sums.current_dir(tree))?;
    let control = format!(
        "Package: once
Version: {VERSION}-{REVISION}
Architecture: {architecture}
Maintainer: {MAINTAINER}
Installed-Size: {}
Depends: {}, passwd
Section: net
Priority: optional
Description: objects that live in one place and are acted on exactly once
 A kernel keeps objects as JSON files, byte for byte, and exchanges them with
 other kernels, peer to peer: no broker, no server, no cluster. What was
 acknowledged is on disk, and what could not be sent yet is sent when the other
 kernel is back.
 .
 Nothing is started by installing this: 'once init' makes a kernel of your own,
 'systemctl enable --now once' one of the machine, in /var/lib/once.
",
        bytes.div_ceil(1024),
        needs::of(binary)?
    );
    put(tree, "DEBIAN/control", control.as_bytes(), 0o644)?;
    put(tree, "DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
    for script in SCRIPTS {
        let path = Path::new(ROOT).join("packaging/debian").join(script);
        let text = fs::read(&path).map_err(|error| said(&path, &error))?;
        put(tree, &format!("DEBIAN/{script}"), &text, 0o755)?;
    }
    Ok(())
}

/// The binary that is shipped, built now.
fn built(target: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(ROOT).args(["build", "--locked", "--profile", "dist", "--package", "once-cli"]);
    let status = build.status().map_err(|error| format!("cargo: {error}"))?;
    status.success().then(|| target.join("dist/once")).ok_or_else(|| "the build failed".to_owned())
}

/// What cargo knows of the workspace and of what it is made of, on this kind of machine.
fn metadata() -> Result<Value, String> {
    let rustc = printed(Command::new("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not say for which machine it builds")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(ROOT).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ]);
    serde_json::from_str(&printed(&mut command)?).map_err(|error| format!("cargo metadata: {error}"))
}

/// When the sources were last changed, in seconds since 1970.
fn changed_s() -> Result<u64, String> {
    let time = printed(Command::new("git").current_dir(ROOT).args(["log", "-1", "--format=%ct"]))?;
    time.trim().parse().map_err(|error| format!("git log: {error}"))
}

fn put(tree: &Path, path: &str, bytes: &[u8], mode: u32) -> Result<(), String> {
    let path = tree.join(path);
    let folder = path.parent().unwrap_or(tree);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, bytes))
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)));
    written.map_err(|error| said(&path, &error))
}

/// Packs files, without the time and name that would differ from one build to the next.
fn zip(paths: &[PathBuf]) -> Result<(), String> {
    printed(Command::new("gzip").args(["-9", "-n", "-f"]).args(paths)).map(drop)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in fs::read_dir(folder).map_err(|error| said(folder, &error))? {
        let path = entry.map_err(|error| said(folder, &error))?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// What a command prints; what it says, if it fails.
fn printed(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{name}: {error}"))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("cargo metadata has no {name}"))
}

fn said(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
