//! Actions: what kernels ask of objects, once each and in order. ADR 0006 says what each side writes.
//!
//! `origin` accepts an action from a client and owes it to the object's home; `send` sends it until the outcome
//! comes; `home` runs it.

mod home;
mod origin;
mod rows;
mod send;

pub use rows::{LaneRow, LedgerRow, QueueRow, RequestRow, SendingRow};

pub(crate) use home::{Busy, come, ran};
pub(crate) use origin::{act, forget_waiters, outcome, resume};
pub(crate) use send::{missing, pump, pump_on, resend};

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey, Uuid};

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// What is known here of an action that was accepted here.
///
/// # Errors
/// When the store cannot be read.
pub fn request(rows: &dyn Read, id: &Uuid) -> Result<Option<RequestRow>, StoreError> {
    txn::get(rows, Table::Request, id.as_bytes())
}

/// Visits the actions that wait here for their outcomes: for whom, on which object, and what. Those for one home lie
/// together, those of one lane in their order.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn waiting(
    read: &dyn Read,
    visit: &mut dyn FnMut(KernelId, ObjectKey, QueueRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut failed = None;
    read.scan(Table::Queue, &[], None, &mut |key, value| {
        let home = key.get(..KernelId::LEN).and_then(KernelId::from_slice);
        let (Some(home), Some((object, _))) = (home, rows::queued(key)) else {
            return ControlFlow::Continue(());
        };
        match txn::decode(Table::Queue, &value) {
            Ok(row) => visit(home, object, row),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}
