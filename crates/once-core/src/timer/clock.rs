//! Setting timers and deadlines, and the clocks that look after them.

use std::ops::ControlFlow;

use once_model::ids::ObjectKey;

use super::rows::{TimerRow, timer_key};
use crate::engine::Step;
use crate::store::{StoreError, Table, scan_prefix};
use crate::txn;
use crate::waist::{Effect, Timer};

/// The longest clock: 2^16 ms, about 66 seconds. What is due later is looked at again then, and what became due because
/// the kernel's clock was set forward, or because the machine slept, is at most that late.
const LONGEST: u8 = 16;

/// What is due: a timer of an object, or the deadline of an action.
pub(super) const TIMER: u8 = 1;
pub(super) const DEADLINE: u8 = 2;

/// A place in the order of time.
pub(super) fn due_key(due_ms: u64, kind: u8, place: &[u8]) -> Vec<u8> {
    [&due_ms.to_be_bytes(), [kind].as_slice(), place].concat()
}

/// Sets a clock for what is due then, unless one that runs will look in time.
///
/// A clock runs for a power of two of milliseconds that is not longer than the wait; when it ends, the next is set. So
/// at most one of each size runs, however often something nearer comes along.
pub(super) fn arm(s: &mut Step<'_, '_>, due_ms: u64) {
    let wait_ms = due_ms.saturating_sub(s.ctx.now_ms).max(1);
    let size = u8::try_from(wait_ms.ilog2()).unwrap_or(LONGEST).min(LONGEST);
    let in_time = (1_u32 << (size + 1)) - 1;
    if s.engine.clocks & in_time == 0 {
        s.engine.clocks |= 1 << size;
        s.out.push(Effect::Timer { after_ms: 1 << size, timer: Timer::Due(size) });
    }
}

/// At start: a clock for what is due first.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    for (due_ms, _) in first(s, 1)? {
        arm(s, due_ms);
    }
    Ok(())
}

/// What is due first, in the order of time.
pub(super) fn first(s: &Step<'_, '_>, most: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    scan_prefix(s.txn, Table::Due, &[], &mut |key, _| {
        let time = key.first_chunk().map(|time| u64::from_be_bytes(*time));
        found.extend(time.map(|time| (time, key.to_vec())));
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

pub(super) fn object_of(place: &[u8]) -> Option<ObjectKey> {
    place.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row)
}

/// Sets a timer of an object. One of the same name ends.
pub(crate) fn set(s: &mut Step<'_, '_>, object: &ObjectKey, row: &TimerRow) -> Result<(), StoreError> {
    cancel(s, object, &row.name)?;
    let place = timer_key(object, &row.name);
    s.txn.put(Table::Timer, &place, row);
    s.txn.put(Table::Due, &due_key(row.due_ms, TIMER, &place), &());
    arm(s, row.due_ms);
    Ok(())
}

/// A timer ends without an action.
pub(crate) fn cancel(s: &mut Step<'_, '_>, object: &ObjectKey, name: &str) -> Result<(), StoreError> {
    let place = timer_key(object, name);
    let Some(row) = txn::get::<TimerRow>(s.txn, Table::Timer, &place)? else { return Ok(()) };
    s.txn.delete(Table::Timer, &place);
    if !mutant!(EndLeavesDue) {
        s.txn.delete(Table::Due, &due_key(row.due_ms, TIMER, &place));
    }
    Ok(())
}

/// The object of a timer is gone.
pub(crate) fn forget(s: &mut Step<'_, '_>, place: &[u8], row: &[u8]) {
    s.txn.delete_lazily(Table::Timer, place);
    // Of one that cannot be read the time is not known: when that comes, there is no timer.
    if let Ok(row) = txn::decode::<TimerRow>(Table::Timer, row) {
        s.txn.delete_lazily(Table::Due, &due_key(row.due_ms, TIMER, place));
    }
}

/// An action has a deadline: `place` is its row in the queue.
pub(crate) fn set_deadline(s: &mut Step<'_, '_>, due_ms: u64, place: &[u8]) {
    s.txn.put_lazily(Table::Due, &due_key(due_ms, DEADLINE, place), &());
    arm(s, due_ms);
}

/// It has its outcome.
pub(crate) fn end_deadline(s: &mut Step<'_, '_>, due_ms: u64, place: &[u8]) {
    s.txn.delete_lazily(Table::Due, &due_key(due_ms, DEADLINE, place));
}
