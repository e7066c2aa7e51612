//! What ends by the clock: grants and invites. When its time is over a row is marked, on the disk, and stays over: a
//! clock that is set back later gives nothing back. Between the end and the mark, whoever asks looks at the clock.
//!
//! The latest time that this kernel has seen is kept, so that people can be told when the clock is behind it.

use super::{Grant, GrantRow};
use crate::chores::{self, Chore};
use crate::engine::{Engine, Expiry, Step, Todo};
use crate::meta;
use crate::peers::InviteRow;
use crate::store::{StoreError, Table};
use crate::txn::{self, Txn};
use crate::waist::{Answer, Effect};

/// The latest time is written when it is this much later than what is written, in milliseconds.
const WRITE_EVERY_MS: u64 = 60_000;

/// At the start of a run: marks what ended meanwhile. When something ends next is known when that is done ([`note`]).
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let written_ms = meta::latest_ms(s.txn)?;
    s.engine.expiry = Expiry { written_ms, latest_ms: written_ms, ..Expiry::default() };
    chores::begin(s, Chore::Sweep);
    Ok(())
}

/// Before each step: marks what is over.
pub(crate) fn look(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let now_ms = s.ctx.now_ms;
    let expiry = &mut s.engine.expiry;
    expiry.latest_ms = expiry.latest_ms.max(now_ms);
    // While it goes on, what it has passed waits for the next time.
    if expiry.next_ms.is_some_and(|next| next <= now_ms) && !s.engine.chores.is_passing(Chore::Sweep) {
        s.engine.expiry.next_ms = None;
        chores::begin(s, Chore::Sweep);
    }
    Ok(())
}

/// After each group: sets the timer for what ends next, and keeps the latest time along with what is written anyway.
pub(crate) fn note(engine: &mut Engine, txn: &mut Txn<'_>, now_ms: u64) -> Option<Effect> {
    let expiry = &mut engine.expiry;
    if !txn.is_empty() && expiry.latest_ms >= expiry.written_ms.saturating_add(WRITE_EVERY_MS) {
        expiry.written_ms = expiry.latest_ms;
        meta::set_latest_ms(txn, expiry.latest_ms);
    }
    expiry.timer(now_ms)
}

/// Takes the clock as it is: what was seen to be over stays over.
pub(crate) fn accept_clock(s: &mut Step<'_, '_>) -> Answer {
    let now_ms = s.ctx.now_ms;
    (s.engine.expiry.latest_ms, s.engine.expiry.written_ms) = (now_ms, now_ms);
    meta::set_latest_ms(s.txn, now_ms);
    s.txn.require_sync();
    Answer::Done
}

/// Marks a grant or an invite that is over. One that cannot be read gives nothing, now or later.
pub(crate) fn end(s: &mut Step<'_, '_>, table: Table, key: &[u8], value: &[u8]) {
    let now_ms = s.ctx.now_ms;
    if table == Table::Grant {
        let Ok(mut row) = txn::decode::<GrantRow>(Table::Grant, value) else { return };
        if row.end(now_ms) {
            s.txn.put(Table::Grant, key, &row);
            Grant::whose(key, value).into_iter().for_each(|kernel| s.later(Todo::Visitor(kernel)));
        }
        row.next_end_ms().into_iter().for_each(|at_ms| s.engine.expiry.expect(at_ms));
        return;
    }
    match txn::decode::<InviteRow>(Table::Invite, value) {
        Ok(row) if row.ended => {}
        Ok(row) if row.is_over(now_ms) => {
            s.txn.put(Table::Invite, key, &InviteRow { ended: true, ..row });
        }
        Ok(row) => s.engine.expiry.expect(row.expires_ms),
        Err(_) => {}
    }
}
