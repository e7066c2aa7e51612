//! A peer that may share, and shares what it must not.

use once_model::certificate::{Certificate, CertificateKind};
use once_model::ids::{Hash, Incarnation};
use once_model::sign::{KernelKey, Purpose};
use once_model::wire::{Code, Frame, Parcel, ShareAnswer};

use crate::raw::*;

/// A way to spoil a parcel.
type Spoil = fn(&mut Parcel);

#[test]
fn a_share_that_is_not_what_it_says_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let unclaimed_ones: &[(&str, Spoil)] = &[
            ("wrong hash", |p| p.header.content = Hash::from_bytes([1; 32])),
            ("wrong size", |p| p.header.size += 1),
            ("huge size", |p| p.header.size = u64::MAX),
            ("other body", |p| p.body = Some(note(2, "another").into())),
            ("no scenario", |p| (p.body, p.header.content, p.header.size) = spoilt(b"{ \"a\": ")),
            ("a body of zeroes", |p| (p.body, p.header.content, p.header.size) = spoilt(&[0; 100])),
            ("an empty body", |p| (p.body, p.header.content, p.header.size) = spoilt(b"")),
            ("other UUID", |p| p.header.uuid = once_model::ids::Uuid::from_u128(1)),
            ("other component", |p| p.header.component = "Account".into()),
            ("other version", |p| p.header.version = "2.0".into()),
            ("unclaimed in epoch 1", |p| p.header.epoch = 1),
            ("unclaimed with a revision", |p| p.header.revision = 1),
            ("unclaimed with a parent", |p| p.header.parent = Some(Hash::from_bytes([1; 32]))),
            ("unclaimed with a certificate", |p| p.header.certificate = Some(Hash::from_bytes([1; 32]))),
            ("unclaimed tombstone", |p| {
                (p.header.tombstone, p.header.size, p.header.content, p.body) =
                    (true, 0, once_model::hash::content_hash(b""), None);
            }),
            ("a tombstone with a body", |p| p.header.tombstone = true),
            ("a long component", |p| p.header.component = "x".repeat(300)),
            ("small and without bytes", |p| p.body = None),
            ("large, with its bytes inside", |p| *p = unclaimed(&note(1, &"x".repeat(70_000)))),
        ];
        for (what, spoil) in unclaimed_ones {
            let mut parcel = unclaimed(&note(1, "spoilt"));
            spoil(&mut parcel);
            let answer = control.share(parcel).await;
            assert!(
                matches!(answer, ShareAnswer::Refused(Code::Invalid | Code::TooLarge)),
                "{what}: {answer:?}"
            );
        }
        let claimed_ones: &[(&str, Spoil)] = &[
            ("no chain", |p| p.chain = None),
            ("no certificate", |p| p.header.certificate = None),
            ("a certificate from nowhere", |p| p.header.certificate = Some(Hash::from_bytes([1; 32]))),
            ("a genesis of another lineage", |p| p.chain.as_mut().unwrap().genesis.nonce = [6; 16]),
            ("a genesis of another content", |p| {
                p.chain.as_mut().unwrap().genesis.content = Hash::from_bytes([1; 32])
            }),
            ("revision 0", |p| p.header.revision = 0),
            ("revision 2 without a parent", |p| p.header.revision = 2),
            ("revision 1 with a parent", |p| p.header.parent = Some(Hash::from_bytes([1; 32]))),
            ("epoch 2", |p| p.header.epoch = 2),
            ("epoch 0", |p| p.header.epoch = 0),
            ("too many recovery keys", |p| {
                let genesis = &mut p.chain.as_mut().unwrap().genesis;
                genesis.recovery = vec![genesis.home; 9];
            }),
        ];
        for (what, spoil) in claimed_ones {
            let mut parcel = claimed(&mallory.key, &note(1, "spoilt"));
            spoil(&mut parcel);
            let answer = control.share(parcel).await;
            assert_eq!(answer, refused(Code::Invalid), "{what}");
        }
        for n in [1, 2] {
            let uuid = unclaimed(&note(n, "")).header.uuid;
            assert!(matches!(control.request(1, uuid, None).await, Frame::Absent(_)), "nothing was kept");
        }
        // The same, unspoilt, is welcome.
        assert_eq!(control.share(unclaimed(&note(1, "fine"))).await, ShareAnswer::Stored);
        assert_eq!(control.share(claimed(&mallory.key, &note(2, "fine"))).await, ShareAnswer::Stored);
        still_works(&alice, &bob, 9).await;
    });
}

fn spoilt(bytes: &'static [u8]) -> (Option<bytes::Bytes>, Hash, u64) {
    (Some(bytes::Bytes::from_static(bytes)), once_model::hash::content_hash(bytes), bytes.len() as u64)
}

/// Bob's object on Alice's kernel, and Mallory who would like to change it.
#[test]
fn nobody_but_the_home_changes_or_removes_an_object() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let (bob, mallory, carol) = (Raw::new().await, Raw::new().await, Raw::new().await);
        let mut home = bob.join(&alice).await;
        let mut control = mallory.join(&alice).await;
        let first = claimed(&bob.key, &note(1, "bob's"));
        let second = next(&first, &bob.key, &note(1, "bob's second"));
        assert_eq!(home.share(first.clone()).await, ShareAnswer::Stored);
        assert_eq!(home.share(second.clone()).await, ShareAnswer::Stored);
        let key = first.header.key();

        let unsigned = |mut parcel: Parcel| {
            parcel.header.signature = None;
            parcel
        };
        let mut moved_signature = next(&second, &bob.key, &note(1, "stolen"));
        moved_signature.header.signature = second.header.signature;
        let mut forged_handoff = next(&second, &mallory.key, &note(1, "stolen"));
        forge(&mut forged_handoff, &mallory.key, CertificateKind::Handoff, bob.id());
        let mut own_handoff = next(&second, &mallory.key, &note(1, "stolen"));
        forge(&mut own_handoff, &mallory.key, CertificateKind::Handoff, mallory.id());
        let mut adopted = next(&second, &mallory.key, &note(1, "stolen"));
        forge(&mut adopted, &mallory.key, CertificateKind::Adopt, mallory.id());
        let attempts = [
            ("a revision that it signed itself", next(&second, &mallory.key, &note(1, "stolen"))),
            ("one that a third party signed", next(&second, &carol.key, &note(1, "stolen"))),
            ("one that nobody signed", unsigned(next(&second, &bob.key, &note(1, "stolen")))),
            ("one with the signature of another revision", moved_signature),
            ("a removal that it signed itself", tombstone(&second, &mallory.key)),
            ("a removal that nobody signed", unsigned(tombstone(&second, &mallory.key))),
            ("a handoff in bob's name", forged_handoff),
            ("a handoff to itself", own_handoff),
            ("an adoption without a recovery key", adopted),
        ];
        for (what, parcel) in attempts {
            assert_eq!(control.share(parcel).await, refused(Code::Invalid), "{what}");
            let here = alice.get(key).unwrap().unwrap();
            assert_eq!((here.revision(), here.home()), (2, Some(bob.id())), "{what}");
            assert_eq!(alice.scenario(key).unwrap().unwrap(), note(1, "bob's second").as_bytes(), "{what}");
        }
        // What bob signed may come through anyone.
        let third = next(&second, &bob.key, &note(1, "bob's third"));
        assert_eq!(control.share(third.clone()).await, ShareAnswer::Stored);
        // Replays change nothing, old or new.
        for parcel in [&first, &second, &third, &second] {
            assert_eq!(control.share(parcel.clone()).await, ShareAnswer::Known);
            assert_eq!(home.share(parcel.clone()).await, ShareAnswer::Known);
        }
        assert_eq!(alice.scenario(key).unwrap().unwrap(), note(1, "bob's third").as_bytes());
        // Bob may remove it, and then no old revision brings it back.
        assert_eq!(home.share(tombstone(&third, &bob.key)).await, ShareAnswer::Stored);
        assert_eq!(control.share(third).await, ShareAnswer::Known);
        assert_eq!(alice.scenario(key).unwrap(), None);
    });
}

fn forge(parcel: &mut Parcel, signer: &KernelKey, kind: CertificateKind, claims: once::KernelId) {
    let chain = parcel.chain.as_mut().unwrap();
    let mut link = Certificate {
        lineage: chain.genesis.lineage(),
        epoch: 2,
        kind,
        home: signer.id(),
        incarnation: Incarnation::from_bytes([0; 16]),
        base: chain.certificate(),
        base_revision: 2,
        base_id: parcel.header.parent.unwrap(),
        signer: claims,
        signature: None,
        tip: None,
        luggage: (kind == CertificateKind::Handoff).then_some(Hash::from_bytes([0; 32])),
        refusal: None,
        naming: None,
        acceptance: None,
    };
    link.signature = Some(signer.sign(Purpose::Certificate, &link.id()));
    chain.links.push(link);
    parcel.header.certificate = Some(chain.certificate());
    parcel.header.epoch = 2;
    parcel.header.signature = None;
    parcel.header.sign(signer);
}

/// A peer that may share knows the bytes of something that was imported here. That must not be enough to take it away.
#[test]
fn what_was_imported_here_is_not_a_peers_to_remove() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let text = note(1, "imported by alice");
        let (object, _) = alice.import(text.clone()).await.unwrap();
        let first = claimed(&mallory.key, &text);
        assert_eq!(control.share(first.clone()).await, ShareAnswer::Stored);
        control.share(tombstone(&first, &mallory.key)).await;
        assert_eq!(
            alice.scenario(object.key()).unwrap().as_deref(),
            Some(text.as_bytes()),
            "alice's import is gone"
        );
    });
}

/// Two lineages of one UUID stand side by side: a stranger's object never replaces another of the same UUID.
#[test]
fn the_same_uuid_gives_no_right_to_anything() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let (imported, _) = alice.import(note(1, "alice's")).await.unwrap();
        let (mine, _) = alice.import(note(2, "alice's")).await.unwrap();
        let (mine, _) = alice.claim(mine.key()).await.unwrap();
        for n in [1, 2] {
            let same = claimed(&mallory.key, &note(n, "mallory's"));
            assert_eq!(control.share(same.clone()).await, ShareAnswer::Stored);
            assert_eq!(
                control.share(next(&same, &mallory.key, &note(n, "again"))).await,
                ShareAnswer::Stored
            );
        }
        for key in [imported.key(), mine.key()] {
            let text = alice.scenario(key).unwrap().unwrap();
            assert!(String::from_utf8_lossy(&text).contains("alice's"), "{key}");
        }
        assert_eq!(alice.get(mine.key()).unwrap().unwrap().home(), Some(alice.id()));
    });
}

#[test]
fn forks_of_one_object_are_kept_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let first = claimed(&mallory.key, &note(1, "first"));
        assert_eq!(control.share(first.clone()).await, ShareAnswer::Stored);
        assert_eq!(control.share(next(&first, &mallory.key, &note(1, "second"))).await, ShareAnswer::Stored);
        for n in 0..50 {
            let fork = next(&first, &mallory.key, &note(1, &format!("another second {n}")));
            assert_eq!(control.share(fork).await, ShareAnswer::Conflict);
        }
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let listed = client.call("conflicts", serde_json::json!({})).await.unwrap();
        // One conflict, however many versions of it: those that are kept beside the chain, and the chain's own.
        let versions = listed["conflicts"][0]["objects"].as_array().unwrap().len();
        assert_eq!(versions, once_model::limits::CONFLICTS_MAX_BODIES + 1);
        assert_eq!(listed["conflicts"].as_array().unwrap().len(), 1);
        assert_eq!(alice.status().unwrap().conflicts, 1);
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_peer_fills_its_quota_and_not_a_byte_more() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        let cost = once_core::object::cost(&unclaimed(&note(100, "0000")).header);
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let quota = serde_json::json!({ "peer": mallory.id().to_string(), "quota_bytes": 10 * cost + 5 });
        client.call("peers.set", quota).await.unwrap();

        // All at once: the limit is checked where they are stored, not where they come in.
        for n in 0..30 {
            control.say(&Frame::Share(unclaimed(&note(100 + n, &format!("{n:04}"))))).await;
        }
        let mut answers = Vec::new();
        while answers.len() < 30 {
            if let Frame::Shared(shared) = control.hear().await.unwrap() {
                answers.push(shared.answer);
            }
        }
        assert_eq!(
            answers.iter().filter(|answer| **answer == ShareAnswer::Stored).count(),
            10,
            "{answers:?}"
        );
        assert_eq!(
            answers.iter().filter(|answer| **answer == refused(Code::Quota)).count(),
            20,
            "{answers:?}"
        );
        // A large one is not even fetched.
        let large = unclaimed(&note(200, &"x".repeat(100_000)));
        let announced = Parcel { body: None, ..large };
        assert_eq!(control.share(announced).await, refused(Code::Quota));
        still_works(&alice, &bob, 9).await;
    });
}

#[test]
fn a_peer_without_the_right_to_share_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let mallory = Raw::new().await;
        let mut control = mallory.join(&alice).await;
        alice.serve_api().await.unwrap();
        let client = once::api::Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let share = serde_json::json!({ "peer": mallory.id().to_string(), "right": "share" });
        client.call("revoke", share).await.unwrap();
        assert_eq!(control.share(unclaimed(&note(1, "small"))).await, refused(Code::Denied));
        let large = unclaimed(&note(2, &"x".repeat(100_000)));
        assert_eq!(control.share(Parcel { body: None, ..large }).await, refused(Code::Denied));
        for n in [1, 2] {
            assert!(matches!(
                control.request(1, unclaimed(&note(n, "")).header.uuid, None).await,
                Frame::Absent(_)
            ));
        }
        still_works(&alice, &bob, 9).await;
    });
}
