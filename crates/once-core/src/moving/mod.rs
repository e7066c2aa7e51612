//! Moving an object to another home: `docs/protocol.md`, 5.6. `leave.rs` is what its home does until the object is sealed,
//! `sealed.rs` what it does then, `arrive.rs` is the receiver, `luggage.rs` what goes along, `acquaintances.rs` who has to do with
//! it, and `news.rs` what its homes say to those who still ask there; `hear.rs` is who hears it.

mod acquaintances;
mod arrive;
mod hear;
mod leave;
mod luggage;
mod news;
mod room;
mod rows;
mod sealed;
mod state;
mod stay;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_body;
#[cfg(test)]
mod tests_guests;
#[cfg(test)]
mod tests_left;
#[cfg(test)]
mod tests_luggage;
#[cfg(test)]
mod tests_news;
#[cfg(test)]
mod tests_reach;
#[cfg(test)]
mod tests_withdraw;

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;

pub(crate) use arrive::{ahead, handoff, luggage_came, withdraw};
pub(crate) use hear::told;
pub(crate) use leave::{Wish, begin, greet, look, resume, shared, stop, tick, welcome};
pub use news::{News, news};
pub(crate) use news::{heard, owe_news, points_on};
pub(crate) use room::Room;
pub use rows::{AcquaintanceRow, HandedRow, LeavingRow, NewsRow, SealedRow, WelcomeRow};
pub(crate) use rows::{is_welcome, luggage_for};
pub(crate) use sealed::{chain_known, handed};
pub(crate) use state::{Hold, State};

/// An object that is about to leave this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Which.
    pub key: ObjectKey,
    /// To where.
    pub to: KernelId,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it is sealed: only the receiver's answer ends that.
    pub sealed: bool,
    /// Whether people want it back since.
    pub withdrawn: bool,
    /// Whether it leaves calls behind that have no outcome.
    pub leave_calls: bool,
}

/// The objects that are about to leave this kernel.
///
/// # Errors
/// When the store cannot be read.
pub fn departures(rows: &dyn Read) -> Result<Vec<Departure>, StoreError> {
    let mut found = Vec::new();
    try_scan(rows, Table::Leaving, &[], None, |key, value| {
        let row: LeavingRow = txn::decode(Table::Leaving, &value)?;
        found.extend(ObjectKey::from_row(key).map(|key| Departure {
            key,
            to: row.to,
            since_ms: row.since_ms,
            sealed: row.sealed.is_some(),
            withdrawn: row.withdrawn,
            leave_calls: row.leave_calls,
        }));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
