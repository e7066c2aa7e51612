//! Methods that move everything away.

use std::time::Duration;

use once_core::object;
use once_model::ids::{KernelId, ObjectKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tell::Tell;
use super::{moving, names, peers};
use crate::{Drained, Error, Kernel, Object};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    to: String,
    /// Only say what would go, and who would lose what.
    #[serde(default)]
    dry_run: bool,
    /// Grants on the kernel or on a component become grants on each object, before it goes.
    #[serde(default)]
    carry_rights: bool,
    /// Do not wait for calls of theirs that have no outcome.
    #[serde(default)]
    leave_calls: bool,
    /// Stop waiting when nothing has arrived for this time.
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    to: Option<String>,
}

pub(super) async fn drain(kernel: &Kernel, params: Drain, tell: Tell<'_>) -> Result<Value, Error> {
    let (to, _) = names::peer(kernel, &params.to)?;
    let plan = kernel.drain_plan(to).await?;
    let reaching = moving::reaching(kernel, &plan.moves, &to)?;
    let loses: Vec<_> = reaching.iter().map(|(listed, _)| peers::shape(kernel, listed.clone())).collect();
    if params.dry_run {
        return Ok(json!({
            "to": names::name_of(kernel, &to), "kernel": to.to_string(), "moves": plan.moves.len(),
            "shares": plan.shares.len(), "follows": follows(kernel, &plan.follows)?, "loses": loses,
            "dry_run": true,
        }));
    }
    if params.carry_rights {
        moving::carry(kernel, &reaching).await?;
    }
    let mut drain = kernel.drain(to);
    if params.leave_calls {
        drain = drain.leave_calls();
    }
    if let Some(ms) = params.timeout_ms {
        drain = drain.patience(Duration::from_millis(ms));
    }
    let progress = |progress: crate::DrainProgress| {
        tell(json!({ "phase": progress.phase, "done": progress.done, "total": progress.total }));
    };
    let done = drain.watched(&progress).await?;
    let mut shape = shape(kernel, &to, &done)?;
    shape["loses"] = json!(if params.carry_rights { Vec::new() } else { loses });
    shape["carried"] = json!(if params.carry_rights { reaching.len() } else { 0 });
    Ok(shape)
}

fn shape(kernel: &Kernel, to: &KernelId, done: &Drained) -> Result<Value, Error> {
    let stuck: Vec<_> = done.stuck.iter().map(|(key, why)| moving::refused(key, why)).collect();
    let seen = kernel.net().map(|net| net.seen(to));
    let is_connected = seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    Ok(json!({
        "to": names::name_of(kernel, to), "kernel": to.to_string(),
        "moved": done.moved, "shared": done.shared, "left": done.left_calls,
        "stuck": stuck, "stuck_count": done.stuck_count,
        "not_arrived": done.not_arrived, "owed": done.owed,
        "follows": follows(kernel, &done.follows)?, "followed": done.followed,
        "unfollowed": done.unfollowed.as_ref().map(|why| &why.message),
        "cancelled": done.is_cancelled, "complete": done.is_complete(),
        "connected": is_connected, "trouble": seen.and_then(|seen| seen.last_error).filter(|_| !is_connected),
    }))
}

/// What this kernel follows: each with the reference by which another kernel can follow it.
fn follows(kernel: &Kernel, all: &[(ObjectKey, KernelId)]) -> Result<Vec<Value>, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut shown = Vec::new();
    for (key, at) in all {
        let ior = object::head(&snapshot, key)?.map(|row| Object::new(row, kernel.id()).ior(&[]));
        shown.push(json!({
            "key": names::key_text(key), "ior": ior.as_ref().map(|ior| ior.as_str()),
            "peer": names::name_of(kernel, at), "kernel": at.to_string(),
        }));
    }
    Ok(shown)
}

pub(super) async fn cancel(kernel: &Kernel, params: Cancel) -> Result<Value, Error> {
    let to = match &params.to {
        Some(name) => Some(names::peer(kernel, name)?.0),
        None => None,
    };
    let done = kernel.cancel_drain(to).await?;
    let stays: Vec<_> = done.stays.iter().map(names::key_text).collect();
    let sealed: Vec<_> = done
        .sealed
        .iter()
        .map(|departing| {
            json!({
                "key": names::key_text(&departing.key), "to": names::name_of(kernel, &departing.to),
                "kernel": departing.to.to_string(), "since_ms": departing.since_ms,
            })
        })
        .collect();
    Ok(json!({ "stays": stays, "sealed": sealed }))
}
