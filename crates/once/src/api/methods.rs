//! Methods on what is kept here.

use std::str::FromStr;

use futures_util::stream::{self, StreamExt};
use once_core::object;
use once_core::store::Read;
use once_model::ids::{Hash, ObjectKey, Uuid};
use once_model::references::{Place, references};
use once_model::scenario::Scenario;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{names, shapes, turns};
use crate::{Change, Component, Error, Kernel, Object, datadir};

/// The size of what lies in a folder; what vanishes meanwhile counts nothing. `None` if the folder cannot be looked at.
pub(super) fn folder_bytes(folder: &std::path::Path) -> Option<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        bytes += match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path())?,
            Ok(meta) => meta.len(),
            Err(_) => 0,
        };
    }
    Some(bytes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    scenarios: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
    source: Option<String>,
    /// The revision that a file is laid over, or a beginning of its id.
    over: Option<String>,
}

pub(super) async fn import(kernel: &Kernel, params: Import) -> Result<Value, Error> {
    let one = |Text { text, source, over }: Text| async move {
        let scenario = match Scenario::parse(text) {
            Ok(scenario) => scenario,
            Err(error) => return json!({ "error": failed(&error.into()) }),
        };
        let bytes = scenario.bytes().clone();
        let imported = match over {
            None => kernel.import(bytes, source).await,
            Some(over) => match revision(kernel, &scenario, &over) {
                Ok(over) => kernel.import_over(bytes, source, over).await,
                Err(error) => Err(error),
            },
        };
        match imported {
            Ok(imported) => {
                let mut shape = changed(kernel, imported, Some(&scenario));
                shape["identity"] = json!(shapes::identity(scenario.identity()));
                shape
            }
            Err(error) => json!({ "error": failed(&error) }),
        }
    };
    // Many are under way at once, so that they share their commits.
    let results: Vec<_> = stream::iter(params.scenarios).map(one).buffered(turns::AHEAD).collect().await;
    Ok(json!({ "results": results }))
}

/// The newest revision of an object of this scenario's UUID whose id begins so.
fn revision(kernel: &Kernel, scenario: &Scenario, beginning: &str) -> Result<Hash, Error> {
    const SHORTEST: usize = 4;
    let wanted = beginning.to_ascii_lowercase();
    if let Ok(whole) = wanted.parse() {
        return Ok(whole);
    }
    let found = object::find(&kernel.shared().snapshot(), &scenario.uuid(), None)?;
    let ids: Vec<Hash> = found.iter().map(|row| row.header.id()).collect();
    let mut fitting = ids.into_iter().filter(|id| id.to_string().starts_with(&wanted));
    match (fitting.next(), fitting.next()) {
        (Some(id), None) if wanted.len() >= SHORTEST => Ok(id),
        _ => Err(Error::not_found(format!(
            "'{}' is not the newest revision of an object {} here",
            names::shown(beginning),
            scenario.uuid()
        ))
        .with_hint(format!("`once show {} --json` says it, as `revision_id`", scenario.uuid()))),
    }
}

/// An error in a list of results: the members of its `data`, and the message.
fn failed(error: &Error) -> Value {
    let mut data = shapes::error(error)["data"].clone();
    data["message"] = json!(error.message);
    data
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    component: String,
    version: Option<String>,
    /// Any JSON value, as this reader understands it.
    model: Option<Value>,
    /// The same as a text, which is kept as it is spelled.
    model_text: Option<String>,
    uuid: Option<Uuid>,
}

pub(super) async fn create(kernel: &Kernel, params: Create) -> Result<Value, Error> {
    let Create { component, version, model, model_text, uuid } = params;
    let known = kernel.shared().components.get(&component);
    let model = match (model, model_text) {
        (Some(_), Some(_)) => return Err(Error::usage("model or model_text, not both")),
        (Some(json), None) => json.to_string(),
        (None, Some(text)) => text,
        (None, None) => known.and_then(Component::first).unwrap_or("{}").to_owned(),
    };
    let uuid = uuid.unwrap_or_else(datadir::random_uuid);
    let version = version.as_deref().or(known.map(Component::version)).unwrap_or("1.0");
    let scenario = Scenario::compose(uuid, &component, version, kernel.name(), &model)?;
    let done = kernel.create(scenario.clone()).await?;
    Ok(changed(kernel, done, Some(&scenario)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    object: String,
    text: String,
    base: Option<String>,
}

pub(super) async fn put(kernel: &Kernel, params: Put) -> Result<Value, Error> {
    let object = names::object(kernel, &params.object)?;
    let done = match &params.base {
        None => kernel.put(object.key(), params.text).await?,
        Some(base) => {
            let base = Hash::from_str(base).map_err(|e| Error::usage(format!("base: {e}")))?;
            kernel.put_on(object.key(), base, params.text).await?
        }
    };
    Ok(changed(kernel, done, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    object: String,
}

pub(super) async fn claim(kernel: &Kernel, params: Named) -> Result<Value, Error> {
    let object = names::object(kernel, &params.object)?;
    Ok(changed(kernel, kernel.claim(object.key()).await?, None))
}

pub(super) async fn remove(kernel: &Kernel, params: Named) -> Result<Value, Error> {
    let object = names::object(kernel, &params.object)?;
    Ok(changed(kernel, kernel.remove(object.key()).await?, None))
}

/// What became of an object.
pub(super) fn changed(
    kernel: &Kernel,
    (object, change): (Object, Change),
    scenario: Option<&Scenario>,
) -> Value {
    let shape = match scenario {
        Some(scenario) => shapes::named_object(kernel, &object, scenario),
        None => shapes::object(kernel, &object),
    };
    let claimed = matches!(change, Change::Claimed | Change::ClaimedAndChanged);
    json!({ "object": shape, "change": shapes::change(change), "claimed": claimed })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Get {
    object: String,
    bytes: Option<bool>,
}

pub(super) fn get(kernel: &Kernel, params: Get) -> Result<Value, Error> {
    let snapshot = kernel.shared().snapshot();
    let object = names::object_in(kernel, &snapshot, &params.object)?;
    if params.bytes == Some(false) {
        return Ok(json!({ "object": shapes::object(kernel, &object), "text": null }));
    }
    match scenario(&snapshot, &object)? {
        Some(scenario) => Ok(json!({
            "object": shapes::named_object(kernel, &object, &scenario),
            "text": scenario.as_str(),
        })),
        None => Ok(json!({ "object": shapes::object(kernel, &object), "text": null })),
    }
}

/// The scenario of an object that was not removed.
pub(super) fn scenario(rows: &dyn Read, object: &Object) -> Result<Option<Scenario>, Error> {
    match object::body(rows, &object.row.header)? {
        Some(bytes) => Ok(Some(Scenario::parse(bytes)?)),
        None => Ok(None),
    }
}

pub(super) fn refs(kernel: &Kernel, params: Named) -> Result<Value, Error> {
    let snapshot = kernel.shared().snapshot();
    let object = names::object_in(kernel, &snapshot, &params.object)?;
    let Some(scenario) = scenario(&snapshot, &object)? else {
        return Ok(
            json!({ "object": shapes::object(kernel, &object), "references": [], "truncated": false }),
        );
    };
    let found = references(&scenario);
    let mut shown = Vec::with_capacity(found.items.len());
    for reference in &found.items {
        let here: Vec<ObjectKey> = match reference.target.uuid() {
            Some(_) => {
                names::by_ior(&snapshot, &reference.target)?.iter().map(|row| row.header.key()).collect()
            }
            None => Vec::new(),
        };
        let place = match reference.place {
            Place::Declared => "declared",
            Place::IorString => "ior",
            Place::Uuid => "uuid",
            _ => "other",
        };
        shown.push(json!({
            "target": reference.target.as_str(), "place": place, "path": reference.path,
            "objects": here.iter().map(names::key_text).collect::<Vec<_>>(),
        }));
    }
    Ok(json!({
        "object": shapes::named_object(kernel, &object, &scenario),
        "references": shown,
        "truncated": found.truncated,
    }))
}
