//! Actions: what kernels ask of objects, once each and in order. ADR 0006 says what each side writes.
//!
//! `origin` accepts an action from a client and owes it to the object's home, `requests` knows it by its id; `send`
//! sends it until the outcome comes. `home` runs it, and `record` writes what came of it; what cannot run just now is in `waiting`, for the scenarios that it
//! depends on (`given`), for a program (`put_off`), or for the object. `effects` carries out what follows from it,
//! `history` chains what was recorded. `slow` are lanes of this kernel to objects of its own that take their time.
//! `built_in` are changes without a component, which take the same road.

mod built_in;
mod effects;
mod given;
mod history;
mod home;
mod origin;
mod put_off;
mod record;
mod requests;
mod rows;
mod send;
mod slow;
mod waiting;

pub use effects::{activities, work_of, works};
pub use history::{Recorded, broken_link, entries, history, receipt};
pub use requests::request;
pub use rows::{
    ActivityRow, CallRow, Cut, LaneRow, LedgerRow, OutcomeStatus, PlaceRow, QueueRow, RequestRow,
    RequestsRow, SendingRow, TimerRow, ToldRow,
};

pub(crate) use built_in::{BuiltIn, Cause, carry_out, new_id};
pub(crate) use effects::{Came, forget, tell, worked};
pub(crate) use given::{came, late, need, not_kept};
#[cfg(test)]
pub(crate) use home::received;
pub(crate) use home::{Busy, come, ran};
pub(crate) use origin::{Wish, act, cancel, drop_one, forget_waiters, make_void, outcome, resume};
pub(crate) use put_off::ready;
pub(crate) use requests::{Requests, note};
#[cfg(test)]
pub(crate) use rows::Origin;
pub(crate) use rows::{queued, timer_key};
pub(crate) use send::{missing, pump, pump_on, resend};
pub(crate) use slow::Slow;
pub(crate) use waiting::{Waiting, standing};

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// Visits the actions that wait here for their outcomes: for whom, on which object, in which place, and what. Those for one home lie
/// together, those of one lane in their order. What cannot be read is left out: its lane is parked when its turn comes.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(
    read: &dyn Read,
    visit: &mut dyn FnMut(KernelId, ObjectKey, u64, QueueRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    read.scan(Table::Queue, &[], None, &mut |key, value| {
        let home = key.get(..KernelId::LEN).and_then(KernelId::from_slice);
        let (Some(home), Some((object, sequence))) = (home, rows::queued(key)) else {
            return ControlFlow::Continue(());
        };
        match txn::decode(Table::Queue, &value) {
            Ok(row) => visit(home, object, sequence, row),
            Err(_) => ControlFlow::Continue(()),
        }
    })
}
