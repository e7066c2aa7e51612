//! What is in conflict: objects that share a UUID, and objects that were changed apart. `status` counts what
//! `conflicts` lists.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use once_core::object::{self, HeadRow};
use once_core::store::{Read, StoreError};
use once_model::ids::{Hash, ObjectKey};

use super::contract::{
    self, BesideInfo, ChangeInfo, ConflictInfo, ConflictReason, ConflictsDrop, ConflictsKeep,
    ConflictsResult, ObjectState, VersionInfo,
};
use super::difference::difference;
use super::{methods, names, shapes};
use crate::error::OrError;
use crate::object::Standpoint;
use crate::{Error, ErrorKind, Kernel};

/// Conflicts by their places in the list: what kind each is, and the rows of its versions.
type Found = BTreeMap<String, (ConflictReason, Vec<HeadRow>)>;

pub(crate) fn list(kernel: &Kernel, params: &contract::Conflicts) -> Result<ConflictsResult, Error> {
    let snapshot = kernel.shared().snapshot();
    let here = Standpoint::of(&snapshot, kernel.id()).or_error()?;
    let found = find(&snapshot).or_error()?;
    let after = params.after.as_deref().unwrap_or_default();
    let limit = params.limit.unwrap_or(usize::MAX).max(1);
    let mut rest = found.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    let (mut conflicts, mut last) = (Vec::new(), None);
    for (place, (reason, versions)) in rest.by_ref().take(limit) {
        // Only what is shown is read: each version of it.
        conflicts.push(match reason {
            ConflictReason::SameUuid => same_uuid(kernel, &here, versions)?,
            ConflictReason::Forked | ConflictReason::NotProven => fork(kernel, &here, *reason, versions)?,
        });
        last = Some(place.clone());
    }
    let read_only = here.count_read_only().or_error()?;
    Ok(ConflictsResult { conflicts, next: rest.next().and(last), read_only })
}

fn find(snapshot: &dyn Read) -> Result<Found, StoreError> {
    let mut found = Found::new();
    let mut keep = |reason: ConflictReason, word: &str, versions: Vec<HeadRow>| {
        if let Some(first) = versions.first() {
            found.insert(format!("{}/{word}", names::key_text(&first.header.key())), (reason, versions));
        }
    };
    by_uuid(snapshot, &mut |same| {
        keep(ConflictReason::SameUuid, "same-uuid", beside(same).unwrap_or_default());
    })?;
    forked(snapshot, &mut |versions| {
        let (replaced, forked): (Vec<_>, Vec<_>) = versions.into_iter().partition(HeadRow::is_replaced);
        keep(ConflictReason::Forked, "forked", forked);
        keep(ConflictReason::NotProven, "not-proven", replaced);
    })?;
    Ok(found)
}

/// An object that was changed apart: what is kept beside its newest revision, from whom, since when, and where each
/// differs from it.
fn fork(
    kernel: &Kernel,
    here: &Standpoint<'_>,
    reason: ConflictReason,
    versions: &[HeadRow],
) -> Result<ConflictInfo, Error> {
    let snapshot = here.rows();
    let head = match versions.first() {
        Some(kept) => object::head(snapshot, &kept.header.key()).or_error()?,
        None => None,
    };
    let text = |row: &HeadRow| -> Result<Option<String>, Error> {
        Ok(object::body(snapshot, &row.header)
            .or_error()?
            .map(|body| String::from_utf8_lossy(&body).into_owned()))
    };
    let newest = head.as_ref().map(text).transpose()?.flatten();
    let newest_state = match &head {
        Some(head) => Some(here.state(&head.header.key(), head.home).or_error()?),
        None => None,
    };
    let mut kept = Vec::new();
    for row in versions {
        let texts = newest.as_deref().zip(text(row)?);
        let beside = BesideInfo {
            kept: true,
            from_name: row.from.map(|from| names::name_of(kernel, &from)),
            is_file: row.from.is_none() && row.header.entry.is_none(),
            can_keep: newest_state == Some(ObjectState::Home) && !row.header.tombstone,
            difference: texts.map(|(newest, kept)| difference(newest, &kept)),
        };
        kept.push(VersionInfo { beside: Some(beside), ..version(kernel, here, row)? });
    }
    if let Some(head) = &head {
        kept.push(version(kernel, here, head)?);
    }
    let uuid = versions.first().map(|row| row.header.uuid.to_string());
    Ok(ConflictInfo { uuid, reason, objects: kept })
}

/// The object, and the revision beside it that a beginning of its id means.
fn decided(kernel: &Kernel, object: &str, revision: &str) -> Result<(ObjectKey, Hash), Error> {
    /// A shorter beginning is more likely a slip.
    const SHORTEST: usize = 4;
    let key = match names::object(kernel, object) {
        Err(error) if error.kind() == ErrorKind::Ambiguous => Err(error.with_hint(
            "different objects with one UUID are no revisions of each other: `once conflicts` says how one is taken away",
        ))?,
        found => found?.key(),
    };
    let wanted = revision.to_ascii_lowercase();
    let mut found = Vec::new();
    forked(&kernel.shared().snapshot(), &mut |kept| {
        let ids = kept.iter().filter(|row| row.header.key() == key).map(|row| row.header.id());
        found.extend(ids.filter(|id| id.to_string().starts_with(&wanted)));
    })
    .or_error()?;
    match found.as_slice() {
        [id] if wanted.len() >= SHORTEST => Ok((key, *id)),
        [] => Err(Error::not_found(format!("no revision '{}' is kept beside {key}", names::shown(revision)))
            .with_hint("`once conflicts` lists what is kept")),
        _ => Err(Error::ambiguous(format!("'{}' may be more than one revision", names::shown(revision)))
            .with_hint("write more of its id")),
    }
}

/// Makes what is kept beside an object its next revision.
pub(super) async fn keep(kernel: &Kernel, params: ConflictsKeep) -> Result<ChangeInfo, Error> {
    let (key, revision) = decided(kernel, &params.object, &params.revision)?;
    let kept = kernel.keep_conflict(key, revision).await.map_err(|error| match error.kind() {
        ErrorKind::Quarantined | ErrorKind::NotHome | ErrorKind::Removed => {
            let revision = revision.short();
            error.with_hint(format!("here it can only be dropped: `once conflicts drop {key} {revision}`"))
        }
        _ => error,
    })?;
    Ok(methods::changed(kernel, kept, None))
}

/// Drops what is kept beside an object.
pub(super) async fn discard(kernel: &Kernel, params: ConflictsDrop) -> Result<ChangeInfo, Error> {
    let (key, revision) = decided(kernel, &params.object, &params.revision)?;
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

fn same_uuid(kernel: &Kernel, here: &Standpoint<'_>, versions: &[HeadRow]) -> Result<ConflictInfo, Error> {
    let uuid = versions.first().map(|row| row.header.uuid.to_string());
    let objects = versions.iter().map(|row| version(kernel, here, row)).collect::<Result<_, _>>()?;
    Ok(ConflictInfo { uuid, reason: ConflictReason::SameUuid, objects })
}

fn version(kernel: &Kernel, here: &Standpoint<'_>, row: &HeadRow) -> Result<VersionInfo, Error> {
    let object = here.object(row.clone()).or_error()?;
    Ok(VersionInfo { object: shapes::object(kernel, &object), beside: None })
}
