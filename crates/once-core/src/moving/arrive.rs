//! The receiver of an object: it says whether it would take it, and answers each handoff once.

use once_model::certificate::{Answer, Certificate, Chain};
use once_model::header::Header;
use once_model::ids::{Hash, Incarnation, KernelId, Line, Lineage, ObjectKey};
use once_model::limits::{INLINE_MAX_BYTES, LUGGAGE_MAX_BYTES};
use once_model::moving::{Ahead, Handed, Handoff, Luggage, Welcome, Withdraw};
use once_model::wire::{Code, Frame, Parcel};

use super::both::{connection, is_passing, my_life, tick_later};
use super::rows::{HandedRow, WelcomeRow, handed_key, is_welcome};
use super::{hear, luggage, sealed, words};
use crate::access;
use crate::act::{self, BuiltIn, Cause};
use crate::engine::Step;
use crate::object::{self, Draft, HeadRow, verify_but_chain};
use crate::store::{Read, StoreError, Table};
use crate::waist::{Apart, Arrival, Effect, Event};
use crate::{follow, share, txn};

/// A home asks whether this kernel would take an object.
pub(crate) fn ahead(s: &mut Step<'_, '_>, peer: KernelId, asked: Ahead) -> Result<(), StoreError> {
    let Ahead { key, certificate, .. } = asked;
    let code = would_take(s, &peer, &asked)?.err();
    if code.is_none() && !is_welcome(s.txn, &peer, &key, &certificate)? {
        let row = WelcomeRow { certificate, since_ms: s.ctx.now_ms };
        s.txn.put(Table::Welcome, &object::object_peer_key(&key, &peer), &row);
    }
    say(s, &peer, Frame::Welcome(Welcome { key, certificate, code }));
    Ok(())
}

fn would_take(s: &Step<'_, '_>, peer: &KernelId, asked: &Ahead) -> Result<Result<(), Code>, StoreError> {
    if asked.key.lineage().is_none() {
        return Ok(Err(Code::Invalid));
    }
    if !access::may_host(s.txn, peer, &asked.component, s.ctx.now_ms)? && !mutant!(SkipHostRight) {
        return Ok(Err(Code::Denied));
    }
    // A plain record is here what it is where it lives, as long as nobody here makes something else of it.
    let is_record = asked.record == Some(true) && !s.ctx.runner.knows(&asked.component);
    let is_read = s.ctx.runner.reads(&asked.component, &asked.version);
    if !is_record && !is_read && !mutant!(TakeWhatNobodyReads) {
        return Ok(Err(Code::NoComponent));
    }
    if s.room_on_disk().is_err() {
        return Ok(Err(Code::DiskFull));
    }
    Ok(if share::has_room(s, peer, asked.size)? { Ok(()) } else { Err(Code::Quota) })
}

/// Says something to a peer that knows what a move is.
fn say(s: &mut Step<'_, '_>, peer: &KernelId, frame: Frame) {
    if let Some(conn) = connection(s, peer) {
        s.out.send(*peer, conn, frame);
    }
}

/// What of a handoff has come.
enum Brought {
    /// All of it. No luggage: the bytes are not what the handoff has signed.
    All(Option<Luggage>),
    /// All but the luggage, which is to be pulled.
    AllBut { content: Hash, size: u64 },
}

/// A home hands an object over.
pub(crate) fn handoff(s: &mut Step<'_, '_>, peer: KernelId, said: Handoff) -> Result<(), StoreError> {
    let signed = said.chain.links.last().and_then(|handoff| handoff.luggage);
    let brought = match (&said.luggage, said.luggage_size, signed) {
        (Some(luggage), None, _) => Brought::All(said.unpack(luggage)),
        (None, Some(size), Some(content)) => Brought::AllBut { content, size },
        _ => Brought::All(None),
    };
    consider(s, peer, said, brought)
}

/// The luggage of an object that is handed over has been pulled. Meanwhile everything may have changed: it is looked at anew.
pub(crate) fn luggage_came(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    said: Handoff,
    luggage: Option<Luggage>,
) -> Result<(), StoreError> {
    consider(s, peer, said, Brought::All(luggage))
}

/// Answers a handoff, once: or has its luggage pulled, if the answer depends on that alone.
fn consider(s: &mut Step<'_, '_>, peer: KernelId, said: Handoff, brought: Brought) -> Result<(), StoreError> {
    let key = said.header.key();
    let Some((handoff, before)) = said.split() else { return Ok(()) };
    let handoff = handoff.clone();
    let life = my_life(s)?;
    if handoff.home != s.ctx.me || handoff.incarnation != life {
        return Ok(());
    }
    sealed::comes_back(s, key, &before)?;
    if let Some(row) = answered(s, &key, &handoff)? {
        let handed = Handed { key, answer: row.answer, code: row.code };
        say(s, &peer, Frame::Handed(handed));
        return Ok(());
    }
    if !is_welcome(s.txn, &peer, &key, &handoff.base)? {
        return Ok(());
    }
    let checked = match checked(s, &peer, &said, &handoff, &before)? {
        // It is handed over again some time later.
        Err(code) if is_passing(code) => return Ok(()),
        Err(code) => Err(code),
        Ok(arrival) => match brought {
            Brought::All(luggage) => luggage.map(|luggage| (arrival, luggage)).ok_or(Code::Invalid),
            Brought::AllBut { content, size } => {
                pull(s, peer, Apart::Luggage { handoff: said, content, size });
                return Ok(());
            }
        },
    };
    let code = checked.as_ref().err().copied();
    let answer = answer(s, &peer, (&key, &handoff, life), code);
    if let Ok((arrival, luggage)) = checked {
        take_in(s, arrival, sealed::accepted(said.chain, answer), luggage)?;
        s.out.push(Effect::Event(Event::MovedIn { key, from: peer }));
    }
    Ok(())
}

fn pull(s: &mut Step<'_, '_>, peer: KernelId, what: Apart) {
    if let Some(conn) = connection(s, &peer) {
        s.out.push(Effect::Pull { peer, conn, what: Box::new(what) });
    }
}

/// The home wants an object back that it has handed over: if this kernel has not answered that, it refuses it now.
pub(crate) fn withdraw(s: &mut Step<'_, '_>, peer: KernelId, said: &Withdraw) -> Result<(), StoreError> {
    let key = said.key();
    let Some((handoff, before)) = said.split() else { return Ok(()) };
    let life = my_life(s)?;
    if handoff.home != s.ctx.me || handoff.incarnation != life {
        return Ok(());
    }
    sealed::comes_back(s, key, &before)?;
    if let Some(row) = answered(s, &key, handoff)? {
        say(s, &peer, Frame::Handed(Handed { key, answer: row.answer, code: row.code }));
        return Ok(());
    }
    if !is_welcome(s.txn, &peer, &key, &handoff.base)? || !is_from(s, &peer, &said.chain)? {
        return Ok(());
    }
    answer(s, &peer, (&key, handoff, life), Some(Code::Withdrawn));
    Ok(())
}

/// Whether a chain is valid but for the answer to the handoff at its end, and the peer has signed that.
fn is_from(s: &Step<'_, '_>, peer: &KernelId, chain: &Chain) -> Result<bool, StoreError> {
    let lineage = chain.genesis.lineage();
    let known = object::chain(s.txn, &lineage)?;
    let is_valid = chain.verify_handed(lineage, known.as_ref()).is_ok();
    Ok(is_valid && chain.links.last().is_some_and(|handoff| handoff.signer == *peer))
}

/// The answer that a handoff has had.
fn answered(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    handoff: &Certificate,
) -> Result<Option<HandedRow>, StoreError> {
    txn::get(s.txn, Table::Handed, &handed_key(key, &handoff.id()))
}

/// Writes the one answer down, and gives it after the commit.
fn answer(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    (key, handoff, life): (&ObjectKey, &Certificate, Incarnation),
    code: Option<Code>,
) -> Answer {
    let answer = Answer::sign(handoff.id(), code.is_none(), life, &s.ctx.key);
    s.txn.put(Table::Handed, &handed_key(key, &handoff.id()), &HandedRow { answer, code });
    if code.is_none() || !mutant!(WelcomeStays) {
        s.txn.delete(Table::Welcome, &object::object_peer_key(key, peer));
    }
    say(s, peer, Frame::Handed(Handed { key: *key, answer, code }));
    answer
}

/// What was handed over, if it is what it says, and continues what is known here of the object. The luggage is not looked at.
fn checked(
    s: &Step<'_, '_>,
    peer: &KernelId,
    said: &Handoff,
    handoff: &Certificate,
    before: &Chain,
) -> Result<Result<Arrival, Code>, StoreError> {
    if s.room_on_disk().is_err() {
        return Ok(Err(Code::DiskFull));
    }
    let header = &said.header;
    let is_inside = header.size <= INLINE_MAX_BYTES as u64;
    let body = match is_inside {
        true => said.body.clone(),
        false => s.txn.get(Table::Body, &object::body_key(header))?,
    };
    // It was here when the object was sealed, and nobody would bring it again.
    if !is_inside && body.is_none() {
        return Ok(Err(Code::Lacking));
    }
    let parcel = Parcel { header: header.clone(), chain: Some(before.clone()), body, commit: None };
    if !is_next(s, peer, said, handoff)? {
        return Ok(Err(Code::Invalid));
    }
    let Ok(arrival) = verify_but_chain(peer, parcel) else { return Ok(Err(Code::Invalid)) };
    if !continues(s, header, before)? {
        return Ok(Err(Code::Invalid));
    }
    let Some(bytes) = said.luggage_bytes() else { return Ok(Err(Code::Invalid)) };
    if bytes > LUGGAGE_MAX_BYTES as u64 {
        return Ok(Err(Code::TooLarge));
    }
    if is_another_here(s, header, before)? {
        return Ok(Err(Code::Ambiguous));
    }
    if !access::may_host(s.txn, peer, &header.component, s.ctx.now_ms)? {
        return Ok(Err(Code::Denied));
    }
    if !share::has_room(s, peer, bytes)? {
        return Ok(Err(Code::Quota));
    }
    Ok(Ok(arrival))
}

/// Whether a handoff is valid, and hands the revision over with which it came.
fn is_next(
    s: &Step<'_, '_>,
    peer: &KernelId,
    said: &Handoff,
    handoff: &Certificate,
) -> Result<bool, StoreError> {
    let header = &said.header;
    Ok(header.lineage == Some(said.chain.genesis.lineage())
        && is_from(s, peer, &said.chain)?
        && header.certificate == Some(handoff.base)
        && (handoff.base_revision, handoff.base_id) == (header.revision, header.id())
        && handoff.tip.is_some()
        && !header.tombstone)
}

/// Whether the copy that an object began as stands for another object here: lanes to both would have one name, and what is
/// asked of the one would be done by the other.
fn is_another_here(s: &Step<'_, '_>, header: &Header, before: &Chain) -> Result<bool, StoreError> {
    let content = before.genesis.content;
    let copy = ObjectKey { uuid: header.uuid, line: Line::Unclaimed(content) };
    if object::head(s.txn, &copy)?.is_some_and(|head| head.from.is_none()) {
        return Ok(true);
    }
    let place = object::content_key(&header.uuid, &content);
    let known: Option<Lineage> = txn::get(s.txn, Table::Genesis, &place)?;
    Ok(known.is_some_and(|known| Some(known) != header.lineage))
}

/// Whether the chain before a handoff continues the one that is known here, and nothing later is here.
fn continues(s: &Step<'_, '_>, header: &Header, before: &Chain) -> Result<bool, StoreError> {
    let Some(lineage) = header.lineage else { return Ok(false) };
    let known = object::chain(s.txn, &lineage)?;
    let is_known = known.is_none_or(|known| before.continues(&known));
    let head = object::head(s.txn, &header.key())?.map(|head| head.header);
    let is_newest = head.is_none_or(|head| {
        (head.epoch, head.revision) < (header.epoch, header.revision) || head.id() == header.id()
    });
    Ok(is_known && is_newest)
}

/// The object lives here from now on.
fn take_in(s: &mut Step<'_, '_>, arrival: Arrival, chain: Chain, luggage: Luggage) -> Result<(), StoreError> {
    let Arrival { header, body, .. } = arrival;
    let key = header.key();
    let tip = chain.links.last().and_then(|handoff| handoff.tip);
    let here = object::head(s.txn, &key)?;
    let from = chain.links.last().map(|handoff| handoff.signer);
    let last = HeadRow {
        header,
        home: from,
        from,
        charged: false,
        stored_ms: s.ctx.now_ms,
        conflicts_dropped: 0,
        proven: true,
        replaced: None,
        tip,
        guest: Some(true),
    };
    // Before anything is recorded: this kernel may have had a lane to it.
    luggage::put_lanes(s, &key, &chain, &luggage.lanes)?;
    let names: Vec<_> = follow::with_copy(&key, Some(&chain.genesis)).collect();
    // Of an object that was never here nothing waits, and looking for it takes its time where much waits.
    if chain.homes().filter(|home| *home == s.ctx.me).nth(1).is_some() {
        s.engine.act.waiting.forget_before_return(&names, &s.ctx.me);
    }
    let known = chain.clone();
    let copy = object::copy_of(s, &last, &chain)?;
    let draft = Draft::under(last, chain, s.ctx.now_ms).over(here).instead_of(copy).with(body);
    let head = act::carry_out(s, BuiltIn::Move, Cause::Action, draft)?;
    // Before the object is told anything: this kernel has one lane of its own to it.
    hear::lanes_follow(s, &names, &known)?;
    luggage::put_down(s, &key, luggage)?;
    if let Some(from) = from {
        words::expect(s, &head, from);
        tick_later(s);
    }
    Ok(())
}
