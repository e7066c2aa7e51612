//! The origin's side: an action is accepted once, given its place in a lane, and owed to the object's home until the
//! outcome is here.

use once_model::action::{ActOutcome, Action, LaneName, Outcome};
use once_model::ids::{KernelId, Line, ObjectKey, Uuid};
use once_model::limits::QUEUE_MAX_ROWS;
use once_model::wire::Code;

use super::effects::{self, Came};
use super::requests::{self, request};
use super::rows::{Origin, QueueRow, RequestRow, SendingRow, queue_key};
use super::{send, slow};
use crate::content;
use crate::meta;
use crate::peers;
use crate::refusal::{Failure, Refusal};
use crate::rows;
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::timers;
use crate::txn;
use crate::waist::{Answer, Effect, Event, Token};

/// What a client wants done.
pub(crate) struct Wish {
    pub key: ObjectKey,
    pub at: Option<KernelId>,
    pub action: Action,
    pub deadline_ms: Option<u64>,
    pub wait: bool,
}

/// A client wants an action done.
pub(crate) fn act(s: &mut Step<'_, '_>, token: Token, wish: Wish) -> Result<Option<Answer>, Failure> {
    let Wish { key, at, action, deadline_ms, wait } = wish;
    let hash = action.hash(&key.uuid);
    let id = action.id;
    if let Some(known) = request(s.txn, &id)? {
        if known.hash != hash && !mutant!(IdForTwo) {
            return Err(Refusal::IdReused { id, first: known.hash, now: hash }.into());
        }
        return Ok(known_outcome(s, token, id, known, wait));
    }
    s.room_on_disk()?;
    action.check().map_err(|code| Refusal::BadAction { code })?;
    requests::check_id(s, &id)??;
    let (key, home) = lane_for(s, key, at)?;
    let waiting = sending(s, &home, &key)?.map_or(0, |lane| lane.last + 1 - lane.floor);
    if waiting >= QUEUE_MAX_ROWS {
        return Err(Refusal::OutboxFull { peer: home, rows: QUEUE_MAX_ROWS }.into());
    }
    let since_ms = s.ctx.now_ms;
    let deadline_ms = deadline_ms.map(|after_ms| since_ms.saturating_add(after_ms));
    let row = QueueRow { action, since_ms, deadline_ms, void: None, call: None };
    let place = enqueue(s, home, key, row)?;
    let row = RequestRow { hash, key, home, sequence: place.1, outcome: None, after: None, since_ms };
    requests::add(s, &id, &row)?;
    if !mutant!(LazyQueue) {
        s.txn.require_sync();
    }
    if wait {
        s.engine.acts.entry(id).or_default().push(token);
    }
    send::owe(s, home, place)?;
    Ok((!wait).then_some(Answer::Accepted))
}

/// The answer to a client that asks for what was accepted before: at once if it is there or the client does not wait.
fn known_outcome(
    s: &mut Step<'_, '_>,
    token: Token,
    id: Uuid,
    known: RequestRow,
    wait: bool,
) -> Option<Answer> {
    match known.outcome {
        Some(outcome) => Some(Answer::Acted { outcome, after: known.after }),
        None if wait => {
            s.engine.acts.entry(id).or_default().push(token);
            None
        }
        None => Some(Answer::Accepted),
    }
}

/// Gives an action the next place of its lane, and writes it down.
pub(super) fn enqueue(
    s: &mut Step<'_, '_>,
    home: KernelId,
    key: ObjectKey,
    row: QueueRow,
) -> Result<(ObjectKey, u64), StoreError> {
    let mut lane = sending(s, &home, &key)?.unwrap_or(SendingRow { last: 0, floor: 1, now: None });
    lane.last += 1;
    s.txn.put_lazily(Table::Sending, &rows::peer_object_key(&home, &key), &lane);
    let place = queue_key(&home, &key, lane.last);
    s.txn.put_new_lazily(Table::Queue, &place, &row);
    if let Some(deadline_ms) = row.deadline_ms {
        timers::set_deadline(s, deadline_ms, &place);
    }
    Ok((key, lane.last))
}

/// A client takes an action back. It gets the outcome that the action has or will have: whether it was in time, only
/// the home can say.
pub(crate) fn cancel(
    s: &mut Step<'_, '_>,
    token: Token,
    id: Uuid,
    wait: bool,
) -> Result<Option<Answer>, Failure> {
    let known = request(s.txn, &id)?.ok_or(Refusal::NoAction(id))?;
    if known.outcome.is_none() {
        // Before the void is sent, it must be certain that the action itself will never be sent again.
        s.txn.require_sync();
        if wait {
            s.engine.acts.entry(id).or_default().push(token);
        }
        make_void(s, &known.home, (known.key, known.sequence), Code::Cancelled)?;
        return Ok((!wait).then_some(Answer::Accepted));
    }
    Ok(known_outcome(s, token, id, known, wait))
}

/// A person takes back an action that no client asks for: it becomes a void, and whoever waits for it is told so.
pub(crate) fn drop_one(
    s: &mut Step<'_, '_>,
    home: KernelId,
    place: (ObjectKey, u64),
    id: Uuid,
) -> Result<Answer, Failure> {
    let row: Option<QueueRow> = txn::get(s.txn, Table::Queue, &queue_key(&home, &place.0, place.1))?;
    if row.is_none_or(|row| row.action.id != id) {
        return Err(Refusal::NoAction(id).into());
    }
    // As with what a client takes back: the action itself is never sent again.
    s.txn.require_sync();
    make_void(s, &home, place, Code::Cancelled)?;
    Ok(Answer::Done)
}

/// Makes an action a void, and sends that if the action is under way.
pub(crate) fn make_void(
    s: &mut Step<'_, '_>,
    home: &KernelId,
    place: (ObjectKey, u64),
    why: Code,
) -> Result<(), StoreError> {
    let row_key = queue_key(home, &place.0, place.1);
    let Some(mut row) = txn::get::<QueueRow>(s.txn, Table::Queue, &row_key)? else { return Ok(()) };
    if row.void.is_some() {
        return Ok(());
    }
    row.void = Some(why);
    s.txn.put_lazily(Table::Queue, &row_key, &row);
    send::again(s, *home, place)
}

/// The name of the lane to an object, and where it leads.
pub(super) fn lane_for(
    s: &Step<'_, '_>,
    asked: ObjectKey,
    at: Option<KernelId>,
) -> Result<(ObjectKey, KernelId), Failure> {
    let current = content::current_key(s, &asked)?;
    let head = rows::head(s.txn, &current)?;
    let home = match (asked.line, at, head.as_ref().map(|head| head.home)) {
        // Several kernels may have claimed one copy: whose object is meant, only the client can say.
        (Line::Unclaimed(_), Some(at), _) => at,
        (.., Some(Some(home))) => home,
        (_, Some(at), _) => at,
        // An unclaimed copy that was imported here is claimed by its first change.
        (_, None, Some(None)) => s.ctx.me,
        (_, None, None) => return Err(Refusal::NoHome(asked).into()),
    };
    if home == s.ctx.me {
        let head = head.ok_or(Refusal::NoObject(asked))?;
        if head.header.tombstone {
            return Err(Refusal::Removed(current).into());
        }
        // A replica goes on below: its home may have been said to be here.
        if head.home.is_none() {
            content::may_change(s, &head)?;
        }
    } else if rows::peer(s.txn, &home)?.is_none() {
        return Err(Refusal::NoPeer(home).into());
    }
    // A lane of an unclaimed copy goes on under the new name once nothing is on its way under the old one.
    Ok(match sending(s, &home, &asked)? {
        Some(SendingRow { now: Some(now), last, floor }) if floor > last => (now, home),
        Some(_) => (asked, home),
        None if home == s.ctx.me => (current, home),
        None => (asked, home),
    })
}

pub(super) fn sending(
    s: &Step<'_, '_>,
    home: &KernelId,
    key: &ObjectKey,
) -> Result<Option<SendingRow>, StoreError> {
    txn::get(s.txn, Table::Sending, &rows::peer_object_key(home, key))
}

/// Who this kernel is, as the origin of its lanes.
pub(super) fn myself(s: &Step<'_, '_>) -> Result<Origin, StoreError> {
    Ok(Origin { kernel: s.ctx.me, incarnation: meta::incarnation(s.txn)? })
}

/// The outcome of an action is here.
pub(crate) fn outcome(s: &mut Step<'_, '_>, from: KernelId, answered: &ActOutcome) -> Result<(), StoreError> {
    let ActOutcome { lane: LaneName { key, .. }, sequence, id, outcome, after, commit, .. } = answered;
    if from != s.ctx.me {
        peers::heard(s, from, *commit);
    }
    send::answered(s, &from, &(*key, *sequence));
    let place = queue_key(&from, key, *sequence);
    let queued: Option<QueueRow> = txn::get(s.txn, Table::Queue, &place)?;
    // An answer to what is not asked (any more), or to another action: not ours.
    let Some(queued) = queued.filter(|queued| queued.action.id == *id) else { return Ok(()) };
    let Some(mut lane) = sending(s, &from, key)? else { return Ok(()) };
    s.engine.sent_again.remove(&(from, *key));
    s.txn.delete_lazily(Table::Queue, &place);
    if let Some(deadline_ms) = queued.deadline_ms {
        timers::end_deadline(s, deadline_ms, &place);
    }
    // Outcomes come in the lane's order; one that came before an earlier one leaves the floor where it is.
    if lane.floor == *sequence {
        lane.floor = next_open(s, &from, key, *sequence, lane.last)?;
    }
    lane.now = after.map(|after| after.key).filter(|now| now != key).or(lane.now);
    s.txn.put_lazily(Table::Sending, &rows::peer_object_key(&from, key), &lane);
    slow::moved(s, &from, key, &lane);
    send::go_on(s, from, (*key, *sequence))?;
    if let Some(row) = request(s.txn, id)? {
        let row = RequestRow { outcome: Some(outcome.clone()), after: *after, ..row };
        requests::end(s, id, &row);
    }
    // A home writes nothing down for who may not act: it could answer otherwise if it were asked again.
    if matches!(outcome, Outcome::Refused(_)) {
        s.txn.require_sync();
    }
    for token in s.engine.acts.remove(id).unwrap_or_default() {
        let reply =
            Effect::Reply { token, reply: Ok(Answer::Acted { outcome: outcome.clone(), after: *after }) };
        // What its home has on its disk, and will say again, may be told before it is written down here.
        if from != s.ctx.me && !matches!(outcome, Outcome::Refused(_)) {
            s.out.now.push(reply);
        } else {
            s.out.push(reply);
        }
    }
    // In the transaction in which the call goes: it is answered once.
    if let Some(call) = queued.call.as_ref().filter(|_| !mutant!(ForgetCallback)) {
        effects::tell(s, call.object, *id, &call.then, &Came::Outcome(outcome.clone()))?;
    }
    if from != s.ctx.me {
        let event = Event::Outcome { key: *key, id: queued.action.id, outcome: outcome.clone() };
        s.out.push(Effect::Event(event));
        send::pump(s, from)?;
    }
    Ok(())
}

/// The lowest sequence above this one that still waits for its outcome; one above the last if none does.
fn next_open(
    s: &Step<'_, '_>,
    home: &KernelId,
    key: &ObjectKey,
    sequence: u64,
    last: u64,
) -> Result<u64, StoreError> {
    let mut next = sequence + 1;
    while next <= last && s.txn.get(Table::Queue, &queue_key(home, key, next))?.is_none() {
        next += 1;
    }
    Ok(next)
}

/// A home is no peer any more: nobody waits for it. Its actions stay in the queue, for the day that it is one again.
pub(crate) fn forget_waiters(s: &mut Step<'_, '_>, home: KernelId) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = s.engine.acts.keys().copied().collect();
    for id in ids {
        // Of one that cannot be read nobody knows where it went.
        let row = match request(s.txn, &id) {
            Err(StoreError::Damaged { .. }) => None,
            row => row?,
        };
        if row.is_some_and(|row| row.home == home) {
            for token in s.engine.acts.remove(&id).unwrap_or_default() {
                s.out.push(Effect::Reply { token, reply: Err(Refusal::NoPeer(home)) });
            }
        }
    }
    Ok(())
}

/// At start: whatever this kernel owes to its own objects will be under way again, in a step of its own.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    effects::resume(s)?;
    let me = s.ctx.me;
    if !send::next_rows(s, &me, &[])?.is_empty() {
        s.engine.own_acts = crate::outbox::Window::fresh();
        send::pump_later(s, me);
    }
    Ok(())
}
