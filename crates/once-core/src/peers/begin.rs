//! The row of a kernel that is new here.

use once_model::ids::Secret;
use once_model::limits::PEER_QUOTA_BYTES;

use super::addresses::put_first;
use super::{PeerRow, PeerStatus};
use crate::engine::Step;

pub(super) fn new_row(
    s: &Step<'_, '_>,
    status: PeerStatus,
    secret: Option<Secret>,
    addresses: Vec<String>,
    petname: Option<String>,
) -> PeerRow {
    let mut row = PeerRow {
        petname,
        says: String::new(),
        status,
        secret,
        addresses: Vec::new(),
        seen: Vec::new(),
        quota_bytes: PEER_QUOTA_BYTES,
        since_ms: s.ctx.now_ms,
        heard: None,
        invite: None,
        addresses_ms: Vec::new(),
        reborn_ms: None,
    };
    put_first(&mut row, addresses, s.ctx.now_ms);
    row
}
