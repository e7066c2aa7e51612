//! Who may come in, who may do what, and how both end.

use once_core::Refusal;
use once_core::rights::{Grant, Right, Scope};
use once_core::waist::{Answer, Command, Event};
use once_model::ids::{KernelId, Secret};
use once_sim::{Kernel, World};

const NOTE: &str =
    r#"{"ior":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","component":"Note"},"model":{"text":"hi"}}"#;

/// The simulator's clock at its beginning.
const EPOCH_MS: u64 = 1_700_000_000_000;

const MINUTE_MS: u64 = 60_000;

fn join(peer: KernelId, secret: Secret) -> Command {
    Command::Join { peer, secret, addresses: Vec::new(), petname: None }
}

fn invite(secret: &Secret, valid_ms: u64, petname: Option<&str>) -> Command {
    let secret_hash = once_core::invite_hash(secret);
    Command::Invite { secret_hash, expires_ms: EPOCH_MS + valid_ms, petname: petname.map(str::to_owned) }
}

fn read(kernel: KernelId, expires_ms: u64) -> Command {
    let (scope, right, expires_ms) = (Scope::Kernel, Right::Read, Some(expires_ms));
    Command::Grant(Grant { scope, right, kernel, object: None, expires_ms, actions: None })
}

fn three(seed: u64) -> (World, [Kernel; 3]) {
    let mut net = World::new(seed);
    let kernels = ["alice", "bob", "eve"].map(|name| net.kernel(name));
    (net, kernels)
}

#[test]
fn a_grant_that_was_seen_to_be_over_stays_over_when_the_clock_goes_back() {
    for restart in [false, true] {
        let (mut net, [alice, bob, _]) = three(21);
        net.befriend(alice, bob);
        let key = net.import(alice, NOTE);
        let key = net.claim(alice, key);
        let peer = net.id(bob);
        net.must(alice, read(peer, EPOCH_MS + MINUTE_MS));
        net.follow(bob, key, alice).settle().assert_same(alice, bob, key);
        net.run_for(2 * MINUTE_MS);
        if restart {
            net.crash(alice).run_for(20_000);
        }
        net.set_clock(alice, -(10 * MINUTE_MS as i64));
        // It says that the clock is right: that gives nothing back either.
        net.must(alice, Command::AcceptClock);
        net.put(alice, key, &NOTE.replace("hi", "secret"));
        net.run_for(5_000);
        assert_eq!(net.body(bob, key).unwrap(), NOTE.as_bytes(), "restart: {restart}");
        net.set_clock(alice, 10 * MINUTE_MS as i64);
        net.settle().assert_kept();
    }
}

#[test]
fn an_invite_that_was_seen_to_be_over_stays_over_when_the_clock_goes_back() {
    let (mut net, [alice, bob, _]) = three(22);
    let secret = Secret::from_bytes([9; 16]);
    net.must(alice, invite(&secret, MINUTE_MS, None));
    net.run_for(2 * MINUTE_MS).set_clock(alice, -(10 * MINUTE_MS as i64));
    let peer = net.id(alice);
    assert_eq!(net.refused(bob, join(peer, secret)), Some(Refusal::Denied(peer)));
    net.assert_kept();
}

#[test]
fn an_invite_that_a_peer_shows_lets_nobody_else_in() {
    for dialled_by_alice in [false, true] {
        let (mut net, [alice, bob, eve]) = three(23);
        net.befriend(alice, bob);
        let secret = Secret::from_bytes([9; 16]);
        net.must(alice, invite(&secret, 60 * MINUTE_MS, None));
        let peer = net.id(alice);
        if dialled_by_alice {
            let bob_id = net.id(bob);
            net.must(alice, Command::Dial { peer: bob_id });
        }
        assert!(matches!(net.must(bob, join(peer, secret)), Answer::Joined { .. }));
        assert_eq!(net.refused(eve, join(peer, secret)), Some(Refusal::Denied(peer)));
        net.settle().assert_kept();
        assert_eq!(net.connections(alice, bob), 1);
    }
}

#[test]
fn an_invite_can_be_taken_back_until_it_is_used_and_tells_who_came() {
    let (mut net, [alice, bob, eve]) = three(24);
    let secrets = [[1; 16], [2; 16]].map(Secret::from_bytes);
    let peer = net.id(alice);
    let revoke = |secret: &Secret| Command::RevokeInvite { secret_hash: once_core::invite_hash(secret) };
    for secret in &secrets {
        net.must(alice, invite(secret, 60 * MINUTE_MS, None));
    }
    net.must(alice, revoke(&secrets[1]));
    assert_eq!(net.refused(alice, revoke(&secrets[1])), Some(Refusal::NoInvite));
    assert_eq!(net.refused(eve, join(peer, secrets[1])), Some(Refusal::Denied(peer)));
    net.must(bob, join(peer, secrets[0]));
    let bob = net.id(bob);
    assert_eq!(net.refused(alice, revoke(&secrets[0])), Some(Refusal::InviteUsed(bob)));
    let invite = once_core::invite_hash(&secrets[0]);
    let came = |event: &Event| matches!(event, Event::Came { peer, invite: by, .. } if (*peer, *by) == (bob, invite));
    assert!(net.notices().iter().any(|(at, event)| *at == alice && came(event)));
    net.settle().assert_kept();
}

#[test]
fn no_two_peers_get_one_petname() {
    let (mut net, [alice, bob, eve]) = three(25);
    let secrets = [[1; 16], [2; 16], [3; 16]].map(Secret::from_bytes);
    let peer = net.id(alice);
    net.must(alice, invite(&secrets[0], 60 * MINUTE_MS, Some("b")));
    let taken = Some(Refusal::NameTaken("b".into()));
    assert_eq!(net.refused(alice, invite(&secrets[1], 60 * MINUTE_MS, Some("b"))), taken, "by an invite");
    net.must(bob, join(peer, secrets[0]));
    assert_eq!(net.refused(alice, invite(&secrets[1], 60 * MINUTE_MS, Some("b"))), taken, "by a peer");
    // The name is taken only after the invite was made: the newcomer gets one like it, and people hear which.
    net.must(alice, invite(&secrets[2], 60 * MINUTE_MS, Some("friend")));
    let (bob, eve_id) = (net.id(bob), net.id(eve));
    let rename = |petname: &str| Command::ChangePeer {
        peer: bob,
        petname: Some(petname.into()),
        quota_bytes: None,
        addresses: Vec::new(),
    };
    net.must(alice, rename("friend"));
    net.must(eve, join(peer, secrets[2]));
    let named = |event: &Event| {
        matches!(event, Event::Came { peer, petname, .. }
            if *peer == eve_id && petname.as_deref() == Some("friend-2"))
    };
    assert!(net.notices().iter().any(|(at, event)| *at == alice && named(event)));
    for bad in ["", " \t", "b\u{1b}[2J", &"n".repeat(256)] {
        assert!(matches!(net.refused(alice, rename(bad)), Some(Refusal::BadName { .. })), "{bad:?}");
    }
    net.settle().assert_kept();
}
