//! Giving a right.

use super::Grant;
use crate::engine::Step;
use crate::refusal::Refusal;
use crate::store::{StoreError, Table};
use crate::txn;

/// Adds a grant to those of its row, unless there would be too many.
pub(crate) fn add(s: &mut Step<'_, '_>, grant: &Grant) -> Result<Result<(), Refusal>, StoreError> {
    let place = grant.to_row();
    let row = match grant.add_to(txn::get(s.txn, Table::Grant, &place)?, s.ctx.now_ms) {
        Ok(row) => row,
        Err(refusal) => return Ok(Err(refusal)),
    };
    s.txn.put(Table::Grant, &place, &row);
    grant.expires_ms.into_iter().for_each(|at_ms| s.engine.expiry.expect(at_ms));
    Ok(Ok(()))
}
