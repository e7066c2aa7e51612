//! The scenarios that an action depends on: the home asks the origin for those it lacks, and only these travel. The
//! lane waits for them in memory, for a while; nothing outside the lane does.

use std::collections::VecDeque;

use bytes::Bytes;
use once_model::action::{Given, Need};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{
    GIVEN_WAIT_MS, LACKING_MAX, LACKING_OF_PEER_MAX, SCENARIO_MAX_BYTES, WINDOW_MAX_BYTES, WINDOW_MAX_SHARES,
};
use once_model::wire::{Code, Frame};

use super::home::{self, Come};
use super::origin;
use super::rows::{Origin, QueueRow, queue_key};
use crate::content;
use crate::outbox::{self, Debt, Kept};
use crate::peers::Link;
use crate::rights;
use crate::rows;
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{ConnId, Effect, Timer};

/// A lane whose next action waits for scenarios.
#[derive(Debug)]
pub(crate) struct Lacking {
    come: Come,
    lacks: Vec<Given>,
    /// The connection on which the origin was told.
    told: ConnId,
    until_ms: u64,
    waiting: VecDeque<Come>,
}

pub(crate) type Lane = (Origin, ObjectKey);

/// What an action depends on and the origin has not shown yet. What is here already counts if the origin may read it: to
/// know a hash is not to have the bytes.
pub(super) fn lacks(s: &Step<'_, '_>, come: &Come) -> Result<Vec<Given>, StoreError> {
    let mut lacks = Vec::new();
    for given in come.act.action.given.iter().filter(|given| !come.shown.contains(given)) {
        let key = content::current_key(s, &given.key)?;
        let head = rows::head(s.txn, &key)?.filter(|head| head.header.content == given.content);
        let origin = &come.origin.kernel;
        let shown = match head {
            Some(head) if !head.header.tombstone => {
                *origin == s.ctx.me
                    || head.from == Some(*origin)
                    || rights::may_read(s.txn, origin, &head, s.ctx.now_ms)?
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
pub(super) fn bodies(s: &Step<'_, '_>, given: &[Given]) -> Result<Result<Vec<Bytes>, Code>, StoreError> {
    let mut places = Vec::with_capacity(given.len());
    let mut bytes = 0_u64;
    for given in given {
        let key = content::current_key(s, &given.key)?;
        let head = rows::head(s.txn, &key)?.filter(|head| head.header.content == given.content);
        let Some(head) = head else { return Ok(Err(Code::Lacking)) };
        bytes = bytes.saturating_add(head.header.size);
        places.push(rows::body_key(&head.header));
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
pub(super) fn hold(s: &mut Step<'_, '_>, come: Come, lacks: Vec<Given>) -> Result<(), StoreError> {
    let of_peer = s.engine.lacking.keys().filter(|(origin, _)| origin.kernel == come.origin.kernel).count();
    if s.engine.lacking.len() >= LACKING_MAX || of_peer >= LACKING_OF_PEER_MAX {
        // Nothing is promised: it comes again.
        return Ok(());
    }
    let need = Need { lane: come.act.lane, sequence: come.act.sequence, lacks: lacks.clone() };
    let (lane, peer) = ((come.origin, come.act.lane.key), come.origin.kernel);
    let until_ms = s.ctx.now_ms.saturating_add(GIVEN_WAIT_MS);
    let told = s.up(&peer).unwrap_or_default();
    s.engine.lacking.insert(lane, Lacking { come, lacks, told, until_ms, waiting: VecDeque::new() });
    if let Some(conn) = s.up(&peer) {
        s.out.send(peer, conn, Frame::Need(need));
    }
    set_timer(s);
    Ok(())
}

fn set_timer(s: &mut Step<'_, '_>) {
    if !s.engine.lacking.is_empty() && !std::mem::replace(&mut s.engine.given_set, true) {
        s.out.push(Effect::Timer { after_ms: GIVEN_WAIT_MS, timer: Timer::Given });
    }
}

/// An action came: if its lane waits for scenarios, it waits behind. If it is its turn, it is returned, with those whose
/// turn it is afterwards.
pub(super) fn turn(s: &mut Step<'_, '_>, come: Come) -> Option<(Come, VecDeque<Come>)> {
    let lane = (come.origin, come.act.lane.key);
    let Some(held) = s.engine.lacking.get_mut(&lane) else { return Some((come, VecDeque::new())) };
    if !held.come.is_same(&come) {
        // An honest peer has no more than that unanswered.
        if has_room(s, &come.origin.kernel)
            && let Some(held) = s.engine.lacking.get_mut(&lane)
        {
            home::line_up(&mut held.waiting, come);
        }
        return None;
    }
    if come.act.void.is_some() {
        // Taken back: it need not wait.
        let behind = s.engine.lacking.remove(&lane).map(|held| held.waiting);
        return Some((come, behind.unwrap_or_default()));
    }
    // It was sent again: on a new connection the origin may not have heard what is needed.
    let need = Need { lane: come.act.lane, sequence: come.act.sequence, lacks: held.lacks.clone() };
    let peer = come.origin.kernel;
    if let Some(conn) = s.engine.links.get(&peer).and_then(Link::up)
        && std::mem::replace(&mut held.told, conn) != conn
    {
        s.out.send(peer, conn, Frame::Need(need));
    }
    None
}

/// Whether one more action of a peer may wait behind those that wait for scenarios.
fn has_room(s: &Step<'_, '_>, peer: &KernelId) -> bool {
    let lanes = s.engine.lacking.iter().filter(|(lane, _)| lane.0.kernel == *peer);
    let (mut acts, mut bytes) = (0, 0);
    for come in lanes.flat_map(|(_, held)| &held.waiting) {
        acts += 1;
        bytes += come.act.action.arguments.len();
    }
    acts < WINDOW_MAX_SHARES && bytes < WINDOW_MAX_BYTES
}

/// A scenario came from a peer: lanes of it that wait for this go on.
pub(crate) fn came(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<(), StoreError> {
    let mut ready = Vec::new();
    for (lane, held) in &mut s.engine.lacking {
        if lane.0.kernel == peer {
            let came = |given: &Given| given.key.uuid == key.uuid && given.content == *content;
            held.come.shown.extend(held.lacks.extract_if(.., |given| came(given)));
            if held.lacks.is_empty() {
                ready.push(*lane);
            }
        }
    }
    for lane in ready {
        if let Some(Lacking { come, waiting, .. }) = s.engine.lacking.remove(&lane) {
            home::arrived(s, come)?;
            for come in waiting {
                home::arrived(s, come)?;
            }
        }
    }
    Ok(())
}

/// The timer came: what has waited too long is refused, and its lane goes on.
pub(crate) fn late(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.given_set = false;
    let now_ms = s.ctx.now_ms;
    // A clock that was set back makes them wait for the whole time once more at most.
    let is_late = |held: &Lacking| now_ms >= held.until_ms || held.until_ms - now_ms > GIVEN_WAIT_MS;
    let lanes: Vec<Lane> =
        s.engine.lacking.iter().filter(|(_, held)| is_late(held)).map(|(lane, _)| *lane).collect();
    give_up(s, lanes)?;
    set_timer(s);
    Ok(())
}

/// A scenario came from a peer and is not kept: whoever waits for it here waits in vain.
pub(crate) fn not_kept(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<(), StoreError> {
    let waits = |held: &Lacking| {
        held.lacks.iter().any(|given| given.key.uuid == key.uuid && given.content == *content)
    };
    let lanes = s.engine.lacking.iter().filter(|(lane, held)| lane.0.kernel == peer && waits(held));
    let lanes: Vec<Lane> = lanes.map(|(lane, _)| *lane).collect();
    give_up(s, lanes)
}

fn give_up(s: &mut Step<'_, '_>, lanes: Vec<Lane>) -> Result<(), StoreError> {
    for lane in lanes {
        if let Some(Lacking { come, waiting, .. }) = s.engine.lacking.remove(&lane) {
            home::refuse_recorded(s, &come, Code::Lacking)?;
            for come in waiting {
                home::arrived(s, come)?;
            }
        }
    }
    Ok(())
}

/// The origin's side: the home needs scenarios of an action that waits for its outcome there. What the action does not
/// name, nobody gets. If this kernel has not got what it names, or not any more, the action will never run.
pub(crate) fn need(s: &mut Step<'_, '_>, home: KernelId, need: &Need) -> Result<(), StoreError> {
    let place = queue_key(&home, &need.lane.key, need.sequence);
    let row: Option<QueueRow> = txn::get(s.txn, Table::Queue, &place)?;
    let Some(row) = row.filter(|row| row.void.is_none()) else { return Ok(()) };
    for given in row.action.given.iter().filter(|given| need.lacks.contains(given)) {
        let key = content::current_key(s, &given.key)?;
        let head = rows::head(s.txn, &key)?;
        match head.filter(|head| head.header.content == given.content && !head.header.tombstone) {
            Some(head) => {
                let debt = Debt::Given { content: given.content };
                outbox::owe(s, home, &head, debt, Kept::Durably)?;
            }
            None => return origin::make_void(s, &home, (need.lane.key, need.sequence), Code::Lacking),
        }
    }
    Ok(())
}
