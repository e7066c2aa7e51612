//! What people have written down as receipts: this kernel remembers it, so that it need not be asked for again.

use once_model::ids::ObjectKey;

use super::rows::{ReceiptedRow, receipted};
use crate::engine::Step;
use crate::object;
use crate::refusal::Failure;
use crate::store::Table;
use crate::waist::Answer;

/// People have the receipts of an object's entries up to this number.
pub(crate) fn note(s: &mut Step<'_, '_>, key: ObjectKey, up_to: u64) -> Result<Answer, Failure> {
    let key = object::current_key(s.txn, &key)?;
    if receipted(s.txn, &key)?.is_none_or(|row| row.up_to < up_to) {
        s.room_on_disk()?;
        let row = ReceiptedRow { up_to, at_ms: s.ctx.now_ms };
        s.txn.put(Table::Receipted, &key.to_row(), &row);
    }
    Ok(Answer::Done)
}
