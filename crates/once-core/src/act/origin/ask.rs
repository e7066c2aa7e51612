//! The origin's side: an action is accepted once, given its place in a lane, and owed to the object's home until the
//! outcome is here.

use once_model::action::{ActOutcome, Action, BUILT_IN_PREFIX, Need, Outcome, check_name};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, GIVEN_MAX, NAME_MAX_BYTES};
use once_model::wire::Code;

use super::lanes::is_for;
use super::place::{enqueue, lane_for};
use super::reply::Came;
use super::requests::{self, Requested, request};
use super::{lanes, reply, send, slow};
use crate::act::rows::{EndedRow, Place, QueueRow, WaitingRow};
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::share::{self, Debt, Kept};
use crate::store::{StoreError, Table};
use crate::waist::{Answer, Effect, Event, Token};
use crate::{object, peers, timer};

/// What a client wants done.
pub(crate) struct Wish {
    pub key: ObjectKey,
    pub at: Option<KernelId>,
    pub action: Action,
    pub deadline_ms: Option<u64>,
    pub wait: bool,
}

/// What is wrong with an action that no home would take: the first thing that is.
fn what_is_bad(action: &Action, code: Code) -> String {
    if action.name.is_empty() {
        return "the action has no name".into();
    }
    if action.name.len() > NAME_MAX_BYTES {
        return format!("the action's name has more than {NAME_MAX_BYTES} bytes");
    }
    if check_name(&action.name).is_err() {
        return format!("the action's name begins with `{BUILT_IN_PREFIX}`: such names belong to the kernel");
    }
    if action.arguments.len() > ARGUMENTS_MAX_BYTES {
        return format!("the action's arguments have more than {ARGUMENTS_MAX_BYTES} bytes");
    }
    match once_model::json::validate(&action.arguments) {
        Err(error) => format!(
            "the action's arguments are not taken, line {}, column {}: {}",
            error.line(),
            error.column(),
            error.message()
        ),
        Ok(_) if code == Code::TooLarge => format!("an action may depend on at most {GIVEN_MAX} scenarios"),
        Ok(_) => "the action depends on one scenario twice".into(),
    }
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
    action.check().map_err(|code| Refusal::BadAction { code, what: what_is_bad(&action, code) })?;
    requests::check_id(s, &id)??;
    let lane = lane_for(s, key, at)?;
    if let Some(known) = lanes::lane(s, &lane)?
        && known.waiting() >= s.engine.limits.queue_rows
    {
        return Err(Refusal::OutboxFull { peer: known.home, rows: s.engine.limits.queue_rows }.into());
    }
    let since_ms = s.ctx.now_ms;
    let deadline_ms = deadline_ms.map(|after_ms| since_ms.saturating_add(after_ms));
    let row = WaitingRow { action, since_ms, deadline_ms, void: None, call: None, guest: None };
    let (place, lane) = enqueue(s, &lane, row)?;
    requests::add(s, &id, place)?;
    if !mutant!(LazyQueue) {
        s.txn.require_sync();
    }
    if wait {
        s.engine.act.acts.entry(id).or_default().push(token);
    }
    send::owe(s, &place.lane, lane.home)?;
    Ok((!wait).then_some(Answer::Accepted))
}

/// The answer to a client that asks for what was accepted before: at once if it is there or the client does not wait.
fn known_outcome(
    s: &mut Step<'_, '_>,
    token: Token,
    id: Uuid,
    known: Requested,
    wait: bool,
) -> Option<Answer> {
    match known.outcome {
        Some(outcome) => Some(Answer::Acted { outcome, after: known.after }),
        None if wait => {
            s.engine.act.acts.entry(id).or_default().push(token);
            None
        }
        None => Some(Answer::Accepted),
    }
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
            s.engine.act.acts.entry(id).or_default().push(token);
        }
        make_void(s, &known.place, Code::Cancelled)?;
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
    let place = Place { lane: lanes::to(s, place.0, home)?, sequence: place.1 };
    if lanes::waiting(s, &place)?.is_none_or(|row| row.action.id != id) {
        return Err(Refusal::NoAction(id).into());
    }
    // As with what a client takes back: the action itself is never sent again.
    s.txn.require_sync();
    make_void(s, &place, Code::Cancelled)?;
    Ok(Answer::Done)
}

/// Makes an action a void, and sends that if the action is under way.
pub(crate) fn make_void(s: &mut Step<'_, '_>, place: &Place, why: Code) -> Result<(), StoreError> {
    let Some(mut row) = lanes::waiting(s, place)?.filter(|row| row.void.is_none()) else { return Ok(()) };
    row.void = Some(why);
    s.txn.put_lazily(Table::Queue, &place.to_row(), &QueueRow::Waiting(row));
    send::again(s, place)
}

/// A home needs scenarios of an action that waits for its outcome there. What the action does not name, nobody gets. If
/// this kernel has not got what it names, or not any more, the action will never run.
pub(crate) fn need(s: &mut Step<'_, '_>, home: KernelId, need: &Need) -> Result<(), StoreError> {
    let place = Place { lane: lanes::to(s, need.lane, home)?, sequence: need.sequence };
    if !is_for(s, &place.lane, &home)? {
        return Ok(());
    }
    let Some(row) = lanes::waiting(s, &place)?.filter(|row| row.void.is_none()) else { return Ok(()) };
    let mut heads = Vec::new();
    for given in row.action.given.iter().filter(|given| need.lacks.contains(given)) {
        let key = object::current_key(s.txn, &given.key)?;
        let head = object::head(s.txn, &key)?;
        match head.filter(|head| head.header.content == given.content && !head.header.tombstone) {
            Some(head) => heads.push(head),
            // Nothing travels for an action that will never run.
            None => return make_void(s, &place, Code::Lacking),
        }
    }
    for head in heads {
        let debt = Debt::Given { content: head.header.content };
        share::owe(s, home, &head, debt, Kept::Durably)?;
    }
    Ok(())
}

/// The outcome of an action is here.
pub(crate) fn outcome(s: &mut Step<'_, '_>, from: KernelId, answered: &ActOutcome) -> Result<(), StoreError> {
    let ActOutcome { lane, sequence, id, outcome, after, commit, .. } = answered;
    if from != s.ctx.me {
        peers::heard(s, from, *commit);
    }
    let place = Place { lane: lanes::to(s, *lane, from)?, sequence: *sequence };
    if !is_for(s, &place.lane, &from)? {
        return Ok(());
    }
    send::answered(s, &from, &place);
    // An answer to what is not asked (any more), or to another action: not ours.
    let waiting = lanes::waiting(s, &place)?;
    let Some(waiting) = waiting.filter(|waiting| waiting.action.id == *id) else { return Ok(()) };
    let outcome = &believed(s, &from, &waiting, outcome)?;
    let row = place.to_row();
    if let Some(deadline_ms) = waiting.deadline_ms {
        timer::end_deadline(s, deadline_ms, &row);
    }
    let kept = requests::is_kept(s, id, &place)?;
    if kept {
        let hash = waiting.action.hash(&lane.key.uuid);
        let (outcome, after, since_ms) = (outcome.clone(), *after, waiting.since_ms);
        let ended = EndedRow { hash, outcome, after, since_ms, home: from };
        s.txn.put_lazily(Table::Queue, &row, &QueueRow::Ended(ended));
        requests::may_go(s, id);
    } else {
        s.txn.delete_lazily(Table::Queue, &row);
    }
    let lane = lanes::ended(s, &place, after.map(|after| after.key), !kept)?;
    slow::moved(s, &place.lane, &lane);
    send::go_on(s, &place.lane, &lane)?;
    // A home writes nothing down for who may not act: it could answer otherwise if it were asked again.
    if matches!(outcome, Outcome::Refused(_)) {
        s.txn.require_sync();
    }
    let tokens = s.engine.act.acts.remove(id).unwrap_or_default();
    // What its home has on its disk, and will say again, may be told before it is written down here.
    let is_early = from != s.ctx.me && !matches!(outcome, Outcome::Refused(_)) && !tokens.is_empty();
    if is_early {
        s.out.now.push(Effect::Told { id: *id, outcome: outcome.clone(), after: *after });
    }
    for token in tokens {
        let reply = Ok(Answer::Acted { outcome: outcome.clone(), after: *after });
        let reply = Effect::Reply { token, reply };
        if is_early { s.out.now.push(reply) } else { s.out.push(reply) }
    }
    for object in waiting.call.iter().map(|call| call.object).chain(waiting.action.acting) {
        let object = object::current_key(s.txn, &object)?;
        s.engine.moving.touch(&object);
    }
    // In the transaction in which the call goes: it is answered once.
    if let Some(call) = &waiting.call
        && !mutant!(ForgetCallback)
    {
        reply::tell(s, call.object, *id, &call.then, &Came::Outcome(outcome.clone()))?;
    }
    if from != s.ctx.me {
        let event = Event::Outcome { key: place.lane.name.key, id: *id, outcome: outcome.clone() };
        s.out.push(Effect::Event(event));
        share::pump(s, from);
    }
    Ok(())
}

/// What an outcome says. A home that was put back from a backup denies what it does not know any more, and it may have run
/// there: of an action that is older than the home's present life, nobody can say.
fn believed(
    s: &Step<'_, '_>,
    home: &KernelId,
    waiting: &WaitingRow,
    outcome: &Outcome,
) -> Result<Outcome, StoreError> {
    if *outcome != Outcome::Refused(Code::Denied) {
        return Ok(outcome.clone());
    }
    let reborn_ms = peers::peer(s.txn, home)?.and_then(|peer| peer.reborn_ms);
    let is_older = reborn_ms.is_some_and(|reborn_ms| waiting.since_ms <= reborn_ms);
    Ok(Outcome::Refused(if is_older { Code::Quarantined } else { Code::Denied }))
}

/// A home is no peer any more: nobody waits for it. Its actions stay in the queue, for the day that it is one again.
pub(crate) fn forget_waiter(s: &mut Step<'_, '_>, home: KernelId, id: &[u8]) -> Result<(), StoreError> {
    let Ok(id) = Uuid::from_slice(id) else { return Ok(()) };
    // Of one that cannot be read nobody knows where it went.
    let row = match request(s.txn, &id) {
        Err(StoreError::Damaged { .. }) => None,
        row => row?,
    };
    if row.is_some_and(|row| row.home == home) {
        for token in s.engine.act.acts.remove(&id).unwrap_or_default() {
            // It may have run, and its outcome comes if the home is a peer again.
            s.out.push(Effect::Reply { token, reply: Ok(Answer::Accepted) });
        }
    }
    Ok(())
}

/// At start: whatever this kernel owes to its own objects will be under way again, in a step of its own.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    chores::begin(s, Chore::Work);
    let me = s.ctx.me;
    if share::owes(s, &me)? {
        s.engine.act.own = share::Window::fresh(&s.engine.limits);
        share::pump_later(s, me);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use once_model::action::Given;
    use once_model::ids::{Hash, Incarnation, Line};
    use once_model::wire::Frame;

    use super::*;
    use crate::testing::Alone;
    use crate::waist::Command;

    /// The answer to an action that was sent last: the home denies it.
    fn denied(kernel: &mut Alone, home: KernelId, conn: u64, token: Token) -> Option<Answer> {
        let act = kernel.sent.iter().rev().find_map(|frame| match frame {
            Frame::Act(act) => Some(act.clone()),
            _ => None,
        });
        let act = act.unwrap();
        let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
        let outcome = Outcome::Refused(Code::Denied);
        let said = ActOutcome { lane, sequence, id, outcome, after: None, commit: None, certificate: None };
        kernel.says(home, conn, Frame::Outcome(said));
        kernel.answered.remove(&token)
    }

    /// A home that was put back from a backup denies what it has lost, and what it has lost may have run.
    #[test]
    fn what_a_home_denies_in_another_life_than_it_was_asked_in_may_have_run() {
        let mut kernel = Alone::new();
        let mut home = kernel.connected(9);
        let content = Hash::from_bytes([5; 32]);
        let key = ObjectKey { uuid: Uuid::from_u128(5), line: Line::Unclaimed(content) };
        let refused = |code| Some(Answer::Acted { outcome: Outcome::Refused(code), after: None });

        let token = kernel.act_at(home.kernel, key, 1);
        assert_eq!(denied(&mut kernel, home.kernel, 1, token), refused(Code::Denied));

        let token = kernel.act_at(home.kernel, key, 2);
        kernel.ctx.now_ms += 1000;
        home.incarnation = Incarnation::from_bytes([8; 16]);
        kernel.connect(9, home, 2);
        assert_eq!(denied(&mut kernel, home.kernel, 2, token), refused(Code::Quarantined));

        kernel.ctx.now_ms += 1000;
        let token = kernel.act_at(home.kernel, key, 3);
        assert_eq!(denied(&mut kernel, home.kernel, 2, token), refused(Code::Denied));
    }

    /// Else the scenarios of an action that will never run would travel, and count at its home.
    #[test]
    fn of_what_a_home_needs_all_is_shared_or_nothing() {
        let mut kernel = Alone::new();
        let home = kernel.connected(9).kernel;
        let here = kernel.object(1, "Open");
        let given = |key: ObjectKey, content| Given { key, content };
        let content = object::head(&kernel.store, &here).unwrap().unwrap().header.content;
        let other = Hash::from_bytes([6; 32]);
        let there = ObjectKey { uuid: Uuid::from_u128(5), line: Line::Unclaimed(Hash::from_bytes([5; 32])) };
        let mut needs = |n, lacks: Vec<Given>| {
            let mut wish = kernel.wish(there, "go", n);
            if let Command::Act { at, action, .. } = &mut wish {
                (*at, action.given) = (Some(home), lacks.clone());
            }
            kernel.command(wish);
            let said = kernel.says(home, 1, Frame::Need(Need { lane: there.into(), sequence: n, lacks }));
            said.iter().filter(|frame| matches!(frame, Frame::Share(_))).count()
        };
        assert_eq!(needs(1, vec![given(here, content), given(there, other)]), 0);
        assert_eq!(needs(2, vec![given(here, content)]), 1);
    }
}
