//! The scenarios that an action depends on: the home asks the origin for those it lacks, and only these travel. The
//! lane waits for them in memory, for a while; nothing outside the lane does.

use bytes::Bytes;
use once_model::action::{Given, Need};
use once_model::limits::{GIVEN_WAIT_MS, SCENARIO_MAX_BYTES};
use once_model::wire::{Code, Frame};

use super::come::Come;
use super::waiting::For;
use crate::engine::Step;
use crate::store::{Read, StoreError, Table};
use crate::waist::{Effect, Timer};
use crate::{access, object};

/// What an action depends on and the origin has not shown yet. What is here already counts if the origin may read it: to
/// know a hash is not to have the bytes.
pub(crate) fn lacks(s: &Step<'_, '_>, come: &Come) -> Result<Vec<Given>, StoreError> {
    let mut lacks = Vec::new();
    for given in come.act.action.given.iter().filter(|given| !come.shown.contains(given)) {
        let key = object::current_key(s.txn, &given.key)?;
        let head = object::head(s.txn, &key)?.filter(|head| head.header.content == given.content);
        let origin = &come.origin.kernel;
        let shown = match head {
            Some(head) if !head.header.tombstone => {
                *origin == s.ctx.me
                    || head.from == Some(*origin)
                    || access::may_read(s.txn, origin, &head, s.ctx.now_ms)?
            }
            _ => false,
        };
        if !shown && !mutant!(GivenWithoutRight) {
            lacks.push(*given);
        }
    }
    Ok(lacks)
}

/// The bytes of all that an action depends on, or why there are none: one of them is not here, or they are too many.
pub(crate) fn bodies(s: &Step<'_, '_>, given: &[Given]) -> Result<Result<Vec<Bytes>, Code>, StoreError> {
    let mut places = Vec::with_capacity(given.len());
    let mut bytes = 0_u64;
    for given in given {
        let key = object::current_key(s.txn, &given.key)?;
        let head = object::head(s.txn, &key)?.filter(|head| head.header.content == given.content);
        let Some(head) = head else { return Ok(Err(Code::Lacking)) };
        bytes = bytes.saturating_add(head.header.size);
        places.push(object::body_key(&head.header));
    }
    // Before the first of them is read.
    if bytes > SCENARIO_MAX_BYTES as u64 {
        return Ok(Err(Code::TooLarge));
    }
    let bodies: Option<Vec<Bytes>> =
        places.iter().map(|place| s.txn.get(Table::Body, place)).collect::<Result<_, _>>()?;
    Ok(bodies.ok_or(Code::Lacking))
}

/// Holds an action, and with it its lane, until the origin has shared what it depends on.
pub(crate) fn hold(s: &mut Step<'_, '_>, come: Come, lacks: Vec<Given>) -> Result<(), StoreError> {
    let (lane, peer) = (come.lane(), come.origin.kernel);
    let (waiting, limits) = (&mut s.engine.act.waiting, &s.engine.limits);
    let of_peer = waiting.lacking(Some(&peer)).count();
    let behind = waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
    if waiting.lacking(None).count() >= limits.lacking
        || of_peer >= limits.lacking_of_peer
        || !waiting.has_room(&come)
    {
        // Nothing is promised: it comes again.
        return Ok(());
    }
    let need = Need { lane: come.act.lane, sequence: come.act.sequence, lacks: lacks.clone() };
    let until_ms = s.ctx.now_ms.saturating_add(GIVEN_WAIT_MS);
    let told = s.up(&peer).unwrap_or_default();
    let comes = std::iter::once(come).chain(behind).collect();
    s.engine.act.waiting.stand(lane, For::Scenarios { lacks, told, until_ms }, comes);
    if let Some(conn) = s.up(&peer) {
        s.out.send(peer, conn, Frame::Need(need));
    }
    set_timer(s);
    Ok(())
}

pub(crate) fn set_timer(s: &mut Step<'_, '_>) {
    let waiting = &mut s.engine.act.waiting;
    if waiting.lacking(None).next().is_some() && !std::mem::replace(&mut waiting.timer_set, true) {
        s.out.push(Effect::Timer { after_ms: GIVEN_WAIT_MS, timer: Timer::Given });
    }
}

/// What waits for scenarios was sent again: on a new connection the origin may not have heard what is needed.
pub(crate) fn ask_again(s: &mut Step<'_, '_>, come: &Come) {
    let peer = come.origin.kernel;
    let Some(conn) = s.up(&peer) else { return };
    let Some(standing) = s.engine.act.waiting.get_mut(&come.lane()) else { return };
    let For::Scenarios { lacks, told, .. } = &mut standing.waits else { return };
    if std::mem::replace(told, conn) != conn {
        let need = Need { lane: come.act.lane, sequence: come.act.sequence, lacks: lacks.clone() };
        s.out.send(peer, conn, Frame::Need(need));
    }
}
