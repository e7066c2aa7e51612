//! From what the engine and the store have to the shapes of the contract.

use once_core::object::HeadRow;
use once_model::header::Header;
use once_model::ids::Uuid;
use once_model::scenario::{self, Scenario};

use super::contract::{ActionInfo, ActionStatus, ChangeKind, DoneInfo, Identity, ObjectInfo};
use super::names;
use crate::{ActionResult, Change, Kernel, Object};

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
        state: object.state(),
        home: object.home().map(|home| home.to_string()),
        home_name: object.home().map(|home| names::name_of(kernel, &home)),
        from: object.from().map(|from| from.to_string()),
        stored_ms: object.row.stored_ms,
        conflicts: object.conflicts(),
        conflicts_dropped: object.row.conflicts_dropped,
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
