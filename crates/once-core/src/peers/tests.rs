//! How strangers become peers, which connection counts, and how a kernel that was put back is found: docs/protocol.md, 5.1.

use once_model::action::Outcome;
use once_model::ids::{BootId, Hash, Incarnation, KernelId, Secret};
use once_model::limits::{
    ADDRESSES_MAX, HELLO_TIMEOUT_MS, NAME_MAX_BYTES, PEER_QUOTA_BYTES, REDIAL_MAX_MS, REDIAL_MIN_MS,
    REDIAL_SOON_MS, REDIAL_WANTED_MS,
};
use once_model::progress::Progress;
use once_model::sign::KernelKey;
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_FIND, FEATURE_MOVES, Frame, Greeting};

use super::{invite_hash, invites, is_name, peer, put_back, quarantine};
use crate::access::{self, Grant, Right, Scope};
use crate::meta;
use crate::refusal::Refusal;
use crate::store::{Read, Table};
use crate::testing::{Alone, NOW_MS, Pair, Side, greeting};
use crate::waist::{Answer, Command, Event, Input, LinkEvent, Timer, Token};

fn key(n: u8) -> KernelKey {
    KernelKey::from_bytes(&[n; 32])
}

fn secret(n: u8) -> Secret {
    Secret::from_bytes([n; 16])
}

fn invite(kernel: &mut Alone, n: u8, expires_ms: u64, petname: Option<&str>) -> Hash {
    let secret_hash = invite_hash(&secret(n));
    let petname = petname.map(str::to_owned);
    kernel.command(Command::Invite { secret_hash, expires_ms, petname });
    secret_hash
}

fn hello(n: u8, invite: Option<u8>) -> Greeting {
    Greeting { features: vec![FEATURE_ACTIONS], invite: invite.map(secret), ..greeting(&key(n)) }
}

/// Kernel n dials and says this; what it is answered, and whether the connection was closed.
fn dials(kernel: &mut Alone, n: u8, conn: u64, hello: Greeting) -> (Vec<Frame>, Option<Code>) {
    kernel.up(n, conn);
    kernel.closed.clear();
    let said = kernel.says(key(n).id(), conn, Frame::Hello(hello)).to_vec();
    (said, kernel.closed.iter().find(|(closed, _)| *closed == conn).map(|(_, code)| *code))
}

fn is_admitted((said, closed): &(Vec<Frame>, Option<Code>)) -> bool {
    matches!(said.first(), Some(Frame::Admitted(_))) && closed.is_none()
}

fn denied(code: Code) -> (Vec<Frame>, Option<Code>) {
    (vec![Frame::Denied(code)], Some(code))
}

#[test]
fn a_stranger_is_let_in_by_an_invite_once_and_only_in_its_time() {
    let mut kernel = Alone::new();
    let hash = invite(&mut kernel, 1, NOW_MS + 1000, Some("bob"));
    let before = kernel.rows();
    for (n, shown) in [(9, None), (8, Some(2))] {
        assert_eq!(dials(&mut kernel, n, u64::from(n), hello(n, shown)), denied(Code::Denied));
    }
    // Not for who does not fit: it may come again with another version, and the invite is not used up.
    let unfit = Greeting { critical: vec![77], ..hello(9, Some(1)) };
    assert_eq!(dials(&mut kernel, 9, 1, unfit), denied(Code::Unsupported));
    assert_eq!(kernel.rows(), before);
    kernel.events.clear();
    let named = Greeting { name: "Bob\u{7}'s".into(), ..hello(9, Some(1)) };
    assert!(is_admitted(&dials(&mut kernel, 9, 2, named)));
    let came =
        Event::Came { peer: key(9).id(), invite: hash, petname: Some("bob".into()), says: "Bob's".into() };
    assert!(kernel.events.contains(&came), "{:?}", kernel.events);
    let row = peer(&kernel.store, &key(9).id()).unwrap().unwrap();
    assert_eq!((row.petname.as_deref(), row.says.as_str(), row.invite), (Some("bob"), "Bob's", Some(hash)));
    assert_eq!((row.quota_bytes, row.since_ms, row.name()), (PEER_QUOTA_BYTES, NOW_MS, "bob"));
    // It may share, and nothing else.
    let (store, id) = (&kernel.store, key(9).id());
    assert!(access::may_share(store, &id, NOW_MS).unwrap());
    assert_eq!(kernel.rows().iter().filter(|(table, ..)| *table == Table::Grant).count(), 1);
    assert_eq!(dials(&mut kernel, 8, 3, hello(8, Some(1))), denied(Code::Denied), "it was used");
    assert_eq!(invites(&kernel.store).unwrap()[0].1.used_by, Some(id));
    assert_eq!(kernel.try_command(Command::RevokeInvite { secret_hash: hash }), Err(Refusal::InviteUsed(id)));
    // At its end it is over.
    invite(&mut kernel, 3, NOW_MS + 1000, None);
    invite(&mut kernel, 4, NOW_MS + 1000, None);
    kernel.ctx.now_ms += 999;
    assert!(is_admitted(&dials(&mut kernel, 6, 4, hello(6, Some(3)))));
    kernel.ctx.now_ms += 1;
    assert_eq!(dials(&mut kernel, 5, 5, hello(5, Some(4))), denied(Code::Denied));
    // And stays so when the clock is set back.
    kernel.ctx.now_ms -= 1000;
    assert_eq!(dials(&mut kernel, 5, 6, hello(5, Some(4))), denied(Code::Denied));
    let taken = invite(&mut kernel, 5, NOW_MS + 5000, None);
    kernel.command(Command::RevokeInvite { secret_hash: taken });
    assert_eq!(dials(&mut kernel, 5, 7, hello(5, Some(5))), denied(Code::Denied));
    assert_eq!(kernel.try_command(Command::RevokeInvite { secret_hash: taken }), Err(Refusal::NoInvite));
}

#[test]
fn an_invite_that_a_peer_shows_is_used_up() {
    let mut kernel = Alone::new();
    kernel.befriend(9);
    invite(&mut kernel, 1, NOW_MS + 1000, None);
    assert!(is_admitted(&dials(&mut kernel, 9, 1, hello(9, Some(1)))));
    assert_eq!(dials(&mut kernel, 8, 2, hello(8, Some(1))), denied(Code::Denied));
}

#[test]
fn names_are_given_to_one_peer_each() {
    let mut kernel = Alone::new();
    invite(&mut kernel, 1, NOW_MS + 1000, Some("bob"));
    invite(&mut kernel, 2, NOW_MS + 1000, Some("eve"));
    let twice = Command::Invite {
        secret_hash: Hash::from_bytes([3; 32]),
        expires_ms: NOW_MS,
        petname: Some("bob".into()),
    };
    assert_eq!(kernel.try_command(twice.clone()), Err(Refusal::NameTaken("bob".into())));
    // Somebody else gets the name meanwhile: who comes by the invite has one like it.
    for (n, name) in [(5, "bob"), (6, "bob-2")] {
        let (peer, petname) = (key(n).id(), Some(name.to_owned()));
        kernel.command(Command::AddPeer { peer, addresses: vec![], petname });
    }
    dials(&mut kernel, 9, 1, hello(9, Some(1)));
    let name = |kernel: &Alone, n| peer(&kernel.store, &key(n).id()).unwrap().unwrap().petname;
    assert_eq!(name(&kernel, 9).as_deref(), Some("bob-3"));
    let mut call = |n: u8, name: &str| {
        let (peer, petname) = (key(n).id(), Some(name.to_owned()));
        kernel.try_command(Command::ChangePeer { peer, petname, quota_bytes: None, addresses: vec![] })
    };
    assert_eq!(call(5, "bob-2"), Err(Refusal::NameTaken("bob-2".into())));
    assert_eq!(call(5, "bob"), Ok(()), "its own");
    assert_eq!(call(5, " "), Err(Refusal::BadName { max_bytes: NAME_MAX_BYTES }));
    // The invite is over: its name is free.
    kernel.ctx.now_ms += 1000;
    let eve = Command::Invite {
        secret_hash: Hash::from_bytes([4; 32]),
        expires_ms: NOW_MS + 9000,
        petname: Some("eve".into()),
    };
    assert_eq!(kernel.try_command(eve), Ok(()));
    assert!(is_name("n") && is_name(&"n".repeat(NAME_MAX_BYTES)));
    for bad in ["", " \t", "a\nb", "n\u{1b}", &"n".repeat(NAME_MAX_BYTES + 1)] {
        assert!(!is_name(bad), "{bad:?}");
    }
}

/// Two kernels, an invite of B in the hands of A.
fn joining() -> (Pair, Token) {
    let mut pair = Pair::strangers();
    let home = pair.b.id();
    invite(&mut pair.b, 1, NOW_MS + 100_000, None);
    let join = Command::Join {
        peer: home,
        secret: secret(1),
        addresses: vec!["b:1".into()],
        petname: Some("bob".into()),
    };
    let token = pair.a.command(join);
    (pair, token)
}

/// However people make it a peer again: else it would stay out where objects bring its rights along.
#[test]
fn who_was_removed_is_so_no_more_when_it_is_a_peer_again() {
    for dialler in [Side::A, Side::B] {
        let (mut pair, _) = joining();
        let b = pair.b.id();
        let is_removed = |kernel: &Alone| kernel.store.get(Table::Removed, b.as_bytes()).unwrap().is_some();
        let row = crate::peers::RemovedRow { at_ms: NOW_MS };
        pair.a.step(|s| {
            s.txn.put(Table::Removed, b.as_bytes(), &row);
            Ok(())
        });
        pair.connect(dialler);
        pair.settle();
        // Who only dialled has shown no invite.
        assert_eq!(is_removed(&pair.a), dialler == Side::B);
        pair.a.command(Command::AddPeer { peer: b, addresses: vec![], petname: None });
        assert!(!is_removed(&pair.a));
    }
}

#[test]
fn who_joins_shows_its_secret_and_both_may_share() {
    let (mut pair, token) = joining();
    let (a, b) = (pair.a.id(), pair.b.id());
    assert_eq!(pair.a.dialled, [b]);
    assert!(!access::is_peer(&pair.a.store, &b).unwrap(), "not before it is admitted");
    pair.connect(Side::A);
    match pair.on_the_way(Side::B).front() {
        Some(Frame::Hello(hello)) => assert_eq!(hello.invite, Some(secret(1))),
        other => panic!("{other:?}"),
    }
    pair.settle();
    assert!(matches!(pair.a.answered[&token], Answer::Joined { .. }));
    for (store, other) in [(&pair.a.store, b), (&pair.b.store, a)] {
        assert!(access::may_share(store, &other, NOW_MS).unwrap());
    }
    let row = peer(&pair.a.store, &b).unwrap().unwrap();
    assert_eq!((row.secret, row.petname.as_deref()), (None, Some("bob")));
    assert_eq!(row.addresses, ["b:1"]);
    // From then on it needs none.
    pair.cut();
    pair.connect(Side::A);
    match pair.on_the_way(Side::B).front() {
        Some(Frame::Hello(hello)) => assert_eq!(hello.invite, None),
        other => panic!("{other:?}"),
    }
    pair.settle();
    assert!(pair.is_connected());
}

#[test]
fn who_is_denied_for_good_gives_up_joining_and_who_is_not_tries_again() {
    for (code, gives_up) in [
        (Code::Denied, true),
        (Code::Unsupported, true),
        (Code::Invalid, true),
        (Code::Busy, false),
        (Code::Stopping, false),
        (Code::Quarantined, false),
    ] {
        let (mut pair, token) = joining();
        let b = pair.b.id();
        let conn = pair.connect(Side::A);
        pair.a.says(b, conn, Frame::Denied(code));
        assert_eq!(pair.a.closed.last(), Some(&(conn, code)));
        assert_eq!(pair.a.refused.get(&token), gives_up.then_some(&Refusal::Denied(b)), "{code:?}");
        assert_eq!(peer(&pair.a.store, &b).unwrap().is_none(), gives_up, "{code:?}");
        let redials = pair.a.timers.iter().any(|(_, timer)| matches!(timer, Timer::Redial(..)));
        assert_eq!(redials, !gives_up, "{code:?}");
    }
}

#[test]
fn a_peer_that_is_denied_asks_again_seldom() {
    let mut pair = Pair::new();
    let b = pair.b.id();
    pair.a.events.clear();
    pair.a.timers.clear();
    pair.a.says(b, 1, Frame::Denied(Code::Denied));
    assert!(access::is_peer(&pair.a.store, &b).unwrap());
    let disconnected = |event: &Event| matches!(event, Event::Disconnected { peer, .. } if *peer == b);
    assert!(pair.a.events.iter().any(disconnected));
    let (at_ms, _) = pair.a.timers.iter().find(|(_, timer)| matches!(timer, Timer::Redial(..))).unwrap();
    let pause_ms = at_ms - pair.a.ctx.now_ms;
    assert!((6_400..=12_800).contains(&pause_ms), "{pause_ms}");
    // What comes late from an older connection says nothing about the one that is up.
    let mut pair = Pair::new();
    pair.connect(Side::A);
    pair.settle();
    pair.a.says(b, 1, Frame::Denied(Code::Denied));
    assert_eq!(pair.a.engine.peers.links[&b].up(), Some(2));
}

#[test]
fn only_one_connection_to_a_peer_counts() {
    let other_boot = |n: u8| Greeting {
        progress: Progress::sign(
            Incarnation::from_bytes([1; 16]),
            2,
            BootId::from_bytes([5; 16]),
            1,
            &key(n),
        ),
        ..hello(n, None)
    };
    // Kernel 7 against one whose id is lower, and one whose id is higher.
    let me = key(7).id();
    for n in [1, 2, 3, 4, 5, 6] {
        let id = key(n).id();
        let mut kernel = Alone::new();
        kernel.befriend(n);
        // It dialled both: the new one.
        assert!(is_admitted(&dials(&mut kernel, n, 1, hello(n, None))));
        assert!(is_admitted(&dials(&mut kernel, n, 2, hello(n, None))));
        assert!(kernel.closed.contains(&(1, Code::Busy)));
        // This kernel dialled the new one: the one that the lower one dialled.
        let up = |kernel: &mut Alone, conn| {
            let event = LinkEvent::Up { conn, dialled: true, address: None };
            kernel.input(Input::Link { peer: id, event });
            assert_eq!(kernel.engine.peers.links[&id].up(), Some(conn - 1), "until the new one is admitted");
            kernel.closed.clear();
            kernel.says(id, conn, Frame::Admitted(hello(n, None)));
            kernel.engine.peers.links[&id].up()
        };
        let wins = me < id;
        assert_eq!(up(&mut kernel, 3), Some(if wins { 3 } else { 2 }), "kernel {n}");
        assert_eq!(kernel.closed, [(if wins { 2 } else { 3 }, Code::Busy)]);
        // And the other way round.
        let kept = dials(&mut kernel, n, 4, hello(n, None));
        assert_eq!(is_admitted(&kept), !wins, "kernel {n}");
        // Another boot: the new one, whoever dialled.
        assert!(is_admitted(&dials(&mut kernel, n, 5, other_boot(n))));
        assert_eq!(kernel.engine.peers.links[&id].up(), Some(5));
        // Said again on the same connection, it is nothing.
        assert_eq!(kernel.says(id, 5, Frame::Hello(other_boot(n))), []);
        assert_eq!(kernel.says(id, 5, Frame::Admitted(other_boot(n))), []);
        // What comes on one that does not count has no effect.
        let before = kernel.rows();
        let act = crate::testing::asked(kernel.object(1, "Open"), 1, "1".into());
        assert_eq!(kernel.says(id, 4, Frame::Act(act)), []);
        assert_ne!(kernel.rows(), before);
        kernel.down(n, 4);
        assert_eq!(kernel.engine.peers.links[&id].up(), Some(5), "the end of another one");
        kernel.down(n, 5);
        assert_eq!(kernel.engine.peers.links[&id].up(), None);
    }
}

/// Which connection prevails depends on who dialled, so nobody chooses that by what it says.
#[test]
fn who_was_dialled_does_not_greet_and_who_has_dialled_does_not_admit() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    kernel.input(Input::Link { peer: id, event: LinkEvent::Up { conn: 1, dialled: true, address: None } });
    assert_eq!(kernel.says(id, 1, Frame::Hello(hello(9, None))), []);
    assert_eq!(kernel.engine.peers.links[&id].up(), None);
    kernel.says(id, 1, Frame::Admitted(hello(9, None)));
    assert_eq!(kernel.engine.peers.links[&id].up(), Some(1));
    kernel.down(9, 1);
    kernel.up(9, 2);
    kernel.says(id, 2, Frame::Admitted(hello(9, None)));
    assert_eq!(kernel.engine.peers.links[&id].up(), None);
    let said = kernel.says(id, 2, Frame::Hello(hello(9, None))).to_vec();
    assert!(is_admitted(&(said, None)));
    assert!(kernel.engine.peers.outgoing.is_empty());
}

#[test]
fn who_does_not_greet_in_time_is_closed() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    kernel.up(9, 1);
    kernel.pass(HELLO_TIMEOUT_MS - 1);
    assert_eq!(kernel.closed, []);
    kernel.pass(1);
    assert_eq!(kernel.closed, [(1, Code::Busy)]);
    // Who was admitted is not.
    kernel.greets(9, 2);
    kernel.pass(2 * HELLO_TIMEOUT_MS);
    assert_eq!(kernel.closed, [(1, Code::Busy)]);
    assert_eq!(kernel.engine.peers.links[&id].up(), Some(2));
    // Nor counts what an unfit kernel admits, or one that is no peer.
    let up = |kernel: &mut Alone, peer: KernelId, conn| {
        kernel.input(Input::Link { peer, event: LinkEvent::Up { conn, dialled: true, address: None } });
    };
    let mut kernel = Alone::new();
    up(&mut kernel, key(8).id(), 3);
    assert_eq!(kernel.closed, [(3, Code::Denied)]);
    assert_eq!(kernel.sent, []);
    let id = kernel.befriend(9);
    up(&mut kernel, id, 4);
    assert!(matches!(kernel.sent.last(), Some(Frame::Hello(_))));
    kernel.says(id, 4, Frame::Admitted(Greeting { critical: vec![3], ..hello(9, None) }));
    assert_eq!(kernel.closed.last(), Some(&(4, Code::Unsupported)));
    kernel.pass(HELLO_TIMEOUT_MS);
    assert_eq!(kernel.closed.last(), Some(&(4, Code::Busy)));
    kernel.says(key(8).id(), 5, Frame::Admitted(hello(8, None)));
    assert_eq!(kernel.closed.last(), Some(&(5, Code::Denied)));
}

#[test]
fn a_peer_that_is_away_is_dialled_again_after_growing_pauses() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    assert_eq!(kernel.dialled, [id]);
    let failed = |kernel: &mut Alone| {
        let event = LinkEvent::DialFailed { reason: "away".into() };
        kernel.input(Input::Link { peer: id, event });
    };
    let mut longest = REDIAL_MIN_MS;
    for n in 0..20 {
        failed(&mut kernel);
        let (at_ms, timer) =
            kernel.timers.iter().find(|(_, timer)| matches!(timer, Timer::Redial(..))).copied().unwrap();
        let pause_ms = at_ms - kernel.ctx.now_ms;
        assert!((longest / 2..=longest).contains(&pause_ms), "{n}: {pause_ms} of {longest}");
        longest = (longest * 2).min(REDIAL_MAX_MS);
        // One that another has taken the place of means nothing.
        let stale = match timer {
            Timer::Redial(peer, pause) => Timer::Redial(peer, pause - 1),
            other => panic!("{other:?}"),
        };
        kernel.input(Input::Timer(stale));
        assert_eq!(kernel.dialled.len(), n + 1);
        kernel.timers.clear();
        kernel.ctx.now_ms = at_ms;
        kernel.input(Input::Timer(timer));
        assert_eq!(kernel.dialled.len(), n + 2);
    }
    // People are told when it begins, and when the reason changes.
    let told = |kernel: &Alone| {
        kernel.events.iter().filter(|event| matches!(event, Event::Disconnected { .. })).count()
    };
    assert_eq!(told(&kernel), 1);
    // To be admitted ends the series.
    kernel.greets(9, 1);
    kernel.timers.clear();
    kernel.down(9, 1);
    assert_eq!(told(&kernel), 2);
    let pause = |kernel: &Alone| {
        kernel.timers.iter().find(|(_, timer)| matches!(timer, Timer::Redial(..))).unwrap().0
            - kernel.ctx.now_ms
    };
    assert!(pause(&kernel) <= REDIAL_MIN_MS);
    // The own network changed: soon, and from the beginning.
    kernel.timers.clear();
    kernel.input(Input::NetworkChanged);
    assert!((REDIAL_SOON_MS / 2..=REDIAL_SOON_MS).contains(&pause(&kernel)));
    // Somebody does not want to wait.
    let dials = kernel.dialled.len();
    kernel.command(Command::Dial { peer: id });
    assert_eq!(kernel.dialled.len(), dials + 1);
    kernel.command(Command::Dial { peer: id });
    assert_eq!(kernel.dialled.len(), dials + 1, "it is under way");
    let stranger = key(8).id();
    assert_eq!(kernel.try_command(Command::Dial { peer: stranger }), Err(Refusal::NoPeer(stranger)));
}

/// A connection goes along when a kernel moves, but the other side may not see from where it comes now.
#[test]
fn who_has_moved_dials_those_anew_whom_it_has_dialled() {
    let mut kernel = Alone::new();
    let (called, caller) = (kernel.befriend(8), kernel.befriend(9));
    kernel.greets(9, 1);
    let event = LinkEvent::Up { conn: 2, dialled: true, address: None };
    kernel.input(Input::Link { peer: called, event });
    kernel.says(called, 2, Frame::Admitted(greeting(&key(8))));
    // A pause from before the connection is over with it.
    kernel.pass(REDIAL_MAX_MS);
    assert_eq!(kernel.dialled, [called, caller]);
    kernel.input(Input::NetworkChanged);
    kernel.pass(REDIAL_SOON_MS);
    assert_eq!(kernel.dialled, [called, caller, called]);
    // What is there goes on until the new one prevails.
    assert!(kernel.closed.is_empty(), "{:?}", kernel.closed);
    let event = LinkEvent::Up { conn: 3, dialled: true, address: None };
    kernel.input(Input::Link { peer: called, event });
    assert!(kernel.closed.is_empty(), "{:?}", kernel.closed);
    kernel.says(called, 3, Frame::Admitted(greeting(&key(8))));
    assert_eq!(kernel.closed.iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [2]);
}

#[test]
fn to_whom_something_new_is_owed_is_dialled_if_the_last_dial_is_long_ago() {
    let mut kernel = Alone::new();
    let (id, object) = (kernel.befriend(9), kernel.object(1, "Open"));
    let event = LinkEvent::DialFailed { reason: "away".into() };
    kernel.input(Input::Link { peer: id, event });
    kernel.dialled.clear();
    let share = Command::Share { key: object, to: id, delivered: false };
    kernel.ctx.now_ms += REDIAL_WANTED_MS - 1;
    kernel.command(share.clone());
    assert_eq!(kernel.dialled, []);
    kernel.ctx.now_ms += 1;
    kernel.command(share.clone());
    assert_eq!(kernel.dialled, [id]);
    kernel.command(share);
    assert_eq!(kernel.dialled, [id]);
}

#[test]
fn every_peer_is_dialled_at_the_start() {
    let mut kernel = Alone::new();
    let peers = [9, 8].map(|n| kernel.befriend(n));
    kernel.dialled.clear();
    kernel.restart();
    let mut dialled = kernel.dialled.clone();
    dialled.sort_unstable();
    let mut wanted = peers.to_vec();
    wanted.sort_unstable();
    assert_eq!(dialled, wanted);
}

#[test]
fn addresses_are_those_that_were_good_or_told_last() {
    let mut kernel = Alone::new();
    let id = key(9).id();
    let told = |addresses: &[&str]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    kernel.command(Command::AddPeer { peer: id, addresses: told(&["a:1", "b:1"]), petname: None });
    let known = |kernel: &Alone| peer(&kernel.store, &id).unwrap().unwrap().addresses;
    assert_eq!(known(&kernel), ["a:1", "b:1"]);
    // Where it calls from, as soon as it is admitted.
    let event = LinkEvent::Up { conn: 1, dialled: false, address: Some("c:1".into()) };
    kernel.input(Input::Link { peer: id, event });
    assert_eq!(known(&kernel), ["a:1", "b:1"]);
    kernel.says(id, 1, Frame::Hello(hello(9, None)));
    assert_eq!(known(&kernel), ["c:1", "a:1", "b:1"]);
    // Where it is reached, and where it moves to; not what moves on another connection.
    let event = LinkEvent::Up { conn: 2, dialled: true, address: Some("b:1".into()) };
    kernel.input(Input::Link { peer: id, event });
    assert_eq!(known(&kernel), ["b:1", "c:1", "a:1"]);
    let moved = |conn, address: &str| LinkEvent::Moved { conn, address: address.into() };
    kernel.input(Input::Link { peer: id, event: moved(7, "x:1") });
    kernel.input(Input::Link { peer: id, event: moved(1, "d:1") });
    assert_eq!(known(&kernel), ["d:1", "b:1", "c:1", "a:1"]);
    let many: Vec<_> = (0..ADDRESSES_MAX + 3).map(|n| format!("m{n}:1")).collect();
    kernel.command(Command::ChangePeer { peer: id, petname: None, quota_bytes: Some(5), addresses: many });
    let row = peer(&kernel.store, &id).unwrap().unwrap();
    assert_eq!((row.addresses.len(), row.quota_bytes), (ADDRESSES_MAX, 5));
    // To add it again only adds to what is known.
    kernel.command(Command::AddPeer { peer: id, addresses: told(&["z:1"]), petname: Some("zed".into()) });
    let row = peer(&kernel.store, &id).unwrap().unwrap();
    assert_eq!((row.addresses[0].as_str(), row.name(), row.quota_bytes), ("z:1", "zed", 5));
}

#[test]
fn a_kernel_is_no_peer_of_itself_and_who_is_removed_is_told() {
    let mut kernel = Alone::new();
    let (me, id) = (kernel.id(), key(9).id());
    let add = |peer| Command::AddPeer { peer, addresses: vec![], petname: None };
    let join = |peer| Command::Join { peer, secret: secret(1), addresses: vec![], petname: None };
    for command in [add(me), join(me)] {
        assert_eq!(kernel.try_command(command), Err(Refusal::Myself));
    }
    let change = Command::ChangePeer { peer: id, petname: None, quota_bytes: None, addresses: vec![] };
    for command in [change, Command::RemovePeer { peer: id }] {
        assert_eq!(kernel.try_command(command), Err(Refusal::NoPeer(id)));
    }
    let grant = Grant {
        scope: Scope::Kernel,
        right: Right::Read,
        kernel: id,
        object: None,
        expires_ms: None,
        actions: None,
    };
    assert_eq!(kernel.try_command(Command::Grant(grant)), Err(Refusal::NoPeer(id)));
    kernel.befriend(9);
    kernel.greets(9, 1);
    let waits = kernel.command(join(id));
    assert_eq!(kernel.closed.last(), Some(&(1, Code::Busy)), "it is shown on a new connection");
    kernel.events.clear();
    kernel.sent.clear();
    kernel.greets(9, 2);
    assert!(kernel.answered.contains_key(&waits));
    kernel.sent.clear();
    let again = kernel.command(join(id));
    kernel.command(Command::RemovePeer { peer: id });
    assert_eq!(kernel.refused.get(&again), Some(&Refusal::NoPeer(id)));
    assert!(kernel.sent.contains(&Frame::Denied(Code::Denied)));
    assert_eq!(kernel.closed.last(), Some(&(2, Code::Denied)));
    assert!(kernel.events.iter().any(|event| matches!(event, Event::Disconnected { .. })));
    assert_eq!(dials(&mut kernel, 9, 3, hello(9, None)), denied(Code::Denied));
    assert_eq!(kernel.try_command(Command::RemovePeer { peer: id }), Err(Refusal::NoPeer(id)));
}

fn said(incarnation: u8, boot: u64, id: u8, commit: u64, of: &KernelKey) -> Progress {
    Progress::sign(Incarnation::from_bytes([incarnation; 16]), boot, BootId::from_bytes([id; 16]), commit, of)
}

#[test]
fn the_furthest_that_a_peer_has_said_is_kept_and_what_does_not_follow_it() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    let mut tell = |progress: Progress, conn| {
        let hello = Greeting { progress, ..hello(9, None) };
        let said = dials(&mut kernel, 9, conn, hello).0;
        let row = peer(&kernel.store, &id).unwrap().unwrap();
        let shown = match said.first() {
            Some(Frame::Admitted(greeting)) => greeting.seen.clone(),
            other => panic!("{other:?}"),
        };
        (row.seen.clone(), shown, put_back(&row), row.reborn_ms)
    };
    let k = key(9);
    let (first, later, back) = (said(1, 1, 1, 5, &k), said(1, 2, 2, 7, &k), said(1, 2, 2, 6, &k));
    assert_eq!(tell(first, 1), (vec![first], vec![], false, None));
    assert_eq!(tell(later, 2), (vec![later], vec![first], false, None));
    // Less than before in the same life, or another boot of the same number: it was put back, and is shown both.
    assert_eq!(tell(back, 3), (vec![later, back], vec![later], true, None));
    let twin = said(1, 2, 9, 8, &k);
    assert_eq!(tell(twin, 4), (vec![later, twin], vec![later, back], true, None));
    // Another life.
    let reborn = said(2, 1, 1, 1, &k);
    assert_eq!(tell(reborn, 5), (vec![reborn, later], vec![later, twin], false, Some(NOW_MS)));
    // What somebody else signed has no effect.
    let forged = said(2, 9, 9, 9, &key(8));
    assert_eq!(tell(forged, 6).0, [reborn, later]);
}

#[test]
fn progress_is_told_every_ten_seconds_in_which_it_grew_and_only_what_is_on_the_disk() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    kernel.greets(9, 1);
    kernel.pass(10_000);
    kernel.sent.clear();
    kernel.pass(50_000);
    assert_eq!(kernel.sent, []);
    let key_of = kernel.object(1, "Open");
    kernel.pass(9_999);
    assert_eq!(kernel.sent, []);
    kernel.pass(1);
    let told = match kernel.sent.as_slice() {
        [Frame::Progress(told)] => *told,
        other => panic!("{other:?}"),
    };
    assert!(told.signed_by(&kernel.id()));
    assert_eq!(told.commit, meta::commit_number(&kernel.store).unwrap());
    // A share, an act and their answers say it, too.
    kernel.command(Command::Share { key: key_of, to: id, delivered: false });
    match kernel.sent.last() {
        Some(Frame::Share(parcel)) => assert_eq!(parcel.commit, Some(told.commit)),
        other => panic!("{other:?}"),
    }
    // A peer's own is kept.
    let further = said(1, 1, 1, 40, &key(9));
    kernel.says(id, 1, Frame::Progress(further));
    assert_eq!(peer(&kernel.store, &id).unwrap().unwrap().seen[0], further);
    kernel.says(id, 1, Frame::Progress(said(1, 1, 1, 90, &key(8))));
    assert_eq!(peer(&kernel.store, &id).unwrap().unwrap().seen[0], further);
}

/// Kernel 7, and what it has truly said.
fn looked_at(seen: impl FnOnce(&Alone, Progress) -> Vec<Progress>) -> (Alone, bool) {
    let mut kernel = Alone::new();
    kernel.befriend(9);
    kernel.object(1, "Open");
    kernel.restart();
    kernel.object(2, "Open");
    let (said, _) = dials(&mut kernel, 9, 1, hello(9, None));
    let mine = match said.first() {
        Some(Frame::Admitted(greeting)) => greeting.progress,
        other => panic!("{other:?}"),
    };
    let shown = seen(&kernel, mine);
    let answer = dials(&mut kernel, 9, 2, Greeting { seen: shown, ..hello(9, None) });
    // The connection before is turned away, too.
    let turned_away =
        answer.0.contains(&Frame::Denied(Code::Quarantined)) && answer.1 == Some(Code::Quarantined);
    assert_eq!(turned_away, !is_admitted(&answer), "{answer:?}");
    assert_eq!(quarantine(&kernel.store).unwrap().is_some(), turned_away);
    (kernel, turned_away)
}

#[test]
fn a_kernel_is_shown_what_its_disk_does_not_have() {
    let me = key(7);
    let with =
        |mine: Progress, boot, id: BootId, commit| Progress::sign(mine.incarnation, boot, id, commit, &me);
    assert!(!looked_at(|_, _| vec![]).1);
    assert!(!looked_at(|_, mine| vec![mine]).1);
    // A commit above its own, and one of a boot that is not below the first of the next.
    assert!(
        !looked_at(|kernel, mine| vec![with(
            mine,
            mine.boot,
            mine.id,
            meta::commit_number(&kernel.store).unwrap()
        )])
        .1
    );
    assert!(
        looked_at(|kernel, mine| vec![with(
            mine,
            mine.boot,
            mine.id,
            meta::commit_number(&kernel.store).unwrap() + 2
        )])
        .1
    );
    let first_boot = BootId::from_bytes([2; 16]);
    assert!(!looked_at(|_, mine| vec![with(mine, 1, first_boot, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, 1, first_boot, mine.commit)]).1);
    // A boot that it has not begun, or one of another id.
    assert!(looked_at(|_, mine| vec![with(mine, mine.boot + 1, mine.id, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, mine.boot, first_boot, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, 1, mine.id, 1)]).1);
    // Another life that it has not ended itself.
    assert!(
        looked_at(|_, mine| vec![Progress::sign(Incarnation::from_bytes([9; 16]), 1, mine.id, 1, &me)]).1
    );
    // The second is looked at, too; what it did not sign has no effect.
    assert!(looked_at(|_, mine| vec![mine, with(mine, 9, mine.id, 1)]).1);
    assert!(!looked_at(|_, mine| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(9))]).1);
}

#[test]
fn a_kernel_in_quarantine_does_nothing_until_its_people_say_so() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, _) = looked_at(wrong);
    let id = key(9).id();
    let other = key(8).id();
    kernel.events.clear();
    let refused = |kernel: &mut Alone, command| kernel.try_command(command) == Err(Refusal::Quarantined);
    let object = kernel
        .rows()
        .iter()
        .find(|(table, ..)| *table == Table::Head)
        .map(|(_, key, _)| once_model::ids::ObjectKey::from_row(key).unwrap())
        .unwrap();
    let add = Command::AddPeer { peer: other, addresses: vec![], petname: None };
    assert!(refused(&mut kernel, add.clone()));
    assert!(refused(&mut kernel, Command::Remove { key: object }));
    assert!(refused(&mut kernel, Command::Share { key: object, to: id, delivered: false }));
    assert!(refused(&mut kernel, Command::Follow { key: object, from: id }));
    let command = kernel.wish(object, "go", 1);
    assert!(refused(&mut kernel, command));
    for command in [Command::Standing, Command::AcceptClock, Command::Dial { peer: id }] {
        assert_eq!(kernel.try_command(command), Ok(()));
    }
    // It lasts through a start, runs nothing, and says nothing else.
    kernel.restart();
    assert_eq!(dials(&mut kernel, 9, 5, hello(9, None)), denied(Code::Quarantined));
    let act = crate::testing::asked(object, 1, "1".into());
    assert_eq!(kernel.says(id, 5, Frame::Act(act)), []);
    // Each peer must have greeted, or is given up by name.
    assert_eq!(quarantine(&kernel.store).unwrap().unwrap().heard, [id]);
    let before = meta::incarnation(&kernel.store).unwrap();
    let grants = |kernel: &Alone| {
        kernel.rows().iter().filter(|(table, ..)| matches!(table, Table::Grant | Table::Invite)).count()
    };
    let end = |without: Vec<KernelId>| Command::EndQuarantine { without };
    kernel.command(end(vec![]));
    assert_eq!(quarantine(&kernel.store).unwrap(), None);
    assert_ne!(meta::incarnation(&kernel.store).unwrap(), before);
    assert_eq!(grants(&kernel), 0);
    assert_eq!(kernel.try_command(end(vec![])), Err(Refusal::NoQuarantine));
    // What it was home of it does not change any more.
    assert_eq!(kernel.try_command(Command::Remove { key: object }), Err(Refusal::EarlierLife(object)));
    // What clients asked for before may have run, and is asked for no more.
    let command = kernel.wish(object, "go", 1);
    assert!(matches!(kernel.try_command(command), Err(Refusal::IdTooOld { floor_ms: NOW_MS, .. })));
    let fresh = kernel.object(50, "Open");
    kernel.may_act(id);
    kernel.greets(9, 6);
    let mut outcome = |key| {
        let act = crate::testing::asked(key, 1, "1".into());
        match kernel.says(id, 6, Frame::Act(act)) {
            [Frame::Outcome(told)] => told.outcome.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(outcome(object), Outcome::Refused(Code::Quarantined));
    assert_eq!(outcome(fresh), Outcome::Done("1".into()));
    // The life before has ended: to be shown it proves nothing any more.
    let old = Greeting {
        seen: vec![Progress::sign(before, 9, BootId::from_bytes([1; 16]), 99, &key(7))],
        ..hello(9, None)
    };
    assert!(is_admitted(&dials(&mut kernel, 9, 7, old)));
}

/// Who calls a kernel in quarantine while that calls him is turned away on his connection, and on no other.
#[test]
fn a_kernel_in_quarantine_that_calls_goes_on_while_it_is_called() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, is_put_back) = looked_at(wrong);
    assert!(is_put_back);
    kernel.restart();
    let id = key(9).id();
    kernel.input(Input::Link { peer: id, event: LinkEvent::Up { conn: 5, dialled: true, address: None } });
    kernel.events.clear();
    assert_eq!(dials(&mut kernel, 9, 6, hello(9, None)), denied(Code::Quarantined));
    let disconnected = |event: &Event| matches!(event, Event::Disconnected { .. });
    assert!(!kernel.events.iter().any(disconnected), "{:?}", kernel.events);
    let phase = kernel.engine.peers.links[&id].phase;
    assert_eq!(phase, super::Phase::Greeting { conn: 5, dialled: true });
}

#[test]
fn a_peer_that_was_not_heard_keeps_the_quarantine() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, _) = looked_at(wrong);
    let other = key(8).id();
    kernel.step(|s| {
        let row = peer(s.txn, &key(9).id())?.unwrap();
        s.txn.put(Table::Peer, other.as_bytes(), &row);
        Ok(())
    });
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![] }), Err(Refusal::NotHeard(other)));
    // It greets; then it was heard.
    let heard = |kernel: &mut Alone| dials(kernel, 8, 9, hello(8, None));
    assert_eq!(heard(&mut kernel), denied(Code::Quarantined));
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![] }), Ok(()));
    let (mut kernel, _) = looked_at(wrong);
    kernel.step(|s| {
        let row = peer(s.txn, &key(9).id())?.unwrap();
        s.txn.put(Table::Peer, other.as_bytes(), &row);
        Ok(())
    });
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![other] }), Ok(()));
}

/// What a peer says of its commits without a signature is shown to it, and has no effect.
#[test]
fn how_far_a_peer_has_said_it_is_is_shown_to_it() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    let shown = |kernel: &mut Alone, conn| match dials(kernel, 9, conn, hello(9, None)).0.first() {
        Some(Frame::Admitted(greeting)) => greeting.heard,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(&mut kernel, 1), None);
    let says = |kernel: &mut Alone, conn, commit| {
        let key = kernel.object(1, "Open");
        let act = once_model::action::Act { commit, ..crate::testing::asked(key, 1, "1".into()) };
        kernel.says(id, conn, Frame::Act(act));
    };
    for commit in [Some(100), Some(90), None] {
        says(&mut kernel, 1, commit);
    }
    assert_eq!(shown(&mut kernel, 2), Some(100));
    let row = |kernel: &Alone| peer(&kernel.store, &id).unwrap().unwrap().heard;
    assert_eq!(row(&kernel), Some(100));
    // Its row is at most 64 of them behind.
    says(&mut kernel, 2, Some(163));
    kernel.object(2, "Open");
    assert_eq!((row(&kernel), shown(&mut kernel, 3)), (Some(100), Some(163)));
    says(&mut kernel, 3, Some(164));
    kernel.object(3, "Open");
    assert_eq!(row(&kernel), Some(164));
    kernel.restart();
    assert_eq!(shown(&mut kernel, 4), Some(164));
    // What an earlier life said counts no more.
    let progress = said(2, 1, 1, 1, &key(9));
    dials(&mut kernel, 9, 5, Greeting { progress, ..hello(9, None) });
    let again = dials(&mut kernel, 9, 6, Greeting { progress, ..hello(9, None) }).0;
    assert!(
        matches!(again.first(), Some(Frame::Admitted(greeting)) if greeting.heard.is_none()),
        "{again:?}"
    );
}

#[test]
fn what_a_kernel_calls_itself_is_fit_to_be_shown() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    let name = format!("\u{1b}[31m{}", "é".repeat(200));
    dials(&mut kernel, 9, 1, Greeting { name, ..hello(9, None) });
    let says = peer(&kernel.store, &id).unwrap().unwrap().says;
    assert_eq!(says, format!("[31m{}", "é".repeat(NAME_MAX_BYTES / 4 - 4)));
    let ahead =
        |event: &Event| matches!(event, Event::Connected { clock_ahead_ms, .. } if *clock_ahead_ms == 5000);
    kernel.events.clear();
    dials(&mut kernel, 9, 2, Greeting { clock_ms: NOW_MS + 5000, ..hello(9, None) });
    assert!(kernel.events.iter().any(ahead));
    let mine = match dials(&mut kernel, 9, 3, hello(9, None)).0.first() {
        Some(Frame::Admitted(greeting)) => greeting.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (mine.features, mine.critical, mine.clock_ms),
        (vec![FEATURE_ACTIONS, FEATURE_MOVES, FEATURE_FIND], vec![], NOW_MS)
    );
    assert!(
        mine.frame_max_bytes >= 262_144 && mine.scenario_max_bytes >= 67_108_864 && mine.window_shares >= 256
    );
}

/// It says so with whatever rests on a commit.
#[test]
fn a_commit_number_is_heard_in_shares_acts_and_their_answers() {
    use once_model::action::{ActOutcome, Outcome};
    use once_model::wire::{Parcel, ShareAnswer, Shared};
    let object = Alone::kernel(9).object(1, "Open");
    let scenario = once_model::scenario::Scenario::compose(object.uuid, "Open", "1", "me", "{}").unwrap();
    let header = crate::object::unclaimed(&scenario);
    let (id, commit) = (header.id(), Some(77));
    let body = Some(scenario.bytes().clone());
    let outcome = ActOutcome {
        lane: object.into(),
        sequence: 1,
        id: object.uuid,
        outcome: Outcome::Done("1".into()),
        after: None,
        commit,
        certificate: None,
    };
    let act = once_model::action::Act { commit, ..crate::testing::asked(object, 1, "1".into()) };
    let frames = [
        Frame::Share(Parcel { header: header.clone(), chain: None, body, commit }),
        Frame::Share(Parcel { header, chain: None, body: None, commit }),
        Frame::Shared(Shared { key: object, id, answer: ShareAnswer::Stored, commit }),
        Frame::Act(act),
        Frame::Outcome(outcome),
    ];
    for frame in frames {
        let mut kernel = Alone::new();
        let peer = kernel.befriend(9);
        kernel.greets(9, 1);
        kernel.says(peer, 1, frame.clone());
        match dials(&mut kernel, 9, 2, hello(9, None)).0.first() {
            Some(Frame::Admitted(greeting)) => assert_eq!(greeting.heard, Some(77), "{frame:?}"),
            other => panic!("{other:?}"),
        }
    }
}
