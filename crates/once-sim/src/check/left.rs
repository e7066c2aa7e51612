//! Calls that an object leaves behind when it moves (`docs/protocol.md`, 5.6): it is told so, once and in one place, and never what
//! came of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::act::{self, LedgerRow, QueueRow};
use once_core::store::{Read, Table};
use once_core::txn;
use once_core::waist::Input;
use once_model::action::answer_id;
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::moving::Luggage;
use once_model::wire::Frame;

use super::Wrong;
use super::moving::Moves;
use crate::disk::{Changed, Commit};

impl Moves {
    /// An object is told of a call that was left behind: once, and that nothing is known of it.
    pub fn told_of_left(&mut self, kernel: KernelId, row: &Changed) -> Option<(u8, String)> {
        let (None, Some(QueueRow::Waiting(queued))) = (&row.before, queue_in(row.after.as_ref())) else {
            return None;
        };
        let id = queued.action.answers?;
        let told = self.left.get_mut(&id)?;
        let is_unknown = String::from_utf8_lossy(&queued.action.arguments).contains("\"status\":\"unknown\"");
        let at = *told.get_or_insert(kernel);
        (at != kernel || !is_unknown)
            .then(|| (3, format!("tells an object of the call {id}, which was left behind, another time")))
    }
}

fn queue_in(value: Option<&Bytes>) -> Option<QueueRow> {
    txn::decode(Table::Queue, value?).ok()
}

/// What an object has asked and does not wait for.
pub(super) fn left_acts(store: &dyn Read, names: &[ObjectKey]) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    let _ = act::waiting(store, &mut |_, _, _, row| {
        let is_mine = row.action.acting.is_some_and(|acting| names.contains(&acting));
        found.extend(is_mine.then_some(row.action.id));
        ControlFlow::Continue(())
    });
    found
}

/// The calls of an object that a commit leaves behind, by their effects.
pub(super) fn left_in(commit: &Commit, key: &ObjectKey) -> BTreeSet<Uuid> {
    let rows = commit.rows.iter().filter(|row| row.table == Table::Queue);
    let left = rows.filter_map(|row| match (queue_in(row.before.as_ref())?, queue_in(row.after.as_ref())?) {
        (QueueRow::Waiting(before), QueueRow::Waiting(after)) if after.call.is_none() => {
            before.call.filter(|call| call.object.uuid == key.uuid).map(|_| before.action.id)
        }
        _ => None,
    });
    left.collect()
}

/// What an object asked in the group in which it was sealed: whether it waited for that is not seen any more.
pub(super) fn asked_in(commit: &Commit, key: &ObjectKey) -> BTreeSet<Uuid> {
    let rows = commit.rows.iter().filter(|row| row.table == Table::Queue && row.before.is_none());
    let asked = rows.filter_map(|row| match queue_in(row.after.as_ref())? {
        QueueRow::Waiting(after) if after.call.is_none() => {
            after.action.acting.filter(|acting| acting.uuid == key.uuid).map(|_| after.action.id)
        }
        _ => None,
    });
    asked.collect()
}

/// What was answered in the group in which an object was sealed: before the seal, or after it.
pub(super) fn answered_in(inputs: &[Input]) -> BTreeSet<Uuid> {
    let answered = inputs.iter().filter_map(|input| match input {
        Input::Frame { frame: Frame::Outcome(outcome), .. } => Some(outcome.id),
        _ => None,
    });
    answered.collect()
}

/// Of each call that was left behind the object is told.
pub(super) fn told_of_calls(commit: &Commit, key: &ObjectKey, luggage: &Luggage, wrong: &mut Wrong) {
    for call in &luggage.left {
        let answer = answer_id(&call.id);
        let is_told = |row: &Changed| match row.table {
            Table::Queue => match queue_in(row.after.as_ref()) {
                Some(QueueRow::Waiting(queued)) => queued.action.id == answer,
                _ => false,
            },
            Table::Ledger => row.after.as_ref().is_some_and(|after| {
                txn::decode::<LedgerRow>(Table::Ledger, after).is_ok_and(|row| row.id == answer)
            }),
            _ => false,
        };
        if !commit.rows.iter().any(is_told) {
            wrong.push((4, format!("does not tell {key} that its call {} was left behind", call.id)));
        }
    }
}
