//! Moving an object to another home: `docs/protocol.md`, 5.6. `leave.rs` is what its home does until the object is sealed,
//! `sealed.rs` what it does then, `arrive.rs` is the receiver, `luggage.rs` what goes along, `words.rs` what the object is told of it, `acquaintances.rs` who has to do with
//! it, and `news.rs` what its homes say to those who still ask there; `hear.rs` is who hears it.

mod acquaintances;
mod arrive;
mod asks;
mod both;
mod hear;
#[cfg(test)]
pub(crate) mod held;
mod leave;
mod luggage;
mod news;
mod remembered;
mod room;
mod rows;
mod sealed;
mod state;
mod stay;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_ahead;
#[cfg(test)]
mod tests_beside;
#[cfg(test)]
mod tests_body;
#[cfg(test)]
mod tests_chain;
#[cfg(test)]
mod tests_exact;
#[cfg(test)]
mod tests_guests;
#[cfg(test)]
mod tests_homes;
#[cfg(test)]
mod tests_left;
#[cfg(test)]
mod tests_luggage;
#[cfg(test)]
mod tests_news;
#[cfg(test)]
mod tests_reach;
#[cfg(test)]
mod tests_said;
#[cfg(test)]
mod tests_visitors;
#[cfg(test)]
mod tests_withdraw;
#[cfg(test)]
mod tests_words;
mod words;

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;

pub(crate) use arrive::{ahead, handoff, luggage_came, withdraw};
pub(crate) use asks::link_down;
pub(crate) use both::connection;
pub(crate) use hear::told;
pub(crate) use leave::{
    Wish, begin, greet, look, resume, shared, stop, tick, wants_to_go, welcome, would_move,
};
pub use news::{News, news};
pub(crate) use news::{heard, owe_news, points_on};
pub(crate) use room::Room;
pub use rows::{
    AcquaintanceRow, ArrivingRow, HandedRow, LeavingRow, NewsRow, SealedRow, StayedRow, WelcomeRow,
};
pub(crate) use rows::{is_welcome, luggage_for};
pub(crate) use sealed::{chain_known, handed};
pub(crate) use state::{Heard, Hold, State, Word};

/// An object that is about to leave this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The object that is leaving.
    pub key: ObjectKey,
    /// The kernel that is to be its home.
    pub to: KernelId,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it is sealed: only the receiver's answer ends that.
    pub sealed: bool,
    /// Whether people want it back since.
    pub withdrawn: bool,
    /// Whether it leaves calls behind that have no outcome.
    pub leave_calls: bool,
    /// Whether it was told that it leaves.
    pub told: bool,
}

/// An object that has come here, and has not been told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The object that has not moved.
    pub key: ObjectKey,
    /// From where; this kernel if it was told that it leaves, and stays.
    pub from: KernelId,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
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
            told: row.told,
        }));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Whether an object is about to leave this kernel, and if so, whether it is sealed.
///
/// # Errors
/// When the store cannot be read.
pub fn is_leaving(rows: &dyn Read, key: &ObjectKey) -> Result<Option<bool>, StoreError> {
    let row: Option<LeavingRow> = txn::get(rows, Table::Leaving, &key.to_row())?;
    Ok(row.map(|row| row.sealed.is_some()))
}

/// The objects that have come here, and have not been told so.
///
/// # Errors
/// When the store cannot be read.
pub fn arrivals(rows: &dyn Read) -> Result<Vec<Arrival>, StoreError> {
    let mut found = Vec::new();
    try_scan(rows, Table::Arriving, &[], None, |key, value| {
        let ArrivingRow { from, since_ms } = txn::decode(Table::Arriving, &value)?;
        found.extend(ObjectKey::from_row(key).map(|key| Arrival { key, from, since_ms }));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The objects that were to move, or wanted to, and stay without anybody having been told: each with what is known of it.
///
/// # Errors
/// When the store cannot be read.
pub fn stayed(rows: &dyn Read) -> Result<Vec<(ObjectKey, StayedRow)>, StoreError> {
    let mut found = Vec::new();
    try_scan(rows, Table::Stayed, &[], None, |key, value| {
        let row: StayedRow = txn::decode(Table::Stayed, &value)?;
        found.extend(ObjectKey::from_row(key).map(|key| (key, row)));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
