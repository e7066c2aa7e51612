//! What the engine remembers of the lanes at this kernel as a home.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use once_model::action::BUILT_IN_FROM;
use once_model::ids::ObjectKey;

use crate::act::rows::{LaneRow, ledger_key, ledger_sequence};
use crate::engine::limits::Limits;
use crate::store::{Read, StoreError, Table};
use crate::txn;

/// A lane as it stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lane {
    pub row: LaneRow,
    /// Ledger rows since its row was written.
    pub behind: u64,
}

/// Lanes that were met lately. All of it is made anew from the rows: whoever takes rows back forgets it.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Lanes that are remembered; of all others the rows are looked at.
    most: usize,
    pub lanes: BTreeMap<Vec<u8>, Lane>,
    /// Of an object, the lane that was looked through last.
    pub swept: BTreeMap<ObjectKey, Vec<u8>>,
}

impl Marks {
    pub fn within(limits: &Limits) -> Self {
        Self { most: limits.lanes, lanes: BTreeMap::new(), swept: BTreeMap::new() }
    }

    pub fn forget(&mut self) {
        self.lanes.clear();
    }

    pub fn note(&mut self, place: &[u8], lane: Lane) {
        if self.lanes.len() >= self.most && !self.lanes.contains_key(place) {
            self.lanes.clear();
        }
        self.lanes.insert(place.to_vec(), lane);
    }
}

/// The mark of a lane, by its rows alone; 0 if it has not begun.
pub(crate) fn mark_in(rows: &dyn Read, place: &[u8]) -> Result<u64, StoreError> {
    Ok(standing(rows, place)?.map_or(0, |lane| lane.row.mark))
}

/// The mark is that of the newest ledger row: whatever was recorded since the lane's row was written has one.
pub(crate) fn standing(rows: &dyn Read, place: &[u8]) -> Result<Option<Lane>, StoreError> {
    let Some(row) = txn::get::<LaneRow>(rows, Table::Lane, place)? else { return Ok(None) };
    let mut lane = Lane { row, behind: 0 };
    if mutant!(ForgetMarksSince) {
        return Ok(Some(lane));
    }
    let (from, to) = (ledger_key(place, row.mark.saturating_add(1)), ledger_key(place, BUILT_IN_FROM));
    rows.scan(Table::Ledger, &from, Some(&to), &mut |key, _| {
        lane.row.mark = ledger_sequence(key).unwrap_or_default().max(lane.row.mark);
        lane.behind += 1;
        ControlFlow::Continue(())
    })?;
    Ok(Some(lane))
}
