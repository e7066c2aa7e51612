//! Actions that wait for a program, and programs that take over from others.

use super::*;

#[test]
fn while_nobody_serves_it_an_action_waits_also_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        // Before anybody serves it, it is a record like any other.
        let merge = json!({ "object": lamp, "name": "merge", "arguments": { "odd": 2 } });
        act(dir.path(), merge.clone()).await.unwrap().unwrap();
        let program = Program::serving(&data, "Lamp").await;
        drop(program);
        let client = Client::connect(&data).await.unwrap().unwrap();
        within("it is gone", async {
            while client.call("status", json!({})).await.unwrap()["served"][0]["clients"] != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let ids = [accepted(dir.path(), merge.clone()).await, accepted(dir.path(), merge.clone()).await];
        // What the kernel has itself does not wait for that.
        let counter = client.call("create", json!({ "component": "Counter", "model": {} })).await.unwrap();
        let get = json!({ "object": counter["object"]["key"], "name": "get" });
        assert_eq!(client.call("act", get).await.unwrap()["result"], 0);
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        alice.serve_api().await.unwrap();
        let client = Client::connect(&data).await.unwrap().unwrap();
        let waits = json!([{ "component": "Lamp", "clients": 0, "runs": 0 }]);
        assert_eq!(client.call("status", json!({})).await.unwrap()["served"], waits);
        let checks = client.call("doctor", json!({})).await.unwrap();
        let lamps = |check: &&Value| check["check"] == "component Lamp";
        let lamps = checks["checks"].as_array().unwrap().iter().find(lamps).unwrap();
        assert!(lamps["ok"] == false && lamps["message"].as_str().unwrap().contains("wait"), "{lamps}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        for id in &ids {
            assert_eq!(client.call("outcome", json!({ "id": id })).await.unwrap()["status"], "accepted");
        }
        // When someone serves it, they run at once: nobody waits for the resend after 10 s.
        let begun = std::time::Instant::now();
        let mut program = Program::serving(&data, "Lamp").await;
        for id in &ids {
            let run = program.asked("run").await;
            assert_eq!((&run["id"], &run["action"]), (&json!(id), &json!("merge")));
            program.ran(&run, json!({ "result": "by the program" })).await;
            assert_eq!(outcome(dir.path(), id).await.unwrap()["result"], "by the program");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        program.is_not_asked().await;
        // Once it is forgotten, it is a record again.
        let waits = act(dir.path(), merge.clone());
        program.asked("run").await;
        program.must("unserve", json!({ "component": "Lamp" })).await;
        assert_eq!(waits.await.unwrap().unwrap()["result_text"], "null");
        let error = program.call("unserve", json!({ "component": "Lamp" })).await.unwrap_err();
        assert_eq!(error["data"]["code"], "not-found");
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        alice.serve_api().await.unwrap();
        act(dir.path(), merge).await.unwrap().unwrap();
    });
}

#[test]
fn who_goes_away_in_the_middle_is_replaced_and_the_action_runs_once() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut older = Program::serving(&data, "Lamp").await;
        older.must("serve_activity", json!({ "name": "ring" })).await;
        let mut newer = Program::serving(&data, "Lamp").await;
        newer.must("serve_activity", json!({ "name": "ring" })).await;
        let begun = std::time::Instant::now();
        let done = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        // The newest is asked first.
        let run = newer.asked("run").await;
        older.is_not_asked().await;
        drop(newer);
        let again = older.asked("run").await;
        assert_eq!((&again["id"], &again["scenario_text"]), (&run["id"], &run["scenario_text"]));
        let ring = json!({ "activity": { "name": "ring", "then": { "action": "answered" } } });
        older.ran(&again, json!({ "merge": { "on": true }, "effects": [ring] })).await;
        done.await.unwrap().unwrap();
        assert_eq!(text(&alice, dir.path(), &lamp).await, LAMP.replace("false", "true"));
        // Work outside as well: it is asked of the next, and of the same when it is back.
        let work = older.asked("work").await;
        drop(older);
        let mut next = Program::connect(&data).await;
        next.must("serve_activity", json!({ "name": "ring" })).await;
        assert_eq!(next.asked("work").await, work);
        drop(next);
        let mut back = Program::serving(&data, "Lamp").await;
        back.must("serve_activity", json!({ "name": "ring" })).await;
        assert_eq!(back.asked("work").await, work);
        let failed = json!({ "id": work["id"], "object": work["object"], "failed": "nobody is in" });
        back.must("worked", failed).await;
        let run = back.asked("run").await;
        assert!(
            run["arguments_text"].as_str().unwrap().contains(r#""status":"failed","reason":"nobody is in""#)
        );
        back.ran(&run, json!({})).await;
        back.is_not_asked().await;
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "nothing waited for a resend: {:?}",
            begun.elapsed()
        );
    });
}

#[test]
fn a_peer_acts_on_what_a_program_serves_and_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.serve_api().await.unwrap();
        let data = dir.path().join("alice");
        let (object, _) = alice.import(LAMP).await.unwrap();
        let (object, _) = alice.claim(object.key()).await.unwrap();
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        drop(Program::serving(&data, "Lamp").await);
        let client = Client::connect(&data).await.unwrap().unwrap();
        until_served(&client, 0).await;
        let mut ids = Vec::new();
        for n in 0..40 {
            let act = bob.act_on(object.key(), Some(alice.id()), "switch", n.to_string());
            ids.push(act.send().await.unwrap());
        }
        // They come to alice, and wait there.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = std::time::Instant::now();
        let mut program = Program::serving(&data, "Lamp").await;
        for (n, id) in ids.iter().enumerate() {
            let run = program.asked("run").await;
            assert_eq!((&run["id"], &run["arguments_text"]), (&json!(id), &json!(n.to_string())));
            assert_eq!(run["origin"], bob.id().to_string());
            program.ran(&run, json!({ "result": n })).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        until("the outcomes are at bob", || {
            ids.iter().all(|id| bob.outcome(*id).is_ok_and(|done| done.is_some()))
        })
        .await;
    });
}

#[test]
fn a_program_that_hangs_is_named_by_doctor_until_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (_alice, lamp) = lamp_at(dir.path()).await;
        let data = dir.path().join("alice");
        let mut program = Program::serving(&data, "Lamp").await;
        let waits = act(dir.path(), json!({ "object": lamp, "name": "switch" }));
        let run = program.asked("run").await;
        let client = Client::connect(&data).await.unwrap().unwrap();
        let lamps = async || {
            let checks = client.call("doctor", json!({})).await.unwrap();
            let is_it = |check: &&Value| check["check"] == "component Lamp";
            checks["checks"].as_array().unwrap().iter().find(is_it).unwrap().clone()
        };
        within("it is called hung", async {
            while lamps().await["ok"] == true {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })
        .await;
        let said = lamps().await;
        assert!(said["message"].as_str().unwrap().contains("switch"), "{said}");
        program.ran(&run, json!({})).await;
        waits.await.unwrap().unwrap();
        assert_eq!(lamps().await["ok"], true);
    });
}
