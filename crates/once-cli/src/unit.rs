//! The unit by which systemd runs a kernel: its text, and whether somebody has changed it since.

use std::path::{Path, PathBuf};

use once::model::hash::content_hash;

use crate::failure::{Done, Failure};
use crate::ui::{self, LogFormat};

/// Where the kernel of a machine keeps what it has, unless somebody says otherwise.
pub const SYSTEM_DATA: &str = "/var/lib/once";

/// Below it systemd makes a service's directory, and gives it to the service's user.
const STATE_ROOT: &str = "/var/lib";

/// Whose homes `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Exit codes after which another start fails just as well: 1 not possible (no kernel there, in use, a wrong key), 2 wrong use,
/// 3 refused. After 4 (an address that is not there yet), 5 (a fault: the store is read anew) and a signal it starts again.
const NO_RESTART: &str = "1 2 3";

const SEAL: &str = "# seal ";

/// Whose service it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Of the user who installs it: run by the user's own service manager.
    User,
    /// Of the machine: run as this user.
    System {
        /// Its name.
        user: String,
    },
}

/// What a unit is made of.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name, without `.service`.
    pub name: String,
    /// Whose it is.
    pub scope: Scope,
    /// The program that it starts.
    pub program: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// How the log looks.
    pub log_format: LogFormat,
}

/// What systemd does with a service of ours, also where it is a user's: nothing of this needs a namespace.
const CONFINED: &str = "\
# No more rights than it has, and no core dumps: its memory holds its key.
NoNewPrivileges=yes
LimitCORE=0
UMask=0077
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
";

/// What only the machine's service manager can do everywhere: a user's needs unprivileged user namespaces for it, which many
/// systems forbid.
const APART: &str = "\
# It sees the machine read-only, and of devices, other processes and the kernel's settings only what it needs.
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
";

impl Unit {
    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.service", self.name)
    }

    /// Its text, sealed.
    ///
    /// # Errors
    /// When a name or a path cannot stand in a unit.
    pub fn text(&self) -> Done<String> {
        let body = self.body()?;
        let edit = match self.scope {
            Scope::User => "systemctl --user edit",
            Scope::System { .. } => "sudo systemctl edit",
        };
        Ok(format!(
            "# Made by once {} (service install). Changes of your own belong into a drop-in, which stays:\n\
             # {edit} {}\n{}{body}",
            env!("CARGO_PKG_VERSION"),
            self.name,
            seal(&body)
        ))
    }

    fn body(&self) -> Done<String> {
        let (data, program) = (escaped(&self.data)?, program(&self.program)?);
        let (log, init) = match (&self.log_format, &self.scope) {
            (LogFormat::Text, Scope::User) => ("", ""),
            (LogFormat::Text, Scope::System { .. }) => ("", " --init"),
            (LogFormat::Json, Scope::User) => (" --log-format json", ""),
            (LogFormat::Json, Scope::System { .. }) => (" --log-format json", " --init"),
        };
        let start = format!("{program} --data {}{log} up{init}", word(&self.data)?);
        let (unit, service, target) = match &self.scope {
            Scope::User => (String::new(), String::new(), "default.target"),
            Scope::System { user } => self.of_the_machine(user)?,
        };
        Ok(format!(
            "[Unit]
Description=ONCE kernel ({data})
Documentation=https://docs.rs/once
{unit}StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
ExecStart=:{start}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus={NO_RESTART}
# The kernel beats after a look at its engine. It is ready when its store is open: a long journal takes its time.
WatchdogSec=120
TimeoutStartSec=300
TimeoutStopSec=60
{service}
{CONFINED}
[Install]
WantedBy={target}
"
        ))
    }

    /// What the service of a machine has besides.
    fn of_the_machine(&self, user: &str) -> Done<(String, String, &'static str)> {
        if !is_plain(user) {
            let message = format!("'{}' is no name of a user that can stand in a unit", ui::shown(user));
            return Err(Failure::usage(message).hint("it has letters, digits, '-', '_' and '.'"));
        }
        let data = word(&self.data)?;
        let unit =
            format!("Wants=network-online.target\nAfter=network-online.target\nRequiresMountsFor={data}\n");
        let place = match self.state_directory() {
            Some(name) => format!("StateDirectory={name}\nStateDirectoryMode=0700\n"),
            None => format!("ReadWritePaths={data}\n"),
        };
        let in_a_home = |path: &Path| HOMES.iter().any(|home| path.starts_with(home));
        let home = if in_a_home(&self.data) || in_a_home(&self.program) { "read-only" } else { "yes" };
        let service = format!("User={user}\n{place}\n{APART}ProtectHome={home}\n");
        Ok((unit, service, "multi-user.target"))
    }

    /// The name of its directory, if it is one that systemd makes.
    pub fn state_directory(&self) -> Option<&str> {
        let name = self.data.strip_prefix(STATE_ROOT).ok()?.to_str()?;
        is_plain(name).then_some(name)
    }
}

/// A name that needs no quotes anywhere.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=100).contains(&name.len()) && name.chars().all(plain) && !name.starts_with(['-', '.'])
}

/// The line by which a change is noticed.
fn seal(body: &str) -> String {
    format!("{SEAL}{}\n", content_hash(body.as_bytes()))
}

/// Whether a unit is as this program, or an earlier one, wrote it.
pub fn is_untouched(text: &str) -> bool {
    let Some(at) = text.find(SEAL) else { return false };
    let line = text[at..].split_inclusive('\n').next().unwrap_or_default();
    line == seal(&text[at + line.len()..])
}

/// A path as systemd reads it back, outside of quotes. It has no way to write every path.
fn escaped(path: &Path) -> Done<String> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(|text| text.replace('%', "%%")).ok_or_else(|| {
        Failure::usage(format!("{} cannot stand in a unit", ui::shown_path(path)))
            .hint("a path there is UTF-8 without control characters")
    })
}

/// A path as one word. `$` has no meaning: the command begins with `:`.
fn word(path: &Path) -> Done<String> {
    let text = escaped(path)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%~".contains(c);
    Ok(match text.chars().all(plain) {
        true => text,
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    })
}

/// The same of the program, in whose path systemd wants no quotes, whatever stands around them.
fn program(path: &Path) -> Done<String> {
    if path.to_string_lossy().contains(['"', '\'', '\\']) {
        let message = format!(
            "systemd starts no program whose path has quotes or backslashes: {}",
            ui::shown_path(path)
        );
        return Err(Failure::usage(message).hint("install it elsewhere, or name another one with --program"));
    }
    word(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(data: &str, scope: Scope) -> Unit {
        let program = "/usr/bin/once".into();
        Unit { name: "once".into(), scope, program, data: data.into(), log_format: LogFormat::Text }
    }

    fn system() -> Scope {
        Scope::System { user: "once".into() }
    }

    #[test]
    fn every_path_is_one_word_and_no_specifier() {
        let start = |data: &str| {
            let text = unit(data, Scope::User).text().unwrap();
            text.lines().find_map(|line| line.strip_prefix("ExecStart=:")).unwrap().to_owned()
        };
        assert_eq!(start("/srv/once"), "/usr/bin/once --data /srv/once up");
        assert_eq!(start("/srv/100%h/$HOME"), "/usr/bin/once --data \"/srv/100%%h/$HOME\" up");
        assert_eq!(start(r#"/srv/my "data"\x"#), r#"/usr/bin/once --data "/srv/my \"data\"\\x" up"#);
        for path in ["/srv/a\nExecStartPre=/bin/rm", "/srv/\u{1b}"] {
            assert_eq!(unit(path, Scope::User).text().unwrap_err().exit, 2, "{path:?}");
        }
        assert!(unit("/srv", Scope::System { user: "a b".into() }).text().is_err());
        for name in ["it's", "\"once\"", "a\\b"] {
            let unit = Unit { program: Path::new("/opt").join(name), ..unit("/srv", Scope::User) };
            assert_eq!(unit.text().unwrap_err().exit, 2, "{name}");
        }
    }

    #[test]
    fn only_its_data_directory_can_be_written() {
        let text = unit(SYSTEM_DATA, system()).text().unwrap();
        assert!(text.contains("StateDirectory=once\n") && !text.contains("ReadWritePaths"), "{text}");
        assert!(text.contains("ProtectHome=yes\n"), "{text}");
        let text = unit("/home/a b", system()).text().unwrap();
        assert!(text.contains("ReadWritePaths=\"/home/a b\"\n"), "{text}");
        assert!(text.contains("ProtectHome=read-only\n"), "{text}");
        // One level below it there is nothing that systemd would make for this service alone.
        assert_eq!(unit("/var/lib/a/b", system()).state_directory(), None);
        assert_eq!(unit("/var/lib", system()).state_directory(), None);
    }

    #[test]
    fn a_change_is_noticed_and_a_unit_of_another_version_is_none() {
        let text = unit("/srv/once", Scope::User).text().unwrap();
        assert!(is_untouched(&text));
        assert!(is_untouched(&text.replacen(env!("CARGO_PKG_VERSION"), "0.0.1", 1)));
        assert!(!is_untouched(&text.replace("RestartSec=2", "RestartSec=20")));
        assert!(!is_untouched(&format!("{text}MemoryMax=1G\n")));
        assert!(!is_untouched("[Service]\nExecStart=/bin/true\n"));
        assert!(!is_untouched(""));
    }
}
