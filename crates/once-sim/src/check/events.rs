//! The event log: all that was told is in it, in its order and once, also after crashes; it stays within its bounds.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use once_core::store::Table;
use once_core::waist::{Effect, Event};
use once_core::{events, txn};
use once_model::action::Outcome;
use once_model::ids::KernelId;

use super::{Checker, Group};
use crate::disk::Disk;

/// So many rows more than its bounds allow may be there: the log is looked at now and then, a slice of it at a time.
const SLACK_PARTS: u64 = 2;
const SLACK_EVENTS: u64 = 512;
const SLACK_BYTES: u64 = 4096;

/// What the kernels have told since each was started, and what a reader has seen.
#[derive(Debug, Default)]
pub(super) struct Told {
    readers: BTreeMap<KernelId, Reader>,
}

/// A watcher that reads the log after each commit, and never forgets.
#[derive(Debug, Default)]
struct Reader {
    at: events::Cursor,
    /// The newest event in the log: not of those that a reader has seen and the disk has lost since.
    last: events::Cursor,
    /// Where the log was when a commit waited for the disk.
    synced: events::Cursor,
    /// Told, and not in the log yet: a nearly full disk is not written for it.
    owed: VecDeque<Event>,
    size: Size,
}

/// How large the log is, row by row: kept from what commits change, since to read all of it after each would take a tenth of
/// the time of a world.
#[derive(Debug, Default)]
struct Size {
    rows: BTreeMap<Vec<u8>, Amount>,
    all: Amount,
    /// The newest row that was ever there: its key, and what all rows up to it have taken up at least.
    up_to: Option<(Vec<u8>, u64)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Amount {
    events: u64,
    bytes: u64,
}

impl Checker {
    /// A group has told this: a reader finds it in the log, behind what it has read.
    pub(super) fn event_log(&mut self, group: &Group<'_>) {
        if group.failed {
            return;
        }
        let limits = self.shadows.get(&group.kernel).map(|shadow| shadow.limits).unwrap_or_default();
        let rows = group.changed().filter(|row| row.table == Table::Event);
        let reader = self.told.readers.entry(group.kernel).or_default();
        reader.owed.extend(group.effects.iter().filter_map(|(effect, _)| match effect {
            Effect::Event(event) => Some(kept(event)),
            _ => None,
        }));
        let mut wrong = reader.read(group.store);
        if group.commit.is_some_and(|commit| commit.synced) {
            reader.synced = reader.last;
        }
        for row in rows {
            wrong = wrong.or_else(|| reader.size.adds_up(&row.key, row.after.as_ref()?));
            reader.size.set(&row.key, row.after.as_ref());
        }
        wrong = wrong.or_else(|| reader.size.over(limits.events, limits.events_bytes));
        if let Some((promise, what)) = wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    /// An engine begins on this disk: what was told of a commit that waited for the disk is there. Of a commit in doubt there
    /// may be more than was told.
    pub fn log_opened(&mut self, kernel: &KernelId, disk: &Disk) {
        let reader = self.told.readers.entry(*kernel).or_default();
        reader.owed.clear();
        reader.size = Size::on(disk);
        let Ok(newest) = events::newest(disk) else { return };
        let synced = reader.synced;
        (reader.at, reader.last) = (reader.at.max(newest), newest);
        if self.rolled_back.contains(kernel) {
            (reader.at, reader.synced) = (newest, newest);
        } else if newest < synced {
            self.violation(4, kernel, 0, format!("the event log ends at {newest:?}, and did at {synced:?}"));
        }
    }
}

impl Reader {
    fn read(&mut self, disk: &Disk) -> Option<(u8, String)> {
        loop {
            // A disk that cannot be read just now is read after the next commit.
            let page = events::page(disk, self.at, 3).ok()?;
            for entry in page.entries {
                let events::Entry::Event(logged) = entry else { continue };
                // What it misses was told and is not there: a nearly full disk, or the oldest that went.
                for _ in self.last.number + 1..logged.cursor.number {
                    self.owed.pop_front();
                }
                (self.at, self.last) = (logged.cursor, logged.cursor);
                match self.owed.pop_front() {
                    Some(told) if told == strip(&logged.event) => {}
                    told => {
                        let what = format!("the event log has {:?} where it told {told:?}", logged.event);
                        return Some((4, what));
                    }
                }
            }
            self.at = page.after;
            if page.is_last {
                break;
            }
        }
        (self.owed.len() > 64).then(|| (4, format!("{} events are not in the log", self.owed.len())))
    }
}

/// An event as the log may have it: of a connection it keeps no number, of a long result the length.
fn kept(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::Acted { outcome, .. } | Event::Outcome { outcome, .. } = &mut event
        && let Outcome::Done(json) | Outcome::Failed(json) = outcome
        && json.len() > 4096
    {
        json.clear();
    }
    strip(&event)
}

fn strip(event: &Event) -> Event {
    match event.clone() {
        Event::Connected { peer, clock_ahead_ms, .. } => Event::Connected { peer, conn: 0, clock_ahead_ms },
        other => other,
    }
}

fn before_in(value: &Bytes) -> Option<u64> {
    txn::decode::<events::EventsRow>(Table::Event, value).ok().map(|row| row.before_bytes)
}

impl Size {
    fn on(disk: &Disk) -> Self {
        let mut size = Self::default();
        super::shadow::scan(disk, Table::Event, |key, value| {
            size.set(key, Some(value));
            size.up_to = before_in(value).map(|before| (key.to_vec(), before + value.len() as u64));
            None::<()>
        });
        size
    }

    /// A row is this from now on, or gone.
    fn set(&mut self, key: &[u8], value: Option<&Bytes>) {
        let amount = value.map(|value| Amount {
            events: txn::decode::<events::EventsRow>(Table::Event, value)
                .map_or(0, |row| row.events.len() as u64),
            bytes: value.len() as u64,
        });
        let before = match amount {
            Some(amount) => self.rows.insert(key.to_vec(), amount),
            None => self.rows.remove(key),
        };
        let (before, after) = (before.unwrap_or_default(), amount.unwrap_or_default());
        self.all.events = self.all.events + after.events - before.events;
        self.all.bytes = self.all.bytes + after.bytes - before.bytes;
    }

    /// `docs/store.md`, 52, key 1: "what all rows before it have taken up (bytes, those that are gone, too)".
    fn adds_up(&mut self, key: &[u8], value: &Bytes) -> Option<(u8, String)> {
        let before = before_in(value)?;
        let last = self.up_to.replace((key.to_vec(), before + value.len() as u64));
        let (_, least) = last.filter(|(last, _)| last.as_slice() < key)?;
        (before < least)
            .then(|| (9, format!("the event log says that {before} bytes were before, and it was {least}")))
    }

    fn over(&self, events_max: u64, bytes_max: u64) -> Option<(u8, String)> {
        let Amount { events, bytes } = self.all;
        let newest = self.rows.last_key_value().map_or(0, |(_, newest)| newest.bytes);
        let too_many = events > events_max + events_max / SLACK_PARTS + SLACK_EVENTS;
        let too_large = bytes > bytes_max + bytes_max / SLACK_PARTS + newest + SLACK_BYTES;
        (too_many || too_large).then(|| (9, format!("the event log has {events} events and {bytes} bytes")))
    }
}
