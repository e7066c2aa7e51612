//! Methods on what is kept here.

use std::str::FromStr;

use futures_util::stream::{self, StreamExt};
use once_core::object::{self, HeadRow};
use once_core::store::Read;
use once_model::certificate::{Certificate, CertificateKind, Chain};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::references::{Place, references};
use once_model::scenario::Scenario;

use super::contract::{
    self, ChangeInfo, GetResult, ImportInfo, ImportResult, ImportText, ImportedInfo, ReferenceInfo,
    ReferencePlace, RefsResult,
};
use super::{names, shapes, turns};
use crate::error::OrError;
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

pub(super) async fn import(kernel: &Kernel, params: contract::Import) -> Result<ImportResult, Error> {
    let one = |ImportText { text, source, over }: ImportText| async move {
        let scenario = match Scenario::parse(text) {
            Ok(scenario) => scenario,
            Err(error) => return ImportInfo::Refused { error: (&Error::from(error)).into() },
        };
        let bytes = scenario.bytes().clone();
        let mut import = kernel.import(bytes);
        if let Some(source) = source {
            import = import.source(source);
        }
        let imported = match over.map(|over| revision(kernel, &scenario, &over)).transpose() {
            Ok(None) => import.await,
            Ok(Some(over)) => import.over(over).await,
            Err(error) => Err(error),
        };
        match imported {
            Ok(imported) => ImportInfo::Kept(Box::new(ImportedInfo {
                change: changed(kernel, imported, Some(&scenario)),
                identity: shapes::identity(scenario.identity()),
            })),
            Err(error) => ImportInfo::Refused { error: (&error).into() },
        }
    };
    // Many are under way at once, so that they share their commits.
    let results: Vec<_> = stream::iter(params.scenarios).map(one).buffered(turns::AHEAD).collect().await;
    Ok(ImportResult { results })
}

/// The newest revision of an object of this scenario's UUID whose id begins so.
fn revision(kernel: &Kernel, scenario: &Scenario, beginning: &str) -> Result<Hash, Error> {
    const SHORTEST: usize = 4;
    let wanted = beginning.to_ascii_lowercase();
    if let Ok(whole) = wanted.parse() {
        return Ok(whole);
    }
    let found = object::find(&kernel.shared().snapshot(), &scenario.uuid(), None).or_error()?;
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

pub(super) async fn create(kernel: &Kernel, params: contract::Create) -> Result<ChangeInfo, Error> {
    let contract::Create { component, version, model, model_text, uuid } = params;
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

pub(super) async fn put(kernel: &Kernel, params: contract::Put) -> Result<ChangeInfo, Error> {
    let object = names::object(kernel, &params.object)?;
    let mut put = kernel.put(object.key(), params.text);
    if let Some(base) = &params.base {
        put = put.base(Hash::from_str(base).map_err(|e| Error::usage(format!("base: {e}")))?);
    }
    let done = put.await?;
    Ok(changed(kernel, done, None))
}

pub(super) async fn claim(kernel: &Kernel, params: contract::Claim) -> Result<ChangeInfo, Error> {
    let object = names::object(kernel, &params.object)?;
    Ok(changed(kernel, kernel.claim(object.key()).await?, None))
}

pub(super) async fn remove(kernel: &Kernel, params: contract::Remove) -> Result<ChangeInfo, Error> {
    let object = names::object(kernel, &params.object)?;
    let done = match params.read_only {
        true => kernel.drop_read_only(object.key()).await?,
        false => kernel.remove(object.key()).await?,
    };
    Ok(changed(kernel, done, None))
}

/// What became of an object.
pub(super) fn changed(
    kernel: &Kernel,
    (object, change): (Object, Change),
    scenario: Option<&Scenario>,
) -> ChangeInfo {
    let object = match scenario {
        Some(scenario) => shapes::named_object(kernel, &object, scenario),
        None => shapes::object(kernel, &object),
    };
    let claimed = matches!(change, Change::Claimed | Change::ClaimedAndChanged);
    ChangeInfo { object, change: shapes::change(change), claimed }
}

pub(super) fn get(kernel: &Kernel, params: &contract::Get) -> Result<GetResult, Error> {
    let snapshot = kernel.shared().snapshot();
    let newest = names::object_in(kernel, &snapshot, &params.object)?;
    let kept = kernel.revisions_in(&snapshot, newest.key())?;
    let numbers: Vec<u64> = kept.iter().map(Object::revision).collect();
    let object = match params.revision.filter(|number| *number != newest.revision()) {
        None => newest,
        Some(number) => match kept.into_iter().find(|object| object.revision() == number) {
            Some(object) => object,
            None => return Err(not_kept(kernel, &newest, number, &numbers)?),
        },
    };
    let scenario = if params.bytes == Some(false) { None } else { scenario(&snapshot, &object.row)? };
    let shape = match &scenario {
        Some(scenario) => shapes::named_object(kernel, &object, scenario),
        None => shapes::object(kernel, &object),
    };
    let text = scenario.map(|scenario| scenario.as_str().to_owned());
    Ok(GetResult { object: shape, text, kept: numbers })
}

/// A revision is not kept here: which ones are, and who may have it.
fn not_kept(kernel: &Kernel, newest: &Object, number: u64, kept: &[u64]) -> Result<Error, Error> {
    let key = names::key_text(&newest.key());
    let message = match (kept.first(), kept.last()) {
        (Some(first), Some(last)) => {
            format!("revision {number} of {key} is not kept here: of the earlier ones, {first} to {last} are")
        }
        _ => format!("revision {number} of {key} is not kept here: no earlier one is"),
    };
    let error = Error::not_found(message);
    let chain = match newest.lineage() {
        Some(lineage) => object::chain(&kernel.shared().snapshot(), &lineage).or_error()?,
        None => None,
    };
    let keeper = chain.map(|chain| keeper(&chain, number)).or(newest.home());
    Ok(match keeper.filter(|home| *home != kernel.id()) {
        Some(home) => {
            let home = names::name_of(kernel, &home);
            error.with_hint(format!(
                "its home was {home} then: 'once show OBJECT' there says which ones that one has"
            ))
        }
        None if number > newest.revision() => {
            error.with_hint(format!("its newest revision is {}", newest.revision()))
        }
        None => error.with_hint(
            "`once up --revisions 10` keeps that many from now on; `once history OBJECT` says what was done in each",
        ),
    })
}

/// Who may have kept a revision: the home that replaced it by the next one.
fn keeper(chain: &Chain, number: u64) -> KernelId {
    let counts = |link: &&Certificate| link.kind != CertificateKind::Handoff || link.acceptance.is_some();
    let before = chain.links.iter().filter(counts).take_while(|link| link.base_revision <= number);
    before.last().map_or(chain.genesis.home, |link| link.home)
}

/// The scenario of an object that was not removed.
pub(super) fn scenario(rows: &dyn Read, row: &HeadRow) -> Result<Option<Scenario>, Error> {
    match object::body(rows, &row.header).or_error()? {
        Some(bytes) => Ok(Some(Scenario::parse(bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn refs(kernel: &Kernel, params: &contract::Refs) -> Result<RefsResult, Error> {
    let snapshot = kernel.shared().snapshot();
    let object = names::object_in(kernel, &snapshot, &params.object)?;
    let Some(scenario) = scenario(&snapshot, &object.row)? else {
        let object = shapes::object(kernel, &object);
        return Ok(RefsResult { object, references: Vec::new(), truncated: false });
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
            Place::Declared => ReferencePlace::Declared,
            Place::IorString => ReferencePlace::Ior,
            Place::Uuid => ReferencePlace::Uuid,
            _ => ReferencePlace::Other,
        };
        shown.push(ReferenceInfo {
            target: reference.target.as_str().to_owned(),
            place,
            path: reference.path.clone(),
            objects: here.iter().map(names::key_text).collect(),
        });
    }
    Ok(RefsResult {
        object: shapes::named_object(kernel, &object, &scenario),
        references: shown,
        truncated: found.truncated,
    })
}
