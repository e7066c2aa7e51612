//! The pump: sends what a peer is owed, objects and actions alike, within its window, until it answers. This kernel's own
//! objects are reached the same way, without a network in between.

use std::ops::ControlFlow;

use once_model::ids::KernelId;

use super::later::{pump_later, resend_later, window_to};
use super::objects;
use super::owed;
use super::rows::{Kind, Owed};
use crate::act;
use crate::engine::Step;
use crate::store::{StoreError, key_behind};
use crate::waist::ConnId;

/// Most that one step sends or looks at: keeps a step short. The rest follows in the next.
const STEP_ITEMS: usize = 64;

/// The timer to go on sending came.
pub(crate) fn pump_on(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    if let Some(window) = window_to(s, &peer, Kind::Objects) {
        window.pump_set = false;
    }
    if peer == s.ctx.me {
        act::go_on(s)?;
        act::go_on_put_off(s)?;
    }
    pump_now(s, peer)
}

/// Sends what is owed to a peer and not under way, as far as the window has room: what is small first.
pub(crate) fn pump_now(s: &mut Step<'_, '_>, peer: KernelId) -> Result<(), StoreError> {
    let mut budget = STEP_ITEMS;
    while budget > 0 && peer == s.ctx.me && act::send_slow(s)? {
        budget -= 1;
    }
    for kind in [Kind::Lanes, Kind::Objects] {
        pump_kind(s, peer, kind, &mut budget)?;
    }
    if budget == 0 {
        pump_later(s, peer);
    }
    Ok(())
}

fn pump_kind(s: &mut Step<'_, '_>, peer: KernelId, kind: Kind, budget: &mut usize) -> Result<(), StoreError> {
    while *budget > 0 {
        let Some(window) = window_to(s, &peer, kind) else { return Ok(()) };
        let line = window.line(kind);
        if !line.has_room() {
            return Ok(());
        }
        if let Some(owed) = line.waiting.pop_front() {
            send(s, peer, owed, budget)?;
            continue;
        }
        let Some(next) = line.next.clone() else { return Ok(()) };
        // Looking is work, too, also if nothing is found.
        *budget -= 1;
        let found = next_owed(s, &peer, kind, &next, *budget)?;
        if found.is_empty()
            && let Some(window) = window_to(s, &peer, kind)
        {
            let line = window.line(kind);
            line.next = std::mem::take(&mut line.behind).then(Vec::new);
        }
        for owed in found {
            let Some(window) = window_to(s, &peer, kind) else { return Ok(()) };
            let line = window.line(kind);
            let place = owed.to_row();
            if !line.has_room() || *budget == 0 {
                line.next = Some(place);
                return Ok(());
            }
            line.next = Some(key_behind(&place));
            send(s, peer, owed, budget)?;
            if let Owed::Lane(lane) = owed {
                let me = s.ctx.me;
                s.guarded((me, lane.name.key), |s| act::tidy_lane(s, &lane))?;
            }
        }
    }
    Ok(())
}

/// Sends what is owed, if it still is: what was owed when the caller looked may have been answered since. What cannot be
/// read holds up only itself.
fn send(s: &mut Step<'_, '_>, peer: KernelId, owed: Owed, budget: &mut usize) -> Result<(), StoreError> {
    *budget = budget.saturating_sub(1);
    let of = match owed {
        Owed::Object(key) => (peer, key),
        Owed::Lane(lane) => (s.ctx.me, lane.name.key),
    };
    s.guarded(of, |s| match owed {
        Owed::Object(key) => objects::send(s, peer, key),
        Owed::Lane(lane) => act::send_lane(s, peer, &lane, budget),
    })
    .map(drop)
}

fn next_owed(
    s: &Step<'_, '_>,
    peer: &KernelId,
    kind: Kind,
    next: &[u8],
    limit: usize,
) -> Result<Vec<Owed>, StoreError> {
    let mut found = Vec::new();
    owed::owed(s.txn, peer, kind, next, &mut |owed, _| {
        found.push(owed);
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// Sends again what stayed unanswered for too long on a living connection.
pub(crate) fn resend(s: &mut Step<'_, '_>, peer: KernelId, conn: ConnId) -> Result<(), StoreError> {
    if s.up(&peer).unwrap_or(0) != conn {
        return Ok(());
    }
    let now_ms = s.ctx.now_ms;
    let Some(window) = window_to(s, &peer, Kind::Objects) else { return Ok(()) };
    window.give_up_late(now_ms);
    let any_slow = peer == s.ctx.me && act::slow_again(s);
    pump_now(s, peer)?;
    if any_slow || window_to(s, &peer, Kind::Objects).is_some_and(|window| !window.is_empty()) {
        resend_later(s, peer);
    }
    Ok(())
}
