//! What this kernel owes to others, and what others owe to it: shares, follows, and the pump that sends them.
//!
//! An outbox row says *that* a peer is owed an object and why ([`Debt`]), not which bytes: what is sent is the newest
//! revision at that moment, if the debt allows that one. So a peer that was away gets each object once, however often it
//! changed.

mod debt;
mod follow;
mod pump;
mod share;
mod window;

pub use debt::Debt;
pub(crate) use follow::{
    end_following, follow, followed, following, subscribe_all, unfollow, unfollow_everywhere, unfollowed,
};

pub(crate) use pump::{Kept, owe, parcel, pump, pump_on, resend};
pub(crate) use share::{admit, announced, receive, share, shared};
pub(crate) use window::Window;
