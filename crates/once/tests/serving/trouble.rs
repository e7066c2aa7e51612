//! Programs that answer what is of no use, or not at all.

use super::*;
use once::ErrorKind;

#[test]
fn an_answer_of_no_use_is_told_to_its_program_and_the_action_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut program = Program::serving(&data, "Lamp").await;
        let other = r#"{"uuid": "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0a02"}"#;
        let long = "x".repeat(70_000);
        let no_name = json!({ "timer": { "name": "", "after_ms": 1, "then": { "action": "a" } } });
        let no_line = json!({ "act": { "object": format!("ior:once://x/Lamp/1.0/{lamp}"), "name": "a" } });
        let no_owner =
            json!({ "create": { "component": "Lamp", "version": "1.0", "model": {}, "owner": 3 } });
        for (answer, why) in [
            (r#""model_text":"{\"on\":""#.to_owned(), "the new model: "),
            (r#""model_text":"{}","merge":{}"#.to_owned(), "not both"),
            (r#""merge":{"on":true},"modell_text":"{}""#.to_owned(), "unknown field `modell_text`"),
            (r#""failed":"no","merge":{"on":true}"#.to_owned(), "`failed` stands alone"),
            (r#""result_text":"[1,""#.to_owned(), "`result`: "),
            (r#""result":1,"result_text":"1""#.to_owned(), "not both"),
            (format!(r#""result":"{long}""#), "`result` has 70002 bytes: at most 65536"),
            (r#""effects":[{"jump":{}}]"#.to_owned(), "unknown variant `jump`"),
            (
                format!(r#""effects":[{{"remove":{{}}}},{no_name}]"#),
                "effect 2 of its list: a name has 1 to 255",
            ),
            (format!(r#""effects":[{no_line}]"#), "effect 1 of its list: "),
            (format!(r#""effects":[{no_owner}]"#), "invalid type"),
            (r#""version":"""#.to_owned(), "`version`: "),
        ] {
            let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
            let run = program.asked("run").await;
            let answer = format!(r#"{{"run":{},{answer}}}"#, run["run"]);
            let error = program.call_text("ran", &answer).await;
            let error = error.err().unwrap_or_else(|| panic!("taken: {answer:.200}"));
            assert!(error["message"].as_str().unwrap().contains(why), "{answer:.200}: {error}");
            assert_eq!(error["data"]["code"], "invalid");
            assert!(error["data"]["hint"].as_str().unwrap().contains("has failed"), "{error}");
            let failed = done.await.unwrap().unwrap_err();
            assert!(
                failed.kind() == ErrorKind::Failed
                    && failed.message().contains("the program that serves Lamp"),
                "{failed}"
            );
        }
        // It may not make another object of it, where the model says which one it is.
        let bare = r#"{"ior":{"component":"Lamp"},"model":{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0a09"}}"#;
        alice.import(bare).await.unwrap();
        let done =
            act(dir.path(), json!({ "object": "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0a09", "name": "switch" }));
        let run = program.asked("run").await;
        let error = program.call("ran", json!({ "run": run["run"], "model_text": other })).await.unwrap_err();
        assert!(error["message"].as_str().unwrap().contains("another object"), "{error}");
        assert_eq!(done.await.unwrap().unwrap_err().kind(), ErrorKind::Failed);
        // Nothing of all that has changed anything.
        assert_eq!(text(&alice, dir.path(), &lamp).await, LAMP);
        // What names no run of this connection means nothing, and so does what is no JSON.
        let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        let run = program.asked("run").await;
        let mut stranger = Program::serving(&data, "Other").await;
        for (params, code) in
            [("{}", "usage"), ("{\"run\":\"7\"}", "usage"), ("{\"run\":987654}", "not-found")]
        {
            let error = program.call_text("ran", params).await.unwrap_err();
            assert_eq!(error["data"]["code"], code, "{params}: {error}");
        }
        let error = stranger.call("ran", json!({ "run": run["run"] })).await.unwrap_err();
        assert_eq!(error["data"]["code"], "not-found", "{error}");
        program.say("this is no JSON").await;
        assert_eq!(program.line().await["error"]["data"]["code"], "usage");
        program.ran(&run, json!({ "result": 1 })).await;
        assert_eq!(done.await.unwrap().unwrap()["result"], 1);
        let error = program.call("ran", json!({ "run": run["run"] })).await.unwrap_err();
        assert_eq!(error["data"]["code"], "not-found", "{error}");
        // Work that nobody wants, or that is answered in no JSON.
        let work = json!({ "id": run["id"], "object": run["object"], "result": 1 });
        assert_eq!(program.call("worked", work).await.unwrap_err()["data"]["code"], "not-found");
        let work = json!({ "id": run["id"], "object": run["object"], "result_text": "{" });
        assert_eq!(program.call("worked", work).await.unwrap_err()["data"]["code"], "invalid");
        // What the kernel has itself is not served.
        let error =
            program.call("serve", json!({ "component": "Counter", "version": "9" })).await.unwrap_err();
        assert!(error["message"].as_str().unwrap().contains("has the component 'Counter' itself"), "{error}");
        assert!(error["data"]["hint"].as_str().unwrap().contains("another name"), "{error}");
        for params in [json!({ "component": "", "version": "1" }), json!({ "component": "A" })] {
            assert_eq!(program.call("serve", params).await.unwrap_err()["data"]["code"], "usage");
        }
    });
}

#[test]
fn who_never_answers_is_given_up_and_holds_up_only_its_own_objects() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        alice.stop().await.unwrap();
        let data = dir.path().join("alice");
        let limit = Duration::from_millis(500);
        let alice = Kernel::builder(&data).run_limit(limit).start().await.unwrap();
        alice.serve_api().await.unwrap();
        let client = Client::connect(&data).await.unwrap().unwrap();
        let mut make = Vec::new();
        for n in 0..300 {
            let text = LAMP.replace("0a01", &format!("{n:04x}")).replace("\"Lamp\"", "\"Slow\"");
            make.push(json!({ "text": text }));
        }
        client.call("import", json!({ "scenarios": make })).await.unwrap();
        let mut slow = Program::serving(&data, "Slow").await;
        let mut ids = Vec::new();
        // More objects than a window holds, and one with more actions than it holds.
        for n in 0..600 {
            let object = format!("7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a{:04x}", if n < 300 { n } else { 0 });
            ids.push(accepted(dir.path(), json!({ "object": object, "name": "wait" })).await);
        }
        let counter = client.call("create", json!({ "component": "Counter", "model": {} })).await.unwrap();
        let begun = std::time::Instant::now();
        for n in 1..=50 {
            let add = json!({ "object": counter["object"]["key"], "name": "add", "arguments": { "by": 1 } });
            assert_eq!(client.call("act", add).await.unwrap()["result"], n);
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // No more are asked for at once than is said; after a while they are given up, and asked for again.
        let first: Vec<_> = {
            let mut first = Vec::new();
            for _ in 0..32 {
                first.push(slow.asked("run").await);
            }
            first
        };
        let status = client.call("status", json!({})).await.unwrap();
        assert!(status["served"][0]["runs"].as_u64().unwrap() <= 32, "{status}");
        let next = slow.asked("run").await;
        assert!(!first.iter().any(|run| run["run"] == next["run"]));
        let error = slow.call("ran", json!({ "run": first[0]["run"] })).await.unwrap_err();
        assert!(error["data"]["hint"].as_str().unwrap().contains("given up"), "{error}");
        // Another program takes them over, and each runs once, those of one object in order.
        drop(slow);
        let mut quick = Program::serving(&data, "Slow").await;
        let mut order = Vec::new();
        while order.len() < 600 {
            let run = quick.asked("run").await;
            quick.ran(&run, json!({ "merge": { "on": true } })).await;
            order.push(run["id"].as_str().unwrap().to_owned());
        }
        let of_first: Vec<_> =
            order.iter().filter(|id| ids[0] == **id || ids[300..].contains(id)).cloned().collect();
        let wanted: Vec<_> = ids[..1].iter().chain(&ids[300..]).cloned().collect();
        assert_eq!(of_first, wanted);
        let unique: std::collections::BTreeSet<_> = order.iter().collect();
        assert_eq!(unique.len(), 600);
        for id in [&ids[0], &ids[299], &ids[599]] {
            outcome(dir.path(), id).await.unwrap();
        }
        quick.is_not_asked().await;
    });
}

#[test]
fn who_serves_and_acts_over_one_connection_does_not_wait_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (_alice, lamp) = lamp_at(dir.path()).await;
        let mut program = Program::serving(&dir.path().join("alice"), "Lamp").await;
        for n in 1000..1100 {
            let act = json!({ "jsonrpc": "2.0", "id": n, "method": "act",
                "params": { "object": lamp, "name": "switch" } });
            program.say(&act.to_string()).await;
        }
        let (mut done, mut refused) = (0, 0);
        while done + refused < 100 {
            let line = match program.heard.pop_front() {
                Some(line) => line,
                None => program.line().await,
            };
            if line["method"] == "run" {
                let run = line["params"].clone();
                program.ran(&run, json!({})).await;
            } else if let Some(error) = line.get("error") {
                assert_eq!(error["data"]["code"], "quota", "{error}");
                assert!(error["data"]["hint"].as_str().unwrap().contains("connection of their own"));
                refused += 1;
            } else {
                assert_eq!(line["result"]["status"], "done");
                done += 1;
            }
        }
        assert!(done >= 64, "{done} done");
    });
}
