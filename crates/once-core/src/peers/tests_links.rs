//! Which connection to a peer counts, and when it is dialled: docs/protocol.md, 5.1.

use once_model::ids::{BootId, Incarnation, KernelId};
use once_model::limits::{
    ADDRESSES_MAX, HELLO_TIMEOUT_MS, REDIAL_MAX_MS, REDIAL_MIN_MS, REDIAL_SOON_MS, REDIAL_WANTED_MS,
};
use once_model::progress::Progress;
use once_model::wire::{Code, Frame, Greeting};

use super::peer;
use super::tests::{dials, hello, is_admitted, key};
use crate::refusal::Refusal;
use crate::testing::{Alone, greeting};
use crate::waist::{Command, Event, Input, LinkEvent, Timer};

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
