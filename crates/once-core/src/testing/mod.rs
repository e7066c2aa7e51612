//! A harness for tests of the engine, without a network, a disk or a clock: [`Alone`] is one engine that is driven by hand,
//! [`Pair`] two of them whose frames are carried by hand, and may get lost, come twice or overtake each other, [`Several`] more of
//! them that call each other by themselves.
//!
//! Behind the feature `testing`: it is for tests, of this crate and of whoever embeds it, and panics where something is not
//! as a test expects.
//!
//! ```
//! use once_core::testing::{Alone, Pair, Side};
//! use once_core::waist::Answer;
//! use once_model::action::Outcome;
//!
//! let mut pair = Pair::new();
//! let paper = pair.b.object(1, "Paper");
//! pair.b.may_act(pair.a.id());
//!
//! // An action of A on an object of B is lost on its way, and sent again.
//! let home = pair.b.id();
//! let token = pair.a.act_at(home, paper, 7);
//! assert!(pair.lose(Side::B).is_some());
//! pair.settle();
//! assert!(!pair.a.answered.contains_key(&token));
//! pair.pass(10_000);
//! assert_eq!(pair.a.outcome(token), Some(&Outcome::Done("7".into())));
//!
//! // One engine alone: what it is told, what it says.
//! let mut kernel = Alone::new();
//! let key = kernel.object(2, "Open");
//! let token = kernel.act(key, 1);
//! assert!(matches!(kernel.answered[&token], Answer::Acted { .. }));
//! ```

// It says what is not as expected by a panic, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alone;
mod desk;
#[cfg(test)]
mod held;
#[cfg(test)]
mod inside;
mod pair;
mod several;

pub use alone::{Alone, Dice, NOW_MS, asked, greeting};
pub use desk::{Desk, done};
pub use pair::{Pair, Side};
pub use several::Several;
