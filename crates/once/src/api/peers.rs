//! Methods on peers and rights.

use std::str::FromStr;
use std::time::Duration;

use once_core::Refusal;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::GRANT_ACTIONS_MAX;

use super::contract::{
    self, GrantsResult, JoinResult, PeerResult, PeersAdd, PeersDial, PeersDialResult, PeersRemove, PeersSet,
};
use super::names;
use crate::error::IntoError;
use crate::{AddPeer, ChangePeer, Error, Kernel, Ticket};

/// How long something that needs a peer waits unless told otherwise, in milliseconds.
pub(super) const PATIENCE_MS: u64 = 10_000;

pub(super) async fn join(kernel: &Kernel, params: contract::Join) -> Result<JoinResult, Error> {
    let ticket = Ticket::from_str(&params.ticket)?;
    let mut join = kernel.join(&ticket).timeout(patience(params.timeout_ms));
    if let Some(name) = params.name {
        join = join.petname(name);
    }
    let (peer, says) = join.says().await?;
    Ok(JoinResult { kernel: peer.to_string(), says })
}

fn patience(timeout_ms: Option<u64>) -> Duration {
    Duration::from_millis(timeout_ms.unwrap_or(PATIENCE_MS))
}

pub(super) async fn add(kernel: &Kernel, params: PeersAdd) -> Result<PeerResult, Error> {
    let peer = KernelId::from_str(&params.kernel).map_err(|e| {
        Error::usage(e.to_string()).with_hint("a kernel id has 52 characters; 'once status' prints it there")
    })?;
    let mut add = params.addresses.into_iter().fold(kernel.add_peer(peer), AddPeer::address);
    if let Some(name) = params.name {
        add = add.petname(name);
    }
    add.await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn set(kernel: &Kernel, params: PeersSet) -> Result<PeerResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let PeersSet { name, quota_bytes, addresses, .. } = params;
    let mut change = addresses.into_iter().fold(kernel.change_peer(peer), ChangePeer::address);
    if let Some(name) = name {
        change = change.petname(name);
    }
    if let Some(bytes) = quota_bytes {
        change = change.quota_bytes(bytes);
    }
    change.await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn remove(kernel: &Kernel, params: PeersRemove) -> Result<PeerResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    kernel.remove_peer(peer).await?;
    Ok(PeerResult { kernel: peer.to_string() })
}

pub(super) async fn dial(kernel: &Kernel, params: PeersDial) -> Result<PeersDialResult, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let round_trip = kernel.dial(peer).timeout(patience(params.timeout_ms)).await?;
    let rtt_us = round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    Ok(PeersDialResult { kernel: peer.to_string(), rtt_us })
}

pub(super) async fn grant(kernel: &Kernel, params: contract::Grant) -> Result<GrantsResult, Error> {
    let contract::Grant { peer, to_object, right, object, component, expires_s, actions } = params;
    bounded(actions.as_deref())?;
    let (peer, to_object) = grantee(kernel, peer.as_deref(), to_object.as_deref())?;
    let mut grant = kernel.grant(peer, right);
    match on(kernel, object.as_deref(), component)? {
        On::All => {}
        On::Object(key) => grant = grant.on(key),
        On::Component(name) => grant = grant.component(name),
    }
    if let Some(key) = to_object {
        grant = grant.to_object(key);
    }
    if let Some(names) = actions {
        grant = grant.actions(names);
    }
    if let Some(seconds) = expires_s {
        grant = grant.expires(Duration::from_secs(seconds));
    }
    grant.await.map(|grants| GrantsResult { grants })
}

pub(super) async fn revoke(kernel: &Kernel, params: contract::Revoke) -> Result<GrantsResult, Error> {
    // When it was to end makes no difference.
    let contract::Revoke { peer, to_object, right, object, component, actions, .. } = params;
    bounded(actions.as_deref())?;
    let (peer, to_object) = grantee(kernel, peer.as_deref(), to_object.as_deref())?;
    let mut revoke = kernel.revoke(peer, right);
    match on(kernel, object.as_deref(), component)? {
        On::All => {}
        On::Object(key) => revoke = revoke.on(key),
        On::Component(name) => revoke = revoke.component(name),
    }
    if let Some(key) = to_object {
        revoke = revoke.to_object(key);
    }
    if let Some(names) = actions {
        revoke = revoke.actions(names);
    }
    revoke.await.map(|grants| GrantsResult { grants })
}

/// Before anything else: whoever asks for too much takes nobody's time.
fn bounded(actions: Option<&[String]>) -> Result<(), Error> {
    match actions {
        Some(names) if names.len() > GRANT_ACTIONS_MAX => {
            Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX).into_error())
        }
        _ => Ok(()),
    }
}

/// What a right is on.
enum On {
    All,
    Object(ObjectKey),
    Component(String),
}

fn on(kernel: &Kernel, object: Option<&str>, component: Option<String>) -> Result<On, Error> {
    match (object, component) {
        (Some(_), Some(_)) => Err(Error::usage("an object or a component, not both")),
        (Some(object), None) => Ok(On::Object(names::object(kernel, object)?.key())),
        (None, Some(component)) => Ok(On::Component(component)),
        (None, None) => Ok(On::All),
    }
}

/// The kernel that is given a right, and the one object of it if that alone is given it.
fn grantee(
    kernel: &Kernel,
    peer: Option<&str>,
    object: Option<&str>,
) -> Result<(KernelId, Option<ObjectKey>), Error> {
    match (peer, object) {
        (Some(peer), None) => Ok((names::peer(kernel, peer)?.0, None)),
        (None, Some(ior)) => object_grantee(kernel, ior).map(|(home, key)| (home, Some(key))),
        _ => Err(Error::usage("a peer or an object, one of the two")),
    }
}

/// An object that is given a right, and its home.
fn object_grantee(kernel: &Kernel, name: &str) -> Result<(KernelId, ObjectKey), Error> {
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
