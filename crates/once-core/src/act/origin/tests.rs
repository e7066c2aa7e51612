//! What an origin does with an action until its outcome is here: docs/protocol.md, 5.5, *The origin* and *Voids*.

use once_model::action::{Act, ActOutcome, Given, Missing, Need, Outcome, client_id};
use once_model::ids::{Hash, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::limits::{
    ARGUMENTS_MAX_BYTES, DISK_RESERVE_BYTES, GIVEN_MAX, ID_AHEAD_MAX_MS, QUEUE_MAX_ROWS, RESEND_AFTER_MS,
    WINDOW_MAX_BYTES, WINDOW_MAX_SHARES,
};
use once_model::scenario::Scenario;
use once_model::wire::{Code, FEATURE_ACTIONS, Frame, Greeting, ShareAnswer, Shared};

use crate::access::{Right, Scope};
use crate::act::{LaneId, SendingRow, request};
use crate::engine::{Engine, Limits};
use crate::object::unclaimed;
use crate::refusal::Refusal;
use crate::share::{Debt, debt};
use crate::store::{Batch, Table};
use crate::testing::{Alone, NOW_MS, Pair, Side, greeting};
use crate::waist::{Answer, Call, Command, Consequence, Effect, Event, Input, RunResult, Then, Timer, Token};

/// No places.
const NONE: [u64; 0] = [];

/// Kernel 9 is connected; an object there.
fn origin() -> (Alone, KernelId, ObjectKey) {
    let mut kernel = Alone::new();
    let home = kernel.befriend(9);
    kernel.greets(9, 1);
    kernel.sent.clear();
    (kernel, home, there(77))
}

fn there(n: u128) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(n), line: Line::Claimed(Lineage::from_bytes([7; 32])) }
}

/// The acts that were said since.
fn acts(kernel: &mut Alone) -> Vec<Act> {
    let acts = kernel.sent.drain(..).filter_map(|frame| match frame {
        Frame::Act(act) => Some(act),
        _ => None,
    });
    acts.collect()
}

fn sequences(kernel: &mut Alone) -> Vec<u64> {
    acts(kernel).into_iter().map(|act| act.sequence).collect()
}

/// A step that sends all that waits would take long.
#[test]
fn one_step_sends_so_many_and_leaves_the_rest_to_the_next() {
    const MANY: usize = 100;
    let (mut kernel, home, _) = origin();
    kernel.down(9, 1);
    for n in 0..MANY {
        kernel.act_at(home, there(n as u128), n as u64);
    }
    kernel.up(9, 2);
    let hello = greeting(&once_model::sign::KernelKey::from_bytes(&[9; 32]));
    let hello = Frame::Hello(Greeting { features: vec![FEATURE_ACTIONS], ..hello });
    let (mut sent, mut again) = (0, 0);
    let Alone { engine, store, ctx, dice, .. } = &mut kernel;
    let release = &mut |effect| match effect {
        Effect::Send { frame: Frame::Act(_), .. } => sent += 1,
        Effect::Timer { after_ms: 0, timer: Timer::Pump(_) } => again += 1,
        _ => {}
    };
    let input = Input::Frame { peer: home, conn: 2, frame: hello };
    crate::group::run(engine, store, ctx, dice, [input], release).unwrap();
    assert!((1..MANY).contains(&sent) && again == 1, "{sent}, {again}");
}

/// Until then it costs nothing to leave it there: the lane is likely to be used again.
#[test]
fn a_lane_of_which_nothing_waits_leaves_the_outbox_when_the_pump_comes_by() {
    let (mut kernel, home, key) = origin();
    kernel.act_at(home, key, 1);
    let act = acts(&mut kernel).remove(0);
    let owed = |kernel: &Alone| kernel.rows().iter().filter(|(table, ..)| *table == Table::Outbox).count();
    assert_eq!(owed(&kernel), 1);
    kernel.says(home, 1, done(&act));
    kernel.down(9, 1);
    kernel.greets(9, 2);
    assert_eq!(owed(&kernel), 0);
}

fn outcome_of(act: &Act, outcome: Outcome) -> Frame {
    let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
    Frame::Outcome(ActOutcome { lane, sequence, id, outcome, after: None, commit: None, certificate: None })
}

fn done(act: &Act) -> Frame {
    outcome_of(act, Outcome::Done("1".into()))
}

/// An action with changes.
fn wish(
    kernel: &Alone,
    home: Option<KernelId>,
    key: ObjectKey,
    n: u64,
    change: impl FnOnce(&mut Command),
) -> Command {
    let mut wish = kernel.wish(key, "go", n);
    if let Command::Act { at, .. } = &mut wish {
        *at = home;
    }
    change(&mut wish);
    wish
}

fn with_id(id: Uuid) -> impl FnOnce(&mut Command) {
    move |command| {
        if let Command::Act { action, .. } = command {
            action.id = id;
        }
    }
}

fn within(ms: u64) -> impl FnOnce(&mut Command) {
    move |command| {
        if let Command::Act { deadline_ms, .. } = command {
            *deadline_ms = Some(ms);
        }
    }
}

fn given(given: Vec<Given>) -> impl FnOnce(&mut Command) {
    move |command| {
        if let Command::Act { action, .. } = command {
            action.given = given;
        }
    }
}

fn id_of(n: u64) -> Uuid {
    let kernel = Alone::new();
    match kernel.wish(there(1), "go", n) {
        Command::Act { action, .. } => action.id,
        other => panic!("{other:?}"),
    }
}

fn refused(kernel: &Alone, token: Token, code: Code) -> bool {
    kernel.outcome(token) == Some(&Outcome::Refused(code))
}

#[test]
fn what_is_accepted_is_on_the_disk_and_sent_until_its_outcome_is_here() {
    let (mut kernel, home, key) = origin();
    let token = kernel.act_at(home, key, 1);
    let first = acts(&mut kernel);
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].lane, first[0].sequence, first[0].floor), (key.into(), 1, 1));
    assert_eq!(
        (first[0].remaining_ms, first[0].void, first[0].certificate, first[0].guest),
        (None, None, None, None)
    );
    assert_eq!(kernel.store.unsynced(), 0);
    // Again after 10 s, by its own clock, and not before.
    kernel.pass(RESEND_AFTER_MS - 1);
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.pass(1);
    let again = Act { commit: first[0].commit, ..acts(&mut kernel).remove(0) };
    assert_eq!(again, first[0]);
    kernel.pass(RESEND_AFTER_MS);
    assert_eq!(sequences(&mut kernel), [1]);
    // After a power loss, on the next connection.
    kernel.crash(0);
    kernel.greets(9, 2);
    assert_eq!(
        acts(&mut kernel).into_iter().map(|act| (act.sequence, act.action)).collect::<Vec<_>>(),
        [(1, first[0].action.clone())]
    );
    assert!(!kernel.answered.contains_key(&token));
    let again = kernel.act_at(home, key, 1);
    kernel.says(home, 2, done(&first[0]));
    assert_eq!(kernel.outcome(again), Some(&Outcome::Done("1".into())));
    kernel.pass(10 * RESEND_AFTER_MS);
    assert_eq!(sequences(&mut kernel), NONE);
}

#[test]
fn an_outcome_counts_from_that_home_with_that_place_and_id_and_once() {
    let (mut kernel, home, key) = origin();
    let other = kernel.befriend(8);
    kernel.greets(8, 2);
    let tokens = [1, 2].map(|n| kernel.act_at(home, key, n));
    let sent = acts(&mut kernel);
    let not_ours = [
        (other, 2, done(&sent[1])),
        (home, 1, done(&Act { sequence: 3, ..sent[1].clone() })),
        (home, 1, done(&Act { lane: there(78).into(), ..sent[1].clone() })),
        (home, 1, done(&Act { action: sent[0].action.clone(), ..sent[1].clone() })),
    ];
    for (from, conn, frame) in not_ours {
        kernel.says(from, conn, frame);
        assert_eq!(kernel.outcome(tokens[1]), None);
    }
    kernel.events.clear();
    kernel.says(home, 1, outcome_of(&sent[1], Outcome::Failed("\"no\"".into())));
    let no = Outcome::Failed("\"no\"".into());
    assert_eq!(kernel.outcome(tokens[1]), Some(&no));
    assert_eq!(kernel.events, [Event::Outcome { key, id: sent[1].action.id, outcome: no.clone() }]);
    // What its home has on its disk is told before it is written down here.
    assert!(
        matches!(&kernel.early[..], [Effect::Told { outcome, .. }] if *outcome == no),
        "{:?}",
        kernel.early
    );
    kernel.says(home, 1, done(&sent[1]));
    let again = kernel.act_at(home, key, 2);
    assert_eq!(kernel.outcome(again), Some(&no), "the first one counts");
    // What was refused is on the disk before anybody is told: its home may have written nothing.
    kernel.says(home, 1, outcome_of(&sent[0], Outcome::Refused(Code::Denied)));
    assert!(refused(&kernel, tokens[0], Code::Denied) && kernel.store.unsynced() == 0);
    assert!(kernel.early.is_empty());
}

#[test]
fn a_floor_is_the_lowest_place_without_an_outcome() {
    let (mut kernel, home, key) = origin();
    for n in 1..=4 {
        kernel.act_at(home, key, n);
    }
    let sent = acts(&mut kernel);
    assert_eq!(
        sent.iter().map(|act| (act.sequence, act.floor)).collect::<Vec<_>>(),
        [(1, 1), (2, 1), (3, 1), (4, 1)]
    );
    for (n, floor) in [(1, 1), (2, 1), (0, 4)] {
        kernel.says(home, 1, done(&sent[n]));
        kernel.act_at(home, key, 10 + n as u64);
        let next = acts(&mut kernel);
        assert_eq!((next.len(), next[0].floor), (1, floor), "{n}");
        // What lies below the floor is on the disk when it is told.
        assert_eq!(kernel.store.unsynced(), 0);
    }
    // Also after a start.
    kernel.restart();
    kernel.greets(9, 2);
    let again = acts(&mut kernel);
    assert_eq!(
        again.iter().map(|act| (act.sequence, act.floor)).collect::<Vec<_>>(),
        [(4, 4), (5, 4), (6, 4), (7, 4)]
    );
    again.iter().for_each(|act| drop(kernel.says(home, 2, done(act)).to_vec()));
    kernel.restart();
    kernel.greets(9, 3);
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.act_at(home, key, 20);
    assert_eq!(acts(&mut kernel).iter().map(|act| (act.sequence, act.floor)).collect::<Vec<_>>(), [(8, 8)]);
}

/// However many: after a start a lane goes on where it was.
#[test]
fn a_lane_goes_on_after_a_start_where_it_was() {
    for last in [1, 2, 63, 64, 65, 130] {
        let (mut kernel, home, key) = origin();
        for n in 1..=last {
            kernel.act_at(home, key, n);
        }
        let sent = acts(&mut kernel);
        sent.iter().take(sent.len() / 2).for_each(|act| drop(kernel.says(home, 1, done(act)).to_vec()));
        kernel.crash(0);
        kernel.greets(9, 2);
        kernel.act_at(home, key, 1000);
        let place = request(&kernel.store, &id_of(1000)).unwrap().unwrap();
        assert_eq!(place.sequence, last + 1, "{last}");
    }
}

#[test]
fn so_many_actions_are_under_way_to_one_home() {
    let (mut kernel, home, key) = origin();
    let most = WINDOW_MAX_SHARES as u64;
    for n in 0..most + 44 {
        kernel.act_at(home, key, n);
    }
    let first = acts(&mut kernel);
    // A lane that stands still leaves half of the room to others.
    assert_eq!(first.len() as u64, most / 2);
    for n in 0..most {
        kernel.act_at(home, there(78), 1000 + n);
    }
    let second = acts(&mut kernel);
    assert_eq!(second.len() as u64, most / 4);
    // Each outcome moves its lane on; all come, in their order, and never more than so many at once.
    let (mut way, mut order) = (std::collections::VecDeque::from([first, second].concat()), Vec::new());
    while let Some(act) = way.pop_front() {
        kernel.says(home, 1, done(&act));
        order.push((act.lane, act.sequence));
        way.extend(acts(&mut kernel));
        assert!(way.len() as u64 <= most);
    }
    let of = |key: ObjectKey| order.iter().filter(move |(lane, _)| lane.key == key).map(|(_, n)| *n);
    assert!(of(key).eq(1..=most + 44), "{:?}", of(key).collect::<Vec<_>>());
    assert!(of(there(78)).eq(1..=most));
}

#[test]
fn so_many_bytes_of_arguments_are_under_way() {
    let (mut kernel, home, _) = origin();
    let large = format!("\"{}\"", "x".repeat(ARGUMENTS_MAX_BYTES - 2));
    for n in 0..200 {
        let command = wish(&kernel, Some(home), there(100 + u128::from(n)), n, |command| {
            if let Command::Act { action, .. } = command {
                action.arguments = large.clone().into();
            }
        });
        kernel.command(command);
    }
    let sent = acts(&mut kernel);
    assert_eq!(sent.len(), WINDOW_MAX_BYTES / ARGUMENTS_MAX_BYTES);
    kernel.says(home, 1, done(&sent[0]));
    assert_eq!(sequences(&mut kernel).len(), 1);
}

#[test]
fn what_is_missing_is_sent_again_once() {
    let (mut kernel, home, key) = origin();
    let other = kernel.befriend(8);
    kernel.greets(8, 2);
    for n in 1..=5 {
        kernel.act_at(home, key, n);
    }
    let sent = acts(&mut kernel);
    let missing = |from| Frame::Missing(Missing { lane: key.into(), from });
    kernel.says(other, 2, missing(2));
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.says(home, 1, Frame::Missing(Missing { lane: there(78).into(), from: 1 }));
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.says(home, 1, missing(3));
    assert_eq!(sequences(&mut kernel), [3, 4, 5]);
    // Each act behind the gap asks for it.
    kernel.says(home, 1, missing(3));
    assert_eq!(sequences(&mut kernel), NONE);
    // An outcome has come: it may be asked for anew. What has its outcome does not come.
    kernel.says(home, 1, done(&sent[0]));
    acts(&mut kernel);
    kernel.says(home, 1, done(&sent[2]));
    kernel.says(home, 1, missing(2));
    let again: Vec<_> = acts(&mut kernel).into_iter().map(|act| (act.sequence, act.floor)).collect();
    assert_eq!(again, [(2, 2), (4, 2), (5, 2)]);
    kernel.says(home, 1, missing(4));
    assert_eq!(sequences(&mut kernel), NONE);
    // So do the 10 s of a resend, and a new connection.
    kernel.pass(RESEND_AFTER_MS);
    acts(&mut kernel);
    kernel.says(home, 1, missing(4));
    assert_eq!(sequences(&mut kernel), [4, 5]);
    kernel.greets(9, 3);
    assert_eq!(sequences(&mut kernel), [2, 4, 5]);
    kernel.says(home, 3, missing(5));
    assert_eq!(sequences(&mut kernel), [5]);
}

#[test]
fn actions_wait_for_a_home_that_knows_them() {
    let mut kernel = Alone::new();
    let home = kernel.befriend(9);
    kernel.up(9, 1);
    let key = once_model::sign::KernelKey::from_bytes(&[9; 32]);
    kernel.says(home, 1, Frame::Hello(greeting(&key)));
    kernel.act_at(home, there(77), 1);
    kernel.pass(RESEND_AFTER_MS);
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.greets(9, 2);
    assert_eq!(sequences(&mut kernel), [1]);
}

#[test]
fn an_id_is_one_action() {
    let (mut kernel, home, key) = origin();
    let token = kernel.act_at(home, key, 1);
    let sent = acts(&mut kernel);
    // The same again waits for the same; who does not wait hears that it is accepted.
    let again = kernel.act_at(home, key, 1);
    let command = wish(&kernel, Some(home), key, 1, |command| {
        if let Command::Act { wait, .. } = command {
            *wait = false;
        }
    });
    let soon = kernel.command(command.clone());
    assert_eq!(kernel.answered[&soon], Answer::Accepted);
    assert_eq!(sequences(&mut kernel), NONE);
    // Another one under the same id: of what was asked, or of which object.
    for (key, n) in [(key, 2), (there(78), 1)] {
        let command = wish(&kernel, Some(home), key, n, with_id(id_of(1)));
        assert!(matches!(kernel.try_command(command), Err(Refusal::IdReused { id, .. }) if id == id_of(1)));
    }
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.says(home, 1, done(&sent[0]));
    for token in [token, again] {
        assert_eq!(kernel.outcome(token), Some(&Outcome::Done("1".into())));
    }
    let late = kernel.command(command);
    assert_eq!(kernel.outcome(late), Some(&Outcome::Done("1".into())));
    let known = request(&kernel.store, &id_of(1)).unwrap().unwrap();
    assert_eq!((known.key, known.home, known.sequence, known.since_ms), (key, home, 1, NOW_MS));
    assert_eq!(known.outcome, Some(Outcome::Done("1".into())));
}

#[test]
fn ids_carry_their_time_and_are_not_from_the_future() {
    let (mut kernel, home, key) = origin();
    let random = [0xa5; 10];
    let mut try_id = |id| {
        let command = wish(&kernel, Some(home), key, 1, with_id(id));
        kernel.try_command(command)
    };
    assert_eq!(try_id(Uuid::from_u128(4 << 76)), Err(Refusal::BadId { id: Uuid::from_u128(4 << 76) }));
    let ahead = client_id(NOW_MS + ID_AHEAD_MAX_MS + 1, &random);
    assert_eq!(try_id(ahead), Err(Refusal::IdAhead { id: ahead, ahead_ms: ID_AHEAD_MAX_MS + 1 }));
    assert_eq!(try_id(client_id(NOW_MS + ID_AHEAD_MAX_MS, &random)), Ok(()));
    assert_eq!(try_id(client_id(1, &random)), Ok(()), "however old, as long as nothing was forgotten");
}

/// The ledger of clients keeps the newest by the time in their ids, and what has no outcome; no id is ever taken twice.
#[test]
fn an_id_that_was_forgotten_is_too_old() {
    let (mut kernel, home, key) = origin();
    let open = kernel.object(1, "Open");
    kernel.restart_with(Engine::within(Limits { requests: 4, ..Limits::PAGE }));
    kernel.greets(9, 2);
    let id = |n: u64| client_id(NOW_MS + n, &[0; 10]);
    let ask = |kernel: &mut Alone, n: u64| {
        let command = wish(kernel, None, open, n, with_id(id(n)));
        kernel.try_command(command)
    };
    // One waits for its outcome, older than all.
    let command = wish(&kernel, Some(home), key, 0, with_id(id(0)));
    let waits = kernel.command(command);
    for n in 1..=20 {
        assert_eq!(ask(&mut kernel, n), Ok(()));
        let kept = (1..=n).filter(|n| request(&kernel.store, &id(*n)).unwrap().is_some()).count();
        assert!(kept <= 4, "{n}: {kept}");
    }
    assert!(request(&kernel.store, &id(0)).unwrap().is_some(), "it still waits");
    for n in 18..=20 {
        assert_eq!(ask(&mut kernel, n), Ok(()), "known, and the same");
    }
    for restarts in 0..2 {
        let floor_ms = match ask(&mut kernel, 3) {
            Err(Refusal::IdTooOld { id: of, floor_ms }) if of == id(3) => floor_ms,
            other => panic!("{restarts}: {other:?}"),
        };
        assert!((NOW_MS + 14..NOW_MS + 18).contains(&floor_ms), "{}", floor_ms - NOW_MS);
        // Also one that was never asked, at the floor; above it, it is new.
        let never = client_id(floor_ms, &[9; 10]);
        let command = wish(&kernel, None, open, 900, with_id(never));
        assert_eq!(kernel.try_command(command), Err(Refusal::IdTooOld { id: never, floor_ms }));
        kernel.restart_with(Engine::within(Limits { requests: 4, ..Limits::PAGE }));
        kernel.greets(9, 3 + restarts);
    }
    assert_eq!(ask(&mut kernel, 25), Ok(()));
    assert!(!kernel.answered.contains_key(&waits));
    kernel.sent.clear();
    kernel.greets(9, 9);
    let act = acts(&mut kernel).remove(0);
    kernel.says(home, 9, done(&act));
    assert_eq!(request(&kernel.store, &id(0)).unwrap().unwrap().outcome, Some(Outcome::Done("1".into())));
}

#[test]
fn what_no_home_would_take_is_refused_here_with_its_reason() {
    let (mut kernel, home, key) = origin();
    let content = Hash::from_bytes([5; 32]);
    let note = move |n: u128| Given {
        key: ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(content) },
        content,
    };
    type Change = Box<dyn Fn(&mut once_model::action::Action)>;
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let long = string(ARGUMENTS_MAX_BYTES + 1);
    let bad: Vec<(Change, Code, &str)> = vec![
        (Box::new(|action| action.name = String::new()), Code::Invalid, "has no name"),
        (Box::new(|action| action.name = "n".repeat(256)), Code::TooLarge, "name has more than 255"),
        (Box::new(|action| action.name = "once:put".into()), Code::Invalid, "begins with `once:`"),
        (Box::new(move |action| action.arguments = long.clone().into()), Code::TooLarge, "more than 65536"),
        (Box::new(|action| action.arguments = "[1,".into()), Code::Invalid, "line 1, column 4"),
        (
            Box::new(move |action| action.given = (0..=GIVEN_MAX as u128).map(note).collect()),
            Code::TooLarge,
            "at most 64",
        ),
        (Box::new(move |action| action.given = vec![note(1), note(1)]), Code::Invalid, "twice"),
    ];
    let before = kernel.rows();
    for (change, code, words) in bad {
        let command = wish(&kernel, Some(home), key, 1, |command| {
            if let Command::Act { action, .. } = command {
                change(action);
            }
        });
        match kernel.try_command(command) {
            Err(Refusal::BadAction { code: said, what }) => {
                assert!(said == code && what.contains(words), "{said:?} {what}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    assert_eq!((kernel.rows(), sequences(&mut kernel)), (before, NONE.to_vec()));
}

#[test]
fn an_action_goes_to_the_home_that_is_known_else_to_the_one_that_was_named() {
    let (mut kernel, home, key) = origin();
    let (me, stranger) = (kernel.id(), kernel.peer_id(5));
    let own = kernel.object(1, "Open");
    let removed = kernel.object(2, "Open");
    kernel.command(Command::Remove { key: removed });
    let mut to = |at, key| {
        let command = wish(&kernel, at, key, 100, |_| {});
        kernel.try_command(command)
    };
    assert_eq!(to(None, key), Err(Refusal::NoHome(key)));
    assert_eq!(to(Some(stranger), key), Err(Refusal::NoPeer(stranger)));
    assert_eq!(to(Some(me), key), Err(Refusal::NoObject(key)));
    assert_eq!(to(None, removed), Err(Refusal::Removed(removed)));
    // Whatever was named: this kernel knows its own.
    assert_eq!(to(Some(home), own), Ok(()));
    assert_eq!(sequences(&mut kernel), NONE);
    // An unclaimed copy: whose is meant, only the client can say; else the one that was imported here.
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    kernel.act_at(home, copy, 1);
    assert_eq!(acts(&mut kernel)[0].lane, copy.into());
    let token = kernel.act(copy, 2);
    match &kernel.answered[&token] {
        Answer::Acted { outcome: Outcome::Done(_), after: Some(after) } => assert_ne!(after.key, copy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_lane_and_a_full_disk_refuse_new_actions_and_answer_known_ones() {
    let (mut kernel, home, key) = origin();
    let known = kernel.act_at(home, key, 1);
    let first = acts(&mut kernel).remove(0);
    kernel.says(home, 1, done(&first));
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES - 1 });
    let command = wish(&kernel, Some(home), key, 2, |_| {});
    assert!(matches!(kernel.try_command(command), Err(Refusal::DiskFull { .. })));
    let again = kernel.act_at(home, key, 1);
    assert_eq!(kernel.outcome(again), kernel.outcome(known));
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES });
    let id = LaneId::new(there(78), home);
    let mut full = |waiting: u64, n| {
        let row = SendingRow { home, last: waiting, floor: 1, now: None };
        kernel.writes(|s| {
            s.engine.act.lanes.forget();
            s.txn.put(Table::Sending, &id.to_row(), &row);
            // What it waits for first.
            let place = crate::act::Place { lane: id, sequence: 1 };
            let row = crate::act::WaitingRow {
                action: first.action.clone(),
                since_ms: NOW_MS,
                deadline_ms: None,
                void: None,
                call: None,
                guest: None,
            };
            s.txn.put(Table::Queue, &place.to_row(), &crate::act::QueueRow::Waiting(row));
            Ok(())
        });
        let command = wish(&kernel, Some(home), there(78), n, |_| {});
        kernel.try_command(command)
    };
    assert_eq!(full(QUEUE_MAX_ROWS, 3), Err(Refusal::OutboxFull { peer: home, rows: QUEUE_MAX_ROWS }));
    assert_eq!(full(QUEUE_MAX_ROWS - 1, 4), Ok(()));
}

#[test]
fn what_is_taken_back_is_a_void_for_ever() {
    let (mut kernel, home, key) = origin();
    let (other, unknown) = (kernel.act_at(home, key, 1), id_of(9));
    let token = kernel.act_at(home, key, 2);
    acts(&mut kernel);
    let cancel = |n, wait| Command::Cancel { id: id_of(n), wait };
    assert_eq!(kernel.try_command(cancel(9, true)), Err(Refusal::NoAction(unknown)));
    // What is under way is sent again at once, as the void.
    let accepted = kernel.command(cancel(2, false));
    assert_eq!(kernel.answered[&accepted], Answer::Accepted);
    assert_eq!(kernel.store.unsynced(), 0, "it will never be sent as an action again");
    let void = acts(&mut kernel).remove(0);
    assert_eq!((void.sequence, void.void, void.remaining_ms), (2, Some(Code::Cancelled), Some(0)));
    let waits = kernel.command(cancel(2, true));
    assert_eq!(sequences(&mut kernel), NONE, "it is one already");
    kernel.crash(0);
    kernel.greets(9, 2);
    let again: Vec<_> = acts(&mut kernel).iter().map(|act| (act.sequence, act.void)).collect();
    assert_eq!(again, [(1, None), (2, Some(Code::Cancelled))]);
    let (_, _, late) = (token, waits, kernel.command(cancel(2, true)));
    // The home says whether it was in time.
    kernel.says(home, 2, done(&void));
    assert_eq!(kernel.outcome(late), Some(&Outcome::Done("1".into())));
    let after = kernel.command(cancel(2, true));
    assert_eq!(kernel.outcome(after), Some(&Outcome::Done("1".into())));
    assert_eq!(kernel.outcome(other), None);
    // One that never left is a void when its turn comes.
    kernel.down(9, 2);
    kernel.act_at(home, key, 3);
    kernel.command(cancel(3, false));
    kernel.greets(9, 3);
    let turn: Vec<_> = acts(&mut kernel).iter().map(|act| (act.sequence, act.void)).collect();
    assert_eq!(turn, [(1, None), (3, Some(Code::Cancelled))]);
}

#[test]
fn a_deadline_is_told_as_what_remains_and_makes_a_void() {
    let (mut kernel, home, key) = origin();
    let command = wish(&kernel, Some(home), key, 1, within(15_000));
    let token = kernel.command(command);
    assert_eq!(acts(&mut kernel)[0].remaining_ms, Some(15_000));
    kernel.pass(RESEND_AFTER_MS);
    let again = acts(&mut kernel).remove(0);
    assert_eq!((again.remaining_ms, again.void), (Some(5_000), None));
    kernel.pass(4_999);
    assert_eq!(sequences(&mut kernel), NONE);
    kernel.pass(1);
    let void = acts(&mut kernel).remove(0);
    assert_eq!((void.remaining_ms, void.void), (Some(0), Some(Code::Expired)));
    // It stays one with its first reason, also if it is taken back, or the clock is set back.
    kernel.command(Command::Cancel { id: id_of(1), wait: false });
    kernel.ctx.now_ms -= 15_000;
    kernel.greets(9, 2);
    let void = acts(&mut kernel).remove(0);
    assert_eq!((void.remaining_ms, void.void), (Some(0), Some(Code::Expired)));
    kernel.says(home, 2, outcome_of(&void, Outcome::Refused(Code::Expired)));
    assert!(refused(&kernel, token, Code::Expired));
    // With its outcome the deadline is over, too.
    let command = wish(&kernel, Some(home), key, 2, within(1_000));
    kernel.command(command);
    let act = acts(&mut kernel).remove(0);
    kernel.says(home, 2, done(&act));
    assert!(kernel.rows().iter().all(|(table, ..)| *table != Table::Due));
    kernel.pass(70_000);
    assert_eq!(sequences(&mut kernel), NONE);
}

/// A deadline also passes while the kernel is down.
#[test]
fn a_deadline_survives_a_start() {
    let (mut kernel, home, key) = origin();
    let command = wish(&kernel, Some(home), key, 1, within(100_000));
    kernel.command(command);
    kernel.crash(0);
    kernel.greets(9, 2);
    assert_eq!(acts(&mut kernel)[0].remaining_ms, Some(100_000));
    kernel.pass(99_000);
    assert!(acts(&mut kernel).iter().all(|act| act.void.is_none()));
    kernel.pass(1_000);
    assert_eq!(acts(&mut kernel).last().unwrap().void, Some(Code::Expired));
    kernel.crash(0);
    kernel.ctx.now_ms += 1;
    kernel.greets(9, 3);
    // The void may be lost, but not that its time is over.
    assert_eq!(acts(&mut kernel)[0].remaining_ms, Some(0));
}

#[test]
fn a_home_gets_the_scenarios_that_it_needs_and_the_action_names() {
    let (mut kernel, home, key) = origin();
    let other = kernel.befriend(8);
    kernel.greets(8, 2);
    let notes: Vec<_> = (50..53)
        .map(|n| {
            let scenario = Scenario::compose(Uuid::from_u128(n), "Note", "1", "me", "{}").unwrap();
            let header = unclaimed(&scenario);
            kernel.command(Command::Import { source: None, over: None, scenario });
            Given { key: header.key(), content: header.content }
        })
        .collect();
    let command = wish(&kernel, Some(home), key, 1, given(notes[..2].to_vec()));
    kernel.command(command);
    kernel.sent.clear();
    let need = |lacks: &[Given]| Frame::Need(Need { lane: key.into(), sequence: 1, lacks: lacks.to_vec() });
    let shares = |kernel: &mut Alone| {
        let shares: Vec<_> = kernel
            .sent
            .drain(..)
            .filter_map(|frame| match frame {
                Frame::Share(parcel) => Some(parcel.header.key()),
                _ => None,
            })
            .collect();
        shares
    };
    // No right to read is needed for that; what the action does not name nobody gets, and nobody but its home.
    kernel.says(other, 2, need(&notes[..1]));
    assert_eq!(shares(&mut kernel), []);
    kernel.says(home, 1, need(&notes[1..]));
    assert_eq!(shares(&mut kernel), [notes[1].key]);
    let owed = debt(&kernel.store, &home, &notes[1].key).unwrap().unwrap().debt;
    assert_eq!(owed, Debt::Given { content: notes[1].content });
    assert_eq!(debt(&kernel.store, &home, &notes[2].key).unwrap(), None);
    // An action that is none here asks for nothing.
    kernel.says(home, 1, Frame::Need(Need { lane: key.into(), sequence: 2, lacks: notes.clone() }));
    assert_eq!(shares(&mut kernel), []);
    let shared = Shared {
        key: notes[1].key,
        id: kernel.head(&notes[1].key).unwrap().id(),
        answer: ShareAnswer::Stored,
        commit: None,
    };
    kernel.says(home, 1, Frame::Shared(shared));
    assert_eq!(debt(&kernel.store, &home, &notes[1].key).unwrap(), None);
    // What it has not got any more: the action will never run.
    kernel.command(Command::Remove { key: notes[0].key });
    kernel.says(home, 1, need(&notes[..1]));
    let void = acts(&mut kernel).remove(0);
    assert_eq!((void.sequence, void.void), (1, Some(Code::Lacking)));
}

#[test]
fn the_newest_revision_must_have_the_bytes_that_are_given() {
    let (mut kernel, home, key) = origin();
    let paper = kernel.object(1, "Paper");
    let old = Given { key: paper, content: kernel.head(&paper).unwrap().content };
    let command = wish(&kernel, Some(home), key, 1, given(vec![old]));
    kernel.command(command);
    kernel.act(paper, 5);
    kernel.sent.clear();
    kernel.says(home, 1, Frame::Need(Need { lane: key.into(), sequence: 1, lacks: vec![old] }));
    assert_eq!(acts(&mut kernel)[0].void, Some(Code::Lacking));
}

#[test]
fn who_waits_for_a_peer_that_is_removed_is_told_that_it_may_have_run() {
    let (mut kernel, home, key) = origin();
    let token = kernel.act_at(home, key, 1);
    acts(&mut kernel);
    kernel.command(Command::RemovePeer { peer: home });
    assert_eq!(kernel.answered[&token], Answer::Accepted);
    kernel.befriend(9);
    kernel.greets(9, 2);
    let again = acts(&mut kernel);
    assert_eq!(again.len(), 1);
    let late = kernel.act_at(home, key, 1);
    kernel.says(home, 2, done(&again[0]));
    assert_eq!(kernel.outcome(late), Some(&Outcome::Done("1".into())));
}

#[test]
fn an_object_that_was_claimed_since_is_asked_under_its_new_name_when_nothing_is_under_way() {
    let mut pair = Pair::new();
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", "{}").unwrap();
    let copy = unclaimed(&scenario).key();
    pair.b.command(Command::Import { source: None, over: None, scenario });
    let (a, home) = (pair.a.id(), pair.b.id());
    pair.b.may_act(a);
    let tokens = [1, 2].map(|n| pair.a.act_at(home, copy, n));
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    // One is still under way under the old name.
    let third = pair.a.act_at(home, copy, 3);
    let lanes: Vec<_> = pair
        .on_the_way(Side::B)
        .iter()
        .filter_map(|frame| match frame {
            Frame::Act(act) => Some((act.lane.key, act.sequence)),
            _ => None,
        })
        .collect();
    assert_eq!(lanes, [(copy, 2), (copy, 3)]);
    pair.settle();
    let fourth = pair.a.act_at(home, copy, 4);
    let act = match pair.on_the_way(Side::B).front() {
        Some(Frame::Act(act)) => act.clone(),
        other => panic!("{other:?}"),
    };
    assert!(act.lane.key != copy && act.lane.key.uuid == copy.uuid && act.sequence == 1);
    pair.settle();
    for (n, token) in [tokens[0], tokens[1], third, fourth].into_iter().enumerate() {
        assert_eq!(pair.a.outcome(token), Some(&Outcome::Done((n + 1).to_string().into())));
    }
    // Also after a start.
    pair.restart(Side::A);
    pair.connect(Side::A);
    pair.settle();
    pair.a.act_at(home, copy, 5);
    match pair.on_the_way(Side::B).front() {
        Some(Frame::Act(five)) => assert_eq!((five.lane.key, five.sequence), (act.lane.key, 2)),
        other => panic!("{other:?}"),
    }
}

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
