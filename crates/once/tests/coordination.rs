//! Coordinations over kernels in one process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::path::Path;
use std::time::Duration;

use once::model::ids::Uuid;
use once::model::scenario::Scenario;
use once::{ErrorKind, Event, InitOptions, Ior, Kernel, Object, Plan, RunState, StepState};
use serde_json::{Value, json};

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
    Kernel::builder(data).start().await.unwrap()
}

async fn account(kernel: &Kernel, n: u128, balance: u64) -> Object {
    let model = json!({ "balance": balance }).to_string();
    let scenario = Scenario::compose(Uuid::from_u128(n), "Account", "1.0", kernel.name(), &model).unwrap();
    kernel.create(scenario).await.unwrap().0
}

async fn balance(kernel: &Kernel, of: &Object) -> Value {
    let funds = kernel.act(&of.ior(&[]), "get", "null").unwrap().await.unwrap();
    serde_json::from_slice::<Value>(&funds.result).unwrap()["balance"].clone()
}

fn step(name: &str, ior: &Ior, action: &str, amount: u64, undo: &str) -> Value {
    json!({
        "name": name, "ior": ior.as_str(), "action": action, "arguments": { "amount": amount },
        "compensation": { "action": undo, "arguments": { "amount": amount } },
    })
}

fn plan(mode: &str, steps: &[Value]) -> Plan {
    Plan::parse(json!({ "mode": mode, "steps": steps }).to_string()).unwrap()
}

fn id(n: u16) -> Uuid {
    let ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    format!("{:08x}-{:04x}-7000-8000-{n:012x}", ms >> 16, ms & 0xffff).parse().unwrap()
}

fn words(ended: &once::Coordination) -> Vec<&'static str> {
    ended.standing.steps.iter().map(|step| step.state.word()).collect()
}

/// Two kernels; alice may act on bob's account, both have 100.
async fn accounts(dir: &Path) -> (Kernel, Kernel, Object, Object) {
    let (alice, bob) = (kernel(dir, "alice").await, kernel(dir, "bob").await);
    bob.join(&alice.invite().await.unwrap()).await.unwrap();
    let (mine, theirs) = (account(&alice, 1, 100).await, account(&bob, 2, 100).await);
    bob.grant(alice.id(), once::Right::Act).on(theirs.key()).await.unwrap();
    (alice, bob, mine, theirs)
}

#[test]
fn a_transfer_is_done_or_undone_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob, mine, theirs) = accounts(dir.path()).await;
        let (a, b) = (mine.ior(&[]), theirs.ior(&[]));
        let mut events = alice.watch().stream().unwrap();
        let transfer = plan(
            "sequence",
            &[step("take", &a, "withdraw", 30, "deposit"), step("give", &b, "deposit", 30, "withdraw")],
        );
        let ended = alice.coordinate(transfer).await.unwrap();
        assert!(ended.is_done(), "{ended:?}");
        assert_eq!(ended.standing.steps[1].state.result().unwrap()["balance"], 130);
        assert_eq!((balance(&alice, &mine).await, balance(&bob, &theirs).await), (json!(70), json!(130)));
        // Whoever listens has heard of it.
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let happened = events.next().await.expect("the kernel runs").unwrap();
            if let Event::Published { topic, data_text, .. } = happened.event {
                let data: Value = serde_json::from_str(&data_text).unwrap();
                heard.push((topic, data["state"].clone()));
            }
        }
        let expected = ["running", "running", "done"].map(|state| ("coordination".to_owned(), json!(state)));
        assert_eq!(heard, expected);

        // The last step fails: what was done is undone, backwards.
        for mode in ["sequence", "all"] {
            let failing = plan(
                mode,
                &[
                    step("take", &a, "withdraw", 30, "deposit"),
                    step("give", &b, "deposit", 30, "withdraw"),
                    step("more", &b, "withdraw", 1_000, "deposit"),
                ],
            );
            let ended = alice.coordinate(failing).await.unwrap();
            assert_eq!(ended.standing.state, RunState::Compensated);
            assert_eq!(words(&ended), ["compensated", "compensated", "failed"]);
            assert_eq!((balance(&alice, &mine).await, balance(&bob, &theirs).await), (json!(70), json!(130)));
        }

        // What cannot be undone is in doubt; the others are undone all the same. Bob's action was never granted.
        let mut stuck = step("take", &a, "withdraw", 30, "nothing like that");
        stuck["compensation"]["arguments"] = Value::Null;
        let other = account(&bob, 3, 0).await;
        let doubtful = plan(
            "sequence",
            &[
                step("first", &a, "withdraw", 1, "deposit"),
                stuck,
                step("give", &other.ior(&[]), "deposit", 30, "withdraw"),
            ],
        );
        let ended = alice.coordinate(doubtful).await.unwrap();
        assert_eq!(ended.standing.state, RunState::InDoubt);
        assert_eq!(words(&ended), ["compensated", "in doubt", "refused"]);
        assert_eq!(ended.standing.steps[2].state, StepState::Refused { code: "denied".into() });
    });
}

#[test]
fn one_id_is_one_coordination_of_one_plan() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob, mine, theirs) = accounts(dir.path()).await;
        let (a, b) = (mine.ior(&[]), theirs.ior(&[]));
        let transfer = plan(
            "sequence",
            &[step("take", &a, "withdraw", 30, "deposit"), step("give", &b, "deposit", 30, "withdraw")],
        );
        let one = id(1);
        for _ in 0..3 {
            let ended = alice.coordinate(transfer.clone()).id(one).await.unwrap();
            assert!(ended.is_done() && ended.id == one);
        }
        assert_eq!(balance(&bob, &theirs).await, json!(130));
        assert!(alice.coordination(one).unwrap().is_done());
        let other = plan("all", &[step("take", &a, "withdraw", 30, "deposit")]);
        let error = alice.coordinate(other.clone()).id(one).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IdReused);
        assert!(error.message().contains(&other.hash().to_string()), "{error}");
        assert!(error.message().contains(&transfer.hash().to_string()), "{error}");
        // The id of an action is none of a coordination, and leaves nothing behind.
        let two = id(2);
        alice.act(&a, "get", "null").unwrap().id(two).await.unwrap();
        let error = alice.coordinate(other.clone()).id(two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IdReused);
        assert_eq!(alice.coordination(two).unwrap_err().kind(), ErrorKind::NotFound);
        for wrong in [Uuid::from_u128(7), "ffffffff-0000-7000-8000-000000000001".parse().unwrap()] {
            assert_eq!(alice.coordinate(other.clone()).id(wrong).await.unwrap_err().kind(), ErrorKind::Usage);
            assert_eq!(alice.coordination(wrong).unwrap_err().kind(), ErrorKind::NotFound);
        }
        // Of two that come together with different plans, one is started.
        let three = id(3);
        let (x, y) = tokio::join!(
            alice.coordinate(other.clone()).id(three).into_future(),
            alice.coordinate(transfer.clone()).id(three).into_future()
        );
        let (done, refused) = if x.is_ok() { (x, y) } else { (y, x) };
        assert!(done.unwrap().is_done());
        assert!(refused.unwrap_err().message().contains("another plan"));
        assert!(alice.coordination(three).unwrap().is_done());
    });
}

#[test]
fn a_coordination_waits_for_who_is_away_and_a_deadline_is_a_known_end() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob, mine, theirs) = accounts(dir.path()).await;
        let (a, b) = (mine.ior(&[]), theirs.ior(&[]));
        bob.stop().await.unwrap();
        let mut late = step("give", &b, "deposit", 30, "withdraw");
        let transfer = plan("sequence", &[step("take", &a, "withdraw", 30, "deposit"), late.clone()]);
        let waits = id(1);
        let timeout = Duration::from_millis(300);
        let error = alice.coordinate(transfer.clone()).id(waits).timeout(timeout).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.message().ends_with("it waits for give"), "{error}");
        // Not known is not failed: nothing is undone.
        assert_eq!(words(&alice.coordination(waits).unwrap()), ["done", "running"]);

        late["deadline_ms"] = json!(50);
        let hurried = plan("sequence", &[step("take", &a, "withdraw", 30, "deposit"), late]);
        let hurried = alice.coordinate(hurried).start().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(words(&alice.coordination(hurried.id).unwrap()), ["done", "running"], "bob may have it");

        let bob = Kernel::builder(dir.path().join("bob")).start().await.unwrap();
        assert!(alice.coordinate(transfer).id(waits).await.unwrap().is_done());
        let ended = async {
            loop {
                let now = alice.coordination(hurried.id).unwrap();
                if now.standing.state.is_over() {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let ended = ended.await;
        assert_eq!(words(&ended), ["compensated", "refused"]);
        assert_eq!(ended.standing.steps[1].state, StepState::Refused { code: "expired".into() });
        assert_eq!((balance(&alice, &mine).await, balance(&bob, &theirs).await), (json!(70), json!(130)));
    });
}
