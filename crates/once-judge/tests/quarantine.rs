//! A kernel that was put back from a backup.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::wire::Frame;
use support::*;

#[test]
fn nothing_leaves_a_kernel_in_quarantine() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.see(A, Seen::Durable);
    world.see(A, Seen::BackedUp { copy: 1 });
    world.see(A, Seen::Crashed { kept: 0 });
    world.start(A);
    world.see(A, Seen::Durable);
    world.see(A, Seen::Crashed { kept: 0 });
    world.see(A, Seen::RolledBack { copy: 1 });
    // The start that the peer knows of is the second, too, and another one.
    let shown = {
        let k = &world.k[A];
        once_model::progress::Progress::sign(
            k.incarnation,
            2,
            once_model::ids::BootId::from_bytes([99; 16]),
            5,
            &k.key,
        )
    };
    world.k[A].boot = 1;
    world.start(A);
    world.dial(A, B, 9);
    let hello = Frame::Hello(world.greeting(A));
    world.pass(A, B, 9, hello);
    let mut greeting = world.greeting(B);
    greeting.seen = vec![shown];
    world.pass(B, A, 9, Frame::Admitted(greeting));
    world.right();
    world.refused(A, Ask::Act(Box::new(world.ask_of(key))), Refusal::Quarantined);
    world.right();
    world.out(A, B, 9, Frame::Unfollow(key));
    world.wrong(Check::QuarantineSilent);
}

#[test]
fn a_life_that_it_has_not_ended_puts_it_into_quarantine() {
    let mut world = World::apart();
    world.befriend(A, B);
    let shown = {
        let k = &world.k[A];
        let life = once_model::ids::Incarnation::from_bytes([66; 16]);
        once_model::progress::Progress::sign(life, 1, once_model::ids::BootId::from_bytes([9; 16]), 5, &k.key)
    };
    let b = world.k[B].id;
    world.dial(A, B, 9);
    let hello = Frame::Hello(world.greeting(A));
    world.pass(A, B, 9, hello);
    let mut greeting = world.greeting(B);
    greeting.seen = vec![shown];
    world.pass(B, A, 9, Frame::Admitted(greeting));
    world.right();
    world.refused(A, Ask::PeerRemove(b), Refusal::Quarantined);
    world.right();
    world.done(A, Ask::PeerRemove(b));
    world.wrong(Check::ClientCode);
}

#[test]
fn what_another_kernel_signed_has_no_effect() {
    let mut world = World::apart();
    world.befriend(A, B);
    let life = once_model::ids::Incarnation::from_bytes([66; 16]);
    let boot = once_model::ids::BootId::from_bytes([9; 16]);
    let forged = once_model::progress::Progress::sign(life, 1, boot, 5, &world.k[B].key);
    let b = world.k[B].id;
    world.dial(A, B, 9);
    let hello = Frame::Hello(world.greeting(A));
    world.pass(A, B, 9, hello);
    let mut greeting = world.greeting(B);
    greeting.seen = vec![forged];
    world.pass(B, A, 9, Frame::Admitted(greeting));
    world.done(A, Ask::PeerRemove(b));
    world.right();
}
