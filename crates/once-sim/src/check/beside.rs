//! What is kept beside an object moves with it: all of it, and then it is at the new home alone.

use std::collections::BTreeSet;

use once_core::object::{self, HeadRow};
use once_core::store::{Read, Table};
use once_core::txn;
use once_model::ids::{Hash, ObjectKey};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::moving::Luggage;

use super::rows::conflicts_of;
use super::{Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::{Commit, Disk};

/// What is kept beside an object, but for heads that only lack a proof: they are the kernel's own affair.
fn kept(store: &Disk, key: &ObjectKey) -> Vec<HeadRow> {
    let mut all = conflicts_of(store, &key.uuid);
    all.retain(|row| row.header.key() == *key && !row.is_replaced());
    all
}

/// The luggage of an object that is sealed has what is kept beside it.
pub(super) fn packed(group: &Group<'_>, key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    let here: BTreeSet<Hash> = kept(group.store, key).iter().map(|row| row.header.id()).collect();
    let packed: BTreeSet<Hash> = luggage.beside.iter().map(|revision| revision.header.id()).collect();
    let is_whole = luggage.beside.iter().all(|revision| {
        let body = group.store.get(Table::Body, &object::body_key(&revision.header)).ok().flatten();
        body == revision.body
    });
    if here != packed || !is_whole {
        wrong.push((4, format!("hands {key} over with {packed:?} beside it, and {here:?} is kept here")));
    }
}

/// An object that has moved in has beside it what came along, as far as there is room.
pub(super) fn put_down(
    group: &Group<'_>,
    key: &ObjectKey,
    luggage: &Luggage,
    wrong: &mut Wrong,
    cover: &mut Coverage,
) {
    let here = kept(group.store, key);
    let is_its = |row: &HeadRow| row.header.key() == *key;
    let count = conflicts_of(group.store, &key.uuid).into_iter().filter(is_its).count();
    for revision in &luggage.beside {
        cover.met("state conflict moved");
        let is_here = here.iter().any(|row| row.header == revision.header);
        if !is_here && count < CONFLICTS_MAX_BODIES {
            let id = revision.header.id();
            wrong.push((4, format!("forgets {id:.12}, which was kept beside {key} and moved in")));
        }
    }
}

/// What was kept beside an object that has left is not here any more.
pub(super) fn left(group: &Group<'_>, commit: &Commit, key: &ObjectKey, wrong: &mut Wrong) {
    let place = key.to_row();
    let row = commit.rows.iter().find(|row| row.table == Table::Luggage && row.key == place);
    let packed = row.and_then(|row| Luggage::unpack(row.before.as_ref()?).ok()).unwrap_or_default();
    for revision in packed.beside {
        let row = object::conflict_key(key, &revision.header.id());
        if matches!(txn::get::<HeadRow>(group.store, Table::Conflict, &row), Ok(Some(_))) {
            wrong.push((2, format!("keeps a conflict of {key}, which has left with the object")));
        }
    }
}
