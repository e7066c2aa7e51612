//! The home's side: runs what comes in its lane's order, and answers after the commit.

use std::collections::VecDeque;

use bytes::Bytes;
use once_model::action::{Act, BUILT_IN_FROM, Missing, Outcome};
use once_model::ids::KernelId;
use once_model::wire::{Code, Frame};

use super::come::{Busy, Come, Lane};
use super::record::{Said, answer, answer_again, end, record, tell};
use super::runs::{self, Verdict};
use super::waiting::{For, Unasked};
use super::{consequences, given, leaving, marks, own, put_off};
use crate::act::guests;
use crate::act::origin::{lanes, send, slow};
use crate::act::rows::{Origin, lane_key};
use crate::engine::Step;
use crate::object::{self, HeadRow};
use crate::store::{Read, StoreError, Table};
use crate::waist::{Ran, RunResult, Wait};
use crate::{access, moving, peers, share};

/// Most lanes that go on in one step: keeps a step short.
const STEP_LANES: usize = 32;

/// A peer sent an action.
pub(crate) fn come(s: &mut Step<'_, '_>, peer: KernelId, act: Act) -> Result<(), StoreError> {
    peers::heard(s, peer, act.commit);
    let Some(incarnation) = s.engine.peers.links.get(&peer).map(|link| link.incarnation) else {
        return Ok(());
    };
    if never_of_a_peer(&act) {
        return Ok(());
    }
    guests::look(s, peer, &act)?;
    received(s, Origin { kernel: peer, incarnation }, act)
}

/// Whether a peer never sends this. Only an object's own home tells it what came of its effects, and changes it without a
/// component; and a lane begins at 1.
fn never_of_a_peer(act: &Act) -> bool {
    act.action.answers.is_some() || act.sequence == 0 || act.sequence >= BUILT_IN_FROM
}

/// An action of this kernel is at its home, which is here. What is behind one that takes its time comes again, from the
/// queue.
pub(crate) fn come_from_here(s: &mut Step<'_, '_>, act: Act) -> Result<(), StoreError> {
    let lane = lanes::to(s, act.lane, s.ctx.me)?;
    let is_first = lanes::lane(s, &lane)?.is_some_and(|lane| lane.floor == act.sequence);
    if slow::is_slow(s, &lane) && !is_first {
        return Ok(());
    }
    let origin = lanes::myself(s)?;
    received(s, origin, act)
}

/// An action is at this kernel.
pub(crate) fn received(s: &mut Step<'_, '_>, origin: Origin, act: Act) -> Result<(), StoreError> {
    let at_ms = s.ctx.now_ms;
    arrive(s, Come { origin, act, at_ms, shown: Vec::new() })
}

/// An action is at this kernel, or its turn has come again.
fn arrive(s: &mut Step<'_, '_>, come: Come) -> Result<(), StoreError> {
    let lane = come.lane();
    let behind = s.guarded((lane.0.kernel, lane.1.key), |s| look(s, come))?;
    go(s, lane, behind.unwrap_or_default())
}

/// Actions of one lane go on, in their order, as far as they can.
pub(crate) fn go(s: &mut Step<'_, '_>, lane: Lane, mut comes: VecDeque<Come>) -> Result<(), StoreError> {
    while let Some(come) = comes.pop_front() {
        arrive(s, come)?;
        if comes.is_empty() {
            break;
        }
        // What the first of them waits for, or does, all behind it wait for.
        if let Some(standing) = s.engine.act.waiting.take(&lane) {
            let all = standing.comes.into_iter().chain(comes).collect();
            s.engine.act.waiting.stand(lane, standing.waits, all);
            break;
        }
        let key = object::current_key(s.txn, &lane.1.key)?;
        if s.engine.act.busy.contains_key(&key) {
            s.engine.act.waiting.stand(lane, For::Object { key }, comes);
            break;
        }
    }
    Ok(())
}

/// A lane that stood still goes on: one of another kernel with what has come of it, one of this kernel from its queue.
pub(crate) fn go_again(s: &mut Step<'_, '_>, lane: Lane, comes: VecDeque<Come>) -> Result<(), StoreError> {
    if lane.0.kernel != s.ctx.me {
        return go(s, lane, comes);
    }
    match send::first(s, lane.1)? {
        Some(act) => come_from_here(s, act),
        None => Ok(()),
    }
}

/// Looks at one action: it waits, or is taken as far as it goes. Returns what waited behind it, if its lane goes on.
fn look(s: &mut Step<'_, '_>, come: Come) -> Result<VecDeque<Come>, StoreError> {
    let lane = come.lane();
    let key = object::current_key(s.txn, &lane.1.key)?;
    let busy = s.engine.act.busy.get(&key).map(|busy| busy.come.is_same(&come));
    if busy == Some(true) {
        return Ok(VecDeque::new());
    }
    let held = leaving::is_held(s, &key, &come)?;
    let Some((come, mut behind)) = turn(s, come, (busy.is_some(), held)) else { return Ok(VecDeque::new()) };
    // Who may not act takes no place, and must not learn from silence that the object runs, or is about to leave.
    if (busy.is_some() || held) && allowed(s, &come)?.is_ok() {
        let waits = if held { For::Leaving { key } } else { For::Object { key } };
        if come.origin.kernel == s.ctx.me {
            // It is sent again from the queue: what comes behind it leaves the window, for other objects.
            slow::slow_down(s, lane.1)?;
            s.engine.act.waiting.stand(lane, waits, VecDeque::new());
        } else if s.engine.act.waiting.has_room(&come) {
            behind.push_front(come);
            s.engine.act.waiting.stand(lane, waits, behind);
        }
        return Ok(VecDeque::new());
    }
    begin(s, &come)?;
    Ok(behind)
}

/// Whether it is an action's turn in its lane. If the lane stands still, it waits behind what the lane waits for;
/// otherwise it is returned, with those that waited behind it.
fn turn(
    s: &mut Step<'_, '_>,
    come: Come,
    (is_busy, is_held): (bool, bool),
) -> Option<(Come, VecDeque<Come>)> {
    let lane = come.lane();
    let waiting = &mut s.engine.act.waiting;
    let Some(standing) = waiting.get_mut(&lane) else { return Some((come, VecDeque::new())) };
    let is_first = standing.comes.front().is_none_or(|first| first.is_same(&come));
    let goes_on = match &standing.waits {
        For::Object { .. } => is_first && !is_busy,
        For::Leaving { .. } => is_first && !is_held,
        // Taken back, it need not wait.
        For::Scenarios { .. } => is_first && come.act.void.is_some(),
        // Sent again, it is tried again.
        For::Program(_) => is_first,
    };
    if goes_on {
        let mut comes = waiting.take(&lane)?.comes;
        // What was shown for it while it waited need not be shown again.
        let shown = comes.pop_front().map(|first| first.shown).unwrap_or_default();
        return Some((Come { shown, ..come }, comes));
    }
    match is_first {
        true if matches!(standing.waits, For::Scenarios { .. }) => given::ask_again(s, &come),
        _ if come.origin.kernel != s.ctx.me => waiting.line_up(come),
        _ => {}
    }
    None
}

/// Takes one action as far as it goes without waiting.
fn begin(s: &mut Step<'_, '_>, come: &Come) -> Result<(), StoreError> {
    let Come { origin, act, .. } = come;
    let place = lane_key(&act.lane, origin);
    let mark = marks::mark(s, &place)?;
    if act.sequence <= mark {
        return answer_again(s, origin, &place, act);
    }
    // Before it is asked for what is missing: of a long lane without a right, each refusal would bring all that is
    // behind it once more. What is refused never runs, so its order does not matter.
    let head = match allowed(s, come)? {
        Ok(head) => head,
        // It may have left: who had to do with it is told to where.
        Err(_) if moving::points_on(s, &origin.kernel, &act.lane.key)? => return Ok(()),
        Err(code) => return refuse(s, origin, act, code),
    };
    let from = mark.max(act.floor.saturating_sub(1)).saturating_add(1);
    if act.sequence > from {
        return tell(s, origin, Frame::Missing(Missing { lane: act.lane, from }));
    }
    // A copy of what was refused on this connection: it stays refused, whatever was granted since.
    if let Some(code) = refused_before(s, origin, act) {
        return answer(s, origin, act, Said::refused(code));
    }
    // Not run yet, and nothing is promised: it comes again.
    if s.room_on_disk().is_err() {
        return Ok(());
    }
    if let Some(code) = act.void {
        let known = matches!(code, Code::Cancelled | Code::Lacking);
        let code = if known { code } else { Code::Expired };
        return end(s, come, Outcome::Refused(code), head);
    }
    if is_late(s, come) {
        return end(s, come, Outcome::Refused(Code::Expired), head);
    }
    if let Err(code) = act.action.check() {
        return end(s, come, Outcome::Refused(code), head);
    }
    // Looked at anew: a right to read may have ended while it waited for others.
    let lacks = given::lacks(s, come)?;
    if !lacks.is_empty() && origin.kernel != s.ctx.me {
        return given::hold(s, come.clone(), lacks);
    }
    let given = match lacks.is_empty() {
        true => given::bodies(s, &act.action.given)?,
        false => Err(Code::Lacking),
    };
    match given {
        Ok(given) => run(s, come, head, given),
        Err(code) => end(s, come, Outcome::Refused(code), head),
    }
}

fn is_late(s: &Step<'_, '_>, come: &Come) -> bool {
    let waited_ms = s.ctx.now_ms.saturating_sub(come.at_ms);
    come.act.remaining_ms.is_some_and(|remaining_ms| remaining_ms <= waited_ms)
}

/// Refuses an action whose time here is over, if its lane still stands there.
pub(crate) fn refuse_recorded(s: &mut Step<'_, '_>, come: &Come, code: Code) -> Result<(), StoreError> {
    if come.act.sequence <= marks::mark(s, &lane_key(&come.act.lane, &come.origin))? {
        return Ok(());
    }
    match allowed(s, come)? {
        Ok(head) => end(s, come, Outcome::Refused(code), head),
        Err(code) => refuse(s, &come.origin, &come.act, code),
    }
}

/// Nothing is written for who may not act: its floor passes this sequence when it has the answer. What was refused is
/// remembered while the connection lasts, because copies of it may be under way on it.
fn refuse(s: &mut Step<'_, '_>, origin: &Origin, act: &Act, code: Code) -> Result<(), StoreError> {
    if let Some(link) = s.engine.peers.links.get_mut(&origin.kernel) {
        link.act.refused.add((act.lane, act.sequence), code);
    }
    answer(s, origin, act, Said::refused(code))
}

fn refused_before(s: &Step<'_, '_>, origin: &Origin, act: &Act) -> Option<Code> {
    s.engine.peers.links.get(&origin.kernel)?.act.refused.get(&(act.lane, act.sequence))
}

/// The object, if the origin may do this to it here.
fn allowed(s: &Step<'_, '_>, come: &Come) -> Result<Result<HeadRow, Code>, StoreError> {
    let action = &come.act.action;
    let key = object::current_key(s.txn, &come.act.lane.key)?;
    let Some(head) = object::head(s.txn, &key)? else { return Ok(Err(Code::Denied)) };
    let guest = come.act.guest == Some(true);
    let actor = access::Actor { kernel: &come.origin.kernel, object: action.acting.as_ref(), guest };
    if !access::may_act(s.txn, &s.ctx.me, actor, &head, &action.name, s.ctx.now_ms)? {
        return Ok(Err(Code::Denied));
    }
    // There are no takeovers yet; and who knows another certificate than the home's speaks of another home.
    let is_other = come.act.certificate.is_some() && come.act.certificate != head.header.certificate;
    if head.home.is_some_and(|home| home != s.ctx.me) || is_other || come.act.lane.takeover.is_some() {
        return Ok(Err(Code::NotHome));
    }
    // A copy that came from another kernel has no home before somebody claims it.
    if head.home.is_none() && head.from.is_some() {
        return Ok(Err(Code::NotHome));
    }
    if object::is_of_earlier_life(s, &head)? {
        return Ok(Err(Code::Quarantined));
    }
    if head.header.tombstone {
        return Ok(Err(Code::Denied));
    }
    Ok(if has_room_for_lane(s, come)? { Ok(head) } else { Err(Code::Quota) })
}

/// Whether the lane has begun, or its origin's quota has room for one more.
fn has_room_for_lane(s: &Step<'_, '_>, come: &Come) -> Result<bool, StoreError> {
    let peer = &come.origin.kernel;
    if *peer == s.ctx.me || s.txn.get(Table::Lane, &lane_key(&come.act.lane, &come.origin))?.is_some() {
        return Ok(true);
    }
    share::has_room(s, peer, object::LANE_COST_BYTES)
}

/// Asks for a run.
fn run(s: &mut Step<'_, '_>, come: &Come, head: HeadRow, given: Vec<Bytes>) -> Result<(), StoreError> {
    if let Some(result) = runs::ask(s, come, &head, given)? {
        return finish(s, come, head, result);
    }
    if come.origin.kernel == s.ctx.me {
        slow::slow_down(s, come.act.lane)?;
    }
    Ok(())
}

/// A run came to its end: its outcome, if the object is still what it ran on. Then what waited for the object.
pub(crate) fn ran(s: &mut Step<'_, '_>, ran: Ran) -> Result<(), StoreError> {
    if s.engine.act.busy.get(&ran.key).is_none_or(|busy| busy.run != ran.run) {
        return Ok(());
    }
    let Some(busy) = s.engine.act.busy.remove(&ran.key) else { return Ok(()) };
    let (origin, name) = busy.come.lane();
    s.guarded((origin.kernel, name.key), |s| ended(s, busy, ran.result))?;
    s.engine.act.waiting.free.insert(ran.key);
    s.engine.moving.touch(&ran.key);
    go_on(s)?;
    let me = s.ctx.me;
    share::pump(s, me);
    Ok(())
}

fn ended(s: &mut Step<'_, '_>, busy: Busy, result: RunResult) -> Result<(), StoreError> {
    if let Some(what) = own::of(&busy.come.act) {
        return own::ended(s, what, &busy, result);
    }
    let come = busy.come;
    let key = object::current_key(s.txn, &come.act.lane.key)?;
    match object::head(s.txn, &key)? {
        Some(head) if head.header.id() == busy.base || mutant!(RunOnStaleState) => {
            // The right may have been taken back while it ran.
            match allowed(s, &come)? {
                Ok(_) => finish(s, &come, head, result),
                Err(code) => refuse(s, &come.origin, &come.act, code),
            }
        }
        // It was changed or removed meanwhile: look again at what is there now, before what came behind it.
        _ => {
            let lane = come.lane();
            let mut comes =
                s.engine.act.waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
            comes.push_front(come);
            go(s, lane, comes)
        }
    }
}

/// Lanes that wait for objects which run nothing any more go on in turn, a few in each step.
pub(crate) fn go_on(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    for _ in 0..STEP_LANES {
        let Some(key) = s.engine.act.waiting.free.first().copied() else { return Ok(()) };
        let next = s.engine.act.waiting.next_of(&key).filter(|_| !s.engine.act.busy.contains_key(&key));
        let Some(lane) = next else {
            s.engine.act.waiting.free.remove(&key);
            continue;
        };
        let comes = s.engine.act.waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
        go_again(s, lane, comes)?;
    }
    let me = s.ctx.me;
    share::pump_later(s, me);
    Ok(())
}

/// The component has answered: all that follows from it is written in this transaction, or nothing.
fn finish(s: &mut Step<'_, '_>, come: &Come, head: HeadRow, result: RunResult) -> Result<(), StoreError> {
    let Come { origin, act, .. } = come;
    match runs::weigh(s, &head, result)? {
        Verdict::Done { made, result, consequences } => {
            let object = record(s, origin, act, Outcome::Done(result), *made)?;
            if mutant!(ForgetEffects) {
                return Ok(());
            }
            consequences::carry_out(s, object, (&origin.kernel, &runs::cause(come)), consequences)
        }
        Verdict::Failed(reason) => end(s, come, Outcome::Failed(reason), head),
        Verdict::Refused(code) => not_kept(s, come, &head, code),
        Verdict::NotNow => Ok(()),
        // Not run yet: it comes again.
        Verdict::Busy => match origin.kernel == s.ctx.me {
            true => slow::slow_down(s, act.lane),
            false => Ok(()),
        },
        Verdict::Later(wait) => {
            let why = match wait {
                Wait::ForRoom => Unasked::NoRoom,
                Wait::ForItself => Unasked::Itself,
            };
            put_off::hold(s, come, &head, why)
        }
    }
}

/// Whoever was asked cannot take the action, or what came of it cannot be kept: it is refused. What tells an object what
/// came of its effect is never refused: nobody would tell it again. It waits for a program that can take it.
fn not_kept(s: &mut Step<'_, '_>, come: &Come, head: &HeadRow, code: Code) -> Result<(), StoreError> {
    if come.act.action.answers.is_some() && !mutant!(RefuseAnswer) {
        return put_off::hold(s, come, head, Unasked::Refused(code));
    }
    end(s, come, Outcome::Refused(code), head.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Alone, asked};
    use crate::waist::{Input, LinkEvent};

    #[test]
    fn an_act_of_a_peer_without_a_place_in_a_lane_is_ignored() {
        let mut kernel = Alone::new();
        let (peer, key) = (kernel.peer(9).kernel, kernel.object(1, "Open"));
        let event = LinkEvent::Up { conn: 1, dialled: true, address: None };
        kernel.input(Input::Link { peer, event });
        let before = kernel.rows();
        for sequence in [0, BUILT_IN_FROM, BUILT_IN_FROM + 1, u64::MAX] {
            // Its floor makes it the next of its lane.
            let act = Act { floor: sequence, ..asked(key, sequence, "1".into()) };
            kernel.step(|s| {
                come(s, peer, act)?;
                assert!(s.out.now.is_empty() && s.out.after.is_empty(), "{sequence}: {:?}", s.out);
                Ok(())
            });
            assert_eq!(kernel.rows(), before, "{sequence}");
        }
        for sequence in [1, BUILT_IN_FROM - 1] {
            let before = kernel.rows();
            let act = Act { floor: sequence, ..asked(key, sequence, "1".into()) };
            kernel.step(|s| come(s, peer, act));
            assert_ne!(kernel.rows(), before, "{sequence}");
        }
    }

    /// A mark is kept for ever, and each incarnation of a peer begins new lanes.
    #[test]
    fn lanes_count_against_the_quota_of_who_begins_them() {
        let mut kernel = Alone::new();
        let mut origin = kernel.peer(9);
        let key = kernel.object(1, "Open");
        let quota_bytes = Some(2 * object::LANE_COST_BYTES);
        let (peer, petname, addresses) = (origin.kernel, None, Vec::new());
        kernel.command(crate::waist::Command::ChangePeer { peer, petname, quota_bytes, addresses });
        let mut acts = |life: u8, sequence| {
            origin.incarnation = once_model::ids::Incarnation::from_bytes([life; 16]);
            let before = kernel.rows().iter().filter(|(table, ..)| *table == Table::Ledger).count();
            kernel.acts(origin, key, sequence, "1".into());
            let stored_bytes = share::usage(&kernel.store, &peer).unwrap().stored_bytes;
            let after = kernel.rows().iter().filter(|(table, ..)| *table == Table::Ledger).count();
            (after - before, stored_bytes / object::LANE_COST_BYTES)
        };
        assert_eq!(acts(1, 1), (1, 1));
        assert_eq!(acts(1, 2), (1, 1), "a lane counts once");
        assert_eq!(acts(2, 1), (1, 2));
        assert_eq!(acts(3, 1), (0, 2), "there is no room for one more");
        assert_eq!(acts(2, 2), (1, 2), "those that have begun go on");
    }
}
