//! `path`: how an object came to its home, each certificate checked.

use once_model::ids::{KernelId, ObjectKey};
use once_model::ior::Ior;

use super::contract::{self, LeavingInfo, NewestInfo, PathResult, PathStepInfo};
use super::names;
use crate::way::{Way, WayStep};
use crate::{Error, Kernel};

pub(super) async fn path(kernel: &Kernel, params: contract::Path) -> Result<PathResult, Error> {
    let key = meant(kernel, &params.object)?;
    match kernel.way(key).await? {
        Some(way) => Ok(shape(kernel, &way)),
        None if key.lineage().is_none() => {
            Err(Error::unclaimed(format!("{} has no home yet: nobody has claimed it", names::key_text(&key)))
                .with_hint("`once claim OBJECT` makes this kernel its home"))
        }
        None => Err(Error::not_found(format!("no certificate of {} is here", names::key_text(&key)))),
    }
}

/// Which object: also one that is not here, but that this kernel has acted on and knows the home of.
fn meant(kernel: &Kernel, name: &str) -> Result<ObjectKey, Error> {
    let error = match names::object(kernel, name) {
        Ok(object) => return Ok(object.key()),
        Err(error) if error.is_not_found() => error,
        Err(error) => return Err(error),
    };
    let of_ior = || {
        let ior = Ior::parse(name).ok()?;
        Some(ObjectKey { uuid: ior.uuid()?, line: ior.line()? })
    };
    names::key(name).ok().or_else(of_ior).filter(|key| key.lineage().is_some()).ok_or(error)
}

fn shape(kernel: &Kernel, way: &Way) -> PathResult {
    let name = |id: &KernelId| names::name_of(kernel, id);
    let newest = way.newest.as_ref().map(|newest| NewestInfo {
        revision: newest.revision,
        epoch: newest.epoch,
        by: newest.by.map(|by| by.to_string()),
        by_name: newest.by.as_ref().map(name),
        signed: newest.is_signed,
        verified: newest.wrong.is_none(),
        wrong: newest.wrong.clone(),
    });
    let leaving = way.leaving.as_ref().map(|leaving| LeavingInfo {
        to: name(&leaving.to),
        kernel: leaving.to.to_string(),
        since_ms: leaving.since_ms,
        sealed: leaving.is_sealed,
    });
    PathResult {
        key: names::key_text(&way.key),
        home: way.home().map(|home| home.to_string()),
        home_name: way.home().as_ref().map(name),
        verified: way.is_verified(),
        path: way.steps.iter().map(|step| step_shape(kernel, step)).collect(),
        newest,
        leaving,
    }
}

fn step_shape(kernel: &Kernel, step: &WayStep) -> PathStepInfo {
    let name = |id: &KernelId| names::name_of(kernel, id);
    PathStepInfo {
        epoch: step.epoch,
        kind: step.kind.map_or("genesis", |kind| kind.name()).to_owned(),
        from: step.from.map(|from| from.to_string()),
        from_name: step.from.as_ref().map(name),
        home: step.home.to_string(),
        home_name: name(&step.home),
        signer: step.signer.map(|signer| signer.to_string()),
        signer_name: step.signer.as_ref().map(name),
        certificate: step.certificate.to_string(),
        after_revision: step.after_revision,
        at_ms: step.at_ms,
        accepted: step.accepted,
        verified: step.wrong.is_none(),
        wrong: step.wrong.clone(),
    }
}
