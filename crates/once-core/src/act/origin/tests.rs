//! What an origin does with an action until its outcome is here: docs/protocol.md, 5.5, *The origin* and *Voids*.

use once_model::action::{Act, ActOutcome, Given, Missing, Outcome};
use once_model::ids::{KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, RESEND_AFTER_MS, WINDOW_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::scenario::Scenario;
use once_model::wire::{Code, FEATURE_ACTIONS, Frame, Greeting};

use crate::act::request;
use crate::object::unclaimed;
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, Pair, Side, greeting};
use crate::waist::{Answer, Command, Effect, Event, Input, Timer, Token};

/// No places.
pub(super) const NONE: [u64; 0] = [];

/// Kernel 9 is connected; an object there.
pub(super) fn origin() -> (Alone, KernelId, ObjectKey) {
    let mut kernel = Alone::new();
    let home = kernel.befriend(9);
    kernel.greets(9, 1);
    kernel.sent.clear();
    (kernel, home, there(77))
}

pub(super) fn there(n: u128) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(n), line: Line::Claimed(Lineage::from_bytes([7; 32])) }
}

/// The acts that were said since.
pub(super) fn acts(kernel: &mut Alone) -> Vec<Act> {
    let acts = kernel.sent.drain(..).filter_map(|frame| match frame {
        Frame::Act(act) => Some(act),
        _ => None,
    });
    acts.collect()
}

pub(super) fn sequences(kernel: &mut Alone) -> Vec<u64> {
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

pub(super) fn outcome_of(act: &Act, outcome: Outcome) -> Frame {
    let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
    Frame::Outcome(ActOutcome { lane, sequence, id, outcome, after: None, commit: None, certificate: None })
}

pub(super) fn done(act: &Act) -> Frame {
    outcome_of(act, Outcome::Done("1".into()))
}

/// An action with changes.
pub(super) fn wish(
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

pub(super) fn with_id(id: Uuid) -> impl FnOnce(&mut Command) {
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

pub(super) fn given(given: Vec<Given>) -> impl FnOnce(&mut Command) {
    move |command| {
        if let Command::Act { action, .. } = command {
            action.given = given;
        }
    }
}

pub(super) fn id_of(n: u64) -> Uuid {
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
