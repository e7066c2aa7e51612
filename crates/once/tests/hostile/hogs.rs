//! A peer that takes more than its share: it pays for that itself, and others are still served.

use once_model::ids::Hash;
use once_model::wire::{Frame, Parcel, Pull, Request};

use crate::raw::*;

/// What one peer may cost in memory, in KiB: its windows, what waits to be written, and the allocator's slack.
const MEMORY_MAX_KIB: u64 = 96 * 1024;

#[test]
fn a_peer_that_asks_and_never_reads_is_no_longer_read_from() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        // More of them than any cache keeps.
        let text = |n: u64| note(1000 + n as usize, &"x".repeat(60_000));
        let objects = 400;
        let mut uuids = Vec::new();
        for n in 0..objects {
            uuids.push(alice.import(text(n)).await.unwrap().0.uuid());
        }
        let before = of_this_process("VmRSS");
        // 60 KB come back for each of these 40 bytes.
        let asked = 20_000;
        let mut bytes = Vec::new();
        for call in 0..asked {
            let request = Request { call, uuid: uuids[(call % objects) as usize], line: None };
            bytes.extend(framed(&Frame::Request(request).encode()));
        }
        let mut sent = 0;
        // Until nothing more is taken from it.
        while sent < bytes.len() {
            let write = control.lane.send.write(&bytes[sent..]);
            match tokio::time::timeout(std::time::Duration::from_secs(3), write).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
        }
        still_works(&alice, &bob, 9).await;
        let grown = of_this_process("VmRSS").saturating_sub(before);
        assert!(grown < MEMORY_MAX_KIB, "grown by {grown} KiB for {sent} bytes of requests");
        // Once it reads, it gets its answers, in order.
        for call in 0..200 {
            let Some(Frame::Found(found)) = control.hear().await else { panic!("no answer") };
            assert_eq!((found.call, found.parcel.body.as_deref()), (call, Some(text(call).as_bytes())));
        }
    });
}

/// Each of these requests goes over a thousand objects. They are looked up beside the network's thread.
#[test]
fn requests_that_cost_much_hold_up_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let crowd = 1000;
        for n in 0..crowd {
            control.say(&Frame::Share(unclaimed(&note(7, &format!("variant {n}"))))).await;
        }
        let mut stored = 0;
        while stored < crowd {
            stored += usize::from(matches!(control.hear().await, Some(Frame::Shared(_))));
        }
        let uuid = unclaimed(&note(7, "")).header.uuid;
        let flood = 2000;
        let request = framed(&Frame::Request(Request { call: 2, uuid, line: None }).encode());
        control.lane.send.write_all(&request.repeat(flood)).await.unwrap();
        // The first of them is answered: they are being worked on.
        assert!(matches!(control.hear().await, Some(Frame::Absent(_))));
        let mut answered = 1;
        still_works(&alice, &bob, 9).await;
        while let Ok(heard) =
            tokio::time::timeout(std::time::Duration::from_millis(1), control.lane.hear_bytes()).await
        {
            assert!(heard.is_some());
            answered += 1;
        }
        assert!(answered < flood, "an honest share waited for all {answered} requests");
        drop(control);
        still_works(&alice, &bob, 10).await;
    });
}

#[test]
fn a_peer_that_pulls_and_never_reads_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let text = note(1, &"x".repeat(8_000_000));
        let (object, _) = alice.import(text.clone()).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..30 {
            let mut lane = Lane::open(&control.connection).await;
            let pull = Pull { key: object.key(), content: object.content(), offset: 0 };
            lane.say(&Frame::Pull(pull)).await;
            held.push(lane);
        }
        // The first of them are being answered.
        assert!(matches!(held[0].hear().await, Some(Frame::Body(_))));
        within("a large share to bob", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
        assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        drop(held);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_peer_that_announces_and_never_gives_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let before = of_this_process("VmRSS");
        let template = unclaimed(&note(1, "announced"));
        for n in 0..5_000_u128 {
            let mut parcel = Parcel { body: None, ..template.clone() };
            parcel.header.uuid = once_model::ids::Uuid::from_u128(n);
            parcel.header.size = 20_000_000;
            let mut content = [0; 32];
            content[..16].copy_from_slice(&n.to_be_bytes());
            parcel.header.content = Hash::from_bytes(content);
            control.say(&Frame::Share(parcel)).await;
        }
        // It is asked for the first of them, and says nothing.
        let mut asked = Vec::new();
        asked.push(within("a pull", control.connection.accept_bi()).await.unwrap());
        let text = note(2, &"y".repeat(8_000_000));
        let (object, _) = bob.import(text.clone()).await.unwrap();
        within("a large share from bob", bob.share(object.key()).to(alice.id()).delivered()).await.unwrap();
        assert_eq!(alice.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        let grown = of_this_process("VmRSS").saturating_sub(before);
        assert!(grown < 2 * MEMORY_MAX_KIB, "grown by {grown} KiB");
        drop(asked);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_giver_that_stops_in_the_middle_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mut held = Vec::new();
        for n in 0..5 {
            let mallory = Raw::new().await;
            let control = mallory.join(&alice).await;
            let large = unclaimed(&note(10 + n, &"z".repeat(1_000_000)));
            let mut lane = Lane::open(&control.connection).await;
            lane.say(&Frame::Reconcile(super::reading::reconcile_nothing())).await;
            assert!(matches!(lane.hear().await, Some(Frame::Reconcile(_))));
            lane.say(&Frame::Offer(vec![large.header.item_id()])).await;
            assert!(matches!(lane.hear().await, Some(Frame::Want(_))));
            lane.say(&Frame::Give(Parcel { body: None, ..large })).await;
            lane.send.write_all(&[b' '; 1000]).await.unwrap();
            held.push((mallory, control, lane));
        }
        let text = note(2, &"y".repeat(8_000_000));
        let (object, _) = bob.import(text.clone()).await.unwrap();
        within("a large share from bob", bob.share(object.key()).to(alice.id()).delivered()).await.unwrap();
        assert_eq!(alice.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        drop(held);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn unread_bytes_of_a_peer_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let control = mallory.join(&alice).await;
        alice.grant(mallory.id(), once::Right::Read).await.unwrap();
        let (object, _) = alice.import(note(1, &"x".repeat(8_000_000))).await.unwrap();
        // Behind a pull that is being answered nothing is read.
        let before = control.connection.stats().udp_tx.bytes;
        let mut held = Vec::new();
        for _ in 0..20 {
            let mut lane = Lane::open(&control.connection).await;
            let pull = Pull { key: object.key(), content: object.content(), offset: 0 };
            let mut more = framed(&Frame::Pull(pull).encode());
            more.resize(4 * 1024 * 1024, 0);
            let mut sent = 0;
            while sent < more.len() {
                let write = lane.send.write(&more[sent..]);
                match tokio::time::timeout(std::time::Duration::from_millis(300), write).await {
                    Ok(Ok(written)) => sent += written,
                    _ => break,
                }
            }
            held.push(lane);
        }
        let taken = control.connection.stats().udp_tx.bytes - before;
        assert!(taken < 12 * 1024 * 1024, "{taken} bytes were taken and read by nobody");
        still_works(&alice, &bob, 9).await;
    });
}

/// Each has only so much room for large scenarios. Neither may wait for the other to let go first.
#[test]
fn two_kernels_that_send_each_other_large_scenarios_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.grant(bob.id(), once::Right::Read).await.unwrap();
        bob.grant(alice.id(), once::Right::Read).await.unwrap();
        let mut shares = Vec::new();
        for (from, to, first) in [(&alice, &bob, 0), (&bob, &alice, 100)] {
            for n in 0..16 {
                let text = note(first + n, &"z".repeat(1_000_000));
                let (object, _) = from.import(text).await.unwrap();
                shares.push(from.share(object.key()).to(to.id()).delivered());
            }
        }
        let all = futures_util::future::join_all(shares);
        for delivered in within("all large shares, both ways", all).await {
            delivered.unwrap();
        }
        // The same in exchanges that both begin.
        for (from, first) in [(&alice, 200), (&bob, 300)] {
            for n in 0..8 {
                from.import(note(first + n, &"z".repeat(1_000_000))).await.unwrap();
            }
        }
        let (a, b) = within("exchanges that cross", async {
            tokio::join!(alice.exchange(bob.id()), bob.exchange(alice.id()))
        })
        .await;
        a.unwrap();
        b.unwrap();
        for kernel in [&alice, &bob] {
            assert_eq!(kernel.status().unwrap().objects, 48);
        }
    });
}
