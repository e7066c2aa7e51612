//! Lanes at the home: each place once, in order, and its outcome for ever.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::{Missing, Need, Outcome};
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
fn a_lane_that_is_right() {
    let (mut world, key) = world();
    for n in 1..5 {
        world.whole(key, n, n);
    }
    world.healed();
    world.right();
}

#[test]
fn a_place_is_recorded_once() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    let recorded = world.records(&case, done(), Some(2));
    world.record(B, recorded);
    world.wrong(Check::Once);
}

#[test]
fn a_place_runs_once() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.send(&case);
    world.asked(&case);
    world.wrong(Check::ActKnown);
}

#[test]
fn an_action_is_recorded_in_one_place_of_the_world() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    let mut again = case.clone();
    again.sequence = 2;
    world.take_in(A, B, 1, Frame::Act(World::frame(&again)));
    world.run(&again, Some(2), vec![]);
    world.see(B, Seen::Durable);
    world.wrong(Check::Once);
}

#[test]
fn a_place_is_not_skipped() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let first = world.accept(A, B, 1, ask);
    world.out(A, B, 1, Frame::Act(World::frame(&first)));
    let second = world.act(key, 2, "add");
    world.run(&second, Some(2), vec![]);
    world.wrong(Check::LaneOrder);
}

#[test]
fn a_floor_lets_a_place_pass() {
    let (mut world, key) = world();
    let grant = world.grant(B, A, Right::Act, Scope::All);
    world.done(B, Ask::Revoke(grant));
    let first = world.act(key, 1, "add");
    world.tell(&first, refused(Code::Denied), false);
    world.grant(B, A, Right::Act, Scope::All);
    let ask = world.ask(A, B, key, "add");
    let mut second = world.accept(A, B, 2, ask);
    second.floor = 2;
    world.send(&second);
    world.run(&second, Some(1), vec![]);
    world.tell(&second, done(), true);
    world.healed();
    world.right();
}

#[test]
fn an_outcome_does_not_change() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.send(&case);
    let frame = Frame::Outcome(world.outcome(&case, Outcome::Done("2".into()), true));
    world.pass(B, A, 1, frame);
    world.wrong(Check::OutcomeStable);
}

#[test]
fn an_outcome_is_told_again() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.see(B, Seen::Durable);
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.pass(B, A, 1, frame);
    world.right();
}

#[test]
fn an_outcome_that_is_not_recorded_is_not_told() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.said(&case, Some(1), vec![]);
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.out(B, A, 1, frame);
    world.wrong(Check::OutcomeRecorded);
}

#[test]
fn an_outcome_that_is_not_durable_is_not_told() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), vec![]);
    let frame = Box::new(Frame::Outcome(world.outcome(&case, done(), true)));
    let peer = world.k[A].id;
    world.see(B, Seen::Committed);
    world.see(B, Seen::Frame { direction: Direction::Out, conn: 1, stream: 0, peer, frame });
    world.wrong(Check::OutcomeDurable);
}

#[test]
fn an_outcome_survives_a_crash() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.take_in(A, B, 2, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::ActKnown);
}

#[test]
fn what_the_component_said_is_recorded() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.said(&case, Some(1), vec![]);
    let recorded = world.records(&case, Outcome::Failed("\"no\"".into()), None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

#[test]
fn a_component_that_says_no_has_failed() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::Failed(b"\"no\"".to_vec()) });
    let failed = Outcome::Failed("\"no\"".into());
    let recorded = world.records(&case, failed.clone(), None);
    world.record(B, recorded);
    world.tell(&case, failed, true);
    world.healed();
    world.right();
}

#[test]
fn a_result_that_is_too_large_is_refused() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    let result = vec![b'1'; 65_537];
    let outcome = Outcome::Done(result.clone().into());
    world.see(B, Seen::Ran { run: case.run, said: Said::Done { state: None, result, effects: vec![] } });
    let recorded = world.records(&case, outcome, None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

#[test]
fn an_unknown_action_is_no_component() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "fly");
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::NoComponent });
    let recorded = world.records(&case, refused(Code::Invalid), None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

#[test]
fn a_name_of_a_built_in_action_is_invalid() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    let mut hostile = case.clone();
    hostile.sequence = 2;
    hostile.action.name = "once:put".into();
    hostile.action.id = once_model::ids::Uuid::from_u128(5);
    world.run(&case, Some(1), vec![]);
    world.take_in(A, B, 1, Frame::Act(World::frame(&hostile)));
    let recorded = world.records(&hostile, refused(Code::NoComponent), None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

#[test]
fn an_unknown_object_is_denied_and_not_something_else() {
    let (mut world, _) = world();
    let nowhere = ObjectKey {
        uuid: once_model::ids::Uuid::from_u128(99),
        line: once_model::ids::Line::Unclaimed(ZERO),
    };
    let case = world.act(nowhere, 1, "add");
    world.tell(&case, refused(Code::NotHome), false);
    world.wrong(Check::RefusalCode);
}

#[test]
fn a_removed_object_is_denied() {
    let (mut world, key) = world();
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Remove(key) });
    let id = once_model::action::client_id(T0, &[1; 10]);
    let recorded = world.changes(B, key, "once:remove", id, &state(key.uuid, 0).0);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Answered { token, answer: Ok(Reply::Done) });
    let case = world.act(key, 1, "add");
    world.tell(&case, refused(Code::Denied), false);
    world.healed();
    world.right();
}

#[test]
fn a_refusal_stays_on_its_connection() {
    let (mut world, key) = world();
    let grant = world.grant(B, A, Right::Act, Scope::All);
    world.done(B, Ask::Revoke(grant));
    let case = world.act(key, 1, "add");
    let frame = Frame::Outcome(world.outcome(&case, refused(Code::Denied), false));
    world.out(B, A, 1, frame);
    world.grant(B, A, Right::Act, Scope::All);
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.asked(&case);
    world.wrong(Check::RefusedStays);
}

#[test]
fn what_is_missing_is_asked_for_from_the_right_place() {
    let (mut world, key) = world();
    world.whole(key, 1, 1);
    let ask = world.ask(A, B, key, "add");
    let second = world.accept(A, B, 2, ask);
    world.out(A, B, 1, Frame::Act(World::frame(&second)));
    let third = world.act(key, 3, "add");
    world.pass(B, A, 1, Frame::Missing(Missing { lane: third.lane, from: 2 }));
    world.right();
    world.pass(B, A, 1, Frame::Missing(Missing { lane: third.lane, from: 1 }));
    world.wrong(Check::MissingFrom);
}

/// An act may come again with a higher floor before the answer to its first copy leaves.
#[test]
fn what_was_missing_by_the_lower_floor_may_be_asked_for() {
    let (mut world, key) = world();
    let ask = world.ask(A, B, key, "add");
    let first = world.accept(A, B, 1, ask);
    world.out(A, B, 1, Frame::Act(World::frame(&first)));
    let second = world.act(key, 2, "add");
    let again = once_model::action::Act { floor: 2, ..World::frame(&second) };
    world.take_in(A, B, 1, Frame::Act(again));
    world.pass(B, A, 1, Frame::Missing(Missing { lane: second.lane, from: 1 }));
    world.right();
    world.pass(B, A, 1, Frame::Missing(Missing { lane: second.lane, from: 3 }));
    world.wrong(Check::MissingFrom);
}

#[test]
fn one_run_at_a_time() {
    let (mut world, key) = world();
    let first = world.act(key, 1, "add");
    let second = world.act(key, 2, "add");
    world.asked(&first);
    world.asked(&second);
    world.wrong(Check::OneRun);
}

#[test]
fn a_run_on_an_older_revision_counts_for_nothing() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    let token = world.number();
    let (two, _) = state(key.uuid, 2);
    world.see(B, Seen::Client { token, ask: Ask::Put { key, state: two.clone(), base: None } });
    let id = once_model::action::client_id(T0, &[1; 10]);
    let put = world.changes(B, key, "once:put", id, &two);
    world.record(B, put);
    world.right();
    world.said(&case, Some(1), vec![]);
    let recorded = world.records(&case, done(), Some(1));
    world.record(B, recorded);
    world.wrong(Check::RunBase);
}

#[test]
fn what_is_past_its_time_does_not_run() {
    let (mut world, key) = world();
    let ask = AskAct { deadline_ms: Some(500), ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    world.right();
    world.wait(501);
    world.asked(&case);
    world.wrong(Check::DeadlineRun);
}

#[test]
fn what_is_past_its_time_is_expired() {
    let (mut world, key) = world();
    let ask = AskAct { deadline_ms: Some(500), ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    world.wait(501);
    let recorded = world.records(&case, refused(Code::Expired), None);
    world.record(B, recorded);
    world.tell(&case, refused(Code::Expired), true);
    world.right();
}

#[test]
fn what_has_time_left_is_not_expired() {
    let (mut world, key) = world();
    let ask = AskAct { deadline_ms: Some(500), ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    world.wait(400);
    let recorded = world.records(&case, refused(Code::Expired), None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

#[test]
fn what_was_never_asked_for_is_not_recorded() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    let mut other = case.clone();
    other.action.arguments = "{\"by\":9}".into();
    let recorded = world.records(&other, refused(Code::Expired), None);
    world.record(B, recorded);
    world.wrong(Check::ActKnown);
}

fn given(world: &mut World) -> (Case, once_model::action::Given, once_model::wire::Parcel) {
    let theirs = world.create(A, 50);
    let parcel = world.parcel(A, theirs, 0);
    let given = once_model::action::Given { key: theirs, content: parcel.header.content };
    let key = *world.k[B].things.keys().next().unwrap();
    let ask = AskAct { given: vec![given], ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    (case, given, parcel)
}

#[test]
fn what_is_given_is_needed_shared_and_run() {
    let (mut world, _) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let (case, given, parcel) = given(&mut world);
    world.pass(B, A, 1, Frame::Need(Need { lane: case.lane, sequence: 1, lacks: vec![given] }));
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    world.run(&case, Some(1), vec![]);
    world.tell(&case, done(), true);
    world.healed();
    world.right();
}

#[test]
fn what_is_not_shown_does_not_run() {
    let (mut world, _) = world();
    let (case, ..) = given(&mut world);
    world.asked(&case);
    world.wrong(Check::GivenShown);
}

#[test]
fn what_is_not_given_is_not_needed() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    let lacks = vec![once_model::action::Given { key, content: ZERO }];
    world.pass(B, A, 1, Frame::Need(Need { lane: case.lane, sequence: 1, lacks }));
    world.wrong(Check::NeedLacks);
}

/// What was shown when the act came is not asked for, although a later input of the same group has replaced it.
#[test]
fn what_is_replaced_in_the_same_group_was_shown() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let (shown, lacking) = (world.create(A, 50), world.create(A, 51));
    let (parcel, to) = (world.parcel(A, shown, 0), world.k[B].id);
    world.done(A, Ask::Share { key: shown, to });
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    let given = [shown, lacking]
        .map(|key| once_model::action::Given { key, content: world.k[A].things[&key].header.content });
    let ask = AskAct { given: given.to_vec(), ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    let (next, _) = state(shown.uuid, 1);
    let id = once_model::action::client_id(T0, &[9; 10]);
    let changes = world.changes(A, shown, "once:put", id, &next);
    let token = world.number();
    world.see(A, Seen::Client { token, ask: Ask::Put { key: shown, state: next, base: None } });
    world.record(A, changes);
    world.done(A, Ask::Share { key: shown, to });
    let next = world.parcel(A, shown, 1);
    world.out(A, B, 1, Frame::Share(next.clone()));
    world.out(A, B, 1, Frame::Act(World::frame(&case)));
    // In one group.
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.take_in(A, B, 1, Frame::Share(next.clone()));
    let (from, beside) = (Some(world.k[A].id), false);
    let kept = Kept { header: next.header.clone(), chain: next.chain.clone(), from, beside };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.out(B, A, 1, Frame::Need(Need { lane: case.lane, sequence: 1, lacks: vec![given[1]] }));
    world.right();
}

#[test]
fn it_is_not_lacking_before_its_time() {
    let (mut world, _) = world();
    let (case, given, _) = given(&mut world);
    world.pass(B, A, 1, Frame::Need(Need { lane: case.lane, sequence: 1, lacks: vec![given] }));
    world.wait(5_000);
    let recorded = world.records(&case, refused(Code::Lacking), None);
    world.record(B, recorded);
    world.wrong(Check::OutcomePredicted);
}

/// What was asked for and has come in another way, or may be read by now, is lacking all the same when its time is over.
#[test]
fn what_comes_another_way_is_still_lacking() {
    let (mut world, _) = world();
    let (case, given, _) = given(&mut world);
    world.pass(B, A, 1, Frame::Need(Need { lane: case.lane, sequence: 1, lacks: vec![given] }));
    let parcel = world.parcel(A, given.key, 0);
    let kept = Kept { header: parcel.header, chain: parcel.chain, from: Some(world.k[C].id), beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.grant(B, A, Right::Read, Scope::All);
    world.wait(10_000);
    let recorded = world.records(&case, refused(Code::Lacking), None);
    world.record(B, recorded);
    world.right();
}

/// What could not be refused when its time was over, for want of room, waits no more: what is shared then is not counted for it.
#[test]
fn what_waits_no_more_is_shown_nothing() {
    let (mut world, _) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let theirs = world.create(C, 50);
    let parcel = world.parcel(C, theirs, 0);
    let given = once_model::action::Given { key: theirs, content: parcel.header.content };
    let key = *world.k[B].things.keys().next().unwrap();
    let ask = AskAct { given: vec![given], ..world.ask(A, B, key, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    let need = Frame::Need(Need { lane: case.lane, sequence: 1, lacks: vec![given] });
    world.pass(B, A, 1, need.clone());
    world.see(B, Seen::Room { short: true });
    world.wait(10_000);
    // Kept already, from another kernel: so it is only said to be known.
    let kept = Kept {
        header: parcel.header.clone(),
        chain: parcel.chain.clone(),
        from: Some(world.k[C].id),
        beside: false,
    };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.take_in(A, B, 1, Frame::Share(parcel.clone()));
    world.out(B, A, 1, shared(&parcel, once_model::wire::ShareAnswer::Known));
    world.see(B, Seen::Room { short: false });
    for _ in 0..3 {
        world.see(B, Seen::Durable);
    }
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.out(B, A, 1, need);
    world.right();
}
