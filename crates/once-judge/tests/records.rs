//! Entries, revisions, built-in actions and receipts.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::{Outcome, client_id};
use once_model::ids::{Hash, ObjectKey};
use once_model::receipt::{Entries, EntriesOf, Receipt, ReceiptOf};
use once_model::wire::{Code, Frame};
use support::*;

fn world() -> (World, ObjectKey) {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, Right::Act, Scope::All);
    world.right();
    (world, key)
}

/// An action that ran, and its record with one thing changed.
fn recorded(change: impl FnOnce(&mut Recorded)) -> World {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.said(&case, Some(1), vec![]);
    let mut recorded = world.records(&case, done(), Some(1));
    change(&mut recorded);
    let hash = recorded.entry.hash();
    if let Some(revised) =
        recorded.revision.as_mut().filter(|revised| revised.header.entry != Some(Hash::from_bytes([9; 32])))
    {
        revised.header.entry = Some(hash);
    }
    world.record(B, recorded);
    world
}

#[test]
fn a_number_is_not_left_out() {
    recorded(|recorded| recorded.entry.number += 1).wrong(Check::EntryNumber);
}

#[test]
fn a_number_is_not_used_twice() {
    recorded(|recorded| recorded.entry.number -= 1).wrong(Check::EntryNumber);
}

#[test]
fn an_entry_names_the_one_before() {
    recorded(|recorded| recorded.entry.previous = ZERO).wrong(Check::EntryChain);
}

#[test]
fn an_entry_names_the_revision_before() {
    recorded(|recorded| recorded.entry.before = ZERO).wrong(Check::EntryFields);
}

#[test]
fn an_entry_has_the_hash_of_its_outcome() {
    recorded(|recorded| recorded.entry.outcome = ZERO).wrong(Check::EntryFields);
}

#[test]
fn an_entry_names_its_certificate() {
    recorded(|recorded| recorded.entry.certificate = None).wrong(Check::EntryFields);
}

#[test]
fn an_entry_is_of_the_action_that_was_asked() {
    recorded(|recorded| recorded.entry.action = ZERO).wrong(Check::ActKnown);
}

#[test]
fn a_revision_names_its_entry() {
    let change = |recorded: &mut Recorded| {
        recorded.revision.as_mut().unwrap().header.entry = Some(Hash::from_bytes([9; 32]));
    };
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_revision_names_its_parent() {
    let change = |recorded: &mut Recorded| recorded.revision.as_mut().unwrap().header.parent = Some(ZERO);
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_revision_names_its_cause() {
    let change = |recorded: &mut Recorded| recorded.revision.as_mut().unwrap().header.cause = None;
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_revision_has_the_bytes_that_were_said() {
    let change = |recorded: &mut Recorded| {
        recorded.entry.content = Hash::from_bytes([5; 32]);
        recorded.revision.as_mut().unwrap().header.content = Hash::from_bytes([5; 32]);
    };
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_revision_names_who_acted() {
    let change = |recorded: &mut Recorded| {
        let key = recorded.entry.object;
        recorded.revision.as_mut().unwrap().header.cause.as_mut().unwrap().acting = Some(key);
    };
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_revision_has_the_size_of_its_bytes() {
    let change = |recorded: &mut Recorded| recorded.revision.as_mut().unwrap().header.size += 1;
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn a_changed_state_is_a_revision() {
    let change = |recorded: &mut Recorded| {
        recorded.revision = None;
        recorded.entry.revision -= 1;
    };
    recorded(change).wrong(Check::RevisionFields);
}

#[test]
fn the_same_bytes_are_no_revision() {
    let (mut world, key) = world();
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.said(&case, Some(0), vec![]);
    let right = world.records(&case, done(), None);
    let wrong = world.records(&case, done(), Some(0));
    let mut other = World::pair();
    other.judge = world.judge.clone();
    other.k[B].things.clone_from(&world.k[B].things);
    other.record(B, wrong);
    other.wrong(Check::RevisionFields);
    world.record(B, right);
    world.right();
}

#[test]
fn a_record_is_made_at_home() {
    let (mut world, key) = world();
    let thing = world.k[B].things[&key].clone();
    let parcel = world.parcel(B, key, 0);
    let kept = Kept { header: parcel.header, chain: parcel.chain, from: Some(world.k[B].id), beside: false };
    world.see(A, Seen::Kept(Box::new(kept)));
    world.k[A].things.insert(key, thing);
    let token = world.number();
    let (new, _) = state(key.uuid, 1);
    world.see(A, Seen::Client { token, ask: Ask::Put { key, state: new.clone(), base: None } });
    let recorded = world.changes(A, key, "once:put", client_id(T0, &[1; 10]), &new);
    world.record(A, recorded);
    world.wrong(Check::OneHome);
}

fn put(world: &mut World, key: ObjectKey, change: impl FnOnce(&mut Recorded)) {
    let token = world.number();
    let (new, _) = state(key.uuid, 1);
    world.see(B, Seen::Client { token, ask: Ask::Put { key, state: new.clone(), base: None } });
    let mut recorded = world.changes(B, key, "once:put", client_id(T0, &[1; 10]), &new);
    change(&mut recorded);
    let hash = recorded.entry.hash();
    recorded.revision.as_mut().unwrap().header.entry = Some(hash);
    world.record(B, recorded);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Answered { token, answer: Ok(Reply::Done) });
}

#[test]
fn a_put_is_an_entry() {
    let (mut world, key) = world();
    put(&mut world, key, |_| ());
    world.right();
}

#[test]
fn a_put_has_its_arguments() {
    let (mut world, key) = world();
    put(&mut world, key, |recorded| recorded.entry.action = ZERO);
    world.wrong(Check::BuiltIn);
}

#[test]
fn a_put_has_its_place() {
    let (mut world, key) = world();
    put(&mut world, key, |recorded| recorded.entry.sequence += 1);
    world.wrong(Check::BuiltIn);
}

#[test]
fn nobody_changes_what_nobody_asked_for() {
    let (mut world, key) = world();
    let (new, _) = state(key.uuid, 1);
    let recorded = world.changes(B, key, "once:put", client_id(T0, &[1; 10]), &new);
    world.record(B, recorded);
    world.wrong(Check::BuiltIn);
}

#[test]
fn a_put_on_an_older_base_is_stale() {
    let (mut world, key) = world();
    let (new, _) = state(key.uuid, 1);
    let ask = Ask::Put { key, state: new, base: Some(ZERO) };
    world.refused(B, ask.clone(), Refusal::Stale);
    world.right();
    world.refused(B, ask, Refusal::Invalid);
    world.wrong(Check::ClientCode);
}

#[test]
fn a_put_on_a_replica_is_not_done() {
    let (mut world, key) = world();
    let parcel = world.parcel(B, key, 0);
    let kept = Kept { header: parcel.header, chain: parcel.chain, from: Some(world.k[B].id), beside: false };
    world.see(A, Seen::Kept(Box::new(kept)));
    let (new, _) = state(key.uuid, 1);
    let ask = Ask::Put { key, state: new, base: None };
    world.refused(A, ask.clone(), Refusal::NotHome);
    world.right();
    world.done(A, ask);
    world.wrong(Check::ClientCode);
}

#[test]
fn what_is_not_here_is_not_found() {
    let (mut world, key) = world();
    let to = world.k[B].id;
    world.refused(A, Ask::Share { key, to }, Refusal::NotFound);
    world.right();
    world.done(A, Ask::Share { key, to });
    world.wrong(Check::ClientCode);
}

#[test]
fn a_short_disk_refuses_commands() {
    let (mut world, key) = world();
    world.see(B, Seen::Room { short: true });
    let (new, _) = state(key.uuid, 1);
    let ask = Ask::Put { key, state: new, base: None };
    world.refused(B, ask.clone(), Refusal::DiskFull);
    world.right();
    world.done(B, ask);
    world.wrong(Check::ClientCode);
}

/// The receipt of an action that ran, asked for and given.
fn receipt(change: impl FnOnce(&mut World, &mut Receipt)) -> World {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    world.whole(key, 2, 2);
    let entry = world.k[B].things[&key].entry.clone().unwrap();
    let chain = Some(world.k[B].things[&key].chain.clone());
    let of = ReceiptOf { lane: case.lane, sequence: 2, id: entry.id };
    let mut receipt = Receipt::sign(entry, Some(done()), T0, chain, &world.k[B].key);
    change(&mut world, &mut receipt);
    let peer = world.k[A].id;
    let asked = Box::new(Frame::ReceiptOf(of));
    world.see(B, Seen::Frame { direction: Direction::In, conn: 1, stream: 4, peer, frame: asked });
    let told = Box::new(Frame::Receipt(Box::new(receipt)));
    world.see(B, Seen::Frame { direction: Direction::Out, conn: 1, stream: 4, peer, frame: told });
    world
}

#[test]
fn a_receipt_is_true() {
    receipt(|_, _| ()).right();
}

#[test]
fn a_receipt_of_another_action_is_wrong() {
    let change = |world: &mut World, receipt: &mut Receipt| {
        let entry =
            once_model::receipt::Entry { id: once_model::ids::Uuid::from_u128(1), ..receipt.entry.clone() };
        *receipt = Receipt::sign(entry, Some(done()), T0, receipt.chain.clone(), &world.k[B].key);
    };
    receipt(change).wrong(Check::ReceiptTrue);
}

#[test]
fn a_receipt_with_another_outcome_is_wrong() {
    receipt(|_, receipt| receipt.outcome = Some(Outcome::Done("7".into()))).wrong(Check::ReceiptTrue);
}

#[test]
fn a_receipt_of_another_time_is_wrong() {
    let change = |world: &mut World, receipt: &mut Receipt| {
        let entry = receipt.entry.clone();
        *receipt = Receipt::sign(entry, Some(done()), T0 + 5, receipt.chain.clone(), &world.k[B].key);
    };
    receipt(change).wrong(Check::ReceiptTrue);
}

#[test]
fn a_receipt_is_not_denied() {
    let (mut world, key) = world();
    let case = world.whole(key, 1, 1);
    let of = ReceiptOf { lane: case.lane, sequence: 1, id: case.action.id };
    let peer = world.k[A].id;
    let asked = Box::new(Frame::ReceiptOf(of));
    world.see(B, Seen::Frame { direction: Direction::In, conn: 1, stream: 4, peer, frame: asked });
    let told = Box::new(Frame::Absent(once_model::wire::Absent { call: 0, code: Code::Denied }));
    world.see(B, Seen::Frame { direction: Direction::Out, conn: 1, stream: 4, peer, frame: told });
    world.wrong(Check::ReceiptTrue);
}

#[test]
fn entries_are_a_row() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Read, Scope::All);
    let first = world.k[B].things[&key].entry.clone().unwrap();
    world.whole(key, 1, 1);
    let second = world.k[B].things[&key].entry.clone().unwrap();
    let newest = second.hash();
    let of = EntriesOf { key, newest, revision: 1 };
    world.pass(A, B, 1, Frame::EntriesOf(of));
    let entries = Entries { key, newest, entries: vec![second.clone(), first.clone()] };
    world.pass(B, A, 1, Frame::Entries(entries));
    world.right();
    world.pass(A, B, 1, Frame::EntriesOf(of));
    let entries = Entries { key, newest, entries: vec![first, second] };
    world.pass(B, A, 1, Frame::Entries(entries));
    world.wrong(Check::EntriesTrue);
}

#[test]
fn what_a_judge_has_seen_is_counted() {
    let (mut world, key) = world();
    world.whole(key, 1, 1);
    let tally = world.judge.tally();
    assert!(tally.of(Check::OutcomePredicted).exact > 0 && tally.exact_permille() > 900);
    assert!(tally.never().contains(&Check::TimerEarly) && !tally.never().contains(&Check::Once));
    assert!(Check::ALL.iter().all(|check| !check.cite().is_empty()));
}
