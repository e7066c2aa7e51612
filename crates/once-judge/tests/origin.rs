//! An action at its origin, and what its client is told.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::wire::{Code, Frame};
use support::*;

fn world() -> (World, ObjectKey) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    world.right();
    (world, key)
}

#[test]
fn what_was_not_accepted_is_not_sent() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let mut case = world.accept(A, B, 1, ask);
    case.action.id = once_model::action::client_id(T0, &[200; 10]);
    world.out(A, B, 1, Frame::Act(World::frame(&case)));
    world.wrong(Check::ActAccepted);
}

#[test]
fn it_is_sent_as_it_was_accepted() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let mut case = world.accept(A, B, 1, ask);
    case.action.name = "take".into();
    world.out(A, B, 1, Frame::Act(World::frame(&case)));
    world.wrong(Check::ActAccepted);
}

#[test]
fn it_is_sent_to_its_home() {
    let (mut world, key) = world();
    world.befriend(A, C);
    world.link(A, C, 2);
    let ask = world.ask(A, B, key, "add");
    let case = world.accept(A, B, 1, ask);
    world.out(A, C, 2, Frame::Act(World::frame(&case)));
    world.wrong(Check::ActAccepted);
}

#[test]
fn it_is_on_the_disk_before_it_is_sent() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let case = world.accept(A, B, 1, ask.clone());
    let mut fresh = World::pair();
    fresh.create(B, 7);
    let peer = fresh.k[B].id;
    fresh.see(A, Seen::Client { token: 1, ask: Ask::Act(Box::new(ask)) });
    fresh.see(A, Seen::Committed);
    let frame = Box::new(Frame::Act(World::frame(&case)));
    fresh.see(A, Seen::Frame { direction: Direction::Out, conn: 1, stream: 0, peer, frame });
    fresh.wrong(Check::ActDurable);
}

#[test]
fn it_is_on_the_disk_before_its_client_is_told() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    world.see(A, Seen::Client { token: 1, ask: Ask::Act(Box::new(ask)) });
    world.see(A, Seen::Committed);
    world.see(A, Seen::Answered { token: 1, answer: Ok(Reply::Accepted) });
    world.wrong(Check::ActDurable);
}

#[test]
fn a_place_belongs_to_one_action() {
    let (mut world, key) = world();
    world.act(key, 1, "add");
    world.act(key, 1, "get");
    world.wrong(Check::SequenceGiven);
}

#[test]
fn places_are_given_without_gaps() {
    let (mut world, key) = world();
    world.act(key, 1, "add");
    world.act(key, 3, "get");
    world.wrong(Check::SequenceGiven);
}

#[test]
fn places_are_given_in_order() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let first = world.accept(A, B, 2, ask);
    let ask = world.ask(A, B, key, "add");
    let second = world.accept(A, B, 1, ask);
    world.out(A, B, 1, Frame::Act(World::frame(&second)));
    world.out(A, B, 1, Frame::Act(World::frame(&first)));
    world.wrong(Check::SequenceGiven);
}

#[test]
fn a_lane_is_sent_in_order_on_a_new_connection() {
    let (mut world, key) = world();
    world.act(key, 1, "add");
    let second = world.act(key, 2, "add");
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.out(A, B, 2, Frame::Act(World::frame(&second)));
    world.wrong(Check::ActOrder);
}

#[test]
fn a_floor_is_not_too_high() {
    let (mut world, key) = world();
    let mut case = world.act(key, 1, "add");
    case.floor = 2;
    world.out(A, B, 1, Frame::Act(World::frame(&case)));
    world.wrong(Check::FloorTold);
}

#[test]
fn a_floor_rests_on_outcomes_on_the_disk() {
    let (mut world, key) = world();
    let first = world.act(key, 1, "add");
    world.run(&first, Some(1), vec![]);
    let ask = world.ask(A, B, key, "add");
    let mut second = world.accept(A, B, 2, ask);
    second.floor = 2;
    let frame = Frame::Outcome(world.outcome(&first, done(), true));
    world.pass(B, A, 1, frame);
    world.see(A, Seen::Committed);
    let (peer, frame) = (world.k[B].id, Box::new(Frame::Act(World::frame(&second))));
    world.see(A, Seen::Frame { direction: Direction::Out, conn: 1, stream: 0, peer, frame });
    world.wrong(Check::FloorTold);
}

#[test]
fn a_floor_passes_what_was_refused_without_a_record() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let first = world.act(key, 1, "add");
    world.tell(&first, refused(Code::Denied), false);
    world.see(A, Seen::Durable);
    world.act(key, 2, "add");
    world.wrong(Check::FloorPasses);
}

#[test]
fn what_remains_is_said() {
    let (mut world, key) = world();
    let ask = AskAct { deadline_ms: Some(500), ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.wait(200);
    world.send(&case);
    world.wrong(Check::RemainingSaid);
}

#[test]
fn what_nobody_takes_back_is_no_void() {
    let (mut world, key) = world();
    let mut case = world.act(key, 1, "add");
    case.void = Some(Code::Cancelled);
    case.remaining_ms = Some(0);
    world.out(A, B, 1, Frame::Act(World::frame(&case)));
    world.wrong(Check::VoidReason);
}

#[test]
fn what_is_taken_back_is_sent_as_a_void() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    let (token, id) = (world.number(), case.action.id);
    world.see(A, Seen::Client { token, ask: Ask::Cancel(id) });
    world.see(A, Seen::Durable);
    world.see(A, Seen::Answered { token, answer: Ok(Reply::Cancelling) });
    world.see(A, Seen::Durable);
    world.send(&case);
    world.wrong(Check::VoidReason);
}

#[test]
fn a_void_is_cancelled_at_its_home() {
    let (mut world, key) = world();
    let mut case = world.act(key, 1, "add");
    let (token, id) = (world.number(), case.action.id);
    world.see(A, Seen::Client { token, ask: Ask::Cancel(id) });
    case.void = Some(Code::Cancelled);
    case.remaining_ms = Some(0);
    world.send(&case);
    let recorded = world.records(&case, refused(Code::Cancelled), None);
    world.record(B, recorded);
    world.tell(&case, refused(Code::Cancelled), true);
    world.see(A, Seen::Answered { token, answer: Ok(Reply::Outcome(refused(Code::Cancelled))) });
    world.healed();
    world.right();
}

#[test]
fn a_void_keeps_its_reason() {
    let (mut world, key) = world();
    let ask = AskAct { deadline_ms: Some(100), ..world.ask(A, B, key, "add") };
    let mut case = world.accept(A, B, 1, ask);
    case.void = Some(Code::Expired);
    case.remaining_ms = Some(0);
    world.wait(100);
    world.send(&case);
    world.right();
    let (token, id) = (world.number(), case.action.id);
    world.see(A, Seen::Client { token, ask: Ask::Cancel(id) });
    case.void = Some(Code::Cancelled);
    world.send(&case);
    world.wrong(Check::VoidReason);
}

#[test]
fn what_has_its_outcome_is_not_sent() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.see(A, Seen::Durable);
    world.send(&case);
    world.wrong(Check::SentSettled);
}

#[test]
fn a_client_is_told_what_came_of_it() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), vec![]);
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.pass(B, A, 1, frame);
    world.see(A, Seen::Durable);
    world.told(&case, Outcome::Done("2".into()));
    world.wrong(Check::ClientOutcome);
}

#[test]
fn a_client_is_not_told_before_there_is_an_outcome() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.told(&case, done());
    world.wrong(Check::ClientOutcome);
}

#[test]
fn a_refusal_is_on_the_disk_before_a_client_is_told() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let case = world.act(key, 1, "add");
    let frame = Frame::Outcome(world.outcome(&case, refused(Code::Denied), false));
    world.pass(B, A, 1, frame);
    world.told(&case, refused(Code::Denied));
    world.wrong(Check::OutcomeDurable);
}

#[test]
fn an_outcome_that_came_is_not_forgotten_by_a_crash() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.see(A, Seen::Crashed { kept: 0 });
    world.start(A);
    let token = world.number();
    world.see(A, Seen::Client { token, ask: Ask::Outcome(case.action.id) });
    world.see(A, Seen::Durable);
    world.see(A, Seen::Answered { token, answer: Ok(Reply::Outcome(Outcome::Done("9".into()))) });
    world.wrong(Check::OutcomeStable);
}

#[test]
fn an_accepted_action_is_not_lost() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    world.accept(A, B, 1, ask);
    world.see(A, Seen::Crashed { kept: 0 });
    world.start(A);
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.healed();
    world.wrong(Check::OutcomeDue);
}

#[test]
fn an_answer_is_due() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), vec![]);
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.pass(B, A, 1, frame);
    world.see(A, Seen::Durable);
    world.healed();
    world.wrong(Check::ClientDue);
}

#[test]
fn one_id_is_one_action() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    world.accept(A, B, 1, ask.clone());
    let other = AskAct { name: "get".into(), ..ask.clone() };
    world.refused(A, Ask::Act(Box::new(other.clone())), Refusal::IdReused);
    world.right();
    world.refused(A, Ask::Act(Box::new(other)), Refusal::Invalid);
    world.wrong(Check::ClientCode);
}

#[test]
fn the_same_id_is_the_same_action() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    world.accept(A, B, 1, ask.clone());
    world.refused(A, Ask::Act(Box::new(ask)), Refusal::IdReused);
    world.wrong(Check::ClientCode);
}

#[test]
fn an_id_of_the_future_is_refused() {
    let (mut world, key) = world();
    let mut ask = world.ask(A, B, key, "add");
    ask.id = once_model::action::client_id(T0 + 300_001, &[1; 10]);
    world.done(A, Ask::Act(Box::new(ask)));
    world.wrong(Check::ClientCode);
}

#[test]
fn an_action_on_an_own_object_runs_with_its_outcome() {
    let (mut world, _) = world();
    let key = world.create(A, 60);
    let ask = world.ask(A, A, key, "add");
    let case = world.accept(A, A, 1, ask);
    world.run(&case, Some(1), vec![]);
    world.see(A, Seen::Durable);
    world.told(&case, done());
    world.healed();
    world.right();
}

#[test]
fn own_actions_run_in_their_order() {
    let (mut world, _) = world();
    let key = world.create(A, 60);
    let ask = world.ask(A, A, key, "add");
    world.accept(A, A, 1, ask);
    let ask = world.ask(A, A, key, "add");
    let second = world.accept(A, A, 2, ask);
    world.run(&second, Some(1), vec![]);
    world.wrong(Check::LaneOrder);
}

#[test]
fn an_own_action_does_not_run_after_its_deadline() {
    let (mut world, _) = world();
    let key = world.create(A, 60);
    let ask = AskAct { deadline_ms: Some(10), ..world.ask(A, A, key, "add") };
    let case = world.accept(A, A, 1, ask);
    world.wait(11);
    world.asked(&case);
    world.wrong(Check::DeadlineRun);
}

#[test]
fn an_act_waits_for_feature_one() {
    let mut world = World::apart();
    world.befriend(A, B);
    let key = world.create(B, 7);
    world.dial(A, B, 1);
    let hello = Frame::Hello(world.greeting(A));
    world.pass(A, B, 1, hello);
    let mut greeting = world.greeting(B);
    greeting.features = vec![];
    world.pass(B, A, 1, Frame::Admitted(greeting));
    world.act(key, 1, "add");
    world.wrong(Check::ActFeature);
}
