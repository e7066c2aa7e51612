//! What a home does with an act, in the order of the table in docs/protocol.md, 5.5.

use once_model::action::{Act, Given, LaneName, Outcome};
use once_model::ids::{Hash, Incarnation, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{
    ARGUMENTS_MAX_BYTES, DISK_RESERVE_BYTES, GIVEN_MAX, NAME_MAX_BYTES, WINDOW_MAX_SHARES,
};
use once_model::receipt::{Entry, ReceiptOf};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, Parcel};

use super::tests_said::timer;
use crate::access::{Grant, Right, Scope};
use crate::act::{broken_link, history, receipt};
use crate::object::unclaimed;
use crate::testing::{Alone, NOW_MS, asked, done};
use crate::waist::{Command, Consequence, Event, Input, RunResult, Wait};

/// Kernel 9 may act on everything, and is connected.
pub(super) fn home() -> (Alone, KernelId) {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.may_act(peer);
    kernel.greets(9, 1);
    (kernel, peer)
}

/// What is answered to an act: places and outcomes.
pub(super) fn outcomes(frames: &[Frame]) -> Vec<(u64, Outcome)> {
    let told = frames.iter().filter_map(|frame| match frame {
        Frame::Outcome(told) => Some((told.sequence, told.outcome.clone())),
        _ => None,
    });
    told.collect()
}

pub(super) fn act(kernel: &mut Alone, act: Act) -> Vec<(u64, Outcome)> {
    let peer = kernel.peer_id(9);
    outcomes(kernel.says(peer, 1, Frame::Act(act)))
}

pub(super) fn refused(sequence: u64, code: Code) -> Vec<(u64, Outcome)> {
    vec![(sequence, Outcome::Refused(code))]
}

pub(super) fn nth(key: ObjectKey, sequence: u64) -> Act {
    asked(key, sequence, sequence.to_string())
}

pub(super) fn did(sequence: u64, result: &str) -> Vec<(u64, Outcome)> {
    vec![(sequence, Outcome::Done(result.to_owned().into()))]
}

/// How many actions a component was asked for, at once or elsewhere.
fn runs(kernel: &Alone) -> usize {
    kernel.desk.seen.lock().unwrap().len()
}

pub(super) fn ledger(kernel: &Alone, key: &ObjectKey) -> Vec<(u64, &'static str)> {
    let rows = history(&kernel.store, key).unwrap();
    rows.iter().map(|row| (row.entry.number, row.status.unwrap().word())).collect()
}

pub(super) fn say(kernel: &mut Alone, result: RunResult) {
    kernel.desk.says.lock().unwrap().push_back(result);
}

pub(super) fn effects(consequences: Vec<Consequence>) -> RunResult {
    RunResult::Done { state: None, result: "1".into(), consequences }
}

#[test]
fn a_lane_runs_in_its_order_and_each_place_once() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Paper");
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    let first = kernel.head(&key).unwrap();
    assert_eq!((first.revision, first.cause.as_ref().unwrap().sequence), (2, 1));
    // The same again: the same outcome, and nothing runs.
    let said = kernel.says(peer, 1, Frame::Act(nth(key, 1))).to_vec();
    let [Frame::Outcome(again)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(again.outcome, Outcome::Done("1".into()));
    assert_eq!(again.after.map(|after| (after.key, after.revision)), Some((key, first.id())));
    assert_eq!(again.certificate, first.certificate);
    assert_eq!((again.lane, again.sequence, again.id), (key.into(), 1, Uuid::from_u128(1)));
    assert_eq!(runs(&kernel), 1);
    // Another action in its place, by its id or by what it says: no answer, and people are told.
    for other in [Act { action: nth(key, 7).action, ..nth(key, 1) }, asked(key, 1, "2".into())] {
        kernel.events.clear();
        assert_eq!(act(&mut kernel, other), []);
        assert_eq!(kernel.events, [Event::LaneForked { peer, key, sequence: 1 }]);
    }
    assert_eq!(runs(&kernel), 1);
    // A gap is asked for, from the first place that is missing.
    for sequence in [3, 9] {
        let said = kernel.says(peer, 1, Frame::Act(nth(key, sequence))).to_vec();
        let [Frame::Missing(missing)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((missing.lane, missing.from), (key.into(), 2));
    }
    assert_eq!(act(&mut kernel, nth(key, 2)), did(2, "2"));
    // What lies below the floor need not come; and the floor is no news below the mark.
    let said = kernel.says(peer, 1, Frame::Act(Act { floor: 5, ..nth(key, 6) })).to_vec();
    let [Frame::Missing(missing)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(missing.from, 5);
    assert_eq!(act(&mut kernel, Act { floor: 5, ..nth(key, 5) }), did(5, "5"));
    assert_eq!(act(&mut kernel, Act { floor: 2, ..nth(key, 6) }), did(6, "6"));
    assert_eq!(act(&mut kernel, Act { floor: 0, ..nth(key, 7) }), did(7, "7"));
    // What a floor has passed gets no answer.
    kernel.events.clear();
    assert_eq!(act(&mut kernel, nth(key, 3)), []);
    assert_eq!(kernel.events, []);
    assert_eq!(runs(&kernel), 5);
}

/// Each origin has lanes of its own, and each of its lives.
#[test]
fn lanes_of_others_and_of_other_lives_begin_at_one() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Paper");
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    let other = kernel.connected(8);
    assert_eq!(outcomes(kernel.says(other.kernel, 1, Frame::Act(asked(key, 1, "8".into())))), did(1, "8"));
    let mut life = kernel.connected(9);
    life.incarnation = Incarnation::from_bytes([3; 16]);
    kernel.connect(9, life, 5);
    assert_eq!(outcomes(kernel.says(life.kernel, 5, Frame::Act(asked(key, 1, "3".into())))), did(1, "3"));
    let entries = history(&kernel.store, &key).unwrap();
    assert_eq!(broken_link(&entries), None);
    let of = |row: &crate::act::Recorded| (row.entry.number, row.entry.origin, row.entry.incarnation);
    let origins: Vec<_> = entries.iter().skip(1).map(of).collect();
    let lives = [1, 8, 3].map(|life| Incarnation::from_bytes([life; 16]));
    assert_eq!(
        origins,
        [(2, life.kernel, lives[0]), (3, other.kernel, lives[1]), (4, life.kernel, lives[2])]
    );
}

#[test]
fn who_may_not_act_is_refused_and_nothing_is_written() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Paper");
    let peer = kernel.befriend(9);
    kernel.greets(9, 1);
    let before = kernel.rows();
    // Before a gap is asked for: of a long lane, no refusal brings it all once more.
    for sequence in [1, 5, 6] {
        let said = kernel.says(peer, 1, Frame::Act(nth(key, sequence))).to_vec();
        let [Frame::Outcome(told)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(
            (&told.outcome, told.after, told.certificate),
            (&Outcome::Refused(Code::Denied), None, None)
        );
    }
    assert_eq!(kernel.rows(), before);
    kernel.may_act(peer);
    // What was refused on this connection stays refused; what follows may run.
    assert_eq!(act(&mut kernel, nth(key, 1)), refused(1, Code::Denied));
    assert_eq!(act(&mut kernel, Act { floor: 5, ..nth(key, 5) }), refused(5, Code::Denied));
    assert_eq!(act(&mut kernel, Act { floor: 7, ..nth(key, 7) }), did(7, "7"));
    assert_eq!(runs(&kernel), 1);
    // On a new connection nobody remembers it.
    kernel.greets(9, 2);
    let other = kernel.object(2, "Paper");
    assert_eq!(outcomes(kernel.says(peer, 2, Frame::Act(nth(other, 1)))), did(1, "1"));
    assert_eq!(ledger(&kernel, &key), [(1, "done"), (2, "done")]);
}

#[test]
fn what_was_refused_is_forgotten_with_the_connection() {
    let mut kernel = Alone::new();
    let (key, peer) = (kernel.object(1, "Paper"), kernel.befriend(9));
    kernel.greets(9, 1);
    assert_eq!(act(&mut kernel, nth(key, 1)), refused(1, Code::Denied));
    kernel.may_act(peer);
    kernel.greets(9, 2);
    assert_eq!(outcomes(kernel.says(peer, 2, Frame::Act(nth(key, 1)))), did(1, "1"));
}

#[test]
fn an_object_that_has_its_home_elsewhere_or_none_is_not_run_here() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Paper");
    let head = kernel.head(&key).unwrap();
    let certificate = head.certificate;
    let other = Some(Hash::from_bytes([3; 32]));
    assert_eq!(act(&mut kernel, Act { certificate: other, ..nth(key, 1) }), refused(1, Code::NotHome));
    let takeover = LaneName { key, takeover: other };
    assert_eq!(act(&mut kernel, Act { lane: takeover, ..nth(key, 1) }), refused(1, Code::NotHome));
    let absent = ObjectKey { uuid: Uuid::from_u128(99), ..key };
    assert_eq!(act(&mut kernel, nth(absent, 1)), refused(1, Code::Denied));
    assert_eq!(act(&mut kernel, Act { certificate, floor: 2, ..nth(key, 2) }), did(2, "2"));
    kernel.command(Command::Remove { key });
    assert_eq!(act(&mut kernel, nth(key, 3)), refused(3, Code::Denied));
    // A replica, and a copy that a peer has brought.
    kernel.grant(peer, Right::Share, Scope::Kernel);
    let mut theirs = Alone::kernel(9);
    let replica = theirs.object(2, "Paper");
    let head = theirs.head(&replica).unwrap();
    let row = crate::object::head(&theirs.store, &replica).unwrap().unwrap();
    let parcel = crate::exchange::parcel(&theirs.store, &theirs.ctx.key, &row).unwrap().unwrap();
    kernel.says(peer, 1, Frame::Share(parcel));
    assert_eq!(kernel.head(&replica).map(|here| here.revision), Some(head.revision));
    assert_eq!(act(&mut kernel, nth(replica, 1)), refused(1, Code::NotHome));
    let copy = shared_copy(&mut kernel, peer, 3);
    assert_eq!(act(&mut kernel, nth(copy, 1)), refused(1, Code::NotHome));
    assert_eq!(runs(&kernel), 1);
}

/// An unclaimed copy that a peer shares.
fn shared_copy(kernel: &mut Alone, peer: KernelId, n: u128) -> ObjectKey {
    let scenario = Scenario::compose(Uuid::from_u128(n), "Paper", "1", "me", "{}").unwrap();
    let header = unclaimed(&scenario);
    let body = Some(scenario.bytes().clone());
    let key = header.key();
    let conn = kernel.engine.peers.links[&peer].up().unwrap();
    kernel.says(peer, conn, Frame::Share(Parcel { header, chain: None, body, commit: None }));
    key
}

#[test]
fn a_disk_that_is_nearly_full_answers_nothing_and_the_act_comes_again() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Puppet");
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES - 1 });
    let before = kernel.rows();
    assert_eq!(kernel.says(peer, 1, Frame::Act(nth(key, 1))), []);
    assert_eq!((kernel.rows(), runs(&kernel)), (before, 0));
    // Who may not act is told so all the same, and what is recorded is told again.
    let absent = ObjectKey { uuid: Uuid::from_u128(99), ..key };
    assert_eq!(act(&mut kernel, nth(absent, 1)), refused(1, Code::Denied));
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES });
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    kernel.input(Input::Disk { free_bytes: 0 });
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    // It fills up while an action runs: what that came to is thrown away.
    kernel.input(Input::Disk { free_bytes: u64::MAX });
    let served = kernel.object(2, "Served");
    kernel.ready(1);
    assert_eq!(act(&mut kernel, nth(served, 1)), []);
    kernel.input(Input::Disk { free_bytes: 0 });
    kernel.answer(done());
    assert_eq!(ledger(&kernel, &served), [(1, "done")]);
    kernel.input(Input::Disk { free_bytes: u64::MAX });
    kernel.ready(1);
    assert_eq!(act(&mut kernel, nth(served, 1)), []);
    kernel.sent.clear();
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), did(1, "1"));
}

#[test]
fn a_void_is_recorded_with_its_reason_unless_the_action_has_its_outcome() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Paper");
    let void = |sequence, code| Act { void: Some(code), remaining_ms: Some(0), ..nth(key, sequence) };
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    assert_eq!(act(&mut kernel, void(1, Code::Cancelled)), did(1, "1"));
    // Whatever a peer may say: of other codes the home knows nothing.
    let codes = [Code::Cancelled, Code::Lacking, Code::Expired, Code::Busy];
    let as_said = [Code::Cancelled, Code::Lacking, Code::Expired, Code::Expired];
    for (sequence, (code, told)) in (2..).zip(codes.into_iter().zip(as_said)) {
        assert_eq!(act(&mut kernel, void(sequence, code)), refused(sequence, told));
        assert_eq!(act(&mut kernel, nth(key, sequence)), refused(sequence, told), "and it stays one");
    }
    assert_eq!(ledger(&kernel, &key).len(), 6);
    assert_eq!(runs(&kernel), 1);
    assert_eq!(kernel.head(&key).unwrap().revision, 2);
}

#[test]
fn what_comes_too_late_is_refused_counted_from_when_it_came() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Served");
    let late = |sequence, ms| Act { remaining_ms: Some(ms), ..nth(key, sequence) };
    assert_eq!(act(&mut kernel, late(1, 0)), refused(1, Code::Expired));
    assert_eq!(ledger(&kernel, &key), [(1, "done"), (2, "refused")]);
    kernel.ready(2);
    assert_eq!(act(&mut kernel, late(2, 1)), []);
    assert_eq!(kernel.asked(), [2]);
    // Two wait behind it: at 1000 ms the time of one of them is over.
    for (sequence, ms) in [(3, 1000), (4, 1001)] {
        assert_eq!(act(&mut kernel, late(sequence, ms)), []);
    }
    kernel.ctx.now_ms += 1000;
    kernel.sent.clear();
    kernel.answer(done());
    // What runs already runs to its end.
    assert_eq!(outcomes(&kernel.sent), [did(2, "1"), refused(3, Code::Expired)].concat());
    assert_eq!(kernel.asked(), [4]);
}

#[test]
fn what_no_home_takes_is_refused_and_recorded() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Open");
    let content = Hash::from_bytes([5; 32]);
    let given = |n: u128| Given {
        key: ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(content) },
        content,
    };
    let change = |change: &dyn Fn(&mut Act)| {
        let mut act = nth(key, 1);
        change(&mut act);
        act.action
    };
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let bad = [
        (change(&|act| act.action.name = "n".repeat(NAME_MAX_BYTES + 1)), Code::TooLarge),
        (change(&|act| act.action.arguments = string(ARGUMENTS_MAX_BYTES + 1).into()), Code::TooLarge),
        (change(&|act| act.action.given = (0..=GIVEN_MAX as u128).map(given).collect()), Code::TooLarge),
        (change(&|act| act.action.name = String::new()), Code::Invalid),
        (change(&|act| act.action.name = "once:put".into()), Code::Invalid),
        (change(&|act| act.action.given = vec![given(1), given(2), given(1)]), Code::Invalid),
        (change(&|act| act.action.arguments = "{".into()), Code::Invalid),
    ];
    for (sequence, (action, code)) in (1..).zip(bad) {
        let act = Act { action, ..nth(key, sequence) };
        assert_eq!(outcomes(kernel.says(peer, 1, Frame::Act(act))), refused(sequence, code), "{sequence}");
    }
    assert_eq!((ledger(&kernel, &key).len(), runs(&kernel)), (8, 0));
    let mut good = nth(key, 8);
    good.action.name = "n".repeat(NAME_MAX_BYTES);
    good.action.arguments = string(ARGUMENTS_MAX_BYTES).into();
    assert_eq!(act(&mut kernel, good), did(8, "1"));
    // As many given as there may be are not refused: the home asks for them.
    let mut full = nth(key, 9);
    full.action.given = (0..GIVEN_MAX as u128).map(given).collect();
    let said = kernel.says(peer, 1, Frame::Act(full));
    let asked = said.iter().find_map(|frame| match frame {
        Frame::Need(need) => Some(need.lacks.len()),
        _ => None,
    });
    assert_eq!(asked, Some(GIVEN_MAX), "{said:?}");
}

#[test]
fn one_run_of_an_object_at_a_time_and_what_changed_meanwhile_is_looked_at_anew() {
    let (mut kernel, peer) = home();
    let (key, other) = (kernel.object(1, "Served"), kernel.object(2, "Served"));
    kernel.ready(10);
    for act_now in [nth(key, 1), nth(key, 2), asked(other, 1, "10".into())] {
        assert_eq!(act(&mut kernel, act_now), []);
    }
    assert_eq!(kernel.asked(), [1, 10], "objects side by side");
    // What runs already is not run again, and a copy of what waits is nothing.
    assert_eq!(kernel.says(peer, 1, Frame::Act(nth(key, 1))), []);
    assert_eq!(kernel.says(peer, 1, Frame::Act(nth(key, 2))), []);
    // An object that does not run is answered.
    let base = kernel.head(&key).unwrap();
    let scenario = Scenario::compose(Uuid::from_u128(1), "Served", "1", "me", "{\"n\":1}").unwrap();
    kernel.command(Command::Put { key, base: Some(base.id()), scenario: scenario.clone() });
    kernel.sent.clear();
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), [], "it ran on what is the newest no more");
    assert_eq!(kernel.asked(), [10, 1]);
    let run = kernel.desk.asked.lock().unwrap()[1].clone();
    assert_eq!((run.header.revision, &run.body), (2, scenario.bytes()));
    kernel.desk.asked.lock().unwrap().swap(0, 1);
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), did(1, "1"));
    assert_eq!(kernel.asked(), [10, 2]);
    // The right is taken back while it runs: nothing of it is kept.
    let may = Grant {
        scope: Scope::Kernel,
        right: Right::Act,
        kernel: peer,
        object: None,
        expires_ms: None,
        actions: None,
    };
    kernel.command(Command::Revoke(may));
    kernel.sent.clear();
    kernel.answer(done());
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), [refused(1, Code::Denied), refused(2, Code::Denied)].concat());
    assert_eq!(ledger(&kernel, &key), [(1, "done"), (2, "done"), (3, "done")]);
    // An answer that nobody waits for is none.
    let before = kernel.rows();
    kernel.desk.asked.lock().unwrap().push(run);
    kernel.answer(done());
    assert_eq!(kernel.rows(), before);
}

#[test]
fn so_many_acts_of_a_peer_wait_and_who_may_not_act_is_told_at_once() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Served");
    let stranger = kernel.befriend(8);
    kernel.greets(8, 2);
    kernel.ready(1000);
    let most = WINDOW_MAX_SHARES as u64;
    for sequence in 1..=most + 5 {
        assert_eq!(act(&mut kernel, nth(key, sequence)), []);
    }
    assert_eq!(kernel.engine.act.waiting.held_of(&peer).0, WINDOW_MAX_SHARES);
    assert_eq!(outcomes(kernel.says(stranger, 2, Frame::Act(nth(key, 1)))), refused(1, Code::Denied));
    let mut order = Vec::new();
    while let Some(first) = kernel.asked().first() {
        order.push(*first);
        kernel.answer(done());
    }
    // One ran, so many waited; the others come again.
    assert_eq!(order, (1..=most + 1).collect::<Vec<_>>());
    assert_eq!(kernel.engine.act.waiting.held_of(&peer), (0, 0));
}

#[test]
fn what_is_taken_back_while_it_waits_takes_the_place_of_its_action() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Served");
    kernel.ready(1000);
    for sequence in 1..=3 {
        assert_eq!(act(&mut kernel, nth(key, sequence)), []);
    }
    let void = Act { void: Some(Code::Cancelled), ..nth(key, 2) };
    assert_eq!(act(&mut kernel, void), []);
    kernel.sent.clear();
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), [did(1, "1"), refused(2, Code::Cancelled)].concat());
    assert_eq!(kernel.asked(), [3]);
    // What runs is not taken back any more.
    let void = Act { void: Some(Code::Cancelled), ..nth(key, 3) };
    assert_eq!(act(&mut kernel, void), []);
    kernel.sent.clear();
    kernel.answer(done());
    assert_eq!(outcomes(&kernel.sent), did(3, "1"));
}

#[test]
fn the_first_change_of_an_imported_copy_claims_it_and_its_lane_goes_on() {
    let (mut kernel, peer) = home();
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario: scenario.clone() });
    let mut look = nth(copy, 1);
    look.action.name = "look".into();
    assert_eq!(act(&mut kernel, look), did(1, "1"));
    assert!(kernel.head(&copy).is_some(), "what changes nothing claims nothing");
    let said = kernel.says(peer, 1, Frame::Act(nth(copy, 2))).to_vec();
    let [Frame::Outcome(told)] = said.as_slice() else { panic!("{said:?}") };
    let now = told.after.unwrap();
    assert!(told.lane.key == copy && now.key != copy && now.key.uuid == copy.uuid);
    let head = kernel.head(&now.key).unwrap();
    assert_eq!((head.revision, head.id(), told.certificate), (2, now.revision, head.certificate));
    assert_eq!(kernel.head(&copy), None);
    // The old name is a name of its lane still, and the new one begins another.
    assert_eq!(act(&mut kernel, nth(copy, 3)), did(3, "3"));
    assert_eq!(act(&mut kernel, asked(now.key, 1, "4".into())), did(1, "4"));
    let rows = history(&kernel.store, &now.key).unwrap();
    assert_eq!(rows.iter().map(|row| row.entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(rows.iter().map(|row| row.entry.revision).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(broken_link(&rows), None);
    // What has an effect needs a name that lasts.
    let scenario = Scenario::compose(Uuid::from_u128(6), "Puppet", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    say(&mut kernel, effects(vec![timer("t", "rang", "1".into())]));
    assert_eq!(act(&mut kernel, nth(copy, 1)), did(1, "1"));
    assert_eq!(kernel.head(&copy), None);
}

#[test]
fn a_receipt_proves_what_was_recorded_and_nothing_else() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Paper");
    kernel.ctx.now_ms += 5;
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    kernel.ctx.now_ms += 5;
    assert_eq!(act(&mut kernel, nth(key, 2)), did(2, "2"));
    let incarnation = Incarnation::from_bytes([1; 16]);
    let get = |of: &ReceiptOf, life| receipt(&kernel.store, &kernel.ctx.key, (peer, life), of).unwrap();
    let of = |sequence, id| ReceiptOf { lane: key.into(), sequence, id: Uuid::from_u128(id) };
    let first = get(&of(1, 1), incarnation).unwrap();
    first.verify(&kernel.id()).unwrap();
    assert_eq!((first.at_ms, &first.outcome), (NOW_MS + 5, &Some(Outcome::Done("1".into()))));
    let entry: &Entry = &first.entry;
    assert_eq!((entry.number, entry.sequence, entry.origin, entry.id), (2, 1, peer, Uuid::from_u128(1)));
    assert_eq!(entry.action, nth(key, 1).action.hash(&key.uuid));
    let second = get(&of(2, 2), incarnation).unwrap();
    assert_eq!(second.entry.previous, entry.hash());
    assert_eq!(first.chain.unwrap().genesis.uuid, key.uuid);
    for (of, life) in [(of(1, 2), 1), (of(3, 3), 1), (of(1, 1), 2)] {
        assert!(get(&of, Incarnation::from_bytes([life; 16])).is_none(), "{of:?}");
    }
}

#[test]
fn what_is_put_off_for_itself_is_asked_after_the_others() {
    let (mut kernel, _) = home();
    let objects: Vec<_> = (1..=3).map(|n| kernel.object(n, "Puppet")).collect();
    for key in &objects {
        say(&mut kernel, RunResult::Later(Wait::ForItself));
        assert_eq!(act(&mut kernel, nth(*key, 1)), []);
    }
    let whys: Vec<_> = kernel.standing().into_iter().map(|stands| (stands.key, stands.why)).collect();
    let itself = crate::waist::StandsFor::Itself;
    assert_eq!(whys, objects.iter().map(|key| (*key, itself)).collect::<Vec<_>>());
    // The first waits on, the others are done; all are asked in the order in which they wait.
    say(&mut kernel, RunResult::Later(Wait::ForItself));
    kernel.desk.seen.lock().unwrap().clear();
    kernel.input(Input::Ready { component: "Puppet".into() });
    let asked: Vec<_> = kernel.desk.seen.lock().unwrap().iter().map(|run| run.key).collect();
    assert_eq!(asked, objects);
    assert_eq!(kernel.standing().len(), 1);
    kernel.input(Input::Ready { component: "Other".into() });
    assert_eq!(kernel.standing().len(), 1, "another component is none of its business");
    // Sent again, it is tried again.
    assert_eq!(act(&mut kernel, nth(objects[0], 1)), did(1, "1"));
    assert!(kernel.engine.act.waiting.is_empty());
}

/// The seed of a run is the same when it is run again, and another one for everything else.
#[test]
fn a_run_is_told_who_asked_and_when_and_what_it_draws() {
    let (mut kernel, peer) = home();
    let (key, other) = (kernel.object(1, "Open"), kernel.object(2, "Open"));
    kernel.ctx.now_ms += 7;
    act(&mut kernel, nth(key, 1));
    act(&mut kernel, nth(key, 2));
    act(&mut kernel, nth(other, 1));
    kernel.act(key, 1);
    let seen = kernel.desk.seen.lock().unwrap().clone();
    assert_eq!((seen[0].origin, seen[0].key, seen[0].now_ms), (peer, key, NOW_MS + 7));
    assert_eq!(seen[3].origin, kernel.id());
    let mut seeds: Vec<_> = seen.iter().map(|run| run.seed).collect();
    let mut causes: Vec<_> = seen.iter().map(|run| run.cause).collect();
    seeds.sort_unstable();
    seeds.dedup();
    causes.sort_unstable();
    causes.dedup();
    assert_eq!((seeds.len(), causes.len()), (4, 4));
    // Nobody who knows all of it but the key can foresee them.
    let mut again = Alone::kernel(6);
    let same = again.object(1, "Open");
    let guest = again.befriend(9);
    again.may_act(guest);
    again.greets(9, 1);
    act(&mut again, nth(same, 1));
    let run = again.desk.seen.lock().unwrap()[0].clone();
    assert_eq!(run.cause, seen[0].cause);
    assert_ne!(run.seed, seen[0].seed);
}

/// Durable before visible: an outcome leaves after the commit that waited for the disk.
#[test]
fn what_a_home_tells_is_on_its_disk() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Paper");
    act(&mut kernel, nth(key, 1));
    assert_eq!(kernel.store.unsynced(), 0);
    kernel.crash(0);
    kernel.greets(9, 2);
    assert_eq!(outcomes(kernel.says(peer, 2, Frame::Act(nth(key, 1)))), did(1, "1"));
    assert_eq!(runs(&kernel), 1);
}

/// The latest that were refused on a connection are remembered; one that came before them is looked at anew.
#[test]
fn so_many_refusals_are_remembered() {
    let mut kernel = Alone::new();
    let (key, peer) = (kernel.object(1, "Open"), kernel.befriend(9));
    kernel.greets(9, 1);
    let most = 4 * WINDOW_MAX_SHARES as u64;
    for sequence in (1..=most + 1).chain([most + 1]) {
        assert_eq!(act(&mut kernel, nth(key, sequence)), refused(sequence, Code::Denied));
    }
    kernel.may_act(peer);
    assert_eq!(act(&mut kernel, nth(key, 1)), did(1, "1"));
    for sequence in [2, most, most + 1] {
        let floor = sequence;
        assert_eq!(act(&mut kernel, Act { floor, ..nth(key, sequence) }), refused(sequence, Code::Denied));
    }
}

/// The commit number that a home tells with an outcome is one that is on its disk when that leaves.
#[test]
fn an_outcome_tells_how_far_its_home_is() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Paper");
    let commits = |frames: &[Frame]| {
        let told = frames.iter().filter_map(|frame| match frame {
            Frame::Outcome(told) => Some(told.commit),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    let before = crate::meta::commit_number(&kernel.store).unwrap();
    let said = kernel.says(peer, 1, Frame::Act(nth(key, 1))).to_vec();
    assert_eq!(commits(&said), [Some(before + 1)]);
    // Nothing is written for who may not: the last one that is on the disk.
    let absent = ObjectKey { uuid: Uuid::from_u128(99), ..key };
    let said = kernel.says(peer, 1, Frame::Act(nth(absent, 1))).to_vec();
    assert_eq!(commits(&said), [Some(before + 1)]);
}
