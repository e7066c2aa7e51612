//! Where actions run: the home of their object.
//!
//! `turn` takes what comes, runs it when it is its turn, and `record` writes what came of it; `marks` knows how far each
//! lane has come. What cannot run just now is in `waiting`: for the scenarios that it depends on (`given`), for a program
//! (`put_off`; `ready` and `shown` let its lane go on), or for the object. `consequences` carries out what follows, `history` chains what was recorded.
//! `built_in` are changes without a component, which take the same road.

mod built_in;
pub(super) mod come;
pub(super) mod consequences;
mod given;
mod history;
mod leaving;
mod marks;
mod own;
mod put_off;
mod ready;
mod record;
mod runs;
mod shown;
pub(super) mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_given;
#[cfg(test)]
mod tests_said;
pub(super) mod turn;
pub(super) mod waiting;

pub use consequences::{activities, work_of, works};
pub use history::{Recorded, broken_link, entries, history, receipt, receipt_for};
pub(crate) use history::{recorded_at, recorded_places};

pub(crate) use built_in::{BuiltIn, Cause, carry_out, new_id};
pub(crate) use consequences::{work_again, worked};
pub(crate) use leaving::{has_lane, lanes_of, nudge, origins_of, put_lane, release};
pub(crate) use own::ask as ask_of_move;
pub(crate) use ready::{go_on as go_on_put_off, ready};
pub(crate) use shown::{came, late, not_kept};
#[cfg(test)]
pub(crate) use turn::received;
pub(crate) use turn::{come, come_from_here, go_on, ran};
pub(crate) use waiting::standing;
