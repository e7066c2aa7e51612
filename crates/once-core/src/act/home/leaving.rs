//! What a home does with the lanes of an object that is about to leave, or has come.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use once_model::action::{BUILT_IN_FROM, LaneName};
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::{LuggageLane, LuggageResult};

use super::come::Come;
use super::marks;
use super::waiting::For;
use crate::act::origin::{lanes, rehome};
use crate::act::rows::{
    LaneRow, LedgerRow, Origin, lane_from_key, lane_key, ledger_key, ledger_sequence, name_to_row,
};
use crate::engine::Step;
use crate::follow::asked_as;
use crate::moving::{Hold, Room};
use crate::object;
use crate::share;
use crate::store::{StoreError, Table, has_any, scan_prefix, try_scan};
use crate::txn;

/// Whether an act waits, because its object is about to leave: all do, but answers to it, what it asked of itself, and what must run
/// before these.
pub(crate) fn is_held(s: &mut Step<'_, '_>, key: &ObjectKey, come: &Come) -> Result<bool, StoreError> {
    let Some(hold) = s.engine.moving.hold(key) else { return Ok(false) };
    let place = lane_key(&come.act.lane, &come.origin);
    if come.act.sequence <= marks::mark(s, &place)? {
        // It has its outcome, which is told as ever.
        return Ok(false);
    }
    if hold == Hold::All || come.origin.kernel != s.ctx.me {
        return Ok(true);
    }
    let id = lanes::to(s, come.act.lane, s.ctx.me)?;
    Ok(!rehome::ends_from(s, &id, come.act.sequence)?)
}

/// Lanes that wait because an object is about to leave go on, in steps to come: all of them, or those of this kernel.
fn let_go(s: &mut Step<'_, '_>, key: ObjectKey, own_alone: bool) {
    let me = s.ctx.me;
    for lane in s.engine.act.waiting.leaving(&key) {
        if own_alone && lane.0.kernel != me {
            continue;
        }
        if let Some(standing) = s.engine.act.waiting.take(&lane) {
            s.engine.act.waiting.stand(lane, For::Object { key }, standing.comes);
            s.engine.act.waiting.free.insert(key);
        }
    }
    share::pump_later(s, me);
}

/// An object stays, or has left: what waited for that goes on.
pub(crate) fn release(s: &mut Step<'_, '_>, key: ObjectKey) {
    let_go(s, key, false);
}

/// An answer may have come for an object that is about to leave: what must run before it runs.
pub(crate) fn nudge(s: &mut Step<'_, '_>, key: ObjectKey) {
    let_go(s, key, true);
}

/// The lanes of an object, as they move with it: as many as there is room for.
pub(crate) fn lanes_of(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    room: &mut Room,
) -> Result<Vec<LuggageLane>, StoreError> {
    let mut places = Vec::new();
    if mutant!(MoveWithoutLanes) {
        return Ok(Vec::new());
    }
    for name in asked_as(s, key)? {
        scan_prefix(s.txn, Table::Lane, &name.to_row(), &mut |place, value| {
            if !room.take(place.len() + value.len()) {
                return ControlFlow::Break(());
            }
            places.push(place.to_vec());
            ControlFlow::Continue(())
        })?;
    }
    let mut found = Vec::new();
    for place in places {
        let (Some((name, origin, _)), Some(lane)) = (lane_from_key(&place), marks::lane(s, &place)?) else {
            continue;
        };
        let (mark, floor) = (lane.row.mark, lane.row.floor);
        let results = results(s, &place, floor, room)?;
        found.push(LuggageLane {
            name,
            origin: origin.kernel,
            incarnation: origin.incarnation,
            mark,
            floor,
            results,
        });
    }
    Ok(found)
}

/// Whose lanes they are.
pub(crate) fn origins_of(s: &Step<'_, '_>, key: &ObjectKey) -> Result<BTreeSet<KernelId>, StoreError> {
    let mut found = BTreeSet::new();
    for name in asked_as(s, key)? {
        scan_prefix(s.txn, Table::Lane, &name.to_row(), &mut |place, _| {
            found.extend(lane_from_key(place).map(|(_, origin, _)| origin.kernel));
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

/// The outcomes that an origin may not have yet.
fn results(
    s: &Step<'_, '_>,
    place: &[u8],
    floor: u64,
    room: &mut Room,
) -> Result<Vec<LuggageResult>, StoreError> {
    let mut found = Vec::new();
    if mutant!(MoveWithoutResults) {
        return Ok(found);
    }
    let (from, to) = (ledger_key(place, floor), ledger_key(place, BUILT_IN_FROM));
    try_scan(s.txn, Table::Ledger, &from, Some(&to), |row, value| {
        if !room.take(value.len()) {
            return Ok(ControlFlow::Break(()));
        }
        let LedgerRow { id, hash, outcome, after, at_ms, .. } =
            txn::decode(Table::Ledger, &value).map_err(|error: StoreError| error.at(row))?;
        let sequence = ledger_sequence(row).unwrap_or_default();
        found.extend(outcome.map(|outcome| LuggageResult { sequence, id, hash, outcome, after, at_ms }));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// A lane goes on here where it was at the home before.
pub(crate) fn put_lane(s: &mut Step<'_, '_>, lane: &LuggageLane) -> Result<(), StoreError> {
    let origin = Origin { kernel: lane.origin, incarnation: lane.incarnation };
    let place = lane_key(&lane.name, &origin);
    let new = LaneRow {
        told_from: lane.floor,
        results_from: lane.floor,
        long_from: lane.floor,
        ..LaneRow::default()
    };
    let known = marks::lane(s, &place)?;
    if known.is_none() && origin.kernel != s.ctx.me {
        object::charge(s, &origin.kernel, i64::try_from(object::LANE_COST_BYTES).unwrap_or(i64::MAX))?;
    }
    let known = known.map_or(new, |lane| lane.row);
    let row = LaneRow { mark: known.mark.max(lane.mark), floor: known.floor.max(lane.floor), ..known };
    s.txn.put(Table::Lane, &place, &row);
    for LuggageResult { sequence, id, hash, outcome, after, at_ms } in lane.results.iter().cloned() {
        let row = ledger_key(&place, sequence);
        let new = LedgerRow { id, hash, outcome: None, after, at_ms, place: None, told: None };
        // It may have been recorded here, when this was the object's home before: then it is part of its history.
        let known = txn::get(s.txn, Table::Ledger, &row)?.filter(|known: &LedgerRow| known.id == id);
        let known = known.unwrap_or(new);
        s.txn.put(Table::Ledger, &row, &LedgerRow { outcome: Some(outcome), ..known });
    }
    s.engine.act.marks.lanes.remove(&place);
    Ok(())
}

/// Whether a kernel has a lane to an object here.
pub(crate) fn has_lane(s: &Step<'_, '_>, key: &ObjectKey, peer: &KernelId) -> Result<bool, StoreError> {
    for name in asked_as(s, key)? {
        let prefix = [name_to_row(&LaneName::from(name)).as_slice(), peer.as_bytes()].concat();
        if has_any(s.txn, Table::Lane, &prefix)? {
            return Ok(true);
        }
    }
    Ok(false)
}
