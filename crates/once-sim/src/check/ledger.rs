//! The ledger at a home: a lane's mark never falls, and a result goes only below a floor that its origin has told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::act::{LaneRow, LedgerRow};
use once_core::store::{Read, Table};
use once_core::txn;
use once_core::waist::Input;
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::moving::LuggageLane;
use once_model::wire::Frame;

use super::{Checker, Group};
use crate::disk::{Changed, Commit, Disk};

/// Places of a lane that no action of an origin takes begin here.
const BUILT_IN: u64 = 1 << 52;

/// What is known of the lanes at one kernel.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// By the key of a lane's row: how far it is, since the process began.
    marks: BTreeMap<Vec<u8>, u64>,
    /// By origin and object: the highest floor that an act has told.
    floors: BTreeMap<(KernelId, ObjectKey), u64>,
}

impl Lanes {
    /// An object that moves in says how far its origins had heard.
    pub fn told(&mut self, origin: KernelId, key: ObjectKey, floor: u64) {
        let known = self.floors.entry((origin, key)).or_default();
        *known = floor.max(*known);
    }

    /// The highest floor that was told.
    pub fn floor(&self, origin: KernelId, key: ObjectKey) -> u64 {
        self.floors.get(&(origin, key)).copied().unwrap_or_default()
    }

    /// Another process, perhaps on another disk.
    pub fn started(&mut self) {
        self.marks.clear();
    }
}

impl Checker {
    pub(super) fn floors(&mut self, group: &Group<'_>) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for input in group.inputs {
            if let Input::Frame { peer, frame: Frame::Act(act), .. } = input {
                let floor = shadow.lanes.floors.entry((*peer, act.lane.key)).or_default();
                *floor = act.floor.max(*floor);
            }
        }
    }

    pub(super) fn ledger(&mut self, group: &Group<'_>, commit: &Commit) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        let mut wrong = Vec::new();
        let mut lanes = BTreeSet::new();
        for changed in &commit.rows {
            match changed.table {
                Table::Lane => drop(lanes.insert(changed.key.clone())),
                Table::Ledger => {
                    let Some(lane) = changed.key.len().checked_sub(8).and_then(|end| changed.key.get(..end))
                    else {
                        continue;
                    };
                    lanes.insert(lane.to_vec());
                    let went = result_went(&shadow.lanes, lane, changed, &group.kernel);
                    wrong.extend(went.map(|what| (4, what)));
                }
                _ => {}
            }
        }
        for lane in lanes {
            let now = mark(group.store, &lane);
            let before = shadow.lanes.marks.insert(lane, now).unwrap_or_default();
            if now < before {
                wrong.push((3, format!("the mark of a lane fell from {before} to {now}")));
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }
}

/// How far a lane is: by its row, or by the newest row of its ledger.
pub(super) fn mark(disk: &Disk, lane: &[u8]) -> u64 {
    let row = txn::get::<LaneRow>(disk, Table::Lane, lane).ok().flatten();
    let mut mark = row.map_or(0, |row| row.mark);
    let place = |sequence: u64| [lane, &sequence.to_be_bytes()].concat();
    let scanned = disk.scan(Table::Ledger, &place(0), Some(&place(BUILT_IN)), &mut |key, _| {
        mark = mark.max(sequence(key).unwrap_or_default());
        ControlFlow::Continue(())
    });
    scanned.map_or(0, |()| mark)
}

/// The outcomes of a lane that are kept, from a sequence on: sequences and ids.
pub(super) fn results(disk: &Disk, lane: &[u8], from: u64) -> Vec<(u64, Uuid)> {
    let place = |sequence: u64| [lane, &sequence.to_be_bytes()].concat();
    let mut found = Vec::new();
    let scanned = disk.scan(Table::Ledger, &place(from), Some(&place(BUILT_IN)), &mut |key, value| {
        let row = txn::decode::<LedgerRow>(Table::Ledger, &value).ok().filter(|row| row.outcome.is_some());
        found.extend(sequence(key).zip(row.map(|row| row.id)));
        ControlFlow::Continue(())
    });
    scanned.map_or(Vec::new(), |()| found)
}

/// The id of the action of a row, if that can be read.
pub(crate) fn id_of(value: &Bytes) -> Option<Uuid> {
    txn::decode::<LedgerRow>(Table::Ledger, value).ok().map(|row| row.id)
}

fn sequence(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|sequence| u64::from_be_bytes(*sequence))
}

fn result_went(lanes: &Lanes, lane: &[u8], changed: &Changed, at: &KernelId) -> Option<String> {
    let read = |value: &Option<Bytes>| txn::decode::<LedgerRow>(Table::Ledger, value.as_ref()?).ok();
    let before = read(&changed.before)?;
    before.outcome.as_ref()?;
    if read(&changed.after).is_some_and(|after| after.outcome == before.outcome) {
        return None;
    }
    let key = ObjectKey::from_row(lane.get(..ObjectKey::ROW_LEN)?)?;
    let (origin, sequence) = (super::rows::origin_of_lane(lane)?, sequence(&changed.key)?);
    // What came along of this kernel's own actions it has heard of without a frame.
    let floor = if origin == *at { u64::MAX } else { lanes.floor(origin, key) };
    (sequence >= floor).then(|| format!("the result of {sequence} went, and {origin:.10} has told {floor}"))
}

/// The key of a lane's row (`docs/store.md`).
pub(super) fn lane_row(lane: &LuggageLane) -> Vec<u8> {
    let takeover = match &lane.name.takeover {
        None => vec![0],
        Some(takeover) => [&[1], takeover.as_bytes().as_slice()].concat(),
    };
    let key = lane.name.key.to_row();
    [key.as_slice(), &takeover, lane.origin.as_bytes(), lane.incarnation.as_bytes()].concat()
}

/// What lacks of a lane in a luggage.
pub(super) fn lane_packed(
    store: &Disk,
    (row, lane): (&[u8], &LaneRow),
    packed: Option<&LuggageLane>,
) -> Option<(u8, String)> {
    let Some(packed) = packed else { return Some((3, "a lane".into())) };
    if packed.mark < mark(store, row) {
        return Some((3, "how far a lane is".into()));
    }
    let lacks = results(store, row, lane.floor.max(packed.floor)).into_iter().find(|(sequence, id)| {
        !packed.results.iter().any(|result| (result.sequence, result.id) == (*sequence, *id))
    });
    lacks.map(|(sequence, _)| (4, format!("the outcome of {sequence}")))
}
