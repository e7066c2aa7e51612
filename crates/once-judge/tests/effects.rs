//! Effects: each once, and due; timers, work outside, answers.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::{Action, Outcome, answer_id, cause_id, effect_id};
use once_model::ids::{ObjectKey, Uuid};
use once_model::wire::{Code, Frame};
use support::*;

fn world() -> (World, ObjectKey) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    world.right();
    (world, key)
}

fn then() -> Then {
    Then { action: "heard".into(), with: b"{\"step\":1}".to_vec() }
}

/// An action of A's at B's object that has these effects, recorded; and the id of the first of them.
fn causes(world: &mut World, key: ObjectKey, effects: Vec<Effect>) -> (Case, Uuid) {
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), effects);
    (case.clone(), effect_of(world, &case, 0))
}

fn effect_of(world: &World, case: &Case, number: u32) -> Uuid {
    let cause = cause_id(&case.lane.key.uuid, &world.k[A].incarnation, case.sequence, &case.action.id);
    effect_id(&world.k[A].id, &cause, number)
}

/// The answer that tells an object of B what came of an effect.
fn answer(world: &mut World, key: ObjectKey, effect: Uuid, sequence: u64, arguments: &str) -> Case {
    let action = Action {
        id: answer_id(&effect),
        name: "heard".into(),
        arguments: arguments.to_owned().into(),
        given: vec![],
        acting: None,
        answers: Some(effect),
    };
    let (token, run) = (world.number(), world.number());
    let (floor, remaining_ms, void) = (0, None, None);
    Case { from: B, to: B, token, lane: key.into(), sequence, floor, action, remaining_ms, void, run }
}

fn due(effect: Uuid) -> String {
    format!("{{\"effect\":\"{effect}\",\"status\":\"due\",\"with\":{{\"step\":1}}}}")
}

fn timer(after_ms: u64) -> Effect {
    Effect::Timer { name: "t".into(), after_ms, then: then() }
}

fn call(world: &World, object: ObjectKey, to: usize) -> Effect {
    Effect::Act {
        object,
        home: Some(world.k[to].id),
        name: "add".into(),
        arguments: b"{}".to_vec(),
        given: vec![],
        deadline_ms: None,
        then: Some(then()),
    }
}

#[test]
fn a_timer_rings() {
    let (mut world, key) = world();
    let (case, effect) = causes(&mut world, key, vec![timer(1_000)]);
    world.tell(&case, done(), true);
    world.wait(1_000);
    let answer = answer(&mut world, key, effect, 1, &due(effect));
    world.run(&answer, None, vec![]);
    world.see(B, Seen::Durable);
    world.healed();
    world.right();
}

#[test]
fn a_timer_is_not_early() {
    let (mut world, key) = world();
    let (_, effect) = causes(&mut world, key, vec![timer(1_000)]);
    world.wait(999);
    let answer = answer(&mut world, key, effect, 1, &due(effect));
    world.asked(&answer);
    world.wrong(Check::TimerEarly);
}

#[test]
fn a_timer_is_not_lost() {
    let (mut world, key) = world();
    let (case, _) = causes(&mut world, key, vec![timer(1_000)]);
    world.tell(&case, done(), true);
    world.healed();
    world.wrong(Check::TimerDue);
}

#[test]
fn a_timer_rings_once() {
    let (mut world, key) = world();
    let (_, effect) = causes(&mut world, key, vec![timer(1_000)]);
    world.wait(1_000);
    let one = answer(&mut world, key, effect, 1, &due(effect));
    world.run(&one, None, vec![]);
    world.right();
    let two = answer(&mut world, key, effect, 2, &due(effect));
    world.asked(&two);
    world.wrong(Check::TimerEnded);
}

#[test]
fn a_timer_that_was_replaced_does_not_ring() {
    let (mut world, key) = world();
    let (_, effect) = causes(&mut world, key, vec![timer(1_000), timer(2_000)]);
    world.wait(1_500);
    let answer = answer(&mut world, key, effect, 1, &due(effect));
    world.asked(&answer);
    world.wrong(Check::TimerEnded);
}

#[test]
fn a_timer_that_was_ended_does_not_ring() {
    let (mut world, key) = world();
    let end = Effect::EndTimer { name: "t".into() };
    let (_, effect) = causes(&mut world, key, vec![timer(1_000), end]);
    world.wait(1_500);
    let answer = answer(&mut world, key, effect, 1, &due(effect));
    world.asked(&answer);
    world.wrong(Check::TimerEnded);
}

#[test]
fn a_timer_survives_a_crash() {
    let (mut world, key) = world();
    causes(&mut world, key, vec![timer(1_000)]);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.healed();
    world.wrong(Check::TimerDue);
}

#[test]
fn a_call_is_made_and_told() {
    let (mut world, key) = world();
    let target = world.create(B, 9);
    let effect = call(&world, target, B);
    let (case, id) = causes(&mut world, key, vec![effect]);
    world.tell(&case, done(), true);
    let mut called = answer(&mut world, target, id, 1, "{}");
    called.action = Action { id, name: "add".into(), acting: Some(key), answers: None, ..called.action };
    world.run(&called, Some(3), vec![]);
    let told = format!("{{\"effect\":\"{id}\",\"status\":\"done\",\"result\":1,\"with\":{{\"step\":1}}}}");
    let answer = answer(&mut world, key, id, 1, &told);
    world.run(&answer, None, vec![]);
    world.see(B, Seen::Durable);
    world.healed();
    world.right();
}

/// A call of an object of B's at an object of A's, sent.
fn called(world: &mut World, key: ObjectKey) -> Case {
    let target = world.create(A, 60);
    let effect = call(world, target, A);
    let (case, id) = causes(world, key, vec![effect]);
    world.tell(&case, done(), true);
    let mut called = answer(world, target, id, 1, "{}");
    called.to = A;
    called.action = Action { id, name: "add".into(), acting: Some(key), answers: None, ..called.action };
    world.pass(B, A, 1, Frame::Act(World::frame(&called)));
    world.right();
    called
}

#[test]
fn a_call_to_another_kernel_is_told() {
    let (mut world, key) = world();
    let called = called(&mut world, key);
    let frame = Frame::Outcome(world.outcome(&called, refused(Code::Denied), false));
    world.pass(A, B, 1, frame);
    let id = called.action.id;
    let told =
        format!("{{\"effect\":\"{id}\",\"status\":\"refused\",\"code\":\"denied\",\"with\":{{\"step\":1}}}}");
    let answer = answer(&mut world, key, id, 1, &told);
    world.run(&answer, None, vec![]);
    world.see(B, Seen::Durable);
    world.healed();
    world.right();
}

#[test]
fn an_answer_is_not_lost() {
    let (mut world, key) = world();
    let called = called(&mut world, key);
    let frame = Frame::Outcome(world.outcome(&called, refused(Code::Denied), false));
    world.pass(A, B, 1, frame);
    world.healed();
    world.wrong(Check::ToldDue);
}

#[test]
fn an_answer_says_what_came_of_it() {
    let (mut world, key) = world();
    let called = called(&mut world, key);
    let frame = Frame::Outcome(world.outcome(&called, refused(Code::Denied), false));
    world.pass(A, B, 1, frame);
    let id = called.action.id;
    let told = format!("{{\"effect\":\"{id}\",\"status\":\"done\",\"result\":1,\"with\":{{\"step\":1}}}}");
    let answer = answer(&mut world, key, id, 1, &told);
    world.asked(&answer);
    world.wrong(Check::AnswerArguments);
}

#[test]
fn an_answer_waits_for_the_outcome() {
    let (mut world, key) = world();
    let called = called(&mut world, key);
    let id = called.action.id;
    let told =
        format!("{{\"effect\":\"{id}\",\"status\":\"refused\",\"code\":\"denied\",\"with\":{{\"step\":1}}}}");
    let answer = answer(&mut world, key, id, 1, &told);
    world.asked(&answer);
    world.wrong(Check::AnswerKnown);
}

#[test]
fn an_effect_is_not_lost() {
    let (mut world, key) = world();
    let target = world.create(A, 60);
    let effect = call(&world, target, A);
    let (case, _) = causes(&mut world, key, vec![effect]);
    world.tell(&case, done(), true);
    world.healed();
    world.wrong(Check::EffectDue);
}

#[test]
fn an_effect_happens_once() {
    let (mut world, key) = world();
    let mut called = called(&mut world, key);
    called.sequence = 2;
    world.pass(B, A, 1, Frame::Act(World::frame(&called)));
    world.wrong(Check::SequenceGiven);
}

#[test]
fn an_effect_that_nobody_named_does_not_happen() {
    let (mut world, key) = world();
    let mut called = called(&mut world, key);
    called.action.id = effect_id(&world.k[A].id, &called.action.id, 9);
    called.sequence = 2;
    world.pass(B, A, 1, Frame::Act(World::frame(&called)));
    world.wrong(Check::EffectKnown);
}

#[test]
fn what_failed_has_no_effects() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.see(B, Seen::Ran { run: case.run, said: Said::Failed(b"1".to_vec()) });
    let recorded = world.records(&case, Outcome::Failed("1".into()), None);
    world.record(B, recorded);
    world.wait(1_000);
    let effect = effect_of(&world, &case, 0);
    let answer = answer(&mut world, key, effect, 1, &due(effect));
    world.asked(&answer);
    world.wrong(Check::AnswerKnown);
}

#[test]
fn a_new_object_is_in_the_commit() {
    let (mut world, key) = world();
    let (new, _) = state(Uuid::from_u128(77), 0);
    let (_, effect) = causes(&mut world, key, vec![Effect::Create(new.clone())]);
    let recorded = world.creates(B, &new, effect);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    world.right();
}

#[test]
fn a_new_object_has_the_bytes_that_were_named() {
    let (mut world, key) = world();
    let (new, _) = state(Uuid::from_u128(77), 0);
    let (other, _) = state(Uuid::from_u128(77), 1);
    let (_, effect) = causes(&mut world, key, vec![Effect::Create(new)]);
    let recorded = world.creates(B, &other, effect);
    world.record(B, recorded);
    world.wrong(Check::EffectAtomic);
}

#[test]
fn a_new_object_is_not_left_out() {
    let (mut world, key) = world();
    let (new, _) = state(Uuid::from_u128(77), 0);
    causes(&mut world, key, vec![Effect::Create(new)]);
    world.see(B, Seen::Durable);
    world.wrong(Check::EffectAtomic);
}

#[test]
fn an_object_that_ends_is_removed_in_the_commit() {
    let (mut world, key) = world();
    let (_, effect) = causes(&mut world, key, vec![Effect::Remove]);
    let recorded = world.changes(B, key, "once:remove", effect, &state(key.uuid, 0).0);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    world.right();
}

#[test]
fn a_removal_is_not_undone() {
    let (mut world, key) = world();
    let (_, effect) = causes(&mut world, key, vec![Effect::Remove]);
    let recorded = world.changes(B, key, "once:remove", effect, &state(key.uuid, 0).0);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    let token = world.number();
    let (two, _) = state(key.uuid, 2);
    world.see(B, Seen::Client { token, ask: Ask::Put { key, state: two.clone(), base: None } });
    let put = world.changes(B, key, "once:put", once_model::action::client_id(T0, &[3; 10]), &two);
    world.record(B, put);
    world.wrong(Check::RemovedStays);
}

fn activity() -> Effect {
    Effect::Activity { name: "mail".into(), arguments: b"1".to_vec(), then: then() }
}

fn work(id: Uuid, object: ObjectKey) -> Seen {
    Seen::Work { id, object, name: "mail".into(), arguments: b"1".to_vec() }
}

#[test]
fn work_is_asked_for_done_and_told() {
    let (mut world, key) = world();
    let (case, id) = causes(&mut world, key, vec![activity()]);
    world.see(B, Seen::Durable);
    world.see(B, work(id, key));
    world.tell(&case, done(), true);
    world.done(B, Ask::Worked { id, object: key, answer: Ok(b"\"sent\"".to_vec()) });
    let told =
        format!("{{\"effect\":\"{id}\",\"status\":\"done\",\"result\":\"sent\",\"with\":{{\"step\":1}}}}");
    let answer = answer(&mut world, key, id, 1, &told);
    world.run(&answer, None, vec![]);
    world.see(B, Seen::Durable);
    world.refused(B, Ask::Worked { id, object: key, answer: Ok(b"1".to_vec()) }, Refusal::NotFound);
    world.healed();
    world.right();
}

#[test]
fn work_is_asked_for_again_after_a_start() {
    let (mut world, key) = world();
    let (_, id) = causes(&mut world, key, vec![activity()]);
    world.see(B, Seen::Durable);
    world.see(B, work(id, key));
    world.see(B, Seen::Crashed { kept: 0 });
    world.start(B);
    world.healed();
    world.wrong(Check::WorkDue);
}

#[test]
fn work_that_is_done_is_not_asked_for() {
    let (mut world, key) = world();
    let (_, id) = causes(&mut world, key, vec![activity()]);
    world.see(B, Seen::Durable);
    world.see(B, work(id, key));
    world.done(B, Ask::Worked { id, object: key, answer: Ok(b"1".to_vec()) });
    world.see(B, work(id, key));
    world.wrong(Check::WorkKnown);
}

#[test]
fn news_is_told_once() {
    let (mut world, key) = world();
    let news = Effect::Publish { name: "n".into(), data: b"1".to_vec() };
    causes(&mut world, key, vec![news]);
    world.see(B, Seen::Durable);
    let told = Seen::Published { object: key, name: "n".into(), data: b"1".to_vec() };
    world.see(B, told.clone());
    world.right();
    world.see(B, told);
    world.wrong(Check::PublishOnce);
}
