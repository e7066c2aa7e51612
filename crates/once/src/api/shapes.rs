//! From what the engine and the store have to the shapes of the contract.

use once_core::object::HeadRow;
use once_core::waist;
use once_model::action;
use once_model::header::Header;
use once_model::ids::{ObjectKey, Uuid};
use once_model::scenario::{self, Scenario};
use once_model::wire::ShareAnswer;

use super::contract::{
    ActionInfo, ActionStatus, ChangeKind, DeliveryAnswer, DoneInfo, Event, Identity, ObjectInfo, ObjectState,
    OutcomeEvent, ResultEvent,
};
use super::{invites, names};
use crate::{ActionResult, Change, Heard, Kernel, Object, State};

pub(super) fn object(kernel: &Kernel, object: &Object) -> ObjectInfo {
    let at = if object.home() == Some(kernel.id()) { kernel.addresses() } else { Vec::new() };
    let header = &object.row.header;
    ObjectInfo {
        uuid: header.uuid.to_string(),
        key: names::key_text(&header.key()),
        ior: object.ior(&at).as_str().to_owned(),
        component: header.component.clone(),
        version: header.version.clone(),
        name: None,
        lineage: header.lineage.map(|lineage| lineage.to_string()),
        epoch: header.epoch,
        revision: header.revision,
        revision_id: header.id().to_string(),
        hash: header.content.to_string(),
        size: header.size,
        tombstone: header.tombstone,
        state: state(object.state()),
        home: object.home().map(|home| home.to_string()),
        home_name: object.home().map(|home| names::name_of(kernel, &home)),
        from: object.from().map(|from| from.to_string()),
        stored_ms: object.row.stored_ms,
        conflicts: object.row.conflicts_dropped,
    }
}

const fn state(state: State) -> ObjectState {
    match state {
        State::Home => ObjectState::Home,
        State::Replica => ObjectState::Replica,
        State::Unclaimed => ObjectState::Unclaimed,
    }
}

/// An object whose scenario was read.
pub(super) fn named_object(kernel: &Kernel, shown: &Object, scenario: &Scenario) -> ObjectInfo {
    ObjectInfo { name: scenario.name().map(Into::into), ..object(kernel, shown) }
}

/// An object of which nothing but this revision is known here.
pub(super) fn bare_row(
    header: Header,
    home: Option<crate::KernelId>,
    from: Option<crate::KernelId>,
) -> HeadRow {
    HeadRow {
        header,
        home,
        from,
        charged: false,
        stored_ms: 0,
        conflicts_dropped: 0,
        proven: false,
        replaced: None,
        tip: None,
        guest: None,
    }
}

pub(super) const fn change(change: Change) -> ChangeKind {
    match change {
        Change::New => ChangeKind::New,
        Change::Same => ChangeKind::Same,
        // That it was claimed by it is a member of its own.
        Change::Changed | Change::ClaimedAndChanged => ChangeKind::Changed,
        Change::KeptBeside => ChangeKind::KeptBeside,
        Change::Resolved => ChangeKind::Resolved,
        Change::BesideTombstone => ChangeKind::BesideTombstone,
        Change::Beside => ChangeKind::Beside,
        Change::Claimed => ChangeKind::Claimed,
        Change::Removed => ChangeKind::Removed,
        Change::Dropped => ChangeKind::Dropped,
    }
}

pub(super) const fn identity(identity: scenario::Identity) -> Identity {
    match identity {
        scenario::Identity::Ior => Identity::Ior,
        scenario::Identity::Model => Identity::Model,
        scenario::Identity::TopLevel => Identity::TopLevel,
        scenario::Identity::Derived => Identity::Derived,
        _ => Identity::Other,
    }
}

/// An action that is done.
pub(super) fn acted(acted: &ActionResult) -> ActionInfo {
    let result_text = String::from_utf8_lossy(&acted.result).into_owned();
    let done = DoneInfo {
        result: serde_json::from_str(&result_text).unwrap_or_default(),
        result_text,
        object: acted.after.map(|after| names::key_text(&after.key)),
        revision: acted.after.map(|after| after.revision.to_string()),
    };
    ActionInfo { done: Some(done), ..pending(acted.id, ActionStatus::Done) }
}

/// An action without an outcome to show.
pub(super) const fn pending(id: Uuid, status: ActionStatus) -> ActionInfo {
    ActionInfo { id, status, done: None, claimed: None, coordination: None }
}

/// Longest result in a notification, in bytes: a client that wants all of a longer one asks for the outcome.
const HEARD_MAX_BYTES: usize = 4 * 1024;

/// What came of an action, in a notification.
fn came(key: &ObjectKey, id: &Uuid, outcome: &action::Outcome) -> OutcomeEvent {
    let (result, code) = match outcome {
        action::Outcome::Done(json) | action::Outcome::Failed(json) => {
            let fits = json.len() <= HEARD_MAX_BYTES;
            let result_text = fits.then(|| String::from_utf8_lossy(json).into_owned());
            (Some(ResultEvent { result_text, result_bytes: json.len() }), None)
        }
        action::Outcome::Refused(code) => (None, Some(code.name().to_owned())),
    };
    OutcomeEvent { key: names::key_text(key), id: *id, status: outcome.word().to_owned(), result, code }
}

/// An event as a notification's parameters; `None` for what clients need not know.
pub(super) fn heard(kernel: &Kernel, heard: &Heard) -> Option<Event> {
    let event = match heard {
        Heard::Lagged(missed) => return Some(Event::Lagged { missed: *missed }),
        Heard::Event(event) => event.as_ref(),
    };
    let text = names::key_text;
    Some(match event {
        waist::Event::Changed { header, from } => {
            let shown = match kernel.get(header.key()) {
                Ok(Some(found)) => object(kernel, &found),
                // Gone since, or it cannot be read: then no more is known of it than this.
                _ => object(kernel, &Object::new(bare_row((**header).clone(), None, *from), kernel.id())),
            };
            Event::Changed { object: Box::new(shown), from: from.map(|from| from.to_string()) }
        }
        waist::Event::Moved { key, to } => Event::Moved { key: text(key), to: to.to_string() },
        waist::Event::MovedIn { key, from } => Event::MovedIn { key: text(key), from: from.to_string() },
        waist::Event::Dropped { key } => Event::Dropped { key: text(key) },
        waist::Event::Delivered { peer, key, answer } => delivered(peer.to_string(), text(key), answer),
        waist::Event::FollowDenied { peer, key } => {
            Event::FollowDenied { peer: peer.to_string(), key: text(key) }
        }
        waist::Event::Quarantined { by } => Event::Quarantined { peer: by.to_string() },
        waist::Event::Came { peer, invite, petname, says } => Event::Came {
            peer: peer.to_string(),
            invite: invites::id(invite),
            petname: petname.clone(),
            says: says.clone(),
        },
        waist::Event::Connected { peer, clock_ahead_ms, .. } => {
            Event::Connected { peer: peer.to_string(), clock_ahead_ms: *clock_ahead_ms }
        }
        waist::Event::Disconnected { peer, reason } => {
            Event::Disconnected { peer: peer.to_string(), reason: reason.clone() }
        }
        waist::Event::Acted { key, id, outcome } => Event::Acted(came(key, id, outcome)),
        waist::Event::Outcome { key, id, outcome } => Event::Outcome(came(key, id, outcome)),
        // What an object may publish is bounded where it does.
        waist::Event::Published { key, name, data } => Event::Published {
            key: text(key),
            name: name.clone(),
            data_text: String::from_utf8_lossy(data).into_owned(),
        },
        waist::Event::Parked { origin, key, reason } => Event::Parked {
            origin: origin.map(|origin| origin.to_string()),
            key: key.as_ref().map(text),
            reason: reason.clone(),
        },
        waist::Event::LaneForked { peer, key, sequence } => {
            Event::LaneForked { peer: peer.to_string(), key: text(key), sequence: *sequence }
        }
        _ => return None,
    })
}

fn delivered(peer: String, key: String, answer: &ShareAnswer) -> Event {
    let (answer, code) = match answer {
        ShareAnswer::Stored => (DeliveryAnswer::Stored, None),
        ShareAnswer::Known => (DeliveryAnswer::Known, None),
        ShareAnswer::Conflict => (DeliveryAnswer::Conflict, None),
        ShareAnswer::Refused(why) => (DeliveryAnswer::Refused, Some(why.name().to_owned())),
    };
    Event::Delivered { peer, key, answer, code }
}
