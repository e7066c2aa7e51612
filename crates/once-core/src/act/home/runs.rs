//! Asking whoever has a component, and what is to become of the answer.

use bytes::Bytes;
use once_model::action::cause_id;
use once_model::hash::record_hash;
use once_model::ids::{Hash, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, SCENARIO_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::wire::Code;

use super::built_in::{self, BuiltIn};
use super::come::{Busy, Come};
use super::consequences::{self, Fit};
use super::record::Made;
use crate::engine::Step;
use crate::object::{self, Draft, HeadRow};
use crate::refusal::Failure;
use crate::store::{Read, StoreError, Table};
use crate::waist::{Consequence, Effect, Run, RunResult, Wait};

/// Asks for a run. A runner that answers at once saves a commit and two threads' turns: then this is the answer. Else the object is
/// busy until that comes.
pub(super) fn ask(
    s: &mut Step<'_, '_>,
    come: &Come,
    head: &HeadRow,
    given: Vec<Bytes>,
) -> Result<Option<RunResult>, StoreError> {
    let place = object::body_key(&head.header);
    let body = s.txn.get(Table::Body, &place)?.ok_or_else(|| {
        StoreError::damaged(Table::Body, &place, format!("no bytes of {}", head.header.key()))
    })?;
    s.engine.act.runs += 1;
    let run = Run {
        run: s.engine.act.runs,
        key: head.header.key(),
        header: head.header.clone(),
        body,
        action: come.act.action.clone(),
        given,
        cause: cause(come),
        seed: seed(s, come),
        origin: come.origin.kernel,
        now_ms: s.ctx.now_ms,
    };
    if let Some(result) = s.ctx.runner.run(&run) {
        return Ok(Some(result));
    }
    let busy = Busy { run: run.run, base: head.header.id(), come: come.clone() };
    s.engine.act.busy.insert(run.key, busy);
    s.out.push(Effect::Run(Box::new(run)));
    Ok(None)
}

/// What stands for an action in the ids of its effects.
pub(super) fn cause(come: &Come) -> Uuid {
    let Come { origin, act, .. } = come;
    cause_id(&act.lane.key.uuid, &origin.incarnation, act.sequence, &act.action.id)
}

fn seed(s: &Step<'_, '_>, come: &Come) -> Hash {
    let secret = s.ctx.key.to_bytes();
    let record = [secret.as_slice(), cause(come).as_bytes(), come.origin.kernel.as_bytes()].concat();
    record_hash("once/2 seed", &record)
}

/// What becomes of what a component said.
pub(super) enum Verdict {
    /// All of this is to be written.
    Done { made: Box<Made>, result: Bytes, consequences: Vec<Consequence> },
    /// The component rejected it.
    Failed(Bytes),
    /// Nobody could be asked, or what came of it cannot be kept.
    Refused(Code),
    /// The disk has filled up while it ran.
    NotNow,
    /// A lane is full that its effects need.
    Busy,
    /// Nobody can be asked just now.
    Later(Wait),
}

/// Looks at what a component said, before anything of it is written but the claim that it needs.
pub(super) fn weigh(s: &mut Step<'_, '_>, head: &HeadRow, result: RunResult) -> Result<Verdict, StoreError> {
    // The disk may have filled up while it ran. It comes again: a refusal would be for ever, and an object would never
    // hear what came of its effect.
    if s.room_on_disk().is_err() {
        return Ok(Verdict::NotNow);
    }
    let (state, result, consequences) = match result {
        RunResult::Done { state, result, consequences } => (state, result, consequences),
        RunResult::Failed(reason) if reason.len() > ARGUMENTS_MAX_BYTES => {
            return Ok(Verdict::Refused(Code::TooLarge));
        }
        RunResult::Failed(reason) => return Ok(Verdict::Failed(reason)),
        RunResult::Refused(code) => return Ok(Verdict::Refused(code)),
        RunResult::Later(wait) => return Ok(Verdict::Later(wait)),
    };
    let too_large = result.len() > ARGUMENTS_MAX_BYTES
        || state.as_ref().is_some_and(|state| state.bytes().len() > SCENARIO_MAX_BYTES);
    let fit = if too_large { Fit::Never(Code::TooLarge) } else { consequences::fit(s, &consequences)? };
    match fit {
        Fit::Yes => {}
        Fit::Busy => return Ok(Verdict::Busy),
        Fit::Never(code) => return Ok(Verdict::Refused(code)),
    }
    match make(s, head.clone(), state, !consequences.is_empty()) {
        Ok(made) => Ok(Verdict::Done { made: Box::new(made), result, consequences }),
        Err(Failure::Store(error)) => Err(error),
        Err(Failure::Refused(refusal)) => Ok(Verdict::Refused(refusal.code())),
    }
}

/// What an action makes of its object: nothing, or its next revision. One that acts on others must have a name that
/// lasts: an unclaimed copy is claimed first, by an entry of its own.
fn make(s: &mut Step<'_, '_>, head: HeadRow, state: Option<Scenario>, acts: bool) -> Result<Made, Failure> {
    let state = match state {
        Some(state) => object::changed(s, &head, state)?,
        None => None,
    };
    let head = match head.home {
        None if acts || state.is_some() => {
            let claim = Draft::claim(s, head)?;
            built_in::carry_out(s, BuiltIn::Claim, built_in::Cause::Action, claim)?
        }
        _ => head,
    };
    Ok(match state {
        Some(state) => Made::Revision(Draft::next(s, head, &state)),
        None => Made::Nothing(head),
    })
}
