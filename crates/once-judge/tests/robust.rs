//! Whatever is shown to it, the judge does not panic: hostile peers choose most of what a frame says.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::seen::*;
use once_model::action::{Act, ActOutcome, Given, Missing, Need};
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::receipt::{EntriesOf, ReceiptOf};
use once_model::wire::{Absent, Code, Follow, Following, Frame, Parcel, Pull, Request, ShareAnswer};
use support::*;

/// A small generator of numbers, so that a failure comes again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number of the kind that breaks things.
    fn edge(&mut self) -> u64 {
        let at = self.below(8) as usize;
        [0, 1, 2, 3, 1 << 52, u64::MAX - 1, u64::MAX, 10_000][at]
    }
}

fn act(world: &World, numbers: &mut Numbers, key: ObjectKey) -> Act {
    let ask = world.ask_of(key);
    let mut action = built_in(ask.id, "add", "{}".into());
    action.id = Uuid::from_u128(u128::from(numbers.below(4)));
    action.acting = (numbers.below(4) == 0).then_some(key);
    action.given = vec![Given { key, content: Hash::from_bytes([0; 32]) }; numbers.below(2) as usize];
    Act {
        lane: key.into(),
        sequence: numbers.edge(),
        floor: numbers.edge(),
        action,
        remaining_ms: (numbers.below(2) == 0).then(|| numbers.edge()),
        commit: None,
        void: (numbers.below(3) == 0).then_some(Code::Cancelled),
        certificate: None,
        guest: (numbers.below(3) == 0).then_some(true),
    }
}

fn parcel(world: &World, numbers: &mut Numbers, key: ObjectKey) -> Parcel {
    let mut parcel = world.parcel(B, key, 0);
    parcel.header.revision = numbers.edge();
    parcel.header.epoch = numbers.below(3);
    parcel.header.tombstone = numbers.below(4) == 0;
    parcel.header.size = numbers.edge();
    parcel
}

fn frame(world: &World, numbers: &mut Numbers, key: ObjectKey) -> Frame {
    let lane = key.into();
    let sequence = numbers.edge();
    let id = Uuid::from_u128(u128::from(numbers.below(4)));
    let hash = Hash::from_bytes([numbers.below(3) as u8; 32]);
    match numbers.below(16) {
        0..=4 => Frame::Act(act(world, numbers, key)),
        5 => Frame::Missing(Missing { lane, from: sequence }),
        6 => Frame::Need(Need { lane, sequence, lacks: vec![Given { key, content: hash }] }),
        7 => {
            let outcome = refused(Code::Denied);
            let (after, commit, certificate) = (None, None, None);
            Frame::Outcome(ActOutcome { lane, sequence, id, outcome, after, commit, certificate })
        }
        8 => Frame::Share(parcel(world, numbers, key)),
        9 => shared(&parcel(world, numbers, key), ShareAnswer::Stored),
        10 => Frame::Follow(Follow { key, have: Some(hash) }),
        11 => Frame::Following(Following { key, on: numbers.below(2) == 0, code: Some(Code::Denied) }),
        12 => Frame::Request(Request { call: numbers.below(3), uuid: key.uuid, line: None }),
        13 => Frame::Pull(Pull { key, content: hash, offset: sequence }),
        14 => Frame::ReceiptOf(ReceiptOf { lane, sequence, id }),
        _ if numbers.below(2) == 0 => Frame::EntriesOf(EntriesOf { key, newest: hash, revision: sequence }),
        _ => Frame::Absent(Absent { call: numbers.below(3), code: Code::Denied }),
    }
}

#[test]
fn nothing_makes_it_panic() {
    let mut world = World::pair();
    let keys = [world.create(B, 7), world.create(B, 8)];
    world.grant(B, A, Right::Act, Scope::All);
    let mut numbers = Numbers(7);
    for _ in 0..4_000 {
        let key = keys[numbers.below(2) as usize];
        let k = numbers.below(2) as usize;
        let peer = world.k[1 - k].id;
        match numbers.below(12) {
            0 => world.see(k, Seen::Durable),
            1 => world.see(k, Seen::Committed),
            2 if numbers.below(20) == 0 => {
                world.see(k, Seen::Crashed { kept: numbers.below(3) });
                world.start(k);
                let conn = 100 + world.number();
                world.link(A, B, conn);
            }
            3 => world.see(k, Seen::Clock { now_ms: numbers.edge() }),
            4 => world.see(k, Seen::Room { short: numbers.below(2) == 0 }),
            5 => {
                let header = parcel(&world, &mut numbers, key).header;
                let kept = Kept { header, chain: None, from: Some(peer), beside: numbers.below(2) == 0 };
                world.see(k, Seen::Kept(Box::new(kept)));
            }
            6 => {
                let token = numbers.below(5);
                world.see(k, Seen::Client { token, ask: Ask::Act(Box::new(world.ask_of(key))) });
                world.see(k, Seen::Answered { token, answer: Err(Refusal::Invalid) });
            }
            _ => {
                let direction = if numbers.below(3) == 0 { Direction::Out } else { Direction::In };
                let frame = Box::new(frame(&world, &mut numbers, key));
                let stream = numbers.below(2) * 4;
                world.see(k, Seen::Frame { direction, conn: 1, stream, peer, frame });
            }
        }
        world.at += numbers.below(100);
        world.found.clear();
    }
    world.judge.healed(world.at);
    assert!(!world.judge.tally().never().is_empty());
}
