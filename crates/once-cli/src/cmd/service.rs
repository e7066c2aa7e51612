//! `once service`

use std::fs;
use std::io::{self, ErrorKind as Io, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use directories::BaseDirs;
use once::ErrorKind;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure, plain};
use crate::ui;
use crate::unit::{SYSTEM_DATA, Scope, Unit, is_plain, is_untouched};

/// Where the units of a machine's administrator are.
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// Run the kernel as a service of systemd
///
/// Without --system it is a service of the user who installs it. Its log is in the journal: `journalctl --user -u once`.
#[derive(Debug, Args)]
pub struct Service {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the unit, and have systemd start it now and at every login or boot
    Install {
        #[command(flatten)]
        which: Which,
        /// Print the unit, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Only write the unit
        #[arg(long)]
        no_start: bool,
        /// Also replace a unit that somebody has changed
        #[arg(long)]
        force: bool,
    },
    /// Have systemd stop it, and remove the unit; the data directory stays
    Uninstall {
        #[command(flatten)]
        which: Which,
        /// Only remove the unit
        #[arg(long)]
        no_stop: bool,
        /// Also remove a unit that somebody has changed
        #[arg(long)]
        force: bool,
    },
    /// Print the unit
    Print {
        #[command(flatten)]
        which: Which,
    },
    /// Say whether it is installed, starts by itself, and runs
    Status {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// A service of the machine, not of this user; its data is in /var/lib/once unless --data says otherwise
    #[arg(long)]
    system: bool,
    /// What the unit is called: a second kernel needs a second name
    #[arg(long, value_name = "NAME", default_value = "once")]
    unit: String,
    /// As whom a service of the machine runs
    #[arg(long, value_name = "NAME", default_value = "once", requires = "system")]
    user: String,
    /// The program that it starts; this one unless given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// A unit, where its file is, and how systemd is called about it.
struct Place {
    unit: Unit,
    path: PathBuf,
}

/// What `install` and `uninstall` print with `--json`.
#[derive(Serialize)]
struct Changed {
    unit: PathBuf,
    /// Whether systemd was told, and did it.
    told: bool,
}

/// What `status` prints with `--json`.
#[derive(Serialize)]
struct Seen {
    unit: PathBuf,
    installed: bool,
    /// Whether it is as it was written.
    untouched: Option<bool>,
    /// Whether this program would write it in the same words.
    current: Option<bool>,
    /// As `systemctl is-enabled` says; absent where that cannot be asked.
    enabled: Option<String>,
    /// As `systemctl is-active` says.
    active: Option<String>,
}

impl Service {
    pub fn run(self, context: &Context) -> Done {
        match self.what {
            What::Print { which } | What::Install { which, dry_run: true, .. } => {
                let mut printer = ui::Printer::new();
                printer.text(&which.unit(context)?.text()?)?;
                printer.end()?;
                Ok(Exit::DONE)
            }
            What::Install { which, no_start, force, .. } => {
                which.place(context)?.install(context, no_start, force)
            }
            What::Uninstall { which, no_stop, force } => {
                which.place(context)?.uninstall(context, no_stop, force)
            }
            What::Status { which } => which.place(context)?.status(context),
        }
    }
}

impl Which {
    fn unit(self, context: &Context) -> Done<Unit> {
        let name = self.unit.strip_suffix(".service").unwrap_or(&self.unit).to_owned();
        if !is_plain(&name) {
            let message = format!("'{}' is no name for a unit", ui::shown(&self.unit));
            return Err(Failure::usage(message).hint("it has letters, digits, '-', '_' and '.'"));
        }
        let program = match self.program {
            Some(program) => std::path::absolute(&program).map_err(|error| Failure::io(&program, &error))?,
            None => std::env::current_exe()
                .map_err(|error| Failure::fault(format!("this program is not found: {}", plain(&error))))?,
        };
        let data = match self.system && !context.chosen {
            true => SYSTEM_DATA.into(),
            false => context.data.clone(),
        };
        let scope = if self.system { Scope::System { user: self.user } } else { Scope::User };
        Ok(Unit { name, scope, program, data, log_format: context.log_format })
    }

    fn place(self, context: &Context) -> Done<Place> {
        let unit = self.unit(context)?;
        let folder = match unit.scope {
            Scope::System { .. } => SYSTEM_UNITS.into(),
            Scope::User => {
                let dirs =
                    BaseDirs::new().ok_or_else(|| Failure::usage("no home directory to keep a unit in"))?;
                dirs.config_dir().join("systemd/user")
            }
        };
        let path = folder.join(unit.file());
        Ok(Place { unit, path })
    }
}

impl Place {
    fn install(&self, context: &Context, no_start: bool, force: bool) -> Done {
        self.can_start(context)?;
        let text = self.unit.text()?;
        if self.found()?.is_some_and(|there| !is_untouched(&there) && there != text) && !force {
            return Err(self.changed("replaced"));
        }
        write(&self.path, &text).map_err(|error| self.not_written(&error))?;
        let told = !no_start && self.tell(&[&["daemon-reload"], &["enable", "--now", &self.unit.file()]])?;
        context.answer(&Changed { unit: self.path.clone(), told }, |_| {
            ui::print(&format!("unit       {}", ui::shown_path(&self.path)))?;
            ui::print(&format!("data       {}", ui::shown_path(&self.unit.data)))
        })?;
        match told {
            true => ui::say("The kernel runs as a service, and starts by itself."),
            false => {
                if !no_start {
                    ui::say("systemd could not be asked: nothing was started.");
                }
                let (reload, enable) = (self.systemctl("daemon-reload"), self.systemctl("enable --now"));
                ui::say(&format!("Start it with: {reload} && {enable} {}", self.unit.file()));
            }
        }
        if self.unit.scope == Scope::User {
            ui::say("It ends when you log out, unless you run: loginctl enable-linger");
        }
        Ok(Exit::DONE)
    }

    fn uninstall(&self, context: &Context, no_stop: bool, force: bool) -> Done {
        let Some(there) = self.found()? else {
            let message = format!("no unit {}", ui::shown_path(&self.path));
            return Err(Failure::of(ErrorKind::NotFound, message));
        };
        if !is_untouched(&there) && !force {
            return Err(self.changed("removed"));
        }
        let stopped = !no_stop && self.tell(&[&["disable", "--now", &self.unit.file()]])?;
        fs::remove_file(&self.path).map_err(|error| self.not_written(&error))?;
        let told = stopped && self.tell(&[&["daemon-reload"]])?;
        context.answer(&Changed { unit: self.path.clone(), told }, |_| {
            ui::print(&format!("removed    {}", ui::shown_path(&self.path)))
        })?;
        if !told {
            ui::say("systemd was not told: a kernel that it has started goes on until `once stop`.");
        }
        ui::say(&format!("The data directory stays: {}", ui::shown_path(&self.unit.data)));
        Ok(Exit::DONE)
    }

    fn status(&self, context: &Context) -> Done {
        let (there, text) = (self.found()?, self.unit.text()?);
        let file = self.unit.file();
        let seen = Seen {
            unit: self.path.clone(),
            installed: there.is_some(),
            untouched: there.as_deref().map(is_untouched),
            current: there.map(|there| there == text),
            enabled: self.asked("is-enabled", &file),
            active: self.asked("is-active", &file),
        };
        context.answer(&seen, |seen| {
            ui::print(&format!("unit       {}", ui::shown_path(&seen.unit)))?;
            let installed = match (seen.untouched, seen.current) {
                (None, _) => "no",
                (Some(false), _) => "yes, and changed by hand since",
                (Some(true), Some(false)) => {
                    "yes, in other words than this program and these options would write it"
                }
                _ => "yes",
            };
            ui::print(&format!("installed  {installed}"))?;
            let or = |said: &Option<String>| ui::shown(said.as_deref().unwrap_or("systemd cannot be asked"));
            ui::print(&format!("enabled    {}", or(&seen.enabled)))?;
            ui::print(&format!("active     {}", or(&seen.active)))
        })?;
        Ok(Exit::DONE)
    }

    /// What would make every start fail.
    fn can_start(&self, context: &Context) -> Done<()> {
        if !cfg!(target_os = "linux") {
            return Err(Failure::failed("of service managers this program knows systemd, which is not here")
                .hint(
                    "any other one can start `once up`, which stays in the foreground and stops on SIGTERM",
                ));
        }
        let Scope::System { user } = &self.unit.scope else { return context.initialised() };
        let known = Command::new("id").arg("-u").arg(user).output().is_ok_and(|id| id.status.success());
        if !known {
            let message = format!("this machine has no user '{user}' to run the service as");
            let hint =
                format!("sudo useradd --system --home-dir {SYSTEM_DATA} --shell /usr/sbin/nologin {user}");
            return Err(Failure::of(ErrorKind::NotFound, message).hint(hint));
        }
        let data = &self.unit.data;
        if self.unit.state_directory().is_none() && !data.is_dir() {
            let message = format!("no directory {}", ui::shown_path(data));
            let place = ui::word(&data.to_string_lossy());
            let hint = format!("sudo install -d -m 700 -o {user} {place}");
            return Err(Failure::of(ErrorKind::NotFound, message).hint(hint));
        }
        Ok(())
    }

    /// The unit that is there.
    fn found(&self) -> Done<Option<String>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == Io::NotFound => Ok(None),
            Err(error) => Err(Failure::io(&self.path, &error)),
        }
    }

    fn changed(&self, done: &str) -> Failure {
        let path = ui::shown_path(&self.path);
        Failure::failed(format!("{path} is not as it was installed: somebody changed it, and it is not {done}"))
            .hint(format!(
                "move your changes to a drop-in ({} {}), then --force; or give the service another name with --unit",
                self.systemctl("edit"),
                self.unit.name
            ))
    }

    fn not_written(&self, error: &io::Error) -> Failure {
        let failure = Failure::io(&self.path, error);
        match self.unit.scope {
            Scope::System { .. } if error.kind() == Io::PermissionDenied => {
                failure.hint("run it with sudo; without --system it is a service of your own")
            }
            _ => failure,
        }
    }

    /// How a person calls systemd about it.
    fn systemctl(&self, what: &str) -> String {
        match self.unit.scope {
            Scope::User => format!("systemctl --user {what}"),
            Scope::System { .. } => format!("sudo systemctl {what}"),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        if self.unit.scope == Scope::User {
            command.arg("--user");
        }
        command.args(words);
        command
    }

    /// Has systemd do these. `false` where there is no systemd that could: no such program, or a machine that it does not run.
    fn tell(&self, commands: &[&[&str]]) -> Done<bool> {
        for words in commands {
            let output = match self.command(words).output() {
                Ok(output) => output,
                Err(error) if error.kind() == Io::NotFound => return Ok(false),
                Err(error) => return Err(Failure::failed(format!("systemctl: {}", plain(&error)))),
            };
            if output.status.success() {
                continue;
            }
            if !sd_notify::booted().unwrap_or(false) {
                return Ok(false);
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let command = self.systemctl(&words.join(" "));
            return Err(Failure::failed(format!("{command}: {}", ui::capped(said.trim(), 400)))
                .hint(format!("the unit is {}; try that command again", ui::shown_path(&self.path))));
        }
        Ok(true)
    }

    /// What systemd says of it; it is one word, whatever the exit code.
    fn asked(&self, what: &str, file: &str) -> Option<String> {
        let output = self.command(&[what, file]).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(said).filter(|said| !said.is_empty())
    }
}

/// Writes it whole, or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
