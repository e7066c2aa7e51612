//! A connection ends.

use once_model::ids::KernelId;

use super::Phase;
use super::dial::dial_later;
use crate::engine::{Step, life};
use crate::waist::{ConnId, Effect, Event};

/// The connection is no more: what was under way on it is to be sent again on the next.
pub(super) fn ended(s: &mut Step<'_, '_>, peer: KernelId, reason: &str) {
    if let Some(link) = s.engine.peers.links.get_mut(&peer) {
        link.phase = Phase::Idle;
        link.idle_since_ms = s.ctx.now_ms;
        // Told when it begins and when it changes, not at each dial that finds nobody.
        if link.told.as_deref() != Some(reason) {
            link.told = Some(reason.to_owned());
            s.out.push(Effect::Event(Event::Disconnected { peer, reason: reason.to_owned() }));
        }
        life::link_down(s, peer);
        dial_later(s, peer);
    }
}

/// The connection ends; the next is made after a long pause.
pub(super) fn rest(s: &mut Step<'_, '_>, peer: KernelId, conn: ConnId, why: &str) {
    if let Some(link) = s.engine.peers.links.get_mut(&peer)
        && matches!(link.phase, Phase::Greeting { conn: current, .. } | Phase::Up { conn: current, .. } if current == conn)
    {
        link.failures = link.failures.max(6);
        ended(s, peer, why);
    }
}
