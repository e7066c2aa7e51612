//! What an action names that it depends on, and what waits for it: docs/protocol.md, 5.5, *Given*.

use once_model::action::{Act, Given, Outcome};
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::limits::{GIVEN_WAIT_MS, LACKING_OF_PEER_MAX, SCENARIO_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, Parcel};

use super::tests::{act, did, home, ledger, nth, outcomes, refused, say};
use crate::access::{Right, Scope};
use crate::object::unclaimed;
use crate::store::Table;
use crate::testing::Alone;
use crate::waist::{Command, Input, Run, RunResult, Wait};

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
