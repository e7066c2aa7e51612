//! What is seen of a group, step by step, while the engine is at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use once_core::txn::{Savepoint, Txn};
use once_core::waist::{Effect, Effects, Event, Input, Run, RunResult};

use super::rows::{self, Rows};
use crate::components::AtOnce;

/// What one step was told and did.
#[derive(Debug)]
pub(super) struct Step {
    pub rows: Rows,
    /// Runs that were answered in the step.
    pub ran: Vec<(Run, RunResult)>,
    /// Runs that are asked for beside the engine.
    pub asked: Vec<Run>,
}

/// Watches the steps of a group.
#[derive(Debug)]
pub(crate) struct Watcher {
    runner: Arc<AtOnce>,
    from: Savepoint,
    pub(super) steps: Vec<Step>,
}

impl Watcher {
    /// Before the first step; `runner` runs what is run at once.
    pub fn new(runner: &Arc<AtOnce>) -> Self {
        runner.told();
        Self { runner: Arc::clone(runner), from: Savepoint::default(), steps: Vec::new() }
    }

    /// A step has ended; `inputs` are those of the group.
    pub fn step(&mut self, txn: &Txn<'_>, effects: &Effects, inputs: &[Input]) {
        let arrival = match inputs.get(self.steps.len()) {
            Some(Input::Arrived { arrival, .. }) => Some(arrival),
            _ => None,
        };
        let (mut said, mut asked) = (BTreeMap::new(), Vec::new());
        for effect in effects.now.iter().chain(&effects.after) {
            match effect {
                Effect::Run(run) => asked.push((**run).clone()),
                Effect::Event(Event::Acted { outcome, .. }) => {
                    said.insert(outcome.hash(), outcome.clone());
                }
                _ => {}
            }
        }
        // What cannot be read was not written by this step.
        let rows = rows::read(txn, self.from, &said, arrival).unwrap_or_default();
        self.steps.push(Step { rows, ran: self.runner.told(), asked });
        self.from = txn.savepoint();
    }
}
