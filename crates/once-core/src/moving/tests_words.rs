//! What an object is told because it moves: it has the last word where it was, and hears first of all where it is.

use std::sync::atomic::Ordering;

use once_model::action::BUILT_IN_FROM;
use once_model::ids::ObjectKey;
use once_model::limits::{LEAVING_MAX_MS, RESEND_AFTER_MS};

use super::tests::{go, home, pair, refused};
use super::{arrivals, departures, stayed};
use crate::access::{Grant, Right, Scope};
use crate::act;
use crate::refusal::{Refusal, Unmoved};
use crate::testing::{Alone, Pair, Side, done};
use crate::waist::{Answer, Call, Command, Consequence, Input, RunResult, Then};

/// Two peers whose objects want to be told of both.
fn told_pair(component: &str) -> (Pair, ObjectKey) {
    let (pair, key) = pair(component);
    for kernel in [&pair.a, &pair.b] {
        *kernel.desk.told.lock().unwrap() = vec!["once:leaving", "once:arrived"];
    }
    (pair, key)
}

/// What was asked of objects there: names, and arguments of what they were told.
fn seen(kernel: &Alone) -> Vec<String> {
    let seen = kernel.desk.seen.lock().unwrap();
    let one = |action: &once_model::action::Action| match action.name.strip_prefix("once:") {
        Some(name) => format!("{name} {}", String::from_utf8_lossy(&action.arguments)),
        None => action.name.clone(),
    };
    seen.iter().map(|run| one(&run.action)).collect()
}

fn leaving(kernel: &Alone) -> String {
    format!("leaving {{\"to\":\"{}\"}}", kernel.id())
}

fn arrived(kernel: &Alone) -> String {
    format!("arrived {{\"from\":\"{}\"}}", kernel.id())
}

/// How many entries an object has there that are in no lane, and what came of them.
fn entries(kernel: &Alone, key: &ObjectKey) -> Vec<u64> {
    let history = act::history(&kernel.store, key).unwrap();
    let built_in = history.iter().filter(|recorded| recorded.entry.sequence >= BUILT_IN_FROM);
    built_in.map(|recorded| recorded.entry.number).collect()
}

fn revoke(pair: &mut Pair) {
    let (kernel, object) = (pair.a.id(), None);
    let grant =
        Grant { scope: Scope::Kernel, right: Right::Host, kernel, object, expires_ms: None, actions: None };
    pair.b.command(Command::Revoke(grant));
}

#[test]
fn an_object_has_the_last_word_where_it_was_and_hears_first_where_it_is() {
    let (mut pair, key) = told_pair("Puppet");
    let before = entries(&pair.a, &key).len();
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    let waits = pair.a.act(key, 2);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    assert!(pair.a.outcome(waits).is_some());
    assert_eq!(seen(&pair.a), [leaving(&pair.b)]);
    assert_eq!(seen(&pair.b), [arrived(&pair.a), "go".into()]);
    assert_eq!(entries(&pair.a, &key).len(), before + 1, "it is recorded like any other");
    // The first entry here is that it came, the second that it was told so.
    let last = *entries(&pair.a, &key).last().unwrap();
    assert_eq!(entries(&pair.b, &key), [last + 1, last + 2]);
    assert_eq!(arrivals(&pair.b.store).unwrap(), []);
}

#[test]
fn who_says_no_stays_and_people_hear_why() {
    let (mut pair, key) = told_pair("Puppet");
    pair.a.desk.says.lock().unwrap().push_back(RunResult::Failed("\"not now\"".into()));
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwilling("not now".into())));
    assert!(pair.a.refused[&token].to_string().ends_with("its component does not let it go: not now"));
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(pair.a.id()), None));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    let token = pair.a.act(key, 2);
    assert!(pair.a.outcome(token).is_some());
    assert_eq!(
        seen(&pair.a),
        [leaving(&pair.b), "go".into()],
        "it has said no: it need not be told that it stays"
    );
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
}

#[test]
fn who_was_told_that_it_leaves_and_stays_is_told_that_too() {
    let (mut pair, key) = told_pair("Puppet");
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    revoke(&mut pair);
    pair.restart(Side::A);
    pair.connect(Side::A);
    pair.pass(2 * RESEND_AFTER_MS);
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    assert_eq!(seen(&pair.a), [leaving(&pair.b), arrived(&pair.a)]);
}

#[test]
fn what_follows_from_the_last_word_comes_to_its_end_first() {
    let (mut pair, key) = told_pair("Puppet");
    let other = pair.a.object(2, "Open");
    let then = Some(Then { action: "told".into(), with: "1".into() });
    let (name, arguments) = ("go".into(), "1".into());
    let call = Call { key: other, at: None, name, arguments, given: vec![], deadline_ms: None, then };
    let consequences = vec![Consequence::Act(call)];
    pair.a.desk.says.lock().unwrap().push_back(RunResult::Done {
        state: None,
        result: "1".into(),
        consequences,
    });
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(seen(&pair.a), [leaving(&pair.b), "go".into(), "told".into()]);
    assert_eq!(seen(&pair.b), [arrived(&pair.a)]);
}

/// Programs are asked beside the engine, which may stop meanwhile.
#[test]
fn a_program_is_asked_first_of_all_also_after_a_crash() {
    for crash in [false, true] {
        let (mut pair, key) = told_pair("Served");
        pair.a.desk.room.store(10, Ordering::Relaxed);
        pair.b.desk.room.store(10, Ordering::Relaxed);
        go(&mut pair, Side::A, key);
        pair.settle();
        let named = |kernel: &Alone| {
            let asked = kernel.desk.asked.lock().unwrap();
            asked.iter().map(|run| run.action.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named(&pair.a), ["once:leaving"]);
        assert!(!departures(&pair.a.store).unwrap()[0].sealed);
        pair.a.answer(done());
        pair.settle();
        let waits = pair.a.act(key, 3);
        pair.settle();
        if crash {
            pair.crash(Side::B, 0);
            assert_eq!(named(&pair.b), ["once:arrived"], "at its start, not when a clock rings");
            pair.connect(Side::A);
            pair.pass(2 * RESEND_AFTER_MS);
        }
        assert_eq!(named(&pair.b), ["once:arrived"], "{crash}");
        assert_eq!(arrivals(&pair.b.store).unwrap().len(), 1);
        let put = pair.b.try_command(Command::Move {
            key,
            to: pair.a.id(),
            leave_calls: false,
            wait: false,
            without_me: false,
        });
        assert_eq!(put, Err(Refusal::Arriving(key)));
        pair.b.answer(done());
        pair.settle();
        assert_eq!(named(&pair.b), ["go"], "{crash}");
        pair.b.answer(done());
        pair.settle();
        assert!(pair.a.outcome(waits).is_some());
    }
}

#[test]
fn what_could_not_be_kept_of_its_arrival_is_asked_for_again() {
    let (mut pair, key) = told_pair("Served");
    pair.a.desk.told.lock().unwrap().clear();
    go(&mut pair, Side::A, key);
    pair.settle();
    pair.b.ready(5);
    // Its program answers while the disk is full.
    pair.b.input(Input::Disk { free_bytes: 1 });
    pair.b.answer(done());
    assert_eq!(arrivals(&pair.b.store).unwrap().len(), 1);
    pair.b.input(Input::Disk { free_bytes: u64::MAX });
    pair.pass(2 * RESEND_AFTER_MS);
    pair.b.answer(done());
    assert_eq!(arrivals(&pair.b.store).unwrap(), []);
    assert_eq!(entries(&pair.b, &key).len(), 2, "that it has come, and that it was told so");
}

#[test]
fn who_cannot_be_asked_is_waited_for() {
    let (mut pair, key) = told_pair("Served");
    let token = go(&mut pair, Side::A, key);
    pair.pass(LEAVING_MAX_MS + 2 * RESEND_AFTER_MS);
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unasked));
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    pair.a.ready(1);
    pair.a.answer(done());
    pair.settle();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
    // It lives there, and does nothing until its program is there.
    pair.b.act(key, 4);
    pair.settle();
    assert!(pair.b.asked().is_empty() && arrivals(&pair.b.store).unwrap().len() == 1);
    pair.b.ready(5);
    let first = pair.b.desk.asked.lock().unwrap()[0].action.name.clone();
    assert_eq!(first, "once:arrived");
    pair.b.answer(RunResult::Failed("1".into()));
    pair.settle();
    assert_eq!(pair.b.asked(), [4], "what it says to that changes nothing");
}

#[test]
fn what_has_come_may_be_removed_before_it_is_told() {
    let (mut pair, key) = told_pair("Served");
    pair.a.desk.room.store(10, Ordering::Relaxed);
    go(&mut pair, Side::A, key);
    pair.settle();
    pair.a.answer(done());
    pair.settle();
    assert_eq!(arrivals(&pair.b.store).unwrap().len(), 1);
    pair.b.command(Command::Remove { key });
    assert_eq!(arrivals(&pair.b.store).unwrap(), []);
    pair.b.input(Input::Ready { component: "Served".into() });
    assert!(pair.b.asked().is_empty());
}

/// A run that ends when people have taken the move back counts for nothing.
#[test]
fn a_last_word_that_comes_too_late_is_none() {
    let (mut pair, key) = told_pair("Served");
    pair.a.desk.room.store(10, Ordering::Relaxed);
    go(&mut pair, Side::A, key);
    pair.settle();
    let before = entries(&pair.a, &key);
    pair.a.command(Command::Stay { key });
    pair.a.answer(done());
    pair.settle();
    assert_eq!(entries(&pair.a, &key), before);
    let token = pair.a.act(key, 5);
    pair.a.answer(done());
    assert!(pair.a.outcome(token).is_some());
}

/// The next action of a `Puppet` there has it move to the other kernel.
fn roams(pair: &mut Pair, from: Side, key: ObjectKey, n: u64) -> u64 {
    let to = pair.side(from.other()).id();
    let consequences = vec![Consequence::Move { to }];
    let done = RunResult::Done { state: None, result: "1".into(), consequences };
    let kernel = pair.side(from);
    kernel.desk.says.lock().unwrap().push_back(done);
    kernel.act(key, n)
}

#[test]
fn an_object_may_move_by_itself() {
    let (mut pair, key) = pair("Puppet");
    let asked = roams(&mut pair, Side::A, key, 1);
    assert!(pair.a.outcome(asked).is_some());
    // That it is about to leave is in the commit of its action.
    assert_eq!(departures(&pair.a.store).unwrap().len(), 1);
    pair.crash(Side::A, 0);
    pair.connect(Side::A);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    // On its way already, it is not asked where to.
    let there = roams(&mut pair, Side::B, key, 2);
    pair.settle();
    assert!(pair.b.outcome(there).is_some());
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    assert_eq!((stayed(&pair.a.store).unwrap(), stayed(&pair.b.store).unwrap()), (vec![], vec![]));
}

#[test]
fn a_traveller_goes_on_as_soon_as_it_has_come() {
    let (mut pair, key) = told_pair("Puppet");
    pair.b.desk.told.lock().unwrap().retain(|told| *told == "once:arrived");
    let to = pair.a.id();
    let consequences = vec![Consequence::Move { to }];
    pair.b.desk.says.lock().unwrap().push_back(RunResult::Done {
        state: None,
        result: "1".into(),
        consequences,
    });
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(to), "{:?}", stayed(&pair.b.store));
    assert_eq!(seen(&pair.b), [arrived(&pair.a)]);
    assert_eq!(seen(&pair.a), [leaving(&pair.b), arrived(&pair.b)]);
}

#[test]
fn why_an_object_stays_that_wanted_to_go_is_found_until_it_was_seen() {
    let (mut pair, key) = pair("Puppet");
    let b = pair.b.id();
    revoke(&mut pair);
    roams(&mut pair, Side::A, key, 1);
    pair.settle();
    let found = stayed(&pair.a.store).unwrap();
    assert!(found[0].1.to == b && found[0].1.why.contains("does not let this kernel move objects there"));
    pair.restart(Side::A);
    assert_eq!(stayed(&pair.a.store).unwrap(), found);
    pair.a.command(Command::Stay { key });
    assert_eq!(stayed(&pair.a.store).unwrap(), []);
    assert_eq!(pair.a.try_command(Command::Stay { key }), Err(Refusal::NotLeaving(key)));
    // To itself, and to who is no peer, it does not even set out.
    let nobody = pair.a.peer_id(99);
    for (n, to) in [(3, pair.a.id()), (4, nobody)] {
        let consequences = vec![Consequence::Move { to }];
        let done = RunResult::Done { state: None, result: "1".into(), consequences };
        pair.a.desk.says.lock().unwrap().push_back(done);
        pair.a.act(key, n);
        assert_eq!(stayed(&pair.a.store).unwrap()[0].1.to, to);
        assert_eq!(departures(&pair.a.store).unwrap(), []);
    }
    pair.a.command(Command::Remove { key });
    pair.settle();
    assert_eq!(stayed(&pair.a.store).unwrap(), []);
}

#[test]
fn what_its_component_cannot_read_moves_as_if_that_did_not_want_to_know() {
    let (mut pair, key) = told_pair("Unread");
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
    assert_eq!(arrivals(&pair.b.store).unwrap(), []);
    assert_eq!(entries(&pair.b, &key).len(), 1);
}
