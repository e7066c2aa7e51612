//! Where somebody is in the event log, as text.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use once_core::events::Cursor;
use once_core::meta::Boot;
use once_core::store::{Read, StoreError, Table};
use once_core::txn;

use super::reader::{Filter, Reader};
use crate::error::OrError;
use crate::{Error, Kernel};

/// A place in a kernel's event log: behind an event that somebody has seen. Keep it to go on there later.
///
/// As text it is `BOOT-NUMBER-CHECK`, for example `3-1042-9f3a`: a run of the kernel, the number of the event, and four digits that
/// tell whether this kernel still remembers that run. `start` is the place before everything that is kept.
///
/// ```
/// let place: once::EventCursor = "3-1042-9f3a".parse()?;
/// assert_eq!(place.to_string(), "3-1042-9f3a");
/// assert_eq!("start".parse(), Ok(once::EventCursor::START));
/// # Ok::<(), once::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventCursor {
    pub(super) at: Cursor,
    /// Of the run's random id.
    check: u16,
}

impl EventCursor {
    /// Before everything that is kept.
    pub const START: Self = Self { at: Cursor::START, check: 0 };

    /// The text of a place of this kernel.
    pub(super) fn of(rows: &dyn Read, at: Cursor) -> Result<Self, StoreError> {
        Ok(Self { at, check: check_of(rows, at.boot)?.unwrap_or_default() })
    }

    pub(super) fn is_of_boot(&self, boot: u64) -> bool {
        self.at.boot == boot
    }

    /// Another place of the same boot.
    pub(super) fn moved(self, at: Cursor) -> Self {
        Self { at, ..self }
    }

    /// Reads from that place on; it was made here in this run.
    pub(crate) fn reader(&self, kernel: &Kernel, filter: Filter) -> Reader {
        Reader::since(kernel, filter, self.at)
    }

    /// The place, if the kernel's data is the one that it was made from.
    pub(super) fn place_in(&self, rows: &dyn Read) -> Result<Cursor, Error> {
        let is_ours = match check_of(rows, self.at.boot).or_error()? {
            Some(check) => check == self.check,
            // Of a run that is forgotten only the order is known, and that is enough. One that is still to come is not ours.
            None => *self == Self::START || has_boot_from(rows, self.at.boot).or_error()?,
        };
        if !is_ours {
            return Err(Error::invalid(format!(
                "{self} is no place in the event log of this kernel: it comes from another one, or from before a backup was put back"
            ))
            .with_hint("`once watch --since start` shows everything that is kept"));
        }
        Ok(self.at)
    }
}

fn check_of(rows: &dyn Read, boot: u64) -> Result<Option<u16>, StoreError> {
    let row: Option<Boot> = txn::get(rows, Table::Boot, &boot.to_be_bytes())?;
    Ok(row.map(|row| {
        let [first, second, ..] = *row.id.as_bytes();
        u16::from_be_bytes([first, second])
    }))
}

/// Whether there has been a run of that number or a later one.
fn has_boot_from(rows: &dyn Read, boot: u64) -> Result<bool, StoreError> {
    let mut has = false;
    rows.scan(Table::Boot, &boot.to_be_bytes(), None, &mut |_, _| {
        has = true;
        ControlFlow::Break(())
    })?;
    Ok(has)
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::START => f.write_str("start"),
            Self { at, check } => write!(f, "{}-{}-{check:04x}", at.boot, at.number),
        }
    }
}

impl FromStr for EventCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "start" {
            return Ok(Self::START);
        }
        let parts = || {
            let mut parts = text.split('-');
            let (boot, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let check = parts.next().filter(|check| check.len() == 4)?;
            let check = u16::from_str_radix(check, 16).ok()?;
            parts.next().is_none().then_some(Self { at: Cursor { boot, number }, check })
        };
        parts().ok_or_else(|| {
            Error::usage(format!("'{text}' is no place in an event log"))
                .with_hint("a place looks like 3-1042-9f3a: each event has its own; `start` is before everything that is kept")
        })
    }
}
