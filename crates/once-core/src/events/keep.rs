//! What happened is written with the commit that it tells of, and the oldest goes.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::limits::DISK_RESERVE_BYTES;
use once_model::wire::to_cbor;

use super::Cursor;
use super::read::{first_from, newest};
use super::rows::{Bounds, EventsRow, LoggedRow, TABLE, cost};
use crate::engine::limits::Limits;
use crate::store::{Read, StoreError};
use crate::txn::{self, Txn};
use crate::waist::Effect;

/// The log is looked at for what is over when it has grown by so many events, or by this part of its bytes: a look
/// costs a scan.
const LOOK_AFTER_EVENTS: u64 = 256;
const LOOK_AFTER_PART: u64 = 64;

/// A look takes so many times as many rows away as a chore does in a step: one long row may push out many short ones, and to
/// remove a row is cheap.
const SLICES: usize = 16;

/// What the engine knows of the log only while it runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The number of the newest event.
    newest: u64,
    /// What all rows have taken up, also those that are gone.
    bytes: u64,
    /// Where the oldest row is, or was: no row is before it.
    oldest: Cursor,
    /// The log is looked at for what is over when it is there.
    look: Look,
}

#[derive(Debug, Default)]
struct Look {
    at_number: u64,
    at_bytes: u64,
}

/// When and where a group happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub boot: u64,
    pub at_ms: u64,
    pub disk_free_bytes: u64,
}

impl State {
    /// Finds the end of the log. A newest row that cannot be read leaves its bytes uncounted, and of a log that is damaged nothing
    /// before this boot is looked at: what cannot be read of it is no reason not to go on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(rows: &dyn Read) -> Result<Self, StoreError> {
        let last = newest(rows)?;
        let value = as_far_as_read(rows.get(TABLE, &last.to_row()))?.flatten();
        let counted = value.and_then(|value| {
            let row: Bounds = txn::decode(TABLE, &value).ok()?;
            let newest = if mutant!(NewestUncounted) { 0 } else { cost(value.len()) };
            Some(row.before_bytes + newest)
        });
        let oldest = as_far_as_read(first_from(rows, &[]))?.map_or(last, Option::unwrap_or_default);
        Ok(Self { newest: last.number, bytes: counted.unwrap_or(0), oldest, look: Look::default() })
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes down what a group has made happen, in its own commit. It is no reason of its own to wait for the disk.
    ///
    /// While the disk is nearly full, a group that writes nothing else is not written for it: those who read the log see that
    /// something is missing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(
        &mut self,
        txn: &mut Txn<'_>,
        effects: &[Effect],
        moment: Moment,
        limits: &Limits,
    ) -> Result<(), StoreError> {
        let events: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Event(event) => Some(LoggedRow::of(event)),
                _ => None,
            })
            .collect();
        if events.is_empty() || mutant!(ForgetEvents) {
            return Ok(());
        }
        self.newest += events.len() as u64;
        if txn.is_empty() && moment.disk_free_bytes < DISK_RESERVE_BYTES {
            return Ok(());
        }
        let last = Cursor { boot: moment.boot, number: self.newest };
        let row: Bytes = to_cbor(&EventsRow { at_ms: moment.at_ms, before_bytes: self.bytes, events }).into();
        self.bytes += cost(row.len());
        txn.put_bytes_lazily(TABLE, &last.to_row(), row);
        let due = self.newest >= self.look.at_number || self.bytes >= self.look.at_bytes;
        if !due || mutant!(KeepOldEvents) {
            return Ok(());
        }
        if as_far_as_read(self.drop_oldest(txn, limits))?.is_none() {
            // What cannot be read stays, and is not looked at again.
            self.oldest = last;
        }
        Ok(())
    }

    /// Takes the oldest rows away until the log is within its bounds; some of them now, if there are many.
    fn drop_oldest(&mut self, txn: &mut Txn<'_>, limits: &Limits) -> Result<(), StoreError> {
        let slice_rows = limits.slice_rows * SLICES;
        let mut over = Vec::new();
        let mut oldest = self.oldest;
        txn.scan(TABLE, &self.oldest.to_row(), None, &mut |key, value| {
            let Some(last) = Cursor::from_row(key) else { return ControlFlow::Continue(()) };
            oldest = last;
            // One that cannot be read goes with those before the next one that can.
            let before_bytes = match txn::decode::<Bounds>(TABLE, &value) {
                Ok(row) => row.before_bytes,
                Err(_) => 0,
            };
            let is_kept = self.newest.saturating_sub(last.number) < limits.events
                && self.bytes.saturating_sub(before_bytes) <= limits.events_bytes;
            // The newest row stays: the numbers go on from there.
            if is_kept || last.number == self.newest || over.len() >= slice_rows {
                return ControlFlow::Break(());
            }
            over.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        let is_done = over.len() < slice_rows;
        for key in over {
            txn.delete_lazily(TABLE, &key);
        }
        self.oldest = oldest;
        self.look = match is_done {
            true => Look {
                at_number: self.newest + LOOK_AFTER_EVENTS.min(limits.events / LOOK_AFTER_PART + 1),
                at_bytes: self.bytes + limits.events_bytes / LOOK_AFTER_PART + 1,
            },
            false => Look::default(),
        };
        Ok(())
    }
}

/// `None`: the log is damaged there.
fn as_far_as_read<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged { table: TABLE, .. }) => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
impl State {
    /// For tests: each row says how many bytes there were before it, and what is remembered is what the newest says.
    pub fn holds(&self, rows: &dyn Read) -> Result<(), StoreError> {
        let (mut last, mut oldest) = (None, None);
        rows.scan(TABLE, &[], None, &mut |key, value| {
            let place = Cursor::from_row(key);
            oldest = oldest.or(place);
            let row: Option<Bounds> = txn::decode(TABLE, &value).ok();
            if let (Some(row), Some((_, bytes))) = (&row, last) {
                assert_eq!(row.before_bytes, bytes, "before {place:?}");
            }
            last = place.zip(row.map(|row| row.before_bytes + cost(value.len())));
            ControlFlow::Continue(())
        })?;
        if let Some((last, bytes)) = last {
            assert_eq!(self.bytes, bytes, "the bytes of the event log");
            assert!(self.newest >= last.number, "{last:?} is beyond the newest event, {}", self.newest);
        }
        assert!(oldest.is_none_or(|oldest| self.oldest <= oldest), "{oldest:?} is never looked at again");
        Ok(())
    }
}
