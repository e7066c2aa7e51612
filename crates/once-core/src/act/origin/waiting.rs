//! What waits here for its outcome, of all lanes, and what of it concerns one object.

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use super::lanes;
use crate::act::rows::{Place, QueueRow, WaitingRow};
use crate::engine::Step;
use crate::follow::asked_as;
use crate::refusal::Unmoved;
use crate::share::Owed;
use crate::store::{Read, StoreError, Table};
use crate::txn;

/// Visits the actions that wait here for their outcomes: for whom, on which object, in which place of the lane, and what.
/// Those for one home lie together, those of one lane in their order. What cannot be read is left out: its lane is parked
/// when its turn comes.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(
    read: &dyn Read,
    visit: &mut dyn FnMut(KernelId, ObjectKey, u64, WaitingRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    places(read, &mut |home, place, row| visit(home, place.lane.name.key, place.sequence, row))
}

/// The same, with the whole place.
fn places(
    read: &dyn Read,
    visit: &mut dyn FnMut(KernelId, Place, WaitingRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut found = Vec::new();
    read.scan(Table::Outbox, &[], None, &mut |key, _| {
        if let Some((home, Owed::Lane(lane))) = Owed::from_key(key) {
            found.push((home, lane));
        }
        ControlFlow::Continue(())
    })?;
    for (home, id) in found {
        let floor = match lanes::standing(read, &id) {
            Ok(Some(lane)) if !lane.is_done() => lane.floor,
            Ok(_) => continue,
            Err(StoreError::Damaged { .. }) => 1,
            Err(error) => return Err(error),
        };
        let mut stopped = false;
        lanes::scan(read, &id, floor, |sequence, value| {
            let seen = match txn::decode(Table::Queue, value) {
                Ok(QueueRow::Waiting(row)) => visit(home, Place { lane: id, sequence }, row),
                Ok(QueueRow::Ended(_)) | Err(_) => ControlFlow::Continue(()),
            };
            stopped = seen.is_break();
            Ok(seen)
        })?;
        if stopped {
            break;
        }
    }
    Ok(())
}

/// What of an object of this kernel is under way: an action of it that has no outcome, unless it leaves calls behind, or an
/// answer to it that has not run. What it asked of itself runs in any case.
pub(crate) fn under_way(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    leaves_calls: bool,
) -> Result<Option<Unmoved>, StoreError> {
    if s.engine.act.busy.contains_key(key) {
        return Ok(Some(Unmoved::Run));
    }
    let (names, me) = (asked_as(s, key)?, s.ctx.me);
    let mut found = None;
    waiting(s.txn, &mut |home, on, _, row| {
        let is_mine = |object: &ObjectKey| names.contains(object);
        let is_left = leaves_calls && !is_mine(&on);
        if is_of(&row, &names) && !is_left {
            found = Some(Unmoved::Call { id: row.action.id, on });
        } else if home == me
            && is_mine(&on)
            && let Some(id) = row.action.answers
        {
            found = Some(Unmoved::Answer { id });
        }
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// Whether an object of these names has asked for an action, or waits for its outcome.
fn is_of(row: &WaitingRow, names: &[ObjectKey]) -> bool {
    let calls = row.call.as_ref().is_some_and(|call| names.contains(&call.object));
    calls || row.action.acting.is_some_and(|acting| names.contains(&acting))
}

/// The actions of an object that have no outcome, with their places.
pub(crate) fn calls_of(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Vec<(Place, WaitingRow)>, StoreError> {
    let (names, mut found) = (asked_as(s, key)?, Vec::new());
    places(s.txn, &mut |_, place, row| {
        found.extend(is_of(&row, &names).then_some((place, row)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// An object does not wait for them any more. They are sent all the same, since a sequence is never left out; what comes of them
/// is told to nobody here.
pub(crate) fn leave_calls(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    for (place, row) in calls_of(s, key)? {
        if row.call.is_some() {
            let row = QueueRow::Waiting(WaitingRow { call: None, ..row });
            s.txn.put(Table::Queue, &place.to_row(), &row);
        }
    }
    Ok(())
}
