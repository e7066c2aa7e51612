//! The window: what is under way to a peer on one connection, and what waits to be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_model::ids::ObjectKey;
use once_model::limits::{RESEND_AFTER_MS, WINDOW_MAX_BYTES, WINDOW_MAX_SHARES};

/// What waits for a peer and is remembered in line. More is found by a look at the rows.
const WAITING_MAX: usize = 8192;

/// What is under way to a peer on one connection.
#[derive(Debug)]
pub(crate) struct Window<K> {
    /// Sent and not answered.
    pub inflight: BTreeMap<K, Inflight>,
    inflight_bytes: usize,
    /// Debts that wait for room, in the order in which they were made: while it holds them all, nothing is scanned.
    pub waiting: VecDeque<K>,
    /// Where the next look at the outbox begins; `None` when everything in it is under way or in `waiting`.
    pub next: Option<Vec<u8>>,
    /// Rows were written before `next` since it passed them.
    pub behind: bool,
    /// The peer asked for patience with something.
    put_off: bool,
    /// A resend timer is running: one for a connection is enough.
    pub resend_set: bool,
    /// A timer to go on sending is running.
    pub pump_set: bool,
    /// Of a window of actions: objects whose lanes have more to send than their share of the room. Each outcome makes
    /// room for one more of theirs.
    pub held: BTreeSet<ObjectKey>,
}

#[derive(Debug)]
pub(crate) struct Inflight {
    sent_ms: u64,
    bytes: usize,
}

impl<K: Ord + Copy> Window<K> {
    /// A new connection: everything in the outbox is to be sent.
    pub fn fresh() -> Self {
        Self { next: Some(Vec::new()), ..Self::default() }
    }

    pub fn has_room(&self) -> bool {
        mutant!(EndlessWindow)
            || self.inflight.len() < WINDOW_MAX_SHARES && self.inflight_bytes < WINDOW_MAX_BYTES
    }

    /// Whether everything that is owed on this admitted connection is remembered here, and this is not among it. Most
    /// new debts are such: they need no search for an older one.
    pub fn surely_not_owed(&self, key: &K) -> bool {
        self.next.is_none() && self.waiting.is_empty() && !self.put_off && !self.inflight.contains_key(key)
    }

    /// It is under way, perhaps once more.
    pub fn sent(&mut self, key: K, sent_ms: u64, bytes: usize) {
        self.answered(&key);
        self.inflight.insert(key, Inflight { sent_ms, bytes });
        self.inflight_bytes += bytes;
    }

    /// What stayed unanswered for too long is no longer under way, and what was put off need not wait any more: the
    /// resend timer came.
    pub fn give_up_late(&mut self, now_ms: u64) {
        // A clock that was set back makes everything look late once; sending again is harmless.
        let is_late = |sent: &Inflight| now_ms < sent.sent_ms || now_ms - sent.sent_ms >= RESEND_AFTER_MS;
        let late: Vec<_> =
            self.inflight.iter().filter(|(_, sent)| is_late(sent)).map(|(key, _)| *key).collect();
        for key in &late {
            self.answered(key);
        }
        if !late.is_empty() || std::mem::take(&mut self.put_off) {
            self.held.clear();
            self.look_again();
        }
        self.resend_set = false;
    }

    /// Takes something out of the window.
    pub fn answered(&mut self, key: &K) -> bool {
        let Some(gone) = self.inflight.remove(key) else { return false };
        self.inflight_bytes -= gone.bytes;
        true
    }

    /// The peer had no room just now: look at the outbox again when the resend timer comes. Whether that timer is
    /// still to be set.
    pub fn put_off(&mut self) -> bool {
        self.put_off = true;
        !std::mem::replace(&mut self.resend_set, true)
    }

    /// Puts a debt in line. One that does not fit will be found in the outbox.
    pub fn line_up(&mut self, key: K) {
        if self.next.is_none() && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(key);
        } else {
            self.look_again();
        }
    }

    pub fn look_again(&mut self) {
        match self.next {
            None => self.next = Some(Vec::new()),
            Some(_) => self.behind = true,
        }
    }
}

impl Window<(ObjectKey, u64)> {
    /// Whether so much of this lane is under way that no more should be: as much as it leaves free for all others
    /// together. So one that stands still takes half of the room, the next one half of the rest, and so on, and those
    /// that go on find some; and a lane that is alone still has many under way.
    pub fn has_its_share(&self, key: &ObjectKey) -> bool {
        let (mut count, mut bytes) = (0, 0);
        for (_, sent) in self.inflight.range((*key, 0)..=(*key, u64::MAX)) {
            count += 1;
            bytes += sent.bytes;
        }
        count > 0
            && (count + self.inflight.len() >= WINDOW_MAX_SHARES
                || bytes + self.inflight_bytes >= WINDOW_MAX_BYTES)
    }

    /// The last action on this object that is under way.
    pub fn last_of(&self, key: &ObjectKey) -> Option<u64> {
        self.inflight.range((*key, 0)..=(*key, u64::MAX)).next_back().map(|((_, sequence), _)| *sequence)
    }
}

impl<K> Default for Window<K> {
    fn default() -> Self {
        Self {
            inflight: BTreeMap::new(),
            inflight_bytes: 0,
            waiting: VecDeque::new(),
            next: None,
            behind: false,
            put_off: false,
            resend_set: false,
            pump_set: false,
            held: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that were sent twice and are answered once would take up the window for ever.
    #[test]
    fn what_is_sent_again_counts_once() {
        let mut window = Window::<u8>::fresh();
        for _ in 0..3 {
            window.sent(1, 0, WINDOW_MAX_BYTES / 2);
            assert!(window.has_room());
        }
        window.sent(2, 0, WINDOW_MAX_BYTES / 2);
        assert!(!window.has_room());
        assert!(window.answered(&1) && window.has_room());
        assert!(window.answered(&2) && window.inflight_bytes == 0);
    }
}
