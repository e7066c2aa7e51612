//! The local API beside a kernel in this process: who keeps whom running, and what is said on the socket.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use std::time::{Duration, Instant};

use once::ErrorKind;
use once::Kernel;
use once::api::Client;
use once::api::contract::Listen;
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
        let (object, _) = alice.import(note(1, "kept")).await.unwrap();
        alice.serve_api().await.unwrap();
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut events = client.listen(Listen::default()).await.unwrap();
        drop(alice);
        // What happened before comes first; then whoever listens hears the end, and whoever calls is told.
        within("the end of the events", async { while events.next().await.is_some() {} }).await;
        assert_eq!(client.call("hello", json!({})).await.unwrap_err().kind(), ErrorKind::Unreachable);
        let begun = Instant::now();
        let alice = loop {
            match Kernel::builder(&data).start().await {
                Ok(alice) => break alice,
                Err(error) => {
                    assert!(error.kind() == ErrorKind::InUse && begun.elapsed() < PATIENCE, "{error}")
                }
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
        let ticket = alice.invite().petname("robert").expires(Duration::from_secs(60)).await.unwrap();
        bob.join(&ticket).await.unwrap();
        let ior = once::Ior::bare(nowhere(1).uuid);
        // A petname here; there what alice calls herself.
        for (asker, asked, name) in [(&alice, &bob, "robert"), (&bob, &alice, "alice")] {
            let called = format!("{name} ({})", asked.id().short());
            let denied = asker.request(&ior).from(asked.id()).await.err().unwrap();
            assert!(denied.message().contains(&format!("from {called}: ")), "{denied}");
            asker.serve_api().await.unwrap();
            let client = Client::connect(&dir.path().join(asker.name())).await.unwrap().unwrap();
            let never_given = json!({ "peer": name, "right": "read" });
            let refused = client.call("revoke", never_given).await.unwrap_err();
            assert_eq!(refused.message(), format!("kernel {called} has no such grant of 'read'"));
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

/// What an object wants besides its new state.
fn caller() -> once::Component {
    once::Component::of::<Value>("Caller", "1.0")
        .first(&json!({ "calls": 0 }))
        .action("go", |_: &mut Value, other: once::Ior, context: &once::Context| {
            context.publish("going", &json!({ "to": other.as_str(), "\u{1b}[31m": 1 }))?;
            context.activity("mail", &json!({ "text": "hello" }), "told", &())?;
            let _ = context.act(&other, "add", &json!({ "by": 1 }))?.then("told", &())?;
            Ok::<_, once::EffectError>("x".repeat(5000))
        })
        .answer("told", |_: &mut Value, _: once::Reply, _: &once::Context| Ok::<_, ()>(()))
        .into()
}

/// The next notification of this kind.
async fn next(events: &mut once::api::EventFeed, kind: &str) -> Value {
    within(kind, async {
        loop {
            let event = events.next().await.expect("the kernel is there");
            let event = serde_json::to_value(event).unwrap();
            if event["kind"] == kind {
                return event;
            }
        }
    })
    .await
}

#[test]
fn what_becomes_of_actions_is_told_to_whoever_listens_and_what_waits_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.stop().await.unwrap();
        let alice = Kernel::builder(dir.path().join("alice")).component(caller()).start().await.unwrap();
        alice.serve_api().await.unwrap();
        bob.serve_api().await.unwrap();
        let a = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let b = Client::connect(&dir.path().join("bob")).await.unwrap().unwrap();
        let ior = |made: Value| made["object"]["ior"].as_str().unwrap().to_owned();
        let counter = ior(b.call("create", json!({ "component": "Counter" })).await.unwrap());
        let made = a.call("create", json!({ "component": "Caller" })).await.unwrap();
        assert_eq!(made["object"]["version"], "1.0");
        let calling = ior(made);
        b.call("grant", json!({ "peer": "alice", "right": "act" })).await.unwrap();

        let (mut at_alice, mut at_bob) =
            (a.listen(Listen::default()).await.unwrap(), b.listen(Listen::default()).await.unwrap());
        let add = json!({ "object": counter, "name": "add", "arguments": { "by": 2 } });
        let id = a.call("act", add.clone()).await.unwrap()["id"].clone();
        let acted = next(&mut at_bob, "acted").await;
        assert_eq!(
            (&acted["id"], &acted["status"], &acted["result_text"]),
            (&id, &json!("done"), &json!("2"))
        );
        let outcome = next(&mut at_alice, "outcome").await;
        assert_eq!((&outcome["id"], &outcome["result_bytes"]), (&id, &json!(1)));
        assert_eq!(outcome["key"], acted["key"]);
        let fails = json!({ "object": counter, "name": "add", "arguments": "no" });
        assert_eq!(a.call("act", fails).await.unwrap_err().kind(), ErrorKind::Failed);
        assert_eq!(next(&mut at_alice, "outcome").await["status"], "failed");
        let unknown = json!({ "object": counter, "name": "fly" });
        let error = a.call("act", unknown).await.unwrap_err();
        assert!(
            error.kind() == once::ErrorKind::Failed
                && error.message().contains("understands no action 'fly'"),
            "{error:?}"
        );
        assert_eq!(next(&mut at_alice, "outcome").await["status"], "failed");

        // Nobody is there to be called, and nobody here sends mails.
        bob.stop().await.unwrap();
        let go = json!({ "object": calling, "name": "go", "arguments": counter });
        let done = a.call("act", go).await.unwrap();
        // A large result is asked for, not heard.
        let acted = next(&mut at_alice, "acted").await;
        assert_eq!((&acted["id"], &acted["result_text"]), (&done["id"], &json!(null)));
        assert_eq!(acted["result_bytes"], 5002);
        let published = next(&mut at_alice, "published").await;
        assert_eq!(published["topic"], "going");
        let data: Value = serde_json::from_str(published["data_text"].as_str().unwrap()).unwrap();
        assert_eq!(data["to"], json!(counter));
        let outbox = a.call("outbox", json!({})).await.unwrap();
        let (act, work) = (&outbox["acts"][0], &outbox["work"][0]);
        assert_eq!(
            (&act["name"], &act["peer"], &act["connected"]),
            (&json!("add"), &json!("bob"), &json!(false))
        );
        assert_eq!((&act["waits"], &act["acting"]), (&done["object"], &done["object"]));
        assert!(act["tries"].is_u64() && act["void"].is_null() && act["deadline_ms"].is_null(), "{act}");
        assert_eq!((&work["name"], &work["object"]), (&json!("mail"), &done["object"]));
        assert_eq!(work["done_here"], false);
        alice.stop().await.unwrap();
    });
}

/// One call about many things, and then another client's call: which of them has its answer first.
async fn is_overtaken(data: &std::path::Path, method: &str, params: Value) -> (Value, bool) {
    let busy = Client::connect(data).await.unwrap().unwrap();
    let other = Client::connect(data).await.unwrap().unwrap();
    let many = tokio::spawn({
        let method = method.to_owned();
        async move { busy.call(&method, params).await.unwrap() }
    });
    // It is heard and under way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.call("create", json!({ "component": "Counter" })).await.unwrap();
    let is_first = !many.is_finished();
    (many.await.unwrap(), is_first)
}

/// A daemon has one thread for all its clients: who asks for much has no more of it than who asks for little.
#[test]
fn a_call_about_many_things_lets_the_calls_of_others_in_between() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, _bob) = pair(dir.path()).await;
        alice.serve_api().await.unwrap();
        let data = dir.path().join("alice");
        let scenarios: Vec<_> = (0..5000).map(|n| json!({ "text": note(n, "one of many") })).collect();
        let (imported, is_overtaken_by_create) =
            is_overtaken(&data, "import", json!({ "scenarios": scenarios })).await;
        assert_eq!(imported["results"].as_array().map(Vec::len), Some(5000));
        assert!(is_overtaken_by_create, "create waited for the whole import");
        let one = imported["results"][0]["object"]["key"].clone();
        let often = json!({ "objects": vec![one; 50_000], "to": "bob" });
        let (shared, is_overtaken_by_create) = is_overtaken(&data, "share", often).await;
        assert!(is_overtaken_by_create, "create waited for the whole share");
        assert_eq!(shared["shared"], 1, "an object that is named twice is shared once");
    });
}

/// What is too long is counted first: what is in it does not matter, and costs nobody's time.
#[test]
fn a_grant_of_too_many_actions_is_refused_before_they_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, _bob) = pair(dir.path()).await;
        alice.serve_api().await.unwrap();
        let client = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        for method in ["grant", "revoke"] {
            let many = json!({ "peer": "bob", "right": "act", "actions": vec!["add"; 100_000] });
            let refused = client.call(method, many).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Quota, "{method}: {refused}");
        }
    });
}

/// A name that is misspelled would be passed over, and its caller would rely on what it says.
#[test]
fn a_parameter_that_a_method_does_not_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, _bob) = pair(dir.path()).await;
        alice.serve_api().await.unwrap();
        let client = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let made = client.call("create", json!({ "component": "Counter" })).await.unwrap();
        let object = &made["object"]["key"];
        let misspelled = json!({ "object": object, "name": "add", "deadlin_ms": 1 });
        let refused = client.call("act", misspelled).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Usage);
        assert!(refused.message().contains("deadlin_ms"), "{refused}");
        assert_eq!(client.call("status", json!({ "all": true })).await.unwrap_err().kind(), ErrorKind::Usage);
        // Whoever carries the answers may always be told how far a call is.
        client.call("status", json!({ "progress": true })).await.unwrap();
    });
}

/// One reason at a time, and the one that it is.
#[test]
fn an_action_that_no_home_would_take_is_refused_for_its_own_reason() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        alice.serve_api().await.unwrap();
        let client = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let made = client.call("create", json!({ "component": "Counter" })).await.unwrap();
        let object = &made["object"]["key"];
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        for (name, arguments, reason) in [
            ("", "1", "no name"),
            ("once:put", "1", "begins with"),
            ("add", "{", "not taken"),
            ("add", &deep, "64 levels"),
        ] {
            let act = json!({ "object": object, "name": name, "arguments_text": arguments });
            let refused = client.call("act", act).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
            assert!(refused.message().contains(reason), "{refused}");
        }
    });
}
