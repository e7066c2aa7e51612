//! Sending actions to their homes, in the order of their lanes, until the outcomes come. This kernel's own objects
//! are reached the same way, without a network in between.

use std::ops::ControlFlow;

use once_model::action::{Act, Missing};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::Frame;

use super::origin::{myself, sending};
use super::rows::{QueueRow, queue_key, queued};
use super::{home, put_off, slow};
use crate::outbox::Window;
use crate::step::Step;
use crate::store::{Read, StoreError, Table, prefix_end};
use crate::txn;
use crate::waist::{ConnId, Effect, Timer};

/// Most actions that one step sends: keeps a step short. The rest follows in the next.
const STEP_ACTIONS: usize = 64;

type Place = (ObjectKey, u64);

/// The window to a home that can be reached now.
fn window_to<'e>(s: &'e mut Step<'_, '_>, home: &KernelId) -> Option<&'e mut Window<Place>> {
    if *home == s.ctx.me {
        return Some(&mut s.engine.own_acts);
    }
    let link = s.engine.links.get_mut(home)?;
    (link.up().is_some() && link.knows_actions).then_some(&mut link.acts)
}

/// An action was accepted: send it at once if nothing waits before it.
pub(super) fn owe(s: &mut Step<'_, '_>, home: KernelId, place: Place) -> Result<(), StoreError> {
    if waits(s, &home, &place.0) {
        return Ok(());
    }
    let Some(window) = window_to(s, &home) else {
        s.engine.wanted.insert(home);
        return Ok(());
    };
    if window.next.is_none() && window.waiting.is_empty() && window.has_room() {
        return send(s, home, place);
    }
    window.line_up(place);
    Ok(())
}

/// An action follows from another one: its turn comes in a later step, so that no step goes on for ever.
pub(super) fn owe_later(s: &mut Step<'_, '_>, home: KernelId, place: Place) -> Result<(), StoreError> {
    if home != s.ctx.me {
        return owe(s, home, place);
    }
    s.engine.own_acts.line_up(place);
    pump_later(s, home);
    Ok(())
}

/// Sends an action again that has changed, if it is under way; else it is sent as it is now when its turn comes.
pub(super) fn again(s: &mut Step<'_, '_>, home: KernelId, place: Place) -> Result<(), StoreError> {
    if slow::is_slow(s, &home, &place.0) {
        slow::next(s, place.0);
        return Ok(());
    }
    if window_to(s, &home).is_some_and(|window| window.answered(&place)) {
        return send(s, home, place);
    }
    Ok(())
}

/// An outcome takes an action out of the window.
pub(super) fn answered(s: &mut Step<'_, '_>, home: &KernelId, place: &Place) {
    if let Some(window) = window_to(s, home) {
        window.answered(place);
    }
}

/// A lane has got an outcome: if it has more to send than its share of the window, there is room for some of it. For two,
/// so that its share grows where others need theirs no more.
pub(super) fn go_on(s: &mut Step<'_, '_>, home: KernelId, (key, sequence): Place) -> Result<(), StoreError> {
    let is_held = window_to(s, &home).is_some_and(|window| window.held.contains(&key));
    let Some(lane) = sending(s, &home, &key)?.filter(|_| is_held) else { return Ok(()) };
    let is_here = home == s.ctx.me;
    for _ in 0..2 {
        let Some(window) = window_to(s, &home) else { return Ok(()) };
        let last = window.last_of(&key);
        let next = last.unwrap_or(sequence) + 1;
        if next <= lane.last && window.has_room() && !window.has_its_share(&key) && !is_here {
            send(s, home, (key, next))?;
        } else if next > lane.last || last.is_none() || is_here {
            // All of it is under way; or nothing, and then no outcome would move it on. What is sent on this kernel runs
            // at once: not one inside the other.
            window.held.remove(&key);
            window.look_again();
            pump_later(s, home);
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a lane has to wait for its outcomes: it goes one action at a time, or has its share of the window.
fn waits(s: &mut Step<'_, '_>, home: &KernelId, key: &ObjectKey) -> bool {
    if slow::is_slow(s, home, key) {
        return true;
    }
    let Some(window) = window_to(s, home) else { return true };
    let waits = window.held.contains(key) || window.has_its_share(key);
    if waits {
        window.held.insert(*key);
    }
    waits
}

/// Sends what waits for a home, as far as the window has room.
pub(crate) fn pump(s: &mut Step<'_, '_>, home: KernelId) -> Result<(), StoreError> {
    let mut sent = 0;
    while sent < STEP_ACTIONS {
        // Lanes that take their time take up no room.
        if home == s.ctx.me && slow::send_next(s)? {
            sent += 1;
            continue;
        }
        let Some(window) = window_to(s, &home).filter(|window| window.has_room()) else { return Ok(()) };
        if let Some(place) = window.waiting.pop_front() {
            if !window.inflight.contains_key(&place) && !waits(s, &home, &place.0) {
                send(s, home, place)?;
            }
            sent += 1;
            continue;
        }
        let Some(next) = window.next.clone() else { return Ok(()) };
        let found = next_rows(s, &home, &next)?;
        for place in &found {
            let Some(window) = window_to(s, &home) else { return Ok(()) };
            if !window.has_room() {
                window.next = Some(after(place, 0));
                return Ok(());
            }
            let under_way = window.inflight.contains_key(place);
            window.next = Some(after(place, 1));
            sent += 1;
            if under_way {
                continue;
            }
            if waits(s, &home, &place.0) {
                // So does all that is behind it in its lane.
                if let Some(window) = window_to(s, &home) {
                    window.next = Some(after(&(place.0, u64::MAX), 0));
                }
                break;
            }
            send(s, home, *place)?;
        }
        if found.is_empty()
            && let Some(window) = window_to(s, &home)
        {
            window.next = std::mem::take(&mut window.behind).then(Vec::new);
        }
    }
    pump_later(s, home);
    Ok(())
}

/// Goes on sending in a later step; one timer is enough.
pub(super) fn pump_later(s: &mut Step<'_, '_>, home: KernelId) {
    if let Some(window) = window_to(s, &home)
        && !std::mem::replace(&mut window.pump_set, true)
    {
        s.out.push(Effect::Timer { after_ms: 0, timer: Timer::ActPump(home) });
    }
}

/// Where a scan goes on: at a place, or behind it.
fn after((key, sequence): &Place, more: u64) -> Vec<u8> {
    [key.to_row().as_slice(), &sequence.saturating_add(more).to_be_bytes()].concat()
}

/// The timer to go on sending came.
pub(crate) fn pump_on(s: &mut Step<'_, '_>, home: KernelId) -> Result<(), StoreError> {
    if let Some(window) = window_to(s, &home) {
        window.pump_set = false;
    }
    if home == s.ctx.me {
        home::go_on(s)?;
        put_off::go_on(s)?;
    }
    pump(s, home)
}

pub(super) fn next_rows(s: &Step<'_, '_>, home: &KernelId, next: &[u8]) -> Result<Vec<Place>, StoreError> {
    let from = [home.as_bytes().as_slice(), next].concat();
    let mut found = Vec::new();
    s.txn.scan(Table::Queue, &from, prefix_end(home.as_bytes()).as_deref(), &mut |row, _| {
        found.extend(queued(row));
        if found.len() < STEP_ACTIONS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// Sends one action, if it still waits for its outcome. One whose rows cannot be read holds up only its lane.
pub(super) fn send(s: &mut Step<'_, '_>, home: KernelId, place: Place) -> Result<(), StoreError> {
    let me = s.ctx.me;
    s.guarded((me, place.0), |s| send_one(s, home, place)).map(drop)
}

fn send_one(s: &mut Step<'_, '_>, home: KernelId, place: Place) -> Result<(), StoreError> {
    let (key, sequence) = place;
    let row: Option<QueueRow> = txn::get(s.txn, Table::Queue, &queue_key(&home, &key, sequence))?;
    let (Some(row), Some(lane)) = (row, sending(s, &home, &key)?) else { return Ok(()) };
    // Below the floor every outcome is to be on disk when the frame leaves: those that came since were written lazily.
    if lane.floor > 1 && home != s.ctx.me {
        s.txn.require_sync();
    }
    let floor = if mutant!(ForgetFloor) { 0 } else { lane.floor };
    let now_ms = s.ctx.now_ms;
    let is_slow = slow::is_slow(s, &home, &key);
    let Some(window) = window_to(s, &home) else { return Ok(()) };
    if !is_slow {
        window.sent(place, now_ms, row.action.arguments.len());
    }
    let resend = !std::mem::replace(&mut window.resend_set, true);
    let commit = Some(s.engine.synced_commit);
    let remaining_ms = row.deadline_ms.map(|deadline_ms| deadline_ms.saturating_sub(now_ms));
    let (void, remaining_ms) = match row.void.filter(|_| !mutant!(ForgetVoid)) {
        Some(code) => (Some(code), Some(0)),
        None => (None, remaining_ms),
    };
    let act = Act {
        lane: key.into(),
        sequence,
        floor,
        action: row.action,
        remaining_ms,
        commit,
        void,
        certificate: None,
        guest: None,
    };
    if resend {
        let timer = Timer::ActResend(home, s.up(&home).unwrap_or(0));
        s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer });
    }
    if home == s.ctx.me {
        let origin = myself(s)?;
        return home::received(s, origin, act);
    }
    if let Some(conn) = s.up(&home) {
        s.out.send(home, conn, Frame::Act(act));
    }
    Ok(())
}

/// The home has not got an action that comes before others of its lane: the lane is sent again from there, with the
/// floor, so that it knows what need not come.
pub(crate) fn missing(s: &mut Step<'_, '_>, home: KernelId, missing: &Missing) -> Result<(), StoreError> {
    let key = missing.lane.key;
    // Each action behind the gap asks for it: once is enough until the lane has moved, or the resend timer comes. A
    // lane that there is none of is nobody's to ask for.
    if sending(s, &home, &key)?.is_none() || !s.engine.sent_again.insert((home, key)) {
        return Ok(());
    }
    if let Some(window) = window_to(s, &home) {
        let late: Vec<_> =
            window.inflight.range((key, missing.from)..=(key, u64::MAX)).map(|(p, _)| *p).collect();
        for place in &late {
            window.answered(place);
        }
        window.held.remove(&key);
        window.look_again();
    }
    pump(s, home)
}

/// Sends again what stayed unanswered for too long.
pub(crate) fn resend(s: &mut Step<'_, '_>, home: KernelId, conn: ConnId) -> Result<(), StoreError> {
    if s.up(&home).unwrap_or(0) != conn {
        return Ok(());
    }
    let now_ms = s.ctx.now_ms;
    let Some(window) = window_to(s, &home) else { return Ok(()) };
    window.give_up_late(now_ms);
    s.engine.sent_again.retain(|(to, _)| *to != home);
    let any_slow = home == s.ctx.me && slow::again(s);
    pump(s, home)?;
    if let Some(window) = window_to(s, &home)
        && (any_slow || !window.inflight.is_empty())
        && !std::mem::replace(&mut window.resend_set, true)
    {
        let timer = Timer::ActResend(home, conn);
        s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer });
    }
    Ok(())
}
