//! What holds between any two inputs, whatever came before: the engine remembers what its rows say, whatever it is to do later has a
//! timer, and whatever a peer is owed is under way or found again. Looked at after each input of each test.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::KernelId;

use super::alone::Alone;
use crate::access::GrantRow;
use crate::archive::{self, ArchiveRow};
use crate::chores::Chore;
use crate::memory::MemoryStore;
use crate::object::{self, HeadRow, RevisionRow};
use crate::peers::{self, InviteRow, Link, PeerStatus, Phase};
use crate::share::{self, Kind};
use crate::store::{Read, StoreError, Table, try_scan};
use crate::waist::Timer;
use crate::{act, moving, txn};

/// Rows of a store that is looked through after each input: a test with more is about their number.
const ROWS_MAX: usize = 400;

impl Alone {
    /// Panics at what does not hold.
    pub(super) fn holds(&self) {
        if self.is_ahead || !self.engine.parked.list().is_empty() || self.has_more_rows(ROWS_MAX) {
            return;
        }
        match self.all_holds() {
            // A damaged row that nothing has met yet.
            Ok(()) | Err(StoreError::Damaged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn has_more_rows(&self, most: usize) -> bool {
        let mut count = 0;
        for table in Table::ALL {
            let seen = self.store.scan(table, &[], None, &mut |_, _| {
                count += 1;
                if count > most {
                    std::ops::ControlFlow::Break(())
                } else {
                    std::ops::ControlFlow::Continue(())
                }
            });
            seen.unwrap();
        }
        count > most
    }

    fn all_holds(&self) -> Result<(), StoreError> {
        let rows = &self.store;
        self.timers_hold();
        self.ends_hold()?;
        self.waits_hold()?;
        act::held::holds(&self.engine, rows)?;
        share::held::counts(rows)?;
        self.engine.events.holds(rows)?;
        self.bodies_hold()?;
        if self.engine.peers.quarantined {
            return Ok(());
        }
        moving::held::holds(&self.engine.moving, rows)?;
        for (peer, link) in &self.engine.peers.links {
            if link.up().is_some() {
                let kinds = [Kind::Objects, Kind::Lanes];
                let kinds = if link.act.knows_actions { &kinds[..] } else { &kinds[..1] };
                share::held::holds(rows, peer, &link.window, kinds)?;
            }
        }
        Ok(())
    }

    /// Each revision that is kept has its bytes, no others are here, and what a peer has brought is counted.
    fn bodies_hold(&self) -> Result<(), StoreError> {
        let rows = &self.store;
        let (mut places, mut stored) = (BTreeSet::new(), BTreeMap::<KernelId, u64>::new());
        for table in [Table::Head, Table::Conflict] {
            scan(rows, table, |key, value| {
                let head: HeadRow = txn::decode(table, value)?;
                if !head.header.tombstone {
                    let place = object::body_key(&head.header);
                    assert!(
                        rows.get(Table::Body, &place)?.is_some(),
                        "{table:?} {key:?} has no bytes: {head:?}"
                    );
                    places.insert(place);
                }
                if let (true, Some(from)) = (head.charged, head.from) {
                    *stored.entry(from).or_default() += object::cost(&head.header);
                }
                Ok(())
            })?;
        }
        scan(rows, Table::Revision, |_, value| {
            let kept: RevisionRow = txn::decode(Table::Revision, value)?;
            places.insert(object::body_key(&kept.header));
            Ok(())
        })?;
        scan(rows, Table::Body, |place, _| {
            assert!(places.contains(place), "bytes that nothing needs: {place:?}");
            Ok(())
        })?;
        scan(rows, Table::Lane, |key, _| {
            if let Some(origin) = act::held::origin_of(key) {
                *stored.entry(origin).or_default() += object::LANE_COST_BYTES;
            }
            Ok(())
        })?;
        scan(rows, Table::Archive, |_, value| {
            let row: ArchiveRow = txn::decode(Table::Archive, value)?;
            *stored.entry(row.from).or_default() += archive::cost(&row.kept);
            Ok(())
        })?;
        for (peer, row) in peers::all(rows)? {
            let counted = share::usage(rows, &peer)?.stored_bytes;
            let found = stored.get(&peer).copied().unwrap_or_default();
            assert!(
                row.status != PeerStatus::Active || counted == found,
                "{counted} are counted, {found} stored"
            );
        }
        Ok(())
    }

    /// What ends by the clock has a timer that rings by then.
    fn ends_hold(&self) -> Result<(), StoreError> {
        let (rows, now_ms) = (&self.store, self.ctx.now_ms);
        let mut ends = Vec::new();
        scan(rows, Table::Grant, |_, value| {
            let row: GrantRow = txn::decode(Table::Grant, value)?;
            ends.extend(row.next_end_ms());
            Ok(())
        })?;
        scan(rows, Table::Invite, |_, value| {
            let row: InviteRow = txn::decode(Table::Invite, value)?;
            ends.extend((!row.ended).then_some(row.expires_ms));
            Ok(())
        })?;
        let rings = |until_ms: u64, is_it: fn(&Timer) -> bool| {
            self.timers.iter().any(|(at_ms, timer)| is_it(timer) && *at_ms <= until_ms.max(now_ms + 1))
        };
        if let Some(end_ms) = ends.into_iter().min() {
            let is_known = self.engine.expiry.next_ms.is_some_and(|next_ms| next_ms <= end_ms);
            assert!(is_known, "what ends at {end_ms} is not known: {:?}", self.engine.expiry);
            assert!(rings(end_ms, |timer| matches!(timer, Timer::Expiry(_))), "nothing rings at {end_ms}");
        }
        let mut due = Vec::new();
        scan(rows, Table::Due, |key, _| {
            due.extend(key.first_chunk().map(|time| u64::from_be_bytes(*time)));
            Ok(())
        })?;
        if let (Some(due_ms), false) = (due.into_iter().min(), self.engine.peers.quarantined) {
            assert!(rings(due_ms, |timer| matches!(timer, Timer::Due(_))), "nothing rings at {due_ms}");
        }
        Ok(())
    }

    /// Whoever waits for something is told of it: it is still under way. And nothing that could be done at once is left.
    fn waits_hold(&self) -> Result<(), StoreError> {
        let (engine, rows) = (&self.engine, &self.store);
        for (peer, key) in engine.share.deliveries.keys() {
            assert!(share::debt(rows, peer, key)?.is_some(), "a client waits for {peer} to have {key}");
        }
        for (peer, tokens) in &engine.peers.joins {
            let row = peers::peer(rows, peer)?;
            let is_joining = row.is_some_and(|row| row.secret.is_some());
            assert!(is_joining || tokens.is_empty(), "a client waits for {peer} to admit this kernel");
        }
        for (id, tokens) in &engine.act.acts {
            let waits = act::request(rows, id)?.is_some_and(|asked| asked.outcome.is_none());
            assert!(waits || tokens.is_empty(), "a client waits for what came of {id}");
        }
        let chores = &engine.chores;
        let mut lasting = Vec::new();
        scan(rows, Table::Chore, |key, _| {
            lasting.extend(Chore::from_row(key));
            Ok(())
        })?;
        assert_eq!((lasting, chores.passing.len()), (Vec::new(), 0), "chores that nobody goes on with");
        assert!(chores.tokens.values().all(Vec::is_empty), "a client waits for a chore: {chores:?}");
        assert!(engine.peers.wanted.is_empty() && engine.peers.heard.is_empty(), "{:?}", engine.peers);
        assert!(engine.act.slow.next.is_empty(), "{:?}", engine.act.slow);
        Ok(())
    }

    /// A timer runs for whatever the engine believes that one runs for, and not two for the same.
    fn timers_hold(&self) {
        let mut timers = BTreeSet::new();
        for (_, timer) in &self.timers {
            // Tests call two connections by one number.
            let is_new = timers.insert(*timer) || matches!(timer, Timer::Hello(..));
            assert!(is_new, "two timers for the same: {:?}", self.timers);
        }
        let has = |timer: Timer| timers.contains(&timer);
        let engine = &self.engine;
        for (is_set, timer) in [
            (engine.chores.timer_set, Timer::Chores),
            (engine.moving.ticking, Timer::Leaving),
            (engine.peers.told_set, Timer::Progress),
            (engine.act.waiting.timer_set, Timer::Given),
        ] {
            assert_eq!(is_set, has(timer), "{timer:?}");
        }
        for size in 0..32_u8 {
            assert_eq!(engine.clocks & 1 << size != 0, has(Timer::Due(size)), "a clock of 2^{size} ms");
            assert_eq!(
                engine.expiry.timers & 1 << size != 0,
                has(Timer::Expiry(size)),
                "the end in 2^{size} ms"
            );
        }
        for (peer, link) in &engine.peers.links {
            self.link_holds(peer, link, &has);
        }
    }

    fn link_holds(&self, peer: &KernelId, link: &Link, has: &dyn Fn(Timer) -> bool) {
        match link.phase {
            Phase::Idle => {
                let row = peers::peer(&self.store, peer).ok().flatten();
                let is_called = row.is_some_and(|row| row.is_called());
                let dials = has(Timer::Redial(*peer, link.pause));
                assert!(dials || !is_called, "nobody dials {peer} again: {link:?}");
            }
            Phase::Dialling => {}
            Phase::Greeting { conn, .. } => {
                assert!(has(Timer::Hello(*peer, conn)), "{peer} may be silent for ever")
            }
            Phase::Up { conn, .. } => {
                let is_set = has(Timer::Resend(*peer, conn));
                assert_eq!(link.window.resend_set, is_set, "{peer}: {:?}", link.window);
                assert!(is_set || !link.window.waits(), "nobody sends it to {peer} again: {:?}", link.window);
            }
        }
    }
}

fn scan(
    rows: &MemoryStore,
    table: Table,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    try_scan(rows, table, &[], None, |key, value| {
        visit(key, &value)?;
        Ok(std::ops::ControlFlow::Continue(()))
    })
}
