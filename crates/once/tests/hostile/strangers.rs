//! Kernels that are no peers: they cost little and learn nothing.

use once::ErrorKind;
use once_model::ids::Secret;
use once_model::wire::{Code, Frame, Pull, Request};

use crate::raw::*;

/// The number of a connection that was closed because of [`Code::Denied`].
const DENIED: Option<u64> = Some(100);
const CROWDED: Option<u64> = Some(104);

#[test]
fn a_stranger_hears_denied_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let (object, _) = alice.import(note(1, "secret")).await.unwrap();
        let mallory = Raw::new().await;

        // With a hello: the word and the close.
        let mut control = Control::open(mallory.connect(&alice).await).await;
        control.say(&Frame::Hello(greeting(1))).await;
        assert_eq!(control.hear().await, Some(Frame::Denied(Code::Denied)));
        assert_eq!(control.closed().await, DENIED);

        // With an invented invite: the same, to the byte.
        let mut control = Control::open(mallory.connect(&alice).await).await;
        let guess = once_model::wire::Greeting { invite: Some(Secret::from_bytes([9; 16])), ..greeting(1) };
        control.say(&Frame::Hello(guess)).await;
        assert_eq!(control.lane.hear_bytes().await, Some(Frame::Denied(Code::Denied).encode()));
        assert_eq!(control.closed().await, DENIED);

        // Without a hello, whatever it asks first, of what is there and of what is not.
        let there = object.key();
        for key in [there, nowhere(3)] {
            for frame in [
                Frame::Request(Request { call: 1, uuid: key.uuid, line: Some(key.line) }),
                Frame::Pull(Pull { key, content: object.content(), offset: 0 }),
                Frame::Reconcile(vec![0x61]),
                Frame::Share(unclaimed(&note(2, "unwanted"))),
                Frame::Admitted(greeting(1)),
                Frame::Follow(once_model::wire::Follow { key, have: None }),
            ] {
                let mut control = Control::open(mallory.connect(&alice).await).await;
                control.say(&frame).await;
                assert_eq!(control.hear().await, Some(Frame::Denied(Code::Denied)), "{frame:?}");
                assert_eq!(control.hear().await, None);
                assert_eq!(control.closed().await, DENIED, "{frame:?}");
            }
        }
        assert_eq!(alice.get(unclaimed(&note(2, "unwanted")).header.key()).unwrap(), None);

        // Silent, or with half a hello: shown the door after a while.
        let silent = mallory.connect(&alice).await;
        let mut half = Control::open(mallory.connect(&alice).await).await;
        let hello = framed(&Frame::Hello(greeting(1)).encode());
        half.lane.send.write_all(&hello[..hello.len() / 2]).await.unwrap();
        assert_eq!(closed(&silent).await, CROWDED, "it may have been slow only");
        assert_eq!(half.closed().await, CROWDED);

        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_used_invite_is_worth_as_much_as_none() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let ticket = alice.invite().await.unwrap();
        bob.join(&ticket).await.unwrap();
        // Also one that a peer has shown, who needed none.
        let carol = kernel(dir.path(), "carol").await;
        assert_eq!(carol.join(&ticket).await.unwrap_err().kind(), ErrorKind::Denied);
        let mallory = Raw::new().await;
        let mut control = Control::open(mallory.connect(&alice).await).await;
        let used = once_model::wire::Greeting { invite: Some(ticket.secret()), ..greeting(1) };
        control.say(&Frame::Hello(used)).await;
        // It may know that the secret was good once; it learns nothing else, and does not get in.
        assert_eq!(control.hear().await, Some(Frame::Denied(Code::Denied)));
        assert_eq!(control.closed().await, DENIED);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_hundred_strangers_leave_nothing_behind_and_an_honest_newcomer_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    story_alone(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let visit = async || {
            let connection = mallory.connect(&alice).await;
            if let Ok((send, recv)) = connection.open_bi().await {
                let mut lane = Lane { send, recv };
                lane.say(&Frame::Hello(greeting(1))).await;
                assert!(matches!(lane.hear().await, None | Some(Frame::Denied(_))));
            }
            closed(&connection).await
        };
        for _ in 0..20 {
            visit().await;
        }
        let before = (of_this_process("Threads"), of_this_process("VmRSS"));
        for _ in 0..100 * scale() {
            visit().await;
        }
        // Right behind them, someone who was invited: not taken for one of them.
        let ticket = alice.invite().await.unwrap();
        let carol = kernel(dir.path(), "carol").await;
        within("an invited kernel is admitted", carol.join(&ticket)).await.unwrap();
        carol.stop().await.unwrap();

        let after = (of_this_process("Threads"), of_this_process("VmRSS"));
        assert!(after.0 <= before.0 + 4, "{} threads have become {}", before.0, after.0);
        assert!(after.1 < before.1 + 64 * 1024, "{} KiB have become {} KiB", before.1, after.1);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn slow_strangers_keep_neither_peers_nor_newcomers_out() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let ticket = alice.invite().await.unwrap();
        let mallory = Raw::new().await;
        let hello = framed(&Frame::Hello(greeting(1)).encode());
        let mut crowd = Vec::new();
        for _ in 0..24 {
            let connection = mallory.connect(&alice).await;
            if let Ok((mut send, _)) = connection.open_bi().await {
                let _ = send.write_all(&hello[..5]).await;
                crowd.push((connection, send));
            }
        }
        // A peer comes back at once.
        bob.stop().await.unwrap();
        let bob = start(dir.path(), "bob").await;
        still_works(&alice, &bob, 9).await;
        // A newcomer waits until the crowd was shown the door, but is not taken for one of them.
        let carol = kernel(dir.path(), "carol").await;
        within("an invited kernel is admitted", carol.join(&ticket)).await.unwrap();
        for (connection, _) in crowd {
            assert!(closed(&connection).await.is_some());
        }
    });
}
