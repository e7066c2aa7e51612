//! The log is read: page by page, from any place.

use std::ops::ControlFlow;

use super::Cursor;
use super::rows::{EventsRow, LoggedRow, TABLE};
use crate::meta;
use crate::store::{Read, StoreError};
use crate::txn;
use crate::waist::Event;

/// An event in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the log.
    pub cursor: Cursor,
    /// When it happened, by this kernel's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened on this kernel.
    pub event: Event,
    /// How long the result of an action is that the log left out, in bytes.
    pub cut_bytes: Option<u64>,
}

/// What is read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// So many events are not in the log any more, or cannot be read.
    Gap {
        /// How many events are missing there.
        missed: u64,
        /// The place of the last of them.
        last: Cursor,
    },
    /// Something that happened.
    Event(Box<Logged>),
}

impl Entry {
    /// Where it ends.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Gap { last, .. } => *last,
            Self::Event(logged) => logged.cursor,
        }
    }
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What happened, in that order.
    pub entries: Vec<Entry>,
    /// Where the next page begins: behind the last of these.
    pub after: Cursor,
    /// Whether this is all that there is now.
    pub is_last: bool,
}

/// What happened after that place, of `rows_max` commits at most. What a row that cannot be read has told is missing.
///
/// # Errors
/// When the store cannot be read.
pub fn page(rows: &dyn Read, after: Cursor, rows_max: usize) -> Result<Page, StoreError> {
    let mut page = Page { entries: Vec::new(), after, is_last: true };
    let mut left = rows_max;
    rows.scan(TABLE, &after.next().to_row(), None, &mut |key, value| {
        if left == 0 {
            page.is_last = false;
            return ControlFlow::Break(());
        }
        left -= 1;
        if let Some(last) = Cursor::from_row(key) {
            match txn::decode::<EventsRow>(TABLE, &value) {
                Ok(row) => page.take(last, row),
                Err(_) => page.miss(last),
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

impl Page {
    fn take(&mut self, last: Cursor, row: EventsRow) {
        let first = last.number.saturating_sub((row.events.len() as u64).saturating_sub(1));
        self.miss(Cursor { number: first.saturating_sub(1), ..last });
        for (number, LoggedRow { event, cut_bytes }) in (first..).zip(row.events) {
            let cursor = Cursor { boot: last.boot, number };
            // The row may begin before the place that was asked for.
            if cursor > self.after {
                let logged = Logged { cursor, at_ms: row.at_ms, event, cut_bytes };
                self.entries.push(Entry::Event(Box::new(logged)));
                self.after = cursor;
            }
        }
    }

    /// What is up to here is not there, unless it was read already. From the beginning on nothing is missed: whoever begins there
    /// knows of nothing.
    fn miss(&mut self, last: Cursor) {
        let missed = last.number.saturating_sub(self.after.number);
        if missed > 0 && self.after != Cursor::START {
            self.entries.push(Entry::Gap { missed, last });
        }
        self.after = self.after.max(last);
    }
}

/// The place of the newest event; [`Cursor::START`] if nothing has happened yet. In a log that is damaged: a place behind all that
/// has happened, from where it goes on in the boot that begins. So this is for a start: a kernel that runs asks
/// [`newest_since`].
///
/// # Errors
/// When the store cannot be read.
pub fn newest(rows: &dyn Read) -> Result<Cursor, StoreError> {
    match found_newest(rows) {
        Err(StoreError::Damaged { table: TABLE, .. }) => {
            Ok(Cursor { boot: meta::last_boot(rows)? + 1, number: 0 })
        }
        found => found,
    }
}

/// Whether the log can be read from its beginning to its end.
///
/// # Errors
/// When it cannot: what is damaged.
pub fn examine(rows: &dyn Read) -> Result<(), StoreError> {
    rows.scan(TABLE, &[], None, &mut |_, _| ControlFlow::Continue(()))
}

fn found_newest(rows: &dyn Read) -> Result<Cursor, StoreError> {
    let at = |place: u128| first_from(rows, &place.to_be_bytes());
    let place = |cursor: Cursor| u128::from_be_bytes(cursor.to_row());
    let Some(mut last) = at(0)? else { return Ok(Cursor::START) };
    // There is a row at `last`, and none from `none` on.
    let mut none = u128::MAX;
    while none - place(last) > 1 {
        let middle = place(last) + (none - place(last)) / 2;
        match at(middle)? {
            Some(found) => last = found,
            None => none = middle,
        }
    }
    Ok(last)
}

/// The place of the newest event, if `known` was the newest one lately: then nobody looks for the end of the log.
///
/// # Errors
/// When the store cannot be read.
pub fn newest_since(rows: &dyn Read, known: Cursor) -> Result<Cursor, StoreError> {
    let mut newest = known;
    rows.scan(TABLE, &known.next().to_row(), None, &mut |key, _| {
        newest = Cursor::from_row(key).unwrap_or(newest);
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}

/// The place of the first row from that key on.
pub(super) fn first_from(rows: &dyn Read, from: &[u8]) -> Result<Option<Cursor>, StoreError> {
    let mut found = None;
    rows.scan(TABLE, from, None, &mut |key, _| {
        found = Cursor::from_row(key);
        ControlFlow::Break(())
    })?;
    Ok(found)
}
