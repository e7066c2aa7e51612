//! Chores take turns: who has much to do holds up nobody.

use once_model::ids::{KernelId, Uuid};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{FEATURE_ACTIONS, Follow, Frame, Greeting};

use crate::access::{Right, Scope};
use crate::engine::{Engine, Limits};
use crate::testing::{Alone, greeting};
use crate::waist::{Command, Input};

/// Whether two kinds alternate, as long as there are some of both.
fn alternate<T: PartialEq + std::fmt::Debug>(all: &[T], each: usize) {
    assert_eq!(all.len(), 2 * each, "{all:?}");
    let first = &all[0];
    for so_far in 2..2 * each {
        let of_first = all[..so_far].iter().filter(|one| *one == first).count();
        assert!(of_first.abs_diff(so_far - of_first) <= 2, "{all:?}");
    }
}

#[test]
fn subscriptions_at_two_peers_are_repeated_in_turn() {
    let mut kernel = Alone::new();
    let peers = [8, 9].map(|n| kernel.befriend(n));
    let object = kernel.object(1, "Paper");
    for n in 0..12 {
        for from in peers {
            let key = once_model::ids::ObjectKey { uuid: Uuid::from_u128(100 + n), ..object };
            kernel.command(Command::Follow { key, from });
        }
    }
    kernel.restart_with(Engine::within(Limits { slice_rows: 2, ..Limits::PAGE }));
    [8, 9].into_iter().for_each(|n| kernel.up(n, u64::from(n)));
    kernel.outgoing.clear();
    let hello = |n: u8| {
        let key = KernelKey::from_bytes(&[n; 32]);
        let hello = Greeting { features: vec![FEATURE_ACTIONS], ..greeting(&key) };
        Input::Frame { peer: key.id(), conn: u64::from(n), frame: Frame::Hello(hello) }
    };
    kernel.inputs([8, 9].map(hello));
    let follows = kernel.outgoing.iter().filter(|(.., frame)| matches!(frame, Frame::Follow(Follow { .. })));
    let to: Vec<KernelId> = follows.map(|(peer, ..)| *peer).collect();
    // What the first step has done of each comes on top.
    assert!(to.iter().filter(|peer| **peer == peers[0]).count() == 12 && to.len() == 24);
    alternate(&to[4..], 10);
}

#[test]
fn followers_of_two_objects_are_owed_their_news_in_turn() {
    let mut kernel = Alone::new();
    let objects = [1, 2].map(|n| kernel.object(n, "Paper"));
    for n in 20..32 {
        let peer = kernel.befriend(n);
        kernel.grant(peer, Right::Read, Scope::Kernel);
        kernel.greets(n, u64::from(n));
        for key in objects {
            let have = kernel.head(&key).map(|head| head.id());
            kernel.says(peer, u64::from(n), Frame::Follow(Follow { key, have }));
        }
    }
    kernel.engine.limits.slice_rows = 2;
    kernel.outgoing.clear();
    let put = |n: usize| {
        let key = objects[n];
        let scenario = Scenario::compose(key.uuid, "Paper", "1", "me", "{\"n\":1}").unwrap();
        Input::Command { token: 900 + n as u64, command: Command::Put { key, base: None, scenario } }
    };
    kernel.inputs([0, 1].map(put));
    let shares = kernel.outgoing.iter().filter_map(|(.., frame)| match frame {
        Frame::Share(parcel) => Some(parcel.header.uuid),
        _ => None,
    });
    let of: Vec<Uuid> = shares.collect();
    assert_eq!(of.len(), 24);
    alternate(&of[4..], 10);
}

/// Within one connection nothing is repeated: what begins while it is still to be repeated is told when its turn comes.
#[test]
fn what_begins_while_subscriptions_are_repeated_is_told_once() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    let object = kernel.object(1, "Paper");
    let key = |n: u128| once_model::ids::ObjectKey { uuid: Uuid::from_u128(n), ..object };
    for n in 100..120 {
        kernel.command(Command::Follow { key: key(n), from: peer });
    }
    kernel.restart_with(Engine::within(Limits { slice_rows: 1, ..Limits::PAGE }));
    kernel.up(9, 9);
    kernel.outgoing.clear();
    let hello = Greeting { features: vec![FEATURE_ACTIONS], ..greeting(&KernelKey::from_bytes(&[9; 32])) };
    let hello = Input::Frame { peer, conn: 9, frame: Frame::Hello(hello) };
    let begins = |n: u128| {
        let command = Command::Follow { key: key(n), from: peer };
        Input::Command { token: 900 + n as u64, command }
    };
    let ends = Input::Command { token: 990, command: Command::Unfollow { key: key(118), from: peer } };
    kernel.inputs([hello, begins(500), begins(50), ends]);
    let told = |n: u128, on: bool| {
        let frames = kernel.outgoing.iter().map(|(.., frame)| frame);
        frames
            .filter(|frame| match frame {
                Frame::Follow(follow) => on && follow.key == key(n),
                Frame::Unfollow(of) => !on && *of == key(n),
                _ => false,
            })
            .count()
    };
    assert!((100..118).all(|n| told(n, true) == 1));
    assert_eq!([told(500, true), told(50, true), told(118, true), told(118, false)], [1, 1, 0, 1]);
}
