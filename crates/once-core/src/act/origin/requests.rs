//! The client ledger: what clients of this kernel asked, by its id, and what came of it. Pruned by size, the oldest ids
//! first; a floor keeps the highest time pruned, so that nothing pruned can run again.

use std::ops::ControlFlow;

use once_model::action::{After, Outcome};
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::limits::ID_AHEAD_MAX_MS;

use super::lanes;
use crate::act::rows::{EndedRow, Place, QueueRow, RequestRow, RequestsRow, SendingRow};
use crate::engine::{Engine, Step};
use crate::refusal::Refusal;
use crate::store::{Read, StoreError, Table};
use crate::txn::{self, Txn};

const ROW: &[u8] = b"requests";

/// Rows that are dropped at most when one more than the limit comes.
const AT_ONCE: usize = 16;

/// The count on disk may be so far behind: after a crash, some more are kept.
const COUNT_BEHIND_MAX: u64 = 64;

/// What is known here of an action that a client asked for here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// [`once_model::action::Action::hash`]: the same id with another hash is another action, and refused.
    pub hash: Hash,
    /// The object, as its lane is named.
    pub key: ObjectKey,
    /// Its home: today's while it waits, then the one that said the outcome.
    pub home: KernelId,
    /// Its place in the lane.
    pub sequence: u64,
    /// What came of it, once that is known.
    pub outcome: Option<Outcome>,
    /// The object after it.
    pub after: Option<After>,
    /// When it was accepted, in milliseconds since 1970.
    pub since_ms: u64,
    pub(crate) place: Place,
}

/// What is known here of an action that was accepted here.
///
/// # Errors
/// When the store cannot be read.
pub fn request(rows: &dyn Read, id: &Uuid) -> Result<Option<Requested>, StoreError> {
    let Some(RequestRow { place }) = txn::get(rows, Table::Request, id.as_bytes())? else { return Ok(None) };
    let Place { lane, sequence } = place;
    let key = lane.name.key;
    Ok(match txn::get(rows, Table::Queue, &place.to_row())? {
        Some(QueueRow::Ended(EndedRow { hash, outcome, after, since_ms, home })) => {
            let outcome = Some(outcome);
            Some(Requested { hash, key, home, sequence, outcome, after, since_ms, place })
        }
        Some(QueueRow::Waiting(row)) => {
            let hash = row.action.hash(&key.uuid);
            let lane: Option<SendingRow> = txn::get(rows, Table::Sending, &lane.to_row())?;
            let home = lane.map_or(place.lane.begun_at, |lane| lane.home);
            let (outcome, after, since_ms) = (None, None, row.since_ms);
            Some(Requested { hash, key, home, sequence, outcome, after, since_ms, place })
        }
        None => {
            let reason = format!("the action {id} has no row in its place");
            return Err(StoreError::damaged(Table::Queue, &place.to_row(), reason));
        }
    })
}

/// The time in an id of version 7, in milliseconds since 1970.
fn time_ms(id: &Uuid) -> u64 {
    id.as_bytes()[..6].iter().fold(0_u64, |time, byte| time << 8 | u64::from(*byte))
}

fn row(s: &mut Step<'_, '_>) -> Result<RequestsRow, StoreError> {
    if let Some(row) = s.engine.act.requests.row {
        return Ok(row);
    }
    let row = txn::get(s.txn, Table::Meta, ROW)?.unwrap_or_default();
    s.engine.act.requests.row = Some(row);
    Ok(row)
}

/// Whether a new action may have this id: a client's id carries its time. Far ahead of this kernel's clock, pruning by
/// time would keep it for ever; at or below the floor, it may have run.
pub(crate) fn check_id(s: &mut Step<'_, '_>, id: &Uuid) -> Result<Result<(), Refusal>, StoreError> {
    let time_ms = time_ms(id);
    let floor_ms = row(s)?.floor_ms;
    Ok(if id.as_bytes()[6] >> 4 != 7 {
        Err(Refusal::BadId { id: *id })
    } else if time_ms > s.ctx.now_ms.saturating_add(ID_AHEAD_MAX_MS) {
        Err(Refusal::IdAhead { id: *id, ahead_ms: time_ms - s.ctx.now_ms })
    } else if time_ms <= floor_ms && floor_ms > 0 && !mutant!(NoFloor) {
        Err(Refusal::IdTooOld { id: *id, floor_ms })
    } else {
        Ok(())
    })
}

/// Writes down where a new action is; the oldest that have their outcomes go when there are too many.
pub(crate) fn add(s: &mut Step<'_, '_>, id: &Uuid, place: Place) -> Result<(), StoreError> {
    let mut row = row(s)?;
    s.txn.put_lazily(Table::Request, id.as_bytes(), &RequestRow { place });
    row.count += 1;
    let beyond = row.count.saturating_sub(s.engine.limits.requests);
    if beyond > 0 {
        // Not more than are too many: what a client has just asked is among the newest, and it may ask again.
        let most = usize::try_from(beyond).unwrap_or(AT_ONCE).min(AT_ONCE);
        for (old, place) in oldest(s, most)? {
            s.txn.delete_lazily(Table::Request, old.as_bytes());
            if let Some(place) = place {
                lanes::drop_row(s, &place)?;
            }
            row.count = row.count.saturating_sub(1);
            row.floor_ms = row.floor_ms.max(time_ms(&old));
        }
        // In the same commit as what is dropped: an id that is not there is either new or below the floor.
        s.txn.put_lazily(Table::Meta, ROW, &row);
        s.engine.act.requests.unwritten = 0;
    }
    s.engine.act.requests.row = Some(row);
    s.engine.act.requests.unwritten += 1;
    Ok(())
}

/// Writes down an action that has its outcome at once.
pub(crate) fn add_ended(
    s: &mut Step<'_, '_>,
    id: &Uuid,
    place: Place,
    row: EndedRow,
) -> Result<(), StoreError> {
    s.txn.put_new_lazily(Table::Queue, &place.to_row(), &QueueRow::Ended(row));
    add(s, id, place)?;
    may_go(s, id);
    Ok(())
}

/// Whether a client may ask what came of the action in this place.
pub(crate) fn is_kept(s: &Step<'_, '_>, id: &Uuid, place: &Place) -> Result<bool, StoreError> {
    let row: Option<RequestRow> = txn::get(s.txn, Table::Request, id.as_bytes())?;
    Ok(row.is_some_and(|row| row.place == *place))
}

/// An action has its outcome: from now on it may be dropped.
pub(crate) fn may_go(s: &mut Step<'_, '_>, id: &Uuid) {
    let from = &mut s.engine.act.requests.from;
    *from = (*from).min(*id);
}

/// The oldest that have their outcomes. What still waits for one stays, whatever its age; nor is it looked at again.
fn oldest(s: &mut Step<'_, '_>, most: usize) -> Result<Vec<(Uuid, Option<Place>)>, StoreError> {
    let mut found = Vec::new();
    let from = s.engine.act.requests.from;
    s.txn.scan(Table::Request, from.as_bytes(), None, &mut |key, value| {
        if let Ok(id) = Uuid::from_slice(key) {
            found.push((id, txn::decode::<RequestRow>(Table::Request, &value).ok().map(|row| row.place)));
        }
        if found.len() >= 64 * AT_ONCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let mut ended = Vec::new();
    for (id, place) in found {
        s.engine.act.requests.from = id;
        let waits = place.map_or(Ok(false), |place| lanes::waiting(s, &place).map(|row| row.is_some()));
        match waits {
            // One that cannot be read may wait: it stays until somebody mends it, or gives it up.
            Ok(true) | Err(StoreError::Damaged { .. }) => {}
            Ok(false) => ended.push((id, place)),
            Err(error) => return Err(error),
        }
        if ended.len() >= most {
            break;
        }
    }
    Ok(ended)
}

/// Drops one row, since a new life begins: its id is refused from here on.
pub(crate) fn forget_request(s: &mut Step<'_, '_>, id: &[u8]) -> Result<(), StoreError> {
    let mut row = row(s)?;
    row.count = row.count.saturating_sub(1);
    row.floor_ms = row.floor_ms.max(Uuid::from_slice(id).map_or(0, |id| time_ms(&id)));
    s.txn.delete_lazily(Table::Request, id);
    s.txn.put_lazily(Table::Meta, ROW, &row);
    s.engine.act.requests.row = Some(row);
    Ok(())
}

/// The ledger is empty, and a new life begins. All ids up to now are refused from here on as too old: what they asked for
/// may have run.
pub(crate) fn begin_anew(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let row = RequestsRow { count: 0, floor_ms: row(s)?.floor_ms.max(s.ctx.now_ms) };
    s.txn.put(Table::Meta, ROW, &row);
    (s.engine.act.requests.row, s.engine.act.requests.unwritten, s.engine.act.requests.from) =
        (Some(row), 0, Uuid::nil());
    Ok(())
}

/// Writes the number of rows down, now and then, with what is committed anyway.
pub(crate) fn note(engine: &mut Engine, txn: &mut Txn<'_>) {
    if engine.act.requests.unwritten >= COUNT_BEHIND_MAX
        && let Some(row) = &engine.act.requests.row
    {
        txn.put_lazily(Table::Meta, ROW, row);
        engine.act.requests.unwritten = 0;
    }
}
