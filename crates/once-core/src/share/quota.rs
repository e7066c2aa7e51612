//! What a peer may take up here.

use once_model::ids::KernelId;

use super::rows::usage;
use crate::engine::Step;
use crate::peers;
use crate::store::StoreError;

/// Whether a peer's quota has room for so many bytes more than it takes up here. Who is no peer has none.
pub(crate) fn has_room(s: &Step<'_, '_>, peer: &KernelId, bytes: u64) -> Result<bool, StoreError> {
    let Some(row) = peers::peer(s.txn, peer)? else { return Ok(false) };
    Ok(usage(s.txn, peer)?.stored_bytes.saturating_add(bytes) <= row.quota_bytes)
}
