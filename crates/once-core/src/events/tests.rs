//! The log on one engine: what is in it, across restarts and losses, and what goes.

use once_model::action::Outcome;
use once_model::ids::{Line, Lineage, ObjectKey, Uuid};

use super::*;
use crate::engine::{Engine, Limits};
use crate::store::{Batch, Durability, Read, Store, StoreError, Table, Visit};
use crate::testing::Alone;
use crate::waist::{Event, Input};

/// Everything after that place, read in pages of that many rows.
fn after(kernel: &Alone, from: Cursor, rows_max: usize) -> Vec<Entry> {
    let (mut found, mut from) = (Vec::new(), from);
    loop {
        let part = page(&kernel.store, from, rows_max).unwrap();
        assert!(part.is_last || part.after > from, "a page gets further");
        found.extend(part.entries);
        from = part.after;
        if part.is_last {
            return found;
        }
    }
}

/// The events, and the sum of what is missing.
fn read(entries: &[Entry]) -> (Vec<&Logged>, u64) {
    let (mut events, mut missing) = (Vec::new(), 0);
    for entry in entries {
        match entry {
            Entry::Event(logged) => events.push(&**logged),
            Entry::Gap { missed, .. } => missing += missed,
        }
    }
    (events, missing)
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    read(entries).0.iter().map(|logged| logged.cursor.number).collect()
}

/// A kernel with a log of that size that has an object.
fn kernel_with(events: u64, events_bytes: u64) -> (Alone, ObjectKey) {
    let mut kernel = Alone::new();
    kernel.restart_with(Engine::within(Limits { events, events_bytes, ..Limits::default() }));
    let key = kernel.object(1, "Open");
    (kernel, key)
}

fn acts(kernel: &mut Alone, key: ObjectKey, numbers: std::ops::Range<u64>) {
    for n in numbers {
        kernel.act(key, n);
    }
}

#[test]
fn what_happened_is_in_the_log_in_its_order_whatever_the_page() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    kernel.events.clear();
    let begin = newest(&kernel.store).unwrap();
    // Some in a commit of its own, some together.
    kernel.act(key, 1);
    let together: Vec<_> =
        (2..6).map(|n| Input::Command { token: 100 + n, command: kernel.wish(key, "go", n) }).collect();
    kernel.inputs(together);
    kernel.act(key, 6);
    let told = kernel.events.clone();
    assert_eq!(told.len(), 6, "{told:?}");
    for rows_max in [1, 2, 100] {
        let events = after(&kernel, begin, rows_max);
        let (seen, missing) = read(&events);
        assert_eq!(
            seen.iter().map(|logged| &logged.event).collect::<Vec<_>>(),
            told.iter().collect::<Vec<_>>()
        );
        let expected: Vec<_> = (begin.number + 1..).zip(&told).map(|(number, _)| number).collect();
        assert_eq!((numbers(&events), missing), (expected.clone(), 0));
        // From the middle of a row, too.
        for at in &seen {
            let rest = after(&kernel, at.cursor, rows_max);
            assert_eq!(numbers(&rest), expected[(at.cursor.number - begin.number) as usize..]);
            assert_eq!(read(&rest).1, 0);
        }
    }
    let last = newest(&kernel.store).unwrap();
    assert_eq!(last.number, begin.number + told.len() as u64);
    for known in [begin, last] {
        assert_eq!(newest_since(&kernel.store, known).unwrap(), last);
    }
}

#[test]
fn a_restart_goes_on_with_the_numbers_in_another_boot() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    kernel.act(key, 1);
    let before = newest(&kernel.store).unwrap();
    kernel.restart();
    kernel.act(key, 9);
    let events = after(&kernel, before, 10);
    let (seen, missing) = read(&events);
    assert!(!seen.is_empty() && missing == 0);
    for (number, logged) in (before.number + 1..).zip(seen) {
        assert_eq!(logged.cursor, Cursor { boot: before.boot + 1, number });
    }
}

#[test]
fn who_saw_what_the_disk_lost_sees_all_that_comes_after_it() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    kernel.connected(3);
    kernel.act(key, 1);
    let synced = newest(&kernel.store).unwrap();
    // Told, in commits that did not wait for the disk.
    kernel.down(3, 1);
    let seen = newest(&kernel.store).unwrap();
    assert!(seen > synced);
    kernel.crash(0);
    kernel.act(key, 2);
    let events = after(&kernel, seen, 10);
    assert_eq!(events[0].cursor(), Cursor { boot: synced.boot + 1, number: synced.number + 1 });
    assert_eq!(read(&events).1, 0);
    assert_eq!(after(&kernel, synced, 10), events);
}

#[test]
fn the_oldest_go_and_who_comes_late_is_told_how_many() {
    const MAX: u64 = 40;
    for (events, events_bytes) in [(MAX, 1 << 20), (1 << 20, 8 * 1024)] {
        let (mut kernel, key) = kernel_with(events, events_bytes);
        let begin = newest(&kernel.store).unwrap();
        acts(&mut kernel, key, 1..200);
        let last = newest(&kernel.store).unwrap().number;
        let kept = after(&kernel, begin, 7);
        let there = numbers(&kept);
        let gap = Entry::Gap {
            missed: there[0] - begin.number - 1,
            last: Cursor { number: there[0] - 1, ..begin },
        };
        assert_eq!(kept[0], gap);
        assert_eq!(kept.len(), there.len() + 1, "and nothing else is missing");
        assert_eq!(there.last(), Some(&last));
        if events == MAX {
            // A few more than that, until the next look.
            assert!((MAX..=MAX + MAX / 2).contains(&(there.len() as u64)), "{}", there.len());
        } else {
            let mut bytes = 0;
            let mut count = |_: &[u8], value: bytes::Bytes| {
                bytes += value.len() as u64;
                std::ops::ControlFlow::Continue(())
            };
            kernel.store.scan(Table::Event, &[], None, &mut count).unwrap();
            assert!((events_bytes / 2..=events_bytes + events_bytes / 8).contains(&bytes), "{bytes}");
        }
        assert_eq!(read(&after(&kernel, Cursor::START, 7)).1, 0, "who begins misses nothing");
        // The bounds hold after a restart, too.
        kernel.restart_with(Engine::within(Limits { events: 5, ..Limits::default() }));
        acts(&mut kernel, key, 200..220);
        assert!(after(&kernel, Cursor::START, 100).len() < 16);
    }
}

#[test]
fn a_long_result_is_told_by_its_length() {
    let short = Event::Outcome {
        key: ObjectKey { uuid: Uuid::from_u128(1), line: Line::Claimed(Lineage::from_bytes([1; 32])) },
        id: Uuid::from_u128(2),
        outcome: Outcome::Done(format!("\"{}\"", "x".repeat(EVENT_RESULT_MAX_BYTES - 2)).into()),
    };
    assert_eq!(LoggedRow::of(&short), LoggedRow { event: short.clone(), cut_bytes: None });
    let Event::Outcome { key, id, .. } = short else { unreachable!() };
    let json = format!("\"{}\"", "x".repeat(EVENT_RESULT_MAX_BYTES - 1));
    let cut = LoggedRow::of(&Event::Outcome { key, id, outcome: Outcome::Failed(json.into()) });
    assert_eq!(cut.cut_bytes, Some(EVENT_RESULT_MAX_BYTES as u64 + 1));
    assert_eq!(cut.event, Event::Outcome { key, id, outcome: Outcome::Failed(bytes::Bytes::new()) });
}

#[test]
fn rows_that_cannot_be_read_are_missed_and_nothing_else() {
    for damaged in [1..2, 0..3, 2..3, 1..3] {
        let (mut kernel, key) = kernel_with(1000, 1 << 20);
        let begin = newest(&kernel.store).unwrap();
        acts(&mut kernel, key, 1..5);
        let whole = after(&kernel, begin, 10);
        let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Event);
        let keys: Vec<_> =
            rows.map(|(_, key, _)| key).filter(|key| Cursor::from_row(key) > Some(begin)).collect();
        assert_eq!(keys.len(), 4);
        let bad = keys[damaged.clone()].iter().map(|key| (Table::Event, key.clone(), Some("?".into())));
        kernel.store.commit(Batch { rows: bad.collect() }, Durability::Synced).unwrap();
        for rows_max in [1, 2, 10] {
            let rest = after(&kernel, begin, rows_max);
            let (seen, missing) = read(&rest);
            assert_eq!(missing, damaged.len() as u64, "{rest:?}");
            assert_eq!(seen.len() as u64 + missing, whole.len() as u64);
            assert_eq!(rest.last().map(Entry::cursor), whole.last().map(Entry::cursor));
        }
    }
}

#[test]
fn where_the_newest_row_cannot_be_read_the_numbers_go_on_all_the_same() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    acts(&mut kernel, key, 1..4);
    let last = newest(&kernel.store).unwrap();
    let damaged = Batch { rows: vec![(Table::Event, last.to_row().to_vec(), Some("?".into()))] };
    kernel.store.commit(damaged, Durability::Synced).unwrap();
    kernel.restart();
    kernel.act(key, 9);
    assert_eq!(after(&kernel, last, 10)[0].cursor().number, last.number + 1);
}

#[test]
fn a_nearly_full_disk_is_not_written_for_the_log_alone() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    kernel.connected(3);
    let log = |kernel: &Alone| kernel.rows().iter().filter(|(table, ..)| *table == Table::Event).count();
    kernel.input(Input::Disk { free_bytes: 0 });
    let (rows, begin) = (log(&kernel), newest(&kernel.store).unwrap());
    kernel.events.clear();
    kernel.down(3, 1);
    assert!(!kernel.events.is_empty(), "it is told all the same");
    assert_eq!(log(&kernel), rows);
    kernel.input(Input::Disk { free_bytes: u64::MAX });
    kernel.act(key, 1);
    assert_eq!(read(&after(&kernel, begin, 10)).1, 1);
}

/// A store whose log is damaged before a place.
struct Worn<'a>(&'a dyn Read, Cursor);

impl Worn<'_> {
    fn look(&self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let is_damaged = table == Table::Event && key < &self.1.to_row()[..];
        if is_damaged { Err(StoreError::damaged(table, key, "a test")) } else { Ok(()) }
    }
}

impl Read for Worn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.look(table, key)?;
        self.0.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.look(table, from)?;
        self.0.scan(table, from, to, visit)
    }
}

#[test]
fn a_log_that_is_damaged_goes_on_behind_all_that_has_happened() {
    let (mut kernel, key) = kernel_with(1000, 1 << 20);
    kernel.act(key, 1);
    let before = newest(&kernel.store).unwrap();
    let anew = Cursor { boot: before.boot + 1, number: 0 };
    {
        let worn = Worn(&kernel.store, anew);
        assert_eq!(newest(&worn).unwrap(), anew);
        assert_eq!(State::open(&worn).unwrap().newest(), 0);
        assert!(matches!(examine(&worn), Err(StoreError::Damaged { table: Table::Event, .. })));
    }
    examine(&kernel.store).unwrap();
    // Who looks on from there sees what the next boot writes.
    kernel.restart();
    kernel.act(key, 2);
    let seen = page(&Worn(&kernel.store, anew), anew, 100).unwrap();
    assert!(seen.is_last && !seen.entries.is_empty());
}
