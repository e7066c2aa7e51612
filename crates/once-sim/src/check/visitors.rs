//! Who is no peer, and comes for single objects, or is gone to for them (`docs/protocol.md`, 5.6, *Visitors*).

use std::collections::{BTreeMap, BTreeSet};

use once_core::access::{Grant, Scope};
use once_core::act::SendingRow;
use once_core::chores::Chore;
use once_core::peers::{PeerRow, PeerStatus};
use once_core::store::{Read, Table};
use once_core::waist::{Answer, Command};
use once_core::{Refusal, txn};
use once_model::ids::{KernelId, ObjectKey};

use super::group::Allowed;
use super::shadow::{Leaving, Shadow, scan};
use super::{Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::{Changed, Disk};

/// Those of a kernel that are no peers, by what they are.
pub(super) type Visitors = BTreeMap<KernelId, PeerStatus>;

fn in_row(value: Option<&bytes::Bytes>) -> Option<PeerStatus> {
    let row: PeerRow = txn::decode(Table::Peer, value?).ok()?;
    row.is_for_objects().then_some(row.status)
}

pub(super) fn on(disk: &dyn Read) -> Visitors {
    let one = |key: &[u8], value: &bytes::Bytes| Some((KernelId::from_slice(key)?, in_row(Some(value))?));
    scan(disk, Table::Peer, one).into_iter().collect()
}

/// How much each of them might store if it were a peer.
pub(super) fn quotas_on(disk: &dyn Read) -> BTreeMap<KernelId, u64> {
    let one = |key: &[u8], value: &bytes::Bytes| {
        let row: PeerRow = txn::decode(Table::Peer, value).ok()?;
        row.is_for_objects().then_some((KernelId::from_slice(key)?, row.quota_bytes))
    };
    scan(disk, Table::Peer, one).into_iter().collect()
}

/// Whom people removed, as a disk has it.
pub(super) fn removed_on(disk: &dyn Read) -> BTreeSet<KernelId> {
    scan(disk, Table::Removed, |key, _| KernelId::from_slice(key)).into_iter().collect()
}

fn peers_changed<'a>(group: &'a Group<'_>) -> impl Iterator<Item = (KernelId, &'a Changed)> {
    let rows = group.changed().filter(|row| row.table == Table::Peer);
    rows.filter_map(|row| Some((KernelId::from_slice(&row.key)?, row)))
}

/// Before a group is looked at: who is one at any time of it, and whose visit ends in it.
pub(super) fn begin(shadow: &mut Shadow, group: &Group<'_>, allowed: &mut Allowed) {
    for (kernel, row) in peers_changed(group) {
        let (before, after) = (in_row(row.before.as_ref()), in_row(row.after.as_ref()));
        shadow.rights.visitors.extend(after.or(before).map(|status| (kernel, status)));
        if before.is_some() && row.after.is_none() {
            allowed.removed.insert(kernel);
            shadow.rights.visitor_quotas.remove(&kernel);
        }
    }
}

/// What people decide about who is removed, and about who is no peer.
pub(super) fn commanded(
    shadow: &mut Shadow,
    command: &Command,
    reply: Option<&Result<Answer, Refusal>>,
    cover: &mut Coverage,
) -> Result<(), String> {
    let done = matches!(reply, Some(Ok(_)));
    match command {
        Command::RemovePeer { peer } if !matches!(reply, Some(Err(_))) => {
            shadow.rights.removed.insert(*peer);
        }
        Command::AddPeer { peer, .. } if done => {
            shadow.rights.removed.remove(peer);
        }
        Command::Grant(grant) if done && !matches!(grant.scope, Scope::Object(_)) => {
            let is_visitor = shadow.rights.visitors.contains_key(&grant.kernel)
                && !shadow.rights.peers.contains_key(&grant.kernel);
            if is_visitor {
                return Err(format!("gives a right to {:.10}, which only visits: {grant:?}", grant.kernel));
            }
        }
        Command::Grant(_) if matches!(reply, Some(Err(Refusal::OnlyForObjects(_)))) => {
            cover.met("state right beyond objects refused to a visitor");
        }
        _ => {}
    }
    Ok(())
}

/// Whether one that is no peer may come in: it has a right on an object here, or had when the group began, or is to hear of one.
pub(super) fn may_come(shadow: &Shadow, group: &Group<'_>, allowed: &Allowed, kernel: &KernelId) -> bool {
    match shadow.rights.visitors.get(kernel) {
        Some(PeerStatus::Host) => true,
        Some(_) => {
            let before = allowed.before.as_ref().unwrap_or(&shadow.rights);
            let has = |rights: &super::shadow::Rights| rights.grants.any_on_objects(kernel, group.now_ms);
            has(&shadow.rights) || has(before) || hears(group, kernel)
        }
        None => false,
    }
}

/// Whether there is news for a kernel, or may be soon.
fn hears(group: &Group<'_>, kernel: &KernelId) -> bool {
    let is_news = |row: &Changed| row.table == Table::News && row.key.starts_with(kernel.as_bytes());
    hears_on(group.store, kernel) || group.changed().any(is_news)
}

fn hears_on(disk: &Disk, kernel: &KernelId) -> bool {
    let news = scan(disk, Table::News, |key, _| key.starts_with(kernel.as_bytes()).then_some(()));
    let visits: BTreeSet<_> = visits_on(disk, kernel).into_iter().collect();
    let owes = scan(disk, Table::Chore, |key, _| match Chore::from_row(key)? {
        Chore::OweNews(key) => visits.contains(&key).then_some(()),
        _ => None,
    });
    !news.is_empty() || !owes.is_empty()
}

fn visits_on(disk: &Disk, kernel: &KernelId) -> Vec<ObjectKey> {
    scan(disk, Table::Visit, |key, _| ObjectKey::from_row(key.strip_prefix(kernel.as_bytes().as_slice())?))
}

/// An object has moved in with this right on it: its holder is let in, unless people removed it.
fn let_in(shadow: &Shadow, group: &Group<'_>, grant: &Grant, cover: &mut Coverage) -> Option<String> {
    let Scope::Object(key) = &grant.scope else { return None };
    let kernel = grant.kernel;
    if kernel == group.kernel || shadow.rights.peers.contains_key(&kernel) {
        return None;
    }
    if shadow.rights.removed.contains(&kernel) || Leaving::of(group.store).peers.contains(&kernel) {
        cover.met("state right of a removed kernel moved in");
        return None;
    }
    let place = [kernel.as_bytes().as_slice(), &key.to_row()].concat();
    if matches!(group.store.get(Table::Visit, &place), Ok(Some(_))) {
        cover.met("state visitor let in");
        return None;
    }
    let has_room = scan(group.store, Table::Peer, |_, _| Some(())).len() < shadow.limits.peers / 2;
    has_room.then(|| format!("does not let in {kernel:.10}, which has a right on {key}"))
}

/// After a group: who has come for what came, and whose visit is over.
pub(super) fn came(shadow: &mut Shadow, group: &Group<'_>, allowed: &Allowed, cover: &mut Coverage) -> Wrong {
    let mut wrong = Vec::new();
    end(shadow, group, &mut wrong, cover);
    // With its last right a visit ends in the same commit.
    let is_taken = |row: &Changed| row.table == Table::Grant && row.after.is_none();
    if group.changed().any(is_taken) && !Leaving::of(group.store).all {
        wrong.extend(lingers(group.store, group.now_ms).map(|what| (7, what)));
    }
    let missing = allowed.came_with.iter().filter_map(|grant| let_in(shadow, group, grant, cover));
    wrong.extend(missing.map(|what| (10, what)));
    wrong
}

/// Nobody has come in as a visitor without a reason.
fn end(shadow: &mut Shadow, group: &Group<'_>, wrong: &mut Wrong, cover: &mut Coverage) {
    for (kernel, row) in peers_changed(group) {
        let (before, after) = (in_row(row.before.as_ref()), in_row(row.after.as_ref()));
        if before.is_some() && row.after.is_none() && !shadow.rights.removed.contains(&kernel) {
            cover.met("state visit over");
            shadow.forget(&kernel);
        }
        let is_new = before != after && row.before.is_none();
        match after {
            Some(PeerStatus::Visitor) if is_new => {
                if shadow.rights.removed.contains(&kernel) {
                    wrong.push((7, format!("lets in {kernel:.10}, which was removed")));
                } else if !shadow.rights.grants.any_on_objects(&kernel, group.now_ms) {
                    wrong.push((7, format!("lets in {kernel:.10}, which has no right on any object")));
                }
            }
            Some(PeerStatus::Host) if is_new => {
                cover.met("state host gone to");
                if shadow.rights.removed.contains(&kernel) {
                    wrong.push((7, format!("goes to {kernel:.10}, which was removed")));
                } else if !has_to_do(group.store, &kernel) {
                    wrong.push((7, format!("goes to {kernel:.10}, with which it has nothing to do")));
                }
            }
            _ => {}
        }
        match after {
            Some(status) => drop(shadow.rights.visitors.insert(kernel, status)),
            None => drop(shadow.rights.visitors.remove(&kernel)),
        }
    }
}

/// Whether a lane or a subscription leads to a kernel.
fn has_to_do(disk: &Disk, kernel: &KernelId) -> bool {
    let lanes = scan(disk, Table::Sending, |_, value| {
        let lane: SendingRow = txn::decode(Table::Sending, value).ok()?;
        (lane.home == *kernel).then_some(())
    });
    let follows = |key: &[u8]| key.starts_with(kernel.as_bytes()).then_some(());
    !lanes.is_empty() || !scan(disk, Table::Subscription, |key, _| follows(key)).is_empty()
}

/// After everything has healed: nobody visits without a reason any more.
pub(crate) fn lingers(disk: &Disk, now_ms: u64) -> Option<String> {
    let grants = super::access::Grants::of(disk);
    let visitors = on(disk).into_iter().filter(|(_, status)| *status == PeerStatus::Visitor);
    let mut lingers = visitors
        .map(|(kernel, _)| kernel)
        .filter(|kernel| !grants.any_on_objects(kernel, now_ms) && !hears_on(disk, kernel));
    lingers.next().map(|kernel| format!("still lets in {kernel:.10}, which has no right on any object"))
}
