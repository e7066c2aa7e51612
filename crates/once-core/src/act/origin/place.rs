//! The lane that an action takes, and its place there.

use once_model::ids::{KernelId, Line, ObjectKey};

use super::lanes;
use super::state::Lane;
use crate::act::rows::{LaneId, Place, QueueRow, WaitingRow};
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::{object, peers, timer};

/// Gives an action the next place of its lane, and writes it down.
pub(crate) fn enqueue(
    s: &mut Step<'_, '_>,
    lane: &LaneId,
    row: WaitingRow,
) -> Result<(Place, Lane), StoreError> {
    let (place, lane) = lanes::give_place(s, lane)?;
    let key = place.to_row();
    if let Some(deadline_ms) = row.deadline_ms {
        timer::set_deadline(s, deadline_ms, &key);
    }
    s.txn.put_new_lazily(Table::Queue, &key, &QueueRow::Waiting(row));
    Ok((place, lane))
}

/// The home of an object that has moved, as far as is known here: its newest revision may not be here yet. Whoever names the
/// copy that it began as, and a kernel that never was its home, means another object.
fn moved_to(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    asked: (&ObjectKey, Option<KernelId>),
) -> Result<Option<KernelId>, StoreError> {
    let Some(lineage) = key.lineage() else { return Ok(None) };
    let Some(chain) = object::chain(s.txn, &lineage)?.filter(|chain| !chain.links.is_empty()) else {
        return Ok(None);
    };
    let is_meant = match asked {
        (asked, Some(at)) if asked != key => chain.homes().any(|home| home == at),
        _ => true,
    };
    Ok(is_meant.then(|| chain.home()))
}

/// What a copy is called now, as far as lanes of that name tell: an action in one of them was answered under that name, and the
/// kernel that is named has been its home. So it is the same object, and not another one that began as the same copy.
fn answered_as(
    s: &mut Step<'_, '_>,
    asked: &ObjectKey,
    at: Option<KernelId>,
) -> Result<Option<ObjectKey>, StoreError> {
    let Some(at) = at.filter(|_| asked.lineage().is_none()) else { return Ok(None) };
    for lane in lanes::of_name(s.txn, asked)? {
        let now = lanes::lane(s, &lane)?.and_then(|lane| lane.now);
        let Some(now) = now else { continue };
        if object::chain_of(s.txn, &now)?.is_some_and(|chain| chain.homes().any(|home| home == at)) {
            return Ok(Some(now));
        }
    }
    Ok(None)
}

/// The lane to an object.
pub(crate) fn lane_for(
    s: &mut Step<'_, '_>,
    asked: ObjectKey,
    at: Option<KernelId>,
) -> Result<LaneId, Failure> {
    let mut current = object::current_key(s.txn, &asked)?;
    if current == asked {
        current = answered_as(s, &asked, at)?.unwrap_or(current);
    }
    let head = object::head(s.txn, &current)?;
    let home = match (asked.line, at, head.as_ref().map(|head| head.home)) {
        // Several kernels may have claimed one copy: whose object is meant, only the client can say.
        (Line::Unclaimed(_), Some(at), _) => at,
        (.., Some(Some(home))) => home,
        (_, Some(at), _) => at,
        // An unclaimed copy that was imported here is claimed by its first change.
        (_, None, Some(None)) => s.ctx.me,
        (_, None, None) => return Err(Refusal::NoHome(asked).into()),
    };
    let moved = moved_to(s, &current, (&asked, at))?;
    let home = moved.unwrap_or(home);
    if home == s.ctx.me {
        let head = head.ok_or(Refusal::NoObject(asked))?;
        if head.header.tombstone {
            return Err(Refusal::Removed(current).into());
        }
        // A replica goes on below: its home may have been said to be here.
        if head.home.is_none() {
            object::may_change(s, &head)?;
        }
    } else if peers::peer(s.txn, &home)?.is_none() {
        return Err(Refusal::NoPeer(home).into());
    }
    // A lane of an unclaimed copy goes on under the new name once nothing is on its way under the old one.
    let lane = lanes::of(s, asked, home)?;
    let lane = match lanes::lane(s, &lane)? {
        Some(known) if known.is_done() => match known.now {
            // Where that led in the end, whatever home was named: two lanes of one name would give a sequence twice.
            Some(now) => lanes::of(s, now, known.home)?,
            None => lane,
        },
        Some(_) => lane,
        None if home == s.ctx.me || moved.is_some() => lanes::of(s, current, home)?,
        None => lane,
    };
    match lanes::waits_elsewhere(s, &lane, home)? {
        Some(home) => Err(Refusal::AskedElsewhere { key: asked, home }.into()),
        None => Ok(lane),
    }
}
