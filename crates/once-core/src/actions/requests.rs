//! The client ledger: what clients of this kernel asked, by its id, and what came of it. Pruned by size, the oldest ids
//! first; a floor keeps the highest time pruned, so that nothing pruned can run again.

use std::ops::ControlFlow;

use once_model::ids::Uuid;
use once_model::limits::{ID_AHEAD_MAX_MS, REQUESTS_MAX_ROWS};

use super::rows::{RequestRow, RequestsRow};
use crate::refusal::Refusal;
use crate::step::{Engine, Step};
use crate::store::{Read, StoreError, Table};
use crate::txn::{self, Txn};

const ROW: &[u8] = b"requests";

/// Rows that are looked at, and at most dropped, when one more than the limit comes.
const AT_ONCE: usize = 16;

/// What the engine knows of the client ledger.
#[derive(Debug)]
pub(crate) struct Requests {
    row: Option<RequestsRow>,
    changed: bool,
    most: u64,
    /// All that lie before it still wait for their outcomes.
    from: Uuid,
}

impl Default for Requests {
    fn default() -> Self {
        Self { row: None, changed: false, most: REQUESTS_MAX_ROWS, from: Uuid::nil() }
    }
}

impl Requests {
    /// Keeps at most so many results.
    pub fn keep_at_most(&mut self, most: u64) {
        self.most = most;
    }
}

/// What is known here of an action that was accepted here.
///
/// # Errors
/// When the store cannot be read.
pub fn request(rows: &dyn Read, id: &Uuid) -> Result<Option<RequestRow>, StoreError> {
    txn::get(rows, Table::Request, id.as_bytes())
}

/// The time in an id of version 7, in milliseconds since 1970.
fn time_ms(id: &Uuid) -> u64 {
    id.as_bytes()[..6].iter().fold(0_u64, |time, byte| time << 8 | u64::from(*byte))
}

fn row(s: &mut Step<'_, '_>) -> Result<RequestsRow, StoreError> {
    if let Some(row) = s.engine.requests.row {
        return Ok(row);
    }
    let row = txn::get(s.txn, Table::Meta, ROW)?.unwrap_or_default();
    s.engine.requests.row = Some(row);
    Ok(row)
}

/// Whether a new action may have this id: a client's id carries its time. Far ahead of this kernel's clock, pruning by
/// time would keep it for ever; at or below the floor, it may have run.
pub(super) fn check_id(s: &mut Step<'_, '_>, id: &Uuid) -> Result<Result<(), Refusal>, StoreError> {
    let time_ms = time_ms(id);
    let floor_ms = row(s)?.floor_ms;
    Ok(if id.as_bytes()[6] >> 4 != 7 {
        Err(Refusal::BadId { id: *id })
    } else if time_ms > s.ctx.now_ms.saturating_add(ID_AHEAD_MAX_MS) {
        Err(Refusal::IdAhead { id: *id, ahead_ms: time_ms - s.ctx.now_ms })
    } else if time_ms <= floor_ms && floor_ms > 0 && !mutant!(NoFloor) {
        Err(Refusal::IdTooOld { id: *id, floor_ms })
    } else {
        Ok(())
    })
}

/// Writes down a new action; the oldest that have their outcomes go when there are too many.
pub(super) fn add(s: &mut Step<'_, '_>, id: &Uuid, new: &RequestRow) -> Result<(), StoreError> {
    let mut row = row(s)?;
    s.txn.put_lazily(Table::Request, id.as_bytes(), new);
    row.count += 1;
    if row.count > s.engine.requests.most {
        for old in oldest(s)? {
            s.txn.delete_lazily(Table::Request, old.as_bytes());
            row.count = row.count.saturating_sub(1);
            row.floor_ms = row.floor_ms.max(time_ms(&old));
        }
        // In the same commit as what is dropped: an id that is not there is either new or below the floor.
        s.txn.put_lazily(Table::Meta, ROW, &row);
    }
    s.engine.requests.row = Some(row);
    s.engine.requests.changed = true;
    Ok(())
}

/// Keeps what came of an action. From now on it may be dropped.
pub(super) fn end(s: &mut Step<'_, '_>, id: &Uuid, row: &RequestRow) {
    s.txn.put_lazily(Table::Request, id.as_bytes(), row);
    let from = &mut s.engine.requests.from;
    *from = (*from).min(*id);
}

/// The oldest that have their outcomes. What still waits for one stays, whatever its age; nor is it looked at again.
fn oldest(s: &mut Step<'_, '_>) -> Result<Vec<Uuid>, StoreError> {
    let (mut found, mut looked) = (Vec::new(), 0);
    let from = s.engine.requests.from;
    let mut last = from;
    s.txn.scan(Table::Request, from.as_bytes(), None, &mut |key, value| {
        looked += 1;
        last = Uuid::from_slice(key).unwrap_or(last);
        match txn::decode::<RequestRow>(Table::Request, &value) {
            Ok(row) if row.outcome.is_none() => {}
            // One that cannot be read is of no use to anybody.
            _ => found.extend(Uuid::from_slice(key).ok()),
        }
        let enough = found.len() >= AT_ONCE || looked >= 64 * AT_ONCE;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    s.engine.requests.from = last;
    Ok(found)
}

/// Writes the number of rows down, once in a group, with what it commits anyway.
pub(crate) fn note(engine: &mut Engine, txn: &mut Txn<'_>) {
    if std::mem::take(&mut engine.requests.changed)
        && let Some(row) = &engine.requests.row
    {
        txn.put_lazily(Table::Meta, ROW, row);
    }
}
