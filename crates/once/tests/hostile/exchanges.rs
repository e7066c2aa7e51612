//! A peer that makes nonsense of an exchange.

use once::ErrorKind;
use once_model::ids::ItemId;
use once_model::limits::{INLINE_MAX_BYTES, WANT_MAX_IDS};
use once_model::wire::{Frame, Kept, Parcel};

use super::reading::reconcile_nothing;
use crate::raw::*;

#[test]
fn nonsense_on_a_stream_ends_the_stream_and_not_the_peer() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        for n in 0..50 {
            alice.import(note(n, "here")).await.unwrap();
        }
        let id = ItemId::from_bytes([1; 32]);
        let begin = Frame::Reconcile(reconcile_nothing());
        let offer = Frame::Offer(vec![unclaimed(&note(99, "offered")).header.item_id()]);
        let stories: &[(&str, &[Frame])] = &[
            ("garbage", &[Frame::Reconcile(vec![0xff; 1000])]),
            ("no payload", &[Frame::Reconcile(Vec::new())]),
            ("another version", &[Frame::Reconcile(vec![0x62])]),
            ("a want first", &[Frame::Want(vec![id])]),
            ("a give first", &[Frame::Give(unclaimed(&note(98, "unasked")))]),
            ("a hello", &[Frame::Hello(greeting(1))]),
            ("a share", &[begin.clone(), Frame::Share(unclaimed(&note(98, "unasked")))]),
            ("a give that was not wanted", &[begin.clone(), Frame::Give(unclaimed(&note(98, "unasked")))]),
            (
                "more than a message may be",
                &[Frame::Reconcile([reconcile_nothing(), vec![0; 131_072]].concat())],
            ),
            ("too many wants", &[begin.clone(), Frame::Want(vec![id; WANT_MAX_IDS + 1])]),
            ("too many offers", &[begin.clone(), Frame::Offer(vec![id; WANT_MAX_IDS + 1])]),
            (
                "two gives for one want",
                &[
                    begin.clone(),
                    offer.clone(),
                    Frame::Give(unclaimed(&note(99, "offered"))),
                    Frame::Give(unclaimed(&note(98, "unasked"))),
                ],
            ),
            (
                "apart, but small",
                &[
                    begin.clone(),
                    offer.clone(),
                    Frame::Give(Parcel { body: None, ..unclaimed(&note(99, "offered")) }),
                ],
            ),
            ("garbage in the middle", &[begin.clone(), Frame::Reconcile(vec![0xff; 64])]),
        ];
        for (what, frames) in stories {
            let mut lane = Lane::open(&control.connection).await;
            for frame in *frames {
                lane.say(frame).await;
            }
            let _ = lane.send.finish();
            let mut kept = None;
            while let Some(frame) = lane.hear().await {
                if let Frame::Kept(report) = frame {
                    kept = Some(report);
                }
            }
            assert_eq!(kept, None, "{what}");
            // The connection is still a peer's.
            assert!(control.connection.close_reason().is_none(), "{what}");
            assert!(matches!(
                control.request(1, once_model::ids::Uuid::from_u128(1), None).await,
                Frame::Absent(_)
            ));
        }
        assert_eq!(alice.get(unclaimed(&note(98, "unasked")).header.key()).unwrap(), None);
        still_works(&alice, &bob, 97).await;
    });
}

#[test]
fn a_comparison_without_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        let mut lane = Lane::open(&control.connection).await;
        let again = Frame::Reconcile(reconcile_nothing());
        let mut rounds = 0;
        loop {
            lane.say(&again).await;
            if lane.hear().await.is_none() {
                break;
            }
            rounds += 1;
            assert!(rounds <= once_model::limits::RECONCILE_MAX_ROUNDS, "it never ends");
        }
        assert!(rounds > 0);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn an_offer_beyond_the_quota_and_invalid_gives_are_counted_as_refused() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        let text = |n: usize| note(100 + n, &format!("{n:04}"));
        let cost = once_core::object::cost(&unclaimed(&text(0)).header);
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let quota = serde_json::json!({ "peer": mallory.id().to_string(), "quota_bytes": 5 * cost });
        client.call("peers.set", quota).await.unwrap();

        let parcels: Vec<_> = (0..10).map(|n| unclaimed(&text(n))).collect();
        let mut lane = Lane::open(&control.connection).await;
        lane.say(&Frame::Reconcile(reconcile_nothing())).await;
        assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
        lane.say(&Frame::Offer(parcels.iter().map(|parcel| parcel.header.item_id()).collect())).await;
        let Some(Frame::Want(wanted)) = lane.hear().await else { panic!("no want") };
        assert_eq!(wanted.len(), 10);
        for (n, mut parcel) in parcels.into_iter().enumerate() {
            if n == 3 {
                parcel.body = Some(note(100, "9999").into());
            }
            if n == 4 {
                // A large one inside is no better.
                parcel.body = Some(note(104, &"x".repeat(70_000)).into());
            }
            lane.say(&Frame::Give(parcel)).await;
        }
        lane.say(&Frame::Given(10)).await;
        lane.say(&Frame::Offer(Vec::new())).await;
        let kept = Kept { stored: 5, known: 0, conflicts: 0, refused: 5 };
        assert_eq!(lane.hear().await, Some(Frame::Kept(kept)));
        still_works(&alice, &bob, 9).await;
    });
}

/// Who sends more wants ahead than it may reads its answers late, and in order: nothing is kept for it.
#[test]
fn more_wants_ahead_than_allowed_are_answered_in_order() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let mut ids = Vec::new();
        for n in 0..12 {
            alice.import(note(n, "here")).await.unwrap();
            ids.push(unclaimed(&note(n, "here")).header.item_id());
        }
        let mut lane = Lane::open(&control.connection).await;
        lane.say(&Frame::Reconcile(reconcile_nothing())).await;
        assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
        for id in &ids {
            lane.say(&Frame::Want(vec![*id])).await;
        }
        for id in &ids {
            assert!(matches!(lane.hear().await, Some(Frame::Give(parcel)) if parcel.header.item_id() == *id));
            assert_eq!(lane.hear().await, Some(Frame::Given(1)));
        }
        still_works(&alice, &bob, 29).await;
    });
}

/// A kernel that asks for an exchange is not held for ever by a peer that never answers.
#[test]
fn an_exchange_with_a_peer_that_says_nothing_ends() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        let (exchange, lane) = tokio::join!(alice.exchange(mallory.id()), async {
            let (send, recv) = within("a stream", control.connection.accept_bi()).await.unwrap();
            let mut lane = Lane { send, recv };
            assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
            lane
        });
        drop(lane);
        assert_eq!(exchange.unwrap_err().kind(), ErrorKind::Unreachable);
        still_works(&alice, &bob, 9).await;
    });
}

/// What a peer gives in answer to a want must not fill the memory with bytes that nobody wanted.
#[test]
fn a_giver_that_announces_gigabytes_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        for size in [u64::MAX, 64 * 1024 * 1024 + 1, INLINE_MAX_BYTES as u64] {
            let mut parcel = unclaimed(&note(1, "large"));
            (parcel.body, parcel.header.size) = (None, size);
            let mut lane = Lane::open(&control.connection).await;
            lane.say(&Frame::Reconcile(reconcile_nothing())).await;
            assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
            lane.say(&Frame::Offer(vec![parcel.header.item_id()])).await;
            assert!(matches!(lane.hear().await, Some(Frame::Want(_))));
            lane.say(&Frame::Give(parcel)).await;
            assert_eq!(lane.hear().await, None, "{size}");
        }
        still_works(&alice, &bob, 9).await;
    });
}
