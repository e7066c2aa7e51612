//! Rights: from grants and revocations alone.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::wire::{Code, Frame};
use support::*;

/// Two kernels, an object at B, and nothing granted.
fn world() -> (World, once_model::ids::ObjectKey) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.right();
    (world, key)
}

fn grant(world: &World, scope: Scope) -> Grant {
    let to = Grantee::Kernel(world.k[A].id);
    Grant { to, home: None, right: Right::Act, scope, expires_ms: None, actions: None }
}

#[test]
fn a_granted_action_is_done() {
    let (mut world, key) = world();
    for scope in [Scope::All, Scope::Component("Counter".into()), Scope::Object(key)] {
        let grant = grant(&world, scope);
        world.done(B, Ask::Grant(grant.clone()));
        let case = world.act(key, 1, "add");
        world.asked(&case);
        world.see(B, Seen::Ran { run: case.run, said: Said::NotNow });
        world.done(B, Ask::Revoke(grant));
        world.right();
        world = World::pair();
        world.create(B, 7);
    }
}

#[test]
fn without_a_right_it_is_denied() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.healed();
    world.right();
}

#[test]
fn without_a_right_it_does_not_run() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), vec![]);
    world.wrong(Check::ActAllowed);
}

#[test]
fn with_a_right_it_is_not_denied() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn a_right_on_another_object_is_none() {
    let (mut world, key) = world();
    let other = world.create(B, 8);
    world.grant(B, A, Right::Act, Scope::Object(other));
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_right_on_another_component_is_none() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Act, Scope::Component("Account".into()));
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_right_to_read_is_none_to_act() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Read, Scope::All);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_right_of_another_kernel_is_none() {
    let (mut world, key) = world();
    world.befriend(B, C);
    world.grant(B, C, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_name_that_is_not_on_the_list_is_denied() {
    let (mut world, key) = world();
    let grant = Grant { actions: Some(vec!["get".into()]), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_name_on_the_list_is_not_denied() {
    let (mut world, key) = world();
    let grant = Grant { actions: Some(vec!["get".into(), "add".into()]), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn a_name_that_was_taken_back_is_denied() {
    let (mut world, key) = world();
    let both = Grant { actions: Some(vec!["get".into(), "add".into()]), ..grant(&world, Scope::All) };
    let add = Grant { actions: Some(vec!["add".into()]), ..both.clone() };
    world.done(B, Ask::Grant(both));
    world.done(B, Ask::Revoke(add));
    world.right();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn an_expired_right_is_none() {
    let (mut world, key) = world();
    let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    world.wait(1_001);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_right_lasts_until_it_expires() {
    let (mut world, key) = world();
    let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    world.wait(999);
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn of_two_grants_the_later_end_counts() {
    let (mut world, key) = world();
    let short = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    let long = Grant { expires_ms: Some(T0 + 9_000), ..short.clone() };
    world.done(B, Ask::Grant(long));
    world.done(B, Ask::Grant(short));
    world.wait(5_000);
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn what_is_over_stays_over_when_the_clock_is_set_back() {
    let (mut world, key) = world();
    let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    world.wait(2_000);
    world.see(B, Seen::Durable);
    world.wait(70_000);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Clock { now_ms: T0 });
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn what_was_over_at_a_start_stays_over() {
    let (mut world, key) = world();
    let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    world.see(B, Seen::Crashed { kept: 0 });
    world.wait(2_000);
    world.start(B);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Clock { now_ms: T0 });
    world.see(A, Seen::LinkDown { conn: 1, peer: world.k[B].id });
    world.link(A, B, 2);
    let ask = world.ask(A, B, key, "add");
    let case = world.accept(A, B, 1, ask);
    world.pass(A, B, 2, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_clock_that_was_wrong_for_a_moment_leaves_it_open() {
    let (mut world, key) = world();
    let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, Scope::All) };
    world.done(B, Ask::Grant(grant));
    world.see(B, Seen::Clock { now_ms: T0 + 5_000 });
    world.see(B, Seen::Clock { now_ms: T0 });
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.right();
    assert!(world.judge.tally().of(Check::ActAllowed).set > 0);
}

#[test]
fn a_revoked_right_is_none() {
    let (mut world, key) = world();
    let grant = world.grant(B, A, Right::Act, Scope::All);
    world.done(B, Ask::Revoke(grant));
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_revoked_right_can_be_given_again() {
    let (mut world, key) = world();
    let grant = world.grant(B, A, Right::Act, Scope::All);
    world.done(B, Ask::Revoke(grant));
    world.grant(B, A, Right::Act, Scope::Object(key));
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn a_grant_survives_a_crash_only_if_it_was_durable() {
    let (mut world, key) = world();
    let grant = grant(&world, Scope::All);
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Grant(grant) });
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.see(A, Seen::LinkDown { conn: 1, peer: world.k[B].id });
    world.link(A, B, 2);
    let ask = world.ask(A, B, key, "add");
    let case = world.accept(A, B, 1, ask);
    world.pass(A, B, 2, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn who_is_no_peer_any_more_has_no_right() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    let peer = world.k[A].id;
    world.done(B, Ask::PeerRemove(peer));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_stranger_is_not_admitted() {
    let mut world = World::apart();
    world.link(A, B, 1);
    world.wrong(Check::InviteOpen);
}

#[test]
fn an_object_of_another_home_does_not_act_for_a_kernel() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let own = world.create(B, 8);
    let to = Grantee::Object(own);
    let home = Some(world.k[B].id);
    let grant = Grant { to, home, right: Right::Act, scope: Scope::All, expires_ms: None, actions: None };
    world.done(B, Ask::Grant(grant));
    let ask = world.ask(A, B, key, "add");
    let mut case = world.accept(A, B, 1, ask);
    case.action.acting = Some(own);
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn an_expired_invite_opens_nothing() {
    let mut world = World::apart();
    let secret = once_model::ids::Secret::from_bytes([9; 16]);
    let hash = once_model::hash::record_hash("once/2 invite", secret.as_bytes());
    world.done(B, Ask::Invite { hash, expires_ms: T0 + 1_000 });
    let joins = |world: &mut World, from: usize, conn: u64| {
        world.dial(from, B, conn);
        let mut greeting = world.greeting(from);
        greeting.invite = Some(secret);
        world.pass(from, B, conn, Frame::Hello(greeting));
        let admitted = Frame::Admitted(world.greeting(B));
        world.pass(B, from, conn, admitted);
    };
    joins(&mut world, A, 1);
    world.right();
    joins(&mut world, C, 2);
    world.wrong(Check::InviteOpen);
}

/// An act of A's in the name of its object, which alone has the right at B.
fn acting(guest: Option<bool>, by_object: bool) -> World {
    acting_as(guest, by_object, guest.is_some())
}

fn acting_as(guest: Option<bool>, by_object: bool, is_shown: bool) -> World {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let own = world.create(A, 8);
    let home = Some(world.k[A].id);
    let to = if by_object { Grantee::Object(own) } else { Grantee::Kernel(world.k[A].id) };
    let grant = Grant { to, home, right: Right::Act, scope: Scope::All, expires_ms: None, actions: None };
    world.done(B, Ask::Grant(grant));
    let ask = world.ask(A, B, key, "add");
    let mut case = world.accept(A, B, 1, ask);
    case.action.acting = Some(own);
    let mut act = World::frame(&case);
    act.guest = guest;
    if is_shown {
        let chain = world.k[A].things[&own].chain.clone();
        let shown = once_model::moving::Guest { key: own, chain };
        world.take_in(A, B, 1, Frame::Guest(Box::new(shown)));
    }
    world.take_in(A, B, 1, Frame::Act(act));
    world.asked(&case);
    world
}

#[test]
fn an_object_acts_by_its_own_right() {
    acting(None, true).right();
}

#[test]
fn an_object_acts_by_the_right_of_its_kernel() {
    acting(None, false).right();
}

#[test]
fn a_guest_does_not_act_by_the_right_of_its_kernel() {
    acting(Some(true), false).wrong(Check::ActAllowed);
}

#[test]
fn a_guest_acts_by_its_own_right() {
    acting(Some(true), true).right();
}

#[test]
fn of_a_guest_its_chain_must_say_where_it_is() {
    acting_as(Some(true), true, false).wrong(Check::ActAllowed);
}

#[test]
fn the_right_of_an_object_is_none_of_its_kernel() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let own = world.create(A, 8);
    let home = Some(world.k[A].id);
    let to = Grantee::Object(own);
    let grant = Grant { to, home, right: Right::Act, scope: Scope::All, expires_ms: None, actions: None };
    world.done(B, Ask::Grant(grant));
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn what_an_object_had_goes_with_its_peer() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let own = world.create(A, 8);
    let home = Some(world.k[A].id);
    let to = Grantee::Object(own);
    let grant = Grant { to, home, right: Right::Act, scope: Scope::All, expires_ms: None, actions: None };
    world.done(B, Ask::Grant(grant));
    let peer = world.k[A].id;
    world.done(B, Ask::PeerRemove(peer));
    world.done(B, Ask::PeerAdd(peer));
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    let ask = world.ask(A, B, key, "add");
    let mut case = world.accept(A, B, 1, ask);
    case.action.acting = Some(own);
    world.take_in(A, B, 2, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

/// Of more grants than a kernel looks at in a step, some may not be marked as over yet when it starts again and its clock is set
/// back.
#[test]
fn at_a_start_not_all_that_is_over_is_marked_at_once() {
    for (slice_rows, sure) in [(1, false), (64, true)] {
        let mut world = World::with(once_judge::Limits { slice_rows, ..once_judge::Limits::default() });
        world.befriend(A, B);
        let key = world.create(B, 7);
        for scope in [Scope::All, Scope::Object(key)] {
            let grant = Grant { expires_ms: Some(T0 + 1_000), ..grant(&world, scope) };
            world.done(B, Ask::Grant(grant));
        }
        world.wait(2_000);
        world.see(B, Seen::Crashed { kept: 0 });
        world.start(B);
        world.see(B, Seen::Durable);
        world.see(B, Seen::Clock { now_ms: T0 });
        world.link(A, B, 1);
        let case = world.act(key, 1, "add");
        world.asked(&case);
        if sure { world.wrong(Check::ActAllowed) } else { world.right() }
    }
}
