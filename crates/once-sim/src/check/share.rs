//! What peers may have of objects by the word of somebody: a client that shared it, or an action that depends on it.
//! From `docs/protocol.md`, 5.2, 5.4 and 5.5 ("Given"): a client's word holds for whatever is the newest revision, an
//! action's for the content that it names.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::share::{self, Debt, DebtRow, OutboxRow, Owed as Index};
use once_core::store::{Read, Table};
use once_core::waist::{Answer, Apart, Command, ConnId, Effect, Input};
use once_core::{act, object, txn};
use once_model::action::{Given, Need};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::wire::Frame;

use super::group::{Allowed, candidates, claimed_as};
use super::shadow::scan;
use super::{Checker, Group, Wrong};
use crate::disk::Changed;

/// Which revisions of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owed {
    /// A client shared it.
    Newest,
    /// An action that waits at the peer names this content.
    Only(Hash),
}

/// What an action depends on that waits for its outcome at a peer is shared with that peer: the content that it names.
pub(super) fn needed(group: &Group<'_>, peer: KernelId, need: &Need) -> Vec<(ObjectKey, Hash)> {
    let mut given = Vec::new();
    // In the same group the object may have been found to have moved, or have moved here: then the lane leads there by now.
    let moved = group.inputs.iter().any(|input| {
        matches!(
            input,
            Input::Frame { frame: Frame::Moved(_) | Frame::Handoff(_) | Frame::Handed(_), .. }
                | Input::Luggage { .. }
        )
    });
    let _ = act::waiting(group.store, &mut |home, _, _, row| {
        given.extend(row.action.given.into_iter().filter(|_| moved || home == peer));
        ControlFlow::Continue(())
    });
    // Its outcome may have come in the same group.
    let rows = group.commit.iter().flat_map(|commit| &commit.rows);
    for row in rows.filter(|row| row.table == Table::Queue) {
        let lane = act::Place::from_row(&row.key).map(|place| place.lane);
        let before = row.before.as_ref().and_then(|row| txn::decode(Table::Queue, row).ok());
        if let (Some(lane), Some(act::QueueRow::Waiting(row))) = (lane, before)
            && lane.begun_at == peer
        {
            given.extend(row.action.given);
        }
    }
    let asked = given.iter().filter(|given| need.lacks.contains(given));
    let names = |given: &Given| [Some(given.key), claimed_as(group, &given.key)].into_iter().flatten();
    asked.flat_map(|given| names(given).map(|key| (key, given.content))).collect()
}

/// Peers, objects, and what they may have of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises(BTreeSet<(KernelId, ObjectKey, Owed)>);

impl Promises {
    pub fn add(&mut self, peer: KernelId, key: ObjectKey, owed: Owed) {
        self.0.insert((peer, key, owed));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A peer is none any more.
    pub fn forget(&mut self, peer: &KernelId) {
        self.0.retain(|(to, ..)| to != peer);
    }

    /// Whether a peer may have this content of an object, also for what was said of the copy that it was.
    pub fn allow(&self, group: &Group<'_>, peer: &KernelId, key: &ObjectKey, content: &Hash) -> bool {
        let is_it = |known: &ObjectKey| known == key || claimed_as(group, known) == Some(*key);
        self.has(peer, content, |known| known.uuid == key.uuid && is_it(known))
    }

    /// The same, of what is known by this key.
    pub fn allow_as(&self, peer: &KernelId, key: &ObjectKey, content: &Hash) -> bool {
        self.has(peer, content, |known| known == key)
    }

    fn has(&self, peer: &KernelId, content: &Hash, is_it: impl Fn(&ObjectKey) -> bool) -> bool {
        self.0.iter().any(|(to, known, owed)| {
            to == peer && is_it(known) && (*owed == Owed::Newest || *owed == Owed::Only(*content))
        })
    }

    /// Whether a client shared it, also as the copy that it was.
    pub fn promised(&self, group: &Group<'_>, peer: &KernelId, key: &ObjectKey) -> bool {
        self.0.iter().any(|(to, known, owed)| {
            let is_it = || known == key || claimed_as(group, known) == Some(*key);
            to == peer && *owed == Owed::Newest && known.uuid == key.uuid && is_it()
        })
    }

    /// Takes out all that is said of an object to a peer.
    pub fn take(&mut self, peer: &KernelId, key: &ObjectKey) -> Vec<Owed> {
        let here = self.0.extract_if(.., |(to, known, _)| to == peer && known == key);
        here.map(|(.., owed)| owed).collect()
    }

    /// What was said of a copy is said of what it became.
    pub fn became(&mut self, old: &ObjectKey, new: ObjectKey) {
        let moved: Vec<_> =
            self.0.iter().filter(|(_, key, _)| key == old).map(|(to, _, o)| (*to, new, *o)).collect();
        self.0.extend(moved);
    }

    /// An action's word ends with its debt. That may still be written down as the debt of the copy that was claimed.
    pub fn end_without_rows(&mut self, group: &Group<'_>) {
        let owes = |peer: &KernelId, key: &ObjectKey| {
            share::debt(group.store, peer, key).is_ok_and(|row| row.is_some())
        };
        let only = self.0.iter().filter(|(_, _, owed)| *owed != Owed::Newest);
        let open: BTreeSet<_> = only
            .filter(|(peer, key, _)| owes(peer, key))
            .flat_map(|(peer, key, owed)| {
                let became = claimed_as(group, key).unwrap_or(*key);
                [(*peer, *key, *owed), (*peer, became, *owed)]
            })
            .collect();
        self.0.retain(|said| said.2 == Owed::Newest || open.contains(said));
    }

    /// What the disk has.
    pub fn on(disk: &dyn Read) -> Self {
        let read = |key: &[u8], value: &bytes::Bytes| {
            let Some((peer, Index::Object(key))) = Index::from_key(key) else { return None };
            let OutboxRow::Object(row) = txn::decode(Table::Outbox, value).ok()? else { return None };
            let owed = match row.debt {
                Debt::Promised => Owed::Newest,
                Debt::Given { content } | Debt::Followed { given: Some(content) } => Owed::Only(content),
                Debt::Followed { given: None } => return None,
            };
            // The debt of an unclaimed copy is one of the object that it has become.
            let found = object::find(disk, &key.uuid, Some(key.line)).ok()?;
            let became = found.first().map_or(key, |head| head.header.key());
            Some([(peer, key, owed), (peer, became, owed)])
        };
        Self(scan(disk, Table::Outbox, read).into_iter().flatten().collect())
    }
}

/// A debt, as its row has it.
fn debt_in(value: Option<&Bytes>) -> Option<DebtRow> {
    match txn::decode(Table::Outbox, value?) {
        Ok(OutboxRow::Object(row)) => Some(row),
        _ => None,
    }
}

/// Whether what a client shared may have been settled within a group, and be owed for another reason since.
fn may_be_owed_anew(group: &Group<'_>, to: &KernelId, key: &ObjectKey) -> bool {
    group.inputs.iter().any(|input| match input {
        Input::Frame { peer, frame: Frame::Shared(shared), .. } => (peer, shared.key.uuid) == (to, key.uuid),
        Input::Command { command: Command::GiveUp { peer, .. } | Command::RemovePeer { peer }, .. } => {
            peer == to
        }
        Input::Command { command: Command::Remove { .. }, .. } => true,
        _ => false,
    })
}

/// Whether a peer follows an object, after a group.
pub(super) fn is_followed_by(group: &Group<'_>, key: &ObjectKey, peer: &KernelId) -> bool {
    let place = [key.to_row().as_slice(), peer.as_bytes().as_slice()].concat();
    matches!(group.store.get(Table::Follower, &place), Ok(Some(_)))
}

/// Whether a share is pulled.
pub(super) fn pulls(effect: &Effect, on: ConnId, revision: &Hash) -> bool {
    let Effect::Pull { conn, what, .. } = effect else { return false };
    *conn == on && matches!(&**what, Apart::Scenario { header, .. } if header.id() == *revision)
}

impl Checker {
    /// What a client was told is owed is owed by its word, whatever else it is owed for.
    pub(super) fn promised(&mut self, group: &Group<'_>) {
        let told = group.effects.iter().filter_map(|(effect, _)| match effect {
            Effect::Reply { token, reply: Ok(Answer::Owed) } => Some(*token),
            _ => None,
        });
        let told: BTreeSet<_> = told.collect();
        for input in group.inputs {
            let Input::Command { token, command: Command::Share { key, to, .. } } = input else { continue };
            let old = *key;
            let key = claimed_as(group, key).unwrap_or(old);
            // What was promised under the old name moves when it is sent.
            let owed = |key| share::debt(group.store, to, key).ok().flatten().map(|row| row.debt);
            let debt = owed(&key).filter(|_| owed(&old) != Some(Debt::Promised));
            let alone = debt.filter(|debt| *debt != Debt::Promised && told.contains(token) && !group.failed);
            if let Some(debt) = alone.filter(|_| !may_be_owed_anew(group, to, &key)) {
                let what = format!("{key} was shared with {to:.10}, and is owed for {debt:?} alone");
                self.violation(4, &group.kernel, group.at_ms, what);
            }
        }
    }

    /// What was given up in this group: these revisions are not due any more.
    pub(super) fn note_given_up(&mut self, group: &Group<'_>, allowed: &Allowed) {
        for (to, key) in &allowed.given_up {
            let heads = candidates(group, key).into_iter();
            self.given_up.extend(heads.map(|head| (group.kernel, *to, head.header.id())));
        }
    }

    pub(super) fn debt(
        &mut self,
        group: &Group<'_>,
        allowed: &Allowed,
        changed: &Changed,
        wrong: &mut Wrong,
    ) {
        let Some((peer, Index::Object(key))) = Index::from_key(&changed.key) else { return };
        let (before, after) = (debt_in(changed.before.as_ref()), debt_in(changed.after.as_ref()));
        if let Some(debt) = after.map(|after| after.debt)
            && before.is_none_or(|before| before.debt != debt)
            && !self.was_said(group, peer, key, debt)
        {
            wrong.push((7, format!("owes {key} to {peer:.10} as {debt:?}, and nobody said so")));
        }
        let Some(row) = before else { return };
        // A debt that one action's content made may end whenever that is not the newest any more: if it should be lost,
        // the action is refused after a while. All others end with an answer, and none becomes less than it was.
        let goes_on = match (row.debt, after.map(|after| after.debt)) {
            (Debt::Given { .. }, None) => {
                if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
                    for owed in shadow.promises.take(&peer, &key) {
                        shadow.just_answered.add(peer, key, owed);
                    }
                }
                return;
            }
            (Debt::Given { .. }, Some(_)) | (_, Some(Debt::Promised)) => true,
            (Debt::Followed { .. }, Some(Debt::Followed { .. })) => true,
            _ => false,
        };
        // Who follows it no longer is owed nothing for that reason.
        if goes_on || row.debt.is_followed() && !is_followed_by(group, &key, &peer) {
            return;
        }
        let heads = candidates(group, &key);
        let ids: Vec<Hash> = heads.iter().map(|head| head.header.id()).chain([row.id]).collect();
        let answered =
            allowed.answered.get(&(peer, key)).is_some_and(|said| said.iter().any(|id| ids.contains(id)));
        // Not there now, or not there before the group.
        let place = key.to_row();
        let came = group.commit.iter().flat_map(|commit| &commit.rows);
        let came =
            came.filter(|row| row.table == Table::Head && row.key == place).any(|row| row.before.is_none());
        let gone = came || object::head(group.store, &key).is_ok_and(|head| head.is_none());
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        let asked = !row.debt.is_followed() || shadow.owed.contains(&(peer, key));
        let may = heads.iter().any(|head| shadow.rights.may_read(&peer, head, group.now_ms));
        let moved = claimed_as(group, &key)
            .is_some_and(|key| share::debt(group.store, &peer, &key).is_ok_and(|row| row.is_some()));
        // What its home never signed proves nothing to others.
        let unprovable = self.forked.contains(&key);
        let ended = allowed.new_life
            || allowed.removed.contains(&peer)
            || allowed.given_up.contains(&(peer, key))
            || (gone && !moved)
            || (!asked && !may)
            || unprovable;
        if !answered && !ended && !moved {
            wrong.push((4, format!("forgets that it owes {key} to {peer:.10}, which has not answered")));
        }
        shadow.owed.remove(&(peer, key));
        for owed in shadow.promises.take(&peer, &key) {
            shadow.just_answered.add(peer, key, owed);
            // Or it goes on as a debt of what the object has become.
            if let Some(became) = claimed_as(group, &key).filter(|_| moved) {
                shadow.promises.add(peer, became, owed);
            }
        }
    }
    /// Whether somebody's word allows such a debt.
    fn was_said(&self, group: &Group<'_>, peer: KernelId, key: ObjectKey, debt: Debt) -> bool {
        let Some(shadow) = self.shadows.get(&group.kernel) else { return true };
        let said = [&shadow.promises, &shadow.in_vain];
        let by_somebody = match debt {
            Debt::Promised => said.iter().any(|said| said.promised(group, &peer, &key)),
            Debt::Given { content } | Debt::Followed { given: Some(content) } => {
                said.iter().any(|said| said.allow(group, &peer, &key, &content))
            }
            Debt::Followed { given: None } => true,
        };
        // Made in the group in which its peer was removed, it goes with the rest.
        let is_removal = |input: &Input| match input {
            Input::Command { command: Command::RemovePeer { peer: of }, .. } => *of == peer,
            _ => false,
        };
        by_somebody || group.inputs.iter().any(is_removal)
    }
}
