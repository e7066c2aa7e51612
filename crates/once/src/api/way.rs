//! `path`: how an object came to its home, each certificate checked.

use once_model::ids::{KernelId, ObjectKey};
use once_model::ior::Ior;
use serde::Deserialize;
use serde_json::{Value, json};

use super::names;
use crate::way::{Way, WayStep};
use crate::{Error, Kernel};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Path {
    object: String,
}

pub(super) async fn path(kernel: &Kernel, params: Path) -> Result<Value, Error> {
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
        Err(error) if error.code == "not-found" => error,
        Err(error) => return Err(error),
    };
    let of_ior = || {
        let ior = Ior::parse(name).ok()?;
        Some(ObjectKey { uuid: ior.uuid()?, line: ior.line()? })
    };
    names::key(name).ok().or_else(of_ior).filter(|key| key.lineage().is_some()).ok_or(error)
}

fn shape(kernel: &Kernel, way: &Way) -> Value {
    let name = |id: &KernelId| names::name_of(kernel, id);
    let steps: Vec<_> = way.steps.iter().map(|step| step_shape(kernel, step)).collect();
    let newest = way.newest.as_ref().map(|newest| {
        json!({
            "revision": newest.revision, "epoch": newest.epoch,
            "by": newest.by.map(|by| by.to_string()), "by_name": newest.by.as_ref().map(name),
            "signed": newest.is_signed, "verified": newest.wrong.is_none(), "wrong": newest.wrong,
        })
    });
    let leaving = way.leaving.as_ref().map(|leaving| {
        json!({
            "to": name(&leaving.to), "kernel": leaving.to.to_string(), "since_ms": leaving.since_ms,
            "sealed": leaving.is_sealed,
        })
    });
    json!({
        "key": names::key_text(&way.key),
        "home": way.home().map(|home| home.to_string()), "home_name": way.home().as_ref().map(name),
        "verified": way.is_verified(), "path": steps, "newest": newest, "leaving": leaving,
    })
}

fn step_shape(kernel: &Kernel, step: &WayStep) -> Value {
    let name = |id: &KernelId| names::name_of(kernel, id);
    json!({
        "epoch": step.epoch, "kind": step.kind.map_or("genesis", |kind| kind.name()),
        "from": step.from.map(|from| from.to_string()), "from_name": step.from.as_ref().map(name),
        "home": step.home.to_string(), "home_name": name(&step.home),
        "signer": step.signer.map(|signer| signer.to_string()), "signer_name": step.signer.as_ref().map(name),
        "certificate": step.certificate.to_string(), "after_revision": step.after_revision,
        "at_ms": step.at_ms, "accepted": step.accepted,
        "verified": step.wrong.is_none(), "wrong": step.wrong,
    })
}
