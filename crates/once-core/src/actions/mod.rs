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
pub(crate) use origin::{act, outcome, resume};
pub(crate) use send::{missing, pump, pump_on, resend};

use once_model::ids::Uuid;

use crate::store::{Read, StoreError, Table};
use crate::txn;

/// What is known here of an action that was accepted here.
///
/// # Errors
/// When the store cannot be read.
pub fn request(rows: &dyn Read, id: &Uuid) -> Result<Option<RequestRow>, StoreError> {
    txn::get(rows, Table::Request, id.as_bytes())
}
