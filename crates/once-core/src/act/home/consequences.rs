//! What follows from an action besides the new state of its object, and how an object is told what came of that.

use std::ops::ControlFlow;

use once_model::action::{Action, Outcome, check_name, effect_id};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::json;
use once_model::limits::{ARGUMENTS_MAX_BYTES, EFFECTS_MAX, GIVEN_MAX, REMINDER_MAX_BYTES};
use once_model::wire::Code;

use super::built_in::Cause;
use crate::act::origin::place::{enqueue, lane_for};
use crate::act::origin::reply::{Came, tell};
use crate::act::origin::{lanes, send};
use crate::act::rows::{ActivityRow, CallRow, WaitingRow, activity_key};
use crate::chores::{self, Chore};
use crate::engine::{Step, Todo};
use crate::refusal::Failure;
use crate::store::{Read, StoreError, Table};
use crate::timer::TimerRow;
use crate::waist::{Call, Consequence, Effect, Event, Then, Work};
use crate::{object, timer, txn};

/// Whether the consequences of an action can be carried out, looked at before anything of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// Not now: a lane is full. The action has not run.
    Busy,
    /// Never: the component asks for what no kernel takes.
    Never(Code),
}

pub(crate) fn fit(s: &mut Step<'_, '_>, wanted: &[Consequence]) -> Result<Fit, StoreError> {
    if wanted.len() > EFFECTS_MAX {
        return Ok(Fit::Never(Code::TooLarge));
    }
    for consequence in wanted {
        if let Err(code) = well_formed(consequence) {
            return Ok(Fit::Never(code));
        }
        let Consequence::Act(call) = consequence else { continue };
        match lane_for(s, call.key, call.at) {
            Ok(lane) => {
                let waiting = lanes::lane(s, &lane)?.map_or(0, |lane| lane.waiting());
                // The answers to calls need no room of their own here: each takes the place of its call.
                if waiting + s.engine.limits.effects_room > s.engine.limits.queue_rows || mutant!(FullOutbox)
                {
                    return Ok(Fit::Busy);
                }
            }
            Err(Failure::Refused(_)) => {}
            Err(Failure::Store(error)) => return Err(error),
        }
    }
    Ok(Fit::Yes)
}

fn well_formed(consequence: &Consequence) -> Result<(), Code> {
    let name = check_name;
    let value = |value: &[u8], most: usize| match value.len() > most {
        true => Err(Code::TooLarge),
        false => json::validate(value).map(drop).map_err(|_| Code::Invalid),
    };
    let then = |then: &Then| name(&then.action).and(value(&then.with, REMINDER_MAX_BYTES));
    match consequence {
        Consequence::Act(call) => {
            name(&call.name)?;
            value(&call.arguments, ARGUMENTS_MAX_BYTES)?;
            call.then.as_ref().map_or(Ok(()), then)?;
            if call.given.len() > GIVEN_MAX { Err(Code::TooLarge) } else { Ok(()) }
        }
        Consequence::Timer { name: called, then: what, .. } => name(called).and(then(what)),
        Consequence::Activity { name: called, arguments, then: what } => {
            name(called)?;
            value(arguments, ARGUMENTS_MAX_BYTES)?;
            then(what)
        }
        Consequence::Publish { name: called, data } => {
            name(called)?;
            value(data, ARGUMENTS_MAX_BYTES)
        }
        Consequence::CancelTimer { name: called } => name(called),
        Consequence::Create(_) | Consequence::Remove | Consequence::Move { .. } => Ok(()),
    }
}

/// Carries out what follows from an action of `object`, in the transaction of the action.
pub(crate) fn carry_out(
    s: &mut Step<'_, '_>,
    object: ObjectKey,
    (origin, cause): (&KernelId, &Uuid),
    wanted: Vec<Consequence>,
) -> Result<(), StoreError> {
    let mut removed = None;
    let mut uncounted = 0;
    for (index, consequence) in (0..).zip(wanted) {
        let id = effect_id(origin, cause, index - uncounted);
        if mutant!(UncountedEffects) {
            let of_none =
                matches!(consequence, Consequence::Publish { .. } | Consequence::CancelTimer { .. });
            uncounted += u32::from(of_none);
        }
        match consequence {
            Consequence::Act(call) => act(s, object, id, call)?,
            // The same id made it already, or somebody removed it since: both are fine.
            Consequence::Create(scenario) => match object::born(s, &scenario, (id, object)) {
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(Failure::Store(error)) => return Err(error),
            },
            Consequence::Remove => removed = Some(id),
            Consequence::Move { to } => s.later(Todo::Leave(object, to)),
            Consequence::Timer { name, after_ms, then } => {
                let due_ms = s.ctx.now_ms.saturating_add(after_ms);
                timer::set(s, &object, &TimerRow { name, due_ms, id, then })?;
            }
            Consequence::CancelTimer { name } => timer::cancel(s, &object, &name)?,
            Consequence::Publish { name, data } => {
                s.out.push(Effect::Event(Event::Published { key: object, name, data }));
            }
            Consequence::Activity { name, arguments, then } => {
                let since_ms = s.ctx.now_ms;
                let row = ActivityRow { name: name.clone(), arguments: arguments.clone(), then, since_ms };
                let place = activity_key(&object, &id);
                s.txn.put(Table::Activity, &place, &row);
                if !chores::comes_by(s, Chore::Work, Table::Activity, &place) {
                    s.out.push(Effect::Work(Box::new(Work { key: object, id, name, arguments })));
                }
            }
        }
    }
    if let Some(id) = removed {
        match object::remove(s, &object, Cause::Effect(id, object)) {
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(Failure::Store(error)) => return Err(error),
        }
    }
    Ok(())
}

/// An object acts on another one.
fn act(s: &mut Step<'_, '_>, object: ObjectKey, id: Uuid, call: Call) -> Result<(), StoreError> {
    let Call { key, at, name, arguments, given, deadline_ms, then } = call;
    let lane = match lane_for(s, key, at) {
        Ok(lane) => lane,
        Err(Failure::Refused(refusal)) => {
            // It never leaves: whoever waits for it is told so.
            return match then {
                Some(then) => tell(s, object, id, &then, &Came::Outcome(Outcome::Refused(refusal.code()))),
                None => Ok(()),
            };
        }
        Err(Failure::Store(error)) => return Err(error),
    };
    let action = Action { id, name, arguments, given, acting: Some(object), answers: None };
    let now_ms = s.ctx.now_ms;
    let mut guest = object::head(s.txn, &object)?.and_then(|head| head.guest);
    if mutant!(GuestAsHost) {
        guest = None;
    }
    let row = WaitingRow {
        action,
        since_ms: now_ms,
        deadline_ms: deadline_ms.map(|after_ms| now_ms.saturating_add(after_ms)),
        void: None,
        call: then.map(|then| CallRow { object, then }),
        guest,
    };
    let (place, lane) = enqueue(s, &lane, row)?;
    send::owe_later(s, &place.lane, lane.home)
}

/// Work outside came to its end.
pub(crate) fn worked(
    s: &mut Step<'_, '_>,
    object: ObjectKey,
    id: Uuid,
    result: Result<bytes::Bytes, bytes::Bytes>,
) -> Result<(), StoreError> {
    let place = activity_key(&object, &id);
    let Some(row) = txn::get::<ActivityRow>(s.txn, Table::Activity, &place)? else { return Ok(()) };
    if chores::is_under_way(s, Chore::ForgetObject(object))? {
        return Ok(());
    }
    s.txn.delete(Table::Activity, &place);
    let outcome = result.map_or_else(Outcome::Failed, Outcome::Done);
    tell(s, object, id, &row.then, &Came::Outcome(outcome))
}

/// Work outside that did not come to its end is asked for again.
pub(crate) fn work_again(s: &mut Step<'_, '_>, place: &[u8], row: &[u8]) -> Result<(), StoreError> {
    let Some((key, id)) = activity_of(place) else { return Ok(()) };
    let row: ActivityRow = txn::decode(Table::Activity, row).map_err(|error| error.at(place))?;
    if !chores::is_under_way(s, Chore::ForgetObject(key))? || mutant!(WorkOfNobody) {
        let work = Work { key, id, name: row.name, arguments: row.arguments };
        s.out.push(Effect::Work(Box::new(work)));
    }
    Ok(())
}

/// Whose work outside a row is, and its id.
fn activity_of(place: &[u8]) -> Option<(ObjectKey, Uuid)> {
    let (key, id) = place.split_at_checked(ObjectKey::ROW_LEN)?;
    Some((ObjectKey::from_row(key)?, Uuid::from_slice(id).ok()?))
}

/// The work outside that is not done yet.
///
/// # Errors
/// When the store cannot be read.
pub fn works(rows: &dyn Read) -> Result<Vec<Work>, StoreError> {
    let mut works = Vec::new();
    activities(rows, &mut |key, id, row| {
        works.push(Work { key, id, name: row.name, arguments: row.arguments });
        ControlFlow::Continue(())
    })?;
    Ok(works)
}

/// Visits the work outside that is not done yet: for which object, under which id, and what. What cannot be read is left
/// out: its object is parked at the start.
///
/// # Errors
/// When the store cannot be read.
pub fn activities(
    rows: &dyn Read,
    visit: &mut dyn FnMut(ObjectKey, Uuid, ActivityRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    rows.scan(Table::Activity, &[], None, &mut |place, value| match (
        activity_of(place),
        txn::decode(Table::Activity, &value),
    ) {
        (Some((key, id)), Ok(row)) => visit(key, id, row),
        _ => ControlFlow::Continue(()),
    })
}

/// The kind of some work outside that is not done yet.
///
/// # Errors
/// When the store cannot be read.
pub fn work_of(rows: &dyn Read, key: &ObjectKey, id: &Uuid) -> Result<Option<String>, StoreError> {
    let row: Option<ActivityRow> = txn::get(rows, Table::Activity, &activity_key(key, id))?;
    Ok(row.map(|row| row.name))
}
