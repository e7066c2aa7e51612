//! Methods on peers and rights.

use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;

use once_core::Refusal;
use once_core::access::{Grant, Listed, Right, Scope};
use once_core::peers::{self, PeerStatus};
use once_core::store::{StoreError, Table, try_scan};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::GRANT_ACTIONS_MAX;

use super::contract::{
    self, GrantInfo, GrantScope, GrantsResult, JoinResult, PeerInfo, PeerResult, PeersAdd, PeersDial,
    PeersDialResult, PeersRemove, PeersResult, PeersSet,
};
use super::{invites, names};
use crate::error::{IntoError, OrError};
use crate::net::check_addresses;
use crate::shell::now_ms;
use crate::{Error, Kernel, Ticket};

/// How long something that needs a peer waits unless told otherwise, in milliseconds.
pub(super) const PATIENCE_MS: u64 = 10_000;

pub(super) async fn join(kernel: &Kernel, params: contract::Join) -> Result<JoinResult, Error> {
    let ticket = Ticket::from_str(&params.ticket)?;
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let (peer, says) = kernel.join_as(&ticket, params.name, timeout).await?;
    Ok(JoinResult { kernel: peer.to_string(), says })
}

pub(super) fn list(kernel: &Kernel) -> Result<PeersResult, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut shown = Vec::new();
    for (id, row) in peers::all(&snapshot).or_error()? {
        let usage = once_core::share::usage(&snapshot, &id).or_error()?;
        let seen = kernel.net().map(|net| net.seen(&id)).unwrap_or_default();
        let session = kernel.net().and_then(|net| net.session(&id));
        shown.push(PeerInfo {
            kernel: id.to_string(),
            name: names::name_of(kernel, &id),
            petname: row.petname,
            says: row.says,
            status: match row.status {
                PeerStatus::Joining => contract::PeerStatus::Joining,
                PeerStatus::Active => contract::PeerStatus::Active,
                PeerStatus::Visitor => contract::PeerStatus::Visitor,
                PeerStatus::Host => contract::PeerStatus::Host,
            },
            visits: peers::visits(&snapshot, &id).or_error()?.iter().map(ToString::to_string).collect(),
            connected: session.is_some(),
            addresses: row.addresses,
            owed: usage.owed_rows,
            stored_bytes: usage.stored_bytes,
            incoming_bytes: kernel.net().map_or(0, |net| net.incoming_bytes(&id)),
            quota_bytes: row.quota_bytes,
            since_ms: row.since_ms,
            invite: row.invite.map(|invite| invites::id(&invite)),
            rtt_us: session.and_then(|session| session.rtt_us()),
            clock_ahead_ms: seen.clock_ahead_ms,
            last_error: seen.last_error,
        });
    }
    Ok(PeersResult { peers: shown })
}

pub(super) async fn add(kernel: &Kernel, params: PeersAdd) -> Result<PeerResult, Error> {
    let peer = KernelId::from_str(&params.kernel).map_err(|e| {
        Error::usage(e.to_string()).with_hint("a kernel id has 52 characters; 'once status' prints it there")
    })?;
    check_addresses(&params.addresses)?;
    let add = Command::AddPeer { peer, addresses: params.addresses, petname: params.name };
    kernel.command(add).await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn set(kernel: &Kernel, params: PeersSet) -> Result<PeerResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let PeersSet { name: petname, quota_bytes, addresses, .. } = params;
    check_addresses(&addresses)?;
    kernel.command(Command::ChangePeer { peer, petname, quota_bytes, addresses }).await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn remove(kernel: &Kernel, params: PeersRemove) -> Result<PeerResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    kernel.command(Command::RemovePeer { peer }).await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn dial(kernel: &Kernel, params: PeersDial) -> Result<PeersDialResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let session = kernel.session(peer, timeout).await?;
    Ok(PeersDialResult { kernel: peer.to_string(), rtt_us: session.rtt_us() })
}

/// A right that is given or taken back, as the caller names it.
struct Named {
    peer: Option<String>,
    to_object: Option<String>,
    right: contract::Right,
    object: Option<String>,
    component: Option<String>,
    expires_s: Option<u64>,
    actions: Option<Vec<String>>,
}

pub(super) async fn grant(kernel: &Kernel, params: contract::Grant) -> Result<GrantsResult, Error> {
    let contract::Grant { peer, to_object, right, object, component, expires_s, actions } = params;
    let grant = meant(kernel, Named { peer, to_object, right, object, component, expires_s, actions })?;
    kernel.command(Command::Grant(grant.clone())).await?;
    left(kernel, &grant)
}

pub(super) async fn revoke(kernel: &Kernel, params: contract::Revoke) -> Result<GrantsResult, Error> {
    let contract::Revoke { peer, to_object, right, object, component, expires_s, actions } = params;
    let grant = meant(kernel, Named { peer, to_object, right, object, component, expires_s, actions })?;
    kernel.command(Command::Revoke(grant.clone())).await?;
    left(kernel, &grant)
}

/// Everything that a grantee may do now by this right, on whatever thing.
fn left(kernel: &Kernel, of: &Grant) -> Result<GrantsResult, Error> {
    let now_ms = now_ms();
    let mut left = listed(kernel)?;
    left.retain(|listed| {
        let grant = &listed.grant;
        (grant.kernel, grant.object, grant.right) == (of.kernel, of.object, of.right) && listed.holds(now_ms)
    });
    Ok(GrantsResult { grants: left.into_iter().map(|listed| shape(kernel, listed)).collect() })
}

fn meant(kernel: &Kernel, params: Named) -> Result<Grant, Error> {
    // Before anything else: whoever asks for too much takes nobody's time.
    if params.actions.as_ref().is_some_and(|names| names.len() > GRANT_ACTIONS_MAX) {
        return Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX).into_error());
    }
    let (peer, to_object) = match (&params.peer, &params.to_object) {
        (Some(peer), None) => (names::peer(kernel, peer)?.0, None),
        (None, Some(ior)) => {
            let (home, key) = grantee(kernel, ior)?;
            (home, Some(key))
        }
        _ => return Err(Error::usage("a peer or an object, one of the two")),
    };
    let right = match params.right {
        contract::Right::Share => Right::Share,
        contract::Right::Read => Right::Read,
        contract::Right::Act => Right::Act,
        contract::Right::Host => Right::Host,
        contract::Right::Find => Right::Find,
    };
    if to_object.is_some() && right != Right::Act {
        return Err(Error::usage("an object can be given the right to act, and no other"));
    }
    if params.actions.is_some() && right != Right::Act {
        return Err(Error::usage("only the right to act can be given for single actions"));
    }
    if params.actions.as_ref().is_some_and(|names| names.iter().all(|name| name.trim().is_empty())) {
        return Err(Error::usage("an action has a name"));
    }
    let actions = params.actions;
    let scope = match (params.object, params.component) {
        (Some(_), Some(_)) => return Err(Error::usage("an object or a component, not both")),
        (Some(object), None) => Scope::Object(names::object(kernel, &object)?.key()),
        (None, Some(component)) => Scope::Component(component),
        (None, None) => Scope::Kernel,
    };
    if right == Right::Share && scope != Scope::Kernel {
        return Err(Error::usage(
            "the right to share is given on the kernel, not on an object or a component",
        ));
    }
    if right == Right::Host && matches!(scope, Scope::Object(_)) {
        return Err(Error::usage(
            "the right to host is given on the kernel or on a component: an object that is here has its home here",
        ));
    }
    if right == Right::Find && matches!(scope, Scope::Object(_)) {
        return Err(Error::usage(
            "the right to find is given on the kernel or on a component: of one object, give the right to read",
        ));
    }
    let expires_ms = params.expires_s.map(|seconds| now_ms().saturating_add(seconds.saturating_mul(1000)));
    Ok(Grant { scope, right, kernel: peer, object: to_object, expires_ms, actions })
}

/// An object that is given a right, and its home.
fn grantee(kernel: &Kernel, name: &str) -> Result<(KernelId, ObjectKey), Error> {
    let ior = names::ior(kernel, name)?;
    let here = names::object(kernel, name).ok();
    let key = match (&here, ior.uuid(), ior.line()) {
        (Some(object), ..) => Some(object.key()),
        (None, Some(uuid), Some(line)) => Some(ObjectKey { uuid, line }),
        _ => None,
    };
    let home = here.and_then(|object| object.home()).or(ior.home());
    match (home, key) {
        (Some(home), Some(key)) if key.lineage().is_some() => Ok((home, key)),
        _ => Err(Error::usage("an object that is given a right must have a lineage and a home").with_hint(
            "name it by its whole IOR, as 'once show OBJECT' prints it at its home; `once claim OBJECT` gives it both",
        )),
    }
}

pub(super) fn grants(kernel: &Kernel) -> Result<GrantsResult, Error> {
    Ok(GrantsResult { grants: listed(kernel)?.into_iter().map(|listed| shape(kernel, listed)).collect() })
}

pub(super) fn listed(kernel: &Kernel) -> Result<Vec<Listed>, Error> {
    let mut all = Vec::new();
    try_scan(&kernel.shared().snapshot(), Table::Grant, &[], None, |key, value| {
        all.extend(Grant::list(key, &value)?);
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })
    .or_error()?;
    Ok(all)
}

pub(super) fn shape(kernel: &Kernel, listed: Listed) -> GrantInfo {
    let ended = !listed.holds(now_ms());
    let grant = listed.grant;
    let (scope, component, object) = match grant.scope {
        Scope::Kernel => (GrantScope::All, None, None),
        Scope::Component(name) => (GrantScope::Component, Some(name), None),
        Scope::Object(key) => (GrantScope::Object, None, Some(names::key_text(&key))),
    };
    GrantInfo {
        peer: names::name_of(kernel, &grant.kernel),
        kernel: grant.kernel.to_string(),
        to_object: grant.object.as_ref().map(names::key_text),
        right: match grant.right {
            Right::Share => contract::Right::Share,
            Right::Read => contract::Right::Read,
            Right::Act => contract::Right::Act,
            Right::Host => contract::Right::Host,
            Right::Find => contract::Right::Find,
        },
        scope,
        object,
        component,
        expires_ms: grant.expires_ms,
        ended,
        actions: grant.actions,
    }
}
