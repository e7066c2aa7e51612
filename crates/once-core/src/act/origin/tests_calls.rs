//! What objects ask of others, and what they are told of it: docs/protocol.md, 5.5.

use once_model::action::{Outcome, client_id};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::QUEUE_MAX_ROWS;
use once_model::wire::{Code, Frame};

use super::tests::{acts, done, origin, outcome_of, sequences, there, wish, with_id};
use crate::access::{Right, Scope};
use crate::act::{LaneId, SendingRow};
use crate::engine::{Engine, Limits};
use crate::store::{Batch, Table};
use crate::testing::{Alone, NOW_MS, Pair, Side};
use crate::waist::{Call, Consequence, RunResult, Then, Timer};

fn puppet(kernel: &mut Alone, consequences: Vec<Consequence>) {
    let result = RunResult::Done { state: None, result: "1".into(), consequences };
    kernel.desk.says.lock().unwrap().push_back(result);
}

fn call(key: ObjectKey, at: Option<KernelId>, with: &str) -> Call {
    let then = Some(Then { action: "made".into(), with: with.to_owned().into() });
    Call { key, at, name: "go".into(), arguments: "5".into(), given: Vec::new(), deadline_ms: None, then }
}

/// What an object was told of its effects, as the arguments of its actions.
fn told(kernel: &Alone) -> Vec<String> {
    let seen = kernel.desk.seen.lock().unwrap();
    let told = seen.iter().filter(|run| run.action.answers.is_some());
    told.map(|run| std::str::from_utf8(&run.action.arguments).unwrap().to_owned()).collect()
}

#[test]
fn an_object_acts_on_another_one_and_is_told_what_came_of_it() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    let (puppet_key, paper) = (pair.a.object(1, "Puppet"), pair.b.object(2, "Paper"));
    pair.b.may_act(a);
    puppet(&mut pair.a, vec![Consequence::Act(call(paper, Some(b), "{\"step\":1}"))]);
    pair.a.act(puppet_key, 1);
    let act = match pair.on_the_way(Side::B).front() {
        Some(Frame::Act(act)) => act.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((act.action.acting, act.action.answers, act.guest), (Some(puppet_key), None, None));
    // Whatever happens on the way, it has one effect, and its object hears of it once.
    pair.double(Side::B);
    pair.lose(Side::B);
    pair.crash(Side::A, 0);
    pair.connect(Side::B);
    pair.settle();
    pair.restart(Side::B);
    pair.connect(Side::A);
    pair.settle();
    pair.pass(30_000);
    assert_eq!(pair.b.head(&paper).unwrap().revision, 2);
    let id = act.action.id;
    let answer = format!("{{\"effect\":\"{id}\",\"status\":\"done\",\"result\":5,\"with\":{{\"step\":1}}}}");
    assert_eq!(told(&pair.a), [answer]);
    let run = pair.a.desk.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((run.action.name.as_str(), run.action.answers, run.action.acting), ("made", Some(id), None));
    assert_eq!(run.action.id, once_model::action::answer_id(&id));
}

#[test]
fn a_call_that_cannot_leave_is_answered_at_once_and_others_by_their_homes() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Puppet");
    let (gone, home) = (there(5), kernel.befriend(9));
    let (me, stranger) = (kernel.id(), kernel.peer_id(3));
    let calls = [(gone, None), (gone, Some(stranger)), (gone, Some(me)), (gone, Some(home))];
    let quiet = Call { then: None, ..call(gone, None, "0") };
    let calls = calls.into_iter().map(|(key, at)| call(key, at, "1")).chain([quiet]).map(Consequence::Act);
    puppet(&mut kernel, calls.collect());
    kernel.act(key, 1);
    let said = told(&kernel);
    assert_eq!(said.len(), 3);
    assert!(said.iter().all(|said| said.contains("\"status\":\"refused\",\"code\":\"")), "{said:?}");
    // The last one waits for its home.
    kernel.greets(9, 1);
    let act = acts(&mut kernel).remove(0);
    kernel.says(home, 1, outcome_of(&act, Outcome::Failed("\"no\"".into())));
    assert!(told(&kernel)[3].contains("\"status\":\"failed\",\"reason\":\"no\",\"with\":1"));
    kernel.says(home, 1, done(&act));
    assert_eq!(told(&kernel).len(), 4);
    assert!(kernel.rows().iter().all(|(table, key, _)| *table != Table::Queue || !key.ends_with(&[0; 8])));
}

/// An effect's act has a deadline like a client's.
#[test]
fn a_call_may_have_a_deadline() {
    let (mut kernel, home, there) = origin();
    let key = kernel.object(1, "Puppet");
    puppet(
        &mut kernel,
        vec![Consequence::Act(Call { deadline_ms: Some(1_000), ..call(there, Some(home), "1") })],
    );
    kernel.act(key, 1);
    assert_eq!(acts(&mut kernel)[0].remaining_ms, Some(1_000));
    kernel.pass(1_000);
    let void = acts(&mut kernel).remove(0);
    assert_eq!(void.void, Some(Code::Expired));
    kernel.says(home, 1, outcome_of(&void, Outcome::Refused(Code::Expired)));
    assert!(told(&kernel)[0].contains("\"code\":\"expired\""));
}

/// Somebody may mend it, and it was accepted.
#[test]
fn an_action_that_cannot_be_read_is_not_forgotten_with_those_that_have_their_outcomes() {
    let (mut kernel, home, there) = origin();
    let object = kernel.object(1, "Open");
    kernel.restart_with(Engine::within(Limits { requests: 4, ..Limits::PAGE }));
    let act = |kernel: &mut Alone, at, key, n: u64| {
        let command = wish(kernel, at, key, n, with_id(client_id(NOW_MS + n, &[0; 10])));
        kernel.command(command);
    };
    act(&mut kernel, Some(home), there, 0);
    let mut rows = kernel.rows().into_iter();
    let waits = rows.find(|(table, key, _)| *table == Table::Queue && key.ends_with(&1_u64.to_be_bytes()));
    let (table, place, row) = waits.unwrap();
    let put = |kernel: &mut Alone, row| {
        kernel.put_rows(Batch { rows: vec![(table, place.clone(), Some(row))] });
    };
    put(&mut kernel, "damaged".into());
    for n in 1..20 {
        act(&mut kernel, None, object, n);
    }
    assert!(kernel.rows().iter().any(|(of, key, _)| (*of, key) == (table, &place)));
    put(&mut kernel, row);
    kernel.restart();
    kernel.greets(9, 2);
    assert_eq!(sequences(&mut kernel), [1]);
}

/// A lane that an effect needs must have room: else the action has not run, and comes again.
#[test]
fn effects_that_find_no_room_leave_nothing_behind() {
    let (mut kernel, home, there) = origin();
    let key = kernel.object(1, "Puppet");
    let id = LaneId::new(there, home);
    let fill = |kernel: &mut Alone, waiting: u64| {
        let row = SendingRow { home, last: waiting, floor: 1, now: None };
        let action = crate::testing::asked(there, 1, "1".into()).action;
        kernel.writes(|s| {
            s.engine.act.lanes.forget();
            s.txn.put(Table::Sending, &id.to_row(), &row);
            let row = crate::act::WaitingRow {
                action,
                since_ms: NOW_MS,
                deadline_ms: None,
                void: None,
                call: None,
                guest: None,
            };
            let place = crate::act::Place { lane: id, sequence: 1 };
            s.txn.put(Table::Queue, &place.to_row(), &crate::act::QueueRow::Waiting(row));
            Ok(())
        });
    };
    let calls = |n: u64| (0..n).map(|_| Consequence::Act(call(there, Some(home), "1"))).collect::<Vec<_>>();
    fill(&mut kernel, QUEUE_MAX_ROWS - 255);
    puppet(&mut kernel, calls(1));
    let token = kernel.act(key, 1);
    assert_eq!(kernel.outcome(token), None);
    assert_eq!(kernel.head(&key).unwrap().revision, 1);
    // There is room again: it is tried again some time later.
    fill(&mut kernel, QUEUE_MAX_ROWS - 256);
    puppet(&mut kernel, calls(1));
    kernel.ring(|timer| matches!(timer, Timer::Resend(..)));
    assert_eq!(kernel.outcome(token), Some(&Outcome::Done("1".into())));
}

/// Of a lossy and reordering network nothing is noticed but the time that it takes.
#[test]
fn actions_have_their_effect_once_and_in_order_whatever_the_network_does() {
    for seed in 0..12_u64 {
        let mut pair = Pair::new();
        let (a, b) = (pair.a.id(), pair.b.id());
        let papers = [pair.b.object(1, "Paper"), pair.b.object(2, "Paper")];
        pair.b.may_act(a);
        let mut dice = seed;
        let mut roll = |of: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % of
        };
        let mut tokens = std::collections::BTreeMap::new();
        for n in 0..30 {
            tokens.insert(n, pair.a.act_at(b, papers[roll(2) as usize], n));
            for _ in 0..roll(4) {
                let side = if roll(2) == 0 { Side::A } else { Side::B };
                match roll(8) {
                    0 => drop(pair.lose(side)),
                    1 => pair.double(side),
                    2 => pair.delay(side),
                    3 if roll(3) == 0 => {
                        match roll(3) {
                            0 => pair.restart(side),
                            1 => pair.crash(side, roll(3) as usize),
                            _ => pair.cut(),
                        }
                        pair.connect(side);
                        tokens.clear();
                    }
                    _ => drop(pair.deliver(side)),
                }
            }
        }
        // Whatever was lost of a greeting: there is always a next connection.
        pair.connect(Side::A);
        pair.pass(60_000);
        for (n, token) in tokens {
            assert_eq!(pair.a.outcome(token), Some(&Outcome::Done(n.to_string().into())), "seed {seed}");
        }
        let mut ran: Vec<u64> = Vec::new();
        for paper in papers {
            let rows = crate::act::history(&pair.b.store, &paper).unwrap();
            let told: Vec<u64> = rows
                .iter()
                .skip(1)
                .map(|row| row.told.as_ref().unwrap().arguments.text().parse().unwrap())
                .collect();
            assert!(told.is_sorted(), "seed {seed}: {told:?}");
            ran.extend(told);
        }
        ran.sort_unstable();
        assert_eq!(ran, (0..30).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// A right to share is no right to act, and neither is being a peer.
#[test]
fn a_pair_of_peers_may_do_nothing_but_what_is_granted() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    let paper = pair.b.object(1, "Paper");
    for right in [Right::Share, Right::Read] {
        pair.b.grant(a, right, Scope::Kernel);
    }
    let token = pair.a.act_at(b, paper, 1);
    pair.settle();
    assert_eq!(pair.a.outcome(token), Some(&Outcome::Refused(Code::Denied)));
    pair.b.grant(a, Right::Act, Scope::Object(paper));
    let token = pair.a.act_at(b, paper, 2);
    pair.settle();
    assert_eq!(pair.a.outcome(token), Some(&Outcome::Done("2".into())));
}
