//! What does not go on by itself is found, tried again and given up, and no promise is broken by it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use std::collections::BTreeSet;
use std::time::Duration;

use once::component::{Add, Counter};
use once::{DeadLetter, DeadLetterKind, DeadLetterReason, Kernel};
use raw::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn letters(kernel: &Kernel, older_than: Duration) -> Vec<DeadLetter> {
    kernel.dead_letters(older_than).await.unwrap()
}

/// Two actions wait for a kernel that is removed. One of them is given up; when the kernel is a peer again, the other one runs, and
/// in its place.
#[test]
fn what_waits_for_a_removed_peer_is_given_up_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let counter = bob.create_object(Counter::default()).await.unwrap();
        bob.grant(alice.id(), once::Right::Act).await.unwrap();
        let remote = alice.object::<Counter>(counter.ior()).unwrap();
        // It holds its kernel.
        drop(counter);
        assert_eq!(remote.act(Add { by: 1 }).await.unwrap(), 1);
        let bobs_id = bob.id();
        bob.stop().await.unwrap();
        let first = remote.act(Add { by: 10 }).send().await.unwrap();
        let second = remote.act(Add { by: 100 }).send().await.unwrap();
        assert_eq!(letters(&alice, HOUR).await, [], "they may well get through");
        let all = letters(&alice, Duration::ZERO).await;
        assert!(
            all.iter().all(|letter| letter.reason == DeadLetterReason::TooOld) && all.len() == 2,
            "{all:?}"
        );

        alice.remove_peer(bobs_id).await.unwrap();
        let all = letters(&alice, HOUR).await;
        let ids: BTreeSet<_> = all.iter().map(|letter| letter.id.clone()).collect();
        assert_eq!(ids, BTreeSet::from([first.id().to_string(), second.id().to_string()]));
        let of_first = all.iter().find(|letter| letter.id == first.id().to_string()).unwrap();
        assert_eq!((of_first.kind, of_first.reason), (DeadLetterKind::Action, DeadLetterReason::NoPeer));
        let error = alice.retry_dead_letter(of_first).await.unwrap_err();
        assert!(error.message().contains("is no peer") && error.hint().is_some(), "{error:?}");

        assert!(alice.drop_dead_letter(of_first).await.unwrap().contains("unless it has run"));
        let listed = |all: Vec<DeadLetter>| all.into_iter().map(|letter| letter.id).collect::<Vec<_>>();
        let rest = vec![second.id().to_string()];
        assert_eq!(listed(letters(&alice, Duration::ZERO).await), rest, "what is dropped stays dropped");
        // Also after a restart. What its place in the lane is for shows below.
        let ids = (first.id(), second.id());
        // They hold their kernel.
        drop((remote, first, second));
        let (first, second) = ids;
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        assert_eq!(listed(letters(&alice, Duration::ZERO).await), rest);

        // Bob never removed alice: what she may do there is as it was.
        let bob = start(dir.path(), "bob").await;
        alice.join(&bob.invite().await.unwrap()).await.unwrap();
        let outcome = |id: once::model::ids::Uuid| {
            let alice = alice.clone();
            async move {
                loop {
                    match alice.outcome(id) {
                        Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                        came => return came,
                    }
                }
            }
        };
        let ran = within("the second runs", outcome(second)).await.unwrap().unwrap();
        assert_eq!(&ran.result[..], b"101");
        let error = within("the first is refused", outcome(first)).await.unwrap_err();
        assert_eq!(error.kind(), once::ErrorKind::Cancelled);
        assert_eq!(letters(&alice, Duration::ZERO).await, []);
    });
}

/// What a removed peer was owed is not sent any more, and does not vanish: it is listed until somebody drops it, or shares it anew.
#[test]
fn what_a_removed_peer_was_owed_is_listed_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let bobs_id = bob.id();
        bob.stop().await.unwrap();
        for n in 1..=3 {
            let text = format!(r#"{{"model":{{"n":{n}}}}}"#);
            let (object, _) = alice.import(text.into_bytes()).await.unwrap();
            alice.share(object.key()).to(bobs_id).await.unwrap();
        }
        alice.remove_peer(bobs_id).await.unwrap();
        let all = letters(&alice, HOUR).await;
        assert_eq!(all.len(), 3, "{all:?}");
        for letter in &all {
            assert_eq!((letter.kind, letter.reason), (DeadLetterKind::Share, DeadLetterReason::NoPeer));
            assert!(letter.peer == Some(bobs_id) && letter.since_ms.is_some() && letter.can_drop);
            let error = alice.retry_dead_letter(letter).await.unwrap_err();
            assert!(error.hint().unwrap().contains("once join"), "{error:?}");
        }
        alice.drop_dead_letter(&all[0]).await.unwrap();
        assert!(alice.drop_dead_letter(&all[0]).await.unwrap_err().is_not_found());
        let ids = |all: &[DeadLetter]| all.iter().map(|letter| letter.id.clone()).collect::<BTreeSet<_>>();
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        assert_eq!(ids(&letters(&alice, HOUR).await), ids(&all[1..]));
        // A peer again: nothing is sent by itself, and trying again shares it.
        let bob = start(dir.path(), "bob").await;
        alice.join(&bob.invite().await.unwrap()).await.unwrap();
        bob.grant(alice.id(), once::Right::Share).await.unwrap();
        let key = all[1].object.unwrap();
        let has_it = |bob: &Kernel| bob.scenario(key).is_ok_and(|found| found.is_some());
        assert!(!has_it(&bob));
        alice.retry_dead_letter(&all[1]).await.unwrap();
        assert_eq!(ids(&letters(&alice, HOUR).await), ids(&all[2..]));
        let comes = async {
            while !has_it(&bob) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("it is shared anew", comes).await;
    });
}
