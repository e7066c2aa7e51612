//! How strangers become peers, and what they are called: docs/protocol.md, 5.1.

use once_model::ids::{Hash, Secret};
use once_model::limits::{NAME_MAX_BYTES, PEER_QUOTA_BYTES};
use once_model::sign::KernelKey;
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_FIND, FEATURE_MOVES, Frame, Greeting};

use super::{invite_hash, invites, is_name, peer};
use crate::access::{self, Grant, Right, Scope};
use crate::refusal::Refusal;
use crate::store::{Read, Table};
use crate::testing::{Alone, NOW_MS, Pair, Side, greeting};
use crate::waist::{Answer, Command, Event, Timer, Token};

pub(super) fn key(n: u8) -> KernelKey {
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

pub(super) fn hello(n: u8, invite: Option<u8>) -> Greeting {
    Greeting { features: vec![FEATURE_ACTIONS], invite: invite.map(secret), ..greeting(&key(n)) }
}

/// Kernel n dials and says this; what it is answered, and whether the connection was closed.
pub(super) fn dials(kernel: &mut Alone, n: u8, conn: u64, hello: Greeting) -> (Vec<Frame>, Option<Code>) {
    kernel.up(n, conn);
    kernel.closed.clear();
    let said = kernel.says(key(n).id(), conn, Frame::Hello(hello)).to_vec();
    (said, kernel.closed.iter().find(|(closed, _)| *closed == conn).map(|(_, code)| *code))
}

pub(super) fn is_admitted((said, closed): &(Vec<Frame>, Option<Code>)) -> bool {
    matches!(said.first(), Some(Frame::Admitted(_))) && closed.is_none()
}

pub(super) fn denied(code: Code) -> (Vec<Frame>, Option<Code>) {
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

/// Nobody here has chosen a visitor: half of the room stays for those who are chosen.
#[test]
fn so_many_peers_fit_and_half_as_many_while_they_are_visitors() {
    let mut kernel = Alone::new();
    kernel.engine.limits.peers = 6;
    let object = kernel.object(1, "Paper");
    let visitors: Vec<_> = (20..30).map(|n| key(n).id()).collect();
    kernel.befriend(9);
    kernel.step(|s| super::let_in(s, &object, visitors.clone()));
    let all = |kernel: &Alone| super::all(&kernel.store).unwrap().len();
    assert_eq!(all(&kernel), 3);
    let add = |n: u8| Command::AddPeer { peer: key(n).id(), addresses: Vec::new(), petname: None };
    for n in 10..13 {
        assert_eq!(kernel.try_command(add(n)), Ok(()));
    }
    assert_eq!(kernel.try_command(add(13)), Err(Refusal::TooManyPeers(6)));
    assert_eq!(all(&kernel), 6);
}
