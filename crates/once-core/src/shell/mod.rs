//! The pure parts of what runs an engine: who waits for an answer, what clients were told before a commit, and what a
//! session does with a frame that it has read.
//!
//! The crate `once` drives them with I/O, the simulator without: so they are judged as the engine is.

mod clients;
mod heard;
mod told_early;

pub use clients::{Clients, Fate, Written, acts};
pub use heard::{
    Asked, Heard, Share, checked, complete, has_too_much, hear, is_apart, is_large, lacks, pulled, share_of,
};
pub use told_early::ToldEarly;
