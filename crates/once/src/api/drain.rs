//! Methods that move everything away.

use std::time::Duration;

use once_core::access::{Listed, Scope};
use once_core::{object, peers, share};
use once_model::ids::{KernelId, ObjectKey};

use super::contract::{
    self, DrainCancelResult, DrainDone, DrainFollowInfo, DrainOwedInfo, DrainPeerInfo, DrainPlanInfo,
    DrainResult, GrantInfo, PeerInfo, PeerStatus, Progress, SealedInfo,
};
use super::tell::Tell;
use super::{moving, names};
use crate::error::OrError;
use crate::object::Standpoint;
use crate::shell::now_ms;
use crate::surface::access;
use crate::{DrainReport, Error, Kernel, drain};

/// Objects that would not go and are named, each with why; further ones are counted.
const STUCK_MAX: usize = 1000;

pub(super) async fn drain(
    kernel: &Kernel,
    params: contract::Drain,
    tell: Tell<'_>,
) -> Result<DrainResult, Error> {
    let (to, _) = names::peer(kernel, &params.to)?;
    let plan = match params.dry_run {
        true => kernel.drain_plan(to).await?,
        false => drain::plan(kernel, to).await?,
    };
    let reaching = moving::reaching(kernel, &plan.moves, &to)?;
    let loses: Vec<GrantInfo> =
        reaching.iter().map(|(listed, _)| access::shape(kernel, listed.clone())).collect();
    if params.dry_run {
        return Ok(DrainResult::Plan(DrainPlanInfo {
            to: names::name_of(kernel, &to),
            kernel: to.to_string(),
            moves: plan.moves.len() - plan.stuck.len(),
            stuck: plan.stuck.iter().take(STUCK_MAX).map(|(key, why)| moving::refused(key, why)).collect(),
            stuck_count: plan.stuck.len(),
            unasked: plan.unasked.as_ref().map(ToString::to_string),
            shares: plan.shares.len(),
            follows: follows(kernel, &plan.follows)?,
            loses,
            dry_run: true,
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
        drain = drain.timeout(Duration::from_millis(ms));
    }
    let progress = |progress: crate::DrainProgress| {
        tell(Progress::of(progress.done, progress.total).in_phase(progress.phase));
    };
    let done = drain.watched(&progress).await?;
    let mut shape = shape(kernel, &to, &done)?;
    (shape.peers, shape.rights) = (other_peers(kernel, &to)?, rights(kernel, &to)?);
    match params.carry_rights {
        true => shape.carried = reaching.len(),
        false => shape.loses = loses,
    }
    Ok(DrainResult::Done(Box::new(shape)))
}

fn shape(kernel: &Kernel, to: &KernelId, done: &DrainReport) -> Result<DrainDone, Error> {
    let stuck = done.stuck.iter().map(|(key, why)| moving::refused(key, why)).collect();
    let seen = kernel.net().map(|net| net.seen(to));
    let is_connected = seen.as_ref().is_some_and(|seen| seen.conn.is_some());
    Ok(DrainDone {
        to: names::name_of(kernel, to),
        kernel: to.to_string(),
        moved: done.moved,
        shared: done.shared,
        left: done.left_calls,
        stuck,
        stuck_count: done.stuck_count,
        not_arrived: done.not_arrived,
        owed: done.owed,
        followed: done.followed,
        follows: follows(kernel, &done.follows)?,
        unfollowed: done.unfollowed.as_ref().map(ToString::to_string),
        loses: Vec::new(),
        carried: 0,
        peers: Vec::new(),
        rights: Vec::new(),
        cancelled: done.is_cancelled,
        complete: done.is_complete(),
        connected: is_connected,
        trouble: seen.and_then(|seen| seen.last_error).filter(|_| !is_connected),
    })
}

/// The other peers of this kernel: what moves away does not take them along.
fn other_peers(kernel: &Kernel, to: &KernelId) -> Result<Vec<DrainPeerInfo>, Error> {
    let receiver = to.to_string();
    let is_left = |peer: &PeerInfo| peer.status == PeerStatus::Active && peer.kernel != receiver;
    let one = |peer: PeerInfo| {
        let peer_name = peer.petname.filter(|name| !name.is_empty()).unwrap_or(peer.name);
        DrainPeerInfo { peer: peer_name, kernel: peer.kernel, addresses: peer.addresses }
    };
    Ok(kernel.peers()?.into_iter().filter(is_left).map(one).collect())
}

/// Rights on this kernel or on a component that are in force: those on objects go with the objects.
fn rights(kernel: &Kernel, to: &KernelId) -> Result<Vec<GrantInfo>, Error> {
    let listed = access::listed(kernel)?.into_iter();
    let is_left = |listed: &Listed| {
        listed.grant.kernel != *to
            && listed.holds(now_ms())
            && !matches!(listed.grant.scope, Scope::Object(_))
    };
    Ok(listed.filter(is_left).map(|listed| access::shape(kernel, listed)).collect())
}

/// What this kernel follows: each with the reference by which another kernel can follow it.
fn follows(kernel: &Kernel, all: &[(ObjectKey, KernelId)]) -> Result<Vec<DrainFollowInfo>, Error> {
    let snapshot = kernel.shared().snapshot();
    let here = Standpoint::of(&snapshot, kernel.id()).or_error()?;
    let mut shown = Vec::new();
    for (key, at) in all {
        let head = object::head(&snapshot, key).or_error()?;
        let ior = head.map(|row| here.object(row)).transpose().or_error()?.map(|object| object.ior(&[]));
        shown.push(DrainFollowInfo {
            key: names::key_text(key),
            ior: ior.map(|ior| ior.as_str().to_owned()),
            peer: names::name_of(kernel, at),
            kernel: at.to_string(),
        });
    }
    Ok(shown)
}

pub(super) async fn cancel(
    kernel: &Kernel,
    params: contract::DrainCancel,
) -> Result<DrainCancelResult, Error> {
    let to = match &params.to {
        Some(name) => Some(names::peer(kernel, name)?.0),
        None => None,
    };
    let done = kernel.cancel_drain(to).await?;
    let sealed = |departing: &crate::Departure| SealedInfo {
        key: names::key_text(&departing.key),
        to: names::name_of(kernel, &departing.to),
        kernel: departing.to.to_string(),
        since_ms: departing.since_ms,
    };
    Ok(DrainCancelResult {
        stays: done.stays.iter().map(names::key_text).collect(),
        sealed: done.sealed.iter().map(sealed).collect(),
        owed: owed(kernel, to)?,
    })
}

/// What waits to be shared with a peer, or with each of them.
fn owed(kernel: &Kernel, to: Option<KernelId>) -> Result<Vec<DrainOwedInfo>, Error> {
    let (snapshot, mut owed) = (kernel.shared().snapshot(), Vec::new());
    for (peer, _) in peers::all(&snapshot).or_error()? {
        let scenarios = share::usage(&snapshot, &peer).or_error()?.owed_rows;
        if scenarios > 0 && to.is_none_or(|to| to == peer) {
            owed.push(DrainOwedInfo {
                peer: names::name_of(kernel, &peer),
                kernel: peer.to_string(),
                scenarios,
            });
        }
    }
    Ok(owed)
}
