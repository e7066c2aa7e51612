//! The home of an object that is sealed: it hands it over until the receiver has answered, and then is its home no more, or
//! again.

use bytes::Bytes;
use once_model::certificate::{Answer as Said, Certificate, CertificateKind, Chain};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::INLINE_MAX_BYTES;
use once_model::moving::{Handed, Handoff, Luggage, Withdraw};
use once_model::sign::Purpose;
use once_model::wire::{Code, Frame};

use super::both::{connection, my_life};
use super::rows::{self, LeavingRow, SealedRow};
use super::state::Stage;
use super::stay::stay;
use super::{hear, luggage};
use crate::act::{self, BuiltIn, Cause};
use crate::engine::Step;
use crate::object::{self, Draft, HeadRow};
use crate::refusal::Unmoved;
use crate::store::{Read, StoreError, Table, has_any};
use crate::waist::{Answer, Effect, Event};
use crate::{follow, txn};

/// People want an object back that is sealed. It stays sealed: the receiver says what has become of it.
pub(super) fn withdraw(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    if mutant!(UnsealByWish) {
        return stay(s, key, Unmoved::TakenBack);
    }
    let Some(row) = txn::get::<LeavingRow>(s.txn, Table::Leaving, &key.to_row())? else { return Ok(()) };
    s.txn.put(Table::Leaving, &key.to_row(), &LeavingRow { withdrawn: true, ..row });
    send(s, key)
}

/// The luggage of an object that is sealed.
fn packed(s: &Step<'_, '_>, key: &ObjectKey) -> Result<Bytes, StoreError> {
    let place = key.to_row();
    let luggage = s.txn.get(Table::Luggage, &place)?;
    luggage.ok_or_else(|| StoreError::damaged(Table::Luggage, &place, format!("no luggage of {key}")))
}

/// What was kept beside it is not here any more. Of most objects nothing is, and the luggage is not read for it.
fn beside_moved(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<(), StoreError> {
    if !has_any(s.txn, Table::Conflict, &key.to_row())? || mutant!(BesideAtBoth) {
        return Ok(());
    }
    let luggage = Luggage::unpack(&packed(s, key)?).unwrap_or_default();
    object::beside_moved(s, key, &luggage.beside)
}

/// Hands an object over, always with the same words; or asks for it back.
pub(super) fn send(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    let row: Option<LeavingRow> = txn::get(s.txn, Table::Leaving, &key.to_row())?;
    let Some(LeavingRow { to, sealed: Some(sealed), withdrawn, .. }) = row else { return Ok(()) };
    let Some(conn) = connection(s, &to) else { return Ok(()) };
    let SealedRow { header, chain, luggage_bytes } = sealed;
    if let Some(leaving) = s.engine.moving.leaving.get_mut(&key) {
        leaving.stage = Stage::Sealed { sent_ms: s.ctx.now_ms };
    }
    if withdrawn {
        s.out.send(to, conn, Frame::Withdraw(Box::new(Withdraw { chain })));
        return Ok(());
    }
    let body = match header.size <= INLINE_MAX_BYTES as u64 {
        true => s.txn.get(Table::Body, &object::body_key(&header))?,
        false => None,
    };
    let is_inside = luggage_bytes <= s.engine.limits.luggage_inline as u64;
    let luggage = match is_inside {
        true if mutant!(LuggageAnew) => {
            let Some(head) = object::head(s.txn, &key)? else { return Ok(()) };
            luggage::pack(s, &head, false)?.map(|packed| packed.bytes)
        }
        true => Some(packed(s, &key)?),
        false => None,
    };
    let luggage_size = (!is_inside).then_some(luggage_bytes);
    let at_once = if mutant!(MoveUnaccepted) { Some(chain.clone()) } else { None };
    s.out.send(to, conn, Frame::Handoff(Box::new(Handoff { header, chain, body, luggage, luggage_size })));
    at_once.map_or(Ok(()), |chain| moved(s, key, chain))
}

/// The receiver has answered. Only what it has signed counts, and only of the certificate under which the object is sealed now.
pub(crate) fn handed(s: &mut Step<'_, '_>, peer: KernelId, said: &Handed) -> Result<(), StoreError> {
    let Some((to, sealed)) = rows::sealed(s.txn, &said.key)? else { return Ok(()) };
    let Some(handoff) = sealed.chain.links.last() else { return Ok(()) };
    if to != peer || !said.answer.is_to(handoff) {
        return Ok(());
    }
    let sealed = SealedRow { chain: whole(s, &said.key, sealed.chain)?, ..sealed };
    match said.answer.accepted {
        true => moved(s, said.key, accepted(sealed.chain, said.answer)),
        false => reopen(s, said.key, sealed, said),
    }
}

/// The chain as a whole under which an object is sealed.
fn whole(s: &Step<'_, '_>, key: &ObjectKey, chain: Chain) -> Result<Chain, StoreError> {
    let (Some(_), Some(lineage)) = (chain.lacks(), key.lineage()) else { return Ok(chain) };
    let known = object::chain(s.txn, &lineage)?;
    let whole = known.and_then(|known| chain.completed(&known.links));
    whole.ok_or_else(|| StoreError::damaged(Table::Leaving, &key.to_row(), "the chain here is another one"))
}

/// The chain with the receiver's acceptance.
pub(super) fn accepted(mut chain: Chain, answer: Said) -> Chain {
    if let Some(handoff) = chain.links.last_mut() {
        handoff.acceptance = Some(answer);
    }
    chain
}

/// A longer chain of an object is here: lanes to it go where it leads. If it continues a handoff of this kernel, the receiver
/// has accepted that, whether its answer came or not.
pub(crate) fn chain_known(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    let Some(lineage) = key.lineage() else { return Ok(()) };
    let Some(chain) = object::chain(s.txn, &lineage)? else { return Ok(()) };
    let names: Vec<_> = follow::with_copy(&key, Some(&chain.genesis)).collect();
    hear::lanes_follow(s, &names, &chain)?;
    match rows::is_accepted_in(s.txn, &key, &chain)? {
        true => moved(s, key, chain),
        false => Ok(()),
    }
}

/// An object is handed over to this kernel, or asked back from it, with this chain before the handoff: it may have left here before
/// that, and its receiver's answer may be on its way yet.
pub(super) fn comes_back(s: &mut Step<'_, '_>, key: ObjectKey, before: &Chain) -> Result<(), StoreError> {
    let Some(lineage) = key.lineage() else { return Ok(()) };
    if mutant!(ComesBackSealed) || !rows::is_accepted_in(s.txn, &key, before)? {
        return Ok(());
    }
    let known = object::chain(s.txn, &lineage)?;
    match before.verify_knowing(lineage, known.as_ref()) {
        Ok(()) => moved(s, key, before.clone()),
        Err(_) => Ok(()),
    }
}

/// The object has another home: what is here is a copy from now on.
fn moved(s: &mut Step<'_, '_>, key: ObjectKey, chain: Chain) -> Result<(), StoreError> {
    let (home, me) = (chain.home(), s.ctx.me);
    if let Some(lineage) = key.lineage() {
        object::put_chain(s.txn, &lineage, &chain)?;
    }
    // Unless its newest revision came with the news.
    if let Some(head) = object::head(s.txn, &key)?.filter(|head| head.home == Some(me)) {
        let head = HeadRow { home: Some(home), tip: None, proven: true, guest: None, ..head };
        s.txn.put(Table::Head, &key.to_row(), &head);
    }
    beside_moved(s, &key)?;
    s.txn.delete(Table::Leaving, &key.to_row());
    s.txn.delete(Table::Luggage, &key.to_row());
    luggage::leave_behind(s, &key)?;
    let names = follow::asked_as(s, &key)?;
    hear::lanes_follow(s, &names, &chain)?;
    // What it followed there before it was there, it follows there now.
    let again = if mutant!(FollowOnlyOnce) { Vec::new() } else { follow::follows(s, &names, &home)? };
    for name in again {
        follow::follow_there(s, name, (home, home))?;
    }
    let leaving = s.engine.moving.leaving.remove(&key);
    let (tokens, left) = leaving.map(|leaving| (leaving.tokens, leaving.left)).unwrap_or_default();
    for token in tokens {
        s.out.push(Effect::Reply { token, reply: Ok(Answer::Moved { to: home, left }) });
    }
    s.out.push(Effect::Event(Event::Moved { key, to: home }));
    act::release(s, key);
    Ok(())
}

/// The receiver has refused it: this kernel is its home again, under a certificate that says so.
fn reopen(s: &mut Step<'_, '_>, key: ObjectKey, sealed: SealedRow, said: &Handed) -> Result<(), StoreError> {
    let SealedRow { mut chain, .. } = sealed;
    let packed = packed(s, &key)?;
    let Some(handoff) = chain.links.last().cloned() else { return Ok(()) };
    let mut reopen = Certificate {
        epoch: chain.epoch() + 1,
        kind: CertificateKind::Reopen,
        home: s.ctx.me,
        incarnation: my_life(s)?,
        base: handoff.id(),
        signature: None,
        luggage: None,
        refusal: Some(said.answer),
        ..handoff
    };
    reopen.signature = Some(s.ctx.key.sign(Purpose::Certificate, &reopen.id()));
    chain.links.push(reopen);
    let Some(head) = object::head(s.txn, &key)? else { return Ok(()) };
    let draft = Draft::under(head.clone(), chain, s.ctx.now_ms).over(Some(head));
    act::carry_out(s, BuiltIn::Reopen, Cause::Action, draft)?;
    if let Ok(luggage) = Luggage::unpack(&packed) {
        luggage::put_back(s, &key, luggage)?;
    }
    s.txn.delete(Table::Luggage, &key.to_row());
    let why = match said.code {
        None | Some(Code::Withdrawn) => Unmoved::TakenBack,
        Some(code) => Unmoved::Unwelcome(code),
    };
    stay(s, key, why)
}
