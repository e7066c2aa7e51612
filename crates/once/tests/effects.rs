//! What follows from actions, over real iroh on loopback: calls and their answers, timers, work outside, objects that
//! are born and end, scenarios that are given, deadlines, receipts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use once::component::{Add, Counter, Get};
use once::model::action::Given;
use once::model::scenario::Scenario;
use once::{
    ActError, Action, Activity, Builder, Component, Context, ErrorKind, Event, InitOptions, Ior, Kernel,
    Model, ObjectRef, Reply,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn story(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), run).await.expect("the story hangs")
    });
}

/// An object that makes others do things, and writes down what came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Boss {
    log: Vec<String>,
}

impl Model for Boss {
    const COMPONENT: &str = "Boss";
    const VERSION: &str = "1.0";
}

/// Wants a counter to count.
#[derive(Serialize, Deserialize)]
struct Delegate {
    to: String,
    by: i64,
    deadline_ms: Option<u64>,
    fail: bool,
}

impl Action<Boss> for Delegate {
    const NAME: &str = "delegate";
    type Outcome = ();
    type Failure = String;

    fn act(self, boss: &mut Boss, context: &Context) -> Result<(), String> {
        let to = Ior::parse(&self.to).map_err(|e| e.to_string())?;
        let mut call = context.act(&to, "add", &json!({ "by": self.by }))?.then("delegated", &self.by)?;
        if let Some(ms) = self.deadline_ms {
            call = call.deadline(Duration::from_millis(ms));
        }
        let id = call.id();
        boss.log.push(format!("asked {id}"));
        if self.fail { Err("thought better of it".into()) } else { Ok(()) }
    }
}

/// Everything else, by name.
#[derive(Serialize, Deserialize)]
struct Do(String);

impl Action<Boss> for Do {
    const NAME: &str = "do";
    type Outcome = Value;
    type Failure = String;

    fn act(self, boss: &mut Boss, context: &Context) -> Result<Value, String> {
        match self.0.as_str() {
            "wait" => context.timer("t", Duration::from_millis(30), "waited", &"why")?,
            "never" => {
                context.timer("n", Duration::from_millis(10), "waited", &"never")?;
                context.cancel_timer("n");
            }
            "work" => drop(context.activity("double", &21, "worked", &"half")?),
            "bear" => {
                let model = Counter { count: 40 };
                return Ok(json!(context.create("Counter", "1.0", "boss", &model)?));
            }
            "shout" => context.publish("shouted", &json!({ "loud": true }))?,
            "end" => context.remove(),
            "given" => {
                let names: Vec<_> = context.given().iter().map(|s| s.name().map(str::to_owned)).collect();
                return Ok(json!(names));
            }
            other => boss.log.push(other.into()),
        }
        Ok(Value::Null)
    }
}

#[derive(Serialize, Deserialize)]
struct Log;

impl Action<Boss> for Log {
    const NAME: &str = "log";
    type Outcome = Vec<String>;
    type Failure = String;

    fn act(self, boss: &mut Boss, _: &Context) -> Result<Vec<String>, String> {
        Ok(boss.log.clone())
    }
}

fn boss() -> Component {
    let told = |boss: &mut Boss, came: Reply, _: &Context| {
        let what = came.outcome::<Value>().map_or_else(|no| no.reason.to_string(), |yes| yes.to_string());
        boss.log.push(format!("{} {what} {}", came.status, came.with));
        Ok::<_, String>(())
    };
    Component::model::<Boss>()
        .on::<Delegate>()
        .on::<Do>()
        .on::<Log>()
        .answer("delegated", told)
        .answer("waited", told)
        .answer("worked", told)
        .into()
}

fn builder(dir: &Path, name: &str) -> Builder {
    Kernel::builder(dir.join(name)).component(boss())
}

async fn kernel(dir: &Path, name: &str) -> Kernel {
    let options = InitOptions { name: Some(name.into()), listen: Some("127.0.0.1:0".into()), relay: None };
    once::init(&dir.join(name), options).unwrap();
    builder(dir, name).start().await.unwrap()
}

async fn pair(dir: &Path) -> (Kernel, Kernel) {
    let (alice, bob) = (kernel(dir, "alice").await, kernel(dir, "bob").await);
    bob.join(&alice.invite().await.unwrap()).await.unwrap();
    (alice, bob)
}

/// What a boss has written down, once that is so much.
async fn log(boss: &ObjectRef<Boss>, lines: usize) -> Vec<String> {
    loop {
        let log = boss.act(Log).await.unwrap();
        if log.len() >= lines {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn delegate(to: &ObjectRef<Counter>, by: i64) -> Delegate {
    Delegate { to: to.ior().to_string(), by, deadline_ms: None, fail: false }
}

#[test]
fn an_object_acts_on_another_kernels_object_and_is_told_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let counter = alice.create_object(Counter::default()).await.unwrap();
        let boss = bob.create_object(Boss::default()).await.unwrap();
        // Without a right it is told so.
        boss.act(delegate(&counter, 1)).await.unwrap();
        assert_eq!(log(&boss, 2).await[1], "refused \"denied\" 1");
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        boss.act(delegate(&counter, 2)).await.unwrap();
        assert_eq!(log(&boss, 4).await[3], "done 2 2");
        // The component says no.
        boss.act(delegate(&counter, i64::MAX)).await.unwrap();
        assert_eq!(log(&boss, 6).await[5], format!("failed \"the count would be too large\" {}", i64::MAX));
        // An action that fails has no effects, and its object is as before.
        let failed = boss.act(Delegate { fail: true, ..delegate(&counter, 9) }).await;
        assert_eq!(failed, Err(ActError::Failed("thought better of it".into())));
        assert_eq!(log(&boss, 6).await.len(), 6);
        assert_eq!(counter.act(Get).await, Ok(2));
        // Nobody else can tell it what came of its effects.
        let forged = bob.act(
            boss.ior(),
            "delegated",
            r#"{"effect":"00000000-0000-8000-8000-000000000000","status":"done","with":1}"#,
        );
        assert_eq!(forged.unwrap().await.unwrap_err().kind(), ErrorKind::Failed);
        // On its own kernel it works the same way.
        let own = bob.create_object(Counter::default()).await.unwrap();
        boss.act(delegate(&own, 5)).await.unwrap();
        assert_eq!(log(&boss, 8).await[7], "done 5 5");
    });
}

#[test]
fn effects_and_answers_survive_restarts_of_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        let counter = alice.create_object(Counter::default()).await.unwrap().ior().clone();
        alice.stop().await.unwrap();
        let boss = bob.create_object(Boss::default()).await.unwrap();
        for by in 1..=3 {
            boss.act(delegate(&bob.object(&counter).unwrap(), by)).await.unwrap();
        }
        let ior = boss.ior().clone();
        drop(boss);
        bob.stop().await.unwrap();
        let alice = builder(dir.path(), "alice").start().await.unwrap();
        let bob = builder(dir.path(), "bob").start().await.unwrap();
        let boss: ObjectRef<Boss> = bob.object(&ior).unwrap();
        let log = log(&boss, 6).await;
        assert_eq!(log[3..], ["done 1 1", "done 3 2", "done 6 3"], "in their order, once each");
        assert_eq!(alice.object::<Counter>(&counter).unwrap().act(Get).await, Ok(6));
    });
}

#[test]
fn timers_ring_once_also_after_a_restart_and_work_outside_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let boss = alice.create_object(Boss::default()).await.unwrap();
        for what in ["never", "wait", "work"] {
            boss.act(Do(what.into())).await.unwrap();
        }
        let ior = boss.ior().clone();
        drop(boss);
        alice.stop().await.unwrap();
        // Nobody did the work: whoever starts next is asked again.
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let double = move |work: Activity| {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                work.arguments.as_i64().map(|n| json!(2 * n)).ok_or(json!("no number"))
            }
        };
        let alice = builder(dir.path(), "alice").activity("double", double).start().await.unwrap();
        let boss: ObjectRef<Boss> = alice.object(&ior).unwrap();
        let mut log = log(&boss, 2).await;
        log.sort();
        assert_eq!(log, ["done 42 \"half\"", "due null \"why\""]);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn objects_are_born_and_end_and_are_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let boss = alice.create_object(Boss::default()).await.unwrap();
        let mut events = alice.watch().stream().unwrap();
        let child = boss.act(Do("bear".into())).await.unwrap();
        let child: once::model::ids::Uuid = serde_json::from_value(child).unwrap();
        let there = alice.act(&Ior::bare(child), "get", "null").unwrap().await.unwrap();
        assert_eq!(there.result, "40");
        boss.act(Do("shout".into())).await.unwrap();
        let heard = loop {
            if let Event::Published { key, topic, data_text } = events.next().await.unwrap().unwrap().event {
                break (key, topic, data_text);
            }
        };
        let key = once::api::contract::key_text(&boss.key());
        assert_eq!(heard, (key, "shouted".to_owned(), "{\"loud\":true}".to_owned()));
        boss.act(Do("end".into())).await.unwrap();
        assert!(matches!(boss.act(Log).await, Err(ActError::Refused(_))));
    });
}

#[test]
fn what_an_action_depends_on_travels_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        let boss = alice.create_object(Boss::default()).await.unwrap();
        let there: ObjectRef<Boss> = bob.object(boss.ior()).unwrap();
        let mut given = Vec::new();
        for name in ["first", "second", "unneeded"] {
            let text = format!(r#"{{"ior":{{"component":"Note"}},"model":{{"name":"{name}"}}}}"#);
            let (object, _) = bob.import(text).await.unwrap();
            given.push(Given { key: object.key(), content: object.content() });
        }
        let mut act = there.act(Do("given".into()));
        for given in &given[..2] {
            act = act.given(*given);
        }
        assert_eq!(act.await, Ok(json!(["first", "second"])));
        assert!(alice.get(given[0].key).unwrap().is_some());
        assert!(alice.get(given[2].key).unwrap().is_none(), "only what the action names travels");
        // One that its origin has not got is refused at once, and the lane goes on.
        let nowhere = Given { content: given[2].content, ..given[0] };
        let refused = there.act(Do("given".into())).given(nowhere).await;
        let Err(ActError::Refused(error)) = refused else { panic!("{refused:?}") };
        assert!(error.message().contains("depends on"), "{error}");
        assert_eq!(there.act(Do("given".into())).await, Ok(json!([])));
    });
}

#[test]
fn a_deadline_passes_while_the_home_is_away_and_a_cancelled_action_never_runs() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        let here = alice.create_object(Counter::default()).await.unwrap();
        let (ior, key) = (here.ior().clone(), here.key());
        drop(here);
        let there: ObjectRef<Counter> = bob.object(&ior).unwrap();
        assert_eq!(there.act(Add { by: 1 }).await, Ok(1));
        alice.stop().await.unwrap();
        // Nobody knows yet whether it ran: the deadline expires the action, and only the timeout ends the waiting.
        let patient = {
            let there: ObjectRef<Counter> = bob.object(&ior).unwrap();
            let act = there.act(Add { by: 5 }).deadline(Duration::from_millis(20));
            tokio::spawn(act.into_future())
        };
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let late = there
            .act(Add { by: 10 })
            .deadline(Duration::from_millis(20))
            .timeout(Duration::from_millis(300))
            .await;
        let Err(ActError::Unknown(late)) = late else { panic!("{late:?}") };
        let unwanted = there.act(Add { by: 100 }).send().await.unwrap();
        unwanted.cancel().await.unwrap();
        let wanted = there.act(Add { by: 1000 }).send().await.unwrap();
        let alice = builder(dir.path(), "alice").start().await.unwrap();
        assert_eq!(wanted.outcome().await, Ok(1001));
        let refused = |outcome: Result<i64, ActError<_>>| match outcome {
            Err(ActError::Refused(error)) => error.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(patient.await.unwrap()), ErrorKind::Expired);
        assert_eq!(refused(unwanted.outcome().await), ErrorKind::Cancelled);
        assert_eq!(bob.outcome(late).unwrap_err().kind(), ErrorKind::Expired);
        // Too late: it has run.
        let done = bob.cancel(wanted.id()).timeout(Duration::from_secs(5)).await.unwrap();
        assert_eq!(done.result, "1001");
        // All of it is in the object's history, behind its birth, and the receipts fit.
        let history = alice.history(key).await.unwrap().entries;
        assert_eq!(history.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        let receipt = bob.receipt(wanted.id()).timeout(Duration::from_secs(5)).await.unwrap();
        assert_eq!(receipt.verify(&alice.id()), Ok(()));
        assert_eq!(receipt.entry.hash().to_string(), history[5].hash);
        assert!(receipt.verify(&bob.id()).is_err());
        assert!(receipt.chain.is_some());
        let unknown = once::model::ids::Uuid::from_u128(5);
        assert_eq!(
            bob.receipt(unknown).timeout(Duration::from_secs(1)).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn a_newer_component_reads_what_an_older_one_wrote_and_an_older_one_leaves_the_newer_alone() {
    #[derive(Serialize, Deserialize)]
    struct Lamp {
        level: u8,
    }
    let lamp = |version: &str| {
        Component::of::<Lamp>("Lamp", version).action("dim", |lamp: &mut Lamp, to: u8, _: &Context| {
            Ok::<_, String>(std::mem::replace(&mut lamp.level, to))
        })
    };
    let raise = |mut model: Value| {
        let on = model["on"].as_bool().ok_or("no `on`")?;
        model["level"] = json!(if on { 100 } else { 0 });
        model.as_object_mut().map(|model| model.remove("on"));
        Ok(model)
    };
    let dir = tempfile::tempdir().unwrap();
    story(async {
        once::init(dir.path(), InitOptions::default()).unwrap();
        let kernel = Kernel::builder(dir.path()).component(lamp("2.0").upcast("1.0", raise)).offline();
        let kernel = kernel.start().await.unwrap();
        let text = r#"{"ior":{"component":"Lamp","version":"1.0"},"model":{"uuid":"0012bda9-f833-4909-a891-a75b183be4c8","on":true,"room":1.0}}"#;
        let (object, _) = kernel.import(text).await.unwrap();
        let act = |kernel: &Kernel, to: &str| kernel.act(&object.ior(&[]), "dim", to.to_owned()).unwrap();
        assert_eq!(act(&kernel, "30").await.unwrap().result, "100");
        let now = kernel.act(&Ior::bare(object.uuid()), "dim", "40").unwrap().await.unwrap();
        assert_eq!(now.result, "30");
        let body = kernel.scenario(now.after.unwrap().key).unwrap().unwrap();
        let scenario = Scenario::parse(body.clone()).unwrap();
        assert_eq!(scenario.version(), Some("2.0"));
        assert_eq!(
            scenario.as_str(),
            text.replace("1.0\"}", "2.0\"}").replace("\"on\":true,\"room\":1.0", "\"room\":1.0,\"level\":40")
        );
        kernel.stop().await.unwrap();
        // Another kernel program, that only has the older version.
        let older = Kernel::builder(dir.path()).component(lamp("1.5")).offline().start().await.unwrap();
        let refused = older.act(&Ior::bare(object.uuid()), "dim", "1").unwrap().await.unwrap_err();
        assert!(refused.message().contains("no component"), "{refused}");
        let (key, _) = (now.after.unwrap().key, ());
        assert_eq!(older.scenario(key).unwrap().unwrap(), body, "untouched");
    });
}
