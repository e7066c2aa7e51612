use std::collections::BTreeMap;

use once_model::action::{Act, Outcome};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::{
    CHAIN_EARLIER_MAX_BYTES, CHAIN_MOVES_MAX_CERTIFICATES, FRAME_MAX_BYTES, INLINE_MAX_BYTES, LEAVING_MAX_MS,
    RESEND_AFTER_MS,
};
use once_model::wire::{Code, Frame};

use super::departures;
use crate::access::{Grant, Right, Scope};
use crate::object;
use crate::refusal::{Refusal, Unmoved};
use crate::store::Table;
use crate::testing::{Alone, Pair, Side, asked, done};
use crate::waist::{Answer, Call, Command, Consequence, Input, RunResult, Then, Timer};

/// Two peers, an object of the first, and the right to move it to the second.
pub(super) fn pair(component: &str) -> (Pair, ObjectKey) {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.b.grant(a, Right::Host, Scope::Kernel);
    pair.a.grant(b, Right::Host, Scope::Kernel);
    let key = pair.a.object(1, component);
    let token = pair.a.command(Command::Claim { key });
    let key = match &pair.a.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    (pair, key)
}

pub(super) fn go(pair: &mut Pair, from: Side, key: ObjectKey) -> u64 {
    let to = pair.side(from.other()).id();
    pair.side(from).command(Command::Move { key, to, leave_calls: false, wait: true, without_me: false })
}

pub(super) fn home(kernel: &Alone, key: &ObjectKey) -> Option<KernelId> {
    object::head(&kernel.store, key).unwrap().and_then(|head| head.home)
}

pub(super) fn refused(kernel: &Alone, token: u64) -> Option<Unmoved> {
    match kernel.refused.get(&token) {
        Some(Refusal::Unmoved { why, .. }) => Some((**why).clone()),
        _ => None,
    }
}

/// How often each action of clients has run at either of them, with an effect.
fn runs(pair: &Pair) -> BTreeMap<Uuid, usize> {
    let mut runs = BTreeMap::new();
    for kernel in [&pair.a, &pair.b] {
        for run in kernel.desk.seen.lock().unwrap().iter() {
            *runs.entry(run.action.id).or_default() += 1;
        }
    }
    runs
}

#[test]
fn an_object_lives_on_where_it_was_moved_to() {
    let (mut pair, key) = pair("Paper");
    for n in 1..=3 {
        pair.a.act_named(key, "write", n);
    }
    let before = object::head(&pair.a.store, &key).unwrap().unwrap();
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    let b = pair.b.id();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: b, left: 0 }));
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(b), Some(b)));
    let after = object::head(&pair.b.store, &key).unwrap().unwrap();
    assert_eq!(after.header.content, before.header.content);
    assert_eq!(
        (after.header.epoch, after.header.revision, after.header.parent),
        (before.header.epoch + 1, before.header.revision + 1, Some(before.header.id()))
    );
    // Its history goes on: the next entry holds the hash of the one before.
    assert_eq!(after.tip.unwrap().number, before.tip.unwrap().number + 1);
    let chain = object::chain(&pair.b.store, &key.lineage().unwrap()).unwrap().unwrap();
    chain.verify(key.lineage().unwrap()).unwrap();
    // Who named it before finds it, in the lane that it had.
    let mine = pair.a.act_named(key, "write", 4);
    let there = pair.b.act_named(key, "write", 5);
    pair.settle();
    for (kernel, token) in [(&pair.a, mine), (&pair.b, there)] {
        assert!(matches!(kernel.outcome(token), Some(Outcome::Done(_))), "{:?}", kernel.outcome(token));
    }
    assert_eq!(departures(&pair.a.store).unwrap(), []);
}

#[test]
fn it_comes_back_and_goes_again() {
    let (mut pair, key) = pair("Paper");
    let mut n = 0;
    for round in 0..6 {
        let from = if round % 2 == 0 { Side::A } else { Side::B };
        for side in [Side::A, Side::B, Side::A] {
            if round == 0 && side == Side::B {
                // It has not heard of the object yet.
                continue;
            }
            n += 1;
            let token = pair.side(side).act_named(key, "write", n);
            pair.settle();
            let outcome = pair.side(side).outcome(token).cloned();
            assert!(matches!(outcome, Some(Outcome::Done(_))), "{round}: {side:?} {outcome:?}");
        }
        let token = go(&mut pair, from, key);
        pair.settle();
        assert!(pair.side(from).answered.contains_key(&token), "{round}: {:?}", pair.side(from).refused);
    }
    let head = object::head(&pair.a.store, &key).unwrap().unwrap();
    assert_eq!((head.home, head.header.epoch), (Some(pair.a.id()), 7));
}

#[test]
fn who_may_not_or_cannot_take_it_refuses_before_anything_is_sealed() {
    let (mut pair, key) = pair("Alien");
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::NoComponent)));
    let mut other = Pair::new();
    let paper = other.a.object(1, "Paper");
    let token = go(&mut other, Side::A, paper);
    other.settle();
    let is_denied = refused(&other.a, token) == Some(Unmoved::Unwelcome(Code::Denied));
    assert!(is_denied || matches!(other.a.refused[&token], Refusal::NotClaimed(_)), "{:?}", other.a.refused);
    // It works as before.
    let token = other.a.act_named(paper, "write", 1);
    assert!(matches!(other.a.outcome(token), Some(Outcome::Done(_))));
}

/// Whatever is lost, doubled or late, whoever crashes: there is one home, and each action runs once.
#[test]
fn a_move_survives_whatever_happens_to_its_frames_and_its_kernels() {
    for fault in 0..7 {
        for at in 0..12 {
            let (mut pair, key) = pair("Paper");
            let mut tokens = Vec::new();
            for n in 1..=3 {
                tokens.push((Side::A, pair.a.act_named(key, "write", n)));
            }
            go(&mut pair, Side::A, key);
            tokens.push((Side::A, pair.a.act_named(key, "write", 4)));
            for step in 0..40 {
                if step == at {
                    match fault {
                        0 => drop(pair.lose(Side::A)),
                        1 => drop(pair.lose(Side::B)),
                        2 => pair.double(Side::A),
                        3 => pair.double(Side::B),
                        4 => pair.restart(Side::A),
                        5 => pair.restart(Side::B),
                        _ => pair.cut(),
                    }
                }
                if !pair.is_connected() {
                    pair.connect(Side::B);
                }
                pair.deliver(Side::B);
                pair.deliver(Side::A);
            }
            pair.pass(3 * RESEND_AFTER_MS);
            let b = pair.b.id();
            let homes = (home(&pair.a, &key), home(&pair.b, &key));
            assert_eq!(homes, (Some(b), Some(b)), "fault {fault} at {at}");
            for n in 5..=6 {
                tokens.push((Side::A, pair.a.act_named(key, "write", n)));
                tokens.push((Side::B, pair.b.act_named(key, "write", n + 10)));
            }
            pair.pass(3 * RESEND_AFTER_MS);
            assert!(runs(&pair).values().all(|count| *count == 1), "fault {fault} at {at}");
            assert_eq!(runs(&pair).len(), tokens.len(), "fault {fault} at {at}");
        }
    }
}

#[test]
fn a_power_loss_at_any_time_leaves_one_home() {
    for side in [Side::A, Side::B] {
        for at in 0..10 {
            let (mut pair, key) = pair("Paper");
            pair.a.act_named(key, "write", 1);
            go(&mut pair, Side::A, key);
            for _ in 0..at {
                pair.deliver(Side::B);
                pair.deliver(Side::A);
            }
            pair.crash(side, 0);
            pair.connect(Side::A);
            pair.pass(3 * RESEND_AFTER_MS);
            let homes = (home(&pair.a, &key), home(&pair.b, &key));
            assert_eq!(homes.0, homes.1.or(homes.0), "{side:?} at {at}: {homes:?}");
            let is_here =
                [&pair.a, &pair.b].into_iter().filter(|kernel| home(kernel, &key) == Some(kernel.id()));
            assert_eq!(is_here.count(), 1, "{side:?} at {at}");
        }
    }
}

#[test]
fn what_is_under_way_comes_to_its_end_first() {
    let (mut pair, key) = pair("Served");
    pair.a.desk.room.store(10, std::sync::atomic::Ordering::Relaxed);
    let ran = pair.a.act(key, 7);
    let token = go(&mut pair, Side::A, key);
    let waits = pair.a.act(key, 8);
    pair.settle();
    assert_eq!(pair.a.asked(), [7], "what comes now waits");
    assert!(!pair.a.answered.contains_key(&token));
    // It is told a call's outcome before it leaves.
    let then = Then { action: "told".into(), with: "1".into() };
    let other = pair.a.object(2, "Puppet");
    let call = Consequence::Act(Call {
        key: other,
        at: None,
        name: "go".into(),
        arguments: "1".into(),
        given: Vec::new(),
        deadline_ms: None,
        then: Some(then),
    });
    pair.a.answer(RunResult::Done { state: None, result: "1".into(), consequences: vec![call] });
    pair.settle();
    assert!(pair.a.outcome(ran).is_some());
    // What was asked before the answer runs before it: its lane keeps its order.
    assert_eq!(pair.a.asked(), [8]);
    pair.a.answer(done());
    pair.settle();
    assert!(pair.a.outcome(waits).is_some());
    assert!(!pair.a.answered.contains_key(&token), "the answer has not run");
    pair.a.answer(done());
    pair.settle();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
}

#[test]
fn an_object_that_never_comes_to_rest_stays() {
    let (mut pair, key) = pair("Served");
    pair.a.desk.room.store(10, std::sync::atomic::Ordering::Relaxed);
    pair.a.act(key, 7);
    let token = go(&mut pair, Side::A, key);
    pair.pass(LEAVING_MAX_MS + 2 * RESEND_AFTER_MS);
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Run));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    pair.a.answer(done());
    let after = pair.a.act(key, 8);
    pair.a.answer(done());
    assert!(pair.a.outcome(after).is_some());
}

/// Nobody knows how long it has waited by then.
#[test]
fn an_object_that_was_to_leave_stays_when_the_clock_is_set_back() {
    let (mut pair, key) = pair("Served");
    pair.a.desk.room.store(10, std::sync::atomic::Ordering::Relaxed);
    pair.a.act(key, 7);
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert!(departures(&pair.a.store).unwrap().iter().any(|leaving| leaving.key == key));
    pair.a.ctx.now_ms -= 2 * LEAVING_MAX_MS;
    pair.a.timers.retain(|(_, timer)| *timer != Timer::Leaving);
    pair.a.input(Input::Timer(Timer::Leaving));
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Run));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
}

#[test]
fn a_sealed_object_does_nothing_until_the_receiver_has_answered() {
    let (mut pair, key) = pair("Paper");
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    pair.cut();
    let token = pair.a.act_named(key, "write", 1);
    for command in [Command::Remove { key }, Command::Claim { key }] {
        assert_eq!(pair.a.try_command(command), Err(Refusal::Leaving(key)));
    }
    let b = pair.b.id();
    let gone = pair.a.try_command(Command::RemovePeer { peer: b });
    assert_eq!(gone, Err(Refusal::HandsOver { key, peer: b }));
    pair.restart(Side::A);
    pair.a.pass(10 * RESEND_AFTER_MS);
    assert!(pair.a.outcome(token).is_none() && runs(&pair).is_empty(), "it runs nothing, whatever the time");
    pair.connect(Side::A);
    pair.pass(3 * RESEND_AFTER_MS);
    assert_eq!(home(&pair.b, &key), Some(b));
    assert_eq!(runs(&pair).len(), 1, "it has run at its new home");
}

/// The right is looked at again when it counts: then the home before is its home again.
#[test]
fn what_is_refused_lives_on_at_the_home_before() {
    let (mut pair, key) = pair("Clock");
    pair.a.act_named(key, "set", 1);
    let before = object::head(&pair.a.store, &key).unwrap().unwrap();
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    let rows = |kernel: &Alone, table| kernel.rows().iter().filter(|(of, ..)| *of == table).count();
    assert_eq!((rows(&pair.a, Table::Timer), rows(&pair.a, Table::Due)), (0, 0), "nothing rings meanwhile");
    let a = pair.a.id();
    let grant = crate::access::Grant {
        scope: Scope::Kernel,
        right: Right::Host,
        kernel: a,
        object: None,
        expires_ms: None,
        actions: None,
    };
    pair.b.command(Command::Revoke(grant));
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Denied)));
    let head = object::head(&pair.a.store, &key).unwrap().unwrap();
    assert_eq!((head.home, head.header.epoch), (Some(a), before.header.epoch + 2));
    object::chain(&pair.a.store, &key.lineage().unwrap())
        .unwrap()
        .unwrap()
        .verify(key.lineage().unwrap())
        .unwrap();
    assert_eq!(rows(&pair.a, Table::Timer), 1);
    pair.a.desk.knows_rang.store(true, std::sync::atomic::Ordering::Relaxed);
    pair.pass(1000);
    assert_eq!(*pair.a.desk.done.lock().unwrap(), ["set", "rang"]);
    assert_eq!(home(&pair.b, &key), None);
}

#[test]
fn timers_and_work_outside_go_along() {
    let (mut pair, key) = pair("Puppet");
    let then = |with: &str| Then { action: "told".into(), with: with.to_owned().into() };
    let timer = Consequence::Timer { name: "t".into(), after_ms: 60_000, then: then("1") };
    let work = Consequence::Activity { name: "mail".into(), arguments: "[1]".into(), then: then("2") };
    let result = RunResult::Done { state: None, result: "1".into(), consequences: vec![timer, work] };
    pair.a.desk.says.lock().unwrap().push_back(result);
    pair.a.act(key, 1);
    let asked_for = pair.a.works[0].clone();
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    assert_eq!(pair.b.works, pair.a.works, "asked for again, with the same id");
    // What comes of it at the home before counts for nothing.
    pair.a.input(Input::Worked { key, id: asked_for.id, result: Ok("1".into()) });
    pair.b.input(Input::Worked { key, id: asked_for.id, result: Ok("2".into()) });
    pair.pass(70_000);
    let told = |kernel: &Alone| {
        let seen = kernel.desk.seen.lock().unwrap();
        seen.iter().filter(|run| run.action.answers.is_some()).count()
    };
    assert_eq!((told(&pair.a), told(&pair.b)), (0, 2));
}

/// A peer that acted on it before asks its former home again, and is told once.
#[test]
fn who_had_to_do_with_it_is_told_where_it_is_and_nobody_else() {
    let (mut pair, key) = pair("Paper");
    let (origin, stranger) = (pair.a.peer(9), pair.a.peer(8));
    pair.a.connect(9, origin, 91);
    pair.a.connect(8, stranger, 81);
    let act = |sequence| Act { ..asked(key, sequence, sequence.to_string()) };
    let said = pair.a.says(origin.kernel, 91, Frame::Act(act(1))).to_vec();
    assert!(said.iter().any(|frame| matches!(frame, Frame::Outcome(_))), "{said:?}");
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    let moved = |frames: &[Frame]| frames.iter().any(|frame| matches!(frame, Frame::Moved(_)));
    // What ran before is answered as before.
    let said = pair.a.says(origin.kernel, 91, Frame::Act(act(1))).to_vec();
    assert!(said.iter().any(|frame| matches!(frame, Frame::Outcome(_))), "{said:?}");
    let said = pair.a.says(origin.kernel, 91, Frame::Act(act(2))).to_vec();
    assert!(moved(&said), "{said:?}");
    // A right that would reach it is enough, and without one nothing is said.
    let stranger_asks =
        |pair: &mut Pair, sequence| moved(pair.a.says(stranger.kernel, 81, Frame::Act(act(sequence))));
    assert!(stranger_asks(&mut pair, 1));
    let (scope, right, kernel) = (Scope::Kernel, Right::Act, stranger.kernel);
    let to_all = Grant { scope, right, kernel, object: None, expires_ms: None, actions: None };
    pair.a.command(Command::Revoke(to_all));
    assert!(!stranger_asks(&mut pair, 2));
}

/// Each lane that a peer has here counts, also one that began elsewhere.
#[test]
fn lanes_that_come_along_count_against_the_quota_of_their_origins() {
    let (mut pair, key) = pair("Paper");
    let origin = pair.a.peer(9);
    pair.a.connect(9, origin, 91);
    pair.a.says(origin.kernel, 91, Frame::Act(asked(key, 1, "1".into())));
    go(&mut pair, Side::A, key);
    pair.settle();
    let stored = |kernel: &Alone| crate::share::usage(&kernel.store, &origin.kernel).unwrap().stored_bytes;
    assert_eq!(stored(&pair.a), object::LANE_COST_BYTES);
    assert_eq!(stored(&pair.b), object::LANE_COST_BYTES);
}

/// What comes back with its outcomes does not take the places in the history that they have had there.
#[test]
fn the_history_of_a_former_home_is_whole_when_it_is_the_home_again() {
    let (mut pair, key) = pair("Paper");
    for n in 1..=3 {
        pair.b.act_at(pair.a.id(), key, n);
        pair.settle();
    }
    let numbers = |kernel: &Alone| {
        let history = crate::act::history(&kernel.store, &key).unwrap();
        history.iter().map(|recorded| recorded.entry.number).collect::<Vec<_>>()
    };
    let before = numbers(&pair.a);
    go(&mut pair, Side::A, key);
    pair.settle();
    go(&mut pair, Side::B, key);
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    let after = numbers(&pair.a);
    assert!(after.starts_with(&before), "{before:?} became {after:?}");
    let all: std::collections::BTreeSet<_> = after.into_iter().chain(numbers(&pair.b)).collect();
    assert_eq!(all.iter().copied().collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>());
}

/// A receiver that is away is called as seldom as any peer that is away: each call sets a pause of its own.
#[test]
fn a_receiver_that_is_away_is_not_called_at_each_look() {
    let (mut pair, key) = pair("Paper");
    pair.cut();
    let b = pair.b.id();
    go(&mut pair, Side::A, key);
    for _ in 0..60 {
        pair.a.pass(RESEND_AFTER_MS);
        for peer in std::mem::take(&mut pair.a.dialled) {
            pair.a.input(Input::Link {
                peer,
                event: crate::waist::LinkEvent::DialFailed { reason: "away".into() },
            });
        }
    }
    let redials = |(_, timer): &&(u64, crate::waist::Timer)| matches!(timer, crate::waist::Timer::Redial(peer, _) if *peer == b);
    assert_eq!(pair.a.timers.iter().filter(redials).count(), 1);
}

/// Two objects that began as the same copy have lanes of the same name: one kernel is not the home of both.
#[test]
fn an_object_whose_copy_is_another_object_there_is_refused() {
    let (mut pair, _) = pair("Paper");
    let scenario =
        once_model::scenario::Scenario::compose(Uuid::from_u128(2), "Paper", "1", "me", "{}").unwrap();
    let copy = ObjectKey { uuid: scenario.uuid(), line: once_model::ids::Line::Unclaimed(scenario.hash()) };
    for side in [Side::A, Side::B] {
        let scenario = scenario.clone();
        pair.side(side).command(Command::Import { source: None, over: None, scenario });
    }
    let mut claimed = |side| {
        let token = pair.side(side).command(Command::Claim { key: copy });
        match &pair.side(side).answered[&token] {
            Answer::Object { header, .. } => header.key(),
            other => panic!("{other:?}"),
        }
    };
    let (mine, theirs) = (claimed(Side::A), claimed(Side::B));
    let token = go(&mut pair, Side::A, mine);
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Ambiguous)));
    for (side, key) in [(Side::A, mine), (Side::B, theirs)] {
        let me = pair.side(side).id();
        assert_eq!(home(pair.side(side), &key), Some(me));
        let token = pair.side(side).act_named(copy, "write", 1);
        pair.settle();
        assert!(matches!(pair.side(side).outcome(token), Some(Outcome::Done(_))));
    }
    // Who names the copy there means theirs: who refuses an object never was its home.
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.b.grant(a, Right::Act, Scope::Object(theirs));
    let revision = |kernel: &Alone, key| object::head(&kernel.store, key).unwrap().unwrap().header.revision;
    let before = (revision(&pair.a, &mine), revision(&pair.b, &theirs));
    let token = pair.a.act_at(b, copy, 3);
    pair.settle();
    assert!(matches!(pair.a.outcome(token), Some(Outcome::Done(_))));
    assert_eq!((revision(&pair.a, &mine), revision(&pair.b, &theirs)), (before.0, before.1 + 1));
}

/// Anybody can say that his object is called so. Only a chain shows that one kernel and another were homes of one object.
#[test]
fn a_lane_to_one_kernel_is_not_taken_for_what_is_asked_at_another() {
    let (mut pair, key) = pair("Paper");
    let b = pair.b.id();
    // Here it was said to be, and nothing shows that it was.
    let there = pair.b.connected(8);
    let first = pair.b.act_at(there.kernel, key, 1);
    let named = pair.b.sent.iter().find_map(|frame| match frame {
        Frame::Act(act) => Some((act.lane, act.sequence)),
        _ => None,
    });
    assert_eq!(named, Some((key.into(), 1)), "{first}");
    // Asked at another one, it goes there.
    pair.b.sent.clear();
    pair.b.act_at(pair.a.id(), key, 2);
    let named: Vec<_> = pair
        .b
        .outgoing
        .iter()
        .filter_map(|(to, _, frame)| match frame {
            Frame::Act(act) => Some((*to, act.lane, act.sequence)),
            _ => None,
        })
        .collect();
    assert_eq!(named.last(), Some(&(pair.a.id(), key.into(), 1)), "{b}");
}

/// Whoever names the copy that it began as says where that was: what is asked where it is now does not go back there.
#[test]
fn what_is_asked_at_the_new_home_of_an_object_runs_there() {
    let (mut pair, _) = pair("Paper");
    let scenario =
        once_model::scenario::Scenario::compose(Uuid::from_u128(2), "Paper", "1", "me", "{}").unwrap();
    let copy = ObjectKey { uuid: scenario.uuid(), line: once_model::ids::Line::Unclaimed(scenario.hash()) };
    pair.a.command(Command::Import { source: None, over: None, scenario });
    let token = pair.a.command(Command::Claim { key: copy });
    let Some(Answer::Object { header, .. }) = pair.a.answered.get(&token) else { panic!("not claimed") };
    let key = header.key();
    go(&mut pair, Side::A, key);
    pair.settle();
    let a = pair.a.id();
    pair.cut();
    let token = pair.b.act_at(a, copy, 1);
    assert!(pair.b.outcome(token).is_some());
}

/// What waits for a scenario while its object is handed over is not recorded there: the receiver has all that was.
#[test]
fn nothing_is_recorded_of_a_sealed_object_when_a_time_is_over() {
    let (mut pair, key) = pair("Paper");
    let origin = pair.a.peer(9);
    pair.a.connect(9, origin, 91);
    let given = once_model::action::Given { key, content: once_model::ids::Hash::from_bytes([7; 32]) };
    let mut act = asked(key, 1, "1".into());
    act.action.given = vec![given];
    let said = pair.a.says(origin.kernel, 91, Frame::Act(act)).to_vec();
    assert!(said.iter().any(|frame| matches!(frame, Frame::Need(_))), "{said:?}");
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    let ledger = |kernel: &Alone| kernel.rows().iter().filter(|(table, ..)| *table == Table::Ledger).count();
    let before = ledger(&pair.a);
    pair.cut();
    pair.a.pass(5 * RESEND_AFTER_MS);
    assert_eq!(ledger(&pair.a), before);
}

/// An answer counts for the certificate under which the object is sealed now, and for no other.
#[test]
fn an_answer_to_an_earlier_handoff_means_nothing() {
    let (mut pair, key) = pair("Paper");
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    let late = pair.on_the_way(Side::A).iter().find(|frame| matches!(frame, Frame::Handed(_))).cloned();
    pair.settle();
    go(&mut pair, Side::B, key);
    pair.settle();
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.a.says(b, 1, late.unwrap());
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    assert_eq!(home(&pair.a, &key), Some(a));
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(b));
}

/// What ran at a home is proven by that home, with the chain that led to it then.
#[test]
fn a_former_home_still_gives_receipts_that_verify() {
    let (mut pair, key) = pair("Paper");
    let origin = pair.a.peer(9);
    pair.a.connect(9, origin, 91);
    pair.a.says(origin.kernel, 91, Frame::Act(asked(key, 1, "1".into())));
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(pair.b.id()));
    let of = once_model::receipt::ReceiptOf { lane: key.into(), sequence: 1, id: Uuid::from_u128(1) };
    let whose = (origin.kernel, origin.incarnation);
    let receipt = crate::act::receipt(&pair.a.store, &pair.a.ctx.key, whose, &of).unwrap().unwrap();
    assert_eq!(receipt.verify(&pair.a.id()), Ok(()));
}

/// Without the limit it would be sealed, refused as invalid, and reopened with a chain that nobody accepts any more. That as many
/// moves are possible is shown by real kernels (`once-cli --test travelling`).
#[test]
fn an_object_that_has_moved_as_often_as_it_can_stays_and_works() {
    let (mut pair, key) = pair("Paper");
    let token = go(&mut pair, Side::A, key);
    pair.settle();
    assert!(pair.a.answered.contains_key(&token));
    let mut head = object::head(&pair.b.store, &key).unwrap().unwrap();
    for (epoch, moves) in
        [(CHAIN_MOVES_MAX_CERTIFICATES as u64, true), (CHAIN_MOVES_MAX_CERTIFICATES as u64 + 1, false)]
    {
        head.header.epoch = epoch;
        let written = head.clone();
        pair.b.step(|s| {
            s.txn.put(Table::Head, &key.to_row(), &written);
            let bound = super::leave::is_bound(&written);
            assert_eq!(bound, (!moves).then_some(Unmoved::Chain), "epoch {epoch}");
            Ok(())
        });
    }
    let to = pair.a.id();
    let refused =
        pair.b.try_command(Command::Move { key, to, leave_calls: false, wait: false, without_me: false });
    assert!(matches!(&refused, Err(Refusal::Unmoved { why, .. }) if **why == Unmoved::Chain), "{refused:?}");
    pair.b.act_named(key, "write", 1);
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    // The longest chain that travels, the largest body and the largest luggage that do so with it fit a frame.
    let mut chain = object::chain(&pair.b.store, &key.lineage().unwrap()).unwrap().unwrap();
    chain.links = vec![chain.links[0].clone(); CHAIN_MOVES_MAX_CERTIFICATES];
    let chain = chain.shortened().unwrap();
    assert!(chain.earlier_bytes.unwrap() < CHAIN_EARLIER_MAX_BYTES, "{:?}", chain.earlier_bytes);
    let longest = once_model::cbor::to_cbor(&chain).len() + 2 * INLINE_MAX_BYTES;
    let header_and_rest = 8 * 1024;
    assert!(longest + header_and_rest < FRAME_MAX_BYTES, "{longest}");
}
