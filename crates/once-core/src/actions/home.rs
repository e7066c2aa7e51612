//! The home's side: runs what comes in its lane's order, and answers after the commit.

use std::collections::VecDeque;

use once_model::action::{Act, ActOutcome, After, Missing, Outcome};
use once_model::header::Cause;
use once_model::ids::{Hash, KernelId};
use once_model::limits::{ARGUMENTS_MAX_BYTES, LANE_WAITING_MAX, SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::wire::{Code, Frame};

use super::rows::{LaneRow, LedgerRow, Origin, lane_key, ledger_key};
use super::{origin, send};
use crate::content;
use crate::peers;
use crate::refusal::Failure;
use crate::rights;
use crate::rows::{self, HeadRow};
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Effect, Event, Ran, Run, RunResult};

/// Refused actions that are remembered for one connection.
const REFUSED_MAX: usize = 4 * WINDOW_MAX_SHARES;

/// An object that runs an action, and what waits for it. Only in memory: nothing of it is promised.
#[derive(Debug)]
pub(crate) struct Busy {
    /// Which run is awaited; the answer to another one is thrown away.
    run: u64,
    /// The revision that it runs on.
    base: Hash,
    origin: Origin,
    act: Act,
    waiting: VecDeque<(Origin, Act)>,
}

impl Busy {
    /// Whether this very action runs or waits already.
    fn holds(&self, origin: &Origin, act: &Act) -> bool {
        let same = |(of, other): (&Origin, &Act)| {
            of == origin
                && (other.key, other.sequence, other.action.id) == (act.key, act.sequence, act.action.id)
        };
        same((&self.origin, &self.act)) || self.waiting.iter().any(|(of, other)| same((of, other)))
    }
}

/// A peer sent an action.
pub(crate) fn come(s: &mut Step<'_, '_>, peer: KernelId, act: Act) -> Result<(), StoreError> {
    peers::heard(s, peer, act.commit);
    let Some(incarnation) = s.engine.links.get(&peer).map(|link| link.incarnation) else { return Ok(()) };
    arrived(s, Origin { kernel: peer, incarnation }, act)
}

/// An action is at this kernel.
pub(super) fn arrived(s: &mut Step<'_, '_>, origin: Origin, act: Act) -> Result<(), StoreError> {
    let now = content::current_key(s, &act.key)?;
    if let Some(busy) = s.engine.busy.get_mut(&now) {
        // What does not fit is sent again: nothing was promised.
        if busy.waiting.len() < LANE_WAITING_MAX && !busy.holds(&origin, &act) {
            busy.waiting.push_back((origin, act));
        }
        return Ok(());
    }
    begin(s, origin, act)
}

/// Takes one action as far as it goes without waiting.
fn begin(s: &mut Step<'_, '_>, origin: Origin, act: Act) -> Result<(), StoreError> {
    let place = lane_key(&act.key, &origin);
    let lane: LaneRow = txn::get(s.txn, Table::Lane, &place)?.unwrap_or_default();
    if act.sequence <= lane.mark {
        return answer_again(s, &origin, &place, &act);
    }
    if act.sequence > lane.mark.max(act.floor.saturating_sub(1)).saturating_add(1) {
        let from = lane.mark.max(act.floor.saturating_sub(1)) + 1;
        let missing = Missing { key: act.key, from };
        return tell(s, &origin, Frame::Missing(missing));
    }
    let head = match allowed(s, &origin, &act)? {
        Ok(head) => head,
        Err(code) => return refuse(s, &origin, &act, code),
    };
    // A copy of what was refused on this connection: it stays refused, whatever was granted since.
    if let Some(code) = refused_before(s, &origin, &act) {
        return answer(s, &origin, &act, Outcome::Refused(code), None);
    }
    // Not run yet, and nothing is promised: it comes again.
    if s.room_on_disk().is_err() {
        return Ok(());
    }
    if act.remaining_ms == Some(0) {
        return record(s, &origin, &act, Outcome::Refused(Code::Expired), &head);
    }
    if let Err(code) = act.action.check() {
        return record(s, &origin, &act, Outcome::Refused(code), &head);
    }
    run(s, origin, act, head)
}

/// Nothing is written for who may not act: its floor passes this sequence when it has the answer. What was refused is
/// remembered while the connection lasts, because copies of it may be under way on it.
fn refuse(s: &mut Step<'_, '_>, origin: &Origin, act: &Act, code: Code) -> Result<(), StoreError> {
    let (key, floor, sequence) = (act.key, act.floor, act.sequence);
    if let Some(link) = s.engine.links.get_mut(&origin.kernel) {
        link.refused.retain(|(lane, at), _| *lane != key || *at >= floor);
        if link.refused.len() >= REFUSED_MAX && !link.refused.contains_key(&(key, sequence)) {
            // More than an honest peer ever has unanswered.
            return Ok(());
        }
        link.refused.insert((key, sequence), code);
    }
    answer(s, origin, act, Outcome::Refused(code), None)
}

fn refused_before(s: &Step<'_, '_>, origin: &Origin, act: &Act) -> Option<Code> {
    s.engine.links.get(&origin.kernel)?.refused.get(&(act.key, act.sequence)).copied()
}

/// The object, if the origin may do this to it here.
fn allowed(s: &Step<'_, '_>, origin: &Origin, act: &Act) -> Result<Result<HeadRow, Code>, StoreError> {
    let key = content::current_key(s, &act.key)?;
    let Some(head) = rows::head(s.txn, &key)? else { return Ok(Err(Code::Denied)) };
    let own = origin.kernel == s.ctx.me;
    if !own && !rights::may_act(s.txn, &origin.kernel, &head, &act.action.name, s.ctx.now_ms)? {
        return Ok(Err(Code::Denied));
    }
    if head.home.is_some_and(|home| home != s.ctx.me) {
        return Ok(Err(Code::NotHome));
    }
    Ok(if head.header.tombstone { Err(Code::Denied) } else { Ok(head) })
}

/// Asks for a run. A runner that answers at once saves a commit and two threads' turns.
fn run(s: &mut Step<'_, '_>, origin: Origin, act: Act, head: HeadRow) -> Result<(), StoreError> {
    let body = s.txn.get(Table::Body, &rows::body_key(&head.header))?.ok_or_else(|| StoreError::Damaged {
        table: Table::Body,
        reason: format!("no bytes of {}", head.header.key()),
    })?;
    s.engine.runs += 1;
    let run = Run {
        run: s.engine.runs,
        key: head.header.key(),
        header: head.header.clone(),
        body,
        action: act.action.clone(),
        origin: origin.kernel,
        now_ms: s.ctx.now_ms,
    };
    if let Some(result) = s.ctx.runner.run(&run) {
        return finish(s, &origin, &act, head, result);
    }
    let busy = Busy { run: run.run, base: head.header.id(), origin, act, waiting: VecDeque::new() };
    s.engine.busy.insert(run.key, busy);
    s.out.push(Effect::Run(Box::new(run)));
    Ok(())
}

/// A run came to its end: its outcome, if the object is still what it ran on. Then what waited for the object.
pub(crate) fn ran(s: &mut Step<'_, '_>, ran: Ran) -> Result<(), StoreError> {
    if s.engine.busy.get(&ran.key).is_none_or(|busy| busy.run != ran.run) {
        return Ok(());
    }
    let Some(busy) = s.engine.busy.remove(&ran.key) else { return Ok(()) };
    let key = content::current_key(s, &ran.key)?;
    match rows::head(s.txn, &key)? {
        Some(head) if head.header.id() == busy.base || mutant!(RunOnStaleState) => {
            // The right may have been taken back while it ran.
            match allowed(s, &busy.origin, &busy.act)? {
                Ok(_) => finish(s, &busy.origin, &busy.act, head, ran.result)?,
                Err(code) => refuse(s, &busy.origin, &busy.act, code)?,
            }
        }
        // It was changed or removed meanwhile: look again at what is there now.
        _ => arrived(s, busy.origin, busy.act)?,
    }
    for (origin, act) in busy.waiting {
        arrived(s, origin, act)?;
    }
    let me = s.ctx.me;
    send::pump(s, me)
}

/// The component has answered: all that follows from it is written in this transaction, or nothing.
fn finish(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    head: HeadRow,
    result: RunResult,
) -> Result<(), StoreError> {
    let cause = Cause {
        origin: origin.kernel,
        incarnation: origin.incarnation,
        sequence: act.sequence,
        id: act.action.id,
        acting: act.action.acting,
    };
    match result {
        RunResult::Done { state, result } => {
            let too_large = result.len() > ARGUMENTS_MAX_BYTES
                || state.as_ref().is_some_and(|state| state.bytes().len() > SCENARIO_MAX_BYTES);
            if too_large {
                return record(s, origin, act, Outcome::Refused(Code::TooLarge), &head);
            }
            let after = match state {
                None => head.clone(),
                Some(state) => match content::acted(s, head.clone(), &state, cause) {
                    Ok(after) => after,
                    Err(Failure::Store(error)) => return Err(error),
                    Err(Failure::Refused(refusal)) => {
                        return record(s, origin, act, Outcome::Refused(refusal.code()), &head);
                    }
                },
            };
            record(s, origin, act, Outcome::Done(result), &after)
        }
        RunResult::Failed(reason) if reason.len() > ARGUMENTS_MAX_BYTES => {
            record(s, origin, act, Outcome::Refused(Code::TooLarge), &head)
        }
        RunResult::Failed(reason) => record(s, origin, act, Outcome::Failed(reason), &head),
        RunResult::Refused(code) => record(s, origin, act, Outcome::Refused(code), &head),
    }
}

/// Writes what came of an action, and answers after the commit.
fn record(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: Outcome,
    head: &HeadRow,
) -> Result<(), StoreError> {
    let place = lane_key(&act.key, origin);
    let lane: LaneRow = txn::get(s.txn, Table::Lane, &place)?.unwrap_or_default();
    let after = Some(After { key: head.header.key(), revision: head.header.id() });
    let kept_from = forget_results(s, &place, lane.kept_from, act.floor)?;
    if !mutant!(ForgetMark) {
        s.txn.put(Table::Lane, &place, &LaneRow { mark: act.sequence, kept_from });
    }
    let row = LedgerRow {
        id: act.action.id,
        hash: act.action.hash(&act.key.uuid),
        outcome: (!mutant!(ForgetResult)).then(|| outcome.clone()),
        after,
        at_ms: s.ctx.now_ms,
    };
    s.txn.put(Table::Ledger, &ledger_key(&place, act.sequence), &row);
    s.out.push(Effect::Event(Event::Acted {
        key: head.header.key(),
        id: act.action.id,
        outcome: outcome.clone(),
    }));
    answer(s, origin, act, outcome, after)
}

/// Results that the origin has on its disk are dropped here; that they ran stays. At most a few at once: the floor
/// moves with every action.
fn forget_results(s: &mut Step<'_, '_>, lane: &[u8], from: u64, floor: u64) -> Result<u64, StoreError> {
    const AT_ONCE: u64 = 8;
    let from = from.max(1);
    let to = floor.min(from.saturating_add(AT_ONCE));
    for sequence in from..to {
        let place = ledger_key(lane, sequence);
        if let Some(row) = txn::get::<LedgerRow>(s.txn, Table::Ledger, &place)? {
            s.txn.put_lazily(Table::Ledger, &place, &LedgerRow { outcome: None, ..row });
        }
    }
    Ok(to.max(from))
}

/// A sequence that has its outcome already. The same action gets it again; another one shows that one of the two
/// kernels has lost what it had written, and gets nothing.
fn answer_again(s: &mut Step<'_, '_>, origin: &Origin, lane: &[u8], act: &Act) -> Result<(), StoreError> {
    let row: Option<LedgerRow> = txn::get(s.txn, Table::Ledger, &ledger_key(lane, act.sequence))?;
    let same = |row: &LedgerRow| row.id == act.action.id && row.hash == act.action.hash(&act.key.uuid);
    match row {
        Some(row) if same(&row) => match row.outcome {
            Some(outcome) => answer(s, origin, act, outcome, row.after),
            // Its floor said that it has it.
            None => Ok(()),
        },
        Some(_) => {
            let event = Event::LaneForked { peer: origin.kernel, key: act.key, sequence: act.sequence };
            s.out.push(Effect::Event(event));
            Ok(())
        }
        None => Ok(()),
    }
}

fn answer(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: Outcome,
    after: Option<After>,
) -> Result<(), StoreError> {
    let commit = Some(peers::told_after_commit(s));
    let outcome =
        ActOutcome { key: act.key, sequence: act.sequence, id: act.action.id, outcome, after, commit };
    tell(s, origin, Frame::Outcome(outcome))
}

/// Says something to the origin of a lane, which may be this kernel.
fn tell(s: &mut Step<'_, '_>, origin: &Origin, frame: Frame) -> Result<(), StoreError> {
    let peer: KernelId = origin.kernel;
    match frame {
        Frame::Outcome(outcome) if peer == s.ctx.me => origin::outcome(s, peer, &outcome),
        // Here nothing is lost between the two sides.
        _ if peer == s.ctx.me => Ok(()),
        frame => {
            if let Some(conn) = s.up(&peer) {
                s.out.send(peer, conn, frame);
            }
            Ok(())
        }
    }
}
