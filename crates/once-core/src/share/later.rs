//! How the pump is asked for: now, at the end of this step, or by a timer.

use once_model::ids::KernelId;
use once_model::limits::RESEND_AFTER_MS;

use super::rows::Kind;
use super::window::Window;
use crate::engine::{Step, Todo};
use crate::waist::{Effect, Timer};

/// Sends what a peer is owed, as far as its window has room, at the end of this step.
pub(crate) fn pump(s: &mut Step<'_, '_>, peer: KernelId) {
    s.later(Todo::Pump(peer));
}

/// The window to a peer that can be reached now; to this kernel itself, always.
pub(crate) fn window_to<'e>(s: &'e mut Step<'_, '_>, peer: &KernelId, kind: Kind) -> Option<&'e mut Window> {
    if *peer == s.ctx.me {
        return Some(&mut s.engine.act.own);
    }
    let link = s.engine.peers.links.get_mut(peer)?;
    let takes = link.up().is_some() && (kind == Kind::Objects || link.act.knows_actions);
    takes.then_some(&mut link.window)
}

/// Goes on sending in a later step; one timer is enough.
pub(crate) fn pump_later(s: &mut Step<'_, '_>, peer: KernelId) {
    if let Some(window) = window_to(s, &peer, Kind::Objects)
        && !std::mem::replace(&mut window.pump_set, true)
    {
        s.out.push(Effect::Timer { after_ms: 0, timer: Timer::Pump(peer) });
    }
}

/// Something was sent: it is sent again if it stays unanswered for too long. One timer is enough.
pub(crate) fn resend_later(s: &mut Step<'_, '_>, peer: KernelId) {
    let conn = s.up(&peer).unwrap_or(0);
    let Some(window) = window_to(s, &peer, Kind::Objects) else { return };
    if !std::mem::replace(&mut window.resend_set, true) || mutant!(TimerFlood) {
        s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer: Timer::Resend(peer, conn) });
    }
}
