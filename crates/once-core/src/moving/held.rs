//! For tests: what is remembered of objects that move is what their rows say.

use super::state::{Stage, State};
use super::{arrivals, departures};
use crate::store::{Read, StoreError};

/// Looks at all of it between two inputs.
pub(crate) fn holds(state: &State, rows: &dyn Read) -> Result<(), StoreError> {
    let leaving = state.leaving.iter().map(|(key, leaving)| {
        let is_sealed = matches!(leaving.stage, Stage::Sealed { .. });
        (*key, leaving.to, leaving.leave_calls, leaving.told, is_sealed)
    });
    let departures = departures(rows)?;
    let rows_say = departures.iter().map(|row| (row.key, row.to, row.leave_calls, row.told, row.sealed));
    assert!(leaving.eq(rows_say), "{state:?} leave, and the rows say {departures:?}");
    let arrivals = arrivals(rows)?;
    let arriving = state.arriving.iter().map(|(key, from)| (*key, *from));
    assert!(
        arriving.eq(arrivals.iter().map(|row| (row.key, row.from))),
        "{state:?} have come, and the rows say {arrivals:?}"
    );
    let waits = !state.leaving.is_empty() || !state.arriving.is_empty() || !state.telling.is_empty();
    assert!(!waits || state.ticking, "nobody looks at what moves again: {state:?}");
    assert!(state.touched.is_empty(), "{state:?}");
    Ok(())
}
