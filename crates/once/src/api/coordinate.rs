//! The method `coordinate`.

use std::time::Duration;

use super::contract::{self, CoordinationInfo, CoordinationProgress, Progress, StepProgress};
use super::shapes;
use super::tell::Tell;
use crate::{Coordination, Error, Kernel, Plan};

pub(super) async fn coordinate(
    kernel: &Kernel,
    params: contract::Coordinate,
    tell: Tell<'_>,
) -> Result<CoordinationInfo, Error> {
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

pub(super) fn shape(kernel: &Kernel, now: &Coordination) -> CoordinationInfo {
    CoordinationInfo {
        id: now.id,
        object: shapes::object(kernel, &now.object),
        plan: now.plan.to_string(),
        state: now.standing.state,
        steps: now.standing.steps.clone(),
    }
}

fn progress(now: &Coordination) -> Progress {
    let steps = &now.standing.steps;
    let open = steps.iter().filter(|step| step.state.is_awaited() || step.state.word() == "planned").count();
    let word = |step: &crate::StepStatus| StepProgress {
        name: step.name.clone(),
        status: step.state.word().to_owned(),
    };
    let coordination = CoordinationProgress {
        coordination: now.id,
        object: now.object.uuid().to_string(),
        steps: steps.iter().map(word).collect(),
    };
    Progress {
        bytes: Some(0),
        coordination: Some(coordination),
        ..Progress::of(steps.len() - open, steps.len()).in_phase(now.standing.state.word())
    }
}
