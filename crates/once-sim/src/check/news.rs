//! Who has to do with an object that moves: the names go along, and each of them hears where it is.

use std::collections::BTreeSet;

use once_core::store::{Read, Table};
use once_model::ids::ObjectKey;
use once_model::limits::ACQUAINTANCES_MAX;
use once_model::moving::Luggage;

use super::{Group, Wrong};

/// An object is sealed: its luggage names everybody who has a lane to it, a right to it, or follows it.
pub(super) fn packed(key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    let rights = luggage.grants.iter().map(|grant| grant.kernel);
    let lanes = luggage.lanes.iter().map(|lane| lane.origin);
    let today: BTreeSet<_> = rights.chain(lanes).chain(luggage.followers.iter().copied()).collect();
    let named: BTreeSet<_> = luggage.acquaintances.iter().map(|known| known.kernel).collect();
    if let Some(missing) = today.difference(&named).next().filter(|_| named.len() < ACQUAINTANCES_MAX) {
        wrong.push((10, format!("hands {key} over without the name of {missing:.10}")));
    }
}

/// It has moved in: the names are here.
pub(super) fn put_down(group: &Group<'_>, key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    let others = luggage.acquaintances.iter().filter(|known| known.kernel != group.kernel);
    for known in others {
        let row = [key.to_row().as_slice(), known.kernel.as_bytes()].concat();
        if !matches!(group.store.get(Table::Acquaintance, &row), Ok(Some(_))) {
            wrong.push((
                10,
                format!("forgets that {:.10} has to do with {key}, which moved in", known.kernel),
            ));
        }
    }
}
