//! The engine itself: what it remembers, one step of it, and which capability each input belongs to.
//!
//! `state.rs` has a state for each capability, `step.rs` what a handler may touch, `dispatch.rs` sends each input to the
//! capability that it belongs to. What handlers leave to be done in the same step is in `todo.rs`; `life.rs` has
//! the events in which several capabilities have a part.

mod dispatch;
mod expiry;
pub mod group;
pub(crate) mod life;
pub(crate) mod limits;
pub mod meta;
pub mod of_object;
pub mod parked;
pub mod refusal;
mod state;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_refusals;
#[cfg(test)]
mod tests_trace;
mod todo;
mod unmoved;
pub mod waist;

pub(crate) use expiry::Expiry;
pub use limits::Limits;
pub use state::Engine;
pub(crate) use step::Step;
pub(crate) use todo::Todo;
