//! Rights and peers: what a kernel has granted, as grants and revocations alone make it, and what is on its disk.

use std::collections::{BTreeMap, BTreeSet};

use once_core::Refusal;
use once_core::access::{Grant, Right, Scope};
use once_core::store::{Read, Table};
use once_core::waist::{Answer, Command, Input};
use once_model::ids::{KernelId, ObjectKey};

use super::group::claimed_as;
use super::shadow::{Leaving, peers_of, scan};
use super::{Checker, Group, Shadow, Wrong};
use crate::disk::{Changed, Commit};

/// Who has a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grantee {
    Kernel(KernelId),
    Object(ObjectKey),
}

impl Grantee {
    pub(super) fn of(grant: &Grant) -> Self {
        grant.object.map_or(Self::Kernel(grant.kernel), Self::Object)
    }
}

/// One action of a grant, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    expires_ms: Option<u64>,
    /// Its time was over in some group.
    ended: bool,
}

impl Part {
    fn holds(&self, now_ms: u64) -> bool {
        !self.ended && self.expires_ms.is_none_or(|end| now_ms < end)
    }

    /// Whether it ends after the other one.
    fn outlasts(&self, other: &Self) -> bool {
        match (self.expires_ms, other.expires_ms) {
            (Some(end), Some(other)) => end > other,
            (end, other) => end.is_none() && other.is_some(),
        }
    }
}

/// By action; every action without a name.
type Parts = BTreeMap<Option<String>, Part>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Granted {
    /// Of an object that has it: its home, as was said last.
    home: Option<KernelId>,
    parts: Parts,
}

impl Granted {
    /// What is granted beside it ends at the later of both times.
    fn add(&mut self, action: Option<String>, new: Part, now_ms: u64) {
        match self.parts.get_mut(&action) {
            Some(old) if old.holds(now_ms) && !(new.holds(now_ms) && new.outlasts(old)) => {}
            Some(old) => *old = new,
            None => drop(self.parts.insert(action, new)),
        }
    }

    /// What every action may do as long is not said of single ones.
    fn shorten(&mut self, now_ms: u64) {
        if let Some(whole) = self.parts.get(&None).copied().filter(|whole| whole.holds(now_ms)) {
            self.parts
                .retain(|action, part| action.is_none() || (part.holds(now_ms) && part.outlasts(&whole)));
        }
    }
}

pub(super) type Place = (Scope, Right, Grantee);

/// All grants of one kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Grants(BTreeMap<Place, Granted>);

impl Grants {
    /// Those that are on a disk, and that nothing takes away just now.
    pub fn of(rows: &dyn Read) -> Self {
        let leaving = Leaving::of(rows);
        let mut grants = Self::default();
        if leaving.all {
            return grants;
        }
        let read = |key: &[u8], value: &bytes::Bytes| Grant::list(key, value).ok();
        for listed in scan(rows, Table::Grant, read).into_iter().flatten() {
            let grant = listed.grant;
            if leaving.peers.contains(&grant.kernel) {
                continue;
            }
            let part = Part { expires_ms: grant.expires_ms, ended: listed.ended };
            let row = grants.row(&grant);
            match grant.actions {
                None => drop(row.parts.insert(None, part)),
                Some(names) => row.parts.extend(names.into_iter().map(|name| (Some(name), part))),
            }
        }
        grants
    }

    fn row(&mut self, grant: &Grant) -> &mut Granted {
        let row = self.0.entry((grant.scope.clone(), grant.right, Grantee::of(grant))).or_default();
        row.home = grant.object.map(|_| grant.kernel);
        row
    }

    pub fn give(&mut self, grant: &Grant, now_ms: u64) {
        let new = Part { expires_ms: grant.expires_ms, ended: false };
        let names = match &grant.actions {
            None => vec![None],
            Some(names) => names.iter().cloned().map(Some).collect(),
        };
        let row = self.row(grant);
        names.into_iter().for_each(|name| row.add(name, new, now_ms));
        row.shorten(now_ms);
    }

    /// A new peer may share, for good.
    pub fn welcome(&mut self, kernel: KernelId, now_ms: u64) {
        self.give(&crate::workload::forever(Scope::Kernel, Right::Share, kernel), now_ms);
    }

    /// Some actions are taken back, or the whole of it.
    pub fn take(&mut self, grant: &Grant) {
        let place = (grant.scope.clone(), grant.right, Grantee::of(grant));
        let Some(row) = self.0.get_mut(&place) else { return };
        match &grant.actions {
            None => row.parts.clear(),
            Some(names) => {
                row.parts.retain(|action, _| action.as_ref().is_none_or(|name| !names.contains(name)));
            }
        }
        if row.parts.is_empty() {
            self.0.remove(&place);
        }
    }

    /// A kernel is no peer any more: it has none, nor have its objects.
    pub fn forget(&mut self, peer: &KernelId) {
        self.0.retain(|(_, _, to), row| *to != Grantee::Kernel(*peer) && row.home != Some(*peer));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// An unclaimed object has another name now: what was granted on it goes along, beside what is granted there.
    pub fn became(&mut self, old: ObjectKey, new: ObjectKey, now_ms: u64) {
        let is_of = |place: &&Place| place.0 == Scope::Object(old);
        let moved: Vec<_> = self.0.keys().filter(is_of).cloned().collect();
        for place in moved {
            let Some(row) = self.0.remove(&place) else { continue };
            let (_, right, to) = place;
            let there = self.0.entry((Scope::Object(new), right, to)).or_default();
            there.home = there.home.or(row.home);
            row.parts.into_iter().for_each(|(action, part)| there.add(action, part, now_ms));
            there.shorten(now_ms);
        }
    }

    /// An object has left: what was granted on it went along.
    pub fn leave(&mut self, key: &ObjectKey) {
        self.0.retain(|(scope, ..), _| *scope != Scope::Object(*key));
    }

    /// What is granted on an object, in force, and not among these.
    pub fn not_in(
        &self,
        (key, without): (&ObjectKey, Option<Grantee>),
        packed: &[Grant],
        now_ms: u64,
    ) -> Option<String> {
        let on = self.0.iter().filter(|((scope, ..), _)| *scope == Scope::Object(*key));
        on.flat_map(|((_, right, to), row)| {
            row.parts.iter().map(move |(action, part)| (right, to, action, part))
        })
        // The other rights mean nothing on one object.
        .filter(|(right, to, _, part)| {
            matches!(right, Right::Read | Right::Act) && part.holds(now_ms) && Some(**to) != without
        })
        .find(|(right, to, action, part)| {
            !packed.iter().any(|grant| {
                let names = grant.actions.as_deref();
                let is_it = match action {
                    None => names.is_none(),
                    Some(name) => names.is_some_and(|names| names.contains(name)),
                };
                (grant.right, Grantee::of(grant), grant.expires_ms) == (**right, **to, part.expires_ms)
                    && is_it
            })
        })
        .map(|found| format!("{found:?}"))
    }

    /// What is over by now stays over.
    pub fn end(&mut self, now_ms: u64) {
        for part in self.0.values_mut().flat_map(|row| row.parts.values_mut()) {
            part.ended |= part.expires_ms.is_some_and(|end| end <= now_ms);
        }
    }

    /// Whether the time of any is over.
    pub fn any_ended(&self) -> bool {
        self.0.values().any(|row| row.parts.values().any(|part| part.ended))
    }

    /// What is not marked yet on the disk is not over for good.
    pub fn take_marks(&mut self, stored: &Self) {
        for (place, row) in &mut self.0 {
            let Some(stored) = stored.0.get(place) else { continue };
            for (action, part) in &mut row.parts {
                let marked = stored.parts.get(action).filter(|stored| stored.expires_ms == part.expires_ms);
                part.ended &= marked.is_none_or(|stored| stored.ended);
            }
        }
    }

    /// What was over when it was given is marked by the next step, which may be in the same group.
    pub fn adopt_marks(&mut self, stored: &Self, now_ms: u64) {
        for (place, row) in &mut self.0 {
            let Some(stored) = stored.0.get(place) else { continue };
            for (action, part) in &mut row.parts {
                let marked = stored.parts.get(action).is_some_and(|stored| stored.ended);
                part.ended |= marked && part.expires_ms.is_some_and(|end| end <= now_ms);
            }
        }
    }

    /// Whether there is one that is in force.
    pub fn hold(&self, scope: Scope, right: Right, kernel: &KernelId, now_ms: u64) -> bool {
        let row = self.0.get(&(scope, right, Grantee::Kernel(*kernel)));
        row.and_then(|row| row.parts.get(&None)).is_some_and(|part| part.holds(now_ms))
    }

    /// Whether a kernel, or an object of it, has any right on a single object.
    pub fn any_on_objects(&self, kernel: &KernelId, now_ms: u64) -> bool {
        self.0.iter().any(|((scope, _, to), row)| {
            let is_its = *to == Grantee::Kernel(*kernel) || row.home == Some(*kernel);
            matches!(scope, Scope::Object(_)) && is_its && row.parts.values().any(|part| part.holds(now_ms))
        })
    }

    /// Those that are other here than there, or not there.
    pub fn beyond<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Place, &'a Granted, Option<&'a Granted>)> {
        let both = self.0.iter().map(|(place, row)| (place, row, other.0.get(place)));
        both.filter(|(_, row, other)| other.is_none_or(|other| !row.is_as(other)))
    }

    /// Those of which nothing is there.
    pub fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Place> {
        self.0.keys().filter(|place| !other.0.contains_key(place))
    }
}

/// Every right to act that was ever given: what was done while it held may be told later.
#[derive(Debug, Clone, Default)]
pub(super) struct Acted(BTreeSet<(Grantee, Scope, Option<String>)>);

impl Granted {
    /// Whether it is the same, but for what is over and not marked so yet.
    fn is_as(&self, other: &Self) -> bool {
        let part = |(action, part): (&Option<String>, &Part)| {
            let known = other.parts.get(action);
            known.is_some_and(|known| {
                known.expires_ms == part.expires_ms && (known.ended == part.ended || known.ended)
            })
        };
        self.home == other.home && self.parts.len() == other.parts.len() && self.parts.iter().all(part)
    }
}

impl Acted {
    pub fn add(&mut self, grants: &Grants) {
        for ((scope, right, to), row) in &grants.0 {
            if *right == Right::Act {
                self.0.extend(row.parts.keys().map(|action| (*to, scope.clone(), action.clone())));
            }
        }
    }

    /// Whether somebody could do anything at any time to an object of a component.
    pub fn ever(&self, who: Grantee, objects: &[ObjectKey], component: &str) -> bool {
        self.0.iter().any(|(to, scope, _)| {
            let on = match scope {
                Scope::Kernel => true,
                Scope::Component(name) => name == component,
                Scope::Object(key) => objects.contains(key),
            };
            on && *to == who
        })
    }

    /// Whether somebody could do this at any time, to what is one of these objects and components.
    pub fn could(&self, who: Grantee, action: &str, objects: &[ObjectKey], components: &[String]) -> bool {
        self.0.iter().any(|(to, scope, name)| {
            let on = match scope {
                Scope::Kernel => true,
                Scope::Component(name) => components.contains(name),
                Scope::Object(key) => objects.contains(key),
            };
            on && *to == who && name.as_ref().is_none_or(|name| name == action)
        })
    }
}

/// Whether rights are given or taken back on a copy that becomes another object in the same group.
fn granted_at_a_claim(group: &Group<'_>, commit: &Commit) -> bool {
    let is_claimed = |key: &ObjectKey| {
        let mut claimed = commit.rows.iter().filter(|row| row.table == Table::Genesis);
        key.lineage().is_none() && claimed.any(|row| row.key.starts_with(key.uuid.as_bytes()))
    };
    group.inputs.iter().any(|input| match input {
        Input::Command { command: Command::Grant(grant) | Command::Revoke(grant), .. } => {
            matches!(&grant.scope, Scope::Object(key) if is_claimed(key))
        }
        _ => false,
    })
}

/// A grant on a copy that was claimed is one on the object that it has become.
fn as_it_is_called(group: &Group<'_>, grant: &Grant) -> Grant {
    let called = match &grant.scope {
        Scope::Object(key) if !matches!(once_core::object::head(group.store, key), Ok(Some(_))) => {
            claimed_as(group, key)
        }
        _ => None,
    };
    Grant { scope: called.map_or_else(|| grant.scope.clone(), Scope::Object), ..grant.clone() }
}

/// A client gives a right, or takes one back: that holds at once, and its client may be answered later.
pub(super) fn commanded(
    shadow: &mut Shadow,
    group: &Group<'_>,
    command: &Command,
    reply: Option<&Result<Answer, Refusal>>,
) {
    let grants = &mut shadow.rights.grants;
    match (command, reply) {
        (Command::Grant(grant), Some(Ok(_))) => {
            grants.give(&as_it_is_called(group, grant), group.now_ms);
            shadow.acted.add(grants);
        }
        (Command::Revoke(grant), None | Some(Ok(_))) => {
            grants.take(grant);
            grants.take(&as_it_is_called(group, grant));
        }
        _ => {}
    }
}

/// A new life begins without the grants and invites of the one before.
pub(super) fn life_begun(group: &Group<'_>, commit: &Commit, wrong: &mut Wrong) {
    let ends = |row: &&Changed| row.table == Table::Chore && row.key == [4] && row.after.is_none();
    if !commit.rows.iter().any(|row| ends(&row)) {
        return;
    }
    for table in [Table::Invite, Table::Grant, Table::Follower] {
        let is_new = |key: &[u8]| commit.rows.iter().any(|row| row.table == table && row.key == key);
        let left = scan(group.store, table, |key, _| (!is_new(key)).then_some(()));
        if !left.is_empty() {
            wrong.push((7, format!("begins a new life with {} rows of {table:?}", left.len())));
        }
    }
}

impl Checker {
    /// The rights on the disk are those that commands and admissions gave.
    pub(super) fn rights(&mut self, group: &Group<'_>, commit: &Commit, wrong: &mut Wrong) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        if commit.rows.iter().any(|row| row.table == Table::Grant) {
            let stored = Grants::of(group.store);
            // Of a claim and a grant by the old name in one group, which came first is not seen here.
            if granted_at_a_claim(group, commit) {
                shadow.rights.grants = stored.clone();
            }
            shadow.rights.grants.adopt_marks(&stored, group.now_ms);
            for grant in stored.beyond(&shadow.rights.grants) {
                let what = format!("has a grant that nobody gave, or that was taken back: {grant:?}");
                wrong.push((7, what));
            }
            for grant in shadow.rights.grants.missing_in(&stored) {
                wrong.push((4, format!("lost a grant: {grant:?}")));
            }
        }
        if commit.rows.iter().any(|row| row.table == Table::Peer) {
            let stored = peers_of(group.store);
            if stored != shadow.rights.peers {
                let what = format!("has the peers {stored:?} instead of {:?}", shadow.rights.peers);
                wrong.push((7, what));
            }
        }
    }
}
