//! The engine.
//!
//! One sentence, one function: *an input, applied in one transaction, yields effects that are released after the
//! commit.* That is [`Engine::step`]. No I/O, no async, no clock and no randomness of its own: the shell (crate
//! `once`) and the simulator (crate `once-sim`) bring those, and run the same code.
//!
//! Start with [`waist`]: everything that goes in and everything that comes out.

#[macro_use]
pub mod mutants;

pub mod actions;
pub mod chores;
pub mod content;
mod engine;
pub mod exchange;
mod expiry;
pub mod group;
pub mod memory;
pub mod meta;
pub mod of_object;
mod outbox;
pub mod parked;
mod peers;
pub mod query;
mod refusal;
pub mod rights;
pub mod rows;
pub mod store;
#[cfg(test)]
mod testing;
mod timers;
pub mod txn;
pub mod waist;

pub use engine::Engine;
pub use peers::{Quarantine, invite_hash, invites, is_name, quarantine};
pub use refusal::{Failure, Refusal};
