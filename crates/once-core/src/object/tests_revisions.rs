//! Earlier revisions that are kept: how many, their bytes, and their end. ADR 0020.

use once_model::ids::{ObjectKey, Uuid};
use once_model::limits::REVISIONS_MAX;
use once_model::scenario::Scenario;

use super::tests::{shares, taker, travels};
use super::{body, head, revision, revisions};
use crate::store::Table;
use crate::testing::Alone;
use crate::waist::{Answer, Command};

fn scenario(n: u32) -> Scenario {
    Scenario::compose(Uuid::from_u128(7), "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
}

/// An object with its home here, whose revision 1 says 1.
fn born(kernel: &mut Alone) -> ObjectKey {
    let token = kernel.command(Command::Create { scenario: scenario(1) });
    match kernel.answered.remove(&token) {
        Some(Answer::Object { header, .. }) => header.key(),
        other => panic!("{other:?}"),
    }
}

fn put(kernel: &mut Alone, key: ObjectKey, n: u32) {
    kernel.command(Command::Put { key, base: None, scenario: scenario(n) });
}

fn kept(kernel: &Alone, key: &ObjectKey) -> Vec<u64> {
    revisions(&kernel.store, key).unwrap().iter().map(|row| row.header.revision).collect()
}

fn bodies(kernel: &Alone) -> usize {
    kernel.rows().iter().filter(|(table, ..)| *table == Table::Body).count()
}

#[test]
fn the_newest_that_were_replaced_are_kept_with_their_bytes() {
    let mut kernel = Alone::new();
    kernel.engine.limits.revisions = 2;
    let key = born(&mut kernel);
    for n in 2..=5 {
        put(&mut kernel, key, n);
    }
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![3, 4], 3));
    for number in [3, 4] {
        let row = revision(&kernel.store, &key, number).unwrap().unwrap();
        let bytes = body(&kernel.store, &row.header).unwrap().unwrap();
        assert_eq!(bytes, *scenario(number as u32).bytes());
    }
    assert_eq!(revision(&kernel.store, &key, 2).unwrap(), None);
    // Bytes that come back lie there once, and stay for whoever names them.
    put(&mut kernel, key, 4);
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![4, 5], 2));
    put(&mut kernel, key, 6);
    put(&mut kernel, key, 7);
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![6, 7], 3));
    kernel.command(Command::Remove { key });
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![], 0));
}

#[test]
fn without_the_setting_nothing_is_kept_and_what_was_goes_with_the_next_change() {
    let mut kernel = Alone::new();
    let key = born(&mut kernel);
    put(&mut kernel, key, 2);
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![], 1));
    kernel.engine.limits.revisions = usize::MAX;
    for n in 3..=80 {
        put(&mut kernel, key, n);
    }
    assert_eq!(kept(&kernel, &key).len(), REVISIONS_MAX);
    kernel.restart();
    assert_eq!(kept(&kernel, &key).len(), REVISIONS_MAX);
    put(&mut kernel, key, 81);
    assert_eq!((kept(&kernel, &key), bodies(&kernel)), (vec![], 1));
}

/// What peers share is bounded by their quotas, which count the newest revision alone.
#[test]
fn of_what_has_its_home_elsewhere_nothing_is_kept_and_a_copy_takes_all_with_it() {
    let (mut kernel, peer, mut other) = taker();
    kernel.engine.limits.revisions = 4;
    let key = born(&mut other);
    for n in 2..=4 {
        shares(&mut kernel, peer, travels(&other, &key));
        put(&mut other, key, n);
    }
    let here = head(&kernel.store, &key).unwrap().unwrap();
    assert_eq!((here.header.revision, kept(&kernel, &key), bodies(&kernel)), (3, vec![], 1));
}
