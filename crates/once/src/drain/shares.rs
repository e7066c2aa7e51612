//! What is only kept here is shared.

use std::collections::BTreeSet;

use futures_util::stream::{FuturesUnordered, StreamExt};
use once_core::share;
use once_core::waist::{Command, Event};
use once_model::ids::ObjectKey;
use once_model::wire::ShareAnswer;

use super::done::{DrainReport, End};
use super::watch::{AHEAD, LOOK_EVERY, Watch};
use crate::error::OrError;
use crate::events::{Entry, Filter, Reader};
use crate::{Error, ErrorKind};

const PHASE: &str = "sharing";

/// Debts that are looked at in one go.
const LOOKED_AT_MAX: usize = 1024;

/// Shares the objects: each is durable in the outbox, and goes on by itself. With `wait` until each was answered.
pub(super) async fn run(
    watch: &mut Watch<'_>,
    objects: Vec<ObjectKey>,
    wait: bool,
    done: &mut DrainReport,
) -> Result<Option<End>, Error> {
    let (kernel, to, total, before) = (watch.kernel, watch.to, objects.len(), done.stuck_count);
    let mut events = Reader::from_now(kernel, Filter::peer(to))?;
    let mut owed: BTreeSet<ObjectKey> = objects.iter().copied().collect();
    let mut settled: BTreeSet<ObjectKey> = BTreeSet::new();
    let mut left = objects.into_iter();
    let one = |key: ObjectKey| async move {
        (key, kernel.command(Command::Share { key, to, delivered: false }).await)
    };
    let mut under_way = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    watch.begin(PHASE, total);
    let end = loop {
        while under_way.len() < AHEAD
            && let Some(key) = left.next()
        {
            under_way.push(one(key));
        }
        if under_way.is_empty() && (owed.is_empty() || !wait) {
            break None;
        }
        tokio::select! {
            Some((key, answer)) = under_way.next() => match answer {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Stopping | ErrorKind::Fault) => return Err(error),
                Err(error) => {
                    if owed.remove(&key) {
                        done.cannot_go(key, error);
                    }
                }
            },
            happened = events.next() => match happened? {
                Some(Entry::Event(logged)) => answered(watch, logged.event, &mut owed, done),
                Some(Entry::Gap { .. }) => {}
                None => return Err(Error::stopping()),
            },
            _ = look.tick() => {
                if under_way.is_empty() {
                    settle(watch, &mut owed, &mut settled)?;
                }
                if let Some(end) = watch.end(total - owed.len())? {
                    break Some(end);
                }
            }
        }
        watch.tell(PHASE, total - owed.len(), total);
    };
    done.owed = owed.len();
    done.shared = total - owed.len() - (done.stuck_count - before);
    Ok(end)
}

/// A share was answered.
fn answered(watch: &Watch<'_>, event: Event, owed: &mut BTreeSet<ObjectKey>, done: &mut DrainReport) {
    let Event::Delivered { peer, key, answer } = event else { return };
    if peer != watch.to || !owed.remove(&key) {
        return;
    }
    if let ShareAnswer::Refused(code) = answer {
        let what = format!("sharing {key} with {}", watch.kernel.shared().called(&peer));
        done.cannot_go(key, Error::from_code(code, &what));
    }
}

/// An answer that was missed has left no debt behind. One that was not is on its way here: what is settled must be so for two
/// looks before it counts.
fn settle(
    watch: &Watch<'_>,
    owed: &mut BTreeSet<ObjectKey>,
    settled: &mut BTreeSet<ObjectKey>,
) -> Result<(), Error> {
    let snapshot = watch.kernel.shared().snapshot();
    let mut now = BTreeSet::new();
    for key in owed.iter().take(LOOKED_AT_MAX) {
        if share::debt(&snapshot, &watch.to, key).or_error()?.is_none() {
            now.insert(*key);
        }
    }
    owed.retain(|key| !(now.contains(key) && settled.contains(key)));
    *settled = now;
    Ok(())
}
