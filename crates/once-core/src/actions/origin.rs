//! The origin's side: an action is accepted once, given its place in a lane, and owed to the object's home until the
//! outcome is here.

use once_model::action::{ActOutcome, Action, Outcome};
use once_model::ids::{KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{ID_AHEAD_MAX_MS, QUEUE_MAX_ROWS};

use super::rows::{Origin, QueueRow, RequestRow, SendingRow, queue_key};
use super::{request, send};
use crate::content;
use crate::meta;
use crate::peers;
use crate::refusal::{Failure, Refusal};
use crate::rows;
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Effect, Event, Token};

/// A client wants an action done.
pub(crate) fn act(
    s: &mut Step<'_, '_>,
    token: Token,
    key: ObjectKey,
    at: Option<KernelId>,
    action: Action,
    wait: bool,
) -> Result<Option<Answer>, Failure> {
    let hash = action.hash(&key.uuid);
    let id = action.id;
    if let Some(known) = request(s.txn, &id)? {
        if known.hash != hash && !mutant!(IdForTwo) {
            return Err(Refusal::IdReused { id, first: known.hash, now: hash }.into());
        }
        return Ok(match known.outcome {
            Some(outcome) => Some(Answer::Acted { outcome, after: known.after }),
            None if wait => {
                s.engine.acts.entry(id).or_default().push(token);
                None
            }
            None => Some(Answer::Accepted),
        });
    }
    s.room_on_disk()?;
    action.check().map_err(|code| Refusal::BadAction { code })?;
    check_id(s, &id)?;
    let (key, home) = lane_for(s, key, at)?;
    let mut lane = sending(s, &home, &key)?.unwrap_or(SendingRow { last: 0, floor: 1, now: None });
    if lane.last + 1 - lane.floor >= QUEUE_MAX_ROWS {
        return Err(Refusal::OutboxFull { peer: home, rows: QUEUE_MAX_ROWS }.into());
    }
    lane.last += 1;
    let sequence = lane.last;
    let since_ms = s.ctx.now_ms;
    s.txn.put_lazily(Table::Sending, &rows::peer_object_key(&home, &key), &lane);
    s.txn.put_lazily(Table::Queue, &queue_key(&home, &key, sequence), &QueueRow { action, since_ms });
    let row = RequestRow { hash, key, home, sequence, outcome: None, after: None, since_ms };
    s.txn.put_lazily(Table::Request, id.as_bytes(), &row);
    if !mutant!(LazyQueue) {
        s.txn.require_sync();
    }
    if wait {
        s.engine.acts.entry(id).or_default().push(token);
    }
    send::owe(s, home, (key, sequence))?;
    Ok((!wait).then_some(Answer::Accepted))
}

/// A client's id carries its time: far ahead of this kernel's clock, pruning by time would keep it for ever.
fn check_id(s: &Step<'_, '_>, id: &Uuid) -> Result<(), Refusal> {
    let bytes = id.as_bytes();
    let is_v7 = bytes[6] >> 4 == 7;
    let time_ms = bytes[..6].iter().fold(0_u64, |time, byte| time << 8 | u64::from(*byte));
    if !is_v7 {
        return Err(Refusal::BadId { id: *id });
    }
    if time_ms > s.ctx.now_ms.saturating_add(ID_AHEAD_MAX_MS) {
        return Err(Refusal::IdAhead { id: *id, ahead_ms: time_ms - s.ctx.now_ms });
    }
    Ok(())
}

/// The name of the lane to an object, and where it leads.
fn lane_for(
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
        // An unclaimed copy that is here is claimed by its first action.
        (_, None, Some(None)) => s.ctx.me,
        (_, None, None) => return Err(Refusal::NoHome(asked).into()),
    };
    if home == s.ctx.me {
        let head = head.ok_or(Refusal::NoObject(asked))?;
        if head.header.tombstone {
            return Err(Refusal::Removed(current).into());
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
    let identity = meta::identity(s.txn)?;
    let incarnation = identity
        .map_or_else(|| once_model::ids::Incarnation::from_bytes([0; 16]), |identity| identity.incarnation);
    Ok(Origin { kernel: s.ctx.me, incarnation })
}

/// The outcome of an action is here.
pub(crate) fn outcome(s: &mut Step<'_, '_>, from: KernelId, answered: &ActOutcome) -> Result<(), StoreError> {
    let ActOutcome { key, sequence, id, outcome, after, commit } = answered;
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
    // Outcomes come in the lane's order; one that came before an earlier one leaves the floor where it is.
    if lane.floor == *sequence {
        lane.floor = next_open(s, &from, key, *sequence, lane.last)?;
    }
    lane.now = after.map(|after| after.key).filter(|now| now != key).or(lane.now);
    s.txn.put_lazily(Table::Sending, &rows::peer_object_key(&from, key), &lane);
    if let Some(row) = request(s.txn, id)? {
        let row = RequestRow { outcome: Some(outcome.clone()), after: *after, ..row };
        s.txn.put_lazily(Table::Request, id.as_bytes(), &row);
    }
    // A home writes nothing down for who may not act: it could answer otherwise if it were asked again.
    if matches!(outcome, Outcome::Refused(_)) {
        s.txn.require_sync();
    }
    for token in s.engine.acts.remove(id).unwrap_or_default() {
        let reply = Ok(Answer::Acted { outcome: outcome.clone(), after: *after });
        s.out.push(Effect::Reply { token, reply });
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
        if request(s.txn, &id)?.is_some_and(|row| row.home == home) {
            for token in s.engine.acts.remove(&id).unwrap_or_default() {
                s.out.push(Effect::Reply { token, reply: Err(Refusal::NoPeer(home)) });
            }
        }
    }
    Ok(())
}

/// At start: whatever this kernel owes to its own objects will be under way again, in a step of its own.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let me = s.ctx.me;
    if !send::next_rows(s, &me, &[])?.is_empty() {
        s.engine.own_acts = crate::outbox::Window::fresh();
        send::pump_later(s, me);
    }
    Ok(())
}
