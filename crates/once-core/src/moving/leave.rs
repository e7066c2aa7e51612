//! The home of an object that people move away: it asks whether the receiver would take it, lets what is under way come to its
//! end, and seals it.

use once_model::certificate::{Certificate, CertificateKind, Chain};
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey};
use once_model::limits::{CHAIN_MOVES_MAX_CERTIFICATES, INLINE_MAX_BYTES, LEAVING_MAX_MS, RESEND_AFTER_MS};
use once_model::moving::{Ahead, Welcome};
use once_model::sign::Purpose;
use once_model::wire::{Code, Frame, ShareAnswer};

use super::asks::told_who_asks;
use super::both::{connection, is_passing, tick_later};
use super::rows::{LeavingRow, SealedRow};
use super::state::{Leaving, Stage};
use super::stay::{stay, stays};
use super::{Departure, luggage, news, sealed, words};
use crate::act;
use crate::chores::{self, Chore};
use crate::engine::Step;
use crate::object::{self, HeadRow};
use crate::peers;
use crate::refusal::{Failure, Refusal, Unmoved};
use crate::share::{self, Debt, Kept};
use crate::store::{StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Token};

/// What people want moved, and how.
pub(crate) struct Wish {
    pub key: ObjectKey,
    pub to: KernelId,
    pub leave_calls: bool,
    pub without_me: bool,
}

/// People move an object to another kernel.
pub(crate) fn begin(
    s: &mut Step<'_, '_>,
    wish: Wish,
    waits: Option<Token>,
) -> Result<Option<Answer>, Failure> {
    let answer = if waits.is_some() { None } else { Some(Answer::Accepted) };
    set_out(s, wish, waits.into_iter().collect())?;
    Ok(answer)
}

/// An object wants to move, says an action of it. If it cannot, people find that among those that stay.
pub(crate) fn wants_to_go(s: &mut Step<'_, '_>, key: ObjectKey, to: KernelId) -> Result<(), StoreError> {
    // What it said to its arrival may not have been looked at yet.
    if let Some(from) = s.engine.moving.arriving.get(&key).copied() {
        words::arrives(s, key, from)?;
    }
    let wish = Wish { key, to, leave_calls: false, without_me: false };
    let why = match set_out(s, wish, Vec::new()) {
        // It is on its way already, or it is no more.
        Ok(()) | Err(Failure::Refused(Refusal::Leaving(_) | Refusal::Removed(_) | Refusal::NoObject(_))) => {
            return Ok(());
        }
        Err(Failure::Store(error)) => return Err(error),
        Err(Failure::Refused(Refusal::Unmoved { why, .. })) => why.to_string(),
        Err(Failure::Refused(refusal)) => refusal.to_string(),
    };
    stays(s, &key, (to, why));
    Ok(())
}

/// From here on it is about to leave.
fn set_out(s: &mut Step<'_, '_>, wish: Wish, tokens: Vec<Token>) -> Result<(), Failure> {
    let Wish { key, to, leave_calls, without_me } = wish;
    let key = may_leave(s, &key, &to)?.header.key();
    let row = LeavingRow {
        to,
        since_ms: s.ctx.now_ms,
        sealed: None,
        withdrawn: false,
        leave_calls,
        told: false,
        without_me,
    };
    s.room_on_disk()?;
    s.txn.put(Table::Leaving, &key.to_row(), &row);
    s.txn.delete(Table::Stayed, &key.to_row());
    s.engine.moving.leaving.insert(key, Leaving::new(to, leave_calls, tokens));
    // Once: each look at what is about to leave would set a pause of its own.
    s.engine.peers.wanted.insert(to);
    ask(s, key)?;
    tick_later(s);
    Ok(())
}

/// The head of an object that this kernel could move to another one.
fn may_leave(s: &mut Step<'_, '_>, key: &ObjectKey, to: &KernelId) -> Result<HeadRow, Failure> {
    let head = object::living(s, key)?;
    if *to == s.ctx.me {
        return Err(Refusal::Myself.into());
    }
    if peers::peer(s.txn, to)?.is_none() {
        return Err(Refusal::NoPeer(*to).into());
    }
    let key = head.header.key();
    if s.engine.moving.leaving.contains_key(&key) {
        return Err(Refusal::Leaving(key).into());
    }
    object::may_change(s, &head)?;
    match is_bound(&head) {
        Some(why) => Err(Refusal::Unmoved { key, why: Box::new(why) }.into()),
        None => Ok(head),
    }
}

/// People ask whether an object could move to another kernel: that is asked, and nothing begins.
pub(crate) fn would_move(
    s: &mut Step<'_, '_>,
    token: Token,
    key: ObjectKey,
    to: KernelId,
) -> Result<Option<Answer>, Failure> {
    let head = may_leave(s, &key, &to)?;
    let key = head.header.key();
    let Some(conn) = connection(s, &to) else { return Err(Refusal::NotConnected(to).into()) };
    let Some(asked) = question(s, head) else {
        return Err(Refusal::Unmoved { key, why: Box::new(Unmoved::Unclaimed) }.into());
    };
    let asks = s.engine.moving.asks.entry((to, key)).or_default();
    asks.certificate = Some(asked.certificate);
    asks.tokens.push(token);
    s.out.send(to, conn, Frame::Ahead(asked));
    Ok(None)
}

/// Why an object cannot leave at all, whatever is under way.
pub(super) fn is_bound(head: &HeadRow) -> Option<Unmoved> {
    match head.home {
        None => Some(Unmoved::Unclaimed),
        // The epoch counts the certificates, and the genesis.
        Some(_) if head.header.epoch > CHAIN_MOVES_MAX_CERTIFICATES as u64 => Some(Unmoved::Chain),
        Some(_) => None,
    }
}

/// People take it back: an object that is sealed stays so until the receiver has answered, and is asked to.
pub(crate) fn stop(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<Answer, Failure> {
    let key = object::current_key(s.txn, &key)?;
    match s.engine.moving.leaving.get(&key).map(|leaving| leaving.stage) {
        None if s.txn.delete_if_there(Table::Stayed, &key.to_row())? => Ok(Answer::Done),
        None => Err(Refusal::NotLeaving(key).into()),
        Some(Stage::Sealed { .. }) => {
            sealed::withdraw(s, key)?;
            Ok(Answer::Accepted)
        }
        Some(_) => {
            stay(s, key, Unmoved::TakenBack)?;
            Ok(Answer::Done)
        }
    }
}

/// At the start of a run: what was about to leave still is.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    for departure in super::departures(s.txn)? {
        // The receiver hears of it on each new connection.
        let sealed = Stage::Sealed { sent_ms: s.ctx.now_ms };
        let stage = if departure.sealed { sealed } else { Stage::Asking };
        let Departure { to, leave_calls, told, .. } = departure;
        let told = told && !(departure.sealed && mutant!(ToldUntilTheStart));
        let leaving = Leaving { told, stage, ..Leaving::new(to, leave_calls, Vec::new()) };
        s.engine.moving.leaving.insert(departure.key, leaving);
    }
    for arrival in super::arrivals(s.txn)? {
        s.engine.moving.arriving.insert(arrival.key, arrival.from);
    }
    if !s.engine.moving.arriving.is_empty() {
        // They are told in a step of their own.
        s.engine.moving.look_again();
        share::pump_later(s, s.ctx.me);
    }
    tick_later(s);
    Ok(())
}

/// A connection to a peer is admitted: what is about to go there is said again, and where objects are.
pub(crate) fn greet(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    let all = &s.engine.moving.leaving;
    let keys: Vec<_> = all.iter().filter(|(_, leaving)| leaving.to == peer).map(|(key, _)| *key).collect();
    for key in keys {
        s.guarded((s.ctx.me, key), |s| {
            match s.engine.moving.leaving.get(&key).map(|leaving| leaving.stage) {
                Some(Stage::Sealed { .. }) => sealed::send(s, key),
                Some(_) => ask(s, key),
                None => Ok(()),
            }
        })?;
    }
    news::greet(s, peer)
}

/// Asks the receiver, if it is connected and knows what a move is.
fn ask(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    let Some(leaving) = s.engine.moving.leaving.get(&key) else { return Ok(()) };
    let (to, head) = (leaving.to, object::head(s.txn, &key)?);
    let (Some(conn), Some(head)) = (connection(s, &to), head) else { return Ok(()) };
    let Some(asked) = question(s, head) else { return Ok(()) };
    if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
        leaving.record = asked.record == Some(true);
    }
    s.out.send(to, conn, Frame::Ahead(asked));
    Ok(())
}

/// What the receiver is asked; nothing of what nobody has claimed.
fn question(s: &Step<'_, '_>, head: HeadRow) -> Option<Ahead> {
    let (key, header) = (head.header.key(), head.header);
    let (component, version, size) = (header.component, header.version, header.size);
    let is_record = !s.ctx.runner.knows(&component) || mutant!(AllAreRecords);
    let record = is_record.then_some(true);
    Some(Ahead { key, certificate: header.certificate?, component, version, size, record })
}

/// The receiver has said whether it would take an object.
pub(crate) fn welcome(s: &mut Step<'_, '_>, peer: KernelId, said: &Welcome) -> Result<(), StoreError> {
    let key = said.key;
    told_who_asks(s, peer, said);
    let Some(leaving) = s.engine.moving.leaving.get(&key) else { return Ok(()) };
    if leaving.to != peer || matches!(leaving.stage, Stage::Sealed { .. }) {
        return Ok(());
    }
    let Some(head) = object::head(s.txn, &key)? else { return Ok(()) };
    if head.header.certificate != Some(said.certificate) {
        return Ok(());
    }
    if let Some(code) = said.code {
        return stay(s, key, Unmoved::Unwelcome(code));
    }
    let Some(receiver) = s.engine.peers.links.get(&peer).map(|link| link.incarnation) else { return Ok(()) };
    let until_ms = match leaving.stage {
        Stage::Draining { until_ms, .. } => until_ms,
        _ => s.ctx.now_ms.saturating_add(LEAVING_MAX_MS),
    };
    if is_apart(&head) {
        share::owe(s, peer, &head, Debt::Promised, Kept::Durably)?;
    }
    if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
        // What it had said before it may have dropped since.
        leaving.stage = Stage::Draining { receiver, until_ms, has: None };
    }
    s.engine.moving.touched.insert(key);
    Ok(())
}

/// The receiver has answered a share of an object that is about to leave: it has that revision, or will never take it.
pub(crate) fn shared(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    (key, id): (ObjectKey, Hash),
    answer: ShareAnswer,
) -> Result<(), StoreError> {
    let Some(leaving) = s.engine.moving.leaving.get_mut(&key) else { return Ok(()) };
    let Stage::Draining { has, .. } = &mut leaving.stage else { return Ok(()) };
    if leaving.to != peer {
        return Ok(());
    }
    let refusal = match answer {
        ShareAnswer::Stored | ShareAnswer::Known => None,
        ShareAnswer::Conflict => Some(Code::Invalid),
        ShareAnswer::Refused(code) if is_passing(code) => return Ok(()),
        ShareAnswer::Refused(code) => Some(code),
    };
    if let Some(code) = refusal {
        let head = object::head(s.txn, &key)?;
        let is_it = head.is_some_and(|head| head.header.id() == id && is_apart(&head));
        return if is_it { stay(s, key, Unmoved::Unwelcome(code)) } else { Ok(()) };
    }
    *has = Some(id);
    s.engine.moving.touched.insert(key);
    Ok(())
}

/// Whether an object's scenario does not fit a frame: then it is there before the object is handed over.
const fn is_apart(head: &HeadRow) -> bool {
    head.header.size > INLINE_MAX_BYTES as u64
}

/// At the end of a step: seals what has nothing under way any more.
pub(crate) fn look(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    while let Some(key) = s.engine.moving.touched.pop_first() {
        s.guarded((s.ctx.me, key), |s| look_at(s, key))?;
    }
    Ok(())
}

fn look_at(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    if let Some(from) = s.engine.moving.arriving.get(&key).copied() {
        return words::arrives(s, key, from);
    }
    let Some(leaving) = s.engine.moving.leaving.get(&key) else { return Ok(()) };
    let (to, leave_calls, record, stage) = (leaving.to, leaving.leave_calls, leaving.record, leaving.stage);
    if matches!(stage, Stage::Sealed { .. }) {
        return Ok(());
    }
    let Some(head) = object::head(s.txn, &key)?.filter(|head| !head.header.tombstone) else {
        return stay(s, key, Unmoved::Removed);
    };
    let Stage::Draining { receiver, until_ms, has } = stage else { return Ok(()) };
    if record && s.ctx.runner.knows(&head.header.component) {
        // Somebody has its component since the receiver was asked: it is a plain record no more.
        if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
            leaving.stage = Stage::Asking;
        }
        return ask(s, key);
    }
    let said = match s.engine.moving.heard(&key) {
        Some(heard) => words::take(s, &head, heard)?,
        None => None,
    };
    let why = match under_way(s, &head, has, leave_calls)? {
        _ if said.is_some() => said,
        None if words::may_go(s, &head) => return seal(s, key, to, receiver),
        None => words::leaves(s, &head, &to)?,
        why => why,
    };
    // Of a clock that was set back nobody knows how long that would take.
    let now_ms = s.ctx.now_ms;
    let is_over = now_ms >= until_ms || until_ms - now_ms > LEAVING_MAX_MS;
    match why {
        // It was told just now, and is looked at once more.
        None => Ok(()),
        Some(why) if is_over || matches!(why, Unmoved::Unwilling(_)) => stay(s, key, why),
        // It has changed since it was shared.
        Some(Unmoved::Body) if share::debt(s.txn, &to, &key)?.is_none() => {
            share::owe(s, to, &head, Debt::Promised, Kept::Durably)
        }
        // An answer to it may have come behind what waits.
        Some(_) => {
            act::nudge(s, key);
            Ok(())
        }
    }
}

/// What of an object is under way, and must come to its end before it leaves.
fn under_way(
    s: &Step<'_, '_>,
    head: &HeadRow,
    has: Option<Hash>,
    leave_calls: bool,
) -> Result<Option<Unmoved>, StoreError> {
    let key = &head.header.key();
    if !mutant!(SealUnderWay)
        && let Some(waits) = act::under_way(s, key, leave_calls)?
    {
        return Ok(Some(waits));
    }
    if chores::is_under_way(s, Chore::TellFollowers(*key))? {
        return Ok(Some(Unmoved::News));
    }
    let lacks = is_apart(head) && has != Some(head.header.id());
    Ok(lacks.then_some(Unmoved::Body))
}

/// From here on this kernel does nothing with the object until the receiver has answered.
fn seal(s: &mut Step<'_, '_>, key: ObjectKey, to: KernelId, receiver: Incarnation) -> Result<(), StoreError> {
    let Some(head) = object::head(s.txn, &key)? else { return Ok(()) };
    let Some(lineage) = key.lineage() else { return Ok(()) };
    let chain: Option<Chain> = object::chain(s.txn, &lineage)?;
    let (Some(mut chain), Some(tip)) = (chain, head.tip) else { return stay(s, key, Unmoved::Unread) };
    let Some(row) = txn::get::<LeavingRow>(s.txn, Table::Leaving, &key.to_row())? else { return Ok(()) };
    let Some(packed) = luggage::pack(s, &head, row.without_me)? else {
        return stay(s, key, Unmoved::Luggage);
    };
    let mut handoff = Certificate {
        lineage,
        epoch: chain.epoch() + 1,
        kind: CertificateKind::Handoff,
        home: to,
        incarnation: receiver,
        base: chain.certificate(),
        base_revision: head.header.revision,
        base_id: head.header.id(),
        signer: s.ctx.me,
        signature: None,
        tip: Some(tip),
        luggage: Some(packed.hash),
        refusal: None,
        naming: None,
        acceptance: None,
    };
    handoff.signature = Some(s.ctx.key.sign(Purpose::Certificate, &handoff.id()));
    chain.links.push(handoff);
    let chain = chain.shortened().unwrap_or(chain);
    let sealed = SealedRow { header: head.header, chain, luggage_bytes: packed.bytes.len() as u64 };
    let row = LeavingRow { sealed: Some(sealed), ..row };
    if mutant!(LazySeal) {
        s.txn.put_bytes_lazily(Table::Luggage, &key.to_row(), packed.bytes);
        s.txn.put_lazily(Table::Leaving, &key.to_row(), &row);
    } else {
        s.txn.put_bytes(Table::Luggage, &key.to_row(), packed.bytes);
        s.txn.put(Table::Leaving, &key.to_row(), &row);
    }
    luggage::take_out(s, &key, &packed.luggage)?;
    if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
        leaving.stage = Stage::Sealed { sent_ms: s.ctx.now_ms };
        leaving.left = packed.luggage.left.len();
    }
    sealed::send(s, key)
}

/// It came: what was not answered is said again, and what waited too long stays.
pub(crate) fn tick(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.moving.ticking = false;
    let stages: Vec<_> = s.engine.moving.leaving.iter().map(|(key, leaving)| (*key, leaving.stage)).collect();
    for (key, stage) in stages {
        match stage {
            Stage::Asking => {
                s.engine.moving.touched.insert(key);
                s.guarded((s.ctx.me, key), |s| ask(s, key))?;
            }
            Stage::Draining { .. } => drop(s.engine.moving.touched.insert(key)),
            Stage::Sealed { .. } if mutant!(UnsealByTimer) => stay(s, key, Unmoved::TakenBack)?,
            Stage::Sealed { sent_ms } if s.ctx.now_ms.abs_diff(sent_ms) >= RESEND_AFTER_MS => {
                s.guarded((s.ctx.me, key), |s| sealed::send(s, key))?;
            }
            Stage::Sealed { .. } => {}
        }
    }
    // What stood against it may be over, and nobody says so: a disk that was full, a lane.
    s.engine.moving.look_again();
    news::tick(s)?;
    tick_later(s);
    Ok(())
}
