//! Coordinations in the simulator: kernels that lose power, a network that loses, repeats and splits, answers that come
//! late. Whatever happens, every run ends, nothing is in doubt, and every account has what the runs say.

use std::collections::BTreeMap;
use std::sync::Arc;

use once_core::access::{Grant, Right, Scope};
use once_core::waist::{Command, Run, RunResult};
use once_model::action::Action;
use once_model::ids::{ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_sim::{Kernel, Rng, Weather, World};
use serde_json::{Value, json};

use super::{CoordinationStatus, RunState, StepState};
use crate::component::Components;

const KERNELS: usize = 3;
const ACCOUNTS: usize = 6;
const PLANS: u64 = 8;
const BALANCE: i64 = 100;

/// The simulator's time 0, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// The components of the binary.
#[derive(Debug, Default)]
struct Shipped(Components);

impl once_sim::Components for Shipped {
    fn has(&self, component: &str) -> bool {
        self.0.get(component).is_some()
    }

    fn run(&self, run: &Run) -> RunResult {
        self.0.run_whole(run)
    }
}

struct Bank {
    net: World,
    dice: Rng,
    kernels: Vec<Kernel>,
    accounts: Vec<(Kernel, ObjectKey)>,
    runs: Vec<(Kernel, ObjectKey)>,
}

impl Bank {
    fn new(seed: u64) -> Self {
        let mut net = World::new(seed);
        net.install(Arc::new(Shipped::default()));
        let kernels: Vec<_> = ["alice", "bob", "carol"].map(|name| net.kernel(name)).into();
        for (at, a) in kernels.iter().enumerate() {
            for b in &kernels[at + 1..] {
                net.befriend(*a, *b);
            }
        }
        for (at, who) in kernels.iter().flat_map(|at| kernels.iter().map(move |who| (*at, *who))) {
            if at != who {
                let (scope, right, kernel) = (Scope::Kernel, Right::Act, net.id(who));
                let grant = Grant { scope, right, kernel, object: None, expires_ms: None, actions: None };
                net.must(at, Command::Grant(grant));
            }
        }
        let mut bank = Self { net, dice: Rng::new(seed ^ 0xbad), kernels, accounts: vec![], runs: vec![] };
        for n in 0..ACCOUNTS {
            let at = bank.kernels[n % KERNELS];
            let key = bank.object(at, n as u128, "Account", &json!({ "balance": BALANCE }).to_string());
            bank.accounts.push((at, key));
        }
        bank
    }

    /// A new object: its key.
    fn object(&mut self, at: Kernel, n: u128, component: &str, model: &str) -> ObjectKey {
        let uuid = Uuid::from_u128((0x7d0c_2f6e_0b7e_4d0e_9b52 << 48) | n);
        let scenario =
            Scenario::compose(uuid, component, "1.0", "sim", "{}").unwrap().with_model(model).unwrap();
        let key = self.net.import(at, scenario.as_str());
        self.net.claim(at, key)
    }

    fn ior(&self, (home, key): (Kernel, ObjectKey)) -> String {
        let lineage = key.lineage().unwrap();
        format!("ior:once://{}/Account/1.0/{}?lineage={lineage}", self.net.id(home), key.uuid)
    }

    /// One to three accounts pay, in a row into another one or all at once out of the bank; some more than they have, some
    /// in a hurry. What is given is given last: it may be spent before it could be taken back.
    fn plan(&mut self) -> String {
        let (mut steps, mut sum) = (Vec::new(), 0);
        for n in 0..=self.dice.index(3) {
            let most = if self.dice.one_in(5) { 500 } else { 40 };
            let (from, amount) = (self.accounts[self.dice.index(ACCOUNTS)], 1 + self.dice.up_to(most));
            let hurry = self.dice.one_in(6).then(|| 1 + self.dice.up_to(3000));
            let money = json!({ "amount": amount });
            steps.push(json!({ "name": format!("take {n}"), "ior": self.ior(from), "action": "withdraw",
                "arguments": money, "compensation": { "action": "deposit", "arguments": money },
                "deadline_ms": hurry }));
            sum += amount;
        }
        let mode = if self.dice.one_in(3) { "all" } else { "sequence" };
        if mode == "sequence" {
            let to = self.accounts[self.dice.index(ACCOUNTS)];
            steps.push(json!({ "name": "give", "ior": self.ior(to), "action": "deposit",
                "arguments": { "amount": sum } }));
        }
        json!({ "mode": mode, "steps": steps }).to_string()
    }

    /// A client starts a plan, and says so twice.
    fn start(&mut self, n: u64) {
        let (at, plan) = (self.kernels[self.dice.index(KERNELS)], self.plan());
        self.net.restart(at);
        let key = self.object(at, 1000 + u128::from(n), "Coordination", &format!("{{\"plan\":{plan}}}"));
        self.runs.push((at, key));
        let ms = EPOCH_MS + self.net.now_ms();
        let id = uuid::Builder::from_unix_timestamp_millis(ms, &[n as u8; 10]).into_uuid();
        let plan = super::Plan::parse(plan).unwrap().hash().to_string();
        let action = Action {
            id,
            name: "start".into(),
            arguments: json!({ "plan": plan }).to_string().into(),
            given: vec![],
            acting: None,
            answers: None,
        };
        for _ in 0..2 {
            let action = action.clone();
            self.net.must(at, Command::Act { key, at: None, action, deadline_ms: None, wait: false });
        }
    }

    fn trouble(&mut self) {
        let (a, b) = (self.kernels[self.dice.index(KERNELS)], self.kernels[self.dice.index(KERNELS)]);
        // Not at times: wherever a few events more or less lead.
        for _ in 0..self.dice.index(60) {
            self.net.step();
        }
        match self.dice.index(6) {
            0 | 1 => drop(self.net.crash(a)),
            2 if a != b => drop(self.net.partition(a, b)),
            3 => drop(self.net.cut(a, b)),
            4 => {
                let weather = Weather::storm(&mut self.dice);
                self.net.weather(weather);
            }
            _ => drop(self.net.join_network()),
        }
        let ms = self.dice.up_to(4000);
        self.net.run_for(ms);
    }

    fn standing(&self, (at, key): (Kernel, ObjectKey)) -> CoordinationStatus {
        let scenario = Scenario::parse(self.net.body(at, key).unwrap()).unwrap();
        CoordinationStatus::read(scenario.editable()).unwrap().1
    }

    /// Every run is over, and every account has what they say.
    fn check(&self, seed: u64) -> RunStates {
        let mut ends = RunStates::default();
        let mut expected: BTreeMap<ObjectKey, i64> =
            self.accounts.iter().map(|(_, key)| (*key, BALANCE)).collect();
        for run in &self.runs {
            let standing = self.standing(*run);
            let body = self.net.body(run.0, run.1).unwrap();
            *ends.entry(standing.state.word()).or_default() += 1;
            assert!(
                matches!(standing.state, RunState::Done | RunState::Compensated),
                "seed {seed}: {}",
                String::from_utf8_lossy(&body)
            );
            let model: Value = serde_json::from_str(Scenario::parse(body).unwrap().editable()).unwrap();
            for (step, stands) in model["plan"]["steps"].as_array().unwrap().iter().zip(&standing.steps) {
                assert_eq!(step["name"], stands.name.as_str());
                if !matches!(stands.state, StepState::Done { .. }) {
                    continue;
                }
                assert_eq!(
                    standing.state,
                    RunState::Done,
                    "seed {seed}: a step of a run that was undone stays done"
                );
                let uuid =
                    once_model::ior::Ior::parse(step["ior"].as_str().unwrap()).unwrap().uuid().unwrap();
                let amount = step["arguments"]["amount"].as_i64().unwrap();
                let account = expected.iter_mut().find(|(key, _)| key.uuid == uuid).unwrap().1;
                *account += if step["action"] == "deposit" { amount } else { -amount };
            }
        }
        for account in &self.accounts {
            let scenario = Scenario::parse(self.net.body(account.0, account.1).unwrap()).unwrap();
            let model: Value = serde_json::from_str(scenario.editable()).unwrap();
            let balance = model["balance"].as_i64().unwrap();
            assert_eq!(balance, expected[&account.1], "seed {seed}: {}", scenario.as_str());
            assert!(balance >= 0, "seed {seed}");
        }
        ends
    }
}

type RunStates = BTreeMap<&'static str, usize>;

fn money_is_kept(seed: u64) -> RunStates {
    let mut bank = Bank::new(seed);
    for n in 0..PLANS {
        bank.start(n);
        bank.trouble();
    }
    bank.net.heal();
    for _ in 0..8 {
        bank.net.settle();
        if bank.runs.iter().all(|run| bank.standing(*run).state.is_over()) {
            break;
        }
    }
    assert!(bank.net.violations().is_empty(), "seed {seed}: {:#?}", bank.net.violations());
    bank.check(seed)
}

#[test]
fn runs_end_and_no_money_is_lost_or_made_whatever_goes_wrong() {
    let scale = std::env::var("ONCE_SCALE").ok().and_then(|scale| scale.parse::<f64>().ok()).unwrap_or(1.0);
    let seeds = (60.0 * scale).ceil() as u64;
    let mut ends = RunStates::default();
    for seed in 0..seeds {
        for (state, count) in money_is_kept(seed) {
            *ends.entry(state).or_default() += count;
        }
    }
    println!(
        "coordinations in the simulator: {seeds} seeds, {ends:?}, every account as they say, in doubt 0"
    );
    assert!(ends.len() == 2, "some are done, and some were undone: {ends:?}");
}

#[test]
fn what_is_wrong_in_the_engine_shows_here() {
    use once_core::mutants::{Mutant, plant};
    for mutant in [Mutant::ForgetCallback, Mutant::ForgetEffects, Mutant::ForgetMark] {
        plant(Some(mutant));
        let shows = (0..20).any(|seed| std::panic::catch_unwind(|| money_is_kept(seed)).is_err());
        plant(None);
        assert!(shows, "{} was not noticed", mutant.name());
    }
}
