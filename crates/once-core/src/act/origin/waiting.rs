//! What waits here for its outcome, of all lanes, and what of it concerns one object.

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use super::lanes;
use crate::act::rows::{QueueRow, WaitingRow};
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
                Ok(QueueRow::Waiting(row)) => visit(home, id.name.key, sequence, row),
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

/// What of an object of this kernel is under way: an action of it that has no outcome, or an answer to it that has not run.
pub(crate) fn under_way(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Option<Unmoved>, StoreError> {
    if s.engine.act.busy.contains_key(key) {
        return Ok(Some(Unmoved::Run));
    }
    let (names, me) = (asked_as(s, key)?, s.ctx.me);
    let mut found = None;
    waiting(s.txn, &mut |home, on, _, row| {
        let is_mine = |object: &ObjectKey| names.contains(object);
        let calls = row.call.as_ref().is_some_and(|call| is_mine(&call.object));
        if calls || row.action.acting.as_ref().is_some_and(is_mine) {
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
