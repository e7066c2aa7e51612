//! What this kernel owes to others, and what others owe to it: shares, follows, and the pump that sends them.
//!
//! An outbox row says *that* a peer is owed an object and why ([`Debt`]), not which bytes: what is sent is the newest
//! revision at that moment, if the debt allows that one. So a peer that was away gets each object once, however often it
//! changed.

mod debt;
mod follow;
mod object;
mod owed;
mod pump;
mod share;
mod state;
mod window;

pub use debt::Debt;
pub use owed::{DebtRow, Kind, OutboxRow, Owed, debt, owed};

pub(crate) use follow::{
    end_following, end_unless_readable, follow, followed, following, repeat, repeated, unfollow,
    unfollow_everywhere, unfollowed,
};
pub(crate) use object::{Kept, forget_owed, give_up, owe, parcel};
pub(crate) use owed::{list, lists, owes, unlist, unlist_new};
pub(crate) use pump::{pump, pump_later, pump_on, resend, resend_later, window_to};
pub(crate) use share::{admit, announced, forget_delivery, receive, share, shared, unfit};
pub(crate) use state::State;
pub(crate) use window::{Item, Window};
