//! Timers of objects and deadlines of actions: rows in the order of their time, and a few clocks that are running.
//!
//! Times are those of this kernel's own clock. A clock that is set back makes timers late, one that is set forward
//! makes them early; neither loses or doubles one.

mod rows;

pub use rows::TimerRow;
pub(crate) use rows::timer_key;

use std::ops::ControlFlow;

use once_model::ids::{ObjectKey, Uuid};
use once_model::wire::Code;

use crate::act::{self, Came};
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::store::{StoreError, Table, scan_prefix};
use crate::txn;
use crate::waist::{Effect, Then, Timer};

/// The longest clock: 2^16 ms, about 66 seconds. What is due later is looked at again then, and what became due because
/// the kernel's clock was set forward, or because the machine slept, is at most that late.
const LONGEST: u8 = 16;

/// Most rows that are taken in one step.
const STEP_ROWS: usize = 64;

/// What is due: a timer of an object, or the deadline of an action.
const TIMER: u8 = 1;
const DEADLINE: u8 = 2;

/// A place in the order of time.
fn due_key(due_ms: u64, kind: u8, place: &[u8]) -> Vec<u8> {
    [&due_ms.to_be_bytes(), [kind].as_slice(), place].concat()
}

/// Sets a clock for what is due then, unless one that runs will look in time.
///
/// A clock runs for a power of two of milliseconds that is not longer than the wait; when it ends, the next is set. So
/// at most one of each size runs, however often something nearer comes along.
fn arm(s: &mut Step<'_, '_>, due_ms: u64) {
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
fn first(s: &Step<'_, '_>, most: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    scan_prefix(s.txn, Table::Due, &[], &mut |key, _| {
        let time = key.first_chunk().map(|time| u64::from_be_bytes(*time));
        found.extend(time.map(|time| (time, key.to_vec())));
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// A clock ended: whatever is due happens.
pub(crate) fn due(s: &mut Step<'_, '_>, size: u8) -> Result<(), StoreError> {
    s.engine.clocks &= !(1_u32.checked_shl(u32::from(size)).unwrap_or(0));
    // Looked up once: the rows that are gone already would be passed again with each look.
    let found = first(s, STEP_ROWS)?;
    let more = found.len() == STEP_ROWS;
    for (due_ms, key) in found {
        if due_ms > s.ctx.now_ms {
            arm(s, due_ms);
            return Ok(());
        }
        s.txn.delete_lazily(Table::Due, &key);
        let Some((head, place)) = key.split_at_checked(9) else { continue };
        let is_timer = head.last() == Some(&TIMER);
        let Some(key) = object_of(place) else { continue };
        let lane = (s.ctx.me, key);
        s.guarded(lane, |s| if is_timer { ring(s, place) } else { expire(s, place) })?;
    }
    if more {
        let now_ms = s.ctx.now_ms;
        arm(s, now_ms);
    }
    Ok(())
}

/// An action's deadline is over: from now on its place is a void.
fn expire(s: &mut Step<'_, '_>, place: &[u8]) -> Result<(), StoreError> {
    act::Place::from_row(place).map_or(Ok(()), |place| act::make_void(s, &place, Code::Expired))
}

fn object_of(place: &[u8]) -> Option<ObjectKey> {
    place.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row)
}

/// A timer is due: its object gets its action.
fn ring(s: &mut Step<'_, '_>, place: &[u8]) -> Result<(), StoreError> {
    let Some(row) = txn::get::<TimerRow>(s.txn, Table::Timer, place)? else { return Ok(()) };
    let Some(object) = object_of(place) else { return Ok(()) };
    if chores::is_under_way(s, Chore::ForgetObject(object))? {
        return Ok(());
    }
    if mutant!(TimerTwice) {
        s.txn.put_lazily(Table::Due, &due_key(s.ctx.now_ms + 1000, TIMER, place), &());
        return act::tell(s, object, crate::timer::other(&row.id), &row.then, &Came::Due);
    }
    s.txn.delete_lazily(Table::Timer, place);
    act::tell(s, object, row.id, &row.then, &Came::Due)
}

/// For a planted bug: an id that is not the timer's.
fn other(id: &Uuid) -> Uuid {
    once_model::action::answer_id(id)
}

/// Sets a timer of an object. One of the same name ends.
pub(crate) fn set(
    s: &mut Step<'_, '_>,
    object: &ObjectKey,
    id: Uuid,
    name: String,
    after_ms: u64,
    then: Then,
) -> Result<(), StoreError> {
    cancel(s, object, &name)?;
    let place = timer_key(object, &name);
    let due_ms = s.ctx.now_ms.saturating_add(after_ms);
    s.txn.put(Table::Timer, &place, &TimerRow { name, due_ms, id, then });
    s.txn.put(Table::Due, &due_key(due_ms, TIMER, &place), &());
    arm(s, due_ms);
    Ok(())
}

/// A timer ends without an action.
pub(crate) fn cancel(s: &mut Step<'_, '_>, object: &ObjectKey, name: &str) -> Result<(), StoreError> {
    let place = timer_key(object, name);
    let Some(row) = txn::get::<TimerRow>(s.txn, Table::Timer, &place)? else { return Ok(()) };
    s.txn.delete(Table::Timer, &place);
    s.txn.delete(Table::Due, &due_key(row.due_ms, TIMER, &place));
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
