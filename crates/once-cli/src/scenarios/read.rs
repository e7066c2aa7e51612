//! Reading a scenario file, within the limits.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use once::model::limits::SCENARIO_MAX_BYTES;
use once::model::scenario::{Scenario, ScenarioError};

/// Why a file gives no scenario.
#[derive(Debug)]
pub enum Unreadable {
    /// The operating system does not let it be read.
    Io(std::io::Error),
    /// It is no scenario.
    Invalid(ScenarioError),
    /// There is nothing in it.
    Empty,
}

impl Unreadable {
    /// Line and column, where there is a place.
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Io(_) | Self::Empty => None,
            Self::Invalid(error) => Some((error.line() as u64, error.column() as u64)),
        }
    }

    /// What is wrong, with the place inside of the document, without line and column.
    pub fn reason(&self) -> String {
        match self {
            Self::Io(error) => crate::failure::plain(error),
            Self::Empty => "nothing came: it is empty".to_owned(),
            Self::Invalid(error) if error.path().is_empty() => error.message(),
            Self::Invalid(error) => {
                format!("at {}: {}", crate::ui::shown(error.path()), error.message())
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(_) => None,
            Self::Invalid(error) => error.hint(),
            Self::Empty => {
                Some("a scenario is one JSON object; `once export - OBJECT` prints one to begin with")
            }
        }
    }
}

/// Reads a file as a scenario. Never holds more of it than a scenario may have.
pub fn read(path: &Path) -> Result<Scenario, Unreadable> {
    let file = File::open(path).map_err(Unreadable::Io)?;
    let expected = file.metadata().map_err(Unreadable::Io)?.len().min(SCENARIO_MAX_BYTES as u64);
    let mut bytes = Vec::with_capacity(expected as usize + 1);
    // One byte more than allowed is enough to see that it is too large.
    file.take(SCENARIO_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    Scenario::parse(bytes).map_err(Unreadable::Invalid)
}

/// Reads a scenario from stdin. That nothing came is said as such: it is the usual slip of a pipe.
pub fn stdin() -> Result<Scenario, Unreadable> {
    if std::io::stdin().is_terminal() {
        crate::ui::say("reading the scenario from stdin, up to Ctrl-D");
    }
    let mut bytes = Vec::new();
    let limit = SCENARIO_MAX_BYTES as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    Scenario::parse(bytes).map_err(Unreadable::Invalid)
}
