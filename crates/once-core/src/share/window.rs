//! The window: what is under way to a peer on one connection, and what waits to be. It counts all that goes to a peer,
//! objects and actions, in one place, with room for each of the two kinds.

use std::collections::{BTreeMap, VecDeque};

use once_model::ids::ObjectKey;
use once_model::limits::RESEND_AFTER_MS;

use super::rows::{Kind, Owed};
use crate::act::{LaneId, Place};
use crate::engine::limits::Limits;

/// Something that is under way: it is answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// A share that is not answered yet.
    Object(ObjectKey),
    /// An action that has no outcome yet.
    Act(Place),
}

impl Item {
    const fn kind(&self) -> Kind {
        match self {
            Self::Object(_) => Kind::Objects,
            Self::Act(_) => Kind::Lanes,
        }
    }

    /// What is owed as long as this has no answer.
    const fn owed(&self) -> Owed {
        match self {
            Self::Object(key) => Owed::Object(*key),
            Self::Act(place) => Owed::Lane(place.lane),
        }
    }
}

#[derive(Debug)]
struct Inflight {
    sent_ms: u64,
    bytes: usize,
}

/// What is owed of one kind: how much of it is under way, and where the rest is.
#[derive(Debug)]
pub(crate) struct Line {
    limits: Limits,
    count: usize,
    bytes: usize,
    /// What waits for room, in the order in which it came to be owed: while it holds all of it, nothing is scanned.
    pub waiting: VecDeque<Owed>,
    /// Where the next look at the outbox begins; `None` when everything in it is under way or in `waiting`.
    pub next: Option<Vec<u8>>,
    /// Rows were written before `next` since it passed them.
    pub behind: bool,
}

impl Line {
    fn empty(limits: &Limits) -> Self {
        Self { limits: *limits, count: 0, bytes: 0, waiting: VecDeque::new(), next: None, behind: false }
    }

    fn fresh(limits: &Limits) -> Self {
        Self { next: Some(Vec::new()), ..Self::empty(limits) }
    }

    pub fn has_room(&self) -> bool {
        mutant!(EndlessWindow) || self.count < self.limits.window && self.bytes < self.limits.window_bytes
    }

    /// Nothing waits before what comes now, and there is room for it.
    pub fn is_free(&self) -> bool {
        self.next.is_none() && self.waiting.is_empty() && self.has_room()
    }

    fn look_again(&mut self) {
        match self.next {
            None => self.next = Some(Vec::new()),
            Some(_) => self.behind = true,
        }
    }
}

/// How far a lane has been sent on this connection. It is here while anything of it is under way or waits for room.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Everything up to this sequence was sent, or has its outcome.
    pub sent: u64,
    /// The lane waits for room.
    in_line: bool,
    /// When it was sent again because its home asked, if it has not moved since.
    asked_ms: Option<u64>,
    count: usize,
    bytes: usize,
}

impl Cursor {
    /// Its home asks for it. Each action behind a gap does: once is enough until the lane has moved, or for as long as a
    /// resend takes. Whether it is to be sent again.
    pub fn ask(&mut self, now_ms: u64) -> bool {
        let lately = self.asked_ms.is_some_and(|at| at <= now_ms && now_ms - at < RESEND_AFTER_MS);
        if !lately {
            self.asked_ms = Some(now_ms);
        }
        !lately
    }

    /// It has got an outcome.
    pub const fn moved(&mut self) {
        self.asked_ms = None;
    }
}

/// What is under way to a peer on one connection.
#[derive(Debug)]
pub(crate) struct Window {
    inflight: BTreeMap<Item, Inflight>,
    objects: Line,
    lanes: Line,
    cursors: BTreeMap<LaneId, Cursor>,
    /// The peer asked for patience with something.
    put_off: bool,
    /// A resend timer is running: one for a connection is enough.
    pub resend_set: bool,
    /// A timer to go on sending is running.
    pub pump_set: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self::empty(&Limits::PAGE)
    }
}

impl Window {
    /// Nothing is to be sent.
    pub fn empty(limits: &Limits) -> Self {
        Self {
            inflight: BTreeMap::new(),
            objects: Line::empty(limits),
            lanes: Line::empty(limits),
            cursors: BTreeMap::new(),
            put_off: false,
            resend_set: false,
            pump_set: false,
        }
    }

    /// A new connection: everything in the outbox is to be sent.
    pub fn fresh(limits: &Limits) -> Self {
        Self { objects: Line::fresh(limits), lanes: Line::fresh(limits), ..Self::empty(limits) }
    }

    pub fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::Objects => &mut self.objects,
            Kind::Lanes => &mut self.lanes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.inflight.is_empty()
    }

    pub fn contains(&self, item: &Item) -> bool {
        self.inflight.contains_key(item)
    }

    /// Whether every object that is owed on this admitted connection is remembered here, and this is not among it. Most
    /// new debts are such: they need no search for an older one.
    pub fn surely_not_owed(&self, key: &ObjectKey) -> bool {
        let line = &self.objects;
        line.next.is_none() && line.waiting.is_empty() && !self.put_off && !self.contains(&Item::Object(*key))
    }

    /// It is under way, perhaps once more.
    pub fn sent(&mut self, item: Item, sent_ms: u64, bytes: usize) {
        self.answered(&item);
        self.inflight.insert(item, Inflight { sent_ms, bytes });
        let line = self.line(item.kind());
        line.count += 1;
        line.bytes += bytes;
        if let Item::Act(place) = item {
            let cursor = self.cursors.entry(place.lane).or_default();
            cursor.count += 1;
            cursor.bytes += bytes;
            cursor.sent = cursor.sent.max(place.sequence);
        }
    }

    /// Takes something out of the window.
    pub fn answered(&mut self, item: &Item) -> bool {
        let Some(gone) = self.inflight.remove(item) else { return false };
        let line = self.line(item.kind());
        line.count -= 1;
        line.bytes -= gone.bytes;
        if let Item::Act(place) = item
            && let Some(cursor) = self.cursors.get_mut(&place.lane)
        {
            cursor.count -= 1;
            cursor.bytes -= gone.bytes;
        }
        true
    }

    /// What stayed unanswered for too long is no longer under way, and what was put off need not wait any more: the
    /// resend timer came.
    pub fn give_up_late(&mut self, now_ms: u64) {
        // A clock that was set back makes everything look late once; sending again is harmless.
        let is_late = |sent: &Inflight| now_ms < sent.sent_ms || now_ms - sent.sent_ms >= RESEND_AFTER_MS;
        let late: Vec<_> =
            self.inflight.iter().filter(|(_, sent)| is_late(sent)).map(|(item, _)| *item).collect();
        for item in &late {
            self.again(item);
        }
        if std::mem::take(&mut self.put_off) {
            self.objects.look_again();
        }
        self.resend_set = false;
    }

    /// Something is to be sent once more, and of a lane what comes after it.
    fn again(&mut self, item: &Item) {
        self.answered(item);
        if let Item::Act(place) = item
            && let Some(cursor) = self.cursors.get_mut(&place.lane)
        {
            cursor.sent = cursor.sent.min(place.sequence.saturating_sub(1));
        }
        self.line_up(item.owed());
    }

    /// The peer had no room just now: look at the objects that it is owed again when the resend timer comes. Whether that
    /// timer is still to be set.
    pub fn put_off(&mut self) -> bool {
        self.put_off = true;
        !std::mem::replace(&mut self.resend_set, true)
    }

    /// Puts something in line. What does not fit will be found in the outbox.
    pub fn line_up(&mut self, owed: Owed) {
        let fits = self.line(owed.kind()).next.is_none();
        if let (Owed::Lane(lane), true) = (owed, fits)
            && std::mem::replace(&mut self.cursors.entry(lane).or_default().in_line, true)
        {
            return;
        }
        let line = self.line(owed.kind());
        if fits && line.waiting.len() < line.limits.in_line {
            line.waiting.push_back(owed);
            return;
        }
        line.look_again();
        if let Owed::Lane(lane) = owed
            && let Some(cursor) = self.cursors.get_mut(&lane)
        {
            cursor.in_line = false;
        }
    }

    /// The turn of a lane that waited for room.
    pub fn turn(&mut self, lane: &LaneId) {
        if let Some(cursor) = self.cursors.get_mut(lane) {
            cursor.in_line = false;
        }
    }

    /// How far a lane has been sent, if anything of it is under way or in line.
    pub fn cursor(&mut self, lane: &LaneId) -> Option<&mut Cursor> {
        self.cursors.get_mut(lane)
    }

    /// An action need not be sent: it has its outcome, or is under way.
    pub fn passed(&mut self, place: &Place) {
        let cursor = self.cursors.entry(place.lane).or_default();
        cursor.sent = cursor.sent.max(place.sequence);
    }

    /// Whether any of a lane is under way: then its outcome moves it on.
    pub fn has_some_of(&self, lane: &LaneId) -> bool {
        self.cursors.get(lane).is_some_and(|cursor| cursor.count > 0)
    }

    /// Whether so much of this lane is under way that no more should be: as much as it leaves free for all others
    /// together. So one that stands still takes half of the room, the next one half of the rest, and so on, and those
    /// that go on find some; and a lane that is alone still has many under way.
    pub fn has_its_share(&self, lane: &LaneId) -> bool {
        self.cursors.get(lane).is_some_and(|cursor| {
            cursor.count > 0
                && (cursor.count + self.lanes.count >= self.lanes.limits.window
                    || cursor.bytes + self.lanes.bytes >= self.lanes.limits.window_bytes)
        })
    }

    /// Everything of a lane that was sent up to now is answered, and nothing more of it waits.
    pub fn done(&mut self, lane: &LaneId) {
        if self.cursors.get(lane).is_some_and(|cursor| cursor.count == 0 && !cursor.in_line) {
            self.cursors.remove(lane);
        }
    }

    /// A lane's actions from this sequence on are not under way any more.
    pub fn back_to(&mut self, lane: &LaneId, sequence: u64) {
        let place = |sequence| Item::Act(Place { lane: *lane, sequence });
        let behind: Vec<_> =
            self.inflight.range(place(sequence)..=place(u64::MAX)).map(|(item, _)| *item).collect();
        for item in &behind {
            self.answered(item);
        }
        if let Some(cursor) = self.cursors.get_mut(lane) {
            cursor.sent = cursor.sent.min(sequence.saturating_sub(1));
        }
    }

    /// A lane is not sent in this window any more.
    pub fn leave(&mut self, lane: &LaneId) {
        self.back_to(lane, 0);
        self.done(lane);
    }
}

#[cfg(test)]
impl Window {
    /// Whether something is under way, in line, or found by the next look at the outbox.
    pub fn remembers(&self, owed: &Owed) -> bool {
        let line = match owed.kind() {
            Kind::Objects => &self.objects,
            Kind::Lanes => &self.lanes,
        };
        let is_ahead = |next: &Vec<u8>| line.behind || owed.to_row() >= *next;
        self.inflight.keys().any(|item| item.owed() == *owed)
            || line.waiting.contains(owed)
            || line.next.as_ref().is_some_and(is_ahead)
            || owed.kind() == Kind::Objects && self.put_off
    }

    /// Whether something waits for room although there is some.
    pub fn idles(&self, kind: Kind) -> bool {
        let line = match kind {
            Kind::Objects => &self.objects,
            Kind::Lanes => &self.lanes,
        };
        line.has_room() && (line.next.is_some() || !line.waiting.is_empty())
    }

    /// Whether something has no answer yet, or is to be tried again.
    pub fn waits(&self) -> bool {
        !self.inflight.is_empty() || self.put_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Hash, KernelId, Line as Lineage, Uuid};
    use proptest::prelude::*;

    fn key(n: u8) -> ObjectKey {
        ObjectKey { uuid: Uuid::nil(), line: Lineage::Unclaimed(Hash::from_bytes([n; 32])) }
    }

    fn act(n: u8, sequence: u64) -> Item {
        Item::Act(Place { lane: LaneId::new(key(n), KernelId::from_bytes([0; 32])), sequence })
    }

    /// Bytes that were sent twice and are answered once would take up the window for ever.
    #[test]
    fn what_is_sent_again_counts_once() {
        let mut window = Window::fresh(&Limits::PAGE);
        let (one, two) = (Item::Object(key(1)), Item::Object(key(2)));
        for _ in 0..3 {
            window.sent(one, 0, Limits::PAGE.window_bytes / 2);
            assert!(window.objects.has_room());
        }
        window.sent(two, 0, Limits::PAGE.window_bytes / 2);
        assert!(!window.objects.has_room() && window.lanes.has_room());
        assert!(window.answered(&one) && window.objects.has_room());
        assert!(window.answered(&two) && window.objects.bytes == 0);
    }

    /// The resend timer is one for a connection: it may come right after a lane was asked for.
    #[test]
    fn a_lane_is_asked_for_once_in_the_time_of_a_resend() {
        let mut window = Window::fresh(&Limits::PAGE);
        window.sent(act(1, 1), 0, 1);
        let lane = LaneId::new(key(1), KernelId::from_bytes([0; 32]));
        let mut ask = |now_ms| {
            window.give_up_late(now_ms);
            window.cursor(&lane).unwrap().ask(now_ms)
        };
        let times = [1000, 1001, RESEND_AFTER_MS, RESEND_AFTER_MS + 999, RESEND_AFTER_MS + 1000];
        assert_eq!(times.map(&mut ask), [true, false, false, false, true]);
        // A clock that was set back makes nobody wait for it.
        assert!(ask(5));
        window.cursor(&lane).unwrap().moved();
        assert!(window.cursor(&lane).unwrap().ask(6));
    }

    proptest! {
        /// Whatever comes and goes: the sums are those of what is under way.
        #[test]
        fn counts_are_those_of_what_is_under_way(
            steps in prop::collection::vec((0..3_u8, 0..4_u8, 1..6_u64, 0..900_usize), 0..60),
        ) {
            let mut window = Window::fresh(&Limits::PAGE);
            for (what, n, sequence, bytes) in steps {
                let item = if n == 3 { Item::Object(key(n)) } else { act(n, sequence) };
                match what {
                    0 | 1 => window.sent(item, sequence, bytes),
                    _ => { window.answered(&item); }
                }
                if bytes == 7 {
                    window.give_up_late(RESEND_AFTER_MS + 3);
                }
                let of = |kind: Kind| {
                    let under_way = window.inflight.iter().filter(|(item, _)| item.kind() == kind);
                    under_way.fold((0, 0), |(count, sum), (_, sent)| (count + 1, sum + sent.bytes))
                };
                prop_assert_eq!(of(Kind::Objects), (window.objects.count, window.objects.bytes));
                prop_assert_eq!(of(Kind::Lanes), (window.lanes.count, window.lanes.bytes));
                let by_lane = window.cursors.values().fold((0, 0), |(c, b), cursor| (c + cursor.count, b + cursor.bytes));
                prop_assert_eq!(by_lane, (window.lanes.count, window.lanes.bytes));
            }
        }
    }
}
