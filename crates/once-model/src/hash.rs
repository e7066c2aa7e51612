//! Hashes: BLAKE3 over verbatim bytes for content, BLAKE3 with a context for records.

use crate::header::Header;
use crate::ids::{Hash, ItemId};

/// The hash of a scenario: BLAKE3 over its bytes as they are, so that any tool (`b3sum`) agrees.
///
/// ```
/// assert!(once_model::hash::content_hash(b"").to_string().starts_with("af1349b9f5f9a1a6"));
/// ```
#[must_use]
pub fn content_hash(bytes: &[u8]) -> Hash {
    Hash::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// The hash of a record under a context of its own, so that no record can pass for another kind.
/// Source: BLAKE3's `derive_key` mode.
#[must_use]
pub fn record_hash(context: &str, record: &[u8]) -> Hash {
    Hash::from_bytes(blake3::derive_key(context, record))
}

/// What reconciliation compares for one object: any change of lineage, epoch, revision or content changes it, and
/// the versions of one object lie side by side, so that a change touches one range only.
#[must_use]
pub fn item_id(header: &Header) -> ItemId {
    let mut record = Vec::with_capacity(16 + 32 + 16 + 32 + 1);
    record.extend_from_slice(header.uuid.as_bytes());
    record.extend_from_slice(header.lineage.as_ref().map_or(&[0; 32], |l| l.as_bytes()));
    record.extend_from_slice(&header.epoch.to_be_bytes());
    record.extend_from_slice(&header.revision.to_be_bytes());
    record.extend_from_slice(header.content.as_bytes());
    record.push(u8::from(header.tombstone));
    let digest = blake3::derive_key("once/2 item", &record);
    let mut id = [0; 32];
    id[..8].copy_from_slice(&header.uuid.as_bytes()[..8]);
    id[8..].copy_from_slice(&digest[..24]);
    ItemId::from_bytes(id)
}
