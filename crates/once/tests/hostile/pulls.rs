//! Large bodies: when they may be pulled, and what becomes of a transfer that breaks.

use std::future::IntoFuture;

use once_model::wire::{Frame, Pull};

use crate::raw::*;

/// What a frame tells may be asked for as soon as it is told: the right to pull is there before the share is.
#[test]
fn the_bytes_of_a_share_may_be_pulled_at_once() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        // Without the right to read.
        let mut control = mallory.join(&alice).await;
        for n in 0..40 {
            let text = note(100 + n, &"x".repeat(100_000));
            let (object, _) = alice.import(text.clone(), None).await.unwrap();
            let share = tokio::spawn(alice.share(object.key()).to(mallory.id()).into_future());
            let header = loop {
                match control.hear().await.expect("a share") {
                    Frame::Share(parcel) if parcel.header.key() == object.key() => break parcel.header,
                    _ => {}
                }
            };
            let mut lane = Lane::open(&control.connection).await;
            let pull = Pull { key: header.key(), content: header.content, offset: 0 };
            lane.say(&Frame::Pull(pull)).await;
            assert_eq!(lane.hear().await, Some(Frame::Body(text.len() as u64)), "share {n}");
            let bytes = within("the bytes", lane.recv.read_to_end(text.len())).await.unwrap();
            assert_eq!(bytes, text.as_bytes());
            share.await.unwrap().unwrap();
        }
        still_works(&alice, &bob, 9).await;
    });
}
