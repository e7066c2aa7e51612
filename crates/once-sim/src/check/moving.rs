//! Moving objects (`docs/protocol.md`, 5.6): one home at any time, none between the seal and the acceptance; what belongs to
//! an object goes along, and is at one of the two kernels only; each handoff has one wording and one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::access::{Grant, Right, Scope};
use once_core::act;
use once_core::moving::{HandedRow, LeavingRow, SealedRow};
use once_core::object;
use once_core::store::{Read, Table, scan_prefix};
use once_core::timer::TimerRow;
use once_core::txn;
use once_core::waist::{Effect, Input};
use once_model::certificate::{Certificate, CertificateKind, Chain};
use once_model::hash::content_hash;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::INLINE_MAX_BYTES;
use once_model::moving::{Handoff, Luggage, LuggageGrant, LuggageResult};
use once_model::wire::{Frame, ShareAnswer, Shared};

use super::group::Allowed;
use super::handing::came_in;
use super::left::{answered_in, asked_in, left_acts, left_in, told_of_calls};
use super::{Checker, Group, Wrong, ledger};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit, Disk};

/// What all kernels together have done with objects that move.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The kernels that take themselves for an object's home, and may change it.
    pub homes: BTreeMap<ObjectKey, BTreeSet<KernelId>>,
    /// Who makes revisions under a certificate.
    under: BTreeMap<Hash, KernelId>,
    /// The words with which each handoff was said first.
    pub said: BTreeMap<Hash, Hash>,
    /// The answers that receivers have on their disks.
    pub answers: BTreeMap<Hash, (KernelId, bool)>,
    /// Outcomes that came along: at which kernel, of whose action.
    carried: BTreeSet<(KernelId, KernelId, Uuid)>,
    /// Every home that each object has had since it was claimed.
    been: BTreeMap<ObjectKey, Vec<KernelId>>,
    /// Objects that moved to another kernel at some time, and those that such objects made.
    pub guests: BTreeSet<ObjectKey>,
    /// The revisions that kernels were told by others that these have.
    has: BTreeSet<(KernelId, KernelId, Hash)>,
    /// Calls that were left behind, by their effects, and where their objects were told so.
    pub left: BTreeMap<Uuid, Option<KernelId>>,
    /// What objects asked that they did not wait for, by its id: it is sent as it was asked, before they moved.
    pub left_acts: BTreeSet<Uuid>,
    /// Objects that have come and were not told so: the number of the entry that tells them.
    pub untold: BTreeMap<(KernelId, ObjectKey), u64>,
    /// Kernels whose disks were put back.
    pub put_back: BTreeSet<KernelId>,
}

impl Moves {
    /// A kernel makes a revision under a certificate; what is wrong if another one does, too.
    pub fn makes(&mut self, certificate: Hash, by: &KernelId) -> Option<String> {
        let first = *self.under.entry(certificate).or_insert(*by);
        (first != *by).then(|| format!("makes a revision under a certificate of {first:.10}"))
    }

    /// Whether an outcome was recorded at a former home.
    pub fn is_carried(&self, at: &KernelId, origin: &KernelId, id: &Uuid) -> bool {
        self.carried.contains(&(*at, *origin, *id))
    }

    /// Looks again whether a kernel is an object's home, and whether it is the only one.
    pub fn home(&mut self, store: &Disk, kernel: &KernelId, key: &ObjectKey) -> Option<(u8, String)> {
        let is_home = is_home(store, kernel, key) && !self.put_back.contains(kernel);
        let homes = self.homes.entry(*key).or_default();
        if !is_home {
            homes.remove(kernel);
            return None;
        }
        homes.insert(*kernel);
        let been = self.been.entry(*key).or_default();
        if been.last() != Some(kernel) {
            been.push(*kernel);
            self.guests.extend((been.len() > 1).then_some(*key));
        }
        let other = homes.iter().find(|other| *other != kernel)?;
        Some((2, format!("is the home of {key}, and so is {other:.10}")))
    }

    pub fn is_accepted(&self, handoff: &Hash) -> bool {
        self.answers.get(handoff).is_some_and(|(_, accepted)| *accepted)
    }
}

/// What an object was sealed as, if it is.
pub(super) fn sealed(store: &Disk, key: &ObjectKey) -> Option<SealedRow> {
    let row: LeavingRow = txn::get(store, Table::Leaving, &key.to_row()).ok()??;
    row.sealed
}

pub(super) fn leaving_in(value: Option<&Bytes>) -> Option<LeavingRow> {
    txn::decode(Table::Leaving, value?).ok()
}

pub(super) fn handoff_of(chain: &Chain) -> Option<&Certificate> {
    chain.links.last().filter(|link| link.kind == CertificateKind::Handoff)
}

/// Whether a kernel would change an object: it is its home by the head and by the chain, and has not sealed it.
fn is_home(store: &Disk, kernel: &KernelId, key: &ObjectKey) -> bool {
    let Some(lineage) = key.lineage() else { return false };
    let head = object::head(store, key).ok().flatten();
    let chain = object::chain(store, &lineage).ok().flatten();
    head.is_some_and(|head| head.home == Some(*kernel))
        && chain.is_none_or(|chain| chain.home() == *kernel)
        && sealed(store, key).is_none()
}

/// The names under which an object may have lanes.
pub(super) fn names(key: &ObjectKey, chain: &Chain) -> [ObjectKey; 2] {
    [*key, ObjectKey { uuid: key.uuid, line: Line::Unclaimed(chain.genesis.content) }]
}

/// The rows of a table under a prefix.
fn rows_of(store: &dyn Read, table: Table, prefix: &[u8]) -> Vec<(Vec<u8>, Bytes)> {
    let mut found = Vec::new();
    let _ = scan_prefix(store, table, prefix, &mut |key, value| {
        found.push((key.to_vec(), value));
        ControlFlow::Continue(())
    });
    found
}

fn timers_of(store: &dyn Read, key: &ObjectKey) -> Vec<TimerRow> {
    let rows = rows_of(store, Table::Timer, &key.to_row());
    rows.iter().filter_map(|(_, value)| txn::decode(Table::Timer, value).ok()).collect()
}

pub(super) fn any(store: &dyn Read, table: Table, prefix: &[u8]) -> bool {
    let mut found = false;
    let _ = scan_prefix(store, table, prefix, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    });
    found
}

/// The rows of a table under a prefix, as they were before a commit that took them away.
fn taken<'a>(commit: &'a Commit, table: Table, prefix: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
    let rows = commit.rows.iter().filter(move |row| row.table == table && row.key.starts_with(prefix));
    rows.filter(|row| row.after.is_none()).filter_map(|row| row.before.as_ref())
}

/// What a luggage says of rights, as if clients had given them.
pub(super) fn granted<'a>(
    key: &'a ObjectKey,
    me: &'a KernelId,
    grants: &'a [LuggageGrant],
    now_ms: u64,
) -> impl Iterator<Item = Grant> + 'a {
    grants.iter().filter_map(move |grant| {
        let right = [Right::Read, Right::Act].into_iter().find(|right| *right as u8 == grant.right)?;
        let expires_ms = grant.remaining_ms.map(|ms| now_ms.saturating_add(ms));
        let (kernel, object, actions) = (grant.kernel, grant.object, grant.actions.clone());
        let grant = Grant { scope: Scope::Object(*key), right, kernel, object, expires_ms, actions };
        (grant.kernel != *me || grant.object.is_some()).then_some(grant)
    })
}

impl Checker {
    /// What a commit did to objects that move, and what the group says of them.
    pub(super) fn moving(&mut self, group: &Group<'_>, allowed: &Allowed, cover: &mut Coverage) {
        let mut wrong = Wrong::new();
        for input in group.inputs {
            if let Input::Frame { peer, frame: Frame::Shared(Shared { id, answer, .. }), .. } = input
                && matches!(answer, ShareAnswer::Stored | ShareAnswer::Known)
            {
                self.moves.has.insert((group.kernel, *peer, *id));
            }
        }
        if let Some(commit) = group.commit {
            for row in &commit.rows {
                match row.table {
                    Table::Handed => self.answers_once(group, row, &mut wrong, cover),
                    Table::Leaving => self.leaves(group, commit, row, &mut wrong, cover),
                    Table::Timer | Table::Activity => alive(group, row, &mut wrong),
                    Table::Ledger => at_rest(group, row, &mut wrong),
                    Table::Queue => wrong.extend(self.moves.told_of_left(group.kernel, row)),
                    _ => {}
                }
            }
            self.moves.words(group, commit, &mut wrong, cover);
            for row in commit.rows.iter().filter(|row| matches!(row.table, Table::Head | Table::Leaving)) {
                if let Some(key) = ObjectKey::from_row(&row.key) {
                    wrong.extend(self.moves.home(group.store, &group.kernel, &key));
                }
            }
        }
        self.news.owed(group, &self.moves);
        for (effect, _) in group.effects {
            if let Effect::Send { peer, frame, .. } = effect {
                self.says(group, allowed, peer, frame, &mut wrong);
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    /// A receiver writes its answer down.
    fn answers_once(&mut self, group: &Group<'_>, row: &Changed, wrong: &mut Wrong, cover: &mut Coverage) {
        let Some((key, handoff)) = row.key.split_at_checked(ObjectKey::ROW_LEN) else { return };
        let (Some(key), Some(handoff)) = (ObjectKey::from_row(key), Hash::from_slice(handoff)) else {
            return;
        };
        let read = |value: &Option<Bytes>| txn::decode::<HandedRow>(Table::Handed, value.as_ref()?).ok();
        let (before, Some(after)) = (read(&row.before), read(&row.after)) else { return };
        if before.is_some_and(|before| before.answer.accepted != after.answer.accepted) {
            wrong.push((2, format!("answers the handoff of {key} another way than before")));
        }
        self.moves.answers.insert(handoff, (group.kernel, after.answer.accepted));
        if !after.answer.accepted {
            return;
        }
        let is_it = |said: &Handoff| said.chain.links.last().is_some_and(|link| link.id() == handoff);
        let luggage = group.inputs.iter().find_map(|input| match input {
            Input::Frame { frame: Frame::Handoff(said), .. } if is_it(said) => {
                said.luggage.as_ref().and_then(|luggage| said.unpack(luggage))
            }
            Input::Luggage { handoff, luggage, .. } if is_it(handoff) => luggage.clone(),
            _ => None,
        });
        if let Some(said) = group.inputs.iter().find_map(|input| match input {
            Input::Frame { frame: Frame::Handoff(said), .. } if is_it(said) => Some(&**said),
            Input::Luggage { handoff, .. } if is_it(handoff) => Some(&**handoff),
            _ => None,
        }) {
            self.moves.comes(group, key, said);
        }
        let Some(luggage) = luggage else {
            return wrong.push((2, format!("accepts a handoff of {key} that did not come whole")));
        };
        self.met_homes(&key, &group.kernel, cover);
        let head = object::head(group.store, &key).ok().flatten();
        if head.is_some_and(|head| !self.installed.has(&group.kernel, &head.header.component)) {
            cover.met("state record moved as what it is");
        }
        super::beside::put_down(group, &key, &luggage, wrong, cover);
        self.put_down(group, (key, &luggage), wrong);
    }

    fn met_homes(&self, key: &ObjectKey, new: &KernelId, cover: &mut Coverage) {
        cover.met("state object moved");
        let been = self.moves.been.get(key).map(Vec::as_slice).unwrap_or_default();
        if been.len() > 1 {
            cover.met("state object moved on");
        }
        if been.contains(new) {
            cover.met("state object moved back");
        }
    }

    /// Everything of the luggage is here.
    fn put_down(&mut self, group: &Group<'_>, (key, luggage): (ObjectKey, &Luggage), wrong: &mut Wrong) {
        let store = group.store;
        let floors = self.shadows.get(&group.kernel).map(|shadow| &shadow.lanes);
        for lane in &luggage.lanes {
            let place = ledger::lane_row(lane);
            if ledger::mark(store, &place) < lane.mark {
                wrong.push((3, format!("leaves a lane of {:.10} to {key} behind", lane.origin)));
            }
            for LuggageResult { sequence, id, outcome, .. } in &lane.results {
                self.moves.carried.insert((group.kernel, lane.origin, *id));
                let row = [place.as_slice(), &sequence.to_be_bytes()].concat();
                let row: Option<act::LedgerRow> = txn::get(store, Table::Ledger, &row).ok().flatten();
                let is_over = floors.is_some_and(|lanes| lanes.floor(lane.origin, lane.name.key) > *sequence);
                if !is_over && row.is_none_or(|row| row.id != *id || row.outcome.as_ref() != Some(outcome)) {
                    wrong.push((4, format!("does not know what came of {id} on {key} before it moved in")));
                }
            }
        }
        let timers = timers_of(store, &key);
        for timer in luggage.timers.iter().filter(|timer| timer.after_ms > 0) {
            let due_ms = group.now_ms.saturating_add(timer.after_ms);
            if !timers.iter().any(|row| (row.id, row.due_ms) == (timer.id, due_ms)) {
                wrong.push((4, format!("forgets the timer {} of {key}, which moved in", timer.name)));
            }
        }
        super::news::put_down(group, &key, luggage, wrong);
        if let Some(commit) = group.commit {
            told_of_calls(commit, &key, luggage, wrong);
        }
        for work in &luggage.activities {
            let row = [key.to_row().as_slice(), work.id.as_bytes()].concat();
            let is_done = |input: &Input| matches!(input, Input::Worked { id, .. } if *id == work.id);
            if !matches!(store.get(Table::Activity, &row), Ok(Some(_))) && !group.inputs.iter().any(is_done) {
                wrong.push((4, format!("forgets the work {} of {key}, which moved in", work.id)));
            }
        }
    }

    /// What was to leave is sealed, has gone, or stays.
    fn leaves(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        row: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let Some(key) = ObjectKey::from_row(&row.key) else { return };
        let [before, after] =
            [&row.before, &row.after].map(|value| leaving_in(value.as_ref()).and_then(|row| row.sealed));
        match (before, after) {
            (None, Some(sealed)) => {
                if sealed.header.size > INLINE_MAX_BYTES as u64 {
                    let to = handoff_of(&sealed.chain).map_or(group.kernel, |handoff| handoff.home);
                    if !self.moves.has.contains(&(group.kernel, to, sealed.header.id())) {
                        wrong.push((4, format!("seals {key}, and {to:.10} does not have its scenario")));
                    }
                }
                let Some(row) = leaving_in(row.after.as_ref()) else { return };
                let left = self.seals(group, commit, (&key, &sealed, &row), wrong);
                if row.without_me {
                    cover.met("state moved without its home");
                }
                if !left.is_empty() {
                    cover.met("state call left behind");
                }
                self.moves.left.extend(left.into_iter().map(|id| (id, None)));
                self.moves.left_acts.extend(left_acts(group.store, &names(&key, &sealed.chain)));
            }
            (Some(before), Some(after)) if before != after => {
                wrong.push((2, format!("seals {key} anew, which is sealed")));
            }
            (Some(before), None) => {
                let Some(handoff) = handoff_of(&before.chain).map(Certificate::id) else { return };
                let answer = self.moves.answers.get(&handoff).map(|(_, accepted)| *accepted);
                let head = object::head(group.store, &key).ok().flatten();
                let is_mine = head.is_some_and(|head| head.home == Some(group.kernel));
                // It has left, and is back in the same group: what is here now is of its second stay.
                if is_mine && answer == Some(true) && came_in(group, &key) {
                    cover.met("state came back before its going was heard of");
                    return;
                }
                match is_mine {
                    true if answer != Some(false) => {
                        wrong.push((2, format!("takes {key} back, and nobody refused it")));
                    }
                    false if answer != Some(true) => {
                        wrong.push((2, format!("lets {key} go, and nobody accepted it")));
                    }
                    true => {
                        cover.met("state handoff refused and reopened");
                        self.reopened(group, commit, &key, wrong);
                    }
                    false => {
                        super::beside::left(group, commit, &key, wrong);
                        if any(group.store, Table::Luggage, &key.to_row()) {
                            wrong.push((9, format!("keeps the luggage of {key}, which has left")));
                        }
                        if any(group.store, Table::Follower, &key.to_row()) {
                            wrong.push((7, format!("keeps followers of {key}, which has left")));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// An object is sealed: nothing of it is under way, and its luggage is all that belongs to it.
    fn seals(
        &self,
        group: &Group<'_>,
        commit: &Commit,
        (key, sealed, row): (&ObjectKey, &SealedRow, &LeavingRow),
        wrong: &mut Wrong,
    ) -> BTreeSet<Uuid> {
        let leaves = row.leave_calls;
        let left = left_in(commit, key);
        let place = key.to_row();
        let packed = commit.rows.iter().find(|row| row.table == Table::Luggage && row.key == place);
        let packed = packed.and_then(|row| row.after.clone()).unwrap_or_default();
        let (Some(handoff), Ok(luggage)) = (handoff_of(&sealed.chain), Luggage::unpack(&packed)) else {
            wrong.push((2, format!("seals {key} with words that are none")));
            return left;
        };
        let packed_left: BTreeSet<_> = luggage.left.iter().map(|call| call.id).collect();
        // Whether it waited for these is not seen any more.
        let mut asked = asked_in(commit, key);
        asked.extend(answered_in(group.inputs));
        let is_all = left.is_subset(&packed_left)
            && packed_left.iter().all(|id| left.contains(id) || asked.contains(id));
        if !is_all || !leaves && !packed_left.is_empty() {
            wrong.push((
                4,
                format!("hands {key} over without a call that it left, or leaves one that it may not"),
            ));
        }
        if (handoff.luggage, sealed.luggage_bytes) != (Some(content_hash(&packed)), packed.len() as u64) {
            wrong.push((2, format!("seals {key} with another luggage than it signs")));
        }
        let names = names(key, &sealed.chain);
        wrong.extend(
            self.under_way(group, &names, leaves).map(|what| (4, format!("seals {key} with {what}"))),
        );
        for name in &names {
            for (row, value) in rows_of(group.store, Table::Lane, &name.to_row()) {
                let Ok(lane) = txn::decode::<act::LaneRow>(Table::Lane, &value) else { continue };
                let packed = luggage.lanes.iter().find(|packed| ledger::lane_row(packed) == row);
                wrong.extend(
                    ledger::lane_packed(group.store, (&row, &lane), packed)
                        .map(|(promise, what)| (promise, format!("hands {key} over without {what}"))),
                );
            }
        }
        let timers = taken(commit, Table::Timer, &place);
        for timer in timers.filter_map(|row| txn::decode::<TimerRow>(Table::Timer, row).ok()) {
            if !luggage.timers.iter().any(|packed| packed.id == timer.id) {
                wrong.push((4, format!("hands {key} over without its timer {}", timer.name)));
            }
        }
        if luggage.activities.len() < taken(commit, Table::Activity, &place).count() {
            wrong.push((4, format!("hands {key} over without its work outside")));
        }
        if [Table::Timer, Table::Activity].into_iter().any(|table| any(group.store, table, &place)) {
            wrong.push((3, format!("keeps timers or work of {key}, which is sealed")));
        }
        super::beside::packed(group, key, &luggage, wrong);
        self.rights_packed(group, (key, row), &luggage, wrong);
        packed_left
    }

    /// What of an object has not come to its end.
    fn under_way(&self, group: &Group<'_>, names: &[ObjectKey], leaves: bool) -> Option<String> {
        let mut found = None;
        let _ = act::waiting(group.store, &mut |home, key, sequence, row| {
            let calls = row.call.as_ref().is_some_and(|call| names.contains(&call.object));
            let acts = row.action.acting.is_some_and(|acting| names.contains(&acting));
            let answers = row.action.answers.is_some() && home == group.kernel && names.contains(&key);
            if calls || acts && (!leaves || names.contains(&key)) || answers {
                found = Some(format!("action {sequence} on {key} under way"));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// What was refused is as it was.
    fn reopened(&self, group: &Group<'_>, commit: &Commit, key: &ObjectKey, wrong: &mut Wrong) {
        let place = key.to_row();
        let packed = taken(commit, Table::Luggage, &place).next();
        let Some(luggage) = packed.and_then(|packed| Luggage::unpack(packed).ok()) else {
            return wrong.push((9, format!("keeps the luggage of {key}, which stays")));
        };
        let timers = timers_of(group.store, key);
        for timer in luggage.timers.iter().filter(|timer| timer.after_ms > 0) {
            if !timers.iter().any(|row| row.id == timer.id) {
                wrong.push((4, format!("forgets the timer {} of {key}, which stays", timer.name)));
            }
        }
        told_of_calls(commit, key, &luggage, wrong);
        let works = rows_of(group.store, Table::Activity, &key.to_row());
        if works.len() < luggage.activities.len() {
            wrong.push((4, format!("forgets work of {key}, which stays")));
        }
    }
}

/// Timers and work are at the home of an object, as long as that is not sealed.
fn alive(group: &Group<'_>, row: &Changed, wrong: &mut Wrong) {
    let key = row.key.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row);
    let (Some(key), Some(_)) = (key.filter(|key| key.lineage().is_some()), &row.after) else { return };
    if !is_home(group.store, &group.kernel, &key) {
        wrong.push((3, format!("sets a timer or work of {key}, whose home it is not")));
    }
}

/// Nothing is recorded of an object that is sealed, or that has left.
fn at_rest(group: &Group<'_>, row: &Changed, wrong: &mut Wrong) {
    let key = row.key.get(..ObjectKey::ROW_LEN).and_then(ObjectKey::from_row);
    let (Some(key), None, Some(after)) = (key, &row.before, &row.after) else { return };
    let is_recorded =
        txn::decode::<act::LedgerRow>(Table::Ledger, after).is_ok_and(|row| row.place.is_some());
    if is_recorded && sealed(group.store, &key).is_some() && !seals_now(group, &key) {
        wrong.push((2, format!("records an action on {key}, which is sealed")));
    }
}

fn seals_now(group: &Group<'_>, key: &ObjectKey) -> bool {
    let place = key.to_row();
    let mut rows = group.changed().filter(|row| row.table == Table::Leaving && row.key == place);
    rows.any(|row| leaving_in(row.before.as_ref()).is_none_or(|row| row.sealed.is_none()))
}
