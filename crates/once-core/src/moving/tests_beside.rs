//! What is kept beside an object moves with it.

use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::limits::CONFLICTS_MAX_BODIES;
use once_model::moving::LuggageRevision;
use once_model::scenario::Scenario;

use super::tests::{go, home, pair};
use crate::object::{self, HeadRow};
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, Pair, Side};
use crate::waist::{Answer, Change, Command};

fn scenario(n: usize) -> Scenario {
    let uuid = Uuid::from_u128(5);
    let json = format!(r#"{{"ior":{{"uuid":"{uuid}","component":"Paper"}},"model":{{"n":{n}}}}}"#);
    Scenario::parse(json).unwrap()
}

fn import(n: usize) -> Command {
    Command::Import { source: Some("file".into()), over: None, scenario: scenario(n) }
}

fn changed(kernel: &Alone, token: u64) -> (ObjectKey, Change) {
    match &kernel.answered[&token] {
        Answer::Object { header, change } => (header.key(), *change),
        other => panic!("{other:?}"),
    }
}

/// Two peers, and an object of the first with so many files beside it.
fn with_beside(files: usize) -> (Pair, ObjectKey) {
    let (mut pair, _) = pair("Paper");
    pair.a.command(import(1));
    let token = pair.a.command(import(2));
    let (key, _) = changed(&pair.a, token);
    pair.a.command(Command::Put { key, base: None, scenario: scenario(3) });
    for n in 0..files {
        let token = pair.a.command(import(10 + n));
        assert_eq!(changed(&pair.a, token).1, Change::KeptBeside);
    }
    (pair, key)
}

fn beside(kernel: &Alone, key: &ObjectKey) -> Vec<HeadRow> {
    let mut found = Vec::new();
    object::conflicts(&kernel.store, &mut |row| {
        found.extend((row.header.key() == *key).then_some(row));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn contents(kernel: &Alone, key: &ObjectKey) -> Vec<Hash> {
    let mut found: Vec<_> = beside(kernel, key).iter().map(|row| row.header.content).collect();
    found.sort();
    found
}

#[test]
fn what_is_kept_beside_moves_along_and_is_decided_at_the_new_home() {
    let (mut pair, key) = with_beside(CONFLICTS_MAX_BODIES);
    let before = contents(&pair.a, &key);
    assert_eq!(before.len(), CONFLICTS_MAX_BODIES);
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert!(pair.a.answered.contains_key(&token), "{:?}", pair.a.refused.get(&token));
    assert_eq!((contents(&pair.a, &key), contents(&pair.b, &key)), (vec![], before.clone()));
    // Bytes of what left are gone with it; those of the head stay, and are what the new home has.
    let bodies = |kernel: &Alone| {
        let is_its =
            |row: &&(Table, Vec<u8>, bytes::Bytes)| row.0 == Table::Body && row.1.starts_with(&key.to_row());
        kernel.rows().iter().filter(is_its).count()
    };
    assert_eq!((bodies(&pair.a), bodies(&pair.b)), (1, 1 + CONFLICTS_MAX_BODIES));
    // The same file is kept once, there as here.
    let kept = &beside(&pair.b, &key)[0];
    assert_eq!((kept.from, kept.charged), (None, false));
    let revision = kept.header.id();
    let token = pair.b.command(Command::Keep { key, revision });
    assert_eq!(changed(&pair.b, token).1, Change::Changed);
    assert_eq!(pair.b.head(&key).unwrap().content, kept.header.content);
    let revision = beside(&pair.b, &key)[0].header.id();
    pair.b.command(Command::Discard { key, revision });
    assert_eq!(contents(&pair.b, &key).len(), CONFLICTS_MAX_BODIES - 2);
    // And back again.
    go(&mut pair, Side::B, key);
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    assert_eq!((contents(&pair.a, &key).len(), contents(&pair.b, &key).len()), (CONFLICTS_MAX_BODIES - 2, 0));
}

#[test]
fn nothing_beside_a_sealed_object_is_decided_and_what_comes_meanwhile_stays_with_the_copy() {
    let (mut pair, key) = with_beside(2);
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(super::departures(&pair.a.store).unwrap()[0].sealed);
    let revision = beside(&pair.a, &key)[0].header.id();
    let refused = Err(Refusal::Leaving(key));
    assert_eq!(pair.a.try_command(Command::Discard { key, revision }), refused);
    assert_eq!(pair.a.try_command(Command::Keep { key, revision }), refused);
    // A fork that its home before has made comes after the seal.
    let mut late = beside(&pair.a, &key)[0].clone();
    late.header.revision += 1;
    let (row, place) = (late.clone(), object::conflict_key(&key, &late.header.id()));
    pair.a.step(|s| {
        s.txn.put(Table::Conflict, &place, &row);
        Ok(())
    });
    pair.settle();
    assert_eq!(contents(&pair.b, &key).len(), 2);
    assert_eq!(beside(&pair.a, &key), [late]);
}

#[test]
fn a_hostile_home_brings_no_more_beside_than_an_object_may_have_and_nothing_of_others() {
    let (mut pair, key) = with_beside(1);
    let row = beside(&pair.a, &key).remove(0);
    let body = object::body(&pair.a.store, &row.header).unwrap();
    let good = LuggageRevision { header: row.header, body, from: None };
    let mut forged = Vec::new();
    for n in 0..CONFLICTS_MAX_BODIES as u64 + 2 {
        let mut revision = good.clone();
        revision.header.revision += n;
        forged.push(revision);
    }
    let wrong = [
        |revision: &mut LuggageRevision| revision.header.uuid = Uuid::from_u128(6),
        |revision: &mut LuggageRevision| revision.header.lineage = None,
        |revision: &mut LuggageRevision| revision.header.content = Hash::from_bytes([1; 32]),
        |revision: &mut LuggageRevision| revision.header.size += 1,
        |revision: &mut LuggageRevision| revision.body = None,
    ];
    let mut bad = Vec::new();
    for spoil in wrong {
        let mut revision = good.clone();
        spoil(&mut revision);
        bad.push(revision);
    }
    go(&mut pair, Side::A, key);
    pair.settle();
    let revision = beside(&pair.b, &key)[0].header.id();
    pair.b.command(Command::Discard { key, revision });
    pair.b.step(|s| object::unpack_beside(s, &key, bad.clone()));
    assert_eq!(beside(&pair.b, &key), []);
    pair.b.step(|s| object::unpack_beside(s, &key, forged.clone()));
    assert_eq!(beside(&pair.b, &key).len(), CONFLICTS_MAX_BODIES);
    assert_eq!(object::head(&pair.b.store, &key).unwrap().unwrap().conflicts_dropped, 2);
}
