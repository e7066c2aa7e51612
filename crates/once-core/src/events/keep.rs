//! What happened is written with the commit that it tells of, and the oldest goes.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_model::limits::DISK_RESERVE_BYTES;
use once_model::wire::to_cbor;

use super::Cursor;
use super::read::{first_from, newest};
use super::rows::{Bounds, EventsRow, LoggedRow, TABLE, cost};
use crate::engine::Engine;
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

/// Finds the end of the log. A newest row that cannot be read leaves its bytes uncounted.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn open(engine: &mut Engine, rows: &dyn Read) -> Result<(), StoreError> {
    let last = newest(rows)?;
    let value = rows.get(TABLE, &last.to_row())?;
    let counted = value.and_then(|value| {
        let row: Bounds = txn::decode(TABLE, &value).ok()?;
        Some(row.before_bytes + cost(value.len()))
    });
    let oldest = first_from(rows, &[])?.unwrap_or_default();
    engine.events = State { newest: last.number, bytes: counted.unwrap_or(0), oldest, look: Look::default() };
    Ok(())
}

/// Writes down what a group has made happen, in its own commit. It is no reason of its own to wait for the disk.
///
/// While the disk is nearly full, a group that writes nothing else is not written for it: those who read the log see that
/// something is missing.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn record(
    engine: &mut Engine,
    txn: &mut Txn<'_>,
    effects: &[Effect],
    at_ms: u64,
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
    engine.events.newest += events.len() as u64;
    if txn.is_empty() && engine.disk_free_bytes < DISK_RESERVE_BYTES {
        return Ok(());
    }
    let last = Cursor { boot: engine.boot, number: engine.events.newest };
    let row: Bytes = to_cbor(&EventsRow { at_ms, before_bytes: engine.events.bytes, events }).into();
    engine.events.bytes += cost(row.len());
    txn.put_bytes_lazily(TABLE, &last.to_row(), row);
    let due = engine.events.newest >= engine.events.look.at_number
        || engine.events.bytes >= engine.events.look.at_bytes;
    if !due || mutant!(KeepOldEvents) {
        return Ok(());
    }
    drop_oldest(engine, txn)
}

/// Takes the oldest rows away until the log is within its bounds; some of them now, if there are many.
fn drop_oldest(engine: &mut Engine, txn: &mut Txn<'_>) -> Result<(), StoreError> {
    let (limits, log) = (&engine.limits, &engine.events);
    let (events_max, bytes_max) = (limits.events, limits.events_bytes);
    let slice_rows = limits.slice_rows * SLICES;
    let mut over = Vec::new();
    let mut oldest = log.oldest;
    txn.scan(TABLE, &log.oldest.to_row(), None, &mut |key, value| {
        let Some(last) = Cursor::from_row(key) else { return ControlFlow::Continue(()) };
        oldest = last;
        // One that cannot be read goes with those before the next one that can.
        let before_bytes = match txn::decode::<Bounds>(TABLE, &value) {
            Ok(row) => row.before_bytes,
            Err(_) => 0,
        };
        let is_kept = log.newest.saturating_sub(last.number) < events_max
            && log.bytes.saturating_sub(before_bytes) <= bytes_max;
        // The newest row stays: the numbers go on from there.
        if is_kept || last.number == log.newest || over.len() >= slice_rows {
            return ControlFlow::Break(());
        }
        over.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    let is_done = over.len() < slice_rows;
    for key in over {
        txn.delete_lazily(TABLE, &key);
    }
    let log = &mut engine.events;
    log.oldest = oldest;
    log.look = match is_done {
        true => Look {
            at_number: log.newest + LOOK_AFTER_EVENTS.min(events_max / LOOK_AFTER_PART + 1),
            at_bytes: log.bytes + bytes_max / LOOK_AFTER_PART + 1,
        },
        false => Look::default(),
    };
    Ok(())
}
