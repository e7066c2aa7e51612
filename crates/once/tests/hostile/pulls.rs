//! Large bodies: when they may be pulled, and what becomes of a transfer that breaks.

use std::future::IntoFuture;

use once_model::wire::{Code, Frame, Parcel, Pull, ShareAnswer};

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
            let (object, _) = alice.import(text.clone()).await.unwrap();
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

/// A large object as it is announced, and its bytes.
fn large(n: usize) -> (Parcel, Vec<u8>) {
    let parcel = unclaimed(&note(n, &"y".repeat(3_000_000)));
    let bytes = parcel.body.clone().unwrap().to_vec();
    (Parcel { body: None, ..parcel }, bytes)
}

/// The kernel pulls: the stream, and from where on.
async fn pulled(control: &Control) -> (Lane, u64) {
    let (send, recv) = within("a pull", control.connection.accept_bi()).await.unwrap();
    let mut lane = Lane { send, recv };
    match lane.hear().await {
        Some(Frame::Pull(pull)) => (lane, pull.offset),
        other => panic!("{other:?} is no pull"),
    }
}

/// Gives `bytes`, and says that it is `rest`.
async fn give(lane: &mut Lane, rest: usize, bytes: &[u8]) {
    lane.say(&Frame::Body(rest as u64)).await;
    lane.send.write_all(bytes).await.unwrap();
}

#[test]
fn a_pull_goes_on_where_it_broke_on_another_connection_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let (parcel, bytes) = large(1);
        let (third, two_thirds) = (bytes.len() / 3, bytes.len() / 3 * 2);

        let mut control = mallory.join(&alice).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, offset) = pulled(&control).await;
        assert_eq!(offset, 0);
        give(&mut lane, bytes.len(), &bytes[..third]).await;
        let file = dir.path().join("alice/incoming").join(mallory.id().to_string());
        let file = file.join(parcel.header.content.to_string());
        let length = || std::fs::metadata(&file).map_or(0, |meta| meta.len());
        until("much of it is on the disk", || length() > 500_000).await;
        control.connection.close(0_u32.into(), b"");

        let mut control = mallory.return_to(&alice, 2).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, offset) = pulled(&control).await;
        let from = usize::try_from(offset).unwrap();
        assert!(from > 500_000 && from <= third, "{from}");
        give(&mut lane, bytes.len() - from, &bytes[from..two_thirds]).await;
        until("more of it is on the disk", || length() > third as u64 + 500_000).await;
        alice.stop().await.unwrap();

        let alice = start(dir.path(), "alice").await;
        let mut control = mallory.return_to(&alice, 3).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, offset) = pulled(&control).await;
        let from = usize::try_from(offset).unwrap();
        assert!(from > third + 500_000 && from <= two_thirds, "{from}");
        give(&mut lane, bytes.len() - from, &bytes[from..]).await;
        assert_eq!(control.share_answer(&parcel).await, ShareAnswer::Stored);
        assert_eq!(alice.scenario(parcel.header.key()).unwrap().unwrap(), bytes);
        until("nothing is left of it", || !file.exists()).await;
        still_works(&alice, &bob, 9).await;
    });
}

/// A stream that ends before all bytes came has broken, however it ended; and what an earlier transfer left is believed
/// only if it fits.
#[test]
fn a_body_that_ends_early_goes_on_and_a_spoilt_one_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let (parcel, bytes) = large(1);
        let mut control = mallory.join(&alice).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, _) = pulled(&control).await;
        give(&mut lane, bytes.len(), &bytes[..1_000_000]).await;
        lane.send.finish().unwrap();
        let (mut lane, offset) = pulled(&control).await;
        assert_eq!(offset, 1_000_000);
        // Wrong bytes, and then the connection breaks.
        give(&mut lane, bytes.len() - 1_000_000, &vec![0; 1_000_000]).await;
        lane.send.finish().unwrap();
        let (_lane, offset) = pulled(&control).await;
        assert_eq!(offset, 2_000_000);
        control.connection.close(0_u32.into(), b"");

        let mut control = mallory.return_to(&alice, 2).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, offset) = pulled(&control).await;
        assert_eq!(offset, 2_000_000);
        give(&mut lane, bytes.len() - 2_000_000, &bytes[2_000_000..]).await;
        // It does not fit together: once more, from the beginning.
        let (mut lane, offset) = pulled(&control).await;
        assert_eq!(offset, 0);
        give(&mut lane, bytes.len(), &bytes).await;
        assert_eq!(control.share_answer(&parcel).await, ShareAnswer::Stored);

        // Whose bytes are wrong from the beginning is told so.
        let (parcel, bytes) = large(2);
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, offset) = pulled(&control).await;
        assert_eq!(offset, 0);
        give(&mut lane, bytes.len(), &vec![0; bytes.len()]).await;
        assert_eq!(control.share_answer(&parcel).await, refused(Code::Invalid));
        still_works(&alice, &bob, 9).await;
    });
}

/// A peer that is removed leaves nothing of what it has begun.
#[test]
fn what_a_removed_peer_has_begun_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let (parcel, bytes) = large(1);
        let mut control = mallory.join(&alice).await;
        control.say(&Frame::Share(parcel.clone())).await;
        let (mut lane, _) = pulled(&control).await;
        give(&mut lane, bytes.len(), &bytes[..1_000_000]).await;
        let folder = dir.path().join("alice/incoming").join(mallory.id().to_string());
        until("much of it is on the disk", || folder.exists()).await;
        control.connection.close(0_u32.into(), b"");
        until("the connection is gone", || alice.status().unwrap().connected == 1).await;
        let mut control = mallory.return_to(&alice, 2).await;
        alice.remove_peer(mallory.id()).await.unwrap();
        while control.hear().await.is_some() {}
        until("nothing of it is left", || !folder.exists()).await;
        still_works(&alice, &bob, 9).await;
    });
}

/// The large ones of an exchange are pulled: what has come of them is not lost when it breaks.
#[test]
fn a_large_body_of_an_exchange_goes_on_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let (parcel, bytes) = large(1);
        let small = unclaimed(&note(2, "small"));
        let mut begun = 0;
        for boot in 1..=2 {
            let control = match boot {
                1 => mallory.join(&alice).await,
                _ => mallory.return_to(&alice, boot).await,
            };
            let mut lane = Lane::open(&control.connection).await;
            lane.say(&Frame::Reconcile(super::reading::reconcile_nothing())).await;
            assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
            let offered = [&parcel, &small].map(|parcel| parcel.header.item_id());
            lane.say(&Frame::Offer(offered.to_vec())).await;
            let Some(Frame::Want(wanted)) = lane.hear().await else { panic!("no want") };
            assert!(wanted.contains(&offered[0]));
            lane.say(&Frame::Give(parcel.clone())).await;
            let mut given = 1;
            if wanted.contains(&offered[1]) {
                lane.say(&Frame::Give(small.clone())).await;
                given += 1;
            }
            lane.say(&Frame::Given(given)).await;
            lane.say(&Frame::Offer(Vec::new())).await;
            let (mut body, offset) = pulled(&control).await;
            let from = usize::try_from(offset).unwrap();
            if boot == 1 {
                assert_eq!(from, 0);
                give(&mut body, bytes.len(), &bytes[..1_000_000]).await;
                // The small one does not wait for the large one.
                until("the small one is stored", || alice.get(small.header.key()).unwrap().is_some()).await;
                let folder = dir.path().join("alice/incoming").join(mallory.id().to_string());
                until("some of it is on the disk", || folder.exists()).await;
                control.connection.close(0_u32.into(), b"");
            } else {
                begun = from;
                give(&mut body, bytes.len() - from, &bytes[from..]).await;
                assert!(matches!(lane.hear().await, Some(Frame::Kept(kept)) if kept.stored == 1));
            }
        }
        assert!(begun > 0);
        assert_eq!(alice.scenario(parcel.header.key()).unwrap().unwrap(), bytes);
        still_works(&alice, &bob, 9).await;
    });
}

/// What was found may change before its bytes are pulled: it is asked for again.
#[test]
fn a_request_for_what_changes_meanwhile_asks_again() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let (parcel, bytes) = large(1);
        let uuid = parcel.header.uuid;
        let ask = alice.request(&once::Ior::bare(uuid)).from(mallory.id());
        let asked = tokio::spawn(ask.timeout(PATIENCE).into_future());
        for round in 0..2 {
            let call = loop {
                if let Frame::Request(request) = control.hear().await.unwrap() {
                    break request.call;
                }
            };
            let found = once_model::wire::Found { call, parcel: parcel.clone() };
            control.say(&Frame::Found(found)).await;
            let (mut lane, _) = pulled(&control).await;
            if round == 0 {
                let gone = once_model::wire::Absent { call: 0, code: Code::Denied };
                lane.say(&Frame::Absent(gone)).await;
                lane.send.finish().unwrap();
            } else {
                give(&mut lane, bytes.len(), &bytes).await;
            }
        }
        let found = within("the object", asked).await.unwrap().unwrap();
        assert_eq!(found.bytes().unwrap(), &bytes);
        still_works(&alice, &bob, 9).await;
    });
}
