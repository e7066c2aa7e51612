//! Commands: what they change, done or refused.
mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::wire::{Code, Frame, ShareAnswer};
use support::*;

fn world() -> (World, once_model::ids::ObjectKey) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.right();
    (world, key)
}

#[test]
fn single_names_are_not_taken_from_a_grant_of_everything() {
    let (mut world, key) = world();
    let all = world.grant(B, A, Right::Act, Scope::All);
    let one = Grant { actions: Some(vec!["add".into()]), ..all };
    world.refused(B, Ask::Revoke(one), Refusal::Invalid);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.right();
}

#[test]
fn a_revocation_that_was_refused_takes_nothing() {
    let (mut world, key) = world();
    let all = world.grant(B, A, Right::Act, Scope::Object(key));
    world.done(B, Ask::Revoke(all.clone()));
    let one = Grant { actions: Some(vec!["add".into()]), ..all.clone() };
    let none = Grant { actions: Some(vec!["get".into()]), ..all.clone() };
    let both = Grant { actions: Some(vec!["add".into(), "get".into()]), ..all };
    world.done(B, Ask::Grant(one));
    world.refused(B, Ask::Revoke(none), Refusal::NotFound);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.right();
    world.see(B, Seen::Ran { run: case.run, said: Said::NotNow });
    // Of several the ones that are there are taken.
    world.done(B, Ask::Revoke(both));
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn who_is_no_peer_is_granted_nothing() {
    let (mut world, _) = world();
    let to = Grantee::Kernel(world.k[C].id);
    let grant =
        Grant { to, home: None, right: Right::Read, scope: Scope::All, expires_ms: None, actions: None };
    world.refused(B, Ask::Grant(grant.clone()), Refusal::NotFound);
    world.right();
    world.done(B, Ask::Grant(grant));
    world.wrong(Check::ClientCode);
}

#[test]
fn an_unknown_action_has_no_outcome() {
    let (mut world, _) = world();
    let id = once_model::action::client_id(T0, &[1; 10]);
    world.refused(B, Ask::Outcome(id), Refusal::NotFound);
    world.right();
    world.refused(B, Ask::Outcome(id), Refusal::Invalid);
    world.wrong(Check::ClientCode);
}

#[test]
fn who_waits_is_not_told_to_wait_when_the_outcome_is_here() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Act, Scope::All);
    let case = world.whole(key, 1, 1);
    world.see(A, Seen::Durable);
    let token = world.number();
    world.see(A, Seen::Client { token, ask: Ask::Outcome(case.action.id) });
    world.see(A, Seen::Durable);
    world.see(A, Seen::Answered { token, answer: Ok(Reply::Accepted) });
    world.wrong(Check::ClientOutcome);
}

#[test]
fn a_client_that_is_not_answered_is_due() {
    let (mut world, key) = world();
    let token = world.number();
    let (new, _) = state(key.uuid, 1);
    world.see(B, Seen::Client { token, ask: Ask::Put { key, state: new, base: None } });
    world.see(B, Seen::Durable);
    world.healed();
    world.wrong(Check::ClientDue);
}

#[test]
fn a_peer_that_is_added_again_stays_one() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Act, Scope::All);
    let peer = world.k[A].id;
    world.refused(B, Ask::PeerAdd(peer), Refusal::Usage);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.right();
}

#[test]
fn a_put_has_the_bytes_of_its_client() {
    let (mut world, key) = world();
    let token = world.number();
    let (new, _) = state(key.uuid, 1);
    let (other, _) = state(key.uuid, 2);
    world.see(B, Seen::Client { token, ask: Ask::Put { key, state: new, base: None } });
    let id = once_model::action::client_id(T0, &[1; 10]);
    let recorded = world.changes(B, key, "once:put", id, &other);
    world.record(B, recorded);
    world.wrong(Check::BuiltIn);
}

#[test]
fn what_is_granted_of_some_names_is_taken_back() {
    let (mut world, key) = world();
    let all = world.grant(B, A, Right::Act, Scope::Object(key));
    world.done(B, Ask::Revoke(all.clone()));
    let one = Grant { actions: Some(vec!["add".into()]), ..all.clone() };
    let both = Grant { actions: Some(vec!["add".into(), "get".into()]), ..all };
    world.done(B, Ask::Grant(one));
    world.refused(B, Ask::Revoke(both), Refusal::NotFound);
    world.wrong(Check::ClientCode);
}

/// The kernel crashes before anybody is told; the right is gone all the same.
#[test]
fn a_revocation_takes_effect_when_it_is_taken() {
    let (mut world, key) = world();
    let all = world.grant(B, A, Right::Act, Scope::All);
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Revoke(all) });
    world.see(B, Seen::Durable);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.wrong(Check::ActAllowed);
}

#[test]
fn who_waits_for_a_share_is_told_that_it_was_given_up() {
    let (mut world, key) = world();
    let to = world.k[A].id;
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Share { key, to } });
    world.see(B, Seen::Durable);
    world.done(B, Ask::GiveUp { key, to });
    world.see(B, Seen::Answered { token, answer: Err(Refusal::NotFound) });
    world.right();
    world.refused(B, Ask::Share { key, to }, Refusal::NotFound);
    world.wrong(Check::ClientCode);
}

#[test]
fn nobody_is_told_that_an_action_at_a_removed_peer_is_not_there() {
    let (mut world, key) = world();
    let peer = world.k[B].id;
    let token = world.number();
    let id = once_model::action::client_id(T0, &[1; 10]);
    let act = AskAct {
        id,
        object: key,
        home: Some(peer),
        name: "add".into(),
        arguments: b"1".to_vec(),
        given: Vec::new(),
        deadline_ms: None,
        wait: true,
    };
    world.see(A, Seen::Client { token, ask: Ask::Act(Box::new(act)) });
    world.see(A, Seen::Durable);
    world.done(A, Ask::PeerRemove(peer));
    world.right();
    world.see(A, Seen::Answered { token, answer: Err(Refusal::NotFound) });
    world.wrong(Check::ClientCode);
}

/// Whoever called: the invite of the other side was used.
#[test]
fn who_calls_while_its_ticket_is_used_may_share() {
    let mut world = World::apart();
    let (b, a) = (world.k[B].id, world.k[A].id);
    world.done(A, Ask::PeerAdd(b));
    world.done(A, Ask::Join(b));
    world.done(B, Ask::PeerAdd(a));
    let key = world.create(B, 7);
    world.grant(B, A, Right::Read, Scope::All);
    world.done(B, Ask::Share { key, to: a });
    // B calls A, who joins it.
    world.link(B, A, 77);
    let parcel = world.parcel(B, key, 7);
    world.pass(B, A, 77, Frame::Share(parcel.clone()));
    world.see(A, Seen::Durable);
    let denied = ShareAnswer::Refused(Code::Denied);
    world.out(A, B, 77, shared(&parcel, denied));
    world.wrong(Check::SharedAnswer);
}

/// What was refused for want of room is told after its group, in which room may have been made.
#[test]
fn the_disk_was_full_when_it_was_refused() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.see(A, Seen::Room { short: true });
    world.see(A, Seen::Durable);
    let (ask, token) = (world.ask(A, B, key, "add"), world.number());
    world.see(A, Seen::Client { token, ask: Ask::Act(Box::new(ask)) });
    world.see(A, Seen::Room { short: false });
    world.see(A, Seen::Durable);
    world.see(A, Seen::Answered { token, answer: Err(Refusal::DiskFull) });
    world.right();
}

/// Whatever is answered last: the removal came last.
#[test]
fn who_is_added_and_removed_before_anybody_is_answered_is_no_peer() {
    let (mut world, key) = world();
    let peer = world.k[C].id;
    let [added, removed] = [Ask::PeerAdd(peer), Ask::PeerRemove(peer)].map(|ask| {
        let token = world.number();
        world.see(A, Seen::Client { token, ask });
        token
    });
    world.see(A, Seen::Durable);
    for token in [removed, added] {
        world.see(A, Seen::Answered { token, answer: Ok(Reply::Done) });
    }
    let ask = world.ask(A, C, key, "add");
    world.refused(A, Ask::Act(Box::new(ask)), Refusal::NotFound);
    world.right();
}
