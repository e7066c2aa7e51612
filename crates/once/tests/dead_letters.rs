//! What does not go on by itself is found, tried again and given up, and no promise is broken by it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use std::collections::BTreeSet;
use std::time::Duration;

use once::component::{Add, Counter};
use once::{ActError, DeadLetter, DeadLetterKind, DeadLetterReason, Kernel};
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
        let all = letters(&alice, HOUR).await;
        let of_first = all.iter().find(|letter| letter.id == first.id().to_string()).unwrap();
        assert_eq!((of_first.reason, of_first.can_drop), (DeadLetterReason::TakenBack, false));
        let error = alice.drop_dead_letter(of_first).await.unwrap_err();
        assert!(error.hint().unwrap().contains("out of order"));

        // Bob never removed alice: what she may do there is as it was.
        let bob = start(dir.path(), "bob").await;
        alice.join(&bob.invite().await.unwrap()).await.unwrap();
        assert_eq!(within("the second runs", second.outcome()).await.unwrap(), 101);
        match within("the first is refused", first.outcome()).await {
            Err(ActError::Refused(error)) => assert_eq!(error.kind(), once::ErrorKind::Cancelled),
            other => panic!("{other:?}"),
        }
        assert_eq!(letters(&alice, Duration::ZERO).await, []);
    });
}
