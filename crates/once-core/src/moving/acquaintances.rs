//! Who has to do with an object: who has a lane to it, a right to it, or follows it, here or at an earlier home. They are to
//! hear where it is.

use std::collections::BTreeSet;

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{ACQUAINTANCE_ADDRESSES_MAX, ACQUAINTANCES_MAX, NAME_MAX_BYTES};
use once_model::moving::{Luggage, LuggageAcquaintance};

use super::rows::AcquaintanceRow;
use crate::engine::Step;
use crate::store::{StoreError, Table};
use crate::{object, peers, store, txn};

/// Those that go along: who has to do with it today, then who had at an earlier home.
pub(super) fn pack(
    s: &Step<'_, '_>,
    key: &ObjectKey,
    luggage: &Luggage,
) -> Result<Vec<LuggageAcquaintance>, StoreError> {
    let rights = luggage.grants.iter().map(|grant| grant.kernel);
    let lanes = luggage.lanes.iter().map(|lane| lane.origin);
    let today: BTreeSet<_> = rights.chain(lanes).chain(luggage.followers.iter().copied()).collect();
    let mut earlier = BTreeSet::new();
    store::scan_prefix(s.txn, Table::Acquaintance, &key.to_row(), &mut |place, _| {
        earlier.extend(place.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice));
        std::ops::ControlFlow::Continue(())
    })?;
    let all = today.iter().chain(earlier.difference(&today)).copied();
    all.take(ACQUAINTANCES_MAX)
        .map(|kernel| Ok(LuggageAcquaintance { kernel, addresses: addresses(s, key, &kernel)? }))
        .collect()
}

/// Where one of them might be reached.
fn addresses(s: &Step<'_, '_>, key: &ObjectKey, kernel: &KernelId) -> Result<Vec<String>, StoreError> {
    let known = match peers::peer(s.txn, kernel)? {
        Some(peer) if !peer.addresses.is_empty() => peer.addresses,
        _ => row(s, key, kernel)?.map(|row| row.addresses).unwrap_or_default(),
    };
    Ok(some(known))
}

/// Not more, and not longer ones, than go along.
fn some(addresses: Vec<String>) -> Vec<String> {
    let fits = |address: &String| !address.is_empty() && address.len() <= NAME_MAX_BYTES;
    addresses.into_iter().filter(fits).take(ACQUAINTANCE_ADDRESSES_MAX).collect()
}

fn row(s: &Step<'_, '_>, key: &ObjectKey, kernel: &KernelId) -> Result<Option<AcquaintanceRow>, StoreError> {
    txn::get(s.txn, Table::Acquaintance, &object::object_peer_key(key, kernel))
}

/// Those that came along are known here, too.
pub(super) fn put_down(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    came: Vec<LuggageAcquaintance>,
) -> Result<(), StoreError> {
    if mutant!(ForgetAcquaintances) {
        return Ok(());
    }
    for LuggageAcquaintance { kernel, addresses } in came.into_iter().take(ACQUAINTANCES_MAX) {
        let known = row(s, key, &kernel)?;
        let new = AcquaintanceRow { addresses: some(addresses) };
        let is_new = known.as_ref().is_none_or(|known| *known != new && !new.addresses.is_empty());
        if is_new && kernel != s.ctx.me {
            s.txn.put(Table::Acquaintance, &object::object_peer_key(key, &kernel), &new);
        }
    }
    Ok(())
}

/// A kernel has had to do with an object that has left.
pub(super) fn remember(s: &mut Step<'_, '_>, key: &ObjectKey, kernel: &KernelId) -> Result<(), StoreError> {
    let row = AcquaintanceRow { addresses: addresses(s, key, kernel)? };
    s.txn.put(Table::Acquaintance, &object::object_peer_key(key, kernel), &row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_addresses_go_along_and_none_that_is_empty_or_too_long() {
        let long = "x".repeat(NAME_MAX_BYTES);
        let known = [String::new(), format!("{long}x"), long.clone(), "a".into(), String::new()];
        assert_eq!(some(known.to_vec()), [long, "a".into()]);
        let many: Vec<_> = (0..=ACQUAINTANCE_ADDRESSES_MAX).map(|n| n.to_string()).collect();
        assert_eq!(some(many.clone()), many[..ACQUAINTANCE_ADDRESSES_MAX]);
    }
}
