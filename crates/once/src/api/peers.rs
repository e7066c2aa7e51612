//! Methods on peers and rights.

use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;

use once_core::Refusal;
use once_core::access::{Grant, Listed, Right, Scope};
use once_core::peers::{self, PeerStatus};
use once_core::store::{Table, try_scan};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::GRANT_ACTIONS_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{invites, names};
use crate::net::check_addresses;
use crate::shell::now_ms;
use crate::{Error, Kernel, Ticket};

/// How long something that needs a peer waits unless told otherwise, in milliseconds.
pub(super) const PATIENCE_MS: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    ticket: String,
    name: Option<String>,
    timeout_ms: Option<u64>,
}

pub(super) async fn join(kernel: &Kernel, params: Join) -> Result<Value, Error> {
    let ticket = Ticket::from_str(&params.ticket)?;
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let (peer, says) = kernel.join_as(&ticket, params.name, timeout).await?;
    Ok(json!({ "kernel": peer.to_string(), "says": says }))
}

pub(super) fn list(kernel: &Kernel) -> Result<Value, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut shown = Vec::new();
    for (id, row) in peers::all(&snapshot)? {
        let usage = once_core::share::usage(&snapshot, &id)?;
        let seen = kernel.net().map(|net| net.seen(&id)).unwrap_or_default();
        let session = kernel.net().and_then(|net| net.session(&id));
        shown.push(json!({
            "kernel": id.to_string(),
            "name": names::name_of(kernel, &id),
            "petname": row.petname,
            "says": row.says,
            "status": match row.status {
                PeerStatus::Joining => "joining",
                PeerStatus::Active => "active",
                PeerStatus::Visitor => "visitor",
                PeerStatus::Host => "host",
            },
            "visits": peers::visits(&snapshot, &id)?.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "connected": session.is_some(),
            "addresses": row.addresses,
            "owed": usage.owed_rows,
            "stored_bytes": usage.stored_bytes,
            "incoming_bytes": kernel.net().map_or(0, |net| net.incoming_bytes(&id)),
            "quota_bytes": row.quota_bytes,
            "since_ms": row.since_ms,
            "invite": row.invite.map(|invite| invites::id(&invite)),
            "rtt_us": session.and_then(|session| session.rtt_us()),
            "clock_ahead_ms": seen.clock_ahead_ms,
            "last_error": seen.last_error,
        }));
    }
    Ok(json!({ "peers": shown }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    kernel: String,
    #[serde(default)]
    addresses: Vec<String>,
    name: Option<String>,
}

pub(super) async fn add(kernel: &Kernel, params: Add) -> Result<Value, Error> {
    let peer = KernelId::from_str(&params.kernel).map_err(|e| {
        Error::usage(e.to_string()).with_hint("a kernel id has 52 characters; 'once status' prints it there")
    })?;
    check_addresses(&params.addresses)?;
    let add = Command::AddPeer { peer, addresses: params.addresses, petname: params.name };
    kernel.command(add).await?;
    Ok(json!({ "kernel": peer.to_string() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    peer: String,
    name: Option<String>,
    quota_bytes: Option<u64>,
    #[serde(default)]
    addresses: Vec<String>,
}

pub(super) async fn set(kernel: &Kernel, params: Set) -> Result<Value, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let Set { name: petname, quota_bytes, addresses, .. } = params;
    check_addresses(&addresses)?;
    kernel.command(Command::ChangePeer { peer, petname, quota_bytes, addresses }).await?;
    Ok(json!({ "kernel": peer.to_string() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    peer: String,
}

pub(super) async fn remove(kernel: &Kernel, params: Named) -> Result<Value, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    kernel.command(Command::RemovePeer { peer }).await?;
    Ok(json!({ "kernel": peer.to_string() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dial {
    peer: String,
    timeout_ms: Option<u64>,
}

pub(super) async fn dial(kernel: &Kernel, params: Dial) -> Result<Value, Error> {
    let (peer, _) = names::peer(kernel, &params.peer)?;
    let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(PATIENCE_MS));
    let session = kernel.session(peer, timeout).await?;
    Ok(json!({ "kernel": peer.to_string(), "rtt_us": session.rtt_us() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Granted {
    peer: Option<String>,
    /// Instead of a peer: an object of a peer, or of this kernel, by its IOR.
    to_object: Option<String>,
    right: String,
    object: Option<String>,
    component: Option<String>,
    expires_s: Option<u64>,
    /// For the right to act: only these.
    actions: Option<Vec<String>>,
}

pub(super) async fn grant(kernel: &Kernel, params: Granted) -> Result<Value, Error> {
    let grant = meant(kernel, params)?;
    kernel.command(Command::Grant(grant.clone())).await?;
    left(kernel, &grant)
}

pub(super) async fn revoke(kernel: &Kernel, params: Granted) -> Result<Value, Error> {
    let grant = meant(kernel, params)?;
    kernel.command(Command::Revoke(grant.clone())).await?;
    left(kernel, &grant)
}

/// Everything that a grantee may do now by this right, on whatever thing.
fn left(kernel: &Kernel, of: &Grant) -> Result<Value, Error> {
    let now_ms = now_ms();
    let mut left = listed(kernel)?;
    left.retain(|listed| {
        let grant = &listed.grant;
        (grant.kernel, grant.object, grant.right) == (of.kernel, of.object, of.right) && listed.holds(now_ms)
    });
    Ok(json!({ "grants": left.into_iter().map(|listed| shape(kernel, listed)).collect::<Vec<_>>() }))
}

fn meant(kernel: &Kernel, params: Granted) -> Result<Grant, Error> {
    // Before anything else: whoever asks for too much takes nobody's time.
    if params.actions.as_ref().is_some_and(|names| names.len() > GRANT_ACTIONS_MAX) {
        return Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX).into());
    }
    let (peer, to_object) = match (&params.peer, &params.to_object) {
        (Some(peer), None) => (names::peer(kernel, peer)?.0, None),
        (None, Some(ior)) => {
            let (home, key) = grantee(kernel, ior)?;
            (home, Some(key))
        }
        _ => return Err(Error::usage("a peer or an object, one of the two")),
    };
    let rights = [Right::Share, Right::Read, Right::Act, Right::Host, Right::Find];
    let right = rights.into_iter().find(|right| right.name() == params.right).ok_or_else(|| {
        Error::usage(format!("'{}' is no right", params.right)).with_hint("share, read, act, host or find")
    })?;
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

pub(super) fn grants(kernel: &Kernel) -> Result<Value, Error> {
    let grants: Vec<_> = listed(kernel)?.into_iter().map(|listed| shape(kernel, listed)).collect();
    Ok(json!({ "grants": grants }))
}

pub(super) fn listed(kernel: &Kernel) -> Result<Vec<Listed>, Error> {
    let mut all = Vec::new();
    try_scan(&kernel.shared().snapshot(), Table::Grant, &[], None, |key, value| {
        all.extend(Grant::list(key, &value)?);
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

pub(super) fn shape(kernel: &Kernel, listed: Listed) -> Value {
    let ended = !listed.holds(now_ms());
    let grant = listed.grant;
    let mut shape = json!({
        "peer": names::name_of(kernel, &grant.kernel), "kernel": grant.kernel.to_string(),
        "right": grant.right.name(), "expires_ms": grant.expires_ms, "ended": ended,
    });
    if let Some(object) = &grant.object {
        shape["to_object"] = json!(names::key_text(object));
    }
    let (scope, on) = match grant.scope {
        Scope::Kernel => ("all", None),
        Scope::Component(name) => ("component", Some(name)),
        Scope::Object(key) => ("object", Some(names::key_text(&key))),
    };
    shape["scope"] = json!(scope);
    if let Some(actions) = grant.actions {
        shape["actions"] = json!(actions);
    }
    if let Some(on) = on {
        shape[scope] = json!(on);
    }
    shape
}
