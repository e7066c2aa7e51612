//! What a peer is owed because an action there depends on it has limits: no later revision, and no more than the right to
//! read gives. Each story is cut at many places, since the debt must be there when its object changes.

use once_core::access::{Grant, Right, Scope};
use once_core::waist::Command;
use once_model::action::{Action, Given};
use once_model::ids::{ObjectKey, Uuid};
use once_sim::{Kernel, Weather, World};

const TARGET: &str =
    r#"{"ior":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a00aa","component":"Note"},"model":{"t":1}}"#;
const DOC: &str =
    r#"{"ior":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0001","component":"Note"},"model":{"text":"public"}}"#;

/// Alice may act at Bob's, and Bob's object is there.
fn alice_acts_at_bob() -> (World, Kernel, Kernel, ObjectKey) {
    let mut net = World::new(7);
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let kernel = net.id(alice);
    let grant = Grant {
        scope: Scope::Kernel,
        right: Right::Act,
        kernel,
        object: None,
        expires_ms: None,
        actions: None,
    };
    net.must(bob, Command::Grant(grant));
    let target = net.import(bob, TARGET);
    let target = net.claim(bob, target);
    (net, alice, bob, target)
}

fn act_on(net: &mut World, alice: Kernel, target: ObjectKey, bob: Kernel, given: Given) {
    let ms = 1_700_000_000_000 + net.now_ms();
    let mut id = [7_u8; 16];
    id[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    (id[6], id[8]) = (0x70, 0x80);
    let action = Action {
        id: Uuid::from_bytes(id),
        name: "merge".into(),
        arguments: "{}".into(),
        given: vec![given],
        acting: None,
        answers: None,
    };
    let at = Some(net.id(bob));
    net.must(alice, Command::Act { key: target, at, action, deadline_ms: None, wait: false });
}

/// Changes a scenario that is owed, and lets the kernels meet again: its new bytes must not be at the other one.
fn change_and_meet(net: &mut World, alice: Kernel, bob: Kernel, doc: ObjectKey) {
    let now = net.put(alice, doc, &DOC.replace("public", "SECRET"));
    net.run_for(8_000);
    net.join_network().run_for(60_000);
    let body = net.body(bob, now).map(|body| String::from_utf8_lossy(&body).into_owned());
    assert!(!body.is_some_and(|body| body.contains("SECRET")), "Bob has what he may not read");
    net.assert_kept();
}

#[test]
fn a_given_copy_that_is_claimed_and_changed_before_the_answer_does_not_leave() {
    let mut cut = 0;
    for steps in 0..80 {
        let (mut net, alice, bob, target) = alice_acts_at_bob();
        let doc = net.import(alice, DOC);
        let content = net.head(alice, doc).unwrap().header.content;
        act_on(&mut net, alice, target, bob, Given { key: doc, content });
        for _ in 0..steps {
            net.step();
        }
        if net.owes(alice, doc, bob) {
            cut += 1;
            net.partition(alice, bob);
            change_and_meet(&mut net, alice, bob, doc);
        }
    }
    assert!(cut > 0, "no place was cut at which the debt was there");
}

#[test]
fn a_given_object_that_is_changed_before_the_answer_does_not_leave() {
    let mut cut = 0;
    for steps in 0..80 {
        let (mut net, alice, bob, target) = alice_acts_at_bob();
        let doc = net.import(alice, DOC);
        let doc = net.claim(alice, doc);
        let content = net.head(alice, doc).unwrap().header.content;
        act_on(&mut net, alice, target, bob, Given { key: doc, content });
        for _ in 0..steps {
            net.step();
        }
        if net.owes(alice, doc, bob) {
            cut += 1;
            net.partition(alice, bob);
            change_and_meet(&mut net, alice, bob, doc);
        }
    }
    assert!(cut > 0, "no place was cut at which the debt was there");
}

#[test]
fn what_a_follower_is_owed_and_given_ends_with_its_right_to_read() {
    let mut cut = 0;
    for steps in 0..80 {
        let (mut net, alice, bob, target) = alice_acts_at_bob();
        net.let_read(alice, bob);
        let doc = net.import(alice, DOC);
        let doc = net.claim(alice, doc);
        net.follow(bob, doc, alice).run_for(3_000);
        net.partition(alice, bob).run_for(8_000);
        net.put(alice, doc, &DOC.replace("public", &"x".repeat(200_000)));
        let content = net.head(alice, doc).unwrap().header.content;
        act_on(&mut net, alice, target, bob, Given { key: doc, content });
        net.join_network();
        for _ in 0..steps * 3 {
            net.step();
        }
        if net.owes(alice, doc, bob) {
            cut += 1;
            net.partition(alice, bob).run_for(8_000);
            net.let_read_no_more(alice, bob);
            change_and_meet(&mut net, alice, bob, doc);
        }
    }
    assert!(cut > 0, "no place was cut at which the debt was there");
}

/// What is under way when the object changes is not the newest any more when it is answered: the debt is still open.
#[test]
fn an_answer_to_an_older_revision_settles_nothing() {
    let mut net = World::new(7);
    let (alice, bob) = (net.kernel("alice"), net.kernel("bob"));
    net.befriend(alice, bob);
    let key = net.import(alice, DOC);
    let key = net.claim(alice, key);
    let slow = Weather { latency_min_us: 200_000, latency_max_us: 200_000, ..Weather::calm() };
    net.weather(slow).share(alice, key, bob).run_for(20);
    net.put(alice, key, &DOC.replace("public", "changed"));
    net.weather(Weather::calm()).settle().assert_same(alice, bob, key).assert_kept();
}
