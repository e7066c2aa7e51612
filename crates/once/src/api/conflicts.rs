//! What is in conflict: objects that share a UUID, and objects that were changed apart. `status` counts what
//! `conflicts` lists.

use std::ops::ControlFlow;

use once_core::query;
use once_core::rows::{self, HeadRow};
use once_core::store::{Read, StoreError};
use serde_json::{Value, json};

use super::shapes;
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
    for mut versions in forks {
        if let Some(kept) = versions.first() {
            versions.extend(rows::head(&snapshot, &kept.header.key())?);
        }
        shown.push(shape(kernel, "forked", &versions));
    }
    Ok(json!({ "conflicts": shown }))
}

/// Visits every object, those of one UUID together.
pub(super) fn by_uuid(rows: &dyn Read, visit: &mut dyn FnMut(Vec<HeadRow>)) -> Result<(), StoreError> {
    runs(|each| query::heads(rows, each), |a, b| a.header.uuid == b.header.uuid, visit)
}

/// Of the objects of one UUID, those that stand beside each other; `None` if that is no more than one.
pub(super) fn beside(mut same: Vec<HeadRow>) -> Option<Vec<HeadRow>> {
    same.retain(|row| !row.header.tombstone);
    (same.len() > 1).then_some(same)
}

/// Visits what is kept beside the chains of objects that were changed apart, object by object.
pub(super) fn forked(rows: &dyn Read, visit: &mut dyn FnMut(Vec<HeadRow>)) -> Result<(), StoreError> {
    runs(|each| query::conflicts(rows, each), |a, b| a.header.key() == b.header.key(), visit)
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
