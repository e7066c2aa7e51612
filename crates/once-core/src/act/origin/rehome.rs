//! Lanes of this kernel follow their objects to new homes: the same names, sequences and floors.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use super::lanes;
use super::state::Lane;
use crate::act::rows::{LaneId, QueueRow, SendingRow, WaitingRow};
use crate::engine::Step;
use crate::follow::asked_as;
use crate::share::{self, Kind};
use crate::store::{StoreError, Table, prefix_end, try_scan};
use crate::{object, txn};

/// The lanes to an object, under these names, that lead to such homes, and to which.
fn leading(
    s: &Step<'_, '_>,
    names: &[ObjectKey],
    is_one: impl Fn(&KernelId) -> bool,
) -> Result<Vec<(LaneId, KernelId)>, StoreError> {
    let mut found = Vec::new();
    for name in names {
        let prefix = name.to_row();
        try_scan(s.txn, Table::Sending, &prefix, prefix_end(&prefix).as_deref(), |row, value| {
            let sending: SendingRow =
                txn::decode(Table::Sending, &value).map_err(|error: StoreError| error.at(row))?;
            let id = LaneId::from_row(row).map(|(id, _)| id);
            found.extend(id.filter(|_| is_one(&sending.home)).map(|id| (id, sending.home)));
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        })?;
    }
    Ok(found)
}

/// Whether a lane of this kernel leads to one of these homes, for an object of these names.
pub(crate) fn leads_to(
    s: &Step<'_, '_>,
    names: &[ObjectKey],
    homes: &BTreeSet<KernelId>,
) -> Result<bool, StoreError> {
    Ok(!leading(s, names, |at| homes.contains(at))?.is_empty())
}

/// An object has moved: lanes that led to its old homes lead to the new one, and what has no outcome is sent there.
pub(crate) fn rehome(
    s: &mut Step<'_, '_>,
    names: &[ObjectKey],
    (former, to): (&BTreeSet<KernelId>, KernelId),
) -> Result<(), StoreError> {
    for (id, from) in leading(s, names, |at| former.contains(at))? {
        let Some(lane) = lanes::lane(s, &id)? else { continue };
        if let Some(window) = share::window_to(s, &from, Kind::Lanes) {
            window.leave(&id);
        }
        s.engine.act.slow.lanes.remove(&id);
        share::unlist(s, &from, &id);
        let lane = Lane { home: to, listed: !lane.is_done(), ..lane };
        if lane.listed {
            share::list(s, &to, &id);
        }
        lanes::rewrite(s, &id, lane);
        if lane.listed {
            super::send::owe_later(s, &id, to)?;
            share::pump_later(s, to);
        }
    }
    Ok(())
}

/// Whether something waits in a lane, from a sequence on, that must run before its object leaves: an answer, or what the object
/// asked of itself.
pub(crate) fn ends_from(s: &Step<'_, '_>, id: &LaneId, sequence: u64) -> Result<bool, StoreError> {
    let names = asked_as(s, &object::current_key(s.txn, &id.name.key)?)?;
    let mut any = false;
    lanes::scan(s.txn, id, sequence, |_, value| {
        any = match txn::decode(Table::Queue, value)? {
            QueueRow::Waiting(WaitingRow { action, .. }) => {
                action.answers.is_some() || action.acting.is_some_and(|acting| names.contains(&acting))
            }
            QueueRow::Ended(_) => false,
        };
        Ok(if any { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(any)
}
