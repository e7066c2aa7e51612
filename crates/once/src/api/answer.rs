//! What programs that serve components answer: read strictly, since what is not understood would be lost without a word.
//! JSON inside stays as it is spelled.

use bytes::Bytes;
use once_core::waist::{Call, Consequence, Run, RunResult, Then};
use once_model::action::{Given, effect_id};
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::ior::Ior;
use once_model::json;
use once_model::limits::{ARGUMENTS_MAX_BYTES, EFFECTS_MAX, GIVEN_MAX, NAME_MAX_BYTES, REMINDER_MAX_BYTES};
use once_model::scenario::Scenario;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::contract::{Effect, GivenEffect, MoveEffect, Ran, Worked};
use super::{contract, names};
use crate::Error;

/// What came of a run, or why its answer is of no use. `owner`: of objects that it makes, unless it says otherwise.
pub(super) fn read(run: &Run, params: &str, owner: &str) -> Result<RunResult, String> {
    let answer: Ran = serde_json::from_str(params).map_err(|error| error.to_string())?;
    let result = one_of("result", answer.result.as_deref(), answer.result_text.as_deref())?;
    let changes = answer.model_text.is_some() || answer.merge.is_some() || answer.version.is_some();
    if let Some(failed) = answer.failed {
        if changes || result.is_some() || !answer.effects.is_empty() {
            return Err(
                "`failed` stands alone: what has failed has no result, no new model and no effects".into()
            );
        }
        return Ok(RunResult::Failed(value("failed", failed.get(), ARGUMENTS_MAX_BYTES)?));
    }
    let result = value("result", result.unwrap_or("null"), ARGUMENTS_MAX_BYTES)?;
    let mut state = None;
    if changes {
        let old = Scenario::parse(run.body.clone()).map_err(|error| error.to_string())?;
        let new = match (answer.model_text, answer.merge) {
            (Some(_), Some(_)) => return Err("`model_text` or `merge`, not both".into()),
            (Some(model), None) => old.edit_model(|_| Ok(model)),
            (None, Some(patch)) => old.edit_model(|model| json::merge(model, patch.get())),
            (None, None) => Ok(old),
        };
        let new = new.map_err(|error| format!("the new model: {error}"))?;
        state = Some(match answer.version {
            Some(version) => {
                let version = name(version).map_err(|why| format!("`version`: {why}"))?;
                new.with_version(&version).map_err(|error| format!("`version`: {error}"))?
            }
            None => new,
        });
    }
    if answer.effects.len() > EFFECTS_MAX {
        return Err(format!("{} effects: an action has at most {EFFECTS_MAX}", answer.effects.len()));
    }
    let mut consequences = Vec::with_capacity(answer.effects.len());
    for (index, effect) in (0..).zip(answer.effects) {
        let consequence = consequence(run, index, effect, owner);
        consequences.push(consequence.map_err(|why| format!("effect {} of its list: {why}", index + 1))?);
    }
    Ok(RunResult::Done { state, result, consequences })
}

fn consequence(run: &Run, index: u32, effect: Effect, owner: &str) -> Result<Consequence, String> {
    Ok(match effect {
        Effect::Act(act) => {
            let (key, at) = object(&act.object)?;
            if act.given.len() > GIVEN_MAX {
                return Err(format!("{} scenarios are given: at most {GIVEN_MAX}", act.given.len()));
            }
            Consequence::Act(Call {
                key,
                at,
                name: name(act.name)?,
                arguments: optional("arguments", act.arguments.as_deref(), ARGUMENTS_MAX_BYTES)?,
                given: act.given.into_iter().map(given).collect::<Result<_, _>>()?,
                deadline_ms: act.deadline_ms,
                then: act.then.map(then).transpose()?,
            })
        }
        Effect::Create(create) => {
            let uuid = create.uuid.unwrap_or_else(|| effect_id(&run.origin, &run.cause, index));
            let owner = create.owner.as_deref().unwrap_or(owner);
            let scenario =
                Scenario::compose(uuid, &create.component, &create.version, owner, create.model.get());
            Consequence::Create(scenario.map_err(|error| error.to_string())?)
        }
        Effect::Remove(_) => Consequence::Remove,
        Effect::Move(MoveEffect { to }) => {
            let to = to.parse().map_err(|_| format!("'{}' is no kernel", names::shown(&to)))?;
            Consequence::Move { to }
        }
        Effect::Timer(timer) => {
            Consequence::Timer { name: name(timer.name)?, after_ms: timer.after_ms, then: then(timer.then)? }
        }
        Effect::CancelTimer(timer) => Consequence::CancelTimer { name: name(timer.name)? },
        Effect::Publish(publish) => Consequence::Publish {
            name: name(publish.name)?,
            data: optional("data", publish.data.as_deref(), ARGUMENTS_MAX_BYTES)?,
        },
        Effect::Activity(activity) => Consequence::Activity {
            name: name(activity.name)?,
            arguments: optional("arguments", activity.arguments.as_deref(), ARGUMENTS_MAX_BYTES)?,
            then: then(activity.then)?,
        },
    })
}

/// An object by its IOR, or by its key as notifications have it.
fn object(text: &str) -> Result<(ObjectKey, Option<KernelId>), String> {
    if !text.contains("://") && !text.starts_with("ior:") {
        return Ok((names::key(text).map_err(|error| error.to_string())?, None));
    }
    let ior = Ior::parse(text).map_err(|error| error.to_string())?;
    match (ior.uuid(), ior.line()) {
        (Some(uuid), Some(line)) => Ok((ObjectKey { uuid, line }, ior.home())),
        _ => Err(format!("{text} does not say which object is meant: an IOR with its lineage does")),
    }
}

fn given(given: GivenEffect) -> Result<Given, String> {
    let key = names::key(&given.key).map_err(|error| error.to_string())?;
    let content: Hash = given.hash.parse().map_err(|_| format!("'{}' is no hash", given.hash))?;
    Ok(Given { key, content })
}

fn then(then: contract::Then) -> Result<Then, String> {
    Ok(Then { action: name(then.action)?, with: optional("with", then.with.as_deref(), REMINDER_MAX_BYTES)? })
}

/// A name of allowed length.
pub(super) fn name(name: String) -> Result<String, String> {
    match name.len() {
        1..=NAME_MAX_BYTES => Ok(name),
        len => Err(format!("a name has 1 to {NAME_MAX_BYTES} bytes, and this has {len}")),
    }
}

fn optional(what: &str, json: Option<&RawValue>, most: usize) -> Result<Bytes, String> {
    value(what, json.map_or("null", RawValue::get), most)
}

/// A value, as it is spelled.
fn value(what: &str, text: &str, most: usize) -> Result<Bytes, String> {
    if text.len() > most {
        return Err(format!("`{what}` has {} bytes: at most {most}", text.len()));
    }
    json::validate(text.as_bytes()).map_err(|error| format!("`{what}`: {error}"))?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn one_of<'a>(
    what: &str,
    json: Option<&'a RawValue>,
    text: Option<&'a str>,
) -> Result<Option<&'a str>, String> {
    match (json, text) {
        (Some(_), Some(_)) => Err(format!("`{what}` or `{what}_text`, not both")),
        (json, text) => Ok(json.map(RawValue::get).or(text)),
    }
}

/// What came of work outside.
pub(super) fn read_work(params: &str) -> Result<(ObjectKey, Uuid, Result<Bytes, Bytes>), Error> {
    let worked: Worked = parsed(params)?;
    let key = names::key(&worked.object)?;
    let came = || {
        let result = one_of("result", worked.result.as_deref(), worked.result_text.as_deref())?;
        Ok(match (result, worked.failed.as_deref()) {
            (Some(_), Some(_)) => return Err("`result` or `failed`, not both".to_owned()),
            (_, Some(failed)) => Err(value("failed", failed.get(), ARGUMENTS_MAX_BYTES)?),
            (result, None) => Ok(value("result", result.unwrap_or("null"), ARGUMENTS_MAX_BYTES)?),
        })
    };
    let came = came().map_err(|why| {
        Error::invalid(format!("work {}: {why}", worked.id))
            .with_hint("answer it again: it is still waited for")
    })?;
    Ok((key, worked.id, came))
}
pub(super) fn parsed<'a, T: Deserialize<'a>>(params: &'a str) -> Result<T, Error> {
    serde_json::from_str(params).map_err(|e| Error::usage(format!("parameters: {e}")))
}
