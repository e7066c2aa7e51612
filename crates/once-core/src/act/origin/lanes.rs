//! The lanes of this kernel as an origin: how far each has come. Most of that is in the rows of its actions; the lane's
//! own row is written when it begins, every so often, and when the row that shows its last sequence goes.

use std::ops::ControlFlow;

use once_model::action::{BUILT_IN_FROM, LaneName};
use once_model::ids::{KernelId, ObjectKey};

use super::state::Lane;
use crate::act::rows::{LaneId, Origin, Place, QueueRow, SendingRow, name_to_row};
use crate::engine::Step;
use crate::store::{Read, StoreError, Table, prefix_end, try_scan};
use crate::{meta, object, share, txn};

/// A lane's row is at most so many sequences behind: that many rows are read when the lane is met again.
const BEHIND_MAX: u64 = 64;

/// A lane that has begun.
pub(crate) fn lane(s: &mut Step<'_, '_>, id: &LaneId) -> Result<Option<Lane>, StoreError> {
    if let Some(lane) = s.engine.act.lanes.0.get(id) {
        return Ok(Some(*lane));
    }
    let Some(mut lane) = standing(s.txn, id)? else { return Ok(None) };
    lane.listed = share::lists(s.txn, &lane.home, id)?;
    lane.shares_name = of_name(s.txn, &id.name.key)?.len() > 1;
    note(s, id, lane);
    Ok(Some(lane))
}

/// How a lane stands, by its rows alone.
pub(crate) fn standing(rows: &dyn Read, id: &LaneId) -> Result<Option<Lane>, StoreError> {
    let Some(row) = txn::get::<SendingRow>(rows, Table::Sending, &id.to_row())? else { return Ok(None) };
    let SendingRow { home, last, floor, now } = row;
    let saved = (last, floor);
    let mut lane = Lane { home, now, last, floor, listed: false, shares_name: false, saved };
    let mut first_waiting = None;
    scan(rows, id, floor, |sequence, value| {
        lane.last = lane.last.max(sequence);
        Ok(match txn::decode(Table::Queue, value)? {
            QueueRow::Ended(_) => ControlFlow::Continue(()),
            QueueRow::Waiting(_) => {
                first_waiting = Some(sequence);
                ControlFlow::Break(())
            }
        })
    })?;
    if first_waiting.is_some() {
        let from = lane.last;
        scan(rows, id, from, |sequence, _| {
            lane.last = lane.last.max(sequence);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    // What has no row any more has its outcome.
    lane.floor = first_waiting.unwrap_or(lane.last + 1);
    Ok(Some(lane))
}

/// The actions of a lane from a sequence on. What is built in has places beyond those of every lane.
pub(crate) fn scan(
    rows: &dyn Read,
    id: &LaneId,
    from: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let begin = Place { lane: *id, sequence: from }.to_row();
    let end = Place { lane: *id, sequence: BUILT_IN_FROM }.to_row();
    try_scan(rows, Table::Queue, &begin, Some(&end), |row, value| match Place::from_row(row) {
        Some(place) => visit(place.sequence, &value),
        None => Ok(ControlFlow::Continue(())),
    })
}

fn note(s: &mut Step<'_, '_>, id: &LaneId, lane: Lane) {
    let (lanes, most) = (&mut s.engine.act.lanes.0, s.engine.limits.lanes);
    if lanes.len() >= most && !lanes.contains_key(id) {
        lanes.clear();
    }
    lanes.insert(*id, lane);
}

/// Remembers how a lane stands; its row follows when it is too far behind.
fn keep(s: &mut Step<'_, '_>, id: &LaneId, mut lane: Lane, write: bool) {
    let behind = (lane.last - lane.saved.0).max(lane.floor - lane.saved.1);
    if write || behind >= BEHIND_MAX {
        lane.saved = (lane.last, lane.floor);
        let row = SendingRow { home: lane.home, last: lane.last, floor: lane.floor, now: lane.now };
        s.txn.put_lazily(Table::Sending, &id.to_row(), &row);
    }
    note(s, id, lane);
}

/// The lane of a name that leads to a home now: the one that began there, or one that has followed its object there. If there
/// is none, the one that would begin there.
pub(crate) fn to(
    s: &mut Step<'_, '_>,
    name: impl Into<LaneName>,
    home: KernelId,
) -> Result<LaneId, StoreError> {
    let begins = LaneId::new(name, home);
    if lane(s, &begins)?.is_some_and(|lane| lane.home == home) {
        return Ok(begins);
    }
    let (prefix, mut found) = (name_to_row(&begins.name), None);
    try_scan(s.txn, Table::Sending, &prefix, prefix_end(&prefix).as_deref(), |row, value| {
        let sending: SendingRow =
            txn::decode(Table::Sending, &value).map_err(|error: StoreError| error.at(row))?;
        found = LaneId::from_row(row).map(|(id, _)| id).filter(|_| sending.home == home);
        Ok::<_, StoreError>(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found.unwrap_or(begins))
}

/// The lanes that have begun under a name, at whatever home.
pub(crate) fn of_name(rows: &dyn Read, name: &ObjectKey) -> Result<Vec<LaneId>, StoreError> {
    let (prefix, mut found) = (name_to_row(&LaneName::from(*name)), Vec::new());
    try_scan(rows, Table::Sending, &prefix, prefix_end(&prefix).as_deref(), |row, _| {
        found.extend(LaneId::from_row(row).map(|(id, _)| id));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The lane for what is asked of an object. A claimed object has one lane of its name along its chain, whichever of its homes
/// that leads to: two would give one sequence twice. A lane to a kernel that the chain does not name is another one's: that kernel
/// has only said that its object is called so.
pub(crate) fn of(s: &mut Step<'_, '_>, name: ObjectKey, home: KernelId) -> Result<LaneId, StoreError> {
    let lane = to(s, name, home)?;
    let (Some(lineage), None) = (name.lineage(), self::lane(s, &lane)?) else { return Ok(lane) };
    let Some(chain) = object::chain(s.txn, &lineage)? else { return Ok(lane) };
    for former in chain.homes() {
        let known = to(s, name, former)?;
        if self::lane(s, &known)?.is_some_and(|lane| lane.home == former) {
            return Ok(known);
        }
    }
    Ok(lane)
}

/// A lane leads elsewhere from now on.
pub(crate) fn rewrite(s: &mut Step<'_, '_>, id: &LaneId, lane: Lane) {
    keep(s, id, lane, true);
}

/// The other lanes that have a lane's name, to other kernels.
fn namesakes(s: &mut Step<'_, '_>, id: &LaneId) -> Result<Vec<(LaneId, Lane)>, StoreError> {
    let mut found = Vec::new();
    for other in of_name(s.txn, &id.name.key)? {
        if other != *id {
            found.extend(lane(s, &other)?.map(|lane| (other, lane)));
        }
    }
    Ok(found)
}

/// Another kernel at which actions under the name of a copy have no outcome yet. Both kernels may have been the home of one object:
/// then two actions would have one place in one lane. Of a claimed object anybody may say that it is his: what waits there holds up
/// nothing.
pub(crate) fn waits_elsewhere(
    s: &mut Step<'_, '_>,
    id: &LaneId,
    home: KernelId,
) -> Result<Option<KernelId>, StoreError> {
    let me = s.ctx.me;
    if home == me || id.name.key.lineage().is_some() {
        return Ok(None);
    }
    let mut elsewhere =
        namesakes(s, id)?.into_iter().filter(|(_, lane)| lane.home != me && lane.home != home);
    Ok(elsewhere.find(|(_, lane)| !lane.is_done()).map(|(_, lane)| lane.home))
}

/// Gives the next sequence of a lane, which begins here if it is new. A lane goes on where the others of its name ended: their
/// objects may turn out to be one.
pub(crate) fn give_place(s: &mut Step<'_, '_>, id: &LaneId) -> Result<(Place, Lane), StoreError> {
    let known = lane(s, id)?;
    let mut lane = known.unwrap_or(Lane {
        home: id.begun_at,
        now: None,
        last: 0,
        floor: 1,
        listed: false,
        shares_name: false,
        saved: (0, 1),
    });
    if lane.is_done() && (known.is_none() || lane.shares_name) {
        for (other, namesake) in namesakes(s, id)? {
            note(s, &other, Lane { shares_name: true, ..namesake });
            lane.shares_name = true;
            // Above what waits there, a floor would not be true.
            if namesake.is_done() {
                lane.last = lane.last.max(namesake.last);
            }
        }
        lane.floor = lane.last + 1;
    }
    lane.last += 1;
    if !lane.listed {
        lane.listed = true;
        share::list(s, &lane.home, id);
    }
    keep(s, id, lane, known.is_none());
    Ok((Place { lane: *id, sequence: lane.last }, lane))
}

/// An action of a lane has its outcome; `now` is what the object is called since then, `gone` whether its row is.
pub(crate) fn ended(
    s: &mut Step<'_, '_>,
    place: &Place,
    now: Option<ObjectKey>,
    gone: bool,
) -> Result<Lane, StoreError> {
    let id = &place.lane;
    let Some(mut lane) = lane(s, id)? else {
        let reason = format!("no lane of an action on {}", id.name.key);
        return Err(StoreError::damaged(Table::Sending, &id.to_row(), reason));
    };
    // Outcomes come in the lane's order; one that came before an earlier one leaves the floor where it is.
    if lane.floor == place.sequence {
        lane.floor = next_open(s, id, place.sequence, lane.last)?;
    }
    let renamed = now.filter(|now| *now != id.name.key);
    let is_news = renamed.is_some() && renamed != lane.now;
    lane.now = renamed.or(lane.now);
    // With the row of the last sequence goes the only proof that it was given.
    let write = is_news || (gone && lane.last == place.sequence && lane.saved.0 < lane.last);
    if lane.is_done() && share::unlist_new(s, &lane.home, id) {
        lane.listed = false;
    }
    keep(s, id, lane, write);
    Ok(lane)
}

/// The outbox was looked through, and nothing of the lane waits.
pub(crate) fn unlist(s: &mut Step<'_, '_>, id: &LaneId, mut lane: Lane) {
    share::unlist(s, &lane.home, id);
    lane.listed = false;
    note(s, id, lane);
}

/// The row of an action goes that had its outcome long ago.
pub(crate) fn drop_row(s: &mut Step<'_, '_>, place: &Place) -> Result<(), StoreError> {
    if let Some(lane) = lane(s, &place.lane)? {
        let write = lane.last == place.sequence && lane.saved.0 < lane.last;
        keep(s, &place.lane, lane, write);
    }
    s.txn.delete_lazily(Table::Queue, &place.to_row());
    Ok(())
}

/// The lowest sequence above this one that still waits for its outcome; one above the last if none does.
fn next_open(s: &Step<'_, '_>, id: &LaneId, sequence: u64, last: u64) -> Result<u64, StoreError> {
    let mut next = sequence + 1;
    while next <= last && waiting(s, &Place { lane: *id, sequence: next })?.is_none() {
        next += 1;
    }
    Ok(next)
}

/// An action that waits for its outcome.
pub(crate) fn waiting(
    s: &Step<'_, '_>,
    place: &Place,
) -> Result<Option<super::super::rows::WaitingRow>, StoreError> {
    Ok(match txn::get(s.txn, Table::Queue, &place.to_row())? {
        Some(QueueRow::Waiting(row)) => Some(row),
        _ => None,
    })
}

/// Whether a lane leads to this home now: nobody else is believed in its matters.
pub(crate) fn is_for(s: &mut Step<'_, '_>, lane: &LaneId, home: &KernelId) -> Result<bool, StoreError> {
    Ok(self::lane(s, lane)?.is_some_and(|lane| lane.home == *home))
}

/// Who this kernel is, as the origin of its lanes.
pub(crate) fn myself(s: &Step<'_, '_>) -> Result<Origin, StoreError> {
    Ok(Origin { kernel: s.ctx.me, incarnation: meta::incarnation(s.txn)? })
}
