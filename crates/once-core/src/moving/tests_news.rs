//! Who has to do with an object that moves, and hears where it is.

use std::collections::BTreeMap;

use once_model::certificate::Chain;
use once_model::ids::{Incarnation, KernelId, ObjectKey};
use once_model::limits::{ACQUAINTANCE_ADDRESSES_MAX, NEWS_WINDOW, RESEND_AFTER_MS};
use once_model::moving::{Heard, Moved};
use once_model::wire::Frame;

use super::rows::{AcquaintanceRow, NewsRow};
use super::tests::{go, home, pair};
use super::{News, news};
use crate::access::{Right, Scope};
use crate::act::Origin;
use crate::memory::MemoryStore;
use crate::object;
use crate::peers::{self, PeerStatus};
use crate::store::{Batch, Durability, Store, Table};
use crate::testing::{Alone, Pair, Side, asked};
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

/// An object of A at which kernel 9, a peer of A, has acted; it has moved to B while 9 was away.
fn moved_away() -> (Pair, ObjectKey, Origin) {
    let (mut pair, key) = pair("Paper");
    let origin = pair.a.peer(9);
    pair.a.connect(9, origin, 91);
    pair.a.says(origin.kernel, 91, Frame::Act(asked(key, 1, "1".into())));
    pair.a.down(9, 91);
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    (pair, key, origin)
}

/// What a kernel says to 9 on a new connection of where objects are: the last certificate of each chain.
fn told(kernel: &mut Alone, origin: Origin, conn: u64) -> Vec<Moved> {
    kernel.outgoing.clear();
    kernel.connect(9, origin, conn);
    all_told(kernel, origin)
}

fn all_told(kernel: &Alone, origin: Origin) -> Vec<Moved> {
    let to = kernel.outgoing.iter().filter(|(to, ..)| *to == origin.kernel);
    to.filter_map(|(.., frame)| match frame {
        Frame::Moved(moved) => Some((**moved).clone()),
        _ => None,
    })
    .collect()
}

fn heard(moved: &Moved) -> Frame {
    Frame::Heard(Heard { key: moved.key, certificate: moved.chain.certificate() })
}

#[test]
fn who_was_away_hears_of_it_when_he_is_back_until_he_has_answered() {
    let (mut pair, key, origin) = moved_away();
    let (a, b) = (pair.a.id(), pair.b.id());
    let gone = news(&pair.a.store, &a).unwrap();
    assert_eq!(gone, [News { key, home: b, waits_for: vec![origin.kernel] }]);
    let first = told(&mut pair.a, origin, 92);
    assert_eq!(first.iter().map(|moved| (moved.key, moved.chain.home())).collect::<Vec<_>>(), [(key, b)]);
    // Nobody answers: it is said again after some time, on the next connection, and after a crash.
    pair.a.outgoing.clear();
    pair.a.pass(2 * RESEND_AFTER_MS);
    assert!(!all_told(&pair.a, origin).is_empty());
    assert_eq!(told(&mut pair.a, origin, 93), first);
    pair.a.crash(0);
    assert_eq!(told(&mut pair.a, origin, 94), first);
    pair.a.says(origin.kernel, 94, heard(&first[0]));
    assert_eq!(told(&mut pair.a, origin, 95), []);
    pair.a.pass(2 * RESEND_AFTER_MS);
    assert_eq!(all_told(&pair.a, origin), []);
    assert_eq!(news(&pair.a.store, &a).unwrap(), [News { key, home: b, waits_for: Vec::new() }]);
    // To B, 9 is no peer: it owes it nothing.
    assert_eq!(news(&pair.b.store, &b).unwrap(), []);
}

#[test]
fn an_answer_to_an_older_chain_ends_nothing() {
    let (mut pair, key, origin) = moved_away();
    let first = told(&mut pair.a, origin, 92);
    go(&mut pair, Side::B, key);
    pair.settle();
    go(&mut pair, Side::A, key);
    pair.settle();
    pair.a.outgoing.clear();
    pair.a.says(origin.kernel, 92, heard(&first[0]));
    // He hears the newest at once, and once for each answer.
    let second = all_told(&pair.a, origin);
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].chain.links.len(), first[0].chain.links.len() + 2);
    pair.a.outgoing.clear();
    pair.a.says(origin.kernel, 92, heard(&first[0]));
    assert_eq!(all_told(&pair.a, origin), []);
    assert_eq!(told(&mut pair.a, origin, 93), second);
    pair.a.says(origin.kernel, 93, heard(&second[0]));
    assert_eq!(told(&mut pair.a, origin, 94), []);
}

#[test]
fn who_is_no_peer_any_more_is_owed_nothing() {
    let (mut pair, _, origin) = moved_away();
    pair.a.command(Command::RemovePeer { peer: origin.kernel });
    pair.a.peer(9);
    assert_eq!(told(&mut pair.a, origin, 92), []);
}

/// The new home tells its peers what the former one could not: lanes that led there lead here.
#[test]
fn the_new_home_tells_too_and_who_has_nothing_to_do_with_it_believes_nothing() {
    let (mut pair, key) = pair("Paper");
    let (origin, at_b) = (pair.a.peer(9), pair.b.peer(9));
    pair.a.connect(9, origin, 91);
    let mut k = Alone::kernel(9);
    let (a, b) = (k.peer(1), k.peer(2));
    k.connect(1, a, 11);
    k.act_at(a.kernel, key, 1);
    let acts: Vec<_> = k.outgoing.drain(..).filter(|(_, _, frame)| matches!(frame, Frame::Act(_))).collect();
    pair.a.says(origin.kernel, 91, acts[0].2.clone());
    pair.a.down(9, 91);
    k.down(1, 11);
    go(&mut pair, Side::A, key);
    pair.settle();
    let said = told(&mut pair.b, at_b, 92);
    assert_eq!(said.iter().map(|moved| moved.key).collect::<Vec<_>>(), [key]);
    k.connect(2, b, 21);
    k.outgoing.clear();
    k.says(b.kernel, 21, Frame::Moved(Box::new(said[0].clone())));
    let frames: Vec<_> = k.outgoing.iter().map(|(to, _, frame)| (*to, frame.clone())).collect();
    assert!(frames.contains(&(b.kernel, heard(&said[0]))), "{frames:?}");
    let is_act = |(to, frame): &&(KernelId, Frame)| *to == b.kernel && matches!(frame, Frame::Act(_));
    assert_eq!(frames.iter().filter(is_act).count(), 1, "what has no outcome is asked there");
    // A kernel that never had to do with it.
    let mut stranger = Alone::kernel(9);
    let b = stranger.connected(2);
    stranger.says(b.kernel, 1, Frame::Moved(Box::new(said[0].clone())));
    assert!(stranger.sent.contains(&heard(&said[0])));
    assert_eq!(crate::object::chain(&stranger.store, &key.lineage().unwrap()).unwrap(), None);
}

/// It has lost the answer to the handoff, and hears the news from somebody else.
#[test]
fn who_is_sealed_hears_that_it_was_accepted() {
    let (mut pair, key) = pair("Paper");
    let (third, b) = (pair.a.peer(9), pair.b.id());
    pair.a.connect(9, third, 91);
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    pair.cut();
    let chain = crate::object::chain(&pair.b.store, &key.lineage().unwrap()).unwrap().unwrap();
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    let said = Moved { key, chain, addresses: Vec::new() };
    // Whose word it is matters as little as what else it says: here one that never was its home.
    pair.a.says(third.kernel, 91, Frame::Moved(Box::new(said.clone())));
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    let conn = pair.connect(Side::A);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    pair.a.says(b, conn, Frame::Moved(Box::new(said)));
    assert_eq!(home(&pair.a, &key), Some(b));
}

/// A peer that was away long is told of many objects a few at a time.
#[test]
fn news_of_many_objects_wait_for_answers() {
    let mut kernel = Alone::new();
    let origin = kernel.peer(9);
    let keys: Vec<_> = (1..=NEWS_WINDOW as u128 + 4).map(|n| kernel.object(n, "Paper")).collect();
    kernel.step(|s| {
        for key in &keys {
            let row = NewsRow { since_ms: s.ctx.now_ms };
            s.txn.put(Table::News, &crate::object::peer_object_key(&origin.kernel, key), &row);
        }
        Ok(())
    });
    let first = told(&mut kernel, origin, 91);
    assert_eq!(first.len(), NEWS_WINDOW);
    kernel.outgoing.clear();
    for moved in &first[..3] {
        kernel.says(origin.kernel, 91, heard(moved));
    }
    let next = all_told(&kernel, origin);
    assert_eq!(next.len(), 3);
    let both: std::collections::BTreeSet<_> = first.iter().chain(&next).map(|moved| moved.key).collect();
    assert_eq!(both.len(), NEWS_WINDOW + 3);
}

fn chain(kernel: &Alone, key: &ObjectKey) -> Chain {
    object::chain(&kernel.store, &key.lineage().unwrap()).unwrap().unwrap()
}

fn moved(chain: &Chain, key: ObjectKey) -> Frame {
    Frame::Moved(Box::new(Moved { key, chain: chain.clone(), addresses: vec!["192.0.2.1:7".into()] }))
}

/// News may overtake each other, and come again.
#[test]
fn older_news_change_nothing() {
    let (mut pair, key) = pair("Paper");
    let mut k = Alone::kernel(9);
    let a = k.connected(1);
    k.act_at(a.kernel, key, 1);
    let mut chains = Vec::new();
    for from in [Side::A, Side::B, Side::A] {
        go(&mut pair, from, key);
        pair.settle();
        chains.push(chain(&pair.b, &key));
    }
    k.says(a.kernel, 1, moved(&chains[2], key));
    assert_eq!(chain(&k, &key), chains[2]);
    for older in [&chains[0], &chains[1]] {
        k.says(a.kernel, 1, moved(older, key));
        assert_eq!(chain(&k, &key), chains[2]);
    }
}

/// Else it would believe that it has handed over what its disk says that it has not.
#[test]
fn a_home_that_was_put_back_does_not_believe_that_an_object_has_left() {
    let (mut pair, key) = pair("Paper");
    let (rows, before) = (pair.a.rows(), chain(&pair.a, &key));
    go(&mut pair, Side::A, key);
    pair.settle();
    let rows = rows.into_iter().map(|(table, row, value)| (table, row, Some(value))).collect();
    pair.a.store = MemoryStore::new();
    pair.a.store.commit(Batch { rows }, Durability::Synced).unwrap();
    pair.a.restart();
    let b = Origin { kernel: pair.b.id(), incarnation: Incarnation::from_bytes([2; 16]) };
    pair.a.connect(2, b, 50);
    pair.a.says(b.kernel, 50, moved(&chain(&pair.b, &key), key));
    assert_eq!((home(&pair.a, &key), chain(&pair.a, &key)), (Some(pair.a.id()), before));
}

/// A kernel goes where it has something to ask for, not wherever a copy of its has gone.
#[test]
fn who_only_has_a_copy_learns_where_the_object_is_and_does_not_go_there() {
    for is_followed in [false, true] {
        let (mut pair, key) = pair("Paper");
        let (b, nine) = (pair.b.id(), pair.a.peer(9));
        pair.a.connect(9, nine, 91);
        pair.a.outgoing.clear();
        pair.a.command(Command::Share { key, to: nine.kernel, delivered: false });
        let shared = pair.a.outgoing.iter().find(|(to, ..)| *to == nine.kernel).unwrap().2.clone();
        let mut k = Alone::kernel(9);
        let a = k.connected(1);
        k.grant(a.kernel, Right::Share, Scope::Kernel);
        if is_followed {
            k.command(Command::Follow { key, from: a.kernel });
        }
        k.says(a.kernel, 1, shared);
        assert_eq!(home(&k, &key), Some(a.kernel));
        go(&mut pair, Side::A, key);
        pair.settle();
        k.says(a.kernel, 1, moved(&chain(&pair.a, &key), key));
        assert_eq!((home(&k, &key), chain(&k, &key)), (Some(b), chain(&pair.b, &key)));
        let host = peers::peer(&k.store, &b).unwrap().map(|row| (row.status, row.addresses));
        let there = (PeerStatus::Host, vec!["192.0.2.1:7".to_owned()]);
        assert_eq!(host, is_followed.then_some(there));
        assert_eq!(k.dialled.contains(&b), is_followed);
    }
}
