//! How a command ends: exit codes, and errors that say what happened and what to do next.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use once::ErrorKind;
use once::api::ApiError;
use once::api::contract::{exit_of, exit_of_error};
use serde::Serialize;

use crate::ui;

/// 2 is clap's too.
pub const USAGE: u8 = 2;
/// Unreachable, or not known whether it was done.
pub const UNREACHABLE: u8 = 4;
/// Exit code of a fault of this program or of the kernel.
pub const FAULT: u8 = 5;

/// Done in part, and not undone.
pub const IN_DOUBT: u8 = 6;

/// How a command ended that printed everything there is to say: 0 done, 1 failed, 3 refused, 4 unreachable, 6 in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Exit code 0: it was done.
    pub const DONE: Self = Self(0);
    /// Failed, and said why.
    pub const FAILED: Self = Self(1);
    /// The other kernel refused, and it was said.
    pub const REFUSED: Self = Self(3);
    /// Not done within the deadline, and it was said.
    pub const UNREACHABLE: Self = Self(UNREACHABLE);
    /// Some of it is done and could not be undone, and it was said.
    pub const IN_DOUBT: Self = Self(IN_DOUBT);
}

/// What a command gives back.
pub type Done<T = Exit> = Result<T, Failure>;

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What a program decides by.
    pub kind: ErrorKind,
    /// Its stable code, as in `docs/local-api.md`; of a newer kernel perhaps one that has no kind here.
    pub code: String,
    /// What the command exits with.
    pub exit: u8,
    /// What happened, and where.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The action that it is about: `once outcome ID` says again what came of it.
    pub id: Option<String>,
}

impl Failure {
    /// Not done, for a reason of that kind, which also says the exit code.
    pub fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (code, exit) = (kind.as_str().to_owned(), exit_of(kind));
        Self { kind, code, exit, message: message.into(), hint: None, id: None }
    }

    /// Not done: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Failed, message)
    }

    /// Wrong use: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Usage, message)
    }

    /// Something of ours is broken: exit code 5.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Fault, message)
    }

    /// A file or directory that cannot be used.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        Self::failed(format!("{}: {}", ui::shown_path(path), plain(error)))
    }

    /// Whoever read our output has gone: nothing to say, and nobody to say it to.
    pub fn reader_gone() -> Self {
        Self { code: "reader-gone".into(), exit: 0, ..Self::of(ErrorKind::Other, "") }
    }

    /// The error as every command prints it with `--json`.
    pub fn json(&self) -> Said<'_> {
        let error = SaidError {
            code: &self.code,
            exit: self.exit,
            message: ui::pasted(&self.message),
            hint: self.hint.as_deref().map(ui::pasted),
            id: self.id.as_deref(),
        };
        Said { error }
    }

    /// Says which action it is about.
    pub fn of_action(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// Says what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What `--json` prints of a failure, also of wrong use.
#[derive(Debug, Serialize)]
pub struct Said<'a> {
    error: SaidError<'a>,
}

#[derive(Debug, Serialize)]
struct SaidError<'a> {
    code: &'a str,
    exit: u8,
    message: String,
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let place = match error.position() {
            Some((line, column)) => format!("line {line}, column {column}: "),
            None => String::new(),
        };
        Self {
            kind: error.kind(),
            code: error.code().to_owned(),
            exit: exit_of_error(&error),
            message: format!("{place}{error}"),
            hint: error.hint().map(str::to_owned),
            id: error.action().map(|id| id.to_string()),
        }
    }
}

/// The operating system's words without its number: `No such file or directory`.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Runs a command and turns what becomes of it into an exit code; a panic is our fault, and said so.
pub fn guarded(command: impl FnOnce() -> (bool, Done)) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let payload = panic.payload();
        let what = payload.downcast_ref::<&str>().copied().map(str::to_owned);
        let what = what.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        ui::say(&format!("error: a fault of ours{place}: {}", ui::capped(&what, 400)));
        ui::say("hint: nothing that was acknowledged is lost; please report this, with the line above");
    }));
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok((_, Ok(exit))) => ExitCode::from(exit.0),
        Ok((json, Err(failure))) => {
            report(&failure, json);
            ExitCode::from(failure.exit)
        }
        Err(_) => ExitCode::from(FAULT),
    }
}

/// How every command says that it failed, also because of wrong use: `error: …` and `hint: …` on stderr; with `--json` also as an
/// object on stdout, so that there always is one.
pub fn report(failure: &Failure, json: bool) {
    if failure.exit == 0 {
        return;
    }
    let paint = ui::Paint::stderr();
    ui::say(&format!("{} {}", paint.red("error:"), ui::capped(&failure.message, 2000)));
    if let Some(hint) = &failure.hint {
        ui::say(&format!("{} {}", paint.yellow("hint:"), ui::capped(hint, 2000)));
    }
    if let Some(id) = failure.id.as_ref().filter(|id| !failure.message.contains(id.as_str())) {
        ui::say(&format!("action {}", ui::shown(id)));
    }
    if json {
        // A reader that has gone makes no difference any more.
        let _ = ui::print_json(&failure.json());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_our_fault() {
        assert_eq!(guarded(|| panic!("as a test")), ExitCode::from(5));
    }

    #[test]
    fn an_error_of_the_api_keeps_its_code_and_says_where() {
        let scenario = "{\n\n<<<<<<< ours\n}";
        let error = once::model::scenario::Scenario::parse(scenario).map(drop).unwrap_err();
        let failure = Failure::from(ApiError::from(error));
        assert_eq!((failure.code.as_str(), failure.exit), ("invalid", 1));
        assert_eq!(failure.message, "line 3, column 1: git conflict marker");
    }
}
