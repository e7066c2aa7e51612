//! The method `coordinate`.

use std::time::Duration;

use once_model::ids::Uuid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shapes;
use super::tell::Tell;
use crate::{Coordinated, Error, Kernel, Plan};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Coordinate {
    /// Any plan, as this reader understands it.
    plan: Option<Value>,
    /// The same as a text: its spelling is kept.
    plan_text: Option<String>,
    id: Option<Uuid>,
    #[serde(default)]
    wait: bool,
    timeout_ms: Option<u64>,
}

pub(super) async fn coordinate(kernel: &Kernel, params: Coordinate, tell: Tell<'_>) -> Result<Value, Error> {
    let plan = match (params.plan, params.plan_text) {
        (Some(plan), None) => Plan::parse(plan.to_string())?,
        (None, Some(text)) => Plan::parse(text)?,
        _ => return Err(Error::usage("plan or plan_text, one of the two")),
    };
    let mut coordinate = kernel.coordinate(plan);
    if let Some(id) = params.id {
        coordinate = coordinate.id(id);
    }
    if let Some(ms) = params.timeout_ms {
        coordinate = coordinate.timeout(Duration::from_millis(ms));
    }
    let now = match params.wait {
        true => coordinate.watch(|now| tell(progress(now))).await?,
        false => coordinate.start().await?,
    };
    Ok(shape(kernel, &now))
}

pub(super) fn shape(kernel: &Kernel, now: &Coordinated) -> Value {
    json!({
        "id": now.id, "object": shapes::object(kernel, &now.object), "plan": now.plan.to_string(),
        "state": now.standing.state, "steps": now.standing.steps,
    })
}

fn progress(now: &Coordinated) -> Value {
    let steps = &now.standing.steps;
    let open = steps.iter().filter(|step| step.state.is_awaited() || step.state.word() == "planned").count();
    let words: Vec<_> =
        steps.iter().map(|step| json!({ "name": step.name, "status": step.state.word() })).collect();
    json!({
        "phase": now.standing.state, "done": steps.len() - open, "total": steps.len(), "bytes": 0,
        "coordination": now.id, "object": now.object.uuid().to_string(), "steps": words,
    })
}
