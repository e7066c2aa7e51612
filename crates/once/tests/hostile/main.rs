//! Strangers and peers that do not keep to the protocol. After each story the kernel still serves an honest peer.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../raw/mod.rs"]
mod raw;

mod acts;
mod acts_in_floods;
mod acts_that_wait;
mod exchanges;
mod finds;
mod frames;
mod hogs;
mod homes;
mod pulls;
mod reading;
mod shares;
mod strangers;
