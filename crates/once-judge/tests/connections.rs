//! Which of two connections prevails (protocol 5.1).

mod support;

use once_judge::Check;
use once_model::wire::{Following, Frame};
use support::*;

/// A has dialled B on connection 1, and is connected; on connection 2 one of them dials as well.
fn twice(from: usize, to: usize) -> World {
    let mut world = World::pair();
    world.dial(from, to, 2);
    let hello = Frame::Hello(world.greeting(from));
    world.pass(from, to, 2, hello);
    world
}

fn admits(world: &mut World, from: usize, to: usize) {
    let admitted = Frame::Admitted(world.greeting(from));
    world.pass(from, to, 2, admitted);
}

#[test]
fn the_newer_one_of_the_same_way_takes_the_place_of_the_older_one() {
    let mut world = twice(A, B);
    admits(&mut world, B, A);
    let key = world.create(B, 7);
    world.out(A, B, 2, Frame::Unfollow(key));
    world.right();
    world.out(A, B, 1, Frame::Unfollow(key));
    world.wrong(Check::Prevails);
}

#[test]
fn of_two_ways_the_one_is_kept_that_the_lower_kernel_has_dialled() {
    let mut world = twice(B, A);
    admits(&mut world, A, B);
    if world.k[A].id < world.k[B].id { world.wrong(Check::Prevails) } else { world.right() }
}

#[test]
fn a_peer_that_was_restarted_prevails() {
    let mut world = World::pair();
    world.k[B].boot += 1;
    world.dial(B, A, 2);
    let hello = Frame::Hello(world.greeting(B));
    world.pass(B, A, 2, hello);
    admits(&mut world, A, B);
    world.right();
}

#[test]
fn what_still_comes_on_the_one_that_lost_has_no_effect() {
    let mut world = twice(A, B);
    admits(&mut world, B, A);
    let key = world.create(B, 7);
    world.take_in(A, B, 1, Frame::Unfollow(key));
    world.out(B, A, 2, Frame::Following(Following { key, on: false, code: None }));
    world.wrong(Check::FollowAnswer);
}

/// Who is removed has no connection any more: what still comes on it counts for nothing, and one that comes later need not
/// prevail over it.
#[test]
fn the_connection_of_who_is_removed_is_none() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    world.grant(B, A, once_judge::seen::Right::Act, once_judge::seen::Scope::All);
    let case = world.act(key, 1, "add");
    world.run(&case, Some(1), vec![]);
    let outcome = Frame::Outcome(world.outcome(&case, done(), true));
    world.out(B, A, 1, outcome.clone());
    // In one group: A removes B, uses a ticket of it, and hears it.
    let (peer, token) = (world.k[B].id, world.number());
    world.see(A, once_judge::seen::Seen::Client { token, ask: once_judge::seen::Ask::PeerRemove(peer) });
    world.see(A, once_judge::seen::Seen::Client { token: 1, ask: once_judge::seen::Ask::Join(peer) });
    world.take_in(B, A, 1, outcome);
    world.see(A, once_judge::seen::Seen::Durable);
    world.see(A, once_judge::seen::Seen::Answered { token, answer: Ok(once_judge::seen::Reply::Done) });
    world.done(A, once_judge::seen::Ask::PeerAdd(peer));
    // Whichever of the two is the lower one: each dials the other once.
    for (conn, from, to) in [(2, A, B), (3, B, A)] {
        world.dial(from, to, conn);
        let hello = Frame::Hello(world.greeting(from));
        world.pass(from, to, conn, hello);
        if conn == 2 {
            let admitted = Frame::Admitted(world.greeting(to));
            world.pass(to, from, conn, admitted);
            world.out(A, B, conn, Frame::Act(World::frame(&case)));
        }
    }
    world.right();
}
