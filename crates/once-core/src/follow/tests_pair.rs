//! Subscriptions: docs/protocol.md, 5.4.

use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Follow, Following, Frame};

use crate::access::{Grant, Right, Scope};
use crate::object::unclaimed;
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, Pair, Side};
use crate::waist::{Answer, Change, Command, Event};

fn scenario(n: u32) -> Scenario {
    Scenario::compose(Uuid::from_u128(1), "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
}

/// A follows an object of B, which may read it.
fn following() -> (Pair, KernelId, KernelId, ObjectKey) {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    let key = pair.b.object(1, "Paper");
    pair.b.grant(a, Right::Read, Scope::Object(key));
    pair.a.command(Command::Follow { key, from: b });
    (pair, a, b, key)
}

fn revision(kernel: &Alone, key: &ObjectKey) -> Option<u64> {
    kernel.head(key).map(|head| head.revision)
}

fn put(pair: &mut Pair, key: ObjectKey, n: u32) {
    pair.b.command(Command::Put { key, base: None, scenario: scenario(n) });
}

fn revoke(pair: &mut Pair, key: ObjectKey, kernel: KernelId) {
    let (scope, right) = (Scope::Object(key), Right::Read);
    let grant = Grant { scope, right, kernel, object: None, expires_ms: None, actions: None };
    pair.b.command(Command::Revoke(grant));
}

fn rows(kernel: &Alone, table: Table) -> usize {
    kernel.rows().iter().filter(|(of, ..)| *of == table).count()
}

#[test]
fn who_follows_gets_the_newest_and_each_later_revision() {
    let (mut pair, _, _, key) = following();
    assert_eq!(pair.deliver(Side::B), Some(Frame::Follow(Follow { key, have: None })));
    assert!(pair.on_the_way(Side::A).contains(&Frame::Following(Following { key, on: true, code: None })));
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(1));
    for n in 1..4 {
        put(&mut pair, key, n);
        pair.settle();
        assert_eq!(revision(&pair.a, &key), Some(u64::from(n) + 1));
    }
    // Without a quota or a right to share: it was asked for.
    let row = crate::object::head(&pair.a.store, &key).unwrap().unwrap();
    assert!(!row.charged);
    // It is repeated on each connection, with what is here; then the newest need not come again.
    pair.connect(Side::A);
    pair.settle();
    put(&mut pair, key, 9);
    pair.cut();
    pair.connect(Side::B);
    let have = Some(pair.a.head(&key).unwrap().id());
    pair.settle();
    assert_ne!(have, pair.a.head(&key).map(|head| head.id()));
    assert_eq!(revision(&pair.a, &key), Some(5));
    pair.connect(Side::B);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    let shared = |pair: &mut Pair| {
        pair.on_the_way(Side::A).iter().filter(|frame| matches!(frame, Frame::Share(_))).count()
    };
    pair.deliver(Side::B);
    assert_eq!(shared(&mut pair), 0);
    pair.settle();
    // Through crashes of both.
    put(&mut pair, key, 10);
    pair.crash(Side::B, 0);
    pair.crash(Side::A, 0);
    pair.connect(Side::A);
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(6));
    // A removal is a revision, too.
    pair.b.command(Command::Remove { key });
    pair.settle();
    assert!(pair.a.head(&key).unwrap().tombstone);
}

#[test]
fn who_may_not_read_follows_nothing_and_cannot_tell_why() {
    let mut pair = Pair::new();
    let b = pair.b.id();
    let key = pair.b.object(1, "Paper");
    let absent = ObjectKey { uuid: Uuid::from_u128(9), ..key };
    for key in [key, absent] {
        pair.a.command(Command::Follow { key, from: b });
        pair.deliver(Side::B);
        let denied = Frame::Following(Following { key, on: false, code: Some(Code::Denied) });
        assert_eq!(pair.on_the_way(Side::A), &[denied]);
        pair.settle();
        assert!(pair.a.events.contains(&Event::FollowDenied { peer: b, key }));
    }
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.b, Table::Follower)), (0, 0));
    let (me, stranger) = (pair.a.id(), pair.a.peer_id(9));
    assert_eq!(pair.a.try_command(Command::Follow { key, from: me }), Err(Refusal::Myself));
    assert_eq!(pair.a.try_command(Command::Follow { key, from: stranger }), Err(Refusal::NoPeer(stranger)));
    assert_eq!(
        pair.a.try_command(Command::Unfollow { key, from: b }),
        Err(Refusal::NotFollowed { key, from: b })
    );
}

/// What was owed because it was followed is owed no more, also if it was on its way.
#[test]
fn what_is_followed_no_more_is_not_sent_any_more() {
    for ended_by_a_revoke in [false, true] {
        let (mut pair, a, b, key) = following();
        pair.settle();
        pair.cut();
        put(&mut pair, key, 5);
        assert_eq!(rows(&pair.b, Table::Outbox), 1);
        pair.a.command(Command::Unfollow { key, from: b });
        if ended_by_a_revoke {
            revoke(&mut pair, key, a);
            pair.b.grant(a, Right::Read, Scope::Object(key));
            assert_eq!(rows(&pair.b, Table::Outbox), 0);
        }
        pair.connect(Side::A);
        pair.settle();
        assert_eq!(revision(&pair.a, &key), Some(1));
        assert_eq!((rows(&pair.b, Table::Outbox), rows(&pair.b, Table::Follower)), (0, 0));
    }
}

#[test]
fn an_end_of_a_subscription_is_told_until_it_is_answered() {
    let (mut pair, _, b, key) = following();
    pair.settle();
    pair.a.command(Command::Unfollow { key, from: b });
    assert_eq!(pair.lose(Side::B), Some(Frame::Unfollow(key)));
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.a, Table::Unfollow)), (0, 1));
    pair.crash(Side::A, 0);
    pair.connect(Side::A);
    pair.settle();
    assert_eq!((rows(&pair.a, Table::Unfollow), rows(&pair.b, Table::Follower)), (0, 0));
    put(&mut pair, key, 5);
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(1));
    // Begun again before the end was heard of, it goes on.
    pair.a.command(Command::Follow { key, from: b });
    pair.settle();
    pair.a.command(Command::Unfollow { key, from: b });
    pair.lose(Side::B);
    pair.a.command(Command::Follow { key, from: b });
    pair.settle();
    pair.connect(Side::B);
    pair.settle();
    put(&mut pair, key, 6);
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(3));
    assert_eq!(
        (rows(&pair.a, Table::Subscription), rows(&pair.a, Table::Unfollow), rows(&pair.b, Table::Follower)),
        (1, 0, 1)
    );
}

#[test]
fn a_subscription_ends_with_the_right_to_read() {
    let (mut pair, a, b, key) = following();
    pair.settle();
    revoke(&mut pair, key, a);
    let denied = Frame::Following(Following { key, on: false, code: Some(Code::Denied) });
    // Under its own key, and that of the copy that it began as.
    let said = pair.on_the_way(Side::A);
    assert!(said.len() == 2 && said.contains(&denied), "{said:?}");
    pair.settle();
    assert!(pair.a.events.contains(&Event::FollowDenied { peer: b, key }));
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.b, Table::Follower)), (0, 0));
    put(&mut pair, key, 5);
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(1));
    // Who is away hears it when it repeats its subscription.
    let (mut pair, a, _, key) = following();
    pair.settle();
    pair.cut();
    revoke(&mut pair, key, a);
    put(&mut pair, key, 5);
    pair.connect(Side::A);
    pair.settle();
    assert_eq!((revision(&pair.a, &key), rows(&pair.a, Table::Subscription)), (Some(1), 0));
    // Another grant that lasts keeps it.
    let (mut pair, a, _, key) = following();
    pair.settle();
    pair.b.grant(a, Right::Read, Scope::Component("Paper".into()));
    revoke(&mut pair, key, a);
    put(&mut pair, key, 5);
    pair.settle();
    assert_eq!(revision(&pair.a, &key), Some(2));
    // A grant that has run out: noticed with the next revision.
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    let key = pair.b.object(1, "Paper");
    let expires_ms = Some(pair.b.ctx.now_ms + 1000);
    pair.b.command(Command::Grant(Grant {
        scope: Scope::Object(key),
        right: Right::Read,
        kernel: a,
        object: None,
        expires_ms,
        actions: None,
    }));
    pair.a.command(Command::Follow { key, from: b });
    pair.pass(1000);
    put(&mut pair, key, 5);
    pair.settle();
    assert_eq!((revision(&pair.a, &key), rows(&pair.b, Table::Follower)), (Some(1), 0));
    // An object that is dropped there is followed no more.
    let (mut pair, _, _, _) = following();
    pair.settle();
    let loose = Scenario::compose(Uuid::from_u128(8), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&loose).key();
    pair.b.command(Command::Import { source: None, over: None, scenario: loose });
    let a = pair.a.id();
    pair.b.grant(a, Right::Read, Scope::Object(copy));
    let b = pair.b.id();
    pair.a.command(Command::Follow { key: copy, from: b });
    pair.settle();
    pair.b.command(Command::Remove { key: copy });
    pair.settle();
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.b, Table::Follower)), (1, 1));
}

/// What is followed as unclaimed is followed as what it is claimed as.
#[test]
fn a_copy_is_followed_as_what_it_becomes() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    let copy = unclaimed(&scenario(1)).key();
    pair.b.command(Command::Import { source: None, over: None, scenario: scenario(1) });
    pair.b.grant(a, Right::Read, Scope::Object(copy));
    pair.a.command(Command::Follow { key: copy, from: b });
    pair.settle();
    assert!(pair.a.head(&copy).is_some());
    let token = pair.b.command(Command::Put { key: copy, base: None, scenario: scenario(2) });
    let now = match &pair.b.answered[&token] {
        Answer::Object { header, change: Change::ClaimedAndChanged } => header.key(),
        other => panic!("{other:?}"),
    };
    pair.settle();
    assert_eq!((revision(&pair.a, &now), pair.a.head(&copy)), (Some(2), None));
    // It ends under either name, on both sides.
    pair.a.command(Command::Unfollow { key: now, from: b });
    pair.settle();
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.b, Table::Follower)), (0, 0));
    // To drop the copy here ends it, too.
    pair.a.command(Command::Follow { key: now, from: b });
    pair.settle();
    pair.a.command(Command::Remove { key: now });
    pair.settle();
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.b, Table::Follower)), (0, 0));
    pair.b.command(Command::Put { key: now, base: None, scenario: scenario(3) });
    pair.settle();
    assert_eq!(pair.a.head(&now), None);
}

/// Anyone can claim a copy, as often as they like: only so many lineages of it come for nothing.
#[test]
fn of_a_followed_copy_so_many_claims_are_kept() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.greets(9, 1);
    let copy = unclaimed(&scenario(1)).key();
    kernel.command(Command::Follow { key: copy, from: peer });
    let mut stored = Vec::new();
    for n in 20..32 {
        let mut claimer = Alone::kernel(n);
        claimer.command(Command::Import { source: None, over: None, scenario: scenario(1) });
        let token = claimer.command(Command::Claim { key: copy });
        let now = match &claimer.answered[&token] {
            Answer::Object { header, .. } => header.key(),
            other => panic!("{other:?}"),
        };
        let row = crate::object::head(&claimer.store, &now).unwrap().unwrap();
        let parcel = crate::exchange::parcel(&claimer.store, &claimer.ctx.key, &row).unwrap().unwrap();
        kernel.says(peer, 1, Frame::Share(parcel));
        stored.push(kernel.head(&now).is_some());
    }
    assert_eq!(stored.iter().filter(|stored| **stored).count(), 8);
    assert!(stored[..8].iter().all(|stored| *stored));
}

#[test]
fn whoever_drops_a_copy_tells_those_that_send_it_and_nobody_else() {
    let (mut pair, _, b, key) = following();
    pair.a.befriend(8);
    pair.settle();
    pair.a.command(Command::Remove { key });
    assert_eq!((rows(&pair.a, Table::Subscription), rows(&pair.a, Table::Unfollow)), (0, 1));
    assert_eq!(pair.lose(Side::B), Some(Frame::Unfollow(key)));
    assert!(
        !pair
            .a
            .rows()
            .iter()
            .any(|(table, at, _)| *table == Table::Unfollow && !at.starts_with(b.as_bytes()))
    );
}
