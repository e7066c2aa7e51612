//! The component as an engine runs it.

use once_core::waist::{Consequence, RunResult};
use once_model::ids::Uuid;
use once_model::scenario::Scenario;
use serde_json::{Value, json};

use super::super::live::Awake;
use super::super::{Component, Context};
use super::{CoordinationStatus, RunState, StepState, coordination};

const OBJECT: &str = "ior:once://-/Account/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01?lineage=0707070707070707070707070707070707070707070707070707070707070707";

/// A coordination without a kernel.
struct Story {
    component: Component,
    scenario: Scenario,
    asked: Vec<(Uuid, String, String)>,
}

impl Story {
    fn of(plan: &str) -> Self {
        let model = format!("{{ \"plan\":{plan} , \"note\": 1.0e+2 }}");
        let text = format!(
            r#"{{"ior":{{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c09","component":"Coordination"}},"model":{model}}}"#
        );
        Self { component: coordination(), scenario: Scenario::parse(text).unwrap(), asked: Vec::new() }
    }

    fn run(&mut self, action: &str, arguments: &str, answers: Option<Uuid>) -> Result<Value, String> {
        let mut context = Context::sample(answers);
        context.id = Uuid::from_u128(self.asked.len() as u128);
        let first = context.next_id();
        let mut object = Awake { scenario: self.scenario.clone(), state: None };
        match self.component.run(&mut object, action, arguments, &context) {
            RunResult::Done { state, result, consequences } => {
                self.scenario = state.unwrap_or_else(|| self.scenario.clone());
                for (at, consequence) in consequences.into_iter().enumerate() {
                    if let Consequence::Act(call) = consequence {
                        assert_eq!(at, 0, "one at a time in these stories");
                        let arguments = String::from_utf8(call.arguments.to_vec()).unwrap();
                        self.asked.push((first, call.name, arguments));
                    }
                }
                Ok(serde_json::from_slice(&result).unwrap())
            }
            RunResult::Failed(reason) => Err(String::from_utf8(reason.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// What came of the last thing that was asked is told.
    fn tell(&mut self, answer: &str, step: &str, what: &str) -> Result<Value, String> {
        let (effect, ..) = self.asked.last().unwrap();
        let told = format!(r#"{{"effect":"{effect}",{what},"with":{{"step":"{step}"}}}}"#);
        let effect = *effect;
        self.run(answer, &told, Some(effect))
    }

    fn standing(&self) -> CoordinationStatus {
        CoordinationStatus::read(self.scenario.model().unwrap()).unwrap().1
    }

    fn last(&self) -> (&str, &str) {
        let (_, name, arguments) = self.asked.last().unwrap();
        (name, arguments)
    }
}

fn transfer() -> String {
    format!(
        r#"{{"mode":"sequence","why":"rent  ","steps":[
  {{"name":"take","ior":"{OBJECT}","action":"withdraw","arguments":{{"amount":3.0e1}} ,
    "compensation":{{"action":"deposit","arguments":{{"amount":{{"$outcome":"take","at":"/taken"}}}}}},"deadline_ms":5}},
  {{"name":"give","ior":"{OBJECT}","action":"deposit","arguments":{{"amount":{{"$outcome":"take","at":"/taken"}}}}}}]}}"#
    )
}

#[test]
fn a_plan_runs_and_keeps_its_bytes() {
    let plan = transfer();
    let mut story = Story::of(&plan);
    assert_eq!(story.standing().state, RunState::Planned);
    assert_eq!(story.run("start", "null", None), Ok(json!("running")));
    assert_eq!(story.last(), ("withdraw", r#"{"amount":3.0e1}"#));
    assert_eq!(story.run("start", "null", None), Ok(json!("running")), "a second start asks for nothing");
    assert_eq!(story.asked.len(), 1);
    story.tell("stepped", "take", r#""status":"done","result":{"taken":30,"left":null}"#).unwrap();
    assert_eq!(story.last(), ("deposit", r#"{"amount":30}"#));
    story.tell("stepped", "give", r#""status":"done","result":null"#).unwrap();
    let standing = story.standing();
    assert_eq!(standing.state, RunState::Done);
    assert_eq!(standing.steps[0].state.result(), Some(&json!({ "taken": 30, "left": null })));
    assert_eq!(standing.steps[1].state.result(), Some(&Value::Null));
    let text = story.scenario.as_str();
    assert!(text.contains(&plan) && text.contains("\"note\": 1.0e+2"), "{text}");
    let times = json!({ "asked_ms": 1_700_000_000_000_u64, "answered_ms": 1_700_000_000_000_u64 });
    let get = json!({ "name": "give", "status": "done", "result": null, "times": times });
    assert_eq!(story.run("get", r#"{"step":"give"}"#, None), Ok(get));
    let steps = json!([{ "name": "take", "status": "done" }, { "name": "give", "status": "done" }]);
    assert_eq!(story.run("get", "null", None), Ok(json!({ "state": "done", "steps": steps })));
}

#[test]
fn a_known_failure_is_undone_and_only_its_own_effects_answer() {
    let mut story = Story::of(&transfer());
    story.run("start", "{}", None).unwrap();
    let effect = story.asked[0].0;
    let forged = format!(r#"{{"effect":"{effect}","status":"done","with":{{"step":"take"}}}}"#);
    assert!(story.run("stepped", &forged, None).unwrap_err().contains("own effects"));
    story.tell("stepped", "take", r#""status":"done","result":{"taken":30}"#).unwrap();
    assert!(story.tell("stepped", "take", r#""status":"done""#).unwrap_err().contains("not awaited"));
    story.tell("stepped", "give", r#""status":"refused","code":"denied""#).unwrap();
    assert_eq!(story.last(), ("deposit", r#"{"amount":30}"#));
    assert_eq!(story.standing().state, RunState::Compensating);
    story.tell("compensated", "take", r#""status":"done","result":1"#).unwrap();
    assert_eq!(story.standing().state, RunState::Compensated);
    assert_eq!(story.standing().steps[1].state, StepState::Refused { code: "denied".into() });
}

#[test]
fn what_a_home_from_a_backup_cannot_say_is_in_doubt() {
    let mut story = Story::of(&transfer());
    story.run("start", "{}", None).unwrap();
    story.tell("stepped", "take", r#""status":"refused","code":"quarantined""#).unwrap();
    let standing = story.standing();
    assert_eq!(standing.state, RunState::InDoubt);
    assert_eq!(standing.steps[0].state, StepState::Unknown { reason: "quarantined".into() });
}

#[test]
fn what_cannot_be_asked_has_failed_and_what_cannot_be_undone_is_in_doubt() {
    let mut story = Story::of(&transfer());
    story.run("start", "null", None).unwrap();
    // The result does not have what the next step and the compensation need.
    story.tell("stepped", "take", r#""status":"done","result":1e999"#).unwrap();
    assert_eq!(story.asked.len(), 1);
    let standing = story.standing();
    assert_eq!(standing.state, RunState::InDoubt);
    let words: Vec<_> = standing.steps.iter().map(|step| step.state.word()).collect();
    assert_eq!(words, ["in doubt", "failed"]);
    assert!(story.scenario.as_str().contains("nothing at '/taken'"));
}

#[test]
fn only_a_valid_plan_starts_and_only_the_one_that_is_meant() {
    let said = |plan: &str, start: &str| Story::of(plan).run("start", start, None).unwrap_err();
    assert!(said("7", "null").contains("no plan: expected an object"));
    assert!(said(&transfer().replace("give", "take"), "null").contains("step 2 (take): an earlier step"));
    assert!(said(&transfer(), r#"{"plan":"00"}"#).contains("its plan has the hash"));
    let mut none = Story::of("null");
    assert!(none.run("start", "null", None).unwrap_err().contains("it has no plan"));
    assert!(none.run("get", "null", None).is_err());
}
