//! Sending actions to their homes, in the order of their lanes, until the outcomes come. This kernel's own objects
//! are reached the same way, without a network in between.

use once_model::action::{Act, LaneName, Missing};
use once_model::ids::KernelId;
use once_model::wire::{Code, Frame};

use super::lanes::is_for;
use super::state::Lane;
use super::{lanes, slow};
use crate::act::guests;
use crate::act::rows::{LaneId, Place, QueueRow, WaitingRow};
use crate::engine::{Step, Todo};
use crate::share::{self, Item, Kind, Owed, Window};
use crate::store::{StoreError, Table};

/// Actions that may follow an outcome in its lane: two, so that a lane's share grows where others need theirs no more.
const AFTER_OUTCOME: usize = 2;

/// Why no more of a lane was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// All of it is under way or done, or goes another way; or it has its share, and its outcomes move it on.
    Nothing,
    /// There was no room, or it was enough for one step.
    Room,
}

fn window_to<'e>(s: &'e mut Step<'_, '_>, home: &KernelId) -> Option<&'e mut Window> {
    share::window_to(s, home, Kind::Lanes)
}

/// An action was accepted: send it at once if nothing waits before it.
pub(crate) fn owe(s: &mut Step<'_, '_>, lane: &LaneId, home: KernelId) -> Result<(), StoreError> {
    if slow::is_slow(s, lane) {
        return Ok(());
    }
    let Some(window) = window_to(s, &home) else {
        s.engine.peers.wanted.insert(home);
        return Ok(());
    };
    if window.has_its_share(lane) {
        // Its outcomes move it on.
        return Ok(());
    }
    if window.line(Kind::Lanes).is_free() {
        return send_lane(s, home, lane, &mut 1);
    }
    window.line_up(Owed::Lane(*lane));
    Ok(())
}

/// An action follows from another one: its turn comes in a later step, so that no step goes on for ever.
pub(crate) fn owe_later(s: &mut Step<'_, '_>, lane: &LaneId, home: KernelId) -> Result<(), StoreError> {
    if home != s.ctx.me {
        return owe(s, lane, home);
    }
    if !slow::is_slow(s, lane) {
        s.engine.act.own.line_up(Owed::Lane(*lane));
        share::pump_later(s, home);
    }
    Ok(())
}

/// The turn of a lane: sends what waits in it and is not under way. What finds no room stays in line.
pub(crate) fn send_lane(
    s: &mut Step<'_, '_>,
    home: KernelId,
    id: &LaneId,
    budget: &mut usize,
) -> Result<(), StoreError> {
    if let Some(window) = window_to(s, &home) {
        window.turn(id);
    }
    if send_some(s, home, id, budget)? == Stop::Room
        && let Some(window) = window_to(s, &home)
    {
        window.line_up(Owed::Lane(*id));
    }
    Ok(())
}

fn send_some(
    s: &mut Step<'_, '_>,
    home: KernelId,
    id: &LaneId,
    budget: &mut usize,
) -> Result<Stop, StoreError> {
    loop {
        // What ran inside may have moved it.
        let lane = lanes::lane(s, id)?.filter(|lane| lane.home == home && !lane.is_done());
        let is_slow = slow::is_slow(s, id);
        let Some(window) = window_to(s, &home) else { return Ok(Stop::Nothing) };
        let Some(lane) = lane.filter(|_| !is_slow) else {
            window.done(id);
            return Ok(Stop::Nothing);
        };
        let sent = window.cursor(id).map_or(0, |cursor| cursor.sent);
        let place = Place { lane: *id, sequence: (sent + 1).max(lane.floor) };
        if place.sequence > lane.last || window.has_its_share(id) {
            return Ok(Stop::Nothing);
        }
        if *budget == 0 || !window.line(Kind::Lanes).has_room() {
            return Ok(Stop::Room);
        }
        *budget -= 1;
        if window.contains(&Item::Act(place)) {
            window.passed(&place);
        } else {
            send(s, &place, &lane)?;
        }
    }
}

/// A look through the outbox came by a lane: if nothing of it waits, it need not be found again.
pub(crate) fn tidy_lane(s: &mut Step<'_, '_>, id: &LaneId) -> Result<(), StoreError> {
    match lanes::lane(s, id)? {
        Some(lane) if lane.is_done() => lanes::unlist(s, id, lane),
        _ => {}
    }
    Ok(())
}

/// Sends an action again that has changed, if it is under way; else it is sent as it is now when its turn comes.
pub(crate) fn again(s: &mut Step<'_, '_>, place: &Place) -> Result<(), StoreError> {
    if slow::is_slow(s, &place.lane) {
        slow::next(s, place.lane);
        return Ok(());
    }
    let Some(lane) = lanes::lane(s, &place.lane)? else { return Ok(()) };
    if window_to(s, &lane.home).is_some_and(|window| window.answered(&Item::Act(*place))) {
        send(s, place, &lane)?;
    }
    Ok(())
}

/// An outcome takes an action out of the window.
pub(crate) fn answered(s: &mut Step<'_, '_>, home: &KernelId, place: &Place) {
    if let Some(window) = window_to(s, home) {
        window.answered(&Item::Act(*place));
    }
}

/// A lane has got an outcome: if it has more to send than its share of the window, there is room for some of it.
pub(crate) fn go_on(s: &mut Step<'_, '_>, id: &LaneId, lane: &Lane) -> Result<(), StoreError> {
    let home = lane.home;
    let Some(window) = window_to(s, &home) else { return Ok(()) };
    let Some(cursor) = window.cursor(id) else { return Ok(()) };
    cursor.moved();
    if cursor.sent >= lane.last {
        window.done(id);
        return Ok(());
    }
    // What is sent on this kernel runs at once: not one inside the other.
    let is_here = home == s.ctx.me;
    let mut budget = AFTER_OUTCOME;
    let stop = if is_here { Stop::Room } else { send_some(s, home, id, &mut budget)? };
    if let Some(window) = window_to(s, &home)
        && stop == Stop::Room
        && (is_here || !window.has_some_of(id))
    {
        window.line_up(Owed::Lane(*id));
        share::pump_later(s, home);
    }
    Ok(())
}

/// Sends one action, if it still waits for its outcome. One on this kernel comes to its home before this step ends.
pub(crate) fn send(s: &mut Step<'_, '_>, place: &Place, lane: &Lane) -> Result<(), StoreError> {
    let home = lane.home;
    let Some(act) = leaving(s, place, lane)? else { return Ok(()) };
    if home == s.ctx.me {
        s.later(Todo::Act(Box::new(act)));
    } else if let Some(conn) = s.up(&home) {
        guests::show(s, (home, conn), &act)?;
        s.out.send(home, conn, Frame::Act(act));
    }
    Ok(())
}

/// An action as it is sent now, if it still waits for its outcome; from here on it is under way.
fn leaving(s: &mut Step<'_, '_>, place: &Place, lane: &Lane) -> Result<Option<Act>, StoreError> {
    let home = lane.home;
    let row = lanes::waiting(s, place)?.map(|row| not_for_host(s, place, &home, row));
    let is_slow = slow::is_slow(s, &place.lane);
    let now_ms = s.ctx.now_ms;
    let Some(window) = window_to(s, &home) else { return Ok(None) };
    let Some(row) = row else {
        window.passed(place);
        return Ok(None);
    };
    if !is_slow {
        window.sent(Item::Act(*place), now_ms, row.action.arguments.len());
    }
    share::resend_later(s, home);
    // Below the floor every outcome is to be on disk when the frame leaves: those that came since were written lazily.
    if lane.floor > 1 && home != s.ctx.me {
        s.txn.require_sync();
    }
    let floor = if mutant!(ForgetFloor) { 0 } else { lane.floor };
    let commit = Some(s.engine.synced_commit);
    let remaining_ms = row.deadline_ms.map(|deadline_ms| deadline_ms.saturating_sub(now_ms));
    let (void, remaining_ms) = match row.void {
        Some(code) if !mutant!(ForgetVoid) => (Some(code), Some(0)),
        _ => (None, remaining_ms),
    };
    Ok(Some(Act {
        lane: place.lane.name,
        sequence: place.sequence,
        floor,
        action: row.action,
        remaining_ms,
        commit,
        void,
        certificate: None,
        guest: row.guest,
    }))
}

/// Who does not know what a guest is would take its act for one of this kernel's: it becomes a void.
fn not_for_host(s: &mut Step<'_, '_>, place: &Place, home: &KernelId, row: WaitingRow) -> WaitingRow {
    let is_understood =
        *home == s.ctx.me || s.engine.peers.links.get(home).is_some_and(|link| link.act.knows_moves);
    if row.guest != Some(true) || row.void.is_some() || is_understood {
        return row;
    }
    let row = WaitingRow { void: Some(Code::Denied), ..row };
    s.txn.put_lazily(Table::Queue, &place.to_row(), &QueueRow::Waiting(row.clone()));
    row
}

/// Sends the first action of a lane whose turn it is; `false` if it is no lane's turn.
pub(crate) fn send_slow(s: &mut Step<'_, '_>) -> Result<bool, StoreError> {
    let Some(lane) = s.engine.act.slow.next.pop_front() else { return Ok(false) };
    if let Some(act) = first(s, lane.name)? {
        s.later(Todo::Act(Box::new(act)));
    }
    Ok(true)
}

/// The first action of a lane of this kernel to an object of its own, as it is sent now.
pub(crate) fn first(s: &mut Step<'_, '_>, name: impl Into<LaneName>) -> Result<Option<Act>, StoreError> {
    let id = lanes::to(s, name, s.ctx.me)?;
    match lanes::lane(s, &id)? {
        Some(lane) if !lane.is_done() => leaving(s, &Place { lane: id, sequence: lane.floor }, &lane),
        _ => {
            s.engine.act.slow.lanes.remove(&id);
            Ok(None)
        }
    }
}

/// The home has not got an action that comes before others of its lane: the lane is sent again from there, with the
/// floor, so that it knows what need not come.
pub(crate) fn missing(s: &mut Step<'_, '_>, home: KernelId, missing: &Missing) -> Result<(), StoreError> {
    let lane = lanes::to(s, missing.lane, home)?;
    // A lane that there is none of is nobody's to ask for.
    if !is_for(s, &lane, &home)? {
        return Ok(());
    }
    let now_ms = s.ctx.now_ms;
    let Some(window) = window_to(s, &home) else { return Ok(()) };
    // Of what was never sent on this connection nothing is missing.
    if !window.cursor(&lane).is_some_and(|cursor| cursor.ask(now_ms)) {
        return Ok(());
    }
    window.back_to(&lane, missing.from);
    window.line_up(Owed::Lane(lane));
    share::pump(s, home);
    Ok(())
}
