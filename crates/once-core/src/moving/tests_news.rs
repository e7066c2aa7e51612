//! Who has to do with an object that moves, and hears where it is.

use std::collections::BTreeMap;

use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::ACQUAINTANCE_ADDRESSES_MAX;
use once_model::wire::Frame;

use super::rows::AcquaintanceRow;
use super::tests::{go, home, pair};
use crate::access::{Right, Scope};
use crate::store::Table;
use crate::testing::{Alone, Side, asked};
use crate::txn;
use crate::waist::Command;

fn acquaintances(kernel: &Alone, key: &ObjectKey) -> BTreeMap<KernelId, Vec<String>> {
    let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Acquaintance);
    rows.filter_map(|(_, place, value)| {
        let kernel = KernelId::from_slice(place.strip_prefix(key.to_row().as_slice())?)?;
        let row: AcquaintanceRow = txn::decode(Table::Acquaintance, &value).unwrap();
        Some((kernel, row.addresses))
    })
    .collect()
}

/// Who has a lane, a right or a subscription is known by name and addresses at the new home, and at the one after that.
#[test]
fn the_names_of_who_has_to_do_with_it_go_along() {
    let (mut pair, key) = pair("Paper");
    let (a, b) = (pair.a.id(), pair.b.id());
    let (origin, reader, stranger) = (pair.a.peer(9), pair.a.peer(8), pair.a.peer(7));
    pair.a.connect(9, origin, 91);
    pair.a.says(origin.kernel, 91, Frame::Act(asked(key, 1, "1".into())));
    pair.a.grant(reader.kernel, Right::Read, Scope::Object(key));
    let addresses: Vec<_> = (0..ACQUAINTANCE_ADDRESSES_MAX + 3).map(|n| format!("192.0.2.{n}:7")).collect();
    let known = addresses[..ACQUAINTANCE_ADDRESSES_MAX].to_vec();
    let change = Command::ChangePeer { peer: reader.kernel, petname: None, quota_bytes: None, addresses };
    pair.a.command(change);
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(b));
    let there = acquaintances(&pair.b, &key);
    assert_eq!(there.get(&reader.kernel), Some(&known));
    assert!(there.contains_key(&origin.kernel) && there.contains_key(&a), "{there:?}");
    assert!(!there.contains_key(&stranger.kernel) && !there.contains_key(&b), "{there:?}");
    // B knows none of them as a peer, and hands on what it was told.
    go(&mut pair, Side::B, key);
    pair.settle();
    assert_eq!(acquaintances(&pair.a, &key).get(&reader.kernel), Some(&known));
    assert!(acquaintances(&pair.a, &key).contains_key(&b));
}
