//! Actions: what kernels ask of objects, once each and in order. ADR 0006 says what each side writes.
//!
//! `origin` accepts an action from a client and owes it to the object's home, `requests` knows it by its id; `send`
//! sends it until the outcome comes. `home` runs it, and `record` writes what came of it, `marks` knows how far each lane
//! has come; what cannot run just now is in `waiting`, for the scenarios that it
//! depends on (`given`), for a program (`put_off`), or for the object. `effects` carries out what follows from it,
//! `history` chains what was recorded. `slow` are lanes of this kernel to objects of its own that take their time.
//! `built_in` are changes without a component, which take the same road.

mod built_in;
mod come;
mod effects;
mod given;
mod history;
mod home;
mod lanes;
mod marks;
mod origin;
mod own;
mod put_off;
mod record;
mod requests;
mod rows;
mod send;
mod slow;
mod stand;
mod state;
mod told;
mod waiting;

pub use effects::{activities, work_of, works};
pub use history::{Recorded, broken_link, entries, history, receipt};
pub use requests::{Requested, request};
pub use rows::{
    ActivityRow, CallRow, EndedRow, LaneId, LaneRow, LedgerRow, OutcomeStatus, Place, PlaceRow, QueueRow,
    RequestRow, RequestsRow, SendingRow, TimerRow, WaitingRow,
};

pub use told::{Cut, ToldRow};

pub(crate) use built_in::{BuiltIn, Cause, carry_out, new_id};
pub(crate) use effects::{Came, forget, tell, work_again, worked};
pub(crate) use given::{came, late, not_kept};
#[cfg(test)]
pub(crate) use home::received;
pub(crate) use home::{come, go_on, ran};
pub(crate) use origin::{Wish, act, cancel, drop_one, forget_waiter, make_void, need, outcome, resume};
pub(crate) use put_off::{go_on as go_on_put_off, ready};
pub(crate) use requests::{begin_anew, forget_request, note};
pub(crate) use rows::timer_key;
#[cfg(test)]
pub(crate) use rows::{Origin, activity_key};
pub(crate) use send::{missing, send_lane, tidy_lane};
pub(crate) use slow::{again as slow_again, send_next as send_slow};
pub(crate) use state::State;
pub(crate) use waiting::standing;

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use crate::outbox::Owed;
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
