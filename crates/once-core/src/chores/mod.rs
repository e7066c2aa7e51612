//! Chores: work that grows with what others placed here, done a few rows in each step.
//!
//! What must come to its end whatever happens is lasting: it has a row that says how far it is, written in the batch of what
//! made it necessary, and removed in that of the last rows. A run that ends in between leaves the row, and the next goes on
//! from there. The others are passing: they end with the run. A chore of few rows is done at once, and needs no row.

mod chore;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use chore::OF_OBJECT;
pub use chore::{Chore, ChoreRow};
pub(crate) use state::Chores;

use std::ops::ControlFlow;

use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Effect, Timer, Token};

/// A slice also ends when its rows have come to so many bytes.
const SLICE_BYTES: usize = 1024 * 1024;

/// Whether a passing one still comes by a row.
pub(crate) fn comes_by(s: &Step<'_, '_>, chore: Chore, table: Table, key: &[u8]) -> bool {
    s.engine.chores.passing.get(&chore).is_some_and(|at| rows::is_ahead(chore, at, table, key))
}

/// At the start of a run: what the last one left goes on.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let mut any = false;
    s.txn.scan(Table::Chore, &[], None, &mut |_, _| {
        any = true;
        ControlFlow::Break(())
    })?;
    s.engine.chores.lasting = any;
    Ok(())
}

/// Whether a lasting one is under way.
pub(crate) fn is_under_way(s: &Step<'_, '_>, chore: Chore) -> Result<bool, StoreError> {
    let Some(key) = chore.to_row().filter(|_| s.engine.chores.lasting) else { return Ok(false) };
    Ok(s.txn.get(Table::Chore, &key)?.is_some())
}

fn row_of(s: &Step<'_, '_>, chore: Chore) -> Result<ChoreRow, StoreError> {
    let row = s.txn.get(Table::Chore, &chore.to_row().unwrap_or_default())?;
    Ok(row.and_then(|row| txn::decode(Table::Chore, &row).ok()).unwrap_or_default())
}

/// Does what one step has room for; the rest follows in later steps. Whether nothing is left.
pub(crate) fn begin(s: &mut Step<'_, '_>, chore: Chore) -> Result<bool, StoreError> {
    s.engine.chores.stuck.remove(&chore);
    if chore.to_row().is_some() {
        s.txn.require_sync();
    }
    let rows = s.engine.chores.slice_rows;
    let at = match is_under_way(s, chore)? {
        true => ChoreRow { again: true, ..row_of(s, chore)? },
        false => ChoreRow::default(),
    };
    go_on(s, chore, at, rows)
}

/// The same for a client, who is answered when all is done.
pub(crate) fn begin_for(s: &mut Step<'_, '_>, chore: Chore, token: Token) -> Result<Option<Answer>, Failure> {
    if begin(s, chore)? {
        return Ok(Some(Answer::Done));
    }
    Ok(wait(s, chore, token))
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

/// The timer came: one chore of each sort has its turn.
pub(crate) fn rang(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.chores.timer_set = false;
    let rows = s.engine.chores.slice_rows.div_ceil(2);
    if let Some((chore, at)) = s.engine.chores.next_passing() {
        turn(s, chore, at, rows)?;
    }
    match next_lasting(s)? {
        Some((chore, at)) => turn(s, chore, at, rows)?,
        // Those that are held up are still under way.
        None => {
            s.engine.chores.lasting = !s.engine.chores.stuck.is_empty();
            s.engine.chores.all_stuck = s.engine.chores.lasting;
        }
    }
    Ok(())
}

/// The next lasting one that is not held up.
fn next_lasting(s: &mut Step<'_, '_>) -> Result<Option<(Chore, ChoreRow)>, StoreError> {
    if !s.engine.chores.lasting || s.engine.chores.all_stuck {
        return Ok(None);
    }
    let last = std::mem::take(&mut s.engine.chores.last.1);
    for (from, to) in
        [([last.as_slice(), &[0]].concat(), None), (Vec::new(), Some([last.as_slice(), &[0]].concat()))]
    {
        let mut found = None;
        s.txn.scan(Table::Chore, &from, to.as_deref(), &mut |key, value| {
            let chore = Chore::from_row(key).filter(|chore| !s.engine.chores.stuck.contains(chore));
            let at = txn::decode::<ChoreRow>(Table::Chore, &value).unwrap_or_default();
            found = chore.map(|chore| (key.to_vec(), chore, at));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some((key, chore, at)) = found {
            s.engine.chores.last.1 = key;
            return Ok(Some((chore, at)));
        }
    }
    Ok(None)
}

fn turn(s: &mut Step<'_, '_>, chore: Chore, at: ChoreRow, rows: usize) -> Result<(), StoreError> {
    let Err(damage) = s.tried(|s| go_on(s, chore, at, rows))? else { return Ok(()) };
    s.engine.chores.stuck.insert(chore);
    for token in s.engine.chores.tokens.remove(&chore).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::Damaged(damage.clone())) });
    }
    Ok(())
}

/// Does as many rows of a chore; whether nothing is left of it. A row that cannot be read holds up only itself.
fn go_on(s: &mut Step<'_, '_>, chore: Chore, mut at: ChoreRow, rows: usize) -> Result<bool, StoreError> {
    let parts = rows::parts(chore);
    let mut left = rows;
    while left > 0
        && let Some(part) = parts.get(usize::from(at.part))
    {
        let (found, more) = part.some(s, &at.next, left)?;
        (at.part, at.next) = match found.last().filter(|_| more) {
            Some((last, _)) => (at.part, [last.as_slice(), &[0]].concat()),
            None => (at.part + 1, Vec::new()),
        };
        left = left.saturating_sub(found.len());
        for (key, value) in found {
            drop(s.tried(|s| rows::one(s, chore, part, &key, &value))?);
        }
        if usize::from(at.part) == parts.len() && std::mem::take(&mut at.again) {
            at.part = 0;
        }
    }
    if usize::from(at.part) < parts.len() {
        keep(s, chore, at)?;
        return Ok(false);
    }
    end(s, chore)?;
    Ok(true)
}

fn keep(s: &mut Step<'_, '_>, chore: Chore, at: ChoreRow) -> Result<(), StoreError> {
    match chore.to_row() {
        Some(key) => {
            (s.engine.chores.lasting, s.engine.chores.all_stuck) = (true, false);
            s.txn.put_lazily(Table::Chore, &key, &at);
        }
        None => drop(s.engine.chores.passing.insert(chore, at)),
    }
    Ok(())
}

fn end(s: &mut Step<'_, '_>, chore: Chore) -> Result<(), StoreError> {
    rows::ended(s, chore)?;
    match chore.to_row() {
        Some(key) if is_under_way(s, chore)? => s.txn.delete(Table::Chore, &key),
        Some(_) => {}
        None => s.engine.chores.drop(chore),
    }
    for token in s.engine.chores.tokens.remove(&chore).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Ok(Answer::Done) });
    }
    Ok(())
}
