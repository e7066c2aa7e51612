//! A peer that does not speak the protocol.

use once_model::ids::Uuid;
use once_model::limits::FRAME_MAX_BYTES;
use once_model::wire::{Absent, Code, Frame};

use crate::raw::*;

/// The number of a connection that was closed because of [`Code::Invalid`].
const NOT_THE_PROTOCOL: Option<u64> = Some(102);

#[test]
fn what_is_no_frame_ends_the_connection_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        mallory.join(&alice).await;
        let too_long = (FRAME_MAX_BYTES as u32 + 1).to_be_bytes();
        let share = Frame::Share(unclaimed(&note(1, "x"))).encode();
        let cases: &[(&str, Vec<u8>)] = &[
            ("too long by one", too_long.to_vec()),
            ("4 GiB", u32::MAX.to_be_bytes().to_vec()),
            ("no CBOR", framed(b"GET / HTTP/1.1\r\n\r\n")),
            ("nothing", framed(b"")),
            ("an array of 2^64 items", framed(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
            ("a want of 2^32 ids", framed(&[0x82, 0x13, 0x81, 0x9a, 0xff, 0xff, 0xff, 0xff])),
            (
                "a map of 2^64 entries",
                framed(&[0x82, 0x05, 0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ),
            (
                "a body of 2^63 bytes",
                framed(&[0x82, 0x12, 0x81, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ),
            ("arrays 100,000 deep", framed(&[0x81; 100_000])),
            ("a map in an unknown key 100,000 deep", framed(&deep_in_an_unknown_key())),
            ("bytes behind a frame", framed(&[Frame::Denied(Code::Busy).encode(), vec![0]].concat())),
            ("a share without its end", framed(&share[..share.len() - 9])),
            ("a known number with a wrong shape", framed(&[0x82, 0x03, 0x81, 0x01])),
        ];
        for (what, bytes) in cases {
            let mut control = mallory.return_to(&alice, 2).await;
            control.lane.send.write_all(bytes).await.unwrap();
            assert_eq!(control.closed().await, NOT_THE_PROTOCOL, "{what}");
        }
        still_works(&alice, &bob, 9).await;
    });
}

/// A request whose map has an entry that this version does not know, with a value that is deep.
fn deep_in_an_unknown_key() -> Vec<u8> {
    // [5, [{0: 1, 1: <uuid>, 99: [[[…]]]}]]
    let mut bytes = vec![0x82, 0x05, 0x81, 0xa3, 0x00, 0x01, 0x01, 0x50];
    bytes.extend([0; 16]);
    bytes.extend([0x18, 99]);
    bytes.extend([0x81; 100_000]);
    bytes
}

#[test]
fn half_a_frame_and_then_the_end_is_not_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        mallory.join(&alice).await;
        let share = framed(&Frame::Share(unclaimed(&note(1, "half"))).encode());
        for cut in [1, 3, 4, 5, share.len() / 2, share.len() - 1] {
            let mut control = mallory.return_to(&alice, 2).await;
            control.lane.send.write_all(&share[..cut]).await.unwrap();
            control.lane.send.finish().unwrap();
            assert_eq!(control.closed().await, NOT_THE_PROTOCOL, "cut after {cut}");
        }
        // An end between frames is an ordinary one.
        let mut control = mallory.return_to(&alice, 2).await;
        control.lane.send.finish().unwrap();
        assert_eq!(control.closed().await, Some(0));
        assert_eq!(alice.get(unclaimed(&note(1, "half")).header.key()).unwrap(), None);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn frames_of_unknown_number_and_unknown_fields_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        for number in [13_u8, 15, 24, 99, 255] {
            // [number, [{0: "later"}]]
            let frame = [&[0x82, 0x18, number, 0x81, 0xa1, 0x00, 0x65][..], b"later"].concat();
            control.lane.say_bytes(&frame).await;
        }
        let denied = |call| Frame::Absent(Absent { call, code: Code::Denied });
        assert_eq!(control.request(5, Uuid::from_u128(1), None).await, denied(5));
        // [5, [{0: 6, 1: <uuid>, 99: ["later"]}]]
        let mut later = vec![0x82, 0x05, 0x81, 0xa3, 0x00, 0x06, 0x01, 0x50];
        later.extend([1; 16]);
        later.extend([0x18, 99, 0x81, 0x65]);
        later.extend(b"later");
        control.lane.say_bytes(&later).await;
        assert_eq!(control.hear().await, Some(denied(6)));
        // Answers that nobody asked for, and frames that belong elsewhere, do no harm.
        for frame in [
            denied(77),
            Frame::Given(3),
            Frame::Body(1 << 60),
            Frame::Kept(Default::default()),
            Frame::Shared(once_model::wire::Shared {
                key: nowhere(1),
                id: once_model::ids::Hash::from_bytes([1; 32]),
                answer: once_model::wire::ShareAnswer::Stored,
                commit: None,
            }),
            Frame::Following(once_model::wire::Following { key: nowhere(2), on: true, code: None }),
            Frame::Unfollow(nowhere(3)),
        ] {
            let unfollow = matches!(frame, Frame::Unfollow(_));
            control.say(&frame).await;
            if unfollow {
                assert!(matches!(control.hear().await, Some(Frame::Following(_))));
            }
        }
        assert_eq!(control.request(7, Uuid::from_u128(1), None).await, denied(7));
        still_works(&alice, &bob, 9).await;
    });
}

/// The first frame of a stream says what the stream is: one that this version does not know is not skipped.
#[test]
fn a_stream_that_begins_with_anything_else_is_reset() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let unknown = [&[0x82, 0x18, 99, 0x81, 0xa1, 0x00, 0x65][..], b"later"].concat();
        let pull = Frame::Pull(once_model::wire::Pull {
            key: nowhere(1),
            content: once_model::ids::Hash::from_bytes([1; 32]),
            offset: 0,
        });
        let cases = [
            ("an unknown frame", framed(&unknown)),
            ("an unknown frame, then a pull", [framed(&unknown), framed(&pull.encode())].concat()),
            ("a frame of the control stream", framed(&Frame::Hello(greeting(1)).encode())),
            ("no frame", framed(b"GET / HTTP/1.1")),
            ("half a frame", framed(&pull.encode())[..9].to_vec()),
            ("nothing", Vec::new()),
        ];
        for (what, bytes) in cases {
            let mut lane = Lane::open(&control.connection).await;
            lane.send.write_all(&bytes).await.unwrap();
            lane.send.finish().unwrap();
            let reset = within("the stream is reset", lane.recv.read_to_end(1000)).await.unwrap_err();
            let wanted = iroh::endpoint::VarInt::from_u32(102);
            let reset = format!("{reset:?}");
            assert!(reset.contains("Reset") && reset.contains(&format!("{wanted:?}")), "{what}: {reset}");
        }
        // The connection goes on.
        let denied = Frame::Absent(Absent { call: 5, code: Code::Denied });
        assert_eq!(control.request(5, Uuid::from_u128(1), None).await, denied);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_stranger_that_begins_with_an_unknown_frame_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let ticket = alice.invite().await.unwrap();
        let mut control = Control::open(mallory.connect(&alice).await).await;
        control.lane.say_bytes(&[&[0x82, 0x18, 99, 0x81, 0xa1, 0x00, 0x65][..], b"later"].concat()).await;
        let hello = once_model::wire::Greeting { invite: Some(ticket.secret()), ..greeting(1) };
        control.say(&Frame::Hello(hello)).await;
        assert_eq!(control.closed().await, Some(100));
        // The invite is not used up.
        mallory
            .return_saying(
                &alice,
                once_model::wire::Greeting { invite: Some(ticket.secret()), ..greeting(1) },
            )
            .await;
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn an_unknown_critical_feature_refuses_the_hello() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        mallory.join(&alice).await;
        let mut control = Control::open(mallory.connect(&alice).await).await;
        let later = once_model::wire::Greeting { critical: vec![9], ..greeting(1) };
        control.say(&Frame::Hello(later)).await;
        assert_eq!(control.hear().await, Some(Frame::Denied(Code::Unsupported)));
        assert_eq!(control.closed().await, Some(101));
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_peer_that_never_says_hello_is_shown_the_door() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        mallory.join(&alice).await;
        let silent = mallory.connect(&alice).await;
        let mut half = Control::open(mallory.connect(&alice).await).await;
        half.lane.send.write_all(&framed(&Frame::Hello(greeting(1)).encode())[..20]).await.unwrap();
        closed(&silent).await;
        half.closed().await;
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn of_two_connections_with_one_key_the_newer_prevails() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut old = mallory.join(&alice).await;
        let (object, _) = alice.import(note(1, "for the newest")).await.unwrap();
        for boot in [1, 2, 3] {
            // The first time the same process dials again, then it has been restarted.
            let mut new = mallory.return_to(&alice, boot).await;
            old.closed().await;
            alice.share(object.key()).to(mallory.id()).await.unwrap();
            loop {
                if let Frame::Share(parcel) = new.hear().await.expect("a share on the newest connection") {
                    assert_eq!(parcel.header.key(), object.key());
                    break;
                }
            }
            old = new;
        }
        still_works(&alice, &bob, 9).await;
    });
}

/// A peer that was just admitted may ask at once, in the same breath as `admitted`.
#[test]
fn a_request_right_behind_admitted_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let add = serde_json::json!({ "kernel": mallory.id().to_string(), "addresses": [mallory.address()] });
        client.call("peers.add", add).await.unwrap();
        let incoming = within("a call", mallory.endpoint.accept()).await.unwrap();
        let connection = incoming.accept().unwrap().await.unwrap();
        let (send, recv) = connection.accept_bi().await.unwrap();
        let mut lane = Lane { send, recv };
        assert!(matches!(lane.hear().await, Some(Frame::Hello(_))));
        let mut both = framed(&Frame::Admitted(greeting(1)).encode());
        let request = once_model::wire::Request { call: 3, uuid: Uuid::from_u128(1), line: None };
        both.extend(framed(&Frame::Request(request).encode()));
        lane.send.write_all(&both).await.unwrap();
        assert_eq!(lane.hear().await, Some(Frame::Absent(Absent { call: 3, code: Code::Denied })));
        still_works(&alice, &bob, 9).await;
    });
}

/// Answers to what this kernel asked are not questions of the peer.
#[test]
fn thousands_of_answers_are_read_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let following = once_model::wire::Following { key: nowhere(2), on: true, code: None };
        let following = framed(&Frame::Following(following).encode());
        for _ in 0..10_000 {
            within("an answer is read", control.lane.send.write_all(&following)).await.unwrap();
        }
        let denied = Frame::Absent(Absent { call: 8, code: Code::Denied });
        assert_eq!(control.request(8, Uuid::from_u128(1), None).await, denied);
        still_works(&alice, &bob, 9).await;
    });
}
