//! The rows of timers.

use minicbor::{Decode, Encode};
use once_model::hash::record_hash;
use once_model::ids::{ObjectKey, Uuid};

use crate::waist::Then;

/// [`crate::store::Table::Timer`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TimerRow {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// When, by this kernel's clock, in milliseconds since 1970.
    #[n(1)]
    pub due_ms: u64,
    /// The effect's id.
    #[cbor(n(2), with = "once_model::cbor::uuid_bytes")]
    pub id: Uuid,
    /// What happens then.
    #[n(3)]
    pub then: Then,
}

/// Key of a timer: object, hash of its name.
pub(crate) fn timer_key(key: &ObjectKey, name: &str) -> Vec<u8> {
    let hash = record_hash("once/2 timer", name.as_bytes());
    [key.to_row().as_slice(), &hash.as_bytes()[..16]].concat()
}
