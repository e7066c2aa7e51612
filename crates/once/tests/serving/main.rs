//! Programs that serve components over the local API: raw lines on the socket, as a program in any language writes them.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod poison;
#[path = "../raw/mod.rs"]
mod raw;
mod travelling;
mod trouble;
mod waiting;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use once::ErrorKind;
use once::Kernel;
use once::api::Client;
use raw::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A program with a connection of its own.
struct Program {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    calls: u64,
    heard: VecDeque<Value>,
}

impl Program {
    async fn connect(data: &Path) -> Self {
        let (read, write) = UnixStream::connect(data.join("api.sock")).await.unwrap().into_split();
        Self { read: BufReader::new(read), write, calls: 0, heard: VecDeque::new() }
    }

    async fn serving(data: &Path, component: &str) -> Self {
        let mut program = Self::connect(data).await;
        program.must("serve", json!({ "component": component, "version": "1.0" })).await;
        program
    }

    async fn line(&mut self) -> Value {
        let mut line = String::new();
        within("a line", self.read.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn say(&mut self, line: &str) {
        self.write.write_all(line.as_bytes()).await.unwrap();
        self.write.write_all(b"\n").await.unwrap();
    }

    /// Calls with parameters as they are spelled.
    async fn call_text(&mut self, method: &str, params: &str) -> Result<Value, Value> {
        self.calls += 1;
        let id = self.calls;
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)).await;
        loop {
            let line = self.line().await;
            if line["id"] == id {
                return match line.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(line["result"].clone()),
                };
            }
            self.heard.push_back(line);
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.call_text(method, &params.to_string()).await
    }

    async fn must(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The parameters of the next notification.
    async fn asked(&mut self, method: &str) -> Value {
        let line = match self.heard.pop_front() {
            Some(line) => line,
            None => self.line().await,
        };
        assert_eq!(line["method"], method, "{line}");
        line["params"].clone()
    }

    /// Nothing comes for a while.
    async fn is_not_asked(&mut self) {
        assert!(self.heard.is_empty(), "{:?}", self.heard);
        let mut line = String::new();
        let read = self.read.read_line(&mut line);
        assert!(tokio::time::timeout(Duration::from_millis(200), read).await.is_err(), "{line}");
    }

    /// Answers a run.
    async fn ran(&mut self, run: &Value, mut answer: Value) {
        answer["run"] = run["run"].clone();
        self.must("ran", answer).await;
    }
}

const LAMP: &str = r#"{ "ior": {"uuid": "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0a01", "component": "Lamp", "version": "1.0"},
  "owner": "me", "model": { "on" : false, "big": 12345678901234567890, "odd": 1.50e0 } }"#;

/// A kernel with a socket, and an object of a component that it does not have.
async fn lamp_at(dir: &Path) -> (Kernel, String) {
    let alice = kernel(dir, "alice").await;
    alice.serve_api().await.unwrap();
    let (object, _) = alice.import(LAMP).await.unwrap();
    let key = object.key();
    alice.claim(key).await.unwrap();
    (alice, "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0a01".into())
}

async fn text(kernel: &Kernel, dir: &Path, object: &str) -> String {
    let client = Client::connect(&dir.join(kernel.name())).await.unwrap().unwrap();
    let got = client.call("get", json!({ "object": object })).await.unwrap();
    got["text"].as_str().unwrap().to_owned()
}

/// Someone acts, and waits for the outcome.
fn act(dir: &Path, params: Value) -> tokio::task::JoinHandle<Result<Value, once::Error>> {
    let data = dir.join("alice");
    tokio::spawn(async move {
        let client = Client::connect(&data).await.unwrap().unwrap();
        client.call("act", params).await
    })
}

/// So long that the action is there.
async fn accepted(dir: &Path, params: Value) -> String {
    let client = Client::connect(&dir.join("alice")).await.unwrap().unwrap();
    let mut params = params;
    params["no_wait"] = json!(true);
    client.call("act", params).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn outcome(dir: &Path, id: &str) -> Result<Value, once::Error> {
    loop {
        let client = Client::connect(&dir.join("alice")).await.unwrap().unwrap();
        let outcome = client.call("outcome", json!({ "id": id })).await?;
        if outcome["status"] == "done" {
            return Ok(outcome);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_served(client: &Client, clients: u64) {
    within("so many serve it", async {
        while client.call("status", json!({})).await.unwrap()["served"][0]["clients"] != clients {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[test]
fn a_program_serves_a_component_and_every_byte_stays() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let mut program = Program::connect(&dir.path().join("alice")).await;
        let served = program.must("serve", json!({ "component": "Lamp", "version": "1.0" })).await;
        assert_eq!(served, json!({ "component": "Lamp", "version": "1.0", "runs_max": 32 }));
        let arguments = r#"{"on":true,"odd":1.0e2,"big":98765432109876543210}"#;
        let switch = json!({ "object": lamp, "name": "switch", "arguments_text": arguments });
        let done = act(dir.path(), switch);
        let run = program.asked("run").await;
        for (member, value) in [
            ("component", json!("Lamp")),
            ("version", json!("1.0")),
            ("action", json!("switch")),
            ("arguments_text", json!(arguments)),
            ("scenario_text", json!(LAMP)),
            ("model_text", json!(r#"{ "on" : false, "big": 12345678901234567890, "odd": 1.50e0 }"#)),
            ("origin", json!(alice.id().to_string())),
            ("acting", Value::Null),
            ("answers", Value::Null),
            ("given", json!([])),
        ] {
            assert_eq!(run[member], value, "{member}");
        }
        assert!(run["object"].as_str().unwrap().starts_with(&format!("{lamp}#")));
        // What it is told to change is changed, as it is spelled; nothing else is touched.
        let answer =
            format!(r#"{{"run":{},"merge":{{"on":true, "new":1.00}},"result":[1.0, 2e0]}}"#, run["run"]);
        program.call_text("ran", &answer).await.unwrap();
        let done = done.await.unwrap().unwrap();
        assert_eq!(done["result_text"], "[1.0, 2e0]");
        assert_eq!(done["id"], run["id"]);
        let changed =
            LAMP.replace("\"on\" : false", "\"on\" : true").replace("1.50e0", "1.50e0, \"new\": 1.00");
        assert_eq!(text(&alice, dir.path(), &lamp).await, changed);
        // A new model as a whole, a new version, and no result.
        let done = act(dir.path(), json!({ "object": lamp, "name": "reset" }));
        let run = program.asked("run").await;
        assert_eq!((&run["scenario_text"], &run["arguments_text"]), (&json!(changed), &json!("null")));
        let answer = json!({ "model_text": "{ \"on\":\tfalse }", "version": "1.1", "result_text": null });
        program.must("serve", json!({ "component": "Lamp", "version": "1.1" })).await;
        program.ran(&run, answer).await;
        assert_eq!(done.await.unwrap().unwrap()["result_text"], "null");
        let now = text(&alice, dir.path(), &lamp).await;
        assert!(
            now.ends_with("\"model\": { \"on\":\tfalse } }") && now.contains("\"version\": \"1.1\""),
            "{now}"
        );
        // It says no; or that nothing changes.
        let done = act(dir.path(), json!({ "object": lamp, "name": "break" }));
        let run = program.asked("run").await;
        assert_eq!(run["version"], "1.1");
        program.ran(&run, json!({ "failed": { "why": "it is made of glass" } })).await;
        let error = done.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.message().ends_with(r#"{"why":"it is made of glass"}"#), "{error}");
        let done = act(dir.path(), json!({ "object": lamp, "name": "get" }));
        let run = program.asked("run").await;
        program.ran(&run, json!({})).await;
        done.await.unwrap().unwrap();
        assert_eq!(text(&alice, dir.path(), &lamp).await, now);
    });
}

#[test]
fn what_an_action_has_as_its_consequence_happens_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut events = alice.watch().stream().unwrap();
        let mut program = Program::serving(&data, "Lamp").await;
        program.must("serve_activity", json!({ "name": "ring" })).await;
        let client = Client::connect(&data).await.unwrap().unwrap();
        let counter = json!({ "component": "Counter", "model": { "count": 40 } });
        let counter = client.call("create", counter).await.unwrap()["object"].clone();
        let done = act(dir.path(), json!({ "object": lamp, "name": "everything" }));
        let run = program.asked("run").await;
        let effects = json!([
            { "act": { "object": counter["ior"], "name": "add", "arguments": { "by": 2 }, "deadline_ms": 60_000,
                "then": { "action": "counted", "with": { "step": 1 } } } },
            { "create": { "component": "Counter", "version": "1.0", "model": { "count": 7 } } },
            { "timer": { "name": "soon", "after_ms": 20, "then": { "action": "rang", "with": "soon" } } },
            { "timer": { "name": "never", "after_ms": 20, "then": { "action": "rang" } } },
            { "cancel_timer": { "name": "never" } },
            { "publish": { "name": "shouted", "data": { "loud": true } } },
            { "activity": { "name": "ring", "arguments": { "times": 3 }, "then": { "action": "answered" } } },
        ]);
        // Before it has answered, nothing of it is there.
        program.ran(&run, json!({ "merge": { "on": true }, "effects": effects })).await;
        done.await.unwrap().unwrap();
        // What comes of them is told to the object: one at a time, in the order in which it came.
        let mut told = Vec::new();
        let mut worked = false;
        while told.len() < 3 {
            let line = match program.heard.pop_front() {
                Some(line) => line,
                None => program.line().await,
            };
            let params = &line["params"];
            if line["method"] == "work" {
                assert!(!std::mem::replace(&mut worked, true), "asked for once");
                assert_eq!(
                    (&params["name"], &params["arguments_text"]),
                    (&json!("ring"), &json!("{\"times\":3}"))
                );
                assert_eq!(params["object"], run["object"]);
                let work = json!({ "id": params["id"], "object": params["object"], "result": "rang" });
                program.must("worked", work.clone()).await;
                let error = program.call("worked", work).await.unwrap_err();
                assert_eq!(error["data"]["code"], "not-found", "{error}");
                continue;
            }
            assert!(params["answers"].is_string(), "only its own effects may say that: {params}");
            let arguments: Value = serde_json::from_str(params["arguments_text"].as_str().unwrap()).unwrap();
            assert_eq!(arguments["effect"], params["answers"]);
            told.push((
                params["action"].clone(),
                arguments["status"].clone(),
                arguments["result"].clone(),
                arguments["with"].clone(),
            ));
            program.ran(params, json!({})).await;
        }
        told.sort_by_key(|(action, ..)| action.to_string());
        assert_eq!(
            told,
            [
                (json!("answered"), json!("done"), json!("rang"), Value::Null),
                (json!("counted"), json!("done"), json!(42), json!({ "step": 1 })),
                (json!("rang"), json!("due"), Value::Null, json!("soon")),
            ]
        );
        program.is_not_asked().await;
        let all = client.call("list", json!({ "component": "Counter" })).await.unwrap();
        assert_eq!(all["objects"].as_array().unwrap().len(), 2);
        let shouted = within("it is published", async {
            loop {
                let happened = events.next().await.unwrap().unwrap();
                if let once::Event::Published { topic, data_text, .. } = happened.event {
                    return (topic, data_text);
                }
            }
        });
        assert_eq!(shouted.await, ("shouted".to_owned(), "{\"loud\":true}".to_owned()));
        // The end of it, and a value that its key alone names.
        let done = act(dir.path(), json!({ "object": lamp, "name": "end" }));
        let run = program.asked("run").await;
        let effects = json!([{ "act": { "object": counter["key"], "name": "get" } }, { "remove": {} }]);
        program.ran(&run, json!({ "effects": effects })).await;
        done.await.unwrap().unwrap();
        let gone = client.call("act", json!({ "object": lamp, "name": "get" })).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    });
}

#[test]
fn an_object_is_made_beside_another_one_of_its_uuid_but_only_once_of_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (_alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut program = Program::serving(&data, "Lamp").await;
        let client = Client::connect(&data).await.unwrap().unwrap();
        let counter = json!({ "component": "Counter", "model": { "count": 7 } });
        let counter = client.call("create", counter).await.unwrap()["object"].clone();
        let other = json!({ "component": "Counter", "version": "1.0", "model": { "count": 99 }, "uuid": counter["uuid"] });
        let key = client.call("get", json!({ "object": lamp })).await.unwrap()["object"]["key"].clone();
        // Of the lamp's own UUID, too, while the lamp itself ends.
        let own = json!({ "component": "Counter", "version": "1.0", "model": { "count": 5 }, "uuid": lamp });
        for (effects, counters) in [
            (json!([{ "create": other }]), 2),
            (json!([{ "create": other }, { "create": other }]), 2),
            (json!([{ "create": own }, { "remove": {} }]), 3),
        ] {
            let done = act(dir.path(), json!({ "object": key, "name": "make" }));
            let run = program.asked("run").await;
            program.ran(&run, json!({ "effects": effects })).await;
            done.await.unwrap().unwrap();
            let all = client.call("list", json!({ "component": "Counter" })).await.unwrap();
            assert_eq!(all["objects"].as_array().unwrap().len(), counters, "{effects}");
        }
        for count in [7, 99, 5] {
            let all = client.call("list", json!({ "component": "Counter" })).await.unwrap();
            let mut found = 0;
            for object in all["objects"].as_array().unwrap() {
                let got =
                    client.call("act", json!({ "object": object["key"], "name": "get" })).await.unwrap();
                found += usize::from(got["outcome"]["result"] == count || got["result"] == count);
            }
            assert_eq!(found, 1, "{count}");
        }
    });
}

#[test]
fn versions_and_actions_say_who_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut whole = Program::serving(&data, "Lamp").await;
        let mut part = Program::connect(&data).await;
        // What the kernel does itself, no program answers for.
        let own = json!({ "component": "Lamp", "version": "1.0", "actions": ["switch", "once:put"] });
        assert_eq!(part.call("serve", own).await.unwrap_err()["data"]["code"], "usage");
        part.must("serve", json!({ "component": "Lamp", "version": "1.0", "actions": ["switch"] })).await;
        let done = act(dir.path(), json!({ "object": lamp, "name": "dim" }));
        let run = whole.asked("run").await;
        whole.ran(&run, json!({})).await;
        done.await.unwrap().unwrap();
        let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        let run = part.asked("run").await;
        part.ran(&run, json!({})).await;
        done.await.unwrap().unwrap();
        drop(whole);
        // Whoever serves it does not know the action: nobody does, as with a component of the kernel.
        let error = loop {
            let done =
                act(dir.path(), json!({ "object": lamp, "name": "dim", "timeout_ms": 300 })).await.unwrap();
            match done {
                Err(error) if error.kind() == once::ErrorKind::Failed => break error,
                other => {
                    assert!(
                        other.is_err_and(|error| error.kind() == ErrorKind::Unknown),
                        "the first may still be there"
                    )
                }
            }
        };
        assert!(error.message().contains("Lamp understands no action 'dim'."), "{error}");
        assert!(error.message().contains("It understands: switch"), "{error}");
        // What it says of its actions is shown while it is connected.
        let client = Client::connect(&data).await.unwrap().unwrap();
        let told = client.call("actions", json!({ "object": lamp })).await.unwrap();
        assert_eq!((&told["known"], &told["actions"]), (&json!("program"), &json!([{ "name": "switch" }])));
        let switch =
            json!({ "name": "switch", "description": "on or off", "arguments": { "type": "boolean" } });
        let serve = |described: Value| json!({ "component": "Lamp", "version": "1.0", "actions": ["switch"], "descriptions": [described] });
        part.must("serve", serve(switch.clone())).await;
        assert_eq!(
            part.call("serve", serve(json!({ "name": "dim" }))).await.unwrap_err()["data"]["code"],
            "usage"
        );
        let told = client.call("actions", json!({ "object": lamp })).await.unwrap();
        assert_eq!(told["actions"], json!([switch]));
        drop(part);
        until_served(&client, 0).await;
        let told = client.call("actions", json!({ "object": lamp })).await.unwrap();
        assert_eq!((&told["known"], &told["actions"]), (&json!("unnamed"), &json!([])));
        drop(client);
        // What a newer version wrote waits for a newer program.
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        alice.serve_api().await.unwrap();
        let text_of_newer = LAMP.replace("0a01", "0a02").replace("1.0\"", "1.10\"");
        alice.import(text_of_newer).await.unwrap();
        let newest = lamp.replace("0a01", "0a02");
        let mut older = Program::connect(&data).await;
        older.must("serve", json!({ "component": "Lamp", "version": "1.9" })).await;
        let done = act(dir.path(), json!({ "object": newest, "name": "switch" }));
        older.is_not_asked().await;
        let mut newer = Program::connect(&data).await;
        newer.must("serve", json!({ "component": "Lamp", "version": "1.10" })).await;
        let run = newer.asked("run").await;
        newer.ran(&run, json!({})).await;
        done.await.unwrap().unwrap();
    });
}
