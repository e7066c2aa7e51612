//! Plans over several real kernels, carried out while the one that does it is killed.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use once::api::contract::{Event, Listen};
use serde_json::{Value, json};
use support::*;

/// What each account has at first: enough for the transfers of as many rounds as anybody runs.
const FUNDS: i64 = 1_000_000;

/// What a transfer moves.
const AMOUNT: i64 = 30;

/// A UUID of version 7, made of a number.
fn id(n: u64) -> String {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    format!("{:08x}-{:04x}-7000-8000-{n:012x}", ms >> 16, ms & 0xffff)
}

/// Alice coordinates; bob and carol keep an account each, on which she may act.
struct Bank {
    place: Place,
    alice: Daemon,
    bob: (Daemon, String),
    carol: (Daemon, String),
}

impl Bank {
    async fn new() -> Self {
        let place = Place::new();
        place.init("alice");
        let alice = place.up("alice").await;
        let bob = Self::open(&place, &alice, "bob").await;
        let carol = Self::open(&place, &alice, "carol").await;
        Self { place, alice, bob, carol }
    }

    /// A kernel with an account, and the account's IOR.
    async fn open(place: &Place, alice: &Daemon, name: &str) -> (Daemon, String) {
        place.init(name);
        let home = place.up(name).await;
        let ticket = home.call("invite", json!({ "name": "alice" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": name, "timeout_ms": 60_000 });
        alice.call("join", join).await.unwrap();
        let create = json!({ "component": "Account", "model": { "balance": FUNDS } });
        let made = home.call("create", create).await.unwrap();
        let grant = json!({ "peer": "alice", "right": "act", "component": "Account" });
        home.call("grant", grant).await.unwrap();
        (home, made["object"]["ior"].as_str().unwrap().to_owned())
    }

    async fn balances(&self) -> [i64; 2] {
        let mut found = [0; 2];
        for (balance, (home, ior)) in found.iter_mut().zip([&self.bob, &self.carol]) {
            let get = home.call("act", json!({ "object": ior, "name": "get" })).await.unwrap();
            *balance = get["result"]["balance"].as_i64().unwrap();
            assert_eq!(get["result"]["available"], get["result"]["balance"], "nothing stays set aside");
        }
        found
    }

    fn step(&self, name: &str, action: &str, amount: i64, undo: &str) -> Value {
        let ior = if name.ends_with("bob") { &self.bob.1 } else { &self.carol.1 };
        let arguments = match action {
            "confirm" => json!({ "id": "rent" }),
            "reserve" => json!({ "id": "rent", "amount": amount }),
            _ => json!({ "amount": amount }),
        };
        let mut step = json!({ "name": name, "ior": ior, "action": action, "arguments": arguments });
        match undo {
            "" => {}
            "cancel" => step["compensation"] = json!({ "action": undo, "arguments": { "id": "rent" } }),
            _ => step["compensation"] = json!({ "action": undo, "arguments": arguments }),
        }
        step
    }

    fn transfer(&self) -> Value {
        json!({ "mode": "sequence", "steps": [
            self.step("take from bob", "withdraw", AMOUNT, "deposit"),
            self.step("give to carol", "deposit", AMOUNT, "withdraw"),
        ] })
    }

    /// A transfer whose last step fails.
    fn failing(&self, mode: &str) -> Value {
        let mut plan = self.transfer();
        plan["mode"] = json!(mode);
        plan["steps"].as_array_mut().unwrap().push(self.step("too much of bob", "withdraw", 10 * FUNDS, ""));
        plan
    }

    /// What is taken is set aside first, and taken out when all else is done. Each id is used once.
    fn reserved(&self, n: u64) -> Value {
        let plan = json!({ "mode": "sequence", "steps": [
            self.step("reserve at bob", "reserve", AMOUNT, "cancel"),
            self.step("give to carol", "deposit", AMOUNT, "withdraw"),
            self.step("confirm at bob", "confirm", AMOUNT, ""),
        ] });
        serde_json::from_str(&plan.to_string().replace("rent", &format!("rent {n}"))).unwrap()
    }

    /// Asks for a coordination, cuts the kernel off as soon as the object of it is seen in this revision, and waits for
    /// its end after the next start. How it ended.
    async fn cut(mut self, plan: &Value, n: u64, at: u64, delay: Duration) -> (Self, Value) {
        let id = id(n);
        let coordinate = json!({ "plan": plan, "id": id });
        let mut events = self.alice.api().listen(Listen::default()).await.unwrap();
        let asked = tokio::spawn({
            let (client, coordinate) = (self.alice.api().clone(), coordinate.clone());
            async move { client.call("coordinate", coordinate).await }
        });
        let (key, seen) = loop {
            let event = events.next().await.expect("it runs");
            let Event::Changed(changed) = event.event else { continue };
            if event.component.as_deref() == Some("Coordination") && changed.revision >= at {
                break (changed.key, changed.revision);
            }
        };
        tokio::time::sleep(delay).await;
        self.alice.kill();
        let _ = asked.await.unwrap();
        self.alice = self.place.up("alice").await;
        let shown = self.alice.call("get", json!({ "object": key })).await.unwrap();
        let revision = shown["object"]["revision"].as_u64().unwrap();
        assert!(revision >= seen, "revision {seen} was seen, and {revision} is there");
        if at == 1 {
            // It may not have been started: nobody was told that it was.
            self.alice.call("coordinate", coordinate).await.unwrap();
        }
        let ended = until("the end of the coordination", async || {
            let text = self.alice.text(&key).await.unwrap();
            let run = serde_json::from_str::<Value>(&text).unwrap()["model"]["run"].clone();
            ["done", "compensated", "in doubt"].iter().any(|over| run["state"] == *over).then_some(run)
        })
        .await;
        (self, ended)
    }
}

/// At each revision of the coordination's object, of plans that succeed and of plans whose last step fails.
#[test]
fn a_coordinator_that_is_killed_at_every_step_ends_its_plans_once() {
    story(async {
        let mut bank = Bank::new().await;
        let mut n = 0;
        let (mut cuts, mut wanted, mut doubt) = (0, 0, 0);
        for round in 0..scale() as u32 {
            for kind in 0..4 {
                let plan = |bank: &Bank, n| match kind {
                    0 => bank.transfer(),
                    1 => bank.failing("sequence"),
                    2 => bank.failing("all"),
                    _ => bank.reserved(n),
                };
                // Once without a cut: how many revisions it has.
                n += 1;
                let whole = json!({ "plan": plan(&bank, n), "id": id(n), "wait": true });
                let whole = bank.alice.call("coordinate", whole).await.unwrap();
                let state = if [1, 2].contains(&kind) { "compensated" } else { "done" };
                assert_eq!(whole["state"], state, "{whole}");
                let revisions = whole["object"]["revision"].as_u64().unwrap();
                wanted += revisions;
                for at in 1..=revisions {
                    let before = bank.balances().await;
                    n += 1;
                    let (plan, delay) = (plan(&bank, n), Duration::from_micros(700) * round);
                    let ended;
                    (bank, ended) = bank.cut(&plan, n, at, delay).await;
                    doubt += u64::from(ended["state"] == "in doubt");
                    assert_eq!(ended["state"], state, "cut at revision {at}: {ended}");
                    let moved = if state == "done" { AMOUNT } else { 0 };
                    let after = [before[0] - moved, before[1] + moved];
                    assert_eq!(bank.balances().await, after, "cut at revision {at}: {ended}");
                    cuts += 1;
                }
            }
        }
        let sum: i64 = bank.balances().await.iter().sum();
        assert_eq!(sum, 2 * FUNDS);
        println!("cut points {cuts}/{wanted}, sum unchanged, in doubt {doubt}");
        assert_eq!((cuts, doubt), (wanted, 0));
    });
}

/// The command line: what it says, and how it ends.
#[test]
fn the_command_says_how_a_plan_ended() {
    story(async {
        let bank = Bank::new().await;
        let file = bank.place.path().join("plan.json");
        let plan = file.to_str().unwrap();
        let write =
            |plan: &Value| std::fs::write(&file, serde_json::to_string_pretty(plan).unwrap()).unwrap();
        let once = |args: &[&str]| {
            let args: Vec<_> = ["coordinate", plan].iter().chain(args).copied().collect();
            bank.place.once("alice", &args)
        };
        let says = |(exit, said): (i32, String), expected: i32, words: &[&str]| {
            assert_eq!(exit, expected, "{said}");
            for word in words {
                assert!(said.contains(word), "no {word:?} in {said}");
            }
        };

        let balance = |amount: i64| format!("\"balance\":{amount}");
        write(&bank.transfer());
        let one = id(1);
        let done =
            ["take from bob  done", "give to carol  done", &format!("done {one}"), &balance(FUNDS + AMOUNT)];
        says(once(&["--id", &one, "--wait"]), 0, &done);
        says(once(&["--id", &one]), 0, &[&one, "done; `", &format!(" outcome {one}`")]);
        says(bank.place.once("alice", &["outcome", &one]), 0, &done[2..]);
        let (exit, said) = once(&["--json", "--wait", "--id", &one]);
        let shown: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (exit, &shown["state"], &shown["steps"][0]["result"]["balance"]),
            (0, &json!("done"), &json!(FUNDS - AMOUNT))
        );

        write(&bank.failing("sequence"));
        let short = format!("not enough: {} of {} are available", FUNDS - 2 * AMOUNT, 10 * FUNDS);
        says(
            once(&["--id", &one, "--wait"]),
            3,
            &["belongs to another plan: that one has the hash", "hint: "],
        );
        says(once(&["--wait"]), 1, &["compensated ", &short, "undone: {"]);

        let mut doubtful = bank.failing("all");
        doubtful["steps"][0]["compensation"]["action"] = json!("give back");
        write(&doubtful);
        says(bank.place.once("alice", &["doctor"]), 0, &["nothing is wrong"]);
        let three = id(3);
        says(once(&["--wait", "--id", &three]), 6, &["in doubt ", "not undone: no-component"]);
        says(bank.place.once("alice", &["outcome", &three]), 6, &[&format!("in doubt {three}")]);
        let found = ["the coordination ", "is in doubt: take from bob is in doubt", "hint: "];
        says(bank.place.once("alice", &["doctor"]), 1, &found);

        doubtful["steps"][2]["ior"] = json!("ior:once://-/Account/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01");
        write(&doubtful);
        let wrong = ["/plan.json:", "step 3 (too much of bob): the IOR does not say which object", "hint: "];
        says(once(&["--wait"]), 1, &wrong);
        std::fs::write(&file, "{\n  \"mode\": \"all\",\n  \"steps\": [}\n").unwrap();
        says(once(&[]), 1, &["/plan.json:3:13: "]);

        // Bob is away: whether he has done it is not known, so it is neither done nor undone.
        write(&bank.transfer());
        let Bank { place, alice, bob, carol } = bank;
        bob.0.kill();
        let two = id(2);
        let waits =
            |args: &[&str]| place.once("alice", &[&["coordinate", plan, "--id", &two], args].concat());
        let waiting = ["it waits for take from bob", "hint: it goes on"];
        says(waits(&["--wait", "--timeout", "300ms"]), 4, &waiting);
        let (_bob, _carol) = (place.up("bob").await, carol);
        says(waits(&["--wait"]), 0, &["done "]);
        assert!(alice.terminate().await.success());
        says(waits(&["--wait"]), 4, &["is not running", "leave out --wait"]);
        says(waits(&[]), 0, &["done; `"]);
    });
}
