//! What an object is told because it moves (`docs/protocol.md`, 5.6): it is not sealed before it was told that it leaves, stays if it
//! says no, and does nothing at its new home before it was told that it has come.

use bytes::Bytes;
use once_core::Refusal;
use once_core::act::LedgerRow;
use once_core::moving::LeavingRow;
use once_core::object;
use once_core::store::{Read, Table};
use once_core::txn;
use once_core::waist::{Command, Effect, Input};
use once_model::action::BUILT_IN_FROM;
use once_model::archive::OutcomeStatus;
use once_model::header::Header;
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Handoff;

use super::handing::came_in;
use super::moving::{Moves, leaving_in};
use super::{Checker, Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit};
use crate::journal;

impl Moves {
    /// A kernel takes an object on: the entry after the one that it moves in with tells it so.
    pub fn comes(&mut self, group: &Group<'_>, key: ObjectKey, said: &Handoff) {
        let tip = said.chain.links.last().and_then(|link| link.tip);
        if let Some(tip) = tip.filter(|_| is_journal(group, &said.header)) {
            self.untold.insert((group.kernel, key), tip.number + 2);
        }
    }

    /// What a commit recorded of objects, and which of them it seals.
    pub(super) fn words(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        for row in &commit.rows {
            match row.table {
                Table::Ledger => self.recorded(group, commit, row, wrong, cover),
                Table::Leaving => {
                    seals(group, row, wrong);
                    if row.before.is_none() && !asks(group, row, false) {
                        cover.met("state object goes by itself");
                    }
                    if stays(group, row) {
                        if leaving_in(row.before.as_ref()).is_some_and(|row| row.told) {
                            cover.met("state object told that it stays");
                        }
                        wrong.extend(untold(group, commit, row));
                    }
                }
                Table::Stayed if row.after.is_some() => cover.met("state object stays and nobody was told"),
                Table::Arriving if row.before.is_none() && row.after.is_some() => {
                    cover.met("state arrival waits");
                }
                _ => {}
            }
        }
    }

    fn recorded(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        row: &Changed,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let (None, Some(ledger)) = (&row.before, ledger_in(row.after.as_ref())) else { return };
        let sequence = row.key.last_chunk().map(|sequence| u64::from_be_bytes(*sequence));
        let (Some(sequence), Some(place), Some(after)) = (sequence, ledger.place, ledger.after) else {
            return;
        };
        let (key, is_own) = (after.key, sequence >= BUILT_IN_FROM);
        if self.untold.get(&(group.kernel, key)) == Some(&place.number) {
            self.untold.remove(&(group.kernel, key));
            if is_own {
                cover.met("state object told that it has come");
            } else if !self.put_back.contains(&group.kernel) {
                wrong.push((4, format!("runs an action on {key} before that was told that it has come")));
            }
        }
        // Of what is built in only this fails.
        if is_own && place.status == Some(OutcomeStatus::Failed) {
            cover.met("state object did not want to leave");
            let leaves =
                commit.rows.iter().filter(|row| row.table == Table::Leaving && row.key == key.to_row());
            let told = |row: &Changed| leaving_in(row.after.as_ref()).is_some_and(|row| row.told);
            if leaves.into_iter().any(told) {
                wrong.push((4, format!("lets {key} go, which does not want to")));
            }
        }
    }
}

/// Whether a client asks in this group that an object moves, or that it stays.
fn asks(group: &Group<'_>, row: &Changed, stays: bool) -> bool {
    let uuid = ObjectKey::from_row(&row.key).map(|key| key.uuid);
    group.inputs.iter().any(|input| match input {
        Input::Command { command: Command::Move { key, .. }, .. } => !stays && Some(key.uuid) == uuid,
        Input::Command { command: Command::Stay { key }, .. } => stays && Some(key.uuid) == uuid,
        _ => false,
    })
}

/// Whether nobody hears why an object stays that was to leave: no client that waits, and none who looks.
fn untold(group: &Group<'_>, commit: &Commit, row: &Changed) -> Option<(u8, String)> {
    let key = ObjectKey::from_row(&row.key)?;
    let told = |effect: &Effect| matches!(effect, Effect::Reply { reply: Err(Refusal::Unmoved { key: of, .. }), .. } if *of == key);
    let written = commit.rows.iter().any(|row| row.table == Table::Stayed && row.key == key.to_row());
    let taken_back =
        leaving_in(row.before.as_ref()).is_some_and(|row| row.withdrawn) || asks(group, row, true);
    let is_known = written || taken_back || group.effects.iter().any(|(effect, _)| told(effect));
    (!is_known).then(|| (4, format!("{key} stays, and nobody can know why")))
}

/// Whether an object that was to leave does not.
fn stays(group: &Group<'_>, row: &Changed) -> bool {
    let head = ObjectKey::from_row(&row.key).and_then(|key| object::head(group.store, &key).ok().flatten());
    let is_here = head.is_some_and(|head| {
        // What has left and come back stays by another handoff.
        head.home == Some(group.kernel) && !head.header.tombstone && !came_in(group, &head.header.key())
    });
    row.after.is_none() && is_here
}

impl Checker {
    /// Whether a kernel's disk was put back.
    pub(crate) fn was_put_back(&self, kernel: &KernelId) -> bool {
        self.moves.put_back.contains(kernel)
    }
}

/// Whether it is a journal, and not only called one: its component can read it.
fn is_journal(group: &Group<'_>, header: &Header) -> bool {
    let body = group.store.get(Table::Body, &object::body_key(header)).ok().flatten();
    header.component == journal::NAME && body.is_some_and(|body| journal::Journal::read(&body).is_some())
}

fn ledger_in(value: Option<&Bytes>) -> Option<LedgerRow> {
    txn::decode(Table::Ledger, value?).ok()
}

/// An object that wants to know is told before it is sealed.
fn seals(group: &Group<'_>, row: &Changed, wrong: &mut Wrong) {
    let [before, after] = [&row.before, &row.after].map(|value| leaving_in(value.as_ref()));
    let is_sealed = |row: &LeavingRow| row.sealed.is_some();
    let Some(after) = after.filter(|row| is_sealed(row) && !before.as_ref().is_some_and(is_sealed)) else {
        return;
    };
    let Some(sealed) = after.sealed.filter(|sealed| is_journal(group, &sealed.header)) else { return };
    if !after.told {
        wrong.push((4, format!("seals {}, and did not ask it", sealed.header.key())));
    }
}
