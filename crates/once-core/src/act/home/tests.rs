//! What a home does with an act, in the order of the table in docs/protocol.md, 5.5.

use once_model::action::{Act, Given, LaneName, Outcome};
use once_model::ids::{Hash, Incarnation, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{
    ARGUMENTS_MAX_BYTES, DISK_RESERVE_BYTES, EFFECTS_MAX, GIVEN_MAX, GIVEN_WAIT_MS, LACKING_OF_PEER_MAX,
    NAME_MAX_BYTES, REMINDER_MAX_BYTES, SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES,
};
use once_model::receipt::{Entry, ReceiptOf};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, Parcel};

use crate::access::{Grant, Right, Scope};
use crate::act::{broken_link, history, receipt};
use crate::object::unclaimed;
use crate::store::Table;
use crate::testing::{Alone, NOW_MS, asked, done};
use crate::waist::{Command, Consequence, Event, Input, Run, RunResult, Then, Wait};

/// Kernel 9 may act on everything, and is connected.
fn home() -> (Alone, KernelId) {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.may_act(peer);
    kernel.greets(9, 1);
    (kernel, peer)
}

/// What is answered to an act: places and outcomes.
fn outcomes(frames: &[Frame]) -> Vec<(u64, Outcome)> {
    let told = frames.iter().filter_map(|frame| match frame {
        Frame::Outcome(told) => Some((told.sequence, told.outcome.clone())),
        _ => None,
    });
    told.collect()
}

fn act(kernel: &mut Alone, act: Act) -> Vec<(u64, Outcome)> {
    let peer = kernel.peer_id(9);
    outcomes(kernel.says(peer, 1, Frame::Act(act)))
}

fn refused(sequence: u64, code: Code) -> Vec<(u64, Outcome)> {
    vec![(sequence, Outcome::Refused(code))]
}

fn nth(key: ObjectKey, sequence: u64) -> Act {
    asked(key, sequence, sequence.to_string())
}

fn did(sequence: u64, result: &str) -> Vec<(u64, Outcome)> {
    vec![(sequence, Outcome::Done(result.to_owned().into()))]
}

/// How many actions a component was asked for, at once or elsewhere.
fn runs(kernel: &Alone) -> usize {
    kernel.desk.seen.lock().unwrap().len()
}

fn ledger(kernel: &Alone, key: &ObjectKey) -> Vec<(u64, &'static str)> {
    let rows = history(&kernel.store, key).unwrap();
    rows.iter().map(|row| (row.entry.number, row.status.unwrap().word())).collect()
}

fn say(kernel: &mut Alone, result: RunResult) {
    kernel.desk.says.lock().unwrap().push_back(result);
}

fn effects(consequences: Vec<Consequence>) -> RunResult {
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
}

/// What an act names, and how it is shared.
fn note(n: u128) -> (Given, Parcel) {
    let scenario = Scenario::compose(Uuid::from_u128(n), "Note", "1", "me", "{}").unwrap();
    let header = unclaimed(&scenario);
    let given = Given { key: header.key(), content: header.content };
    (given, Parcel { header, chain: None, body: Some(scenario.bytes().clone()), commit: None })
}

fn with(key: ObjectKey, sequence: u64, given: &[Given]) -> Act {
    let mut act = nth(key, sequence);
    act.action.given = given.to_vec();
    act
}

fn needs(frames: &[Frame]) -> Vec<(u64, Vec<Given>)> {
    let needs = frames.iter().filter_map(|frame| match frame {
        Frame::Need(need) => Some((need.sequence, need.lacks.clone())),
        _ => None,
    });
    needs.collect()
}

#[test]
fn an_act_waits_for_what_it_is_given_and_its_lane_behind_it() {
    let (mut kernel, peer) = home();
    kernel.grant(peer, Right::Share, Scope::Kernel);
    let (key, other) = (kernel.object(1, "Open"), kernel.object(2, "Open"));
    let ((one, share_one), (two, share_two)) = (note(51), note(52));
    let said = kernel.says(peer, 1, Frame::Act(with(key, 1, &[one, two]))).to_vec();
    assert_eq!(needs(&said), [(1, vec![one, two])]);
    assert_eq!(outcomes(&said), []);
    // Its lane waits behind it, others do not. Sent again on the same connection, it is nothing new.
    assert_eq!(act(&mut kernel, nth(key, 2)), []);
    assert_eq!(act(&mut kernel, nth(other, 1)), did(1, "1"));
    assert_eq!(kernel.says(peer, 1, Frame::Act(with(key, 1, &[one, two]))), []);
    let said = kernel.says(peer, 1, Frame::Share(share_two)).to_vec();
    assert_eq!((outcomes(&said), needs(&said)), (vec![], vec![]));
    assert!(kernel.desk.seen.lock().unwrap().iter().all(|run| run.action.given.is_empty()));
    // On a new connection it is told what still lacks.
    kernel.greets(9, 2);
    let again = kernel.says(peer, 2, Frame::Act(with(key, 1, &[one, two]))).to_vec();
    assert_eq!(needs(&again), [(1, vec![one])]);
    let said = kernel.says(peer, 2, Frame::Share(share_one)).to_vec();
    assert_eq!(outcomes(&said), [did(1, "1"), did(2, "1")].concat());
    let seen = kernel.desk.seen.lock().unwrap();
    let of_given = |run: &&Run| !run.action.given.is_empty();
    let bodies = seen.iter().find(of_given).unwrap().given.clone();
    assert_eq!(bodies.len(), 2);
    assert!(std::str::from_utf8(&bodies[0]).unwrap().contains("0033"), "in the order of the action");
}

#[test]
fn only_what_the_origin_has_shown_counts_as_given() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Open");
    let (mine, _) = note(60);
    let scenario = Scenario::compose(Uuid::from_u128(60), "Note", "1", "me", "{}").unwrap();
    kernel.command(Command::Import { source: None, over: None, scenario });
    // It is here, and to know its hash is not to have the bytes.
    let said = kernel.says(peer, 1, Frame::Act(with(key, 1, &[mine]))).to_vec();
    assert_eq!(needs(&said), [(1, vec![mine])]);
    // With the right to read it, it is shown.
    kernel.grant(peer, Right::Read, Scope::Object(mine.key));
    kernel.greets(9, 2);
    kernel.ring(|_| true);
    kernel.pass(2 * GIVEN_WAIT_MS);
    assert_eq!(ledger(&kernel, &key), [(1, "done"), (2, "refused")], "the time was over");
    assert_eq!(outcomes(kernel.says(peer, 2, Frame::Act(with(key, 2, &[mine])))), did(2, "1"));
    // Other bytes of the same object do not.
    let stale = Given { content: Hash::from_bytes([5; 32]), ..mine };
    let said = kernel.says(peer, 2, Frame::Act(with(key, 3, &[stale]))).to_vec();
    assert_eq!(needs(&said), [(3, vec![stale])]);
}

#[test]
fn what_does_not_come_in_time_or_is_not_taken_is_lacking() {
    let (mut kernel, peer) = home();
    let key = kernel.object(1, "Open");
    let ((given, share), (other, _)) = (note(51), note(52));
    assert_eq!(act(&mut kernel, with(key, 1, &[given])), []);
    kernel.sent.clear();
    kernel.pass(GIVEN_WAIT_MS - 1);
    assert_eq!(outcomes(&kernel.sent), []);
    kernel.pass(GIVEN_WAIT_MS + 1);
    assert_eq!(outcomes(&kernel.sent), refused(1, Code::Lacking));
    // It has no right to share: the share is refused, and so is the act.
    assert_eq!(act(&mut kernel, with(key, 2, &[given])), []);
    assert_eq!(outcomes(kernel.says(peer, 1, Frame::Share(share.clone()))), refused(2, Code::Lacking));
    // What is refused for now comes again: the act waits.
    kernel.grant(peer, Right::Share, Scope::Kernel);
    assert_eq!(act(&mut kernel, with(key, 3, &[given])), []);
    kernel.input(Input::Disk { free_bytes: 0 });
    assert_eq!(outcomes(kernel.says(peer, 1, Frame::Share(share.clone()))), []);
    kernel.input(Input::Disk { free_bytes: u64::MAX });
    assert_eq!(outcomes(kernel.says(peer, 1, Frame::Share(share))), did(3, "1"));
    // Taken back, it need not wait, and what stands behind it goes on.
    assert_eq!(act(&mut kernel, with(key, 4, &[other])), []);
    assert_eq!(act(&mut kernel, nth(key, 5)), []);
    let void = Act { void: Some(Code::Cancelled), ..with(key, 4, &[other]) };
    assert_eq!(act(&mut kernel, void), [refused(4, Code::Cancelled), did(5, "1")].concat());
    assert!(kernel.engine.act.waiting.is_empty());
}

/// What was here already and its origin may not read was shown by the share alone.
#[test]
fn what_was_shown_for_an_act_that_is_put_off_need_not_be_shown_again() {
    let (mut kernel, peer) = home();
    kernel.grant(peer, Right::Share, Scope::Kernel);
    let key = kernel.object(1, "Puppet");
    let (given, share) = note(60);
    let scenario = Scenario::parse(share.body.clone().unwrap()).unwrap();
    kernel.command(Command::Import { source: None, over: None, scenario });
    let said = kernel.says(peer, 1, Frame::Act(with(key, 1, &[given]))).to_vec();
    assert_eq!(needs(&said), [(1, vec![given])]);
    say(&mut kernel, RunResult::Later(Wait::ForItself));
    assert_eq!(outcomes(kernel.says(peer, 1, Frame::Share(share))), []);
    assert_eq!(kernel.standing().len(), 1);
    // Sent again, it is tried again.
    assert_eq!(act(&mut kernel, with(key, 1, &[given])), did(1, "1"));
}

#[test]
fn so_many_lanes_of_a_peer_wait_for_scenarios_and_no_more() {
    let (mut kernel, peer) = home();
    let objects: Vec<_> = (0..=LACKING_OF_PEER_MAX as u128).map(|n| kernel.object(100 + n, "Open")).collect();
    let (given, _) = note(51);
    for (n, key) in objects.iter().enumerate() {
        let said = kernel.says(peer, 1, Frame::Act(with(*key, 1, &[given]))).to_vec();
        assert_eq!(needs(&said).len(), usize::from(n < LACKING_OF_PEER_MAX), "{n}");
    }
    // Another peer has its own.
    let other = kernel.connected(8);
    let said = kernel.says(other.kernel, 1, Frame::Act(with(objects[0], 1, &[given]))).to_vec();
    assert_eq!(needs(&said).len(), 1);
}

/// What this kernel's own clients are given must be here.
#[test]
fn an_own_action_waits_for_nothing() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Open");
    let (given, _) = note(60);
    let wish = |kernel: &Alone, n, given| match kernel.wish(key, "go", n) {
        Command::Act { key, at, mut action, deadline_ms, wait } => {
            action.given = vec![given];
            Command::Act { key, at, action, deadline_ms, wait }
        }
        other => panic!("{other:?}"),
    };
    let command = wish(&kernel, 1, given);
    let lacking = kernel.command(command);
    assert_eq!(kernel.outcome(lacking), Some(&Outcome::Refused(Code::Lacking)));
    let scenario = Scenario::compose(Uuid::from_u128(60), "Note", "1", "me", "{}").unwrap();
    kernel.command(Command::Import { source: None, over: None, scenario });
    let command = wish(&kernel, 2, given);
    let token = kernel.command(command);
    assert_eq!(kernel.outcome(token), Some(&Outcome::Done("1".into())));
}

#[test]
fn what_is_given_may_be_so_large_all_together() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Open");
    let notes: Vec<_> = (60..62)
        .map(|n| {
            let scenario = Scenario::compose(Uuid::from_u128(n), "Note", "1", "me", "{}").unwrap();
            kernel.command(Command::Import { source: None, over: None, scenario });
            note(n).0
        })
        .collect();
    let mut sized = |bytes: u64, n: u64| {
        // As if they were as large.
        kernel.step(|s| {
            for given in &notes {
                let mut head = crate::object::head(s.txn, &given.key)?.unwrap();
                head.header.size = bytes / 2;
                s.txn.put(Table::Head, &given.key.to_row(), &head);
            }
            Ok(())
        });
        let command = match kernel.wish(key, "go", n) {
            Command::Act { key, at, mut action, deadline_ms, wait } => {
                action.given.clone_from(&notes);
                Command::Act { key, at, action, deadline_ms, wait }
            }
            other => panic!("{other:?}"),
        };
        let token = kernel.command(command);
        kernel.outcome(token).cloned()
    };
    assert_eq!(sized(SCENARIO_MAX_BYTES as u64, 1), Some(Outcome::Done("1".into())));
    assert_eq!(sized(SCENARIO_MAX_BYTES as u64 + 2, 2), Some(Outcome::Refused(Code::TooLarge)));
}

#[test]
fn what_a_component_says_is_recorded_as_it_is() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Puppet");
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let state = |uuid, n: u32| {
        Some(
            Scenario::compose(Uuid::from_u128(uuid), "Puppet", "1", "me", &format!("{{\"n\":{n}}}")).unwrap(),
        )
    };
    let done = |state, result: String| RunResult::Done { state, result: result.into(), consequences: vec![] };
    let (long, longer) = (string(ARGUMENTS_MAX_BYTES), string(ARGUMENTS_MAX_BYTES + 1));
    let failed = |reason: &str| Outcome::Failed(reason.to_owned().into());
    let said = [
        (done(state(1, 1), long.clone()), Outcome::Done(long.clone().into()), 2),
        (done(state(1, 2), longer.clone()), Outcome::Refused(Code::TooLarge), 2),
        (RunResult::Failed(long.clone().into()), failed(&long), 2),
        (RunResult::Failed(longer.into()), Outcome::Refused(Code::TooLarge), 2),
        (RunResult::Refused(Code::NoComponent), Outcome::Refused(Code::NoComponent), 2),
        (done(state(2, 1), "1".into()), Outcome::Refused(Code::Invalid), 2),
        // The same bytes are no new revision.
        (done(state(1, 1), "1".into()), Outcome::Done("1".into()), 2),
        (done(state(1, 3), "1".into()), Outcome::Done("1".into()), 3),
        (done(None, "1".into()), Outcome::Done("1".into()), 3),
    ];
    for (sequence, (result, outcome, revision)) in (1..).zip(said) {
        let before = kernel.head(&key).unwrap();
        say(&mut kernel, result);
        kernel.events.clear();
        assert_eq!(act(&mut kernel, nth(key, sequence)), [(sequence, outcome.clone())]);
        let head = kernel.head(&key).unwrap();
        assert_eq!(head.revision, revision, "{sequence}");
        let acted = kernel.events.iter().any(|event| {
            matches!(event, Event::Acted { id, outcome: told, name, .. }
                if (*id, told) == (Uuid::from_u128(u128::from(sequence)), &outcome)
                    && *name == nth(key, sequence).action.name)
        });
        assert!(acted, "{sequence}");
        let changed = kernel.events.iter().any(|event| matches!(event, Event::Changed { .. }));
        assert_eq!(changed, head.revision > before.revision);
        if changed {
            let cause = head.cause.as_ref().unwrap();
            assert_eq!((cause.sequence, cause.id), (sequence, Uuid::from_u128(u128::from(sequence))));
            assert_eq!(head.parent, Some(before.id()));
        }
    }
    assert_eq!(broken_link(&history(&kernel.store, &key).unwrap()), None);
}

fn timer(name: &str, action: &str, with: String) -> Consequence {
    let then = Then { action: action.into(), with: with.into() };
    Consequence::Timer { name: name.into(), after_ms: 60_000, then }
}

#[test]
fn effects_that_no_kernel_takes_are_refused_whole() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Puppet");
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let publish = |name: &str, data: String| Consequence::Publish { name: name.into(), data: data.into() };
    let work = |name: &str, arguments: String, with: &str| Consequence::Activity {
        name: name.into(),
        arguments: arguments.into(),
        then: Then { action: "made".into(), with: with.to_owned().into() },
    };
    let good = |n: usize| (0..n).map(|_| publish("p", "1".into())).collect::<Vec<_>>();
    let long = "n".repeat(NAME_MAX_BYTES);
    let bad = [
        (good(EFFECTS_MAX + 1), Code::TooLarge),
        (vec![publish("", "1".into())], Code::Invalid),
        (vec![publish("once:p", "1".into())], Code::Invalid),
        (vec![publish("p", "{".into())], Code::Invalid),
        (vec![publish("p", string(ARGUMENTS_MAX_BYTES + 1))], Code::TooLarge),
        (vec![publish(&format!("{long}n"), "1".into())], Code::TooLarge),
        (vec![timer("", "rang", "1".into())], Code::Invalid),
        (vec![timer("t", "", "1".into())], Code::Invalid),
        (vec![timer("t", "rang", string(REMINDER_MAX_BYTES + 1))], Code::TooLarge),
        (vec![timer("t", "rang", "]".into())], Code::Invalid),
        (vec![Consequence::CancelTimer { name: String::new() }], Code::Invalid),
        (vec![work("", "1".into(), "1")], Code::Invalid),
        (vec![work("w", "{".into(), "1")], Code::Invalid),
        (vec![work("w", string(ARGUMENTS_MAX_BYTES + 1), "1")], Code::TooLarge),
        (vec![work("w", "1".into(), "}")], Code::Invalid),
        // One that is good does not come to be beside one that is not.
        (vec![timer("t", "rang", "1".into()), publish("", "1".into())], Code::Invalid),
    ];
    let mut sequence = 0;
    for (consequences, code) in bad {
        sequence += 1;
        say(&mut kernel, effects(consequences));
        assert_eq!(act(&mut kernel, nth(key, sequence)), refused(sequence, code), "{sequence}");
    }
    assert!(kernel.rows().iter().all(|(table, ..)| !matches!(table, Table::Timer | Table::Activity)));
    assert!(kernel.works.is_empty());
    let most = vec![
        publish(&long, string(ARGUMENTS_MAX_BYTES)),
        timer(&long, "rang", string(REMINDER_MAX_BYTES)),
        work("w", string(ARGUMENTS_MAX_BYTES), "1"),
        Consequence::CancelTimer { name: "none".into() },
    ];
    for consequences in [good(EFFECTS_MAX), most] {
        sequence += 1;
        say(&mut kernel, effects(consequences));
        kernel.events.clear();
        assert_eq!(act(&mut kernel, nth(key, sequence)), did(sequence, "1"));
        assert!(kernel.events.iter().any(|event| matches!(event, Event::Published { .. })));
    }
    let published = Event::Published { key, name: long, data: string(ARGUMENTS_MAX_BYTES).into() };
    assert!(kernel.events.contains(&published));
    assert_eq!(kernel.works.len(), 1);
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
