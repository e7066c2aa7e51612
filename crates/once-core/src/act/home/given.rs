//! The scenarios that an action depends on: the home asks the origin for those it lacks, and only these travel. The
//! lane waits for them in memory, for a while; nothing outside the lane does.

use bytes::Bytes;
use once_model::action::{Given, Need};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{GIVEN_WAIT_MS, LACKING_MAX, LACKING_OF_PEER_MAX, SCENARIO_MAX_BYTES};
use once_model::wire::{Code, Frame};

use super::come::Come;
use super::turn;
use super::waiting::{For, Lane, Standing};
use crate::engine::Step;
use crate::store::{Read, StoreError, Table};
use crate::waist::{Effect, Timer};
use crate::{access, object};

/// What an action depends on and the origin has not shown yet. What is here already counts if the origin may read it: to
/// know a hash is not to have the bytes.
pub(crate) fn lacks(s: &Step<'_, '_>, come: &Come) -> Result<Vec<Given>, StoreError> {
    let mut lacks = Vec::new();
    for given in come.act.action.given.iter().filter(|given| !come.shown.contains(given)) {
        let key = object::current_key(s, &given.key)?;
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
        let key = object::current_key(s, &given.key)?;
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
    let waiting = &mut s.engine.act.waiting;
    let of_peer = waiting.lacking(Some(&peer)).count();
    let behind = waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
    if waiting.lacking(None).count() >= LACKING_MAX
        || of_peer >= LACKING_OF_PEER_MAX
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

fn set_timer(s: &mut Step<'_, '_>) {
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

/// A scenario came from a peer: lanes of it that wait for this go on.
pub(crate) fn came(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<(), StoreError> {
    let lanes: Vec<Lane> = s.engine.act.waiting.lacking(Some(&peer)).copied().collect();
    for lane in lanes {
        let Some(Standing { waits: For::Scenarios { lacks, .. }, comes, .. }) =
            s.engine.act.waiting.get_mut(&lane)
        else {
            continue;
        };
        let is_it = |given: &Given| given.key.uuid == key.uuid && given.content == *content;
        let shown: Vec<Given> = lacks.extract_if(.., |given| is_it(given)).collect();
        if let Some(first) = comes.front_mut() {
            first.shown.extend(shown);
        }
        if lacks.is_empty() {
            let comes = s.engine.act.waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
            turn::go(s, lane, comes)?;
        }
    }
    Ok(())
}

/// The timer came: what has waited too long is refused, and its lane goes on.
pub(crate) fn late(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.act.waiting.timer_set = false;
    let now_ms = s.ctx.now_ms;
    // A clock that was set back makes them wait for the whole time once more at most.
    give_up(s, None, |_, until_ms| now_ms >= until_ms || until_ms - now_ms > GIVEN_WAIT_MS)?;
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
    let is_it = |given: &Given| given.key.uuid == key.uuid && given.content == *content;
    give_up(s, Some(peer), |lacks, _| lacks.iter().any(is_it))
}

/// Those that wait in vain are refused, and their lanes go on.
fn give_up(
    s: &mut Step<'_, '_>,
    peer: Option<KernelId>,
    in_vain: impl Fn(&[Given], u64) -> bool,
) -> Result<(), StoreError> {
    let lanes: Vec<Lane> = s.engine.act.waiting.lacking(peer.as_ref()).copied().collect();
    for lane in lanes {
        let waits = match s.engine.act.waiting.get(&lane).map(|standing| &standing.waits) {
            Some(For::Scenarios { lacks, until_ms, .. }) => in_vain(lacks, *until_ms),
            _ => false,
        };
        if !waits {
            continue;
        }
        let Some(Standing { mut comes, .. }) = s.engine.act.waiting.take(&lane) else { continue };
        if let Some(come) = comes.pop_front() {
            let of = (lane.0.kernel, lane.1.key);
            s.guarded(of, |s| turn::refuse_recorded(s, &come, Code::Lacking))?;
        }
        turn::go(s, lane, comes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use once_model::action::Given;
    use once_model::ids::{Hash, Line, ObjectKey, Uuid};
    use once_model::wire::Code;

    use crate::share;
    use crate::store::Table;
    use crate::testing::{Alone, asked};

    /// The session checks what is shared: the engine must hear also of what does not fit, or an action waits in vain.
    #[test]
    fn a_share_that_is_not_what_it_says_ends_the_waiting_for_it() {
        let mut kernel = Alone::new();
        let (origin, object) = (kernel.peer(9), kernel.object(1, "Open"));
        let content = Hash::from_bytes([5; 32]);
        let key = ObjectKey { uuid: Uuid::from_u128(5), line: Line::Unclaimed(content) };
        let mut act = asked(object, 1, "1".into());
        act.action.given = vec![Given { key, content }];
        kernel.step(|s| crate::act::received(s, origin, act));
        let recorded = |kernel: &Alone| {
            let rows = kernel.rows().into_iter();
            rows.filter(|(table, key, _)| *table == Table::Ledger && key.starts_with(&object.to_row()))
                .count()
        };
        let before = recorded(&kernel);
        let (peer, share) = (origin.kernel, (key, Hash::from_bytes([6; 32]), content));
        kernel.step(|s| share::unfit(s, peer, 1, (key, share.1, share.1), Code::Invalid));
        assert_eq!(recorded(&kernel), before, "another content");
        kernel.step(|s| share::unfit(s, peer, 1, share, Code::Busy));
        assert_eq!(recorded(&kernel), before, "it comes again");
        kernel.step(|s| share::unfit(s, peer, 1, share, Code::Invalid));
        assert_eq!(recorded(&kernel), before + 1);
    }
}
