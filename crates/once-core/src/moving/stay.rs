//! An object that was to leave stays.

use once_model::ids::{KernelId, ObjectKey};

use super::rows::StayedRow;
use super::words;
use crate::engine::Step;
use crate::refusal::{Refusal, Unmoved};
use crate::store::{StoreError, Table};
use crate::waist::Effect;
use crate::{act, object};

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
        s.out.push(Effect::Reply { token, reply: Err(Refusal::Unmoved { key, why: Box::new(why) }) });
    }
    act::release(s, key);
    Ok(())
}

/// That an object stays, and nobody was told: people find it here, until it leaves or they have seen it.
pub(super) fn stays(s: &mut Step<'_, '_>, key: &ObjectKey, (to, why): (KernelId, String)) {
    let why = why.chars().take(WHY_MAX).collect();
    s.txn.put(Table::Stayed, &key.to_row(), &StayedRow { to, at_ms: s.ctx.now_ms, why });
}
