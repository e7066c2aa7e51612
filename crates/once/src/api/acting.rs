//! Methods on actions: doing, taking back, what came of them, and the proof of it.

use std::time::Duration;

use once_model::ids::{KernelId, Uuid};
use once_model::limits::{DEADLINE_MAX_MS, GIVEN_MAX};

use super::contract::{self, ActionInfo, ActionStatus, ReceiptInfo};
use super::peers::PATIENCE_MS;
use super::{coordinate, names, shapes};
use crate::error::OrError;
use crate::{Act, ActionResult, Error, ErrorKind, Kernel, Object, new_action_id, receipts};

/// Every answer and every error names the action, also if this made its id: with that, asking again is safe.
pub(super) async fn act(kernel: &Kernel, mut params: contract::Act) -> Result<ActionInfo, Error> {
    let id = *params.id.get_or_insert_with(new_action_id);
    act_as(kernel, params).await.map_err(|error| error.about(id))
}

async fn act_as(kernel: &Kernel, params: contract::Act) -> Result<ActionInfo, Error> {
    let no_wait = params.no_wait;
    let copy = names::object(kernel, &params.object).ok().filter(|object| object.home().is_none());
    let act = wanted(kernel, params)?;
    let shape = |acted: ActionResult| {
        let mut shape = shapes::acted(&acted);
        // Its first change made this kernel the home of what was imported here.
        let is_other = |copy: &Object| acted.after.is_some_and(|after| after.key != copy.key());
        shape.claimed = Some(copy.as_ref().is_some_and(is_other));
        shape
    };
    if no_wait {
        let id = act.send().await?;
        return Ok(shapes::pending(id, ActionStatus::Accepted));
    }
    if kernel.net().is_some() {
        return act.await.map(shape);
    }
    // Nobody can be reached from here: what goes elsewhere waits for a kernel that is up.
    let id = act.clone().send().await?;
    match elsewhere(kernel, id)? {
        Some(home) => Err(Error::unreachable(format!(
            "the action {id} is accepted and waits: this kernel is not running, and the object's home is {}",
            kernel.shared().called(&home)
        ))
        .with_hint(format!(
            "`once up` starts it, and the action is sent; `once outcome {id}` says what came of it"
        ))),
        None => act.id(id).await.map(shape),
    }
}

fn wanted(kernel: &Kernel, params: contract::Act) -> Result<Act, Error> {
    let arguments = match (params.arguments, params.arguments_text) {
        (Some(_), Some(_)) => return Err(Error::usage("arguments or arguments_text, not both")),
        (Some(json), None) => json.to_string(),
        (None, Some(text)) => text,
        (None, None) => "null".to_owned(),
    };
    if params.given.len() > GIVEN_MAX {
        return Err(Error::usage(format!("an action may depend on at most {GIVEN_MAX} scenarios")));
    }
    if params.deadline_ms.is_some_and(|ms| ms > DEADLINE_MAX_MS) {
        let days = DEADLINE_MAX_MS / (24 * 60 * 60 * 1000);
        return Err(Error::usage(format!("a deadline may be at most {days} days ahead"))
            .with_hint("leave it out: an action without a deadline waits for as long as it takes"));
    }
    let ior = names::ior(kernel, &params.object)?;
    let mut act = kernel.act(&ior, params.name, arguments)?;
    for name in &params.given {
        act = act.given(names::given(kernel, name)?);
    }
    if let Some(id) = params.id {
        act = act.id(id);
    }
    if let Some(peer) = &params.at {
        act = act.only_at(names::peer(kernel, peer)?.0)?;
    }
    if let Some(ms) = params.deadline_ms {
        act = act.deadline(Duration::from_millis(ms));
    }
    if let Some(ms) = params.timeout_ms {
        act = act.timeout(Duration::from_millis(ms));
    }
    Ok(act)
}

/// The home of an accepted action's object, if that is another kernel.
fn elsewhere(kernel: &Kernel, id: Uuid) -> Result<Option<KernelId>, Error> {
    let row = kernel.shared().requested(&id).or_error()?;
    Ok(row.map(|row| row.home).filter(|home| *home != kernel.id()))
}

pub(super) fn outcome(kernel: &Kernel, params: &contract::Outcome) -> Result<ActionInfo, Error> {
    let mut answer = match kernel.outcome(params.id)? {
        Some(acted) => shapes::acted(&acted),
        None => shapes::pending(params.id, ActionStatus::Accepted),
    };
    // The outcome of the action that starts a coordination is that it runs; whoever asks wants to know how it stands.
    if let Ok(Some(now)) = kernel.coordination_of(params.id) {
        answer.coordination = Some(Box::new(coordinate::shape(kernel, &now)));
    }
    Ok(answer)
}

pub(super) async fn cancel(kernel: &Kernel, params: contract::Cancel) -> Result<ActionInfo, Error> {
    let id = params.id;
    let unreachable = kernel.net().is_none() && elsewhere(kernel, id)?.is_some();
    let came = if params.no_wait || unreachable {
        kernel.cancel(id).send().await?;
        // It may have had its outcome all along.
        kernel.outcome(id)
    } else {
        kernel.cancel(id).timeout(patience(params.timeout_ms)).await.map(Some)
    };
    match came {
        Ok(Some(acted)) => Ok(shapes::acted(&acted)),
        Ok(None) => Ok(shapes::pending(id, ActionStatus::Cancelling)),
        Err(error) if error.kind() == ErrorKind::Cancelled => {
            Ok(shapes::pending(id, ActionStatus::Cancelled))
        }
        Err(error) => Err(error),
    }
}

fn patience(ms: Option<u64>) -> Duration {
    Duration::from_millis(ms.unwrap_or(PATIENCE_MS))
}

pub(super) async fn receipt(kernel: &Kernel, params: contract::Receipt) -> Result<ReceiptInfo, Error> {
    let receipt = kernel.receipt(params.id).timeout(patience(params.timeout_ms)).await?;
    Ok(receipts::info(&receipt))
}
