//! Objects of a served component that move: their program has the last word where they were, and hears first where they are.

use super::*;

/// Two kernels with sockets that move objects to each other, and a lamp of the first one.
async fn travel(dir: &Path) -> (Kernel, Kernel, String) {
    let (alice, lamp) = lamp_at(dir).await;
    let bob = kernel(dir, "bob").await;
    bob.serve_api().await.unwrap();
    let ticket = alice.invite().await.unwrap();
    bob.join(&ticket).await.unwrap();
    for (data, peer) in [("alice", bob.id()), ("bob", alice.id())] {
        let client = Client::connect(&dir.join(data)).await.unwrap().unwrap();
        client.call("grant", json!({ "peer": peer.to_string(), "right": "host" })).await.unwrap();
    }
    (alice, bob, lamp)
}

async fn traveller(data: &Path) -> Program {
    let mut program = Program::connect(data).await;
    let moves = json!({ "component": "Lamp", "version": "1.0", "actions": ["switch"], "moves": ["leaving", "arrived"] });
    program.must("serve", moves).await;
    program
}

/// Somebody moves the lamp from alice to bob, and waits for what comes of it.
fn go(dir: &Path, lamp: &str, bob: &Kernel) -> tokio::task::JoinHandle<Result<Value, once::Error>> {
    let (data, wish) =
        (dir.join("alice"), json!({ "objects": [lamp], "to": bob.id().to_string(), "wait": true }));
    tokio::spawn(async move {
        let client = Client::connect(&data).await.unwrap().unwrap();
        client.call("move", wish).await
    })
}

async fn moves(dir: &Path, name: &str) -> Value {
    let client = Client::connect(&dir.join(name)).await.unwrap().unwrap();
    client.call("moves", json!({})).await.unwrap()
}

#[test]
fn a_program_may_keep_an_object_and_hears_where_it_has_come_to() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    story(async {
        let (alice, bob, lamp) = travel(dir).await;
        let mut here = traveller(&dir.join("alice")).await;
        let there = traveller(&dir.join("bob")).await;
        let refused = go(dir, &lamp, &bob);
        let run = here.asked("run").await;
        assert_eq!(run["action"], "once:leaving");
        assert_eq!(run["arguments_text"], format!(r#"{{"to":"{}"}}"#, bob.id()));
        here.ran(&run, json!({ "failed": "not before dark" })).await;
        let error = refused.await.unwrap().unwrap_err();
        assert!(error.message().ends_with("its component does not let it go: not before dark"), "{error}");
        // Nobody who serves it is there when it comes.
        drop(there);
        let client = Client::connect(&dir.join("bob")).await.unwrap().unwrap();
        until_served(&client, 0).await;
        let moved = go(dir, &lamp, &bob);
        let run = here.asked("run").await;
        here.ran(&run, json!({ "merge": { "on": true } })).await;
        assert_eq!(moved.await.unwrap().unwrap()["moved"].as_array().unwrap().len(), 1);
        let switch = json!({ "object": lamp, "name": "switch", "no_wait": true });
        client.call("act", switch).await.unwrap();
        let waits = moves(dir, "bob").await["arrivals"][0].clone();
        let shown = (&waits["kernel"], &waits["component"], &waits["programs"]);
        assert_eq!(shown, (&json!(alice.id().to_string()), &json!("Lamp"), &json!(0)), "{waits}");
        let put = json!({ "object": lamp, "text": LAMP });
        let error = client.call("put", put).await.unwrap_err();
        assert!(error.message().contains("has not been told so yet"), "{error}");
        bob.stop().await.unwrap();
        let bob = start(dir, "bob").await;
        bob.serve_api().await.unwrap();
        let mut there = traveller(&dir.join("bob")).await;
        let run = there.asked("run").await;
        assert_eq!(run["action"], "once:arrived");
        assert_eq!(run["arguments_text"], format!(r#"{{"from":"{}"}}"#, alice.id()));
        there.ran(&run, json!({})).await;
        let run = there.asked("run").await;
        assert_eq!(run["action"], "switch", "what waited runs after that");
        // It goes home by itself.
        let home = json!({ "effects": [{ "move": { "to": alice.id().to_string() } }] });
        there.ran(&run, home).await;
        let run = there.asked("run").await;
        assert_eq!(run["action"], "once:leaving");
        there.ran(&run, json!({})).await;
        let run = here.asked("run").await;
        assert_eq!(run["action"], "once:arrived");
        assert_eq!(run["arguments_text"], format!(r#"{{"from":"{}"}}"#, bob.id()));
        here.ran(&run, json!({})).await;
        until("nothing waits", || alice.arrivals().unwrap().is_empty()).await;
        let client = Client::connect(&dir.join("alice")).await.unwrap().unwrap();
        let history = client.call("history", json!({ "object": lamp })).await.unwrap().to_string();
        assert!(history.contains("once:leaving") && history.contains("once:arrived"), "{history}");
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}

#[test]
fn what_wants_to_go_where_it_may_not_stays_and_people_find_why() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    story(async {
        let (alice, bob, lamp) = travel(dir).await;
        let client = Client::connect(&dir.join("bob")).await.unwrap().unwrap();
        client.call("revoke", json!({ "peer": alice.id().to_string(), "right": "host" })).await.unwrap();
        let mut program = Program::serving(&dir.join("alice"), "Lamp").await;
        let done = act(dir, json!({ "object": lamp, "name": "switch" }));
        let run = program.asked("run").await;
        program.ran(&run, json!({ "effects": [{ "move": { "to": bob.id().to_string() } }] })).await;
        done.await.unwrap().unwrap();
        until("it stays", || !alice.stayed().unwrap().is_empty()).await;
        let stayed = moves(dir, "alice").await["stayed"][0].clone();
        assert!(
            stayed["to"] == "bob" && stayed["why"].as_str().unwrap().contains("does not let"),
            "{stayed}"
        );
        let client = Client::connect(&dir.join("alice")).await.unwrap().unwrap();
        let checks = client.call("doctor", json!({})).await.unwrap().to_string();
        assert!(checks.contains(", and stays: "), "{checks}");
        client.call("moves.withdraw", json!({ "object": lamp })).await.unwrap();
        assert!(moves(dir, "alice").await["stayed"].as_array().unwrap().is_empty());
        alice.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
}
