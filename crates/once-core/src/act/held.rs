//! For tests: what is remembered of lanes is what their rows say.

use std::collections::BTreeSet;

use once_model::ids::KernelId;

use super::home::state as marks;
use super::origin::lanes;
use super::rows::{LaneId, SendingRow, lane_from_key};
use crate::engine::Engine;
use crate::share;
use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;

/// Looks at all of it between two inputs.
pub(crate) fn holds(engine: &Engine, rows: &dyn Read) -> Result<(), StoreError> {
    as_origin(engine, rows)?;
    as_home(engine, rows)?;
    let count = engine.act.requests.row.map(|row| row.count);
    if let Some(count) = count {
        let mut found = 0;
        try_scan(rows, Table::Request, &[], None, |_, _| {
            found += 1;
            Ok::<_, StoreError>(std::ops::ControlFlow::Continue(()))
        })?;
        // After a crash it may be behind, until so many are there that some are dropped.
        assert!(count <= found, "the client ledger has {found} rows, and {count} are remembered");
    }
    assert!(engine.act.waiting.is_whole(), "what waits is not what is looked up: {:?}", engine.act.waiting);
    Ok(())
}

/// Whose lane this is, by its row at its home.
pub(crate) fn origin_of(row: &[u8]) -> Option<KernelId> {
    lane_from_key(row).filter(|(.., rest)| rest.is_empty()).map(|(_, origin, _)| origin.kernel)
}

/// Whether anything of a lane waits for its outcome, and is to be sent to this home.
pub(crate) fn waits_for(rows: &dyn Read, id: &LaneId, home: &KernelId) -> Result<bool, StoreError> {
    Ok(lanes::standing(rows, id)?.is_some_and(|lane| lane.home == *home && !lane.is_done()))
}

/// The lanes of this kernel as an origin: how far each is, and that the outbox names what waits.
fn as_origin(engine: &Engine, rows: &dyn Read) -> Result<(), StoreError> {
    let mut all = BTreeSet::new();
    try_scan(rows, Table::Sending, &[], None, |key, value| {
        txn::decode::<SendingRow>(Table::Sending, &value)?;
        all.extend(LaneId::from_row(key).map(|(id, _)| id));
        Ok::<_, StoreError>(std::ops::ControlFlow::Continue(()))
    })?;
    for id in &all {
        let Some(stands) = lanes::standing(rows, id)? else { continue };
        let is_listed = share::lists(rows, &stands.home, id)?;
        assert!(stands.is_done() || is_listed, "{id:?} waits, and the outbox does not name it");
        let Some(lane) = engine.act.lanes.0.get(id) else { continue };
        let shares_name = lanes::of_name(rows, &id.name.key)?.len() > 1;
        assert_eq!(
            (lane.home, lane.now, lane.last, lane.floor, lane.saved),
            (stands.home, stands.now, stands.last, stands.floor, stands.saved),
            "{id:?} as it is remembered, and as its rows say"
        );
        assert_eq!((lane.listed, lane.shares_name), (is_listed, shares_name), "{id:?}");
    }
    let others = engine.act.lanes.0.keys().filter(|id| !all.contains(id)).count();
    assert_eq!(others, 0, "lanes are remembered that never began");
    Ok(())
}

/// The lanes of all origins at this kernel: the mark is that of the newest row of the ledger.
fn as_home(engine: &Engine, rows: &dyn Read) -> Result<(), StoreError> {
    for (place, lane) in &engine.act.marks.lanes {
        let stands = marks::standing(rows, place)?;
        assert_eq!(stands.map(|stands| stands.row.mark), Some(lane.row.mark), "the mark of a lane");
    }
    Ok(())
}
