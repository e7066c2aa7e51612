//! Which actions an origin accepts, under which ids, and where they go: docs/protocol.md, 5.5, *The origin*.

use once_model::action::{Given, Need, Outcome, client_id};
use once_model::ids::{Hash, Line, ObjectKey, Uuid};
use once_model::limits::{
    ARGUMENTS_MAX_BYTES, DISK_RESERVE_BYTES, GIVEN_MAX, ID_AHEAD_MAX_MS, QUEUE_MAX_ROWS,
};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, ShareAnswer, Shared};

use super::tests::{NONE, acts, done, given, id_of, origin, sequences, there, wish, with_id};
use crate::act::{LaneId, SendingRow, request};
use crate::engine::{Engine, Limits};
use crate::object::unclaimed;
use crate::refusal::Refusal;
use crate::share::{Debt, debt};
use crate::store::Table;
use crate::testing::{Alone, NOW_MS};
use crate::waist::{Answer, Command, Input};

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
