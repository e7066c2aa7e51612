//! Objects that people take back after the seal: the receiver's one answer says where they live, and nothing else does.

use bytes::Bytes;
use once_model::action::Outcome;
use once_model::ids::ObjectKey;
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::{Code, Frame};

use super::departures;
use super::rows::HandedRow;
use super::tests::{go, home, pair};
use crate::access::{Right, Scope};
use crate::object;
use crate::refusal::{Refusal, Unmoved};
use crate::store::{Batch, Table};
use crate::testing::{Alone, Pair, Side};
use crate::txn;
use crate::waist::{Answer, Command};

/// An object of A that is sealed for B. The handoff is on its way.
fn sealed() -> (Pair, ObjectKey, u64) {
    let (mut pair, key) = pair("Paper");
    pair.a.act_named(key, "write", 1);
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    assert!(matches!(pair.on_the_way(Side::B).front(), Some(Frame::Handoff(_))));
    (pair, key, token)
}

fn withdraw(pair: &mut Pair, key: ObjectKey) {
    let token = pair.a.command(Command::Stay { key });
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Accepted));
    let departures = departures(&pair.a.store).unwrap();
    assert!(departures[0].sealed && departures[0].withdrawn, "only an answer ends it");
}

/// What B has answered.
fn answers(kernel: &Alone) -> Vec<(bool, Option<Code>)> {
    let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Handed);
    rows.map(|(_, _, value)| {
        let row: HandedRow = txn::decode(Table::Handed, &value).unwrap();
        (row.answer.accepted, row.code)
    })
    .collect()
}

/// It lives at A again, and works there.
fn stays(pair: &mut Pair, key: ObjectKey) {
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(pair.a.id()), None));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    assert_eq!(answers(&pair.b), [(false, Some(Code::Withdrawn))]);
    let chain = object::chain(&pair.a.store, &key.lineage().unwrap()).unwrap().unwrap();
    chain.verify(key.lineage().unwrap()).unwrap();
    let token = pair.a.act_named(key, "write", 9);
    pair.settle();
    assert!(pair.a.outcome(token).is_some());
}

/// It lives at B.
fn has_gone(pair: &Pair, key: ObjectKey) {
    let b = Some(pair.b.id());
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (b, b));
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    assert_eq!(answers(&pair.b), [(true, None)]);
}

#[test]
fn what_is_taken_back_before_the_handoff_comes_stays() {
    let (mut pair, key, token) = sealed();
    withdraw(&mut pair, key);
    // The withdrawal overtakes the handoff, which gets the same answer.
    pair.delay(Side::B);
    pair.settle();
    assert!(
        matches!(pair.a.refused.get(&token), Some(Refusal::Unmoved { why, .. }) if **why == Unmoved::TakenBack)
    );
    stays(&mut pair, key);
}

#[test]
fn what_is_taken_back_after_the_handoff_came_has_gone() {
    let (mut pair, key, token) = sealed();
    withdraw(&mut pair, key);
    pair.settle();
    has_gone(&pair, key);
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Moved { to: pair.b.id(), left: 0 }));
    // The other way round: the handoff was accepted, and its answer is on its way.
    let (mut pair, key, _) = sealed();
    pair.deliver(Side::B);
    withdraw(&mut pair, key);
    pair.settle();
    has_gone(&pair, key);
}

#[test]
fn silence_changes_nothing() {
    let (mut pair, key, _) = sealed();
    pair.lose(Side::B);
    withdraw(&mut pair, key);
    pair.cut();
    pair.a.pass(100 * RESEND_AFTER_MS);
    pair.restart(Side::A);
    pair.a.pass(100 * RESEND_AFTER_MS);
    let departures = departures(&pair.a.store).unwrap();
    assert!(departures[0].sealed && departures[0].withdrawn);
    let token = pair.a.act_named(key, "write", 9);
    assert!(pair.a.outcome(token).is_none());
    // It is said again on the next connection, and the handoff is not.
    pair.connect(Side::A);
    pair.settle();
    stays(&mut pair, key);
}

/// Whatever is lost, doubled or late, whoever crashes, and whenever people take it back: one answer, and one home.
#[test]
fn one_answer_whatever_happens_to_frames_and_kernels() {
    let (mut stayed, mut gone) = (0, 0);
    for fault in 0..8 {
        for at in 0..6 {
            for wish in 0..4 {
                let (mut pair, key, _) = sealed();
                for step in 0..8 {
                    if step == wish && !departures(&pair.a.store).unwrap().is_empty() {
                        pair.a.command(Command::Stay { key });
                    }
                    if step == at {
                        match fault {
                            0 => drop(pair.lose(Side::B)),
                            1 => drop(pair.lose(Side::A)),
                            2 => pair.double(Side::B),
                            3 => pair.double(Side::A),
                            4 => pair.delay(Side::B),
                            5 => pair.crash(Side::A, 0),
                            6 => pair.crash(Side::B, 0),
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
                match answers(&pair.b).as_slice() {
                    [(true, None)] => gone += 1,
                    [(false, Some(Code::Withdrawn))] => stayed += 1,
                    other => panic!("fault {fault} at {at}, wish at {wish}: {other:?}"),
                }
                match answers(&pair.b)[0].0 {
                    true => has_gone(&pair, key),
                    false => stays(&mut pair, key),
                }
            }
        }
    }
    assert!(stayed > 0 && gone > 0, "{stayed} stayed, {gone} have gone");
}

/// A withdrawal of an earlier handoff means nothing after the object was there and back.
#[test]
fn a_late_withdrawal_gets_the_old_answer_and_changes_nothing() {
    let (mut pair, key, _) = sealed();
    withdraw(&mut pair, key);
    let said = pair.on_the_way(Side::B).iter().find(|frame| matches!(frame, Frame::Withdraw(_))).cloned();
    pair.settle();
    has_gone(&pair, key);
    go(&mut pair, Side::B, key);
    pair.settle();
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    let (a, b) = (pair.a.id(), pair.b.id());
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    let answer = pair.b.says(a, 1, said.unwrap()).to_vec();
    assert!(matches!(answer.as_slice(), [Frame::Handed(said)] if said.answer.accepted), "{answer:?}");
    pair.a.says(b, 1, answer[0].clone());
    assert_eq!(home(&pair.a, &key), Some(a), "it is sealed under another certificate");
    pair.settle();
    assert_eq!(home(&pair.a, &key), Some(b));
}

/// Who has not been asked whether he would take it writes nothing down.
#[test]
fn a_withdrawal_of_what_was_not_welcome_is_not_answered() {
    let (mut pair, key, _) = sealed();
    withdraw(&mut pair, key);
    let said = pair.on_the_way(Side::B).iter().find(|frame| matches!(frame, Frame::Withdraw(_))).cloned();
    let Some(Frame::Withdraw(said)) = said else { panic!("it was not said") };
    let mut forged = said.clone();
    if let Some(last) = forged.chain.links.last_mut() {
        last.signature = None;
    }
    let a = pair.a.id();
    assert_eq!(pair.b.says(a, 1, Frame::Withdraw(forged)), []);
    let other = pair.b.connected(9);
    assert_eq!(pair.b.says(other.kernel, 1, Frame::Withdraw(said)), []);
    assert_eq!(answers(&pair.b), []);
}

/// Whatever the object's newest certificate is by then.
#[test]
fn an_outcome_is_told_again_with_the_certificate_under_which_it_was_recorded() {
    let (mut pair, key) = pair("Paper");
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.a.grant(b, Right::Act, Scope::Object(key));
    let token = pair.b.act_at(a, key, 1);
    pair.deliver(Side::A);
    let Some(Frame::Outcome(first)) = pair.lose(Side::B) else { panic!("an outcome") };
    let certificate = |kernel: &Alone| object::head(&kernel.store, &key).unwrap().unwrap().header.certificate;
    assert_eq!(first.certificate, certificate(&pair.a));
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    withdraw(&mut pair, key);
    pair.lose(Side::B);
    pair.settle();
    stays(&mut pair, key);
    assert!(pair.b.outcome(token).is_none());
    assert_ne!(first.certificate, certificate(&pair.a));
    // The origin asks again.
    pair.connect(Side::A);
    let mut told = None;
    while pair.b.outcome(token).is_none() {
        pair.deliver(Side::A);
        told = told.or(pair.on_the_way(Side::B).iter().find_map(|frame| match frame {
            Frame::Outcome(told) if told.id == first.id => Some(told.certificate),
            _ => None,
        }));
        pair.deliver(Side::B);
    }
    assert_eq!(told, Some(first.certificate));
}

/// B hands an object back, and nothing that it says is heard but that. `meanwhile` happens at A before it hears the handoff.
fn hands_back(pair: &mut Pair, key: ObjectKey, mut meanwhile: impl FnMut(&mut Alone)) {
    go(pair, Side::B, key);
    for _ in 0..20 {
        match pair.on_the_way(Side::A).front() {
            Some(Frame::Ahead(_)) => drop(pair.deliver(Side::A)),
            Some(Frame::Handoff(_)) => {
                meanwhile(&mut pair.a);
                pair.deliver(Side::A);
            }
            Some(_) => drop(pair.lose(Side::A)),
            None => {}
        }
        match pair.on_the_way(Side::B).front() {
            Some(Frame::Welcome(_)) => drop(pair.deliver(Side::B)),
            Some(_) => drop(pair.lose(Side::B)),
            None => {}
        }
    }
}

fn comes_straight_back(pair: &mut Pair, key: ObjectKey) {
    hands_back(pair, key, |_| {});
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
}

/// The answer moves it, and a row that has to do with its coming back cannot be read: all of that is taken back.
#[test]
fn what_is_sealed_stays_so_when_what_ends_that_is_taken_back() {
    let (mut pair, key, _) = sealed();
    pair.deliver(Side::B);
    let mut is_damaged = false;
    hands_back(&mut pair, key, |a| {
        let mut rows = a.rows().into_iter();
        let (_, at, _) = rows.find(|(table, ..)| *table == Table::Welcome).unwrap();
        let garbage = Some(Bytes::from_static(b"\xff"));
        a.put_rows(Batch { rows: vec![(Table::Welcome, at, garbage)] });
        is_damaged = true;
    });
    assert!(is_damaged);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    let revision = pair.a.head(&key).unwrap().revision;
    let token = pair.a.act_named(key, "write", 7);
    assert_eq!(
        (pair.a.outcome(token), pair.a.head(&key).unwrap().revision),
        (None, revision),
        "it is sealed"
    );
}

/// The home between may have refused it, and its origin has told somebody so.
#[test]
fn what_waited_when_an_object_left_does_not_run_when_that_comes_back() {
    let (mut pair, key, _) = sealed();
    let peer = pair.a.peer(9);
    pair.a.grant(peer.kernel, Right::Act, Scope::Object(key));
    pair.a.acts(peer, key, 1, "7".into());
    assert_eq!(pair.a.engine.act.waiting.held_of(&peer.kernel).0, 1);
    let revision = |kernel: &Alone| kernel.head(&key).unwrap().revision;
    let sealed_at = revision(&pair.a);
    pair.deliver(Side::B);
    comes_straight_back(&mut pair, key);
    pair.settle();
    assert_eq!(pair.a.engine.act.waiting.held_of(&peer.kernel), (0, 0));
    assert_eq!(revision(&pair.a), sealed_at + 2, "it went, and came back");
    // Its origin sends it again, if it has no outcome.
    pair.a.acts(peer, key, 1, "7".into());
    assert_eq!(revision(&pair.a), sealed_at + 3);
}

/// The handoff back says so: an object that continues the handoff under which it is sealed has moved.
#[test]
fn what_comes_back_before_its_going_was_heard_of_lives_here_with_all_that_is_its() {
    let (mut pair, key) = pair("Clock");
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.a.grant(b, Right::Read, Scope::Object(key));
    pair.b.command(Command::Follow { key, from: a });
    pair.settle();
    pair.a.act_named(key, "set", 1);
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert!(departures(&pair.a.store).unwrap()[0].sealed);
    pair.deliver(Side::B);
    assert_eq!(home(&pair.b, &key), Some(b));
    comes_straight_back(&mut pair, key);
    assert_eq!(departures(&pair.a.store).unwrap(), []);
    let rows = |table| pair.a.rows().iter().filter(|(of, ..)| *of == table).count();
    assert_eq!((rows(Table::Timer), rows(Table::Luggage)), (1, 0));
    let head = object::head(&pair.a.store, &key).unwrap().unwrap();
    assert_eq!((head.header.epoch, head.guest, head.tip.is_some()), (3, Some(true), true));
    assert!(matches!(pair.a.answered.get(&token), Some(Answer::Moved { .. })), "{:?}", pair.a.refused);
    pair.connect(Side::A);
    pair.settle();
    let told = pair.a.act_named(key, "set", 2);
    pair.settle();
    assert!(matches!(pair.a.outcome(told), Some(Outcome::Done(_))));
    assert_eq!(home(&pair.b, &key), Some(a));
}
