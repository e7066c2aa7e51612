//! Two kernels over real iroh on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::path::Path;
use std::time::Duration;

use once::component::Counter;
use once::{Change, Delivery, ErrorKind, InitOptions, Kernel, ObjectState};

/// Runs a story on a current-thread runtime, as the daemon does, and fails if it takes too long.
fn story(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), run).await.expect("the story hangs")
    });
}

async fn kernel(dir: &Path, name: &str) -> Kernel {
    let data = dir.join(name);
    let options = InitOptions { name: Some(name.into()), listen: Some("127.0.0.1:0".into()), relay: None };
    once::init(&data, options).unwrap();
    start(dir, name).await
}

async fn start(dir: &Path, name: &str) -> Kernel {
    Kernel::builder(dir.join(name)).start().await.unwrap()
}

async fn pair(dir: &Path) -> (Kernel, Kernel) {
    let (alice, bob) = (kernel(dir, "alice").await, kernel(dir, "bob").await);
    let ticket = alice.invite().await.unwrap();
    assert_eq!(bob.join(&ticket).await.unwrap(), alice.id());
    (alice, bob)
}

fn note(n: usize, text: &str) -> String {
    format!(
        r#"{{ "ior": {{"uuid": "0000{n:04x}-f833-4909-a891-a75b183be4c8", "component": "Note", "version": "1.0"}},
  "owner": "system", "model": {{"text": "{text}", "big": 12345678901234567890, "n": 1.50}} }}"#
    )
}

async fn read_all(from: &Kernel, to: &Kernel) {
    grant(from, to).await;
    grant(to, from).await;
}

async fn grant(from: &Kernel, to: &Kernel) {
    from.grant(to.id(), once::Right::Read).await.unwrap();
}

#[test]
fn a_share_is_delivered_byte_for_byte_and_a_request_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let text = note(1, "grüße");
        let (object, change) = alice.import(text.clone()).await.unwrap();
        assert_eq!(change, Change::New);
        assert_eq!(alice.share(object.key()).to(bob.id()).delivered().await.unwrap(), Delivery::Stored);
        assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        assert_eq!(alice.share(object.key()).to(bob.id()).delivered().await.unwrap(), Delivery::Known);
        // Reading needs a right: joining gives none.
        let ior = object.ior(&[]);
        let denied = alice.request(&ior).from(bob.id()).await.err().unwrap();
        assert_eq!(denied.kind(), ErrorKind::Denied);
        grant(&bob, &alice).await;
        let found = alice.request(&ior).from(bob.id()).await.unwrap();
        assert_eq!(found.bytes().unwrap(), text.as_bytes());
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}

#[test]
fn an_invite_admits_once() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob, eve) = (
            kernel(dir.path(), "alice").await,
            kernel(dir.path(), "bob").await,
            kernel(dir.path(), "eve").await,
        );
        let ticket = alice.invite().await.unwrap();
        bob.join(&ticket).await.unwrap();
        let refused = eve.join(&ticket).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
        let addresses = ticket.addresses().to_vec();
        let wrong =
            once::Ticket::new(ticket.kernel(), once_model::ids::Secret::from_bytes([0; 16]), addresses);
        assert_eq!(eve.join(&wrong).await.unwrap_err().kind(), ErrorKind::Denied);
    });
}

#[test]
fn what_is_owed_waits_through_restarts_of_both() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let (alice_id, bob_id) = (alice.id(), bob.id());
        bob.stop().await.unwrap();
        let mut keys = Vec::new();
        for n in 0..20 {
            let (object, _) = alice.import(note(n, "waits")).await.unwrap();
            alice.share(object.key()).to(bob_id).await.unwrap();
            keys.push(object.key());
        }
        alice.stop().await.unwrap();
        let bob = start(dir.path(), "bob").await;
        let alice = start(dir.path(), "alice").await;
        for key in &keys {
            alice.share(*key).to(bob_id).delivered().await.unwrap();
            assert!(bob.scenario(*key).unwrap().is_some());
        }
        assert_eq!(alice.id(), alice_id);
    });
}

#[test]
fn an_exchange_moves_only_what_is_missing_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        read_all(&alice, &bob).await;
        for n in 0..300 {
            alice.import(note(n, "a")).await.unwrap();
        }
        for n in 250..400 {
            bob.import(note(n, if n < 300 { "a" } else { "b" })).await.unwrap();
        }
        let report = alice.exchange(bob.id()).await.unwrap();
        assert_eq!((report.received, report.sent), (100, 250), "{report:?}");
        let again = alice.exchange(bob.id()).await.unwrap();
        assert_eq!((again.received, again.sent, again.rounds), (0, 0, 1), "{again:?}");
        assert!(again.bytes_sent < 4000, "{again:?}");
    });
}

#[test]
fn a_follower_hears_of_each_change_and_a_replica_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        read_all(&alice, &bob).await;
        let (object, _) = alice.import(note(1, "one")).await.unwrap();
        let (object, _) = alice.claim(object.key()).await.unwrap();
        assert_eq!(object.state(), ObjectState::Home);
        let mut news = bob.follow(object.key(), alice.id()).await.unwrap();
        assert_eq!(news.next().await.unwrap().revision(), 1);
        alice.put(object.key(), note(1, "two")).await.unwrap();
        let seen = news.next().await.unwrap();
        assert_eq!((seen.revision(), seen.state()), (2, ObjectState::Replica));
        assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), note(1, "two").as_bytes());
        assert_eq!(bob.put(object.key(), note(1, "mine")).await.unwrap_err().kind(), ErrorKind::NotHome);
        alice.remove(object.key()).await.unwrap();
        assert!(news.next().await.unwrap().is_tombstone());
        assert_eq!(bob.scenario(object.key()).unwrap(), None);
    });
}

#[test]
fn a_large_scenario_travels_on_a_stream_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        read_all(&alice, &bob).await;
        let text = note(1, &"x".repeat(5_000_000));
        let (object, _) = alice.import(text.clone()).await.unwrap();
        assert_eq!(alice.share(object.key()).to(bob.id()).delivered().await.unwrap(), Delivery::Stored);
        assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
        let text = note(2, &"y".repeat(3_000_000));
        let (object, _) = alice.import(text.clone()).await.unwrap();
        let found = bob.request(&object.ior(&[])).from(alice.id()).await.unwrap();
        assert_eq!(found.bytes().unwrap(), text.as_bytes());
        assert_eq!(bob.exchange(alice.id()).await.unwrap().received, 1);
        assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
    });
}

#[test]
fn a_removed_peer_loses_everything_at_once() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        read_all(&alice, &bob).await;
        let (object, _) = alice.import(note(1, "mine")).await.unwrap();
        let ior = object.ior(&[]);
        bob.request(&ior).from(alice.id()).await.unwrap();
        alice.remove_peer(bob.id()).await.unwrap();
        let gone = bob.request(&ior).from(alice.id()).timeout(Duration::from_secs(2)).await.err().unwrap();
        assert!(
            matches!(gone.kind(), ErrorKind::Denied | ErrorKind::Unreachable | ErrorKind::Timeout),
            "{gone:?}"
        );
        assert_eq!(alice.share(object.key()).to(bob.id()).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// An outcome of another kernel is told before it is written down here. Who asks right afterwards must hear the same.
#[test]
fn an_outcome_that_was_told_is_never_untold() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        bob.grant(alice.id(), once::Right::Act).await.unwrap();
        let counter = bob.create_object(Counter::default()).await.unwrap();
        for n in 0..600 {
            let act = alice.act(&counter.ior().clone(), "add", r#"{"by":1}"#).unwrap();
            let acted = act.await.unwrap();
            let again = alice.outcome(acted.id).unwrap().map(|again| again.result);
            assert_eq!(again, Some(acted.result), "action {n}");
        }
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}
