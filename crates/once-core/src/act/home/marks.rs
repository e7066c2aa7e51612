//! The lanes at this kernel as a home: how far each has come, and what of its ledger is kept. How far it is, its newest
//! ledger rows say; the lane's own row is written when it begins and every so often, and with it goes what is over.

use std::ops::{ControlFlow, Range};

use once_model::action::{Act, BUILT_IN_FROM, Outcome};
use once_model::ids::ObjectKey;
use once_model::limits::TOLD_MAX_BYTES;

use super::history;
use super::state::{Lane, standing};
use crate::act::rows::{LaneRow, LedgerRow, ledger_key, ledger_sequence};
use crate::engine::Step;
use crate::engine::limits::BEHIND_MAX;
use crate::store::{Read, StoreError, Table, key_behind, prefix_end};
use crate::txn;

/// Ledger rows that one look drops something of: more than come between two looks, so that it catches up.
const SLICE_ROWS: usize = 2 * BEHIND_MAX as usize;

/// The highest sequence of a lane that has its outcome; 0 if it has not begun.
pub(crate) fn mark(s: &mut Step<'_, '_>, place: &[u8]) -> Result<u64, StoreError> {
    Ok(lane(s, place)?.map_or(0, |lane| lane.row.mark))
}

/// A lane that has begun.
pub(crate) fn lane(s: &mut Step<'_, '_>, place: &[u8]) -> Result<Option<Lane>, StoreError> {
    if let Some(lane) = s.engine.act.marks.lanes.get(place) {
        return Ok(Some(*lane));
    }
    let lane = standing(s.txn, place)?;
    if let Some(lane) = lane {
        s.engine.act.marks.note(place, lane);
    }
    Ok(lane)
}

/// An action was recorded, as the entry of this number. `known` is its lane before that.
pub(crate) fn recorded(
    s: &mut Step<'_, '_>,
    act: &Act,
    (place, known): (&[u8], Option<Lane>),
    (object, number): (&ObjectKey, u64),
) -> Result<(), StoreError> {
    let mut lane = known.unwrap_or_default();
    if act.sequence < BUILT_IN_FROM && !mutant!(ForgetMark) {
        lane.row.mark = act.sequence;
        // What has not run the origin cannot have heard of.
        lane.row.floor = lane.row.floor.max(act.floor.min(act.sequence));
    }
    lane.behind += 1;
    if known.is_none() || lane.behind >= s.engine.limits.behind {
        tidy(s, place, &mut lane.row, number)?;
        lane.behind = 0;
        s.txn.put(Table::Lane, place, &lane.row);
    }
    s.engine.act.marks.note(place, lane);
    if number.is_multiple_of(s.engine.limits.behind) {
        match sweep(s, object, number) {
            // A fault in another lane is that lane's.
            Err(StoreError::Damaged { .. }) => {}
            swept => swept?,
        }
    }
    Ok(())
}

/// Looks through another lane of an object, each in its turn: what was asked in a lane that stands still gets old, too.
fn sweep(s: &mut Step<'_, '_>, object: &ObjectKey, newest: u64) -> Result<(), StoreError> {
    let names = history::names(s.txn, object)?;
    let last = s.engine.act.marks.swept.get(object).cloned();
    let next = match next_lane(s.txn, &names, last.as_deref())? {
        None => next_lane(s.txn, &names, None)?,
        next => next,
    };
    let Some(place) = next else { return Ok(()) };
    let swept = &mut s.engine.act.marks.swept;
    if swept.len() >= s.engine.limits.lanes {
        swept.clear();
    }
    swept.insert(*object, place.clone());
    let Some(mut lane) = lane(s, &place)? else { return Ok(()) };
    let before = lane.row;
    tidy(s, &place, &mut lane.row, newest)?;
    if lane.row != before {
        lane.behind = 0;
        s.txn.put_lazily(Table::Lane, &place, &lane.row);
        s.engine.act.marks.note(&place, lane);
    }
    Ok(())
}

/// The lane of an object behind another one.
fn next_lane(
    rows: &dyn Read,
    names: &[ObjectKey],
    last: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut names: Vec<Vec<u8>> = names.iter().map(|name| name.to_row().to_vec()).collect();
    names.sort_unstable();
    let behind = last.map(key_behind).unwrap_or_default();
    let mut next = None;
    for name in names {
        let from = behind.clone().max(name.clone());
        let to = prefix_end(&name);
        if to.as_ref().is_some_and(|to| *to <= from) {
            continue;
        }
        rows.scan(Table::Lane, &from, to.as_deref(), &mut |key, _| {
            next = Some(key.to_vec());
            ControlFlow::Break(())
        })?;
        if next.is_some() {
            break;
        }
    }
    Ok(next)
}

/// Drops what is over of a lane, a slice at once.
fn tidy(s: &mut Step<'_, '_>, place: &[u8], row: &mut LaneRow, newest: u64) -> Result<(), StoreError> {
    row.told_from = drop_told(s, place, row.told_from..BUILT_IN_FROM, newest)?;
    // A long result goes as soon as the origin has it, a short one with what was asked.
    let long = row.long_from.max(row.results_from)..row.floor;
    row.long_from = drop_results(s, place, long, |outcome| outcome.bytes() > TOLD_MAX_BYTES)?;
    let mut told = row.floor;
    if mutant!(DropResultsEarly) {
        told = u64::MAX;
    }
    let over = row.results_from..row.told_from.min(told);
    let to = drop_results(s, place, over.clone(), |_| true)?;
    row.results_from = drop_whole(s, place, 0, over.start..to)?;
    // The client ledger has what came of built-in actions.
    let (from, end) = (row.built_ins_from, newest.saturating_add(1));
    let to = drop_told(s, place, BUILT_IN_FROM + from..BUILT_IN_FROM.saturating_add(end), newest)?;
    row.built_ins_from = drop_whole(s, place, BUILT_IN_FROM, from..to.saturating_sub(BUILT_IN_FROM))?;
    Ok(())
}

/// What was asked and said so long ago is not shown any more. Returns where to go on.
fn drop_told(s: &mut Step<'_, '_>, place: &[u8], range: Range<u64>, newest: u64) -> Result<u64, StoreError> {
    let mut next = range.start;
    for (sequence, row) in ledger(s.txn, place, range)? {
        // What cannot be read is passed over: nobody needs it here.
        if let Some(row) = row {
            let number = row.place.map_or(0, |place| place.number);
            if number.saturating_add(s.engine.limits.told_rows) > newest {
                break;
            }
            if row.told.is_some() {
                let row = LedgerRow { told: None, ..row };
                s.txn.put_lazily(Table::Ledger, &ledger_key(place, sequence), &row);
            }
        }
        next = sequence.saturating_add(1);
    }
    Ok(next)
}

/// Results that the origin has are dropped; that they ran stays. Returns where to go on.
fn drop_results(
    s: &mut Step<'_, '_>,
    place: &[u8],
    range: Range<u64>,
    is_over: impl Fn(&Outcome) -> bool,
) -> Result<u64, StoreError> {
    let end = range.end.max(range.start);
    let rows = ledger(s.txn, place, range)?;
    let next = match rows.last() {
        Some((last, _)) if rows.len() >= SLICE_ROWS => last.saturating_add(1),
        _ => end,
    };
    for (sequence, row) in rows {
        if let Some(row) = row.filter(|row| row.outcome.as_ref().is_some_and(&is_over)) {
            let row = LedgerRow { told: row.told_whole(), outcome: None, ..row };
            s.txn.put_lazily(Table::Ledger, &ledger_key(place, sequence), &row);
        }
    }
    Ok(next)
}

/// What is long over goes whole: the mark says that it ran. `over` are the places, from `base` on, of which nothing is
/// left to be dropped since the last time. Returns where to go on.
fn drop_whole(s: &mut Step<'_, '_>, place: &[u8], base: u64, over: Range<u64>) -> Result<u64, StoreError> {
    let kept = s.engine.limits.ledger_rows;
    let long_over = |place: u64| base.saturating_add(place.saturating_sub(kept));
    let rows = ledger(s.txn, place, long_over(over.start)..long_over(over.end))?;
    let mut next = over.end.max(over.start);
    if let (SLICE_ROWS, Some((last, _))) = (rows.len(), rows.last()) {
        // That one is gone by then.
        next = next.min(last.saturating_sub(base).saturating_add(kept));
    }
    for (sequence, _) in rows {
        s.txn.delete_lazily(Table::Ledger, &ledger_key(place, sequence));
    }
    Ok(next)
}

/// The first ledger rows of a lane in this range, as many as one slice has; nothing for one that cannot be read.
fn ledger(
    rows: &dyn Read,
    place: &[u8],
    range: Range<u64>,
) -> Result<Vec<(u64, Option<LedgerRow>)>, StoreError> {
    let mut found = Vec::new();
    if range.is_empty() {
        return Ok(found);
    }
    let (from, to) = (ledger_key(place, range.start), ledger_key(place, range.end));
    rows.scan(Table::Ledger, &from, Some(&to), &mut |key, value| {
        let row = txn::decode(Table::Ledger, &value).ok();
        found.extend(ledger_sequence(key).map(|sequence| (sequence, row)));
        if found.len() < SLICE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use once_model::action::LaneName;
    use once_model::ids::{Hash, ObjectKey, Uuid};
    use once_model::wire::{Code, Frame};

    use super::super::state::mark_in;
    use super::*;
    use crate::act::{Recorded, history};
    use crate::object;
    use crate::testing::{Alone, asked};

    fn paper() -> (Alone, crate::act::Origin, ObjectKey) {
        let mut kernel = Alone::new();
        let origin = kernel.connected(9);
        let key = kernel.object(1, "Paper");
        (kernel, origin, key)
    }

    /// An action of a peer that has the outcomes of all before it; with another result each time.
    fn nth(key: ObjectKey, sequence: u64, name: &str) -> Act {
        let mut act = asked(key, sequence, sequence.to_string());
        act.action.name = name.into();
        (act.floor, act.commit) = (sequence, Some(sequence + 1));
        act
    }

    fn outcome(sent: &[Frame]) -> Option<Outcome> {
        sent.iter().find_map(|frame| match frame {
            Frame::Outcome(told) => Some(told.outcome.clone()),
            _ => None,
        })
    }

    fn told(history: &[Recorded]) -> Vec<u64> {
        history.iter().filter(|row| row.told.is_some()).map(|row| row.entry.number).collect()
    }

    /// ADR 0011 has the table.
    #[test]
    fn an_action_of_a_peer_writes_six_rows_at_the_home() {
        let (mut kernel, origin, key) = paper();
        kernel.engine = std::mem::take(&mut kernel.engine).keeping_told(10);
        let mut written = |range: std::ops::Range<u64>, name| {
            let mut rows = Vec::new();
            for sequence in range {
                let before = kernel.written;
                let sent = kernel.says(origin.kernel, 1, Frame::Act(nth(key, sequence, name)));
                assert!(matches!(outcome(sent), Some(Outcome::Done(_))), "{sent:?}");
                rows.push(kernel.written - before);
            }
            rows
        };
        let summary = |rows: &[usize], few| {
            (rows.iter().filter(|rows| **rows == few).count(), rows.iter().sum::<usize>())
        };
        written(1..129, "write");
        // The head, the new body, the end of the old one, the ledger, the event log, the commit number.
        let (few, all) = summary(&written(129..257, "write"), 6);
        assert!(few >= 122, "{few} of 128");
        // Besides: the lane, what peer 9 has told, and in each ledger row what was asked goes once.
        assert!(all <= 128 * 7 + 6, "{all}");
        let (few, all) = summary(&written(257..385, "look"), 4);
        assert!(few >= 122, "{few} of 128");
        assert!(all <= 128 * 5 + 6, "{all}");
    }

    #[test]
    fn after_a_start_a_lane_goes_on_where_its_ledger_ends() {
        for last in [1, 2, 63, 64, 65, 66, 130] {
            let (mut kernel, origin, key) = paper();
            for sequence in 1..=last {
                kernel.says(origin.kernel, 1, Frame::Act(nth(key, sequence, "write")));
            }
            kernel.restart();
            kernel.connect(9, origin, 2);
            let before = object::head(&kernel.store, &key).unwrap();
            // Once more: the same outcome, and nothing runs.
            let again = Act { floor: 0, ..nth(key, last, "write") };
            let sent = kernel.says(origin.kernel, 2, Frame::Act(again));
            assert_eq!(outcome(sent), Some(Outcome::Done(last.to_string().into())));
            let mut other = nth(key, last, "write");
            other.action.id = Uuid::from_u128(1_000_000);
            assert_eq!(outcome(kernel.says(origin.kernel, 2, Frame::Act(other))), None);
            assert_eq!(object::head(&kernel.store, &key).unwrap(), before);
            let next = Act { floor: 0, ..nth(key, last + 2, "write") };
            let sent = kernel.says(origin.kernel, 2, Frame::Act(next));
            let asks = |frame: &Frame| matches!(frame, Frame::Missing(missing) if missing.from == last + 1);
            assert!(sent.iter().any(asks), "{sent:?}");
            let sent = kernel.says(origin.kernel, 2, Frame::Act(nth(key, last + 1, "write")));
            assert_eq!(outcome(sent), Some(Outcome::Done((last + 1).to_string().into())));
            // The creation is the first.
            let numbers = history(&kernel.store, &key).unwrap().into_iter().map(|row| row.entry.number);
            assert!(numbers.eq(1..=last + 2));
        }
    }

    /// Also of a lane in which nothing happens any more.
    #[test]
    fn what_was_asked_is_kept_of_the_newest_entries_of_an_object() {
        let (mut kernel, first, key) = paper();
        kernel.engine = std::mem::take(&mut kernel.engine).keeping_told(50);
        for sequence in 1..=30 {
            kernel.says(first.kernel, 1, Frame::Act(nth(key, sequence, "write")));
        }
        let second = kernel.connected(8);
        for sequence in 1..=400 {
            kernel.says(second.kernel, 1, Frame::Act(nth(key, sequence, "look")));
        }
        let history = history(&kernel.store, &key).unwrap();
        assert_eq!(history.len(), 431);
        let told = told(&history);
        assert!(told.iter().rev().copied().take(50).eq((382..=431).rev()), "{told:?}");
        assert!(told.len() < 50 + 128 && told[0] > 128, "{told:?}");
        // What the origin may ask for again is kept, whoever else acts.
        assert_eq!(history[30].outcome, Some(Outcome::Done("30".into())));
    }

    #[test]
    fn a_result_stays_until_its_origin_has_it() {
        let (mut kernel, origin, key) = paper();
        let long = |sequence: u64| format!("\"{}{sequence}\"", "x".repeat(2000));
        let act = |sequence, floor| {
            let mut act = asked(key, sequence, if sequence % 2 == 0 { long(sequence) } else { "1".into() });
            act.floor = floor;
            act
        };
        for sequence in 1..=200 {
            kernel.says(origin.kernel, 1, Frame::Act(act(sequence, 1)));
        }
        let results = |kernel: &Alone| {
            let rows = history(&kernel.store, &key).unwrap();
            let lens =
                rows.iter().map(|row| row.outcome.as_ref().map_or(0, Outcome::bytes)).collect::<Vec<_>>();
            let told = rows.iter().all(|row| row.told.as_ref().is_some_and(|told| told.result.is_some()));
            assert!(told);
            (lens.iter().filter(|len| **len > 1024).count(), lens.iter().filter(|len| **len == 1).count())
        };
        assert_eq!(results(&kernel), (100, 100));
        for sequence in 201..=400 {
            kernel.says(origin.kernel, 1, Frame::Act(act(sequence, 201)));
        }
        // Long ones go at once, the others with what was asked.
        assert_eq!(results(&kernel), (100, 200));
        kernel.restart();
        kernel.connect(9, origin, 2);
        let sent = kernel.says(origin.kernel, 2, Frame::Act(act(399, 201)));
        assert_eq!(outcome(sent), Some(Outcome::Done("1".into())));
    }

    /// A floor may leave out as many places as it likes.
    #[test]
    fn places_that_are_long_over_go_whole_across_gaps() {
        let (mut kernel, origin, key) = paper();
        kernel.engine = std::mem::take(&mut kernel.engine).keeping_told(0);
        for n in 1..=400 {
            kernel.says(origin.kernel, 1, Frame::Act(nth(key, n * 1000, "look")));
        }
        let kept = history(&kernel.store, &key).unwrap();
        // The creation, ten that are kept, and what one look leaves for the next.
        assert!((11..11 + 64).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap().entry.sequence, 400_000);
    }

    /// The last place that is kept jumps over more of them than one look drops.
    #[test]
    fn many_places_that_are_over_at_once_go_whole_too() {
        let (mut kernel, origin, key) = paper();
        kernel.engine = std::mem::take(&mut kernel.engine).keeping_told(0);
        kernel.engine.limits.ledger_rows = 1000;
        let mut act = |n| {
            kernel.says(origin.kernel, 1, Frame::Act(nth(key, n, "look")));
        };
        (1..=900).for_each(&mut act);
        (1..=1000).for_each(|n| act(900 + n * 1000));
        let kept = history(&kernel.store, &key).unwrap();
        // As many as if they had gone one by one.
        assert!((2..2 + 64).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap().entry.sequence, 1_000_900);
    }

    #[test]
    fn a_lane_is_known_by_its_whole_name() {
        let mut kernel = Alone::new();
        let (origin, key) = (kernel.connected(9), kernel.object(1, "Served"));
        let takeover = Some(Hash::from_bytes([3; 32]));
        let other = Act { lane: LaneName { key, takeover }, ..nth(key, 1, "go") };
        assert_eq!(outcome(kernel.says(origin.kernel, 1, Frame::Act(nth(key, 1, "go")))), None, "put off");
        let sent = kernel.says(origin.kernel, 1, Frame::Act(other.clone()));
        assert_eq!(outcome(sent), Some(Outcome::Refused(Code::NotHome)));
        kernel.ready(1);
        kernel.answer(crate::testing::done());
        let keys =
            [nth(key, 1, "go").lane, other.lane].map(|name| crate::act::rows::lane_key(&name, &origin));
        assert_eq!(mark_in(&kernel.store, &keys[0]).unwrap(), 1);
        assert_eq!(mark_in(&kernel.store, &keys[1]).unwrap(), 0);
        for (key, name) in keys.iter().zip([nth(key, 1, "go").lane, other.lane]) {
            let row = ledger_key(key, 7);
            let found = crate::act::rows::lane_from_key(&row).unwrap();
            assert_eq!(found, (name, origin, 7_u64.to_be_bytes().as_slice()));
        }
    }
}
