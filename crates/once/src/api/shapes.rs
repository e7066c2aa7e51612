//! The shapes of results: JSON as `docs/local-api.md` shows it.

use once_core::waist::{Change, Event};
use once_model::action::Outcome;
use once_model::header::Header;
use once_model::ids::{ObjectKey, Uuid};
use once_model::scenario::{Identity, Scenario};
use once_model::wire::ShareAnswer;
use serde_json::{Value, json};

use super::names;
use crate::{Acted, Error, Heard, Kernel, Object};

pub(super) fn object(kernel: &Kernel, object: &Object) -> Value {
    let at = if object.home() == Some(kernel.id()) { kernel.addresses() } else { Vec::new() };
    let mut shape = header(&object.row.header);
    shape["ior"] = json!(object.ior(&at).as_str());
    shape["state"] = json!(object.state().name());
    shape["home"] = json!(object.home().map(|home| home.to_string()));
    shape["home_name"] = json!(object.home().map(|home| names::name_of(kernel, &home)));
    shape["from"] = json!(object.from().map(|from| from.to_string()));
    shape["stored_ms"] = json!(object.row.stored_ms);
    shape["conflicts"] = json!(object.row.conflicts_dropped);
    shape
}

/// An object whose scenario was read.
pub(super) fn named_object(kernel: &Kernel, shown: &Object, scenario: &Scenario) -> Value {
    let mut shape = object(kernel, shown);
    shape["name"] = json!(scenario.name());
    shape
}

fn header(header: &Header) -> Value {
    json!({
        "uuid": header.uuid.to_string(),
        "key": names::key_text(&header.key()),
        "component": header.component,
        "version": header.version,
        "lineage": header.lineage.map(|lineage| lineage.to_string()),
        "epoch": header.epoch,
        "revision": header.revision,
        "revision_id": header.id().to_string(),
        "hash": header.content.to_string(),
        "size": header.size,
        "tombstone": header.tombstone,
    })
}

pub(super) const fn change(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Same => "same",
        // That it was claimed by it is a member of its own.
        Change::Changed | Change::ClaimedAndChanged => "changed",
        Change::KeptBeside => "kept-beside",
        Change::Resolved => "resolved",
        Change::BesideTombstone => "beside-tombstone",
        Change::Beside => "beside",
        Change::Claimed => "claimed",
        Change::Removed => "removed",
        Change::Dropped => "dropped",
    }
}

pub(super) const fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::Ior => "ior",
        Identity::Model => "model",
        Identity::TopLevel => "top-level",
        Identity::Derived => "derived",
        _ => "other",
    }
}

pub(super) fn error(error: &Error) -> Value {
    let mut data = json!({ "code": error.code, "exit": error.exit });
    for (name, value) in [
        ("hint", json!(error.hint)),
        ("line", json!(error.line)),
        ("column", json!(error.column)),
        ("id", json!(error.id)),
    ] {
        if !value.is_null() {
            data[name] = value;
        }
    }
    json!({ "code": -32000, "message": error.message, "data": data })
}

/// An outcome. `result_text` is the component's result as it spelled it.
pub(super) fn acted(acted: &Acted) -> Value {
    let result = String::from_utf8_lossy(&acted.result);
    json!({
        "id": acted.id,
        "status": "done",
        "result": serde_json::from_str::<Value>(&result).ok(),
        "result_text": result,
        "object": acted.after.map(|after| super::names::key_text(&after.key)),
        "revision": acted.after.map(|after| after.revision.to_string()),
    })
}

/// Longest result in a notification, in bytes: a client that wants all of a longer one asks for the outcome.
const HEARD_MAX_BYTES: usize = 4 * 1024;

/// What came of an action, in a notification.
fn came(kind: &str, key: &ObjectKey, id: &Uuid, outcome: &Outcome) -> Value {
    let mut shape = json!({ "kind": kind, "key": names::key_text(key), "id": id, "status": outcome.word() });
    match outcome {
        Outcome::Done(json) | Outcome::Failed(json) => {
            let fits = json.len() <= HEARD_MAX_BYTES;
            shape["result_text"] = json!(fits.then(|| String::from_utf8_lossy(json)));
            shape["result_bytes"] = json!(json.len());
        }
        Outcome::Refused(code) => shape["code"] = json!(code.name()),
    }
    shape
}

/// An event as a notification's parameters; `None` for what clients need not know.
pub(super) fn heard(kernel: &Kernel, heard: &Heard) -> Option<Value> {
    let event = match heard {
        Heard::Lagged(missed) => return Some(json!({ "kind": "lagged", "missed": missed })),
        Heard::Event(event) => event.as_ref(),
    };
    Some(match event {
        Event::Changed { header: new, from } => {
            let shown = match kernel.get(new.key()) {
                Ok(Some(found)) => object(kernel, &found),
                _ => header(new),
            };
            json!({ "kind": "changed", "object": shown, "from": from.map(|from| from.to_string()) })
        }
        Event::Moved { key, to } => {
            json!({ "kind": "moved", "key": names::key_text(key), "to": to.to_string() })
        }
        Event::MovedIn { key, from } => {
            json!({ "kind": "moved-in", "key": names::key_text(key), "from": from.to_string() })
        }
        Event::Dropped { key } => json!({ "kind": "dropped", "key": names::key_text(key) }),
        Event::Delivered { peer, key, answer } => {
            let (answer, refused) = match answer {
                ShareAnswer::Stored => ("stored", None),
                ShareAnswer::Known => ("known", None),
                ShareAnswer::Conflict => ("conflict", None),
                ShareAnswer::Refused(why) => ("refused", Some(why.name())),
            };
            json!({ "kind": "delivered", "peer": peer.to_string(), "key": names::key_text(key), "answer": answer,
                "code": refused })
        }
        Event::FollowDenied { peer, key } => {
            json!({ "kind": "follow-denied", "peer": peer.to_string(), "key": names::key_text(key) })
        }
        Event::Quarantined { by } => json!({ "kind": "quarantined", "peer": by.to_string() }),
        Event::Came { peer, invite, petname, says } => json!({
            "kind": "came", "peer": peer.to_string(), "invite": super::invites::id(invite),
            "petname": petname, "says": says,
        }),
        Event::Connected { peer, clock_ahead_ms, .. } => json!({
            "kind": "connected", "peer": peer.to_string(), "clock_ahead_ms": clock_ahead_ms,
        }),
        Event::Disconnected { peer, reason } => {
            json!({ "kind": "disconnected", "peer": peer.to_string(), "reason": reason })
        }
        Event::Acted { key, id, outcome } => came("acted", key, id, outcome),
        Event::Outcome { key, id, outcome } => came("outcome", key, id, outcome),
        // What an object may publish is bounded where it does.
        Event::Published { key, name, data } => json!({
            "kind": "published", "key": names::key_text(key), "name": name,
            "data_text": String::from_utf8_lossy(data),
        }),
        Event::Parked { origin, key, reason } => json!({
            "kind": "parked", "origin": origin.map(|origin| origin.to_string()),
            "key": key.as_ref().map(names::key_text), "reason": reason,
        }),
        Event::LaneForked { peer, key, sequence } => json!({
            "kind": "lane-forked", "peer": peer.to_string(), "key": names::key_text(key), "sequence": sequence,
        }),
        _ => return None,
    })
}
