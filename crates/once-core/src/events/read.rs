//! The log is read: page by page, from any place.

use std::ops::ControlFlow;

use super::Cursor;
use super::rows::{EventsRow, TABLE};
use crate::store::{Read, StoreError};
use crate::txn;
use crate::waist::Event;

/// An event in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub cursor: Cursor,
    /// When it happened, by this kernel's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// So many events between the one before and this one are not in the log any more.
    pub missed: u64,
    /// What happened.
    pub event: Event,
    /// How long the result of an action is that the log left out, in bytes.
    pub cut_bytes: Option<u64>,
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What happened, in that order.
    pub events: Vec<Logged>,
    /// Where the next page begins: behind the last of these.
    pub after: Cursor,
    /// Whether this is all that there is now.
    pub is_last: bool,
}

/// What happened after that place, of `rows_max` commits at most. A row that cannot be read counts as missed.
///
/// # Errors
/// When the store cannot be read.
pub fn page(rows: &dyn Read, after: Cursor, rows_max: usize) -> Result<Page, StoreError> {
    let mut page = Page { events: Vec::new(), after, is_last: true };
    let mut left = rows_max;
    rows.scan(TABLE, &after.next().to_row(), None, &mut |key, value| {
        if left == 0 {
            page.is_last = false;
            return ControlFlow::Break(());
        }
        left -= 1;
        if let (Some(last), Ok(row)) = (Cursor::from_row(key), txn::decode::<EventsRow>(TABLE, &value)) {
            page.take(last, row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

impl Page {
    fn take(&mut self, last: Cursor, row: EventsRow) {
        let first = last.number.saturating_sub((row.events.len() as u64).saturating_sub(1));
        for (number, logged) in (first..).zip(row.events) {
            let cursor = Cursor { boot: last.boot, number };
            // The row may begin before the place that was asked for.
            if cursor <= self.after {
                continue;
            }
            // From the beginning on, nothing is missed: whoever begins there knows of nothing.
            let missed = match self.after {
                Cursor::START => 0,
                after => number.saturating_sub(after.number.saturating_add(1)),
            };
            let (event, cut_bytes) = (logged.event, logged.cut_bytes);
            self.events.push(Logged { cursor, at_ms: row.at_ms, missed, event, cut_bytes });
            self.after = cursor;
        }
    }
}

/// The place of the newest event; [`Cursor::START`] if nothing has happened yet.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(rows: &dyn Read) -> Result<Cursor, StoreError> {
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

/// The place of the first row from that key on.
pub(super) fn first_from(rows: &dyn Read, from: &[u8]) -> Result<Option<Cursor>, StoreError> {
    let mut found = None;
    rows.scan(TABLE, from, None, &mut |key, _| {
        found = Cursor::from_row(key);
        ControlFlow::Break(())
    })?;
    Ok(found)
}
