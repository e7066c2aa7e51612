//! The shell around the engine: its thread, the mail to it, the store as it is written and read, and who waits.
//!
//! `thread.rs` is the loop; `mail.rs` what comes in and `post.rs` where it and its effects go; `shared.rs` what everyone
//! else holds of it; `published.rs` and `snapshot.rs` the store before and after a commit; `room.rs` waiting for room on the
//! disk; `lack.rs` and `damage.rs` what it can lack.

mod damage;
mod hands;
mod kept;
mod lack;
mod mail;
mod names;
mod outside;
mod post;
mod published;
mod room;
mod runs;
mod shared;
mod snapshot;
mod thread;

pub(crate) use hands::Network;
pub(crate) use kept::Kept;
pub(crate) use lack::what_to_free;
pub(crate) use mail::{MAILS_OF_PEER_MAX, Mail, Unanswered};
pub(crate) use outside::now_ms;
pub(crate) use runs::{run_whole, work_outside};
pub(crate) use shared::Shared;
pub(crate) use snapshot::Snapshot;
pub(crate) use thread::prepare;

#[cfg(test)]
mod tests;
