//! The local API beside a kernel in this process: who keeps whom running, and what is said on the socket.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use std::time::{Duration, Instant};

use once::Kernel;
use once::api::Client;
use raw::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

#[test]
fn a_kernel_that_was_let_go_frees_its_directory_whoever_is_connected_to_its_api() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let data = dir.path().join("alice");
        let alice = kernel(dir.path(), "alice").await;
        let (object, _) = alice.import(note(1, "kept"), None).await.unwrap();
        alice.serve_api().await.unwrap();
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut events = client.listen().await.unwrap();
        drop(alice);
        // What happened before comes first; then whoever listens hears the end, and whoever calls is told.
        within("the end of the events", async { while events.next().await.is_some() {} }).await;
        assert_eq!(client.call("hello", json!({})).await.unwrap_err().exit, 4);
        let begun = Instant::now();
        let alice = loop {
            match Kernel::builder(&data).start().await {
                Ok(alice) => break alice,
                Err(error) => assert!(error.code == "in-use" && begun.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(alice.scenario(object.key()).unwrap().unwrap(), note(1, "kept").as_bytes());
    });
}

#[test]
fn an_error_calls_a_peer_by_the_name_that_it_has_here() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = (kernel(dir.path(), "alice").await, kernel(dir.path(), "bob").await);
        let ticket = alice.invite_as(Some("robert".into()), Duration::from_secs(60)).await.unwrap();
        bob.join(&ticket).await.unwrap();
        let ior = once::Ior::bare(nowhere(1).uuid);
        // A petname here; there what alice calls herself.
        for (asker, asked, name) in [(&alice, &bob, "robert"), (&bob, &alice, "alice")] {
            let called = format!("{name} ({})", asked.id().short());
            let denied = asker.request(&ior).from(asked.id()).await.err().unwrap();
            assert!(denied.message.contains(&format!("from {called}: ")), "{denied}");
            asker.serve_api().await.unwrap();
            let client = Client::connect(&dir.path().join(asker.name())).await.unwrap().unwrap();
            let never_given = json!({ "peer": name, "right": "read" });
            let refused = client.call("revoke", never_given).await.unwrap_err();
            assert_eq!(refused.message, format!("kernel {called} has no such grant of 'read'"));
        }
    });
}

#[test]
fn progress_is_told_only_to_whoever_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let listener = UnixListener::bind(dir.path().join("api.sock")).unwrap();
        let client = Client::connect(dir.path()).await.unwrap().unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        // Answers a call with what it was asked.
        let answer = async {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let asked: Value = serde_json::from_str(&line).unwrap();
                let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": asked["params"] });
                stream.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
        };
        let ask = async {
            let asked = json!({ "with": "bob" });
            assert_eq!(client.call("exchange", asked.clone()).await.unwrap(), asked);
            let asked = client.call_with_progress("exchange", asked, |_| {}).await.unwrap();
            assert_eq!(asked, json!({ "with": "bob", "progress": true }));
        };
        tokio::select! {
            () = answer => {}
            () = ask => {}
        }
    });
}
