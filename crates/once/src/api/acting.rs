//! Methods on actions: doing, taking back, what came of them, and the proof of it.

use std::time::Duration;

use once_core::act::{self, OutcomeStatus, Recorded};
use once_model::ids::{KernelId, Uuid};
use once_model::limits::{DEADLINE_MAX_MS, GIVEN_MAX};
use serde::Deserialize;
use serde_json::{Value, json};

use super::peers::PATIENCE_MS;
use super::{coordinate, names, shapes};
use crate::{Act, Acted, Error, Kernel, Object, new_action_id, receipts};

/// Entries of a history in one answer, unless the client wants fewer or more.
const PAGE: usize = 100;
const PAGE_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acting {
    object: String,
    name: String,
    /// Any JSON value, as this reader understands it.
    arguments: Option<Value>,
    /// The same as a text, which reaches the object as it is spelled.
    arguments_text: Option<String>,
    id: Option<Uuid>,
    at: Option<String>,
    #[serde(default)]
    given: Vec<String>,
    deadline_ms: Option<u64>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    no_wait: bool,
}

/// Every answer and every error names the action, also if this made its id: with that, asking again is safe.
pub(super) async fn act(kernel: &Kernel, mut params: Acting) -> Result<Value, Error> {
    let id = *params.id.get_or_insert_with(new_action_id);
    act_as(kernel, params).await.map_err(|error| error.about(id))
}

async fn act_as(kernel: &Kernel, params: Acting) -> Result<Value, Error> {
    let no_wait = params.no_wait;
    let copy = names::object(kernel, &params.object).ok().filter(|object| object.home().is_none());
    let act = wanted(kernel, params)?;
    let shape = |acted: Acted| {
        let mut shape = shapes::acted(&acted);
        // Its first change made this kernel the home of what was imported here.
        let is_other = |copy: &Object| acted.after.is_some_and(|after| after.key != copy.key());
        shape["claimed"] = json!(copy.as_ref().is_some_and(is_other));
        shape
    };
    if no_wait {
        let id = act.send().await?;
        return Ok(json!({ "id": id, "status": "accepted" }));
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

fn wanted(kernel: &Kernel, params: Acting) -> Result<Act, Error> {
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
    let row = kernel.shared().requested(&id)?;
    Ok(row.map(|row| row.home).filter(|home| *home != kernel.id()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    id: Uuid,
}

pub(super) fn outcome(kernel: &Kernel, params: Named) -> Result<Value, Error> {
    let mut answer = match kernel.outcome(params.id)? {
        Some(acted) => shapes::acted(&acted),
        None => json!({ "id": params.id, "status": "accepted" }),
    };
    // The outcome of the action that starts a coordination is that it runs; whoever asks wants to know how it stands.
    if let Ok(Some(now)) = kernel.coordination_of(params.id) {
        answer["coordination"] = coordinate::shape(kernel, &now);
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    id: Uuid,
    timeout_ms: Option<u64>,
    #[serde(default)]
    no_wait: bool,
}

pub(super) async fn cancel(kernel: &Kernel, params: Cancel) -> Result<Value, Error> {
    let id = params.id;
    let unreachable = kernel.net().is_none() && elsewhere(kernel, id)?.is_some();
    let came = if params.no_wait || unreachable {
        kernel.cancel_later(id).await?;
        // It may have had its outcome all along.
        kernel.outcome(id)
    } else {
        kernel.cancel(id, patience(params.timeout_ms)).await.map(Some)
    };
    match came {
        Ok(Some(acted)) => Ok(shapes::acted(&acted)),
        Ok(None) => Ok(json!({ "id": id, "status": "cancelling" })),
        Err(error) if error.code == "cancelled" => Ok(json!({ "id": id, "status": "cancelled" })),
        Err(error) => Err(error),
    }
}

fn patience(ms: Option<u64>) -> Duration {
    Duration::from_millis(ms.unwrap_or(PATIENCE_MS))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptFor {
    id: Uuid,
    timeout_ms: Option<u64>,
}

pub(super) async fn receipt(kernel: &Kernel, params: ReceiptFor) -> Result<Value, Error> {
    let receipt = kernel.receipt(params.id, patience(params.timeout_ms)).await?;
    Ok(receipts::to_json(&receipt))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    object: String,
    /// The number of the last entry that the client has.
    after: Option<u64>,
    limit: Option<usize>,
    /// Only what came before the entry of this number.
    before: Option<u64>,
    #[serde(default)]
    newest_first: bool,
}

pub(super) fn history(kernel: &Kernel, params: History) -> Result<Value, Error> {
    let elsewhere = |name: String, home: KernelId| {
        let home = kernel.shared().called(&home);
        Error::not_home(format!("the history of {name} is at its home, kernel {home}"))
            .with_hint("ask there; `once receipt ID` proves here what came of an action of this kernel")
    };
    let other = |home: &KernelId| *home != kernel.id();
    let object = match names::object(kernel, &params.object) {
        Ok(object) => object,
        Err(error) => {
            let ior = names::ior(kernel, &params.object).ok();
            let named = ior.and_then(|ior| Some((ior.uuid()?, ior.home().filter(other)?)));
            return Err(named.map_or(error, |(uuid, home)| elsewhere(uuid.to_string(), home)));
        }
    };
    if let Some(home) = object.home().filter(other) {
        return Err(elsewhere(names::key_text(&object.key()), home));
    }
    let all = kernel.history(object.key())?;
    let broken = act::broken_link(&all);
    let after = params.after.unwrap_or(0);
    let limit = params.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let before = params.before.unwrap_or(u64::MAX);
    let wanted = |recorded: &&Recorded| recorded.entry.number > after && recorded.entry.number < before;
    let mut rest: Box<dyn Iterator<Item = &Recorded>> = match params.newest_first {
        true => Box::new(all.iter().rev().filter(wanted)),
        false => Box::new(all.iter().filter(wanted)),
    };
    let page: Vec<&Recorded> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|last| last.entry.number);
    let entries: Vec<Value> = page.iter().map(|recorded| recorded_shape(kernel, recorded)).collect();
    Ok(json!({
        "object": names::key_text(&object.key()),
        "entries": entries,
        "total": all.len(),
        "next": next,
        "broken": broken,
    }))
}

fn recorded_shape(kernel: &Kernel, recorded: &Recorded) -> Value {
    let entry = &recorded.entry;
    let code = match recorded.status {
        Some(OutcomeStatus::Refused(code)) => Some(code.name()),
        _ => None,
    };
    json!({
        "number": entry.number,
        "at_ms": recorded.at_ms,
        "origin": entry.origin.to_string(),
        "origin_name": names::name_of(kernel, &entry.origin),
        "incarnation": entry.incarnation.to_string(),
        "sequence": entry.sequence,
        "id": entry.id,
        "action": entry.action.to_string(),
        "name": recorded.told.as_ref().map(|told| told.name.clone()),
        "arguments_text": recorded.told.as_ref().map(|told| told.arguments.text()),
        "result_text": recorded.told.as_ref().and_then(|told| Some(told.result.as_ref()?.text())),
        "status": recorded.status.map(|status| status.word()),
        "code": code,
        "outcome_hash": entry.outcome.to_string(),
        "before": entry.before.to_string(),
        "revision": entry.revision,
        "content": entry.content.to_string(),
        "certificate": entry.certificate.map(|certificate| certificate.to_string()),
        "previous": entry.previous.to_string(),
        "hash": entry.hash().to_string(),
    })
}
