//! Hashes: BLAKE3 over verbatim bytes for content, BLAKE3 with a context for records.

use crate::ids::Hash;

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
