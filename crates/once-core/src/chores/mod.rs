//! Chores: work that grows with what others placed here, done a few rows in each step.
//!
//! What must come to its end whatever happens is lasting: it has a row that says how far it is, written in the batch of what
//! made it necessary, and removed in that of the last rows. A run that ends in between leaves the row, and the next goes on
//! from there. The others are passing: they end with the run. A chore of few rows is done at once, and needs no row.

mod chore;
mod parts;
mod rows;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_turns;
mod work;

pub(crate) use chore::OF_OBJECT;
pub use chore::{Chore, ChoreRow};
pub(crate) use state::Chores;
pub(crate) use work::{begin_now, rang};

use crate::engine::{Step, Todo};
use crate::store::{Read, StoreError, Table, has_any};
use crate::waist::{Answer, Effect, Timer, Token};

/// Whether a passing one still comes by a row.
pub(crate) fn comes_by(s: &Step<'_, '_>, chore: Chore, table: Table, key: &[u8]) -> bool {
    s.engine.chores.passing.get(&chore).is_some_and(|at| parts::is_ahead(chore, at, table, key))
}

/// At the start of a run: what the last one left goes on.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.chores.lasting = has_any(s.txn, Table::Chore, &[])?;
    Ok(())
}

/// Whether a lasting one is under way.
pub(crate) fn is_under_way(s: &Step<'_, '_>, chore: Chore) -> Result<bool, StoreError> {
    let Some(key) = chore.to_row().filter(|_| s.engine.chores.lasting) else { return Ok(false) };
    Ok(s.txn.get(Table::Chore, &key)?.is_some())
}

/// Begins one before this step ends.
pub(crate) fn begin(s: &mut Step<'_, '_>, chore: Chore) {
    s.later(Todo::Chore(chore));
}

/// The same for a client, who is answered when all is done.
pub(crate) fn begin_for(s: &mut Step<'_, '_>, chore: Chore, token: Token) -> Option<Answer> {
    begin(s, chore);
    wait(s, chore, token)
}

/// A client waits for the end of what is under way.
pub(crate) fn wait(s: &mut Step<'_, '_>, chore: Chore, token: Token) -> Option<Answer> {
    s.engine.chores.tokens.entry(chore).or_default().push(token);
    None
}

/// At the end of each step: one timer for whatever is left.
pub(crate) fn go_on_later(s: &mut Step<'_, '_>) {
    let chores = &mut s.engine.chores;
    let any = chores.lasting && !chores.all_stuck || !chores.passing.is_empty();
    if any && !std::mem::replace(&mut chores.timer_set, true) {
        s.out.push(Effect::Timer { after_ms: 0, timer: Timer::Chores });
    }
}
