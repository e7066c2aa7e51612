//! Kernels that are let in for one object, because it moved to where they are no peers (protocol 5.6 Visitors).
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::{Ahead, LuggageGrant};
use once_model::wire::{Code, Follow, Following, Frame};
use support::moving::BETWEEN;
use support::*;

/// The connection of the visitor.
const VISIT: u64 = 3;

fn act(to: KernelId, key: ObjectKey) -> Grant {
    let scope = Scope::Object(key);
    Grant { to: Grantee::Kernel(to), home: None, right: Right::Act, scope, expires_ms: None, actions: None }
}

/// An object has moved from B to C, with what was granted on it to A, who is no peer of C.
fn moved(granted: bool) -> (World, ObjectKey) {
    let (mut world, key, case) = World::about_to_move();
    world.is_welcome(key);
    let mut luggage = world.luggage(key, &case);
    let kernel = world.k[A].id;
    let grant = LuggageGrant { kernel, object: None, right: 3, remaining_ms: None, actions: None };
    luggage.grants.extend(granted.then_some(grant));
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.accepts(&handoff);
    later(&mut world);
    world.right();
    (world, key)
}

/// What was said in the groups before is said.
fn later(world: &mut World) {
    for _ in 0..3 {
        world.see(C, Seen::Durable);
    }
}

/// A calls C, and is answered.
fn calls(world: &mut World, answer: Option<Code>) {
    world.dial(A, C, VISIT);
    let hello = Frame::Hello(world.greeting(A));
    world.take_in(A, C, VISIT, hello);
    let admitted = Frame::Admitted(world.greeting(C));
    world.out(C, A, VISIT, answer.map_or(admitted, Frame::Denied));
}

#[test]
fn who_has_a_right_on_what_moved_in_comes() {
    let (mut world, _) = moved(true);
    calls(&mut world, None);
    world.right();
}

#[test]
fn who_has_none_does_not() {
    let (mut world, _) = moved(false);
    calls(&mut world, None);
    world.wrong(Check::InviteOpen);
}

#[test]
fn a_visitor_with_a_right_is_not_denied() {
    let (mut world, _) = moved(true);
    calls(&mut world, Some(Code::Denied));
    world.wrong(Check::VisitTrue);
}

#[test]
fn a_visit_is_over_with_its_right() {
    let (mut world, key) = moved(true);
    let grant = act(world.k[A].id, key);
    world.done(C, Ask::Revoke(grant));
    later(&mut world);
    calls(&mut world, None);
    world.wrong(Check::InviteOpen);
}

#[test]
fn nothing_is_said_to_a_visitor_after_that() {
    let (mut world, key) = moved(true);
    calls(&mut world, None);
    let grant = act(world.k[A].id, key);
    world.done(C, Ask::Revoke(grant));
    later(&mut world);
    world.out(C, A, VISIT, Frame::Unfollow(key));
    world.wrong(Check::PeerOnly);
}

#[test]
fn who_was_removed_does_not_come_back_as_a_visitor() {
    let (mut world, key, case) = World::about_to_move();
    world.befriend(A, C);
    let gone = world.k[A].id;
    world.done(C, Ask::PeerRemove(gone));
    world.is_welcome(key);
    let mut luggage = world.luggage(key, &case);
    luggage.grants.push(LuggageGrant {
        kernel: gone,
        object: None,
        right: 3,
        remaining_ms: None,
        actions: None,
    });
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.accepts(&handoff);
    later(&mut world);
    calls(&mut world, None);
    world.wrong(Check::InviteOpen);
}

#[test]
fn a_visitor_reads_nothing_else() {
    let (mut world, _) = moved(true);
    let other = world.create(C, 8);
    calls(&mut world, None);
    later(&mut world);
    let follow = Frame::Follow(Follow { key: other, have: None });
    world.take_in(A, C, VISIT, follow);
    world.out(C, A, VISIT, Frame::Following(Following { key: other, on: true, code: None }));
    world.wrong(Check::ReadAllowed);
}

#[test]
fn who_only_asks_whether_an_object_could_move_seals_nothing() {
    let (mut world, key, case) = World::about_to_move();
    let (to, header) = (world.k[C].id, world.k[B].things[&key].header.clone());
    let certificate = world.k[B].things[&key].chain.certificate();
    let (component, version) = (header.component.clone(), header.version.clone());
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::WouldMove { key, to } });
    let ahead = Ahead { key, certificate, component, version, size: header.size, record: None };
    world.pass(B, C, BETWEEN, Frame::Ahead(ahead));
    world.right();
    let welcome = once_model::moving::Welcome { key, certificate, code: None };
    world.pass(C, B, BETWEEN, Frame::Welcome(welcome));
    let luggage = world.luggage(key, &case);
    let handoff = world.handoff(key, &luggage);
    world.seals(&handoff);
    world.wrong(Check::SealRight);
}
