//! What an object is told because it moves: the last action at its old home, and the first one at the new one. Nobody asks for them
//! but the kernel itself, so they have no place in a lane; they are recorded like changes without a component.

use once_model::action::{Act, Action, BUILT_IN_FROM, Outcome};
use once_model::ids::KernelId;
use once_model::wire::Code;

use super::built_in::{act_of, new_id, place};
use super::come::{Busy, Come};
use super::consequences;
use super::record::{end, record};
use super::runs::{self, Verdict};
use crate::act::origin::lanes;
use crate::engine::Step;
use crate::moving::{Heard, Word};
use crate::object::{self, HeadRow};
use crate::store::StoreError;
use crate::waist::RunResult;

/// Which of them an action is.
pub(super) fn of(act: &Act) -> Option<Word> {
    let all = [Word::Leaving, Word::Arrived];
    all.into_iter().find(|word| act.sequence >= BUILT_IN_FROM && act.action.name == word.name())
}

/// Tells an object, which nothing else is asked just now. Nothing if that takes its time: then the object is busy, and what
/// comes of it is heard later.
pub(crate) fn ask(
    s: &mut Step<'_, '_>,
    head: HeadRow,
    word: Word,
    other: &KernelId,
) -> Result<Option<Heard>, StoreError> {
    let (origin, key) = (lanes::myself(s)?, head.header.key());
    let (id, name, arguments) = (new_id(s), word.name().to_owned(), arguments(word, other).into());
    let action = Action { id, name, arguments, given: vec![], acting: None, answers: None };
    let act = act_of(key, place(s, Some(&head))?, action);
    let come = Come { origin, act, at_ms: s.ctx.now_ms, shown: Vec::new() };
    match runs::ask(s, &come, &head, Vec::new())? {
        Some(result) => hear(s, &come, head, result).map(Some),
        None => Ok(None),
    }
}

fn arguments(word: Word, other: &KernelId) -> String {
    format!("{{\"{}\":\"{other}\"}}", word.other())
}

/// What came of it is written in this transaction, or nothing.
fn hear(s: &mut Step<'_, '_>, come: &Come, head: HeadRow, result: RunResult) -> Result<Heard, StoreError> {
    let Come { origin, act, .. } = come;
    Ok(match runs::weigh(s, &head, result)? {
        Verdict::Done { made, result, consequences } => {
            let object = record(s, origin, act, Outcome::Done(result), *made)?;
            consequences::carry_out(s, object, (&origin.kernel, &runs::cause(come)), consequences)?;
            Heard::Done
        }
        Verdict::Failed(reason) => {
            end(s, come, Outcome::Failed(reason.clone()), head)?;
            Heard::Failed(reason)
        }
        // Its component is here, and cannot read this state: it never will.
        Verdict::Refused(Code::NoComponent)
            if s.ctx.runner.is_told(&head.header.component, &act.action.name) =>
        {
            Heard::Nothing
        }
        Verdict::Refused(Code::NoComponent) | Verdict::NotNow | Verdict::Busy | Verdict::Later(_) => {
            Heard::NotNow
        }
        Verdict::Refused(code) => {
            end(s, come, Outcome::Refused(code), head)?;
            Heard::Refused(code)
        }
    })
}

/// The component has answered. It counts if the object still is what it was asked about, and still waits for that.
pub(super) fn ended(
    s: &mut Step<'_, '_>,
    word: Word,
    busy: &Busy,
    result: RunResult,
) -> Result<(), StoreError> {
    let key = busy.come.act.lane.key;
    let head = object::head(s.txn, &key)?.filter(|head| head.header.id() == busy.base);
    let Act { action, sequence, .. } = &busy.come.act;
    // It may be about to leave for another kernel by now.
    let is_due = |other: KernelId| action.arguments == arguments(word, &other);
    let waits = s.engine.moving.waits_for(&key, word).is_some_and(is_due);
    let heard = match head {
        Some(head) if waits && place(s, Some(&head))? == *sequence => hear(s, &busy.come, head, result)?,
        _ => Heard::Again,
    };
    s.engine.moving.hears(key, heard);
    Ok(())
}
