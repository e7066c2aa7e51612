//! Where actions come from: this kernel accepts them from its clients and objects, and owes them to the homes of their
//! objects.
//!
//! `ask` gives an action its place in a lane, or makes it a void; `requests` knows it by its id, `lanes` how far each lane
//! is; `send` sends it until the outcome comes. `slow` are lanes to objects of this kernel that take their time.

pub(super) mod ask;
pub(super) mod lanes;
pub(super) mod place;
pub(super) mod rehome;
pub(super) mod reply;
pub(super) mod requests;
pub(super) mod send;
pub(super) mod slow;
pub(super) mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_asked;
#[cfg(test)]
mod tests_calls;
pub(super) mod waiting;

pub use requests::{Requested, request};
pub use waiting::waiting;

pub(crate) use ask::{Wish, act, cancel, drop_one, forget_waiter, make_void, need, outcome, resume};
pub(crate) use rehome::{leads_to, rehome};
pub(crate) use reply::{Came, tell};
pub(crate) use requests::{begin_anew, forget_request, note};
pub(crate) use send::{missing, send_lane, send_slow, tidy_lane};
pub(crate) use slow::again as slow_again;
pub(crate) use waiting::{calls_of, leave_calls, under_way};
