//! Whatever order answers come in, and whatever fails.

use std::collections::BTreeMap;

use once_model::ids::Uuid;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NotAwaited, Plan, Run, RunState, StepOutcome, StepState, Want};

const IOR: &str = "ior:once://-/Account/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01?lineage=0707070707070707070707070707070707070707070707070707070707070707";

/// What will come of a step, if it is asked.
#[derive(Debug, Clone)]
struct Fate {
    /// Done, failed, refused, never known; or it cannot even be asked.
    acts: u8,
    /// It has a compensation, and that is done, fails, is refused, or cannot be asked.
    undo: Option<u8>,
}

const CANNOT_BE_ASKED: u8 = 9;

fn told(fate: u8) -> StepOutcome {
    match fate {
        0 => StepOutcome::done(Value::Null),
        1 => StepOutcome::failed(json!({ "why": null })),
        2 => StepOutcome::Refused { code: "denied".into() },
        _ => StepOutcome::Unknown { reason: "home lost".into() },
    }
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let acts = prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2), 1 => Just(CANNOT_BE_ASKED)];
    let undo = prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2), 1 => Just(CANNOT_BE_ASKED)];
    let fate = (acts, prop::option::weighted(0.8, undo)).prop_map(|(acts, undo)| Fate { acts, undo });
    prop::collection::vec(fate, 1..9)
}

fn plan(mode: &str, fates: &[Fate]) -> Plan {
    let step = |(at, fate): (usize, &Fate)| {
        let mut step = json!({ "name": format!("s{at}"), "ior": IOR, "action": "take" });
        if fate.undo.is_some() {
            step["compensation"] = json!({ "action": "give" });
        }
        step
    };
    let steps: Vec<_> = fates.iter().enumerate().map(step).collect();
    Plan::parse(json!({ "mode": mode, "steps": steps }).to_string()).unwrap()
}

/// The objects that are asked: what each did, and what it was asked and has not answered.
#[derive(Debug, Default)]
struct World {
    fates: Vec<Fate>,
    waiting: BTreeMap<Uuid, (usize, bool)>,
    /// (step, whether it was undone), in the order in which it happened.
    happened: Vec<(usize, bool)>,
    asked: u128,
}

impl World {
    fn ask(&mut self, want: Want<'_>) -> Result<Uuid, String> {
        let (step, undo) = match want {
            Want::Act(step) => (step, false),
            Want::Compensate(step) => (step, true),
        };
        let at: usize = step.name[1..].parse().unwrap();
        let fate = if undo { self.fates[at].undo.unwrap() } else { self.fates[at].acts };
        if fate == CANNOT_BE_ASKED {
            return Err("nothing there".into());
        }
        self.asked += 1;
        let id = Uuid::from_u128(self.asked);
        self.waiting.insert(id, (at, undo));
        Ok(id)
    }
}

/// Runs a plan to its end; `order` says which answer comes next. Its scenario is written and read in between.
fn play(mode: &str, fates: &[Fate], order: &[usize]) -> (Run, World) {
    let plan = plan(mode, fates);
    let mut world = World { fates: fates.to_vec(), ..World::default() };
    let mut run = Run::start(&plan, &mut |_: &Run, want| world.ask(want));
    let mut order = order.iter().cycle();
    while let Some(nth) = (!world.waiting.is_empty()).then(|| order.next().unwrap() % world.waiting.len()) {
        assert!(!run.state.is_over(), "something is under way: {run:?}");
        let (id, (at, undo)) = world.waiting.iter().nth(nth).map(|(id, what)| (*id, *what)).unwrap();
        world.waiting.remove(&id);
        let fate = if undo { fates[at].undo.unwrap() } else { fates[at].acts };
        if fate == 0 {
            world.happened.push((at, undo));
        }
        let text = serde_json::to_string(&run).unwrap();
        run = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&run).unwrap(), text);
        let name = format!("s{at}");
        let take = if undo { Run::compensated } else { Run::stepped };
        take(&mut run, &plan, &name, id, told(fate), &mut |_: &Run, want| world.ask(want)).unwrap();
        // What nobody waits for changes nothing and asks for nothing.
        let (before, asked) = (run.clone(), world.asked);
        for take in [Run::stepped, Run::compensated] {
            for id in [id, Uuid::from_u128(u128::MAX)] {
                let again = take(&mut run, &plan, &name, id, told(0), &mut |_: &Run, want| world.ask(want));
                assert_eq!(again, Err(NotAwaited));
            }
        }
        assert_eq!((&run, world.asked), (&before, asked));
    }
    (run, world)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn all_is_done_or_all_is_undone(
        sequence: bool,
        fates in fates(),
        order in prop::collection::vec(0..64_usize, 1..20),
    ) {
        let mode = if sequence { "sequence" } else { "all" };
        let (run, world) = play(mode, &fates, &order);
        let count = |at: usize, undo: bool| world.happened.iter().filter(|what| **what == (at, undo)).count();
        let failed = fates.iter().any(|fate| fate.acts != 0);
        prop_assert!(run.state.is_over());
        prop_assert_eq!(run.state == RunState::Done, !failed);
        let mut doubt = false;
        for (at, fate) in fates.iter().enumerate() {
            let (done, undone) = (count(at, false), count(at, true));
            // Each at most once, and undone only what is done.
            prop_assert!(done <= 1 && undone <= done);
            // Every step that is done and has a compensation is compensated exactly once if the run is.
            let undoes = failed && done == 1 && fate.undo.is_some();
            prop_assert_eq!(undone == 1, undoes && fate.undo == Some(0));
            doubt |= undoes && fate.undo != Some(0);
            let expected = match run.step(&format!("s{at}")) {
                StepState::Planned => done == 0 && sequence && failed,
                StepState::Failed { .. } => done == 0 && (fate.acts == 1 || fate.acts == CANNOT_BE_ASKED),
                StepState::Refused { .. } => done == 0 && fate.acts == 2,
                StepState::Done { .. } => done == 1 && !undoes,
                StepState::Compensated { .. } => undone == 1,
                StepState::InDoubt { .. } => undoes && undone == 0,
                _ => false,
            };
            prop_assert!(expected, "{:?}", run);
        }
        prop_assert_eq!(run.state == RunState::InDoubt, doubt);
        // Nothing is undone before the last step has its outcome; a sequence goes forwards, then backwards.
        let turn = world.happened.iter().position(|(_, undo)| *undo).unwrap_or(world.happened.len());
        let (forwards, backwards) = world.happened.split_at(turn);
        prop_assert!(forwards.iter().all(|(_, undo)| !undo) && backwards.iter().all(|(_, undo)| *undo));
        if sequence {
            prop_assert!(forwards.is_sorted() && backwards.iter().rev().is_sorted());
            let first = fates.iter().position(|fate| fate.acts != 0).unwrap_or(fates.len());
            prop_assert!(forwards.len() == first, "nothing is asked after a failure");
        }
    }
}

#[test]
fn what_will_never_be_known_undoes_nothing() {
    let fates = |acts: [u8; 3]| acts.map(|acts| Fate { acts, undo: Some(0) });
    for (mode, acts, state, happened) in [
        ("sequence", [0, 3, 0], RunState::InDoubt, vec![(0, false)]),
        ("all", [0, 3, 0], RunState::InDoubt, vec![(0, false), (2, false)]),
        // Here a failure is known as well.
        ("all", [0, 3, 1], RunState::InDoubt, vec![(0, false), (0, true)]),
    ] {
        let (run, world) = play(mode, &fates(acts), &[0]);
        assert_eq!((run.state, world.happened), (state, happened), "{mode} {acts:?}");
        assert!(matches!(run.step("s1"), StepState::Unknown { .. }));
    }
}

#[test]
fn what_is_too_large_is_left_out_and_done_all_the_same() {
    let deep = (0..40).fold(Value::Null, |inside, _| json!([inside]));
    for (result, kept) in [(deep, false), (json!("x".repeat(20_000)), false), (json!({ "n": null }), true)] {
        let StepOutcome::Done { result } = StepOutcome::done(result) else { panic!("not done") };
        assert_eq!(result.is_some(), kept);
    }
}
