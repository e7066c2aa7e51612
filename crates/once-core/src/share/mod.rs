//! What this kernel owes to others: shares, and the pump that sends them and the lanes of actions.
//!
//! An outbox row says *that* a peer is owed an object and why ([`Debt`]), not which bytes: what is sent is the newest
//! revision at that moment, if the debt allows that one. So a peer that was away gets each object once, however often it
//! changed.

mod debt;
mod deliver;
#[cfg(test)]
pub(crate) mod held;
mod later;
mod objects;
mod owed;
mod pump;
mod quota;
mod rows;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_window;
mod unsent;
mod window;

pub use debt::Debt;
pub use owed::{debt, owed};
pub use rows::{DebtRow, Kind, OutboxRow, Owed, UnsentRow, UsageRow, usage};
pub use unsent::unsent;

pub(crate) use deliver::{admit, announced, forget_delivery, receive, share, shared, unfit};
pub(crate) use later::{pump, pump_later, resend_later, window_to};
pub(crate) use objects::{Kept, forget_count, forget_owed, give_up, owe, parcel};
pub(crate) use owed::{followed_no_more, list, lists, owes, unlist, unlist_new};
pub(crate) use pump::{pump_now, pump_on, resend};
pub(crate) use quota::has_room;
pub(crate) use state::State;
pub(crate) use unsent::keep as keep_unsent;
pub(crate) use window::{Item, Window};
