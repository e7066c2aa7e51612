//! An object that was to leave stays; and what both sides of a move need.

use once_model::ids::{Incarnation, KernelId, ObjectKey};
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::Code;

use super::rows::StayedRow;
use super::words;
use crate::engine::Step;
use crate::refusal::{Refusal, Unmoved};
use crate::store::{StoreError, Table};
use crate::waist::{Effect, Timer};
use crate::{act, meta, object};

/// Most of why an object stays that is written down, in characters.
const WHY_MAX: usize = 500;

/// It stays: whoever waits is told why, and what waited for it goes on.
pub(super) fn stay(s: &mut Step<'_, '_>, key: ObjectKey, why: Unmoved) -> Result<(), StoreError> {
    s.txn.delete(Table::Leaving, &key.to_row());
    let Some(leaving) = s.engine.moving.leaving.remove(&key) else { return Ok(()) };
    // It was told that it leaves: it is here again.
    if let Some(head) = object::head(s.txn, &key)?.filter(|head| leaving.told && !head.header.tombstone) {
        words::expect(s, &head, s.ctx.me);
    }
    let is_news = leaving.tokens.is_empty() && !matches!(why, Unmoved::TakenBack | Unmoved::Removed);
    if is_news && !mutant!(ForgetStay) {
        stays(s, &key, (leaving.to, why.to_string()));
    }
    for token in leaving.tokens {
        let why = why.clone();
        s.out.push(Effect::Reply { token, reply: Err(Refusal::Unmoved { key, why }) });
    }
    act::release(s, key);
    Ok(())
}

/// That an object stays, and nobody was told: people find it here, until it leaves or they have seen it.
pub(super) fn stays(s: &mut Step<'_, '_>, key: &ObjectKey, (to, why): (KernelId, String)) {
    let why = why.chars().take(WHY_MAX).collect();
    s.txn.put(Table::Stayed, &key.to_row(), &StayedRow { to, at_ms: s.ctx.now_ms, why });
}

/// The clock by which what is about to leave is looked at, and what was not answered is said again.
pub(super) fn tick_later(s: &mut Step<'_, '_>) {
    let moving = &mut s.engine.moving;
    let is_needed = !moving.leaving.is_empty() || !moving.arriving.is_empty() || !moving.telling.is_empty();
    if is_needed && !std::mem::replace(&mut moving.ticking, true) {
        s.out.push(Effect::Timer { after_ms: RESEND_AFTER_MS, timer: Timer::Leaving });
    }
}

/// The connection to a peer that knows what a move is.
pub(super) fn connection(s: &Step<'_, '_>, peer: &KernelId) -> Option<u64> {
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
