//! What is in conflict: objects that share a UUID, and objects that were changed apart. `status` counts what
//! `conflicts` lists.

use std::ops::ControlFlow;

use once_core::object::{self, HeadRow};
use once_core::store::{Read, StoreError};
use once_model::ids::{Hash, ObjectKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::difference::difference;
use super::{methods, names, shapes};
use crate::{Error, Kernel, Object};

pub(super) fn list(kernel: &Kernel) -> Result<Value, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut shown = Vec::new();
    by_uuid(&snapshot, &mut |same| {
        if let Some(same) = beside(same) {
            shown.push(shape(kernel, "same-uuid", &same));
        }
    })?;
    let mut forks = Vec::new();
    forked(&snapshot, &mut |kept| forks.push(kept))?;
    for versions in forks {
        let (replaced, forked): (Vec<_>, Vec<_>) = versions.into_iter().partition(HeadRow::is_replaced);
        for (reason, versions) in [("forked", forked), ("not-proven", replaced)] {
            if !versions.is_empty() {
                shown.push(fork(kernel, &snapshot, reason, &versions)?);
            }
        }
    }
    Ok(json!({ "conflicts": shown }))
}

/// An object that was changed apart: what is kept beside its newest revision, from whom, since when, and where each
/// differs from it.
fn fork(kernel: &Kernel, snapshot: &dyn Read, reason: &str, versions: &[HeadRow]) -> Result<Value, Error> {
    let head = match versions.first() {
        Some(kept) => object::head(snapshot, &kept.header.key())?,
        None => None,
    };
    let text = |row: &HeadRow| -> Result<Option<String>, Error> {
        Ok(object::body(snapshot, &row.header)?.map(|body| String::from_utf8_lossy(&body).into_owned()))
    };
    let newest = head.as_ref().map(text).transpose()?.flatten();
    let mut kept = Vec::new();
    for row in versions {
        let mut shape = shapes::object(kernel, &Object::new(row.clone(), kernel.id()));
        shape["kept"] = json!(true);
        shape["from_name"] = json!(row.from.map(|from| names::name_of(kernel, &from)));
        let texts = newest.as_deref().zip(text(row)?);
        shape["difference"] = json!(texts.map(|(newest, kept)| difference(newest, &kept)));
        kept.push(shape);
    }
    kept.extend(head.map(|row| shapes::object(kernel, &Object::new(row, kernel.id()))));
    let uuid = versions.first().map(|row| row.header.uuid.to_string());
    Ok(json!({ "uuid": uuid, "reason": reason, "objects": kept }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    object: String,
    revision: String,
}

/// The object, and the revision beside it that a beginning of its id means.
fn decided(kernel: &Kernel, params: &Decision) -> Result<(ObjectKey, Hash), Error> {
    /// A shorter beginning is more likely a slip.
    const SHORTEST: usize = 4;
    let key = names::object(kernel, &params.object)?.key();
    let wanted = params.revision.to_ascii_lowercase();
    let mut found = Vec::new();
    forked(&kernel.shared().snapshot(), &mut |kept| {
        let ids = kept.iter().filter(|row| row.header.key() == key).map(|row| row.header.id());
        found.extend(ids.filter(|id| id.to_string().starts_with(&wanted)));
    })?;
    match found.as_slice() {
        [id] if wanted.len() >= SHORTEST => Ok((key, *id)),
        [] => Err(Error::not_found(format!(
            "no revision '{}' is kept beside {key}",
            names::shown(&params.revision)
        ))
        .with_hint("`once conflicts` lists what is kept")),
        _ => Err(Error::ambiguous(format!(
            "'{}' may be more than one revision",
            names::shown(&params.revision)
        ))
        .with_hint("write more of its id")),
    }
}

/// Makes what is kept beside an object its next revision.
pub(super) async fn keep(kernel: &Kernel, params: Decision) -> Result<Value, Error> {
    let (key, revision) = decided(kernel, &params)?;
    Ok(methods::changed(kernel, kernel.keep_conflict(key, revision).await?, None))
}

/// Drops what is kept beside an object.
pub(super) async fn discard(kernel: &Kernel, params: Decision) -> Result<Value, Error> {
    let (key, revision) = decided(kernel, &params)?;
    Ok(methods::changed(kernel, kernel.drop_conflict(key, revision).await?, None))
}

/// Visits every object, those of one UUID together.
pub(super) fn by_uuid(rows: &dyn Read, visit: &mut dyn FnMut(Vec<HeadRow>)) -> Result<(), StoreError> {
    runs(|each| object::heads(rows, each), |a, b| a.header.uuid == b.header.uuid, visit)
}

/// Of the objects of one UUID, those that stand beside each other; `None` if that is no more than one.
pub(super) fn beside(mut same: Vec<HeadRow>) -> Option<Vec<HeadRow>> {
    same.retain(|row| !row.header.tombstone);
    (same.len() > 1).then_some(same)
}

/// Visits what is kept beside the chains of objects that were changed apart, object by object.
pub(super) fn forked(rows: &dyn Read, visit: &mut dyn FnMut(Vec<HeadRow>)) -> Result<(), StoreError> {
    runs(|each| object::conflicts(rows, each), |a, b| a.header.key() == b.header.key(), visit)
}

/// Cuts a scan into runs of rows that belong together: they follow each other.
fn runs(
    scan: impl FnOnce(&mut dyn FnMut(HeadRow) -> ControlFlow<()>) -> Result<(), StoreError>,
    together: impl Fn(&HeadRow, &HeadRow) -> bool,
    visit: &mut dyn FnMut(Vec<HeadRow>),
) -> Result<(), StoreError> {
    let mut run: Vec<HeadRow> = Vec::new();
    scan(&mut |row| {
        if run.first().is_some_and(|first| !together(first, &row)) {
            visit(std::mem::take(&mut run));
        }
        run.push(row);
        ControlFlow::Continue(())
    })?;
    if !run.is_empty() {
        visit(run);
    }
    Ok(())
}

fn shape(kernel: &Kernel, reason: &str, versions: &[HeadRow]) -> Value {
    let uuid = versions.first().map(|row| row.header.uuid.to_string());
    let shown = |row: &HeadRow| shapes::object(kernel, &Object::new(row.clone(), kernel.id()));
    json!({ "uuid": uuid, "reason": reason, "objects": versions.iter().map(shown).collect::<Vec<_>>() })
}
