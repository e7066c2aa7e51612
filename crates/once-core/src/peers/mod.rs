//! Peers: who they are, how a connection becomes one between peers, and what they may do.

mod addresses;
mod admin;
mod admit;
mod begin;
mod dial;
mod down;
mod invites;
mod link;
mod names;
mod progress;
mod put_back;
mod quarantine;
mod rows;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_links;
#[cfg(test)]
mod tests_put_back;
mod visitors;

pub(crate) use admin::{add, change, grant, join, remove, revoke};
pub(crate) use admit::{admitted, denied, hello, hello_late, link};
pub(crate) use dial::{call_wanted, dial_all, dial_now, dial_one, network_changed, redial};
pub(crate) use invites::{invite, revoke as revoke_invite};
pub use invites::{invite_hash, invites};
pub(crate) use link::{Link, Phase};
pub use names::is_name;
pub(crate) use progress::{heard, note, tell, tell_later, told, told_after_commit};
pub(crate) use put_back::{begin_life, end as end_quarantine};
pub use quarantine::{Quarantine, quarantine};
pub(crate) use quarantine::{allows, heeds, resume as resume_quarantine};
pub use rows::{InviteRow, PeerRow, PeerStatus, RemovedRow, VisitRow, all, peer, put_back};
pub(crate) use state::State;
pub use visitors::visits;
pub(crate) use visitors::{go_there, is_unwelcome, let_in, look_at};
