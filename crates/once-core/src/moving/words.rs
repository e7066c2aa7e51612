//! What an object is told because it moves, if its component wants to know: that it leaves, to which it may say no, and that it has
//! come.

use bytes::Bytes;
use once_model::ids::{KernelId, ObjectKey};

use super::rows::{ArrivingRow, LeavingRow};
use super::state::{Heard, Word};
use crate::act;
use crate::engine::Step;
use crate::object::{self, HeadRow};
use crate::refusal::Unmoved;
use crate::store::{StoreError, Table};
use crate::txn;

/// Most of a component's words that people are shown, in characters.
const SHOWN_MAX: usize = 300;

/// Whether objects of this component are told that.
fn is_told(s: &Step<'_, '_>, head: &HeadRow, word: Word) -> bool {
    s.ctx.runner.is_told(&head.header.component, word.name())
}

/// Whether an object that has nothing under way may be sealed: it was told, or need not be.
pub(super) fn may_go(s: &Step<'_, '_>, head: &HeadRow) -> bool {
    if mutant!(LeaveUnasked) {
        return true;
    }
    let leaving = s.engine.moving.leaving.get(&head.header.key());
    leaving.is_some_and(|leaving| leaving.told || leaving.untold) || !is_told(s, head, Word::Leaving)
}

/// Tells it that it leaves. What speaks against it: nothing if it may go on.
pub(super) fn leaves(
    s: &mut Step<'_, '_>,
    head: &HeadRow,
    to: &KernelId,
) -> Result<Option<Unmoved>, StoreError> {
    match act::ask_of_move(s, head.clone(), Word::Leaving, to)? {
        None => Ok(Some(Unmoved::Run)),
        Some(heard) => take(s, head, heard),
    }
}

/// What it said to that. [`Unmoved::Unwilling`]: it stays; anything else passes.
pub(super) fn take(
    s: &mut Step<'_, '_>,
    head: &HeadRow,
    heard: Heard,
) -> Result<Option<Unmoved>, StoreError> {
    let key = head.header.key();
    match heard {
        Heard::Done => {
            let row: Option<LeavingRow> = txn::get(s.txn, Table::Leaving, &key.to_row())?;
            let forgets = mutant!(ForgetLeaving);
            if let (Some(row), false) = (row, forgets) {
                s.txn.put(Table::Leaving, &key.to_row(), &LeavingRow { told: true, ..row });
            }
            if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
                leaving.told = true;
            }
            // Something may follow from it, which comes to its end first.
            s.engine.moving.touched.insert(key);
            Ok(None)
        }
        Heard::Nothing => {
            if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
                leaving.untold = true;
            }
            s.engine.moving.touched.insert(key);
            Ok(None)
        }
        Heard::Failed(_) if mutant!(LeaveUnwilling) => take(s, head, Heard::Done),
        Heard::Failed(reason) => Ok(Some(Unmoved::Unwilling(shown(&reason)))),
        Heard::Refused(code) => {
            Ok(Some(Unmoved::Unwilling(format!("it wants what no kernel does ({})", code.name()))))
        }
        Heard::NotNow | Heard::Again => {
            s.engine.moving.put_off(&head.header.component, key);
            Ok(Some(Unmoved::Unasked))
        }
    }
}

/// A component's words, as people read them.
fn shown(reason: &Bytes) -> String {
    let text = String::from_utf8_lossy(reason);
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let plain = inside.filter(|text| !text.contains('\\')).unwrap_or(&text);
    plain.chars().take(SHOWN_MAX).collect()
}

/// An object is here, or here again: if its component wants to know, it is told, before anything else is asked of it.
pub(super) fn expect(s: &mut Step<'_, '_>, head: &HeadRow, from: KernelId) {
    if !is_told(s, head, Word::Arrived) {
        return;
    }
    let (key, since_ms) = (head.header.key(), s.ctx.now_ms);
    s.txn.put(Table::Arriving, &key.to_row(), &ArrivingRow { from, since_ms });
    s.engine.moving.arriving.insert(key, from);
    s.engine.moving.touched.insert(key);
}

/// Tells an object that has come, if nothing stands against it.
pub(super) fn arrives(s: &mut Step<'_, '_>, key: ObjectKey, from: KernelId) -> Result<(), StoreError> {
    if s.engine.act.busy.contains_key(&key) {
        return Ok(());
    }
    let is_mine = |head: &HeadRow| head.home == Some(s.ctx.me) && !head.header.tombstone;
    let Some(head) = object::head(s.txn, &key)?.filter(is_mine) else {
        over(s, key);
        return Ok(());
    };
    if object::is_of_earlier_life(s, &head)? {
        return Ok(());
    }
    let heard = match s.engine.moving.heard(&key) {
        None => act::ask_of_move(s, head.clone(), Word::Arrived, &from)?,
        heard => heard,
    };
    match heard {
        None => {}
        Some(Heard::NotNow | Heard::Again) => s.engine.moving.put_off(&head.header.component, key),
        // It knows. What it says to that changes nothing of where it lives.
        Some(Heard::Done | Heard::Failed(_) | Heard::Refused(_) | Heard::Nothing) => over(s, key),
    }
    Ok(())
}

/// It need not be told any more: what waited for that goes on.
fn over(s: &mut Step<'_, '_>, key: ObjectKey) {
    s.txn.delete(Table::Arriving, &key.to_row());
    s.engine.moving.arriving.remove(&key);
    act::release(s, key);
}
