//! A world of ONCE kernels in virtual time.
//!
//! The world is a priority queue of (time, kernel, input). It *is* the network, the clock, the scheduler and the
//! disks; the kernels run the same engine code as in production. Faults, workload and kernels are determined by one
//! seed, so that whatever goes wrong can be looked at again. After every event the checkers compare what the kernels
//! did with what the engine promises.
//!
//! [`World`] is for stories: small tests that make one thing happen. [`seed::run`] is a random world under a random
//! workload; the binary of this crate runs thousands of them, and `--mutants` proves that they would find bugs.

mod acting;
mod anew;
mod check;
mod components;
mod conn;
mod converge;
pub mod coverage;
pub mod disk;
mod exchange;
mod faults;
mod finding;
mod forger;
mod granting;
pub mod journal;
mod judged;
mod moves;
mod net;
mod node;
mod pull;
mod puppet;
mod queue;
mod receipts;
mod rng;
pub mod scenarios;
mod scenes;
pub mod seed;
mod shell;
mod small;
mod story;
pub mod trace;
mod visiting;
mod wear;
mod workload;
mod world;

pub use check::Violation;
pub use components::Components;
pub use faults::Backup;
pub use net::Weather;
pub use rng::Rng;
pub use world::{Kernel, World};
