//! Shares, subscriptions and requests: what is sent to whom, what is kept, what is due.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::ids::ObjectKey;
use once_model::wire::{Absent, Code, Follow, Following, Found, Frame, Pull, Request, ShareAnswer};
use support::*;

/// A has an object; B gave A nothing yet.
fn world() -> (World, ObjectKey) {
    let mut world = World::pair();
    let key = world.create(A, 7);
    world.right();
    (world, key)
}

fn share(world: &mut World, key: ObjectKey) {
    let to = world.k[B].id;
    world.done(A, Ask::Share { key, to });
}

/// A client of A's changes the object.
fn put(world: &mut World, key: ObjectKey, n: u64) {
    let token = world.number();
    let (new, _) = state(key.uuid, n);
    world.see(A, Seen::Client { token, ask: Ask::Put { key, state: new.clone(), base: None } });
    let id = once_model::action::client_id(T0 + world.at, &[n as u8; 10]);
    let recorded = world.changes(A, key, "once:put", id, &new);
    world.record(A, recorded);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Answered { token, answer: Ok(Reply::Done) });
}

#[test]
fn a_share_arrives() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    world.healed();
    world.right();
}

#[test]
fn a_share_is_due() {
    let (mut world, key) = world();
    share(&mut world, key);
    world.healed();
    world.wrong(Check::ShareDue);
}

#[test]
fn what_is_not_owed_is_not_shared() {
    let (mut world, key) = world();
    let parcel = world.parcel(A, key, 0);
    world.out(A, B, 1, Frame::Share(parcel));
    world.wrong(Check::ShareOwed);
}

#[test]
fn what_is_settled_is_not_shared_again() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    world.see(A, Seen::Durable);
    world.out(A, B, 1, Frame::Share(parcel));
    world.wrong(Check::ShareOwed);
}

#[test]
fn only_the_newest_is_shared() {
    let (mut world, key) = world();
    share(&mut world, key);
    let old = world.parcel(A, key, 0);
    put(&mut world, key, 1);
    world.see(A, Seen::Durable);
    put(&mut world, key, 2);
    world.see(A, Seen::Durable);
    world.out(A, B, 1, Frame::Share(old));
    world.wrong(Check::ShareNewest);
}

#[test]
fn a_small_body_is_inside() {
    let (mut world, key) = world();
    share(&mut world, key);
    let mut parcel = world.parcel(A, key, 0);
    parcel.body = None;
    world.out(A, B, 1, Frame::Share(parcel));
    world.wrong(Check::ParcelForm);
}

#[test]
fn without_the_right_to_share_it_is_denied() {
    let (mut world, key) = world();
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.pass(A, B, 1, Frame::Share(parcel.clone()));
    world.pass(B, A, 1, shared(&parcel, ShareAnswer::Refused(Code::Denied)));
    world.right();
    world.pass(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    world.wrong(Check::ShareAllowed);
}

#[test]
fn with_the_right_to_share_it_is_not_denied() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.pass(A, B, 1, Frame::Share(parcel.clone()));
    world.pass(B, A, 1, shared(&parcel, ShareAnswer::Refused(Code::Denied)));
    world.wrong(Check::SharedAnswer);
}

#[test]
fn stored_is_said_of_what_is_on_the_disk() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.pass(A, B, 1, Frame::Share(parcel.clone()));
    world.pass(B, A, 1, shared(&parcel, ShareAnswer::Stored));
    world.wrong(Check::SharedDurable);
}

#[test]
fn a_forged_parcel_is_invalid() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let mut parcel = world.parcel(A, key, 0);
    parcel.body = Some("{}".into());
    world.take_in(A, B, 1, Frame::Share(parcel.clone()));
    world.out(B, A, 1, shared(&parcel, ShareAnswer::Refused(Code::Invalid)));
    world.right();
    world.take_in(A, B, 1, Frame::Share(parcel.clone()));
    world.out(B, A, 1, shared(&parcel, ShareAnswer::Stored));
    world.wrong(Check::SharedAnswer);
}

#[test]
fn an_older_revision_is_known() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let old = world.parcel(A, key, 0);
    put(&mut world, key, 1);
    let new = world.parcel(A, key, 1);
    world.takes(A, B, &new);
    world.take_in(A, B, 1, Frame::Share(old.clone()));
    world.out(B, A, 1, shared(&old, ShareAnswer::Known));
    world.right();
    world.take_in(A, B, 1, Frame::Share(old.clone()));
    world.out(B, A, 1, shared(&old, ShareAnswer::Conflict));
    world.wrong(Check::SharedAnswer);
}

#[test]
fn a_replica_is_not_replaced_by_an_older_revision() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let old = world.parcel(A, key, 0);
    put(&mut world, key, 1);
    let new = world.parcel(A, key, 1);
    world.takes(A, B, &new);
    let from = Some(world.k[A].id);
    let kept = Kept { header: old.header, chain: old.chain, from, beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.wrong(Check::Placed);
}

#[test]
fn a_removed_replica_does_not_come_back() {
    let (mut world, key) = world();
    world.grant(B, A, Right::Share, Scope::All);
    let old = world.parcel(A, key, 0);
    let token = world.number();
    world.see(A, Seen::Client { token, ask: Ask::Remove(key) });
    let id = once_model::action::client_id(T0, &[1; 10]);
    let recorded = world.changes(A, key, "once:remove", id, &state(key.uuid, 0).0);
    world.record(A, recorded);
    let tombstone = world.parcel(A, key, 0);
    world.takes(A, B, &tombstone);
    world.right();
    let from = Some(world.k[A].id);
    let kept = Kept { header: old.header, chain: old.chain, from, beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.wrong(Check::RemovedStays);
}

/// B follows A's object.
fn follows(world: &mut World, key: ObjectKey) {
    let from = world.k[A].id;
    world.done(B, Ask::Follow { key, from });
    let have = Some(world.k[A].things[&key].header.id());
    world.pass(B, A, 1, Frame::Follow(Follow { key, have }));
}

fn following(key: ObjectKey, on: bool, code: Option<Code>) -> Frame {
    Frame::Following(Following { key, on, code })
}

#[test]
fn who_follows_gets_what_is_new() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, true, None));
    put(&mut world, key, 1);
    let parcel = world.parcel(A, key, 1);
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.takes(A, B, &parcel);
    world.healed();
    world.right();
}

#[test]
fn who_follows_is_due_what_is_new() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, true, None));
    put(&mut world, key, 1);
    world.healed();
    world.wrong(Check::ShareDue);
}

#[test]
fn who_may_not_read_does_not_follow() {
    let (mut world, key) = world();
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, true, None));
    world.wrong(Check::ReadAllowed);
}

#[test]
fn who_may_read_is_not_denied_to_follow() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::Object(key));
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, false, Some(Code::Denied)));
    world.wrong(Check::FollowAnswer);
}

#[test]
fn a_subscription_is_answered() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    follows(&mut world, key);
    world.healed();
    world.wrong(Check::FollowDue);
}

#[test]
fn nothing_follows_a_revocation() {
    let (mut world, key) = world();
    let grant = world.grant(A, B, Right::Read, Scope::All);
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, true, None));
    put(&mut world, key, 1);
    world.done(A, Ask::Revoke(grant));
    world.see(A, Seen::Durable);
    let parcel = world.parcel(A, key, 1);
    world.out(A, B, 1, Frame::Share(parcel));
    world.wrong(Check::ShareOwed);
}

#[test]
fn what_is_given_is_shared_in_the_bytes_that_were_named() {
    let (mut world, key) = world();
    let target = world.create(B, 9);
    let old = world.parcel(A, key, 0);
    let given = once_model::action::Given { key, content: old.header.content };
    let ask = AskAct { given: vec![given], ..world.ask(A, B, target, "add") };
    let case = world.accept(A, B, 1, ask);
    world.send(&case);
    let need = once_model::action::Need { lane: case.lane, sequence: 1, lacks: vec![given] };
    world.take_in(B, A, 1, Frame::Need(need));
    put(&mut world, key, 1);
    world.see(A, Seen::Durable);
    world.right();
    let newer = world.parcel(A, key, 1);
    world.out(A, B, 1, Frame::Share(newer));
    world.wrong(Check::ShareOwed);
}

#[test]
fn who_may_not_read_finds_nothing() {
    let (mut world, key) = world();
    let request = Request { call: 1, uuid: key.uuid, line: None };
    world.pass(B, A, 1, Frame::Request(request));
    let parcel = world.parcel(A, key, 0);
    world.pass(A, B, 1, Frame::Found(Found { call: 1, parcel }));
    world.wrong(Check::ReadAllowed);
}

#[test]
fn who_may_read_finds_it() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    let request = Request { call: 1, uuid: key.uuid, line: None };
    world.pass(B, A, 1, Frame::Request(request));
    world.pass(A, B, 1, Frame::Absent(Absent { call: 1, code: Code::Denied }));
    world.wrong(Check::AbsentCode);
}

#[test]
fn one_object_is_not_ambiguous() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    let request = Request { call: 1, uuid: key.uuid, line: None };
    world.pass(B, A, 1, Frame::Request(request));
    world.pass(A, B, 1, Frame::Absent(Absent { call: 1, code: Code::Ambiguous }));
    world.wrong(Check::AbsentCode);
}

#[test]
fn bytes_do_not_go_to_who_may_not_read() {
    let (mut world, key) = world();
    let content = world.k[A].things[&key].header.content;
    let peer = world.k[B].id;
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    let pull = Box::new(Frame::Pull(Pull { key, content, offset: 0 }));
    world.see(A, Seen::Frame { direction: Direction::In, conn: 1, stream: 4, peer, frame: pull });
    world.wait(10);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Durable);
    let body = Box::new(Frame::Body(10));
    world.see(A, Seen::Frame { direction: Direction::Out, conn: 1, stream: 4, peer, frame: body });
    world.wrong(Check::ReadAllowed);
}

#[test]
fn nothing_is_said_to_who_is_no_peer_any_more() {
    let (mut world, key) = world();
    let peer = world.k[B].id;
    world.done(A, Ask::PeerRemove(peer));
    world.see(A, Seen::Durable);
    world.out(A, B, 1, following(key, false, None));
    world.wrong(Check::PeerOnly);
}

#[test]
fn a_share_is_not_sent_twice_at_once() {
    let (mut world, key) = world();
    share(&mut world, key);
    let parcel = world.parcel(A, key, 0);
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.wait(10_000);
    world.out(A, B, 1, Frame::Share(parcel.clone()));
    world.right();
    world.wait(9_999);
    world.out(A, B, 1, Frame::Share(parcel));
    world.wrong(Check::ShareWindow);
}

#[test]
fn a_share_that_came_is_answered() {
    let (mut world, key) = world();
    let parcel = world.parcel(A, key, 0);
    world.take_in(A, B, 1, Frame::Share(parcel));
    world.healed();
    world.wrong(Check::SharedDue);
}

#[test]
fn the_end_of_a_subscription_is_told() {
    let (mut world, key) = world();
    world.grant(A, B, Right::Read, Scope::All);
    follows(&mut world, key);
    world.pass(A, B, 1, following(key, true, None));
    let from = world.k[A].id;
    world.done(B, Ask::Unfollow { key, from });
    world.healed();
    world.wrong(Check::FollowDue);
}
