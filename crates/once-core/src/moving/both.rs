//! What both sides of a move need.

use once_model::ids::{Incarnation, KernelId};
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::Code;

use crate::engine::Step;
use crate::meta;
use crate::store::StoreError;
use crate::waist::{Effect, Timer};

/// The clock by which what is about to leave is looked at, and what was not answered is said again.
pub(super) fn tick_later(s: &mut Step<'_, '_>) {
    let moving = &mut s.engine.moving;
    let is_needed = !moving.leaving.is_empty() || !moving.arriving.is_empty() || !moving.telling.is_empty();
    if is_needed && !std::mem::replace(&mut moving.ticking, true) {
        s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer: Timer::Leaving });
    }
}

/// The connection to a peer that knows what a move is.
pub(crate) fn connection(s: &Step<'_, '_>, peer: &KernelId) -> Option<u64> {
    let link = s.engine.peers.links.get(peer)?;
    link.up().filter(|_| link.act.knows_moves)
}

/// Whether this code means that it may be otherwise in a minute.
pub(super) const fn is_passing(code: Code) -> bool {
    matches!(code, Code::Busy | Code::DiskFull | Code::Stopping)
}

/// The life of this kernel.
pub(super) fn my_life(s: &Step<'_, '_>) -> Result<Incarnation, StoreError> {
    meta::incarnation(s.txn)
}
