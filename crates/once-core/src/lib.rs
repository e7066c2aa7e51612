//! The engine.
//!
//! One sentence, one function: *an input, applied in one transaction, yields effects that are released after the
//! commit.* That is [`Engine::step`]. No I/O, no async, no clock and no randomness of its own: the shell (crate
//! `once`) and the simulator (crate `once-sim`) bring those, and run the same code.
//!
//! Start with [`waist`]: everything that goes in and everything that comes out.

#[macro_use]
pub mod mutants;

pub mod access;
pub mod act;
pub mod archive;
pub mod chores;
mod engine;
pub mod events;
pub mod exchange;
pub mod find;
pub mod follow;
pub mod moving;
pub mod object;
pub mod peers;
pub mod share;
pub mod shell;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timer;

pub use engine::refusal::{Failure, Refusal};
pub use engine::{Engine, Limits, group, meta, of_object, parked, waist};
pub use peers::{Quarantine, invite_hash, invites, is_name, quarantine};
pub use store::{memory, txn};

pub(crate) use engine::refusal;
