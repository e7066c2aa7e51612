//! The methods on coordinations.

use std::time::Duration;

use super::contract::{
    self, CoordinationInfo, CoordinationProgress, CoordinationSummary, CoordinationsResult, Progress,
    StepProgress,
};
use super::tell::Tell;
use super::{names, shapes};
use crate::{Coordination, Error, ErrorKind, Kernel, Plan};

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

/// By its id, or by what names its object.
fn named(kernel: &Kernel, name: &str) -> Result<Coordination, Error> {
    let id = name.parse().ok();
    if let Some(found) = id.map(|id| kernel.coordination_of(id)).transpose()?.flatten() {
        return Ok(found);
    }
    let object = names::object(kernel, name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::not_found(format!("no coordination '{}' on this kernel", names::shown(name)))
                .with_hint("`once coordinations` lists them")
        }
        _ => error,
    })?;
    if object.is_tombstone() {
        return Err(Error::removed(format!(
            "the coordination {} was removed",
            names::key_text(&object.key())
        )));
    }
    kernel.coordination_at(object)
}

pub(super) async fn coordination(
    kernel: &Kernel,
    params: contract::Coordination,
    tell: Tell<'_>,
) -> Result<CoordinationInfo, Error> {
    let begins = kernel.newest_event()?;
    let mut now = named(kernel, &params.coordination)?;
    if params.wait {
        let timeout = params.timeout_ms.map(Duration::from_millis);
        now = kernel.await_end(now, &begins, timeout, &|now: &Coordination| tell(progress(now))).await?;
    }
    Ok(shape(kernel, &now))
}

pub(super) async fn list(
    kernel: &Kernel,
    params: contract::Coordinations,
) -> Result<CoordinationsResult, Error> {
    let mut wanted = kernel.coordinations();
    if let Some(state) = params.state {
        wanted = wanted.state(state);
    }
    if let Some(after) = params.after {
        wanted = wanted.after(names::key(&after)?);
    }
    if let Some(limit) = params.limit {
        wanted = wanted.limit(limit);
    }
    let page = wanted.await?;
    Ok(CoordinationsResult {
        coordinations: page.coordinations.iter().map(summary).collect(),
        next: page.next.map(|key| names::key_text(&key)),
    })
}

fn summary(of: &Coordination) -> CoordinationSummary {
    let is_done = |step: &&crate::StepStatus| matches!(step.state, crate::StepState::Done { .. });
    CoordinationSummary {
        id: of.id,
        object: names::key_text(&of.object.key()),
        name: of.name.clone(),
        state: of.standing.state,
        steps: of.standing.steps.len(),
        done: of.standing.steps.iter().filter(is_done).count(),
        started_ms: of.standing.started_ms,
        ended_ms: of.standing.ended_ms,
    }
}

pub(super) fn shape(kernel: &Kernel, now: &Coordination) -> CoordinationInfo {
    CoordinationInfo {
        id: now.id,
        object: shapes::object(kernel, &now.object),
        name: now.name.clone(),
        plan: now.plan.to_string(),
        state: now.standing.state,
        started_ms: now.standing.started_ms,
        ended_ms: now.standing.ended_ms,
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
