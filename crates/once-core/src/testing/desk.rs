//! Who has the components in tests.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use once_model::ids::{Line, Lineage, ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::Code;

use crate::waist::{Call, Consequence, Run, RunResult, Runner, Then, Wait};

/// Runs actions for an engine under test, by the component of their object:
///
/// - `Served` is asked elsewhere, as long as there is room ([`Desk::room`]): its runs are in [`Desk::asked`].
/// - `Clock` sets a timer with the action `set`; `rang` is refused while nobody knows it ([`Desk::knows_rang`]).
/// - `Maker` has work outside and an action on an object of kernel 9 as effects of the action `go`.
/// - `Paper` has a new state with each action but `look`, and its arguments as the result.
/// - `Puppet` says what it was told to say ([`Desk::says`]), in that order.
/// - `Alien` is not read; of `Unread` no state can be read.
/// - All others do what they are asked at once.
#[derive(Debug, Default)]
pub struct Desk {
    /// How many runs of `Served` are taken.
    pub room: AtomicI64,
    /// Runs that were taken and are not answered yet.
    pub asked: Mutex<Vec<Run>>,
    /// Whether `Clock` knows `rang`.
    pub knows_rang: AtomicBool,
    /// The actions that `Clock` has done.
    pub done: Mutex<Vec<String>>,
    /// What `Puppet` says to its next actions. When it has nothing more to say, it is done.
    pub says: Mutex<VecDeque<RunResult>>,
    /// What objects are told because they move: actions that begin with `once:`.
    pub told: Mutex<Vec<&'static str>>,
    /// Components that nobody here has, in whatever version.
    pub lacks: Mutex<Vec<&'static str>>,
    /// Every run that was asked for at once, oldest first.
    pub seen: Mutex<Vec<Run>>,
}

impl Desk {
    fn clock(&self, run: &Run) -> RunResult {
        let rang = run.action.name == "rang";
        if rang && !self.knows_rang.load(Ordering::Relaxed) {
            return RunResult::Refused(Code::NoComponent);
        }
        self.done.lock().unwrap().push(run.action.name.clone());
        let then = Then { action: "rang".into(), with: "1".into() };
        let timer = Consequence::Timer { name: "t".into(), after_ms: 1, then };
        let is_set = run.action.name == "set";
        let consequences = if is_set { vec![timer] } else { Vec::new() };
        RunResult::Done { state: None, result: "1".into(), consequences }
    }
}

/// Work outside, and an action on an object of another kernel.
fn make(run: &Run) -> RunResult {
    let then = Then { action: "made".into(), with: "1".into() };
    let work = Consequence::Activity { name: "work".into(), arguments: "1".into(), then: then.clone() };
    let call = Consequence::Act(Call {
        key: ObjectKey { uuid: Uuid::from_u128(77), line: Line::Claimed(Lineage::from_bytes([7; 32])) },
        at: Some(KernelKey::from_bytes(&[9; 32]).id()),
        name: "go".into(),
        arguments: "1".into(),
        given: Vec::new(),
        deadline_ms: Some(60_000),
        then: Some(then),
    });
    let consequences = if run.action.name == "go" { vec![work, call] } else { Vec::new() };
    RunResult::Done { state: None, result: "1".into(), consequences }
}

/// A new state with every action but `look`, and its arguments as the result.
fn write(run: &Run) -> RunResult {
    let arguments = std::str::from_utf8(&run.action.arguments).unwrap();
    let state =
        Scenario::compose(run.key.uuid, "Paper", "1", "me", &format!("{{\"last\":{arguments}}}")).unwrap();
    let state = (run.action.name != "look").then_some(state);
    RunResult::Done { state, result: run.action.arguments.clone(), consequences: Vec::new() }
}

/// It did it, and nothing changed.
#[must_use]
pub fn done() -> RunResult {
    RunResult::Done { state: None, result: "1".into(), consequences: Vec::new() }
}

impl Runner for Desk {
    fn run(&self, run: &Run) -> Option<RunResult> {
        self.seen.lock().unwrap().push(run.clone());
        match run.header.component.as_str() {
            "Served" => {}
            "Clock" => return Some(self.clock(run)),
            "Unread" => return Some(RunResult::Refused(Code::NoComponent)),
            "Maker" => return Some(make(run)),
            "Paper" => return Some(write(run)),
            "Puppet" => return Some(self.says.lock().unwrap().pop_front().unwrap_or_else(done)),
            _ => return Some(done()),
        }
        let has_room = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| (room > 0).then_some(room - 1));
        has_room.is_err().then_some(RunResult::Later(Wait::ForRoom))
    }

    fn reads(&self, component: &str, _: &str) -> bool {
        component != "Alien" && self.knows(component)
    }

    fn knows(&self, component: &str) -> bool {
        !self.lacks.lock().unwrap().contains(&component)
    }

    fn is_told(&self, _: &str, action: &str) -> bool {
        self.told.lock().unwrap().contains(&action)
    }
}
