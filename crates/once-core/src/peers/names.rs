//! What peers are called, and how many there are.

use std::ops::ControlFlow;

use once_model::ids::KernelId;
use once_model::limits::NAME_MAX_BYTES;

use super::PeerRow;
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table, count_prefix};
use crate::txn;

/// Refuses a petname that is none, or that another peer has than this one.
pub(super) fn check_petname(
    s: &Step<'_, '_>,
    peer: Option<&KernelId>,
    petname: Option<&str>,
) -> Result<(), Failure> {
    let Some(name) = petname else { return Ok(()) };
    if !is_name(name) {
        return Err(Refusal::BadName { max_bytes: NAME_MAX_BYTES }.into());
    }
    let mut taken = false;
    s.txn.scan(Table::Peer, &[], None, &mut |key, value| {
        let row: Result<PeerRow, _> = txn::decode(Table::Peer, &value);
        let other = peer.is_none_or(|peer| key != peer.as_bytes());
        taken = other && row.is_ok_and(|row| row.petname.as_deref() == Some(name));
        if taken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if taken { Err(Refusal::NameTaken(name.to_owned()).into()) } else { Ok(()) }
}

/// Whether a text may name a kernel: not blank, not too long, no control characters.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX_BYTES && !name.trim().is_empty() && !name.chars().any(char::is_control)
}

/// Whether one more peer fits.
pub(super) fn room_for_peer(s: &Step<'_, '_>) -> Result<bool, StoreError> {
    is_below(s, s.engine.limits.peers)
}

/// Whether one more fits that is no peer: nobody here has chosen it, so half of the room stays for those who are.
pub(super) fn room_for_visitor(s: &Step<'_, '_>) -> Result<bool, StoreError> {
    is_below(s, s.engine.limits.peers / 2)
}

fn is_below(s: &Step<'_, '_>, most: usize) -> Result<bool, StoreError> {
    Ok(count_prefix(s.txn, Table::Peer, &[], most)? < most)
}

/// A name from outside, fit to be shown: no control characters, not too long.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX_BYTES / 4).collect()
}
