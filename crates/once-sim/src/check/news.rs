//! Who has to do with an object that moves: the names go along, and each of them hears where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use once_core::act::{LaneId, SendingRow};
use once_core::store::{Read, Table, scan_prefix};
use once_core::waist::{Effect, Event};
use once_core::{object, peers, txn};
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::ACQUAINTANCES_MAX;
use once_model::moving::Luggage;

use super::moving::{Moves, names};
use super::{Group, Wrong};
use crate::disk::Disk;

/// By whom, of which object, to whom.
type Debt = (KernelId, ObjectKey, KernelId);

/// Who is to hear from whom where an object is: at least as many certificates as there were when it came or went there. Of what
/// happens to it later it hears from the homes of then.
#[derive(Debug, Default)]
pub(crate) struct News {
    owed: BTreeMap<Debt, usize>,
}

impl News {
    /// Objects that have come or gone: their home and their former home owe it to those of their acquaintances that are peers.
    pub(super) fn owed(&mut self, group: &Group<'_>, moves: &Moves) {
        for (effect, _) in group.effects {
            let (key, knows, named) = match effect {
                Effect::Event(Event::Moved { key, to }) => (key, to, left(group, key)),
                Effect::Event(Event::MovedIn { key, from }) => (key, from, known(group.store, key)),
                _ => continue,
            };
            let is_owed = |kernel: &KernelId| {
                kernel != knows
                    && *kernel != group.kernel
                    && matches!(peers::peer(group.store, kernel), Ok(Some(_)))
            };
            let chain = key.lineage().and_then(|lineage| object::chain(group.store, &lineage).ok().flatten());
            let links = chain.map_or(0, |chain| chain.links.len());
            let named = named.into_iter().filter(is_owed);
            self.owed.extend(named.map(|kernel| ((group.kernel, *key, kernel), links)));
        }
        for row in group.changed().filter(|row| row.table == Table::Peer && row.after.is_none()) {
            self.owed.retain(|(by, _, to), _| *by != group.kernel || to.as_bytes().as_slice() != row.key);
        }
        self.owed.retain(|(by, ..), _| !moves.put_back.contains(by));
    }

    /// Who answers, and has nothing to do with the object, believes nothing: whatever comes to know of it later, this news is over.
    pub(super) fn heard(&mut self, group: &Group<'_>, by: KernelId, key: &ObjectKey) {
        let Some(lineage) = key.lineage() else { return };
        if matches!(object::chain(group.store, &lineage), Ok(None)) {
            self.owed.remove(&(by, *key, group.kernel));
        }
    }

    /// All of it, also what was heard since.
    pub fn all(&self) -> impl Iterator<Item = (&Debt, usize)> {
        self.owed.iter().map(|(debt, links)| (debt, *links))
    }
}

/// Whom the luggage of an object names that has left just now.
fn left(group: &Group<'_>, key: &ObjectKey) -> Vec<KernelId> {
    let place = key.to_row();
    let mut rows = group.changed().filter(|row| row.table == Table::Luggage && row.key == place);
    let luggage = rows.find_map(|row| Luggage::unpack(row.before.as_ref()?).ok()).unwrap_or_default();
    luggage.acquaintances.into_iter().map(|known| known.kernel).collect()
}

/// Whom a kernel knows to have to do with an object.
fn known(store: &Disk, key: &ObjectKey) -> Vec<KernelId> {
    let mut found = Vec::new();
    let _ = scan_prefix(store, Table::Acquaintance, &key.to_row(), &mut |row, _| {
        found.extend(row.get(ObjectKey::ROW_LEN..).and_then(KernelId::from_slice));
        ControlFlow::Continue(())
    });
    found
}

/// What a kernel does not know of an object that another one has told it.
pub(crate) fn missed((by, links): (&Disk, usize), to: &Disk, key: &ObjectKey) -> Option<String> {
    let lineage = key.lineage()?;
    let mut chain = object::chain(by, &lineage).ok()??;
    chain.links.truncate(links);
    let there = object::chain(to, &lineage).ok()?;
    if there.as_ref().is_some_and(|there| there.links.len() < chain.links.len()) {
        return Some(format!("has not heard of all moves of {key}"));
    }
    let former = |home: &KernelId| {
        *home != chain.home()
            && (chain.genesis.home == *home || chain.links.iter().any(|link| link.home == *home))
    };
    let mut astray = false;
    for name in names(key, &chain) {
        let _ = scan_prefix(to, Table::Sending, &name.to_row(), &mut |row, value| {
            let lane = txn::decode::<SendingRow>(Table::Sending, &value).ok();
            astray |= there.is_none()
                && LaneId::from_row(row).is_some()
                && lane.is_some_and(|lane| former(&lane.home));
            ControlFlow::Continue(())
        });
    }
    astray.then(|| format!("has a lane to a former home of {key}"))
}

/// An object is sealed: its luggage names everybody who has a lane to it, a right to it, or follows it.
pub(super) fn packed(key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    let rights = luggage.grants.iter().map(|grant| grant.kernel);
    let lanes = luggage.lanes.iter().map(|lane| lane.origin);
    let today: BTreeSet<_> = rights.chain(lanes).chain(luggage.followers.iter().copied()).collect();
    let named: BTreeSet<_> = luggage.acquaintances.iter().map(|known| known.kernel).collect();
    if let Some(missing) = today.difference(&named).next().filter(|_| named.len() < ACQUAINTANCES_MAX) {
        wrong.push((10, format!("hands {key} over without the name of {missing:.10}")));
    }
}

/// It has moved in: the names are here.
pub(super) fn put_down(group: &Group<'_>, key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    let others = luggage.acquaintances.iter().filter(|known| known.kernel != group.kernel);
    for known in others {
        let row = [key.to_row().as_slice(), known.kernel.as_bytes()].concat();
        if !matches!(group.store.get(Table::Acquaintance, &row), Ok(Some(_))) {
            wrong.push((
                10,
                format!("forgets that {:.10} has to do with {key}, which moved in", known.kernel),
            ));
        }
    }
}

/// A replica that names another home than the newest certificate that is known there.
pub(crate) fn names_a_former_home(kernel: &KernelId, disk: &Disk) -> Option<String> {
    let mut wrong = None;
    let _ = object::heads(disk, &mut |head| {
        let chain = head.header.lineage.and_then(|lineage| object::chain(disk, &lineage).ok().flatten());
        let known = chain.map(|chain| chain.home()).filter(|home| home != kernel);
        if let (Some(known), Some(home)) = (known, head.home)
            && home != known
            && home != *kernel
        {
            wrong =
                Some(format!("has {} at {home:.10}, and knows that it is at {known:.10}", head.header.key()));
        }
        if wrong.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    wrong
}
