//! Bounds are met exactly: what just fits moves, and one byte more does not. What goes along is what belongs to others.

use std::collections::BTreeSet;

use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::INLINE_MAX_BYTES;
use once_model::scenario::Scenario;
use once_model::wire::{Code, Follow, Frame};

use super::tests::{go, home, pair, refused};
use crate::access::{self, Grant, Right, Scope};
use crate::object;
use crate::refusal::Unmoved;
use crate::store::{Read, Table};
use crate::testing::{Pair, Side, asked};
use crate::waist::{Answer, Command};

fn made(pair: &mut Pair, text: &str) -> ObjectKey {
    let scenario = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", text).unwrap();
    let token = pair.a.command(Command::Create { scenario });
    match &pair.a.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    }
}

/// A scenario that just fits a frame goes inside of the handoff, one that is longer comes ahead of it.
#[test]
fn what_just_fits_a_frame_is_handed_over_in_it() {
    let size = |padding: usize| {
        let (mut pair, _) = pair("Paper");
        let key = made(&mut pair, &format!("{{\"t\":\"{}\"}}", "x".repeat(padding)));
        (pair.a.head(&key).unwrap().size, pair, key)
    };
    let padding = INLINE_MAX_BYTES - usize::try_from(size(0).0).unwrap();
    for (padding, is_inside) in [(padding, true), (padding + 1, false)] {
        let (size, mut pair, key) = size(padding);
        assert_eq!(size <= INLINE_MAX_BYTES as u64, is_inside);
        go(&mut pair, Side::A, key);
        let (mut comes_ahead, mut body) = (false, None);
        for _ in 0..20 {
            match pair.deliver(Side::B) {
                Some(Frame::Share(_)) => comes_ahead = true,
                Some(Frame::Handoff(said)) => body = Some(said.body.is_some()),
                _ => {}
            }
            pair.deliver(Side::A);
        }
        assert_eq!((comes_ahead, body), (!is_inside, Some(is_inside)));
        assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    }
}

fn quota(pair: &mut Pair, bytes: u64) {
    let (peer, quota_bytes) = (pair.a.id(), Some(bytes));
    pair.b.command(Command::ChangePeer { peer, petname: None, quota_bytes, addresses: Vec::new() });
}

#[test]
fn a_quota_is_enough_for_what_just_fits_it() {
    let full = Some(Unmoved::Unwelcome(Code::Quota));
    let (mut other, key) = pair("Paper");
    let size = other.a.head(&key).unwrap().size;
    for (bytes, why) in [(size, None), (size - 1, full.clone())] {
        quota(&mut other, bytes);
        let to = other.b.id();
        let token = other.a.command(Command::WouldMove { key, to });
        other.settle();
        assert_eq!(refused(&other.a, token), why);
        assert_eq!(other.a.answered.get(&token) == Some(&Answer::Welcome), why.is_none());
    }
    // What is handed over counts its luggage.
    quota(&mut other, u64::MAX);
    go(&mut other, Side::A, key);
    other.deliver(Side::B);
    other.deliver(Side::A);
    let luggage = match other.on_the_way(Side::B).back() {
        Some(Frame::Handoff(said)) => said.luggage.as_ref().unwrap().len() as u64,
        frame => panic!("{frame:?}"),
    };
    for (bytes, why) in [(luggage, None), (luggage - 1, full)] {
        let (mut pair, key) = pair("Paper");
        let token = go(&mut pair, Side::A, key);
        pair.deliver(Side::B);
        quota(&mut pair, bytes);
        pair.settle();
        assert_eq!(refused(&pair.a, token), why);
        assert_eq!(home(&pair.b, &key).is_some(), why.is_none());
    }
}

/// Whose rights on the object stand at its new home: kernels, and objects of theirs.
fn rights(pair: &Pair, key: &ObjectKey) -> BTreeSet<(KernelId, Option<ObjectKey>, &'static str)> {
    let listed = access::on_object(&pair.b.store, key).unwrap().into_iter().map(|listed| listed.grant);
    listed.map(|grant| (grant.kernel, grant.object, grant.right.name())).collect()
}

/// The new home needs no right on what is its own, nor news of itself; its objects do, as do all others.
#[test]
fn what_stands_here_of_others_goes_along_and_what_is_the_receivers_own_does_not() {
    for without_me in [false, true] {
        let (mut pair, key) = pair("Paper");
        let (a, b, nine) = (pair.a.id(), pair.b.id(), pair.a.peer(9));
        pair.a.connect(9, nine, 91);
        let (mine, theirs) = (pair.a.object(20, "Paper"), pair.b.object(21, "Paper"));
        let acts = Right::Act;
        for (kernel, object, right) in [
            (b, None, acts),
            (b, None, Right::Read),
            (nine.kernel, None, Right::Read),
            (a, Some(mine), acts),
            (b, Some(theirs), acts),
        ] {
            let scope = Scope::Object(key);
            pair.a.command(Command::Grant(Grant {
                scope,
                right,
                kernel,
                object,
                expires_ms: None,
                actions: None,
            }));
        }
        // All three have acted, and the two others follow it.
        pair.a.act_named(key, "write", 1);
        pair.b.act_at(a, key, 2);
        pair.b.command(Command::Follow { key, from: a });
        pair.settle();
        pair.a.says(nine.kernel, 91, Frame::Act(asked(key, 1, "1".into())));
        pair.a.says(nine.kernel, 91, Frame::Follow(Follow { key, have: None }));
        pair.a.command(Command::Move { key, to: b, leave_calls: false, wait: true, without_me });
        pair.settle();
        assert_eq!(home(&pair.b, &key), Some(b));
        let objects = [(a, Some(mine), "act"), (b, Some(theirs), "act")];
        let own = [(a, None, "act"), (a, None, "read")].into_iter().filter(|_| !without_me);
        let all = objects.into_iter().chain(own).chain([(nine.kernel, None, "read")]);
        assert_eq!(rights(&pair, &key), all.collect());
        let has = |table, kernel: &KernelId| {
            [&pair.a, &pair.b]
                .map(|at| at.store.get(table, &object::object_peer_key(&key, kernel)).unwrap().is_some())
        };
        assert_eq!([a, b, nine.kernel].map(|who| has(Table::Follower, &who)[1]), [false, false, true]);
        // At each of the two stand the others.
        let known = [a, b, nine.kernel].map(|who| has(Table::Acquaintance, &who));
        assert_eq!(known, [[false, true], [true, false], [true, true]]);
    }
}
