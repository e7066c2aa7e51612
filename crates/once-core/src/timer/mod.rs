//! Timers of objects and deadlines of actions: rows in the order of their time, and a few clocks that are running.
//!
//! Times are those of this kernel's own clock. A clock that is set back makes timers late, one that is set forward
//! makes them early; neither loses or doubles one.

mod clock;
mod due;
mod rows;
#[cfg(test)]
mod tests;

pub use rows::TimerRow;

pub(crate) use clock::{cancel, end_deadline, forget, resume, set, set_deadline};
pub(crate) use due::due;
