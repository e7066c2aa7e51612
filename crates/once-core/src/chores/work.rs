//! Doing chores: some rows in each step.

use std::ops::ControlFlow;

use super::chore::{Chore, ChoreRow};
use super::{is_under_way, parts, rows};
use crate::engine::Step;
use crate::refusal::Refusal;
use crate::store::{Read, StoreError, Table, key_behind};
use crate::txn;
use crate::waist::{Answer, Effect};

/// Begins one: does what one step has room for; the rest follows in later steps.
pub(crate) fn begin_now(s: &mut Step<'_, '_>, chore: Chore) -> Result<(), StoreError> {
    s.engine.chores.stuck.remove(&chore);
    if chore.to_row().is_some() {
        s.txn.require_sync();
    }
    let rows = s.engine.limits.slice_rows;
    let at = match is_under_way(s, chore)? {
        true => ChoreRow { again: true, ..row_of(s, chore)? },
        false => ChoreRow::default(),
    };
    if chore == Chore::BeginLife {
        // In a later group: what leaves with this one was said in the life that ends.
        keep(s, chore, at);
        return Ok(());
    }
    turn(s, chore, at, rows)
}

/// The timer came: one chore of each sort has its turn.
pub(crate) fn rang(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.chores.timer_set = false;
    let rows = s.engine.limits.slice_rows.div_ceil(2);
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
    let behind = key_behind(&last);
    for (from, to) in [(behind.clone(), None), (Vec::new(), Some(behind))] {
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
    let Err(damage) = s.tried(|s| go_on(s, chore, at.clone(), rows))? else { return Ok(()) };
    // A lasting one is not forgotten, also if it has only just begun. A passing one waits for the next start: kept, it would
    // have its turn again at once, for ever.
    if chore.to_row().is_some() {
        keep(s, chore, at);
    }
    s.engine.chores.stuck.insert(chore);
    for token in s.engine.chores.tokens.remove(&chore).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::Damaged(damage.clone())) });
    }
    Ok(())
}

/// Does as many rows of a chore. A row that cannot be read holds up only itself.
fn go_on(s: &mut Step<'_, '_>, chore: Chore, mut at: ChoreRow, rows: usize) -> Result<(), StoreError> {
    let parts = parts::parts(chore);
    let mut left = rows;
    while left > 0
        && let Some(part) = parts.get(usize::from(at.part))
    {
        let (found, more) = part.some(s, &at.next, left)?;
        (at.part, at.next) = match found.last().filter(|_| more) {
            Some((last, _)) => (at.part, key_behind(last)),
            None => (at.part + 1, Vec::new()),
        };
        left = left.saturating_sub(found.len());
        for (key, value) in found {
            drop(s.tried(|s| rows::one(s, chore, part, &key, &value))?);
        }
        if usize::from(at.part) == parts.len() && std::mem::take(&mut at.again) && !mutant!(ForgetAgain) {
            at.part = 0;
        }
    }
    if usize::from(at.part) < parts.len() {
        keep(s, chore, at);
        return Ok(());
    }
    end(s, chore)
}

fn keep(s: &mut Step<'_, '_>, chore: Chore, at: ChoreRow) {
    match chore.to_row() {
        Some(key) => {
            (s.engine.chores.lasting, s.engine.chores.all_stuck) = (true, false);
            s.txn.put_lazily(Table::Chore, &key, &at);
        }
        None => drop(s.engine.chores.passing.insert(chore, at)),
    }
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

fn row_of(s: &Step<'_, '_>, chore: Chore) -> Result<ChoreRow, StoreError> {
    let row = s.txn.get(Table::Chore, &chore.to_row().unwrap_or_default())?;
    Ok(row.and_then(|row| txn::decode(Table::Chore, &row).ok()).unwrap_or_default())
}
