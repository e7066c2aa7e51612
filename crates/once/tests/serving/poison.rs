//! Programs that go away over what they are asked, and what no program can take.

use super::*;
use once::ErrorKind;

async fn checks(client: &Client, what: &str) -> Vec<Value> {
    let all = client.call("doctor", json!({})).await.unwrap();
    let checks = all["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["check"] == what && check["ok"] == false).cloned().collect()
}

fn says(checks: &[Value], what: &str) -> bool {
    checks.iter().any(|check| check["message"].as_str().unwrap().contains(what))
}

/// A supervisor starts the program again each time that it dies. What it dies of holds up nothing else.
#[test]
fn what_a_program_dies_of_is_asked_for_last_and_ever_more_seldom() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (_alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut lamps = Vec::new();
        for _ in 0..19 {
            let lamp = json!({ "component": "Lamp", "version": "1.0", "model": {} });
            lamps.push(client.call("create", lamp).await.unwrap()["object"]["key"].clone());
        }
        // From now on it is a component that programs serve.
        drop(Program::serving(&data, "Lamp").await);
        let (deaths, until) = (std::cell::Cell::new(0), std::time::Instant::now() + Duration::from_secs(4));
        let program = async {
            let mut asked_again = 0;
            while std::time::Instant::now() < until {
                let mut program = Program::serving(&data, "Lamp").await;
                loop {
                    let mut line = String::new();
                    let rest = until.saturating_duration_since(std::time::Instant::now());
                    if tokio::time::timeout(rest, program.read.read_line(&mut line)).await.is_err() {
                        break;
                    }
                    let line: Value = serde_json::from_str(&line).unwrap();
                    if line["method"] != "run" {
                        continue;
                    }
                    if line["params"]["action"] == "poison" {
                        deaths.set(deaths.get() + 1);
                        break;
                    }
                    let answer = json!({ "jsonrpc": "2.0", "id": 7, "method": "ran",
                        "params": { "run": line["params"]["run"], "result": "on" } });
                    program.say(&answer.to_string()).await;
                    asked_again += 1;
                }
            }
            asked_again
        };
        let clients = async {
            let poison = accepted(dir.path(), json!({ "object": lamp, "name": "poison" })).await;
            let done: Vec<_> = lamps
                .iter()
                .map(|lamp| act(dir.path(), json!({ "object": lamp, "name": "on", "timeout_ms": 20_000 })))
                .collect();
            for done in done {
                assert_eq!(done.await.unwrap().unwrap()["result"], "on");
            }
            poison
        };
        let (answered, poison) = tokio::join!(program, clients);
        // What it said just before it died may not have been heard.
        assert!(answered >= 19, "{answered}");
        // At once, again alone, and after 1 and 2 seconds.
        assert!((2..=5).contains(&deaths.get()), "asked for {} times", deaths.get());
        let seen = checks(&client, "component Lamp").await;
        assert!(says(&seen, "went away over poison") && says(&seen, &poison), "{seen:?}");
        client.call("cancel", json!({ "id": poison })).await.unwrap();
    });
}

#[test]
fn work_that_a_program_dies_of_holds_up_no_other_work() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (_alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut lamps = Program::serving(&data, "Lamp").await;
        let done = act(dir.path(), json!({ "object": lamp, "name": "all" }));
        let run = lamps.asked("run").await;
        let work =
            |n: u32| json!({ "activity": { "name": "ring", "arguments": n, "then": { "action": "rang" } } });
        lamps.ran(&run, json!({ "effects": (0..40).map(work).collect::<Vec<_>>() })).await;
        done.await.unwrap().unwrap();
        let (mut rung, mut deaths) = (0, 0);
        while rung < 39 {
            let mut program = Program::connect(&data).await;
            program.must("serve_activity", json!({ "name": "ring" })).await;
            loop {
                let work = program.asked("work").await;
                if work["arguments_text"] == "5" {
                    deaths += 1;
                    break;
                }
                let done = json!({ "id": work["id"], "object": work["object"], "result": 1 });
                program.must("worked", done).await;
                rung += 1;
                if rung == 39 {
                    break;
                }
            }
        }
        assert!(deaths <= 3, "asked for {deaths} times");
    });
}

/// A timer is due, and the only program that is there does not know what it was to do.
#[test]
fn an_answer_that_no_program_here_knows_waits_is_shown_and_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut program = Program::connect(&data).await;
        let offer = json!({ "component": "Lamp", "version": "1.0", "actions": ["switch"] });
        program.must("serve", offer).await;
        for (name, given_up) in [("rang", false), ("rung", true)] {
            let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
            let run = program.asked("run").await;
            let timer = json!({ "timer": { "name": "t", "after_ms": 1, "then": { "action": name } } });
            program.ran(&run, json!({ "effects": [timer] })).await;
            done.await.unwrap().unwrap();
            let shown = within("it is shown", async {
                loop {
                    let outbox = client.call("outbox", json!({})).await.unwrap();
                    let acts = outbox["acts"].as_array().unwrap();
                    if let Some(act) = acts.iter().find(|act| act["stands"].is_string()) {
                        break act.clone();
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
            assert_eq!(shown["name"], name);
            assert!(shown["stands"].as_str().unwrap().contains("no-component"), "{shown}");
            assert!(says(&checks(&client, "answer").await, name));
            let id = shown["id"].clone();
            let dead = client.call("dead_letters", json!({})).await.unwrap();
            let letter = &dead["letters"][0];
            assert_eq!(
                (&dead["total"], &letter["id"], &letter["reason"]),
                (&json!(1), &id, &json!("cannot-run"))
            );
            if given_up {
                let dropped = client.call("dead_letters.drop", json!({ "all": true })).await.unwrap();
                assert_eq!(dropped["results"][0]["done"], true, "{dropped}");
            } else {
                let mut whole = Program::serving(&data, "Lamp").await;
                let run = whole.asked("run").await;
                assert_eq!((&run["action"], &run["id"]), (&json!(name), &id));
                whole.ran(&run, json!({ "result": 1 })).await;
            }
            let gone = within("it has its outcome", async {
                loop {
                    let outbox = client.call("outbox", json!({})).await.unwrap();
                    if outbox["acts"].as_array().unwrap().is_empty() {
                        break client.call("history", json!({ "object": lamp })).await.unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
            let entries = gone["entries"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["id"] == id).unwrap();
            let right = if given_up { json!("refused") } else { json!("done") };
            assert_eq!(entry["status"], right, "{entry}");
            assert!(checks(&client, "answer").await.is_empty());
            assert_eq!(client.call("dead_letters", json!({})).await.unwrap()["total"], 0);
        }
        let error = client.call("outbox.drop", json!({ "id": lamp })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        alice.stop().await.unwrap();
    });
}

#[test]
fn what_waits_for_a_newer_program_is_shown_and_holds_up_no_other_object() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut older = Program::connect(&data).await;
        older.must("serve", json!({ "component": "Lamp", "version": "1.9" })).await;
        let mut waits = Vec::new();
        for n in 2..=20 {
            let text = LAMP.replace("0a01", &format!("0a{n:02}")).replace("1.0\"", "2.0\"");
            alice.import(text).await.unwrap();
            let newer = lamp.replace("0a01", &format!("0a{n:02}"));
            waits.push(act(dir.path(), json!({ "object": newer, "name": "switch" })));
        }
        within("all of them wait", async {
            while !says(
                &checks(&client, "component Lamp").await,
                "19 actions wait for a program of Lamp >= 2.0",
            ) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        let run = older.asked("run").await;
        older.ran(&run, json!({})).await;
        done.await.unwrap().unwrap();
        let mut newer = Program::connect(&data).await;
        newer.must("serve", json!({ "component": "Lamp", "version": "2.0" })).await;
        for _ in 2..=20 {
            let run = newer.asked("run").await;
            newer.ran(&run, json!({})).await;
        }
        for done in waits {
            done.await.unwrap().unwrap();
        }
        assert!(checks(&client, "component Lamp").await.is_empty());
    });
}

/// Work that nobody does is a dead letter when it gets old. Who gives it up has its object told that it failed.
#[test]
fn work_that_nobody_does_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut program = Program::serving(&data, "Lamp").await;
        let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        let run = program.asked("run").await;
        let mail = json!({ "activity": { "name": "mail", "arguments": null, "then": { "action": "sent" } } });
        program.ran(&run, json!({ "effects": [mail] })).await;
        done.await.unwrap().unwrap();
        let dead = client.call("dead_letters", json!({ "older_than_ms": 0 })).await.unwrap();
        let letter = &dead["letters"][0];
        assert_eq!((&letter["kind"], &letter["name"]), (&json!("work"), &json!("mail")));
        assert!(letter["detail"].as_str().unwrap().contains("nobody here does"), "{letter}");
        let ids = json!({ "ids": [letter["id"]] });
        let retried = client.call("dead_letters.retry", ids.clone()).await.unwrap();
        assert_eq!(retried["results"][0]["done"], false, "{retried}");
        let dropped = client.call("dead_letters.drop", ids).await.unwrap();
        assert_eq!(dropped["results"][0]["done"], true, "{dropped}");
        let told = program.asked("run").await;
        assert_eq!(told["action"], "sent");
        let came: Value = serde_json::from_str(told["arguments_text"].as_str().unwrap()).unwrap();
        assert_eq!(came["status"], "failed");
        assert!(came["reason"].as_str().unwrap().contains("given up by a person"), "{came}");
        program.ran(&told, json!({})).await;
        alice.stop().await.unwrap();
    });
}
