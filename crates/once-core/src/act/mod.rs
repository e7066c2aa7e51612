//! Actions: what kernels ask of objects, once each and in order. ADR 0006 says what each side writes.
//!
//! `origin` accepts an action, owes it to the object's home and sends it until the outcome comes. `home`, perhaps on
//! another kernel, runs it in its turn and records what came of it.

mod channel;
pub(crate) mod home;
pub(crate) mod origin;
mod rows;
mod state;
mod told;

pub use home::{Recorded, activities, broken_link, entries, history, receipt, work_of, works};
pub use origin::{Requested, request};
pub use rows::{
    ActivityRow, CallRow, EndedRow, LaneId, LaneRow, LedgerRow, OutcomeStatus, Place, PlaceRow, QueueRow,
    RequestRow, RequestsRow, SendingRow, WaitingRow,
};
pub use told::{Cut, ToldRow};

pub(crate) use channel::Channel;
#[cfg(test)]
pub(crate) use home::received;
pub(crate) use home::{
    BuiltIn, Cause, came, carry_out, go_on, go_on_put_off, late, new_id, not_kept, ran, ready, standing,
    work_again, worked,
};
pub(crate) use origin::{
    Came, Wish, act, begin_anew, cancel, drop_one, forget_request, forget_waiter, make_void, missing, need,
    note, outcome, resume, send_lane, send_slow, slow_again, tell, tidy_lane,
};
#[cfg(test)]
pub(crate) use rows::{Origin, activity_key};
pub(crate) use state::State;

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

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
        let floor = match origin::lanes::standing(read, &id) {
            Ok(Some(lane)) if !lane.is_done() => lane.floor,
            Ok(_) => continue,
            Err(StoreError::Damaged { .. }) => 1,
            Err(error) => return Err(error),
        };
        let mut stopped = false;
        origin::lanes::scan(read, &id, floor, |sequence, value| {
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
