//! What a crash takes along, and what it must not.
mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::wire::Frame;
use support::*;

/// An action of A's at B's object that sets a timer is recorded, and not synced yet.
fn world() -> (World, ObjectKey, Case) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    let then = Then { action: "heard".into(), with: b"1".to_vec() };
    world.run(&case, Some(1), vec![Effect::Timer { name: "t".into(), after_ms: 1_000, then }]);
    world.right();
    (world, key, case)
}

#[test]
fn what_was_not_durable_leaves_no_timer() {
    let (mut world, ..) = world();
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.healed();
    assert!(world.found.iter().all(|found| found.check != Check::TimerDue));
}

#[test]
fn what_was_committed_and_kept_leaves_its_timer() {
    let (mut world, ..) = world();
    world.see(B, Seen::Committed);
    world.see(B, Seen::Crashed { kept: 1 });
    world.start(B);
    world.healed();
    world.wrong(Check::TimerDue);
}

#[test]
fn what_was_committed_and_lost_leaves_no_timer() {
    let (mut world, ..) = world();
    world.see(B, Seen::Committed);
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.healed();
    assert!(world.found.iter().all(|found| found.check != Check::TimerDue));
}

/// B is back, and A sends again.
fn again(world: &mut World, case: &Case) {
    world.start(B);
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.pass(A, B, 2, Frame::Act(World::frame(case)));
}

#[test]
fn what_was_lost_runs_again() {
    let (mut world, key, case) = world();
    world.see(B, Seen::Crashed { kept: 0 });
    // The object is as it was before.
    let mut fresh = World::pair();
    fresh.create(B, 7);
    let thing = fresh.k[B].things[&key].clone();
    world.k[B].things.insert(key, thing);
    again(&mut world, &case);
    world.asked(&case);
    world.said(&case, Some(5), vec![]);
    let recorded = world.records(&case, done(), Some(5));
    world.record(B, recorded);
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.pass(B, A, 2, frame);
    world.see(A, Seen::Durable);
    world.told(&case, done());
    world.healed();
    world.right();
}

#[test]
fn what_was_durable_does_not_run_again() {
    let (mut world, _, case) = world();
    world.see(B, Seen::Durable);
    world.see(B, Seen::Crashed { kept: 0 });
    again(&mut world, &case);
    world.asked(&case);
    world.wrong(Check::ActKnown);
}

#[test]
fn a_told_outcome_does_not_change_after_a_crash() {
    let (mut world, key, case) = world();
    let frame = Box::new(Frame::Outcome(world.outcome(&case, done(), true)));
    let peer = world.k[A].id;
    // It is told too early, and then it is lost and runs otherwise.
    world.see(B, Seen::Committed);
    world.see(B, Seen::Frame { direction: Direction::Out, conn: 1, stream: 0, peer, frame });
    world.wrong(Check::OutcomeDurable);
    world.found.clear();
    world.see(B, Seen::Crashed { kept: 0 });
    let mut fresh = World::pair();
    fresh.create(B, 7);
    let thing = fresh.k[B].things[&key].clone();
    world.k[B].things.insert(key, thing);
    again(&mut world, &case);
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::Failed(b"1".to_vec()) });
    let failed = Outcome::Failed("1".into());
    let recorded = world.records(&case, failed.clone(), None);
    world.record(B, recorded);
    let frame = Frame::Outcome(world.outcome(&case, failed, true));
    world.out(B, A, 2, frame);
    world.wrong(Check::OutcomeStable);
}

#[test]
fn nothing_is_promised_of_a_program_that_is_away() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let ask = world.ask(B, B, key, "add");
    let case = world.accept(B, B, 1, ask);
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::NotNow });
    world.healed();
    world.right();
    assert!(world.judge.tally().of(Check::OutcomeDue).not_made > 0);
}

#[test]
fn a_refusal_is_due() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let ask = world.ask(A, B, key, "add");
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    world.healed();
    world.wrong(Check::RefusalDue);
}

#[test]
fn at_most_a_window_of_acts_is_under_way() {
    let mut world = World::with(once_judge::Limits { window: 2, ..once_judge::Limits::default() });
    world.befriend(A, B);
    world.link(A, B, 1);
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    world.act(key, 1, "add");
    world.act(key, 2, "add");
    world.right();
    world.act(key, 3, "add");
    world.wrong(Check::ActWindow);
}

#[test]
fn an_act_is_not_sent_again_too_soon() {
    let (mut world, key, _) = world();
    let second = world.act(key, 2, "add");
    world.wait(10_000);
    world.send(&second);
    world.right();
    world.wait(9_999);
    world.send(&second);
    world.wrong(Check::ActResend);
}

#[test]
fn what_is_missing_is_sent_again_once() {
    let (mut world, key, _) = world();
    let second = world.act(key, 2, "add");
    let missing = Frame::Missing(once_model::action::Missing { lane: second.lane, from: 2 });
    world.take_in(B, A, 1, missing.clone());
    world.out(A, B, 1, Frame::Act(World::frame(&second)));
    world.right();
    world.take_in(B, A, 1, missing);
    world.out(A, B, 1, Frame::Act(World::frame(&second)));
    world.wrong(Check::ActResend);
}

#[test]
fn nothing_is_promised_of_a_home_whose_program_is_away() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::NotNow });
    world.healed();
    world.right();
}

#[test]
fn what_was_accepted_and_durable_is_not_lost_though_nobody_was_told() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let ask = world.ask(A, B, key, "add");
    world.see(A, Seen::Client { token: 5, ask: Ask::Act(Box::new(ask)) });
    world.see(A, Seen::Durable);
    world.see(A, Seen::Crashed { kept: 0 });
    world.start(A);
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.healed();
    world.wrong(Check::OutcomeDue);
}

#[test]
fn a_ledger_does_not_forget_above_the_floor() {
    let (mut world, _, case) = world();
    world.tell(&case, done(), true);
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.healed();
    world.wrong(Check::AnsweredAgain);
}

#[test]
fn a_ledger_may_forget_below_the_floor() {
    let (mut world, key, case) = world();
    world.tell(&case, done(), true);
    let ask = world.ask(A, B, key, "add");
    let mut second = world.accept(A, B, 2, ask);
    second.floor = 2;
    world.send(&second);
    world.take_in(A, B, 1, Frame::Act(World::frame(&case)));
    world.wait(100_000);
    world.healed();
    assert!(world.found.iter().all(|found| found.check != Check::AnsweredAgain));
}

#[test]
fn another_action_in_a_known_place_is_not_answered() {
    let (mut world, _, case) = world();
    world.tell(&case, done(), true);
    let mut other = case.clone();
    other.action.arguments = "7".into();
    world.take_in(A, B, 1, Frame::Act(World::frame(&other)));
    let frame = Frame::Outcome(world.outcome(&case, done(), true));
    world.out(B, A, 1, frame);
    world.wrong(Check::AnsweredAgain);
}

#[test]
fn a_debt_survives_a_crash() {
    let mut world = World::pair();
    let key = world.create(A, 7);
    world.grant(B, A, Right::Share, Scope::All);
    let to = world.k[B].id;
    world.done(A, Ask::Share { key, to });
    world.see(A, Seen::Crashed { kept: 0 });
    world.start(A);
    world.unlink(A, B, 1);
    world.link(A, B, 2);
    world.healed();
    world.wrong(Check::ShareDue);
}

/// Whoever asks to use a ticket, or for an invite, and is told nothing may have been refused, for a reason that is not seen.
#[test]
fn what_nobody_was_told_of_before_a_crash_may_have_been_refused() {
    let mut world = World::apart();
    let key = world.create(A, 7);
    let (to, token) = (world.k[C].id, world.number());
    let secret = once_model::ids::Secret::from_bytes([3; 16]);
    let hash = once_model::hash::record_hash("once/2 invite", secret.as_bytes());
    world.see(A, Seen::Client { token, ask: Ask::Join(to) });
    world.see(A, Seen::Client { token: token + 1, ask: Ask::Invite { hash, expires_ms: T0 + 100_000 } });
    world.see(A, Seen::Committed);
    world.see(A, Seen::Crashed { kept: 1 });
    world.start(A);
    world.refused(A, Ask::Share { key, to }, Refusal::NotFound);
    world.dial(B, A, 4);
    let hello = once_model::wire::Greeting { invite: Some(secret), ..world.greeting(B) };
    world.take_in(B, A, 4, Frame::Hello(hello));
    world.out(A, B, 4, Frame::Denied(once_model::wire::Code::Denied));
    world.right();
}
