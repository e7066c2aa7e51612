//! A peer that reads what it may not: what is denied looks like what is not there, to the byte.

use std::future::IntoFuture;

use once_model::ids::{Hash, ItemId, Line, ObjectKey, Uuid};
use once_model::wire::{Absent, Code, Follow, Frame, Pull, Request};

use crate::raw::*;

#[test]
fn denied_and_absent_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let (secret, _) = alice.import(note(1, "secret")).await.unwrap();
        let (home, _) = alice.import(note(2, "claimed")).await.unwrap();
        let (home, _) = alice.claim(home.key()).await.unwrap();
        let (large, _) = alice.import(note(3, &"x".repeat(200_000))).await.unwrap();
        let (gone, _) = alice.import(note(4, "gone")).await.unwrap();
        let (gone, _) = alice.claim(gone.key()).await.unwrap();
        alice.remove(gone.key()).await.unwrap();
        alice.import(note(5, "one of two")).await.unwrap();
        let (two, _) = alice.import(note(5, "two of two")).await.unwrap();
        for object in [&secret, &home, &large, &gone, &two] {
            let there = object.key();
            // Nowhere, but alike.
            let line = match there.line {
                Line::Unclaimed(_) => Line::Unclaimed(Hash::from_bytes([1; 32])),
                Line::Claimed(_) => Line::Claimed(once_model::ids::Lineage::from_bytes([1; 32])),
            };
            let absent = ObjectKey { uuid: Uuid::from_u128(99), line };
            let content = object.content();
            for pair in [
                [there, absent].map(|key| Frame::Request(Request { call: 8, uuid: key.uuid, line: None })),
                [there, absent]
                    .map(|key| Frame::Request(Request { call: 8, uuid: key.uuid, line: Some(key.line) })),
            ] {
                let mut heard = Vec::new();
                for frame in &pair {
                    control.say(frame).await;
                    heard.push(control.lane.hear_bytes().await.unwrap());
                }
                assert_eq!(heard[0], heard[1], "{pair:?}");
                assert_eq!(heard[0], Frame::Absent(Absent { call: 8, code: Code::Denied }).encode());
            }
            for offset in [0, 1, 1 << 40] {
                let mut heard = Vec::new();
                for key in [there, absent] {
                    heard.push(
                        everything_on_a_stream(&control, &Frame::Pull(Pull { key, content, offset })).await,
                    );
                }
                assert_eq!(heard[0], heard[1], "pull of {there} from {offset}");
                assert_eq!(heard[0], framed(&Frame::Absent(Absent { call: 0, code: Code::Denied }).encode()));
            }
            let mut heard = Vec::new();
            for key in [there, absent] {
                control.say(&Frame::Follow(Follow { key, have: None })).await;
                let Some(Frame::Following(mut answer)) = control.hear().await else { panic!("no answer") };
                assert_eq!(answer.key, key);
                answer.key = nowhere(0);
                heard.push(answer);
            }
            assert_eq!(heard[0], heard[1], "follow of {there}");
        }
        still_works(&alice, &bob, 9).await;
    });
}

/// What comes back on a stream that begins with this frame.
async fn everything_on_a_stream(control: &Control, frame: &Frame) -> Vec<u8> {
    let mut lane = Lane::open(&control.connection).await;
    lane.say(frame).await;
    within("the end of the stream", lane.recv.read_to_end(1_000_000)).await.unwrap()
}

#[test]
fn an_exchange_shows_a_peer_only_what_it_may_read() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        let mut ids = Vec::new();
        let mut listing = |n: usize| {
            let parcel = unclaimed(&note(n, "secret"));
            ids.push(parcel.header.item_id());
        };
        for n in 0..20 {
            alice.import(note(n, "secret")).await.unwrap();
            listing(n);
        }
        let made_up: Vec<_> = (0..20).map(|n| ItemId::from_bytes([n; 32])).collect();
        let empty = reconcile_nothing();
        let mut heard = Vec::new();
        for wanted in [ids, made_up] {
            let mut lane = Lane::open(&control.connection).await;
            lane.say(&Frame::Reconcile(empty.clone())).await;
            let compared = lane.hear_bytes().await.unwrap();
            lane.say(&Frame::Want(wanted)).await;
            let given = lane.hear_bytes().await.unwrap();
            assert_eq!(given, Frame::Given(0).encode());
            heard.push((compared, given));
            lane.say(&Frame::Offer(Vec::new())).await;
            assert!(matches!(lane.hear().await, Some(Frame::Kept(_))));
        }
        assert_eq!(heard[0], heard[1]);
        // As if nothing were there at all.
        let empty_kernel = kernel(dir.path(), "carol").await;
        let control = mallory.join(&empty_kernel).await;
        let mut lane = Lane::open(&control.connection).await;
        lane.say(&Frame::Reconcile(empty)).await;
        assert_eq!(lane.hear_bytes().await.unwrap(), heard[0].0);
        still_works(&alice, &bob, 29).await;
    });
}

/// How a comparison of nothing begins in the negentropy protocol: version 1, one range to the end of everything, as a
/// list of no ids.
pub fn reconcile_nothing() -> Vec<u8> {
    vec![0x61, 0, 0, 2, 0]
}

#[test]
fn a_removed_peer_reads_nothing_more_on_streams_that_are_open() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let (object, _) = alice.import(note(1, "secret")).await.unwrap();
        let id = unclaimed(&note(1, "secret")).header.item_id();
        let mut lane = Lane::open(&control.connection).await;
        lane.say(&Frame::Reconcile(reconcile_nothing())).await;
        assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
        lane.say(&Frame::Want(vec![id])).await;
        assert!(matches!(lane.hear().await, Some(Frame::Give(_))));
        assert_eq!(lane.hear().await, Some(Frame::Given(1)));

        alice.remove_peer(mallory.id()).await.unwrap();
        lane.say(&Frame::Want(vec![id])).await;
        assert!(!matches!(lane.hear().await, Some(Frame::Give(_))));
        assert_eq!(control.closed().await, Some(100));
        // And on a new connection it is a stranger.
        let mut control = Control::open(mallory.connect(&alice).await).await;
        control.say(&Frame::Hello(greeting(1))).await;
        assert_eq!(control.hear().await, Some(Frame::Denied(Code::Denied)));
        assert!(alice.get(object.key()).unwrap().is_some());
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_follower_whose_right_is_taken_back_hears_no_more() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let (object, _) = alice.import(note(1, "one")).await.unwrap();
        let (object, _) = alice.claim(object.key()).await.unwrap();
        control.say(&Frame::Follow(Follow { key: object.key(), have: None })).await;
        // The share may overtake the answer: it rests on nothing that is still to be written.
        let mut heard = [control.hear().await.unwrap(), control.hear().await.unwrap()];
        heard.sort_by_key(|frame| matches!(frame, Frame::Share(_)));
        let [Frame::Following(answer), Frame::Share(parcel)] = heard else { panic!("{heard:?}") };
        assert!(answer.on && parcel.header.revision == 1);
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let read = serde_json::json!({ "peer": mallory.id().to_string(), "right": "read" });
        client.call("revoke", read).await.unwrap();
        alice.put(object.key(), note(1, "two")).await.unwrap();
        // It is told that it follows no more, and nothing of the new revision.
        control.say(&Frame::Request(Request { call: 4, uuid: object.uuid(), line: None })).await;
        let mut ended = false;
        loop {
            match control.hear().await.unwrap() {
                Frame::Following(answer) => ended |= !answer.on,
                answer => {
                    assert_eq!(answer, Frame::Absent(Absent { call: 4, code: Code::Denied }));
                    break;
                }
            }
        }
        assert!(ended);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn an_answer_that_is_another_object_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let key = nowhere(7);
        let ask = alice.request(&once::Ior::bare(key.uuid));
        let asked = tokio::spawn(ask.from(mallory.id()).into_future());
        let call = loop {
            if let Frame::Request(request) = control.hear().await.unwrap() {
                break request.call;
            }
        };
        // A valid scenario of its own, which nobody asked for and it may not share.
        let parcel = unclaimed(&note(3, "taken for another"));
        let other = parcel.header.key();
        control.say(&Frame::Found(once_model::wire::Found { call, parcel })).await;
        let error = within("the refusal", asked).await.unwrap().map(|_| ()).unwrap_err();
        assert!(error.message().contains("another object"), "{error}");
        assert!(alice.get(other).unwrap().is_none());
        still_works(&alice, &bob, 9).await;
    });
}
