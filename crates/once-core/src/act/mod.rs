//! Actions: what kernels ask of objects, once each and in order. ADR 0006 says what each side writes.
//!
//! `origin` accepts an action, owes it to the object's home and sends it until the outcome comes. `home`, perhaps on
//! another kernel, runs it in its turn and records what came of it.

mod channel;
mod guests;
#[cfg(test)]
pub(crate) mod held;
pub(crate) mod home;
pub(crate) mod origin;
mod rows;
mod state;

pub use home::{Recorded, activities, broken_link, entries, history, receipt, receipt_for, work_of, works};
pub use origin::{Requested, request, waiting};
pub use rows::{
    ActivityRow, CallRow, EndedRow, LaneId, LaneRow, LedgerRow, Place, PlaceRow, QueueRow, RequestRow,
    RequestsRow, SendingRow, WaitingRow,
};

pub(crate) use channel::Channel;
pub(crate) use guests::shown as guest_shown;
#[cfg(test)]
pub(crate) use home::received;
pub(crate) use home::{
    BuiltIn, Cause, ask_of_move, came, carry_out, go_on, go_on_put_off, has_lane, lanes_of, late, new_id,
    not_kept, nudge, origins_of, put_lane, ran, ready, recorded_at, recorded_places, release, standing,
    work_again, worked,
};
pub(crate) use origin::state::Requests;
pub(crate) use origin::{
    Came, Wish, act, begin_anew, calls_of, cancel, drop_one, forget_request, forget_waiter, leads_to,
    leave_calls, make_void, missing, need, note, outcome, rehome, resume, send_lane, send_slow, slow_again,
    tell, tidy_lane, under_way,
};
#[cfg(test)]
pub(crate) use rows::Origin;
pub(crate) use rows::activity_key;
pub(crate) use state::State;
