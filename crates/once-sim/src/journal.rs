//! The component of the simulator: a journal that writes down which actions had effect on it, in their order. So a
//! look at the object shows what happened, whoever claims what.

use once_core::waist::{Run, RunResult, Runner};
use once_model::ids::Uuid;
use once_model::scenario::Scenario;
use once_model::wire::Code;

/// Its name.
pub const NAME: &str = "Journal";

/// An empty journal.
#[must_use]
pub fn new(uuid: Uuid) -> Option<Scenario> {
    compose(uuid, &[])
}

fn compose(uuid: Uuid, ids: &[Uuid]) -> Option<Scenario> {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    Scenario::compose(uuid, NAME, "1.0", "sim", &format!("{{\"ids\":[{}]}}", ids.join(","))).ok()
}

/// The actions that had effect, in their order; nothing if it is no journal.
#[must_use]
pub fn entries(body: &[u8]) -> Option<Vec<Uuid>> {
    let scenario = Scenario::parse(body.to_vec()).ok().filter(|s| s.component() == Some(NAME))?;
    let (_, list) = scenario.model()?.split_once('[')?;
    let (list, _) = list.split_once(']')?;
    list.split(',')
        .filter(|id| !id.trim().is_empty())
        .map(|id| id.trim().trim_matches('"').parse().ok())
        .collect()
}

/// What the component says: `note` writes the action down, `look` only counts, `no` fails, all else is not known.
#[must_use]
pub fn run(run: &Run) -> RunResult {
    let Some(mut ids) = entries(&run.body) else { return RunResult::Refused(Code::NoComponent) };
    match run.action.name.as_str() {
        "note" => {
            ids.push(run.action.id);
            let result = ids.len().to_string().into();
            RunResult::Done { state: compose(run.key.uuid, &ids), result, consequences: Vec::new() }
        }
        "look" => {
            RunResult::Done { state: None, result: ids.len().to_string().into(), consequences: Vec::new() }
        }
        "no" => RunResult::Failed("\"no\"".into()),
        _ => RunResult::Refused(Code::NoComponent),
    }
}

/// Runs some actions at once, as the shell does with short ones; which, their ids say.
#[derive(Debug)]
pub struct AtOnce;

impl Runner for AtOnce {
    fn run(&self, asked: &Run) -> Option<RunResult> {
        (asked.action.id.as_bytes()[15].is_multiple_of(2)).then(|| run(asked))
    }
}
