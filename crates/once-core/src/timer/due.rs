//! What is due happens: a timer of an object rings, a deadline makes its action a void.

use once_model::ids::Uuid;
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::Code;

use super::clock::{TIMER, arm, due_key, first, object_of};
use super::rows::TimerRow;
use crate::act::{self, Came};
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::store::{StoreError, Table};
use crate::txn;

/// Most rows that are taken in one step.
const STEP_ROWS: usize = 64;

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
        let kind = head.last().copied().unwrap_or_default();
        let Some(key) = object_of(place) else { continue };
        let lane = (s.ctx.me, key);
        if s.guarded(lane, |s| if kind == TIMER { ring(s, place) } else { expire(s, place) })?.is_none() {
            look_again(s, kind, place);
        }
    }
    if more {
        let now_ms = s.ctx.now_ms;
        arm(s, now_ms);
    }
    Ok(())
}

/// What belongs to an object that cannot be read just now is due again some time later.
fn look_again(s: &mut Step<'_, '_>, kind: u8, place: &[u8]) {
    let due_ms = s.ctx.now_ms + RESEND_AFTER_MS;
    s.txn.put_lazily(Table::Due, &due_key(due_ms, kind, place), &());
    arm(s, due_ms);
}

/// An action's deadline is over: from now on its place is a void.
fn expire(s: &mut Step<'_, '_>, place: &[u8]) -> Result<(), StoreError> {
    act::Place::from_row(place).map_or(Ok(()), |place| act::make_void(s, &place, Code::Expired))
}

/// A timer is due: its object gets its action.
fn ring(s: &mut Step<'_, '_>, place: &[u8]) -> Result<(), StoreError> {
    // It may have been replaced since its object could not be read: the new one is due at its own time.
    let row = txn::get::<TimerRow>(s.txn, Table::Timer, place)?.filter(|row| row.due_ms <= s.ctx.now_ms);
    let Some(row) = row else { return Ok(()) };
    let Some(object) = object_of(place) else { return Ok(()) };
    if chores::is_under_way(s, Chore::ForgetObject(object))? {
        return Ok(());
    }
    if mutant!(TimerTwice) {
        s.txn.put_lazily(Table::Due, &due_key(s.ctx.now_ms + 1000, TIMER, place), &());
        return act::tell(s, object, other(&row.id), &row.then, &Came::Due);
    }
    s.txn.delete_lazily(Table::Timer, place);
    act::tell(s, object, row.id, &row.then, &Came::Due)
}

/// For a planted bug: an id that is not the timer's.
fn other(id: &Uuid) -> Uuid {
    once_model::action::answer_id(id)
}
