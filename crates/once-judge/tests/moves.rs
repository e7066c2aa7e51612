//! Objects that get another home.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::moving::{Handoff, Moved, Welcome};
use once_model::wire::{Code, Frame};
use support::moving::BETWEEN;
use support::*;

/// Sealed at B and handed over to C.
fn sealed() -> (World, ObjectKey, Case, Handoff) {
    let (mut world, key, case) = World::about_to_move();
    world.is_welcome(key);
    let luggage = world.luggage(key, &case);
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.right();
    (world, key, case, handoff)
}

/// It has its home at C.
fn moved() -> (World, ObjectKey, Case, Handoff) {
    let (mut world, key, case, handoff) = sealed();
    world.accepts(&handoff);
    world.see(B, Seen::Durable);
    world.right();
    (world, key, case, handoff)
}

/// C takes it on with one thing changed.
fn taken_on(change: impl FnOnce(&mut Recorded)) -> World {
    let (mut world, _, _, handoff) = sealed();
    let mut recorded = world.moves_in(&handoff);
    change(&mut recorded);
    let hash = recorded.entry.hash();
    recorded.revision.as_mut().unwrap().header.entry = Some(hash);
    world.record(C, recorded);
    world
}

#[test]
fn an_object_moves() {
    let (mut world, ..) = moved();
    world.healed();
    world.right();
}

#[test]
fn it_is_offered_only_where_people_want_it() {
    let (mut world, key, _) = World::about_to_move();
    let header = world.k[B].things[&key].header.clone();
    let certificate = world.k[B].things[&key].chain.certificate();
    let (component, version) = (header.component.clone(), header.version.clone());
    let ahead =
        once_model::moving::Ahead { key, certificate, component, version, size: header.size, record: None };
    world.pass(B, C, BETWEEN, Frame::Ahead(ahead));
    world.wrong(Check::MoveAsked);
}

#[test]
fn it_is_sealed_only_when_it_is_welcome() {
    let (mut world, key, case) = World::about_to_move();
    let to = world.k[C].id;
    world.done(B, Ask::Move { key, to, leaves_calls: false });
    let luggage = world.luggage(key, &case);
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.wrong(Check::SealRight);
}

#[test]
fn nobody_is_welcome_without_the_right() {
    let (mut world, key, _) = World::about_to_move();
    let scope = Scope::All;
    let grant = Grant {
        to: Grantee::Kernel(world.k[B].id),
        home: None,
        right: Right::Host,
        scope,
        expires_ms: None,
        actions: None,
    };
    world.done(C, Ask::Revoke(grant));
    world.see(C, Seen::Durable);
    world.see(C, Seen::Durable);
    world.is_welcome(key);
    world.wrong(Check::WelcomeTrue);
}

#[test]
fn who_has_the_right_is_not_denied() {
    let (mut world, key, _) = World::about_to_move();
    world.see(C, Seen::Durable);
    world.see(C, Seen::Durable);
    world.is_welcome(key);
    let certificate = world.k[B].things[&key].chain.certificate();
    let denied = Welcome { key, certificate, code: Some(Code::Denied) };
    world.pass(C, B, BETWEEN, Frame::Welcome(denied));
    world.wrong(Check::WelcomeTrue);
}

#[test]
fn its_luggage_has_its_lanes() {
    let (mut world, key, case) = World::about_to_move();
    world.is_welcome(key);
    let mut luggage = world.luggage(key, &case);
    luggage.lanes.clear();
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.wrong(Check::LuggageTrue);
}

#[test]
fn its_luggage_has_its_outcomes() {
    let (mut world, key, case) = World::about_to_move();
    world.is_welcome(key);
    let mut luggage = world.luggage(key, &case);
    luggage.lanes[0].results[0].outcome = Outcome::Done("2".into());
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.wrong(Check::LuggageTrue);
}

#[test]
fn nothing_is_recorded_while_it_is_sealed() {
    let (mut world, key, ..) = sealed();
    let case = world.act(key, 2, "add");
    world.run(&case, Some(2), vec![]);
    world.wrong(Check::SealedStill);
}

#[test]
fn a_handoff_is_always_the_same() {
    let (mut world, key, case, _) = sealed();
    let mut luggage = world.luggage(key, &case);
    luggage.lanes[0].floor = 1;
    let other = world.handoff(key, &luggage);
    world.pass(B, C, BETWEEN, Frame::Handoff(Box::new(other)));
    world.wrong(Check::HandoffSame);
}

#[test]
fn a_handoff_leaves_when_its_seal_is_on_the_disk() {
    let (mut world, key, case) = World::about_to_move();
    world.is_welcome(key);
    let luggage = world.luggage(key, &case);
    let handoff = world.handoff(key, &luggage);
    let peer = world.k[C].id;
    world.see(B, Seen::Sealed(Box::new(handoff.clone())));
    world.see(B, Seen::Committed);
    let frame = Box::new(Frame::Handoff(Box::new(handoff)));
    world.see(B, Seen::Frame { direction: Direction::Out, conn: BETWEEN, stream: 0, peer, frame });
    world.wrong(Check::HandoffSame);
}

#[test]
fn it_has_the_same_bytes_at_its_new_home() {
    let change = |recorded: &mut Recorded| {
        recorded.revision.as_mut().unwrap().header.content = ZERO;
    };
    taken_on(change).wrong(Check::MoveContinues);
}

#[test]
fn its_history_goes_on() {
    taken_on(|recorded| recorded.entry.number = 1).wrong(Check::EntryNumber);
    taken_on(|recorded| recorded.entry.previous = ZERO).wrong(Check::EntryChain);
}

#[test]
fn a_handoff_has_one_answer() {
    let (mut world, _, _, handoff) = moved();
    let no = world.answer(&handoff, false);
    world.pass(C, B, BETWEEN, Frame::Handed(no));
    world.wrong(Check::HandedOnce);
}

#[test]
fn nobody_says_yes_before_the_object_is_on_the_disk() {
    let (mut world, _, _, handoff) = sealed();
    let yes = world.answer(&handoff, true);
    world.pass(C, B, BETWEEN, Frame::Handed(yes));
    world.wrong(Check::HandedOnce);
}

#[test]
fn what_was_refused_works_again() {
    let (mut world, key, _, handoff) = sealed();
    let no = world.answer(&handoff, false);
    world.pass(C, B, BETWEEN, Frame::Handed(no));
    let recorded = world.reopens(&handoff);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    let case = world.act(key, 2, "add");
    world.asked(&case);
    world.said(&case, Some(2), vec![]);
    world.right();
}

#[test]
fn what_was_accepted_is_not_reopened() {
    let (mut world, _, _, handoff) = moved();
    let recorded = world.reopens(&handoff);
    world.record(B, recorded);
    world.wrong(Check::MoveContinues);
}

#[test]
fn a_former_home_changes_nothing() {
    let (mut world, key, ..) = moved();
    let case = world.act(key, 2, "add");
    world.run(&case, Some(2), vec![]);
    world.wrong(Check::OneHome);
}

#[test]
fn moved_is_said_only_of_what_has_moved() {
    let (mut world, key, _, handoff) = sealed();
    let moved = Moved { key, chain: handoff.chain.clone(), addresses: vec![] };
    world.pass(B, A, 1, Frame::Moved(Box::new(moved)));
    world.wrong(Check::MovedTrue);
}

#[test]
fn a_lane_goes_on_at_the_new_home() {
    let (mut world, key, case, handoff) = moved();
    let chain = world.moves_in(&handoff).revision.unwrap().chain;
    world.befriend(A, C);
    world.link(A, C, 3);
    world.grant(C, A, Right::Act, Scope::All);
    world.pass(B, A, 1, Frame::Moved(Box::new(Moved { key, chain, addresses: vec![] })));
    world.see(A, Seen::Durable);
    world.right();
    // What ran at the first home does not run again.
    let again = Case { to: C, ..case.clone() };
    world.take_in(A, C, 3, Frame::Act(World::frame(&again)));
    world.run(&again, Some(2), vec![]);
    world.wrong(Check::Once);
}

#[test]
fn what_is_sealed_does_not_stay_so() {
    let (mut world, ..) = sealed();
    world.healed();
    world.wrong(Check::MoveDue);
}
