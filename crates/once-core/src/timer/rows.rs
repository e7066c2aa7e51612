//! The rows of timers.

use minicbor::{Decode, Encode};
use once_model::hash::record_hash;
use once_model::ids::{ObjectKey, Uuid};

use crate::waist::Then;

/// [`crate::store::Table::Timer`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TimerRow {
    /// Name of the timer, unique for its object.
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

#[cfg(test)]
mod tests {
    use once_model::ids::Line;

    use super::*;

    /// docs/store.md, table 34.
    #[test]
    fn a_timer_stands_under_its_object_and_half_of_the_hash_of_its_name() {
        let key = ObjectKey {
            uuid: Uuid::from_u128(1),
            line: Line::Unclaimed(once_model::ids::Hash::from_bytes([2; 32])),
        };
        let row = timer_key(&key, "alarm");
        let (object, name) = row.split_at(ObjectKey::ROW_LEN);
        assert_eq!((object, name.len()), (key.to_row().as_slice(), 16));
        assert!(record_hash("once/2 timer", b"alarm").as_bytes().starts_with(name));
    }
}
