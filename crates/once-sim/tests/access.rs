//! Who may come in, who may do what, and how both end.

use once_core::Refusal;
use once_core::access::{Grant, Right, Scope};
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

fn is_quarantined(net: &World, kernel: Kernel) -> bool {
    net.notices().iter().any(|(at, event)| *at == kernel && matches!(event, Event::Quarantined { .. }))
}

/// Alice, put back to what she was before she told Bob more. `again`: with as many commits as she lost.
fn put_back(again: bool) -> (World, [Kernel; 2], once_model::ids::ObjectKey) {
    let (mut net, [alice, bob, _]) = three(31);
    net.befriend(alice, bob);
    let key = net.import(alice, NOTE);
    let key = net.claim(alice, key);
    net.share(alice, key, bob).settle();
    let backup = net.backup(alice);
    for n in 0..5 {
        net.put(alice, key, &NOTE.replace("hi", &n.to_string()));
        net.share(alice, key, bob).run_for(15_000);
    }
    if again {
        net.partition(alice, bob);
    }
    net.put_back(alice, backup).run_for(20_000);
    if again {
        for n in 0..40 {
            net.import(alice, &NOTE.replace("0001", &format!("1{n:03}")));
        }
        assert!(!is_quarantined(&net, alice), "nobody has told her");
        net.heal();
    }
    net.run_for(60_000);
    assert!(net.violations().is_empty(), "{:?}", net.violations());
    (net, [alice, bob], key)
}

#[test]
fn a_kernel_that_was_put_back_does_nothing_once_a_peer_is_met() {
    for again in [false, true] {
        let (mut net, [alice, bob], key) = put_back(again);
        assert!(is_quarantined(&net, alice), "again: {again}");
        assert!(!is_quarantined(&net, bob));
        let put = |text: &str| {
            let scenario =
                once_model::scenario::Scenario::parse(NOTE.replace("hi", text).into_bytes()).unwrap();
            Command::Put { key, base: None, scenario }
        };
        assert_eq!(net.refused(alice, put("no")), Some(Refusal::Quarantined));
        assert!(
            matches!(net.must(alice, Command::Standing), Answer::Standing { .. }),
            "what only looks is answered"
        );
        let at_bob = net.body(bob, key);
        // It stays so through restarts, and nothing leaves.
        net.crash(alice).run_for(60_000);
        assert!(net.violations().is_empty(), "{:?}", net.violations());
        assert_eq!(net.refused(alice, put("no")), Some(Refusal::Quarantined));
        assert_eq!((net.connections(alice, bob), net.body(bob, key)), (0, at_bob));
    }
}

#[test]
fn a_quarantine_ends_with_a_new_incarnation_and_what_was_home_here_is_only_read() {
    let (mut net, [alice, bob], key) = put_back(false);
    net.must(alice, Command::EndQuarantine { without: Vec::new() });
    net.run_for(60_000);
    assert_eq!(net.connections(alice, bob), 1);
    let scenario = once_model::scenario::Scenario::parse(NOTE.replace("hi", "no").into_bytes()).unwrap();
    let put = Command::Put { key, base: None, scenario };
    assert_eq!(net.refused(alice, put), Some(Refusal::EarlierLife(key)));
    assert!(net.body(alice, key).is_some());
    // New objects are hers, and what was granted is granted anew.
    let new = net.import(alice, &NOTE.replace("0001", "0002"));
    let new = net.claim(alice, new);
    net.put(alice, new, &NOTE.replace("0001", "0002").replace("hi", "new"));
    net.share(alice, new, bob).run_for(20_000).assert_same(alice, bob, new);
    // Neither a restart nor the statements of the life before bring the quarantine back.
    net.crash(alice).run_for(60_000);
    assert!(net.violations().is_empty(), "{:?}", net.violations());
    assert_eq!(net.connections(alice, bob), 1);
    assert_eq!(
        net.refused(alice, Command::EndQuarantine { without: Vec::new() }),
        Some(Refusal::NoQuarantine)
    );
}

#[test]
fn the_end_of_a_quarantine_that_a_crash_cuts_off_goes_on() {
    let (mut net, [alice, bob], key) = put_back(false);
    net.command(alice, Command::EndQuarantine { without: Vec::new() });
    assert!(net.crash_while_removing(alice) && net.is_removing(alice));
    net.restart(alice);
    let scenario = once_model::scenario::Scenario::parse(NOTE.replace("hi", "no").into_bytes()).unwrap();
    let put = Command::Put { key, base: None, scenario };
    assert_eq!(net.refused(alice, put.clone()), Some(Refusal::Quarantined), "it lasts until all is gone");
    net.run_for(60_000);
    assert!(!net.is_removing(alice) && net.violations().is_empty(), "{:?}", net.violations());
    assert_eq!(net.refused(alice, put), Some(Refusal::EarlierLife(key)));
    assert_eq!(net.connections(alice, bob), 1);
}

#[test]
fn a_quarantine_waits_for_every_peer_or_is_told_to_go_on_without() {
    let (mut net, [alice, bob, eve]) = three(32);
    net.befriend(alice, bob).befriend(alice, eve);
    let backup = net.backup(alice);
    let key = net.import(alice, NOTE);
    net.share(alice, key, bob).run_for(15_000);
    net.partition(alice, eve).put_back(alice, backup).run_for(60_000);
    let eve = net.id(eve);
    let end = |without: Vec<KernelId>| Command::EndQuarantine { without };
    assert_eq!(net.refused(alice, end(Vec::new())), Some(Refusal::NotHeard(eve)));
    net.must(alice, end(vec![eve]));
}

#[test]
fn a_kernel_that_lost_nothing_is_never_quarantined() {
    let (mut net, [alice, bob, _]) = three(33);
    net.befriend(alice, bob);
    for n in 0..20 {
        let key = net.import(alice, &NOTE.replace("0001", &format!("{n:04}")));
        net.share(alice, key, bob).run_for(12_000).crash(alice).run_for(15_000);
    }
    assert!(!is_quarantined(&net, alice) && !is_quarantined(&net, bob));
    net.settle().assert_kept();
}

/// What was granted on an object that is not here yet stands beside what was granted on the copy that becomes it.
#[test]
fn a_right_on_an_object_is_not_lost_when_its_copy_becomes_it() {
    let (mut net, [alice, bob, eve]) = three(26);
    net.befriend(alice, bob).befriend(alice, eve);
    let copy = net.import(bob, NOTE);
    net.share(bob, copy, alice).settle();
    let object = net.claim(bob, copy);
    let peer = net.id(eve);
    let may_read = |key, expires_ms| {
        let (scope, right) = (Scope::Object(key), Right::Read);
        Command::Grant(Grant { scope, right, kernel: peer, object: None, expires_ms, actions: None })
    };
    net.must(alice, may_read(object, None));
    net.must(alice, may_read(copy, Some(EPOCH_MS + 60 * MINUTE_MS)));
    net.share(bob, object, alice).settle().follow(eve, object, alice);
    // The shorter one ends; the other one goes on.
    net.set_clock(alice, 120 * MINUTE_MS as i64);
    let changed = net.put(bob, object, &NOTE.replace("hi", "changed"));
    net.share(bob, changed, alice).settle().assert_same(alice, eve, changed).assert_kept();
}
