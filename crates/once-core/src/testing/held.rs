//! What holds between any two inputs, whatever came before: the engine remembers what its rows say, whatever it is to do later has a
//! timer, and whatever a peer is owed is under way or found again. Looked at after each input of each test.

use std::collections::BTreeSet;

use once_model::ids::KernelId;

use super::alone::Alone;
use crate::peers::{self, Link, Phase};
use crate::share::{self, Kind};
use crate::store::{Read, StoreError, Table};
use crate::waist::Timer;
use crate::{act, moving};

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
        act::held::holds(&self.engine, rows)?;
        share::held::counts(rows)?;
        let (departures, arrivals) = (moving::departures(rows)?, moving::arrivals(rows)?);
        if self.engine.peers.quarantined {
            return Ok(());
        }
        let moves = &self.engine.moving;
        assert!(
            moves.is_as(&departures, &arrivals),
            "{moves:?}, and the rows say {departures:?} {arrivals:?}"
        );
        for (peer, link) in &self.engine.peers.links {
            if link.up().is_some() {
                let kinds = [Kind::Objects, Kind::Lanes];
                let kinds = if link.act.knows_actions { &kinds[..] } else { &kinds[..1] };
                share::held::holds(rows, peer, &link.window, kinds)?;
            }
        }
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
        let moving = &engine.moving;
        let waits = !moving.leaving.is_empty() || !moving.arriving.is_empty() || !moving.telling.is_empty();
        assert!(!waits || engine.moving.ticking, "nobody looks at what moves again");
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
